// The reshape family and detach: the same memory under another shape, no kernel run. What copies is in moves.ts.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import {
  asShape,
  normalizeAxes,
  normalizeAxis,
  resolveReshape,
  type Shape,
  shapeText,
  sizeOf,
  sizeWithin,
} from '../core/shape.ts';
import { integerArg, readArgs, shapeArgs } from './args.ts';
import { invoke } from './invoke.ts';
import { defineOp, type Op, type TensorType } from './op.ts';

const FAMILY = 'views';

/** @internal The record of all reshapes. */
export const viewOp: Op<{ readonly shape: Shape }> = defineOp<{ readonly shape: Shape }>({
  name: 'reshape',
  family: FAMILY,
  infer: (x, { shape }) => [{ shape, dtype: (x[0] as TensorType).dtype }],
  run: null,
  grad: (c) => [c.f.reshape(c.dy(), c.xType(0).shape)],
});

const detachOp = defineOp<object>({
  name: 'detach',
  family: FAMILY,
  infer: (x) => [x[0] as TensorType],
  run: null,
  // it is what cuts gradients off
  grad: null,
});

/** The same elements under a shape whose extents are given, none a code; shares memory. */
export function viewAs(x: NDArray, shape: readonly number[]): NDArray {
  return invoke(viewOp, [x], { shape: asShape(shape) });
}

/**
 * The same elements under another shape; shares memory. MXNet's codes: 0 keeps an extent, −1 is inferred, −2 takes all that remain, −3 merges two,
 * −4 splits one into the two numbers that follow.
 *
 * @throws ShapeError where the number of elements differs
 * @example
 * nd.arange(6).reshape([2, -1]).shape; // [2, 3]
 */
export function reshape(
  x: NDArray,
  shape: number | readonly number[] | { readonly shape: readonly number[] },
  ...more: number[]
): NDArray {
  const body = bodyOf(x, 'reshape');
  return viewAs(x, resolveReshape(body.shape, shapeArgs('reshape', shape, more)));
}

/** The same elements under the other array's shape; shares memory. */
export function reshapeLike(x: NDArray, other: NDArray): NDArray {
  const [from, to] = [bodyOf(x, 'reshapeLike').shape, bodyOf(other, 'reshapeLike').shape];
  // an extent 0 of the other array is an extent, no code
  if (sizeOf(from) !== sizeOf(to))
    throw new ShapeError(
      `expected an array with ${sizeOf(from)} elements to take the shape of, received ${shapeText(to)} for an array of shape ${shapeText(from)}. Check the shapes.`,
      { op: 'reshapeLike' },
    );
  return viewAs(x, to);
}

/** Inserts an axis of extent 1 before `axis` (from −ndim−1 to ndim); shares memory. */
export function expandDims(x: NDArray, axis: number | { readonly axis: number }): NDArray {
  const { shape } = bodyOf(x, 'expandDims');
  const at = normalizeAxis(
    integerArg('expandDims', readArgs('expandDims', [axis], ['axis']), 'axis'),
    shape.length + 1,
    'expandDims',
  );
  return viewAs(x, [...shape.slice(0, at), 1, ...shape.slice(at)]);
}

/** Drops axes of extent 1, all or those named; shares memory. */
export function squeeze(
  x: NDArray,
  axis?:
    | number
    | readonly number[]
    | null
    | { readonly axis?: number | readonly number[] | null | undefined },
): NDArray {
  const { shape } = bodyOf(x, 'squeeze');
  const given = readArgs('squeeze', [axis], ['axis'])['axis'] as number | readonly number[] | undefined;
  const axes = new Set(
    given === undefined || given === null
      ? shape.flatMap((d, i) => (d === 1 ? [i] : []))
      : normalizeAxes(given, shape.length, 'squeeze'),
  );
  for (const i of axes)
    if (shape[i] !== 1)
      throw new ShapeError(
        `expected axes of extent 1, received axis ${i} of shape ${shapeText(shape)}. Name axes of extent 1 only.`,
        { op: 'squeeze' },
      );
  const left = shape.filter((_, i) => !axes.has(i));
  return viewAs(x, left.length === 0 && shape.length > 0 ? [1] : left);
}

/** Folds all axes but the first into one, `(d0, d1·d2·…)`; shares memory. */
export function flatten(x: NDArray): NDArray {
  const { shape } = bodyOf(x, 'flatten');
  return viewAs(x, [shape.length === 0 ? 1 : shape[0], sizeWithin(shape, 1)]);
}

/** The same values, cut off from recorded gradients; shares memory. */
export function detach(x: NDArray): NDArray {
  return invoke(detachOp, [x], {});
}

/** The same values, through which no gradient flows; the same as `detach`. */
export const blockGrad: (x: NDArray) => NDArray = detach;

/** A view of a 1-d array along one axis of `ndim`, extent 1 elsewhere: a bias along the channels. */
export function expandToAxis(x: NDArray, axis: number, ndim: number): NDArray {
  return viewAs(
    x,
    Array.from({ length: ndim }, (_, i) => (i === axis ? x.size : 1)),
  );
}
