// Row kernels: stages that fold along an axis, then a store per row or per element. Two orders of work: along the axis, one row after the
// other, and across it, many rows at a time, whichever makes fewer and longer loop calls on memory as it lies.
import type { ComputeType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import type { Operand, RowKernel } from '../../ir/kernel.ts';
import { computeTypeFor } from '../../ir/kernel.ts';
import type { Move } from './convert.ts';
import { moveBetween } from './convert.ts';
import { countUp, MOST_COMPILED } from './elementwise.ts';
import type { Heap } from './heap.ts';
import type { Cells } from './loops/loop.ts';
import { NATIVE, Program, widthOf } from './program.ts';
import type { Extreme } from './reduce.ts';
import { foldExtreme, foldOf, identityOf, RowAccumulators } from './reduce.ts';
import { findReuse } from './reuse.ts';
import type { Scratch } from './scratch.ts';
import { BLOCK, Layout } from './scratch.ts';

/** Rows side by side when every row's element lies in a cache line of its own. */
const SCATTERED_ROWS = 256;

class CompiledRow {
  readonly layout = new Layout();
  readonly loads: readonly Program[];
  readonly store: Program;
  /**
   * Where the store computes again what a stage has loaded, as softmax does with its exponentials: that stage, and a store which reads the values as one more
   * input. −1 and the store itself where it does not.
   */
  readonly reused: number;
  readonly storeReusing: Program;
  readonly inputRegisters: readonly number[];
  /** Per stage: the cell of a row's result, the register of a block's results, and one for accumulators. */
  readonly results: readonly { readonly cell: number; readonly register: number; readonly extra: number }[];

  constructor(kernel: RowKernel) {
    const layout = this.layout;
    this.inputRegisters = Array.from({ length: kernel.inputs }, () => layout.kept++);
    this.results = kernel.stages.map(() => ({
      cell: layout.cells++,
      register: layout.kept++,
      extra: layout.kept++,
    }));
    this.loads = kernel.stages.map((stage) => new Program(stage.load, layout));
    this.store = new Program(kernel.store, layout);
    const { stage, store } = findReuse(kernel);
    this.reused = stage;
    this.storeReusing = store === null ? this.store : new Program(store, layout);
  }
}

interface RowInput {
  readonly at: number;
  readonly so: number;
  readonly sl: number;
  readonly si: number;
  readonly move: Move | null;
  /** Its register, in elements of the compute type. */
  readonly register: number;
}

export class RowRunner {
  readonly #heap: Heap;
  readonly #scratch: Scratch;
  readonly #compiled = new WeakMap<RowKernel, CompiledRow>();
  readonly #byKey = new Map<string, CompiledRow>();

  constructor(heap: Heap, scratch: Scratch) {
    this.#heap = heap;
    this.#scratch = scratch;
  }

  #compile(kernel: RowKernel): CompiledRow {
    let compiled = this.#byKey.get(kernel.key);
    if (this.#byKey.size > MOST_COMPILED) this.#byKey.clear();
    if (compiled === undefined) {
      compiled = new CompiledRow(kernel);
      this.#byKey.set(kernel.key, compiled);
    }
    this.#compiled.set(kernel, compiled);
    return compiled;
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
    const compiled = this.#compiled.get(kernel) ?? this.#compile(kernel);
    const type = computeTypeFor(kernel.computeFrom, inputs, outputs);
    const { layout } = compiled;
    this.#scratch.ensure(layout.cells, layout.kept + layout.temps);
    const order = orderOfWork(outer, length, inner);
    const call = new RowCall(
      this.#heap,
      this.#scratch,
      kernel,
      compiled,
      type,
      inputs,
      outputs[0] as Operand,
      dims,
      order !== 'along',
    );
    call.begin(scalars);
    if (order === 'along') call.runAlong();
    else if (order === 'inner') {
      for (let o = 0; o < outer; o++)
        for (let i = 0; i < inner; i += BLOCK) call.runAcross(o, i, Math.min(BLOCK, inner - i), false);
    } else {
      const block = length > 16 || inner > 1 ? SCATTERED_ROWS : BLOCK;
      for (let i = 0; i < inner; i++)
        for (let o = 0; o < outer; o += block) call.runAcross(o, i, Math.min(block, outer - o), true);
    }
  }
}

/** Along rows where they are long, across them along `inner` or `outer` where that is longer. */
function orderOfWork(outer: number, length: number, inner: number): 'along' | 'inner' | 'outer' {
  if (inner >= 32 || (inner > 1 && inner >= length && inner >= outer)) return 'inner';
  if (length >= 64 || length >= outer) return 'along';
  return 'outer';
}

/** One run of a row kernel. */
class RowCall {
  readonly #heap: Heap;
  readonly #scratch: Scratch;
  readonly #kernel: RowKernel;
  readonly #compiled: CompiledRow;
  readonly #type: ComputeType;
  readonly #width: number;
  readonly #m: Cells;
  readonly #inputs: readonly RowInput[];
  readonly #outAt: number;
  readonly #storeMove: Move;
  readonly #native: boolean;
  readonly #outer: number;
  readonly #length: number;
  readonly #inner: number;
  readonly #across: boolean;
  /** The stage whose values are kept in the output until the store has read them, −1 for none; and the store. */
  readonly #reused: number;
  readonly #store: Program;

  constructor(
    heap: Heap,
    scratch: Scratch,
    kernel: RowKernel,
    compiled: CompiledRow,
    type: ComputeType,
    inputs: readonly Operand[],
    out: Operand,
    dims: readonly number[],
    across: boolean,
  ) {
    this.#heap = heap;
    this.#scratch = scratch;
    this.#kernel = kernel;
    this.#compiled = compiled;
    this.#type = type;
    this.#width = widthOf(type);
    this.#m = heap[type];
    this.#outAt = out.storage.offset / bytesOf(out.dtype);
    this.#native = out.dtype === NATIVE[type];
    this.#storeMove = moveBetween(NATIVE[type], out.dtype);
    const [outer = 0, length = 0, inner = 0] = dims;
    this.#outer = outer;
    this.#length = length;
    this.#inner = inner;
    this.#across = across;
    const reuses = compiled.reused >= 0 && !across && this.#native && inner === 1;
    this.#reused = reuses && (compiled.loads[compiled.reused] as Program).computed ? compiled.reused : -1;
    this.#store = this.#reused >= 0 ? compiled.storeReusing : compiled.store;
    this.#inputs = inputs.slice(0, kernel.inputs).map((operand, k) => ({
      at: operand.storage.offset / bytesOf(operand.dtype),
      so: dims[3 + 3 * k] ?? 0,
      sl: dims[4 + 3 * k] ?? 0,
      si: dims[5 + 3 * k] ?? 0,
      move: operand.dtype === NATIVE[type] ? null : moveBetween(operand.dtype, NATIVE[type]),
      register: scratch.register(compiled.inputRegisters[k] as number) / this.#width,
    }));
  }

  /** Places of everything that stays where it is during the run. */
  begin(scalars: readonly number[]): void {
    const { loads, results } = this.#compiled;
    const store = this.#store;
    const scratch = this.#scratch;
    const width = this.#width;
    const size = this.#outer * this.#length * this.#inner;
    for (const load of loads) load.settle(this.#type, scratch, this.#across, size);
    const storeAcross = this.#across || !this.#kernel.perElement;
    store.settle(this.#type, scratch, storeAcross, size);
    for (const program of [...loads, store]) {
      const across = program === store ? storeAcross : this.#across;
      for (const { slot, index } of program.stages) {
        const result = results[index] as { cell: number; register: number };
        program.base[slot] = (across ? scratch.register(result.register) : scratch.cell(result.cell)) / width;
        program.stride[slot] = across ? 1 : 0;
      }
      program.begin(this.#m, this.#type, scalars, this.#length);
    }
  }

  /** One row after the other; stores of one value a row are gathered and done a block of rows at a time. */
  runAlong(): void {
    const { results, loads } = this.#compiled;
    const { stages, perElement } = this.#kernel;
    const m = this.#m;
    const width = this.#width;
    const inner = this.#inner;
    const rows = this.#outer * inner;
    const cells = results.map((r) => this.#scratch.cell(r.cell) / width);
    const blocks = results.map((r) => this.#scratch.register(r.register) / width);
    for (let first = 0; first < rows; first += BLOCK) {
      const count = Math.min(BLOCK, rows - first);
      for (let r = 0; r < count; r++) {
        const row = first + r;
        const o = inner === 1 ? row : Math.floor(row / inner);
        const i = row - o * inner;
        for (let s = 0; s < stages.length; s++) {
          const value = this.#foldRow(loads[s] as Program, s, o, i);
          m[cells[s] as number] = value;
          m[(blocks[s] as number) + r] = value;
        }
        if (perElement) this.#storeRow(o, i);
      }
      if (!perElement) this.#storeRows(count, this.#outAt + first, 1);
    }
  }

  /** Sets the inputs of `program` to `n` elements from `l` on of row (o, i). */
  #pointAlong(program: Program, o: number, i: number, l: number, n: number): void {
    const { inputs, base, stride, indexSlot } = program;
    for (let k = 0; k < inputs.length; k++) {
      const leaf = inputs[k] as { slot: number; index: number };
      const input = this.#inputs[leaf.index];
      if (input === undefined) {
        // a stage's values, which lie in the output
        base[leaf.slot] = this.#outAt + o * this.#length + l;
        stride[leaf.slot] = 1;
        continue;
      }
      const at = input.at + o * input.so + l * input.sl + i * input.si;
      if (input.move === null) {
        base[leaf.slot] = at;
        stride[leaf.slot] = input.sl;
      } else {
        input.move(this.#heap, n, input.register, 1, at, input.sl);
        base[leaf.slot] = input.register;
        stride[leaf.slot] = 1;
      }
    }
    if (indexSlot >= 0) countUp(this.#m, base[indexSlot] as number, l, n);
  }

  #foldRow(load: Program, s: number, o: number, i: number): number {
    const m = this.#m;
    const length = this.#length;
    const type = this.#type;
    const combine = this.#kernel.stages[s]?.combine ?? 'sum';
    if (load.perRow.count > 0) load.run(load.perRow, m, 1);
    // an input that is folded as it lies needs no blocks
    const plain =
      !load.computed && load.indexSlot < 0 && this.#inputs[load.inputs[0]?.index ?? 0]?.move === null;
    const block = plain ? Math.max(length, 1) : BLOCK;
    const extreme = combine === 'argmax' || combine === 'argmin';
    const best: Extreme = { value: identityOf(type, combine), place: 0 };
    let acc = best.value;
    for (let l = 0; l < length; l += block) {
      const n = Math.min(block, length - l);
      this.#pointAlong(load, o, i, l, n);
      if (s === this.#reused) load.base[load.result] = this.#outAt + o * length + l;
      if (load.varying.count > 0) load.run(load.varying, m, n);
      const a = load.base[load.result] as number;
      const sa = load.stride[load.result] as number;
      if (extreme) foldExtreme(m, n, a, sa, combine === 'argmax', l, best);
      else acc = foldOf(this.#heap, type, combine)(m, n, a, sa, acc);
    }
    return extreme ? best.place : acc;
  }

  #storeRow(o: number, i: number): void {
    const store = this.#store;
    const m = this.#m;
    const inner = this.#inner;
    const length = this.#length;
    const direct = this.#native && inner === 1 && store.computed;
    if (store.perRow.count > 0) store.run(store.perRow, m, 1);
    for (let l = 0; l < length; l += BLOCK) {
      const n = Math.min(BLOCK, length - l);
      this.#pointAlong(store, o, i, l, n);
      const to = this.#outAt + (o * length + l) * inner + i;
      if (direct) store.base[store.result] = to;
      if (store.varying.count > 0) store.run(store.varying, m, n);
      if (!direct)
        this.#storeMove(
          this.#heap,
          n,
          to,
          inner,
          store.base[store.result] as number,
          store.stride[store.result] as number,
        );
    }
  }

  /** The per-row store of `n` rows whose results stand in the stages' registers. */
  #storeRows(n: number, to: number, step: number): void {
    const store = this.#store;
    const m = this.#m;
    if (store.perRow.count > 0) store.run(store.perRow, m, n);
    if (store.varying.count > 0) store.run(store.varying, m, n);
    this.#storeMove(
      this.#heap,
      n,
      to,
      step,
      store.base[store.result] as number,
      store.stride[store.result] as number,
    );
  }

  /** Sets the inputs of `program` to the `l`-th elements of `n` rows from (o, i) on, along `outer` or `inner`. */
  #pointAcross(program: Program, o: number, i: number, l: number, n: number, alongOuter: boolean): void {
    const { inputs, base, stride, indexSlot } = program;
    for (let k = 0; k < inputs.length; k++) {
      const leaf = inputs[k] as { slot: number; index: number };
      const input = this.#inputs[leaf.index] as RowInput;
      const at = input.at + o * input.so + l * input.sl + i * input.si;
      const step = alongOuter ? input.so : input.si;
      if (input.move === null) {
        base[leaf.slot] = at;
        stride[leaf.slot] = step;
      } else {
        input.move(this.#heap, n, input.register, 1, at, step);
        base[leaf.slot] = input.register;
        stride[leaf.slot] = 1;
      }
    }
    if (indexSlot >= 0) this.#m[base[indexSlot] as number] = l;
  }

  /** All stages and the store of `n` rows side by side: rows (o …, i) where `alongOuter`, else (o, i …). */
  runAcross(o: number, i: number, n: number, alongOuter: boolean): void {
    const { loads, results } = this.#compiled;
    const store = this.#store;
    const { stages, perElement } = this.#kernel;
    const m = this.#m;
    const length = this.#length;
    const inner = this.#inner;
    for (let s = 0; s < stages.length; s++) {
      const load = loads[s] as Program;
      const result = results[s] as { register: number; extra: number };
      const acc = new RowAccumulators(
        this.#heap,
        this.#type,
        stages[s]?.combine ?? 'sum',
        n,
        this.#scratch.register(result.register),
        this.#scratch.register(result.extra),
      );
      if (load.perRow.count > 0) load.run(load.perRow, m, n);
      for (let l = 0; l < length; l++) {
        this.#pointAcross(load, o, i, l, n, alongOuter);
        if (load.varying.count > 0) load.run(load.varying, m, n);
        acc.add(load.base[load.result] as number, load.stride[load.result] as number, l);
      }
      acc.finish();
    }
    if (!perElement) {
      this.#storeRows(n, this.#outAt + o * inner + i, alongOuter ? inner : 1);
      return;
    }
    const step = alongOuter ? length * inner : 1;
    const direct = this.#native && step === 1 && store.computed;
    if (store.perRow.count > 0) store.run(store.perRow, m, n);
    for (let l = 0; l < length; l++) {
      this.#pointAcross(store, o, i, l, n, alongOuter);
      const to = this.#outAt + (o * length + l) * inner + i;
      if (direct) store.base[store.result] = to;
      if (store.varying.count > 0) store.run(store.varying, m, n);
      if (!direct)
        this.#storeMove(
          this.#heap,
          n,
          to,
          step,
          store.base[store.result] as number,
          store.stride[store.result] as number,
        );
    }
  }
}
