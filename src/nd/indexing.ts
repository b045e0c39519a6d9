// Python's square brackets: `y.at(':', '1:3')` reads, `y.set([':', '1:3'], 2)` writes. Ranges become one strided copy, index arrays a gather.
import { bodyOf, NDArray } from '../array/ndarray.ts';
import type { TypedArray } from '../core/dtype.ts';
import { ArgumentError, DTypeError, ShapeError } from '../core/errors.ts';
import {
  asShape,
  broadcastShapes,
  describe,
  sameShape,
  shapeText,
  sizeOf,
  stridesOf,
} from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel } from '../ir/kernel.ts';
import { composed } from '../ops/composed.ts';
import { arange, full } from '../ops/creation.ts';
import { gatherNd, take } from '../ops/indexing.ts';
import { invokeInto } from '../ops/invoke.ts';
import { concat } from '../ops/joins.ts';
import { broadcastTo, transpose } from '../ops/moves.ts';
import type { TensorType } from '../ops/op.ts';
import { defineOp } from '../ops/op.ts';
import { resolveRange, setStridedSlice, stridedSlice } from '../ops/slices.ts';
import { expandDims, reshape } from '../ops/views.ts';
import { type ArraySource, array as makeArray } from './make.ts';
import type { Nested } from './reading.ts';

/** One index: a number, a range as text (`'1:3'`, `'::2'`, `':'`), `'...'`, `null` for a new axis, or an array of indices. */
export type Index = number | string | null | readonly Nested[] | TypedArray | NDArray;

/** What can be written into an array. */
export type Value = number | boolean | NDArray | readonly Nested[] | ArrayBufferView;

const RANGE = /^\s*([+-]?\d+)?\s*:\s*([+-]?\d+)?\s*(?::\s*([+-]?\d+)?\s*)?$/;

/** What an index selects: a strided region of x, with the axes of index arrays left whole. */
interface Region {
  readonly shape: number[];
  readonly strides: number[];
  offset: number;
  /** Axes of the region that index arrays select from, with their arrays. */
  readonly lists: { readonly axis: number; readonly indices: NDArray | readonly Nested[] }[];
}

function regionOf(op: string, x: NDArray, index: readonly Index[]): Region {
  const { shape: extents } = bodyOf(x, op);
  const dots = index.filter((i) => i === '...').length;
  const taking = index.filter((i) => i !== null).length - dots;
  if (dots > 1)
    throw new ShapeError(`expected '...' once, received it ${dots} times. Name the axes between them.`, {
      op,
    });
  if (taking > extents.length)
    throw new ShapeError(
      `expected at most ${extents.length} indices for shape ${shapeText(extents)}, received ${taking}. Remove some.`,
      { op },
    );
  const own = stridesOf(extents);
  const mixed = index.some((i) => typeof i === 'object' && i !== null);
  const region: Region = { shape: [], strides: [], offset: 0, lists: [] };
  let axis = 0;
  const keep = (start: number, count: number, step: number): void => {
    const stride = own[axis++] as number;
    if (count > 0) region.offset += start * stride;
    region.shape.push(count);
    region.strides.push(step * stride);
  };
  const keepUntil = (end: number): void => {
    while (axis < end) keep(0, extents[axis] as number, 1);
  };
  for (const item of index) {
    if (item === null) {
      region.shape.push(1);
      region.strides.push(0);
    } else if (item === '...') keepUntil(axis + extents.length - taking);
    else if (typeof item === 'string') {
      const { start, count, step } = rangeOf(op, extents[axis] as number, item);
      keep(start, count, step);
    } else if (typeof item === 'number' && !mixed) {
      region.offset += numberOf(op, extents, axis, item) * (own[axis] as number);
      axis++;
    } else {
      // beside index arrays a number is one more of them, as in NumPy
      const indices =
        typeof item === 'number' ? [numberOf(op, extents, axis, item)] : listOf(op, extents, axis, item);
      region.lists.push({ axis: region.shape.length, indices });
      keepUntil(axis + 1);
    }
  }
  keepUntil(extents.length);
  return region;
}

function numberOf(
  op: string,
  shape: readonly number[],
  axis: number,
  item: unknown,
  what = 'an index',
): number {
  const extent = shape[axis] as number;
  if (typeof item !== 'number' || !Number.isInteger(item) || item < -extent || item >= extent)
    throw new ShapeError(
      extent === 0
        ? `expected no index along axis ${axis}, whose extent is 0, received ${describe(item)}. The array is empty.`
        : `expected ${what} from ${-extent} to ${extent - 1} along axis ${axis} of shape ${shapeText(shape)}, received ${describe(item)}. Check the index.`,
      { op },
    );
  return item < 0 ? item + extent : item;
}

function rangeOf(op: string, extent: number, item: string): ReturnType<typeof resolveRange> {
  const match = RANGE.exec(item);
  if (match === null)
    throw new ArgumentError(
      `expected a range such as '1:3', '::2', ':' or '...', received ${JSON.stringify(item)}. Pass a number as a number.`,
      { op },
    );
  const [start, stop, step] = match.slice(1).map((s) => (s === undefined ? undefined : Number(s)));
  return resolveRange(op, extent, start, stop, step);
}

/** An array of indices; those that are known at once are checked at once. */
function listOf(
  op: string,
  shape: readonly number[],
  axis: number,
  item: unknown,
): NDArray | readonly Nested[] {
  if (item instanceof NDArray) {
    if (bodyOf(item, op).dtype !== 'bool') return item;
    throw new DTypeError(
      "expected an array of indices, received a bool mask. The result's shape would depend on its values: use nd.where(mask, x, 0), or indices.",
      { op },
    );
  }
  const list = ArrayBuffer.isView(item) ? Array.from(item as unknown as ArrayLike<number>) : item;
  if (!Array.isArray(list))
    throw new ArgumentError(
      `expected a number, a range as text, null or an array of indices, received ${describe(item)}. Write x.at(0, '1:3').`,
      { op },
    );
  for (const i of list.flat(Infinity) as unknown[]) numberOf(op, shape, axis, i, 'indices');
  return list;
}

/** x[index], always a copy. Indices for every axis leave one element, shape `[1]`, as in MXNet 1.x. */
export function at(x: NDArray, index: readonly Index[]): NDArray {
  const { shape, strides, offset, lists } = regionOf('at', x, index);
  if (lists.length === 0)
    return stridedSlice(x, shape.length === 0 && x.ndim > 0 ? [1] : shape, offset, strides);
  const plain = sameShape(shape, x.shape) && sameShape(strides, stridesOf(x.shape)) && offset === 0;
  const temporary: NDArray[] = [];
  const hold = (y: NDArray): NDArray => {
    temporary.push(y);
    return y;
  };
  try {
    const base = plain ? x : hold(stridedSlice(x, shape, offset, strides));
    const indices = lists.map(({ indices: list }) =>
      list instanceof NDArray
        ? list
        : hold(makeArray(list as ArraySource, { ctx: x.context, dtype: 'int32' })),
    );
    const [first] = lists;
    if (first !== undefined && lists.length === 1)
      return take(base, indices[0] as NDArray, { axis: first.axis, mode: 'wrap' });
    return gather(
      base,
      lists.map((l) => l.axis),
      indices,
      hold,
    );
  } finally {
    for (const y of temporary) y.dispose();
  }
}

/** Several index arrays: broadcast together; their axes stand where the first stood if they were neighbours, else in front (NumPy's rule). */
function gather(
  base: NDArray,
  axes: readonly number[],
  indices: readonly NDArray[],
  hold: (y: NDArray) => NDArray,
): NDArray {
  const common = indices.reduce<readonly number[]>((shape, i) => broadcastShapes(shape, i.shape, 'at'), []);
  const rows = indices.map((i) => {
    const same = i.dtype === 'int32' ? i : hold(i.astype('int32'));
    return hold(expandDims(sameShape(same.shape, common) ? same : hold(broadcastTo(same, common)), 0));
  });
  const order = [...axes, ...base.shape.map((_, i) => i).filter((i) => !axes.includes(i))];
  const front = order.every((a, i) => a === i) ? base : hold(transpose(base, order));
  const result = gatherNd(front, hold(concat(...rows, { dim: 0 })));
  const neighbours = axes.every((a, i) => a === (axes[0] as number) + i);
  const lead = axes[0] as number;
  if (!neighbours || lead === 0) return result;
  hold(result);
  // (lists…, before…, after…) → (before…, lists…, after…)
  const n = common.length;
  return transpose(
    result,
    result.shape.map((_, i) => (i < lead ? n + i : i < lead + n ? i - lead : i)),
  );
}

const scatter = customKernel('scatterNd');
const identity = elementwiseKernel('copy', 1, e.input(0));

/** Writes values at places given as linear indices. */
const setPlacesOp = defineOp<object>({
  name: 'setPlaces',
  family: 'indexing',
  inPlace: true,
  infer([x, places, value]) {
    const [shape, wanted] = [(value as TensorType).shape, (places as TensorType).shape];
    if (!sameShape(broadcastShapes(shape, wanted, 'set'), wanted))
      throw new ShapeError(
        `expected a value that broadcasts to the selected shape ${shapeText(wanted)}, received ${shapeText(shape)}. Reshape the value.`,
        { op: 'set' },
      );
    return [x as TensorType];
  },
  run(emit, [x, places, value], [y]) {
    const [to, at_] = [y as Operand, places as Operand];
    const count = sizeOf(at_.shape);
    const values = emit.temporary(at_.shape, (x as Operand).dtype);
    emit.run(identity, [value as Operand], [values]);
    emit.run(scatter, [values, at_], [to], [count, 1, 1, sizeOf(to.shape)]);
  },
  // it writes in place, which is refused while recording
  grad: null,
});

/** x[index] = value, in x's own memory; the value broadcasts and is converted to x's dtype. Returns x. */
export function set(x: NDArray, index: Index | readonly Index[], value: Value): NDArray {
  // a single index need not stand in a list; a list of numbers is one index for each axis, as in `at(…)`
  const list: readonly Index[] = Array.isArray(index) ? (index as readonly Index[]) : [index as Index];
  if (value === undefined || value === null)
    throw new ArgumentError(
      `expected a value to write, received ${String(value)}. Write y.set([':', '1:3'], 2).`,
      { op: 'set' },
    );
  const region = regionOf('set', x, list);
  return composed(() => {
    const source =
      typeof value === 'number' || typeof value === 'boolean'
        ? full([1], Number(value), { ctx: x.context, dtype: x.dtype })
        : value instanceof NDArray
          ? value
          : makeArray(value as ArraySource, { ctx: x.context, dtype: x.dtype });
    if (region.lists.length === 0) {
      const single = region.shape.length === 0 && x.ndim > 0;
      const [shape, strides] = single ? [[1], [1]] : [region.shape, region.strides];
      return setStridedSlice(x, source, asShape(shape), region.offset, strides);
    }
    // where each chosen element lies, as its place in row-major order
    const places = reshape(arange(x.size, { ctx: x.context, dtype: 'int32' }), x.shape);
    const chosen = at(places, list);
    const fitted = source.size === 1 && source.ndim > chosen.ndim ? reshape(source, [1]) : source;
    return invokeInto(setPlacesOp, x, [chosen, fitted], {});
  });
}
