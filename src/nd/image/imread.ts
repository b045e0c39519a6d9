// Pictures from files and URLs. Browsers decode what they show (JPEG, PNG, WebP, AVIF …); elsewhere PNG is decoded here.
import type { NDArray } from '../../array/ndarray.ts';
import { cpu } from '../../core/context.ts';
import { ArgumentError, FormatError } from '../../core/errors.ts';
import { why } from '../../formats/reading.ts';
import { firstBytes, foreignFile } from '../../formats/signature.ts';
import { type ReadOptions, readSource, type Source } from '../../formats/source.ts';
import { booleanArg, readArgs } from '../../ops/args.ts';
import { placePixels, rgbaOf } from './canvas.ts';
import { type Channels, fromRgba } from './convert.ts';

/** Options of `imread`. */
export interface ImreadOptions extends Omit<ReadOptions, 'op'> {
  /** 1 (default): three channels. 0: gray, one channel. */
  readonly flag?: 0 | 1 | undefined;
  /** True (default) for RGB, false for BGR. */
  readonly toRgb?: boolean | undefined;
}

/** The format of a picture by its first bytes. */
function formatOf(bytes: Uint8Array): string | undefined {
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return 'JPEG';
  if (text.startsWith('GIF8')) return 'GIF';
  if (text.startsWith('RIFF') && text.slice(8, 12) === 'WEBP') return 'WebP';
  if (text.startsWith('BM')) return 'BMP';
  if (text.slice(4, 12) === 'ftypavif') return 'AVIF';
  return undefined;
}

function notAPicture(bytes: Uint8Array, op: string, cause?: unknown): FormatError {
  const foreign = foreignFile(bytes);
  const format = formatOf(bytes);
  return new FormatError(
    format !== undefined
      ? `expected a picture that can be decoded, received a ${format} file${cause === undefined ? '' : ` (${why(cause)})`}. ${cause === undefined ? 'Outside a browser only PNG is read: convert it.' : 'It is damaged: get it again.'}`
      : `expected a picture, received ${foreign?.what ?? firstBytes(bytes)}. ${bytes.length === 0 ? 'Look at the download.' : 'Look at the address or the file.'}`,
    { op, cause },
  );
}

/**
 * Reads a picture as an array (H, W, 3) uint8, RGB, on the CPU.
 *
 * In a browser or worker it reads whatever the browser shows, in its orientation, without colour management; in Node PNG.
 *
 * @param options `flag: 0` gives gray (H, W, 1); `toRgb: false` gives BGR; `signal`, `onProgress`
 * @throws LoadError where the source cannot be read; FormatError for bytes that are no picture
 * @example const x = await image.imread('cat.jpg');
 */
export async function imread(source: Source, options?: ImreadOptions): Promise<NDArray> {
  const op = 'image.imread';
  const values = readArgs(op, [options], [], ['flag', 'toRgb', 'signal', 'onProgress']);
  const flag = values['flag'] ?? 1;
  if (flag !== 0 && flag !== 1)
    throw new ArgumentError(`expected flag 1 (colour) or 0 (gray), received ${String(flag)}. Choose one.`, {
      op,
    });
  const toRgb = booleanArg(op, values, 'toRgb', true);
  const channels: Channels = flag === 0 ? 1 : 3;
  const signal = options?.signal;
  const bytes = await readSource(source, { op, signal, onProgress: options?.onProgress });
  const host = await decode(bytes, channels, op, signal);
  signal?.throwIfAborted();
  if (!toRgb && channels === 3)
    for (let i = 0; i < host.values.length; i += 3) {
      const red = host.values[i] as number;
      host.values[i] = host.values[i + 2] as number;
      host.values[i + 2] = red;
    }
  return placePixels(host, cpu(0), 'uint8', op);
}

async function decode(
  bytes: Uint8Array<ArrayBuffer>,
  channels: Channels,
  op: string,
  signal: AbortSignal | undefined,
): Promise<ReturnType<typeof fromRgba>> {
  if (typeof createImageBitmap === 'function') {
    let bitmap: ImageBitmap;
    try {
      bitmap = await createImageBitmap(new Blob([bytes]), {
        premultiplyAlpha: 'none',
        colorSpaceConversion: 'none',
      });
    } catch (cause) {
      throw notAPicture(bytes, op, cause);
    }
    try {
      const { data, width, height } = rgbaOf(bitmap, op);
      return fromRgba(data, width, height, channels);
    } finally {
      bitmap.close();
    }
  }
  // browsers decode by themselves: only Node needs this
  const { decodePng, isPng } = await import('./png.ts');
  if (!isPng(bytes)) throw notAPicture(bytes, op);
  const { rgba, width, height } = await decodePng(bytes, op, signal);
  return fromRgba(rgba, width, height, channels);
}
