// gluon.compileStep: a compiled step does what the same function does eagerly, whatever is around it: losses, weights, states, counts, rates, metrics, random draws.
import { describe, expect, test } from 'vitest';
import {
  autograd,
  type Context,
  cpu,
  gluon,
  lrScheduler,
  metric,
  type NDArray,
  nd,
  nn,
  optimizer,
  random,
  withContext,
} from 'webgluon';
import { eachDevice } from './devices.ts';
import { differences, EXACT, type Tolerance } from './values.ts';

/** Programs may sum in another order on a GPU. */
const GPU_CLOSE: Tolerance = { rtol: 2e-4, atol: 2e-6 };

function tolerance(ctx: Context): Tolerance {
  return ctx.deviceType === 'cpu' ? EXACT : GPU_CLOSE;
}

function mlp(ctx: Context): nn.Sequential {
  const net = new nn.Sequential().add(
    new nn.Dense(6, { inUnits: 5, activation: 'tanh' }),
    new nn.BatchNorm(),
    new nn.Dropout(0.3),
    new nn.Dense(4, { activation: 'relu' }),
    new nn.Dense(3),
  );
  net.initialize({ init: 'xavier', ctx });
  return net;
}

function lenet(ctx: Context): nn.Sequential {
  const net = new nn.Sequential().add(
    new nn.Conv2D(3, 5, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(4, 3, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Dense(10, { activation: 'relu' }),
    new nn.Dense(8, { activation: 'relu' }),
    new nn.Dense(3),
  );
  net.initialize({ init: 'xavier', ctx });
  return net;
}

/** Inputs and classes that follow from the number of the batch. */
function batch(ctx: Context, i: number, shape: readonly number[]): [NDArray, NDArray] {
  const size = shape.reduce((a, b) => a * b, 1);
  const n = shape[0] as number;
  const x = Float32Array.from({ length: size }, (_, k) => Math.sin(k * 0.7 + i * 1.3));
  const y = Int32Array.from({ length: n }, (_, k) => (k * 7 + i) % 3);
  return [nd.array(x, { ctx, shape: [...shape] }), nd.array(y, { ctx, dtype: 'int32' })];
}

interface Setting {
  readonly net: nn.Sequential;
  readonly trainer: gluon.Trainer;
  readonly loss: (net: nn.Sequential, x: NDArray, y: NDArray) => NDArray;
}

interface Outcome {
  readonly losses: number[][];
  readonly weights: number[][];
  readonly states: Uint8Array;
  readonly rate: number;
  /** How many steps a program ran; 0 for eager ones. */
  readonly hits: number;
}

const crossEntropy = new gluon.loss.SoftmaxCrossEntropyLoss();

/** Trains eagerly or compiled; `between` happens before each step. */
async function train(
  compiled: boolean,
  ctx: Context,
  make: () => Setting,
  shapes: readonly (readonly number[])[],
  between: (i: number, setting: Setting) => void | Promise<void> = () => undefined,
): Promise<Outcome> {
  random.seed(11);
  const setting = make();
  const { net, trainer, loss: lossOf } = setting;
  const plain = (x: NDArray, y: NDArray): NDArray => {
    const loss = autograd.record(() => lossOf(net, x, y));
    loss.backward();
    trainer.step(x.shape[0]);
    return loss;
  };
  const program = compiled ? gluon.compileStep(plain) : null;
  const step = program ?? plain;
  const losses: number[][] = [];
  for (const [i, shape] of shapes.entries()) {
    await between(i, setting);
    const [x, y] = batch(ctx, i, shape);
    const loss = step(x, y);
    losses.push([...(await loss.data())]);
    for (const array of [x, y, loss]) array.dispose();
  }
  const weights: number[][] = [];
  for (const parameter of net.collectParams().values()) weights.push([...(await parameter.data().data())]);
  const states = await trainer.saveStates();
  return { losses, weights, states, rate: trainer.learningRate, hits: program?.cacheInfo().hits ?? 0 };
}

/** The values of a safetensors file's floats, whatever its header says. */
function floatsOf(bytes: Uint8Array): number[] {
  const header = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
  const data = bytes.slice(8 + header);
  return [...new Float32Array(data.buffer, 0, Math.floor(data.byteLength / 4))];
}

function countsOf(bytes: Uint8Array): unknown {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const header = JSON.parse(
    new TextDecoder().decode(bytes.subarray(8, 8 + Number(view.getBigUint64(0, true)))),
  ) as { __metadata__: Record<string, string> };
  const { numUpdate, counts, learningRate } = JSON.parse(
    header.__metadata__['webgluon.trainer'] as string,
  ) as Record<string, unknown>;
  return { numUpdate, counts, learningRate };
}

function expectSame(actual: Outcome, expected: Outcome, close: Tolerance): void {
  expect(differences(actual.losses.flat(), expected.losses.flat(), close)).toEqual([]);
  expect(differences(actual.weights.flat(), expected.weights.flat(), close)).toEqual([]);
  expect(differences(floatsOf(actual.states), floatsOf(expected.states), close)).toEqual([]);
  expect(countsOf(actual.states)).toEqual(countsOf(expected.states));
  expect(actual.rate).toBe(expected.rate);
}

const SIX = Array.from({ length: 7 }, () => [4, 5]);

const optimizers = [
  ['sgd', { learningRate: 0.1, wd: 0.01 }],
  ['sgd', { learningRate: 0.1, momentum: 0.9, clipGradient: 0.05 }],
  ['nag', { learningRate: 0.1, momentum: 0.9 }],
  ['signum', { learningRate: 0.01 }],
  ['adam', { learningRate: 0.02 }],
  ['adamw', { learningRate: 0.02, wd: 0.1 }],
  ['adamax', { learningRate: 0.02 }],
  ['nadam', { learningRate: 0.02 }],
  ['lamb', { learningRate: 0.02, wd: 0.01 }],
  ['adagrad', { learningRate: 0.1 }],
  ['rmsprop', { learningRate: 0.01, centered: true }],
  ['adadelta', {}],
  ['ftrl', { learningRate: 0.1 }],
] as const;

eachDevice((ctx) => {
  test.each(optimizers)('%s %o: as eager', async (name, options) => {
    const make = (): Setting => {
      const net = mlp(ctx);
      const trainer = new gluon.Trainer(net.collectParams(), name as 'sgd', options as object);
      return { net, trainer, loss: (n, x, y) => crossEntropy(n(x), y) };
    };
    const eager = await train(false, ctx, make, SIX);
    const compiled = await train(true, ctx, make, SIX);
    expectSame(compiled, eager, tolerance(ctx));
    expect(compiled.hits).toBe(SIX.length - 1);
  });

  const adam =
    (rate = 0.02) =>
    (): Setting => {
      const net = mlp(ctx);
      const trainer = new gluon.Trainer(net.collectParams(), 'adam', { learningRate: rate });
      return { net, trainer, loss: (n, x, y) => crossEntropy(n(x), y) };
    };

  test('LeNet, with the last batch smaller and back again', async () => {
    const make = (): Setting => {
      const net = lenet(ctx);
      const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1, momentum: 0.9 });
      return { net, trainer, loss: (n, x, y) => crossEntropy(n(x), y) };
    };
    const [full, last] = [
      [4, 1, 14, 14],
      [2, 1, 14, 14],
    ] as const;
    const shapes = [full, full, full, last, full, full, last, full];
    const eager = await train(false, ctx, make, shapes);
    const compiled = await train(true, ctx, make, shapes);
    expectSame(compiled, eager, tolerance(ctx));
    expect(compiled.hits).toBe(shapes.length - 2);
  });

  test('rates, schedules, decay and multipliers may change between steps', async () => {
    const change = (i: number, { net, trainer }: Setting): void => {
      if (i === 3) trainer.setLearningRate(0.005);
      if (i === 4) trainer.optimizer.wd = 0.1;
      if (i === 5) net[0].weight.lrMult = 0.5;
    };
    expectSame(
      await train(true, ctx, adam(), SIX, change),
      await train(false, ctx, adam(), SIX, change),
      tolerance(ctx),
    );
    const scheduled = (): Setting => {
      const net = mlp(ctx);
      const trainer = new gluon.Trainer(net.collectParams(), 'sgd', {
        lrScheduler: new lrScheduler.FactorScheduler(2, 0.5, { baseLr: 0.2 }),
      });
      return { net, trainer, loss: (n, x, y) => crossEntropy(n(x), y) };
    };
    const [compiled, eager] = [
      await train(true, ctx, scheduled, SIX),
      await train(false, ctx, scheduled, SIX),
    ];
    expectSame(compiled, eager, tolerance(ctx));
    expect(compiled.hits).toBe(SIX.length - 1);
    expect(compiled.rate).toBeCloseTo(0.2 / 8, 6);
  });

  test('saved, loaded, set and frozen parameters, in any order with eager steps', async () => {
    let saved: [Uint8Array, Uint8Array] | undefined;
    const change = async (i: number, { net, trainer }: Setting): Promise<void> => {
      const [x, y] = batch(ctx, i + 50, [4, 5]);
      if (i === 2) saved = [await net.saveParameters(), await trainer.saveStates()];
      // an eager step between compiled ones
      if (i === 3 || i === 4) {
        const loss = autograd.record(() => crossEntropy(net(x), y));
        loss.backward();
        trainer.step(4);
        loss.dispose();
      }
      if (i === 5 && saved !== undefined) {
        await net.loadParameters(saved[0], { ctx });
        await trainer.loadStates(saved[1]);
      }
      if (i === 6) net[0].weight.setData(nd.ones([6, 5], { ctx }).mul(0.1));
      if (i === 7) net[0].weight.gradReq = 'null';
      if (i === 8) net[0].weight.gradReq = 'write';
      x.dispose();
      y.dispose();
    };
    const shapes = Array.from({ length: 10 }, () => [4, 5]);
    const eager = await train(false, ctx, adam(), shapes, change);
    expectSame(await train(true, ctx, adam(), shapes, change), eager, tolerance(ctx));
  });

  test("a step's gradients are in param.grad(), in place", async () => {
    random.seed(3);
    const net = new nn.Dense(2, { inUnits: 3 });
    net.initialize({ ctx });
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 });
    const step = gluon.compileStep((x: NDArray) => {
      autograd.record(() => net(x).sum()).backward();
      trainer.step(1);
    });
    const [weight, grad] = [net.weight.data(), net.weight.grad()];
    for (let i = 1; i < 5; i++) {
      expect(step(nd.array([[i, 2 * i, 0]], { ctx }))).toBeUndefined();
      expect([...(await net.weight.grad().data())]).toEqual([i, 2 * i, 0, i, 2 * i, 0]);
    }
    expect(net.weight.data()).toBe(weight);
    expect(net.weight.grad()).toBe(grad);
    expect(step.cacheInfo().hits).toBe(3);
  });

  test("gradReq 'add' gathers over steps that are compiled apart from the update", async () => {
    random.seed(5);
    const net = new nn.Dense(1, { inUnits: 2, useBias: false });
    net.initialize({ init: 'ones', ctx });
    net.weight.gradReq = 'add';
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 1 });
    const gather = gluon.compileStep((x: NDArray) => {
      const y = autograd.record(() => net(x).sum());
      y.backward();
      return y;
    });
    const update = gluon.compileStep(() => {
      trainer.step(4);
      net.weight.zeroGrad();
    });
    const expected = [1, 1];
    for (let round = 0; round < 3; round++) {
      for (let k = 0; k < 3; k++) gather(nd.array([[k, 1]], { ctx }));
      expect([...(await net.weight.grad().data())]).toEqual([3, 3]);
      expected[0] = (expected[0] as number) - 0.75;
      expected[1] = (expected[1] as number) - 0.75;
      withContext(ctx, () => update());
      expect([...(await net.weight.data().data())]).toEqual(expected);
      expect([...(await net.weight.grad().data())]).toEqual([0, 0]);
    }
    expect(gather.cacheInfo().hits).toBe(8);
    expect(update.cacheInfo().hits).toBe(2);
  });

  test("gradients that are added up and cleared inside, 'add' for every parameter", async () => {
    const run = async (compiled: boolean): Promise<number[]> => {
      random.seed(19);
      const net = mlp(ctx);
      const parameters = [...net.collectParams().values()].filter((p) => p.gradReq !== 'null');
      for (const p of parameters) p.gradReq = 'add';
      const trainer = new gluon.Trainer(parameters, 'adam', { learningRate: 0.01 });
      const plain = (x: NDArray, y: NDArray): NDArray => {
        const losses = [0, 1].map(() => {
          const loss = autograd.record(() => crossEntropy(net(x), y));
          loss.backward();
          return loss;
        });
        trainer.step(2 * x.shape[0]);
        net.zeroGrad();
        return nd.concat(losses, { dim: 0 });
      };
      const step = compiled ? gluon.compileStep(plain) : plain;
      const seen: number[] = [];
      for (let i = 0; i < 4; i++) seen.push(...(await step(...batch(ctx, i, [4, 5])).data()));
      for (const p of parameters) seen.push(...(await p.data().data()), ...(await p.grad().data()));
      return seen;
    };
    expect(differences(await run(true), await run(false), tolerance(ctx))).toEqual([]);
  });

  test('two steps with trainers of their own over the same parameters, in turns', async () => {
    const run = async (compiled: boolean): Promise<number[]> => {
      random.seed(21);
      const net = mlp(ctx);
      const steps = (['sgd', 'adam'] as const).map((name) => {
        const trainer = new gluon.Trainer(net.collectParams(), name, { learningRate: 0.02 });
        const plain = (x: NDArray, y: NDArray): NDArray => {
          const loss = autograd.record(() => crossEntropy(net(x), y));
          loss.backward();
          trainer.step(4);
          return loss;
        };
        return compiled ? gluon.compileStep(plain) : plain;
      });
      const seen: number[] = [];
      for (let i = 0; i < 7; i++) {
        const step = steps[i % 2] as (x: NDArray, y: NDArray) => NDArray;
        seen.push(...(await step(...batch(ctx, i, [4, 5])).data()));
      }
      for (const p of net.collectParams().values()) seen.push(...(await p.data().data()));
      return seen;
    };
    expect(differences(await run(true), await run(false), tolerance(ctx))).toEqual([]);
  });

  test('two nets and two trainers in one step, the second seeing what the first did', async () => {
    const run = async (compiled: boolean): Promise<number[][]> => {
      random.seed(17);
      const [generator, critic] = [mlp(ctx), new nn.Dense(1, { inUnits: 3 })];
      critic.initialize({ ctx });
      const [a, b] = [
        new gluon.Trainer(generator.collectParams(), 'adam', { learningRate: 0.01 }),
        new gluon.Trainer(critic.collectParams(), 'sgd', { learningRate: 0.05, momentum: 0.5 }),
      ];
      const plain = (x: NDArray): { first: NDArray; second: NDArray[] } => {
        const first = autograd.record(() => critic(generator(x).detach()).square().mean());
        first.backward();
        b.step(1);
        const second = autograd.record(() => critic(generator(x)).mean());
        second.backward();
        a.step(2);
        // its gradients are of the second backward, and stale for the first trainer
        b.update(1);
        return { first, second: [second] };
      };
      const step = compiled ? gluon.compileStep(plain) : plain;
      const seen: number[][] = [];
      for (let i = 0; i < 5; i++) {
        const { first, second } = step(batch(ctx, i, [4, 5])[0]);
        seen.push([...(await first.data()), ...(await (second[0] as NDArray).data())]);
      }
      for (const parameter of [...generator.collectParams().values(), ...critic.collectParams().values()])
        seen.push([...(await parameter.data().data())]);
      return seen;
    };
    const [compiled, eager] = [await run(true), await run(false)];
    expect(differences(compiled.flat(), eager.flat(), tolerance(ctx))).toEqual([]);
  });

  test('metrics inside and outside count every step, beyond what one level of a sum holds', async () => {
    random.seed(2);
    const net = mlp(ctx);
    const [inside, right, outside] = [new metric.Loss(), new metric.Accuracy(), new metric.Loss()];
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.01 });
    const step = gluon.compileStep((x: NDArray, y: NDArray) => {
      const [loss, scores] = autograd.record((): [NDArray, NDArray] => {
        const out = net(x);
        return [crossEntropy(out, y), out];
      });
      loss.backward();
      trainer.step(4);
      inside.update(null, loss);
      right.update(y, scores);
      return [loss, scores];
    });
    let [sum, hits] = [0, 0];
    const count = 70;
    for (let i = 0; i < count; i++) {
      if (i === 3) {
        for (const m of [inside, right, outside]) m.reset();
        [sum, hits] = [0, 0];
      }
      const [x, y] = batch(ctx, i, [4, 5]);
      const [loss, scores] = step(x, y) as [NDArray, NDArray];
      outside.update(null, loss);
      const losses = [...(await loss.data())];
      sum += losses.reduce((a, b) => a + b, 0);
      const classes = await scores.argmax(1).data();
      const labels = [...(await y.data())];
      hits += labels.reduce((n, label, k) => n + (classes[k] === label ? 1 : 0), 0);
      for (const array of [x, y, loss, scores]) array.dispose();
    }
    expect(step.cacheInfo()).toMatchObject({ hits: count - 1, misses: 1 });
    const n = (count - 3) * 4;
    expect((await inside.get())[1]).toBeCloseTo(sum / n, 5);
    expect((await outside.get())[1]).toBeCloseTo(sum / n, 5);
    expect((await right.get())[1]).toBe(hits / n);
  });

  test('a sum of a metric that is full when the step is recorded', async () => {
    const losses = new metric.Loss();
    const one = nd.ones([1], { ctx });
    for (let i = 0; i < 32; i++) losses.update(null, one);
    const step = gluon.compileStep((x: NDArray) => losses.update(null, x));
    for (let i = 0; i < 40; i++) step(one);
    expect((await losses.get())[1]).toBe(1);
    expect(step.cacheInfo().hits).toBe(39);
  });

  test('a hybridized net inside is a part of the step', async () => {
    const make = (hybrid: boolean) => (): Setting => {
      const net = mlp(ctx);
      if (hybrid) net.hybridize({ staticAlloc: true });
      const trainer = new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.02 });
      return { net, trainer, loss: (n, x, y) => crossEntropy(n(x), y) };
    };
    const [eager, hybrid] = [
      await train(false, ctx, make(false), SIX),
      await train(true, ctx, make(true), SIX),
    ];
    expectSame(hybrid, eager, tolerance(ctx));
    expect(hybrid.hits).toBe(SIX.length - 1);
  });

  test('gradients among the results, and one gradient for two parameters', async () => {
    const run = async (compiled: boolean): Promise<number[]> => {
      random.seed(9);
      const [a, b] = [new gluon.Parameter('a', { shape: [4] }), new gluon.Parameter('b', { shape: [4] })];
      for (const p of [a, b]) p.initialize({ init: 'ones', ctx });
      const trainer = new gluon.Trainer([a, b], 'sgd', { learningRate: 0.1, momentum: 0.5 });
      const plain = (x: NDArray): NDArray[] => {
        const y = autograd.record(() => a.data().add(b.data()).mul(x).square().sum());
        y.backward();
        trainer.step(1);
        return [y, a.grad()];
      };
      const step = compiled ? gluon.compileStep(plain) : plain;
      const seen: number[] = [];
      let first: NDArray | undefined;
      for (let i = 1; i < 5; i++) {
        const [y, grad] = step(nd.array([0.1 * i, 0.2, -0.3, 0.1], { ctx })) as [NDArray, NDArray];
        seen.push(...(await y.data()), ...(await grad.data()), ...(await b.grad().data()));
        if (compiled && first !== undefined) expect([...(await first.data())]).toEqual(seen.slice(1, 5));
        first ??= grad;
      }
      return [...seen, ...(await a.data().data()), ...(await b.data().data())];
    };
    expect(differences(await run(true), await run(false), tolerance(ctx))).toEqual([]);
  });

  test('parameters that are set, averaged and cleared inside', async () => {
    const run = async (compiled: boolean): Promise<number[]> => {
      const [w, mean] = [
        new gluon.Parameter('w', { shape: [3] }),
        new gluon.Parameter('mean', { shape: [3] }),
      ];
      for (const p of [w, mean]) p.initialize({ init: 'ones', ctx });
      const trainer = new gluon.Trainer([w], 'adam', { learningRate: 0.1 });
      const plain = (x: NDArray): void => {
        autograd.record(() => w.data().mul(x).sum()).backward();
        trainer.step(1);
        mean.setData(mean.data().mul(0.9).add(w.data().mul(0.1)));
        w.zeroGrad();
      };
      const step = compiled ? gluon.compileStep(plain) : plain;
      for (let i = 0; i < 5; i++) step(nd.array([1, i, -1], { ctx }));
      return [...(await mean.data().data()), ...(await w.data().data()), ...(await w.grad().data())];
    };
    expect(differences(await run(true), await run(false), tolerance(ctx))).toEqual([]);
  });

  test('an evaluation without a trainer; arguments, parameters and views among the results', async () => {
    random.seed(4);
    const net = mlp(ctx);
    net(batch(ctx, 0, [4, 5])[0]);
    const weight = net[0].weight.data();
    const step = gluon.compileStep((x: NDArray, pair: { mask: NDArray; none: null }) => {
      const y = net(x);
      return {
        x,
        weight,
        flat: weight.reshape([-1]),
        y: [y, y.reshape([-1])],
        mask: pair.mask.add(1),
        none: null,
      };
    });
    let before: NDArray | undefined;
    for (let i = 0; i < 4; i++) {
      const [x] = batch(ctx, i, [4, 5]);
      const mask = nd.ones([2], { ctx }).mul(i);
      if (i === 2) net[0].weight.setData(nd.ones([6, 5], { ctx }));
      const result = step(x, { mask, none: null });
      expect(result.x).toBe(x);
      expect(result.weight).toBe(weight);
      expect([...(await result.flat.data())]).toEqual([...(await weight.data())]);
      const [y, flat] = result.y as [NDArray, NDArray];
      const own = await net(x).data();
      expect(differences(await y.data(), own, tolerance(ctx))).toEqual([]);
      expect([...(await flat.data())]).toEqual([...(await y.data())]);
      expect(flat.shape).toEqual([12]);
      expect([...(await result.mask.data())]).toEqual([i + 1, i + 1]);
      expect(result.none).toBeNull();
      // what an earlier call gave stays as it was
      if (before !== undefined) expect([...(await before.data())]).toEqual([i, i]);
      before = result.mask;
    }
    expect(step.cacheInfo().hits).toBe(3);
  });

  test('gradients by an input are its own at each call', async () => {
    const w = nd.array([2, 3], { ctx });
    const step = gluon.compileStep((x: NDArray) => {
      const y = autograd.record(() => x.square().mul(w).sum());
      y.backward();
      return [y, x.grad as NDArray];
    });
    let first: NDArray | undefined;
    for (let i = 1; i < 4; i++) {
      const x = nd.array([i, -i], { ctx });
      x.attachGrad();
      const [y, grad] = step(x) as [NDArray, NDArray];
      expect([...(await y.data())]).toEqual([5 * i * i]);
      expect([...(await (x.grad as NDArray).data())]).toEqual([4 * i, -6 * i]);
      expect([...(await grad.data())]).toEqual([4 * i, -6 * i]);
      first ??= grad;
      expect([...(await first.data())]).toEqual([4, -6]);
    }
    expect(step.cacheInfo().hits).toBe(2);
  });

  test('random draws and running statistics go on as in an eager run', async () => {
    const run = async (compiled: boolean): Promise<number[]> => {
      random.seed(23);
      const norm = new nn.BatchNorm({ inChannels: 5 });
      norm.initialize({ ctx });
      const plain = (x: NDArray): NDArray =>
        autograd.trainMode(() => norm(nd.dropout(x, 0.4)).add(nd.random.normal(0, 1, [4, 5], { ctx })));
      const step = compiled ? gluon.compileStep(plain) : plain;
      const seen: number[] = [];
      for (let i = 0; i < 4; i++) {
        seen.push(...(await step(batch(ctx, i, [4, 5])[0]).data()));
        // drawn between the steps, from the same generator
        seen.push(...(await nd.random.uniform(0, 1, [2], { ctx }).data()));
      }
      return [...seen, ...(await norm.runningMean.data().data()), ...(await norm.runningVar.data().data())];
    };
    expect(differences(await run(true), await run(false), tolerance(ctx))).toEqual([]);
  });
});

describe('checks happen at every replay, and change nothing', () => {
  function regression(): {
    readonly net: nn.Dense;
    readonly trainer: gluon.Trainer;
    readonly x: NDArray;
  } {
    const net = new nn.Dense(1, { inUnits: 2 });
    net.initialize({ init: 'ones' });
    const trainer = new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.1 });
    return { net, trainer, x: nd.array([[1, 2]]) };
  }

  test('stale gradients', async () => {
    const { net, trainer, x } = regression();
    const backward = gluon.compileStep((input: NDArray) => {
      autograd.record(() => net(input).sum()).backward();
    });
    const counted = new metric.Loss();
    const update = gluon.compileStep(() => {
      counted.update(null, nd.ones([3]));
      trainer.step(1);
    });
    for (let i = 0; i < 3; i++) {
      backward(x);
      update();
    }
    expect(update.cacheInfo().hits).toBe(2);
    const before = [...(await net.weight.data().data())];
    expect(() => update()).toThrow(/Trainer\.step.*stale ones of/);
    expect(trainer.optimizer.numUpdate).toBe(3);
    expect([...(await net.weight.data().data())]).toEqual(before);
    backward(x);
    update();
    expect(trainer.optimizer.numUpdate).toBe(4);
    expect((await counted.get())[1]).toBe(1);
    expect(update.cacheInfo()).toMatchObject({ hits: 3, misses: 1 });
  });

  test('stale ones that are ignored leave their parameters as they are', async () => {
    const { net, trainer, x } = regression();
    const step = gluon.compileStep((input: NDArray) => {
      autograd.record(() => net(input).sum()).backward();
      trainer.step(1, { ignoreStaleGrad: true });
    });
    const late = gluon.compileStep(() => trainer.step(1, { ignoreStaleGrad: true }));
    for (let i = 0; i < 3; i++) step(x);
    const before = [...(await net.weight.data().data())];
    for (let i = 0; i < 3; i++) late();
    expect([...(await net.weight.data().data())]).toEqual(before);
    // fresh again: another set of parameters than the record has
    autograd.record(() => net(x).sum()).backward();
    late();
    expect([...(await net.weight.data().data())]).not.toEqual(before);
    expect(late.cacheInfo().why).toMatch(/others than before/);
  });

  test('a schedule that throws', async () => {
    const net = new nn.Dense(1, { inUnits: 2 });
    net.initialize({ init: 'ones' });
    let fails = false;
    const schedule = (n: number): number => {
      if (fails) throw new RangeError(`no rate for ${n}`);
      return 0.1;
    };
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { lrScheduler: schedule });
    const losses = new metric.Loss();
    const step = gluon.compileStep((x: NDArray) => {
      const y = autograd.record(() => net(x).sum());
      y.backward();
      losses.update(null, y);
      trainer.step(1);
      return y;
    });
    const x = nd.array([[1, 2]]);
    for (let i = 0; i < 3; i++) step(x);
    const [weight, grad] = [[...(await net.weight.data().data())], [...(await net.weight.grad().data())]];
    const [, mean] = await losses.get();
    fails = true;
    expect(() => step(x)).toThrow('no rate for 4');
    expect(trainer.optimizer.numUpdate).toBe(3);
    expect([...(await net.weight.data().data())]).toEqual(weight);
    expect([...(await net.weight.grad().data())]).toEqual(grad);
    expect((await losses.get())[1]).toBe(mean);
    // the gradient is as stale as it was before
    fails = false;
    expect(() => trainer.step(1)).toThrow(/stale/);
    step(x);
    expect(trainer.optimizer.numUpdate).toBe(4);
    expect(step.cacheInfo()).toMatchObject({ hits: 3, misses: 1 });
  });
});

describe('what cannot be compiled is told', () => {
  test('no function, async functions, options', () => {
    expect(() => gluon.compileStep(3 as never)).toThrow(/\[compileStep\] expected a function, received 3/);
    expect(() => gluon.compileStep((async () => undefined) as never)).toThrow(/async/);
    expect(() => gluon.compileStep(() => undefined, { static: true } as never)).toThrow(/staticAlloc/);
    const late = gluon.compileStep((() => Promise.resolve(1)) as never) as unknown as () => void;
    expect(() => late()).toThrow(/runs at once/);
  });

  test('reads of values inside, and the next call is whole', async () => {
    const net = new nn.Dense(1, { inUnits: 2 });
    net.initialize({ init: 'ones' });
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd');
    let reads: ((y: NDArray) => unknown) | null = (y) => y.asscalar();
    const step = gluon.compileStep(function learn(x: NDArray) {
      const y = autograd.record(() => net(x).sum());
      if (reads !== null) void Promise.resolve(reads(y)).catch(() => undefined);
      y.backward();
      trainer.step(1);
      return y;
    });
    const x = nd.array([[1, 2]]);
    expect(() => step(x)).toThrow(/\[learn\].*asscalar.*outside/);
    reads = (y) => y.data();
    expect(() => step(x)).toThrow(/data/);
    reads = () => gluon.utils.clipGlobalNorm([net.weight.data()], 1);
    expect(() => step(x)).toThrow(/clipGlobalNorm/);
    const losses = new metric.Loss();
    reads = () => losses.reset();
    expect(() => step(x)).toThrow(/metric\.reset.*between steps/);
    reads = null;
    const values: number[] = [];
    for (let i = 0; i < 3; i++) values.push(await step(x).asscalar());
    expect(values[2]).toBeLessThan(values[1] as number);
    expect(step.cacheInfo()).toMatchObject({ hits: 2, misses: 5 });
  });

  test('inputs and results that are no arrays', () => {
    const step = gluon.compileStep(((x: unknown) => x) as (x: NDArray) => NDArray);
    expect(() => step(3 as never)).toThrow(/expected arrays.*received \[3\]/);
    expect(() => step(new Map() as never)).toThrow(/expected arrays/);
    expect(() => step(nd.ones([1]).mul(1))).not.toThrow();
    expect(() => gluon.compileStep(() => 3 as never)()).toThrow(/as the result, received 3/);
    expect(() => gluon.compileStep((x: NDArray) => nd.keep(x.mul(2)).add(1))(nd.ones([1]))).toThrow(
      /nd\.keep/,
    );
    const y = autograd.record(() => {
      const x = nd.ones([1]);
      x.attachGrad();
      return x.mul(2);
    });
    expect(() => step(y)).toThrow(/detach/);
    expect(() => autograd.record(() => step(nd.ones([1])))).toThrow(/outside of autograd\.record/);
    expect(() =>
      gluon.compileStep((a: NDArray, b: NDArray) => [a, b])(nd.ones([1]), nd.ones([1], { ctx: cpu(1) })),
    ).toThrow(/one context/);
  });

  test('a function that throws leaves nothing behind', () => {
    let fails = true;
    const step = gluon.compileStep((x: NDArray) => {
      const y = x.mul(2);
      if (fails) throw new Error('on purpose');
      return y;
    });
    expect(() => step(nd.ones([2]))).toThrow('on purpose');
    expect(step.cacheInfo().entries).toEqual([]);
    fails = false;
    expect(step(nd.ones([2])).shape).toEqual([2]);
    expect(step.cacheInfo().entries.map(({ key, runs }) => [key, runs])).toEqual([
      ['(2,) float32 on cpu(0)', 0],
    ]);
    step.dispose();
    expect(step.cacheInfo().entries).toEqual([]);
    expect(step(nd.ones([2])).shape).toEqual([2]);
  });
});

test('parameters that were cast, moved or drawn anew are recorded anew', async () => {
  const net = new nn.Dense(2, { inUnits: 2 });
  net.initialize({ init: 'ones' });
  const step = gluon.compileStep((x: NDArray) => net(x));
  const x = nd.ones([1, 2]);
  step(x);
  step(x);
  net.initialize({ init: 'zeros', forceReinit: true });
  expect([...(await step(x).data())]).toEqual([0, 0]);
  expect([...(await step(x).data())]).toEqual([0, 0]);
  net.cast('float64');
  expect(step(nd.ones([1, 2], { dtype: 'float64' })).dtype).toBe('float64');
  expect(step.cacheInfo()).toMatchObject({ hits: 2, misses: 3 });
});

test('an optimizer used by itself, inside', async () => {
  const run = async (compiled: boolean): Promise<number[]> => {
    const [w, g] = [nd.ones([3]), nd.array([1, 2, 3])];
    const made = new optimizer.Adam({ learningRate: 0.1 });
    const state = made.createState(0, w);
    const plain = (): void => made.update(0, w, g, state);
    const step = compiled ? gluon.compileStep(plain) : plain;
    for (let i = 0; i < 5; i++) step();
    expect(made.numUpdate).toBe(5);
    return [...(await w.data())];
  };
  expect(await run(true)).toEqual(await run(false));
});
