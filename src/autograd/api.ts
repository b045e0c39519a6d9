// The namespace `autograd`: recording, gradients, modes.
import { bodyOf, NDArray, runInScope } from '../array/ndarray.ts';
import { ArgumentError, AutogradError } from '../core/errors.ts';
import { describe, shapeText } from '../core/shape.ts';
import { openScoped, runScoped, type SyncCallback } from '../core/sync.ts';
import { booleanArg, isOptions, readArgs } from '../ops/args.ts';
import { zeros } from '../ops/creation.ts';
import { backwardInto, run } from './backward.ts';
import { setRecording, setTraining } from './mode.ts';
import { placeOf, sameArray } from './tape.ts';

export { Function } from './function.ts';
export { isRecording, isTraining } from './mode.ts';

function mode(recording: boolean | undefined, training: boolean | undefined): () => () => void {
  return () => {
    const wasRecording = recording === undefined ? undefined : setRecording(recording);
    const wasTraining = training === undefined ? undefined : setTraining(training);
    return () => {
      if (wasRecording !== undefined) setRecording(wasRecording);
      if (wasTraining !== undefined) setTraining(wasTraining);
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
  if (isTrainMode(fn)) return openScoped(op, enter);
  if (typeof fn !== 'function')
    throw new ArgumentError(`expected a callback, received ${describe(fn)}. Write autograd.${op}(() => …).`, {
      op,
    });
  return runScoped(op, enter, fn);
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

function headGradientsOf(given: unknown): readonly (NDArray | null)[] {
  if (given === undefined || given === null) return [];
  return (Array.isArray(given) ? given : [given]) as readonly (NDArray | null)[];
}

function checkHeadGradients(
  op: string,
  heads: readonly NDArray[],
  gradients: readonly (NDArray | null)[],
): void {
  if (gradients.length > 0 && gradients.length !== heads.length)
    throw new ArgumentError(
      `expected one head gradient for each of ${heads.length} heads, received ${gradients.length}. Use null for ones.`,
      { op },
    );
  for (const g of gradients) if (g !== null) bodyOf(g, op);
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
  const given = isOptions(headGrads) ? undefined : headGrads;
  const values = readArgs(
    'backward',
    [isOptions(headGrads) ? headGrads : options],
    [],
    ['retainGraph', 'trainMode'],
  );
  const list = listOf(heads, 'backward');
  const gradients = headGradientsOf(given);
  checkHeadGradients('backward', list, gradients);
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
  const given = values['headGrads'];
  const gradients = headGradientsOf(given);
  checkHeadGradients('grad', list, gradients);
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
      const found = run(
        list,
        gradients,
        {
          retainGraph: values['retainGraph'] === undefined ? createGraph : values['retainGraph'] === true,
          createGraph,
          trainMode: values['trainMode'] !== false,
        },
        { only: places },
      );
      const handed = new Set<NDArray>();
      const lent = new Set<unknown>(gradients);
      return places.map((place, i) => {
        const gradient =
          place.variable === null ? found.places.get(place) : found.variables.get(place.variable);
        const { shape, dtype, context } = wanted[i] as NDArray;
        if (gradient === undefined && found.reached(place)) return zeros(shape, { ctx: context, dtype });
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
