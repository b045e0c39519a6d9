// How likely the right class was: perplexity and cross-entropy. Predictions are probabilities.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { describe, normalizeAxis, shapeText } from '../../core/shape.ts';
import { e } from '../../ir/expr.ts';
import { integerArg, numberArg } from '../../ops/args.ts';
import { pick } from '../../ops/indexing.ts';
import { reshape } from '../../ops/views.ts';
import { checkClasses, EvalMetric, MeanMetric, type MetricOptions, metricOptions } from './base.ts';
import { RunningSum, Tally, total } from './sums.ts';

const [likely, label] = [e.input(0), e.input(1)];
const surprise = e.neg(e.log(e.max(likely, 1e-10)));
const surprises = total('surprises', 1, surprise, 'float');
const heeded = total('heededSurprises', 2, e.select(e.eq(label, e.scalar(0)), 0, surprise), 'float');
const ignoredCount = total('ignoredLabels', 1, e.eq(e.input(0), e.scalar(0)), 'int32');
const logLosses = total('logLosses', 1, e.neg(e.log(e.add(likely, e.scalar(0)))), 'float');

/** The probability of each label: pred without its axis of classes. */
function likelihoods(op: string, pred: NDArray, given: NDArray, axis: number): NDArray {
  const { shape } = bodyOf(pred, op);
  bodyOf(given, op);
  const at = normalizeAxis(axis, shape.length, op);
  const rows = shape.filter((_, i) => i !== at);
  if (shape.length < 2 || given.size * (shape[at] as number) !== pred.size)
    throw new ShapeError(
      `expected labels of shape ${shapeText(rows)}, one for each prediction of ${shapeText(shape)}, received ${shapeText(given.shape)}. Both must be of one batch.`,
      { op },
    );
  return pick(pred, reshape(given, rows), { axis: at });
}

/** Options of `Perplexity`. */
export interface PerplexityOptions extends MetricOptions {
  /** Labels that do not count, such as padding; null (default) for none. */
  readonly ignoreLabel?: number | null | undefined;
  /** The axis of the classes; −1. */
  readonly axis?: number | undefined;
}

/** exp of the mean of −log(probability of the label). Predictions: probabilities (…, C). */
export class Perplexity extends EvalMetric {
  readonly #ignored: number | null;
  readonly #axis: number;
  readonly #sum = new RunningSum();
  readonly #left = new RunningSum();
  readonly #count = new Tally();

  constructor(ignoreLabel?: number | null | PerplexityOptions, options?: PerplexityOptions) {
    const op = 'Perplexity';
    const values = metricOptions(op, [ignoreLabel ?? undefined, options], ['ignoreLabel'], ['axis']);
    super(op, (values['name'] as string | undefined) ?? 'perplexity');
    const ignored = values['ignoreLabel'] ?? null;
    if (ignored !== null && typeof ignored !== 'number')
      throw new ArgumentError(
        `expected ignoreLabel to be a class or null, received ${describe(ignored)}. Write e.g. -1.`,
        { op },
      );
    this.#ignored = ignored;
    this.#axis = integerArg(op, values, 'axis', -1);
  }

  override async get(): Promise<[string, number]> {
    const all = this.#count.value;
    const [sum, left] = await Promise.all([this.#sum.total(), this.#left.total()]);
    return [this.name, all - left === 0 ? Number.NaN : Math.exp(sum / (all - left))];
  }

  override reset(): void {
    this.#sum.reset();
    this.#left.reset();
    this.#count.reset();
  }

  protected override measure(preds: readonly NDArray[], labels: readonly NDArray[]): void {
    const ignored = this.#ignored;
    const parts = preds.map((pred, i) => {
      const given = labels[i] as NDArray;
      const likelihood = likelihoods(this.op, pred, given, this.#axis);
      checkClasses(
        this.op,
        given,
        pred.shape[normalizeAxis(this.#axis, pred.ndim, this.op)] as number,
        ignored,
      );
      const sum = ignored === null ? surprises([likelihood]) : heeded([likelihood, given], [ignored]);
      return { sum, left: ignored === null ? null : ignoredCount([given], [ignored]) };
    });
    for (const [i, { sum, left }] of parts.entries()) {
      this.#sum.add(sum);
      if (left !== null) this.#left.add(left);
      this.#count.add(labels[i]?.size ?? 0);
    }
  }
}

/** Options of `CrossEntropy`. */
export interface CrossEntropyOptions extends MetricOptions {
  /** Added to probabilities; 1e-12. */
  readonly eps?: number | undefined;
}

/** The mean of −log(probability of the label + eps). Predictions: probabilities (N, C). */
export class CrossEntropy extends MeanMetric {
  readonly #eps: number;

  constructor(options?: CrossEntropyOptions) {
    const values = metricOptions('CrossEntropy', [options], [], ['eps']);
    super('CrossEntropy', (values['name'] as string | undefined) ?? 'cross-entropy');
    this.#eps = numberArg('CrossEntropy', values, 'eps', 1e-12);
  }

  protected override measureOne(pred: NDArray, given: NDArray): { sum: NDArray; count: number } {
    const likelihood = likelihoods(this.op, pred, given, -1);
    checkClasses(this.op, given, pred.shape[pred.ndim - 1] as number);
    return { sum: logLosses([likelihood], [this.#eps]), count: given.size };
  }
}
