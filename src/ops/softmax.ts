// Softmax and its kin, each one row kernel: stages along the axis, then an expression per element. So are their gradients.
import type { NDArray } from '../array/ndarray.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { RowKernel, Stage } from '../ir/kernel.ts';
import { rowKernel } from '../ir/kernel.ts';
import { axisArg, numberArg, readArgs } from './args.ts';
import { composed } from './composed.ts';
import { invoke } from './invoke.ts';
import type { Op } from './op.ts';
import { type AxisAttrs, alongAxis, FAMILY, fused, neverRecorded } from './rows.ts';
import { neg } from './unary.ts';

const input = e.input(0);
const temperature = e.scalar(0);
/** The stages of z = x / temperature, and the exponentials: subtracting the greatest keeps eᶻ finite. */
function softmaxKernel(name: string, z: Expr, store: (z: Expr, power: Expr) => Expr): RowKernel {
  const power = e.exp(e.sub(z, e.stage(0)));
  const stages: readonly Stage[] = [
    { combine: 'max', load: z },
    { combine: 'sum', load: power },
  ];
  return rowKernel(name, 1, stages, store(z, power), true);
}
const share = (_: Expr, power: Expr): Expr => e.div(power, e.stage(1));
const logShare = (z: Expr): Expr => e.sub(e.sub(z, e.stage(0)), e.log(e.stage(1)));
// inputs: y, then dy
const y0 = e.input(0);
const dy0 = e.input(1);

/** A gradient over y and dy with the sum of `load` along the row as stage 0. */
function gradOp(name: string, load: Expr, store: Expr): Op<AxisAttrs> {
  const kernel = (of: Expr): RowKernel => rowKernel(name, 2, [{ combine: 'sum', load }], of, true);
  return alongAxis(name, kernel(e.div(store, temperature)), neverRecorded, 'gradient', kernel(store));
}

const softmaxOp = alongAxis(
  'softmax',
  softmaxKernel('softmax', e.div(input, temperature), share),
  // y·(dy − Σ y·dy) / temperature
  fused(
    'y',
    () => softmaxGradOp,
    (y, dy, { f, attrs }) =>
      f.div(f.mul(y, f.sub(dy, f.sum(f.mul(y, dy), [attrs.axis]))), attrs.scalars[0] as number),
  ),
  FAMILY,
  softmaxKernel('softmax', input, share),
);
const softmaxGradOp = gradOp('softmaxGrad', e.mul(y0, dy0), e.mul(y0, e.sub(dy0, e.stage(0))));

const logSoftmaxOp = alongAxis(
  'logSoftmax',
  softmaxKernel('logSoftmax', e.div(input, temperature), logShare),
  // (dy − eʸ·Σ dy) / temperature
  fused(
    'y',
    () => logSoftmaxGradOp,
    (y, dy, { f, attrs }) =>
      f.div(f.sub(dy, f.mul(f.exp(y), f.sum(dy, [attrs.axis]))), attrs.scalars[0] as number),
  ),
  FAMILY,
  softmaxKernel('logSoftmax', input, logShare),
);
const logSoftmaxGradOp = gradOp('logSoftmaxGrad', dy0, e.sub(dy0, e.mul(e.exp(y0), e.stage(0))));

/** Options of `softmax` and its kin. */
export interface SoftmaxOptions {
  readonly axis?: number | undefined;
  /** Divides the input first; 1 by default. */
  readonly temperature?: number | undefined;
}

type Softmax = (x: NDArray, axis?: number | SoftmaxOptions, options?: SoftmaxOptions) => NDArray;

function softmaxCall(name: string, op: Op<AxisAttrs>): Softmax {
  return (x, axis, options) => {
    const values = readArgs(name, [axis, options], ['axis'], ['temperature']);
    return invoke(op, [x], {
      axis: axisArg(name, values, x, -1),
      scalars: [numberArg(name, values, 'temperature', 1)],
    });
  };
}

/** exp(x) / Σ exp(x) along an axis, the last by default. @example nd.array([0, 0]).softmax() // [0.5, 0.5] */
export const softmax: Softmax = softmaxCall('softmax', softmaxOp);
/** log(softmax(x)) without loss of digits. */
export const logSoftmax: Softmax = softmaxCall('logSoftmax', logSoftmaxOp);
/** softmax(−x). */
export function softmin(x: NDArray, axis?: number | SoftmaxOptions, options?: SoftmaxOptions): NDArray {
  return composed(() => softmax(neg(x), axis, options));
}
