// ToTensor, Normalize, Cast, Compose: from pictures to what a net takes.
import { bodyOf, type NDArray } from '../../../../array/ndarray.ts';
import { checkDType, type DType, isFloat } from '../../../../core/dtype.ts';
import { ArgumentError, DTypeError, ShapeError } from '../../../../core/errors.ts';
import { describe, shapeText } from '../../../../core/shape.ts';
import { type HostArray, hostLike, layoutOf } from '../../../../nd/image/host.ts';
import { array as makeArray } from '../../../../nd/make.ts';
import { readArgs } from '../../../../ops/args.ts';
import { div, sub } from '../../../../ops/binary.ts';
import { astype, transpose } from '../../../../ops/moves.ts';
import { HybridBlock } from '../../../block.ts';
import { Lambda } from '../../../nn/basic.ts';
import type { ChainBlock } from '../../../nn/layer.ts';
import { Sequential } from '../../../nn/sequential.ts';
import type { BlockRole } from '../../../state.ts';
import { isBlock } from '../../../state.ts';
import { HOST, type HostForm, type HostTransform } from '../../batch.ts';
import { unlessChanged } from '../../hostForm.ts';

/**
 * Pictures (H, W, C) or (N, H, W, C) with values 0 … 255 as float32 (C, H, W) or (N, C, H, W) in [0, 1]: every value divided by 255.
 * @example new transforms.ToTensor()(image) // (28, 28, 1) uint8 → (1, 28, 28) float32
 */
export class ToTensor extends HybridBlock {
  static override readonly kind: string = 'ToTensor';
  static override readonly role: BlockRole = 'layer';

  override forward(x: NDArray): NDArray {
    const { shape } = bodyOf(x, 'ToTensor');
    layoutOf(shape, 'ToTensor');
    const scaled = div(astype(x, 'float32'), 255);
    return transpose(scaled, shape.length === 3 ? [2, 0, 1] : [0, 3, 1, 2]);
  }

  /** @internal */
  [HOST](): HostForm | undefined {
    return unlessChanged(this, ToTensor.prototype, toTensor);
  }
}

function toTensor(x: HostArray): HostArray {
  const { count, height, width, channels } = layoutOf(x.shape, 'ToTensor');
  const pixels = height * width;
  const y = hostLike('float32', [...x.shape.slice(0, -3), channels, height, width]);
  const [source, target] = [x.values, y.values];
  // 256 divisions instead of one for each pixel
  const table = x.dtype === 'uint8' ? Float32Array.from({ length: 256 }, (_, v) => v / 255) : undefined;
  const scaled = (v: number): number => (table === undefined ? Math.fround(v) / 255 : (table[v] as number));
  if (channels === 1) {
    if (table !== undefined)
      for (let i = 0; i < source.length; i++) target[i] = table[source[i] as number] as number;
    else for (let i = 0; i < source.length; i++) target[i] = scaled(source[i] as number);
    return y;
  }
  for (let n = 0; n < count; n++)
    for (let c = 0; c < channels; c++) {
      let from = n * pixels * channels + c;
      let to = (n * channels + c) * pixels;
      for (let i = 0; i < pixels; i++, from += channels) target[to++] = scaled(source[from] as number);
    }
  return y;
}

/** One number, or one for each channel. */
export type PerChannel = number | readonly number[];

function perChannel(value: unknown, name: string, fallback: number): readonly number[] {
  const list = value === undefined ? [fallback] : Array.isArray(value) ? (value as unknown[]) : [value];
  if (list.length === 0 || !list.every((v) => typeof v === 'number' && Number.isFinite(v)))
    throw new ArgumentError(
      `expected ${name} as a number or one for each channel, received ${describe(value)}. Write 0.13 or [0.485, 0.456, 0.406].`,
      { op: 'Normalize' },
    );
  return list as readonly number[];
}

/**
 * (x − mean) / std of float pictures (C, H, W) or (N, C, H, W); one number, or one for each channel.
 * @example new transforms.Normalize(0.13, 0.31)
 */
export class Normalize extends HybridBlock {
  static override readonly kind: string = 'Normalize';
  static override readonly role: BlockRole = 'layer';
  readonly #mean: readonly number[];
  readonly #std: readonly number[];

  constructor(
    mean?: PerChannel | { readonly mean?: PerChannel | undefined; readonly std?: PerChannel | undefined },
    std?: PerChannel,
  ) {
    const values = readArgs('Normalize', [mean, std], ['mean', 'std']);
    const [means, deviations] = [perChannel(values['mean'], 'mean', 0), perChannel(values['std'], 'std', 1)];
    if (deviations.includes(0))
      throw new ArgumentError('expected std other than 0, received 0. It is divided by.', {
        op: 'Normalize',
      });
    super();
    this.#mean = means;
    this.#std = deviations;
  }

  #check(shape: readonly number[], dtype: DType): number {
    if (!isFloat(dtype))
      throw new DTypeError(`expected float pictures, received ${dtype}. Put ToTensor or Cast before it.`, {
        op: 'Normalize',
      });
    if (shape.length !== 3 && shape.length !== 4)
      throw new ShapeError(
        `expected pictures of shape (C, H, W) or (N, C, H, W), received ${shapeText(shape)}. Put ToTensor before it.`,
        { op: 'Normalize' },
      );
    const channels = shape[shape.length - 3] as number;
    for (const [name, list] of [
      ['mean', this.#mean],
      ['std', this.#std],
    ] as const)
      if (list.length !== 1 && list.length !== channels)
        throw new ShapeError(
          `expected ${name} as one number or ${channels}, one for each channel of ${shapeText(shape)}, received ${list.length}. Channels come first: put ToTensor before it.`,
          { op: 'Normalize' },
        );
    return channels;
  }

  override forward(x: NDArray): NDArray {
    const { shape } = bodyOf(x, 'Normalize');
    this.#check(shape, x.dtype);
    const operand = (list: readonly number[]): NDArray | number =>
      list.length === 1
        ? (list[0] as number)
        : makeArray(list, { shape: [list.length, 1, 1], ctx: x.context, dtype: x.dtype });
    return div(sub(x, operand(this.#mean)), operand(this.#std));
  }

  /** @internal */
  [HOST](): HostForm | undefined {
    return unlessChanged(this, Normalize.prototype, (x) => {
      const channels = this.#check(x.shape, x.dtype);
      const pixels = (x.shape[x.shape.length - 2] as number) * (x.shape[x.shape.length - 1] as number);
      const y = hostLike(x.dtype, x.shape);
      // rounded as the operations on arrays round
      const round = x.dtype === 'float64' ? (v: number) => v : Math.fround;
      const own = (list: readonly number[], c: number): number =>
        round(list[list.length === 1 ? 0 : c] as number);
      const [source, target] = [x.values, y.values];
      const single = x.dtype !== 'float64';
      for (let at = 0, c = 0; at < source.length; at += pixels, c = (c + 1) % channels) {
        const [mean, std] = [own(this.#mean, c), own(this.#std, c)];
        if (single)
          for (let i = at; i < at + pixels; i++) target[i] = Math.fround((source[i] as number) - mean) / std;
        else for (let i = at; i < at + pixels; i++) target[i] = ((source[i] as number) - mean) / std;
      }
      return y;
    });
  }
}

/** Converts to a dtype; float32 by default. */
export class Cast extends HybridBlock {
  static override readonly kind: string = 'Cast';
  static override readonly role: BlockRole = 'layer';
  readonly #dtype: DType;

  constructor(dtype?: DType | { readonly dtype?: DType | undefined }) {
    const values = readArgs('Cast', [dtype], ['dtype']);
    const wanted = checkDType(values['dtype'] ?? 'float32', 'Cast');
    super();
    this.#dtype = wanted;
  }

  override forward(x: NDArray): NDArray {
    return astype(x, this.#dtype);
  }

  /** @internal Widening is a plain copy of numbers; what could round or wrap is left to the operation. */
  [HOST](): HostForm | undefined {
    if (this.#dtype !== 'float32' && this.#dtype !== 'float64') return undefined;
    return unlessChanged(this, Cast.prototype, (x) => {
      const y = hostLike(this.#dtype, x.shape);
      y.values.set(x.values);
      return y;
    });
  }
}

/**
 * Transforms one after the other; functions from an array to an array may stand among them.
 * @example new transforms.Compose([new transforms.ToTensor(), new transforms.Normalize(0.13, 0.31)])
 */
export class Compose extends Sequential {
  static override readonly kind: string = 'Compose';

  constructor(transforms: readonly (ChainBlock | ((x: NDArray) => NDArray))[]) {
    if (!Array.isArray(transforms))
      throw new ArgumentError(
        `expected a list of transforms, received ${describe(transforms)}. Write new transforms.Compose([a, b]).`,
        { op: 'Compose' },
      );
    super();
    for (const transform of transforms as readonly (ChainBlock | ((x: NDArray) => NDArray))[])
      this.add(
        isBlock(transform) || typeof transform !== 'function'
          ? (transform as ChainBlock)
          : (new Lambda(transform as (x: NDArray) => NDArray) as unknown as ChainBlock),
      );
  }

  /** @internal */
  [HOST](): HostForm | undefined {
    const forms: HostForm[] = [];
    for (const child of this) {
      const form = (child as Partial<HostTransform>)[HOST]?.();
      if (form === undefined) return undefined;
      forms.push(form);
    }
    return unlessChanged(this, Compose.prototype, (x, places) =>
      forms.reduce((y, form) => form(y, places), x),
    );
  }

  protected override emptyLike(): Sequential {
    return new Compose([]);
  }
}
