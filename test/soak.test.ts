// An hour's worth of steps, compressed: thousands of training steps of two small networks in turn, with batches and pictures whose sizes change all the time
// and arrays that live for a few steps between them. The memory has to stop growing, and what is in use has to stay level.
import { expect, test } from 'vitest';
import { autograd, cpu, gluon, memoryInfo, type NDArray, nd, nn } from 'webgluon';

const ctx = cpu();

/** Whole numbers below `n`, the same in every run. */
function stream(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * n);
  };
}

function convolutional(): nn.Sequential {
  const net = new nn.Sequential();
  net.add(
    new nn.Conv2D(4, 3, { padding: 1, useBias: false }),
    new nn.BatchNorm(),
    new nn.Activation('relu'),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(8, 3, { activation: 'relu' }),
    new nn.GlobalAvgPool2D(),
    new nn.Dense(10),
  );
  return net;
}

function dense(): nn.Sequential {
  const net = new nn.Sequential();
  net.add(
    new nn.Dense(48, { activation: 'tanh' }),
    new nn.LayerNorm(),
    new nn.Dropout(0.2),
    new nn.Dense(10),
  );
  return net;
}

test('3000 steps over changing shapes keep their memory', { timeout: 240_000 }, async () => {
  const below = stream(3);
  const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
  const learners = [convolutional(), dense()].map((net, i) => {
    net.initialize({ init: 'xavier', ctx });
    const params = net.collectParams();
    return { net, trainer: new gluon.Trainer(params, i === 0 ? 'adam' : 'sgd', { learningRate: 0.01 }) };
  });
  const alive: NDArray[] = [];
  const step = (i: number): void => {
    const batch = 1 + below(24);
    const size = 6 + below(15);
    const { net, trainer } = learners[i % 2] as (typeof learners)[number];
    const x = nd.random.normal(0, 1, i % 2 === 0 ? [batch, 1, size, size] : [batch, 64], { ctx });
    const y = nd.array(
      Array.from({ length: batch }, () => below(10)),
      { ctx },
    );
    const [out, loss] = autograd.record(() => {
      const scores = net(x);
      return [scores, lossFn(scores, y)] as const;
    });
    loss.backward();
    trainer.step(batch);
    for (const array of [x, y, out, loss]) array.dispose();
    // what a page keeps for a while: results, pictures, of all sizes
    alive.push(nd.zeros([1 + below(20000)], { ctx }));
    if (alive.length > 8) for (const array of alive.splice(below(8), 1)) array.dispose();
  };
  const heap = (): number => memoryInfo(ctx).bytesInUse + memoryInfo(ctx).pooledBytes;
  const inUse = (): number =>
    memoryInfo(ctx).bytesInUse - alive.reduce((sum, array) => sum + array.size * 4, 0);
  const heaps: number[] = [];
  const levels: number[] = [];
  for (let i = 0; i < 3000; i++) {
    step(i);
    if (i % 100 !== 99) continue;
    heaps.push(heap());
    levels.push(inUse());
    // collectors run between turns
    await nd.waitall();
  }
  for (const array of alive) array.dispose();
  // nothing but weights, their states and gradients
  expect(new Set(levels).size, `bytes in use: ${levels}`).toBe(1);
  // tables of convolutions come and go among arrays of all sizes: at most what the memory begins with, so that it has never grown
  expect(Math.max(...heaps), `bytes taken: ${heaps}`).toBeLessThan(16 * 2 ** 20);
});
