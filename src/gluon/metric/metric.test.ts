// Metrics against their definitions in plain numbers, on every device.
import { describe, expect, test } from 'vitest';
import { eachDevice } from '../../../test/devices.ts';
import { integers, numbers } from '../../../test/values.ts';
import * as autograd from '../../autograd/index.ts';
import { cpu } from '../../core/context.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import * as nd from '../../nd/index.ts';
import { memoryInfo } from '../../nd/memory.ts';
import * as metric from './index.ts';

/** Rows of scores. */
function rows(n: number, classes: number, seed: number): number[][] {
  const flat = numbers(n * classes, 0, 1, seed);
  return Array.from({ length: n }, (_, i) => flat.slice(i * classes, (i + 1) * classes));
}
const softmax = (row: readonly number[]): number[] => {
  const e = row.map((v) => Math.exp(3 * v));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => Math.fround(v / sum));
};
const best = (row: readonly number[]): number => row.indexOf(Math.max(...row));
const sum = (x: readonly number[]): number => x.reduce((a, b) => a + b, 0);

// batches of unequal size, so that means over batches and over samples differ
const SIZES = [7, 12, 3];

eachDevice((ctx) => {
  test('Accuracy', async () => {
    const m = new metric.Accuracy();
    let [right, all] = [0, 0];
    for (const [i, n] of SIZES.entries()) {
      const scores = rows(n, 5, 10 + i);
      const labels = integers(n, 0, 4, 20 + i);
      m.update(nd.array(labels, { ctx, dtype: i === 0 ? 'int32' : 'float32' }), nd.array(scores, { ctx }));
      right += scores.filter((row, k) => best(row) === labels[k]).length;
      all += n;
    }
    expect(right).toBeGreaterThan(0);
    expect(await m.get()).toEqual(['accuracy', right / all]);
    m.reset();
    expect(await m.get()).toEqual(['accuracy', Number.NaN]);
    // classes, not scores; several arrays at once; labels as a column
    m.update(
      [nd.array([1, 2, 0], { ctx }), nd.array([[1]], { ctx })],
      [nd.array([1, 2, 2], { ctx }), nd.array([[0, 1]], { ctx })],
    );
    expect(await m.get()).toEqual(['accuracy', 0.75]);
    const along = new metric.Accuracy({ axis: 0, name: 'acc' });
    along.update(
      nd.array([0, 1], { ctx }),
      nd
        .array(
          [
            [3, 1, 2],
            [2, 5, 1],
          ],
          { ctx },
        )
        .slice({ begin: [0, 0], end: [2, 2] }),
    );
    expect(await along.get()).toEqual(['acc', 1]);
  });

  test('TopKAccuracy', async () => {
    const m = new metric.TopKAccuracy(3);
    let right = 0;
    for (const [i, n] of SIZES.entries()) {
      const scores = rows(n, 6, 30 + i);
      const labels = integers(n, 0, 5, 40 + i);
      m.update(nd.array(labels, { ctx }), nd.array(scores, { ctx }));
      right += scores.filter((row, k) => {
        const order = row.map((v, c) => [v, c] as const).sort((a, b) => b[0] - a[0]);
        return order.slice(0, 3).some(([, c]) => c === labels[k]);
      }).length;
    }
    expect(await m.get()).toEqual(['top_k_accuracy_3', right / sum(SIZES)]);
    // equal scores: the first classes win; NaN is never right
    const ties = new metric.TopKAccuracy({ topK: 2 });
    ties.update(
      nd.array([0, 1, 2, 1], { ctx }),
      nd.array(
        [
          [1, 1, 1],
          [1, 1, 1],
          [1, 1, 1],
          [0, Number.NaN, 0],
        ],
        { ctx },
      ),
    );
    expect((await ties.get())[1]).toBe(0.5);
  });

  test.each(['macro', 'micro'] as const)('F1 and MCC, %s', async (average) => {
    const [f1, mcc] = [new metric.F1({ average }), new metric.MCC({ average })];
    const batches = SIZES.map((n, i) => ({ scores: rows(n, 2, 50 + i), labels: integers(n, 0, 1, 60 + i) }));
    for (const { scores, labels } of batches) {
      f1.update(nd.array(labels, { ctx }), nd.array(scores, { ctx }));
      mcc.update(nd.array(labels, { ctx, dtype: 'int32' }), nd.array(scores, { ctx }));
    }
    const groups =
      average === 'macro'
        ? batches
        : [{ scores: batches.flatMap((b) => b.scores), labels: batches.flatMap((b) => b.labels) }];
    const values = groups.map(({ scores, labels }) => {
      const [tp, fp, fn, tn] = [
        [1, 1],
        [1, 0],
        [0, 1],
        [0, 0],
      ].map(([said, is]) => scores.filter((row, k) => best(row) === said && labels[k] === is).length) as [
        number,
        number,
        number,
        number,
      ];
      const terms = [tp + fp, tp + fn, tn + fp, tn + fn].filter((t) => t !== 0);
      const [precision, recall] = [tp / (tp + fp || 1), tp / (tp + fn || 1)];
      return {
        f1: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall),
        mcc: (tp * tn - fp * fn) / Math.sqrt(terms.reduce((a, b) => a * b, 1)),
      };
    });
    const [[f1Name, f1Value], [mccName, mccValue]] = [await f1.get(), await mcc.get()];
    expect([f1Name, mccName]).toEqual(['f1', 'mcc']);
    expect(f1Value).toBeCloseTo(sum(values.map((v) => v.f1)) / values.length, 5);
    expect(mccValue).toBeCloseTo(sum(values.map((v) => v.mcc)) / values.length, 5);
  });

  test('one class only: no division by zero', async () => {
    const [f1, mcc] = [new metric.F1(), new metric.MCC()];
    for (const m of [f1, mcc])
      m.update(
        nd.array([0, 0], { ctx }),
        nd.array(
          [
            [1, 0],
            [1, 0],
          ],
          { ctx },
        ),
      );
    expect(await f1.get()).toEqual(['f1', 0]);
    expect(await mcc.get()).toEqual(['mcc', 0]);
  });

  test('Perplexity and CrossEntropy', async () => {
    // the example of MXNet's documentation
    const perplexity = new metric.Perplexity(null);
    const probs = [
      [0.3, 0.7],
      [0, 1],
      [0.4, 0.6],
    ];
    perplexity.update(nd.array([0, 1, 1], { ctx }), nd.array(probs, { ctx }));
    expect((await perplexity.get())[1]).toBeCloseTo(1.77109762852, 5);

    const ignoring = new metric.Perplexity({ ignoreLabel: -1 });
    const entropy = new metric.CrossEntropy();
    let [logs, count] = [0, 0];
    for (const [i, n] of SIZES.entries()) {
      const p = rows(n, 4, 70 + i).map(softmax);
      const labels = integers(n, 0, 3, 80 + i);
      entropy.update(nd.array(labels, { ctx }), nd.array(p, { ctx }));
      // every third label is padding
      const padded = labels.map((v, k) => (k % 3 === 2 ? -1 : v));
      ignoring.update(
        nd.array(padded, { ctx, dtype: 'int32' }).reshape([n, 1]),
        nd.array(p, { ctx }).reshape([n, 1, 4]),
      );
      for (const [k, label] of padded.entries())
        if (label >= 0) {
          logs -= Math.log((p[k] as number[])[label] as number);
          count++;
        }
    }
    expect((await ignoring.get())[1]).toBeCloseTo(Math.exp(logs / count), 5);
    const all = SIZES.flatMap((n, i) => {
      const labels = integers(n, 0, 3, 80 + i);
      return rows(n, 4, 70 + i).map((row, k) => -Math.log(softmax(row)[labels[k] as number] as number));
    });
    const [name, value] = await entropy.get();
    expect(name).toBe('cross-entropy');
    expect(value).toBeCloseTo(sum(all) / all.length, 5);
  });

  test('MAE, MSE, RMSE and Loss', async () => {
    const [mae, mse, rmse, loss] = [new metric.MAE(), new metric.MSE(), new metric.RMSE(), new metric.Loss()];
    const errors: number[][] = [];
    for (const [i, n] of SIZES.entries()) {
      const [label, pred] = [numbers(n * 2, -3, 3, 90 + i), numbers(n * 2, -3, 3, 95 + i)];
      errors.push(label.map((v, k) => v - (pred[k] as number)));
      const [x, y] = [nd.array(label, { ctx }), nd.array(pred, { ctx, shape: [n * 2, 1] })];
      for (const m of [mae, mse, rmse]) m.update(x, y);
      loss.update(null, x.sub(y.reshape([-1])));
    }
    const mean = (x: readonly number[]): number => sum(x) / x.length;
    const squares = errors.map((batch) => mean(batch.map((v) => v * v)));
    expect((await mae.get())[1]).toBeCloseTo(mean(errors.map((batch) => mean(batch.map(Math.abs)))), 5);
    expect((await mse.get())[1]).toBeCloseTo(mean(squares), 5);
    expect((await rmse.get())[1]).toBeCloseTo(mean(squares.map(Math.sqrt)), 5);
    expect((await loss.get())[1]).toBeCloseTo(mean(errors.flat()), 5);
  });

  test('a long run loses nothing, keeps its memory and no tape', async () => {
    const [m, accuracy] = [new metric.Loss(), new metric.Accuracy()];
    const x = nd.full([1], 0.1, { ctx });
    const big = nd.full([1], 1e6, { ctx });
    const [label, pred] = [nd.array([1], { ctx }), nd.array([[0, 1]], { ctx })];
    x.attachGrad();
    m.update(null, big);
    accuracy.update(label, pred);
    const steps = ctx.deviceType === 'cpu' ? 70_000 : 700;
    let before = -1;
    autograd.record(() => {
      for (let i = 0; i < steps; i++) {
        m.update(null, x);
        if (i % 100 === 0) accuracy.update(label, pred);
        // a scalar for each power of 32 updates is what a run may add
        if (i === 300) before = memoryInfo(ctx).bytesInUse;
      }
    });
    expect(memoryInfo(ctx).bytesInUse - before).toBeLessThan(1024);
    const tenth = Math.fround(0.1);
    const exact = (1e6 + steps * tenth) / (steps + 1);
    // a plain float32 sum would be off by percents
    expect(Math.abs((await m.get())[1] / exact - 1)).toBeLessThan(2e-6);
    expect(await accuracy.get()).toEqual(['accuracy', 1]);
    const kept = memoryInfo(ctx).bytesInUse;
    m.reset();
    accuracy.reset();
    expect(memoryInfo(ctx).bytesInUse).toBeLessThan(kept);
  });

  test('get takes the values as they are at the call', async () => {
    const m = new metric.Loss();
    m.update(null, nd.full([4], 2, { ctx }));
    const first = m.get();
    m.update(null, nd.full([4], 4, { ctx }));
    expect(await first).toEqual(['loss', 2]);
    expect(await m.get()).toEqual(['loss', 3]);
  });

  test('a scope of the user does not free what a metric keeps', async () => {
    const m = new metric.Loss();
    nd.scope(() => {
      m.update(null, nd.ones([2], { ctx }));
    });
    expect(await m.get()).toEqual(['loss', 1]);
  });
});

describe('several metrics', () => {
  test('CompositeEvalMetric', async () => {
    const m = new metric.CompositeEvalMetric(['acc', new metric.CrossEntropy()]);
    m.add(new metric.TopKAccuracy(2));
    const [labels, preds] = [
      nd.array([0, 1]),
      nd.array([
        [0.75, 0.25],
        [0.5, 0.5],
      ]),
    ];
    m.update(labels, preds);
    const [names, values] = await m.get();
    expect(names).toEqual(['accuracy', 'cross-entropy', 'top_k_accuracy_2']);
    expect(values[0]).toBe(0.5);
    expect(values[1]).toBeCloseTo(-(Math.log(0.75) + Math.log(0.5)) / 2, 5);
    expect(values[2]).toBe(1);
    expect((await m.getNameValue())[0]).toEqual(['accuracy', 0.5]);
    expect(m.getMetric(1)).toBeInstanceOf(metric.CrossEntropy);
    m.reset();
    expect((await m.get())[1]).toEqual([Number.NaN, Number.NaN, Number.NaN]);
  });

  test('by name', () => {
    expect(metric.create('accuracy')).toBeInstanceOf(metric.Accuracy);
    expect(metric.create('top_k_acc', { topK: 5 }).name).toBe('top_k_accuracy_5');
    expect(metric.create('ce')).toBeInstanceOf(metric.CrossEntropy);
    expect(metric.create(['mae', 'mse'])).toBeInstanceOf(metric.CompositeEvalMetric);
    expect(() => metric.create('acuracy' as never)).toThrow(/'accuracy'/);
    expect(String(metric.create('f1'))).toBe('EvalMetric: f1');
  });
});

test('bad input changes nothing', async () => {
  const m = new metric.Accuracy();
  const pred = nd.array(
    [
      [1, 0],
      [0, 1],
    ],
    { ctx: cpu() },
  );
  expect(() => m.update(null, pred)).toThrow(ArgumentError);
  expect(() => m.update(nd.array([0, 1, 1]), pred)).toThrow(ShapeError);
  expect(() => m.update([nd.array([0, 1])], [pred, pred])).toThrow(/as many arrays/);
  expect(() => m.update([nd.array([0, 1]), nd.array([1])], [pred, pred])).toThrow(ShapeError);
  expect(() => m.update([0, 1] as never, pred)).toThrow(ArgumentError);
  expect(() => new metric.TopKAccuracy(1)).toThrow(/Use Accuracy/);
  expect(() => new metric.Accuracy({ axes: 1 } as never)).toThrow(/axis/);
  expect(() => new metric.F1().update(nd.array([0, 1, 2]), nd.zeros([3, 2]))).toThrow(/two classes/);
  expect(() => new metric.F1().update(nd.array([0, 1]), nd.zeros([2]))).toThrow(ShapeError);
  expect(() => new metric.CrossEntropy().update(nd.array([0, 2]), pred)).toThrow(/from 0 to 1/);
  expect(await m.get()).toEqual(['accuracy', Number.NaN]);
});
