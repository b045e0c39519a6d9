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

type Part =
  | { readonly kind: 'number'; readonly at: number }
  | { readonly kind: 'range'; readonly start: number; readonly count: number; readonly step: number }
  | { readonly kind: 'new' }
  | { readonly kind: 'list'; readonly indices: NDArray | readonly Nested[] };

const RANGE = /^\s*([+-]?\d+)?\s*:\s*([+-]?\d+)?\s*(?::\s*([+-]?\d+)?\s*)?$/;

function parse(op: string, x: NDArray, index: readonly Index[]): Part[] {
  const { shape } = bodyOf(x, op);
  const taking = index.filter((i) => i !== null && i !== '...').length;
  const dots = index.filter((i) => i === '...').length;
  if (dots > 1)
    throw new ShapeError(`expected '...' once, received it ${dots} times. Name the axes between them.`, {
      op,
    });
  if (taking > shape.length)
    throw new ShapeError(
      `expected at most ${shape.length} indices for shape ${shapeText(shape)}, received ${taking}. Remove some.`,
      { op },
    );
  const parts: Part[] = [];
  let axis = 0;
  const whole = (until: number): void => {
    for (; axis < until; axis++)
      parts.push({ kind: 'range', start: 0, count: shape[axis] as number, step: 1 });
  };
  for (const item of index) {
    if (item === null) parts.push({ kind: 'new' });
    else if (item === '...') whole(axis + shape.length - taking);
    else {
      parts.push(parseOne(op, shape, axis, item));
      axis++;
    }
  }
  whole(shape.length);
  return parts;
}

function parseOne(op: string, shape: readonly number[], axis: number, item: Exclude<Index, null>): Part {
  const extent = shape[axis] as number;
  if (typeof item === 'number') {
    if (!Number.isInteger(item) || item < -extent || item >= extent)
      throw new ShapeError(
        extent === 0
          ? `expected no index along axis ${axis}, whose extent is 0, received ${item}. The array is empty.`
          : `expected an index from ${-extent} to ${extent - 1} along axis ${axis} of shape ${shapeText(shape)}, received ${item}. Check the index.`,
        { op },
      );
    return { kind: 'number', at: item < 0 ? item + extent : item };
  }
  if (typeof item === 'string') {
    const match = RANGE.exec(item);
    if (match === null)
      throw new ArgumentError(
        `expected a range such as '1:3', '::2', ':' or '...', received ${JSON.stringify(item)}. Pass a number as a number.`,
        { op },
      );
    const bound = (s: string | undefined): number | undefined => (s === undefined ? undefined : Number(s));
    return { kind: 'range', ...resolveRange(op, extent, bound(match[1]), bound(match[2]), bound(match[3])) };
  }
  if (ArrayBuffer.isView(item))
    return parseOne(op, shape, axis, Array.from(item as unknown as ArrayLike<number>));
  if (item instanceof NDArray || Array.isArray(item)) {
    if (item instanceof NDArray && bodyOf(item, op).dtype === 'bool')
      throw new DTypeError(
        "expected an array of indices, received a bool mask. The result's shape would depend on its values: use nd.where(mask, x, 0), or indices.",
        { op },
      );
    if (!(item instanceof NDArray)) checkList(op, extent, axis, item);
    return { kind: 'list', indices: item };
  }
  throw new ArgumentError(
    `expected a number, a range as text, null or an array of indices, received ${describe(item)}. Write x.at(0, '1:3').`,
    { op },
  );
}

/** Indices that are known at once are checked at once. */
function checkList(op: string, extent: number, axis: number, list: readonly Nested[]): void {
  for (const i of list.flat(Infinity as 1) as unknown[])
    if (typeof i !== 'number' || !Number.isInteger(i) || i < -extent || i >= extent)
      throw new ShapeError(
        `expected indices from ${-extent} to ${extent - 1} along axis ${axis}, received ${describe(i)}. Check the indices.`,
        { op },
      );
}

interface Region {
  readonly shape: number[];
  readonly strides: number[];
  readonly offset: number;
  /** Axes of the region that index arrays select from, with their arrays. */
  readonly lists: { readonly axis: number; readonly indices: NDArray | readonly Nested[] }[];
}

/** The regular part of an index: a strided region of x, with the axes of index arrays left whole. */
function regionOf(x: NDArray, parts: readonly Part[]): Region {
  const own = stridesOf(x.shape);
  const mixed = parts.some((p) => p.kind === 'list');
  const region: Region = { shape: [], strides: [], offset: 0, lists: [] };
  let { offset } = region;
  let axis = 0;
  for (const part of parts) {
    if (part.kind === 'new') {
      region.shape.push(1);
      region.strides.push(0);
      continue;
    }
    const stride = own[axis] as number;
    if (part.kind === 'range') {
      if (part.count > 0) offset += part.start * stride;
      region.shape.push(part.count);
      region.strides.push(part.step * stride);
    } else if (part.kind === 'number' && !mixed) {
      offset += part.at * stride;
    } else {
      // beside index arrays a number is one more of them, as in NumPy
      region.lists.push({
        axis: region.shape.length,
        indices: part.kind === 'number' ? [part.at] : part.indices,
      });
      region.shape.push(x.shape[axis] as number);
      region.strides.push(stride);
    }
    axis++;
  }
  return { ...region, offset };
}

/** x[index], always a copy. Indices for every axis leave one element, shape `[1]`, as in MXNet 1.x. */
export function at(x: NDArray, index: readonly Index[]): NDArray {
  const parts = parse('at', x, index);
  const { shape, strides, offset, lists } = regionOf(x, parts);
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
  const rest = Array.from({ length: result.ndim - n }, (_, i) => n + i);
  return transpose(result, [
    ...rest.slice(0, lead),
    ...Array.from({ length: n }, (_, i) => i),
    ...rest.slice(lead),
  ]);
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
  grad: 'it writes in place, which is refused while recording',
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
  const parts = parse('set', x, list);
  const region = regionOf(x, parts);
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
