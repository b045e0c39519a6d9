// Row kernels: stages that fold along an axis, then a store per row or per element. Two orders of work: along the axis, one row after the
// other, and across it, many rows at a time, whichever makes fewer and longer loop calls on memory as it lies.
import type { ComputeType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import type { Operand, RowKernel } from '../../ir/kernel.ts';
import { computeTypeFor } from '../../ir/kernel.ts';
import { SMALL } from '../digits.ts';
import { CompiledRow } from './compiledRow.ts';
import { moveBetween } from './convert.ts';
import { copyStrided } from './custom/copy.ts';
import type { Heap } from './heap.ts';
import { Made } from './made.ts';
import { NATIVE, widthOf } from './program.ts';
import { RowCall } from './rowCall.ts';
import type { Scratch } from './scratch.ts';
import { BLOCK } from './scratch.ts';
import { smallSoftmax } from './smallSoftmax.ts';
import type { Temporaries } from './temporaries.ts';
import type { Threads } from './threads/threads.ts';

/** Rows side by side when every row's element lies in a cache line of its own. */
const SCATTERED_ROWS = 256;

/** Float32's rows from this length on are done one by one, mostly without JavaScript between them; others pay for their calls from twice as long on. */
const SHORT_ROW = 32;

/** Elements of short rows that are turned at a time: they stay in the second-level cache. */
const TURNED = 16384;

export class RowRunner {
  readonly #heap: Heap;
  readonly #scratch: Scratch;
  readonly #temporaries: Temporaries;
  readonly #threads: Threads;
  readonly #compiled = new Made((kernel: RowKernel) => new CompiledRow(kernel));

  constructor(heap: Heap, scratch: Scratch, temporaries: Temporaries, threads: Threads) {
    this.#heap = heap;
    this.#scratch = scratch;
    this.#temporaries = temporaries;
    this.#threads = threads;
  }

  run(
    kernel: RowKernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void {
    const [outer = 0, length = 0, inner = 0] = dims;
    if (outer * inner * (kernel.perElement ? length : 1) === 0) return;
    const compiled = this.#compiled.of(kernel);
    const type = computeTypeFor(kernel.computeFrom, inputs, outputs);
    const { layout } = compiled;
    this.#scratch.ensure(layout.cells, layout.kept + layout.temps);
    const order = orderOfWork(outer, length, inner, type === 'f32' ? SHORT_ROW : 2 * SHORT_ROW);
    if (order === 'outer' && inner === 1 && length > 1 && this.#lieAsWords(kernel, type, inputs, outputs)) {
      this.#runTurned(kernel, compiled, type, inputs, outputs[0] as Operand, dims, scalars);
      return;
    }
    if (
      compiled.isSoftmax &&
      order === 'along' &&
      outer * length <= SMALL &&
      inner === 1 &&
      dims[4] === 1 &&
      type === 'f32' &&
      this.#lieAsWords(kernel, type, inputs, outputs)
    ) {
      const [x, y] = [inputs[0], outputs[0]] as [Operand, Operand];
      const { exp } = this.#scratch.loops.few.f32.unary;
      const to = y.storage.offset / 4;
      smallSoftmax(this.#heap, exp, outer, length, x.storage.offset / 4, dims[3] ?? 0, to);
      return;
    }
    const [sources, steps] =
      order === 'along' && type === 'f32' && inner === 1 && inputs.some((x) => x.dtype !== 'float32')
        ? this.#withNumbersOfRows(inputs, dims)
        : [inputs, dims];
    const call = new RowCall(
      this.#heap,
      this.#scratch,
      this.#threads,
      kernel,
      compiled,
      type,
      sources,
      outputs[0] as Operand,
      steps,
      order !== 'along',
    );
    call.begin(scalars, outer * length * inner);
    if (order === 'along') {
      const { kernels } = this.#heap;
      call.runAlong();
      // a thread was lost, and what the call did after that it did to the memory that was left
      if (this.#heap.kernels !== kernels) this.run(kernel, inputs, outputs, dims, scalars);
    } else if (order === 'inner') {
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i += BLOCK) call.runAcross(o, i, Math.min(BLOCK, inner - i), false);
    } else {
      const block = length > 16 || inner > 1 ? SCATTERED_ROWS : BLOCK;
      for (let i = 0; i < inner; i++)
        for (let o = 0; o < outer; o += block) call.runAcross(o, i, Math.min(block, outer - o), true);
    }
    this.#temporaries.release();
  }

  /** What is one number a row as float32, and how all lie then: labels of another dtype would keep rows from one call into WebAssembly. */
  #withNumbersOfRows(
    inputs: readonly Operand[],
    dims: readonly number[],
  ): readonly [readonly Operand[], readonly number[]] {
    const [outer = 0] = dims;
    const own = [...dims];
    const sources = inputs.map((x, k) => {
      const step = dims[3 + 3 * k] ?? 0;
      if (x.dtype === 'float32' || step === 0 || dims[4 + 3 * k] !== 0) return x;
      const at = this.#temporaries.take(outer * 4);
      const from = x.storage.offset / bytesOf(x.dtype);
      moveBetween(x.dtype, 'float32')(this.#heap, outer, at / 4, 1, from, step);
      own[3 + 3 * k] = 1;
      return { ...placed(x, at), dtype: 'float32', shape: [outer] } as const;
    });
    return [sources, own];
  }

  /** Whether all that is read and written element by element are numbers of the compute type, of 32 bits. */
  #lieAsWords(
    kernel: RowKernel,
    type: ComputeType,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
  ): boolean {
    const native = NATIVE[type];
    return (
      widthOf(type) === 4 &&
      inputs.every((x) => x.dtype === native) &&
      (!kernel.perElement || outputs[0]?.dtype === native)
    );
  }

  /** Many short rows: turned, so that the rows' elements lie side by side, and the results turned back; some rows at a time. */
  #runTurned(
    kernel: RowKernel,
    compiled: CompiledRow,
    type: ComputeType,
    inputs: readonly Operand[],
    out: Operand,
    dims: readonly number[],
    scalars: readonly number[],
  ): void {
    const [outer = 0, length = 0] = dims;
    const most = Math.min(outer, Math.ceil(TURNED / length));
    const bytes = most * length * 4;
    const stride = (k: number, axis: number): number => dims[3 + 3 * k + axis] ?? 0;
    const turned = inputs.map((_, k) => stride(k, 0) !== 0 && stride(k, 1) !== 0 && stride(k, 0) !== 1);
    const spots = turned.map((is) => (is ? this.#temporaries.take(bytes) : 0));
    const result = kernel.perElement ? this.#temporaries.take(bytes) : 0;
    const width = bytesOf(out.dtype);
    const { vector } = this.#heap.kernels;
    for (let first = 0; first < outer; first += most) {
      const rows = Math.min(most, outer - first);
      const own = [1, length, rows];
      const sources = inputs.map((x, k) => {
        const [so, sl] = [stride(k, 0), stride(k, 1)];
        const from = x.storage.offset + first * so * 4;
        if (turned[k] !== true) {
          own.push(0, sl, so);
          return placed(x, from);
        }
        const at = spots[k] as number;
        if (sl === 1) vector.transpose(rows, length, from, so * 4, at, rows * 4);
        else copyStrided(this.#heap, x.dtype, x.dtype, from / 4, at / 4, [length, rows], [sl, so], [rows, 1]);
        own.push(0, rows, 1);
        return placed(x, at);
      });
      const to = out.storage.offset + first * (kernel.perElement ? length : 1) * width;
      const target = placed(out, kernel.perElement ? result : to);
      const call = new RowCall(
        this.#heap,
        this.#scratch,
        this.#threads,
        kernel,
        compiled,
        type,
        sources,
        target,
        own,
        true,
      );
      call.begin(scalars, outer * length);
      for (let i = 0; i < rows; i += BLOCK) call.runAcross(0, i, Math.min(BLOCK, rows - i), false);
      if (kernel.perElement) vector.transpose(length, rows, result, rows * 4, to, length * 4);
    }
    this.#temporaries.release();
  }
}

function placed(x: Operand, offset: number): Operand {
  return { ...x, storage: { buffer: 0, offset, bytes: 0, refs: 0, userRefs: 0 } };
}

/** Along rows where they are long, across them along `inner` or `outer` where that is longer. */
function orderOfWork(
  outer: number,
  length: number,
  inner: number,
  short: number,
): 'along' | 'inner' | 'outer' {
  if (inner >= 32 || (inner > 1 && inner >= length && inner >= outer)) return 'inner';
  if (length >= short || length >= outer) return 'along';
  return 'outer';
}
