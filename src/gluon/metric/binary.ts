// Metrics of two classes, from counts of right and wrong positives and negatives.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { shapeText } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import { elementwiseKernel } from '../../ir/kernel.ts';
import { readNow } from '../../nd/reading.ts';
import { wordArg } from '../../ops/args.ts';
import { invoke } from '../../ops/invoke.ts';
import { astype } from '../../ops/moves.ts';
import type { Op } from '../../ops/op.ts';
import { argmax } from '../../ops/reduce.ts';
import { EvalMetric, type MetricOptions, metricOptions } from './base.ts';
import { RunningSum, sumOf, Tally, total } from './sums.ts';

const [first, second] = [e.input(0), e.input(1)];
const countOnes = total('countPositives', 1, e.eq(first, 1), 'int32');
const countBoth = total('countTruePositives', 2, e.and(e.eq(first, 1), e.eq(second, 1)), 'int32');

/** How a batch's value follows from counts: on the device as an expression, on the host as a function. */
interface Score {
  /** hits: true positives; said: predicted positives; are: positive labels; n: samples. */
  readonly value: (hits: number, said: number, are: number, n: number) => number;
  readonly op: Op<{ readonly scalars: readonly number[] }>;
}

function scoreOp(name: string, expr: (hits: Expr, said: Expr, are: Expr, n: Expr) => Expr): Score['op'] {
  // in float32: products of counts do not fit integers
  const kernel = elementwiseKernel(name, 3, expr(e.input(0), e.input(1), e.input(2), e.scalar(0)), -1);
  return {
    name,
    family: 'metric',
    infer: ([x]) => [{ shape: x?.shape as NonNullable<typeof x>['shape'], dtype: 'float32' }],
    run: (emit, x, y, { scalars }) => emit.run(kernel, x, y, undefined, scalars),
  };
}

/** Options of `F1` and `MCC`. */
export interface BinaryMetricOptions extends MetricOptions {
  /** 'macro' (default): the mean over batches; 'micro': over all samples together. */
  readonly average?: 'macro' | 'micro' | undefined;
}

abstract class BinaryMetric extends EvalMetric {
  readonly #macro: boolean;
  readonly #score: Score;
  /** Macro: the values of batches, and how many. */
  readonly #values = new RunningSum();
  /** Micro: true positives, predicted positives, positive labels. */
  readonly #counts = [new RunningSum(), new RunningSum(), new RunningSum()] as const;
  readonly #number = new Tally();

  constructor(op: string, name: string, score: Score, options: BinaryMetricOptions | undefined) {
    const values = metricOptions(op, [options], [], ['average']);
    super(op, (values['name'] as string | undefined) ?? name);
    this.#macro = wordArg(op, values, 'average', ['macro', 'micro'], 'macro') === 'macro';
    this.#score = score;
  }

  override async get(): Promise<[string, number]> {
    const n = this.#number.value;
    const sums = Promise.all([this.#values, ...this.#counts].map((sum) => sum.total()));
    const [values, hits, said, are] = (await sums) as [number, number, number, number];
    if (n === 0) return [this.name, Number.NaN];
    return [this.name, this.#macro ? values / n : this.#score.value(hits, said, are, n)];
  }

  override reset(): void {
    for (const sum of [this.#values, ...this.#counts]) sum.reset();
    this.#number.reset();
  }

  protected override measure(preds: readonly NDArray[], labels: readonly NDArray[]): void {
    const counts = preds.map((pred, i) => this.#countsOf(pred, labels[i] as NDArray));
    const [hits, said, are] = [0, 1, 2].map((k) => sumOf(counts.map((c) => c[k] as NDArray))) as [
      NDArray,
      NDArray,
      NDArray,
    ];
    const samples = labels.reduce((n, label) => n + label.size, 0);
    if (this.#macro) {
      this.#values.add(invoke(this.#score.op, [hits, said, are], { scalars: [samples] }));
      this.#number.add(1);
      return;
    }
    [hits, said, are].forEach((x, k) => {
      (this.#counts[k] as RunningSum).add(x);
    });
    this.#number.add(samples);
  }

  #countsOf(pred: NDArray, label: NDArray): NDArray[] {
    const { op } = this;
    const { shape } = bodyOf(pred, op);
    bodyOf(label, op);
    if (shape.length !== 2 || shape[1] < 2 || label.size !== shape[0])
      throw new ShapeError(
        `expected predictions (N, 2), a score for each of two classes, and labels (N,), received ${shapeText(shape)} and ${shapeText(label.shape)}. Stack the scores of both classes.`,
        { op },
      );
    const seen = new Set(readNow(label, op));
    if (seen.size > 2)
      throw new ArgumentError(
        `expected labels of two classes, received ${[...seen].slice(0, 4).join(', ')}. Only two classes can be told apart here.`,
        { op },
      );
    const classes = astype(argmax(pred, 1), 'int32');
    const truth = label.dtype === 'int32' ? label : astype(label, 'int32');
    return [countBoth([classes, truth]), countOnes([classes]), countOnes([truth])];
  }
}

const F1_SCORE: Score = {
  value: (hits, said, are) => (said + are === 0 ? 0 : (2 * hits) / (said + are)),
  op: scoreOp('f1', (hits, said, are) =>
    e.select(e.eq(e.add(said, are), 0), 0, e.div(e.mul(2, hits), e.add(said, are))),
  ),
};

/**
 * The harmonic mean of precision and recall of class 1, 2·TP / (2·TP + FP + FN). Predictions: scores (N, 2); labels: 0 and 1. The mean over batches, as Gluon has it, unless
 * `average: 'micro'`.
 */
export class F1 extends BinaryMetric {
  constructor(options?: BinaryMetricOptions) {
    super('F1', 'f1', F1_SCORE, options);
  }
}

/** √x, or 1 where x is 0: factors of zero are left out of Matthews' denominator. */
const rootOrOne = (x: Expr): Expr => e.select(e.eq(x, 0), 1, e.sqrt(x));

const MCC_SCORE: Score = {
  value(hits, said, are, n) {
    const misses = are - hits;
    const rights = n - said - misses;
    const root = [said, are, n - are, n - said].reduce((r, x) => r * (x === 0 ? 1 : Math.sqrt(x)), 1);
    return (hits * rights - (said - hits) * misses) / root;
  },
  op: scoreOp('mcc', (hits, said, are, n) => {
    const misses = e.sub(are, hits);
    const rights = e.sub(e.sub(n, said), misses);
    const root = [said, are, e.sub(n, are), e.sub(n, said)].map(rootOrOne).reduce((a, b) => e.mul(a, b));
    return e.div(e.sub(e.mul(hits, rights), e.mul(e.sub(said, hits), misses)), root);
  }),
};

/** Matthews' correlation of prediction and label: 1 for all right, 0 for chance, −1 for all wrong. As `F1` otherwise. Matthews, 1975. */
export class MCC extends BinaryMetric {
  constructor(options?: BinaryMetricOptions) {
    super('MCC', 'mcc', MCC_SCORE, options);
  }
}
