// On a GPU a step updates all parameters in one kernel; the numbers are those of one kernel for each.
import { beforeAll, expect, test } from 'vitest';
import { deviceOf } from '../../device/registry.ts';
import { autograd, type Context, cpu, gpu, memoryInfo, type NDArray, nd, nn, openGpu } from '../../index.ts';
import { Trainer } from '../trainer.ts';

beforeAll(async () => {
  await openGpu({ allowSoftware: true });
});

function makeNet(ctx: Context): nn.Sequential {
  nd.random.seed(3);
  const net = new nn.Sequential();
  for (let i = 0; i < 4; i++) net.add(new nn.Dense(5 + i, { inUnits: 4 + i, activation: 'tanh' }));
  net.initialize({ init: 'xavier', ctx });
  return net;
}

function step(net: nn.Sequential, trainer: Trainer, x: NDArray): void {
  const loss = autograd.record(() => net(x).square().sum());
  loss.backward();
  loss.dispose();
  trainer.step(3);
}

const optimizers = [
  ['sgd', { learningRate: 0.1, wd: 0.01 }],
  ['sgd', { learningRate: 0.1, momentum: 0.9 }],
  ['adam', { learningRate: 0.01 }],
] as const;

test.each(optimizers)('%s %o: as on the CPU, eight parameters in three dispatches', async (name, options) => {
  const results: number[][] = [];
  for (const ctx of [cpu(), gpu()]) {
    const net = makeNet(ctx);
    const trainer = new Trainer(net.collectParams(), name as 'sgd', options as { learningRate: number });
    const x = nd.arange(12, { ctx }).reshape([3, 4]).div(12);
    const weight = net[0].weight.data();
    for (let i = 0; i < 4; i++) step(net, trainer, x);
    const loss = autograd.record(() => net(x).square().sum());
    loss.backward();
    const before = deviceOf(ctx).stats.dispatches;
    trainer.step(3);
    // seven gradients, the eighth, the update
    if (ctx === gpu()) expect(deviceOf(ctx).stats.dispatches - before).toBe(3);
    expect(net[0].weight.data()).toBe(weight);
    const values: number[] = [];
    for (const p of net.collectParams().values()) values.push(...(await p.data().data()));
    results.push(values);
  }
  const [onCpu, onGpu] = results as [number[], number[]];
  expect(onGpu.length).toBe(onCpu.length);
  for (const [i, v] of onGpu.entries()) expect(v).toBeCloseTo(onCpu[i] as number, 5);
});

test('a parameter that moved gets a new place, and nothing leaks', async () => {
  // a device of its own: nets of the tests above may be collected at any time, and would count
  await gpu().close();
  await openGpu({ allowSoftware: true });
  const net = makeNet(gpu());
  const trainer = new Trainer(net.collectParams(), 'sgd', { learningRate: 0.1, momentum: 0.9 });
  const x = nd.ones([3, 4], { ctx: gpu() });
  const own = (): number => memoryInfo(gpu()).bytesInUse - memoryInfo(gpu()).userBytes;
  step(net, trainer, x);
  step(net, trainer, x);
  const level = own();
  for (let i = 0; i < 20; i++) step(net, trainer, x);
  expect(own()).toBe(level);
  const bytes = await net.saveParameters();
  await net.loadParameters(bytes, { ctx: gpu() });
  const [before] = await net[0].weight.data().data();
  step(net, trainer, x);
  step(net, trainer, x);
  expect(own()).toBe(level);
  expect((await net[0].weight.data().data())[0]).not.toBe(before);
});
