// Operations that move or regroup elements without computing on them. The reshape family shares memory; the rest is one strided copy.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { checkDType, type DType } from '../core/dtype.ts';
import { ArgumentError, DTypeError, ShapeError } from '../core/errors.ts';
import {
  asShape,
  broadcastShapes,
  describe,
  normalizeAxes,
  normalizeAxis,
  resolveReshape,
  type Shape,
  sameShape,
  shapeText,
  sizeOf,
  stridesOf,
} from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel } from '../ir/kernel.ts';
import { axisArg, booleanArg, checkOptions, integerArg, isOptions, readArgs, wordArg } from './args.ts';
import { composed } from './composed.ts';
import { invoke, invokeAll, invokeInto } from './invoke.ts';
import type { Emitter, Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { emitScatterAdd } from './scatter.ts';

const FAMILY = 'shapes';
export const stridedCopy = customKernel('stridedCopy');
const identity = elementwiseKernel('copy', 1, e.input(0));
const zero = elementwiseKernel('zero', 0, e.constant(0), -1);

/** Emits a strided copy: element c of `shape` goes from x[inOffset + c·inStrides] to y[outOffset + c·outStrides]. */
function emitCopy(
  emit: Emitter,
  x: Operand,
  y: Operand,
  shape: readonly number[],
  inStrides: readonly number[],
  inOffset = 0,
  outStrides: readonly number[] = stridesOf(shape),
  outOffset = 0,
): void {
  if (sizeOf(shape) === 0) return;
  emit.run(stridedCopy, [x], [y], [shape.length, inOffset, outOffset, ...shape, ...inStrides, ...outStrides]);
}

// --- views ---

const view = defineOp<{ readonly shape: Shape }>({
  name: 'reshape',
  family: FAMILY,
  infer: (x, { shape }) => [{ shape, dtype: (x[0] as TensorType).dtype }],
  run: null,
  grad: (c) => [c.f.reshape(c.dy(), c.xType(0).shape)],
});

const detachOp = defineOp<object>({
  name: 'detach',
  family: FAMILY,
  infer: (x) => [x[0] as TensorType],
  run: null,
  grad: 'it is what cuts gradients off',
});

function viewAs(x: NDArray, shape: readonly number[]): NDArray {
  return invoke(view, [x], { shape: asShape(shape) });
}

/** Numbers given one by one, as a list, or as `{ shape }`. */
function shapeArgs(op: string, first: unknown, rest: readonly unknown[]): readonly number[] {
  const value = isOptions(first)
    ? readArgs(op, [first], ['shape'])['shape']
    : typeof first === 'number'
      ? [first, ...rest]
      : first;
  if (!Array.isArray(value) || value.some((v) => typeof v !== 'number'))
    throw new ShapeError(
      `expected a shape as an array of numbers, received ${describe(value)}. Write x.reshape([2, -1]).`,
      { op },
    );
  return value as number[];
}

/**
 * The same elements under another shape; shares memory. MXNet's codes: 0 keeps an extent, −1 is inferred, −2 takes all that remain, −3 merges two,
 * −4 splits one into the two numbers that follow.
 *
 * @throws ShapeError where the number of elements differs
 * @example
 * nd.arange(6).reshape([2, -1]).shape; // [2, 3]
 */
export function reshape(
  x: NDArray,
  shape: number | readonly number[] | { readonly shape: readonly number[] },
  ...more: number[]
): NDArray {
  const body = bodyOf(x, 'reshape');
  return viewAs(x, resolveReshape(body.shape, shapeArgs('reshape', shape, more)));
}

/** The same elements under the other array's shape; shares memory. */
export function reshapeLike(x: NDArray, other: NDArray): NDArray {
  const [from, to] = [bodyOf(x, 'reshapeLike').shape, bodyOf(other, 'reshapeLike').shape];
  // an extent 0 of the other array is an extent, no code
  if (sizeOf(from) !== sizeOf(to))
    throw new ShapeError(
      `expected an array with ${sizeOf(from)} elements to take the shape of, received ${shapeText(to)} for an array of shape ${shapeText(from)}. Check the shapes.`,
      { op: 'reshapeLike' },
    );
  return viewAs(x, to);
}

/** Inserts an axis of extent 1 before `axis` (from −ndim−1 to ndim); shares memory. */
export function expandDims(x: NDArray, axis: number | { readonly axis: number }): NDArray {
  const { shape } = bodyOf(x, 'expandDims');
  const at = normalizeAxis(
    integerArg('expandDims', readArgs('expandDims', [axis], ['axis']), 'axis'),
    shape.length + 1,
    'expandDims',
  );
  return viewAs(x, [...shape.slice(0, at), 1, ...shape.slice(at)]);
}

/** Drops axes of extent 1, all or those named; shares memory. */
export function squeeze(
  x: NDArray,
  axis?:
    | number
    | readonly number[]
    | null
    | { readonly axis?: number | readonly number[] | null | undefined },
): NDArray {
  const { shape } = bodyOf(x, 'squeeze');
  const given = readArgs('squeeze', [axis ?? undefined], ['axis'])['axis'] as
    | number
    | readonly number[]
    | undefined;
  const axes = new Set(
    given === undefined || given === null
      ? shape.flatMap((d, i) => (d === 1 ? [i] : []))
      : normalizeAxes(given, shape.length, 'squeeze'),
  );
  for (const i of axes)
    if (shape[i] !== 1)
      throw new ShapeError(
        `expected axes of extent 1, received axis ${i} of shape ${shapeText(shape)}. Name axes of extent 1 only.`,
        { op: 'squeeze' },
      );
  const left = shape.filter((_, i) => !axes.has(i));
  return viewAs(x, left.length === 0 && shape.length > 0 ? [1] : left);
}

/** Folds all axes but the first into one, `(d0, d1·d2·…)`; shares memory. */
export function flatten(x: NDArray): NDArray {
  const { shape } = bodyOf(x, 'flatten');
  return viewAs(x, [shape.length === 0 ? 1 : shape[0], sizeOf(shape.slice(1))]);
}

/** The same values, cut off from recorded gradients; shares memory. */
export function detach(x: NDArray): NDArray {
  return invoke(detachOp, [x], {});
}

/** The same values, through which no gradient flows; the same as `detach`. */
export const blockGrad: (x: NDArray) => NDArray = detach;

/** A view of a 1-d array along one axis of `ndim`, extent 1 elsewhere: a bias along the channels. */
export function expandToAxis(x: NDArray, axis: number, ndim: number): NDArray {
  return viewAs(
    x,
    Array.from({ length: ndim }, (_, i) => (i === axis ? x.size : 1)),
  );
}

// --- copies and conversions ---

const castOp = defineOp<{ readonly dtype: DType }>({
  name: 'cast',
  family: FAMILY,
  infer: (x, { dtype }) => [{ shape: (x[0] as TensorType).shape, dtype }],
  run: (emit, x, y) => emit.run(identity, x, y),
  grad: (c) => [c.f.astype(c.dy(), c.xType(0).dtype)],
});

/**
 * The values in another dtype (a copy even if the dtype is the same). Floats are truncated towards zero to integers, integers wrap when narrowed, anything
 * but 0 is true.
 */
export function astype(x: NDArray, dtype: DType | { readonly dtype: DType }): NDArray {
  return invoke(castOp, [x], {
    dtype: checkDType(readArgs('astype', [dtype], ['dtype'])['dtype'], 'astype'),
  });
}

/** The values in another dtype; the same as `astype`. */
export const cast: (x: NDArray, dtype: DType | { readonly dtype: DType }) => NDArray = astype;

const copyOp = defineOp<object>({
  name: 'copy',
  family: FAMILY,
  infer: (x) => [x[0] as TensorType],
  run: (emit, x, y) => emit.run(identity, x, y),
  grad: (c) => [c.dy()],
});

/** A copy with memory of its own, on the same device. */
export function copy(x: NDArray): NDArray {
  return invoke(copyOp, [x], {});
}

const transposeOp = defineOp<{ readonly axes: readonly number[] }>({
  name: 'transpose',
  family: FAMILY,
  infer(x, { axes }) {
    const { shape, dtype } = x[0] as TensorType;
    return [{ shape: asShape(axes.map((a) => shape[a] as number)), dtype }];
  },
  run(emit, x, y, { axes }) {
    const [from, to] = [x[0] as Operand, y[0] as Operand];
    const strides = stridesOf(from.shape);
    emitCopy(
      emit,
      from,
      to,
      to.shape,
      axes.map((a) => strides[a] as number),
    );
  },
  grad(c) {
    const back: number[] = [];
    c.attrs.axes.forEach((a, i) => {
      back[a] = i;
    });
    return [c.f.transpose(c.dy(), back)];
  },
});

/**
 * Axes in another order, reversed by default. Copies.
 * @example nd.ones([2, 3, 4]).transpose([1, 0, 2]).shape // [3, 2, 4]
 */
export function transpose(
  x: NDArray,
  axes?: readonly number[] | number | { readonly axes?: readonly number[] | undefined },
  ...more: number[]
): NDArray {
  const ndim = bodyOf(x, 'transpose').shape.length;
  const given =
    typeof axes === 'number'
      ? [axes, ...more]
      : (readArgs('transpose', [axes ?? undefined], ['axes'])['axes'] as readonly number[] | undefined);
  if (given === undefined || given.length === 0)
    return invoke(transposeOp, [x], { axes: Array.from({ length: ndim }, (_, i) => ndim - 1 - i) });
  if (!Array.isArray(given) || given.length !== ndim)
    throw new ShapeError(
      `expected ${ndim} axes in a new order, received ${describe(given)}. Name each axis once.`,
      { op: 'transpose' },
    );
  const order = given.map((a: number) => normalizeAxis(a, ndim, 'transpose'));
  normalizeAxes(order, ndim, 'transpose');
  return invoke(transposeOp, [x], { axes: order });
}

/** Exchanges two axes. Copies. */
export function swapaxes(
  x: NDArray,
  dim1: number | { readonly dim1?: number | undefined; readonly dim2?: number | undefined },
  dim2?: number,
): NDArray {
  const values = readArgs('swapaxes', [dim1, dim2], ['dim1', 'dim2']);
  const a = axisArg('swapaxes', values, x, 0, 'dim1');
  const b = axisArg('swapaxes', values, x, 0, 'dim2');
  const axes = Array.from({ length: x.ndim }, (_, i) => (i === a ? b : i === b ? a : i));
  return invoke(transposeOp, [x], { axes });
}

/** Moves axis `from` to place `to`. */
export function moveAxis(x: NDArray, from: number, to: number): NDArray {
  const axes = Array.from({ length: x.ndim }, (_, i) => i);
  axes.splice(to, 0, ...axes.splice(from, 1));
  return axes.every((a, i) => a === i) ? x : invoke(transposeOp, [x], { axes });
}

const broadcastOp = defineOp<{ readonly shape: Shape }>({
  name: 'broadcastTo',
  family: FAMILY,
  infer(x, { shape }) {
    const from = x[0] as TensorType;
    if (!sameShape(broadcastShapes(from.shape, shape, 'broadcastTo'), shape))
      throw new ShapeError(
        `expected a shape that ${shapeText(from.shape)} broadcasts to, received ${shapeText(shape)}. Extents may only grow from 1.`,
        {
          op: 'broadcastTo',
        },
      );
    return [{ shape, dtype: from.dtype }];
  },
  run: (emit, x, y) => emit.run(identity, x, y),
  grad: (c) => [c.f.sumTo(c.dy(), c.xType(0).shape)],
});

/** Repeats along axes of extent 1 until the shape is reached; 0 keeps an extent. Copies. */
export function broadcastTo(
  x: NDArray,
  shape: readonly number[] | number | { readonly shape: readonly number[] },
  ...more: number[]
): NDArray {
  const given = shapeArgs('broadcastTo', shape, more);
  const own = bodyOf(x, 'broadcastTo').shape;
  const offset = given.length - own.length;
  return invoke(broadcastOp, [x], {
    shape: asShape(
      given.map((d, i) => (d === 0 && offset >= 0 && i >= offset ? (own[i - offset] as number) : d)),
    ),
  });
}

/** Repeats until the other array's shape is reached. Copies. */
export function broadcastLike(x: NDArray, other: NDArray): NDArray {
  return invoke(broadcastOp, [x], { shape: bodyOf(other, 'broadcastLike').shape });
}

/** Repeats along the named axes of extent 1, each to its size. Copies. */
export function broadcastAxis(
  x: NDArray,
  axis:
    | number
    | readonly number[]
    | { readonly axis: number | readonly number[]; readonly size: number | readonly number[] },
  size?: number | readonly number[],
): NDArray {
  const values = readArgs('broadcastAxis', [axis, size], ['axis', 'size']);
  const list = (v: unknown): number[] =>
    typeof v === 'number' ? [v] : Array.isArray(v) ? (v as number[]) : [];
  const [axes, sizes] = [list(values['axis']), list(values['size'])];
  if (axes.length !== sizes.length)
    throw new ShapeError(
      `expected one size for each axis, received ${axes.length} axes and ${sizes.length} sizes. Pass as many of each.`,
      { op: 'broadcastAxis' },
    );
  const shape = [...bodyOf(x, 'broadcastAxis').shape];
  axes.forEach((a, i) => {
    shape[normalizeAxis(a, shape.length, 'broadcastAxis')] = sizes[i] as number;
  });
  return invoke(broadcastOp, [x], { shape: asShape(shape) });
}

// --- slices ---

interface SliceAttrs {
  readonly shape: Shape;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Puts a piece back where it was sliced from, zeros around it. No element was taken twice. */
const sliceBack: Op<SliceAttrs & { readonly from: Shape }> = defineOp<SliceAttrs & { readonly from: Shape }>({
  name: 'sliceGrad',
  family: 'gradient',
  infer: (dy, { from }) => [{ shape: from, dtype: (dy[0] as TensorType).dtype }],
  run(emit, [dy], [dx], { shape, offset, strides }) {
    const to = dx as Operand;
    if (sizeOf(shape) !== sizeOf(to.shape)) emit.run(zero, [], [to]);
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
    return [
      whole ? c.f.reshape(dy, from) : invoke(sliceBack, [dy], { shape: dy.shape, offset, strides, from }),
    ];
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

/** Writes a value (broadcast to `shape`) into a regular piece of an array: the inverse of `stridedSlice`. */
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
  grad: 'it writes in place, which is refused while recording',
});

export function setStridedSlice(
  x: NDArray,
  value: NDArray,
  shape: readonly number[],
  offset: number,
  strides: readonly number[],
): NDArray {
  return invokeInto(setSliceOp, x, [value], { shape: asShape(shape), offset, strides });
}

/** A range along one axis, as Python's slice: `null` means from the start or to the end, negative numbers count from the end. */
export function resolveRange(
  op: string,
  extent: number,
  begin: number | null | undefined,
  end: number | null | undefined,
  step: number | null | undefined = 1,
): { readonly start: number; readonly count: number; readonly step: number } {
  const by = step ?? 1;
  for (const v of [begin, end, by])
    if (v !== null && v !== undefined && !Number.isInteger(v))
      throw new ShapeError(`expected integers in a range, received ${describe(v)}. Write begin:end:step.`, {
        op,
      });
  if (by === 0)
    throw new ShapeError('expected a step that is not 0, received 0. Use 1, or −1 to go backwards.', { op });
  const [low, high] = by > 0 ? [0, extent] : [-1, extent - 1];
  const clamp = (v: number): number => Math.min(Math.max(v < 0 ? v + extent : v, low), high);
  const start = begin === null || begin === undefined ? (by > 0 ? 0 : extent - 1) : clamp(begin);
  const stop = end === null || end === undefined ? (by > 0 ? extent : -1) : clamp(end);
  return { start, count: Math.max(0, Math.ceil((stop - start) / by)), step: by };
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
  const values = readArgs('slice', [begin, end === null ? [null] : end, step], ['begin', 'end', 'step']);
  const list = (v: unknown): readonly Bound[] =>
    v === undefined ? [] : Array.isArray(v) ? v : [v as number];
  const [begins, ends, steps] = [list(values['begin']), list(values['end']), list(values['step'])];
  const axes = Math.max(begins.length, ends.length);
  if (axes > shape.length)
    throw new ShapeError(
      `expected at most ${shape.length} ranges, received ${axes} for shape ${shapeText(shape)}. Give one for each axis.`,
      { op: 'slice' },
    );
  const own = stridesOf(shape);
  let offset = 0;
  const out = [...shape];
  const strides = [...own];
  for (let i = 0; i < axes; i++) {
    const range = resolveRange('slice', shape[i] as number, begins[i], ends[i], steps[i]);
    offset += range.count > 0 ? range.start * (own[i] as number) : 0;
    out[i] = range.count;
    strides[i] = range.step * (own[i] as number);
  }
  return stridedSlice(x, out, offset, strides);
}

/** A range of one axis. Copies. `end` null means to the end. */
export function sliceAxis(
  x: NDArray,
  axis: number | { readonly axis: number; readonly begin: number; readonly end?: number | null | undefined },
  begin?: number,
  end?: number | null,
): NDArray {
  const { shape } = bodyOf(x, 'sliceAxis');
  const values = readArgs('sliceAxis', [axis, begin, end ?? undefined], ['axis', 'begin', 'end']);
  const at = axisArg('sliceAxis', values, x);
  const range = resolveRange(
    'sliceAxis',
    shape[at] as number,
    (values['begin'] as number | undefined) ?? 0,
    values['end'] as number | undefined,
  );
  const own = stridesOf(shape);
  return stridedSlice(
    x,
    shape.map((d, i) => (i === at ? range.count : d)),
    range.count > 0 ? range.start * (own[at] as number) : 0,
    own,
  );
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
  const out = shape.map((d, i) => {
    if (!axes.includes(i)) return d;
    const wanted = like[i];
    if (wanted === undefined || wanted > d)
      throw new ShapeError(
        `expected a shape that fits into ${shapeText(shape)}, received ${shapeText(like)}. Name the axes that fit.`,
        { op: 'sliceLike' },
      );
    return wanted;
  });
  return stridedSlice(x, out, 0, stridesOf(shape));
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
  const strides = stridesOf(shape);
  let offset = 0;
  for (const a of axes) {
    offset += Math.max(0, (shape[a] as number) - 1) * (strides[a] as number);
    strides[a] = -(strides[a] as number);
  }
  return stridedSlice(x, shape, offset, strides);
}

/** Reverses the order along an axis; the same as `flip`. */
export const reverse: typeof flip = flip;

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

// --- joining and splitting ---

const concatOp: Op<{ readonly axis: number }> = defineOp<{ readonly axis: number }>({
  name: 'concat',
  family: FAMILY,
  infer(x, { axis }) {
    const first = x[0] as TensorType;
    let extent = 0;
    x.forEach((t, i) => {
      if (t.dtype !== first.dtype)
        throw new DTypeError(
          `expected arrays of one dtype, received ${first.dtype} and ${t.dtype} (array ${i}). Convert one with astype.`,
          { op: 'concat' },
        );
      if (t.shape.length !== first.shape.length || t.shape.some((d, k) => k !== axis && d !== first.shape[k]))
        throw new ShapeError(
          `expected shapes equal but along axis ${axis}, received ${shapeText(first.shape)} and ${shapeText(t.shape)} (array ${i}). Reshape one, or join along another axis.`,
          { op: 'concat' },
        );
      extent += t.shape[axis] as number;
    });
    return [{ shape: asShape(first.shape.map((d, k) => (k === axis ? extent : d))), dtype: first.dtype }];
  },
  run(emit, x, y, { axis }) {
    const to = y[0] as Operand;
    const strides = stridesOf(to.shape);
    let at = 0;
    for (const from of x) {
      emitCopy(emit, from, to, from.shape, stridesOf(from.shape), 0, strides, at * (strides[axis] as number));
      at += from.shape[axis] as number;
    }
  },
  grad(c) {
    const sizes = Array.from({ length: c.count }, (_, i) => c.xType(i).shape[c.attrs.axis] as number);
    const wanted = sizes.flatMap((_, i) => (c.wants(i) ? [i] : []));
    if (wanted.length > 1) return splitSizes(c.dy(), c.attrs.axis, sizes);
    // one piece alone
    const dy = c.dy();
    const strides = stridesOf(dy.shape);
    return sizes.map((size, i) => {
      if (i !== wanted[0]) return null;
      const before = sizes.slice(0, i).reduce((n, d) => n + d, 0);
      const shape = dy.shape.map((d, k) => (k === c.attrs.axis ? size : d));
      return stridedSlice(dy, shape, before * (strides[c.attrs.axis] as number), strides);
    });
  },
});

function arrayList(
  op: string,
  args: readonly unknown[],
): { readonly arrays: NDArray[]; readonly options: Record<string, unknown> } {
  const last = args[args.length - 1];
  const options = isOptions(last) ? last : {};
  const given = isOptions(last) ? args.slice(0, -1) : args;
  const arrays = given.length === 1 && Array.isArray(given[0]) ? (given[0] as unknown[]) : given;
  if (arrays.length === 0)
    throw new ArgumentError('expected at least one array, received none. Pass the arrays to join.', { op });
  for (const a of arrays) bodyOf(a as NDArray, op);
  return { arrays: arrays as NDArray[], options };
}

/**
 * Joins arrays along an axis they already have (`dim`, 1 by default as in MXNet).
 * @example nd.concat(nd.ones([2, 1]), nd.zeros([2, 2]), { dim: 1 }).shape // [2, 3]
 */
export function concat(
  ...args: readonly (NDArray | readonly NDArray[] | { readonly dim?: number | undefined })[]
): NDArray {
  const { arrays, options } = arrayList('concat', args);
  checkOptions('concat', options, ['dim', 'axis']);
  const first = arrays[0] as NDArray;
  const axis = normalizeAxis(
    integerArg('concat', { dim: options['dim'] ?? options['axis'] }, 'dim', 1),
    first.ndim,
    'concat',
  );
  return invoke(concatOp, arrays, { axis });
}

/** Joins arrays along a new axis. @example nd.stack(a, b, { axis: 0 }) */
export function stack(
  ...args: readonly (NDArray | readonly NDArray[] | { readonly axis?: number | undefined })[]
): NDArray {
  const { arrays, options } = arrayList('stack', args);
  checkOptions('stack', options, ['axis']);
  const first = arrays[0] as NDArray;
  const axis = normalizeAxis(integerArg('stack', options, 'axis', 0), first.ndim + 1, 'stack');
  for (const [i, a] of arrays.entries())
    if (!sameShape(a.shape, first.shape))
      throw new ShapeError(
        `expected arrays of one shape, received ${shapeText(first.shape)} and ${shapeText(a.shape)} (array ${i}). Use concat to join unequal ones.`,
        { op: 'stack' },
      );
  return composed(() =>
    invoke(
      concatOp,
      arrays.map((a) => expandDims(a, axis)),
      { axis },
    ),
  );
}

const splitOp = defineOp<{ readonly axis: number; readonly sizes: readonly number[] }>({
  name: 'split',
  family: FAMILY,
  infer(x, { axis, sizes }) {
    const { shape, dtype } = x[0] as TensorType;
    return sizes.map((size) => ({ shape: asShape(shape.map((d, i) => (i === axis ? size : d))), dtype }));
  },
  run(emit, x, y, { axis }) {
    const from = x[0] as Operand;
    const strides = stridesOf(from.shape);
    let at = 0;
    for (const to of y) {
      emitCopy(emit, from, to, to.shape, strides, at * (strides[axis] as number));
      at += to.shape[axis] as number;
    }
  },
  grad: (c) => [
    c.f.concat(
      c.attrs.sizes.map((_, i) => c.dy(i)),
      c.attrs.axis,
    ),
  ],
});

/** Cuts an axis into pieces of the given sizes. */
function splitSizes(x: NDArray, axis: number, sizes: readonly number[]): NDArray[] {
  return invokeAll(splitOp, [x], { axis, sizes });
}

/**
 * Cuts an axis (1 by default, as in MXNet) into `n` equal pieces; always a list. `squeezeAxis` drops the axis where the pieces have extent 1.
 * @throws ShapeError where the extent is not divisible
 */
export function split(
  x: NDArray,
  n:
    | number
    | {
        readonly n?: number | undefined;
        readonly numOutputs?: number | undefined;
        readonly axis?: number | undefined;
        readonly squeezeAxis?: boolean | undefined;
      },
  options?: { readonly axis?: number | undefined; readonly squeezeAxis?: boolean | undefined },
): NDArray[] {
  const values = readArgs('split', [n, options], ['n'], ['numOutputs', 'axis', 'squeezeAxis']);
  const pieces = integerArg('split', { n: values['n'] ?? values['numOutputs'] }, 'n', undefined, 1);
  const axis = axisArg('split', values, x, 1);
  const extent = x.shape[axis] as number;
  if (extent % pieces !== 0)
    throw new ShapeError(
      `expected an extent divisible by ${pieces} along axis ${axis}, received ${shapeText(x.shape)}. Choose another number of pieces, or slice.`,
      { op: 'split' },
    );
  const size = extent / pieces;
  const sizes = Array<number>(pieces).fill(size);
  if (!booleanArg('split', values, 'squeezeAxis', false)) return splitSizes(x, axis, sizes);
  if (size !== 1)
    throw new ShapeError(
      `expected pieces of extent 1 for squeezeAxis, received ${size}. Split into ${extent} pieces.`,
      { op: 'split' },
    );
  return composed(() =>
    splitSizes(x, axis, sizes).map((p) =>
      viewAs(
        p,
        p.shape.filter((_, i) => i !== axis),
      ),
    ),
  );
}

// --- padding, blocks ---

const padKernel = customKernel('pad');
const fill = elementwiseKernel('full', 0, e.scalar(0), -1);
const iota = elementwiseKernel('iota', 0, e.index, -1);

interface PadAttrs {
  readonly mode: 'constant' | 'edge' | 'reflect';
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly value: number;
}

/** The gradient of padding that repeats elements: added up where they came from. */
const padBack: Op<PadAttrs & { readonly shape: Shape }> = defineOp<PadAttrs & { readonly shape: Shape }>({
  name: 'padGrad',
  family: 'gradient',
  infer: (dy, { shape }) => [{ shape, dtype: (dy[0] as TensorType).dtype }],
  run(emit, [dy], [dx], { mode, before, shape }) {
    const from = dy as Operand;
    const places = emit.temporary(shape, 'int32');
    const sources = emit.temporary(from.shape, 'int32');
    emit.run(iota, [], [places]);
    emit.run(padKernel, [places], [sources], padDims(mode, shape, before, from.shape));
    const count = sizeOf(from.shape);
    emitScatterAdd(emit, from, { ...sources, shape: [count] }, dx as Operand, [count, 1, 1, sizeOf(shape)]);
  },
  grad: (c) => [invoke(padOp, [c.dy()], c.attrs)],
});

function padDims(
  mode: PadAttrs['mode'],
  from: readonly number[],
  before: readonly number[],
  to: readonly number[],
): number[] {
  return [mode === 'edge' ? 0 : 1, from.length, ...from, ...before, ...to];
}

const padOp: Op<PadAttrs> = defineOp<PadAttrs>({
  name: 'pad',
  family: FAMILY,
  infer(x, { mode, before, after }) {
    const { shape, dtype } = x[0] as TensorType;
    const out = shape.map((d, i) => d + (before[i] as number) + (after[i] as number));
    if (out.some((d) => d < 0))
      throw new ShapeError(
        `expected padding that leaves extents ≥ 0, received ${shapeText(before)} and ${shapeText(after)} for shape ${shapeText(shape)}. Check the widths.`,
        { op: 'pad' },
      );
    shape.forEach((d, i) => {
      const widest = Math.max(before[i] as number, after[i] as number);
      if ((mode === 'reflect' && widest >= d && widest > 0) || (mode === 'edge' && d === 0 && widest > 0))
        throw new ShapeError(
          `expected padding narrower than the axis in mode '${mode}', received ${widest} for extent ${d} of axis ${i}. Use a narrower padding or mode 'constant'.`,
          { op: 'pad' },
        );
    });
    return [{ shape: asShape(out), dtype }];
  },
  run(emit, x, y, { mode, before, after, value }) {
    const [from, to] = [x[0] as Operand, y[0] as Operand];
    if (mode !== 'constant') {
      emit.run(padKernel, x, y, padDims(mode, from.shape, before, to.shape));
      return;
    }
    emit.run(fill, [], y, undefined, [value]);
    const [inStrides, outStrides] = [stridesOf(from.shape), stridesOf(to.shape)];
    let [inOffset, outOffset] = [0, 0];
    // negative widths crop
    const shape = from.shape.map((d, i) => {
      const [b, a] = [before[i] as number, after[i] as number];
      inOffset += Math.max(0, -b) * (inStrides[i] as number);
      outOffset += Math.max(0, b) * (outStrides[i] as number);
      return Math.max(0, d + Math.min(0, b) + Math.min(0, a));
    });
    emitCopy(emit, from, to, shape, inStrides, inOffset, outStrides, outOffset);
  },
  grad(c) {
    const { mode, before, after } = c.attrs;
    // negative widths crop, and padding back where it cropped gives zeros
    if (mode === 'constant')
      return [
        invoke(padOp, [c.dy()], {
          mode,
          before: before.map((b) => -b),
          after: after.map((a) => -a),
          value: 0,
        }),
      ];
    return [invoke(padBack, [c.dy()], { ...c.attrs, shape: c.xType(0).shape })];
  },
});

/**
 * Pads each axis: `padWidth` is (before, after) for each axis in turn. Mode 'constant' (with `constantValue` 0), 'edge' or 'reflect'.
 * @example nd.ones([1, 1, 2, 2]).pad({ mode: 'edge', padWidth: [0, 0, 0, 0, 1, 1, 1, 1] }).shape // [1, 1, 4, 4]
 */
export function pad(
  x: NDArray,
  options: {
    readonly mode?: 'constant' | 'edge' | 'reflect' | undefined;
    readonly padWidth: readonly number[];
    readonly constantValue?: number | undefined;
  },
): NDArray {
  const { shape } = bodyOf(x, 'pad');
  const values = readArgs('pad', [options], [], ['mode', 'padWidth', 'constantValue']);
  const mode = wordArg('pad', values, 'mode', ['constant', 'edge', 'reflect'], 'constant');
  const widths = values['padWidth'];
  if (
    !Array.isArray(widths) ||
    widths.length !== 2 * shape.length ||
    widths.some((w) => !Number.isInteger(w))
  )
    throw new ShapeError(
      `expected padWidth with ${2 * shape.length} integers (before and after for each axis), received ${describe(widths)}. Check its length.`,
      { op: 'pad' },
    );
  const even = (k: number): number[] => (widths as number[]).filter((_, i) => i % 2 === k);
  return invoke(padOp, [x], {
    mode,
    before: even(0),
    after: even(1),
    value: (values['constantValue'] as number | undefined) ?? 0,
  });
}

/** (N, C, H, W) → (N, C·b², H/b, W/b), MXNet's order of blocks. */
export function spaceToDepth(x: NDArray, blockSize: number | { readonly blockSize: number }): NDArray {
  const b = integerArg(
    'spaceToDepth',
    readArgs('spaceToDepth', [blockSize], ['blockSize']),
    'blockSize',
    undefined,
    1,
  );
  const [n, c, h, w] = bodyOf(x, 'spaceToDepth').shape;
  if (x.ndim !== 4 || h % b !== 0 || w % b !== 0)
    throw new ShapeError(
      `expected shape (N, C, H, W) with H and W divisible by ${b}, received ${shapeText(x.shape)}. Pad or crop first.`,
      { op: 'spaceToDepth' },
    );
  return composed(() => {
    const blocks = transpose(viewAs(x, [n, c, h / b, b, w / b, b]), [0, 3, 5, 1, 2, 4]);
    return viewAs(blocks, [n, c * b * b, h / b, w / b]);
  });
}

/** (N, C·b², H, W) → (N, C, H·b, W·b), MXNet's order of blocks. */
export function depthToSpace(x: NDArray, blockSize: number | { readonly blockSize: number }): NDArray {
  const b = integerArg(
    'depthToSpace',
    readArgs('depthToSpace', [blockSize], ['blockSize']),
    'blockSize',
    undefined,
    1,
  );
  const [n, c, h, w] = bodyOf(x, 'depthToSpace').shape;
  if (x.ndim !== 4 || c % (b * b) !== 0)
    throw new ShapeError(
      `expected shape (N, C, H, W) with C divisible by ${b * b}, received ${shapeText(x.shape)}. Check blockSize.`,
      { op: 'depthToSpace' },
    );
  return composed(() => {
    const blocks = transpose(viewAs(x, [n, b, b, c / (b * b), h, w]), [0, 3, 4, 1, 5, 2]);
    return viewAs(blocks, [n, c / (b * b), h * b, w * b]);
  });
}
