// Elementwise kernels against the element-by-element reference of testReference.ts: every primitive in every compute type, random expressions
// over random shapes, dtypes and broadcasts, in place, empty, and with NaN and ∞.
import { describe, expect, test } from 'vitest';
import type { ComputeType, DType } from '../../core/dtype.ts';
import { computeTypeOf, DTYPES, isFloat } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { BinaryName, Expr, UnaryName } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { Operand } from '../../ir/kernel.ts';
import { computeTypeFor, elementwiseKernel } from '../../ir/kernel.ts';
import { CpuDevice } from './cpuDevice.ts';
import {
  broadcastIndex,
  close,
  convertTo,
  empty,
  evaluate,
  get,
  nativeOf,
  put,
  randomStream,
  release,
} from './testReference.ts';

const device = new CpuDevice();

/** Runs on the device and in the reference, and compares. */
function check(
  expr: Expr,
  inputs: readonly Operand[],
  out: Operand,
  scalars: readonly number[] = [],
  computeFrom = inputs.length > 0 ? 0 : -1,
  relative = 0,
): void {
  const kernel = elementwiseKernel('test', inputs.length, expr, computeFrom);
  const type = computeTypeFor(computeFrom, inputs, [out]);
  const values = inputs.map((x) => get(device, x));
  device.run(kernel, inputs, [out], [], scalars);
  const results = get(device, out);
  const float = type === 'f32' || type === 'f64';
  const bad: string[] = [];
  for (let i = 0; i < results.length; i++) {
    const want = convertTo(
      evaluate(expr, type, {
        input: (k) => {
          const x = inputs[k] as Operand;
          const value = (values[k] as number[])[broadcastIndex(out.shape, x.shape, i)] as number;
          return convertTo(value, nativeOf[type], isFloat(x.dtype));
        },
        scalars,
        index: i,
        length: 0,
        stages: [],
      }),
      out.dtype,
      float,
    );
    if (!close(results[i] as number, want, relative) && bad.length < 5)
      bad.push(
        `[${i}] ${results[i]} instead of ${want} (${inputs.map((x, k) => values[k]?.[broadcastIndex(out.shape, x.shape, i)])})`,
      );
  }
  expect(bad).toEqual([]);
}

const UNARY: readonly UnaryName[] = [
  'neg',
  'abs',
  'sign',
  'floor',
  'ceil',
  'rint',
  'trunc',
  'exp',
  'expm1',
  'log',
  'log1p',
  'sqrt',
  'cbrt',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'erf',
  'erfinv',
  'isnan',
  'isinf',
  'not',
];
const BINARY: readonly BinaryName[] = [
  'add',
  'sub',
  'mul',
  'div',
  'mod',
  'fmod',
  'pow',
  'max',
  'min',
  'atan2',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
  'and',
  'or',
  'xor',
];
const FLOATS = [
  0,
  -0,
  1,
  -1,
  0.5,
  -0.5,
  1.5,
  2.5,
  -2.5,
  3.7,
  -3.2,
  0.1,
  0.99,
  -0.999,
  1e-6,
  12,
  -12,
  88,
  1e10,
  -1e10,
  Infinity,
  -Infinity,
  Number.NaN,
];
const INTS = [0, 1, -1, 2, -2, 3, 7, -7, 13, 100, -100, 2147483647, -2147483648, 65536];
const edge: { readonly [K in ComputeType]: readonly number[] } = {
  f32: FLOATS,
  f64: FLOATS,
  i32: INTS,
  u32: INTS.map((x) => x >>> 0),
};
const relativeOf = (type: ComputeType): number => (type === 'f64' ? 1e-11 : type === 'f32' ? 1.3e-7 : 0);

describe.each(['f32', 'f64', 'i32', 'u32'] as const)('primitives on %s', (type) => {
  const dtype = nativeOf[type];
  test.each(UNARY)('%s', (name) => {
    const values = edge[type];
    const x = put(device, dtype, [values.length], values);
    const y = empty(device, dtype, x.shape);
    check({ kind: 'unary', name, a: e.input(0) }, [x], y, [], 0, relativeOf(type));
    release(device, x, y);
  });
  test.each(BINARY)('%s', (name) => {
    const values = edge[type];
    const n = values.length;
    const x = put(device, dtype, [n, 1], values);
    const w = put(device, dtype, [n], values);
    const y = empty(device, dtype, [n, n]);
    check({ kind: 'binary', name, a: e.input(0), b: e.input(1) }, [x, w], y, [], 0, relativeOf(type));
    const flat = empty(device, dtype, [n]);
    // scalars on either side
    for (const s of [0, 1, 2.5, -3, Number.NaN, -Infinity]) {
      check({ kind: 'binary', name, a: e.input(0), b: e.scalar(0) }, [w], flat, [s], 0, relativeOf(type));
      check({ kind: 'binary', name, a: e.constant(s), b: e.input(0) }, [w], flat, [], 0, relativeOf(type));
    }
    release(device, x, w, y, flat);
  });
  test('select', () => {
    const values = edge[type];
    const x = put(device, dtype, [values.length], values);
    const y = empty(device, dtype, x.shape);
    check(e.select(e.input(0), 3, e.add(e.input(0), 7)), [x], y);
    check(e.select(e.lt(e.input(0), 2), e.input(0), e.scalar(0)), [x], y, [5]);
    release(device, x, y);
  });
});

test('erf and erfinv are accurate in double', () => {
  const values = Array.from({ length: 241 }, (_, i) => (i - 120) / 40);
  const x = put(device, 'float64', [241], values);
  const y = empty(device, 'float64', [241]);
  device.run(elementwiseKernel('erf', 1, e.erf(e.input(0))), [x], [y], [], []);
  // an independent value to 16 digits (Abramowitz and Stegun, table 7.1)
  expect(Math.abs((get(device, y)[160] as number) - 0.8427007929497149)).toBeLessThan(2e-16);
  expect(get(device, y)[122]).toBeCloseTo(0.0563719777970166, 15);
  device.run(elementwiseKernel('erfinv', 1, e.erfinv(e.input(0))), [y], [y], [], []);
  for (const [i, v] of get(device, y).entries())
    expect(Math.abs(v - (values[i] as number))).toBeLessThan(1e-11);
  release(device, x, y);
});

/** Values that a dtype holds, with NaN and ∞ among the floats. */
function valuesFor(dtype: DType, n: number, random: () => number): number[] {
  return Array.from({ length: n }, () => {
    const special = random();
    if (isFloat(dtype)) {
      if (special < 0.02) return Number.NaN;
      if (special < 0.04) return random() < 0.5 ? Infinity : -Infinity;
      const x = (random() - 0.5) * 8;
      return dtype === 'float64' ? x : convertTo(x, dtype, true);
    }
    return convertTo(Math.floor((random() - 0.4) * 300), dtype, false);
  });
}

const exact = ['add', 'sub', 'mul', 'max', 'min', 'lt', 'ge', 'eq', 'and'] as const;

function randomExpr(inputs: number, depth: number, random: () => number): Expr {
  const pick = random();
  if (depth === 0 || pick < 0.15) {
    const leaf = random();
    if (leaf < 0.7 && inputs > 0) return e.input(Math.floor(random() * inputs));
    return leaf < 0.8 ? e.scalar(0) : leaf < 0.9 ? e.constant(Math.floor(random() * 5) - 2) : e.index;
  }
  const go = (): Expr => randomExpr(inputs, depth - 1, random);
  if (pick < 0.3)
    return (['neg', 'abs', 'not', 'floor'] as const).map(
      (name) => ({ kind: 'unary', name, a: go() }) as const,
    )[Math.floor(random() * 4)] as Expr;
  if (pick < 0.4) return e.select(go(), go(), go());
  const name = exact[Math.floor(random() * exact.length)] as BinaryName;
  return { kind: 'binary', name, a: go(), b: go() };
}

function randomShapes(count: number, random: () => number): { out: number[]; inputs: number[][] } {
  const ndim = Math.floor(random() * 5);
  const out = Array.from({ length: ndim }, () => {
    const r = random();
    return r < 0.03
      ? 0
      : r < 0.2
        ? 1
        : r < 0.9
          ? 1 + Math.floor(random() * 6)
          : 30 + Math.floor(random() * 60);
  });
  const inputs = Array.from({ length: count }, () => {
    if (random() < 0.4) return [...out];
    const shape = out.map((d) => (random() < 0.3 ? 1 : d));
    return shape.slice(random() < 0.3 ? Math.floor(random() * (ndim + 1)) : 0);
  });
  return { out, inputs };
}

test('random expressions over random shapes, dtypes and broadcasts', () => {
  const random = randomStream(7);
  for (let round = 0; round < 400; round++) {
    const count = Math.floor(random() * 4);
    const { out, inputs } = randomShapes(count, random);
    const dtypeOf = (): DType => DTYPES[Math.floor(random() * DTYPES.length)] as DType;
    const common = dtypeOf();
    const operands = inputs.map((shape) => {
      const dtype = random() < 0.6 ? common : dtypeOf();
      return put(device, dtype, shape, valuesFor(dtype, sizeOf(shape), random));
    });
    const y = empty(device, random() < 0.6 ? common : dtypeOf(), out);
    const computeFrom = count === 0 || random() < 0.2 ? -1 : Math.floor(random() * count);
    // float to integer is exact by rule; the arithmetic used here is exact in double before the rounding
    check(randomExpr(count, 4, random), operands, y, [Math.floor(random() * 9) - 4], computeFrom, 0);
    release(device, y, ...operands);
  }
});

test('one kernel over shapes that change from call to call', () => {
  const random = randomStream(5);
  const shapes = [
    [[4, 3], [4, 3], [3]],
    [[4, 3], [4, 1], [3]],
    [[3, 4], [3, 4], [4]],
    [[4, 3], [4, 3], [3]],
    [[4, 3], [3], [4, 3]],
    [[12], [12], [1]],
    [
      [2, 2, 3],
      [2, 1, 3],
      [2, 3],
    ],
    [
      [4, 3],
      [4, 3],
      [4, 1],
    ],
  ] as const;
  for (const [to, ...from] of shapes) {
    const inputs = from.map((shape) =>
      put(device, 'float32', shape, valuesFor('float32', sizeOf(shape), random)),
    );
    const out = empty(device, 'float32', to);
    check(e.sub(e.input(0), e.input(1)), inputs, out);
    release(device, ...inputs, out);
  }
});

test('long arrays in blocks, with a converted and a repeated operand', () => {
  const random = randomStream(9);
  const n = 5003;
  const x = put(device, 'float32', [n], valuesFor('float32', n, random));
  const h = put(device, 'float16', [n], valuesFor('float16', n, random));
  const s = put(device, 'uint8', [1], [3]);
  const y = empty(device, 'float32', [n]);
  const expr = e.add(e.mul(e.input(0), e.input(1)), e.sub(e.index, e.mul(e.input(2), e.input(0))));
  check(expr, [x, h, s], y);
  const z = empty(device, 'float16', [n]);
  check(expr, [x, h, s], z);
  release(device, x, h, s, y, z);
});

test.each(DTYPES)('in place on %s', (dtype) => {
  const random = randomStream(11);
  for (const n of [1, 16, 3000]) {
    const values = valuesFor(dtype, n, random);
    const x = put(device, dtype, [n], values);
    const c = put(device, dtype, [1], valuesFor(dtype, 1, random));
    check(e.add(e.mul(e.input(0), e.input(0)), e.input(1)), [x, c], x);
    check(e.sub(e.input(1), e.input(0)), [c, x], x);
    release(device, x, c);
  }
});

test('an expression that is a leaf: copies, casts and fills', () => {
  for (const from of DTYPES)
    for (const to of DTYPES) {
      const values = isFloat(from)
        ? [...FLOATS, 300.7, -300.7, 70000, 3e9, 5e9, -3e9]
        : from === 'bool'
          ? [0, 1]
          : [0, 1, 2, 127, 128, 200, 255, -1, -128, 70000, -70000];
      const x = put(device, from, [values.length], values);
      const y = empty(device, to, x.shape);
      check(e.input(0), [x], y);
      release(device, x, y);
    }
  for (const dtype of DTYPES) {
    const y = empty(device, dtype, [1500]);
    check(e.scalar(0), [], y, [2.75]);
    check(e.constant(-1), [], y);
    check(e.mul(e.index, 2), [], y);
    release(device, y);
  }
});

test('a result written elsewhere does not disturb the next run', () => {
  const x = put(device, 'float32', [4], [1, 2, 3, 4]);
  const y = empty(device, 'float32', [4]);
  const h = empty(device, 'float16', [4]);
  const kernel = elementwiseKernel('twice', 1, e.add(e.input(0), e.input(0)));
  device.run(kernel, [x], [y], [], []);
  device.run(kernel, [x], [h], [], []);
  device.run(kernel, [h], [h], [], []);
  expect(get(device, y)).toEqual([2, 4, 6, 8]);
  expect(get(device, h)).toEqual([4, 8, 12, 16]);
  expect(computeTypeOf('float16')).toBe('f32');
  release(device, x, y, h);
});
