// Derivatives of expressions against central differences, the derivative of every primitive, and what simplification must leave alone.
import { describe, expect, test } from 'vitest';
import { chain, differentiate, inputsOf, renumber } from './differentiate.ts';
import type { BinaryName, Expr, UnaryName } from './expr.ts';
import { e, exprKey } from './expr.ts';

const erf = (x: number): number => {
  // the series converges quickly enough below 3 (Abramowitz & Stegun 7.1.5)
  let [term, sum] = [x, x];
  for (let n = 1; n < 60; n++) {
    term *= (-x * x) / n;
    sum += term / (2 * n + 1);
  }
  return (2 / Math.sqrt(Math.PI)) * sum;
};
const erfinv = (y: number): number => {
  let x = 0;
  for (let i = 0; i < 60; i++) x -= (erf(x) - y) / ((2 / Math.sqrt(Math.PI)) * Math.exp(-x * x));
  return x;
};

const UNARY: Readonly<Record<UnaryName, (a: number) => number>> = {
  neg: (a) => -a,
  abs: Math.abs,
  sign: Math.sign,
  floor: Math.floor,
  ceil: Math.ceil,
  rint: Math.round,
  trunc: Math.trunc,
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  sqrt: Math.sqrt,
  cbrt: Math.cbrt,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf,
  erfinv,
  isnan: (a) => Number(Number.isNaN(a)),
  isinf: (a) => Number(Math.abs(a) === Infinity),
  not: (a) => Number(a === 0),
};
const BINARY: Readonly<Record<BinaryName, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  mod: (a, b) => a - b * Math.floor(a / b),
  fmod: (a, b) => a % b,
  pow: (a, b) => a ** b,
  max: Math.max,
  min: Math.min,
  atan2: Math.atan2,
  eq: (a, b) => Number(a === b),
  ne: (a, b) => Number(a !== b),
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  gt: (a, b) => Number(a > b),
  ge: (a, b) => Number(a >= b),
  and: (a, b) => Number(a !== 0 && b !== 0),
  or: (a, b) => Number(a !== 0 || b !== 0),
  xor: (a, b) => Number((a !== 0) !== (b !== 0)),
};

function evaluate(x: Expr, inputs: readonly number[], scalars: readonly number[] = []): number {
  const at = (y: Expr): number => evaluate(y, inputs, scalars);
  switch (x.kind) {
    case 'input':
      return inputs[x.index] as number;
    case 'scalar':
      return scalars[x.index] as number;
    case 'const':
      return x.value;
    case 'unary':
      return UNARY[x.name](at(x.a));
    case 'binary':
      return BINARY[x.name](at(x.a), at(x.b));
    case 'select':
      return at(x.test) !== 0 ? at(x.yes) : at(x.no);
    default:
      throw new Error(`no value for ${x.kind}`);
  }
}

function slope(x: Expr, inputs: readonly number[], i: number): number {
  const h = 1e-6;
  const moved = (by: number): number =>
    evaluate(
      x,
      inputs.map((v, k) => (k === i ? v + by : v)),
    );
  return (moved(h) - moved(-h)) / (2 * h);
}

const [a, b] = [e.input(0), e.input(1)];

describe('every primitive', () => {
  test.each(Object.keys(UNARY) as UnaryName[])('%s', (name) => {
    const x = e[name](a);
    for (const v of name === 'acosh' ? [1.3, 2.7] : [0.3, 0.71])
      expect(evaluate(differentiate(x, 0), [v])).toBeCloseTo(slope(x, [v], 0), 6);
  });
  test.each(Object.keys(BINARY) as BinaryName[])('%s', (name) => {
    const x = e[name](a, b);
    for (const at of [
      [1.7, 0.6],
      [0.4, 2.3],
    ])
      for (const i of [0, 1]) expect(evaluate(differentiate(x, i), at)).toBeCloseTo(slope(x, at, i), 6);
  });
  test('select', () => {
    const x = e.select(e.gt(a, 1), e.mul(a, b), e.div(b, a));
    for (const at of [
      [1.7, 0.6],
      [0.4, 2.3],
    ])
      for (const i of [0, 1]) expect(evaluate(differentiate(x, i), at)).toBeCloseTo(slope(x, at, i), 6);
  });
});

test('compositions, twice', () => {
  const x = e.mul(e.exp(e.mul(a, b)), e.div(e.sin(a), e.add(1, e.mul(b, b))));
  const at = [0.4, 0.9];
  for (const i of [0, 1]) {
    const first = differentiate(x, i);
    expect(evaluate(first, at)).toBeCloseTo(slope(x, at, i), 6);
    for (const k of [0, 1]) expect(evaluate(differentiate(first, k), at)).toBeCloseTo(slope(first, at, k), 6);
  }
});

test('what does not depend is 0, whatever the other factor', () => {
  expect(exprKey(differentiate(e.mul(e.log(b), 3), 0))).toBe('0');
  expect(evaluate(differentiate(e.mul(e.div(1, b), e.floor(a)), 0), [0.5, 0])).toBe(0);
});

test('powers where their logarithm or their negative power is infinite', () => {
  expect(evaluate(differentiate(e.pow(a, b), 1), [0, 2])).toBe(0);
  expect(evaluate(differentiate(e.pow(a, b), 0), [0, 0])).toBe(0);
  expect(evaluate(differentiate(e.pow(a, 1), 0), [0])).toBe(1);
  expect(evaluate(differentiate(e.pow(a, 2), 0), [0])).toBe(0);
});

test('equal operands of max and min: the first takes the gradient', () => {
  for (const f of [e.max, e.min]) {
    expect(evaluate(differentiate(f(a, b), 0), [2, 2])).toBe(1);
    expect(evaluate(differentiate(f(a, b), 1), [2, 2])).toBe(0);
  }
});

test('a choice between derivatives becomes one between products', () => {
  const g = e.input(1);
  const product = chain(e.select(e.gt(a, 0), 1, e.exp(a)), g);
  expect(exprKey(product)).toBe(exprKey(e.select(e.gt(a, 0), g, e.mul(e.exp(a), g))));
});

test('inputs are found and renumbered', () => {
  const x = e.select(e.input(4), e.add(e.input(2), e.scalar(2)), e.neg(e.input(2)));
  expect(inputsOf(x)).toEqual([2, 4]);
  expect(exprKey(renumber(x, inputsOf(x)))).toBe(exprKey(e.select(b, e.add(a, e.scalar(2)), e.neg(a))));
});
