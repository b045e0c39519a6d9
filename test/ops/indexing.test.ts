// Choosing and writing elements: `at` and `set` against NumPy (test-data/numpy-ops.json), the rest against plain loops.
import { describe, expect, test } from 'vitest';
import { type DType, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { eachIndex, expectArray, integers, numbers, place } from '../values.ts';
import { NUMPY, numbersOf } from './vectors.ts';

const WIDTHS: readonly DType[] = ['float32', 'uint8', 'float16', 'int32'];
const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

eachDevice((ctx) => {
  const range = (shape: readonly number[], dtype: DType = 'float32'): NDArray =>
    nd.arange(count(shape), { ctx, dtype }).reshape(shape);

  describe('at and set, as NumPy', () => {
    for (const { shape, index, at, set, fill } of NUMPY.indexing)
      test(`${JSON.stringify(index)} of ${JSON.stringify(shape)}`, async () => {
        const x = range(shape);
        const [to, values] = [at[0], numbersOf(at[1])];
        // indices for every axis leave one element, shape [1]
        const out = to.length === 0 ? [1] : to;
        await expectArray(x.at(...index), out, values);
        const written = x.copy();
        expect(written.set(index, nd.arange(100, 100 + values.length, 1, { ctx }).reshape(out))).toBe(
          written,
        );
        await expectArray(written, shape, numbersOf(set));
        await expectArray(x.copy().set(index, -7), shape, numbersOf(fill));
      });

    test('what can be written: numbers, booleans, nested arrays, typed arrays, arrays of another dtype', async () => {
      const x = nd.zeros([2, 3], { ctx });
      await expectArray(x.set([0], [1, 2, 3]), [2, 3], [1, 2, 3, 0, 0, 0]);
      await expectArray(x.set([':', 0], new Float64Array([7, 8])), [2, 3], [7, 2, 3, 8, 0, 0]);
      await expectArray(
        x.set([1, '1:'], nd.array([5, 6], { ctx, dtype: 'int32' })),
        [2, 3],
        [7, 2, 3, 8, 5, 6],
      );
      await expectArray(x.set([':', ':'], [[1], [2]]), [2, 3], [1, 1, 1, 2, 2, 2]);
      await expectArray(x.set('0:1', true), [2, 3], [1, 1, 1, 2, 2, 2]);
      await expectArray(x.set(1, 9), [2, 3], [1, 1, 1, 9, 9, 9]);
      // converted to the array's dtype
      const bytes = nd.zeros([3], { ctx, dtype: 'uint8' });
      await expectArray(bytes.set([':'], [257, 2.9, -1]), [3], [1, 2, 255]);
    });

    test('indices as arrays of the device', async () => {
      const x = range([3, 4]);
      for (const dtype of ['float32', 'int32', 'uint8'] as const) {
        const i = nd.array([2, 0], { ctx, dtype });
        await expectArray(x.at(i), [2, 4], [8, 9, 10, 11, 0, 1, 2, 3]);
        await expectArray(x.at(i, i), [2], [10, 0]);
        await expectArray(x.copy().set([i, 1], -1), [3, 4], [0, -1, 2, 3, 4, 5, 6, 7, 8, -1, 10, 11]);
      }
      await expectArray(x.at(nd.array([-1], { ctx, dtype: 'int32' })), [1, 4], [8, 9, 10, 11]);
    });

    test('packed dtypes: neighbours keep their values', async () => {
      for (const dtype of WIDTHS.filter((d) => holds(ctx, d))) {
        const x = range([3, 5], dtype);
        x.set(['1:', '1:3'], 99)
          .set([0, 4], 77)
          .set([[0, 2], 0], nd.array([50, 51], { ctx }));
        await expectArray(x, [3, 5], [50, 1, 2, 3, 77, 5, 99, 99, 8, 9, 51, 99, 99, 13, 14]);
        await expectArray(x.at('::2', '::-2'), [2, 3], [77, 2, 50, 14, 99, 51]);
      }
    });

    test('writing an array into itself reads it first', async () => {
      const x = range([6]);
      await expectArray(x.set(['1:'], x.at(':5')), [6], [0, 0, 1, 2, 3, 4]);
      const y = range([2, 3]);
      await expectArray(y.set([':', '::-1'], y), [2, 3], [2, 1, 0, 5, 4, 3]);
      const z = range([4]);
      await expectArray(z.set([[3, 2, 1, 0]], z), [4], [3, 2, 1, 0]);
    });

    test('through views', async () => {
      const x = nd.zeros([2, 2], { ctx });
      x.reshape([4]).set([3], 5);
      await expectArray(x, [2, 2], [0, 0, 0, 5]);
    });

    test('one element, and no elements', async () => {
      const one = nd.array([[3]], { ctx }).at(0, 0);
      expect([...one.shape]).toEqual([1]);
      await expectArray(nd.zeros([0, 2], { ctx }).at(':', 1), [0], []);
      await expectArray(nd.zeros([2, 0], { ctx }).set([':'], 1), [2, 0], []);
      await expectArray(range([3]).set(['1:1'], 9), [3], [0, 1, 2]);
    });
  });

  test('take clips or wraps, along any axis', async () => {
    const shape = [3, 4, 2];
    const x = range(shape);
    const indices = [0, 3, -1, 5, 2, -6];
    const resolve = {
      clip: (i: number, d: number) => Math.min(Math.max(i, 0), d - 1),
      wrap: (i: number, d: number) => ((i % d) + d) % d,
    };
    for (const axis of [0, 1, 2, -1])
      for (const mode of ['clip', 'wrap'] as const)
        for (const dtype of ['float32', 'int32', 'int8'] as const) {
          const at = (axis + 3) % 3;
          const out = [...shape.slice(0, at), 2, 3, ...shape.slice(at + 1)];
          const expected: number[] = [];
          eachIndex(out, (index) => {
            const i = indices[(index[at] as number) * 3 + (index[at + 1] as number)] as number;
            const from = [
              ...index.slice(0, at),
              resolve[mode](i, shape[at] as number),
              ...index.slice(at + 2),
            ];
            expected.push(place(shape, from));
          });
          const i = nd.array(indices, { ctx, dtype, shape: [2, 3] });
          await expectArray(x.take(i, { axis, mode }), out, expected);
        }
    await expectArray(x.take(nd.array([1], { ctx })), [1, 4, 2], [8, 9, 10, 11, 12, 13, 14, 15]);
    await expectArray(x.take(nd.array([], { ctx })), [0, 4, 2], []);
    await expectArray(range([4], 'uint8').take(nd.array([2, 2, 0], { ctx })), [3], [2, 2, 0]);
  });

  test('pick, batchTake and takeAlongAxis', async () => {
    const shape = [3, 4, 2];
    const x = range(shape);
    for (const axis of [0, 1, 2, -1])
      for (const keepdims of [false, true]) {
        const at = (axis + 3) % 3;
        const kept = shape.map((d, i) => (i === at ? 1 : d));
        const dropped = shape.filter((_, i) => i !== at);
        const indices = integers(count(kept), 0, (shape[at] as number) - 1, axis + 5);
        const expected: number[] = [];
        eachIndex(kept, (index, n) =>
          expected.push(
            place(
              shape,
              index.map((c, i) => (i === at ? (indices[n] as number) : c)),
            ),
          ),
        );
        const i = nd.array(indices, { ctx, shape: keepdims ? kept : dropped });
        await expectArray(x.pick(i, axis, { keepdims }), keepdims ? kept : dropped, expected);
      }
    const rows = range([2, 3]);
    await expectArray(rows.pick(nd.array([2, 0], { ctx })), [2], [2, 3]);
    await expectArray(rows.pick(nd.array([9, -4], { ctx })), [2], [2, 3]);
    await expectArray(rows.pick(nd.array([3, -1], { ctx }), { axis: 1, mode: 'wrap' }), [2], [0, 5]);
    await expectArray(rows.batchTake(nd.array([1, 1], { ctx, dtype: 'int32' })), [2], [1, 4]);
    await expectArray(
      rows.takeAlongAxis(
        nd.array(
          [
            [2, 2, 0, -1],
            [1, 0, 0, 0],
          ],
          { ctx },
        ),
      ),
      [2, 4],
      [2, 2, 0, 2, 4, 3, 3, 3],
    );
    await expectArray(rows.takeAlongAxis(nd.array([[1, 0, 1]], { ctx }), 0), [1, 3], [3, 1, 5]);
  });

  test('oneHot and embedding', async () => {
    const i = nd.array([1, 0, 5, -1, 2], { ctx });
    await expectArray(i.oneHot(3), [5, 3], [0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    const bytes = nd.oneHot(i.reshape([5, 1]), 2, { onValue: 7, offValue: 2, dtype: 'uint8' });
    expect(bytes.dtype).toBe('uint8');
    await expectArray(bytes, [5, 1, 2], [2, 7, 7, 2, 2, 2, 2, 2, 2, 2]);
    await expectArray(
      nd.oneHot(nd.array([3, 1], { ctx, dtype: 'int32' }), { depth: 4 }),
      [2, 4],
      [0, 0, 0, 1, 0, 1, 0, 0],
    );
    const weight = range([3, 2]);
    await expectArray(
      nd.embedding(
        nd.array(
          [
            [2, 0],
            [7, -1],
          ],
          { ctx },
        ),
        weight,
      ),
      [2, 2, 2],
      [4, 5, 0, 1, 4, 5, 0, 1],
    );
  });

  test('gatherNd and scatterNd', async () => {
    const x = range([2, 3, 2]);
    await expectArray(
      x.gatherNd(
        nd.array(
          [
            [0, 1, -1],
            [2, 0, -3],
          ],
          { ctx },
        ),
      ),
      [3, 2],
      [4, 5, 6, 7, 6, 7],
    );
    await expectArray(x.gatherNd(nd.array([[1], [1], [1]], { ctx })), [1], [9]);
    await expectArray(
      x.gatherNd(nd.array([[[1, 0]]], { ctx, dtype: 'int32' })),
      [1, 2, 3, 2],
      [6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5],
    );
    const places = nd.array(
      [
        [1, 0, 1],
        [0, 2, 0],
      ],
      { ctx },
    );
    // of places named twice the last stays
    await expectArray(nd.scatterNd(nd.array([5, 6, 7], { ctx }), places, [2, 3]), [2, 3], [0, 0, 6, 7, 0, 0]);
    const rows = nd.scatterNd(
      nd.array(
        [
          [1, 2],
          [3, 4],
        ],
        { ctx, dtype: 'uint8' },
      ),
      nd.array([[2, 0]], { ctx }),
      { shape: [3, 2] },
    );
    expect(rows.dtype).toBe('uint8');
    await expectArray(rows, [3, 2], [3, 4, 0, 0, 1, 2]);
  });

  test('where broadcasts all three, takes numbers, chooses rows by a vector', async () => {
    const c = nd.array([[1], [0]], { ctx });
    const [a, b] = [nd.array([1, 2, 3], { ctx }), nd.array([[10], [20]], { ctx })];
    await expectArray(nd.where(c, a, b), [2, 3], [1, 2, 3, 20, 20, 20]);
    await expectArray(nd.where(c, a, -1), [2, 3], [1, 2, 3, -1, -1, -1]);
    await expectArray(nd.where(c, -1, a), [2, 3], [-1, -1, -1, 1, 2, 3]);
    const two = nd.where(c, 5, 6);
    expect(two.dtype).toBe('float32');
    await expectArray(two, [2, 1], [5, 6]);
    const m = range([2, 2]);
    await expectArray(nd.where(nd.array([0, 1], { ctx }), m, m.add(10)), [2, 2], [10, 11, 2, 3]);
    const whole = nd.where(
      nd.array([true, false], { ctx, dtype: 'bool' }),
      nd.array([1, 2], { ctx, dtype: 'int32' }),
      16777217,
    );
    expect(whole.dtype).toBe('int32');
    await expectArray(whole, [2], [1, 16777217]);
    await expectArray(nd.where(nd.array([NaN, 0, -0, 2], { ctx }), 1, 0), [4], [1, 0, 0, 1]);
    await expectArray(nd.where(nd.zeros([0], { ctx }), 1, 0), [0], []);
    // a condition of another dtype and NaN on the side that is not chosen
    await expectArray(
      nd.where(nd.array([0, 1], { ctx, dtype: 'uint8' }), nd.array([NaN, 2], { ctx }), 3),
      [2],
      [3, 2],
    );
  });

  test('clip', async () => {
    const x = nd.array([-2, -0.5, 0.5, 9, NaN, Infinity, -Infinity], { ctx });
    await expectArray(x.clip(-1, 2), [7], [-1, -0.5, 0.5, 2, NaN, 2, -1]);
    await expectArray(nd.clip(x, { min: 0, max: 1 }), [7], [0, 0, 0.5, 1, NaN, 1, 0]);
    await expectArray(nd.array([-100, 100], { ctx, dtype: 'int8' }).clip(-10, 50), [2], [-10, 50]);
    await expectArray(nd.array([3, 200], { ctx, dtype: 'uint8' }).clip(5, 100), [2], [5, 100]);
  });

  test('large gathers', async () => {
    const [rows, width] = [500, 33];
    const v = numbers(rows * width, -1, 1, 6);
    const places = integers(2000, 0, rows - 1, 7);
    const expected = places.flatMap((r) => v.slice(r * width, (r + 1) * width));
    await expectArray(
      nd.array(v, { ctx, shape: [rows, width] }).take(nd.array(places, { ctx })),
      [2000, width],
      expected,
    );
  });
});
