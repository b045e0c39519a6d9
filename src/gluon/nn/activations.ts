// Activation layers, each a name for an operation. Defaults are Gluon's.
import type { NDArray } from '../../array/ndarray.ts';
import { bodyOf } from '../../array/ndarray.ts';
import { ArgumentError } from '../../core/errors.ts';
import { type ActivationKind, activation, checkActivation } from '../../ops/activate.ts';
import { elu, gelu, leakyReLU, prelu, selu, silu, swish } from '../../ops/activation.ts';
import { integerArg, numberArg, readArgs } from '../../ops/args.ts';
import type { BlockOptions } from '../block.ts';
import { Constant } from '../init.ts';
import type { InitializerLike } from '../initByName.ts';
import type { Parameter } from '../parameter.ts';
import { stateOf } from '../state.ts';
import { pythonNumber } from '../text.ts';
import { BLOCK_OPTIONS, blockOptions, Layer } from './layer.ts';

/** An activation by name: relu, sigmoid, tanh, softrelu, softsign and the others of `nd.activation`. */
export class Activation extends Layer {
  static override readonly kind: string = 'Activation';
  readonly #kind: ActivationKind;

  constructor(
    activation: ActivationKind | (BlockOptions & { readonly activation: ActivationKind }),
    options?: BlockOptions,
  ) {
    const values = readArgs('Activation', [activation, options], ['activation'], BLOCK_OPTIONS);
    const kind = checkActivation('Activation', values['activation']);
    super(blockOptions(values), kind.toLowerCase());
    this.#kind = kind;
  }

  override forward(x: NDArray): NDArray {
    return activation(x, this.#kind);
  }

  override toString(): string {
    return `${stateOf(this).className}(${this.#kind})`;
  }
}

/** x above zero, alpha·x below. Maas et al., 2013. */
export class LeakyReLU extends Layer {
  static override readonly kind: string = 'LeakyReLU';
  readonly #alpha: number;

  constructor(alpha: number | (BlockOptions & { readonly alpha: number }), options?: BlockOptions) {
    const values = readArgs('LeakyReLU', [alpha, options], ['alpha'], BLOCK_OPTIONS);
    const slope = numberArg('LeakyReLU', values, 'alpha');
    if (!(slope >= 0))
      throw new ArgumentError(`expected alpha ≥ 0, received ${slope}. Choose a slope such as 0.01.`, {
        op: 'LeakyReLU',
      });
    super(blockOptions(values));
    this.#alpha = slope;
  }

  override forward(x: NDArray): NDArray {
    return leakyReLU(x, this.#alpha);
  }

  override toString(): string {
    return `${stateOf(this).className}(${pythonNumber(this.#alpha)})`;
  }
}

/** Options of `PReLU`. */
export interface PReLUOptions extends BlockOptions {
  /** Constant(0.25) by default. */
  readonly alphaInitializer?: InitializerLike | undefined;
  /** One slope for all (1, default), or one for each channel (axis 1). */
  readonly inChannels?: number | undefined;
}

/** x above zero, alpha·x below, with alpha learned. He et al., 2015. */
export class PReLU extends Layer {
  static override readonly kind: string = 'PReLU';
  readonly alpha: Parameter;

  constructor(options?: PReLUOptions) {
    const values = readArgs('PReLU', [options], [], ['alphaInitializer', 'inChannels', ...BLOCK_OPTIONS]);
    const channels = integerArg('PReLU', values, 'inChannels', 1, 1);
    super(blockOptions(values));
    const { alphaInitializer } = values as PReLUOptions;
    this.alpha = this.params.get('alpha', {
      shape: [channels],
      init: alphaInitializer ?? new Constant(0.25),
    });
  }

  override forward(x: NDArray): NDArray {
    bodyOf(x, 'PReLU');
    return prelu(x, this.alpha.data(x.context));
  }
}

/** x above zero, alpha·(eˣ − 1) below; alpha 1. Clevert et al., 2015. */
export class ELU extends Layer {
  static override readonly kind: string = 'ELU';
  readonly #alpha: number;

  constructor(
    alpha?: number | (BlockOptions & { readonly alpha?: number | undefined }),
    options?: BlockOptions,
  ) {
    const values = readArgs('ELU', [alpha, options], ['alpha'], BLOCK_OPTIONS);
    const scale = numberArg('ELU', values, 'alpha', 1);
    super(blockOptions(values));
    this.#alpha = scale;
  }

  override forward(x: NDArray): NDArray {
    return elu(x, this.#alpha);
  }
}

/** 1.0507009873554805·(x, or 1.6732632423543772·(eˣ − 1) below zero). Klambauer et al., 2017. */
export class SELU extends Layer {
  static override readonly kind: string = 'SELU';

  override forward(x: NDArray): NDArray {
    return selu(x);
  }
}

/** x·Φ(x), by the error function. Hendrycks & Gimpel, 2016. */
export class GELU extends Layer {
  static override readonly kind: string = 'GELU';

  override forward(x: NDArray): NDArray {
    return gelu(x);
  }
}

/** x·sigmoid(beta·x); beta 1. Ramachandran et al., 2017. */
export class Swish extends Layer {
  static override readonly kind: string = 'Swish';
  readonly #beta: number;

  constructor(
    beta?: number | (BlockOptions & { readonly beta?: number | undefined }),
    options?: BlockOptions,
  ) {
    const values = readArgs('Swish', [beta, options], ['beta'], BLOCK_OPTIONS);
    const scale = numberArg('Swish', values, 'beta', 1);
    super(blockOptions(values));
    this.#beta = scale;
  }

  override forward(x: NDArray): NDArray {
    return swish(x, this.#beta);
  }
}

/** x·sigmoid(x). Elfwing et al., 2018. */
export class SiLU extends Layer {
  static override readonly kind: string = 'SiLU';

  override forward(x: NDArray): NDArray {
    return silu(x);
  }
}
