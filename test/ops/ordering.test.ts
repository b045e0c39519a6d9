// Sorting along each axis against NumPy's stable sort (test-data/numpy-ops.json), the k greatest, and running sums against plain loops.
import { describe, expect, test } from 'vitest';
import { type DType, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { differences, eachIndex, expectArray, integers, numbers, place } from '../values.ts';
import { NUMPY, numbersOf } from './vectors.ts';

const { shape, cases } = NUMPY.sorting;
const values = numbersOf(NUMPY.sorting.values);

/** What stands at the places that sorted an axis. */
function along(v: readonly number[], places: readonly number[], axis: number | null): number[] {
  if (axis === null) return places.map((p) => v[p] as number);
  const out: number[] = [];
  eachIndex(shape, (index, i) =>
    out.push(
      v[
        place(
          shape,
          index.map((c, a) => (a === axis ? (places[i] as number) : c)),
        )
      ] as number,
    ),
  );
  return out;
}

eachDevice((ctx) => {
  const x = (dtype: DType = 'float32'): NDArray => nd.array(values, { ctx, dtype, shape });

  describe('sort and argsort', () => {
    for (const { axis, rising, falling } of cases)
      for (const isAscend of [true, false])
        test(`axis ${axis}, ${isAscend ? 'rising' : 'falling'}: stable, NaN last when rising and first when falling`, async () => {
          const places = numbersOf(isAscend ? rising : falling);
          const to = axis === null ? [60] : shape;
          const indices = x().argsort(axis, { isAscend });
          expect(indices.dtype).toBe('float32');
          await expectArray(indices, to, places);
          await expectArray(x().sort(axis, { isAscend }), to, along(values, places, axis));
          await expectArray(x().sort({ axis, isAscend }), to, along(values, places, axis));
        });

    test('the last axis by default; indices of a dtype', async () => {
      const y = nd.array(
        [
          [3, 1, 2],
          [0, 5, -1],
        ],
        { ctx },
      );
      await expectArray(y.sort(), [2, 3], [1, 2, 3, -1, 0, 5]);
      await expectArray(y.sort({ isAscend: false }), [2, 3], [3, 2, 1, 5, 0, -1]);
      const places = y.argsort({ dtype: 'int32' });
      expect(places.dtype).toBe('int32');
      await expectArray(places, [2, 3], [1, 2, 0, 2, 0, 1]);
    });

    test('integers of every width, and their edges', async () => {
      const samples: readonly (readonly [DType, number[]])[] = [
        ['int32', [3, -2147483648, 2147483647, 16777217, 16777216, -1, 0]],
        ['uint32', [3, 4294967295, 0, 2147483648, 16777217, 16777216, 1]],
        ['int8', [3, -128, 127, 0, -1, 5, 5]],
        ['uint8', [3, 255, 128, 0, 127, 5, 5]],
        ['float64', [3, 1e300, -1e300, 0.1, 0.1, -0.5, 7]],
        ['float16', [3, 65504, -65504, 0.5, 0.25, -0.5, 7]],
      ];
      for (const [dtype, sample] of samples.filter(([d]) => holds(ctx, d))) {
        const y = nd.array(sample, { ctx, dtype });
        const expected = [...sample]
          .sort((a, b) => a - b)
          .map((v) => (dtype === 'float16' ? Math.fround(v) : v));
        expect(y.sort().dtype).toBe(dtype);
        expect(differences(await y.sort().data(), expected), dtype).toEqual([]);
        expect(differences(await y.sort({ isAscend: false }).data(), [...expected].reverse()), dtype).toEqual(
          [],
        );
      }
    });

    test('long rows, many rows, one element, none', async () => {
      const long = integers(5000, -1000, 1000, 3);
      await expectArray(
        nd.array(long, { ctx }).sort(),
        [5000],
        [...long].sort((a, b) => a - b),
      );
      const order = long.map((_, i) => i).sort((a, b) => (long[a] as number) - (long[b] as number) || a - b);
      await expectArray(nd.array(long, { ctx }).argsort(), [5000], order);
      const rows = numbers(300 * 7, -1, 1, 4);
      const expected = Array.from({ length: 300 }, (_, r) =>
        rows.slice(r * 7, r * 7 + 7).sort((a, b) => a - b),
      ).flat();
      await expectArray(nd.array(rows, { ctx, shape: [300, 7] }).sort(), [300, 7], expected);
      await expectArray(nd.array([4], { ctx }).sort(), [1], [4]);
      await expectArray(nd.zeros([0], { ctx }).sort(), [0], []);
      await expectArray(nd.zeros([2, 0], { ctx }).argsort(), [2, 0], []);
    });
  });

  describe('topk', () => {
    const rows = [
      [3, 1, 4, 1],
      [5, 9, 2, 6],
      [5, 3, 5, 8],
    ];
    const y = (): NDArray => nd.array(rows, { ctx });

    test('indices, values, both, mask', async () => {
      await expectArray(y().topk(), [3, 1], [2, 1, 3]);
      await expectArray(y().topk(2), [3, 2], [2, 0, 1, 3, 3, 0]);
      expect(y().topk(2).dtype).toBe('float32');
      await expectArray(y().topk(2, { retTyp: 'value' }), [3, 2], [4, 3, 9, 6, 8, 5]);
      await expectArray(y().topk({ k: 2, retTyp: 'value', isAscend: true }), [3, 2], [1, 1, 2, 5, 3, 5]);
      const [v, i] = y().topk(3, { retTyp: 'both', dtype: 'int32' });
      await expectArray(v, [3, 3], [4, 3, 1, 9, 6, 5, 8, 5, 5]);
      expect(i.dtype).toBe('int32');
      await expectArray(i, [3, 3], [2, 0, 1, 1, 3, 0, 3, 0, 2]);
      const mask = y().topk(2, { retTyp: 'mask' });
      expect(mask.dtype).toBe('float32');
      await expectArray(mask, [3, 4], [1, 0, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1]);
    });

    test('along another axis, and over all elements', async () => {
      await expectArray(y().topk(1, { axis: 0 }), [1, 4], [1, 1, 2, 2]);
      await expectArray(
        y().topk(2, { axis: 0, retTyp: 'value', isAscend: true }),
        [2, 4],
        [3, 1, 2, 1, 5, 3, 4, 6],
      );
      await expectArray(
        y().topk(1, { axis: 0, retTyp: 'mask' }),
        [3, 4],
        [0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1],
      );
      await expectArray(y().topk(3, { axis: null }), [3], [5, 11, 7]);
      await expectArray(
        y().topk(2, { axis: null, retTyp: 'mask' }),
        [3, 4],
        [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1],
      );
      // k 0 means all
      await expectArray(y().topk(0, { retTyp: 'value' }), [3, 4], [4, 3, 1, 1, 9, 6, 5, 2, 8, 5, 5, 3]);
      const whole = nd.array([7, 16777217, 16777216], { ctx, dtype: 'int32' }).topk(2, { retTyp: 'value' });
      expect(whole.dtype).toBe('int32');
      await expectArray(whole, [2], [16777217, 16777216]);
    });
  });

  describe('cumsum', () => {
    test('along each axis, exclusive, from the end', async () => {
      const s = [2, 3, 4];
      const v = integers(24, -9, 9, 2);
      const a = nd.array(v, { ctx, shape: s });
      for (const axis of [0, 1, 2, -1])
        for (const exclusive of [false, true])
          for (const reverse of [false, true]) {
            const at = (axis + 3) % 3;
            const expected: number[] = [];
            eachIndex(s, (index) => {
              let sum = 0;
              for (let k = 0; k < (s[at] as number); k++) {
                const c = index[at] as number;
                const inside = reverse ? (exclusive ? k > c : k >= c) : exclusive ? k < c : k <= c;
                if (inside)
                  sum += v[
                    place(
                      s,
                      index.map((j, i) => (i === at ? k : j)),
                    )
                  ] as number;
              }
              expected.push(sum);
            });
            await expectArray(a.cumsum(axis, { exclusive, reverse }), s, expected);
          }
      let total = 0;
      await expectArray(
        a.cumsum(),
        [24],
        v.map((n) => (total += n)),
      );
      await expectArray(
        a.cumsum({ axis: 1, reverse: true }).slice([0, 0, 0], [1, 1, 1]),
        [1, 1, 1],
        [(v[0] as number) + (v[4] as number) + (v[8] as number)],
      );
    });

    test('integers wrap in their dtype; long rows; none', async () => {
      await expectArray(nd.array([100, 100, 100], { ctx, dtype: 'int8' }).cumsum(0), [3], [100, -56, 44]);
      await expectArray(nd.array([200, 100, 1], { ctx, dtype: 'uint8' }).cumsum(0), [3], [200, 44, 45]);
      await expectArray(
        nd.array([2147483647, 1, 16777217], { ctx, dtype: 'int32' }).cumsum(0),
        [3],
        [2147483647, -2147483648, -2130706431],
      );
      const long = integers(10_000, 0, 9, 5);
      let sum = 0;
      await expectArray(
        nd.array(long, { ctx }).cumsum(0),
        [10_000],
        long.map((n) => (sum += n)),
      );
      await expectArray(nd.zeros([0], { ctx }).cumsum(0), [0], []);
      await expectArray(nd.zeros([2, 0], { ctx }).cumsum(1), [2, 0], []);
    });
  });
});
