// The compressed hour once more, shorter and with threads that come and go: steps of an eager and a compiled learner over batches of many sizes. What is in use
// stays level, what was taken from the memory stops growing, and no thread is lost.
import { afterAll, expect, test } from 'vitest';
import { autograd, cpu, gluon, memoryInfo, type NDArray, nd, nn, setNumThreads } from 'webgluon';
import { integers } from '../values.ts';

const ctx = cpu();
const STEPS = 500;

afterAll(async () => {
  await setNumThreads(1);
});

function learner(compiled: boolean): (batch: number, size: number) => void {
  const net = new nn.HybridSequential();
  net.add(
    new nn.Conv2D(12, 3, { padding: 1, inChannels: 3 }),
    new nn.BatchNorm({ inChannels: 12 }),
    new nn.Activation('relu'),
    new nn.AvgPool2D(2, 2),
    new nn.Conv2D(16, 3, { activation: 'tanh', inChannels: 12 }),
    new nn.GlobalMaxPool2D(),
    new nn.Dense(10, { inUnits: 16 }),
  );
  net.initialize({ init: 'xavier', ctx });
  const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
  const trainer = new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.01 });
  const plain = (x: NDArray, y: NDArray): NDArray => {
    const loss = autograd.record(() => lossFn(net(x), y));
    loss.backward();
    trainer.step(x.shape[0]);
    return loss;
  };
  const step = compiled ? gluon.compileStep(plain) : plain;
  return (batch, size) =>
    nd.scope(() => {
      step(
        nd.random.normal(0, 1, [batch, 3, size, size], { ctx }),
        nd.zeros([batch], { ctx, dtype: 'int32' }),
      );
    });
}

test(`${STEPS} steps on threads that come and go`, { timeout: 120_000 }, async () => {
  const learners = [learner(false), learner(true)];
  // a compiled step is a program for each shape: twelve of them, so that none is made anew in the end
  const batches = integers(STEPS, 1, 4, 3).map((n) => n * 8);
  const sizes = integers(STEPS, 0, 2, 4).map((n) => 12 + 8 * n);
  const heaps: number[] = [];
  const levels: number[] = [];
  for (let i = 0; i < STEPS; i++) {
    if (i % 50 === 0) expect(await setNumThreads([2, 1, 3, 2, 4][(i / 50) % 5] as number)).toBeGreaterThan(0);
    learners[i % 2]?.(batches[i] as number, sizes[i] as number);
    if (i % 25 !== 24) continue;
    // collectors run between turns
    await nd.waitall();
    const { bytesInUse, pooledBytes } = memoryInfo(ctx);
    levels.push(bytesInUse);
    heaps.push(bytesInUse + pooledBytes);
  }
  const late = heaps.slice(heaps.length / 2);
  expect(new Set(levels.slice(levels.length / 2)).size, `bytes in use: ${levels}`).toBe(1);
  expect(Math.max(...late) - (late[0] as number), `bytes taken: ${heaps}`).toBeLessThan(4 * 2 ** 20);
  expect(Math.max(...heaps), `bytes taken: ${heaps}`).toBeLessThan(32 * 2 ** 20);
  expect(await setNumThreads(2)).toBe(2);
});
