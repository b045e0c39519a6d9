// What fully connected layers and convolutions share: a weight, a bias unless there shall be none, an activation.
import type { NDArray } from '../../array/ndarray.ts';
import type { Context } from '../../core/context.ts';
import type { DType } from '../../core/dtype.ts';
import { type ActivationKind, checkActivation } from '../../ops/activate.ts';
import { booleanArg } from '../../ops/args.ts';
import type { BlockOptions } from '../block.ts';
import type { InitializerLike } from '../initByName.ts';
import { Activation } from './activations.ts';
import { BLOCK_OPTIONS, blockOptions, Layer } from './layer.ts';

/** Options of layers with a weight and a bias. */
export interface AffineOptions extends BlockOptions {
  /** Applied to the output; none by default. */
  readonly activation?: ActivationKind | null | undefined;
  readonly useBias?: boolean | undefined;
  readonly weightInitializer?: InitializerLike | null | undefined;
  /** 'zeros' by default. */
  readonly biasInitializer?: InitializerLike | null | undefined;
}

/** Names of these options. */
export const AFFINE_OPTIONS = [
  'activation',
  'useBias',
  'weightInitializer',
  'biasInitializer',
  ...BLOCK_OPTIONS,
];

export abstract class Affine extends Layer {
  static override readonly kind: string = 'Affine';
  /** The activation's block, where there is one. */
  declare act: Activation | undefined;

  /** @param values the options, checked but for those of `AffineOptions` @param weight its shape @param units elements of the bias */
  constructor(
    op: string,
    values: Readonly<Record<string, unknown>>,
    weight: readonly number[],
    units: number,
    alias?: string,
  ) {
    const useBias = booleanArg(op, values, 'useBias', true);
    const given = values['activation'] ?? null;
    const activation = given === null ? null : checkActivation(op, given);
    super(blockOptions(values), alias);
    const { weightInitializer, biasInitializer, dtype } = values as AffineOptions & {
      readonly dtype?: DType | undefined;
    };
    this.weight = this.params.get('weight', { shape: weight, init: weightInitializer, dtype });
    if (useBias)
      this.bias = this.params.get('bias', { shape: [units], init: biasInitializer ?? 'zeros', dtype });
    if (activation !== null)
      this.act = this.nameScope(() => new Activation(activation, { prefix: `${activation}_` }));
  }

  /** @internal The bias on a context, where there is one. */
  protected biasOn(context: Context): NDArray | undefined {
    return (this.bias as typeof this.bias | undefined)?.data(context);
  }

  /** @internal The output, once its activation is applied. */
  protected activated(y: NDArray): NDArray {
    return this.act === undefined ? y : this.act(y);
  }
}
