// Every loss hybridized against itself as it is, on the inputs on which losses are compared with PyTorch, and on others of the same shapes.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { autograd, gluon, nd, nn } from 'webgluon';
import { eachDevice } from './devices.ts';
import { expectSame, type Input, twins } from './twins.ts';
import { CLOSE, EXACT, integers, numbers } from './values.ts';

interface Packed {
  readonly dtype: 'float32' | 'int32';
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Case {
  readonly name: string;
  readonly loss: string;
  readonly options: object;
  readonly inputs: readonly (Packed | null)[];
  readonly wrt: readonly number[];
}

const file = new URL('../test-data/torch/losses.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Case[] };
const makers = gluon.loss as unknown as Record<string, new (options: object) => nn.Block>;

test('every loss has a case', () => {
  const all = Object.values(makers).flatMap((value) =>
    typeof value === 'function' && value.prototype instanceof gluon.loss.Loss ? [value.name] : [],
  );
  const tested = new Set(cases.map((c) => c.loss));
  expect([...new Set(all)].filter((name) => !tested.has(name))).toEqual([]);
});

eachDevice((ctx) => {
  const onGpu = ctx.deviceType === 'gpu';
  const seen = new Set<string>();
  for (const c of cases) {
    // what a software adapter has time for: each loss once
    if (onGpu && seen.has(c.loss)) continue;
    seen.add(c.loss);
    test(`${c.loss}: ${c.name}`, async () => {
      const Loss = makers[c.loss] as new (options: object) => nn.Block;
      const pair = twins(() => new Loss(c.options), ctx);
      const inputs = c.inputs.map((packed, i): Input | null => {
        if (packed === null) return null;
        const { shape, dtype, data } = packed;
        return { shape, dtype, attach: c.wrt.includes(i), values: () => data };
      });
      const modes = onGpu
        ? (['record', 'record'] as const)
        : ([
            'record',
            'record',
            'inference',
            'inference',
            'record',
            'record, inference',
            'record, inference',
          ] as const);
      let seed = 1;
      for (const mode of modes)
        await expectSame(pair, inputs, mode, ctx, onGpu ? { rtol: 1e-5, atol: 1e-6 } : EXACT, 100 * seed++);
      expect(pair.hybrid.cacheInfo()).toMatchObject({
        hits: modes.length - new Set(modes).size,
        misses: new Set(modes).size,
        eager: null,
      });
    });
  }

  test('a net and its loss, both hybridized, in one record', async () => {
    const made = [false, true].map((hybridized) => {
      nd.random.seed(5);
      const net = new nn.Sequential().add(
        new nn.Dense(6, { activation: 'relu', inUnits: 4 }),
        new nn.Dense(3, { inUnits: 6 }),
      );
      net.initialize({ init: 'xavier', ctx });
      const loss = new gluon.loss.SoftmaxCrossEntropyLoss();
      if (hybridized) {
        net.hybridize();
        loss.hybridize();
      }
      return {
        net,
        loss,
        trainer: new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.5, momentum: 0.9 }),
      };
    });
    const losses = [];
    for (const { net, loss, trainer } of made) {
      const seen: number[] = [];
      for (let step = 0; step < 6; step++) {
        const x = nd.array(numbers(32, -1, 1, step), { shape: [8, 4], ctx });
        const y = nd.array(integers(8, 0, 2, step), { ctx });
        const value = autograd.record(() => loss(net(x), y));
        value.backward();
        trainer.step(8);
        seen.push(...(await value.data()));
      }
      losses.push(seen);
    }
    const [eager, hybrid] = losses as [number[], number[]];
    const { rtol, atol } = onGpu ? { rtol: 1e-4, atol: 1e-6 } : CLOSE;
    hybrid.forEach((value, i) => {
      const wanted = eager[i] as number;
      expect(Math.abs(value - wanted)).toBeLessThanOrEqual(atol + rtol * Math.abs(wanted));
    });
    // the loss is called on arrays that are on the tape: one program serves
    expect(made[1]?.loss.cacheInfo()).toMatchObject({ hits: 5, misses: 1 });
    expect(made[1]?.net.cacheInfo()).toMatchObject({ hits: 5, misses: 1 });
  });
});
