// Convolutions and their transposes over one to three spatial axes, channels first.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ShapeError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import { integerArg, readArgs } from '../../ops/args.ts';
import { convolve, deconvolve, type Extents, spread } from '../../ops/convolution.ts';
import { stateOf } from '../state.ts';
import { extentOrNone } from '../text.ts';
import { AFFINE_OPTIONS, Affine, type AffineOptions } from './affine.ts';
import { checkAxes, checkLayout } from './layer.ts';

/** Options of convolutions. A number serves for every spatial axis. */
export interface ConvOptions extends AffineOptions {
  /** 1 by default. */
  readonly strides?: Extents | undefined;
  /** On both sides of each axis; 0 by default. */
  readonly padding?: Extents | undefined;
  /** 1 by default. */
  readonly dilation?: Extents | undefined;
  /** Splits input and output channels into so many separate convolutions; 1 by default. */
  readonly groups?: number | undefined;
  /** Channels first: 'NCW', 'NCHW' or 'NCDHW'. */
  readonly layout?: string | undefined;
  /** The number of input channels; 0 (default) waits for the first batch. */
  readonly inChannels?: number | undefined;
}

/** Options of transposed convolutions. */
export interface ConvTransposeOptions extends ConvOptions {
  /** Added to the output's extents on one side, where a stride leaves them open; 0 by default. */
  readonly outputPadding?: Extents | undefined;
}

/** The positional arguments by name. */
interface Positional {
  readonly channels: number;
  readonly kernelSize: Extents;
}

const NAMES = ['strides', 'padding', 'dilation', 'groups', 'layout', 'inChannels', ...AFFINE_OPTIONS];

/** What differs between convolutions of different kinds. */
interface Kind {
  readonly name: string;
  readonly ndim: 1 | 2 | 3;
  /** What computes a transposed one: a page without loads none of it. */
  readonly transposed?: typeof deconvolve;
}

function check(
  kind: Kind,
  channels: unknown,
  kernelSize: unknown,
  options: unknown,
): Record<string, unknown> {
  const names = kind.transposed === undefined ? NAMES : ['outputPadding', ...NAMES];
  const values = readArgs(kind.name, [channels, kernelSize, options], ['channels', 'kernelSize'], names);
  integerArg(kind.name, values, 'channels', undefined, 1);
  if (typeof values['kernelSize'] !== 'number' && !Array.isArray(values['kernelSize']))
    throw new ShapeError(
      `expected kernelSize as a number or one for each spatial axis, received ${describe(values['kernelSize'])}. Write e.g. new nn.Conv2D(6, 5).`,
      { op: kind.name },
    );
  checkLayout(kind.name, values['layout'], kind.ndim);
  const groups = integerArg(kind.name, values, 'groups', 1, 1);
  for (const name of ['channels', 'inChannels'])
    if (integerArg(kind.name, values, name, 0, 0) % groups !== 0)
      throw new ShapeError(
        `expected ${name} divisible by ${groups} groups, received ${String(values[name])}. Choose other numbers.`,
        { op: kind.name },
      );
  return values;
}

/** The shape of a weight: outputs come first, in transposed convolutions inputs. */
function weightShape(
  { transposed }: Kind,
  inChannels: number,
  channels: number,
  groups: number,
  kernel: readonly number[],
): number[] {
  return transposed === undefined
    ? [channels, inChannels / groups, ...kernel]
    : [inChannels, channels / groups, ...kernel];
}

/** Every convolution: what to compute is in `forward`, the rest is names and shapes. */
class Conv extends Affine {
  static override readonly kind: string = 'Conv';
  readonly #kind: Kind;
  readonly #channels: number;
  readonly #kernel: readonly number[];
  readonly #geometry: Parameters<typeof convolve>[3];
  /** A transposed one's outputPadding. */
  readonly #adj: readonly number[];

  constructor(kind: Kind, channels: unknown, kernelSize: unknown, options: unknown) {
    const values = check(kind, channels, kernelSize, options);
    const { name, ndim, transposed } = kind;
    const extents = (option: string, least: number): readonly number[] =>
      spread(name, option, values[option] as Extents | undefined, ndim, least, least);
    const [kernel, stride, dilate] = [
      extents('kernelSize', 1),
      extents('strides', 1),
      extents('dilation', 1),
    ];
    const [pad, adj] = [extents('padding', 0), extents('outputPadding', 0)];
    if (transposed !== undefined)
      for (const [i, a] of adj.entries())
        if (a >= Math.max(stride[i] as number, dilate[i] as number))
          throw new ShapeError(
            `expected outputPadding below the stride ${stride[i]} (or the dilation), received ${a}. Use a smaller one.`,
            { op: name },
          );
    const [outputs, inputs] = [
      integerArg(name, values, 'channels'),
      integerArg(name, values, 'inChannels', 0),
    ];
    const groups = integerArg(name, values, 'groups', 1);
    super(name, values, weightShape(kind, inputs, outputs, groups, kernel), outputs, 'conv');
    this.#kind = kind;
    this.#channels = outputs;
    this.#kernel = kernel;
    this.#geometry = { stride, pad, dilate, groups };
    this.#adj = adj;
  }

  override inferShape(x: NDArray): void {
    const { shape } = bodyOf(x, this.#kind.name);
    this.#checkInput(shape);
    const { groups } = this.#geometry;
    if (shape[1] % groups !== 0)
      throw new ShapeError(
        `expected input with channels divisible by ${groups} groups, received ${shapeText(shape)}. Choose another number of groups.`,
        { op: stateOf(this).className },
      );
    this.weight.shape = weightShape(this.#kind, shape[1], this.#channels, groups, this.#kernel);
  }

  override forward(x: NDArray): NDArray {
    this.#checkInput(bodyOf(x, this.#kind.name).shape);
    const { context } = x;
    const weight = this.weight.data(context);
    const bias = this.biasOn(context);
    const { transposed } = this.#kind;
    return this.activated(
      transposed === undefined
        ? convolve(x, weight, bias, this.#geometry)
        : transposed(x, weight, bias, this.#geometry, this.#adj),
    );
  }

  override toString(): string {
    const { shape } = this.weight;
    const other = (values: readonly number[], usual: number): boolean => values.some((v) => v !== usual);
    const { stride, pad, dilate, groups } = this.#geometry;
    const parts = [
      `${extentOrNone(shape[1])} -> ${shape[0]}`,
      `kernel_size=${shapeText(this.#kernel)}`,
      `stride=${shapeText(stride)}`,
    ];
    if (other(pad, 0)) parts.push(`padding=${shapeText(pad)}`);
    if (other(dilate, 1)) parts.push(`dilation=${shapeText(dilate)}`);
    if (other(this.#adj, 0)) parts.push(`output_padding=${shapeText(this.#adj)}`);
    if (groups !== 1) parts.push(`groups=${groups}`);
    if (!Object.hasOwn(this, 'bias')) parts.push('bias=False');
    return `${stateOf(this).className}(${parts.join(', ')})`;
  }

  #checkInput(shape: readonly number[]): void {
    const { ndim, transposed } = this.#kind;
    const { pad, dilate, groups } = this.#geometry;
    const op = stateOf(this).className;
    const wanted = checkAxes(op, shape, ndim);
    const { shape: weight } = this.weight;
    const channels = transposed === undefined ? weight[1] * groups : weight[0];
    if (channels !== 0 && shape[1] !== channels)
      throw new ShapeError(
        `expected input of shape (${['N', channels, ...wanted.slice(2)].join(', ')}), received ${shapeText(shape)}. Channels come second; check inChannels or the layer before.`,
        { op },
      );
    if (transposed !== undefined) return;
    for (let i = 0; i < ndim; i++) {
      const reach = (dilate[i] as number) * ((this.#kernel[i] as number) - 1) + 1;
      const padded = (shape[i + 2] as number) + 2 * (pad[i] as number);
      if (padded < reach)
        throw new ShapeError(
          `expected an input at least as large as the kernel, ${reach} along ${wanted[i + 2]}, received ${shapeText(shape)}${padded === shape[i + 2] ? '' : ` (${padded} with padding)`}. Pad more, or use a smaller kernel.`,
          { op },
        );
    }
  }
}

type Channels<O> = number | (O & Positional);
type Kernel = Extents | undefined;

/**
 * Cross-correlation over (N, C, W) with weight (channels, C / groups, k).
 * Output extent ⌊(W + 2·padding − dilation·(k − 1) − 1) / stride⌋ + 1.
 */
export class Conv1D extends Conv {
  static override readonly kind: string = 'Conv1D';

  constructor(channels: number, kernelSize: Extents, options?: ConvOptions);
  constructor(options: ConvOptions & Positional);
  constructor(channels: Channels<ConvOptions>, kernelSize?: Kernel, options?: ConvOptions) {
    super({ name: 'Conv1D', ndim: 1 }, channels, kernelSize, options);
  }
}

/**
 * Cross-correlation over (N, C, H, W) with weight (channels, C / groups, kh, kw).
 * Output extents ⌊(H + 2·padding − dilation·(kh − 1) − 1) / stride⌋ + 1.
 *
 * @example
 * new nn.Conv2D(6, 5, { activation: 'relu' });
 * new nn.Conv2D(16, [3, 5], { strides: 2, padding: [1, 2] });
 */
export class Conv2D extends Conv {
  static override readonly kind: string = 'Conv2D';

  constructor(channels: number, kernelSize: Extents, options?: ConvOptions);
  constructor(options: ConvOptions & Positional);
  constructor(channels: Channels<ConvOptions>, kernelSize?: Kernel, options?: ConvOptions) {
    super({ name: 'Conv2D', ndim: 2 }, channels, kernelSize, options);
  }
}

/** Cross-correlation over (N, C, D, H, W) with weight (channels, C / groups, kd, kh, kw). */
export class Conv3D extends Conv {
  static override readonly kind: string = 'Conv3D';

  constructor(channels: number, kernelSize: Extents, options?: ConvOptions);
  constructor(options: ConvOptions & Positional);
  constructor(channels: Channels<ConvOptions>, kernelSize?: Kernel, options?: ConvOptions) {
    super({ name: 'Conv3D', ndim: 3 }, channels, kernelSize, options);
  }
}

/**
 * Transposed convolution over (N, C, W) with weight (C, channels / groups, k).
 * Output extent stride·(W − 1) + dilation·(k − 1) + 1 − 2·padding + outputPadding.
 */
export class Conv1DTranspose extends Conv {
  static override readonly kind: string = 'Conv1DTranspose';

  constructor(channels: number, kernelSize: Extents, options?: ConvTransposeOptions);
  constructor(options: ConvTransposeOptions & Positional);
  constructor(channels: Channels<ConvTransposeOptions>, kernelSize?: Kernel, options?: ConvTransposeOptions) {
    super({ name: 'Conv1DTranspose', ndim: 1, transposed: deconvolve }, channels, kernelSize, options);
  }
}

/** Transposed convolution over (N, C, H, W) with weight (C, channels / groups, kh, kw); extents as in `Conv1DTranspose`. */
export class Conv2DTranspose extends Conv {
  static override readonly kind: string = 'Conv2DTranspose';

  constructor(channels: number, kernelSize: Extents, options?: ConvTransposeOptions);
  constructor(options: ConvTransposeOptions & Positional);
  constructor(channels: Channels<ConvTransposeOptions>, kernelSize?: Kernel, options?: ConvTransposeOptions) {
    super({ name: 'Conv2DTranspose', ndim: 2, transposed: deconvolve }, channels, kernelSize, options);
  }
}

/** Transposed convolution over (N, C, D, H, W) with weight (C, channels / groups, kd, kh, kw); extents as in `Conv1DTranspose`. */
export class Conv3DTranspose extends Conv {
  static override readonly kind: string = 'Conv3DTranspose';

  constructor(channels: number, kernelSize: Extents, options?: ConvTransposeOptions);
  constructor(options: ConvTransposeOptions & Positional);
  constructor(channels: Channels<ConvTransposeOptions>, kernelSize?: Kernel, options?: ConvTransposeOptions) {
    super({ name: 'Conv3DTranspose', ndim: 3, transposed: deconvolve }, channels, kernelSize, options);
  }
}
