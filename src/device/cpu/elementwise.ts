// Elementwise kernels: the compiled expression over operands of the output's shape, single elements, and broadcasts. Operands of the
// compute type are read where they lie and the last step writes where the output lies; only what is converted passes through registers.
import type { ComputeType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import type { ElementwiseKernel, Operand } from '../../ir/kernel.ts';
import { computeTypeFor } from '../../ir/kernel.ts';
import { gather, isContiguous, planBroadcast } from './broadcast.ts';
import type { Move } from './convert.ts';
import { moveBetween, unitsOf } from './convert.ts';
import type { Heap } from './heap.ts';
import type { Cells } from './loops/loop.ts';
import { NATIVE, Program, widthOf } from './program.ts';
import type { Scratch } from './scratch.ts';
import { BLOCK, Layout } from './scratch.ts';

/** Inner axes shorter than this are gathered into blocks rather than given loop calls of their own. */
const SHORT_RUN = 48;

/** Expressions kept for other kernels of the same key; those of numbers baked in by the thousand must not pile up. */
export const MOST_COMPILED = 1000;

/** One input of the call at hand. */
interface Source {
  readonly slot: number;
  readonly index: number;
  /** The registers for its converted elements and, where it is gathered first, for the raw ones. */
  readonly register: number;
  readonly rawRegister: number;
  /** Its first element, in elements of its dtype, and the stride along the output's elements. */
  at: number;
  stride: number;
  /** Null where it has the compute type and is read in place. */
  move: Move | null;
}

export class CompiledElementwise {
  readonly layout = new Layout();
  readonly program: Program;
  readonly sources: Source[];

  constructor(expr: Expr) {
    this.program = new Program(expr, this.layout);
    this.sources = this.program.inputs.map(({ slot, index }) => ({
      slot,
      index,
      register: this.layout.kept++,
      rawRegister: this.layout.kept++,
      at: 0,
      stride: 0,
      move: null,
    }));
  }
}

export class ElementwiseRunner {
  readonly #heap: Heap;
  readonly #scratch: Scratch;
  readonly #compiled = new WeakMap<ElementwiseKernel, CompiledElementwise>();
  readonly #byKey = new Map<string, CompiledElementwise>();

  constructor(heap: Heap, scratch: Scratch) {
    this.#heap = heap;
    this.#scratch = scratch;
  }

  #compile(kernel: ElementwiseKernel): CompiledElementwise {
    let compiled = this.#byKey.get(kernel.key);
    if (this.#byKey.size > MOST_COMPILED) this.#byKey.clear();
    if (compiled === undefined) {
      compiled = new CompiledElementwise(kernel.expr);
      this.#byKey.set(kernel.key, compiled);
    }
    this.#compiled.set(kernel, compiled);
    return compiled;
  }

  run(
    kernel: ElementwiseKernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    scalars: readonly number[],
  ): void {
    const out = outputs[0] as Operand;
    const size = sizeOf(out.shape);
    if (size === 0) return;
    this.runCompiled(
      this.#compiled.get(kernel) ?? this.#compile(kernel),
      computeTypeFor(kernel.computeFrom, inputs, outputs),
      inputs,
      out,
      size,
      scalars,
    );
  }

  /** As `run`, for an expression that is no kernel of its own. */
  runCompiled(
    compiled: CompiledElementwise,
    type: ComputeType,
    inputs: readonly Operand[],
    out: Operand,
    size: number,
    scalars: readonly number[],
  ): void {
    const { program, sources, layout } = compiled;
    const heap = this.#heap;
    this.#scratch.ensure(layout.cells, layout.kept + layout.temps);
    program.settle(type, this.#scratch, false, size);
    const m = heap[type];
    program.begin(m, type, scalars, 0);

    const native = NATIVE[type];
    let broadcasts = false;
    let inPlace = out.dtype === native && program.indexSlot < 0;
    for (let k = 0; k < sources.length; k++) {
      const source = sources[k] as Source;
      const operand = inputs[source.index] as Operand;
      const count = sizeOf(operand.shape);
      source.at = operand.storage.offset / bytesOf(operand.dtype);
      source.stride = count === 1 ? 0 : 1;
      if (count !== size && count !== 1) broadcasts = true;
      if (operand.dtype === native) {
        source.move = null;
        program.base[source.slot] = source.at;
        program.stride[source.slot] = source.stride;
      } else {
        source.move = moveBetween(operand.dtype, native);
        inPlace = false;
      }
    }
    const outAt = out.storage.offset / bytesOf(out.dtype);
    if (broadcasts) {
      this.#runBroadcast(compiled, type, m, inputs, out, outAt, size);
    } else if (inPlace && program.computed && program.varying.count === 1) {
      program.base[program.result] = outAt;
      program.run(program.varying, m, size);
    } else {
      this.#runStraight(compiled, type, m, out, outAt, 0, size);
    }
  }

  /** `n` elements from `start` on, along which every source has its `at` and `stride` set; `outAt` is the place of the first of them. */
  #runStraight(
    compiled: CompiledElementwise,
    type: ComputeType,
    m: Cells,
    out: Operand,
    outAt: number,
    start: number,
    n: number,
  ): void {
    const { program, sources } = compiled;
    const { base, stride } = program;
    const heap = this.#heap;
    const width = widthOf(type);
    const direct = out.dtype === NATIVE[type] && program.computed;
    for (let k = 0; k < sources.length; k++) {
      const source = sources[k] as Source;
      stride[source.slot] = source.stride;
      if (source.move === null) continue;
      const register = this.#scratch.register(source.register) / width;
      base[source.slot] = register;
      if (source.stride === 0) source.move(heap, 1, register, 1, source.at, 1);
      else stride[source.slot] = 1;
    }
    for (let p = 0; p < n; p += BLOCK) {
      const count = Math.min(BLOCK, n - p);
      for (let k = 0; k < sources.length; k++) {
        const source = sources[k] as Source;
        if (source.move === null) base[source.slot] = source.at + p * source.stride;
        else if (source.stride !== 0)
          source.move(
            heap,
            count,
            base[source.slot] as number,
            1,
            source.at + p * source.stride,
            source.stride,
          );
      }
      if (program.indexSlot >= 0) countUp(m, base[program.indexSlot] as number, start + p, count);
      if (direct) {
        base[program.result] = outAt + p;
        program.run(program.varying, m, count);
      } else {
        program.run(program.varying, m, count);
        const move = moveBetween(NATIVE[type], out.dtype);
        move(heap, count, outAt + p, 1, base[program.result] as number, stride[program.result] as number);
      }
    }
  }

  #runBroadcast(
    compiled: CompiledElementwise,
    type: ComputeType,
    m: Cells,
    inputs: readonly Operand[],
    out: Operand,
    outAt: number,
    size: number,
  ): void {
    const { sources } = compiled;
    const operands = sources.map((s) => inputs[s.index] as Operand);
    const { dims, strides } = planBroadcast(
      out.shape,
      operands.map((x) => x.shape),
    );
    const inner = dims[dims.length - 1] as number;
    if (inner < SHORT_RUN && dims.length > 1) {
      this.#runGathered(compiled, type, m, operands, dims, strides, out, outAt, size);
      return;
    }
    const starts = sources.map((s) => s.at);
    const last = dims.length - 1;
    const coords = new Array<number>(last).fill(0);
    for (let start = 0; start < size; start += inner) {
      for (let k = 0; k < sources.length; k++) {
        const source = sources[k] as Source;
        source.at = starts[k] as number;
        source.stride = (strides[k] as readonly number[])[last] as number;
      }
      this.#runStraight(compiled, type, m, out, outAt + start, start, inner);
      for (let axis = last - 1; axis >= 0; axis--) {
        const next = (coords[axis] as number) + 1;
        const wraps = next === dims[axis];
        coords[axis] = wraps ? 0 : next;
        for (let k = 0; k < sources.length; k++) {
          const step = (strides[k] as readonly number[])[axis] as number;
          starts[k] = (starts[k] as number) + (wraps ? step * (1 - next) : step);
        }
        if (!wraps) break;
      }
    }
  }

  /** Short inner axes: inputs that are not contiguous are laid out block by block. */
  #runGathered(
    compiled: CompiledElementwise,
    type: ComputeType,
    m: Cells,
    operands: readonly Operand[],
    dims: readonly number[],
    strides: readonly (readonly number[])[],
    out: Operand,
    outAt: number,
    size: number,
  ): void {
    const { sources } = compiled;
    const heap = this.#heap;
    const starts = sources.map((s) => s.at);
    const straight = sources.map((_, k) => isContiguous(dims, strides[k] as readonly number[]));
    const moves = sources.map((s) => s.move);
    for (let start = 0; start < size; start += BLOCK) {
      const count = Math.min(BLOCK, size - start);
      for (let k = 0; k < sources.length; k++) {
        const source = sources[k] as Source;
        const operand = operands[k] as Operand;
        const steps = strides[k] as readonly number[];
        source.stride = 1;
        if (straight[k] === true) source.at = (starts[k] as number) + start;
        else if (sizeOf(operand.shape) === 1) source.stride = 0;
        else {
          const width = bytesOf(operand.dtype);
          source.at = this.#scratch.register(source.rawRegister) / width;
          gather(unitsOf(heap, operand.dtype), source.at, starts[k] as number, dims, steps, start, count);
        }
        source.move = moves[k] ?? null;
      }
      this.#runStraight(compiled, type, m, out, outAt + start, start, count);
    }
  }
}

/** Writes start, start + 1, … */
export function countUp(m: Cells, at: number, start: number, n: number): void {
  for (let i = 0; i < n; i++) m[at + i] = start + i;
}
