// Compiled calls and memory: what the library makes for one returns to its level when its results are gone; a thousand replays leave nothing, on the device and on the heap.
import { expect, test } from 'vitest';
import { autograd, type Context, gluon, memoryInfo, type NDArray, nd, nn } from 'webgluon';
import { deviceOf } from '../src/device/registry.ts';
import { eachDevice } from './devices.ts';
import { collectGarbage, heapObjects } from './heap.ts';

const lenet = (ctx: Context): nn.Sequential => {
  const net = new nn.Sequential().add(
    new nn.Conv2D(3, 3, { activation: 'relu', inChannels: 1 }),
    new nn.BatchNorm({ inChannels: 3 }),
    new nn.MaxPool2D(2, 2),
    new nn.Dropout(0.5),
    new nn.Dense(8, { activation: 'tanh', inUnits: 27 }),
    new nn.Dense(3, { inUnits: 8 }),
  );
  net.initialize({ init: 'xavier', ctx });
  return net;
};

const libraryBytes = (ctx: Context): number => {
  const { bytesInUse, userBytes } = memoryInfo(ctx);
  return bytesInUse - userBytes;
};

eachDevice((ctx) => {
  test.each([false, true])(
    'every call and every step returns what it took, staticAlloc %s',
    async (staticAlloc) => {
      const net = lenet(ctx);
      const loss = new gluon.loss.SoftmaxCrossEntropyLoss();
      net.hybridize({ staticAlloc });
      loss.hybridize({ staticAlloc });
      const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.01, momentum: 0.9 });
      const x = nd.ones([2, 1, 8, 8], { ctx });
      const y = nd.array([0, 2], { ctx });
      const step = (): void => {
        const [output, value] = autograd.record(() => {
          const made = net(x);
          return [made, loss(made, y)] as const;
        });
        value.backward();
        trainer.step(2);
        value.dispose();
        output.dispose();
        net(x).dispose();
      };
      for (let i = 0; i < 3; i++) step();
      await nd.waitall();
      const [level, { arrays }] = [libraryBytes(ctx), memoryInfo(ctx)];
      for (let i = 0; i < 20; i++) {
        step();
        expect(libraryBytes(ctx), `after step ${i}`).toBe(level);
        expect(memoryInfo(ctx).arrays).toBe(arrays);
      }
      // a forward whose backward never comes keeps what it saved until its results go
      const waiting = autograd.record(() => net(x));
      expect(libraryBytes(ctx)).toBeGreaterThan(level);
      waiting.dispose();
      expect(libraryBytes(ctx)).toBe(level);
      // programs give back what they hold
      net.hybridize(false);
      loss.hybridize(false);
      expect(libraryBytes(ctx)).toBeLessThanOrEqual(level);
      net.dispose();
      net.hybridize();
    },
  );

  test('a steady state makes no buffers and no bind groups', async () => {
    const net = lenet(ctx);
    net.hybridize({ staticAlloc: true });
    const x = nd.ones([2, 1, 8, 8], { ctx });
    const { stats } = deviceOf(ctx);
    const call = (): void => {
      net(x).dispose();
      const y = autograd.record(() => net(x));
      y.backward();
      y.dispose();
    };
    for (let i = 0; i < 4; i++) {
      call();
      await nd.waitall();
    }
    const before = { ...stats };
    for (let i = 0; i < 8; i++) {
      call();
      await nd.waitall();
    }
    expect(stats.buffersCreated - before.buffersCreated).toBe(0);
    expect(stats.bindGroupsCreated - before.bindGroupsCreated).toBe(0);
    expect(stats.pipelinesCreated - before.pipelinesCreated).toBe(0);
  });

  test('the heap stays flat over 1000 replays, and dropped nets give their memory back', {
    timeout: 120_000,
  }, async () => {
    const onGpu = ctx.deviceType === 'gpu';
    const net = lenet(ctx);
    net.hybridize();
    const x = nd.ones([1, 1, 8, 8], { ctx });
    const run = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        net(x).dispose();
        if (i % 4 === 0) {
          const y = autograd.record(() => net(x));
          y.backward();
          y.dispose();
        }
        if (i % 50 === 0) await nd.waitall();
      }
      await nd.waitall();
    };
    await run(onGpu ? 100 : 500);
    const before = await heapObjects();
    await run(1000);
    // a replay that kept one object would keep a thousand
    expect((await heapObjects()) - before).toBeLessThan(300);

    const level = memoryInfo(ctx).bytesInUse;
    let other: nn.Sequential | null = lenet(ctx);
    other.hybridize({ staticAlloc: true });
    for (let i = 0; i < 3; i++) other(x).dispose();
    expect(memoryInfo(ctx).bytesInUse).toBeGreaterThan(level);
    other = null;
    for (let i = 0; i < 40 && memoryInfo(ctx).bytesInUse > level; i++) await collectGarbage();
    expect(memoryInfo(ctx).bytesInUse).toBeLessThanOrEqual(level);
  });
});

test('results stay while later calls run', async () => {
  const net = new nn.Dense(3, { inUnits: 2, weightInitializer: 'ones' });
  net.initialize();
  net.hybridize({ staticAlloc: true, staticShape: true });
  const results: NDArray[] = [];
  for (let i = 0; i < 6; i++) results.push(net(nd.array([[i, i]])));
  for (const [i, y] of results.entries()) expect([...(await y.data())]).toEqual([2 * i, 2 * i, 2 * i]);
});
