// One, two, three and four threads give the same bits: every family of kernels over arrays large enough to be shared, training that changes its threads on the
// way, programs. And what `setNumThreads` itself promises: one change after the other, nothing left behind.
import { afterEach, describe, expect, test } from 'vitest';
import { autograd, cpu, gluon, memoryInfo, NDArray, nd, nn, OutOfMemoryError, setNumThreads } from 'webgluon';
import { deviceOf } from '../../src/device/registry.ts';
import type { Storage } from '../../src/ir/storage.ts';
import { numbers } from '../values.ts';
import { allFamilies, digest, given, gradients } from './families.ts';

const ctx = cpu();

afterEach(async () => {
  await setNumThreads(1);
});

/** What one thread gives. */
const one: Record<string, string> = {};

describe('the same bits', () => {
  test('one thread gives them again', { timeout: 120_000 }, async () => {
    Object.assign(one, await allFamilies());
    expect(await allFamilies()).toEqual(one);
  });

  test.each([2, 3, 4])('%i threads', { timeout: 120_000 }, async (threads) => {
    expect(await setNumThreads(threads)).toBe(threads);
    expect(await allFamilies()).toEqual(one);
    // and none was lost on the way
    expect(await setNumThreads(threads)).toBe(threads);
  });
});

/** Random work that is worth sharing, whose tiles end anywhere: products, convolutions, rows. */
function randomWork(round: number): NDArray[] {
  const stream = numbers(40, 0, 1, round + 1);
  let drawn = 0;
  const below = (n: number): number => Math.floor((stream[drawn++] as number) * n);
  const extent = (most: number): number => 1 + below(most);
  const kind = round % 4;
  if (kind === 0) {
    const [m, k, n] = [extent(300), 20 + below(300), extent(300)];
    const flags = { transposeA: below(2) === 1, transposeB: below(2) === 1 };
    return [
      nd.dot(given(flags.transposeA ? [k, m] : [m, k]), given(flags.transposeB ? [n, k] : [k, n]), flags),
    ];
  }
  if (kind === 1) {
    const [batch, m, k, n] = [extent(40), extent(60), extent(60), extent(60)];
    return [
      nd.batchDot(given([batch, m, k]), given([batch, k, n])),
      nd.matmul(given([batch, m, k]), given([k, n])),
    ];
  }
  if (kind === 2) {
    const groups = [1, 1, 2, 4, 0][below(5)] as number;
    const channels = groups === 0 ? extent(40) : groups * extent(8);
    const numGroup = groups === 0 ? channels : groups;
    const [kernel, stride, size] = [[extent(4), extent(4)], extent(2), [20 + below(20), 20 + below(20)]];
    const weight = given([numGroup * extent(groups === 0 ? 1 : 6), channels / numGroup, ...kernel]);
    const options = { stride, pad: below(3), numGroup };
    return gradients(
      (x, w) => nd.convolution(x, w, null, options),
      given([extent(4), channels, ...size]),
      weight,
    );
  }
  const [rows, columns] = below(2) === 1 ? [extent(3), extent(100_000)] : [extent(2000), extent(300)];
  const x = given([rows, columns]);
  const axis = below(2);
  return [
    x.softmax(axis),
    x.sum(axis),
    x.max(axis),
    x.mul(x).exp(),
    x.sub(x.mean(0)).tanh(),
    x.logSoftmax(axis),
  ];
}

test('160 random shapes', { timeout: 120_000 }, async () => {
  const all = async (): Promise<string[]> => {
    const found: string[] = [];
    for (let round = 0; round < 160; round++) found.push(await digest(nd.scope(() => randomWork(round))));
    return found;
  };
  const one = await all();
  expect(new Set(one).size).toBe(160);
  for (const threads of [2, 3]) {
    await setNumThreads(threads);
    expect(await all()).toEqual(one);
  }
});

/** Six steps of a small net; `between(i)` before the i-th. */
async function train(between: (i: number) => unknown, compiled: boolean): Promise<string> {
  nd.random.seed(5);
  const net = new nn.HybridSequential();
  net.add(
    new nn.Conv2D(16, 3, { padding: 1, useBias: false }),
    new nn.BatchNorm(),
    new nn.Activation('relu'),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(24, 3, { activation: 'relu' }),
    new nn.AvgPool2D(2, 2),
    new nn.Dropout(0.2),
    new nn.Dense(64, { activation: 'tanh' }),
    new nn.LayerNorm(),
    new nn.Dense(10),
  );
  net.initialize({ init: 'xavier', ctx });
  const trainer = new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.01 });
  const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
  const plain = (x: NDArray, y: NDArray): NDArray => {
    const loss = autograd.record(() => lossFn(net(x), y));
    loss.backward();
    trainer.step(x.shape[0]);
    return loss;
  };
  const step = compiled ? gluon.compileStep(plain) : plain;
  const x = given([32, 3, 28, 28]);
  const y = nd.array(Int32Array.from(numbers(32, 0, 10, 3), Math.floor), { ctx, dtype: 'int32' });
  const losses: number[] = [];
  for (let i = 0; i < 6; i++) {
    await between(i);
    losses.push(await step(x, y).mean().asscalar());
  }
  expect(losses.every((loss) => Number.isFinite(loss))).toBe(true);
  const bits = await digest([...net.collectParams().values()].map((p) => p.data().copy()));
  net.dispose();
  return `${losses.join()} ${bits}`;
}

test.each([
  ['eager', false],
  ['compiled', true],
])(
  'training, %s, comes to the same weights while its threads change',
  { timeout: 120_000 },
  async (_, compiled) => {
    const one = await train(() => undefined, compiled);
    await setNumThreads(2);
    expect(await train(() => undefined, compiled)).toBe(one);
    expect(await train((i) => setNumThreads([4, 1, 2, 3, 1, 2][i] as number), compiled)).toBe(one);
    // not waited for: the change comes about while the steps run
    const changes: Promise<number>[] = [];
    expect(await train((i) => void changes.push(setNumThreads(1 + ((i * 2 + 1) % 4))), compiled)).toBe(one);
    expect(await Promise.all(changes)).toEqual([2, 4, 2, 4, 2, 4]);
  },
);

describe('setNumThreads', () => {
  test('changes come one after the other, the last stays', async () => {
    expect(await Promise.all([2, 4, 1, 3].map((n) => setNumThreads(n)))).toEqual([2, 4, 1, 3]);
    expect(await setNumThreads(3)).toBe(3);
  });

  test('a hundred are as many as it starts at most', async () => {
    const most = await setNumThreads(100);
    expect(most).toBeGreaterThan(4);
    expect(most).toBeLessThanOrEqual(100);
    const product = async (): Promise<string> => digest([nd.dot(given([300, 300]), given([300, 300]))]);
    const many = await product();
    expect(await setNumThreads(1)).toBe(1);
    expect(await product()).toBe(many);
  });

  test('a wrong number changes nothing', async () => {
    await setNumThreads(2);
    for (const wrong of [-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, '3', null])
      await expect(setNumThreads(wrong as number)).rejects.toThrow(/whole number of threads/);
    expect(await setNumThreads(2)).toBe(2);
  });

  test('nothing is left behind by threads that come and go', async () => {
    const x = given([200, 200]);
    nd.dot(x, x).dispose();
    await nd.waitall();
    const state = () => {
      const { bytesInUse, pooledBytes } = memoryInfo(ctx);
      return { bytesInUse, taken: bytesInUse + pooledBytes };
    };
    const cycle = async (): Promise<void> => {
      for (const n of [2, 4, 1]) {
        await setNumThreads(n);
        nd.dot(x, x).dispose();
      }
    };
    await cycle();
    const before = state();
    for (let i = 0; i < 5; i++) await cycle();
    // what earlier tests dropped may be collected meanwhile
    expect(state().bytesInUse).toBeLessThanOrEqual(before.bytesInUse);
    expect(state().taken).toBeLessThanOrEqual(before.taken);
  });
});

test('arrays keep their values, and views their sharing, through every change', async () => {
  const x = given([50, 40]);
  const view = x.reshape([2000]);
  const values = Array.from(await x.data());
  for (const n of [2, 1, 4, 2]) {
    await setNumThreads(n);
    expect(Array.from(await x.data())).toEqual(values);
    view.iadd(1);
    values.forEach((v, i) => {
      values[i] = Math.fround(v + 1);
    });
  }
  expect(Array.from(await x.data())).toEqual(values);
  expect(x).toBeInstanceOf(NDArray);
});

// last, because the memory stays large
test('the same bits beyond 2³¹ bytes of memory', { timeout: 120_000 }, async ({ skip }) => {
  await setNumThreads(2);
  const device = deviceOf(ctx);
  // storage that nobody writes to costs the machine nothing
  const held: Storage[] = [];
  try {
    for (let i = 0; i < 8; i++) held.push(device.alloc(2 ** 28));
    // holes that earlier tests left below, so that all that follows lies above
    for (let bytes = 2 ** 28; bytes >= 64; bytes /= 2)
      do held.push(device.alloc(bytes));
      while ((held.at(-1)?.offset ?? 0) < 2 ** 31);
  } catch (error) {
    expect(error).toBeInstanceOf(OutOfMemoryError);
    skip('the engine gives less than 2 GiB');
  }
  expect(await allFamilies()).toEqual(one);
  await setNumThreads(1);
  expect(await allFamilies()).toEqual(one);
  for (const storage of held) device.free(storage);
});
