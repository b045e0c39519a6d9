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
import { type AxisAttrs, alongAxis, FAMILY, fromOutput } from './rows.ts';
import { neg } from './unary.ts';

const [input, temperature] = [e.input(0), e.scalar(0)];
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
const softmaxOp = alongAxis(
  'softmax',
  softmaxKernel('softmax', e.div(input, temperature), share),
  fromOutput(() => softmaxGradOp),
  FAMILY,
  softmaxKernel('softmax', input, share),
);
const logSoftmaxOp = alongAxis(
  'logSoftmax',
  softmaxKernel('logSoftmax', e.div(input, temperature), logShare),
  fromOutput(() => logSoftmaxGradOp),
  FAMILY,
  softmaxKernel('logSoftmax', input, logShare),
);

// inputs: y, then dy
const [ySoft, dySoft] = [e.input(0), e.input(1)];
const alongRow: readonly Stage[] = [{ combine: 'sum', load: e.mul(ySoft, dySoft) }];
const softmaxGrad = e.mul(ySoft, e.sub(dySoft, e.stage(0)));
/** y·(dy − Σ y·dy) / temperature: symmetric, so that it is its own gradient by dy. */
const softmaxGradOp: Op<AxisAttrs> = alongAxis(
  'softmaxGrad',
  rowKernel('softmaxGrad', 2, alongRow, e.div(softmaxGrad, temperature), true),
  {
    keeps: { inputs: [0, 1] },
    grad(c) {
      const { f, attrs } = c;
      const [y, above, g] = [c.x(0), c.x(1), c.dy()];
      const along = (a: NDArray, b: NDArray): NDArray => f.sum(f.mul(a, b), [attrs.axis]);
      const byY = (): NDArray => {
        const own = f.mul(g, f.sub(above, along(y, above)));
        return f.div(f.sub(own, f.mul(along(g, y), above)), attrs.scalars[0] as number);
      };
      return [c.wants(0) ? byY() : null, c.wants(1) ? invoke(softmaxGradOp, [y, g], attrs) : null];
    },
  },
  'gradient',
  rowKernel('softmaxGrad', 2, alongRow, softmaxGrad, true),
);
const sumOfAbove: readonly Stage[] = [{ combine: 'sum', load: dySoft }];
const logSoftmaxGrad = e.sub(dySoft, e.mul(e.exp(ySoft), e.stage(0)));
/** (dy − eʸ·Σ dy) / temperature. */
const logSoftmaxGradOp: Op<AxisAttrs> = alongAxis(
  'logSoftmaxGrad',
  rowKernel('logSoftmaxGrad', 2, sumOfAbove, e.div(logSoftmaxGrad, temperature), true),
  {
    keeps: { inputs: [0, 1] },
    grad(c) {
      const { f, attrs } = c;
      const [y, above, g] = [c.x(0), c.x(1), f.div(c.dy(), attrs.scalars[0] as number)];
      const weighted = f.mul(g, f.exp(y));
      return [
        c.wants(0) ? f.neg(f.mul(weighted, f.sum(above, [attrs.axis]))) : null,
        c.wants(1) ? f.sub(g, f.sum(weighted, [attrs.axis])) : null,
      ];
    },
  },
  'gradient',
  rowKernel('logSoftmaxGrad', 2, sumOfAbove, logSoftmaxGrad, true),
);

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
