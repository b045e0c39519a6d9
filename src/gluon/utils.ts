// The namespace `gluon.utils`: batches over several contexts, and gradients kept within bounds.
import { bodyOf, NDArray, runInScope } from '../array/ndarray.ts';
import type { Context } from '../core/context.ts';
import { ArgumentError, ShapeError } from '../core/errors.ts';
import { describe, normalizeAxis, shapeText } from '../core/shape.ts';
import { asscalar, checkReading } from '../nd/reading.ts';
import { asInContext } from '../nd/transfer.ts';
import { booleanArg, integerArg, readArgs } from '../ops/args.ts';
import { add, imul } from '../ops/binary.ts';
import { sum } from '../ops/reduce.ts';
import { sliceAxis } from '../ops/slices.ts';
import { sqrt, square } from '../ops/unary.ts';
import { type Contexts, toContexts } from './hostArray.ts';

/** Options of `splitData` and `splitAndLoad`. */
export interface SplitOptions {
  /** The axis to cut; 0 by default. */
  readonly batchAxis?: number | undefined;
  /** Refuses an extent that is not divisible (default); else the last piece takes what is left. */
  readonly evenSplit?: boolean | undefined;
}

/**
 * Cuts a batch into `numSlice` pieces.
 * @throws ShapeError for an extent that is not divisible, unless `evenSplit: false`, or is smaller than the number of pieces
 */
export function splitData(data: NDArray, numSlice: number, options?: SplitOptions): NDArray[] {
  const op = 'splitData';
  const values = readArgs(op, [numSlice, options], ['numSlice'], ['batchAxis', 'evenSplit']);
  const { shape } = bodyOf(data, op);
  const pieces = integerArg(op, values, 'numSlice', undefined, 1);
  const axis = normalizeAxis(integerArg(op, values, 'batchAxis', 0), shape.length, op);
  const extent = shape[axis] as number;
  const even = booleanArg(op, values, 'evenSplit', true);
  if (extent < pieces || (even && extent % pieces !== 0))
    throw new ShapeError(
      `expected ${even ? `an extent divisible by ${pieces}` : `at least ${pieces}`} along axis ${axis}, received ${shapeText(shape)}. ` +
        (even && extent >= pieces
          ? 'Pass evenSplit: false to cut it unevenly.'
          : 'Use fewer pieces or a larger batch.'),
      { op },
    );
  const step = Math.floor(extent / pieces);
  return Array.from({ length: pieces }, (_, i) =>
    sliceAxis(data, { axis, begin: i * step, end: i === pieces - 1 ? extent : (i + 1) * step }),
  );
}

/** Cuts a batch into a piece for each context and puts it there. */
export function splitAndLoad(data: NDArray, ctxList: Contexts, options?: SplitOptions): NDArray[] {
  const contexts = toContexts(ctxList, 'splitAndLoad');
  if (contexts.length === 1) return [asInContext(data, contexts[0] as Context)];
  const pieces = splitData(data, contexts.length, options);
  return pieces.map((piece, i) => {
    const placed = asInContext(piece, contexts[i] as Context);
    if (placed !== piece) piece.dispose();
    return placed;
  });
}

/**
 * Scales arrays in place so that the norm of all of them together is at most `maxNorm`. Gives the norm before.
 *
 * @param options `checkIsFinite` (true by default) warns of a norm that is NaN or infinite; the arrays stay as they are then
 * @example await gluon.utils.clipGlobalNorm(grads, 1.0);
 */
export function clipGlobalNorm(
  arrays: readonly NDArray[],
  maxNorm: number,
  options?: { readonly checkIsFinite?: boolean | undefined },
): Promise<number> {
  // before anything is a Promise, which nobody would await inside a compiled step
  checkReading(
    'clipGlobalNorm',
    'Give the optimizer a clipGradient; or compile the part up to backward, clip, and call trainer.update() after it.',
  );
  return clip(arrays, maxNorm, options);
}

async function clip(
  arrays: readonly NDArray[],
  maxNorm: number,
  options: { readonly checkIsFinite?: boolean | undefined } | undefined,
): Promise<number> {
  const op = 'clipGlobalNorm';
  const values = readArgs(op, [options], [], ['checkIsFinite']);
  const warn = booleanArg(op, values, 'checkIsFinite', true);
  if (!Array.isArray(arrays) || arrays.length === 0 || !arrays.every((a) => a instanceof NDArray))
    throw new ArgumentError(
      `expected a list of arrays, received ${describe(arrays)}. Pass e.g. the gradients.`,
      { op },
    );
  if (typeof maxNorm !== 'number' || !(maxNorm > 0))
    throw new ArgumentError(`expected maxNorm > 0, received ${describe(maxNorm)}. Pass e.g. 1.`, { op });
  const total = runInScope(
    () => op,
    true,
    () => {
      const squares = (arrays as readonly NDArray[]).map((a) => sum(square(a)));
      return sqrt(squares.reduce((a, b) => add(a, asInContext(b, a.context))));
    },
  );
  const norm = await asscalar(total, op).finally(() => total.dispose());
  if (!Number.isFinite(norm)) {
    if (warn)
      console.warn(
        `[${op}] the norm of the arrays is ${norm}, so they are left as they are. Look for the first array that is not finite.`,
      );
    return norm;
  }
  // MXNet's guard against division by zero
  const scale = maxNorm / (norm + 1e-8);
  if (scale < 1) for (const array of arrays as readonly NDArray[]) imul(array, scale);
  return norm;
}
