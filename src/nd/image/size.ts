// Pictures of another size, cut or scaled. Computed on the CPU, where pictures come in.
import type { NDArray } from '../../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import { integerArg, readArgs } from '../../ops/args.ts';
import { checkPixelType, fromHost, type HostArray, layoutOf, toHost } from './host.ts';
import { checkInterpolation, crop, type InterpolationLike, resample, scaleDown } from './resample.ts';

/** A part of a picture: its corner, its width and height. */
export type Rect = readonly [x0: number, y0: number, width: number, height: number];

/** A width and a height, or one number for both. */
export type SizeLike = number | readonly [width: number, height: number];

/** Reads a size as `[width, height]`. */
export function sizeArg(value: unknown, op: string): [number, number] {
  const pair = typeof value === 'number' ? [value, value] : value;
  if (
    Array.isArray(pair) &&
    pair.length === 2 &&
    pair.every((n) => typeof n === 'number' && Number.isInteger(n) && n > 0)
  )
    return pair as [number, number];
  throw new ArgumentError(
    `expected a size as a whole number ≥ 1 or [width, height], received ${describe(value)}. Write 224 or [224, 224], say.`,
    { op },
  );
}

function pixels(x: NDArray, op: string): HostArray {
  const host = toHost(x, op);
  const { height, width } = layoutOf(host.shape, op);
  checkPixelType(host.dtype, op);
  if (height === 0 || width === 0)
    throw new ShapeError(
      `expected pictures with pixels, received ${shapeText(host.shape)}. Check the source.`,
      {
        op,
      },
    );
  return host;
}

/** Pictures of another size, scaled; of a batch too. `interpolation` 1 (bilinear) by default. */
export function resizeHost(
  x: HostArray,
  width: number,
  height: number,
  interpolation: InterpolationLike,
  op: string,
): HostArray {
  return resample(x, height, width, checkInterpolation(interpolation, op));
}

/** The size whose shorter side is `size`, in the picture's proportions; the longer one is rounded down, as in Gluon. */
export function shortSize(width: number, height: number, size: number): [number, number] {
  return height > width
    ? [size, Math.max(1, Math.floor((size * height) / width))]
    : [Math.max(1, Math.floor((size * width) / height)), size];
}

/** Cuts the middle: of the asked proportions, as large as fits, then scaled to the size if it is smaller. */
export function centerCropHost(
  x: HostArray,
  size: readonly [number, number],
  interpolation: InterpolationLike,
  op: string,
): { readonly y: HostArray; readonly rect: Rect } {
  const { width, height } = layoutOf(x.shape, op);
  const [w, h] = scaleDown(width, height, size);
  const rect: Rect = [Math.trunc((width - w) / 2), Math.trunc((height - h) / 2), w, h];
  const cut = crop(x, ...rect);
  return { y: w === size[0] && h === size[1] ? cut : resizeHost(cut, ...size, interpolation, op), rect };
}

/**
 * A picture (H, W, C), or several (N, H, W, C), scaled to `width` × `height`.
 *
 * @param interpolation 0 nearest, 1 bilinear (default), 2 by area, 3 bicubic: what cv::resize computes, with uint8 rounded from the exact value
 * @throws ContextError for an array on a GPU
 */
export function imresize(
  x: NDArray,
  width: number,
  height: number,
  interpolation: InterpolationLike | { readonly interpolation?: InterpolationLike | undefined } = 1,
): NDArray {
  const op = 'image.imresize';
  const values = readArgs(op, [width, height, interpolation], ['width', 'height', 'interpolation']);
  const [w, h] = [
    integerArg(op, values, 'width', undefined, 1),
    integerArg(op, values, 'height', undefined, 1),
  ];
  const host = pixels(x, op);
  return fromHost(
    resizeHost(host, w, h, (values['interpolation'] ?? 1) as InterpolationLike, op),
    x.context,
    op,
  );
}

/**
 * A picture scaled so that its shorter side is `size`.
 *
 * @param interpolation 2 (by area) by default, as in Gluon; see `imresize`
 * @example image.resizeShort(x, 256) // (480, 640, 3) → (256, 341, 3)
 */
export function resizeShort(
  x: NDArray,
  size: number,
  interpolation: InterpolationLike | { readonly interpolation?: InterpolationLike | undefined } = 2,
): NDArray {
  const op = 'image.resizeShort';
  const values = readArgs(op, [size, interpolation], ['size', 'interpolation']);
  const short = integerArg(op, values, 'size', undefined, 1);
  const host = pixels(x, op);
  const { width, height } = layoutOf(host.shape, op);
  const [w, h] = shortSize(width, height, short);
  return fromHost(
    resizeHost(host, w, h, (values['interpolation'] ?? 2) as InterpolationLike, op),
    x.context,
    op,
  );
}

/**
 * The middle of a picture, and where it was cut: `[x, [x0, y0, width, height]]`. Where the picture is smaller than `size`, the largest part of the same
 * proportions is scaled up to it.
 *
 * @param interpolation 2 (by area) by default; see `imresize`
 * @example const [middle, rect] = image.centerCrop(x, [224, 224]);
 */
export function centerCrop(
  x: NDArray,
  size: SizeLike,
  interpolation: InterpolationLike | { readonly interpolation?: InterpolationLike | undefined } = 2,
): [NDArray, Rect] {
  const op = 'image.centerCrop';
  const values = readArgs(op, [size, interpolation], ['size', 'interpolation']);
  const wanted = sizeArg(values['size'], op);
  const host = pixels(x, op);
  const { y, rect } = centerCropHost(host, wanted, (values['interpolation'] ?? 2) as InterpolationLike, op);
  return [fromHost(y, x.context, op), rect];
}

/** The part of a picture that begins at (x0, y0), `width` × `height`, scaled to `size` where one is given. */
export function fixedCrop(
  x: NDArray,
  x0: number,
  y0: number,
  width: number,
  height: number,
  size?:
    | SizeLike
    | { readonly size?: SizeLike | undefined; readonly interpolation?: InterpolationLike | undefined },
  interpolation?: InterpolationLike | { readonly interpolation?: InterpolationLike | undefined },
): NDArray {
  const op = 'image.fixedCrop';
  const names = ['x0', 'y0', 'width', 'height', 'size', 'interpolation'];
  const values = readArgs(op, [x0, y0, width, height, size, interpolation], names);
  const host = pixels(x, op);
  const y = fixedCropHost(host, values, op);
  return fromHost(y, x.context, op);
}

/** As `fixedCrop`, for pictures in host memory; `values` as `readArgs` gives them. */
export function fixedCropHost(host: HostArray, values: Record<string, unknown>, op: string): HostArray {
  const [left, top] = [
    integerArg(op, values, 'x0', undefined, 0),
    integerArg(op, values, 'y0', undefined, 0),
  ];
  const [w, h] = [
    integerArg(op, values, 'width', undefined, 1),
    integerArg(op, values, 'height', undefined, 1),
  ];
  const from = layoutOf(host.shape, op);
  if (left + w > from.width || top + h > from.height)
    throw new ShapeError(
      `expected a part of a picture of ${from.width} × ${from.height}, received ${w} × ${h} at (${left}, ${top}). Keep it inside.`,
      { op },
    );
  const cut = crop(host, left, top, w, h);
  if (values['size'] === undefined) return cut;
  return resizeHost(
    cut,
    ...sizeArg(values['size'], op),
    (values['interpolation'] ?? 2) as InterpolationLike,
    op,
  );
}
