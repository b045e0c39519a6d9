// Arrays from what a page shows, and back onto a canvas. Pixels come through a 2-D canvas, which browsers and their workers have; ImageData works everywhere.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { type Context, checkContext, cpu } from '../../core/context.ts';
import { checkDType, type DType, isFloat } from '../../core/dtype.ts';
import { ArgumentError, GluonError, ShapeError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import { why } from '../../formats/why.ts';
import { readArgs } from '../../ops/args.ts';
import { arrayFromBytes } from '../../ops/invoke.ts';
import { encode } from '../make.ts';
import { data } from '../reading.ts';
import { type Channels, fromRgba, picture, toRgba } from './convert.ts';
import type { HostArray } from './host.ts';

/** What has pixels: ImageData, or anything a canvas can draw. */
export type PixelSource =
  | ImageData
  | ImageBitmap
  | VideoFrame
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLVideoElement
  | HTMLImageElement;

/** Options of `fromPixels`. */
export interface FromPixelsOptions {
  /** 1 (gray), 3 (RGB, default) or 4 (RGBA). */
  readonly channels?: Channels | undefined;
  /** `cpu(0)` by default. */
  readonly ctx?: Context | undefined;
  /** uint8 by default; floats hold 0 … 255 too. */
  readonly dtype?: DType | undefined;
}

function channelsArg(value: unknown, op: string): Channels {
  if (value === undefined) return 3;
  if (value === 1 || value === 3 || value === 4) return value;
  throw new ArgumentError(
    `expected channels 1 (gray), 3 (RGB) or 4 (RGBA), received ${describe(value)}. Choose one of them.`,
    { op },
  );
}

/** Where and as what pixels are put. */
export function placePixels(host: HostArray, ctx: Context, dtype: DType, op: string): NDArray {
  return arrayFromBytes(
    ctx,
    dtype,
    host.shape,
    dtype === host.dtype ? host.values : encode(host.values, dtype),
    op,
  );
}

/** Size in pixels of what a canvas can draw, as it is and not as the page lays it out; undefined for what is none. */
function sizeOfSource(source: object): readonly [number, number] | undefined {
  const s = source as { readonly [name: string]: unknown };
  for (const [w, h] of [
    ['videoWidth', 'videoHeight'],
    ['naturalWidth', 'naturalHeight'],
    ['displayWidth', 'displayHeight'],
    ['width', 'height'],
  ] as const)
    if (typeof s[w] === 'number' && typeof s[h] === 'number') return [s[w], s[h]];
  return undefined;
}

/** A canvas to draw on, where the host has one. */
function canvas2d(
  width: number,
  height: number,
): OffscreenCanvasRenderingContext2D | CanvasRenderingContext2D | null {
  if (typeof OffscreenCanvas === 'function')
    return new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (typeof document === 'undefined') return null;
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  return canvas.getContext('2d', { willReadFrequently: true });
}

/** The RGBA pixels of a source, as they are now. */
export function rgbaOf(
  source: PixelSource,
  op: string,
): { readonly data: ArrayLike<number>; readonly width: number; readonly height: number } {
  if (typeof source !== 'object' || source === null)
    throw new ArgumentError(
      `expected an ImageData, ImageBitmap, VideoFrame, canvas, video or img, received ${describe(source)}. For a file or URL, write await image.imread(source).`,
      { op },
    );
  if ('data' in source && ArrayBuffer.isView(source.data)) {
    const { width, height } = source;
    if (source.data.length !== width * height * 4)
      throw new ArgumentError(
        `expected RGBA pixels, ${width * height * 4} values for ${width} × ${height}, received ${source.data.length}. Make it with new ImageData(data, width, height).`,
        { op },
      );
    return source;
  }
  const size = sizeOfSource(source);
  if (size === undefined)
    throw new ArgumentError(
      `expected an ImageData, ImageBitmap, VideoFrame, canvas, video or img, received ${describe(source)}. For a file or URL, write await image.imread(source).`,
      { op },
    );
  const [width, height] = size;
  if (width === 0 || height === 0)
    throw new ArgumentError(
      `expected pixels, received a source of ${width} × ${height}. Wait until it has loaded (img.decode(), video's loadeddata).`,
      { op },
    );
  const target = canvas2d(width, height);
  if (target === null)
    throw new ArgumentError(
      'expected a host with canvases, received one without. Pass ImageData (data, width, height).',
      { op },
    );
  try {
    target.drawImage(source as CanvasImageSource, 0, 0, width, height);
    return target.getImageData(0, 0, width, height);
  } catch (cause) {
    throw new GluonError(
      `expected pixels that may be read, received ${why(cause)}. A picture of another origin needs crossorigin and the server's leave (CORS).`,
      { op, cause },
    );
  }
}

/**
 * An array (H, W, C) from what a page shows, at once: the pixels as they are now.
 *
 * @param pixels ImageData, ImageBitmap, VideoFrame, a canvas, a video or an img element
 * @param options `channels` 3 (default), 1 (gray: 0.299 R + 0.587 G + 0.114 B) or 4; `ctx`; `dtype` uint8 by default, values 0 … 255
 * @example const x = image.fromPixels(canvas, { channels: 1 });
 */
export function fromPixels(pixels: PixelSource, options?: FromPixelsOptions): NDArray {
  const op = 'image.fromPixels';
  const values = readArgs(op, [options], [], ['channels', 'ctx', 'dtype']);
  const channels = channelsArg(values['channels'], op);
  const ctx = checkContext(values['ctx'] ?? cpu(0), op);
  const dtype = checkDType(values['dtype'] ?? 'uint8', op);
  const { data: rgba, width, height } = rgbaOf(pixels, op);
  return placePixels(fromRgba(rgba, width, height, channels), ctx, dtype, op);
}

/**
 * Draws an array onto a canvas, which takes its size: (H, W, C), (C, H, W) or (H, W) of 1, 3 or 4 channels; uint8, or float in [0, 1]. Values outside are cut
 * to the range.
 *
 * @throws ShapeError for an array that is no picture
 * @example await image.toCanvas(x, document.querySelector('canvas'));
 */
export async function toCanvas(x: NDArray, canvas: HTMLCanvasElement | OffscreenCanvas): Promise<void> {
  const op = 'image.toCanvas';
  const { shape, dtype } = bodyOf(x, op);
  const axes = picture(shape);
  if (axes === undefined || axes.height === 0 || axes.width === 0)
    throw new ShapeError(
      `expected a picture (H, W, C), (C, H, W) or (H, W) with 1, 3 or 4 channels, received ${shapeText(shape)}. Take one of a batch with x.at(0).`,
      { op },
    );
  if (typeof canvas !== 'object' || canvas === null || typeof canvas.getContext !== 'function')
    throw new ArgumentError(
      `expected a canvas, received ${describe(canvas)}. Pass a canvas element or an OffscreenCanvas.`,
      { op },
    );
  const values = await data(x);
  const target = canvas.getContext('2d') as CanvasRenderingContext2D | null;
  if (target === null)
    throw new ArgumentError(
      'expected a canvas for 2-D drawing, received one with another context (WebGL or WebGPU). Use a canvas of its own.',
      { op },
    );
  canvas.width = axes.width;
  canvas.height = axes.height;
  const pixels = target.createImageData(axes.width, axes.height);
  toRgba(values, axes, isFloat(dtype) || dtype === 'bool' ? 255 : 1, pixels.data);
  target.putImageData(pixels, 0, 0);
}
