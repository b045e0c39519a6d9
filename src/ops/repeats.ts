// The same elements several times, whole arrays (tile) or each by itself (repeat): slices with steps of 0.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { describe, sizeOf, stridesOf } from '../core/shape.ts';
import { axisArg, integerArg, readArgs } from './args.ts';
import { composed } from './composed.ts';
import { stridedSlice } from './slices.ts';
import { viewAs } from './views.ts';

/** Repeats the whole array along each axis. @example nd.array([1, 2]).tile(2) // [1, 2, 1, 2] */
export function tile(
  x: NDArray,
  reps: number | readonly number[] | { readonly reps: number | readonly number[] },
): NDArray {
  const given = readArgs('tile', [reps], ['reps'])['reps'];
  const list = typeof given === 'number' ? [given] : (given as readonly number[]);
  if (!Array.isArray(list) || list.some((r) => !Number.isInteger(r) || r < 0))
    throw new ShapeError(
      `expected repetitions that are integers ≥ 0, received ${describe(given)}. Write x.tile([2, 1]).`,
      { op: 'tile' },
    );
  const { shape } = bodyOf(x, 'tile');
  const ndim = Math.max(list.length, shape.length);
  const times = [...Array<number>(ndim - list.length).fill(1), ...list];
  const extents = [...Array<number>(ndim - shape.length).fill(1), ...shape];
  const tiled = extents.map((d, i) => d * (times[i] as number));
  return composed(() => {
    let result = x;
    // three axes a pass, the innermost first: with what stands before and behind them, eight axes suffice
    for (let end = ndim; end > 0; end -= 3) {
      const begin = Math.max(0, end - 3);
      const axes = extents.slice(begin, end);
      const own = [sizeOf(extents.slice(0, begin)), ...axes, sizeOf(tiled.slice(end))];
      const strides = stridesOf(own);
      const spread = <T>(values: readonly T[], each: (i: number) => T): T[] =>
        values.flatMap((v, i) => (i === 0 || i === own.length - 1 ? [v] : [each(begin + i - 1), v]));
      result = stridedSlice(
        result,
        spread(own, (i) => times[i] as number),
        0,
        spread(strides, () => 0),
      );
    }
    return viewAs(result, tiled);
  });
}

/** Repeats each element `repeats` times along an axis; without one, of the flattened array. @example nd.array([1, 2]).repeat(2) // [1, 1, 2, 2] */
export function repeat(
  x: NDArray,
  repeats: number | { readonly repeats: number; readonly axis?: number | undefined },
  axis?: number | { readonly axis?: number | undefined },
): NDArray {
  const values = readArgs('repeat', [repeats, axis], ['repeats', 'axis']);
  const times = integerArg('repeat', values, 'repeats', undefined, 0);
  const whole = bodyOf(x, 'repeat').shape;
  const from = values['axis'] === undefined ? [sizeOf(whole)] : whole;
  const at = values['axis'] === undefined ? 0 : axisArg('repeat', values, x);
  const inner = sizeOf(from.slice(at + 1));
  return composed(() =>
    viewAs(
      stridedSlice(x, [sizeOf(from.slice(0, at + 1)), times, inner], 0, [inner, 0, 1]),
      from.map((d, i) => (i === at ? d * times : d)),
    ),
  );
}
