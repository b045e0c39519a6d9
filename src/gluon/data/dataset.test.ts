// Datasets: samples, ranges, and datasets made from others.
import { describe, expect, test } from 'vitest';
import { cpu, gluon, memoryInfo, type NDArray, nd } from 'webgluon';
import { eachDevice } from '../../../test/devices.ts';

const { ArrayDataset, Dataset, SimpleDataset } = gluon.data;

class Squares extends Dataset<readonly [NDArray, number]> {
  readonly length = 6;
  at(i: number): readonly [NDArray, number] {
    return [nd.array([i, i]), i * i];
  }
}

class Later extends Dataset<number> {
  readonly length = 4;
  async at(i: number): Promise<number> {
    await Promise.resolve();
    return i + 0.5;
  }
}

describe('ArrayDataset', () => {
  test('gives rows and numbers, by positive and negative numbers', async () => {
    const x = nd.array([
      [1, 2],
      [3, 4],
      [5, 6],
    ]);
    const both = new ArrayDataset(x, new Int32Array([7, 8, 9]));
    expect(both.length).toBe(3);
    const [row, label] = both.at(-1);
    expect([row.shape, await row.data(), label]).toEqual([[2], new Float32Array([5, 6]), 9]);
    const [rows, labels] = both.slice(1);
    expect([rows.shape, await rows.array(), labels]).toEqual([
      [2, 2],
      [
        [3, 4],
        [5, 6],
      ],
      new Int32Array([8, 9]),
    ]);
    expect(new ArrayDataset(new Float32Array([1, 2])).at(1)).toBe(2);
    // as in Gluon, an array of one axis gives numbers
    const numbers = new ArrayDataset<[NDArray, NDArray], [NDArray, number]>(x, nd.array([1, 2, 3]));
    expect(numbers.at(1)[1]).toBe(2);
    expect(new ArrayDataset(['a', 'b'], new Squares().take(2)).at(1)[0]).toBe('b');
  });

  test('refuses columns of other lengths, what is no column, and numbers outside', () => {
    expect(() => new ArrayDataset(nd.ones([3, 2]), new Int32Array(4))).toThrow(
      /^\[ArrayDataset\] expected arrays of one length, 3 as the first, received 4 as number 2/,
    );
    expect(() => new ArrayDataset(5 as never)).toThrow(
      /expected an NDArray, a typed array, a list or a dataset, received 5/,
    );
    expect(() => new ArrayDataset()).toThrow(/at least one array/);
    const data = new ArrayDataset(new Int32Array(3));
    for (const bad of [3, -4, 1.5, Number.NaN])
      expect(() => data.at(bad)).toThrow(/^\[ArrayDataset.at\] expected an index from -3 to 2, received/);
    expect(() => new ArrayDataset([]).at(0)).toThrow(/The dataset is empty/);
  });
});

describe('datasets from others', () => {
  test('SimpleDataset and its slices', () => {
    const data = new SimpleDataset(['a', 'b', 'c']);
    expect([data.length, data.at(0), data.at(-1), data.slice(1)]).toEqual([3, 'a', 'c', ['b', 'c']]);
    expect(() => new SimpleDataset(5 as never)).toThrow(/expected a list/);
  });

  test('transform passes a tuple’s members, transformFirst the first', async () => {
    const data = new Squares();
    const [sum, square] = (await data.transform((x, y) => [x.sum(), y] as const).at(3)) as [NDArray, number];
    expect([await sum.asscalar(), square]).toEqual([6, 9]);
    const [doubled, kept] = (await data.transformFirst((x) => x.mul(2)).at(2)) as unknown as [
      NDArray,
      number,
    ];
    expect([await doubled.array(), kept]).toEqual([[4, 4], 4]);
    const plain = new SimpleDataset([1, 2, 3]);
    expect(plain.transform((v) => v * 10).at(1)).toBe(20);
    expect(plain.transformFirst((v) => v * 10).at(1)).toBe(20);
    expect(() => plain.transform([] as never)).toThrow(/transforms.Compose/);
  });

  test('lazy transforms run at each use, others once', () => {
    let calls = 0;
    const count = (v: number): number => v + calls++ * 0;
    const lazy = new SimpleDataset([1, 2, 3]).transform(count);
    expect(calls).toBe(0);
    void lazy.at(0);
    void lazy.at(0);
    expect(calls).toBe(2);
    const eager = new SimpleDataset([1, 2, 3]).transform(count, { lazy: false });
    expect(calls).toBe(5);
    void eager.at(0);
    expect(calls).toBe(5);
    expect(() => new Later().transform((v) => v, false)).toThrow(/samples at once for lazy: false/);
  });

  test('filter, take, shard, sample', () => {
    const data = new SimpleDataset([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const all = (d: { readonly length: number; at(i: number): unknown }): unknown[] =>
      Array.from({ length: d.length }, (_, i) => d.at(i));
    expect(all(data.filter((v) => v % 3 === 0))).toEqual([0, 3, 6, 9]);
    expect(all(data.take(3))).toEqual([0, 1, 2]);
    expect(all(data.take(100)).length).toBe(10);
    expect([0, 1, 2].map((i) => all(data.shard(3, i)))).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ]);
    expect(all(data.sample(new gluon.data.IntervalSampler(10, 5)))).toEqual([0, 5, 1, 6, 2, 7, 3, 8, 4, 9]);
    expect(() => data.shard(3, 3)).toThrow(/expected index below numShards \(3\), received 3/);
    expect(() => new Later().filter(() => true)).toThrow(/received a Promise from at\(0\)/);
  });

  test('what filter makes is freed', () => {
    const before = memoryInfo(cpu()).arrays;
    expect(new Squares().filter(([x]) => x.size === 2).length).toBe(6);
    expect(memoryInfo(cpu()).arrays).toBe(before);
  });

  test('samples that are Promises stay Promises', async () => {
    const data = new Later().transform(async (v) => v * 2);
    expect(await data.at(1)).toBe(3);
    expect(await data.slice(2)).toEqual([5, 7]);
  });
});

eachDevice((ctx) => {
  test('arrays as columns live where they are', async () => {
    const x = nd.array(
      [
        [1, 2],
        [3, 4],
      ],
      { ctx },
    );
    const data = new ArrayDataset(x, nd.array([5, 6], { ctx }));
    const [row, label] = await data.at(1);
    expect(row.context).toBe(ctx);
    expect([await row.array(), label]).toEqual([[3, 4], 6]);
    expect(await (data.slice(0, 1) as [NDArray, unknown])[0].array()).toEqual([[1, 2]]);
  });
});
