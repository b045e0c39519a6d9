// Optimizers against their formulas, written here once more in plain double-precision loops, against PyTorch (test-data/torch/optimizers.py) where it means the same,
// and against ONNX's training operators.
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { eachDevice } from '../../../test/devices.ts';
import { differences, numbers, type Tolerance } from '../../../test/values.ts';
import type { NDArray } from '../../array/ndarray.ts';
import { type Context, cpu } from '../../core/context.ts';
import { ArgumentError, ContextError, DTypeError, ShapeError } from '../../core/errors.ts';
import * as nd from '../../nd/index.ts';
import { FactorScheduler } from '../lrScheduler.ts';
import * as optimizer from './index.ts';

const DOUBLE: Tolerance = { rtol: 1e-12, atol: 1e-13 };
const SINGLE: Tolerance = { rtol: 2e-5, atol: 2e-6 };

/** One element's step: from weight, scaled and unclipped gradient and state to the weight; changes the state. */
type Step = (
  w: number,
  g: number,
  s: number[],
  o: { lr: number; wd: number; t: number; clip: (x: number) => number },
) => number;
interface Formula {
  readonly name: optimizer.OptimizerName;
  readonly options: Record<string, unknown>;
  readonly rate?: number;
  readonly states: number;
  readonly step: Step;
}

const adam =
  (b1: number, b2: number, eps: number): Step =>
  (w, g0, s, { lr, wd, t, clip }) => {
    const g = clip(g0 + wd * w);
    s[0] = b1 * (s[0] as number) + (1 - b1) * g;
    s[1] = b2 * (s[1] as number) + (1 - b2) * g * g;
    return w - (lr * Math.sqrt(1 - b2 ** t) * s[0]) / (1 - b1 ** t) / (Math.sqrt(s[1]) + eps);
  };
const adamw =
  (correct: boolean): Step =>
  (w, g0, s, { lr, wd, t, clip }) => {
    const g = clip(g0);
    s[0] = 0.9 * (s[0] as number) + 0.1 * g;
    s[1] = 0.999 * (s[1] as number) + (1 - 0.999) * g * g;
    const rate = correct ? (lr * Math.sqrt(1 - 0.999 ** t)) / (1 - 0.9 ** t) : lr;
    return w - rate * (s[0] / (Math.sqrt(s[1]) + 1e-6) + wd * w);
  };

const FORMULAS: readonly Formula[] = [
  {
    name: 'sgd',
    options: {},
    rate: 0.01,
    states: 0,
    step: (w, g, _, { lr, wd, clip }) => w - lr * (clip(g) + wd * w),
  },
  {
    name: 'sgd',
    options: { momentum: 0.9, learningRate: 0.2 },
    states: 1,
    step(w, g, s, { lr, wd, clip }) {
      s[0] = 0.9 * (s[0] as number) - lr * (clip(g) + wd * w);
      return w + s[0];
    },
  },
  {
    name: 'nag',
    options: { momentum: 0.8 },
    rate: 0.01,
    states: 1,
    step(w, g, s, { lr, wd, clip }) {
      const down = lr * (clip(g) + wd * w);
      s[0] = 0.8 * (s[0] as number) - down;
      return w + 0.8 * s[0] - down;
    },
  },
  {
    name: 'nag',
    options: {},
    rate: 0.01,
    states: 0,
    step: (w, g, _, { lr, wd, clip }) => w - lr * (clip(g) + wd * w),
  },
  {
    name: 'signum',
    options: { wdLh: 0.1 },
    rate: 0.01,
    states: 1,
    step(w, g, s, { lr, wd, clip }) {
      s[0] = 0.9 * (s[0] as number) - (1 - 0.9) * (clip(g) + wd * w);
      return (1 - lr * 0.1) * w + lr * Math.sign(s[0]);
    },
  },
  {
    name: 'signum',
    options: { momentum: 0 },
    rate: 0.01,
    states: 0,
    step: (w, g, _, { lr, wd }) => (1 - lr * wd) * w - lr * Math.sign(g),
  },
  { name: 'adam', options: {}, rate: 0.001, states: 2, step: adam(0.9, 0.999, 1e-8) },
  {
    name: 'adam',
    options: { beta1: 0.7, beta2: 0.9, epsilon: 1e-3, learningRate: 0.5 },
    states: 2,
    step: adam(0.7, 0.9, 1e-3),
  },
  { name: 'adamw', options: {}, rate: 0.001, states: 2, step: adamw(true) },
  { name: 'adamw', options: { correctBias: false }, rate: 0.001, states: 2, step: adamw(false) },
  {
    name: 'adamax',
    options: {},
    rate: 0.002,
    states: 2,
    step(w, g0, s, { lr, wd, t, clip }) {
      const g = clip(g0 + wd * w);
      s[0] = 0.9 * (s[0] as number) + (1 - 0.9) * g;
      s[1] = Math.max(0.999 * (s[1] as number), Math.abs(g));
      return w - ((lr / (1 - 0.9 ** t)) * s[0]) / s[1];
    },
  },
  {
    name: 'nadam',
    options: {},
    rate: 0.001,
    states: 2,
    step(w, g0, s, { lr, wd, t, clip }) {
      const g = clip(g0 + wd * w);
      const mu = (i: number): number => 0.9 * (1 - 0.5 * 0.96 ** (i * 0.004));
      let product = 1;
      for (let i = 1; i <= t; i++) product *= mu(i);
      s[0] = 0.9 * (s[0] as number) + (1 - 0.9) * g;
      s[1] = 0.999 * (s[1] as number) + (1 - 0.999) * g * g;
      const bar = ((1 - mu(t)) * g) / (1 - product) + (mu(t + 1) * s[0]) / (1 - product * mu(t + 1));
      return w - (lr * bar) / (Math.sqrt(s[1] / (1 - 0.999 ** t)) + 1e-8);
    },
  },
  {
    name: 'adagrad',
    options: {},
    rate: 0.01,
    states: 1,
    step(w, g0, s, { lr, wd, clip }) {
      const g = clip(g0);
      s[0] = (s[0] as number) + g * g;
      return w - lr * (g / Math.sqrt(s[0] + 1e-7) + wd * w);
    },
  },
  {
    name: 'rmsprop',
    options: {},
    rate: 0.001,
    states: 1,
    step(w, g0, s, { lr, wd, clip }) {
      const g = clip(g0 + wd * w);
      s[0] = 0.9 * (s[0] as number) + (1 - 0.9) * g * g;
      return w - (lr * g) / Math.sqrt(s[0] + 1e-8);
    },
  },
  {
    name: 'rmsprop',
    options: { centered: true, gamma1: 0.8, gamma2: 0.7, clipWeights: 0.9, learningRate: 0.1 },
    states: 3,
    step(w, g0, s, { lr, wd, clip }) {
      const g = clip(g0 + wd * w);
      s[0] = 0.8 * (s[0] as number) + (1 - 0.8) * g * g;
      s[1] = 0.8 * (s[1] as number) + (1 - 0.8) * g;
      s[2] = 0.7 * (s[2] as number) - (lr * g) / Math.sqrt(s[0] - s[1] ** 2 + 1e-8);
      return Math.min(0.9, Math.max(-0.9, w + s[2]));
    },
  },
  {
    name: 'adadelta',
    options: {},
    rate: 0.01,
    states: 2,
    step(w, g0, s, { wd, clip }) {
      const g = clip(g0);
      s[0] = 0.9 * (s[0] as number) + (1 - 0.9) * g * g;
      const delta = (Math.sqrt((s[1] as number) + 1e-5) / Math.sqrt(s[0] + 1e-5)) * g;
      s[1] = 0.9 * (s[1] as number) + (1 - 0.9) * delta * delta;
      return w - (delta + wd * w);
    },
  },
  {
    name: 'ftrl',
    options: {},
    rate: 0.1,
    states: 2,
    step(w, g0, s, { lr, wd, clip }) {
      const g = clip(g0);
      const [z, n] = s as [number, number];
      s[0] = z + g - ((Math.sqrt(n + g * g) - Math.sqrt(n)) * w) / lr;
      s[1] = n + g * g;
      if (Math.abs(s[0]) <= 0.01) return 0;
      return (Math.sign(s[0]) * 0.01 - s[0]) / ((1 + Math.sqrt(s[1])) / lr + wd);
    },
  },
];

const SIZE = 37;
const STEPS = 6;

async function runBoth(
  formula: Formula,
  common: Record<string, number>,
  ctx: Context,
  dtype: 'float32' | 'float64',
): Promise<void> {
  const options = { ...formula.options, ...common };
  const made = optimizer.create(formula.name, options as never);
  const rate = (formula.options['learningRate'] as number | undefined) ?? formula.rate ?? Number.NaN;
  expect(made.learningRate).toBe(rate);
  const expected = numbers(SIZE, -1, 1, 5);
  const weight = nd.array(expected, { ctx, dtype });
  const states = made.createState(0, weight);
  expect(states.length).toBe(formula.states);
  const expectedStates = expected.map(() => new Array<number>(formula.states).fill(0));
  const bound = common['clipGradient'] ?? Infinity;
  const clip = (x: number): number => Math.max(-bound, Math.min(bound, x));
  for (let t = 1; t <= STEPS; t++) {
    const grad = numbers(SIZE, -2, 2, 50 + t);
    made.update(0, weight, nd.array(grad, { ctx, dtype }), states);
    grad.forEach((g, i) => {
      const scaled = g * (common['rescaleGrad'] ?? 1);
      const numbersOfStep = { lr: rate, wd: common['wd'] ?? 0, t, clip };
      expected[i] = formula.step(expected[i] as number, scaled, expectedStates[i] as number[], numbersOfStep);
    });
  }
  const tolerance = dtype === 'float64' ? DOUBLE : SINGLE;
  expect(differences(await weight.data(), expected, tolerance)).toEqual([]);
  for (const [k, state] of states.entries())
    expect(
      differences(
        await state.data(),
        expectedStates.map((s) => s[k] as number),
        tolerance,
      ),
      `state ${k}`,
    ).toEqual([]);
}

describe('formulas, in float64', () => {
  for (const formula of FORMULAS) {
    const name = `${formula.name} ${JSON.stringify(formula.options)}`;
    test(name, () => runBoth(formula, {}, cpu(), 'float64'));
    test(`${name} with decay, clipping and scaling`, () =>
      runBoth(formula, { wd: 0.1, clipGradient: 0.4, rescaleGrad: 0.5 }, cpu(), 'float64'));
  }
});

eachDevice((ctx) => {
  for (const formula of FORMULAS)
    test(`${formula.name} ${JSON.stringify(formula.options)}`, () =>
      runBoth(formula, { wd: 0.1, clipGradient: 0.4, rescaleGrad: 0.5 }, ctx, 'float32'));

  test.each([
    [{}, 1, 1],
    [{ biasCorrection: false, clipGradient: 0.3, rescaleGrad: 0.5 }, 1, 1],
    [{ lowerBound: 5 }, 1, 1],
    [{ upperBound: 0.5 }, 1, 1],
    // a weight of zeros has norm 0: the ratio is 1
    [{}, 0, 1],
    // no gradient and no weight: no direction at all
    [{}, 0, 0],
  ])('lamb %j, weights times %d, gradients times %d', async (options, weights, gradients) => {
    const made = new optimizer.LAMB({ learningRate: 0.1, wd: 0.02, ...options });
    const given = made as unknown as {
      rescaleGrad: number;
      clipGradient: number | null;
      biasCorrection: boolean;
    };
    const w = numbers(SIZE, -1, 1, 5).map((v) => v * weights);
    const [m, v] = [w.map(() => 0), w.map(() => 0)] as [number[], number[]];
    const weight = nd.array(w, { ctx });
    const states = made.createState(0, weight);
    const norm = (x: readonly number[]): number => Math.sqrt(x.reduce((s, a) => s + a * a, 0));
    for (let t = 1; t <= 3; t++) {
      const grad = numbers(SIZE, -2, 2, 50 + t).map((x) => x * gradients);
      made.update(0, weight, nd.array(grad, { ctx }), states);
      const bound = given.clipGradient ?? Infinity;
      const direction = grad.map((g0, i) => {
        const g = Math.max(-bound, Math.min(bound, g0 * given.rescaleGrad));
        m[i] = 0.9 * (m[i] as number) + 0.1 * g;
        v[i] = 0.999 * (v[i] as number) + (1 - 0.999) * g * g;
        const [c1, c2] = given.biasCorrection ? [1 - 0.9 ** t, 1 - 0.999 ** t] : [1, 1];
        return (m[i] as number) / c1 / (Math.sqrt((v[i] as number) / c2) + 1e-6) + 0.02 * (w[i] as number);
      });
      let r1 = norm(w);
      if ('lowerBound' in options) r1 = Math.max(r1, 5);
      if ('upperBound' in options) r1 = Math.min(r1, 0.5);
      const r2 = norm(direction);
      const ratio = r1 === 0 || r2 === 0 ? 1 : r1 / r2;
      direction.forEach((d, i) => {
        w[i] = (w[i] as number) - 0.1 * ratio * d;
      });
    }
    expect(differences(await weight.data(), w, SINGLE)).toEqual([]);
  });

  test('adamax leaves a weight without gradient as it is', async () => {
    const made = new optimizer.Adamax();
    const weight = nd.array([1, 2], { ctx });
    made.update(0, weight, nd.array([0, 1], { ctx }), made.createState(0, weight));
    expect(differences(await weight.data(), [1, 1.998], SINGLE)).toEqual([]);
  });

  test('clipping keeps NaN, so that it is seen', async () => {
    const weight = nd.array([1, 1], { ctx });
    new optimizer.SGD({ clipGradient: 1 }).update(0, weight, nd.array([Number.NaN, 5], { ctx }));
    expect(differences(await weight.data(), [Number.NaN, 0.99], SINGLE)).toEqual([]);
  });
});

describe('PyTorch', () => {
  interface TorchCase {
    readonly name: optimizer.OptimizerName;
    readonly options: object;
    readonly after: readonly number[][];
  }
  const file = new URL('../../../test-data/torch/optimizers.json', import.meta.url);
  const vectors = JSON.parse(readFileSync(file, 'utf8')) as {
    readonly weight: number[];
    readonly grads: readonly number[][];
    readonly cases: readonly TorchCase[];
  };
  for (const c of vectors.cases)
    test(`${c.name} ${JSON.stringify(c.options)}`, async () => {
      const made = optimizer.create(c.name, c.options as never);
      const weight = nd.array(vectors.weight, { dtype: 'float64' });
      const states = made.createState(0, weight);
      for (const [t, grad] of vectors.grads.entries()) {
        made.update(0, weight, nd.array(grad, { dtype: 'float64' }), states);
        // an epsilon of 1e-8 stands in another place there
        expect(
          differences(await weight.data(), c.after[t] as number[], { rtol: 1e-6, atol: 1e-7 }),
          `step ${t + 1}`,
        ).toEqual([]);
      }
    });
});

describe("ONNX's training operators", () => {
  interface OnnxArray {
    readonly name: string;
    readonly data: readonly number[];
  }
  interface OnnxCase {
    readonly name: string;
    readonly nodes: readonly [{ readonly attrs: Record<string, number | string> }];
    readonly inputs: readonly OnnxArray[];
    readonly outputs: readonly OnnxArray[];
  }
  const file = new URL('../../../test-data/conformance/onnx.json.gz', import.meta.url);
  const operators = JSON.parse(gunzipSync(readFileSync(file)).toString()) as Record<string, OnnxCase[]>;
  const close: Tolerance = { rtol: 1e-5, atol: 1e-6 };

  function casesOf(name: string): readonly OnnxCase[] {
    const cases = operators[name] ?? [];
    expect(cases.length).toBe(2);
    return cases;
  }

  /** Runs a case: for each of its weights, `run` gives the new weight and states. */
  async function check(
    c: OnnxCase,
    states: number,
    run: (
      x: NDArray,
      g: NDArray,
      s: NDArray[],
      attrs: Record<string, number>,
      t: number,
      r: number,
    ) => NDArray[],
  ): Promise<void> {
    const [r, t, ...arrays] = c.inputs.map((x) => x.data) as [number[], number[], ...number[][]];
    const count = arrays.length / (2 + states);
    const array = (i: number): NDArray => nd.array(arrays[i] as number[], { dtype: 'float64' });
    for (let k = 0; k < count; k++) {
      const own = Array.from({ length: states }, (_, j) => array((2 + j) * count + k));
      const results = run(
        array(k),
        array(count + k),
        own,
        c.nodes[0].attrs as Record<string, number>,
        t[0] as number,
        r[0] as number,
      );
      for (const [j, result] of results.entries())
        expect(
          differences(await result.data(), (c.outputs[j * count + k] as OnnxArray).data, close),
          `${c.name}, output ${j} of ${k}`,
        ).toEqual([]);
    }
  }

  test('Adam', async () => {
    for (const c of casesOf('Adam'))
      await check(c, 2, (x, g, s, a, t, r) => {
        expect(t).toBe(0);
        const { alpha = 0.9, beta = 0.999, epsilon = 0, norm_coefficient = 0 } = a;
        // at T = 0 ONNX does not correct; our first step does
        const learningRate = (r * (1 - alpha)) / Math.sqrt(1 - beta);
        const made = new optimizer.Adam({
          learningRate,
          beta1: alpha,
          beta2: beta,
          epsilon,
          wd: norm_coefficient,
        });
        made.update(0, x, g, s);
        return [x, ...s];
      });
  });

  test('Adagrad', async () => {
    for (const c of casesOf('Adagrad'))
      await check(c, 1, (x, g, s, a, t, r) => {
        const { decay_factor = 0, epsilon = 0, norm_coefficient = 0 } = a;
        // decay belongs to the gradient there; epsilon stands outside of the root
        const made = new optimizer.AdaGrad({ learningRate: r / (1 + t * decay_factor), eps: epsilon ** 2 });
        made.update(0, x, g.add(x.mul(norm_coefficient)), s);
        return [x, ...s];
      });
  });

  test('Momentum', async () => {
    for (const c of casesOf('Momentum'))
      await check(c, 1, (x, g, s, a, t, r) => {
        const { alpha = 0, beta = 1, norm_coefficient = 0 } = a;
        const own = (s[0] as NDArray).mul(-r);
        const options = { learningRate: r, momentum: alpha, wd: norm_coefficient };
        expect(a['mode'] as unknown).toBe('standard');
        expect(t === 0 || beta === 1).toBe(true);
        new optimizer.SGD(options).update(0, x, g, [own]);
        // there the rate stands outside of the momentum
        return [x, own.div(-r)];
      });
  });
});

describe('optimizers', () => {
  test('rates come from a scheduler, by the number of updates', () => {
    const made = new optimizer.SGD({ lrScheduler: new FactorScheduler(2, 0.5, { baseLr: 0.8 }) });
    const weight = nd.zeros([1]);
    const rates: number[] = [];
    for (let i = 0; i < 5; i++) {
      made.update(0, weight, nd.ones([1]));
      rates.push(made.learningRate);
    }
    expect(rates).toEqual([0.8, 0.8, 0.4, 0.4, 0.2]);
    expect(() => made.setLearningRate(0.1)).toThrow(/scheduler/);
    expect(
      new optimizer.SGD({ learningRate: 0.3, lrScheduler: new FactorScheduler(2, 0.5) }).learningRate,
    ).toBe(0.3);
    expect(
      new optimizer.Adam({ lrScheduler: (n: number) => 1 / (1 + n), beginNumUpdate: 3 }).learningRate,
    ).toBe(0.25);
  });

  test('counts are kept by weight', async () => {
    const made = new optimizer.Adam({ learningRate: 1 });
    const [a, b] = [nd.zeros([1]), nd.zeros([1])];
    const [sa, sb] = [made.createState(0, a), made.createState(1, b)];
    for (let i = 0; i < 3; i++) made.update(0, a, nd.ones([1]), sa);
    made.update(1, b, nd.ones([1]), sb);
    // Adam's first step has the size of the rate
    expect(await b.asscalar()).toBeCloseTo(-1, 5);
    expect(made.numUpdate).toBe(3);
  });

  test('bad options', () => {
    expect(() => new optimizer.SGD({ learning_rate: 1 } as never)).toThrow(/learningRate/);
    expect(() => new optimizer.SGD({ multiPrecision: true } as never)).toThrow(/multiPrecision/);
    expect(() => new optimizer.SGD({ learningRate: '0.1' } as never)).toThrow(ArgumentError);
    expect(() => new optimizer.SGD({ clipGradient: -1 })).toThrow(/clipGradient > 0/);
    expect(() => new optimizer.SGD({ lrScheduler: 0.1 } as never)).toThrow(/scheduler/);
    expect(() => new optimizer.SGD(0.1 as never)).toThrow(ArgumentError);
    expect(() => optimizer.create('adm' as never)).toThrow(/'adam'/);
    expect(optimizer.create('AdaGrad' as never).name).toBe('AdaGrad');
  });

  test('arrays that do not fit change nothing', async () => {
    const made = new optimizer.SGD({ momentum: 0.9 });
    const weight = nd.ones([3]);
    const state = made.createState(0, weight);
    expect(() => made.update(0, weight, nd.ones([2]), state)).toThrow(ShapeError);
    expect(() => made.update(0, weight, nd.ones([3], { dtype: 'float64' }), state)).toThrow(DTypeError);
    expect(() => made.update(0, weight, nd.ones([3]))).toThrow(/createState/);
    expect(() => made.update(0, nd.ones([3], { dtype: 'int32' }), nd.ones([3]), state)).toThrow(DTypeError);
    expect(ContextError).toBeDefined();
    expect([...(await weight.data())]).toEqual([1, 1, 1]);
    expect(made.numUpdate).toBe(0);
  });
});
