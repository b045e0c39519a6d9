// A recorded call's program and the arrays around it: which memory its inputs are, what a call gives and what is made for that, whether what depends on parameters alone has to be
// computed again. Whether a record fits a call, and what else a call does, is cached.ts's and cachedStep.ts's.
import { makeArray, type NDArray } from '../array/ndarray.ts';
import type { DType } from '../core/dtype.ts';
import type { Shape } from '../core/shape.ts';
import type { Program } from '../device/device.ts';
import type { Storage } from '../ir/storage.ts';
import type { CompileGraphOptions } from './compile.ts';
import type { Lowered } from './lower.ts';
import { compileFor, disposeProgram } from './owned.ts';
import type { Trace, TraceRef } from './trace.ts';

/** An array that a call gives: one that was there, or one over memory of the program's or of an array that was there. */
export type Result =
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'array'; readonly array: NDArray }
  | {
      readonly kind: 'input' | 'output';
      readonly index: number;
      readonly shape: Shape;
      readonly dtype: DType;
    };

/** What a call gives, and the values that its program makes. */
export class Results {
  readonly list: readonly Result[];
  readonly made: TraceRef[] = [];

  /** Of `trace`, whose first externals are those given. `args` and `arrays`: what the recorded call was given and gave. */
  constructor(
    trace: Trace,
    externals: Trace['externals'],
    args: readonly NDArray[],
    arrays: readonly NDArray[],
  ) {
    // what the memory of externals holds at the end: views of it are no outputs
    const held = new Map(trace.externals.slice(0, externals.length).map(({ ref }, i) => [i, ref.value]));
    for (const { external, ref } of trace.writes) if (external !== null) held.set(external, ref.value);
    this.list = trace.results.map((ref, i): Result => {
      const array = arrays[i] as NDArray;
      const argument = args.indexOf(array);
      if (argument >= 0) return { kind: 'argument', index: argument };
      if (externals.some((external) => external.array === array)) return { kind: 'array', array };
      const { shape, dtype } = ref;
      for (const [index, value] of held)
        if (value === ref.value) return { kind: 'input', index, shape, dtype };
      return { kind: 'output', index: this.output(ref), shape, dtype };
    });
  }

  /** The place of a value among those made. */
  output(ref: TraceRef): number {
    const at = this.made.findIndex((r) => r.value === ref.value);
    return at < 0 ? this.made.push(ref) - 1 : at;
  }
}

/** Runs `fn` with memory of these sizes in the first places of `outputs`; what nobody holds afterwards is given back. */
export function withOutputs<R>(
  { device, name }: Trace,
  bytes: readonly number[],
  outputs: Storage[],
  fn: () => R,
): R {
  let count = 0;
  try {
    for (; count < bytes.length; count++) {
      const storage = device.alloc(bytes[count] as number, name);
      storage.refs++;
      outputs[count] = storage;
    }
    return fn();
  } finally {
    for (let k = 0; k < count; k++) {
      const storage = outputs[k] as Storage;
      if (--storage.refs === 0) device.free(storage);
    }
  }
}

export class BoundProgram {
  readonly program: Program;
  /** By external: its memory at the call at hand, for the caller to set. */
  readonly memory: Storage[];
  /** By output at the call at hand: those made, then those written. */
  readonly outputs: Storage[];
  readonly #trace: Trace;
  readonly #results: readonly Result[];
  readonly #bytes: readonly number[];
  /** By input: which external. */
  readonly #places: readonly number[];
  readonly #inputs: Storage[];
  /** Inputs that a prologue may depend on, and what it saw of them when it ran last. */
  readonly #stable: readonly number[];
  readonly #seen: (Storage | null)[];
  readonly #versions: number[];

  /** `lowered` is of `trace`, whose first `externals` it is run on. */
  constructor(
    trace: Trace,
    externals: number,
    { list, made }: Results,
    { graph, inputs, writes }: Lowered,
    options: CompileGraphOptions,
  ) {
    const values = trace.externals.slice(0, externals).map(({ ref }) => ref.value);
    this.#trace = trace;
    this.#results = list;
    this.#bytes = made.map(({ value }) => trace.values[value]?.bytes ?? 0);
    this.#places = inputs.map((value) => values.indexOf(value));
    this.program = compileFor(this, graph, trace.device, options);
    this.memory = new Array<Storage>(externals);
    this.#inputs = new Array<Storage>(inputs.length);
    this.outputs = new Array<Storage>(made.length + writes.length);
    this.#stable = this.program.stats.prologue === 0 ? [] : graph.stable.flatMap((s, i) => (s ? [i] : []));
    this.#seen = this.#stable.map(() => null);
    this.#versions = this.#stable.map(() => 0);
  }

  /** Runs once, on `memory`. `written`: the memory of what is written, in the order of the lowered writes. `before`: called while the outputs are still held. */
  run(
    args: readonly NDArray[],
    scalars: readonly number[],
    written: (write: number) => Storage,
    before?: (results: readonly NDArray[]) => void,
  ): readonly NDArray[] {
    const { context, device } = this.#trace;
    const [memory, inputs, outputs, bytes] = [this.memory, this.#inputs, this.outputs, this.#bytes];
    for (let k = 0; k < inputs.length; k++) inputs[k] = memory[this.#places[k] as number] as Storage;
    try {
      return withOutputs(this.#trace, bytes, outputs, () => {
        for (let k = bytes.length; k < outputs.length; k++) {
          const storage = written(k - bytes.length);
          storage.version = (storage.version ?? 0) + 1;
          outputs[k] = storage;
        }
        this.program.run(inputs, outputs, scalars, this.#refresh());
        const results = this.#results.map((result) => {
          if (result.kind === 'argument') return args[result.index] as NDArray;
          if (result.kind === 'array') return result.array;
          const storage = (result.kind === 'input' ? memory : outputs)[result.index] as Storage;
          return makeArray(context, device, storage, result.dtype, result.shape);
        });
        before?.(results);
        return results;
      });
    } catch (error) {
      // a prologue may not have run to its end
      this.#seen.fill(null);
      throw error;
    }
  }

  /** Whether what the prologue depends on has changed since it ran. */
  #refresh(): boolean {
    const [stable, seen, versions] = [this.#stable, this.#seen, this.#versions];
    let changed = false;
    for (let k = 0; k < stable.length; k++) {
      const storage = this.#inputs[stable[k] as number] as Storage;
      const version = storage.version ?? 0;
      if (seen[k] === storage && versions[k] === version) continue;
      seen[k] = storage;
      versions[k] = version;
      changed = true;
    }
    return changed;
  }

  /** Gives the program's memory back. */
  dispose(): void {
    disposeProgram(this.program);
  }
}
