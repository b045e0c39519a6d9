// Fully connected layers.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import type { DType } from '../../core/dtype.ts';
import { ShapeError } from '../../core/errors.ts';
import { shapeText, sizeWithin } from '../../core/shape.ts';
import { booleanArg, integerArg, readArgs } from '../../ops/args.ts';
import { connect } from '../../ops/product.ts';
import { stateOf } from '../state.ts';
import { extentOrNone } from '../text.ts';
import { AFFINE_OPTIONS, Affine, type AffineOptions } from './affine.ts';

/** Options of `Dense`. */
export interface DenseOptions extends AffineOptions {
  /** True (default) folds all axes but the first into one; false works on the last axis. */
  readonly flatten?: boolean | undefined;
  readonly dtype?: DType | undefined;
  /** The number of inputs; 0 (default) waits for the first batch. */
  readonly inUnits?: number | undefined;
}

const NAMES = [...AFFINE_OPTIONS, 'flatten', 'dtype', 'inUnits'];

/**
 * y = activation(x·Wᵀ + b). x: (N, …), folded to (N, inUnits), or with `flatten: false` (…, inUnits); weight: (units, inUnits); bias: (units).
 *
 * @example
 * const layer = new nn.Dense(2, { activation: 'relu' });
 */
export class Dense extends Affine {
  static override readonly kind: string = 'Dense';
  readonly #units: number;
  readonly #flatten: boolean;

  constructor(units: number | (DenseOptions & { readonly units: number }), options?: DenseOptions) {
    const values = readArgs('Dense', [units, options], ['units'], NAMES);
    const outputs = integerArg('Dense', values, 'units', undefined, 1);
    const inputs = integerArg('Dense', values, 'inUnits', 0, 0);
    const flatten = booleanArg('Dense', values, 'flatten', true);
    super('Dense', values, [outputs, inputs], outputs);
    this.#units = outputs;
    this.#flatten = flatten;
  }

  override inferShape(x: NDArray): void {
    this.weight.shape = [this.#units, this.#width(x)];
  }

  override forward(x: NDArray): NDArray {
    const width = this.#width(x);
    const inUnits = this.weight.shape[1];
    if (width !== inUnits && inUnits !== 0) throw this.#wrongInput(x, inUnits);
    const { context } = x;
    const bias = (this.bias as typeof this.bias | undefined)?.data(context);
    const y = connect(x, this.weight.data(context), bias, this.#flatten);
    return this.act === undefined ? y : this.act(y);
  }

  override toString(): string {
    const [units, inUnits] = this.weight.shape;
    return `${stateOf(this).className}(${extentOrNone(inUnits)} -> ${units}, ${this.act === undefined ? 'linear' : String(this.act)})`;
  }

  /** How many numbers of `x` go into one row. */
  #width(x: NDArray): number {
    const { shape } = bodyOf(x, 'Dense');
    if (shape.length < (this.#flatten ? 2 : 1)) throw this.#wrongInput(x, this.weight.shape[1]);
    return this.#flatten ? sizeWithin(shape, 1) : (shape[shape.length - 1] as number);
  }

  #wrongInput(x: NDArray, inUnits: number): ShapeError {
    const last = this.#flatten ? 'N' : '*';
    const wanted = `(${last}, ${inUnits === 0 ? '…' : inUnits})`;
    const folded = x.ndim > 1 && sizeWithin(x.shape, 1) === inUnits;
    const advice =
      !this.#flatten && folded
        ? 'Pass flatten: true, or reshape first.'
        : x.ndim < 2
          ? 'Give it a batch axis: x.expandDims(0).'
          : this.#flatten
            ? 'All axes but the first are folded into one: check the layer before it, or inUnits.'
            : 'Check the last axis, or inUnits.';
    return new ShapeError(`expected input of shape ${wanted}, received ${shapeText(x.shape)}. ${advice}`, {
      op: stateOf(this).className,
    });
  }
}
