// One recorded call as programs: a forward and, where gradients are recorded, a backward, which the tape sees as one call. Which program serves which call, and why one is
// made, is gluon/compiled/programs.ts's; what is in a program, the passes'; gradients' part, cachedGradient.ts's.
import { bodyOf, makeHeld, type NDArray } from '../array/ndarray.ts';
import { placeOf } from '../autograd/tape.ts';
import { isFloat } from '../core/dtype.ts';
import type { ProgramStats } from '../device/device.ts';
import type { Storage } from '../ir/storage.ts';
import { BoundProgram, Results } from './bound.ts';
import { CachedGradient } from './cachedGradient.ts';
import { lower } from './lower.ts';
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

const NONE: readonly number[] = [];

export class CachedCall {
  readonly #trace: Trace;
  readonly #program: BoundProgram;
  readonly #gradient: CachedGradient | null;
  /** By external: whether it was on the tape. */
  readonly #wants: readonly boolean[];
  readonly #recording: boolean;
  /** What the program makes. */
  readonly #made: readonly TraceRef[];
  /** By what the gradient keeps: which of `made` it is; −1 for an external. */
  readonly #kept: readonly number[];
  /** Externals that it writes, which are its last outputs. */
  readonly #written: readonly number[];

  constructor(trace: Trace, { args, results, recording, training, staticAlloc }: CachedOptions) {
    const { externals, name } = trace;
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
    const made = new Results(forward, externals, args, results);
    this.#kept =
      this.#gradient?.kept.map(({ external, ref }) => (external === null ? made.output(ref) : -1)) ?? [];
    this.#made = made.made;
    const inputs = forward.externals.slice(0, externals.length).map(({ ref }) => ref.value);
    const lowered = lower(forward, {
      to: this.#gradient?.joint.split,
      inputs,
      outputs: made.made.map(({ value }) => value),
      writes: true,
      stable: ({ argument }) => !recording && argument === null,
    });
    this.#written = lowered.writes.map(({ external }) => external as number);
    this.#program = new BoundProgram(forward, externals.length, made, lowered, { name, staticAlloc });
  }

  /** Resolves when nothing is left to compile. */
  get ready(): Promise<unknown> {
    return Promise.all([this.#program.program.ready, this.#gradient?.ready]);
  }

  /** What a forward costs. */
  get stats(): ProgramStats {
    return this.#program.program.stats;
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
    const [memory, wants, recording] = [this.#program.memory, this.#wants, this.#recording];
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
    const { context, device } = this.#trace;
    const { memory, outputs } = this.#program;
    return this.#program.run(
      args,
      NONE,
      (write) => memory[this.#written[write] as number] as Storage,
      (results) =>
        this.#gradient?.record(args, results, (k) => {
          const at = this.#kept[k] as number;
          const { dtype, shape } = this.#made[at] as TraceRef;
          return makeHeld(context, device, outputs[at] as Storage, dtype, shape);
        }),
    );
  }

  /** Gives the programs' memory back. A backward that is still to come makes its program again. */
  dispose(): void {
    this.#program.dispose();
    this.#gradient?.dispose();
  }
}
