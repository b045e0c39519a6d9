// DataLoader: order, dtypes, memory, pace, and both ways to a batch.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { cpu, gluon, memoryInfo, type NDArray, nd, nn, random } from 'webgluon';
import { eachDevice } from '../../../test/devices.ts';
import { differences, integers } from '../../../test/values.ts';

const { ArrayDataset, DataLoader, Dataset, SimpleDataset } = gluon.data;
const { transforms } = gluon.data.vision;

afterEach(() => vi.restoreAllMocks());

const PICTURES = 23;
/** Pictures (4, 5, 3) as MNIST holds its own, without files. */
function pictures(count = PICTURES): InstanceType<typeof ArrayDataset<[NDArray, Int32Array<ArrayBuffer>]>> {
  const x = nd.array(Uint8Array.from(integers(count * 60, 0, 255, 3)), {
    shape: [count, 4, 5, 3],
    dtype: 'uint8',
  });
  return new ArrayDataset(
    x,
    Int32Array.from({ length: count }, (_, i) => i % 10),
  );
}

class Later extends Dataset<[NDArray, number]> {
  readonly length = 10;
  asked: number[] = [];
  #under: Promise<unknown>[] = [];
  at(i: number): Promise<[NDArray, number]> {
    this.asked.push(i);
    const sample = new Promise((resolve) => setTimeout(resolve, (i * 7) % 5)).then((): [NDArray, number] => [
      nd.array([i, -i]),
      i,
    ]);
    this.#under.push(sample);
    return sample;
  }
  /** Samples that a loop asked for and then left come all the same: other tests look at the memory. */
  async settled(): Promise<void> {
    await Promise.all(this.#under);
    await new Promise((resolve) => setTimeout(resolve));
  }
}

async function gather(loader: AsyncIterable<readonly NDArray[]>): Promise<number[][]> {
  const all: number[][] = [];
  for await (const batch of loader)
    all.push(...(await Promise.all(batch.map(async (x) => [...(await x.data())]))));
  return all;
}

describe('batches', () => {
  test('have the dataset’s tuples, dtypes and order', async () => {
    const loader = new DataLoader(pictures(), 10);
    expect(loader.length).toBe(3);
    const shapes: unknown[] = [];
    const labels: number[] = [];
    for await (const [x, y] of loader) {
      shapes.push([x.shape, x.dtype, y.shape, y.dtype]);
      labels.push(...(await y.data()));
    }
    expect(shapes).toEqual([
      [[10, 4, 5, 3], 'uint8', [10], 'int32'],
      [[10, 4, 5, 3], 'uint8', [10], 'int32'],
      [[3, 4, 5, 3], 'uint8', [3], 'int32'],
    ]);
    expect(labels).toEqual(Array.from({ length: PICTURES }, (_, i) => i % 10));
  });

  test('lastBatch: keep, discard, rollover over three epochs', async () => {
    const data = new SimpleDataset([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const epochs = (lastBatch: 'keep' | 'discard' | 'rollover'): number[][] => {
      const loader = new DataLoader(data, 4, { lastBatch });
      return [0, 1, 2].map(() => {
        const promised = loader.length;
        const sizes = [...loader].map((x) => x.shape[0]);
        expect(sizes.length).toBe(promised);
        return sizes;
      });
    };
    expect(epochs('keep')).toEqual([
      [4, 4, 2],
      [4, 4, 2],
      [4, 4, 2],
    ]);
    expect(epochs('discard')).toEqual([
      [4, 4],
      [4, 4],
      [4, 4],
    ]);
    expect(epochs('rollover')).toEqual([
      [4, 4],
      [4, 4, 4],
      [4, 4],
    ]);
  });

  test('shuffled, they repeat with the seed and differ from epoch to epoch', async () => {
    const loader = new DataLoader(pictures(), 5, { shuffle: true });
    const epoch = async (): Promise<number[][]> => gather(loader);
    random.seed(3);
    const [first, second] = [await epoch(), await epoch()];
    random.seed(3);
    const order = [...new gluon.data.RandomSampler(PICTURES)];
    expect(first.filter((_, i) => i % 2 === 1).flat()).toEqual(order.map((i) => i % 10));
    random.seed(3);
    expect(await epoch()).toEqual(first);
    expect(second).not.toEqual(first);
  });

  test('plain numbers: whole ones are int32, others float32, and a field stays float32 once it was', () => {
    const dtypes = (list: readonly unknown[]): string[] =>
      [...new DataLoader(list, 2)].map((x) => (x as NDArray).dtype);
    expect(dtypes([1, 2, 3])).toEqual(['int32', 'int32']);
    expect(dtypes([1, 2.5, 3, 4])).toEqual(['float32', 'float32']);
    expect(dtypes([1, 2, 2.5, 4, 1, 2])).toEqual(['int32', 'float32', 'float32']);
    expect(dtypes([2 ** 40])).toEqual(['float32']);
    expect(dtypes([true, false])).toEqual(['bool']);
    expect(dtypes([5n])).toEqual(['int32']);
    // a list as a column is looked at as a whole
    const column = new ArrayDataset([1, 2, 3, 4.5], [1, 2, 3, 4]);
    expect([...new DataLoader(column, 2)].map((b) => b.map((x) => x.dtype))).toEqual([
      ['float32', 'int32'],
      ['float32', 'int32'],
    ]);
  });

  test('typed arrays, nested lists and tuples of them', async () => {
    const data = new SimpleDataset([
      [new Float64Array([1, 2]), [[1], [2]], new Uint16Array([7])] as const,
      [new Float64Array([3, 4]), [[3], [4]], new Uint16Array([8])] as const,
    ]);
    const batches = [...new DataLoader(data, 2)];
    expect(batches.length).toBe(1);
    const [a, b, c] = batches[0] as unknown as [NDArray, NDArray, NDArray];
    expect([a.dtype, a.shape, b.dtype, b.shape, c.dtype, c.shape]).toEqual([
      'float64',
      [2, 2],
      'float32',
      [2, 2, 1],
      'int32',
      [2, 1],
    ]);
    expect(await b.array()).toEqual([
      [[1], [2]],
      [[3], [4]],
    ]);
  });

  test('NDArrays, typed arrays and lists are datasets themselves', () => {
    expect([...new DataLoader(nd.ones([5, 2]), 2)].map((x) => x.shape)).toEqual([
      [2, 2],
      [2, 2],
      [1, 2],
    ]);
    expect([...new DataLoader([1, 2, 3], 3)].map((x) => x.shape)).toEqual([[3]]);
  });

  test('samplers, batch samplers, batchify functions', async () => {
    const data = new SimpleDataset([10, 11, 12, 13, 14]);
    expect(
      await Promise.all([...new DataLoader(data, 2, { sampler: [4, 0, 2] })].map((x) => x.array())),
    ).toEqual([[14, 10], [12]]);
    const own = new DataLoader(data, { batchSampler: [[0, 1, 2], [4]] });
    expect(own.length).toBe(2);
    expect(await Promise.all([...own].map((x) => x.array()))).toEqual([[10, 11, 12], [14]]);
    const joined = new DataLoader(data, 3, {
      batchifyFn: (samples) => ({ total: nd.array([samples.reduce((a, b) => a + b)]), n: samples.length }),
    });
    const totals: unknown[] = [];
    for await (const { total, n } of joined) totals.push([await total.asscalar(), n]);
    expect(totals).toEqual([
      [33, 3],
      [27, 2],
    ]);
  });
});

describe('samples one by one', () => {
  test('give what whole batches give, to the bit, random transforms included', async () => {
    const chain = (): InstanceType<typeof transforms.Compose> =>
      new transforms.Compose([
        new transforms.RandomFlipLeftRight(),
        new transforms.RandomCrop(4, { pad: 2 }),
        new transforms.RandomColorJitter(0.4, 0.4, 0.4, 0.1),
        new transforms.RandomResizedCrop(6, { scale: [0.4, 1] }),
        new transforms.ToTensor(),
        new transforms.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.4]),
      ]);
    const whole = pictures().transformFirst(chain());
    const transform = chain();
    let calls = 0;
    const single = pictures().transformFirst((x: NDArray) => {
      calls++;
      return transform(x);
    });
    random.seed(11);
    const expected = await gather(new DataLoader(whole, 6, { shuffle: true }) as never);
    random.seed(11);
    const actual = await gather(new DataLoader(single, 6, { shuffle: true }) as never);
    expect(calls).toBe(PICTURES);
    expect(actual.length).toBe(expected.length);
    for (const [i, values] of actual.entries())
      expect(differences(values, expected[i] as number[])).toEqual([]);
    // and the seed decides
    random.seed(12);
    expect(await gather(new DataLoader(whole, 6, { shuffle: true }) as never)).not.toEqual(expected);
    // plain iteration too
    random.seed(11);
    const now: number[][] = [];
    for (const batch of new DataLoader(whole, 6, { shuffle: true }) as Iterable<NDArray[]>)
      for (const x of batch) now.push([...(await x.data())]);
    expect(now).toEqual(expected);
  });

  test('whole batches make no array for each sample; a transform of the user’s own is called for each', async () => {
    class Darker extends transforms.ToTensor {
      override forward(x: NDArray): NDArray {
        return super.forward(x).mul(0.5);
      }
    }
    const hooked = new transforms.ToTensor();
    let seen = 0;
    hooked.registerForwardHook(() => seen++);
    const maximum = async (data: unknown): Promise<number> => {
      let most = 0;
      for await (const [x] of new DataLoader(data as never, 8) as AsyncIterable<NDArray[]>)
        most = Math.max(most, await (x as NDArray).max().asscalar());
      return most;
    };
    const plain = await maximum(pictures().transformFirst(new transforms.ToTensor()));
    expect(await maximum(pictures().transformFirst(new Darker()))).toBeCloseTo(plain / 2, 6);
    await maximum(pictures().transformFirst(hooked));
    expect(seen).toBe(PICTURES);
    class Mine extends ArrayDataset<[Int32Array<ArrayBuffer>]> {
      override at(i: number): number {
        return super.at(i) + 100;
      }
    }
    const [batch] = [...new DataLoader(new Mine(new Int32Array([1, 2])), 2)];
    expect(await (batch as NDArray).array()).toEqual([101, 102]);
  });

  test('that are Promises: the batches are the same, and those ahead are begun while the loop waits', async () => {
    const data = new Later();
    expect(await gather(new DataLoader(data, 4))).toEqual([
      [0, -0, 1, -1, 2, -2, 3, -3],
      [0, 1, 2, 3],
      [4, -4, 5, -5, 6, -6, 7, -7],
      [4, 5, 6, 7],
      [8, -8, 9, -9],
      [8, 9],
    ]);
    const ahead = new Later();
    for await (const _ of new DataLoader(ahead, 2, { prefetch: 2 })) {
      expect(ahead.asked.length).toBe(6);
      break;
    }
    const none = new Later();
    for await (const _ of new DataLoader(none, 2, { prefetch: 0 })) {
      expect(none.asked.length).toBe(2);
      break;
    }
    await ahead.settled();
    await none.settled();
  });

  test('that are Promises cannot be had at once: the error says what to write', async () => {
    const data = new Later();
    expect(() => [...new DataLoader(data, 2)]).toThrow(
      /^\[DataLoader\] expected samples at once, received a Promise from at\(0\)\. Write for await/,
    );
    await data.settled();
  });

  test('a sample that fails rejects where its batch is asked for', async () => {
    class Broken extends Dataset<number> {
      readonly length = 6;
      async at(i: number): Promise<number> {
        if (i === 3) throw new Error('no sample 3');
        return i;
      }
    }
    const seen: number[] = [];
    await expect(
      (async () => {
        for await (const x of new DataLoader(new Broken(), 2)) seen.push(...(await x.data()));
      })(),
    ).rejects.toThrow('no sample 3');
    expect(seen).toEqual([0, 1]);
  });

  test('of different shapes are refused, saying which', () => {
    const data = new SimpleDataset([nd.ones([2]), nd.ones([2]), nd.ones([3])]);
    expect(() => [...new DataLoader(data, 3)]).toThrow(
      /expected samples of one shape and dtype, \(2,\) float32 as in sample 0 of the batch, received \(3,\) float32 in sample 2/,
    );
    expect(() => [...new DataLoader(['a', 'b'], 2)]).toThrow(/received "a" in sample 0 .*pass batchifyFn/);
    expect(() => [...new DataLoader([undefined], 1)]).toThrow(/Let at\(i\) return the sample/);
    expect(() => [...new DataLoader<unknown>([[1, 2], [1]], 2)]).toThrow(/expected tuples of 2/);
    expect(() => [...new DataLoader([[[1], [1, 2]] as never], 1)]).not.toThrow();
    expect(() => [...new DataLoader([[[[1], [1, 2]]] as never], 1)]).toThrow(
      /rows of one length.*sample 0\[1\]/,
    );
  });
});

describe('memory', () => {
  test('batches stay usable though their memory was given back', async () => {
    const all: (readonly NDArray[])[] = [];
    for (const batch of new DataLoader(pictures(), 5) as Iterable<NDArray[]>) all.push(batch);
    const first = all[0]?.[0] as NDArray;
    expect(first.isDisposed).toBe(false);
    const expected = await pictures().slice(0, 5)[0].data('uint8');
    expect(await first.data()).toEqual(expected);
    expect(await first.astype('float32').sum().asscalar()).toBe(expected.reduce((a, b) => a + b, 0));
    const second = all[1]?.[1] as NDArray;
    expect(String(second)).toBe('\n[5 6 7 8 9]\n<NDArray 5 @cpu(0)>');
    second.dispose();
    expect(() => second.sum()).toThrow(/was disposed/);
    // a batch that is disposed of while it is parked is gone
    const third = all[2]?.[0] as NDArray;
    third.dispose();
    expect(third.isDisposed).toBe(true);
    expect(() => third.sum()).toThrow(/was disposed/);
  });

  test('a batch that was written in place keeps what was written', async () => {
    const kept: NDArray[] = [];
    for (const x of new DataLoader(new Float32Array([1, 2, 3, 4]), 2)) kept.push(x.imul(10));
    expect(await Promise.all(kept.map((x) => x.array()))).toEqual([
      [10, 20],
      [30, 40],
    ]);
  });

  test('gradients by a batch survive the next', async () => {
    const { autograd } = await import('webgluon');
    const kept: NDArray[] = [];
    for (const x of new DataLoader(new Float32Array([1, 2, 3, 4]), 2)) {
      x.attachGrad();
      const y = autograd.record(() => x.mul(x).sum());
      y.backward();
      y.dispose();
      kept.push(x);
    }
    expect(await Promise.all(kept.map((x) => x.grad.array()))).toEqual([
      [2, 4],
      [6, 8],
    ]);
  });

  test('a dataset may keep its arrays from epoch to epoch', async () => {
    class Caching extends Dataset<NDArray> {
      readonly length = 4;
      readonly made = new Map<number, NDArray>();
      at(i: number): NDArray {
        const known = this.made.get(i) ?? nd.array([i]).mul(2);
        this.made.set(i, known);
        return known;
      }
    }
    const loader = new DataLoader(new Caching(), 2);
    for (let epoch = 0; epoch < 3; epoch++) {
      const sums: number[] = [];
      for await (const x of loader) sums.push(await x.sum().asscalar());
      expect(sums).toEqual([2, 10]);
    }
  });
});

eachDevice((ctx) => {
  test('over 300 steps the device holds one batch at a time', async () => {
    const chain = new transforms.Compose([new transforms.ToTensor(), new transforms.Normalize(0.4, 0.3)]);
    const single = (x: NDArray): NDArray => x.astype('float32').transpose([2, 0, 1]).div(255);
    const datasets = {
      whole: pictures(30).transformFirst(chain),
      'by a function': pictures(30).transformFirst(single),
      'on the device': new ArrayDataset(nd.ones([30, 4], { ctx }), nd.zeros([30], { ctx })),
      'of arrays on the device': new SimpleDataset(
        Array.from({ length: 30 }, (_, i) => nd.full([4], i, { ctx })),
      ),
    };
    for (const [name, data] of Object.entries(datasets)) {
      const net = new nn.Dense(3);
      net.initialize({ ctx });
      const loader = new DataLoader(data as never, 3, { ctx });
      const levels: number[] = [];
      const library = new Set<number>();
      let steps = 0;
      while (steps < 300)
        for await (const batch of loader as AsyncIterable<NDArray | NDArray[]>) {
          const x = Array.isArray(batch) ? (batch[0] as NDArray) : batch;
          expect(x.context).toBe(ctx);
          net(x).dispose();
          steps++;
          if (steps < 5) continue;
          const { bytesInUse, userBytes } = memoryInfo(ctx);
          levels.push(bytesInUse);
          library.add(bytesInUse - userBytes);
        }
      // what other tests dropped may be collected meanwhile
      expect([name, Math.max(...levels), library.size]).toEqual([name, levels[0], 1]);
      net.dispose();
    }
  });

  test('values arrive, and a batch kept from before comes back', async () => {
    const kept: NDArray[] = [];
    const labels: number[] = [];
    for await (const [x, y] of new DataLoader(pictures(), 5, { ctx }) as AsyncIterable<[NDArray, NDArray]>) {
      kept.push(x);
      labels.push(...(await y.data()));
    }
    expect(labels).toEqual(Array.from({ length: PICTURES }, (_, i) => i % 10));
    const expected = await pictures().slice(0, 5)[0].data('uint8');
    expect(await (kept[0] as NDArray).data()).toEqual(expected);
    expect((kept[0] as NDArray).context).toBe(ctx);
  });

  test('columns on the device are taken there', async () => {
    const x = nd.arange(12, { ctx }).reshape([6, 2]);
    const loader = new DataLoader(new ArrayDataset(x, nd.arange(6, { ctx })), 4);
    const all: unknown[] = [];
    const kept: NDArray[] = [];
    for await (const [a, b] of loader) {
      expect([a.context, b.context]).toEqual([ctx, ctx]);
      kept.push(a);
      all.push([await a.array(), await b.array()]);
    }
    expect(all).toEqual([
      [
        [
          [0, 1],
          [2, 3],
          [4, 5],
          [6, 7],
        ],
        [0, 1, 2, 3],
      ],
      [
        [
          [8, 9],
          [10, 11],
        ],
        [4, 5],
      ],
    ]);
    expect(await (kept[0] as NDArray).at(1, 1).asscalar()).toBe(3);
  });
});

describe('pace', () => {
  test('timers run during a long loop of short steps, each 16 ms at least', async () => {
    let ticks = 0;
    // steps since the last tick: a step of 1 ms that the machine interrupts is a longer step, and not another one
    let steps = 0;
    let most = 0;
    const timer = setInterval(() => {
      ticks++;
      steps = 0;
    }, 1);
    try {
      for await (const _ of new DataLoader(new Float32Array(400), 2)) {
        const until = performance.now() + 1;
        while (performance.now() < until);
        most = Math.max(most, ++steps);
      }
    } finally {
      clearInterval(timer);
    }
    expect(ticks).toBeGreaterThan(8);
    expect(most).toBeLessThanOrEqual(17);
  });

  test('timers run while one large batch is made of slow samples', async () => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    const slow = new SimpleDataset(Array.from({ length: 100 }, (_, i) => i)).transform((v) => {
      const until = performance.now() + 1;
      while (performance.now() < until);
      return v;
    });
    try {
      for await (const _ of new DataLoader(slow, 100)) break;
    } finally {
      clearInterval(timer);
    }
    expect(ticks).toBeGreaterThan(4);
  });

  test('progress is told after each batch', async () => {
    const told: unknown[] = [];
    const loader = new DataLoader([1, 2, 3, 4, 5], 2, { onProgress: (p) => told.push(p) });
    for await (const _ of loader);
    const expected = [1, 2, 3].map((done) => ({ done, total: 3, unit: 'batches' }));
    expect(told).toEqual(expected);
    for (const _ of loader);
    expect(told).toEqual([...expected, ...expected]);
  });

  test('an abort ends the loop with its reason, also while a sample is waited for', async () => {
    const reason = new Error('enough');
    const later = new Later();
    for (const data of [new SimpleDataset([1, 2, 3, 4]), later]) {
      const stop = new AbortController();
      let steps = 0;
      const run = (async () => {
        for await (const _ of new DataLoader(data as never, 1, { signal: stop.signal }))
          if (++steps === 2) stop.abort(reason);
      })();
      await expect(run).rejects.toBe(reason);
      expect(steps).toBe(2);
    }
    await later.settled();
    class Never extends Dataset<number> {
      readonly length = 2;
      at(): Promise<number> {
        return new Promise(() => undefined);
      }
    }
    const stop = new AbortController();
    setTimeout(() => stop.abort(reason), 5);
    const loader = new DataLoader(new Never(), 1, { signal: stop.signal });
    await expect(
      (async () => {
        for await (const _ of loader);
      })(),
    ).rejects.toBe(reason);
    expect(() => [...loader]).toThrow(reason);
  });

  test('a loop that is left early can be begun anew', async () => {
    const loader = new DataLoader([1, 2, 3, 4], 2);
    for await (const _ of loader) break;
    for (const _ of loader) break;
    const all: number[] = [];
    for await (const x of loader) all.push(...(await x.data()));
    expect(all).toEqual([1, 2, 3, 4]);
  });
});

describe('bad arguments', () => {
  const data = new SimpleDataset([1, 2, 3]);
  test.each([
    [() => new DataLoader(data), /expected a batch size, received none/],
    [() => new DataLoader(data, 0), /batchSize to be an integer ≥ 1, received 0/],
    [() => new DataLoader(data, 2.5), /batchSize to be an integer/],
    [() => new DataLoader(data, 2, { batch_size: 3 } as never), /Did you mean batchSize/],
    [() => new DataLoader(data, 2, { last_batch: 'keep' } as never), /Did you mean lastBatch/],
    [
      () => new DataLoader(data, 2, { lastBatch: 'drop' as never }),
      /lastBatch to be one of 'keep', 'discard', 'rollover'/,
    ],
    [() => new DataLoader(data, 2, { shuffle: true, sampler: [1] }), /sampler or shuffle, received both/],
    [() => new DataLoader(data, 2, { batchSampler: [[1]] }), /batchSampler alone, received batchSize too/],
    [() => new DataLoader(data, { batchSampler: 5 as never }), /batchSampler to be an iterable/],
    [() => new DataLoader(data, 2, { ctx: 'cpu' as never }), /expected a context/],
    [() => new DataLoader(data, 2, { prefetch: -1 }), /prefetch to be an integer ≥ 0/],
    [() => new DataLoader(data, 2, { onProgress: 5 as never }), /onProgress to be a function/],
    [() => new DataLoader(data, 2, { signal: {} as never }), /signal to be an AbortSignal/],
    [() => new DataLoader(data, 2, { batchifyFn: 1 as never }), /batchifyFn to be a function/],
    [() => new DataLoader(Promise.resolve([1]) as never, 2), /It is a Promise: await it first/],
    [() => [...new DataLoader(data, 2, { sampler: [0, 3] })], /expected an index from -3 to 2, received 3/],
    [() => [...new DataLoader(data, { batchSampler: [[]] })], /batches as lists of sample numbers/],
    [
      () => [...new DataLoader(data, 2, { batchifyFn: async (v) => v })],
      /batchifyFn to return a batch, received a Promise/,
    ],
  ])('%s', (call, message) => {
    expect(call).toThrow(message);
  });

  test('nothing stays behind a batch that fails', () => {
    const before = memoryInfo(cpu()).arrays;
    const bad = new SimpleDataset([0, 1, 2]).transform((v) => (v === 2 ? nd.ones([3]) : nd.ones([2])));
    expect(() => [...new DataLoader(bad, 3)]).toThrow(/one shape/);
    expect(memoryInfo(cpu()).arrays).toBe(before);
  });
});
