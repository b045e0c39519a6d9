// Pictures from files. Browsers decode what they show (JPEG, PNG, WebP, AVIF …); elsewhere PNG is decoded here. Loaded by `imread`.
import { FormatError } from '../../core/errors.ts';
import type { ReadOptions } from '../../formats/reading.ts';
import { firstBytes, foreignFile } from '../../formats/signature.ts';
import { readSource, type Source } from '../../formats/source.ts';
import { why } from '../../formats/why.ts';
import { rgbaOf } from './canvas.ts';
import { type Channels, fromRgba } from './convert.ts';

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

/** The pixels of a picture's file. */
export async function readPicture(
  source: Source,
  channels: Channels,
  options: ReadOptions & { readonly op: string },
): Promise<ReturnType<typeof fromRgba>> {
  const { op, signal } = options;
  const bytes = await readSource(source, options);
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
