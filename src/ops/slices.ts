// Regular pieces of an array, read and written: ranges with steps, flipped axes. Indices that are arrays are in indexing.ts.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import {
  asShape,
  broadcastShapes,
  describe,
  normalizeAxes,
  type Shape,
  sameShape,
  shapeText,
  sizeOf,
  stridesOf,
} from '../core/shape.ts';
import type { Operand } from '../ir/kernel.ts';
import { axisArg, checkOptions, readArgs } from './args.ts';
import { invoke, invokeInto } from './invoke.ts';
import { defineOp, type Op, type TensorType } from './op.ts';
import { emitCopy, fill, identity } from './strided.ts';

const FAMILY = 'slices';

interface SliceAttrs {
  readonly shape: Shape;
  readonly offset: number;
  readonly strides: readonly number[];
}

interface PlaceAttrs extends SliceAttrs {
  /** The result's shape. */
  readonly from: Shape;
  /** What stands where nothing is put. */
  readonly value: number;
}

/** Puts an array where a slice of a larger one would read it, no element twice: padding, and the gradient of slicing. */
const placeOp: Op<PlaceAttrs> = defineOp<PlaceAttrs>({
  name: 'place',
  family: FAMILY,
  infer: (dy, { from }) => [{ shape: from, dtype: (dy[0] as TensorType).dtype }],
  run(emit, [dy], [dx], { shape, offset, strides, value }) {
    const to = dx as Operand;
    if (sizeOf(shape) !== sizeOf(to.shape)) emit.run(fill, [], [to], undefined, [value]);
    // what is written goes forward: an axis that was read backwards is read backwards again
    const own = stridesOf(shape);
    let [inOffset, outOffset] = [0, offset];
    const outStrides = strides.map((stride, i) => {
      const last = Math.max(0, (shape[i] as number) - 1);
      if (stride > 0 || last === 0) return Math.max(1, stride);
      inOffset += last * (own[i] as number);
      outOffset += last * stride;
      own[i] = -(own[i] as number);
      return -stride;
    });
    emitCopy(emit, dy as Operand, to, shape, own, inOffset, outStrides, outOffset);
  },
  grad: (c) => [invoke(sliceOp, [c.dy()], c.attrs)],
});

/** An array in one of another shape, from an offset on, among elements of one value. */
export function place(x: NDArray, from: readonly number[], offset: number, value: number): NDArray {
  const { shape } = x;
  return invoke(placeOp, [x], { shape, offset, strides: stridesOf(from), from: asShape(from), value });
}

const sliceOp: Op<SliceAttrs> = defineOp<SliceAttrs>({
  name: 'slice',
  family: FAMILY,
  infer: (x, { shape }) => [{ shape, dtype: (x[0] as TensorType).dtype }],
  run: (emit, x, y, { offset, strides }) =>
    emitCopy(emit, x[0] as Operand, y[0] as Operand, (y[0] as Operand).shape, strides, offset),
  grad(c) {
    const { shape, offset, strides } = c.attrs;
    const from = c.xType(0).shape;
    // elements that were repeated are summed first
    const repeated = shape.flatMap((d, i) => (d > 1 && strides[i] === 0 ? [i] : []));
    const dy = repeated.length === 0 ? c.dy() : c.f.sum(c.dy(), repeated);
    const own = stridesOf(dy.shape);
    const whole =
      sizeOf(dy.shape) === sizeOf(from) && dy.shape.every((d, i) => d === 1 || strides[i] === own[i]);
    const attrs = { shape: dy.shape, offset, strides, from, value: 0 };
    return [whole ? c.f.reshape(dy, from) : invoke(placeOp, [dy], attrs)];
  },
});

/** Copies out a regular piece: `shape` elements from `offset` by `strides` (in elements, may be negative or 0). For slicing, flipping, repeating. */
export function stridedSlice(
  x: NDArray,
  shape: readonly number[],
  offset: number,
  strides: readonly number[],
): NDArray {
  return invoke(sliceOp, [x], { shape: asShape(shape), offset, strides });
}

const setSliceOp = defineOp<SliceAttrs>({
  name: 'setSlice',
  family: FAMILY,
  inPlace: true,
  infer(x, { shape }) {
    const value = x[1] as TensorType;
    if (!sameShape(broadcastShapes(value.shape, shape, 'set'), shape))
      throw new ShapeError(
        `expected a value that broadcasts to the selected shape ${shapeText(shape)}, received ${shapeText(value.shape)}. Reshape the value.`,
        { op: 'set' },
      );
    return [x[0] as TensorType];
  },
  run(emit, x, y, { shape, offset, strides }) {
    const value = x[1] as Operand;
    let source = value;
    if (value.storage === (x[0] as Operand).storage) {
      source = emit.temporary(value.shape, value.dtype);
      emit.run(identity, [value], [source]);
    }
    const own = stridesOf(value.shape);
    const lead = shape.length - value.shape.length;
    const inStrides = shape.map((_, i) =>
      i < lead || value.shape[i - lead] === 1 ? 0 : (own[i - lead] as number),
    );
    emitCopy(emit, source, y[0] as Operand, shape, inStrides, 0, strides, offset);
  },
  // it writes in place, which is refused while recording
  grad: null,
});

/** Writes a value (broadcast to `shape`) into a regular piece of an array, by default into all of it: the inverse of `stridedSlice`. */
export function setStridedSlice(
  x: NDArray,
  value: NDArray,
  shape: readonly number[] = x.shape,
  offset = 0,
  strides: readonly number[] = stridesOf(shape),
): NDArray {
  return invokeInto(setSliceOp, x, [value], { shape: asShape(shape), offset, strides });
}

/** Elements of one axis: from the place `start`, `count` of them, `step` apart. */
export interface Span {
  readonly start: number;
  readonly count: number;
  readonly step: number;
}

/** A range along one axis, as Python's slice: `null` means from the start or to the end, negative numbers count from the end. */
export function resolveRange(
  op: string,
  extent: number,
  begin: number | null | undefined,
  end: number | null | undefined,
  step?: number | null,
): Span {
  const by = step ?? 1;
  if (by === 0 || !Number.isInteger(by) || !Number.isInteger(begin ?? 0) || !Number.isInteger(end ?? 0))
    throw new ShapeError(
      `expected integers in a range and a step that is not 0, received ${[begin, end, by].map((n) => (n === undefined ? '' : describe(n))).join(':')}. Write begin:end:step; the step −1 goes backwards.`,
      { op },
    );
  const [low, high] = by > 0 ? [0, extent] : [-1, extent - 1];
  const at = (v: number | null | undefined, whole: number): number =>
    v === null || v === undefined ? whole : Math.min(Math.max(v < 0 ? v + extent : v, low), high);
  const start = at(begin, by > 0 ? low : high);
  const stop = at(end, by > 0 ? high : low);
  return { start, count: Math.max(0, Math.ceil((stop - start) / by)), step: by };
}

/** Copies out what ranges of the first axes name; an axis without one stays whole. */
export function ranges(x: NDArray, of: readonly (Span | undefined)[]): NDArray {
  const shape: number[] = [...x.shape];
  const strides = stridesOf(shape);
  let offset = 0;
  of.forEach((range, i) => {
    if (range === undefined) return;
    const stride = strides[i] as number;
    if (range.count > 0) offset += range.start * stride;
    shape[i] = range.count;
    strides[i] = range.step * stride;
  });
  return stridedSlice(x, shape, offset, strides);
}

/** Copies out a range of one axis. */
export function rangeAlong(x: NDArray, axis: number, range: Span): NDArray {
  return ranges(
    x,
    x.shape.map((_, i) => (i === axis ? range : undefined)),
  );
}

type Bound = number | null | undefined;

/**
 * A piece along the first axes, from `begin` to `end` (not included), with steps. Copies.
 * @example nd.arange(12).reshape([3, 4]).slice([0, 1], [2, 4]).shape // [2, 2]
 */
export function slice(
  x: NDArray,
  begin:
    | number
    | readonly Bound[]
    | {
        readonly begin: number | readonly Bound[];
        readonly end: number | readonly Bound[];
        readonly step?: number | readonly Bound[] | undefined;
      },
  end?: number | readonly Bound[] | null,
  step?: number | readonly Bound[] | { readonly step?: number | readonly Bound[] | undefined },
): NDArray {
  const { shape } = bodyOf(x, 'slice');
  const values = readArgs('slice', [begin, end, step], ['begin', 'end', 'step']);
  const list = (v: unknown): readonly Bound[] =>
    v === undefined ? [] : Array.isArray(v) ? v : [v as number];
  const [begins, ends, steps] = [list(values['begin']), list(values['end']), list(values['step'])];
  const axes = Math.max(begins.length, ends.length);
  if (axes > shape.length)
    throw new ShapeError(
      `expected at most ${shape.length} ranges, received ${axes} for shape ${shapeText(shape)}. Give one for each axis.`,
      { op: 'slice' },
    );
  const named: Span[] = [];
  for (let i = 0; i < axes; i++)
    named.push(resolveRange('slice', shape[i] as number, begins[i], ends[i], steps[i]));
  return ranges(x, named);
}

/** A range of one axis. Copies. `end` null means to the end. */
export function sliceAxis(
  x: NDArray,
  axis: number | { readonly axis: number; readonly begin: number; readonly end?: number | null | undefined },
  begin?: number,
  end?: number | null,
): NDArray {
  const { shape } = bodyOf(x, 'sliceAxis');
  const values = readArgs('sliceAxis', [axis, begin, end], ['axis', 'begin', 'end']);
  const at = axisArg('sliceAxis', values, x);
  const { begin: from, end: to } = values as { begin?: number; end?: number };
  const range = resolveRange('sliceAxis', shape[at] as number, from, to);
  return rangeAlong(x, at, range);
}

/** As much of x as the other array's shape covers, on all axes or on those named. Copies. */
export function sliceLike(
  x: NDArray,
  other: NDArray,
  options?: { readonly axes?: readonly number[] | undefined },
): NDArray {
  checkOptions('sliceLike', options, ['axes']);
  const { shape } = bodyOf(x, 'sliceLike');
  const like = bodyOf(other, 'sliceLike').shape;
  const axes = normalizeAxes(options?.axes, shape.length, 'sliceLike');
  const named = shape.map((d, i) => {
    if (!axes.includes(i)) return undefined;
    const count = like[i];
    if (count === undefined || count > d)
      throw new ShapeError(
        `expected a shape that fits into ${shapeText(shape)}, received ${shapeText(like)}. Name the axes that fit.`,
        { op: 'sliceLike' },
      );
    return { start: 0, count, step: 1 };
  });
  return ranges(x, named);
}

/** Reverses the order along an axis. Copies. */
export function flip(
  x: NDArray,
  axis: number | readonly number[] | { readonly axis: number | readonly number[] },
): NDArray {
  const { shape } = bodyOf(x, 'flip');
  const axes = normalizeAxes(
    readArgs('flip', [axis], ['axis'])['axis'] as number | readonly number[],
    shape.length,
    'flip',
  );
  return ranges(
    x,
    shape.map((d, i) => (axes.includes(i) ? { start: d - 1, count: d, step: -1 } : undefined)),
  );
}

/** Reverses the order along an axis; the same as `flip`. */
export const reverse: typeof flip = flip;
