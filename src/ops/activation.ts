// Activation functions, each one expression. Defaults are Gluon's. Whatever is exported here is a function of `nd` and a method of NDArray.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import { numberArg, readArgs, wordArg } from './args.ts';
import { composed } from './composed.ts';
import { elementwiseOp, parametric, type Unary, unary, withScalars } from './elementwise.ts';
import { invoke } from './invoke.ts';
import { derivativeOf, smoothSigmoid, smoothTanhSoftplus } from './smooth.ts';
import { expandToAxis } from './views.ts';

const x0 = e.input(0);
const s0 = e.scalar(0);
const square = (x: Expr): Expr => e.mul(x, x);
const sigmoidExpr = (x: Expr): Expr => e.div(1, e.add(1, e.exp(e.neg(x))));
// log(1 + eˣ) without overflow: max(x, 0) + log1p(e^−|x|)
const softreluExpr = (x: Expr): Expr => e.add(e.max(x, 0), e.log1p(e.exp(e.neg(e.abs(x)))));

/** max(x, 0); lets NaN through. */
export const relu: Unary = unary(
  'relu',
  (x) => e.max(x, 0),
  false,
  (_, y) => e.select(e.gt(y, 0), 1, 0),
);
/** 1 / (1 + e^−x). */
export const sigmoid: Unary = unary('sigmoid', sigmoidExpr, true, (_, y) => e.mul(y, e.sub(1, y)));
/** log(1 + eˣ), MXNet's softrelu (softplus elsewhere). */
export const softrelu: Unary = unary('softrelu', softreluExpr, true, smoothSigmoid);
/** x / (1 + |x|). */
export const softsign: Unary = unary(
  'softsign',
  (x) => e.div(x, e.add(1, e.abs(x))),
  true,
  (x) => e.div(1, square(e.add(1, e.abs(x)))),
);
/** log(sigmoid(x)) without overflow. */
export const logSigmoid: Unary = unary(
  'logSigmoid',
  (x) => e.sub(e.min(x, 0), e.log1p(e.exp(e.neg(e.abs(x))))),
  true,
  (x) => smoothSigmoid(e.neg(x)),
);
/** x · tanh(log(1 + eˣ)). Misra, 2019. */
export const mish: Unary = unary(
  'mish',
  (x) => e.mul(x, e.tanh(softreluExpr(x))),
  true,
  derivativeOf((x) => e.mul(x, smoothTanhSoftplus(x))),
);
/** x · Φ(x) = x/2 · (1 + erf(x/√2)). Hendrycks & Gimpel, 2016. */
export const gelu: Unary = unary('gelu', (x) =>
  e.mul(e.mul(0.5, x), e.add(1, e.erf(e.mul(x, Math.SQRT1_2)))),
);
/** The scaled exponential unit, 1.0507009873554805·(x, or 1.6732632423543772·(eˣ − 1) below zero). Klambauer et al., 2017. */
export const selu: Unary = unary('selu', (x) =>
  e.mul(1.0507009873554805, e.select(e.gt(x, 0), x, e.mul(1.6732632423543772, e.expm1(x)))),
);
/** x · sigmoid(x). */
export const silu: Unary = unary(
  'silu',
  (x) => e.mul(x, sigmoidExpr(x)),
  true,
  derivativeOf((x) => e.mul(x, smoothSigmoid(x))),
);

/** x · sigmoid(beta·x), beta 1. Ramachandran et al., 2017. */
export const swish: (x: NDArray, beta?: number | { readonly beta?: number | undefined }) => NDArray =
  parametric(
    'swish',
    { beta: 1 },
    (x) => e.mul(x, sigmoidExpr(e.mul(s0, x))),
    derivativeOf((x) => e.mul(x, smoothSigmoid(e.mul(s0, x)))),
  );

/** min(1, max(0, alpha·x + beta)), alpha 0.2, beta 0.5. */
export const hardSigmoid: (
  x: NDArray,
  alpha?: number | { readonly alpha?: number | undefined; readonly beta?: number | undefined },
  beta?: number,
) => NDArray = parametric('hardSigmoid', { alpha: 0.2, beta: 0.5 }, (x) =>
  e.max(0, e.min(1, e.add(e.mul(s0, x), e.scalar(1)))),
);

/** x above zero, alpha·(eˣ − 1) below; alpha 1. Clevert et al., 2015. */
export const elu: (x: NDArray, alpha?: number | { readonly alpha?: number | undefined }) => NDArray =
  parametric('elu', { alpha: 1 }, (x) => e.select(e.gt(x, 0), x, e.mul(s0, e.expm1(x))));

/** 0.5·(s·x)² where |x| < 1/s², else |x| − 0.5/s²; scalar s 1. */
export const smoothL1: (x: NDArray, scalar?: number | { readonly scalar?: number | undefined }) => NDArray =
  parametric('smoothL1', { scalar: 1 }, (x) =>
    e.select(
      e.lt(e.abs(x), e.div(1, square(s0))),
      e.mul(0.5, square(e.mul(s0, x))),
      e.sub(e.abs(x), e.div(0.5, square(s0))),
    ),
  );

const leaky = withScalars('leakyReLU', (x) => e.select(e.gt(x, 0), x, e.mul(s0, x)));

const preluOp = elementwiseOp('prelu', 2, e.select(e.gt(x0, 0), x0, e.mul(x0, e.input(1))), { float: true });

/** x above zero, alpha·x below, with one alpha for all or one per channel (axis 1). */
export function prelu(x: NDArray, alpha: NDArray): NDArray {
  const [{ shape }, slopes] = [bodyOf(x, 'prelu'), bodyOf(alpha, 'prelu').shape];
  if (slopes.length !== 1 || slopes[0] === 1 || shape.length < 2)
    return invoke(preluOp, [x, alpha], { scalars: [] });
  return composed(() => invoke(preluOp, [x, expandToAxis(alpha, 1, shape.length)], { scalars: [] }));
}

/** What `leakyReLU` can compute below zero. */
export type LeakyKind = 'leaky' | 'elu' | 'selu' | 'gelu' | 'prelu';

/**
 * MXNet's `LeakyReLU` operator: x above zero and, below, what `actType` says: 'leaky' slope·x (slope 0.25), 'elu', 'selu', 'gelu', 'prelu' (with `gamma`).
 */
export function leakyReLU(
  x: NDArray,
  slope?:
    | number
    | {
        readonly slope?: number | undefined;
        readonly actType?: LeakyKind | undefined;
        readonly gamma?: NDArray | undefined;
      },
  options?: { readonly actType?: LeakyKind | undefined; readonly gamma?: NDArray | undefined },
): NDArray {
  const values = readArgs('leakyReLU', [slope, options], ['slope'], ['actType', 'gamma']);
  const kind = wordArg('leakyReLU', values, 'actType', ['leaky', 'elu', 'selu', 'gelu', 'prelu'], 'leaky');
  const alpha = numberArg('leakyReLU', values, 'slope', 0.25);
  switch (kind) {
    case 'leaky':
      return leaky(x, alpha);
    case 'elu':
      return elu(x, alpha);
    case 'selu':
      return selu(x);
    case 'gelu':
      return gelu(x);
    case 'prelu':
      return prelu(x, values['gamma'] as NDArray);
  }
}
