// Softmax and its kin, each one row kernel: stages along the axis, then an expression per element. So are their gradients.
import type { NDArray } from '../array/ndarray.ts';
import { e } from '../ir/expr.ts';
import type { Stage } from '../ir/kernel.ts';
import { rowKernel } from '../ir/kernel.ts';
import { axisArg, numberArg, readArgs } from './args.ts';
import { composed } from './composed.ts';
import { invoke } from './invoke.ts';
import type { Op } from './op.ts';
import { type AxisAttrs, alongAxis, fromOutput } from './rows.ts';
import { neg } from './unary.ts';

// z = x / temperature; subtracting the greatest keeps e^z finite
const z = e.div(e.input(0), e.scalar(0));
const greatest: Stage = { combine: 'max', load: z };
const exponentials: Stage = { combine: 'sum', load: e.exp(e.sub(z, e.stage(0))) };
const stages = [greatest, exponentials];
const softmaxOp = alongAxis(
  'softmax',
  rowKernel('softmax', 1, stages, e.div(e.exp(e.sub(z, e.stage(0))), e.stage(1)), true),
  fromOutput(() => softmaxGradOp),
);
const logSoftmaxOp = alongAxis(
  'logSoftmax',
  rowKernel('logSoftmax', 1, stages, e.sub(e.sub(z, e.stage(0)), e.log(e.stage(1))), true),
  fromOutput(() => logSoftmaxGradOp),
);

// inputs: y, then dy
const [ySoft, dySoft] = [e.input(0), e.input(1)];
/** y·(dy − Σ y·dy) / temperature: symmetric, so that it is its own gradient by dy. */
const softmaxGradOp: Op<AxisAttrs> = alongAxis(
  'softmaxGrad',
  rowKernel(
    'softmaxGrad',
    2,
    [{ combine: 'sum', load: e.mul(ySoft, dySoft) }],
    e.div(e.mul(ySoft, e.sub(dySoft, e.stage(0))), e.scalar(0)),
    true,
  ),
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
);
/** (dy − eʸ·Σ dy) / temperature. */
const logSoftmaxGradOp: Op<AxisAttrs> = alongAxis(
  'logSoftmaxGrad',
  rowKernel(
    'logSoftmaxGrad',
    2,
    [{ combine: 'sum', load: dySoft }],
    e.div(e.sub(dySoft, e.mul(e.exp(ySoft), e.stage(0))), e.scalar(0)),
    true,
  ),
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
