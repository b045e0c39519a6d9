// When the CPU's memory is full: the error names the request and who made it, nothing is lost or left behind, and once there is room again everything goes on.
import { afterEach, describe, expect, test } from 'vitest';
import {
  autograd,
  cpu,
  gluon,
  memoryInfo,
  type NDArray,
  nd,
  nn,
  OutOfMemoryError,
  setNumThreads,
} from 'webgluon';
import { differences, numbers } from '../values.ts';

const ctx = cpu();
const MIB = 2 ** 20;

// an engine that refuses to grow a memory beyond 64 MiB, so that filling it takes no time
const { Memory } = WebAssembly;
WebAssembly.Memory = class extends Memory {
  constructor(descriptor: WebAssembly.MemoryDescriptor) {
    super({ ...descriptor, maximum: 1024 });
  }
};

/** Arrays that take what there is, in pieces, until not even `piece` bytes are left. */
function fill(piece: number): NDArray[] {
  const held: NDArray[] = [];
  for (let size = 16 * MIB; size >= piece; size /= 2)
    for (;;)
      try {
        held.push(nd.empty([size], { ctx, dtype: 'uint8' }));
      } catch (error) {
        if (!(error instanceof OutOfMemoryError)) throw error;
        break;
      }
  return held;
}

const state = (): number[] => {
  const { bytesInUse, userBytes, arrays } = memoryInfo(ctx);
  return [bytesInUse, userBytes, arrays];
};

/** Nothing is left behind; what was dropped earlier may come back meanwhile. */
function expectNoMoreThan(before: readonly number[]): void {
  for (const [i, n] of state().entries()) expect(n).toBeLessThanOrEqual(before[i] as number);
}

let full: NDArray[] = [];
afterEach(async () => {
  for (const x of full.splice(0)) x.dispose();
  await setNumThreads(1);
});

/** The error of a call that finds no memory; what is in use is what it was. */
function refusal(call: () => unknown): OutOfMemoryError {
  const before = state();
  let found: unknown;
  try {
    call();
  } catch (error) {
    found = error;
  }
  expect(found).toBeInstanceOf(OutOfMemoryError);
  expect(state()).toEqual(before);
  return found as OutOfMemoryError;
}

describe('more than there can ever be', () => {
  test.each([
    ['zeros', () => nd.zeros([2 ** 30], { ctx }), 2 ** 32],
    ['full', () => nd.full([2 ** 31], 3, { ctx, dtype: 'int32' }), 2 ** 33],
    ['uniform', () => nd.random.uniform(0, 1, [2 ** 20, 2 ** 11], { ctx }), 2 ** 33],
    ['arange', () => nd.arange(0, 2 ** 40, 1, { ctx }), 2 ** 42],
  ] as const)('nd.%s', (op, call, bytes) => {
    const error = refusal(call);
    expect(error.message).toContain(`expected ${bytes} bytes of CPU memory`);
    expect(error.op?.toLowerCase()).toContain(op);
    expect(error.code).toBe('OUT_OF_MEMORY');
  });

  test('a result that its inputs do not suggest', async () => {
    const x = nd.ones([2 ** 16, 1], { ctx });
    const row = nd.ones([1, 2 ** 16], { ctx });
    expect(refusal(() => x.add(row)).message).toContain(`${2 ** 34} bytes`);
    expect(refusal(() => nd.dot(x, row)).message).toContain(`${2 ** 34} bytes`);
    expect(refusal(() => x.tile([1, 2 ** 16])).message).toContain(`${2 ** 34} bytes`);
    expect(await x.sum().asscalar()).toBe(2 ** 16);
    for (const array of [x, row]) array.dispose();
  });
});

describe('when it is full', () => {
  const count = 3 * MIB;
  const values = numbers(1000);

  test('operations are refused, and go on once there is room', async () => {
    const x = nd.array(values, { ctx });
    const row = nd.zeros([1, count / 4], { ctx });
    full = fill(MIB);
    const calls: Readonly<Record<string, () => NDArray>> = {
      add: () => row.add(1),
      'broadcast add': () => x.reshape([1000, 1]).add(row.slice([0, 0], [1, 2000])),
      exp: () => row.exp(),
      softmax: () => row.softmax(),
      dot: () => nd.dot(x.reshape([1000, 1]), x.reshape([1, 1000])),
      transpose: () => row.reshape([1024, -1]).T.copy(),
      sort: () => row.sort(),
      tile: () => row.tile([2, 1]),
      astype: () => row.astype('int32'),
      cumsum: () => row.cumsum(1),
      convolution: () => nd.convolution(row.reshape([1, 1, 1024, -1]), nd.ones([1, 1, 3, 3], { ctx })),
    };
    for (const [name, call] of Object.entries(calls)) {
      const before = state();
      let message = '';
      try {
        call().dispose();
      } catch (error) {
        expect(error, name).toBeInstanceOf(OutOfMemoryError);
        message = (error as Error).message;
      }
      expect(message, name).toMatch(/^\[\w+] expected \d+ bytes of /);
      // handles that the call left (views, slices) are garbage: what they keep is given back when they go
      expect(state()[0], name).toBeLessThanOrEqual((before[0] as number) + 8192 * 4);
    }
    // small arrays may still be had, and what there was is what it was
    expect(differences(await x.data(), values)).toEqual([]);
    for (const y of full.splice(0)) y.dispose();
    for (const call of Object.values(calls)) call().dispose();
    expect(await nd.dot(x, x).asscalar()).toBeCloseTo(
      values.reduce((a, b) => a + b * b, 0),
      2,
    );
    row.dispose();
    x.dispose();
  });

  test('a step of training that finds no room leaves weights and tape as they were', async () => {
    const net = new nn.HybridSequential();
    net.add(
      new nn.Conv2D(8, 3, { inChannels: 1, activation: 'relu' }),
      new nn.MaxPool2D(2, 2),
      new nn.Dense(10),
    );
    net.initialize({ init: 'xavier', ctx });
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.01 });
    const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
    const x = nd.random.uniform(0, 1, [64, 1, 28, 28], { ctx });
    const y = nd.zeros([64], { ctx });
    const step = (): NDArray => {
      const loss = autograd.record(() => lossFn(net(x), y));
      loss.backward();
      trainer.step(64);
      return loss;
    };
    const compiled = gluon.compileStep(step);
    step().dispose();
    await nd.waitall();
    const weights = async (): Promise<number[]> => [
      ...(await (net[0].weight as gluon.Parameter).data().data()),
    ];
    const before = await weights();
    const level = state();
    full = fill(MIB / 4);
    const crowded = state();
    for (const run of [step, step, () => net(x), () => compiled(), () => compiled()]) {
      expect(() => run()).toThrow(OutOfMemoryError);
      expect(autograd.isRecording()).toBe(false);
      await nd.waitall();
      expectNoMoreThan(crowded);
      expect(await weights()).toEqual(before);
    }
    for (const a of full.splice(0)) a.dispose();
    expectNoMoreThan(level);
    const losses = [];
    for (let i = 0; i < 6; i++) {
      const loss = i % 2 === 0 ? step() : compiled();
      losses.push(await loss.mean().asscalar());
      loss.dispose();
    }
    expect(losses).toEqual([...losses].sort((a, b) => b - a));
    expect(losses.every((loss) => loss > 0)).toBe(true);
  });

  test('threads are had or not, but never an error, and results are right', async () => {
    const [a, b] = [nd.array(numbers(200 * 300), { ctx, shape: [200, 300] }), nd.ones([300, 40], { ctx })];
    const product = async (): Promise<number[]> => [...(await nd.dot(a, b).data())];
    const want = await product();
    full = fill(MIB / 8);
    const inUse = await setNumThreads(4);
    expect([1, 4]).toContain(inUse);
    expect(await product()).toEqual(want);
  });
});
