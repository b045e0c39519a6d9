// The namespace `autograd`: recording, gradients, modes.
import { bodyOf, NDArray, runInScope } from '../array/ndarray.ts';
import { ArgumentError, AutogradError } from '../core/errors.ts';
import { describe, shapeText } from '../core/shape.ts';
import { openScoped, runScoped, type SyncCallback } from '../core/sync.ts';
import { booleanArg, isOptions, readArgs } from '../ops/args.ts';
import { zeros } from '../ops/creation.ts';
import { backwardInto, run } from './backward.ts';
import { setModes } from './mode.ts';
import { placeOf, sameArray } from './tape.ts';
import { Only } from './targets.ts';

export { Function } from './function.ts';
export { isRecording, isTraining } from './mode.ts';

function mode(recording: boolean | undefined, training: boolean | undefined): () => () => void {
  return () => {
    const before = setModes(recording, training);
    return () => {
      setModes(...before);
    };
  };
}

/** Whether layers behave as in training, alone or by name. */
type TrainMode = boolean | { readonly trainMode?: boolean | undefined };

function isTrainMode(value: unknown): value is TrainMode | undefined {
  return value === undefined || typeof value === 'boolean' || isOptions(value);
}

function trainModeOf(op: string, given: TrainMode | undefined, fallback: boolean): boolean {
  return booleanArg(op, readArgs(op, [given], ['trainMode']), 'trainMode', fallback);
}

/** `fn` in a mode, or the mode until a `using` block ends. */
function scoped<R>(
  op: string,
  enter: () => () => void,
  fn: (() => R) | TrainMode | undefined,
): R | Disposable {
  return isTrainMode(fn) ? openScoped(op, enter) : runScoped(op, enter, fn);
}

/**
 * Records what `fn` computes for `backward`, in training mode unless `trainMode` is false; returns what `fn` returns. Synchronous: reads of values stand
 * between calls. Without a callback: `{ using _ = autograd.record(); … }`.
 *
 * @throws AutogradError for a callback that gives a Promise
 * @example
 * x.attachGrad();
 * const y = autograd.record(() => x.mul(x).mul(2));
 * y.backward();
 * await x.grad.print(); // 4x
 */
export function record(trainMode?: TrainMode): Disposable;
export function record<R>(fn: SyncCallback<R>, trainMode?: TrainMode): R;
export function record<R>(fn?: (() => R) | TrainMode, trainMode?: TrainMode): R | Disposable {
  const training = trainModeOf('record', isTrainMode(fn) ? (fn ?? trainMode) : trainMode, true);
  return scoped('record', mode(true, training), fn);
}

/** Stops recording for `fn` or a `using` block, in inference mode unless `trainMode` is true. */
export function pause(trainMode?: TrainMode): Disposable;
export function pause<R>(fn: SyncCallback<R>, trainMode?: TrainMode): R;
export function pause<R>(fn?: (() => R) | TrainMode, trainMode?: TrainMode): R | Disposable {
  const training = trainModeOf('pause', isTrainMode(fn) ? (fn ?? trainMode) : trainMode, false);
  return scoped('pause', mode(false, training), fn);
}

/** Training mode (Dropout drops, BatchNorm takes the batch's statistics) for `fn` or a `using` block. */
export function trainMode(): Disposable;
export function trainMode<R>(fn: SyncCallback<R>): R;
export function trainMode<R>(fn?: () => R): R | Disposable {
  return scoped('trainMode', mode(undefined, true), fn);
}

/** Inference mode for `fn` or a `using` block, also while recording. */
export function predictMode(): Disposable;
export function predictMode<R>(fn: SyncCallback<R>): R;
export function predictMode<R>(fn?: () => R): R | Disposable {
  return scoped('predictMode', mode(undefined, false), fn);
}

function listOf(value: NDArray | readonly NDArray[], op: string): readonly NDArray[] {
  const list = value instanceof NDArray ? [value] : value;
  if (!Array.isArray(list))
    throw new ArgumentError(
      `expected an array or a list of arrays, received ${describe(value)}. Pass what was computed while recording.`,
      { op },
    );
  for (const x of list) bodyOf(x as NDArray, op);
  return list as readonly NDArray[];
}

function headGradientsOf(op: string, heads: readonly NDArray[], given: unknown): readonly (NDArray | null)[] {
  const list = (given === undefined ? [] : Array.isArray(given) ? given : [given]) as (NDArray | null)[];
  if (given === null || list.length === 0) return [];
  if (list.length !== heads.length)
    throw new ArgumentError(
      `expected one head gradient for each of ${heads.length} heads, received ${list.length}. Use null for ones.`,
      { op },
    );
  for (const g of list) if (g !== null) bodyOf(g, op);
  return list;
}

/** Options of `backward`. */
export interface BackwardOptions {
  /** Keep the tape for another backward. */
  readonly retainGraph?: boolean | undefined;
  /** Whether gradients are computed in training mode; true by default. */
  readonly trainMode?: boolean | undefined;
}

/**
 * Gradients of the sum of `heads` (weighted by `headGrads`, ones by default) into the gradients of all arrays with `attachGrad` that they came from.
 * The tape is freed unless `retainGraph`.
 */
export function backward(
  heads: NDArray | readonly NDArray[],
  headGrads?: NDArray | readonly (NDArray | null)[] | null | BackwardOptions,
  options?: BackwardOptions,
): void {
  const values = readArgs('backward', [headGrads, options], ['headGrads'], ['retainGraph', 'trainMode']);
  const list = listOf(heads, 'backward');
  const gradients = headGradientsOf('backward', list, values['headGrads']);
  backwardInto(list, gradients, {
    retainGraph: values['retainGraph'] === true,
    createGraph: false,
    trainMode: values['trainMode'] !== false,
  });
}

/** Options of `grad`. */
export interface GradOptions extends BackwardOptions {
  readonly headGrads?: NDArray | readonly (NDArray | null)[] | undefined;
  /** Record the gradients' own computation, so that they can be differentiated again. */
  readonly createGraph?: boolean | undefined;
}

/**
 * The gradients of the sum of `heads` by `variables`, as new arrays; what is stored in `x.grad` stays as it is.
 *
 * @throws AutogradError where a variable is not part of what the heads came from
 * @example
 * const [dx] = autograd.record(() => autograd.grad(x.mul(x).mul(x), [x], { createGraph: true }));
 * dx.backward(); // x.grad is 6x
 */
export function grad(
  heads: NDArray | readonly NDArray[],
  variables: NDArray | readonly NDArray[],
  options?: GradOptions,
): NDArray[] {
  const values = readArgs('grad', [options], [], ['headGrads', 'retainGraph', 'createGraph', 'trainMode']);
  const [list, wanted] = [listOf(heads, 'grad'), listOf(variables, 'grad')];
  const gradients = headGradientsOf('grad', list, values['headGrads']);
  const createGraph = values['createGraph'] === true;
  const places = wanted.map((x) => {
    const place = placeOf(x);
    if (place === null)
      throw new AutogradError(
        `expected variables with attachGrad or computed while recording, received an array of shape ${shapeText(x.shape)} that is neither. Call x.attachGrad() before recording.`,
        { op: 'grad' },
      );
    return place;
  });
  return runInScope(
    () => 'autograd.grad',
    true,
    () => {
      const targets = new Only(places);
      const retainGraph = values['retainGraph'];
      const options = {
        retainGraph: retainGraph === undefined ? createGraph : retainGraph === true,
        createGraph,
        trainMode: values['trainMode'] !== false,
      };
      const variables = run(list, gradients, options, targets);
      const handed = new Set<NDArray>();
      const lent = new Set<unknown>(gradients);
      return places.map((place, i) => {
        const gradient = place.variable === null ? targets.found.get(place) : variables.get(place.variable);
        const { shape, dtype, context } = wanted[i] as NDArray;
        if (gradient === undefined && targets.reached(place)) return zeros(shape, { ctx: context, dtype });
        if (gradient === undefined)
          throw new AutogradError(
            `expected variables that the heads depend on, received one (${i}) of shape ${shapeText(shape)} that they do not. Leave it out.`,
            { op: 'grad' },
          );
        // one handle for each, which are the caller's own
        const own = handed.has(gradient) || lent.has(gradient) ? sameArray(gradient, 'grad') : gradient;
        handed.add(own);
        return own;
      });
    },
  );
}
