// The primitives of expressions on Dawn against Math's float64: units in the last place, and what NaN and infinity give.
import { describe, expect, test } from 'vitest';
import type { BinaryName, Expr, UnaryName } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import { elementwiseKernel } from '../../ir/kernel.ts';
import { array, run, testDevice, values } from './testDevice.ts';

const device = await testDevice();
const f = Math.fround;

/** Runs one expression over lists of numbers. */
async function compute(expr: Expr, inputs: readonly (readonly number[])[]): Promise<number[]> {
  const shape = [inputs[0]?.length ?? 0];
  const operands = inputs.map((x) => array(device, shape, 'float32', x));
  return values(
    device,
    run(device, elementwiseKernel('test', inputs.length, expr), operands, shape, 'float32'),
  );
}

/** The distance in units in the last place of the float32 nearest to `want`. */
function ulps(got: number, want: number): number {
  const nearest = f(want);
  if (Object.is(got, nearest) || (got === 0 && nearest === 0)) return 0;
  if (Number.isNaN(got) !== Number.isNaN(nearest)) return Infinity;
  if (Number.isNaN(got)) return 0;
  if (!Number.isFinite(nearest) || !Number.isFinite(got)) return Infinity;
  const unit = 2 ** Math.max(Math.floor(Math.log2(Math.abs(nearest) || 1e-38)) - 23, -149);
  return Math.abs(got - want) / unit;
}

function range(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => f(from + ((to - from) * i) / (count - 1)));
}

function geometric(from: number, to: number, count: number): number[] {
  return Array.from({ length: count }, (_, i) => f(from * (to / from) ** (i / (count - 1))));
}

const both = (x: number[]): number[] => [...x, ...x.map((v) => -v)];
const SPECIAL = [0, -0, Infinity, -Infinity, NaN];

/** erf by its series, or by the continued fraction of erfc, in float64. */
function erf(x: number): number {
  const a = Math.abs(x);
  if (a > 6) return Math.sign(x);
  if (a < 3) {
    let term = a;
    let sum = a;
    for (let n = 1; n < 120; n++) {
      term *= (-a * a) / n;
      sum += term / (2 * n + 1);
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI);
  }
  let tail = 0;
  for (let n = 80; n > 0; n--) tail = n / 2 / (a + tail);
  return Math.sign(x) * (1 - Math.exp(-a * a) / (Math.sqrt(Math.PI) * (a + tail)));
}

/** The inverse by bisection of `erf`. */
function erfinv(y: number): number {
  if (Math.abs(y) > 1) return NaN;
  if (Math.abs(y) === 1) return y * Infinity;
  let low = 0;
  let high = 6;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (erf(middle) < Math.abs(y)) low = middle;
    else high = middle;
  }
  return Math.sign(y) * low;
}

function rint(x: number): number {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 && r % 2 !== 0 ? r - 1 : r;
}

interface Case {
  readonly reference: (x: number) => number;
  readonly inputs: number[];
  /** In units of the last place; 4 where nothing is said. */
  readonly ulps?: number;
  /** Allowed besides, for results near a zero that lies between floats. */
  readonly absolute?: number;
}

const wide = both([...geometric(1e-6, 80, 200), ...SPECIAL]);
const unit = both([...range(0, 1, 101), ...geometric(1e-6, 0.9, 50), 0.99999994, 1.5, ...SPECIAL]);
const UNARY: Record<Exclude<UnaryName, 'not' | 'isnan' | 'isinf'>, Case> = {
  neg: { reference: (x) => -x, inputs: wide, ulps: 0 },
  abs: { reference: Math.abs, inputs: wide, ulps: 0 },
  sign: { reference: Math.sign, inputs: wide, ulps: 0 },
  floor: { reference: Math.floor, inputs: both([...range(0, 5, 41), 1e9, ...SPECIAL]), ulps: 0 },
  ceil: { reference: Math.ceil, inputs: both([...range(0, 5, 41), 1e9, ...SPECIAL]), ulps: 0 },
  rint: { reference: rint, inputs: both([...range(0, 5, 41), 1e9, ...SPECIAL]), ulps: 0 },
  trunc: { reference: Math.trunc, inputs: both([...range(0, 5, 41), 1e9, ...SPECIAL]), ulps: 0 },
  exp: {
    reference: Math.exp,
    inputs: both([...geometric(1e-6, 87, 300), 88.7, 89, 100, 1000, ...SPECIAL]),
    ulps: 2,
  },
  expm1: {
    reference: Math.expm1,
    inputs: both([...geometric(1e-8, 80, 300), 88.7, 100, ...SPECIAL]),
    ulps: 3,
  },
  log: {
    reference: Math.log,
    inputs: [...geometric(1e-37, 1e38, 300), ...range(0.5, 2, 200), -1, -1e-30, ...SPECIAL],
    ulps: 2,
  },
  log1p: {
    reference: Math.log1p,
    inputs: [
      ...geometric(1e-9, 1e30, 200),
      ...geometric(1e-9, 0.9999, 100).map((x) => -x),
      -1,
      -2,
      ...SPECIAL,
    ],
    ulps: 3,
  },
  sqrt: { reference: Math.sqrt, inputs: [...geometric(1e-30, 1e30, 100), -1, ...SPECIAL] },
  cbrt: {
    reference: Math.cbrt,
    inputs: both([...geometric(1e-36, 1e36, 200), 8, 27, 1000, ...SPECIAL]),
    ulps: 2,
  },
  sin: {
    reference: Math.sin,
    inputs: both([
      ...range(0, 10, 200),
      ...geometric(1e-5, 1e30, 600),
      3.4028234663852886e38,
      16367173 * 2 ** 72,
      ...SPECIAL,
    ]),
    absolute: 1e-7,
  },
  cos: {
    reference: Math.cos,
    inputs: both([
      ...range(0, 10, 200),
      ...geometric(1e-5, 1e30, 600),
      3.4028234663852886e38,
      16367173 * 2 ** 72,
      ...SPECIAL,
    ]),
    absolute: 1e-7,
  },
  tan: {
    reference: Math.tan,
    inputs: both([...range(0, 1.5, 100), ...range(1.65, 10, 60), ...SPECIAL]),
    ulps: 5,
    absolute: 1e-7,
  },
  asin: { reference: Math.asin, inputs: unit },
  acos: { reference: Math.acos, inputs: unit },
  atan: { reference: Math.atan, inputs: wide },
  sinh: { reference: Math.sinh, inputs: both([...geometric(1e-6, 88, 200), 89.2, 100, ...SPECIAL]) },
  cosh: { reference: Math.cosh, inputs: both([...geometric(1e-6, 88, 200), 89.2, 100, ...SPECIAL]) },
  tanh: { reference: Math.tanh, inputs: wide },
  asinh: { reference: Math.asinh, inputs: both([...geometric(1e-6, 1e30, 300), ...SPECIAL]) },
  acosh: { reference: Math.acosh, inputs: [...geometric(1.0001, 1e30, 200), 1, 0.5, ...SPECIAL] },
  atanh: { reference: Math.atanh, inputs: unit },
  erf: {
    reference: erf,
    inputs: both([...geometric(1e-6, 5, 200), ...range(0.9, 1.1, 21), 10, ...SPECIAL]),
    ulps: 3,
  },
  erfinv: { reference: erfinv, inputs: unit, ulps: 8 },
};

describe('functions of one number, float32', () => {
  test.each(Object.entries(UNARY))(
    '%s',
    async (name, { reference, inputs: given, ulps: limit = 4, absolute = 0 }) => {
      const inputs = given.map(f);
      const got = await compute(e[name as UnaryName](e.input(0)), [inputs]);
      let worst = 0;
      let where = '';
      inputs.forEach((x, i) => {
        const y = got[i] as number;
        const want = reference(x);
        // Results below the normal range may be flushed to zero by a GPU.
        if (Math.abs(y - want) <= absolute || (Math.abs(want) < 1.2e-38 && Math.abs(y) < 1.2e-38)) return;
        const error = ulps(y, want);
        if (error > worst) {
          worst = error;
          where = `${name}(${x}) gave ${y} instead of ${want}`;
        }
      });
      // half a unit is rounding itself
      expect(worst, where).toBeLessThanOrEqual(limit === 0 ? 0 : limit + 0.5);
    },
  );

  test('not, isnan, isinf', async () => {
    const x = [1, -2, ...SPECIAL, 1e-40];
    expect(await compute(e.isnan(e.input(0)), [x])).toEqual(x.map((v) => Number(Number.isNaN(v))));
    expect(await compute(e.isinf(e.input(0)), [x])).toEqual(x.map((v) => Number(Math.abs(v) === Infinity)));
    expect(await compute(e.not(e.input(0)), [x])).toEqual(x.map((v) => Number(v === 0)));
  });
});

function pyMod(a: number, b: number): number {
  if (b === 0 || !Number.isFinite(a)) return NaN;
  if (!Number.isFinite(b)) return Number.isNaN(b) ? NaN : a === 0 || a < 0 === b < 0 ? a : b;
  const r = a % b;
  return r !== 0 && r < 0 !== b < 0 ? r + b : r;
}

function ieeeMax(a: number, b: number): number {
  return Math.max(a, b);
}

describe('functions of two numbers, float32', () => {
  const some = [...both([0.5, 1, 1.5, 2, 3, 7, 10, 0.1, 1e-3, 1000, 12345.678]), ...SPECIAL];
  const a = some.flatMap((x) => some.map(() => f(x)));
  const b = some.flatMap(() => some.map((y) => f(y)));
  const cases: [BinaryName, (x: number, y: number) => number, number][] = [
    ['add', (x, y) => x + y, 0],
    ['sub', (x, y) => x - y, 0],
    ['mul', (x, y) => x * y, 0],
    ['div', (x, y) => x / y, 2.5],
    ['mod', pyMod, 1],
    ['fmod', (x, y) => x % y, 0],
    ['pow', (x, y) => (x === 1 || y === 0 ? 1 : x === -1 && Math.abs(y) === Infinity ? 1 : x ** y), 2],
    ['max', ieeeMax, 0],
    ['min', (x, y) => Math.min(x, y), 0],
    ['atan2', Math.atan2, 4],
    ['eq', (x, y) => Number(x === y), 0],
    ['ne', (x, y) => Number(x !== y), 0],
    ['lt', (x, y) => Number(x < y), 0],
    ['le', (x, y) => Number(x <= y), 0],
    ['gt', (x, y) => Number(x > y), 0],
    ['ge', (x, y) => Number(x >= y), 0],
    ['and', (x, y) => Number(x !== 0 && y !== 0), 0],
    ['or', (x, y) => Number(x !== 0 || y !== 0), 0],
    ['xor', (x, y) => Number((x !== 0) !== (y !== 0)), 0],
  ];
  test.each(cases)('%s', async (name, reference, limit) => {
    const got = await compute(e[name](e.input(0), e.input(1)), [a, b]);
    let worst = 0;
    let where = '';
    a.forEach((x, i) => {
      const y = b[i] as number;
      const want = reference(x, y);
      const error = ulps(got[i] as number, want);
      // Results below the normal range may be flushed to zero by a GPU.
      if (error > worst && !(Math.abs(want) < 1.2e-38 && Math.abs(got[i] as number) < 1.2e-38)) {
        worst = error;
        where = `${name}(${x}, ${y}) gave ${got[i]} instead of ${want}`;
      }
    });
    expect(worst, where).toBeLessThanOrEqual(limit === 0 ? 0.5 : limit + 0.5);
  });

  test('pow keeps its last bits for large exponents, and whole powers are whole', async () => {
    const bases = [...geometric(0.01, 100, 40), 1.0001, 0.9999, 1.01].map(f);
    const powers = [-10.5, -3, -1, -0.5, 0.25, 0.5, 1, 1.5, 2, 3, 4, 10, 17.3];
    const x = bases.flatMap((v) => powers.map(() => v));
    const y = bases.flatMap(() => powers.map((v) => f(v)));
    const got = await compute(e.pow(e.input(0), e.input(1)), [x, y]);
    const worst = Math.max(...got.map((v, i) => ulps(v, (x[i] as number) ** (y[i] as number))));
    expect(worst).toBeLessThanOrEqual(2);
    expect(
      await compute(e.pow(e.input(0), e.input(1)), [
        [2, 3, 7, -3, 10, -2],
        [10, 5, 4, 3, 6, 5],
      ]),
    ).toEqual([1024, 243, 2401, -27, 1e6, -32]);
  });
});
