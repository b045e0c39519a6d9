// Initialisers: how a parameter's first values are drawn. They always draw on cpu(0), so a net has the same weights on every device.
// Formulas and defaults are those of MXNet's python/mxnet/initializer.py.
import type { NDArray } from '../array/ndarray.ts';
import { cpu } from '../core/context.ts';
import { ShapeError } from '../core/errors.ts';
import { type Shape, shapeText, sizeOf } from '../core/shape.ts';
import { readNow } from '../nd/reading.ts';
import { numberArg, readArgs, wordArg } from '../ops/args.ts';
import { drawNormal, drawUniform, full } from '../ops/creation.ts';
import { arrayFromBytes } from '../ops/invoke.ts';
import { astype } from '../ops/moves.ts';
import { setStridedSlice } from '../ops/slices.ts';
import { orthonormal } from './orthonormal.ts';

/** Copies values into an array of the same shape, whatever its dtype. */
function assign(target: NDArray, values: NDArray): void {
  setStridedSlice(target, values.dtype === target.dtype ? values : astype(values, target.dtype));
}

function assignHost(target: NDArray, values: Float32Array<ArrayBuffer>): void {
  assign(target, arrayFromBytes(cpu(0), 'float32', target.shape, values, 'init'));
}

/**
 * The base of all initialisers. Extend it and override `initWeight` for one of your own.
 *
 * @example
 * class Sparse extends init.Initializer {
 *   override initWeight(_name: string, data: NDArray): void {
 *     const drawn = nd.random.uniform(-10, 10, data.shape);
 *     data.set([':'], drawn.mul(drawn.abs().greaterEqual(5)));
 *   }
 * }
 */
export abstract class Initializer {
  /**
   * Writes first values into `data`, an array of zeros on cpu(0). Arrays made meanwhile are freed afterwards.
   * @param name the parameter's full name
   */
  abstract initWeight(name: string, data: NDArray): void;
}

/** Options by name, in their positions: a number's default (undefined: it must be given), or the words of a choice, the default first. */
type Defaults = Readonly<Record<string, number | undefined | readonly string[]>>;

/** What reads its options and has them as its properties. */
abstract class WithOptions extends Initializer {
  constructor(op: string, args: readonly unknown[], defaults: Defaults) {
    super();
    const values = readArgs(op, args, Object.keys(defaults));
    for (const [name, given] of Object.entries(defaults))
      Reflect.set(
        this,
        name,
        typeof given === 'object'
          ? wordArg(op, values, name, given, given[0])
          : numberArg(op, values, name, given),
      );
  }
}

/** Numbers from U(−scale, scale), or from N(0, scale²). */
function drawn(kind: 'uniform' | 'normal' | 'gaussian', scale: number, shape: Shape): NDArray {
  const [draw, first] = kind === 'uniform' ? [drawUniform, -scale] : [drawNormal, 0];
  return draw(first, scale, shape, 'float32', cpu(0));
}

/** From U(−scale, scale); scale 0.07. The default of `initialize()`. */
export class Uniform extends WithOptions {
  declare readonly scale: number;

  constructor(scale?: number | { readonly scale?: number | undefined }) {
    super('Uniform', [scale], { scale: 0.07 });
  }

  override initWeight(_name: string, data: NDArray): void {
    assign(data, drawn('uniform', this.scale, data.shape));
  }
}

/** From N(0, sigma²); sigma 0.01. */
export class Normal extends WithOptions {
  declare readonly sigma: number;

  constructor(sigma?: number | { readonly sigma?: number | undefined }) {
    super('Normal', [sigma], { sigma: 0.01 });
  }

  override initWeight(_name: string, data: NDArray): void {
    assign(data, drawn('normal', this.sigma, data.shape));
  }
}

/** One value everywhere. */
export class Constant extends WithOptions {
  declare readonly value: number;

  constructor(value: number | { readonly value: number }) {
    super('Constant', [value], { value: undefined });
  }

  override initWeight(_name: string, data: NDArray): void {
    assign(data, full(data.shape, this.value, { ctx: cpu(0) }));
  }
}

/** Zeros. */
export class Zero extends Initializer {
  override initWeight(): void {}
}

/** Ones. */
export class One extends Constant {
  constructor() {
    super(1);
  }
}

/** What divides the magnitude in `Xavier`: inputs, outputs, or their mean. */
export type FactorType = 'avg' | 'in' | 'out';

const FACTORS: readonly FactorType[] = ['avg', 'in', 'out'];

/** Options of `Xavier`. */
export interface XavierOptions {
  /** 'uniform' by default. */
  readonly rndType?: 'uniform' | 'gaussian' | undefined;
  /** 'avg' by default. */
  readonly factorType?: FactorType | undefined;
  /** 3 by default. */
  readonly magnitude?: number | undefined;
}

/**
 * Keeps the variance of signals through a layer: U(−s, s) or N(0, s²) with s = √(magnitude / factor), factor the mean of fanIn and fanOut, or
 * one of them. fanIn = shape[1]·∏shape[2:], fanOut = shape[0]·∏shape[2:]. Glorot & Bengio, 2010.
 *
 * @throws ShapeError for a parameter with fewer than two axes
 * @example net.initialize(new init.Xavier({ rndType: 'gaussian', factorType: 'in', magnitude: 2 }))
 */
export class Xavier extends WithOptions {
  declare readonly rndType: 'uniform' | 'gaussian';
  declare readonly factorType: FactorType;
  declare readonly magnitude: number;

  constructor(
    rndType?: 'uniform' | 'gaussian' | XavierOptions,
    factorType?: FactorType | XavierOptions,
    magnitude?: number | XavierOptions,
  ) {
    super('Xavier', [rndType, factorType, magnitude], {
      rndType: ['uniform', 'gaussian'],
      factorType: FACTORS,
      magnitude: 3,
    });
  }

  override initWeight(name: string, data: NDArray): void {
    const { shape } = data;
    if (shape.length < 2)
      throw new ShapeError(
        `expected ${name} to have at least two axes, received ${shapeText(shape)}. Give that parameter an initializer of its own, e.g. init: 'zeros'.`,
        { op: this.constructor.name },
      );
    const area = sizeOf(shape.slice(2));
    const [fanIn, fanOut] = [shape[1] * area, shape[0] * area];
    const factor =
      this.factorType === 'avg' ? (fanIn + fanOut) / 2 : this.factorType === 'in' ? fanIn : fanOut;
    const scale = Math.sqrt(this.magnitude / factor);
    assign(data, drawn(this.rndType, scale, shape));
  }
}

/** For layers followed by PReLU of the given slope: gaussian `Xavier` with magnitude 2 / (1 + slope²); slope 0.25. He et al., 2015. */
export class MSRAPrelu extends Xavier {
  readonly slope: number;

  constructor(
    factorType?:
      | FactorType
      | { readonly factorType?: FactorType | undefined; readonly slope?: number | undefined },
    slope?: number | { readonly slope?: number | undefined },
  ) {
    const values = readArgs('MSRAPrelu', [factorType, slope], ['factorType', 'slope']);
    const negativeSlope = numberArg('MSRAPrelu', values, 'slope', 0.25);
    super({
      rndType: 'gaussian',
      factorType: wordArg('MSRAPrelu', values, 'factorType', FACTORS, 'avg'),
      magnitude: 2 / (1 + negativeSlope ** 2),
    });
    this.slope = negativeSlope;
  }
}

/**
 * Orthonormal rows (or columns, where there are more rows), times `scale` 1.414, of the array folded to (shape[0], the rest). Found by
 * orthonormalising a drawn matrix. Saxe et al., 2013.
 */
export class Orthogonal extends WithOptions {
  declare readonly scale: number;
  declare readonly randType: 'uniform' | 'normal';

  constructor(
    scale?:
      | number
      | {
          readonly scale?: number | undefined;
          readonly randType?: 'uniform' | 'normal' | undefined;
        },
    options?: { readonly randType?: 'uniform' | 'normal' | undefined },
  ) {
    // biome-ignore lint/suspicious/noApproximativeNumericConstant: MXNet's default, these digits and no more
    super('Orthogonal', [scale, options], { scale: 1.414, randType: ['uniform', 'normal'] });
  }

  override initWeight(name: string, data: NDArray): void {
    const { shape } = data;
    if (shape.length < 1)
      throw new ShapeError(`expected ${name} to have axes, received (). Use another initializer.`, {
        op: 'Orthogonal',
      });
    const values = readNow(drawn(this.randType, 1, shape), 'init') as Float32Array;
    assignHost(data, orthonormal(values, shape[0], sizeOf(shape.slice(1)), this.scale));
  }
}

/** The weights of bilinear upsampling by a transposed convolution: shape (…, …, height, width). */
export class Bilinear extends Initializer {
  override initWeight(name: string, data: NDArray): void {
    const { shape } = data;
    if (shape.length !== 4)
      throw new ShapeError(
        `expected ${name} to have four axes, received ${shapeText(shape)}. It serves Conv2DTranspose.`,
        {
          op: 'Bilinear',
        },
      );
    const [, , height, width] = shape;
    const factor = Math.ceil(width / 2);
    const centre = (2 * factor - 1 - (factor % 2)) / (2 * factor);
    const values = Float32Array.from({ length: sizeOf(shape) }, (_, i) => {
      const x = i % width;
      const y = Math.floor(i / width) % height;
      return (1 - Math.abs(x / factor - centre)) * (1 - Math.abs(y / factor - centre));
    });
    assignHost(data, values);
  }
}

/** For an LSTM's bias (four gates i f g o, stacked): zeros, and `forgetBias` (1) for the forget gate. Jozefowicz et al., 2015. */
export class LSTMBias extends WithOptions {
  declare readonly forgetBias: number;

  constructor(forgetBias?: number | { readonly forgetBias?: number | undefined }) {
    super('LSTMBias', [forgetBias], { forgetBias: 1 });
  }

  override initWeight(_name: string, data: NDArray): void {
    const gate = Math.floor(data.shape[0] / 4);
    const values = new Float32Array(data.size);
    values.fill(this.forgetBias, gate, 2 * gate);
    assignHost(data, values);
  }
}
