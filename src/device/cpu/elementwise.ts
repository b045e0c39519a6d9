// Elementwise kernels: the compiled expression over operands of the output's shape, single elements, and broadcasts. Operands of the
// compute type are read where they lie and the last step writes where the output lies; only what is converted passes through registers.
import type { ComputeType } from '../../core/dtype.ts';
import { bytesOf, computeTypeOf } from '../../core/dtype.ts';
import { sizeOf, stridesOf } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { ElementwiseKernel, Operand } from '../../ir/kernel.ts';
import { computeTypeFor } from '../../ir/kernel.ts';
import type { Walk } from './broadcast.ts';
import { gather, isContiguous, isScattered, Walks, walkOf } from './broadcast.ts';
import type { Move } from './convert.ts';
import { moveBetween, unitsOf } from './convert.ts';
import { copyStrided } from './custom/copy.ts';
import type { Heap } from './heap.ts';
import type { Cells } from './loops/loop.ts';
import { Made } from './made.ts';
import { NATIVE, Program, widthOf } from './program.ts';
import type { Scratch } from './scratch.ts';
import { BLOCK, Layout } from './scratch.ts';
import { RowPlaces, SHORT, StepList } from './stepList.ts';
import type { Temporaries } from './temporaries.ts';
import type { Threads } from './threads/threads.ts';
import { areApart } from './threads/threads.ts';

/** Inner axes shorter than this are gathered into blocks rather than given loop calls of their own. */
const SHORT_RUN = 48;

/** In place, work of fewer steps waits for the memory, and threads do not make that faster. */
const STEPS_IN_PLACE = 4;

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
  /** For blocks that one call into WebAssembly does: the register of its list, and where things lie. */
  readonly listRegister: number;
  readonly places: RowPlaces;
  readonly walks = new Walks();

  constructor(expr: Expr, others: readonly Expr[] = []) {
    this.program =
      others.length === 0
        ? new Program(expr, this.layout)
        : new Program(computed(expr), this.layout, others.map(computed));
    this.sources = this.program.inputs.map(({ slot, index }) => ({
      slot,
      index,
      register: this.layout.kept++,
      rawRegister: this.layout.kept++,
      at: 0,
      stride: 0,
      move: null,
    }));
    this.listRegister = this.layout.kept++;
    this.places = new RowPlaces(this.program);
  }
}

/** With several outputs a bare input is computed as well: another output may lie where it lies. */
function computed(x: Expr): Expr {
  return x.kind === 'input' ? e.select(1, x, x) : x;
}

export class ElementwiseRunner {
  readonly #heap: Heap;
  readonly #scratch: Scratch;
  readonly #temporaries: Temporaries;
  readonly #threads: Threads;
  readonly #compiled = new Made(
    ({ expr, others }: ElementwiseKernel) => new CompiledElementwise(expr, others),
  );

  constructor(heap: Heap, scratch: Scratch, temporaries: Temporaries, threads: Threads) {
    this.#heap = heap;
    this.#scratch = scratch;
    this.#temporaries = temporaries;
    this.#threads = threads;
  }

  run(
    kernel: ElementwiseKernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void {
    const size = sizeOf((outputs[0] as Operand).shape);
    if (size === 0) return;
    const compiled = this.#compiled.of(kernel);
    this.runCompiled(
      compiled,
      computeTypeFor(kernel.computeFrom, inputs, outputs),
      inputs,
      outputs,
      size,
      scalars,
      dims.length > 0 ? walkOf(compiled.sources, inputs, outputs, dims) : undefined,
    );
  }

  /** A run with everything found out that does not change from run to run; operands may come to lie elsewhere. */
  prepare(
    kernel: ElementwiseKernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
  ): (scalars: readonly number[]) => void {
    const size = sizeOf((outputs[0] as Operand).shape);
    if (size === 0) return () => {};
    const compiled = this.#compiled.of(kernel);
    const type = computeTypeFor(kernel.computeFrom, inputs, outputs);
    const walk = walkOf(compiled.sources, inputs, outputs, dims);
    return (scalars) => this.runCompiled(compiled, type, inputs, outputs, size, scalars, walk);
  }

  /** As `run`, for an expression that is no kernel of its own. `walk`: null where all inputs lie as the outputs do; found out where it is not given. */
  runCompiled(
    compiled: CompiledElementwise,
    type: ComputeType,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    size: number,
    scalars: readonly number[],
    walk?: Walk | null,
  ): void {
    const { program, sources, layout } = compiled;
    const heap = this.#heap;
    this.#scratch.ensure(layout.cells, layout.kept + layout.temps);
    program.settle(type, this.#scratch, false, size);
    program.begin(heap[type], type, scalars, 0);

    const out = outputs[0] as Operand;
    const native = NATIVE[type];
    let asOutputs = true;
    let inPlace = out.dtype === native && program.indexSlot < 0;
    for (let k = 0; k < sources.length; k++) {
      const source = sources[k] as Source;
      const operand = inputs[source.index] as Operand;
      const count = sizeOf(operand.shape);
      source.at = operand.storage.offset / bytesOf(operand.dtype);
      source.stride = count === 1 ? 0 : 1;
      if (count !== size && count !== 1) asOutputs = false;
      if (operand.dtype === native) {
        source.move = null;
        program.base[source.slot] = source.at;
        program.stride[source.slot] = source.stride;
      } else {
        source.move = moveBetween(operand.dtype, native);
        inPlace = false;
      }
    }
    const found = walk === undefined && !asOutputs ? compiled.walks.of(sources, inputs, outputs) : walk;
    if (found !== null && found !== undefined) {
      this.#runWalk(compiled, type, inputs, outputs, size, found);
      this.#temporaries.release();
    } else if (
      inPlace &&
      outputs.length === 1 &&
      program.computed &&
      program.varying.count === 1 &&
      (this.#threads.pool === null || size < 2 * BLOCK)
    ) {
      program.base[program.result] = out.storage.offset / bytesOf(out.dtype);
      program.run(program.varying, heap[type], size);
    } else {
      this.#runStraight(compiled, type, inputs, outputs, 0, size);
    }
  }

  /** `n` elements of the outputs from `start` on, along which every source has its `at` and `stride` set. */
  #runStraight(
    compiled: CompiledElementwise,
    type: ComputeType,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    start: number,
    n: number,
  ): void {
    if (n >= 2 * BLOCK && this.#runList(compiled, type, inputs, outputs, start, 1, n)) return;
    const { program, sources } = compiled;
    const { base, stride } = program;
    const heap = this.#heap;
    const m = heap[type];
    const width = widthOf(type);
    const out = outputs[0] as Operand;
    const outAt = out.storage.offset / bytesOf(out.dtype) + start;
    const native = NATIVE[type];
    const direct = outputs.length === 1 && out.dtype === native && program.computed;
    // a copy or a fill, unless the numbers change on their way through the compute type
    const leaf = sources.find(({ slot }) => slot === program.result);
    const from = leaf === undefined ? native : (inputs[leaf.index] as Operand).dtype;
    const isStraight =
      from === native || out.dtype === native || (from === out.dtype && computeTypeOf(from) === type);
    if (outputs.length === 1 && (leaf !== undefined || program.level === 0) && isStraight) {
      const at = leaf?.at ?? (base[program.result] as number);
      moveBetween(from, out.dtype)(heap, n, outAt, 1, at, leaf?.stride ?? 0);
      return;
    }
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
        continue;
      }
      program.run(program.varying, m, count);
      // not before all are computed: an output may lie where an input does
      for (let j = 0; j < outputs.length; j++) {
        const { storage, dtype } = outputs[j] as Operand;
        const result = program.results[j] as number;
        moveBetween(native, dtype)(
          heap,
          count,
          storage.offset / bytesOf(dtype) + start + p,
          1,
          base[result] as number,
          stride[result] as number,
        );
      }
    }
  }

  /**
   * `rows` rows of `n` elements of the outputs from `start` on by one call into WebAssembly, or by threads; `strides`: of the sources, along `dims`, whose last but one are the
   * rows'. Returns false, with nothing done, where some of the work is JavaScript's.
   */
  #runList(
    compiled: CompiledElementwise,
    type: ComputeType,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    start: number,
    rows: number,
    n: number,
    every = rows,
    strides?: Walk['strides'],
  ): boolean {
    const { program, sources, places, listRegister, layout } = compiled;
    const { varying, indexSlot, results } = program;
    if (type !== 'f32' || outputs.some(({ dtype }, j) => dtype !== 'float32' || !program.computes[j]))
      return false;
    const several = outputs.length > 1;
    const apart = (several || this.#threads.pool !== null) && areApart(inputs, outputs);
    // several outputs are written one after the other, and one slot is written once
    if (several && !(apart && new Set(results).size === results.length)) return false;
    places.begin(program);
    for (let k = 0; k < sources.length; k++) {
      const { slot, at, stride, move } = sources[k] as Source;
      if (move !== null) return false;
      const steps = strides?.[k] ?? [];
      const next = steps.at(-2) ?? 0;
      places.put(slot, at, stride, next, rows > every ? (steps.at(-3) ?? 0) - every * next : 0);
    }
    for (let j = 0; j < outputs.length; j++)
      places.put(results[j] as number, (outputs[j] as Operand).storage.offset / 4 + start, 1, n);
    const list = new StepList(this.#heap, this.#threads, this.#scratch, layout, listRegister);
    list.add(varying, places, true);
    list.part(n, varying.count === 1 && indexSlot < 0 ? n : BLOCK);
    if (indexSlot >= 0) list.countUp(places, indexSlot, start, n);
    if (!list.add(varying, places)) return false;
    const outAt = (outputs[0] as Operand).storage.offset / 4 + start;
    // in place: each element is read by what overwrites it alone
    const over =
      !apart &&
      rows === 1 &&
      varying.count >= STEPS_IN_PLACE &&
      this.#threads.pool !== null &&
      sources.every(
        ({ index, at, stride }) =>
          (stride === 1 && at === outAt) || areApart([inputs[index] as Operand], outputs),
      );
    list.run(rows, apart || over, every, over ? outAt * 4 : 0);
    return true;
  }

  #runWalk(
    compiled: CompiledElementwise,
    type: ComputeType,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    size: number,
    walk: Walk,
  ): void {
    const { sources } = compiled;
    const { dims, strides, offsets } = walk;
    const starts = sources.map((s, k) => s.at + (offsets[k] as number));
    const inner = dims[dims.length - 1] as number;
    const short = type === 'f32' && sources.every(({ move }) => move === null) ? SHORT : SHORT_RUN;
    if (dims.length > 1 && (inner < short || isScattered(strides))) {
      this.#runGathered(compiled, type, inputs, outputs, size, walk, starts);
      return;
    }
    const last = dims.length - 1;
    const coords = new Array<number>(last).fill(0);
    // rows along the two axes before are done together where they can be
    const every = dims[last - 1] ?? 1;
    const rows = every * (dims[last - 2] ?? 1);
    let together = last > 0;
    for (let start = 0; start < size; start += together ? rows * inner : inner) {
      for (let k = 0; k < sources.length; k++) {
        const source = sources[k] as Source;
        source.at = starts[k] as number;
        source.stride = (strides[k] as readonly number[])[last] as number;
      }
      together &&= this.#runList(compiled, type, inputs, outputs, start, rows, inner, every, strides);
      if (!together) this.#runStraight(compiled, type, inputs, outputs, start, inner);
      for (let axis = together ? last - 3 : last - 1; axis >= 0; axis--) {
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

  /** Short inner axes, or sources that go across their memory: what is not contiguous is laid out, block by block or, where it goes across, as a whole. */
  #runGathered(
    compiled: CompiledElementwise,
    type: ComputeType,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    size: number,
    { dims, strides }: Walk,
    starts: number[],
  ): void {
    const { sources } = compiled;
    const last = dims.length - 1;
    const straight = sources.map((_, k) => isContiguous(dims, strides[k] as readonly number[]));
    const moves = sources.map((s) => s.move);
    for (let k = 0; k < sources.length; k++) {
      const steps = strides[k] as readonly number[];
      const { dtype } = inputs[sources[k]?.index ?? 0] as Operand;
      if (straight[k] === true || size < BLOCK || Math.abs(steps[last] as number) < 2) continue;
      const to = this.#temporaries.take(size * bytesOf(dtype)) / bytesOf(dtype);
      copyStrided(this.#heap, dtype, dtype, starts[k] as number, to, dims, steps, stridesOf(dims));
      starts[k] = to;
      straight[k] = true;
    }
    const heap = this.#heap;
    for (let start = 0; start < size; start += BLOCK) {
      const count = Math.min(BLOCK, size - start);
      for (let k = 0; k < sources.length; k++) {
        const source = sources[k] as Source;
        const { dtype } = inputs[source.index] as Operand;
        const steps = strides[k] as readonly number[];
        source.stride = 1;
        if (straight[k] === true) source.at = (starts[k] as number) + start;
        else if (steps.every((step) => step === 0)) {
          source.at = starts[k] as number;
          source.stride = 0;
        } else {
          source.at = this.#scratch.register(source.rawRegister) / bytesOf(dtype);
          gather(unitsOf(heap, dtype), source.at, starts[k] as number, dims, steps, start, count);
        }
        source.move = moves[k] ?? null;
      }
      this.#runStraight(compiled, type, inputs, outputs, start, count);
    }
  }
}

/** Writes start, start + 1, … */
export function countUp(m: Cells, at: number, start: number, n: number): void {
  for (let i = 0; i < n; i++) m[at + i] = start + i;
}
