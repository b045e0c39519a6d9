// Transforms of colour. Formulas of MXNet 1.9 (src/operator/image/image_random-inl.h), with luma 0.299 R + 0.587 G + 0.114 B; uint8 is cut to 0 … 255 and towards zero, as
// there. One thing differs: MXNet's saturation takes the luma from blue alone, by mistake; here it is that of all three.
import { ArgumentError, ShapeError } from '../../../../core/errors.ts';
import { shapeText } from '../../../../core/shape.ts';
import { type HostArray, hostLike, layoutOf } from '../../../../nd/image/host.ts';
import { numberArg, readArgs } from '../../../../ops/args.ts';
import type { Chance } from '../../chance.ts';
import { integerIn, uniformIn } from '../../stream.ts';
import { eachPicture, PictureTransform } from './base.ts';

type Chances = (place: number) => Chance;
type Change = (picture: HostArray, amount: number) => HostArray;

const LUMA = [0.299, 0.587, 0.114] as const;

/** A value as a dtype holds it. */
function keeper(dtype: HostArray['dtype']): (v: number) => number {
  if (dtype === 'uint8') return (v) => Math.trunc(Math.max(0, Math.min(255, v)));
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16' ? (v) => v : Math.trunc;
}

function colours(x: HostArray, op: string): 1 | 3 {
  const { channels } = layoutOf(x.shape, op);
  if (channels === 1 || channels === 3) return channels;
  throw new ShapeError(
    `expected pictures of 1 or 3 channels, received ${shapeText(x.shape)}. Drop the transparency first.`,
    { op },
  );
}

function luma(x: HostArray, at: number): number {
  return (
    LUMA[0] * (x.values[at] as number) +
    LUMA[1] * (x.values[at + 1] as number) +
    LUMA[2] * (x.values[at + 2] as number)
  );
}

/** x·amount. */
function brightness(x: HostArray, amount: number): HostArray {
  const y = hostLike(x.dtype, x.shape);
  const keep = keeper(x.dtype);
  for (let i = 0; i < x.values.length; i++) y.values[i] = keep((x.values[i] as number) * amount);
  return y;
}

/** x·amount + (1 − amount)·(the picture's mean luma). */
function contrast(x: HostArray, amount: number): HostArray {
  const y = hostLike(x.dtype, x.shape);
  const keep = keeper(x.dtype);
  const channels = colours(x, 'RandomContrast');
  const pixels = x.values.length / channels;
  let sum = 0;
  for (let i = 0; i < pixels; i++) sum += channels === 1 ? (x.values[i] as number) : luma(x, i * 3);
  const shift = (1 - amount) * (sum / pixels);
  for (let i = 0; i < x.values.length; i++) y.values[i] = keep((x.values[i] as number) * amount + shift);
  return y;
}

/** x·amount + (1 − amount)·(the pixel's luma). */
function saturation(x: HostArray, amount: number): HostArray {
  if (colours(x, 'RandomSaturation') === 1) return x;
  const y = hostLike(x.dtype, x.shape);
  const keep = keeper(x.dtype);
  for (let i = 0; i < x.values.length; i += 3) {
    const gray = luma(x, i) * (1 - amount);
    for (let c = 0; c < 3; c++) y.values[i + c] = keep((x.values[i + c] as number) * amount + gray);
  }
  return y;
}

/** Turns the hue by `amount` of a whole turn, in HLS. Values are 0 … 255. */
function hue(x: HostArray, amount: number): HostArray {
  if (colours(x, 'RandomHue') === 1) return x;
  const y = hostLike(x.dtype, x.shape);
  const keep = keeper(x.dtype);
  for (let i = 0; i < x.values.length; i += 3) {
    const r = (x.values[i] as number) / 255;
    const g = (x.values[i + 1] as number) / 255;
    const b = (x.values[i + 2] as number) / 255;
    const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)];
    const spread = most - least;
    const light = (most + least) / 2;
    let turned = [light, light, light];
    if (spread > 2 ** -23) {
      const strength = light < 0.5 ? spread / (most + least) : spread / (2 - most - least);
      // the hue in sixths of a turn
      const sixths = most === r ? (g - b) / spread : most === g ? 2 + (b - r) / spread : 4 + (r - g) / spread;
      const high = light <= 0.5 ? light * (1 + strength) : light + strength - light * strength;
      const low = 2 * light - high;
      const channel = (at: number): number => {
        const place = ((at % 6) + 6) % 6;
        if (place < 1) return low + (high - low) * place;
        if (place < 3) return high;
        return place < 4 ? low + (high - low) * (4 - place) : low;
      };
      const at = sixths + 6 * amount;
      turned = [channel(at + 2), channel(at), channel(at - 2)];
    }
    for (let c = 0; c < 3; c++) y.values[i + c] = keep((turned[c] as number) * 255);
  }
  return y;
}

function amountArg(values: Record<string, unknown>, name: string, op: string, fallback?: number): number {
  const amount = numberArg(op, values, name, fallback);
  if (!(amount >= 0 && Number.isFinite(amount)))
    throw new ArgumentError(
      `expected ${name} ≥ 0, received ${amount}. It is how far the factor strays from 1.`,
      {
        op,
      },
    );
  return amount;
}

/** A random factor from max(0, 1 − amount) to 1 + amount. */
function factor(draw: Chance, amount: number): number {
  return uniformIn(draw, Math.max(0, 1 - amount), 1 + amount);
}

type AmountArg<N extends string> = number | { readonly [K in N]: number };

/** Multiplies pictures by a random factor from max(0, 1 − brightness) to 1 + brightness. */
export class RandomBrightness extends PictureTransform {
  static override readonly kind: string = 'RandomBrightness';
  readonly #amount: number;

  constructor(amount: AmountArg<'brightness'>) {
    const op = 'RandomBrightness';
    const checked = amountArg(readArgs(op, [amount], ['brightness']), 'brightness', op);
    super();
    this.#amount = checked;
  }

  protected override change(x: HostArray, chance: Chances): HostArray {
    return eachPicture(x, chance, (picture, draw) => brightness(picture, factor(draw, this.#amount)));
  }
}

/** Moves pictures towards or away from their mean luma by a random factor from max(0, 1 − contrast) to 1 + contrast. */
export class RandomContrast extends PictureTransform {
  static override readonly kind: string = 'RandomContrast';
  readonly #amount: number;

  constructor(amount: AmountArg<'contrast'>) {
    const op = 'RandomContrast';
    const checked = amountArg(readArgs(op, [amount], ['contrast']), 'contrast', op);
    super();
    this.#amount = checked;
  }

  protected override change(x: HostArray, chance: Chances): HostArray {
    return eachPicture(x, chance, (picture, draw) => contrast(picture, factor(draw, this.#amount)));
  }
}

/** Moves colours towards or away from gray by a random factor from max(0, 1 − saturation) to 1 + saturation. */
export class RandomSaturation extends PictureTransform {
  static override readonly kind: string = 'RandomSaturation';
  readonly #amount: number;

  constructor(amount: AmountArg<'saturation'>) {
    const op = 'RandomSaturation';
    const checked = amountArg(readArgs(op, [amount], ['saturation']), 'saturation', op);
    super();
    this.#amount = checked;
  }

  protected override change(x: HostArray, chance: Chances): HostArray {
    return eachPicture(x, chance, (picture, draw) => saturation(picture, factor(draw, this.#amount)));
  }
}

/** Turns hues by a random part of a whole turn, from −hue to hue. Values are 0 … 255. */
export class RandomHue extends PictureTransform {
  static override readonly kind: string = 'RandomHue';
  readonly #amount: number;

  constructor(amount: AmountArg<'hue'>) {
    const op = 'RandomHue';
    const checked = amountArg(readArgs(op, [amount], ['hue']), 'hue', op);
    super();
    this.#amount = checked;
  }

  protected override change(x: HostArray, chance: Chances): HostArray {
    return eachPicture(x, chance, (picture, draw) =>
      hue(picture, uniformIn(draw, -this.#amount, this.#amount)),
    );
  }
}

const JITTERS = ['brightness', 'contrast', 'saturation', 'hue'] as const;
type Jitter = (typeof JITTERS)[number];
const CHANGES: Readonly<Record<Jitter, Change>> = { brightness, contrast, saturation, hue };

/** Brightness, contrast, saturation and hue at random, in random order; each 0 (off) by default. */
export class RandomColorJitter extends PictureTransform {
  static override readonly kind: string = 'RandomColorJitter';
  readonly #amounts: readonly (readonly [Jitter, number])[];

  constructor(
    brightness?: number | { readonly [K in Jitter]?: number | undefined },
    contrast?: number | { readonly [K in Exclude<Jitter, 'brightness'>]?: number | undefined },
    saturation?: number | { readonly saturation?: number | undefined; readonly hue?: number | undefined },
    hue?: number | { readonly hue?: number | undefined },
  ) {
    const op = 'RandomColorJitter';
    const values = readArgs(op, [brightness, contrast, saturation, hue], JITTERS);
    const amounts = JITTERS.map((name) => [name, amountArg(values, name, op, 0)] as const);
    super();
    this.#amounts = amounts.filter(([, amount]) => amount > 0);
  }

  protected override change(x: HostArray, chance: Chances): HostArray {
    return eachPicture(x, chance, (picture, draw) => {
      const order = [...this.#amounts];
      for (let i = order.length - 1; i > 0; i--) {
        const j = integerIn(draw, 0, i);
        [order[i], order[j]] = [order[j] as (typeof order)[number], order[i] as (typeof order)[number]];
      }
      return order.reduce(
        (y, [name, amount]) =>
          CHANGES[name](y, name === 'hue' ? uniformIn(draw, -amount, amount) : factor(draw, amount)),
        picture,
      );
    });
  }
}
