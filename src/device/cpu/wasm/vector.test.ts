// The compiled loops against the loops in JavaScript, which have tests of their own: bit for bit where both round once, within the stated accuracy for functions,
// with NaN, infinities, zeros of both signs and numbers below the normal range, at every length and stride.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../../core/dtype.ts';
import type { BinaryName, UnaryName } from '../../../ir/expr.ts';
import { e } from '../../../ir/expr.ts';
import { customKernel, elementwiseKernel, rowKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { Heap } from '../heap.ts';
import { FLOATS as plain } from '../loops/floats.ts';
import { erf } from '../scalarMath.ts';
import { empty, get, put, randomStream, SIMD_FORMS } from '../testReference.ts';
import { vectorLoops } from './loops.ts';

const heap = new Heap('plain');
const { vector } = heap.kernels;
const { exact, fast } = vectorLoops(vector);
const f32 = heap.f32;
const random = randomStream(5);

const SPECIAL = [
  Number.NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1,
  -1,
  1e-45,
  -1e-45,
  1.1754942e-38,
  3.4e38,
  -3.4e38,
  0.5,
  2.5,
  -2.5,
  8388609,
];

/** Bits of float32, all NaNs alike. */
function bits(from: number, n: number): number[] {
  return Array.from(f32.subarray(from, from + n), (x, i) =>
    Number.isNaN(x) ? Number.NaN : (heap.u32[from + i] as number),
  );
}

const A = 4096;
const B = 8192;
const C = 12288;
const WANT = 16384;
const GOT = 20480;

function fill(at: number, n: number): void {
  for (let i = 0; i < n; i++)
    f32[at + i] =
      random() < 0.4 ? (SPECIAL[Math.floor(random() * SPECIAL.length)] as number) : (random() - 0.5) * 8;
}

const LENGTHS = [0, 1, 2, 3, 4, 5, 15, 16, 17, 18, 19, 31, 64, 70, 1023];

describe('primitives', () => {
  const unaries: readonly UnaryName[] = [
    'neg',
    'abs',
    'sqrt',
    'floor',
    'ceil',
    'trunc',
    'rint',
    'not',
    'sign',
  ];
  test.each(unaries)('%s', (name) => {
    for (const n of LENGTHS)
      for (const sa of [0, 1, 2]) {
        fill(A, 2100);
        f32.fill(77, WANT, WANT + 1100);
        f32.fill(77, GOT, GOT + 1100);
        plain.unary[name](f32, n, WANT, A, sa, 0, 0, 0, 0);
        exact.unary[name](f32, n, GOT, A, sa, 0, 0, 0, 0);
        expect(bits(GOT, n + 8)).toEqual(bits(WANT, n + 8));
      }
  });
  const binaries: readonly BinaryName[] = [
    'add',
    'sub',
    'mul',
    'div',
    'max',
    'min',
    'eq',
    'ne',
    'lt',
    'le',
    'gt',
    'ge',
    'pow',
  ];
  test.each(binaries)('%s', (name) => {
    for (const n of LENGTHS)
      for (const sa of [0, 1, 2])
        for (const sb of [0, 1]) {
          fill(A, 2100);
          fill(B, 1100);
          f32.fill(77, WANT, WANT + 1100);
          f32.fill(77, GOT, GOT + 1100);
          plain.binary[name](f32, n, WANT, A, sa, B, sb, 0, 0);
          exact.binary[name](f32, n, GOT, A, sa, B, sb, 0, 0);
          expect(bits(GOT, n + 8)).toEqual(bits(WANT, n + 8));
        }
  });
  test('select', () => {
    for (const n of LENGTHS)
      for (let strides = 0; strides < 8; strides++) {
        const [sa, sb, sc] = [strides & 1, (strides >> 1) & 1, strides >> 2];
        fill(A, 1100);
        fill(B, 1100);
        fill(C, 1100);
        f32.fill(77, WANT, WANT + 1100);
        f32.fill(77, GOT, GOT + 1100);
        plain.select(f32, n, WANT, A, sa, B, sb, C, sc);
        exact.select(f32, n, GOT, A, sa, B, sb, C, sc);
        expect(bits(GOT, n + 8)).toEqual(bits(WANT, n + 8));
      }
  });
  test('in place', () => {
    fill(A, 100);
    plain.binary.sub(f32, 100, WANT, A, 1, A + 200, 1, 0, 0);
    exact.binary.sub(f32, 100, A, A, 1, A + 200, 1, 0, 0);
    expect(bits(A, 100)).toEqual(bits(WANT, 100));
  });
});

/** How many steps of float32 lie between `x` and the number `want` (in double). */
function ulps(x: number, want: number): number {
  const nearest = Math.fround(want);
  if (Number.isNaN(want) || Number.isNaN(x)) return Number.isNaN(want) && Number.isNaN(x) ? 0 : Infinity;
  if (!Number.isFinite(nearest) || !Number.isFinite(x)) return nearest === x ? 0 : Infinity;
  const step = Math.max(2 ** (Math.floor(Math.log2(Math.abs(nearest))) - 23), 2 ** -149);
  return Math.abs(x - want) / (nearest === 0 ? 2 ** -149 : step);
}

// Every exponent and both signs: 997 and the number of patterns have no factor in common, and a run of 2²³ of them meets each exponent.
describe.each(SIMD_FORMS)('functions over all of float32, every 997th number: %s', (simd) => {
  const heap = new Heap(simd);
  const { f32 } = heap;
  const { fast } = vectorLoops(heap.kernels.vector);
  test.each([
    ['exp', Math.exp, 2],
    ['log', Math.log, 2],
    ['tanh', Math.tanh, 3],
    ['erf', erf, 3],
  ] as const)('%s', (name, want, most) => {
    const BLOCK = 4000;
    let worst = 0;
    let where = 0;
    for (let pattern = 0; pattern < 2 ** 32; pattern += 997 * BLOCK) {
      for (let i = 0; i < BLOCK; i++) heap.u32[A + i] = (pattern + i * 997) % 2 ** 32;
      fast.unary[name](f32, BLOCK, GOT, A, 1, 0, 0, 0, 0);
      for (let i = 0; i < BLOCK; i++) {
        const error = ulps(f32[GOT + i] as number, want(f32[A + i] as number));
        if (error > worst) {
          worst = error;
          where = f32[A + i] as number;
        }
      }
    }
    expect(worst, `at ${where}`).toBeLessThanOrEqual(most);
    expect(worst).toBeGreaterThan(0.5);
  });
});

describe('functions', () => {
  test('exp by way of doubles is the nearest number but for one in ten thousand', () => {
    const BLOCK = 4000;
    let others = 0;
    let worst = 0;
    for (let start = -104; start < 89; start++) {
      for (let i = 0; i < BLOCK; i++) f32[A + i] = start + random();
      exact.unary.exp(f32, BLOCK, GOT, A, 1, 0, 0, 0, 0);
      for (let i = 0; i < BLOCK; i++) {
        const want = Math.exp(f32[A + i] as number);
        if (f32[GOT + i] !== Math.fround(want)) others++;
        worst = Math.max(worst, ulps(f32[GOT + i] as number, want));
      }
    }
    expect(others / (193 * BLOCK)).toBeLessThan(1e-4);
    expect(worst).toBeLessThan(0.5001);
  });

  // where the ways of computing meet, whatever stands beside a number and wherever in the run
  test('a number gives the same wherever it stands', () => {
    const edges = [
      87, 88.3, 88.72284, 89, -87, -87.33655, -103.97, -104.5, 0.625, 0.921875, 4, 10, 1e-45, 3e38, 1,
    ];
    const inputs = edges.flatMap((x) => [
      x,
      -x,
      x * (1 + 2 ** -23),
      x * (1 - 2 ** -23),
      Number.NaN,
      Infinity,
    ]);
    for (const name of ['exp', 'log', 'tanh', 'erf'] as const) {
      f32.set(inputs, A);
      fast.unary[name](f32, inputs.length, GOT, A, 1, 0, 0, 0, 0);
      const together = bits(GOT, inputs.length);
      const alone = inputs.map((_, i) => {
        fast.unary[name](f32, 1, GOT, A + i, 1, 0, 0, 0, 0);
        return bits(GOT, 1)[0];
      });
      expect(together).toEqual(alone);
    }
  });

  test('special values', () => {
    const inputs = [Number.NaN, Infinity, -Infinity, 0, -0, -1, 89, -103, 88.7, 1];
    f32.set(inputs, A);
    const of = (name: 'exp' | 'log' | 'tanh' | 'erf', table = fast): number[] => {
      table.unary[name](f32, inputs.length, GOT, A, 1, 0, 0, 0, 0);
      return Array.from(f32.subarray(GOT, GOT + 8));
    };
    for (const table of [fast, exact])
      expect(of('exp', table)).toEqual([
        Number.NaN,
        Infinity,
        0,
        1,
        1,
        Math.fround(Math.exp(-1)),
        Infinity,
        Math.fround(1e-45),
      ]);
    expect(of('log').slice(0, 6)).toEqual([
      Number.NaN,
      Infinity,
      Number.NaN,
      -Infinity,
      -Infinity,
      Number.NaN,
    ]);
    expect(of('tanh').slice(0, 5)).toEqual([Number.NaN, 1, -1, 0, -0]);
    expect(of('erf').slice(0, 5)).toEqual([Number.NaN, 1, -1, 0, -0]);
  });
});

describe('NaN and infinities through folds', () => {
  // zeros of both signs too: +0 is the greater one
  test.each(['max', 'min'] as const)('%s', (combine) => {
    const { greatest, least } = vector;
    const fold = combine === 'max' ? greatest : least;
    const pick = combine === 'max' ? Math.max : Math.min;
    for (const n of [1, 7, 8, 9, 16, 33, 100])
      for (let trial = 0; trial < 200; trial++) {
        const pool = [0, -0, -1, 1, Infinity, -Infinity, trial % 4 === 0 ? Number.NaN : 2];
        for (let i = 0; i < n; i++)
          f32[A + i] =
            trial % 3 === 0 ? (random() < 0.5 ? 0 : -0) : (pool[Math.floor(random() * 7)] as number);
        const values = Array.from(f32.subarray(A, A + n));
        for (const acc of [combine === 'max' ? -Infinity : Infinity, Number.NaN, 0, -0])
          expect(fold(n, A * 4, acc)).toBe(values.reduce((x, y) => pick(x, y), acc));
      }
  });
});

// float64 is JavaScript's, and all numbers below are such that a double rounds to the result
describe('folds and pooling, compiled and not', () => {
  const device = new CpuDevice({ simd: 'plain' });

  function both(run: (dtype: DType) => number[]): void {
    expect(run('float32')).toEqual(run('float64').map(Math.fround));
  }

  test.each(['sum', 'max', 'min'] as const)('%s', (combine) => {
    const kernel = rowKernel('r', 1, [{ combine, load: e.input(0) }], e.stage(0), false);
    for (const [outer, length, inner] of [
      [3, 5, 1],
      [2, 100, 1],
      [1, 3001, 1],
      [3, 7, 40],
      [40, 9, 1],
      [2, 70, 3],
    ] as const) {
      const n = outer * length * inner;
      for (const special of [false, true]) {
        // whole numbers: every order of adding them gives the same
        const values = Array.from({ length: n }, () => Math.floor(random() * 2000) - 1000);
        if (special) values[Math.floor(n / 2)] = Number.NaN;
        both((dtype) => {
          const x = put(device, dtype, [n], values);
          const y = empty(device, dtype, [outer * inner]);
          device.run(kernel, [x], [y], [outer, length, inner, length * inner, inner, 1], []);
          return get(device, y);
        });
      }
    }
  });

  test('pooling and its gradients', () => {
    for (const [planes, iH, iW, k, s, p, over] of [
      [3, 8, 8, 2, 2, 0, 0],
      [2, 24, 24, 2, 2, 0, 0],
      [2, 11, 23, 2, 2, 0, 0],
      [2, 11, 23, 2, 2, 0, 1],
      [2, 11, 23, 2, 2, 1, 0],
      [2, 9, 10, 3, 2, 0, 0],
      [1, 7, 9, 3, 1, 0, 0],
      [2, 12, 17, 2, 3, 0, 1],
      [2, 15, 22, 3, 2, 1, 0],
      [1, 14, 14, 3, 2, 1, 1],
      [1, 9, 17, 5, 1, 2, 0],
      [1, 3, 4, 2, 1, 3, 0],
      [3, 7, 7, 7, 1, 0, 0],
      [2, 5, 3, 3, 1, 1, 0],
      [3, 6, 5, 4, 3, 1, 0],
      [2, 20, 21, 4, 4, 2, 0],
      // rows beyond the working memory of a thread
      [1, 2, 40_001, 3, 2, 1, 0],
    ] as const) {
      const oH = Math.floor((iH + 2 * p - k) / s) + 1 + over;
      const oW = Math.floor((iW + 2 * p - k) / s) + 1 + over;
      // few values, so that windows have several greatest elements
      const values = Array.from({ length: planes * iH * iW }, () =>
        random() < 0.05 ? Number.NaN : random() < 0.05 ? -Infinity : Math.floor(random() * 4),
      );
      // multiples of all that an average is divided by, so that every sum is exact
      const unit = { 2: 4, 3: 36, 4: 144, 5: 3600, 7: 49 }[k];
      const above = Array.from({ length: planes * oH * oW }, () => Math.floor(random() * 100) * unit);
      for (const padded of [0, 1]) {
        const dims = [planes, 1, iH, iW, 1, oH, oW, 1, k, k, 1, s, s, 0, p, p, padded];
        for (const name of ['poolMax', 'poolSum', 'poolAvg'] as const)
          both((dtype) => {
            const x = put(device, dtype, [values.length], values);
            const y = empty(device, dtype, [above.length]);
            device.run(customKernel(name), [x], [y], dims, []);
            return get(device, y);
          });
        for (const name of ['poolMaxGrad', 'poolSumGrad', 'poolAvgGrad'] as const)
          both((dtype) => {
            const x = put(device, dtype, [values.length], values);
            const g = put(device, dtype, [above.length], above);
            const dx = empty(device, dtype, [values.length]);
            device.run(customKernel(name), name === 'poolMaxGrad' ? [x, g] : [g], [dx], dims, []);
            return get(device, dx);
          });
      }
    }
  });

  test('transposition', () => {
    for (const [a, b, c] of [
      [5, 9, 1],
      [1, 33, 70],
      [3, 17, 20],
      [4, 4, 4],
      [2, 130, 6],
    ] as const)
      both((dtype) => {
        const n = a * b * c;
        const x = put(
          device,
          dtype,
          [n],
          Array.from({ length: n }, (_, i) => i),
        );
        const y = empty(device, dtype, [n]);
        device.run(customKernel('stridedCopy'), [x], [y], [3, 0, 0, a, c, b, b * c, 1, c, b * c, b, 1], []);
        return get(device, y);
      });
  });

  test('whether functions are compiled does not depend on how a run is cut', () => {
    // 1500 elements: one block of 1024 and a rest, in one step and in two
    const values = Array.from({ length: 1500 }, () => (random() - 0.5) * 8);
    const x = put(device, 'float32', [1500], values);
    const y = empty(device, 'float32', [1500]);
    const z = empty(device, 'float32', [1500]);
    device.run(elementwiseKernel('exp', 1, e.exp(e.input(0))), [x], [y], [], []);
    device.run(elementwiseKernel('exp', 1, e.mul(e.exp(e.input(0)), 1)), [x], [z], [], []);
    expect(get(device, z)).toEqual(get(device, y));
  });
});
