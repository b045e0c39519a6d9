// One recorded call as programs: a forward and, where gradients are recorded, a backward, which the tape sees as one call. Which program serves which call, and why one is
// made, is gluon/hybrid.ts's; what is in a program, the passes'; gradients' part, cachedGradient.ts's.
import { bodyOf, makeArray, makeHeld, type NDArray } from '../array/ndarray.ts';
import { placeOf } from '../autograd/tape.ts';
import { type DType, isFloat } from '../core/dtype.ts';
import type { Shape } from '../core/shape.ts';
import type { Program, ProgramStats } from '../device/device.ts';
import type { Storage } from '../ir/storage.ts';
import { CachedGradient } from './cachedGradient.ts';
import { lower } from './lower.ts';
import { compileFor, disposeProgram } from './owned.ts';
import type { Trace, TraceRef } from './trace.ts';

/** What is known of a recorded call besides its trace. */
export interface CachedOptions {
  /** The arrays it was given and those it gave, each once. */
  readonly args: readonly NDArray[];
  readonly results: readonly NDArray[];
  /** Whether gradients were being recorded, and layers in training. */
  readonly recording: boolean;
  readonly training: boolean;
  readonly staticAlloc: boolean;
}

/** An array that a call gives: one that was there, or one over memory of the program's or of an array that was there. */
type Result =
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'array'; readonly array: NDArray }
  | {
      readonly kind: 'input' | 'output';
      readonly index: number;
      readonly shape: Shape;
      readonly dtype: DType;
    };

const NONE: readonly number[] = [];

export class CachedCall {
  readonly #trace: Trace;
  readonly #results: readonly Result[];
  readonly #program: Program;
  readonly #gradient: CachedGradient | null;
  /** By external: whether it was on the tape. */
  readonly #wants: readonly boolean[];
  readonly #recording: boolean;
  /** By external: its place in the program's inputs, and its memory at the call at hand. */
  readonly #places: readonly number[];
  readonly #memory: Storage[];
  readonly #inputs: Storage[];
  readonly #outputs: Storage[];
  /** What the program makes. */
  readonly #made: readonly TraceRef[];
  readonly #bytes: readonly number[];
  /** By what the gradient keeps: which of `made` it is; −1 for an external. */
  readonly #kept: readonly number[];
  /** Externals that it writes, which are its last outputs. */
  readonly #written: readonly number[];
  /** Inputs that a prologue may depend on, and what it saw of them when it ran last. */
  readonly #stable: readonly number[];
  readonly #seen: (Storage | null)[];
  readonly #versions: number[];

  constructor(trace: Trace, { args, results, recording, training, staticAlloc }: CachedOptions) {
    const { externals, device, name } = trace;
    this.#trace = trace;
    this.#recording = recording;
    this.#wants = externals.map(
      ({ argument, array }) =>
        recording && placeOf((argument === null ? array : args[argument]) as NDArray) !== null,
    );
    const differentiable = results.map(
      (array) =>
        isFloat(array.dtype) &&
        !args.includes(array) &&
        !externals.some((external) => external.array === array),
    );
    this.#gradient =
      this.#wants.includes(true) && differentiable.includes(true)
        ? CachedGradient.of(trace, { wants: this.#wants, differentiable, training, staticAlloc })
        : null;
    const forward = this.#gradient?.joint.trace ?? trace;
    const made: TraceRef[] = [];
    const output = (ref: TraceRef): number => {
      const at = made.findIndex((r) => r.value === ref.value);
      return at < 0 ? made.push(ref) - 1 : at;
    };
    // what the memory of externals holds at the end: views of it are no outputs
    const held = new Map(forward.externals.slice(0, externals.length).map(({ ref }, i) => [i, ref.value]));
    for (const { external, ref } of forward.writes) if (external !== null) held.set(external, ref.value);
    this.#results = forward.results.map((ref, i): Result => {
      const array = results[i] as NDArray;
      const argument = args.indexOf(array);
      if (argument >= 0) return { kind: 'argument', index: argument };
      if (externals.some((external) => external.array === array)) return { kind: 'array', array };
      const { shape, dtype } = ref;
      for (const [index, value] of held)
        if (value === ref.value) return { kind: 'input', index, shape, dtype };
      return { kind: 'output', index: output(ref), shape, dtype };
    });
    this.#kept =
      this.#gradient?.kept.map(({ external, ref }) => (external === null ? output(ref) : -1)) ?? [];
    this.#made = made;
    this.#bytes = made.map(({ value }) => forward.values[value]?.bytes ?? 0);
    const inputs = forward.externals.slice(0, externals.length).map(({ ref }) => ref.value);
    const lowered = lower(forward, {
      to: this.#gradient?.joint.split,
      inputs,
      outputs: made.map(({ value }) => value),
      writes: true,
      stable: ({ argument }) => !recording && argument === null,
    });
    this.#written = lowered.writes.map(({ external }) => external as number);
    this.#places = lowered.inputs.map((value) => inputs.indexOf(value));
    this.#program = compileFor(this, lowered.graph, device, { name, staticAlloc });
    this.#memory = new Array<Storage>(externals.length);
    this.#inputs = new Array<Storage>(this.#places.length);
    this.#outputs = new Array<Storage>(made.length + this.#written.length);
    this.#stable =
      this.#program.stats.prologue === 0 ? [] : lowered.graph.stable.flatMap((s, i) => (s ? [i] : []));
    this.#seen = this.#stable.map(() => null);
    this.#versions = this.#stable.map(() => 0);
  }

  /** Resolves when nothing is left to compile. */
  get ready(): Promise<unknown> {
    return Promise.all([this.#program.ready, this.#gradient?.ready]);
  }

  /** What a forward costs. */
  get stats(): ProgramStats {
    return this.#program.stats;
  }

  /** What a backward costs. */
  get backwardStats(): ProgramStats | null {
    return this.#gradient?.stats ?? null;
  }

  /** Why a call cannot be replayed, by what else it did; null where it can. */
  static refusal({ effects, writes, steps }: Trace): string | null {
    return effects.length > 0 ||
      writes.some(({ external }) => external === null) ||
      steps.some(({ kind }) => kind === 'update')
      ? 'forward runs a backward, a Trainer or a metric. compileStep(fn) is for those'
      : null;
  }

  /** Whether a handle that it reads was given back: a parameter that was initialized anew, cast or moved. No call can fit it any more. */
  get outlived(): boolean {
    return this.#trace.externals.some(({ array }) => array?.isDisposed === true);
  }

  /** Whether it is for gradients by the same arrays. */
  wantsAs(other: CachedCall): boolean {
    return this.#wants.length === other.#wants.length && this.#wants.every((w, i) => w === other.#wants[i]);
  }

  /** Whether it does what a call with these arguments would do now; their form and the mode are those recorded. `run` may follow at once. */
  fits(args: readonly NDArray[]): boolean {
    const { externals, device, name } = this.#trace;
    const [memory, wants, recording] = [this.#memory, this.#wants, this.#recording];
    for (let i = 0; i < externals.length; i++) {
      const { argument, array: own } = externals[i] as Trace['externals'][number];
      if (own?.isDisposed === true) return false;
      const array = own ?? (args[argument as number] as NDArray);
      if (recording && (placeOf(array) !== null) !== wants[i]) return false;
      const body = bodyOf(array, name);
      if (body.device !== device) return false;
      memory[i] = body.storage;
    }
    // what is written may be nobody else's; arguments come first, and the others were told apart when it was recorded
    for (const w of this.#written)
      for (let i = 0; i < (w < args.length ? externals.length : args.length); i++)
        if (i !== w && memory[i] === memory[w]) return false;
    return true;
  }

  /** Runs once, on the arguments that `fits` saw. The results are the caller's. */
  run(args: readonly NDArray[]): readonly NDArray[] {
    const { context, device, name } = this.#trace;
    const [made, memory, inputs, outputs] = [this.#made, this.#memory, this.#inputs, this.#outputs];
    for (let k = 0; k < inputs.length; k++) inputs[k] = memory[this.#places[k] as number] as Storage;
    let count = 0;
    try {
      for (; count < made.length; count++) {
        const storage = device.alloc(this.#bytes[count] as number, name);
        storage.refs++;
        outputs[count] = storage;
      }
      for (let k = 0; k < this.#written.length; k++) {
        const storage = memory[this.#written[k] as number] as Storage;
        storage.version = (storage.version ?? 0) + 1;
        outputs[count + k] = storage;
      }
      this.#program.run(inputs, outputs, NONE, this.#refresh());
      const results = this.#results.map((result) => {
        if (result.kind === 'argument') return args[result.index] as NDArray;
        if (result.kind === 'array') return result.array;
        const storage = (result.kind === 'input' ? memory : outputs)[result.index] as Storage;
        return makeArray(context, device, storage, result.dtype, result.shape);
      });
      this.#gradient?.record(args, results, (k) => {
        const at = this.#kept[k] as number;
        const { dtype, shape } = made[at] as TraceRef;
        return makeHeld(context, device, outputs[at] as Storage, dtype, shape);
      });
      return results;
    } catch (error) {
      // a prologue may not have run to its end
      this.#seen.fill(null);
      throw error;
    } finally {
      for (let k = 0; k < count; k++) {
        const storage = outputs[k] as Storage;
        if (--storage.refs === 0) device.free(storage);
      }
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

  /** Gives the programs' memory back. A backward that is still to come makes its program again. */
  dispose(): void {
    disposeProgram(this.#program);
    this.#gradient?.dispose();
  }
}
