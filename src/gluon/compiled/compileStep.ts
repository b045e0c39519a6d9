// compileStep: a function with record, backward and a Trainer's step inside becomes one program for each form of its inputs. Here is which record serves which call and when one is
// made anew; what a record runs is graph/cachedStep.ts's.
import { bodyOf, isKept, type NDArray, runInScope } from '../../array/ndarray.ts';
import { currentScope } from '../../array/scope.ts';
import { type GradReq, isRecording, isTraining } from '../../autograd/mode.ts';
import { placeOf } from '../../autograd/tape.ts';
import { type Context, currentContext } from '../../core/context.ts';
import { ArgumentError, AutogradError, ContextError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import type { ProgramStats } from '../../device/device.ts';
import { CachedStep } from '../../graph/cachedStep.ts';
import { Recorder } from '../../graph/trace.ts';
import { booleanArg, readArgs } from '../../ops/args.ts';
import { slots } from '../../ops/invoke.ts';
import './compiler.ts';
import { type Layout, layoutOf, layoutText, matches, rebuild } from './layout.ts';

/** What a compiled step takes: arrays, alone or in lists and plain objects; null and undefined for none. */
export type StepInput =
  | NDArray
  | null
  | undefined
  | readonly StepInput[]
  | { readonly [name: string]: StepInput };

/** Options of `compileStep`. */
export interface CompileStepOptions {
  /** Keeps the memory of intermediate results between steps, rather than giving it back after each; false by default. */
  readonly staticAlloc?: boolean | undefined;
  /** What errors and profiles call it; the function's own name by default. */
  readonly name?: string | undefined;
}

/** One program of a step, as `cacheInfo()` tells it. */
export interface StepEntry {
  /** What calls it is for: `(64, 1, 28, 28) float32, (64) int32 on gpu(0)`. */
  readonly key: string;
  /** How many calls it has served. */
  readonly runs: number;
  /** What a call costs. */
  readonly program: ProgramStats;
}

/** What `cacheInfo()` tells of a step. */
export interface StepInfo {
  /** Calls that a program served. */
  readonly hits: number;
  /** Calls that ran eagerly and were recorded. */
  readonly misses: number;
  readonly entries: readonly StepEntry[];
  /** Why the last miss was one; null before the first. */
  readonly why: string | null;
}

/** A compiled step: called as the function it was made from. */
export interface CompiledStep<A extends readonly StepInput[], R> {
  (...inputs: A): R;
  /** Programs, and how often they served. */
  cacheInfo(): StepInfo;
  /** Gives the programs and their memory back. A later call records anew. */
  dispose(): void;
  [Symbol.dispose](): void;
}

/** As many forms of input are remembered; then the one that has rested longest goes. */
const MOST_ENTRIES = 64;

interface Entry {
  readonly input: Layout;
  /** What gradients by the inputs had been asked for. */
  readonly requests: readonly (GradReq | null)[];
  readonly output: Layout;
  readonly training: boolean;
  /** What `nd.zeros` and the like are made on. */
  readonly context: Context;
  readonly key: string;
  readonly step: CachedStep;
  runs: number;
}

/**
 * Makes a whole training step one program: forward, loss, backward, updates of parameters and sums of metrics are recorded at the first call, which runs as it stands,
 * and replayed from the second on, in one piece. One program for each form of the inputs (shapes, dtypes, context).
 *
 * At each replay the function itself does not run, but what belongs to every step does: a Trainer's checks, counts of updates, learning rates and schedules, counts of metrics, random
 * draws, running statistics. Other values that the function reads from outside, and branches that it takes, are those of the first call. Reading values inside is an error.
 *
 * @param fn takes arrays (also in lists and plain objects), and gives arrays, alone, in lists or plain objects, or nothing
 * @throws ArgumentError for what is no function, or an async one
 * @example
 * const step = gluon.compileStep((x: NDArray, y: NDArray) => {
 *   const loss = autograd.record(() => lossFn(net(x), y));
 *   loss.backward();
 *   trainer.step(x.shape[0]);
 *   return loss;
 * });
 * for await (const [x, y] of loader) trainLoss.update(null, step(x, y));
 */
export function compileStep<A extends readonly StepInput[], R>(
  fn: (...inputs: A) => R,
  options?: CompileStepOptions,
): CompiledStep<A, R> {
  const op = 'compileStep';
  if (typeof fn !== 'function')
    throw new ArgumentError(
      `expected a function, received ${describe(fn)}. Write compileStep((x, y) => { … return loss; }).`,
      { op },
    );
  if (Object.prototype.toString.call(fn) === '[object AsyncFunction]') throw asyncError(op);
  const values = readArgs(op, [options], [], ['staticAlloc', 'name']);
  const given = values['name'];
  if (given !== undefined && typeof given !== 'string')
    throw new ArgumentError(
      `expected a name as text, received ${describe(given)}. Leave it out, or give one.`,
      {
        op,
      },
    );
  const name = given ?? (fn.name === '' ? op : fn.name);
  const steps = new Steps(
    fn as (...inputs: never[]) => unknown,
    name,
    booleanArg(op, values, 'staticAlloc', false),
  );
  const step = (...inputs: A): R => steps.call(inputs) as R;
  return Object.assign(step, {
    cacheInfo: () => steps.info(),
    dispose: () => steps.dispose(),
    [Symbol.dispose]: () => steps.dispose(),
  });
}

function asyncError(op: string): ArgumentError {
  return new ArgumentError(
    'expected a function that runs at once, received an async one. Read values outside: const loss = step(x, y); await loss.data().',
    { op },
  );
}

/** Whether a form holds arrays alone, and null or undefined. */
function isOfArrays(form: Layout): boolean {
  if (form.kind === 'array') return true;
  if (form.kind === 'constant') return form.value === undefined || form.value === null;
  return form.items.every(isOfArrays);
}

function checkInputs(op: string, form: Layout | string, args: readonly NDArray[]): asserts form is Layout {
  if (typeof form === 'string' || !isOfArrays(form))
    throw new ArgumentError(
      `expected arrays, alone, in lists or plain objects, received ${typeof form === 'string' ? form : layoutText(form)}. Make arrays of numbers that change: nd.array([0.5]); let the function read others from outside.`,
      { op },
    );
  const [first] = args;
  for (const array of args) {
    bodyOf(array, op);
    if (first !== undefined && array.context !== first.context)
      throw new ContextError(
        `expected arrays of one context, received ${first.context} and ${array.context}. Copy one over: x.asInContext(${first.context}).`,
        { op },
      );
  }
}

/** What gradient by an input is asked for. @throws AutogradError for an input whose gradient would go on, out of the step */
function requestOf(op: string, array: NDArray): GradReq | null {
  const place = placeOf(array);
  if (place?.node != null)
    throw new AutogradError(
      `expected arrays that were not computed while recording, received one of shape ${shapeText(array.shape)} that was: no gradient would flow out of the step. Pass x.detach(), or compute it inside.`,
      { op },
    );
  return place?.variable?.gradReq ?? null;
}

function checkOutput(op: string, value: unknown, found: NDArray[]): Layout {
  if (value instanceof Promise) {
    value.catch(() => undefined);
    throw asyncError(op);
  }
  const form = layoutOf(value, found);
  if (typeof form === 'string' || !isOfArrays(form))
    throw new ArgumentError(
      `expected arrays, alone, in lists or plain objects, or nothing, as the result, received ${typeof form === 'string' ? form : layoutText(form)}, which later calls could not give anew. Return arrays, and take other values outside.`,
      { op },
    );
  return form;
}

class Steps {
  readonly #fn: (...inputs: never[]) => unknown;
  readonly #name: string;
  readonly #staticAlloc: boolean;
  /** The one used last first. */
  readonly #entries: Entry[] = [];
  /** The arrays of the call at hand. */
  readonly #arrays: NDArray[] = [];
  #hits = 0;
  #misses = 0;
  #why: string | null = null;

  constructor(fn: (...inputs: never[]) => unknown, name: string, staticAlloc: boolean) {
    this.#fn = fn;
    this.#name = name;
    this.#staticAlloc = staticAlloc;
  }

  call(inputs: readonly StepInput[]): unknown {
    // a part of another compiled call, or a trial run
    if (slots.trace !== null || slots.standIn !== null) return this.#fn(...(inputs as never[]));
    if (isRecording())
      throw new AutogradError(
        'expected a call outside of autograd.record, received one inside, through which no gradient would flow. Record inside the step, and call it alone.',
        { op: this.#name },
      );
    if (slots.debug !== null) return this.#alone(inputs, 'debug() is on, which watches single operations');
    const [training, context] = [isTraining(), currentContext()];
    const arrays = this.#arrays;
    const at = this.#entries.findIndex((entry) => {
      arrays.length = 0;
      return (
        entry.training === training &&
        entry.context === context &&
        matches(entry.input, inputs, arrays) &&
        arrays.every((array, i) => requestOf(this.#name, array) === entry.requests[i])
      );
    });
    try {
      if (at < 0) return this.#first(inputs, training);
      const entry = this.#entries[at] as Entry;
      const results = entry.step.run(arrays);
      if (results === null) return this.#again(entry, inputs, training);
      if (at > 0) {
        this.#entries.splice(at, 1);
        this.#entries.unshift(entry);
      }
      entry.runs++;
      this.#hits++;
      return rebuild(entry.output, results);
    } finally {
      arrays.length = 0;
    }
  }

  /** A call that is not recorded. */
  #alone(inputs: readonly StepInput[], why: string): unknown {
    this.#misses++;
    this.#why = why;
    return this.#fn(...(inputs as never[]));
  }

  /** A call that no program is for. */
  #first(inputs: readonly StepInput[], training: boolean): unknown {
    for (const old of this.#entries.filter(({ step }) => step.isOutlived)) this.#drop(old);
    return this.#record(inputs, training, (key) =>
      this.#misses === 0 ? 'the first call' : `the first call with ${key}`,
    );
  }

  /** A call whose program does not fit any more. */
  #again(entry: Entry, inputs: readonly StepInput[], training: boolean): unknown {
    this.#drop(entry);
    return this.#record(
      inputs,
      training,
      () => 'parameters, their gradients or rates, or arrays that the step reaches are others than before',
    );
  }

  #record(inputs: readonly StepInput[], training: boolean, why: (key: string) => string): unknown {
    const name = this.#name;
    const args: NDArray[] = [];
    const input: Layout | string = layoutOf(inputs, args);
    checkInputs(name, input, args);
    if (new Set(args.map((x) => bodyOf(x, name).storage)).size < args.length)
      return this.#alone(inputs, 'two inputs share memory');
    const requests = args.map((array) => requestOf(name, array));
    const current = currentContext();
    const context = args[0]?.context ?? current;
    const forms = input.kind === 'parts' ? input.items.map(layoutText) : [];
    const key = `${forms.join(', ')} on ${context}${training ? ', training' : ''}`;
    this.#why = why(key);
    this.#misses++;
    const recorder = new Recorder({
      name,
      context,
      args,
      advice: 'Return the array, and read it outside: const loss = step(x, y); await loss.data().',
    });
    return runInScope(
      () => `the step ${name}`,
      true,
      () => {
        const value = recorder.run(() => this.#fn(...(inputs as never[])));
        const results: NDArray[] = [];
        const output = checkOutput(name, value, results);
        if (currentScope()?.made.some((array) => isKept(array as NDArray)) === true)
          throw new ArgumentError(
            'expected arrays to leave a compiled step as its results, received nd.keep inside, which later calls would not repeat. Return the array.',
            { op: name },
          );
        const trace = recorder.finish(results);
        const step = new CachedStep(trace, args, results, this.#staticAlloc);
        this.#entries.unshift({
          input,
          requests,
          output,
          training,
          context: current,
          key,
          step,
          runs: 0,
        });
        for (const old of this.#entries.slice(MOST_ENTRIES)) this.#drop(old);
        return rebuild(output, step.own(results));
      },
    );
  }

  #drop(entry: Entry): void {
    this.#entries.splice(this.#entries.indexOf(entry), 1);
    entry.step.dispose();
  }

  info(): StepInfo {
    return {
      hits: this.#hits,
      misses: this.#misses,
      entries: this.#entries.map(({ key, runs, step }) => ({ key, runs, program: step.stats })),
      why: this.#why,
    };
  }

  dispose(): void {
    for (const entry of [...this.#entries]) this.#drop(entry);
  }
}
