// compileStep as somebody uses it who knows Gluon and has not read how it is built: two nets against each other, sequences of different length, host work in the wrong place, a GPU that
// goes away. Compared with the same function run as it stands.
import { expect, test } from 'vitest';
import { autograd, type Context, gluon, gpu, metric, type NDArray, nd, nn, openGpu, random } from 'webgluon';
import { eachDevice } from './devices.ts';
import { ramp } from './hybridNets.ts';

type Compile = typeof gluon.compileStep;
const asItStands = ((fn: unknown) => fn) as Compile;

eachDevice((ctx: Context) => {
  const near = ctx.deviceType === 'cpu' ? 5 : 3;
  const array = (...shape: number[]): NDArray => ramp(...shape).asInContext(ctx);
  const values = async (x: NDArray): Promise<number[]> => [...(await x.data())];

  const mlp = (out: number): nn.HybridSequential => {
    const net = new nn.HybridSequential().add(
      new nn.Dense(6, { activation: 'tanh', inUnits: 4 }),
      new nn.Dense(out, { inUnits: 6 }),
    );
    net.initialize({ init: 'xavier', ctx });
    return net;
  };

  /** What `body` gives with compiled functions is what it gives with the functions themselves. */
  async function expectSame(body: (compile: Compile) => Promise<number[]>): Promise<void> {
    random.seed(9);
    const compiled = await body(gluon.compileStep);
    random.seed(9);
    const plain = await body(asItStands);
    expect(compiled).toHaveLength(plain.length);
    for (const [i, value] of plain.entries()) expect(compiled[i], `[${i}]`).toBeCloseTo(value, near);
  }

  test('two nets against each other in one step, with noise and dropout', () =>
    expectSame(async (compile) => {
      const maker = mlp(4);
      const judge = new nn.HybridSequential().add(
        new nn.Dense(6, { inUnits: 4 }),
        new nn.LeakyReLU(0.2),
        new nn.Dropout(0.3),
        new nn.Dense(1, { inUnits: 6 }),
      );
      judge.initialize({ init: 'xavier', ctx });
      const [makes, judges] = [maker, judge].map(
        (net) => new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1, momentum: 0.5 }),
      ) as [gluon.Trainer, gluon.Trainer];
      const lossFn = new gluon.loss.SigmoidBinaryCrossEntropyLoss();
      const step = compile((real: NDArray) => {
        const [batch] = real.shape;
        const noise = nd.random.normal(0, 1, [batch, 4], { ctx });
        const [one, zero] = [nd.ones([batch, 1], { ctx }), nd.zeros([batch, 1], { ctx })];
        const judged = autograd.record(() =>
          lossFn(judge(real), one).add(lossFn(judge(maker(noise).detach()), zero)),
        );
        judged.backward();
        judges.step(batch);
        const made = autograd.record(() => lossFn(judge(maker(noise)), one));
        made.backward();
        makes.step(batch);
        return { judged: judged.mean(), made: [made.mean()] };
      });
      const found: number[] = [];
      for (const batch of [3, 3, 2, 3]) {
        const { judged, made } = step(array(batch, 4));
        found.push(...(await values(judged)), ...(await values(made[0] as NDArray)));
      }
      return [...found, ...(await values(maker[0].weight.data())), ...(await values(judge[0].weight.data()))];
    }));

  test('sequences of different length, whose state goes on from step to step', () =>
    expectSame(async (compile) => {
      const [cell, carry, out] = [
        new nn.Dense(5, { inUnits: 4 }),
        new nn.Dense(5, { inUnits: 5 }),
        new nn.Dense(2, { inUnits: 5 }),
      ];
      for (const layer of [cell, carry, out]) layer.initialize({ init: 'xavier', ctx });
      const parameters = [cell, carry, out].flatMap((layer) => [...layer.collectParams().values()]);
      const trainer = new gluon.Trainer(parameters, 'sgd', { learningRate: 0.1, clipGradient: 1 });
      const step = compile((xs: readonly NDArray[], state: NDArray) => {
        let h = state;
        const loss = autograd.record(() => {
          let sum = nd.zeros([2, 2], { ctx });
          for (const x of xs) {
            h = cell(x).add(carry(h)).tanh();
            sum = sum.add(out(h).square());
          }
          return sum.mean();
        });
        loss.backward();
        trainer.step(1);
        return [loss, h];
      });
      let state = nd.zeros([2, 5], { ctx });
      const found: number[] = [];
      for (const length of [3, 3, 2, 3, 2]) {
        const xs = Array.from({ length }, (_, i) => array(2, 4).mul(i + 1));
        const [loss, next] = step(xs, state);
        state = (next as NDArray).detach();
        for (const x of xs) x.dispose();
        found.push(...(await values(loss as NDArray)), ...(await values(state)));
      }
      return found;
    }));

  test('results that are read after further steps', () =>
    expectSame(async (compile) => {
      const net = mlp(2);
      const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 });
      const step = compile(
        (x: NDArray) => {
          let y = x;
          const loss = autograd.record(() => {
            y = net(x);
            return y.square().sum(1);
          });
          loss.backward();
          trainer.step(2);
          return [loss, y, y.reshape([-1]), loss.mean()];
        },
        { staticAlloc: true },
      );
      const kept: NDArray[] = [];
      for (let i = 0; i < 6; i++) {
        const x = array(2, 4).mul(i);
        kept.push(...step(x));
        x.dispose();
      }
      return (await Promise.all(kept.map(values))).flat();
    }));

  test('what would happen at the first call alone is refused, by one error', async () => {
    const strays: unknown[] = [];
    const stray = (reason: unknown): void => {
      strays.push(reason);
    };
    process.on('unhandledRejection', stray);
    try {
      const net = mlp(2);
      const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 });
      const sum = new metric.Loss();
      const x = array(2, 4);
      const steps: readonly [string, () => void, RegExp][] = [
        ['setLearningRate', () => trainer.setLearningRate(1), /give the Trainer an lrScheduler\.$/],
        ['random.seed', () => random.seed(3), /Call it before\.$/],
        ['metric.get', () => void sum.get(), /read it outside/],
        ['HybridSequential.saveParameters', () => void net.saveParameters(), /read it outside/],
      ];
      for (const [what, act, advice] of steps) {
        const step = gluon.compileStep((input: NDArray) => {
          sum.update(null, input);
          act();
          return net(input);
        });
        expect(() => step(x), what).toThrow(
          `inside a call that is compiled, received ${what}: later calls are replayed`,
        );
        expect(() => step(x), what).toThrow(advice);
      }
      expect(trainer.learningRate).toBe(0.1);
      await new Promise((resolve) => setTimeout(resolve, 5));
      expect(strays).toEqual([]);
    } finally {
      process.off('unhandledRejection', stray);
    }
  });

  test('a GPU that is closed: errors that say so, and training goes on on the next one', async ({ skip }) => {
    if (ctx.deviceType === 'cpu') skip('a CPU stays');
    const net = mlp(2);
    const build = (): ((x: NDArray) => NDArray) => {
      const trainer = new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.01 });
      return gluon.compileStep((x: NDArray) => {
        const loss = autograd.record(() => net(x).square().mean());
        loss.backward();
        trainer.step(1);
        return loss;
      });
    };
    const step = build();
    const x = array(2, 4);
    for (let i = 0; i < 2; i++) step(x);
    const bytes = await net.saveParameters();
    const before = (await step(x).asscalar()) as number;
    await gpu().close();
    try {
      await expect((async () => step(x).data())()).rejects.toThrow(/openGpu\(\)/);
    } finally {
      await openGpu({ allowSoftware: true });
    }
    const again = array(2, 4);
    expect(() => step(again)).toThrow(/load its parameters again/);
    await net.loadParameters(bytes, { ctx });
    const next = build();
    expect(await next(again).asscalar()).toBeCloseTo(before, near);
    expect(await next(again).asscalar()).toBeLessThan(before);
  });
});
