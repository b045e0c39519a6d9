// The functions gradients are made of, for the argument `f` of a record's gradient.
import type { NDArray } from '../array/ndarray.ts';
import { sameShape } from '../core/shape.ts';
import { add, div, equal, mul, sub } from '../ops/binary.ts';
import { concat } from '../ops/joins.ts';
import { astype, broadcastToExact, transpose } from '../ops/moves.ts';
import type { GradFunctions } from '../ops/op.ts';
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

export const functions: GradFunctions = {
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
  transpose,
  astype,
  matmul,
  concat: (arrays, axis) => concat(arrays, { dim: axis }),
};
