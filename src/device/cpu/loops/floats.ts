// The primitives as loops in JavaScript, as floats have them; integers take most of them from here (integers.ts). One loop each, which computes in doubles: the store
// rounds to the type of the array, once per primitive. That four types of array go through one loop costs an engine next to nothing. Arguments: see loop.ts.
import { erf, erfinv, mod, pow, rint } from '../scalarMath.ts';
import type { LoopTable } from './loop.ts';

const unary: LoopTable['unary'] = {
  neg(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = -(m[a] as number);
  },
  abs(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.abs(m[a] as number);
  },
  sign(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.sign(m[a] as number);
  },
  floor(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.floor(m[a] as number);
  },
  ceil(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.ceil(m[a] as number);
  },
  rint(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = rint(m[a] as number);
  },
  trunc(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.trunc(m[a] as number);
  },
  exp(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.exp(m[a] as number);
  },
  expm1(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.expm1(m[a] as number);
  },
  log(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.log(m[a] as number);
  },
  log1p(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.log1p(m[a] as number);
  },
  sqrt(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.sqrt(m[a] as number);
  },
  cbrt(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.cbrt(m[a] as number);
  },
  sin(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.sin(m[a] as number);
  },
  cos(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.cos(m[a] as number);
  },
  tan(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.tan(m[a] as number);
  },
  asin(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.asin(m[a] as number);
  },
  acos(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.acos(m[a] as number);
  },
  atan(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.atan(m[a] as number);
  },
  sinh(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.sinh(m[a] as number);
  },
  cosh(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.cosh(m[a] as number);
  },
  tanh(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.tanh(m[a] as number);
  },
  asinh(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.asinh(m[a] as number);
  },
  acosh(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.acosh(m[a] as number);
  },
  atanh(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.atanh(m[a] as number);
  },
  erf(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = erf(m[a] as number);
  },
  erfinv(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = erfinv(m[a] as number);
  },
  isnan(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Number.isNaN(m[a]) ? 1 : 0;
  },
  isinf(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = Math.abs(m[a] as number) === Infinity ? 1 : 0;
  },
  not(m, n, o, a, sa) {
    for (let i = 0; i < n; i++, a += sa) m[o + i] = m[a] === 0 ? 1 : 0;
  },
};

const binary: LoopTable['binary'] = {
  add(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) + (m[b] as number);
  },
  sub(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) - (m[b] as number);
  },
  mul(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) * (m[b] as number);
  },
  div(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) / (m[b] as number);
  },
  mod(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = mod(m[a] as number, m[b] as number);
  },
  fmod(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) % (m[b] as number);
  },
  pow(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = pow(m[a] as number, m[b] as number);
  },
  max(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = Math.max(m[a] as number, m[b] as number);
  },
  min(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = Math.min(m[a] as number, m[b] as number);
  },
  atan2(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = Math.atan2(m[a] as number, m[b] as number);
  },
  eq(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = m[a] === m[b] ? 1 : 0;
  },
  ne(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = m[a] !== m[b] ? 1 : 0;
  },
  lt(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) < (m[b] as number) ? 1 : 0;
  },
  le(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) <= (m[b] as number) ? 1 : 0;
  },
  gt(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) > (m[b] as number) ? 1 : 0;
  },
  ge(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] as number) >= (m[b] as number) ? 1 : 0;
  },
  and(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = m[a] !== 0 && m[b] !== 0 ? 1 : 0;
  },
  or(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = m[a] !== 0 || m[b] !== 0 ? 1 : 0;
  },
  xor(m, n, o, a, sa, b, sb) {
    for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = (m[a] !== 0) !== (m[b] !== 0) ? 1 : 0;
  },
};

const select: LoopTable['select'] = (m, n, o, a, sa, b, sb, c, sc) => {
  for (let i = 0; i < n; i++, a += sa, b += sb, c += sc)
    m[o + i] = m[a] !== 0 ? (m[b] as number) : (m[c] as number);
};

export const FLOATS: LoopTable = { unary, binary, select };
