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
  // one pass copies (r, d) for at most four axes, so that eight suffice; axes that do not repeat belong to the one before, repeats of extent 1 to the next
  let groups: (readonly [times: number, extent: number])[] = [];
  const push = (t: number, d: number): void => {
    const last = groups[groups.length - 1];
    if (last !== undefined && t === 1) groups[groups.length - 1] = [last[0], last[1] * d];
    else if (last !== undefined && last[1] === 1) groups[groups.length - 1] = [last[0] * t, d];
    else groups.push([t, d]);
  };
  extents.forEach((d, i) => {
    push(times[i] as number, d);
  });
  let result = x;
  do {
    // the innermost first: what stands before them is one axis that does not repeat yet
    const inner = groups.slice(-3);
    const rest = groups.slice(0, -3);
    const shape = [rest.reduce((n, [, d]) => n * d, 1), ...inner.flat()];
    const strides = stridesOf([shape[0] as number, ...inner.map(([, d]) => d)]);
    const steps = inner.flatMap((_, i) => [0, strides[i + 1] as number]);
    const next = stridedSlice(result, shape, 0, [strides[0] as number, ...steps]);
    if (result !== x) result.dispose();
    result = next;
    groups = rest;
    push(1, sizeOf(inner.flat()));
  } while (groups.length > 1 || groups.some(([t]) => t !== 1));
  const tiled = viewAs(
    result,
    extents.map((d, i) => d * (times[i] as number)),
  );
  if (result !== x) result.dispose();
  return tiled;
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
  const own = stridesOf(from);
  const shape = [...from.slice(0, at + 1), times, ...from.slice(at + 1)];
  const strides = [...own.slice(0, at + 1), 0, ...own.slice(at + 1)];
  return composed(() =>
    viewAs(
      stridedSlice(x, shape, 0, strides),
      from.map((d, i) => (i === at ? d * times : d)),
    ),
  );
}
