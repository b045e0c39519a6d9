// Losses over numbers: absolute, squared and Huber's error, and Poisson's likelihood.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ArgumentError } from '../../core/errors.ts';
import { booleanArg, numberArg } from '../../ops/args.ts';
import { absoluteError, halfSquaredError, huberError, poissonError } from '../../ops/losses.ts';
import { mean } from '../../ops/reduce.ts';
import { Loss, type LossOptions, lossOptions } from './base.ts';

/** |label − pred|, the mean over each sample. pred and label: (N, …). */
export class L1Loss extends Loss {
  static override readonly kind: string = 'L1Loss';

  constructor(options?: LossOptions) {
    super(lossOptions('L1Loss', options));
  }

  override forward(pred: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    return this.finish(absoluteError(pred, this.matched(label, pred)), sampleWeight);
  }
}

/** Half the squared error, (label − pred)² / 2, the mean over each sample, as Gluon has it. `weight` 1. */
export class L2Loss extends Loss {
  static override readonly kind: string = 'L2Loss';

  constructor(options?: LossOptions) {
    const values = lossOptions('L2Loss', options);
    super({ weight: 1, ...values });
  }

  override forward(pred: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    return this.finish(halfSquaredError(pred, this.matched(label, pred)), sampleWeight);
  }
}

/** Options of `HuberLoss`. */
export interface HuberLossOptions extends LossOptions {
  /** Where the square turns into a line; 1 by default. */
  readonly rho?: number | undefined;
}

/** (label − pred)² / 2ρ near zero, |label − pred| − ρ/2 beyond ρ, the mean over each sample. Huber, 1964. */
export class HuberLoss extends Loss {
  static override readonly kind: string = 'HuberLoss';
  readonly #rho: number;

  constructor(options?: HuberLossOptions) {
    const values = lossOptions('HuberLoss', options, ['rho']);
    super(values);
    this.#rho = numberArg('HuberLoss', values, 'rho', 1);
    if (!(this.#rho > 0))
      throw new ArgumentError(`expected rho > 0, received ${this.#rho}. Choose a threshold such as 1.`, {
        op: 'HuberLoss',
      });
  }

  override forward(pred: NDArray, label: NDArray, sampleWeight?: NDArray | null): NDArray {
    return this.finish(huberError(pred, this.matched(label, pred), this.#rho), sampleWeight);
  }
}

/** Options of `PoissonNLLLoss`. */
export interface PoissonNLLLossOptions extends LossOptions {
  /** Predictions are logarithms of rates (default). */
  readonly fromLogits?: boolean | undefined;
  /** Adds Stirling's approximation of log(label!), for labels above 1. */
  readonly computeFull?: boolean | undefined;
}

/**
 * The negative logarithm of a Poisson likelihood: e^pred − label·pred, or pred − label·log(pred + epsilon) where predictions are rates. One number, the mean over all
 * samples, shape (1), as Gluon gives it. Called as `loss(pred, target, sampleWeight?, epsilon = 1e-8)`.
 */
export class PoissonNLLLoss extends Loss {
  static override readonly kind: string = 'PoissonNLLLoss';
  readonly #fromLogits: boolean;
  readonly #full: boolean;

  constructor(options?: PoissonNLLLossOptions) {
    const values = lossOptions('PoissonNLLLoss', options, ['fromLogits', 'computeFull']);
    super(values);
    this.#fromLogits = booleanArg('PoissonNLLLoss', values, 'fromLogits', true);
    this.#full = booleanArg('PoissonNLLLoss', values, 'computeFull', false);
  }

  override forward(pred: NDArray, target: NDArray, sampleWeight?: NDArray | null, epsilon = 1e-8): NDArray {
    bodyOf(pred, 'PoissonNLLLoss');
    const form = { fromLogits: this.#fromLogits, full: this.#full, epsilon };
    return mean(this.weighted(poissonError(pred, this.matched(target, pred, 'target'), form), sampleWeight));
  }
}
