// What all losses share: the batch axis, weights, the mean over everything but the batch, and checks of labels against predictions.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { isFloat } from '../../core/dtype.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { describe, normalizeAxis, sameShape, shapeText, sizeOf } from '../../core/shape.ts';
import { integerArg, readArgs } from '../../ops/args.ts';
import { mul } from '../../ops/binary.ts';
import { astype } from '../../ops/moves.ts';
import { mean } from '../../ops/reduce.ts';
import { reshape } from '../../ops/views.ts';
import { type BlockOptions, HybridBlock } from '../block.ts';
import { type BlockRole, stateOf } from '../state.ts';
import { pythonNumber } from '../text.ts';

/** Options of every loss. */
export interface LossOptions extends BlockOptions {
  /** Multiplies the loss; null (default, but 1 for L2Loss) for none. */
  readonly weight?: number | null | undefined;
  /** The axis along which samples lie; 0 by default. */
  readonly batchAxis?: number | undefined;
}

const OPTIONS = ['weight', 'batchAxis', 'prefix', 'params'];

/** Reads the options of a loss: its own, named in `own`, and those of every loss. */
export function lossOptions(
  op: string,
  options: unknown,
  own: readonly string[] = [],
): Record<string, unknown> {
  // `new L1Loss({ weight: null })` means what leaving it out means
  const values = readArgs(op, [options ?? undefined], [], [...own, ...OPTIONS]);
  const { weight } = values;
  if (weight !== undefined && weight !== null && typeof weight !== 'number')
    throw new ArgumentError(
      `expected weight to be a number or null, received ${describe(weight)}. Weights of single samples go into the call: loss(pred, label, sampleWeight).`,
      { op },
    );
  return values;
}

/**
 * The base of all losses. A loss is called as `loss(pred, label, sampleWeight?)` and gives one number for each sample, shape (batch).
 *
 * `sampleWeight` has shape (batch), or one that broadcasts to the shape of `pred` (of the label where labels are classes): (batch, 1) weighs samples.
 */
export abstract class Loss extends HybridBlock {
  static override readonly kind: string = 'Loss';
  static override readonly role: BlockRole = 'layer';
  readonly #weight: number | null;
  readonly #batchAxis: number;

  /** @param values what `lossOptions` read */
  constructor(values: Record<string, unknown> = {}) {
    const { prefix, params } = values as BlockOptions;
    super({ prefix, params });
    const op = stateOf(this).className;
    this.#weight = (values['weight'] as number | null | undefined) ?? null;
    this.#batchAxis = integerArg(op, values, 'batchAxis', 0);
  }

  /** What multiplies the loss, for texts and subclasses. */
  protected get weight(): number | null {
    return this.#weight;
  }

  protected get batchAxis(): number {
    return this.#batchAxis;
  }

  /** The label in the prediction's dtype and shape. @throws ShapeError where it has another number of elements or another batch */
  protected matched(label: NDArray, pred: NDArray, name = 'label'): NDArray {
    const op = stateOf(this).className;
    const [has, wanted] = [bodyOf(label, op), bodyOf(pred, op)];
    let fitting = label;
    if (!sameShape(has.shape, wanted.shape)) {
      if (
        sizeOf(has.shape) !== sizeOf(wanted.shape) ||
        this.#batchOf(has.shape) !== this.#batchOf(wanted.shape)
      )
        throw new ShapeError(
          `expected a ${name} of shape ${shapeText(wanted.shape)} as the prediction, received ${shapeText(has.shape)}. Give both the same batch and number of elements.`,
          { op },
        );
      fitting = reshape(label, wanted.shape);
    }
    return has.dtype === wanted.dtype || !isFloat(wanted.dtype) ? fitting : astype(fitting, wanted.dtype);
  }

  /** Weights, then the mean over all axes but the batch: (batch). */
  protected finish(loss: NDArray, sampleWeight: NDArray | null | undefined): NDArray {
    return this.meanOfSamples(this.weighted(loss, sampleWeight));
  }

  /** Times the weights of samples and of the loss. */
  protected weighted(loss: NDArray, sampleWeight: NDArray | null | undefined): NDArray {
    let weighted = loss;
    if (sampleWeight !== null && sampleWeight !== undefined)
      weighted = mul(weighted, this.#fittingWeight(loss, sampleWeight));
    return this.#weight === null || this.#weight === 1 ? weighted : mul(weighted, this.#weight);
  }

  /** The mean over all axes but the batch. */
  protected meanOfSamples(loss: NDArray): NDArray {
    if (loss.ndim === 0) return reshape(loss, [1]);
    const axis = normalizeAxis(this.#batchAxis, loss.ndim, stateOf(this).className);
    const batch = loss.shape[axis] as number;
    if (loss.ndim === 1) return loss;
    if (loss.size === batch) return reshape(loss, [batch]);
    return mean(loss, axis, { exclude: true });
  }

  /** Weights of shape (batch) stand along the batch axis; others broadcast as they are. */
  #fittingWeight(loss: NDArray, sampleWeight: NDArray): NDArray {
    const op = stateOf(this).className;
    const { shape, dtype } = bodyOf(sampleWeight, op);
    const typed = dtype === loss.dtype ? sampleWeight : astype(sampleWeight, loss.dtype);
    const axis = normalizeAxis(this.#batchAxis, loss.ndim, op);
    const fits = (s: readonly number[]): boolean =>
      s.length <= loss.ndim && s.every((d, i) => d === 1 || d === loss.shape[loss.ndim - s.length + i]);
    if (shape.length === 1 && loss.ndim > 1 && shape[0] === loss.shape[axis])
      return reshape(
        typed,
        loss.shape.map((d, i) => (i === axis ? d : 1)),
      );
    if (!fits(shape))
      throw new ShapeError(
        `expected sample weights that broadcast to ${shapeText(loss.shape)}, received ${shapeText(shape)}. For a weight of each sample, pass shape (${loss.shape[axis]},).`,
        { op },
      );
    return typed;
  }

  #batchOf(shape: readonly number[]): number | undefined {
    const axis = this.#batchAxis;
    return shape[axis < 0 ? axis + shape.length : axis];
  }

  /** `L2Loss(batch_axis=0, w=1.0)`. */
  override toString(): string {
    const w = this.#weight;
    const text = w === null ? 'None' : Number.isInteger(w) && Math.abs(w) < 1e16 ? `${w}.0` : pythonNumber(w);
    return `${stateOf(this).className}(batch_axis=${this.#batchAxis}, w=${text})`;
  }
}
