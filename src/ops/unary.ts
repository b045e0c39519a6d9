// Functions of one array, element by element: NumPy's and MXNet's elementary functions. Each is one expression; gradients, kernels for every device and
// methods of NDArray come from it: whatever is exported here is a function of `nd` and a method.
import { e } from '../ir/expr.ts';
import { type Unary, unary } from './elementwise.ts';

/** −x. Integers too. @example nd.array([1, -2]).neg() // [-1, 2] */
export const neg: Unary = unary('neg', e.neg, false);
/** −x; the same as `neg`. */
export const negative: Unary = neg;
/** |x|. Integers too. */
export const abs: Unary = unary('abs', e.abs, false);
/** −1, 0 or 1 by the sign of x; NaN stays NaN. Integers too. */
export const sign: Unary = unary('sign', e.sign, false);
/** Rounds to the nearest integer, halves away from zero (as MXNet's `round`; `rint` rounds halves to even). */
// from the fraction: adding 0.5 first would round 0.49999997 and odd numbers above 2^23 up
export const round: Unary = unary('round', (x) => {
  const whole = e.trunc(x);
  return e.select(e.ge(e.abs(e.sub(x, whole)), 0.5), e.add(whole, e.sign(x)), whole);
});
/** Rounds to the nearest integer, halves to even. */
export const rint: Unary = unary('rint', e.rint);
/** The least integer ≥ x. */
export const ceil: Unary = unary('ceil', e.ceil);
/** The greatest integer ≤ x. */
export const floor: Unary = unary('floor', e.floor);
/** Drops the fraction. */
export const trunc: Unary = unary('trunc', e.trunc);
/** Rounds towards zero; the same as `trunc`. */
export const fix: Unary = unary('fix', e.trunc);
/** x². Integers too. */
export const square: Unary = unary('square', (x) => e.mul(x, x), false);
/** √x; NaN below zero. */
export const sqrt: Unary = unary('sqrt', e.sqrt, true, (_, y) => e.div(0.5, y));
/** 1/√x. */
export const rsqrt: Unary = unary(
  'rsqrt',
  (x) => e.div(1, e.sqrt(x)),
  true,
  (_, y) => e.mul(-0.5, e.mul(y, e.mul(y, y))),
);
/** ∛x, for negative x too. */
export const cbrt: Unary = unary('cbrt', e.cbrt);
/** 1/∛x. */
export const rcbrt: Unary = unary('rcbrt', (x) => e.div(1, e.cbrt(x)));
/** 1/x. */
export const reciprocal: Unary = unary(
  'reciprocal',
  (x) => e.div(1, x),
  true,
  (_, y) => e.neg(e.mul(y, y)),
);
/** eˣ. */
export const exp: Unary = unary('exp', e.exp, true, (_, y) => y);
/** eˣ − 1, accurate near zero. */
export const expm1: Unary = unary('expm1', e.expm1);
/** The natural logarithm. */
export const log: Unary = unary('log', e.log);
/** The logarithm to base 2. */
export const log2: Unary = unary('log2', (x) => e.mul(e.log(x), Math.LOG2E));
/** The logarithm to base 10. */
export const log10: Unary = unary('log10', (x) => e.mul(e.log(x), Math.LOG10E));
/** log(1 + x), accurate near zero. */
export const log1p: Unary = unary('log1p', e.log1p);
/** Sine; radians. */
export const sin: Unary = unary('sin', e.sin);
/** Cosine; radians. */
export const cos: Unary = unary('cos', e.cos);
/** Tangent; radians. */
export const tan: Unary = unary('tan', e.tan);
/** Inverse sine, in radians; NaN outside [−1, 1]. */
export const arcsin: Unary = unary('arcsin', e.asin);
/** Inverse cosine, in radians; NaN outside [−1, 1]. */
export const arccos: Unary = unary('arccos', e.acos);
/** Inverse tangent, in radians. */
export const arctan: Unary = unary('arctan', e.atan);
/** Hyperbolic sine. */
export const sinh: Unary = unary('sinh', e.sinh);
/** Hyperbolic cosine. */
export const cosh: Unary = unary('cosh', e.cosh);
/** Hyperbolic tangent. */
export const tanh: Unary = unary('tanh', e.tanh, true, (_, y) => e.sub(1, e.mul(y, y)));
/** Inverse hyperbolic sine. */
export const arcsinh: Unary = unary('arcsinh', e.asinh);
/** Inverse hyperbolic cosine; NaN below 1. */
export const arccosh: Unary = unary('arccosh', e.acosh);
/** Inverse hyperbolic tangent; NaN outside [−1, 1]. */
export const arctanh: Unary = unary('arctanh', e.atanh);
/** Radians to degrees. */
export const degrees: Unary = unary('degrees', (x) => e.mul(x, 180 / Math.PI));
/** Degrees to radians. */
export const radians: Unary = unary('radians', (x) => e.mul(x, Math.PI / 180));
/** The error function, 2/√π ∫₀ˣ e^(−t²) dt. */
export const erf: Unary = unary('erf', e.erf);
/** The inverse of `erf` on (−1, 1). */
export const erfinv: Unary = unary('erfinv', e.erfinv);
/** 1 where x is 0, else 0; the dtype stays. */
export const logicalNot: Unary = unary('logicalNot', e.not, false);
/** 1 where x is NaN, else 0. */
export const isnan: Unary = unary('isnan', e.isnan);
/** 1 where x is ∞ or −∞, else 0. */
export const isinf: Unary = unary('isinf', e.isinf);
/** 1 where x is neither NaN nor infinite, else 0. */
export const isfinite: Unary = unary('isfinite', (x) => e.not(e.or(e.isnan(x), e.isinf(x))));
