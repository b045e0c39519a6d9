// Layers that normalise: over the batch, over an axis, over groups of channels, over each channel of each sample.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { isTraining } from '../../autograd/mode.ts';
import type { DType } from '../../core/dtype.ts';
import { ShapeError } from '../../core/errors.ts';
import { normalizeAxis, shapeText } from '../../core/shape.ts';
import { booleanArg, integerArg, numberArg, readArgs } from '../../ops/args.ts';
import { batchNorm, batchNormTraining, followStatistics } from '../../ops/batchNorm.ts';
import { astype, swapaxes } from '../../ops/moves.ts';
import { groupNorm, instanceNorm, layerNorm } from '../../ops/normalize.ts';
import { repeat } from '../../ops/repeats.ts';
import type { BlockOptions } from '../block.ts';
import type { InitializerLike } from '../initByName.ts';
import type { Parameter } from '../parameter.ts';
import { offTape } from '../quiet.ts';
import { stateOf } from '../state.ts';
import { extentOrNone, keywords } from '../text.ts';
import { BLOCK_OPTIONS, blockOptions, Layer } from './layer.ts';

/** Options that all norms have. */
export interface NormOptions extends BlockOptions {
  /** Added to the variance; 1e-5 by default. */
  readonly epsilon?: number | undefined;
  /** Whether beta is learned. */
  readonly center?: boolean | undefined;
  /** Whether gamma is learned. */
  readonly scale?: boolean | undefined;
  /** 'zeros' by default. */
  readonly betaInitializer?: InitializerLike | undefined;
  /** 'ones' by default. */
  readonly gammaInitializer?: InitializerLike | undefined;
}

/** Options of norms along an axis. */
export interface AxisNormOptions extends NormOptions {
  readonly axis?: number | undefined;
  /** The axis's extent; 0 (default) waits for the first batch. */
  readonly inChannels?: number | undefined;
}

/** Options of `BatchNorm`. */
export interface BatchNormOptions extends AxisNormOptions {
  /** How much of the running statistics stays at each step; 0.9 by default. */
  readonly momentum?: number | undefined;
  /** Uses the running statistics in training too. */
  readonly useGlobalStats?: boolean | undefined;
  /** 'zeros' by default. */
  readonly runningMeanInitializer?: InitializerLike | undefined;
  /** 'ones' by default. */
  readonly runningVarianceInitializer?: InitializerLike | undefined;
}

/** Options of `GroupNorm`. */
export interface GroupNormOptions extends NormOptions {
  /** 1 by default. */
  readonly numGroups?: number | undefined;
}

const NAMES = ['epsilon', 'center', 'scale', 'betaInitializer', 'gammaInitializer', ...BLOCK_OPTIONS];

/** Gamma, beta and what is printed of all norms. */
abstract class Norm extends Layer {
  static override readonly kind: string = 'Norm';
  protected readonly epsilon: number;
  readonly #center: boolean;
  readonly #scale: boolean;

  constructor(op: string, values: Record<string, unknown>, extent: number, scaleDefault: boolean) {
    const epsilon = numberArg(op, values, 'epsilon', 1e-5);
    const center = booleanArg(op, values, 'center', true);
    const scale = booleanArg(op, values, 'scale', scaleDefault);
    super(blockOptions(values));
    this.epsilon = epsilon;
    this.#center = center;
    this.#scale = scale;
    const { gammaInitializer, betaInitializer } = values as NormOptions;
    this.gamma = this.params.get('gamma', {
      shape: [extent],
      init: gammaInitializer ?? 'ones',
      gradReq: scale ? 'write' : 'null',
    });
    this.beta = this.params.get('beta', {
      shape: [extent],
      init: betaInitializer ?? 'zeros',
      gradReq: center ? 'write' : 'null',
    });
  }

  /** The flags as Gluon prints them. */
  protected get flags(): { readonly center: boolean; readonly scale: boolean } {
    return { center: this.#center, scale: this.#scale };
  }
}

/** A norm whose vectors have the extent of an axis of the input. */
abstract class AxisNorm extends Norm {
  static override readonly kind: string = 'AxisNorm';
  protected readonly axis: number;

  abstract override forward(x: NDArray): NDArray;

  constructor(op: string, values: Record<string, unknown>, axisDefault: number, scaleDefault: boolean) {
    const axis = integerArg(op, values, 'axis', axisDefault);
    const extent = integerArg(op, values, 'inChannels', 0, 0);
    super(op, values, extent, scaleDefault);
    this.axis = axis;
  }

  override inferShape(x: NDArray): void {
    const extent = this.extentOf(x);
    for (const parameter of this.params.values()) parameter.shape = [extent];
  }

  /** The extent of the axis, which the vectors must have. */
  protected extentOf(x: NDArray): number {
    const op = stateOf(this).className;
    const { shape } = bodyOf(x, op);
    const extent = shape[normalizeAxis(this.axis, shape.length, op)] as number;
    const known = this.gamma.shape[0];
    if (known !== 0 && known !== extent)
      throw new ShapeError(
        `expected input with extent ${known} along axis ${this.axis}, received ${shapeText(shape)}. Check axis, inChannels, or the layer before.`,
        { op },
      );
    return extent;
  }
}

/**
 * (x − mean) / √(var + epsilon) · gamma + beta for each channel (axis 1). In training mean and population variance are the batch's, and running ones
 * follow: running = momentum·running + (1 − momentum)·batch; else the running ones are used. Ioffe & Szegedy, 2015.
 */
export class BatchNorm extends AxisNorm {
  static override readonly kind: string = 'BatchNorm';
  readonly #momentum: number;
  readonly #useGlobalStats: boolean;

  constructor(options?: BatchNormOptions) {
    const values = readArgs(
      'BatchNorm',
      [options],
      [],
      [
        'axis',
        'inChannels',
        'momentum',
        'useGlobalStats',
        'runningMeanInitializer',
        'runningVarianceInitializer',
        ...NAMES,
      ],
    );
    const momentum = numberArg('BatchNorm', values, 'momentum', 0.9);
    const useGlobalStats = booleanArg('BatchNorm', values, 'useGlobalStats', false);
    super('BatchNorm', values, 1, true);
    this.#momentum = momentum;
    this.#useGlobalStats = useGlobalStats;
    const { inChannels = 0, runningMeanInitializer, runningVarianceInitializer } = values as BatchNormOptions;
    const state = { shape: [inChannels], differentiable: false };
    this.runningMean = this.params.get('running_mean', { ...state, init: runningMeanInitializer ?? 'zeros' });
    this.runningVar = this.params.get('running_var', {
      ...state,
      init: runningVarianceInitializer ?? 'ones',
    });
  }

  /** Half precision is too coarse for running statistics: they, gamma and beta stay float32, as in Gluon. */
  override cast(dtype: DType): void {
    super.cast(dtype === 'float16' ? 'float32' : dtype);
  }

  override forward(x: NDArray): NDArray {
    this.extentOf(x);
    const { context } = x;
    const gamma = this.gamma.data(context);
    if (x.dtype === 'float16' && gamma.dtype === 'float32')
      return astype(this.forward(astype(x, 'float32')), 'float16');
    const beta = this.beta.data(context);
    const runningMean = this.runningMean.data(context);
    const runningVar = this.runningVar.data(context);
    const options = { axis: this.axis, eps: this.epsilon };
    if (!isTraining() || this.#useGlobalStats)
      return batchNorm(x, gamma, beta, runningMean, runningVar, options);
    const [y, batchMean, batchVar] = batchNormTraining(x, gamma, beta, options);
    offTape(() => {
      followStatistics(runningMean, batchMean, this.#momentum);
      followStatistics(runningVar, batchVar, this.#momentum);
    });
    return y;
  }

  override toString(): string {
    const shown = keywords({
      axis: this.axis,
      eps: this.epsilon,
      momentum: this.#momentum,
      fix_gamma: !this.flags.scale,
      use_global_stats: this.#useGlobalStats,
    });
    return `${stateOf(this).className}(${shown}, in_channels=${extentOrNone(this.gamma.shape[0])})`;
  }
}

/** (x − mean) / √(var + epsilon) · gamma + beta along one axis, the last by default. Ba et al., 2016. */
export class LayerNorm extends AxisNorm {
  static override readonly kind: string = 'LayerNorm';

  constructor(options?: AxisNormOptions) {
    super('LayerNorm', readArgs('LayerNorm', [options], [], ['axis', 'inChannels', ...NAMES]), -1, true);
  }

  override forward(x: NDArray): NDArray {
    this.extentOf(x);
    return layerNorm(x, this.gamma.data(x.context), this.beta.data(x.context), {
      axis: this.axis,
      eps: this.epsilon,
    });
  }

  override toString(): string {
    const shown = keywords({ eps: this.epsilon, axis: this.axis, ...this.flags });
    return `${stateOf(this).className}(${shown}, in_channels=${this.gamma.shape[0]})`;
  }
}

/** Normalises every channel of every sample over its spatial axes: (N, C, …). gamma is not learned unless `scale`. Ulyanov et al., 2016. */
export class InstanceNorm extends AxisNorm {
  static override readonly kind: string = 'InstanceNorm';

  constructor(options?: AxisNormOptions) {
    super(
      'InstanceNorm',
      readArgs('InstanceNorm', [options], [], ['axis', 'inChannels', ...NAMES]),
      1,
      false,
    );
  }

  override forward(x: NDArray): NDArray {
    this.extentOf(x);
    const [gamma, beta] = [this.gamma.data(x.context), this.beta.data(x.context)];
    const options = { eps: this.epsilon };
    const axis = normalizeAxis(this.axis, x.ndim, 'InstanceNorm');
    if (axis === 1) return instanceNorm(x, gamma, beta, options);
    return swapaxes(instanceNorm(swapaxes(x, 1, axis), gamma, beta, options), 1, axis);
  }

  override toString(): string {
    const shown = keywords({ eps: this.epsilon, axis: this.axis, ...this.flags });
    return `${stateOf(this).className}(${shown}, in_channels=${this.gamma.shape[0]})`;
  }
}

/**
 * Normalises `numGroups` groups of channels of every sample together: (N, C, …). gamma and beta have one number for each group, as in MXNet 1.x.
 * Wu & He, 2018.
 */
export class GroupNorm extends Norm {
  static override readonly kind: string = 'GroupNorm';
  readonly #groups: number;

  constructor(options?: GroupNormOptions) {
    const values = readArgs('GroupNorm', [options], [], ['numGroups', ...NAMES]);
    const groups = integerArg('GroupNorm', values, 'numGroups', 1, 1);
    super('GroupNorm', values, groups, true);
    this.#groups = groups;
  }

  override forward(x: NDArray): NDArray {
    const { shape } = bodyOf(x, 'GroupNorm');
    if (shape.length < 3 || shape[1] % this.#groups !== 0)
      throw new ShapeError(
        `expected input of shape (N, C, …) with C divisible by ${this.#groups}, received ${shapeText(shape)}. Choose another numGroups.`,
        { op: stateOf(this).className },
      );
    return groupNorm(x, this.#perChannel(this.gamma, x), this.#perChannel(this.beta, x), {
      numGroups: this.#groups,
      eps: this.epsilon,
    });
  }

  override toString(): string {
    const shown = keywords({ eps: this.epsilon, num_groups: this.#groups, ...this.flags });
    return `${stateOf(this).className}(${shown})`;
  }

  /** A group's number for each of its channels. */
  #perChannel(parameter: Parameter, x: NDArray): NDArray {
    const times = x.shape[1] / this.#groups;
    const values = parameter.data(x.context);
    return times === 1 ? values : repeat(values, times);
  }
}
