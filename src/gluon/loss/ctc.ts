// Connectionist temporal classification: how likely a sequence of labels is, over all the ways to spread it over time. Graves et al., 2006.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { shapeText } from '../../core/shape.ts';
import { readNow } from '../../nd/reading.ts';
import { wordArg } from '../../ops/args.ts';
import { add, equal, greater, lesser, logicalOr, maximum, mul, notEqual, sub } from '../../ops/binary.ts';
import { where } from '../../ops/conditions.ts';
import { arange, full, zeros } from '../../ops/creation.ts';
import { takeAlongAxis } from '../../ops/indexing.ts';
import { concat, stack } from '../../ops/joins.ts';
import { ctcStep, LOG_ZERO } from '../../ops/losses.ts';
import { astype, broadcastTo, swapaxes } from '../../ops/moves.ts';
import { logSoftmax } from '../../ops/normalize.ts';
import { cumsum } from '../../ops/ordering.ts';
import { max, sum } from '../../ops/reduce.ts';
import { sliceAxis } from '../../ops/slices.ts';
import { exp, log, neg } from '../../ops/unary.ts';
import { detach, reshape } from '../../ops/views.ts';
import type { BlockOptions } from '../block.ts';
import { Loss, lossOptions } from './base.ts';

/** Options of `CTCLoss`. */
export interface CTCLossOptions extends BlockOptions {
  /** The axes of the prediction: batch N, time T, alphabet C; 'NTC' by default. */
  readonly layout?: 'NTC' | 'TNC' | undefined;
  /** The axes of the label; 'NT' by default. */
  readonly labelLayout?: 'NT' | 'TN' | undefined;
  readonly weight?: number | null | undefined;
}

/** Labels with a blank before, between and after: which class each state emits, and which states may be reached from the one before the last. */
interface States {
  /** (N, 2L + 1), int32. */
  readonly classes: NDArray;
  /** (N, 2L + 1): 1 where a path may jump over the blank before. */
  readonly skips: NDArray;
  /** (N, 2L + 1): 1 where a path may end. */
  readonly ends: NDArray;
}

/**
 * The negative logarithm of the probability of each label sequence, shape (N). Called as `loss(pred, label, predLengths?, labelLengths?, sampleWeight?)`.
 *
 * pred: unnormalised, (N, T, C); the last of the C classes is the blank. label: (N, L), classes from 0, padded with −1 (or with anything, where
 * `labelLengths` says how long they are). Lengths: (N). A label that does not fit into its time has loss ∞ and no gradient.
 *
 * @example
 * const loss = new gluon.loss.CTCLoss()(pred, nd.array([[1, 0, -1, -1], [2, 1, 1, -1]]));
 */
export class CTCLoss extends Loss {
  static override readonly kind: string = 'CTCLoss';
  readonly #timeFirst: boolean;
  readonly #labelTimeFirst: boolean;

  constructor(options?: CTCLossOptions) {
    const values = lossOptions('CTCLoss', options, ['layout', 'labelLayout']);
    const labelLayout = wordArg('CTCLoss', values, 'labelLayout', ['NT', 'TN'], 'NT');
    super({ ...values, batchAxis: labelLayout.indexOf('N') });
    this.#timeFirst = wordArg('CTCLoss', values, 'layout', ['NTC', 'TNC'], 'NTC') === 'TNC';
    this.#labelTimeFirst = labelLayout === 'TN';
  }

  override forward(
    pred: NDArray,
    label: NDArray,
    predLengths?: NDArray | null,
    labelLengths?: NDArray | null,
    sampleWeight?: NDArray | null,
  ): NDArray {
    const scores = this.#timeFirst ? swapaxes(pred, 0, 1) : pred;
    const labels = this.#labelTimeFirst ? swapaxes(label, 0, 1) : label;
    check(scores, labels, predLengths, labelLengths);
    const [n, steps, alphabet] = scores.shape;
    const { dtype, context: ctx } = scores;
    const states = statesOf(astype(labels, dtype), labelLengths, alphabet - 1);
    const width = states.classes.shape[1];
    const classes = broadcastTo(reshape(states.classes, [n, 1, width]), [n, steps, width]);
    const emissions = takeAlongAxis(logSoftmax(scores, -1), classes, -1);
    const emitted = (t: number): NDArray => reshape(sliceAxis(emissions, 1, t, t + 1), [n, width]);
    const places = reshape(arange(0, width, { ctx, dtype }), [1, width]);
    const lengths = predLengths == null ? null : astype(reshape(predLengths, [n, 1]), dtype);
    const running = full([n, 1], 1, { ctx, dtype });
    const border = full([n, 2], LOG_ZERO, { ctx, dtype });
    // before the first step only the first blank and the first label can be
    let alpha = where(broadcastTo(lesser(places, 2), [n, width]), emitted(0), LOG_ZERO);
    for (let t = 1; t < steps; t++) {
      const before = concat(border, alpha, { dim: 1 });
      alpha = ctcStep({
        active: lengths === null ? running : greater(lengths, t),
        stay: alpha,
        one: sliceAxis(before, 1, 1, width + 1),
        two: sliceAxis(before, 1, 0, width),
        skips: states.skips,
        emitted: emitted(t),
      });
    }
    const ending = where(states.ends, alpha, LOG_ZERO);
    const greatest = detach(max(ending, 1, { keepdims: true }));
    const total = add(log(sum(exp(sub(ending, greatest)), 1)), reshape(greatest, [n]));
    const loss = where(lesser(total, LOG_ZERO / 2), Infinity, neg(total));
    return this.weighted(loss, sampleWeight == null ? sampleWeight : reshape(sampleWeight, [n]));
  }
}

function statesOf(labels: NDArray, labelLengths: NDArray | null | undefined, blank: number): States {
  const { context: ctx, dtype } = labels;
  const [n, length] = labels.shape;
  const width = 2 * length + 1;
  const lengths =
    labelLengths == null
      ? // what stands before the first negative label
        sum(equal(cumsum(lesser(labels, 0), 1), 0), 1, { keepdims: true })
      : astype(reshape(labelLengths, [n, 1]), dtype);
  const column = (value: number): NDArray => full([n, 1], value, { ctx, dtype });
  const interleaved = (even: NDArray, odd: NDArray, last: NDArray): NDArray =>
    concat(reshape(stack(even, odd, { axis: 2 }), [n, 2 * length]), last, { dim: 1 });
  const between = full([n, length], blank, { ctx, dtype });
  const unlike =
    length < 2
      ? zeros([n, length], { ctx, dtype })
      : concat(column(0), notEqual(sliceAxis(labels, 1, 1, length), sliceAxis(labels, 1, 0, length - 1)), {
          dim: 1,
        });
  const places = broadcastTo(reshape(arange(0, width, { ctx, dtype }), [1, width]), [n, width]);
  const last = mul(lengths, 2);
  return {
    classes: astype(interleaved(between, maximum(labels, 0), column(blank)), 'int32'),
    skips: interleaved(zeros([n, length], { ctx, dtype }), unlike, column(0)),
    ends: logicalOr(equal(places, last), equal(places, sub(last, 1))),
  };
}

function check(
  scores: NDArray,
  labels: NDArray,
  predLengths: NDArray | null | undefined,
  labelLengths: NDArray | null | undefined,
): void {
  const op = 'CTCLoss';
  const { shape } = bodyOf(scores, op);
  const label = bodyOf(labels, op).shape;
  if (shape.length !== 3 || label.length !== 2 || shape[0] !== label[0] || label[1] === 0)
    throw new ShapeError(
      `expected predictions (N, T, C) and labels (N, L) of one batch, received ${shapeText(shape)} and ${shapeText(label)} (in that order of axes). Check layout and labelLayout.`,
      { op },
    );
  for (const [name, lengths] of [
    ['predLengths', predLengths],
    ['labelLengths', labelLengths],
  ] as const)
    if (lengths != null && bodyOf(lengths, op).shape.length + lengths.size !== 1 + shape[0])
      throw new ShapeError(
        `expected ${name} of shape (${shape[0]},), received ${shapeText(lengths.shape)}. Give one for each sample.`,
        { op },
      );
  const classes = shape[2] - 1;
  const bad = readNow(labels, op)?.find((v: number) => v >= classes);
  if (bad !== undefined && labelLengths == null)
    throw new ArgumentError(
      `expected labels from 0 to ${classes - 1} (class ${classes} is the blank; −1 pads), received ${bad}. Check the labels, or give the net one class more.`,
      { op },
    );
}
