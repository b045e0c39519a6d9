// Convolutions and their transposes over one to three spatial axes, channels first.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { ShapeError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import { type ActivationKind, checkActivation } from '../../ops/activate.ts';
import { booleanArg, integerArg, readArgs } from '../../ops/args.ts';
import { convolution, deconvolution, type Extents, spread } from '../../ops/convolution.ts';
import type { BlockOptions } from '../block.ts';
import type { InitializerLike } from '../initByName.ts';
import { stateOf } from '../state.ts';
import { extentOrNone } from '../text.ts';
import { Activation } from './activations.ts';
import { BLOCK_OPTIONS, blockOptions, checkLayout, Layer } from './layer.ts';

/** Options of convolutions. A number serves for every spatial axis. */
export interface ConvOptions extends BlockOptions {
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
  /** Applied to the output; none by default. */
  readonly activation?: ActivationKind | null | undefined;
  readonly useBias?: boolean | undefined;
  readonly weightInitializer?: InitializerLike | null | undefined;
  /** 'zeros' by default. */
  readonly biasInitializer?: InitializerLike | null | undefined;
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

const NAMES = [
  'strides',
  'padding',
  'dilation',
  'groups',
  'layout',
  'activation',
  'useBias',
  'weightInitializer',
  'biasInitializer',
  'inChannels',
  ...BLOCK_OPTIONS,
];
const LAYOUTS = ['NCW', 'NCHW', 'NCDHW'] as const;

/** What differs between convolutions of different kinds. */
interface Kind {
  readonly name: string;
  readonly ndim: 1 | 2 | 3;
  readonly transposed: boolean;
}

function check(
  kind: Kind,
  channels: unknown,
  kernelSize: unknown,
  options: unknown,
): Record<string, unknown> {
  const names = kind.transposed ? ['outputPadding', ...NAMES] : NAMES;
  const values = readArgs(kind.name, [channels, kernelSize, options], ['channels', 'kernelSize'], names);
  integerArg(kind.name, values, 'channels', undefined, 1);
  if (values['kernelSize'] === undefined)
    throw new ShapeError('expected kernelSize, received none. Write e.g. new nn.Conv2D(6, 5).', {
      op: kind.name,
    });
  if (typeof values['kernelSize'] !== 'number' && !Array.isArray(values['kernelSize']))
    throw new ShapeError(
      `expected kernelSize as a number or one for each spatial axis, received ${describe(values['kernelSize'])}. Write e.g. new nn.Conv2D(6, 5).`,
      { op: kind.name },
    );
  checkLayout(kind.name, values['layout'], LAYOUTS[kind.ndim - 1] as string);
  const groups = integerArg(kind.name, values, 'groups', 1, 1);
  for (const name of ['channels', 'inChannels'])
    if (integerArg(kind.name, values, name, 0, 0) % groups !== 0)
      throw new ShapeError(
        `expected ${name} divisible by ${groups} groups, received ${String(values[name])}. Choose other numbers.`,
        { op: kind.name },
      );
  if (values['activation'] !== undefined && values['activation'] !== null)
    checkActivation(kind.name, values['activation']);
  return values;
}

/** Every convolution: what to compute is in `forward`, the rest is names and shapes. */
class Conv extends Layer {
  static override readonly kind: string = 'Conv';
  /** The activation's block, where there is one. */
  declare act: Activation | undefined;
  readonly #kind: Kind;
  readonly #channels: number;
  readonly #groups: number;
  readonly #kernel: readonly number[];
  readonly #stride: readonly number[];
  readonly #pad: readonly number[];
  readonly #dilate: readonly number[];
  readonly #adj: readonly number[];

  constructor(kind: Kind, channels: unknown, kernelSize: unknown, options: unknown) {
    const values = check(kind, channels, kernelSize, options);
    const { name, ndim, transposed } = kind;
    const extents = (option: string, fallback: number, least: number): readonly number[] =>
      spread(name, option, values[option] as Extents | undefined, ndim, fallback, least);
    const [kernel, stride, dilate] = [
      extents('kernelSize', 1, 1),
      extents('strides', 1, 1),
      extents('dilation', 1, 1),
    ];
    const [pad, adj] = [extents('padding', 0, 0), extents('outputPadding', 0, 0)];
    const useBias = booleanArg(name, values, 'useBias', true);
    if (transposed)
      for (const [i, a] of adj.entries())
        if (a >= Math.max(stride[i] as number, dilate[i] as number))
          throw new ShapeError(
            `expected outputPadding below the stride ${stride[i]} (or the dilation), received ${a}. Use a smaller one.`,
            { op: name },
          );
    super(blockOptions(values), 'conv');
    this.#kind = kind;
    this.#channels = values['channels'] as number;
    this.#groups = integerArg(name, values, 'groups', 1);
    this.#kernel = kernel;
    this.#stride = stride;
    this.#pad = pad;
    this.#dilate = dilate;
    this.#adj = adj;
    const inputs = integerArg(name, values, 'inChannels', 0);
    const { weightInitializer, biasInitializer } = values as ConvOptions;
    this.weight = this.params.get('weight', { shape: this.#weightShape(inputs), init: weightInitializer });
    if (useBias)
      this.bias = this.params.get('bias', { shape: [this.#channels], init: biasInitializer ?? 'zeros' });
    const activation = (values['activation'] ?? null) as ActivationKind | null;
    if (activation !== null)
      this.act = this.nameScope(() => new Activation(activation, { prefix: `${activation}_` }));
  }

  override inferShape(x: NDArray): void {
    const { shape } = bodyOf(x, this.#kind.name);
    this.#checkInput(shape);
    if (shape[1] % this.#groups !== 0)
      throw new ShapeError(
        `expected input with channels divisible by ${this.#groups} groups, received ${shapeText(shape)}. Choose another number of groups.`,
        { op: stateOf(this).className },
      );
    this.weight.shape = this.#weightShape(shape[1]);
  }

  override forward(x: NDArray): NDArray {
    this.#checkInput(bodyOf(x, this.#kind.name).shape);
    const { context } = x;
    const weight = this.weight.data(context);
    const bias = (this.bias as typeof this.bias | undefined)?.data(context);
    const options = { stride: this.#stride, pad: this.#pad, dilate: this.#dilate, numGroup: this.#groups };
    const y = this.#kind.transposed
      ? deconvolution(x, weight, bias, { ...options, adj: this.#adj })
      : convolution(x, weight, bias, options);
    return this.act === undefined ? y : this.act(y);
  }

  override toString(): string {
    const { shape } = this.weight;
    const other = (values: readonly number[], usual: number): boolean => values.some((v) => v !== usual);
    const parts = [
      `${extentOrNone(shape[1])} -> ${shape[0]}`,
      `kernel_size=${shapeText(this.#kernel)}`,
      `stride=${shapeText(this.#stride)}`,
    ];
    if (other(this.#pad, 0)) parts.push(`padding=${shapeText(this.#pad)}`);
    if (other(this.#dilate, 1)) parts.push(`dilation=${shapeText(this.#dilate)}`);
    if (this.#kind.transposed && other(this.#adj, 0)) parts.push(`output_padding=${shapeText(this.#adj)}`);
    if (this.#groups !== 1) parts.push(`groups=${this.#groups}`);
    if (!Object.hasOwn(this, 'bias')) parts.push('bias=False');
    return `${stateOf(this).className}(${parts.join(', ')})`;
  }

  #weightShape(inChannels: number): number[] {
    const [outer, inner] = this.#kind.transposed
      ? [inChannels, this.#channels / this.#groups]
      : [this.#channels, inChannels / this.#groups];
    return [outer, inner, ...this.#kernel];
  }

  #checkInput(shape: readonly number[]): void {
    const { ndim, transposed } = this.#kind;
    const op = stateOf(this).className;
    const wanted = ['N', 'C', ...['D', 'H', 'W'].slice(3 - ndim)];
    if (shape.length !== ndim + 2)
      throw new ShapeError(
        `expected input of shape (${wanted.join(', ')}), received ${shapeText(shape)}. ` +
          (shape.length === ndim + 1
            ? 'Add the axis that is missing: x.expandDims(0) for one sample, x.expandDims(1) for one channel.'
            : 'Reshape it first.'),
        { op },
      );
    const { shape: weight } = this.weight;
    const channels = transposed ? weight[0] : weight[1] * this.#groups;
    if (channels !== 0 && shape[1] !== channels)
      throw new ShapeError(
        `expected input of shape (${['N', channels, ...wanted.slice(2)].join(', ')}), received ${shapeText(shape)}. Channels come second; check inChannels or the layer before.`,
        { op },
      );
    if (transposed) return;
    for (let i = 0; i < ndim; i++) {
      const reach = (this.#dilate[i] as number) * ((this.#kernel[i] as number) - 1) + 1;
      const padded = (shape[i + 2] as number) + 2 * (this.#pad[i] as number);
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
    super({ name: 'Conv1D', ndim: 1, transposed: false }, channels, kernelSize, options);
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
    super({ name: 'Conv2D', ndim: 2, transposed: false }, channels, kernelSize, options);
  }
}

/** Cross-correlation over (N, C, D, H, W) with weight (channels, C / groups, kd, kh, kw). */
export class Conv3D extends Conv {
  static override readonly kind: string = 'Conv3D';

  constructor(channels: number, kernelSize: Extents, options?: ConvOptions);
  constructor(options: ConvOptions & Positional);
  constructor(channels: Channels<ConvOptions>, kernelSize?: Kernel, options?: ConvOptions) {
    super({ name: 'Conv3D', ndim: 3, transposed: false }, channels, kernelSize, options);
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
    super({ name: 'Conv1DTranspose', ndim: 1, transposed: true }, channels, kernelSize, options);
  }
}

/** Transposed convolution over (N, C, H, W) with weight (C, channels / groups, kh, kw); extents as in `Conv1DTranspose`. */
export class Conv2DTranspose extends Conv {
  static override readonly kind: string = 'Conv2DTranspose';

  constructor(channels: number, kernelSize: Extents, options?: ConvTransposeOptions);
  constructor(options: ConvTransposeOptions & Positional);
  constructor(channels: Channels<ConvTransposeOptions>, kernelSize?: Kernel, options?: ConvTransposeOptions) {
    super({ name: 'Conv2DTranspose', ndim: 2, transposed: true }, channels, kernelSize, options);
  }
}

/** Transposed convolution over (N, C, D, H, W) with weight (C, channels / groups, kd, kh, kw); extents as in `Conv1DTranspose`. */
export class Conv3DTranspose extends Conv {
  static override readonly kind: string = 'Conv3DTranspose';

  constructor(channels: number, kernelSize: Extents, options?: ConvTransposeOptions);
  constructor(options: ConvTransposeOptions & Positional);
  constructor(channels: Channels<ConvTransposeOptions>, kernelSize?: Kernel, options?: ConvTransposeOptions) {
    super({ name: 'Conv3DTranspose', ndim: 3, transposed: true }, channels, kernelSize, options);
  }
}
