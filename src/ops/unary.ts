// Functions of one array, element by element: NumPy's and MXNet's elementary functions. Each is one expression; gradients, kernels for every device and
// methods of NDArray come from it: whatever is exported here is a function of `nd` and a method.
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import { unary as define, type Unary } from './elementwise.ts';

const unary = (
  name: string,
  f: Parameters<typeof define>[2],
  float = true,
  derivative?: Parameters<typeof define>[4],
): Unary => define(name, 'unary', f, float, derivative);
/** A function whose derivative its own value tells. */
const known = (name: string, f: Parameters<typeof define>[2], derivative: (y: Expr) => Expr): Unary =>
  unary(name, f, true, (_, y) => derivative(y));

/** −x. Integers too. @example nd.array([1, -2]).neg() // [-1, 2] */
export const neg: Unary = unary('neg', (x) => e.neg(x), false);
/** −x; the same as `neg`. */
export const negative: Unary = neg;
/** |x|. Integers too. */
export const abs: Unary = unary('abs', (x) => e.abs(x), false);
/** −1, 0 or 1 by the sign of x; NaN stays NaN. Integers too. */
export const sign: Unary = unary('sign', (x) => e.sign(x), false);
/** Rounds to the nearest integer, halves away from zero (as MXNet's `round`; `rint` rounds halves to even). */
// from the fraction: adding 0.5 first would round 0.49999997 and odd numbers above 2^23 up
export const round: Unary = unary('round', (x) => {
  const whole = e.trunc(x);
  return e.select(e.ge(e.abs(e.sub(x, whole)), 0.5), e.add(whole, e.sign(x)), whole);
});
/** Rounds to the nearest integer, halves to even. */
export const rint: Unary = unary('rint', (x) => e.rint(x));
/** The least integer ≥ x. */
export const ceil: Unary = unary('ceil', (x) => e.ceil(x));
/** The greatest integer ≤ x. */
export const floor: Unary = unary('floor', (x) => e.floor(x));
/** Drops the fraction. */
export const trunc: Unary = unary('trunc', (x) => e.trunc(x));
/** Rounds towards zero; the same as `trunc`. */
export const fix: Unary = unary('fix', (x) => e.trunc(x));
/** x². Integers too. */
export const square: Unary = unary('square', (x) => e.mul(x, x), false);
/** √x; NaN below zero. */
export const sqrt: Unary = known(
  'sqrt',
  (x) => e.sqrt(x),
  (y) => e.div(0.5, y),
);
/** 1/√x. */
export const rsqrt: Unary = known(
  'rsqrt',
  (x) => e.div(1, e.sqrt(x)),
  (y) => e.mul(-0.5, e.mul(y, e.mul(y, y))),
);
/** ∛x, for negative x too. */
export const cbrt: Unary = unary('cbrt', (x) => e.cbrt(x));
/** 1/∛x. */
export const rcbrt: Unary = unary('rcbrt', (x) => e.div(1, e.cbrt(x)));
/** 1/x. */
export const reciprocal: Unary = known(
  'reciprocal',
  (x) => e.div(1, x),
  (y) => e.neg(e.mul(y, y)),
);
/** eˣ. */
export const exp: Unary = known(
  'exp',
  (x) => e.exp(x),
  (y) => y,
);
/** eˣ − 1, accurate near zero. */
export const expm1: Unary = unary('expm1', (x) => e.expm1(x));
/** The natural logarithm. */
export const log: Unary = unary('log', (x) => e.log(x));
/** The logarithm to base 2. */
export const log2: Unary = unary('log2', (x) => e.mul(e.log(x), Math.LOG2E));
/** The logarithm to base 10. */
export const log10: Unary = unary('log10', (x) => e.mul(e.log(x), Math.LOG10E));
/** log(1 + x), accurate near zero. */
export const log1p: Unary = unary('log1p', (x) => e.log1p(x));
/** Sine; radians. */
export const sin: Unary = unary('sin', (x) => e.sin(x));
/** Cosine; radians. */
export const cos: Unary = unary('cos', (x) => e.cos(x));
/** Tangent; radians. */
export const tan: Unary = unary('tan', (x) => e.tan(x));
/** Inverse sine, in radians; NaN outside [−1, 1]. */
export const arcsin: Unary = unary('arcsin', (x) => e.asin(x));
/** Inverse cosine, in radians; NaN outside [−1, 1]. */
export const arccos: Unary = unary('arccos', (x) => e.acos(x));
/** Inverse tangent, in radians. */
export const arctan: Unary = unary('arctan', (x) => e.atan(x));
/** Hyperbolic sine. */
export const sinh: Unary = unary('sinh', (x) => e.sinh(x));
/** Hyperbolic cosine. */
export const cosh: Unary = unary('cosh', (x) => e.cosh(x));
/** Hyperbolic tangent. */
export const tanh: Unary = known(
  'tanh',
  (x) => e.tanh(x),
  (y) => e.sub(1, e.mul(y, y)),
);
/** Inverse hyperbolic sine. */
export const arcsinh: Unary = unary('arcsinh', (x) => e.asinh(x));
/** Inverse hyperbolic cosine; NaN below 1. */
export const arccosh: Unary = unary('arccosh', (x) => e.acosh(x));
/** Inverse hyperbolic tangent; NaN outside [−1, 1]. */
export const arctanh: Unary = unary('arctanh', (x) => e.atanh(x));
/** Radians to degrees. */
export const degrees: Unary = unary('degrees', (x) => e.mul(x, 180 / Math.PI));
/** Degrees to radians. */
export const radians: Unary = unary('radians', (x) => e.mul(x, Math.PI / 180));
/** The error function, 2/√π ∫₀ˣ e^(−t²) dt. */
export const erf: Unary = unary('erf', (x) => e.erf(x));
/** The inverse of `erf` on (−1, 1). */
export const erfinv: Unary = unary('erfinv', (x) => e.erfinv(x));
/** 1 where x is 0, else 0; the dtype stays. */
export const logicalNot: Unary = unary('logicalNot', (x) => e.not(x), false);
/** 1 where x is NaN, else 0. */
export const isnan: Unary = unary('isnan', (x) => e.isnan(x));
/** 1 where x is ∞ or −∞, else 0. */
export const isinf: Unary = unary('isinf', (x) => e.isinf(x));
/** 1 where x is neither NaN nor infinite, else 0. */
export const isfinite: Unary = unary('isfinite', (x) => e.not(e.or(e.isnan(x), e.isinf(x))));
