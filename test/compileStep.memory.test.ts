// What a compiled step costs: the level of memory stays, nothing is made in the steady state, and LeNet's step with sgd is a few dispatches and one submit.
import { beforeAll, describe, expect, test } from 'vitest';
import {
  autograd,
  type Context,
  cpu,
  gluon,
  gpu,
  memoryInfo,
  metric,
  type NDArray,
  nd,
  nn,
  openGpu,
  random,
  withContext,
} from 'webgluon';
import { deviceOf } from '../src/device/registry.ts';
import { eachDevice } from './devices.ts';
import { collectGarbage, heapObjects } from './heap.ts';

/** The crash course's LeNet, on pictures of 28 × 28. */
function lenet(ctx: Context): nn.Sequential {
  random.seed(1);
  const net = new nn.Sequential().add(
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

const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();

interface Learner {
  readonly step: gluon.CompiledStep<[NDArray, NDArray], NDArray>;
  readonly x: NDArray;
  readonly y: NDArray;
}

function learner(
  ctx: Context,
  options: { readonly momentum?: number; readonly batch?: number; readonly inside?: metric.Loss } = {},
): Learner {
  const { momentum = 0, batch = 2, inside } = options;
  const net = lenet(ctx);
  const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.05, momentum });
  const step = gluon.compileStep((x: NDArray, y: NDArray) => {
    const loss = autograd.record(() => lossFn(net(x), y));
    loss.backward();
    trainer.step(x.shape[0]);
    inside?.update(null, loss);
    return loss;
  });
  const x = nd.random.uniform(0, 1, [batch, 1, 28, 28], { ctx });
  const y = nd.array(
    Array.from({ length: batch }, (_, i) => i % 10),
    { ctx, dtype: 'int32' },
  );
  return { step, x, y };
}

eachDevice((ctx) => {
  test('the level of memory stays over steps, with a metric outside and inside', async () => {
    const [inside, outside] = [new metric.Loss(), new metric.Loss()];
    const { step, x, y } = learner(ctx, { momentum: 0.9, inside });
    const run = (): void => {
      const loss = step(x, y);
      outside.update(null, loss);
      loss.dispose();
    };
    const count = ctx.deviceType === 'cpu' ? 300 : 60;
    // the first step records, the second compiles; after 32 sums have a second level
    for (let i = 0; i < 34; i++) run();
    await nd.waitall();
    const level = memoryInfo(ctx);
    for (let i = 34; i < count; i++) {
      run();
      const now = memoryInfo(ctx);
      expect(now.bytesInUse).toBe(level.bytesInUse);
      expect(now.userBytes).toBe(level.userBytes);
      expect(now.arrays).toBe(level.arrays);
    }
    expect(step.cacheInfo()).toMatchObject({ hits: count - 1, misses: 1 });
    expect((await inside.get())[1]).toBeCloseTo((await outside.get())[1] as number, 5);
  });

  test('disposing gives the memory of programs back', async () => {
    const before = memoryInfo(ctx).bytesInUse;
    const w = nd.ones([64, 64], { ctx });
    const step = gluon.compileStep((x: NDArray) => nd.dot(nd.dot(x, w).relu(), w).sum());
    const x = nd.ones([64, 64], { ctx });
    for (let i = 0; i < 3; i++) step(x).dispose();
    const [entry] = step.cacheInfo().entries;
    expect(entry?.program.slotBytes).toBeGreaterThan(0);
    expect(entry?.program.runs).toBe(2);
    step.dispose();
    x.dispose();
    w.dispose();
    expect(memoryInfo(ctx).bytesInUse).toBe(before);
  });
});

describe.skipIf(process.env['WEBGLUON_NO_GPU'] === '1')('on a GPU', () => {
  beforeAll(async () => {
    await openGpu({ allowSoftware: true });
  });

  test('LeNet’s step is at most 24 dispatches and one submit, and nothing is made', async () => {
    const device = deviceOf(gpu());
    const start = { ...device.stats };
    const { step } = learner(gpu());
    const pixels = new Float32Array(2 * 784);
    const run = (): void => {
      const x = nd.array(pixels, { ctx: gpu(), shape: [2, 1, 28, 28] });
      const y = nd.array([3, 4], { ctx: gpu(), dtype: 'int32' });
      const loss = step(x, y);
      for (const array of [x, y, loss]) array.dispose();
      device.flush();
    };
    const steps = 8;
    let [before, after] = [start, start];
    // which of the few buffers comes next depends on when the GPU is done, so it takes some rounds until each has been in each place
    for (let round = 0; round < 24; round++) {
      before = { ...device.stats };
      for (let i = 0; i < steps; i++) run();
      after = { ...device.stats };
      await nd.waitall();
      if (round > 2 && after.bindGroupsCreated === before.bindGroupsCreated) break;
    }
    expect(before.bindGroupsCreated).toBeGreaterThan(start.bindGroupsCreated + 20);
    const [entry] = step.cacheInfo().entries;
    expect(entry?.program.dispatches).toBeLessThanOrEqual(24);
    expect(entry?.program.prologue).toBe(0);
    expect(after).toEqual({
      ...before,
      dispatches: before.dispatches + steps * (entry?.program.dispatches ?? 0),
      submits: before.submits + steps,
    });
  });

  test.each([
    ['sgd', { momentum: 0.9 }],
    ['adam', {}],
  ] as const)('%s updates all parameters in one dispatch', async (name, options) => {
    const net = lenet(gpu());
    const trainer = new gluon.Trainer(net.collectParams(), name as 'adam', options as object);
    const step = gluon.compileStep(() => trainer.step(2));
    const backward = (): void => {
      const loss = autograd.record(() => net(nd.ones([2, 1, 28, 28], { ctx: gpu() })).sum());
      loss.backward();
    };
    for (let i = 0; i < 2; i++) {
      backward();
      withContext(gpu(), () => step());
    }
    expect(step.cacheInfo()).toMatchObject({ hits: 1 });
    expect(step.cacheInfo().entries[0]?.program.dispatches).toBe(1);
  });
});

test('the heap stays over 1000 steps', async () => {
  const net = new nn.Dense(3, { inUnits: 4 });
  net.initialize();
  const trainer = new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.01 });
  const losses = new metric.Loss();
  const step = gluon.compileStep((x: NDArray) => {
    const y = autograd.record(() => net(x).square().sum());
    y.backward();
    trainer.step(1);
    losses.update(null, y);
    return y;
  });
  const x = nd.ones([2, 4]);
  const run = (count: number): void => {
    for (let i = 0; i < count; i++) step(x).dispose();
  };
  run(100);
  const before = await heapObjects();
  run(1000);
  // a step that kept one object would keep a thousand
  expect((await heapObjects()) - before).toBeLessThan(300);
});

test('a step that nobody can call any more gives its memory back', async () => {
  const before = memoryInfo(cpu()).bytesInUse;
  (() => {
    const w = nd.ones([256, 256]);
    const step = gluon.compileStep((x: NDArray) => nd.dot(x, w).relu().sum());
    for (let i = 0; i < 3; i++) step(w).dispose();
  })();
  for (let i = 0; i < 20 && memoryInfo(cpu()).bytesInUse > before; i++) await collectGarbage();
  expect(memoryInfo(cpu()).bytesInUse).toBeLessThanOrEqual(before);
});
