// Where a product's sums go: bias added in double, rounded to the compute type, the epilogue's expression over the rounded sums,
// converted to the output's dtype.
import type { ComputeType } from '../../../core/dtype.ts';
import { bytesOf } from '../../../core/dtype.ts';
import { sizeOf } from '../../../core/shape.ts';
import { e, exprKey } from '../../../ir/expr.ts';
import type { Operand, ProductKernel } from '../../../ir/kernel.ts';
import type { Move } from '../convert.ts';
import { moveBetween, readElement } from '../convert.ts';
import { CompiledElementwise } from '../elementwise.ts';
import type { Heap } from '../heap.ts';
import type { Cells } from '../loops/loop.ts';
import { NATIVE, Program, widthOf } from '../program.ts';
import type { Scratch } from '../scratch.ts';
import { BLOCK, Layout } from '../scratch.ts';

export class CompiledEpilogue {
  readonly layout = new Layout();
  readonly register = this.layout.kept++;
  readonly program: Program | null;
  /** Whether the epilogue is the rectifier, which compiled kernels do as they store. */
  readonly relu: boolean;
  /** An epilogue that reads more than the sums: a pass of its own over what the product has stored. */
  readonly pass: CompiledElementwise | null;

  constructor({ epilogue, extras }: ProductKernel) {
    this.relu = epilogue !== null && RELU.has(exprKey(epilogue));
    const apart = epilogue !== null && extras.length > 0 && !this.relu;
    this.program = epilogue === null || apart ? null : new Program(epilogue, this.layout);
    this.pass = apart ? new CompiledElementwise(epilogue) : null;
  }

  /** The epilogue in place on `n` elements from `at` on, which a whole product has left there. */
  finish(
    heap: Heap,
    scratch: Scratch,
    type: ComputeType,
    at: number,
    n: number,
    scalars: readonly number[],
  ): void {
    const { program, layout } = this;
    if (program === null) return;
    scratch.ensure(layout.cells, layout.kept + layout.temps);
    program.settle(type, scratch, false, n);
    program.begin(heap[type], type, scalars, 0);
    for (let i = 0; i < n; i += BLOCK) finishBlock(program, heap[type], at + i, Math.min(BLOCK, n - i));
  }
}

/** The output of one product call. */
export class ProductStore {
  readonly #heap: Heap;
  readonly #type: ComputeType;
  readonly #program: Program | null;
  readonly #register: number;
  readonly #native: boolean;
  readonly #move: Move;
  readonly #at: number;
  /** Whether a bias is added, and along which axis it runs. */
  readonly bias: 'none' | 'm' | 'n';
  readonly #biasValues: Float64Array;

  constructor(
    heap: Heap,
    scratch: Scratch,
    compiled: CompiledEpilogue,
    kernel: ProductKernel,
    type: ComputeType,
    bias: Operand | undefined,
    out: Operand,
    scalars: readonly number[],
  ) {
    const { layout, program } = compiled;
    scratch.ensure(layout.cells, layout.kept + layout.temps);
    this.#heap = heap;
    this.#type = type;
    this.#program = program;
    this.#register = scratch.register(compiled.register) / widthOf(type);
    this.#native = out.dtype === NATIVE[type];
    this.#move = moveBetween(NATIVE[type], out.dtype);
    this.#at = out.storage.offset / bytesOf(out.dtype);
    this.bias = bias === undefined ? 'none' : kernel.bias;
    this.#biasValues = bias === undefined || kernel.bias === 'none' ? NO_BIAS : toDoubles(heap, bias);
    if (program !== null) {
      program.settle(type, scratch, false, sizeOf(out.shape));
      program.begin(heap[type], type, scalars, 0);
    }
  }

  /**
   * Stores `n` sums of `values` from `from` on as the output's elements `to`, `to + step` …; they belong to row `row` (a channel) and to columns
   * from `column` on.
   */
  put(
    values: Float64Array,
    from: number,
    n: number,
    to: number,
    step: number,
    row: number,
    column: number,
  ): void {
    for (let done = 0; done < n; done += BLOCK) {
      const count = Math.min(BLOCK, n - done);
      this.#putBlock(values, from + done, count, this.#at + to + done * step, step, row, column + done);
    }
  }

  #putBlock(
    values: Float64Array,
    from: number,
    n: number,
    to: number,
    step: number,
    row: number,
    column: number,
  ): void {
    const direct = this.#native && step === 1;
    const at = direct ? to : this.#register;
    const m = this.#heap[this.#type];
    const bias = this.#biasValues;
    for (let i = 0; i < n; i++) {
      const added =
        this.bias === 'none' ? 0 : this.bias === 'm' ? (bias[row] as number) : (bias[column + i] as number);
      m[at + i] = (values[from + i] as number) + added;
    }
    if (this.#program !== null) finishBlock(this.#program, this.#heap[this.#type], at, n);
    if (!direct) this.#move(this.#heap, n, to, step, at, 1);
  }
}

/** The epilogue, in place on `n` elements. */
function finishBlock(program: Program, m: Cells, at: number, n: number): void {
  const { base, stride } = program;
  for (const leaf of program.inputs) {
    base[leaf.slot] = at;
    stride[leaf.slot] = 1;
  }
  if (program.computed) {
    base[program.result] = at;
    program.run(program.varying, m, n);
  } else if (program.level < 2) m.fill(m[base[program.result] as number] as number, at, at + n);
}

const RELU = new Set([exprKey(e.max(e.input(0), 0)), exprKey(e.max(0, e.input(0)))]);

const NO_BIAS = new Float64Array(0);

function toDoubles(heap: Heap, operand: Operand): Float64Array {
  const n = sizeOf(operand.shape);
  const values = new Float64Array(n);
  const at = operand.storage.offset / bytesOf(operand.dtype);
  for (let i = 0; i < n; i++) values[i] = readElement(heap, operand.dtype, at + i);
  return values;
}
