// The functions gradients are made of, for the argument `f` of a record's gradient.
import type { NDArray } from '../array/ndarray.ts';
import { sameShape } from '../core/shape.ts';
import { add, div, equal, mul, sub } from '../ops/binary.ts';
import { gatherNd, pick, take, takeAlongAxis } from '../ops/indexing.ts';
import { concat } from '../ops/joins.ts';
import { astype, broadcastToExact, transpose } from '../ops/moves.ts';
import type { GradFunctions } from '../ops/op.ts';
import { cumsum } from '../ops/ordering.ts';
import { matmul } from '../ops/product.ts';
import { prod, sum } from '../ops/reduce.ts';
import { exp, neg, sqrt } from '../ops/unary.ts';
import { reshape } from '../ops/views.ts';

/** Sums over what broadcasting repeated. */
function sumTo(x: NDArray, shape: readonly number[]): NDArray {
  if (sameShape(x.shape, shape)) return x;
  const lead = x.ndim - shape.length;
  const axes = x.shape.flatMap((d, i) => (i < lead || (shape[i - lead] === 1 && d !== 1) ? [i] : []));
  const summed = axes.length === 0 ? x : sum(x, axes, { keepdims: true });
  return sameShape(summed.shape, shape) ? summed : reshape(summed, shape);
}

/** All but `through`, which needs the run itself. */
export const plainFunctions: Omit<GradFunctions, 'through'> = {
  add,
  sub,
  mul,
  div,
  neg,
  exp,
  sqrt,
  equal,
  // no axes would mean all of them
  sum: (x, axes) => (axes.length === 0 ? x : sum(x, axes, { keepdims: true })),
  prod: (x, axes) => (axes.length === 0 ? x : prod(x, axes, { keepdims: true })),
  sumTo,
  broadcastTo: (x, shape) => (sameShape(x.shape, shape) ? x : broadcastToExact(x, shape)),
  reshape: (x, shape) => (sameShape(x.shape, shape) ? x : reshape(x, shape)),
  transpose: (x, axes) => transpose(x, axes),
  astype: (x, dtype) => astype(x, dtype),
  matmul: (a, b, options) => matmul(a, b, options),
  concat: (arrays, axis) => concat(arrays, { dim: axis }),
  cumsum: (x, axis, exclusive, reverse) => cumsum(x, axis, { exclusive, reverse }),
  take: (x, indices, axis, mode) => take(x, indices, { axis, mode }),
  pick: (x, indices, axis, mode, keepdims) => pick(x, indices, axis, { mode, keepdims }),
  takeAlong: (x, indices, axis, mode) => takeAlongAxis(x, indices, axis, { mode }),
  gatherNd,
};
