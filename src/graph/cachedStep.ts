// A recorded training step as one program: what it computed, the gradients it stored, the parameters it updated, the sums of metrics. A replay does the host's part first (checks,
// counts, rates), which may refuse, then runs the program once. Which record serves which call is gluon/compileStep.ts's.
import { bodyOf, makeArray, type NDArray, setTape } from '../array/ndarray.ts';
import { gradientOf } from '../autograd/backward.ts';
import type { GradReq } from '../autograd/mode.ts';
import { placeOf, setVariable, type Variable } from '../autograd/tape.ts';
import type { DType } from '../core/dtype.ts';
import type { Shape } from '../core/shape.ts';
import type { Program, ProgramStats } from '../device/device.ts';
import type { Storage } from '../ir/storage.ts';
import type { Updated } from '../ops/invoke.ts';
import { copy } from '../ops/moves.ts';
import { type Home, type Homes, separateUpdates } from './grouped.ts';
import { lower } from './lower.ts';
import { compileFor, disposeProgram } from './owned.ts';
import type { Trace, TraceRef } from './trace.ts';

/** An array that a step gives: one that was there, or one over memory of the program's or of an array that was there. */
type Result =
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'array'; readonly array: NDArray }
  | {
      readonly kind: 'input' | 'output';
      readonly index: number;
      readonly shape: Shape;
      readonly dtype: DType;
    };

/** An array whose memory the program writes: an external, or a gradient by its handle, or by the argument whose gradient it is. */
type Written =
  | { readonly kind: 'external'; readonly index: number }
  | { readonly kind: 'array'; readonly array: NDArray }
  | { readonly kind: 'gradient'; readonly argument: number; readonly gradReq: GradReq };

/** Where gradients of an external go; null where none are wanted. */
function variableOf(array: NDArray): Variable | null {
  return placeOf(array)?.variable ?? null;
}

export class CachedStep {
  readonly #trace: Trace;
  readonly #program: Program;
  readonly #results: readonly Result[];
  readonly #made: readonly TraceRef[];
  readonly #written: readonly Written[];
  readonly #updates: readonly Updated[];
  /** By external: what autograd had noted on it, which the recorded backward relies on. */
  readonly #variables: readonly (Variable | null)[];
  /** By external: its memory at the call at hand. */
  readonly #memory: Storage[];
  /** By input of the program: which external. */
  readonly #places: readonly number[];
  readonly #inputs: Storage[];
  readonly #outputs: Storage[];
  readonly #scalars: number[];
  /** Inputs that a prologue may depend on, and what it saw of them when it ran last. */
  readonly #stable: readonly number[];
  readonly #seen: (Storage | null)[];
  readonly #versions: number[];

  /** @param args the arrays that the call was given @param results what it gave; each once */
  constructor(trace: Trace, args: readonly NDArray[], results: readonly NDArray[], staticAlloc: boolean) {
    const { externals, device, name, writes } = trace;
    this.#trace = trace;
    this.#variables = externals.map(({ array }) => (array === null ? null : variableOf(array)));
    const made: TraceRef[] = [];
    // what the memory of externals holds at the end: views of it are no outputs
    const held = new Map(externals.map(({ ref }, i) => [i, ref.value]));
    for (const { external, ref } of writes) if (external !== null) held.set(external, ref.value);
    this.#results = trace.results.map((ref, i): Result => {
      const array = results[i] as NDArray;
      const argument = args.indexOf(array);
      if (argument >= 0) return { kind: 'argument', index: argument };
      if (externals.some((e) => e.array === array)) return { kind: 'array', array };
      const { shape, dtype } = ref;
      for (const [index, value] of held)
        if (value === ref.value) return { kind: 'input', index, shape, dtype };
      const at = made.findIndex((r) => r.value === ref.value);
      return { kind: 'output', index: at < 0 ? made.push(ref) - 1 : at, shape, dtype };
    });
    this.#made = made;
    this.#updates = trace.steps.flatMap((step) => (step.kind === 'update' ? [step.update] : []));
    const changed = new Set(writes.map(({ external }) => external));
    const lowered = lower(trace, {
      outputs: made.map((ref) => ref.value),
      writes: true,
      stable: (external) => external.argument === null && !changed.has(externals.indexOf(external)),
    });
    const ofArguments = new Map<NDArray | null, { readonly argument: number; readonly gradReq: GradReq }>();
    args.forEach((array, argument) => {
      const variable = variableOf(array);
      if (variable?.grad != null) ofArguments.set(variable.grad, { argument, gradReq: variable.gradReq });
    });
    this.#written = lowered.writes.map(({ external, array }): Written => {
      const own = ofArguments.get(array ?? externals[external as number]?.array ?? null);
      if (own !== undefined) return { kind: 'gradient', ...own };
      if (external !== null) return { kind: 'external', index: external };
      return { kind: 'array', array: array as NDArray };
    });
    this.#places = lowered.inputs.map((value) => externals.findIndex(({ ref }) => ref.value === value));
    const homeOf = (array: NDArray): Home => {
      const output = lowered.writes.findIndex(
        (write) => (write.array ?? externals[write.external as number]?.array) === array,
      );
      if (output >= 0) return { output: made.length + output, input: null };
      const value = externals.find((e) => e.array === array)?.ref.value;
      return { output: null, input: lowered.inputs.indexOf(value ?? -1) };
    };
    const homes = new Map<number, Homes>();
    let slot = 0;
    for (const { targets, grads, count } of this.#updates) {
      homes.set(slot, { targets: targets.map(homeOf), grads: grads.map(homeOf) });
      slot += count;
    }
    this.#program = compileFor(this, lowered.graph, device, {
      name,
      staticAlloc,
      finish: (graph) => separateUpdates(graph, homes),
    });
    this.#memory = new Array<Storage>(externals.length);
    this.#inputs = new Array<Storage>(this.#places.length);
    this.#outputs = new Array<Storage>(made.length + this.#written.length);
    this.#scalars = new Array<number>(lowered.graph.scalars).fill(0);
    this.#stable =
      this.#program.stats.prologue === 0 ? [] : lowered.graph.stable.flatMap((s, i) => (s ? [i] : []));
    this.#seen = this.#stable.map(() => null);
    this.#versions = this.#stable.map(() => 0);
  }

  /** The recorded call's own results as those of a replay would be: on no tape, and memory of their own where later runs write. */
  own(results: readonly NDArray[]): readonly NDArray[] {
    const gradients = new Set(this.#trace.writes.map(({ array }) => array));
    return this.#results.map(({ kind }, i) => {
      const array = results[i] as NDArray;
      if (kind === 'argument' || kind === 'array') return array;
      if (gradients.has(array)) return copy(array);
      setTape(array, undefined);
      return array;
    });
  }

  /** What a run costs. */
  get stats(): ProgramStats {
    return this.#program.stats;
  }

  /** Whether an array that it reaches was given back: a parameter that was initialized anew, cast or moved. It can serve no call any more. */
  get isOutlived(): boolean {
    return this.#trace.externals.some(({ array }) => array?.isDisposed === true);
  }

  /**
   * Runs once. The results are the caller's. Null where the record does not fit what is there now (other parameters, other requests for gradients, memory that two arrays
   * share): nothing has happened then. If it throws, because the host's part did, nothing has changed.
   */
  run(args: readonly NDArray[]): readonly NDArray[] | null {
    if (!this.#fits(args)) return null;
    const { effects } = this.#trace;
    let done = 0;
    let finished = false;
    try {
      for (; done < effects.length; done++) if (effects[done]?.run() === false) return null;
      const results = this.#compute(args);
      finished = true;
      return results;
    } finally {
      if (!finished) for (done--; done >= 0; done--) effects[done]?.undo();
    }
  }

  #fits(args: readonly NDArray[]): boolean {
    const { externals, device, name } = this.#trace;
    const memory = this.#memory;
    for (let i = 0; i < externals.length; i++) {
      const { argument, array: own } = externals[i] as Trace['externals'][number];
      if (own !== null && (own.isDisposed || variableOf(own) !== this.#variables[i])) return false;
      const body = bodyOf(own ?? (args[argument as number] as NDArray), name);
      if (body.device !== device) return false;
      memory[i] = body.storage;
    }
    for (const written of this.#written) {
      if (written.kind === 'array' && written.array.isDisposed) return false;
      if (written.kind !== 'external') continue;
      // what is written may be nobody else's
      const { index } = written;
      for (let i = 0; i < memory.length; i++) if (i !== index && memory[i] === memory[index]) return false;
    }
    return true;
  }

  #compute(args: readonly NDArray[]): readonly NDArray[] {
    const { context, device, name, externals, values } = this.#trace;
    const [made, memory, inputs, outputs, scalars] = [
      this.#made,
      this.#memory,
      this.#inputs,
      this.#outputs,
      this.#scalars,
    ];
    let at = 0;
    for (const update of this.#updates) {
      for (const scalar of update.scalars()) scalars[at++] = scalar;
      update.arrange();
    }
    // memory may have moved into an arena
    if (this.#updates.length > 0)
      for (let i = 0; i < externals.length; i++) {
        const { argument, array } = externals[i] as Trace['externals'][number];
        memory[i] = bodyOf(array ?? (args[argument as number] as NDArray), name).storage;
      }
    for (let k = 0; k < inputs.length; k++) inputs[k] = memory[this.#places[k] as number] as Storage;
    let count = 0;
    try {
      for (; count < made.length; count++) {
        const storage = device.alloc(values[(made[count] as TraceRef).value]?.bytes ?? 0, name);
        storage.refs++;
        outputs[count] = storage;
      }
      this.#written.forEach((written, k) => {
        const storage = this.#memoryOf(written, args);
        storage.version = (storage.version ?? 0) + 1;
        outputs[made.length + k] = storage;
      });
      this.#program.run(inputs, outputs, scalars, this.#refresh());
      return this.#results.map((result) => {
        if (result.kind === 'argument') return args[result.index] as NDArray;
        if (result.kind === 'array') return result.array;
        const storage = (result.kind === 'input' ? memory : outputs)[result.index] as Storage;
        return makeArray(context, device, storage, result.dtype, result.shape);
      });
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

  #memoryOf(written: Written, args: readonly NDArray[]): Storage {
    const { name, context } = this.#trace;
    if (written.kind === 'external') return this.#memory[written.index] as Storage;
    if (written.kind === 'array') return bodyOf(written.array, name).storage;
    const array = args[written.argument] as NDArray;
    const variable = variableOf(array) ?? setVariable(array, written.gradReq);
    variable.fresh = true;
    return bodyOf(gradientOf(variable, context), name).storage;
  }

  /** Whether what the prologue depends on has changed since it ran. */
  #refresh(): boolean {
    let changed = false;
    this.#stable.forEach((input, i) => {
      const storage = this.#inputs[input] as Storage;
      const version = storage.version ?? 0;
      if (this.#seen[i] === storage && this.#versions[i] === version) return;
      changed = true;
      this.#seen[i] = storage;
      this.#versions[i] = version;
    });
    return changed;
  }

  /** Gives its memory back. */
  dispose(): void {
    disposeProgram(this.#program);
  }
}
