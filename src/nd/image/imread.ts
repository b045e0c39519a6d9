// `image.imread`: pictures from files and URLs. Their code is decode.ts's, which comes when it is needed.
import type { NDArray } from '../../array/ndarray.ts';
import { cpu } from '../../core/context.ts';
import { ArgumentError } from '../../core/errors.ts';
import { expectReader } from '../../formats/pending.ts';
import type { ReadOptions } from '../../formats/reading.ts';
import type { Source } from '../../formats/source.ts';
import { booleanArg, readArgs } from '../../ops/args.ts';
import { placePixels } from './canvas.ts';
import type { Channels } from './convert.ts';

/** Options of `imread`. */
export interface ImreadOptions extends Omit<ReadOptions, 'op'> {
  /** 1 (default): three channels. 0: gray, one channel. */
  readonly flag?: 0 | 1 | undefined;
  /** True (default) for RGB, false for BGR. */
  readonly toRgb?: boolean | undefined;
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
  expectReader(source);
  const { readPicture } = await import('./decode.ts');
  const host = await readPicture(source, channels, { op, signal, onProgress: options?.onProgress });
  signal?.throwIfAborted();
  if (!toRgb && channels === 3)
    for (let i = 0; i < host.values.length; i += 3) {
      const red = host.values[i] as number;
      host.values[i] = host.values[i + 2] as number;
      host.values[i + 2] = red;
    }
  return placePixels(host, cpu(0), 'uint8', op);
}
