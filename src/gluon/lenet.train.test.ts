// Twelve steps of training the crash course's LeNet against PyTorch in float64 (test-data/torch/lenet.py): the same weights, images and labels, from one generator.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eachDevice } from '../../test/devices.ts';
import { numbers } from '../../test/values.ts';
import * as autograd from '../autograd/index.ts';
import type { Context } from '../core/context.ts';
import * as nd from '../nd/index.ts';
import { memoryInfo } from '../nd/memory.ts';
import { SoftmaxCrossEntropyLoss } from './loss/index.ts';
import * as nn from './nn/index.ts';
import { Trainer } from './trainer.ts';

interface Run {
  readonly name: string;
  readonly optimizer: 'sgd' | 'adam';
  readonly options: Record<string, number>;
  readonly losses: readonly number[];
  readonly norms: readonly number[];
}

const file = new URL('../../test-data/torch/lenet.json', import.meta.url);
const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
  readonly batch: number;
  readonly shapes: readonly (readonly number[])[];
  readonly runs: readonly Run[];
};

// what a run leaves stays reachable, so that the collector cannot change the level that another run looks at
const alive: unknown[] = [];

function lenet(ctx: Context): nn.Sequential {
  const net = new nn.Sequential().add(
    new nn.Conv2D(6, 5, { activation: 'relu', inChannels: 1 }),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(16, 3, { activation: 'relu', inChannels: 6 }),
    new nn.MaxPool2D(2, 2),
    new nn.Dense(120, { activation: 'relu', inUnits: 400 }),
    new nn.Dense(84, { activation: 'relu', inUnits: 120 }),
    new nn.Dense(10, { inUnits: 84 }),
  );
  net.initialize({ ctx });
  [...net.collectParams().values()].forEach((parameter, i) => {
    const shape = vectors.shapes[i] as readonly number[];
    expect([...parameter.shape]).toEqual(shape);
    const size = shape.reduce((a, b) => a * b, 1);
    const bound = shape.length > 1 ? (3 / (size / (shape[0] as number))) ** 0.5 : 0.05;
    parameter.setData(nd.array(numbers(size, -bound, bound, 100 + i), { ctx, shape }));
  });
  return net;
}

eachDevice((ctx) => {
  describe.each(vectors.runs)('$name', ({ optimizer, options, losses, norms }) => {
    test('follows PyTorch, and memory returns to its level after every step', async () => {
      const net = lenet(ctx);
      const trainer = new Trainer(net.collectParams(), optimizer, options);
      alive.push(net, trainer);
      const lossFn = new SoftmaxCrossEntropyLoss();
      const { batch } = vectors;
      const found: number[] = [];
      const levels = new Set<number>();
      for (let step = 0; step < losses.length; step++) {
        const x = nd.array(numbers(batch * 784, 0, 1, 1000 + (step % 2)), { ctx, shape: [batch, 1, 28, 28] });
        const labels = numbers(batch, 0, 1, 2000 + (step % 2)).map((v) => Math.min(9, Math.floor(v * 10)));
        const y = nd.array(labels, { ctx, dtype: 'int32' });
        const loss = autograd.record(() => lossFn(net(x), y));
        loss.backward();
        trainer.step(batch);
        const values = await loss.data();
        found.push(Array.from(values).reduce((a, b) => a + b, 0) / batch);
        for (const array of [x, y, loss]) array.dispose();
        const { bytesInUse, userBytes } = memoryInfo(ctx);
        // gradients and states come with the first step
        if (step > 0) levels.add(bytesInUse - userBytes);
      }
      found.forEach((loss, i) => {
        expect(
          Math.abs(loss - (losses[i] as number)),
          `step ${i + 1}: ${loss}, not ${losses[i]}`,
        ).toBeLessThan(1e-3);
      });
      expect(levels.size).toBe(1);
      for (const [i, parameter] of [...net.collectParams().values()].entries())
        expect(Math.abs((await parameter.data().norm().asscalar()) / (norms[i] as number) - 1)).toBeLessThan(
          1e-3,
        );
    });
  });
});
