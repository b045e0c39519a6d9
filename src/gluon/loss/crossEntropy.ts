// Losses over probabilities: softmax and sigmoid cross-entropy, Kullback–Leibler divergence.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { normalizeAxis, sameShape, shapeText } from '../../core/shape.ts';
import { readNow } from '../../nd/reading.ts';
import { booleanArg, integerArg } from '../../ops/args.ts';
import { mul } from '../../ops/binary.ts';
import { crossEntropyRows } from '../../ops/crossEntropy.ts';
import { pick } from '../../ops/indexing.ts';
import {
  binaryCrossEntropy,
  klDivergence,
  sigmoidCrossEntropy,
  weightedBinaryCrossEntropy,
  weightedSigmoidCrossEntropy,
} from '../../ops/losses.ts';
import { astype } from '../../ops/moves.ts';
import { logSoftmax } from '../../ops/normalize.ts';
import { sum } from '../../ops/reduce.ts';
import { neg } from '../../ops/unary.ts';
import { reshape } from '../../ops/views.ts';
import { Loss, type LossOptions, lossOptions } from './base.ts';

/** Options of `SoftmaxCrossEntropyLoss`. */
export interface SoftmaxCrossEntropyLossOptions extends LossOptions {
  /** The axis of the classes; −1 by default. */
  readonly axis?: number | undefined;
  /** Labels are classes (default); false: distributions shaped as the prediction. */
  readonly sparseLabel?: boolean | undefined;
  /** Predictions are logarithms of probabilities already. */
  readonly fromLogits?: boolean | undefined;
}

/**
 * −log softmax(pred)[label], one number for each sample. pred: (N, C), or with further axes, over which the mean is taken; label: classes from 0 to C − 1 of any
 * dtype, shaped as pred without the axis of the classes, or (`sparseLabel: false`) distributions shaped as pred.
 *
 * @throws ShapeError for labels of another batch; ArgumentError for labels outside the classes, where they can be seen at once (on the CPU; a GPU takes the nearest class)
 * @example
 * const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
 * const loss = autograd.record(() => lossFn(net(x), y));
 */
export class SoftmaxCrossEntropyLoss extends Loss {
  static override readonly kind: string = 'SoftmaxCrossEntropyLoss';
  readonly #axis: number;
  readonly #sparse: boolean;
  readonly #fromLogits: boolean;

  constructor(options?: SoftmaxCrossEntropyLossOptions) {
    const op = 'SoftmaxCrossEntropyLoss';
    const values = lossOptions(op, options, ['axis', 'sparseLabel', 'fromLogits']);
    super(values);
    this.#axis = integerArg(op, values, 'axis', -1);
    this.#sparse = booleanArg(op, values, 'sparseLabel', true);
    this.#fromLogits = booleanArg(op, values, 'fromLogits', false);
  }

  override forward(pred: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    const { shape } = bodyOf(pred, 'SoftmaxCrossEntropyLoss');
    const axis = normalizeAxis(this.#axis, shape.length, 'SoftmaxCrossEntropyLoss');
    if (this.#sparse) checkClasses('SoftmaxCrossEntropyLoss', shape, label, axis);
    return this.finish(
      this.#sparse ? this.#ofClasses(pred, label, axis) : this.#ofParts(pred, label, axis),
      sampleWeight,
    );
  }

  /** With the axis of the classes, of extent 1, as weights want it. */
  #ofClasses(pred: NDArray, label: NDArray, axis: number): NDArray {
    if (this.#fromLogits) return neg(pick(pred, label, { axis, keepdims: true }));
    return reshape(
      crossEntropyRows(pred, label, axis),
      pred.shape.map((d, i) => (i === axis ? 1 : d)),
    );
  }

  #ofParts(pred: NDArray, label: NDArray, axis: number): NDArray {
    const logs = this.#fromLogits ? pred : logSoftmax(pred, axis);
    return neg(sum(mul(logs, this.matched(label, pred)), axis, { keepdims: true }));
  }
}

/** Checks classes: their shape, and where the device need not be waited for, their values. */
function checkClasses(op: string, pred: readonly number[], label: NDArray, axis: number): void {
  const { shape } = bodyOf(label, op);
  const dropped = pred.filter((_, i) => i !== axis);
  const kept = pred.map((d, i) => (i === axis ? 1 : d));
  if (!sameShape(shape, dropped) && !sameShape(shape, kept))
    throw new ShapeError(
      `expected labels of shape ${shapeText(dropped)}, a class for each prediction of ${shapeText(pred)}, received ${shapeText(shape)}. ` +
        (sameShape(shape, pred)
          ? 'For labels that are distributions, pass sparseLabel: false.'
          : 'Prediction and label must be of one batch.'),
      { op },
    );
  const values = readNow(label, op);
  if (values === undefined) return;
  const classes = pred[axis] as number;
  const bad = values.findIndex((v: number) => !(v > -1 && v < classes));
  if (bad !== -1)
    throw new ArgumentError(
      `expected labels from 0 to ${classes - 1}, received ${values[bad]} at ${bad}. Check the labels, or the number of outputs of the net.`,
      { op },
    );
}

/** Options of `SigmoidBinaryCrossEntropyLoss`. */
export interface SigmoidBinaryCrossEntropyLossOptions extends LossOptions {
  /** Predictions went through a sigmoid already; less accurate. */
  readonly fromSigmoid?: boolean | undefined;
}

/**
 * −label·log σ(pred) − (1 − label)·log(1 − σ(pred)), the mean over each sample. Called as `loss(pred, label, sampleWeight?, posWeight?)`; `posWeight` multiplies
 * the first term and broadcasts to pred: (1, classes).
 */
export class SigmoidBinaryCrossEntropyLoss extends Loss {
  static override readonly kind: string = 'SigmoidBinaryCrossEntropyLoss';
  readonly #fromSigmoid: boolean;

  constructor(options?: SigmoidBinaryCrossEntropyLossOptions) {
    const op = 'SigmoidBinaryCrossEntropyLoss';
    const values = lossOptions(op, options, ['fromSigmoid']);
    super(values);
    this.#fromSigmoid = booleanArg(op, values, 'fromSigmoid', false);
  }

  override forward(
    pred: NDArray,
    label: NDArray,
    sampleWeight?: NDArray | null,
    posWeight?: NDArray | null,
  ): NDArray {
    const target = this.matched(label, pred);
    let loss: NDArray;
    if (posWeight === null || posWeight === undefined)
      loss = (this.#fromSigmoid ? binaryCrossEntropy : sigmoidCrossEntropy)(pred, target);
    else {
      const { dtype } = bodyOf(posWeight, 'SigmoidBinaryCrossEntropyLoss');
      const weight = dtype === pred.dtype ? posWeight : astype(posWeight, pred.dtype);
      loss = (this.#fromSigmoid ? weightedBinaryCrossEntropy : weightedSigmoidCrossEntropy)(
        pred,
        target,
        weight,
      );
    }
    return this.finish(loss, sampleWeight);
  }
}

/** Options of `KLDivLoss`. */
export interface KLDivLossOptions extends LossOptions {
  /** Predictions are logarithms of probabilities (default); false: their softmax is taken along `axis`. */
  readonly fromLogits?: boolean | undefined;
  readonly axis?: number | undefined;
}

/** label·(log label − pred), the mean over each sample; labels are distributions. Kullback & Leibler, 1951. */
export class KLDivLoss extends Loss {
  static override readonly kind: string = 'KLDivLoss';
  readonly #fromLogits: boolean;
  readonly #axis: number;

  constructor(options?: KLDivLossOptions) {
    const values = lossOptions('KLDivLoss', options, ['fromLogits', 'axis']);
    super(values);
    this.#fromLogits = booleanArg('KLDivLoss', values, 'fromLogits', true);
    this.#axis = integerArg('KLDivLoss', values, 'axis', -1);
  }

  override forward(pred: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    const logs = this.#fromLogits ? pred : logSoftmax(pred, this.#axis);
    return this.finish(klDivergence(logs, this.matched(label, pred)), sampleWeight);
  }
}
