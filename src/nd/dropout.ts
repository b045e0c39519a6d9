// `nd.dropout`: whether anything is dropped depends on autograd's mode, which stands above the operations.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { isTraining } from '../autograd/mode.ts';
import { ArgumentError } from '../core/errors.ts';
import { dropoutKeep } from '../core/random/mxnetCpu.ts';
import { describe } from '../core/shape.ts';
import { numberArg, readArgs, wordArg } from '../ops/args.ts';
import { drop } from '../ops/dropout.ts';

/** Options of `dropout`. */
export interface DropoutOptions {
  /** The share that is dropped; 0.5 by default. */
  readonly p?: number | undefined;
  /** 'training' (default) drops in training mode only. */
  readonly mode?: 'training' | 'always' | undefined;
  /** Axes along which one draw serves all. */
  readonly axes?: readonly number[] | undefined;
}

/**
 * In training mode (inside `autograd.record`, say) sets a share `p` (0.5) of the elements to 0 and divides the others by 1 − p; else gives x. `axes` share a draw.
 * @throws ArgumentError for a share outside [0, 1)
 * @example autograd.trainMode(() => nd.dropout(nd.ones([2, 4]), 0.5)) // zeros and twos
 */
export function dropout(x: NDArray, p?: number | DropoutOptions, options?: DropoutOptions): NDArray {
  const values = readArgs('dropout', [p, options], ['p'], ['mode', 'axes']);
  const rate = numberArg('dropout', values, 'p', 0.5);
  const mode = wordArg('dropout', values, 'mode', ['training', 'always'], 'training');
  const axes = values['axes'] ?? [];
  if (!Array.isArray(axes))
    throw new ArgumentError(
      `expected axes as a list of integers, received ${describe(axes)}. Write e.g. { axes: [1] }.`,
      {
        op: 'dropout',
      },
    );
  dropoutKeep(rate);
  bodyOf(x, 'dropout');
  if ((mode === 'training' && !isTraining()) || rate === 0) return x;
  return drop(x, rate, axes as number[]);
}
