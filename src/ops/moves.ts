// Every element in another place or form: cast, copy, axes in another order, broadcasting. Pieces of an array are in slices.ts.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { checkDType, type DType } from '../core/dtype.ts';
import { ShapeError } from '../core/errors.ts';
import {
  asShape,
  broadcastShapes,
  describe,
  normalizeAxes,
  normalizeAxis,
  type Shape,
  sameShape,
  shapeText,
  stridesOf,
} from '../core/shape.ts';
import type { Operand } from '../ir/kernel.ts';
import { axisArg, readArgs, shapeArgs } from './args.ts';
import { invoke } from './invoke.ts';
import { defineOp, type TensorType } from './op.ts';
import { emitCopy, identity } from './strided.ts';

const FAMILY = 'moves';

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
      : (readArgs('transpose', [axes], ['axes'])['axes'] as readonly number[] | null | undefined);
  if (given === undefined || given === null || given.length === 0)
    return invoke(transposeOp, [x], { axes: x.shape.map((_, i) => ndim - 1 - i) });
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
  const axes = x.shape.map((_, i) => (i === a ? b : i === b ? a : i));
  return invoke(transposeOp, [x], { axes });
}

/** Moves axis `from` to place `to`. */
export function moveAxis(x: NDArray, from: number, to: number): NDArray {
  const axes = [...x.shape.keys()];
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

/** Repeats until this very shape is reached, in which 0 is an extent. Copies. */
export function broadcastToExact(x: NDArray, shape: readonly number[]): NDArray {
  return invoke(broadcastOp, [x], { shape: asShape(shape) });
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
