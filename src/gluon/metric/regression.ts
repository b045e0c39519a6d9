// Metrics over numbers. Errors are means over each batch, and the value is the mean over batches, as Gluon has it; Loss is the mean over samples.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import { checkSizes, MeanMetric, type MetricOptions, metricOptions } from './base.ts';
import { total } from './sums.ts';

const difference = e.sub(e.input(0), e.input(1));
const meanOf = (sum: Expr): Expr => e.div(sum, e.length);
const absolute = total('meanAbsoluteError', 2, e.abs(difference), 'float', meanOf);
const squared = total('meanSquaredError', 2, e.mul(difference, difference), 'float', meanOf);
const root = total('rootMeanSquaredError', 2, e.mul(difference, difference), 'float', (sum) =>
  e.sqrt(meanOf(sum)),
);
const sum = total('sumOfLosses', 1, e.input(0), 'float');

abstract class ErrorMetric extends MeanMetric {
  readonly #error: typeof absolute;

  constructor(op: string, name: string, error: typeof absolute, options: MetricOptions | undefined) {
    super(op, (metricOptions(op, [options])['name'] as string | undefined) ?? name);
    this.#error = error;
  }

  protected override measureOne(pred: NDArray, label: NDArray): { sum: NDArray; count: number } {
    checkSizes(this.op, pred, label);
    return { sum: this.#error([pred, label]), count: 1 };
  }
}

/** The mean of |label − prediction|. */
export class MAE extends ErrorMetric {
  constructor(options?: MetricOptions) {
    super('MAE', 'mae', absolute, options);
  }
}

/** The mean of (label − prediction)². */
export class MSE extends ErrorMetric {
  constructor(options?: MetricOptions) {
    super('MSE', 'mse', squared, options);
  }
}

/** The root of the mean of (label − prediction)²; over several batches, the mean of their roots. */
export class RMSE extends ErrorMetric {
  constructor(options?: MetricOptions) {
    super('RMSE', 'rmse', root, options);
  }
}

/** The mean of losses as they are: `update(null, loss)`. */
export class Loss extends MeanMetric {
  constructor(options?: MetricOptions) {
    super('Loss', (metricOptions('Loss', [options])['name'] as string | undefined) ?? 'loss');
  }

  protected override get takesNoLabels(): boolean {
    return true;
  }

  protected override measureOne(pred: NDArray): { sum: NDArray; count: number } {
    bodyOf(pred, this.op);
    return { sum: sum([pred]), count: pred.size };
  }
}
