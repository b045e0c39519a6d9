// How often the right class is first, or among the first.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { asShape, normalizeAxis, sameShape, shapeText } from '../../core/shape.ts';
import { e } from '../../ir/expr.ts';
import { rowKernel } from '../../ir/kernel.ts';
import { integerArg } from '../../ops/args.ts';
import { invoke } from '../../ops/invoke.ts';
import { astype } from '../../ops/moves.ts';
import type { Op, TensorType } from '../../ops/op.ts';
import { argmax } from '../../ops/reduce.ts';
import { checkSizes, MeanMetric, type MetricOptions, metricOptions } from './base.ts';
import { total } from './sums.ts';

const [first, second] = [e.input(0), e.input(1)];
const countEqual = total('countEqual', 2, e.eq(first, second), 'int32');
const countOnes = total('countOnes', 1, first, 'int32');

/** Labels as int32, in which counts are exact. */
function whole(label: NDArray): NDArray {
  return label.dtype === 'int32' ? label : astype(label, 'int32');
}

/** Options of `Accuracy`. */
export interface AccuracyOptions extends MetricOptions {
  /** The axis of the classes; 1. */
  readonly axis?: number | undefined;
}

/** How often the class with the greatest score is the label. Predictions: scores (N, C, …), or classes shaped as the labels. */
export class Accuracy extends MeanMetric {
  readonly #axis: number;

  constructor(options?: AccuracyOptions) {
    const values = metricOptions('Accuracy', [options], [], ['axis']);
    super('Accuracy', (values['name'] as string | undefined) ?? 'accuracy');
    this.#axis = integerArg('Accuracy', values, 'axis', 1);
  }

  protected override measureOne(pred: NDArray, label: NDArray): { sum: NDArray; count: number } {
    const asClasses = sameShape(bodyOf(pred, this.op).shape, bodyOf(label, this.op).shape);
    const classes = asClasses ? pred : argmax(pred, normalizeAxis(this.#axis, pred.ndim, this.op));
    checkSizes(this.op, classes, label);
    return { sum: countEqual([whole(label), classes]), count: label.size };
  }
}

const score = e.stage(0);
// a hit where fewer than k classes stand before the label's: greater ones, and equal ones with a smaller number. A score of NaN is never right
const hitKernel = rowKernel(
  'topKHits',
  2,
  [
    { combine: 'sum', load: e.select(e.eq(e.index, e.trunc(second)), first, 0) },
    {
      combine: 'sum',
      load: e.or(e.gt(first, score), e.and(e.eq(first, score), e.lt(e.index, e.trunc(second)))),
    },
  ],
  e.and(e.lt(e.stage(1), e.scalar(0)), e.not(e.isnan(score))),
  false,
);
const hitsOp: Op<{ readonly k: number }> = {
  name: 'topKHits',
  family: 'metric',
  infer: ([scores]) => [{ shape: asShape([(scores as TensorType).shape[0]]), dtype: 'int32' }],
  run(emit, x, y, { k }) {
    const [rows = 0, classes = 0] = x[0]?.shape ?? [];
    emit.run(hitKernel, x, y, [rows, classes, 1, classes, 1, 1, 1, 0, 0], [k]);
  },
};

/** Options of `TopKAccuracy`. */
export interface TopKAccuracyOptions extends MetricOptions {
  readonly topK?: number | undefined;
}

/** How often the label is among the `topK` classes with the greatest scores (of equal ones, the first). Predictions: (N, C). Called `top_k_accuracy_5`, say. */
export class TopKAccuracy extends MeanMetric {
  readonly #k: number;

  /** @param topK 2 or more */
  constructor(topK?: number | TopKAccuracyOptions, options?: MetricOptions) {
    const op = 'TopKAccuracy';
    const values = metricOptions(op, [topK, options], ['topK']);
    const k = integerArg(op, values, 'topK', 1, 1);
    if (k === 1) throw new ArgumentError('expected topK > 1, received 1. Use Accuracy.', { op });
    super(op, `${(values['name'] as string | undefined) ?? 'top_k_accuracy'}_${k}`);
    this.#k = k;
  }

  protected override measureOne(pred: NDArray, label: NDArray): { sum: NDArray; count: number } {
    const { shape } = bodyOf(pred, this.op);
    bodyOf(label, this.op);
    if (shape.length !== 2 || label.size !== shape[0])
      throw new ShapeError(
        `expected predictions (N, C) and labels (N,), received ${shapeText(shape)} and ${shapeText(label.shape)}. Flatten other axes first.`,
        { op: this.op },
      );
    return { sum: countOnes([invoke(hitsOp, [pred, label], { k: this.#k })]), count: label.size };
  }
}
