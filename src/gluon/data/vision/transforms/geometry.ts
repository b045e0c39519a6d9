// Transforms that move pixels: sizes, cuts, mirrors. Rules and defaults of MXNet 1.9's gluon.data.vision.transforms and mxnet.image.
import { ArgumentError } from '../../../../core/errors.ts';
import { describe } from '../../../../core/shape.ts';
import { type HostArray, layoutOf } from '../../../../nd/image/host.ts';
import {
  checkInterpolation,
  crop,
  type Interpolation,
  type InterpolationLike,
  mirror,
  padPixels,
  scaleDown,
} from '../../../../nd/image/resample.ts';
import {
  centerCropHost,
  fixedCropHost,
  resizeHost,
  type SizeLike,
  shortSize,
  sizeArg,
} from '../../../../nd/image/size.ts';
import { booleanArg, numberArg, readArgs } from '../../../../ops/args.ts';
import type { Chance } from '../../chance.ts';
import { integerIn, uniformIn } from '../../stream.ts';
import { eachPicture, PictureTransform } from './base.ts';

type Chances = (place: number) => Chance;

/** Options of transforms that may scale. */
export interface ScaleOptions {
  /** 0 nearest, 1 bilinear (default), 2 by area, 3 bicubic. */
  readonly interpolation?: InterpolationLike | undefined;
}

function interpolationArg(values: Record<string, unknown>, op: string): Interpolation {
  return checkInterpolation(values['interpolation'] ?? 1, op);
}

/**
 * Pictures of another size: a number for both sides (with `keepRatio` for the shorter one), or [width, height].
 * @example new transforms.Resize(224, { keepRatio: true })
 */
export class Resize extends PictureTransform {
  static override readonly kind: string = 'Resize';
  readonly #size: readonly [number, number];
  readonly #short: boolean;
  readonly #interpolation: Interpolation;

  constructor(
    size: SizeLike | ({ readonly size: SizeLike; readonly keepRatio?: boolean | undefined } & ScaleOptions),
    keepRatio?: boolean | ({ readonly keepRatio?: boolean | undefined } & ScaleOptions),
    interpolation?: InterpolationLike | ScaleOptions,
  ) {
    const op = 'Resize';
    const values = readArgs(op, [size, keepRatio, interpolation], ['size', 'keepRatio', 'interpolation']);
    const wanted = sizeArg(values['size'], op);
    const short = booleanArg(op, values, 'keepRatio', false) && typeof values['size'] === 'number';
    const how = interpolationArg(values, op);
    super();
    this.#size = wanted;
    this.#short = short;
    this.#interpolation = how;
  }

  protected override change(x: HostArray, _chance: Chances, op: string): HostArray {
    const { width, height } = layoutOf(x.shape, op);
    const [w, h] = this.#short ? shortSize(width, height, this.#size[0]) : this.#size;
    return resizeHost(x, w, h, this.#interpolation, op);
  }
}

type CropArgs = [
  size: SizeLike | ({ readonly size: SizeLike } & ScaleOptions),
  interpolation?: InterpolationLike | ScaleOptions,
];

/** The middle of pictures, `size` or [width, height]; of smaller ones the largest part of the same proportions, scaled up. */
export class CenterCrop extends PictureTransform {
  static override readonly kind: string = 'CenterCrop';
  readonly #size: readonly [number, number];
  readonly #interpolation: Interpolation;

  constructor(...args: CropArgs) {
    const values = readArgs('CenterCrop', args, ['size', 'interpolation']);
    const size = sizeArg(values['size'], 'CenterCrop');
    const how = interpolationArg(values, 'CenterCrop');
    super();
    this.#size = size;
    this.#interpolation = how;
  }

  protected override change(x: HostArray, _chance: Chances, op: string): HostArray {
    return centerCropHost(x, this.#size, this.#interpolation, op).y;
  }
}

/** The part of pictures that begins at (x, y), `width` × `height`, scaled to `size` where one is given. */
export class CropResize extends PictureTransform {
  static override readonly kind: string = 'CropResize';
  readonly #values: Record<string, unknown>;

  constructor(
    x: number,
    y: number,
    width: number,
    height: number,
    size?: SizeLike | ({ readonly size?: SizeLike | undefined } & ScaleOptions),
    interpolation?: InterpolationLike | ScaleOptions,
  ) {
    const op = 'CropResize';
    const names = ['x0', 'y0', 'width', 'height', 'size', 'interpolation'];
    const values = readArgs(op, [x, y, width, height, size, interpolation], names);
    const how = interpolationArg(values, op);
    if (values['size'] !== undefined) sizeArg(values['size'], op);
    super();
    this.#values = { ...values, interpolation: how };
  }

  protected override change(x: HostArray, _chance: Chances, op: string): HostArray {
    return fixedCropHost(x, this.#values, op);
  }
}

/** Borders of one width, or [[top, bottom], [left, right]]. */
export type Padding = number | readonly [readonly [number, number], readonly [number, number]];

function padding(value: unknown, op: string): readonly [number, number, number, number] | undefined {
  if (value === undefined || value === null) return undefined;
  const whole = (n: unknown): n is number => typeof n === 'number' && Number.isInteger(n) && n >= 0;
  if (whole(value)) return value === 0 ? undefined : [value, value, value, value];
  const list = Array.isArray(value) ? (value.slice(0, 2).flat() as unknown[]) : [];
  if (list.length === 4 && list.every(whole)) return list as [number, number, number, number];
  throw new ArgumentError(
    `expected pad as a whole number ≥ 0 or [[top, bottom], [left, right]], received ${describe(value)}. Write 4, say.`,
    { op },
  );
}

/**
 * A part of pictures at a random place, `size` or [width, height], after a border of `pad` zeros (`padValue`) was put around them.
 * @example new transforms.RandomCrop(32, { pad: 4 })
 */
export class RandomCrop extends PictureTransform {
  static override readonly kind: string = 'RandomCrop';
  readonly #size: readonly [number, number];
  readonly #pad: readonly [number, number, number, number] | undefined;
  readonly #padValue: number;
  readonly #interpolation: Interpolation;

  constructor(
    size:
      | SizeLike
      | ({
          readonly size: SizeLike;
          readonly pad?: Padding | null | undefined;
          readonly padValue?: number | undefined;
        } & ScaleOptions),
    pad?:
      | Padding
      | null
      | ({
          readonly pad?: Padding | null | undefined;
          readonly padValue?: number | undefined;
        } & ScaleOptions),
    interpolation?: InterpolationLike | ({ readonly padValue?: number | undefined } & ScaleOptions),
  ) {
    const op = 'RandomCrop';
    const values = readArgs(
      op,
      [size, pad ?? undefined, interpolation],
      ['size', 'pad', 'interpolation'],
      ['padValue'],
    );
    const wanted = sizeArg(values['size'], op);
    const borders = padding(values['pad'], op);
    const fill = numberArg(op, values, 'padValue', 0);
    const how = interpolationArg(values, op);
    super();
    this.#size = wanted;
    this.#pad = borders;
    this.#padValue = fill;
    this.#interpolation = how;
  }

  protected override change(x: HostArray, chance: Chances, op: string): HostArray {
    const source = this.#pad === undefined ? x : padPixels(x, ...this.#pad, this.#padValue);
    const { width, height } = layoutOf(source.shape, op);
    const [w, h] = scaleDown(width, height, this.#size);
    return eachPicture(source, chance, (picture, draw) => {
      const x0 = integerIn(draw, 0, width - w);
      const y0 = integerIn(draw, 0, height - h);
      const cut = crop(picture, x0, y0, w, h);
      return w === this.#size[0] && h === this.#size[1]
        ? cut
        : resizeHost(cut, ...this.#size, this.#interpolation, op);
    });
  }
}

function range(
  value: unknown,
  fallback: readonly [number, number],
  name: string,
  op: string,
): [number, number] {
  const pair = value === undefined ? fallback : value;
  if (
    Array.isArray(pair) &&
    pair.length === 2 &&
    pair.every((v) => typeof v === 'number' && v > 0 && Number.isFinite(v)) &&
    pair[0] <= pair[1]
  )
    return pair as [number, number];
  throw new ArgumentError(
    `expected ${name} as [least, most], both above 0, received ${describe(value)}. Write e.g. [${fallback.join(', ')}].`,
    { op },
  );
}

/**
 * A part of pictures of random area (`scale`, shares of the whole) and proportions (`ratio`, width / height), scaled to `size`. Where ten tries find none that fits, the middle.
 * Szegedy et al., 2015.
 */
export class RandomResizedCrop extends PictureTransform {
  static override readonly kind: string = 'RandomResizedCrop';
  readonly #size: readonly [number, number];
  readonly #scale: readonly [number, number];
  readonly #ratio: readonly [number, number];
  readonly #interpolation: Interpolation;

  constructor(
    size: SizeLike,
    options?: {
      /** [0.08, 1] by default. */
      readonly scale?: readonly [number, number] | undefined;
      /** [3/4, 4/3] by default. */
      readonly ratio?: readonly [number, number] | undefined;
    } & ScaleOptions,
  ) {
    const op = 'RandomResizedCrop';
    const values = readArgs(op, [size, options], ['size', 'scale', 'ratio', 'interpolation']);
    const wanted = sizeArg(values['size'], op);
    const scale = range(values['scale'], [0.08, 1], 'scale', op);
    const ratio = range(values['ratio'], [3 / 4, 4 / 3], 'ratio', op);
    const how = interpolationArg(values, op);
    super();
    this.#size = wanted;
    this.#scale = scale;
    this.#ratio = ratio;
    this.#interpolation = how;
  }

  protected override change(x: HostArray, chance: Chances, op: string): HostArray {
    return eachPicture(x, chance, (picture, draw) => {
      const { width, height } = layoutOf(picture.shape, op);
      for (let attempt = 0; attempt < 10; attempt++) {
        const area = uniformIn(draw, ...this.#scale) * width * height;
        const ratio = Math.exp(uniformIn(draw, Math.log(this.#ratio[0]), Math.log(this.#ratio[1])));
        const [w, h] = [Math.round(Math.sqrt(area * ratio)), Math.round(Math.sqrt(area / ratio))];
        if (w < 1 || h < 1 || w > width || h > height) continue;
        const cut = crop(picture, integerIn(draw, 0, width - w), integerIn(draw, 0, height - h), w, h);
        return resizeHost(cut, ...this.#size, this.#interpolation, op);
      }
      return centerCropHost(picture, this.#size, this.#interpolation, op).y;
    });
  }
}

abstract class RandomFlip extends PictureTransform {
  readonly #p: number;
  protected abstract readonly axis: 'leftRight' | 'topBottom';

  constructor(op: string, p: number | { readonly p?: number | undefined } | undefined) {
    const values = readArgs(op, [p], ['p']);
    const probability = numberArg(op, values, 'p', 0.5);
    if (!(probability >= 0 && probability <= 1))
      throw new ArgumentError(`expected p from 0 to 1, received ${probability}. It is a probability.`, {
        op,
      });
    super();
    this.#p = probability;
  }

  protected override change(x: HostArray, chance: Chances): HostArray {
    return eachPicture(x, chance, (picture, draw) =>
      draw.uniform() < this.#p ? mirror(picture, this.axis) : picture,
    );
  }
}

/** Mirrors pictures left to right with probability `p`, 0.5 by default. */
export class RandomFlipLeftRight extends RandomFlip {
  static override readonly kind: string = 'RandomFlipLeftRight';
  protected override get axis(): 'leftRight' {
    return 'leftRight';
  }

  constructor(p?: number | { readonly p?: number | undefined }) {
    super('RandomFlipLeftRight', p);
  }
}

/** Mirrors pictures top to bottom with probability `p`, 0.5 by default. */
export class RandomFlipTopBottom extends RandomFlip {
  static override readonly kind: string = 'RandomFlipTopBottom';
  protected override get axis(): 'topBottom' {
    return 'topBottom';
  }

  constructor(p?: number | { readonly p?: number | undefined }) {
    super('RandomFlipTopBottom', p);
  }
}
