// Orders and batches of numbers; lastBatch by MXNet's documented examples.
import { describe, expect, test } from 'vitest';
import { gluon, nd, random } from 'webgluon';

const { BatchSampler, FilterSampler, IntervalSampler, RandomSampler, SequentialSampler } = gluon.data;

describe('orders', () => {
  test('SequentialSampler', () => {
    const sampler = new SequentialSampler(3, 4);
    expect(sampler.length).toBe(3);
    expect([...sampler]).toEqual([4, 5, 6]);
    expect([...sampler]).toEqual([4, 5, 6]);
  });

  test('RandomSampler repeats with the seed, changes from epoch to epoch, and is nd.random.shuffle’s order', async () => {
    const sampler = new RandomSampler(50);
    random.seed(7);
    const [first, second] = [[...sampler], [...sampler]];
    random.seed(7);
    expect([...new RandomSampler(50)]).toEqual(first);
    expect(second).not.toEqual(first);
    expect([...first].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    random.seed(7);
    expect(first).toEqual([...(await nd.random.shuffle(nd.arange(50)).data())]);
    random.seed(8);
    expect([...sampler]).not.toEqual(first);
    expect([...new RandomSampler(0)]).toEqual([]);
  });

  test('FilterSampler and IntervalSampler', () => {
    const even = new FilterSampler((v: number) => v % 2 === 0, new gluon.data.SimpleDataset([1, 2, 4, 5, 8]));
    expect([even.length, [...even]]).toEqual([3, [1, 2, 4]]);
    expect([...new IntervalSampler(13, 3)]).toEqual([0, 3, 6, 9, 12, 1, 4, 7, 10, 2, 5, 8, 11]);
    const once = new IntervalSampler(13, 3, { rollover: false });
    expect([[...once], once.length]).toEqual([[0, 3, 6, 9, 12], 5]);
    expect(() => new IntervalSampler(2, 3)).toThrow(/^\[IntervalSampler\] expected an interval of at most/);
  });
});

describe('BatchSampler', () => {
  const ten = new SequentialSampler(10);

  test('keeps the smaller last batch', () => {
    const sampler = new BatchSampler(ten, 3);
    expect(sampler.length).toBe(4);
    expect([...sampler]).toEqual([[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]);
  });

  test('discards it', () => {
    const sampler = new BatchSampler(ten, 3, 'discard');
    expect(sampler.length).toBe(3);
    expect([...sampler]).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7, 8],
    ]);
    expect([...new BatchSampler(ten, 11, 'discard')]).toEqual([]);
  });

  test('lets it roll over into the next epoch', () => {
    const sampler = new BatchSampler(ten, 3, { lastBatch: 'rollover' });
    expect(sampler.length).toBe(3);
    expect([...sampler]).toEqual([
      [0, 1, 2],
      [3, 4, 5],
      [6, 7, 8],
    ]);
    expect(sampler.length).toBe(3);
    expect([...sampler]).toEqual([
      [9, 0, 1],
      [2, 3, 4],
      [5, 6, 7],
    ]);
    expect(sampler.length).toBe(4);
    expect([...sampler]).toEqual([
      [8, 9, 0],
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ]);
    expect(sampler.length).toBe(3);
  });

  test('refuses what it cannot use', () => {
    expect(() => new BatchSampler(ten, 0)).toThrow(/batchSize to be an integer ≥ 1, received 0/);
    expect(() => new BatchSampler(ten, 2, 'roll_over' as never)).toThrow(/Did you mean 'rollover'/);
    expect(() => new BatchSampler(5 as never, 2)).toThrow(/expected a sampler .*received 5/);
  });
});
