// Reductions against plain loops in float64: every choice of axes, keepdims, exclude, every dtype, no elements, NaN and ties.
import { describe, expect, test } from 'vitest';
import { type DType, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import {
  differences,
  EXACT,
  eachIndex,
  expectArray,
  integers,
  numbers,
  place,
  type Tolerance,
} from '../values.ts';

type Fold = (row: readonly number[]) => number;
const total: Fold = (row) => row.reduce((a, b) => a + b, 0);

/** Folds the elements along `axes`; all axes gone leave `[1]`. */
function reduce(
  values: readonly number[],
  shape: readonly number[],
  axes: readonly number[],
  keepdims: boolean,
  fold: Fold,
) {
  const kept = shape.map((d, i) => (axes.includes(i) ? 1 : d));
  const rows: number[][] = Array.from({ length: kept.reduce((n, d) => n * d, 1) }, () => []);
  eachIndex(shape, (index, i) => {
    rows[
      place(
        kept,
        index.map((c, a) => (axes.includes(a) ? 0 : c)),
      )
    ]?.push(values[i] as number);
  });
  const left = kept.filter((_, i) => !axes.includes(i));
  return { shape: keepdims ? kept : left.length === 0 ? [1] : left, values: rows.map(fold) };
}

const FLOATS = { rtol: 1e-6, atol: 1e-6 };
type Reduction = (x: NDArray, axis?: never, options?: never) => NDArray;
const REDUCTIONS: readonly (readonly [string, Reduction, Fold])[] = [
  ['sum', nd.sum, total],
  ['mean', nd.mean, (row) => total(row) / row.length],
  ['prod', nd.prod, (row) => row.reduce((a, b) => a * b, 1)],
  ['max', nd.max, (row) => row.reduce((a, b) => Math.max(a, b), -Infinity)],
  ['min', nd.min, (row) => row.reduce((a, b) => Math.min(a, b), Infinity)],
  ['nansum', nd.nansum, (row) => total(row.filter((v) => !Number.isNaN(v)))],
  ['nanprod', nd.nanprod, (row) => row.filter((v) => !Number.isNaN(v)).reduce((a, b) => a * b, 1)],
  ['norm', nd.norm, (row) => Math.sqrt(total(row.map((v) => v * v)))],
];

const SHAPE = [2, 3, 4, 3];
const SUBSETS = Array.from({ length: 16 }, (_, bits) => [0, 1, 2, 3].filter((a) => bits & (1 << a)));

eachDevice((ctx) => {
  const values = numbers(72, -1.3, 1.6, 5);
  const x = (): NDArray => nd.array(Float32Array.from(values), { ctx, shape: SHAPE });

  for (const [name, f, fold] of REDUCTIONS)
    test(`${name} along every choice of axes of four`, async () => {
      const a = x();
      const call = f as (x: NDArray, axis?: unknown, options?: unknown) => NDArray;
      for (const axes of SUBSETS.slice(1)) {
        for (const keepdims of [false, true]) {
          const expected = reduce(values, SHAPE, axes, keepdims, fold);
          // as given, and from the back in another order
          const given = keepdims ? axes : axes.map((i) => i - 4).reverse();
          await expectArray(call(a, given, { keepdims }), expected.shape, expected.values, FLOATS);
        }
        if (name === 'norm') continue;
        const others = [0, 1, 2, 3].filter((i) => !axes.includes(i));
        const expected = reduce(values, SHAPE, others, false, fold);
        await expectArray(call(a, axes, { exclude: true }), expected.shape, expected.values, FLOATS);
      }
      const whole = reduce(values, SHAPE, [0, 1, 2, 3], false, fold);
      await expectArray(call(a), [1], whole.values, FLOATS);
      await expectArray(call(a, null), [1], whole.values, FLOATS);
      await expectArray(call(a, { keepdims: true }), [1, 1, 1, 1], whole.values, FLOATS);
      await expectArray(call(a, -1), [2, 3, 4], reduce(values, SHAPE, [3], false, fold).values, FLOATS);
      await expectArray(
        call(a, { axis: [0, 2] }),
        [3, 3],
        reduce(values, SHAPE, [0, 2], false, fold).values,
        FLOATS,
      );
    });

  test('norm of order 1', async () => {
    const expected = reduce(values, SHAPE, [1, 2], true, (row) => total(row.map(Math.abs)));
    await expectArray(
      x().norm({ ord: 1, axis: [1, 2], keepdims: true }),
      expected.shape,
      expected.values,
      FLOATS,
    );
  });

  test('as methods, and sumAxis', async () => {
    const a = nd.array(
      [
        [1, 2],
        [3, 4],
      ],
      { ctx },
    );
    const results: readonly (readonly [NDArray, number[]])[] = [
      [a.sum(0), [4, 6]],
      [a.sumAxis(1), [3, 7]],
      [a.mean(1), [1.5, 3.5]],
      [a.prod(0), [3, 8]],
      [a.max(1), [2, 4]],
      [a.min(0), [1, 2]],
      [a.sum(), [10]],
      [nd.array([3, 4], { ctx }).norm(), [5]],
    ];
    for (const [y, expected] of results) expect(differences(await y.data(), expected, FLOATS)).toEqual([]);
  });

  test('integers: exact, wrapping, their own dtype; bool counts as int32', async () => {
    const samples: readonly (readonly [DType, number[]])[] = [
      ['int32', [2147483647, 1, -5, 16777217, 3, -3]],
      ['uint32', [4294967295, 2, 7, 16777217, 3, 0]],
      ['int8', [127, 1, -128, -1, 5, 6]],
      ['uint8', [255, 1, 200, 100, 5, 6]],
    ];
    const wrap: Partial<Record<DType, (v: number) => number>> = {
      int32: (v) => v | 0,
      uint32: (v) => v >>> 0,
      int8: (v) => (v << 24) >> 24,
      uint8: (v) => v & 255,
    };
    for (const [dtype, sample] of samples) {
      const a = nd.array(sample, { ctx, dtype }).reshape([3, 2]);
      const w = wrap[dtype] as (v: number) => number;
      const big: Fold = (row) =>
        Number(
          BigInt.asIntN(
            32,
            row.reduce((p, v) => p * BigInt(v), 1n),
          ),
        );
      for (const [y, fold] of [
        [a.sum(1), total],
        [a.max(1), (row: readonly number[]) => Math.max(...row)],
        [a.min(1), (row: readonly number[]) => Math.min(...row)],
        [a.prod(1), big],
      ] as const) {
        expect(y.dtype).toBe(dtype);
        await expectArray(y, [3], reduce(sample, [3, 2], [1], false, (row) => w(fold(row))).values);
      }
    }
    const mean = nd.array([1, 2, 4, -7], { ctx, dtype: 'int32' }).reshape([2, 2]).mean(1);
    expect(mean.dtype).toBe('int32');
    await expectArray(mean, [2], [1, -1]);
    const flags = nd.array(
      [
        [true, true, false],
        [true, true, true],
      ],
      { ctx, dtype: 'bool' },
    );
    expect(flags.sum().dtype).toBe('int32');
    await expectArray(flags.sum(), [1], [5]);
    await expectArray(flags.min(1), [2], [0, 1]);
    await expectArray(flags.max(0), [3], [1, 1, 1]);
  });

  test('axes without elements', async () => {
    const a = nd.zeros([2, 0, 3], { ctx });
    const six = (v: number): number[] => Array<number>(6).fill(v);
    await expectArray(a.sum(1), [2, 3], six(0));
    await expectArray(a.prod(1), [2, 3], six(1));
    await expectArray(a.max(1), [2, 3], six(-Infinity));
    await expectArray(a.min(1, { keepdims: true }), [2, 1, 3], six(Infinity));
    await expectArray(a.mean(1), [2, 3], six(NaN));
    await expectArray(a.sum(), [1], [0]);
    await expectArray(a.sum(0), [0, 3], []);
    await expectArray(a.sum([1, 2]), [2], [0, 0]);
    await expectArray(nd.ones([], { ctx }).sum(), [1], [1]);
  });

  test('NaN goes through sums and extremes, ∞ stays', async () => {
    const a = nd.array(
      [
        [1, NaN, 3],
        [Infinity, 2, 1],
        [-Infinity, Infinity, 0],
      ],
      { ctx },
    );
    await expectArray(a.sum(1), [3], [NaN, Infinity, NaN]);
    await expectArray(a.max(1), [3], [NaN, Infinity, Infinity]);
    await expectArray(a.min(1), [3], [NaN, 1, -Infinity]);
    await expectArray(a.nansum(1), [3], [4, Infinity, NaN]);
    await expectArray(a.nanprod(1), [3], [3, Infinity, NaN]);
    await expectArray(nd.array([NaN, NaN], { ctx }).max(), [1], [NaN]);
  });

  test('long sums keep their digits', async () => {
    // a running float32 sum of a million tenths is off by 1 in 10^3; in pairs, by a few units
    const n = 1_000_000;
    const tenth = Math.fround(0.1);
    await expectArray(nd.full([n], 0.1, { ctx }).sum(), [1], [n * tenth], { rtol: 1e-6, atol: 0 });
    await expectArray(nd.full([1000, 1000], 0.1, { ctx }).mean(0), [1000], Array(1000).fill(tenth), {
      rtol: 1e-6,
      atol: 0,
    });
    const long = numbers(70_001, -1, 1, 8);
    await expectArray(nd.array(long, { ctx }).sum(), [1], [total(long)], { rtol: 1e-6, atol: 1e-4 });
    await expectArray(nd.array(long, { ctx }).max(), [1], [long.reduce((a, b) => Math.max(a, b))]);
  });

  describe('where the extreme is', () => {
    const arg = (row: readonly number[], better: (a: number, b: number) => boolean): number => {
      let best = 0;
      for (let i = 1; i < row.length; i++) {
        const [now, then] = [row[i] as number, row[best] as number];
        if (!Number.isNaN(then) && (Number.isNaN(now) || better(now, then))) best = i;
      }
      return best;
    };
    const cases: readonly (readonly [string, typeof nd.argmax, Fold])[] = [
      ['argmax', nd.argmax, (row) => arg(row, (a, b) => a > b)],
      ['argmin', nd.argmin, (row) => arg(row, (a, b) => a < b)],
    ];
    for (const [name, f, fold] of cases)
      test(`${name}: the first of equals, NaN counts as extreme, float32`, async () => {
        const tied = integers(60, 0, 3, 11);
        for (const v of [tied, tied.map((t, i) => (i % 13 === 7 ? NaN : t))]) {
          const a = nd.array(v, { ctx }).reshape([3, 4, 5]);
          for (const axis of [0, 1, 2, -1])
            for (const keepdims of [false, true]) {
              const expected = reduce(v, [3, 4, 5], [(axis + 3) % 3], keepdims, fold);
              const y = f(a, axis, { keepdims });
              expect(y.dtype).toBe('float32');
              await expectArray(y, expected.shape, expected.values);
            }
          await expectArray(f(a), [1], [fold(v)]);
          await expectArray(f(a, null, { keepdims: true }), [1, 1, 1], [fold(v)]);
        }
        const whole = nd.array([3, -7, 9, -7, 9], { ctx, dtype: 'int32' });
        const y = f(whole, 0);
        expect(y.dtype).toBe('float32');
        await expectArray(y, [1], [name === 'argmax' ? 2 : 1]);
        await expectArray(f(nd.array([-Infinity, -Infinity], { ctx }), 0), [1], [0]);
      });

    test('argmaxChannel is along axis 1', async () => {
      await expectArray(
        nd.argmaxChannel(
          nd.array(
            [
              [1, 5, 2],
              [7, 0, 7],
            ],
            { ctx },
          ),
        ),
        [2],
        [1, 0],
      );
    });
  });

  test('float64 and float16', async () => {
    const tolerances: readonly (readonly [DType, Tolerance])[] = [
      ['float64', { rtol: 1e-14, atol: 1e-14 }],
      ['float16', { rtol: 2 ** -10, atol: 1e-3 }],
    ];
    for (const [dtype, tolerance] of tolerances) {
      if (!holds(ctx, dtype)) continue;
      // sixteenths, which a float16 holds
      const v = integers(24, -16, 16, 4).map((n) => n / 16);
      const a = nd.array(v, { ctx, dtype }).reshape([2, 3, 4]);
      for (const [name, f, fold] of REDUCTIONS) {
        const y = (f as (x: NDArray, axis: unknown) => NDArray)(a, [0, 2]);
        expect(y.dtype, name).toBe(dtype);
        await expectArray(y, [3], reduce(v, [2, 3, 4], [0, 2], false, fold).values, tolerance);
      }
      await expectArray(
        a.argmax(2),
        [2, 3],
        reduce(v, [2, 3, 4], [2], false, (r) => r.indexOf(Math.max(...r))).values,
        EXACT,
      );
    }
  });
});
