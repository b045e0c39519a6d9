// Unpacking by the platform's DecompressionStream, which browsers, workers and Node have: bytes in, bytes out, errors in our words.
import { FormatError } from '../core/errors.ts';
import { why } from './why.ts';

/** Whether bytes begin as gzip does. */
export function isGzip(bytes: Uint8Array): boolean {
  return bytes.length >= 2 && bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Options of `inflate`. */
export interface InflateOptions {
  readonly op: string;
  /** What is unpacked, for messages: `the file train-images-idx3-ubyte.gz`. */
  readonly what: string;
  /** gzip, or the zlib form that PNG uses ('deflate'). */
  readonly format?: 'gzip' | 'deflate' | undefined;
  /** Refuses more bytes than this. */
  readonly limit: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The unpacked bytes.
 * @throws FormatError for a stream that is cut off, damaged, or unpacks to more than `limit`; an abort rejects with the signal's reason
 */
export async function inflate(
  bytes: Uint8Array<ArrayBuffer>,
  options: InflateOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const { op, what, limit, signal, format = 'gzip' } = options;
  const pieces: Uint8Array[] = [];
  let length = 0;
  const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream(format)).getReader();
  try {
    for (;;) {
      signal?.throwIfAborted();
      const { done, value } = await reader.read();
      if (done) break;
      length += value.length;
      if (length > limit) break;
      pieces.push(value);
    }
  } catch (cause) {
    void reader.cancel().catch(() => undefined);
    signal?.throwIfAborted();
    throw new FormatError(
      `expected ${what} to be a whole ${format === 'gzip' ? 'gzip' : 'zlib'} stream, received one that fails after ${length} unpacked bytes (${why(cause)}). It is cut off or damaged: get the file again.`,
      { op, cause },
    );
  }
  signal?.throwIfAborted();
  if (length > limit) {
    void reader.cancel().catch(() => undefined);
    throw new FormatError(
      `expected ${what} to unpack to at most ${limit} bytes, received more. It is not the file that is meant.`,
      { op },
    );
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}
