// Every operation's gradient, first and second, against central differences; and that no operation is left out.
import { afterAll, describe, expect, test } from 'vitest';
import { autograd, type NDArray, nd } from 'webgluon';
import { readNow } from '../../src/nd/reading.ts';
import { slots } from '../../src/ops/invoke.ts';
import { operations } from '../../src/ops/op.ts';
import { numbers } from '../values.ts';
import { expectGradients } from './check.ts';
import cases from './table.ts';

// which records stood on a tape while the cases ran
const met = new Set<string>();
const { tape } = slots;
if (tape !== null)
  slots.tape = {
    ...tape,
    invoked(op, inputs, attrs, outputs) {
      tape.invoked(op, inputs, attrs, outputs);
      met.add(op.name);
    },
  };
afterAll(() => {
  slots.tape = tape;
});

describe('first and second derivatives', () => {
  test.each(cases.map((c) => [c.name, c] as const))('%s', (_, { f, inputs }) => {
    expectGradients(f, inputs);
  });
});

describe('derivatives stay finite', () => {
  const names = [
    'sigmoid',
    'tanh',
    'softrelu',
    'softsign',
    'logSigmoid',
    'mish',
    'gelu',
    'selu',
    'silu',
    'swish',
    'elu',
    'relu',
    'hardSigmoid',
    'erf',
  ] as const;
  test.each(names)('%s, far out and at 0', (name) => {
    const x = nd.array([-1000, -100, -30, 0, 30, 100, 1000]);
    x.attachGrad();
    const first = autograd.record(
      () => autograd.grad((nd[name] as (x: NDArray) => NDArray)(x), x, { createGraph: true })[0] as NDArray,
    );
    first.backward();
    for (const values of [readNow(first, 'test'), readNow(x.grad, 'test')])
      expect([...(values as Iterable<number>)].filter((v) => !Number.isFinite(v))).toEqual([]);
  });

  test('softplus at 0 has the slope 1/2, and the norm of zeros and hypot at the origin 0', () => {
    const x = nd.array([0, 0]);
    x.attachGrad();
    const slope = (f: () => NDArray): unknown => {
      autograd.record(f).backward();
      return [...(readNow(x.grad, 'test') as Iterable<number>)];
    };
    expect(slope(() => nd.softrelu(x))).toEqual([0.5, 0.5]);
    expect(slope(() => nd.logSigmoid(x))).toEqual([0.5, 0.5]);
    expect(slope(() => nd.norm(x))).toEqual([0, 0]);
    expect(slope(() => nd.hypot(x, x))).toEqual([0, 0]);
  });

  test('products with zeros', () => {
    const slope = (values: number[]): unknown => {
      const x = nd.array(values);
      x.attachGrad();
      autograd.record(() => x.prod()).backward();
      return [...(readNow(x.grad, 'test') as Iterable<number>)];
    };
    expect(slope([2, 3, 4])).toEqual([12, 8, 6]);
    expect(slope([2, 0, 4])).toEqual([0, 8, 0]);
    expect(slope([0, 0, 4])).toEqual([0, 0, 0]);
  });

  test('of equal greatest elements each gets the gradient, of a window the first', () => {
    const x = nd.array([1, 5, 5, 0], { shape: [1, 1, 2, 2] });
    x.attachGrad();
    autograd.record(() => x.max()).backward();
    expect([...(readNow(x.grad, 'test') as Iterable<number>)]).toEqual([0, 1, 1, 0]);
    autograd.record(() => nd.pooling(x, { kernel: 2 })).backward();
    expect([...(readNow(x.grad, 'test') as Iterable<number>)]).toEqual([0, 1, 0, 0]);
  });
});

test('the third derivative of max pooling runs through its gather', () => {
  const x = nd.array(numbers(16), { shape: [1, 1, 4, 4], dtype: 'float64' });
  x.attachGrad();
  const cube = (): NDArray => nd.pooling(x, { kernel: 2, stride: 2 }).pow(3).sum();
  const third = autograd.record(() => {
    let y = cube();
    for (let i = 0; i < 2; i++) y = (autograd.grad(y, [x], { createGraph: true })[0] as NDArray).sum();
    return y;
  });
  third.backward();
  // d³ max³ is 6 at each window's greatest, 0 elsewhere
  const greatest = nd.pooling(x, { kernel: 2, stride: 2 }).repeat(2, 2).repeat(2, 3);
  expect(readNow(x.grad, 'test')).toEqual(readNow(x.equal(greatest).mul(6), 'test'));
});

test('every operation has a name of its own', () => {
  // but for pooling, which has one for each kind
  const names = operations.filter((op) => op.family !== 'pooling').map((op) => op.name);
  expect(new Set(names).size).toBe(names.length);
});

test('every operation has a gradient, or says that it has none', () => {
  const silent = operations.filter((op) => op.grad === undefined).map((op) => op.name);
  expect(silent).toEqual([]);
});

test('every gradient was tried', () => {
  // in place there is nothing to differentiate by; losses have tests of their own, beside them; expressions' derivatives derive from expressions
  const derived = /Grad\d+$/;
  const missed = operations.filter(
    (op) =>
      typeof op.grad === 'function' &&
      op.inPlace !== true &&
      op.family !== 'loss' &&
      !derived.test(op.name) &&
      !met.has(op.name),
  );
  expect(missed.map((op) => op.name)).toEqual([]);
});
