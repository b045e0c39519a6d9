// The Trainer: checks before changes, multipliers, several contexts, states as bytes.
import { describe, expect, test } from 'vitest';
import { eachDevice } from '../../test/devices.ts';
import { differences } from '../../test/values.ts';
import type { NDArray } from '../array/ndarray.ts';
import * as autograd from '../autograd/index.ts';
import { type Context, cpu } from '../core/context.ts';
import {
  ArgumentError,
  AutogradError,
  DeferredInitializationError,
  FormatError,
  LoadError,
  NotInitializedError,
} from '../core/errors.ts';
import * as nd from '../nd/index.ts';
import { memoryInfo } from '../nd/memory.ts';
import { L2Loss } from './loss/index.ts';
import { CosineScheduler, FactorScheduler } from './lrScheduler.ts';
import * as nn from './nn/index.ts';
import * as optimizer from './optimizer/index.ts';
import { Parameter } from './parameter.ts';
import { Trainer } from './trainer.ts';

const CLOSE = { rtol: 1e-5, atol: 1e-6 };

/** A parameter of ones. */
function ones(
  name: string,
  options: ConstructorParameters<typeof Parameter>[1] = {},
  ctx: Context | Context[] = cpu(),
): Parameter {
  const parameter = new Parameter(name, { shape: [2], init: 'ones', ...options });
  parameter.initialize({ ctx });
  return parameter;
}

/** Backward of Σ factor·parameter: the gradient is the factor everywhere. */
function backward(parameters: readonly Parameter[], factor = 1): void {
  const sum = autograd.record(() =>
    parameters.map((p) => p.data().sum().mul(factor)).reduce((a, b) => a.add(b)),
  );
  sum.backward();
}

eachDevice((ctx) => {
  test('a step divides by the batch size, decays all, and heeds multipliers and gradReq', async () => {
    const plain = ones('w', {}, ctx);
    const slow = ones('slow', { lrMult: 0.5 }, ctx);
    const bare = ones('bias', { wdMult: 0 }, ctx);
    const fixed = ones('fixed', { gradReq: 'null' }, ctx);
    const trainer = new Trainer([plain, slow, bare, fixed], 'sgd', {
      learningRate: 0.1,
      wd: 0.5,
      rescaleGrad: 2,
    });
    backward([plain, slow, bare], 6);
    trainer.step(4);
    // g = 6·2/4 = 3; w − lr·(3 + 0.5·1)
    expect(differences(await plain.data().data(), [0.65, 0.65], CLOSE)).toEqual([]);
    expect(differences(await slow.data().data(), [0.825, 0.825], CLOSE)).toEqual([]);
    expect(differences(await bare.data().data(), [0.7, 0.7], CLOSE)).toEqual([]);
    expect([...(await fixed.data().data())]).toEqual([1, 1]);
    slow.lrMult = 0;
    backward([plain, slow, bare]);
    trainer.step(1);
    expect(differences(await slow.data().data(), [0.825, 0.825], CLOSE)).toEqual([]);
  });

  test('a linear regression is learned', async () => {
    const net = new nn.Dense(1, { inUnits: 2 });
    net.initialize({ ctx });
    const trainer = new Trainer(net.collectParams(), 'adam', { learningRate: 0.1 });
    const lossFn = new L2Loss();
    const x = nd.random.normal(0, 1, [64, 2], { ctx });
    const y = x.dot(nd.array([[2], [-3.5]], { ctx })).add(4.25);
    let level = 0;
    for (let i = 0; i < 150; i++) {
      const loss = autograd.record(() => lossFn(net(x), y));
      loss.backward();
      trainer.step(64);
      loss.dispose();
      const { bytesInUse, userBytes } = memoryInfo(ctx);
      if (i === 1) level = bytesInUse - userBytes;
      if (i > 1) expect(bytesInUse - userBytes).toBe(level);
    }
    expect(differences(await net.weight.data().data(), [2, -3.5], { rtol: 0.02, atol: 0 })).toEqual([]);
    expect(await net.bias.data().asscalar()).toBeCloseTo(4.25, 1);
  });

  test('states are saved and restored: the run goes on as if it had not stopped', async () => {
    const run = async (resume: boolean): Promise<ArrayLike<number>> => {
      let p = ones('p', {}, ctx);
      const make = (): Trainer => new Trainer([p, ones('unused', {}, ctx)], 'adam', { learningRate: 0.1 });
      let trainer = make();
      for (let i = 0; i < 6; i++) {
        if (i === 3) {
          trainer.setLearningRate(0.05);
          if (resume) {
            const bytes = await trainer.saveStates();
            const values = p.data().copy();
            p = ones('other', {}, ctx);
            p.setData(values);
            trainer = make();
            await trainer.loadStates(bytes);
            expect(trainer.learningRate).toBe(0.05);
          }
        }
        backward([p], i + 1);
        trainer.step(2, { ignoreStaleGrad: true });
      }
      return p.data().data();
    };
    expect(await run(true)).toEqual(await run(false));
  });
});

describe('gradients', () => {
  test('a stale one is an error that names the parameter, and nothing changes', async () => {
    const [a, b] = [ones('a'), ones('b')];
    const trainer = new Trainer([a, b], 'sgd', { learningRate: 1 });
    expect(() => trainer.step(1)).toThrow(AutogradError);
    expect(() => trainer.step(1)).toThrow(/stale ones of a, b.*backward\(\)/);
    backward([a]);
    expect(() => trainer.step(1)).toThrow(/stale ones of b on cpu\(0\).*ignoreStaleGrad/);
    expect([...(await a.data().data())]).toEqual([1, 1]);
    trainer.step(1, { ignoreStaleGrad: true });
    expect([...(await a.data().data())]).toEqual([0, 0]);
    expect([...(await b.data().data())]).toEqual([1, 1]);
    // used up by the step
    expect(() => trainer.step(1)).toThrow(/stale ones of a, b/);
    trainer.step(1, true);
    expect([...(await a.data().data())]).toEqual([0, 0]);
  });

  test("'add' gathers over several backwards", async () => {
    const p = ones('p', { gradReq: 'add' });
    const trainer = new Trainer([p], 'sgd', { learningRate: 1 });
    backward([p], 0.25);
    backward([p], 0.5);
    trainer.step(1);
    expect([...(await p.data().data())]).toEqual([0.25, 0.25]);
    p.zeroGrad();
    backward([p], 0.25);
    trainer.step(1);
    expect([...(await p.data().data())]).toEqual([0, 0]);
  });

  test('a step inside record is no part of the tape', async () => {
    const p = ones('p');
    const trainer = new Trainer([p], 'sgd', { learningRate: 1 });
    autograd.record(() => {
      p.data().mul(2).backward();
      trainer.step(1);
    });
    expect([...(await p.data().data())]).toEqual([-1, -1]);
  });

  test('are summed over contexts, which stay alike', async () => {
    const contexts = [cpu(0), cpu(1)];
    const p = ones('p', {}, contexts);
    const trainer = new Trainer([p], 'sgd', { learningRate: 0.1, momentum: 0.9 });
    for (let i = 0; i < 2; i++) {
      const sums = autograd.record(() =>
        contexts.map((ctx, k) =>
          p
            .data(ctx)
            .sum()
            .mul(k + 1),
        ),
      );
      autograd.backward(sums);
      trainer.step(1);
    }
    // g = 1 + 2; m = −0.3, then −0.57
    for (const array of p.listData())
      expect(differences(await array.data(), [0.13, 0.13], CLOSE)).toEqual([]);
  });

  test('allreduceGrads and update are the two halves of step', async () => {
    const contexts = [cpu(0), cpu(1)];
    const p = ones('p', {}, contexts);
    const trainer = new Trainer([p], 'sgd', { learningRate: 1 });
    autograd.backward(
      autograd.record(() =>
        contexts.map((ctx, k) =>
          p
            .data(ctx)
            .sum()
            .mul(k + 1),
        ),
      ),
    );
    trainer.allreduceGrads();
    for (const grad of p.listGrad()) expect([...(await grad.data())]).toEqual([3, 3]);
    for (const grad of p.listGrad()) grad.imul(0.5);
    trainer.update(1);
    for (const array of p.listData()) expect([...(await array.data())]).toEqual([-0.5, -0.5]);
  });
});

describe('learning rates', () => {
  test('are read and set', () => {
    const trainer = new Trainer([ones('p')], 'sgd');
    expect(trainer.learningRate).toBe(0.01);
    trainer.setLearningRate(0.5);
    expect(trainer.learningRate).toBe(0.5);
    expect(() => trainer.setLearningRate('1' as never)).toThrow(ArgumentError);
  });

  test('follow a schedule by the number of steps', async () => {
    const p = ones('p');
    const lrScheduler = new FactorScheduler(1, 0.5);
    const trainer = new Trainer([p], 'sgd', { learningRate: 0.4, lrScheduler });
    for (let i = 0; i < 3; i++) {
      backward([p]);
      trainer.step(1);
    }
    // 0.4 + 0.2 + 0.1
    expect(differences(await p.data().data(), [0.3, 0.3], CLOSE)).toEqual([]);
    expect(() => trainer.setLearningRate(1)).toThrow(/scheduler/);
    const cosine = new Trainer([p], 'adam', { lrScheduler: new CosineScheduler(10, 0.2) });
    expect(cosine.learningRate).toBe(0.2);
  });
});

describe('bad input', () => {
  test('no parameters, and things that are none', () => {
    expect(() => new Trainer([], 'sgd')).toThrow(/received none/);
    expect(() => new Trainer([nd.ones([1])] as never, 'sgd')).toThrow(ArgumentError);
    expect(() => new Trainer(new nn.Dense(1) as never, 'sgd')).toThrow(/collectParams/);
    expect(() => new Trainer([ones('p')], 'sdg' as never)).toThrow(/'sgd'/);
    expect(() => new Trainer([ones('p')], 'sgd', { lr: 0.1 } as never)).toThrow(ArgumentError);
    // @ts-expect-error an optimizer object has its options
    expect(() => new Trainer([ones('p')], new optimizer.SGD(), { learningRate: 1 })).toThrow(
      /beside an optimizer object/,
    );
    // @ts-expect-error beta1 is Adam's
    expect(() => new Trainer([ones('p')], 'sgd', { beta1: 0.9 })).toThrow(ArgumentError);
    expect(() => new Trainer([ones('p')], 'sgd').step(0)).toThrow(/batch size > 0/);
    expect(() => new Trainer([ones('p')], 'sgd').step(1, { ignoreStale: true } as never)).toThrow(
      /ignoreStaleGrad/,
    );
  });

  test('parameters without values', () => {
    const net = new nn.Dense(2);
    const trainer = new Trainer(net.collectParams(), 'sgd');
    expect(() => trainer.step(1)).toThrow(NotInitializedError);
    net.initialize();
    expect(() => trainer.step(1)).toThrow(DeferredInitializationError);
    expect(() => trainer.step(1)).toThrow(/dense\d+_weight/);
  });

  test('states of another Trainer change nothing', async () => {
    const [p, q] = [ones('p'), ones('q', { shape: [3] })];
    const adam = new Trainer([p], 'adam');
    backward([p]);
    adam.step(1);
    const bytes = await adam.saveStates();
    await expect(new Trainer([p], 'sgd').loadStates(bytes)).rejects.toThrow(
      /expected the states of SGD, received those of Adam/,
    );
    await expect(new Trainer([p, q], 'adam').loadStates(bytes)).rejects.toThrow(LoadError);
    await expect(new Trainer([q], 'adam').loadStates(bytes)).rejects.toThrow(
      /mean of q as float32 of shape \(3,\)/,
    );
    await expect(adam.loadStates(bytes.slice(0, 40))).rejects.toThrow(FormatError);
    await expect(adam.loadStates(new Uint8Array(0))).rejects.toThrow(FormatError);
    const net = new nn.Dense(1, { inUnits: 1 });
    net.initialize();
    const weights = await net.saveParameters({ format: 'safetensors' });
    await expect(adam.loadStates(weights)).rejects.toThrow(/net\.loadParameters/);
    expect(adam.optimizer.numUpdate).toBe(1);
  });

  test('a net that was cast or reshaped under its states', () => {
    const p = ones('p');
    const trainer = new Trainer([p], 'adam');
    backward([p]);
    trainer.step(1);
    p.cast('float64');
    backward([p]);
    expect(() => trainer.step(1)).toThrow(/dtype float64.*new Trainer/);
  });
});

test('an optimizer object, parameters given twice, and reading it back', () => {
  const p = ones('p');
  const made = new optimizer.NAG({ momentum: 0.9 });
  const trainer = new Trainer([p, p], made);
  expect(trainer.optimizer).toBe(made);
  backward([p]);
  trainer.step(1);
  expect(made.numUpdate).toBe(1);
  const grads: NDArray = p.grad();
  expect(grads.shape).toEqual([2]);
});
