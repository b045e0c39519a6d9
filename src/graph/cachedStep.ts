// A recorded training step as one program: what it computed, the gradients it stored, the parameters it updated, the sums of metrics. A replay does the host's part first (checks,
// counts, rates), which may refuse, then runs the program once. Which record serves which call is gluon/compiled/compileStep.ts's.
import { bodyOf, type NDArray, setTape } from '../array/ndarray.ts';
import { gradientOf } from '../autograd/backward.ts';
import type { GradReq } from '../autograd/mode.ts';
import { placeOf, setVariable, type Variable } from '../autograd/tape.ts';
import type { ProgramStats } from '../device/device.ts';
import type { Storage } from '../ir/storage.ts';
import type { Updated } from '../ops/invoke.ts';
import { copy } from '../ops/moves.ts';
import { BoundProgram, type Result, Results } from './bound.ts';
import { type Home, type Homes, separateUpdates } from './grouped.ts';
import { lower } from './lower.ts';
import type { Trace } from './trace.ts';

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
  readonly #program: BoundProgram;
  readonly #results: readonly Result[];
  readonly #written: readonly Written[];
  readonly #updates: readonly Updated[];
  /** By external: what autograd had noted on it, which the recorded backward relies on. */
  readonly #variables: readonly (Variable | null)[];
  readonly #scalars: number[];

  /** @param args the arrays that the call was given @param results what it gave; each once */
  constructor(trace: Trace, args: readonly NDArray[], results: readonly NDArray[], staticAlloc: boolean) {
    const { externals, name, writes } = trace;
    this.#trace = trace;
    this.#variables = externals.map(({ array }) => (array === null ? null : variableOf(array)));
    const made = new Results(trace, externals, args, results);
    this.#results = made.list;
    this.#updates = trace.steps.flatMap((step) => (step.kind === 'update' ? [step.update] : []));
    const changed = new Set(writes.map(({ external }) => external));
    const lowered = lower(trace, {
      outputs: made.made.map((ref) => ref.value),
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
    const homeOf = (array: NDArray): Home => {
      const output = lowered.writes.findIndex(
        (write) => (write.array ?? externals[write.external as number]?.array) === array,
      );
      if (output >= 0) return { output: made.made.length + output, input: null };
      const value = externals.find((e) => e.array === array)?.ref.value;
      return { output: null, input: lowered.inputs.indexOf(value ?? -1) };
    };
    const homes = new Map<number, Homes>();
    let slot = 0;
    for (const { targets, grads, count } of this.#updates) {
      homes.set(slot, { targets: targets.map(homeOf), grads: grads.map(homeOf) });
      slot += count;
    }
    this.#program = new BoundProgram(trace, externals.length, made, lowered, {
      name,
      staticAlloc,
      finish: (graph) => separateUpdates(graph, homes),
    });
    this.#scalars = new Array<number>(lowered.graph.scalars).fill(0);
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
    return this.#program.program.stats;
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
    const { memory } = this.#program;
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
    const { name, externals } = this.#trace;
    const [program, scalars] = [this.#program, this.#scalars];
    let at = 0;
    for (const update of this.#updates) {
      for (const scalar of update.scalars()) scalars[at++] = scalar;
      update.arrange();
    }
    // memory may have moved into an arena
    if (this.#updates.length > 0)
      for (let i = 0; i < externals.length; i++) {
        const { argument, array } = externals[i] as Trace['externals'][number];
        program.memory[i] = bodyOf(array ?? (args[argument as number] as NDArray), name).storage;
      }
    return program.run(args, scalars, (write) => this.#memoryOf(this.#written[write] as Written, args));
  }

  #memoryOf(written: Written, args: readonly NDArray[]): Storage {
    const { name, context } = this.#trace;
    if (written.kind === 'external') return this.#program.memory[written.index] as Storage;
    if (written.kind === 'array') return bodyOf(written.array, name).storage;
    const array = args[written.argument] as NDArray;
    const variable = variableOf(array) ?? setVariable(array, written.gradReq);
    variable.fresh = true;
    return bodyOf(gradientOf(variable, context), name).storage;
  }

  /** Gives its memory back. */
  dispose(): void {
    this.#program.dispose();
  }
}
