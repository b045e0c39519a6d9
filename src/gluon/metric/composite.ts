// Several metrics as one, and metrics by name.

import type { NDArray } from '../../array/ndarray.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import { suggest } from '../../ops/args.ts';
import { Accuracy, TopKAccuracy } from './accuracy.ts';
import { type Arrays, EvalMetric, type MetricOptions, metricOptions } from './base.ts';
import { F1, MCC } from './binary.ts';
import { CrossEntropy, Perplexity } from './likelihood.ts';
import { Loss, MAE, MSE, RMSE } from './regression.ts';

/** A metric, its name, or several. */
export type MetricLike = EvalMetric | MetricName | readonly MetricLike[];

/** Several metrics over the same labels and predictions; `get` gives `[names, values]`. */
export class CompositeEvalMetric extends EvalMetric {
  readonly #metrics: EvalMetric[];

  constructor(metrics: readonly MetricLike[] | MetricOptions = [], options?: MetricOptions) {
    const op = 'CompositeEvalMetric';
    const list = Array.isArray(metrics) ? (metrics as readonly MetricLike[]) : [];
    const values = metricOptions(op, [Array.isArray(metrics) ? options : metrics]);
    super(op, (values['name'] as string | undefined) ?? 'composite');
    this.#metrics = list.map((metric) => create(metric));
  }

  /** Adds a metric. */
  add(metric: MetricLike): void {
    this.#metrics.push(create(metric));
  }

  /** The metric at a place. */
  getMetric(index: number): EvalMetric {
    const metric = this.#metrics[index];
    if (metric === undefined)
      throw new ArgumentError(
        `expected a place from 0 to ${this.#metrics.length - 1}, received ${describe(index)}. Add the metric first.`,
        { op: this.op },
      );
    return metric;
  }

  override update(labels: Arrays | null, preds: Arrays): void {
    for (const metric of this.#metrics) metric.update(labels, preds);
  }

  override async get(): Promise<[string[], number[]]> {
    const pairs = (await Promise.all(this.#metrics.map((metric) => metric.getNameValue()))).flat();
    return [pairs.map(([name]) => name), pairs.map(([, value]) => value)];
  }

  override reset(): void {
    // the base's constructor has no metrics yet
    for (const metric of this.#metrics) metric.reset();
  }

  protected override measure(_preds: readonly NDArray[]): void {
    throw new Error('update passes everything on');
  }
}

const MAKERS = {
  accuracy: Accuracy,
  acc: Accuracy,
  topkaccuracy: TopKAccuracy,
  topkacc: TopKAccuracy,
  f1: F1,
  mcc: MCC,
  perplexity: Perplexity,
  mae: MAE,
  mse: MSE,
  rmse: RMSE,
  crossentropy: CrossEntropy,
  ce: CrossEntropy,
  loss: Loss,
  composite: CompositeEvalMetric,
} as const;

/** Names that `create` knows. */
export type MetricName =
  | 'accuracy'
  | 'acc'
  | 'top_k_accuracy'
  | 'top_k_acc'
  | 'topKAccuracy'
  | 'f1'
  | 'mcc'
  | 'perplexity'
  | 'mae'
  | 'mse'
  | 'rmse'
  | 'cross-entropy'
  | 'ce'
  | 'loss'
  | 'composite';

/**
 * A metric by name, with its options; a metric as it is; a list as one CompositeEvalMetric.
 * @example metric.create('top_k_accuracy', { topK: 5 })
 */
export function create(metric: MetricLike, options?: object): EvalMetric {
  if (metric instanceof EvalMetric) return metric;
  if (Array.isArray(metric)) return new CompositeEvalMetric(metric as readonly MetricLike[], options);
  const key = typeof metric === 'string' ? metric.replace(/[_-]/g, '').toLowerCase() : '';
  if (!Object.hasOwn(MAKERS, key)) {
    const meant = typeof metric === 'string' ? suggest(metric, Object.keys(MAKERS)) : undefined;
    throw new ArgumentError(
      `expected a metric, its name or a list, received ${describe(metric)}. ${meant === undefined ? `Names are ${Object.keys(MAKERS).join(', ')}.` : `Did you mean '${meant}'?`}`,
      { op: 'metric.create' },
    );
  }
  const Metric = MAKERS[key as keyof typeof MAKERS] as new (options?: object) => EvalMetric;
  return new Metric(options);
}
