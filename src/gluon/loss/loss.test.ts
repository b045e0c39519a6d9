// Losses against PyTorch in float64 (test-data/torch/losses.py): values, and gradients under uneven head gradients, on every device.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { eachDevice } from '../../../test/devices.ts';
import { differences, type Tolerance } from '../../../test/values.ts';
import type { NDArray } from '../../array/ndarray.ts';
import * as autograd from '../../autograd/index.ts';
import type { Context } from '../../core/context.ts';
import { cpu } from '../../core/context.ts';
import { ArgumentError, DTypeError, ShapeError } from '../../core/errors.ts';
import * as nd from '../../nd/index.ts';
import * as loss from './index.ts';

interface Packed {
  readonly dtype: 'float32' | 'int32';
  readonly shape: readonly number[];
  readonly data: readonly number[];
}
interface Case {
  readonly name: string;
  readonly loss: Exclude<keyof typeof loss, 'Loss'>;
  readonly options: object;
  readonly inputs: readonly (Packed | null)[];
  readonly wrt: readonly number[];
  readonly head: Packed;
  readonly value: Packed;
  readonly grads: readonly Packed[];
}

const file = new URL('../../../test-data/torch/losses.json', import.meta.url);
const { cases } = JSON.parse(readFileSync(file, 'utf8')) as { readonly cases: readonly Case[] };

// float32 against float64: some roundings of numbers up to a few hundred
const CLOSE: Tolerance = { rtol: 2e-5, atol: 2e-6 };

function array(packed: Packed, ctx: Context): NDArray {
  return nd.array([...packed.data], { ctx, dtype: packed.dtype, shape: packed.shape });
}

const LOSSES = new Map(Object.entries(loss));

type AnyLoss = (...inputs: (NDArray | null)[]) => NDArray;

eachDevice((ctx) => {
  for (const c of cases)
    test(`${c.loss}: ${c.name}`, async () => {
      const make = LOSSES.get(c.loss) as unknown as new (options: object) => AnyLoss;
      const fn = new make(c.options);
      const inputs = c.inputs.map((packed) => (packed === null ? null : array(packed, ctx)));
      for (const i of c.wrt) inputs[i]?.attachGrad();
      const value = autograd.record(() => fn(...inputs));
      expect([...value.shape]).toEqual(c.value.shape);
      expect(differences(await value.data(), c.value.data, CLOSE)).toEqual([]);
      value.backward(array(c.head, ctx));
      for (const [k, i] of c.wrt.entries()) {
        const { grad } = inputs[i] as NDArray;
        expect([...grad.shape]).toEqual((c.grads[k] as Packed).shape);
        expect(
          differences(await grad.data(), (c.grads[k] as Packed).data, CLOSE),
          `gradient by input ${i}`,
        ).toEqual([]);
      }
    });

  test('labels of any dtype', async () => {
    const pred = nd.array([[1, 2, 3]], { ctx });
    const fn = new loss.SoftmaxCrossEntropyLoss();
    const expected = Math.log(1 + Math.exp(-1) + Math.exp(-2));
    for (const dtype of ['int32', 'uint8', 'float32', 'uint32'] as const)
      expect(await fn(pred, nd.array([2], { ctx, dtype })).asscalar()).toBeCloseTo(expected, 6);
    const half = new loss.L2Loss();
    expect(await half(pred, nd.array([[1, 2, 5]], { ctx, dtype: 'int32' })).asscalar()).toBeCloseTo(4 / 6, 6);
  });

  test('a sample weight of the batch alone weighs samples', async () => {
    const pred = nd.array(
      [
        [1, 2],
        [3, 5],
      ],
      { ctx },
    );
    const label = nd.zeros([2, 2], { ctx });
    const weight = nd.array([2, 0.5], { ctx });
    expect([...(await new loss.L1Loss()(pred, label, weight).data())]).toEqual([3, 2]);
    const classes = nd.array([0, 1], { ctx });
    const plain = await new loss.SoftmaxCrossEntropyLoss()(pred, classes).data();
    const weighted = await new loss.SoftmaxCrossEntropyLoss()(pred, classes, weight).data();
    expect(differences(weighted, [2 * (plain[0] as number), 0.5 * (plain[1] as number)], CLOSE)).toEqual([]);
  });

  test('a sequence that does not fit has loss ∞ and no gradient', async () => {
    const pred = nd.ones([2, 2, 3], { ctx });
    pred.attachGrad();
    const labels = nd.array(
      [
        [0, 1, 0],
        [1, -1, -1],
      ],
      { ctx },
    );
    const value = autograd.record(() => new loss.CTCLoss()(pred, labels));
    const values = await value.data();
    expect(values[0]).toBe(Infinity);
    // paths for 'b' in two steps: bb, b-, -b, each of probability 1/9
    expect(values[1]).toBeCloseTo(Math.log(3), 5);
    value.backward();
    const grad = await pred.grad.data();
    expect([...grad.slice(0, 6)]).toEqual([0, 0, 0, 0, 0, 0]);
    expect(differences(grad.slice(6), [1 / 3, -1 / 3, 0, 1 / 3, -1 / 3, 0], CLOSE)).toEqual([]);
  });
});

describe('losses refuse', () => {
  const pred = nd.zeros([2, 3]);

  test('labels outside the classes, on the CPU at once', () => {
    const fn = new loss.SoftmaxCrossEntropyLoss();
    expect(() => fn(pred, nd.array([0, 3]))).toThrow(ArgumentError);
    expect(() => fn(pred, nd.array([0, 3]))).toThrow(
      /\[SoftmaxCrossEntropyLoss\] expected labels from 0 to 2.*received 3 at 1/,
    );
    expect(() => fn(pred, nd.array([-1, 0], { dtype: 'int32' }))).toThrow(/received -1 at 0/);
    expect(() => fn(pred, nd.array([0, Number.NaN]))).toThrow(/received NaN at 1/);
    expect(() => new loss.CTCLoss()(nd.zeros([1, 4, 3]), nd.array([[2]]))).toThrow(/class 2 is the blank/);
  });

  test('another batch', () => {
    expect(() => new loss.SoftmaxCrossEntropyLoss()(pred, nd.zeros([4]))).toThrow(ShapeError);
    expect(() => new loss.SoftmaxCrossEntropyLoss()(pred, nd.zeros([4]))).toThrow(
      /expected labels of shape \(2,\)/,
    );
    expect(() => new loss.SoftmaxCrossEntropyLoss()(pred, nd.zeros([2, 3]))).toThrow(/sparseLabel: false/);
    expect(() => new loss.L2Loss()(pred, nd.zeros([3, 3]))).toThrow(
      /\[L2Loss\] expected a label of shape \(2, 3\)/,
    );
    // as many elements, but not as many samples
    expect(() => new loss.L2Loss()(pred, nd.zeros([3, 2]))).toThrow(ShapeError);
    expect(() => new loss.L1Loss()(pred, pred, nd.zeros([5]))).toThrow(/sample weights/);
    expect(() => new loss.CosineEmbeddingLoss()(pred, pred, nd.zeros([3]))).toThrow(ShapeError);
    expect(() => new loss.CTCLoss()(nd.zeros([2, 4, 3]), nd.zeros([3, 2]))).toThrow(ShapeError);
    expect(() => new loss.CTCLoss()(nd.zeros([2, 4, 3]), nd.zeros([2, 2]), nd.zeros([3]))).toThrow(
      /predLengths/,
    );
  });

  test('options that do not exist, and weights that are arrays', () => {
    expect(() => new loss.L2Loss({ weigth: 1 } as never)).toThrow(/Did you mean weight/);
    expect(() => new loss.SoftmaxCrossEntropyLoss({ sparse_label: true } as never)).toThrow(/sparseLabel/);
    expect(() => new loss.L2Loss({ weight: nd.ones([2]) } as never)).toThrow(/sampleWeight/);
    expect(() => new loss.HuberLoss({ rho: 0 })).toThrow(ArgumentError);
    expect(() => new loss.LogisticLoss({ labelFormat: 'sign' as never })).toThrow(/signed/);
    expect(() => new loss.L2Loss(1 as never)).toThrow(ArgumentError);
  });

  test('predictions that are no floats', () => {
    expect(() => new loss.L2Loss()(nd.zeros([2], { dtype: 'int32' }), nd.zeros([2]))).toThrow(DTypeError);
  });
});

test('texts', () => {
  expect(String(new loss.SoftmaxCrossEntropyLoss())).toBe('SoftmaxCrossEntropyLoss(batch_axis=0, w=None)');
  expect(String(new loss.L2Loss())).toBe('L2Loss(batch_axis=0, w=1.0)');
  expect(String(new loss.L1Loss({ weight: 0.5, batchAxis: 1 }))).toBe('L1Loss(batch_axis=1, w=0.5)');
  expect(String(new loss.CTCLoss({ labelLayout: 'TN' }))).toBe('CTCLoss(batch_axis=1, w=None)');
  expect(loss.SoftmaxCELoss).toBe(loss.SoftmaxCrossEntropyLoss);
  expect(loss.SigmoidBCELoss).toBe(loss.SigmoidBinaryCrossEntropyLoss);
  expect(new loss.SoftmaxCrossEntropyLoss().name).toMatch(/^softmaxcrossentropyloss\d+$/);
});

test('the second derivative of the sigmoid cross-entropy is σ(1 − σ), far out too', async () => {
  const x = nd.array([[0, 2, -100, 100]], { ctx: cpu() });
  x.attachGrad();
  const label = nd.zeros([1, 4]);
  const [dx] = autograd.record(() =>
    autograd.grad(new loss.SigmoidBinaryCrossEntropyLoss()(x, label), [x], { createGraph: true }),
  ) as [NDArray];
  dx.backward();
  const s = 1 / (1 + Math.exp(-2));
  expect(differences(await x.grad.data(), [0.25 / 4, (s * (1 - s)) / 4, 0, 0], CLOSE)).toEqual([]);
});
