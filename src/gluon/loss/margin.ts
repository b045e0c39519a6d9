// Losses over margins: hinges, the logistic loss, triplets and cosines.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ShapeError } from '../../core/errors.ts';
import { shapeText } from '../../core/shape.ts';
import { relu } from '../../ops/activation.ts';
import { numberArg, wordArg } from '../../ops/args.ts';
import { add, div, equal, maximum, mul, rsub, sub } from '../../ops/binary.ts';
import { where } from '../../ops/conditions.ts';
import { hinge, sigmoidCrossEntropy, squaredHinge } from '../../ops/losses.ts';
import { sum } from '../../ops/reduce.ts';
import { sqrt, square } from '../../ops/unary.ts';
import { reshape } from '../../ops/views.ts';
import { Loss, type LossOptions, lossOptions } from './base.ts';

/** Options of losses with a margin. */
export interface MarginLossOptions extends LossOptions {
  /** How far apart right and wrong shall be; 1 by default, 0 for CosineEmbeddingLoss. */
  readonly margin?: number | undefined;
}

abstract class MarginLoss extends Loss {
  readonly #margin: number;

  constructor(op: string, options: MarginLossOptions | undefined, margin = 1) {
    const values = lossOptions(op, options, ['margin']);
    super(values);
    this.#margin = numberArg(op, values, 'margin', margin);
  }

  protected get margin(): number {
    return this.#margin;
  }
}

/** max(margin − pred·label, 0), the mean over each sample; labels are −1 and 1. */
export class HingeLoss extends MarginLoss {
  static override readonly kind: string = 'HingeLoss';

  constructor(options?: MarginLossOptions) {
    super('HingeLoss', options);
  }

  override forward(pred: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    return this.finish(hinge(pred, this.matched(label, pred), this.margin), sampleWeight);
  }
}

/** max(margin − pred·label, 0)², the mean over each sample; labels are −1 and 1. */
export class SquaredHingeLoss extends MarginLoss {
  static override readonly kind: string = 'SquaredHingeLoss';

  constructor(options?: MarginLossOptions) {
    super('SquaredHingeLoss', options);
  }

  override forward(pred: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    return this.finish(squaredHinge(pred, this.matched(label, pred), this.margin), sampleWeight);
  }
}

/** Options of `LogisticLoss`. */
export interface LogisticLossOptions extends LossOptions {
  /** 'signed' (default): labels are −1 and 1; 'binary': 0 and 1. */
  readonly labelFormat?: 'signed' | 'binary' | undefined;
}

/** log(1 + e^(−pred·label)), the mean over each sample. */
export class LogisticLoss extends Loss {
  static override readonly kind: string = 'LogisticLoss';
  readonly #signed: boolean;

  constructor(options?: LogisticLossOptions) {
    const values = lossOptions('LogisticLoss', options, ['labelFormat']);
    super(values);
    this.#signed =
      wordArg('LogisticLoss', values, 'labelFormat', ['signed', 'binary'], 'signed') === 'signed';
  }

  override forward(pred: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    const matched = this.matched(label, pred);
    const target = this.#signed ? mul(add(matched, 1), 0.5) : matched;
    return this.finish(sigmoidCrossEntropy(pred, target), sampleWeight);
  }
}

/**
 * max(Σ(positive − pred)² − Σ(negative − pred)² + margin, 0), one number for each sample. Called as `loss(pred, positive, negative, sampleWeight?)`; all of one shape.
 */
export class TripletLoss extends MarginLoss {
  static override readonly kind: string = 'TripletLoss';

  constructor(options?: MarginLossOptions) {
    super('TripletLoss', options);
  }

  override forward(
    pred: NDArray,
    positive: NDArray,
    negative: NDArray,
    sampleWeight?: NDArray | null,
  ): NDArray {
    const near = square(sub(this.matched(positive, pred, 'positive example'), pred));
    const far = square(sub(this.matched(negative, pred, 'negative example'), pred));
    const gap = sub(near, far);
    const perSample = gap.ndim === 1 ? gap : sum(gap, this.batchAxis, { exclude: true });
    return this.weighted(relu(add(perSample, this.margin)), sampleWeight);
  }
}

/** What a product of two lengths is at least; MXNet's. Squared, since the lengths are. */
const LEAST = 1e-12 ** 2;

/**
 * 1 − cos for labels 1, max(cos − margin, 0) for labels −1, cos being that of the angle between two vectors. Called as
 * `loss(input1, input2, label, sampleWeight?)`: inputs (N, D), label (N); one number for each sample.
 */
export class CosineEmbeddingLoss extends MarginLoss {
  static override readonly kind: string = 'CosineEmbeddingLoss';

  constructor(options?: MarginLossOptions) {
    super('CosineEmbeddingLoss', options, 0);
  }

  override forward(input1: NDArray, input2: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    const other = this.matched(input2, input1, 'second input');
    const [dot, a, b] = [mul(input1, other), square(input1), square(other)].map((x) =>
      reshape(sum(x, -1), [-1]),
    ) as [NDArray, NDArray, NDArray];
    const { shape } = bodyOf(label, 'CosineEmbeddingLoss');
    if (label.size !== dot.size)
      throw new ShapeError(
        `expected labels of shape (${dot.size},), one for each pair, received ${shapeText(shape)}. Give 1 for alike and −1 for unlike.`,
        { op: 'CosineEmbeddingLoss' },
      );
    const target = reshape(label, [-1]);
    const cosine = div(dot, sqrt(maximum(mul(a, b), LEAST)));
    // labels other than 1 and −1 give 0, as in Gluon
    const unlike = where(equal(target, -1), relu(sub(cosine, this.margin)), 0);
    return this.weighted(where(equal(target, 1), rsub(cosine, 1), unlike), sampleWeight);
  }
}
