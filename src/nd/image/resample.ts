// Pictures of another size: what cv::resize computes, in loops over rows and columns with the weights of each target pixel in a table. Coordinates are those
// of pixel centres, (i + ½)·scale − ½, and the border is repeated. Also cutting and mirroring, which move whole rows.
//
// Formulas: OpenCV's documentation of cv::resize (INTER_NEAREST, INTER_LINEAR, INTER_AREA, INTER_CUBIC with a = −0.75). OpenCV weighs uint8 in 11-bit fixed
// point; here the weighted sum is exact and then rounded to the nearest (halves up), so single values of uint8 may differ by 1 from OpenCV's.
import { ArgumentError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import { type HostArray, hostLike, layoutOf, resized } from './host.ts';

/** OpenCV's numbers: 0 nearest, 1 bilinear, 2 by area, 3 bicubic. */
export type Interpolation = 0 | 1 | 2 | 3;

const NAMES = { nearest: 0, bilinear: 1, area: 2, bicubic: 3 } as const;

/** An interpolation by its number, as in Gluon, or by name. */
export type InterpolationLike = Interpolation | keyof typeof NAMES;

export function checkInterpolation(value: unknown, op: string): Interpolation {
  if (typeof value === 'string' && Object.hasOwn(NAMES, value)) return NAMES[value as keyof typeof NAMES];
  if (value === 0 || value === 1 || value === 2 || value === 3) return value;
  throw new ArgumentError(
    `expected interpolation 0 ('nearest'), 1 ('bilinear'), 2 ('area') or 3 ('bicubic'), received ${describe(value)}. Choose one of them.`,
    { op },
  );
}

/** For each target place its source places and their weights, `taps` of each. */
interface Taps {
  readonly taps: number;
  readonly places: Int32Array;
  readonly weights: Float64Array;
}

function nearest(from: number, to: number): Taps {
  const places = Int32Array.from({ length: to }, (_, i) => Math.min(from - 1, Math.floor((i * from) / to)));
  return { taps: 1, places, weights: new Float64Array(to).fill(1) };
}

function linear(from: number, to: number, byArea: boolean): Taps {
  const places = new Int32Array(2 * to);
  const weights = new Float64Array(2 * to);
  for (let i = 0; i < to; i++) {
    let at: number;
    let right: number;
    if (byArea) {
      // an enlargement by area: OpenCV's own coordinates
      at = Math.floor((i * from) / to);
      right = i + 1 - ((at + 1) * to) / from;
      right = right <= 0 ? 0 : right - Math.floor(right);
    } else {
      const x = ((i + 0.5) * from) / to - 0.5;
      at = Math.floor(x);
      right = x - at;
    }
    if (at < 0) [at, right] = [0, 0];
    if (at >= from - 1) [at, right] = [from - 1, 0];
    places[2 * i] = at;
    places[2 * i + 1] = Math.min(at + 1, from - 1);
    weights[2 * i] = 1 - right;
    weights[2 * i + 1] = right;
  }
  return { taps: 2, places, weights };
}

function cubic(from: number, to: number): Taps {
  const a = -0.75;
  const places = new Int32Array(4 * to);
  const weights = new Float64Array(4 * to);
  for (let i = 0; i < to; i++) {
    const x = ((i + 0.5) * from) / to - 0.5;
    const at = Math.floor(x);
    const t = x - at;
    const near = (d: number): number => ((a + 2) * d - (a + 3)) * d * d + 1;
    const far = (d: number): number => ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
    const row = [far(t + 1), near(t), near(1 - t)];
    row.push(1 - (row[0] as number) - (row[1] as number) - (row[2] as number));
    for (let k = 0; k < 4; k++) {
      places[4 * i + k] = Math.max(0, Math.min(from - 1, at - 1 + k));
      weights[4 * i + k] = row[k] as number;
    }
  }
  return { taps: 4, places, weights };
}

/** Each target pixel is the mean of the part of the source that it covers. */
function area(from: number, to: number): Taps {
  const scale = from / to;
  const taps = Math.ceil(scale) + 1;
  const places = new Int32Array(taps * to);
  const weights = new Float64Array(taps * to);
  for (let i = 0; i < to; i++) {
    const [begin, end] = [i * scale, Math.min(from, (i + 1) * scale)];
    const first = Math.floor(begin + 1e-9);
    for (let k = 0; k < taps; k++) {
      const at = first + k;
      const covered = Math.min(end, at + 1) - Math.max(begin, at);
      places[i * taps + k] = Math.min(at, from - 1);
      weights[i * taps + k] = Math.max(0, covered) / (end - begin);
    }
  }
  return { taps, places, weights };
}

function tapsOf(from: number, to: number, interpolation: Interpolation, shrinks: boolean): Taps {
  switch (interpolation) {
    case 0:
      return nearest(from, to);
    case 1:
      return linear(from, to, false);
    case 2:
      return shrinks ? area(from, to) : linear(from, to, true);
    case 3:
      return cubic(from, to);
  }
}

/** What an integer dtype holds of a number: the nearest, within its range. */
function rounder(dtype: HostArray['dtype']): ((v: number) => number) | undefined {
  const range = {
    uint8: [0, 255],
    int8: [-128, 127],
    int32: [-(2 ** 31), 2 ** 31 - 1],
    uint32: [0, 2 ** 32 - 1],
  };
  if (!Object.hasOwn(range, dtype)) return undefined;
  const [low, high] = range[dtype as keyof typeof range] as [number, number];
  // weights such as ⅓ leave halves a few bits short
  return (v) => Math.max(low, Math.min(high, Math.floor(v + 0.5 + 1e-9)));
}

/** Pictures of `height` × `width`; the dtype stays. */
export function resample(
  x: HostArray,
  height: number,
  width: number,
  interpolation: Interpolation,
): HostArray {
  const from = layoutOf(x.shape, 'resize');
  const { count, channels } = from;
  const y = hostLike(x.dtype, resized(x.shape, height, width));
  if (height === from.height && width === from.width) {
    y.values.set(x.values);
    return y;
  }
  if (count === 0 || channels === 0) return y;
  // OpenCV averages areas only where neither side grows
  const shrinks = height <= from.height && width <= from.width;
  const rows = tapsOf(from.height, height, interpolation, shrinks);
  const columns = tapsOf(from.width, width, interpolation, shrinks);
  const round = rounder(x.dtype);
  const [source, target] = [x.values, y.values];
  const wide = new Float64Array(from.height * width * channels);
  const row = new Float64Array(width * channels);
  for (let n = 0; n < count; n++) {
    const base = n * from.height * from.width * channels;
    let at = 0;
    for (let i = 0; i < from.height; i++) {
      const line = base + i * from.width * channels;
      for (let j = 0; j < width; j++)
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          for (let k = j * columns.taps; k < (j + 1) * columns.taps; k++) {
            const weight = columns.weights[k] as number;
            if (weight !== 0)
              sum += weight * (source[line + (columns.places[k] as number) * channels + c] as number);
          }
          wide[at++] = sum;
        }
    }
    let out = n * height * row.length;
    for (let i = 0; i < height; i++) {
      row.fill(0);
      for (let k = i * rows.taps; k < (i + 1) * rows.taps; k++) {
        const weight = rows.weights[k] as number;
        if (weight === 0) continue;
        const line = (rows.places[k] as number) * row.length;
        for (let j = 0; j < row.length; j++)
          row[j] = (row[j] as number) + weight * (wide[line + j] as number);
      }
      for (let j = 0; j < row.length; j++)
        target[out++] = round === undefined ? (row[j] as number) : round(row[j] as number);
    }
  }
  return y;
}

/** The part of pictures that begins at (x0, y0), `width` × `height`; all of it lies inside. */
export function crop(x: HostArray, x0: number, y0: number, width: number, height: number): HostArray {
  const from = layoutOf(x.shape, 'crop');
  const y = hostLike(x.dtype, resized(x.shape, height, width));
  const length = width * from.channels;
  let at = 0;
  for (let n = 0; n < from.count; n++)
    for (let i = 0; i < height; i++) {
      const start = ((n * from.height + y0 + i) * from.width + x0) * from.channels;
      y.values.set(x.values.subarray(start, start + length), at);
      at += length;
    }
  return y;
}

/** Pictures with a border of `value`. */
export function padPixels(
  x: HostArray,
  top: number,
  bottom: number,
  left: number,
  right: number,
  value: number,
): HostArray {
  const from = layoutOf(x.shape, 'pad');
  const [height, width] = [from.height + top + bottom, from.width + left + right];
  const y = hostLike(x.dtype, resized(x.shape, height, width));
  if (value !== 0) y.values.fill(value);
  const length = from.width * from.channels;
  for (let n = 0; n < from.count; n++)
    for (let i = 0; i < from.height; i++) {
      const start = (n * from.height + i) * length;
      y.values.set(
        x.values.subarray(start, start + length),
        ((n * height + top + i) * width + left) * from.channels,
      );
    }
  return y;
}

/** A picture mirrored: left to right, or top to bottom. */
export function mirror(x: HostArray, axis: 'leftRight' | 'topBottom'): HostArray {
  const { count, height, width, channels } = layoutOf(x.shape, 'flip');
  const y = hostLike(x.dtype, x.shape);
  const length = width * channels;
  for (let n = 0; n < count; n++)
    for (let i = 0; i < height; i++) {
      const from = (n * height + i) * length;
      if (axis === 'topBottom') {
        y.values.set(x.values.subarray(from, from + length), (n * height + height - 1 - i) * length);
        continue;
      }
      for (let j = 0; j < width; j++)
        for (let c = 0; c < channels; c++)
          y.values[from + j * channels + c] = x.values[from + (width - 1 - j) * channels + c] as number;
    }
  return y;
}

/** The greatest size of the same proportions as `size` that fits into a picture, in whole pixels. */
export function scaleDown(width: number, height: number, size: readonly [number, number]): [number, number] {
  let [w, h] = size;
  if (height < h) [w, h] = [(w * height) / h, height];
  if (width < w) [w, h] = [width, (h * width) / w];
  return [Math.max(1, Math.trunc(w)), Math.max(1, Math.trunc(h))];
}
