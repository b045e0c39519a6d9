// What moves or regroups elements: views, transposition, slices, joining, repeating, padding; every dtype's width, values by plain index arithmetic.
import { describe, expect, test } from 'vitest';
import { type DType, memoryInfo, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { eachIndex, expectArray, place } from '../values.ts';

const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);

/** What stands at each place of a result, read from the linear places of the source. */
function gathered(
  shape: readonly number[],
  from: readonly number[],
  source: (index: number[]) => number[],
): number[] {
  const values: number[] = [];
  eachIndex(shape, (index) => values.push(place(from, source(index))));
  return values;
}

// one, two and four bytes: packed elements share a word on a GPU
const WIDTHS: readonly DType[] = ['float32', 'uint8', 'float16', 'int32'];

eachDevice((ctx) => {
  const range = (shape: readonly number[], dtype: DType = 'float32'): NDArray =>
    nd.arange(count(shape), { ctx, dtype }).reshape(shape);
  const dtypes = (): DType[] => WIDTHS.filter((d) => holds(ctx, d));

  describe('views', () => {
    test('reshape by MXNet’s codes', async () => {
      const x = range([2, 3, 4]);
      const shapes: readonly (readonly [number[], number[]])[] = [
        [
          [4, 0, 2],
          [4, 3, 2],
        ],
        [
          [6, 1, 4],
          [6, 1, 4],
        ],
        [
          [6, -1],
          [6, 4],
        ],
        [[-1], [24]],
        [
          [0, -1],
          [2, 12],
        ],
        [[-2], [2, 3, 4]],
        [
          [2, -2],
          [2, 3, 4],
        ],
        [
          [-2, 1, 1],
          [2, 3, 4, 1, 1],
        ],
        [
          [-3, 4],
          [6, 4],
        ],
        [
          [0, -3],
          [2, 12],
        ],
        [
          [-3, -2],
          [6, 4],
        ],
        [
          [-4, 1, 2, -2],
          [1, 2, 3, 4],
        ],
        [
          [2, -4, -1, 3, -2],
          [2, 1, 3, 4],
        ],
      ];
      for (const [codes, shape] of shapes) {
        const y = x.reshape(codes);
        expect([...y.shape]).toEqual(shape);
        await expectArray(
          y,
          shape,
          Array.from({ length: 24 }, (_, i) => i),
        );
      }
      expect([...x.reshape(4, 6).shape]).toEqual([4, 6]);
      expect([...nd.reshape(x, { shape: [8, 3] }).shape]).toEqual([8, 3]);
      // a 0 keeps an extent, so an array without elements is folded by another's shape
      expect([...nd.zeros([0, 3], { ctx }).reshapeLike(nd.zeros([3, 0], { ctx })).shape]).toEqual([3, 0]);
    });

    test('expandDims, squeeze, flatten, reshapeLike, detach share memory', async () => {
      const x = range([1, 3, 1, 2]);
      const before = memoryInfo(ctx).arrays;
      const views: readonly (readonly [NDArray, number[]])[] = [
        [x.expandDims(0), [1, 1, 3, 1, 2]],
        [x.expandDims(-1), [1, 3, 1, 2, 1]],
        [nd.expandDims(x, { axis: 2 }), [1, 3, 1, 1, 2]],
        [x.squeeze(), [3, 2]],
        [x.squeeze(2), [1, 3, 2]],
        [x.squeeze([0, -2]), [3, 2]],
        [x.flatten(), [1, 6]],
        [x.reshapeLike(nd.zeros([6], { ctx })), [6]],
        [x.detach(), [1, 3, 1, 2]],
      ];
      // the array to be like is the only new storage
      expect(memoryInfo(ctx).arrays - before).toBe(1);
      x.iadd(1);
      for (const [y, shape] of views) await expectArray(y, shape, [1, 2, 3, 4, 5, 6]);
      expect([...nd.zeros([1, 1], { ctx }).squeeze().shape]).toEqual([1]);
      expect([...nd.zeros([4, 0, 2], { ctx }).flatten().shape]).toEqual([4, 0]);
    });

    test('a copy has memory of its own', async () => {
      for (const dtype of dtypes()) {
        const x = range([5], dtype);
        const [y, z] = [x.copy(), x.at(':')];
        x.iadd(1);
        for (const w of [y, z]) await expectArray(w, [5], [0, 1, 2, 3, 4]);
        expect(y.dtype).toBe(dtype);
      }
    });
  });

  test('transpose by every order of four axes', async () => {
    const shape = [2, 3, 4, 5];
    const orders = [0, 1, 2, 3].flatMap((a) =>
      [0, 1, 2, 3]
        .filter((b) => b !== a)
        .flatMap((b) => [0, 1, 2, 3].filter((c) => c !== a && c !== b).map((c) => [a, b, c, 6 - a - b - c])),
    );
    expect(orders).toHaveLength(24);
    const x = range(shape);
    for (const order of orders) {
      const to = order.map((a) => shape[a] as number);
      const source = (index: number[]): number[] => {
        const from: number[] = [];
        order.forEach((a, i) => {
          from[a] = index[i] as number;
        });
        return from;
      };
      await expectArray(x.transpose(order), to, gathered(to, shape, source));
    }
  });

  test('transpose: reversed by default, negative axes, T, swapaxes, other dtypes', async () => {
    for (const dtype of dtypes()) {
      const x = range([2, 3], dtype);
      for (const y of [
        x.transpose(),
        x.T,
        x.transpose([1, 0]),
        x.transpose([-1, 0]),
        x.transpose(1, 0),
        x.swapaxes(0, 1),
        nd.swapaxes(x, { dim1: -1, dim2: 0 }),
      ]) {
        expect(y.dtype).toBe(dtype);
        await expectArray(y, [3, 2], [0, 3, 1, 4, 2, 5]);
      }
    }
    const wide = range([65, 33]);
    await expectArray(
      wide.T,
      [33, 65],
      gathered([33, 65], [65, 33], ([i, j]) => [j as number, i as number]),
    );
    await expectArray(range([3]).T, [3], [0, 1, 2]);
    await expectArray(range([]).T, [], [0]);
    await expectArray(nd.zeros([0, 2], { ctx }).T, [2, 0], []);
    const five = range([2, 1, 3, 2, 2]);
    await expectArray(
      five.transpose([2, 0, 3, 4, 1]),
      [3, 2, 2, 2, 1],
      gathered([3, 2, 2, 2, 1], [2, 1, 3, 2, 2], ([a, b, c, d, e]) => [b, e, a, c, d] as number[]),
    );
  });

  describe('broadcasting to a shape', () => {
    test('broadcastTo, broadcastLike, broadcastAxis', async () => {
      const x = range([3, 1]);
      await expectArray(x.broadcastTo([2, 3, 2]), [2, 3, 2], [0, 0, 1, 1, 2, 2, 0, 0, 1, 1, 2, 2]);
      await expectArray(x.broadcastTo([0, 2]), [3, 2], [0, 0, 1, 1, 2, 2]);
      await expectArray(x.broadcastTo(3, 2), [3, 2], [0, 0, 1, 1, 2, 2]);
      await expectArray(x.broadcastLike(nd.zeros([3, 2], { ctx })), [3, 2], [0, 0, 1, 1, 2, 2]);
      await expectArray(x.broadcastAxis(1, 2), [3, 2], [0, 0, 1, 1, 2, 2]);
      await expectArray(range([1, 2, 1]).broadcastAxis([0, 2], [2, 2]), [2, 2, 2], [0, 0, 1, 1, 0, 0, 1, 1]);
      await expectArray(range([3], 'uint8').broadcastTo([2, 3]), [2, 3], [0, 1, 2, 0, 1, 2]);
    });
  });

  describe('pieces', () => {
    test('slice', async () => {
      const x = range([3, 4]);
      await expectArray(x.slice([0, 1], [2, 4]), [2, 3], [1, 2, 3, 5, 6, 7]);
      await expectArray(x.slice([1], [3]), [2, 4], [4, 5, 6, 7, 8, 9, 10, 11]);
      await expectArray(x.slice(1, 2), [1, 4], [4, 5, 6, 7]);
      await expectArray(x.slice([null, -2], [null, null]), [3, 2], [2, 3, 6, 7, 10, 11]);
      await expectArray(x.slice([0, 3], [3, 0], [2, -2]), [2, 2], [3, 1, 11, 9]);
      await expectArray(x.slice({ begin: [2, 0], end: [3, 2] }), [1, 2], [8, 9]);
      await expectArray(x.slice([2], [1]), [0, 4], []);
      await expectArray(
        x.slice([-10], [10]),
        [3, 4],
        Array.from({ length: 12 }, (_, i) => i),
      );
    });

    test('sliceAxis and sliceLike', async () => {
      const x = range([3, 4]);
      await expectArray(x.sliceAxis(1, 1, 3), [3, 2], [1, 2, 5, 6, 9, 10]);
      await expectArray(x.sliceAxis(-2, 1, null), [2, 4], [4, 5, 6, 7, 8, 9, 10, 11]);
      await expectArray(nd.sliceAxis(x, { axis: 1, begin: -1 }), [3, 1], [3, 7, 11]);
      await expectArray(x.sliceLike(nd.zeros([2, 2], { ctx })), [2, 2], [0, 1, 4, 5]);
      await expectArray(
        x.sliceLike(nd.zeros([2, 9], { ctx }), { axes: [0] }),
        [2, 4],
        [0, 1, 2, 3, 4, 5, 6, 7],
      );
    });

    test('pieces of packed dtypes do not disturb each other', async () => {
      for (const dtype of dtypes()) {
        const x = range([3, 5], dtype);
        await expectArray(x.slice([0, 1], [3, 4]), [3, 3], [1, 2, 3, 6, 7, 8, 11, 12, 13]);
        const parts = nd.concat(x, x.slice([0, 1], [3, 4]), { dim: 1 });
        await expectArray(
          parts,
          [3, 8],
          [0, 1, 2, 3, 4, 1, 2, 3, 5, 6, 7, 8, 9, 6, 7, 8, 10, 11, 12, 13, 14, 11, 12, 13],
        );
      }
    });

    test('flip and reverse', async () => {
      const x = range([2, 3]);
      await expectArray(x.flip(0), [2, 3], [3, 4, 5, 0, 1, 2]);
      await expectArray(x.flip(-1), [2, 3], [2, 1, 0, 5, 4, 3]);
      await expectArray(x.reverse([0, 1]), [2, 3], [5, 4, 3, 2, 1, 0]);
      await expectArray(nd.flip(x, { axis: 1 }), [2, 3], [2, 1, 0, 5, 4, 3]);
      await expectArray(nd.zeros([0, 2], { ctx }).flip(0), [0, 2], []);
    });
  });

  describe('joining and splitting', () => {
    test('concat along every axis', async () => {
      const [a, b] = [range([2, 2]), nd.array([[10, 11]], { ctx })];
      await expectArray(nd.concat(a, b, { dim: 0 }), [3, 2], [0, 1, 2, 3, 10, 11]);
      await expectArray(nd.concat(a, a), [2, 4], [0, 1, 0, 1, 2, 3, 2, 3]);
      await expectArray(nd.concat([a, a.sliceAxis(1, 0, 1)], { dim: -1 }), [2, 3], [0, 1, 0, 2, 3, 2]);
      await expectArray(nd.concat(nd.zeros([0, 2], { ctx }), b, { dim: 0 }), [1, 2], [10, 11]);
      await expectArray(nd.concat(a, { dim: 0 }), [2, 2], [0, 1, 2, 3]);
      const ones = Array.from({ length: 20 }, (_, i) => nd.full([1, 3], i, { ctx }));
      await expectArray(
        nd.concat(ones, { dim: 0 }),
        [20, 3],
        Array.from({ length: 60 }, (_, i) => Math.floor(i / 3)),
      );
      await expectArray(
        nd.concat(a.expandDims(1), a.expandDims(1), { dim: 1 }),
        [2, 2, 2],
        [0, 1, 0, 1, 2, 3, 2, 3],
      );
    });

    test('stack', async () => {
      const [a, b] = [nd.array([1, 2], { ctx }), nd.array([3, 4], { ctx })];
      await expectArray(nd.stack(a, b), [2, 2], [1, 2, 3, 4]);
      await expectArray(nd.stack(a, b, { axis: 1 }), [2, 2], [1, 3, 2, 4]);
      await expectArray(nd.stack([a, b, a], { axis: -1 }), [2, 3], [1, 3, 1, 2, 4, 2]);
    });

    test('split is a list, always', async () => {
      const x = range([2, 4]);
      const parts = x.split(2);
      expect(parts).toHaveLength(2);
      await expectArray(parts[0] as NDArray, [2, 2], [0, 1, 4, 5]);
      await expectArray(parts[1] as NDArray, [2, 2], [2, 3, 6, 7]);
      const [rows] = nd.split(x, 1, { axis: 0 });
      await expectArray(rows as NDArray, [2, 4], [0, 1, 2, 3, 4, 5, 6, 7]);
      const columns = x.split(4, { axis: -1, squeezeAxis: true });
      await expectArray(columns[3] as NDArray, [2], [3, 7]);
      expect(nd.split(x, { numOutputs: 2, axis: 0, squeezeAxis: true }).map((p) => [...p.shape])).toEqual([
        [4],
        [4],
      ]);
    });
  });

  describe('repeating and padding', () => {
    test('tile', async () => {
      const x = range([2, 2]);
      await expectArray(x.tile(2), [2, 4], [0, 1, 0, 1, 2, 3, 2, 3]);
      await expectArray(x.tile([2, 1]), [4, 2], [0, 1, 2, 3, 0, 1, 2, 3]);
      await expectArray(x.tile([2, 1, 2]), [2, 2, 4], [0, 1, 0, 1, 2, 3, 2, 3, 0, 1, 0, 1, 2, 3, 2, 3]);
      await expectArray(nd.tile(range([2]), { reps: [0] }), [0], []);
      const deep = range([2, 1, 2, 1, 2]);
      await expectArray(
        deep.tile([2, 2, 2, 2, 2]),
        [4, 2, 4, 2, 4],
        gathered([4, 2, 4, 2, 4], [2, 1, 2, 1, 2], (index) =>
          index.map((c, i) => c % ([2, 1, 2, 1, 2][i] as number)),
        ),
      );
    });

    test('repeat', async () => {
      const x = range([2, 2]);
      await expectArray(x.repeat(2), [8], [0, 0, 1, 1, 2, 2, 3, 3]);
      await expectArray(x.repeat(2, 0), [4, 2], [0, 1, 0, 1, 2, 3, 2, 3]);
      await expectArray(x.repeat(3, { axis: -1 }), [2, 6], [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]);
      const eight = x.reshape([1, 1, 2, 1, 2, 1, 1, 1]);
      await expectArray(eight.repeat(2, 2), [1, 1, 4, 1, 2, 1, 1, 1], [0, 1, 0, 1, 2, 3, 2, 3]);
      await expectArray(eight.repeat(2, 4), [1, 1, 2, 1, 4, 1, 1, 1], [0, 0, 1, 1, 2, 2, 3, 3]);
      await expectArray(nd.repeat(x, { repeats: 0, axis: 1 }), [2, 0], []);
    });

    test('pad: constant, edge, reflect', async () => {
      const x = range([1, 2, 3]);
      const widths = [0, 0, 1, 0, 1, 2];
      await expectArray(
        x.pad({ padWidth: widths, constantValue: 9 }),
        [1, 3, 6],
        [9, 9, 9, 9, 9, 9, 9, 0, 1, 2, 9, 9, 9, 3, 4, 5, 9, 9],
      );
      await expectArray(
        x.pad({ mode: 'edge', padWidth: widths }),
        [1, 3, 6],
        [0, 0, 1, 2, 2, 2, 0, 0, 1, 2, 2, 2, 3, 3, 4, 5, 5, 5],
      );
      await expectArray(
        x.pad({ mode: 'reflect', padWidth: widths }),
        [1, 3, 6],
        [4, 3, 4, 5, 4, 3, 1, 0, 1, 2, 1, 0, 4, 3, 4, 5, 4, 3],
      );
      await expectArray(range([4]).pad({ mode: 'constant', padWidth: [-1, -1] }), [2], [1, 2]);
      for (const dtype of dtypes())
        await expectArray(
          range([3], dtype).pad({ mode: 'reflect', padWidth: [2, 2] }),
          [7],
          [2, 1, 0, 1, 2, 1, 0],
        );
    });

    test('spaceToDepth and depthToSpace undo each other, in MXNet’s order of blocks', async () => {
      // MXNet's own example: (1, 1, 4, 6) with blocks of 2
      const x = range([1, 1, 4, 6]);
      const deep = nd.spaceToDepth(x, 2);
      await expectArray(
        deep,
        [1, 4, 2, 3],
        [0, 2, 4, 12, 14, 16, 1, 3, 5, 13, 15, 17, 6, 8, 10, 18, 20, 22, 7, 9, 11, 19, 21, 23],
      );
      await expectArray(
        nd.depthToSpace(deep, { blockSize: 2 }),
        [1, 1, 4, 6],
        Array.from({ length: 24 }, (_, i) => i),
      );
    });
  });
});
