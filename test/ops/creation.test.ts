// Arrays made from nothing and from what users have, in every dtype the device holds.
import { describe, expect, test } from 'vitest';
import { cpu, currentContext, type DType, gpu, nd, withContext } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { differences, expectArray } from '../values.ts';

const DTYPES: readonly DType[] = [
  'float32',
  'float16',
  'float64',
  'int32',
  'uint32',
  'int8',
  'uint8',
  'bool',
];

eachDevice((ctx) => {
  describe('constants', () => {
    test('zeros, ones, full and empty in every dtype', async () => {
      for (const dtype of DTYPES.filter((d) => holds(ctx, d))) {
        const made = [
          [nd.zeros([2, 3], { ctx, dtype }), 0],
          [nd.ones([2, 3], { ctx, dtype }), 1],
          [nd.full([2, 3], 3, { ctx, dtype }), dtype === 'bool' ? 1 : 3],
          [nd.empty([2, 3], { ctx, dtype }), 0],
        ] as const;
        for (const [x, value] of made) {
          expect([x.dtype, x.context, x.size, x.ndim]).toEqual([dtype, ctx, 6, 2]);
          await expectArray(x, [2, 3], Array(6).fill(value));
        }
      }
    });

    test('a shape may be a number, and may stand in the options', async () => {
      await expectArray(nd.ones(3, { ctx }), [3], [1, 1, 1]);
      await expectArray(nd.zeros({ shape: [1, 2], ctx, dtype: 'int32' }), [1, 2], [0, 0]);
      await expectArray(nd.full({ shape: [2], val: 7, ctx }), [2], [7, 7]);
      await expectArray(nd.full({ shape: 2, value: -1.5, ctx }), [2], [-1.5, -1.5]);
    });

    test('whole numbers beyond 2^24 are exact in integers', async () => {
      await expectArray(nd.full([2], 16777217, { ctx, dtype: 'int32' }), [2], [16777217, 16777217]);
      await expectArray(nd.full([1], 4294967295, { ctx, dtype: 'uint32' }), [1], [4294967295]);
      await expectArray(nd.full([1], -2147483648, { ctx, dtype: 'int32' }), [1], [-2147483648]);
    });

    test('like another array', async () => {
      const x = nd.array([[1, 2, 3]], { ctx, dtype: 'int32' });
      for (const [y, value] of [
        [nd.zerosLike(x), 0],
        [x.zerosLike(), 0],
        [nd.onesLike(x), 1],
        [x.onesLike(), 1],
        [nd.fullLike(x, 5), 5],
      ] as const) {
        expect([y.dtype, y.context]).toEqual(['int32', ctx]);
        await expectArray(y, [1, 3], [value, value, value]);
      }
    });

    test('NaN, infinities and −0', async () => {
      const x = nd.array([NaN, Infinity, -Infinity, -0], { ctx });
      await expectArray(x, [4], [NaN, Infinity, -Infinity, -0], undefined, true);
      await expectArray(nd.full([2], -Infinity, { ctx }), [2], [-Infinity, -Infinity]);
      await expectArray(nd.full([2], NaN, { ctx }), [2], [NaN, NaN]);
    });
  });

  describe('ranges', () => {
    test('arange', async () => {
      await expectArray(nd.arange(4, { ctx }), [4], [0, 1, 2, 3]);
      await expectArray(nd.arange(2, 5, { ctx }), [3], [2, 3, 4]);
      await expectArray(nd.arange(1, 2, 0.25, { ctx }), [4], [1, 1.25, 1.5, 1.75]);
      await expectArray(nd.arange(3, -2, -2, { ctx, dtype: 'int32' }), [3], [3, 1, -1]);
      await expectArray(nd.arange(2, 4, 1, { ctx, repeat: 2 }), [4], [2, 2, 3, 3]);
      await expectArray(nd.arange({ start: 1, stop: 3, ctx }), [2], [1, 2]);
      await expectArray(nd.arange(5, 2, { ctx }), [0], []);
      await expectArray(nd.arange(0, null, { ctx }), [0], []);
    });

    test('an arange in integers is exact beyond 2^24', async () => {
      const first = 16777217;
      const x = nd.arange(first, first + 4, 1, { ctx, dtype: 'int32' });
      await expectArray(x, [4], [first, first + 1, first + 2, first + 3]);
    });

    test('linspace', async () => {
      await expectArray(nd.linspace(0, 1, 5, { ctx }), [5], [0, 0.25, 0.5, 0.75, 1]);
      await expectArray(nd.linspace(0, 1, 4, { ctx, endpoint: false }), [4], [0, 0.25, 0.5, 0.75]);
      await expectArray(nd.linspace(3, -1, 3, { ctx }), [3], [3, 1, -1]);
      await expectArray(nd.linspace(3, 4, 1, { ctx }), [1], [3]);
      await expectArray(nd.linspace(3, 4, 0, { ctx }), [0], []);
      await expectArray(nd.linspace({ start: 0, stop: 2, num: 2, ctx }), [2], [0, 2]);
    });

    test('eye', async () => {
      await expectArray(nd.eye(2, { ctx }), [2, 2], [1, 0, 0, 1]);
      await expectArray(nd.eye(2, 3, 1, { ctx }), [2, 3], [0, 1, 0, 0, 0, 1]);
      await expectArray(nd.eye(3, 2, -1, { ctx, dtype: 'int32' }), [3, 2], [0, 0, 1, 0, 0, 1]);
      await expectArray(nd.eye(2, { k: 5, ctx }), [2, 2], [0, 0, 0, 0]);
      await expectArray(nd.eye({ N: 1, M: 2, ctx }), [1, 2], [1, 0]);
    });
  });

  describe('nd.array', () => {
    test('nested arrays, numbers and booleans', async () => {
      await expectArray(
        nd.array(
          [
            [1, 2, 3],
            [5, 6, 7],
          ],
          { ctx },
        ),
        [2, 3],
        [1, 2, 3, 5, 6, 7],
      );
      await expectArray(nd.array([[[1], [2]]], { ctx }), [1, 2, 1], [1, 2]);
      await expectArray(nd.array(4, { ctx }), [1], [4]);
      await expectArray(nd.array([true, false], { ctx }), [2], [1, 0]);
      await expectArray(
        nd.array([new Float32Array([1, 2]), new Float32Array([3, 4])] as never, { ctx }),
        [2, 2],
        [1, 2, 3, 4],
      );
      expect(nd.array([1], { ctx }).dtype).toBe('float32');
    });

    test('typed arrays of any kind, folded by shape', async () => {
      const kinds = [
        Float64Array,
        Float32Array,
        Int32Array,
        Uint32Array,
        Int16Array,
        Uint16Array,
        Int8Array,
        Uint8Array,
        Uint8ClampedArray,
      ];
      for (const Kind of kinds) {
        const x = nd.array(Kind.of(1, 2, 3, 4), { ctx, shape: [2, 2] });
        expect(x.dtype).toBe('float32');
        await expectArray(x, [2, 2], [1, 2, 3, 4]);
      }
      await expectArray(nd.array(BigInt64Array.of(1n, -2n), { ctx, dtype: 'int32' }), [2], [1, -2]);
      await expectArray(nd.array(new Uint8Array([255, 3]), { ctx, dtype: 'uint8' }), [2], [255, 3]);
      // a piece of a larger buffer
      await expectArray(nd.array(new Float32Array([9, 1, 2, 9]).subarray(1, 3), { ctx }), [2], [1, 2]);
    });

    test('the source may change afterwards', async () => {
      const source = new Float32Array([1, 2]);
      const x = nd.array(source, { ctx });
      source.fill(9);
      await expectArray(x, [2], [1, 2]);
    });

    test('another array is copied, its dtype kept', async () => {
      const x = nd.array([1, 2], { ctx, dtype: 'int32' });
      const y = nd.array(x);
      expect([y.dtype, y.context]).toEqual(['int32', ctx]);
      y.iadd(1);
      await expectArray(x, [2], [1, 2]);
      await expectArray(nd.array(x, { dtype: 'float32', shape: [2, 1] }), [2, 1], [1, 2]);
    });

    test('values are truncated, and wrap, when a narrower dtype is asked for', async () => {
      await expectArray(nd.array([1.9, -1.9, 300, -129], { ctx, dtype: 'int8' }), [4], [1, -1, 44, 127]);
      await expectArray(nd.array([1.9, 256, -1], { ctx, dtype: 'uint8' }), [3], [1, 0, 255]);
      await expectArray(nd.array([0, -0, 0.5, NaN, -3], { ctx, dtype: 'bool' }), [5], [0, 0, 1, 1, 1]);
    });

    test('without elements, and without axes', async () => {
      await expectArray(nd.array([], { ctx }), [0], []);
      await expectArray(nd.array([[], []], { ctx }), [2, 0], []);
      await expectArray(nd.zeros([0, 3], { ctx }), [0, 3], []);
      await expectArray(nd.ones([], { ctx }), [], [1]);
      expect(nd.zeros([3, 0, 2], { ctx }).size).toBe(0);
      expect(await nd.zeros([2, 0], { ctx }).array()).toEqual([[], []]);
      expect(await nd.ones([], { ctx }).array()).toBe(1);
      expect(await nd.ones([], { ctx }).asscalar()).toBe(1);
    });
  });

  describe('reading', () => {
    test('data is a fresh copy, in its own dtype or another', async () => {
      const x = nd.array([[1.5, -2.5]], { ctx });
      const [a, b] = await Promise.all([x.data(), x.data()]);
      expect(a).toBeInstanceOf(Float32Array);
      expect(a.buffer).not.toBe(b.buffer);
      expect(a.byteLength).toBe(a.buffer.byteLength);
      const whole = await x.data('int32');
      expect([whole.constructor, ...whole]).toEqual([Int32Array, 1, -2]);
      expect((await nd.array([3, 0], { ctx, dtype: 'bool' }).data()).constructor).toBe(Uint8Array);
      expect([...(await nd.array([0.5, 0], { ctx }).data('bool'))]).toEqual([1, 0]);
      const doubles = await x.data('float64');
      expect([doubles.constructor, ...doubles]).toEqual([Float64Array, 1.5, -2.5]);
    });

    test('array nests, bool as booleans', async () => {
      expect(await nd.arange(6, { ctx }).reshape([1, 3, 2]).array()).toEqual([
        [
          [0, 1],
          [2, 3],
          [4, 5],
        ],
      ]);
      expect(await nd.array([[true], [false]], { ctx, dtype: 'bool' }).array()).toEqual([[true], [false]]);
    });

    test('values are those at the call', async () => {
      const x = nd.zeros([3], { ctx });
      const before = x.data();
      x.iadd(1);
      const after = x.data();
      x.dispose();
      expect(differences(await before, [0, 0, 0])).toEqual([]);
      expect(differences(await after, [1, 1, 1])).toEqual([]);
    });

    test('item and asscalar', async () => {
      expect(await nd.array([[7]], { ctx }).asscalar()).toBe(7);
      expect(await nd.array(7, { ctx, dtype: 'uint8' }).item()).toBe(7);
    });

    test('deep equality of test runners ends', () => {
      const [x, y] = [nd.array([1, 2], { ctx }), nd.array([1, 2], { ctx })];
      expect(x).not.toBe(y);
      expect(x).toEqual(y);
      for (const row of x) for (const again of row) expect(again).toBe(row);
    });

    test('rows by iteration', async () => {
      const rows = [];
      for (const row of nd.array(
        [
          [1, 2],
          [3, 4],
        ],
        { ctx },
      ))
        rows.push(await row.array());
      expect(rows).toEqual([
        [1, 2],
        [3, 4],
      ]);
    });
  });
});

test('the context is the current one unless named', () => {
  expect(nd.zeros([1]).context).toBe(cpu(0));
  expect(withContext(cpu(1), () => nd.zeros([1]).context)).toBe(cpu(1));
  expect(currentContext()).toBe(cpu(0));
  expect(gpu(0)).toBe(gpu());
});
