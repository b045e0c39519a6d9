// What the public page names under "Compiled", called as it is written there.
import { expect, test } from 'vitest';
import * as webgluon from 'webgluon';
import { autograd, gluon, metric, type NDArray, nd, nn, profile, viz } from 'webgluon';
import { eachDevice } from '../devices.ts';

test('every name is there', () => {
  expect(
    ['profile', 'setNumThreads', 'debug', 'memoryInfo'].filter(
      (name) => !(Reflect.get(webgluon, name) instanceof Function),
    ),
  ).toEqual([]);
  expect(viz.plotNetwork).toBeInstanceOf(Function);
  expect(gluon.compileStep).toBeInstanceOf(Function);
  for (const block of [new nn.Sequential(), new nn.HybridSequential(), new nn.Dense(1)])
    for (const name of ['hybridize', 'warmup', 'cacheInfo', 'graph'])
      expect(Reflect.get(block, name), name).toBeInstanceOf(Function);
});

function mlp(ctx: webgluon.Context): nn.Sequential {
  const net = new nn.Sequential();
  net.add(new nn.Dense(8, { activation: 'relu' }), new nn.Dense(3));
  net.initialize('xavier', { ctx });
  return net;
}

eachDevice((ctx) => {
  test('hybridize and back, warmup, cacheInfo, graph, plotNetwork, profile', async () => {
    const net = mlp(ctx);
    const x = nd.random.uniform(0, 1, [2, 5], { ctx });
    const eager = await net(x).data();
    net.hybridize({ staticAlloc: true, staticShape: true });
    const done: number[] = [];
    await net.warmup([[2, 5]], {
      training: false,
      dtype: 'float32',
      onProgress: (progress: { readonly done: number; readonly total: number; readonly unit: string }) => {
        done.push(progress.done / progress.total);
      },
      signal: new AbortController().signal,
    });
    expect(done.at(-1)).toBe(1);
    const [first, second] = [net(x), net(x)];
    const values = await second.data();
    for (const [i, value] of (await first.data()).entries()) {
      expect(value).toBeCloseTo(eager[i] as number, 5);
      expect(values[i]).toBe(value);
    }
    expect(net.cacheInfo()).toMatchObject({ hits: expect.any(Number), misses: expect.any(Number) });
    expect(net.graph(x)).toContain('relu');
    expect(viz.plotNetwork(net, [2, 5])).toMatch(/^<svg[\s\S]*<\/svg>$/);
    const { value, kernels, totalMs } = await profile(() => net(x));
    expect(await value.data()).toEqual(values);
    expect(kernels.length).toBeGreaterThan(0);
    expect(totalMs).toBeGreaterThan(0);
    net.hybridize(false);
    expect(await net(x).data()).toEqual(eager);
  });

  test("the page's own training loop", async () => {
    const net = mlp(ctx);
    const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.5 });
    const rows = Array.from({ length: 18 }, (_, i) =>
      Array.from({ length: 5 }, (_, j) => Math.sin(i + 3 * j)),
    );
    const labels = rows.map((row) => ((row[0] as number) > 0.4 ? 2 : (row[0] as number) > -0.4 ? 1 : 0));
    const loader = new gluon.data.DataLoader(
      new gluon.data.ArrayDataset(nd.array(rows), nd.array(labels)),
      6,
      { ctx },
    );
    const step = gluon.compileStep((x: NDArray, y: NDArray) => {
      const loss = autograd.record(() => lossFn(net(x), y));
      loss.backward();
      trainer.step(x.shape[0]);
      return loss;
    });
    const epochs: number[] = [];
    for (let epoch = 0; epoch < 12; epoch++) {
      const trainLoss = new metric.Loss();
      for await (const [x, y] of loader) trainLoss.update(null, step(x, y));
      epochs.push((await trainLoss.get())[1]);
    }
    expect(epochs.at(-1)).toBeLessThan(0.7 * (epochs[0] as number));
  });
});
