// Choosing elements by index arrays: take, pick, gatherNd, scatterNd, oneHot, embedding.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { checkDType, type DType } from '../core/dtype.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, type Shape, sameShape, shapeText, sizeOf, toShape } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel, rowKernel } from '../ir/kernel.ts';
import { axisArg, booleanArg, integerArg, numberArg, readArgs, wordArg } from './args.ts';
import { invoke } from './invoke.ts';
import type { TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { alongBack, gatherBack, pickBack, scatterBack, takeBack } from './scatter.ts';
import { reshape } from './views.ts';

const FAMILY = 'indexing';
const takeKernel = customKernel('take');
const takeAlongKernel = customKernel('takeAlong');
const gatherKernel = customKernel('gatherNd');
const scatterKernel = customKernel('scatterNd');
const zero = elementwiseKernel('zero', 0, e.constant(0), -1);
const iota = elementwiseKernel('iota', 0, e.index, -1);

/** What an index outside the axis means: 'clip' takes the nearest, 'wrap' counts round. */
export type IndexMode = 'clip' | 'wrap';
const MODES = ['clip', 'wrap'] as const;

interface TakeAttrs {
  readonly axis: number;
  readonly mode: IndexMode;
}

function needExtent(op: string, extent: number, indices: TensorType): void {
  if (extent === 0 && sizeOf(indices.shape) > 0)
    throw new ShapeError(
      'expected an axis with elements to take from, received one of extent 0. Check the array.',
      { op },
    );
}

const takeOp = defineOp<TakeAttrs>({
  name: 'take',
  family: FAMILY,
  infer([x, indices], { axis }) {
    const { shape, dtype } = x as TensorType;
    needExtent('take', shape[axis] as number, indices as TensorType);
    return [
      {
        shape: asShape([...shape.slice(0, axis), ...(indices as TensorType).shape, ...shape.slice(axis + 1)]),
        dtype,
      },
    ];
  },
  run(emit, x, y, { axis, mode }) {
    const { shape } = x[0] as Operand;
    emit.run(takeKernel, x, y, [
      sizeOf(shape.slice(0, axis)),
      shape[axis] as number,
      sizeOf(shape.slice(axis + 1)),
      sizeOf((x[1] as Operand).shape),
      mode === 'clip' ? 0 : 1,
    ]);
  },
  keeps: { inputs: [1] },
  grad: (c) => [
    c.wants(0) ? invoke(takeBack, [c.dy(), c.x(1)], { ...c.attrs, shape: c.xType(0).shape }) : null,
    null,
  ],
});

/** Options of `take`. */
export interface TakeOptions {
  readonly axis?: number | undefined;
  readonly mode?: IndexMode | undefined;
}

/**
 * Elements (or sub-arrays) at `indices` along an axis, 0 by default: the shape of `indices` stands in the axis's place.
 * @example nd.array([10, 20, 30]).take(nd.array([2, 0])) // [30, 10]
 */
export function take(x: NDArray, indices: NDArray, options?: TakeOptions): NDArray {
  const values = readArgs('take', [options], [], ['axis', 'mode']);
  return invoke(takeOp, [x, indices], {
    axis: axisArg('take', values, x, 0),
    mode: wordArg('take', values, 'mode', MODES, 'clip'),
  });
}

/** Row `indices[i]` of x for each i, as MXNet's batch_take: x (N, D), indices (N) → (N). */
export function batchTake(x: NDArray, indices: NDArray): NDArray {
  return pick(x, indices, { axis: 1 });
}

interface AlongAttrs extends TakeAttrs {
  readonly keepdims: boolean;
}

const pickOp = defineOp<AlongAttrs>({
  name: 'pick',
  family: FAMILY,
  infer([x, indices], { axis, keepdims }) {
    const { shape, dtype } = x as TensorType;
    const given = (indices as TensorType).shape;
    const kept = shape.map((d, i) => (i === axis ? 1 : d));
    const dropped = shape.filter((_, i) => i !== axis);
    if (!sameShape(given, kept) && !sameShape(given, dropped))
      throw new ShapeError(
        `expected indices of shape ${shapeText(dropped)} or ${shapeText(kept)} for input ${shapeText(shape)} and axis ${axis}, received ${shapeText(given)}. Give one index for each row.`,
        { op: 'pick' },
      );
    needExtent('pick', shape[axis] as number, indices as TensorType);
    return [{ shape: asShape(keepdims ? kept : dropped.length === 0 ? [1] : dropped), dtype }];
  },
  run(emit, x, y, { axis, mode }) {
    const { shape } = x[0] as Operand;
    emit.run(takeAlongKernel, x, y, [
      sizeOf(shape.slice(0, axis)),
      shape[axis] as number,
      sizeOf(shape.slice(axis + 1)),
      1,
      mode === 'clip' ? 0 : 1,
    ]);
  },
  keeps: { inputs: [1] },
  grad: (c) => [
    c.wants(0) ? invoke(pickBack, [c.x(1), c.dy()], { ...c.attrs, shape: c.xType(0).shape }) : null,
    null,
  ],
});

/**
 * One element of each row along an axis, the last by default.
 * @example nd.array([[1, 2], [3, 4]]).pick(nd.array([0, 1])) // [1, 4]
 */
export function pick(
  x: NDArray,
  indices: NDArray,
  axis?:
    | number
    | {
        readonly axis?: number | undefined;
        readonly keepdims?: boolean | undefined;
        readonly mode?: IndexMode | undefined;
      },
  options?: { readonly keepdims?: boolean | undefined; readonly mode?: IndexMode | undefined },
): NDArray {
  const values = readArgs('pick', [axis, options], ['axis'], ['keepdims', 'mode']);
  return invoke(pickOp, [x, indices], {
    axis: axisArg('pick', values, x, -1),
    mode: wordArg('pick', values, 'mode', MODES, 'clip'),
    keepdims: booleanArg('pick', values, 'keepdims', false),
  });
}

const takeAlongOp = defineOp<TakeAttrs>({
  name: 'takeAlongAxis',
  family: FAMILY,
  infer([x, indices], { axis }) {
    const { shape, dtype } = x as TensorType;
    const given = (indices as TensorType).shape;
    if (given.length !== shape.length || given.some((d, i) => i !== axis && d !== shape[i]))
      throw new ShapeError(
        `expected indices shaped as ${shapeText(shape)} but along axis ${axis}, received ${shapeText(given)}. Broadcast them first.`,
        { op: 'takeAlongAxis' },
      );
    needExtent('takeAlongAxis', shape[axis] as number, indices as TensorType);
    return [{ shape: (indices as TensorType).shape, dtype }];
  },
  run(emit, x, y, { axis, mode }) {
    const { shape } = x[0] as Operand;
    const count = (x[1] as Operand).shape[axis] as number;
    emit.run(takeAlongKernel, x, y, [
      sizeOf(shape.slice(0, axis)),
      shape[axis] as number,
      sizeOf(shape.slice(axis + 1)),
      count,
      mode === 'clip' ? 0 : 1,
    ]);
  },
  keeps: { inputs: [1] },
  grad: (c) => [
    c.wants(0)
      ? invoke(alongBack, [c.dy(), c.x(1)], { ...c.attrs, shape: c.xType(0).shape, once: false })
      : null,
    null,
  ],
});

/** Elements at `indices` along an axis, row by row, as NumPy's take_along_axis: indices have x's shape but along the axis. */
export function takeAlongAxis(
  x: NDArray,
  indices: NDArray,
  axis?: number | TakeOptions,
  options?: { readonly mode?: IndexMode | undefined },
): NDArray {
  const values = readArgs('takeAlongAxis', [axis, options], ['axis'], ['mode']);
  return invoke(takeAlongOp, [x, indices], {
    axis: axisArg('takeAlongAxis', values, x, -1),
    mode: wordArg('takeAlongAxis', values, 'mode', MODES, 'wrap'),
  });
}

/** [count, depth, slice, extents…] of gather and scatter. */
function gatherDims(
  op: string,
  shape: readonly number[],
  indices: readonly number[],
): { readonly dims: number[]; readonly lead: readonly number[]; readonly rest: readonly number[] } {
  const depth = indices[0] ?? 0;
  if (indices.length === 0 || depth < 1 || depth > shape.length)
    throw new ShapeError(
      `expected indices of shape (M, …) with M from 1 to ${shape.length}, received ${shapeText(indices)} for shape ${shapeText(shape)}. Each column is one place.`,
      { op },
    );
  const [lead, rest] = [indices.slice(1), shape.slice(depth)];
  return { dims: [sizeOf(lead), depth, sizeOf(rest), ...shape.slice(0, depth)], lead, rest };
}

const gatherOp = defineOp<object>({
  name: 'gatherNd',
  family: FAMILY,
  infer([x, indices]) {
    const { shape, dtype } = x as TensorType;
    const { lead, rest } = gatherDims('gatherNd', shape, (indices as TensorType).shape);
    const out = [...lead, ...rest];
    return [{ shape: asShape(out.length === 0 ? [1] : out), dtype }];
  },
  run: (emit, x, y) =>
    emit.run(
      gatherKernel,
      x,
      y,
      gatherDims('gatherNd', (x[0] as Operand).shape, (x[1] as Operand).shape).dims,
    ),
  keeps: { inputs: [1] },
  grad: (c) => [c.wants(0) ? invoke(gatherBack, [c.dy(), c.x(1)], { shape: c.xType(0).shape }) : null, null],
});

/**
 * Elements at places given column by column: x (X₀, …), indices (M, Y…) → (Y…, X_M…). Negative indices count from the end.
 * @example nd.array([[1, 2], [3, 4]]).gatherNd(nd.array([[0, 1], [1, 0]])) // [2, 3]
 */
export function gatherNd(x: NDArray, indices: NDArray): NDArray {
  return invoke(gatherOp, [x, indices], {});
}

const scatterOp = defineOp<{ readonly shape: Shape }>({
  name: 'scatterNd',
  family: FAMILY,
  infer([x, indices], { shape }) {
    const data = x as TensorType;
    const { lead, rest } = gatherDims('scatterNd', shape, (indices as TensorType).shape);
    if (
      !sameShape(data.shape, [...lead, ...rest]) &&
      !(lead.length + rest.length === 0 && sizeOf(data.shape) === 1)
    )
      throw new ShapeError(
        `expected values of shape ${shapeText([...lead, ...rest])}, received ${shapeText(data.shape)}. Give one for each place.`,
        { op: 'scatterNd' },
      );
    return [{ shape, dtype: data.dtype }];
  },
  run(emit, x, y, { shape }) {
    emit.run(zero, [], y);
    emit.run(scatterKernel, x, y, gatherDims('scatterNd', shape, (x[1] as Operand).shape).dims);
  },
  keeps: { inputs: [1] },
  grad: (c) => [c.wants(0) ? scatterBack(c.f, c.dy(), c.x(1), c.xType(0).shape) : null, null],
});

/** Zeros of `shape` with values set at the places of `indices` (M, Y…); of places named twice the last stays. */
export function scatterNd(
  x: NDArray,
  indices: NDArray,
  shape: readonly number[] | { readonly shape: readonly number[] },
): NDArray {
  const given = readArgs('scatterNd', [shape], ['shape'])['shape'] as readonly number[];
  return invoke(scatterOp, [x, indices], { shape: toShape(given, 'scatterNd') });
}

interface OneHotAttrs {
  readonly depth: number;
  readonly on: number;
  readonly off: number;
  readonly dtype: DType;
}

// compared as float32: exact for indices below 2^24
const hot = elementwiseKernel(
  'oneHot',
  2,
  e.select(e.eq(e.trunc(e.input(0)), e.input(1)), e.scalar(0), e.scalar(1)),
  1,
);

const oneHotOp = defineOp<OneHotAttrs>({
  name: 'oneHot',
  family: FAMILY,
  infer: ([x], { depth, dtype }) => [{ shape: asShape([...(x as TensorType).shape, depth]), dtype }],
  run(emit, [x], y, { depth, on, off }) {
    const indices = x as Operand;
    const places = emit.temporary([depth], 'float32');
    emit.run(iota, [], [places]);
    emit.run(
      hot,
      [{ storage: indices.storage, dtype: indices.dtype, shape: [...indices.shape, 1] }, places],
      y,
      undefined,
      [on, off],
    );
  },
  grad: 'indices are whole numbers',
});

const hotRows = rowKernel(
  'oneHotRows',
  2,
  [],
  e.eq(e.index, e.max(0, e.min(e.trunc(e.input(1)), e.sub(e.length, 1)))),
  true,
);

const hotRowsOp = defineOp<{ readonly axis: number }>({
  name: 'oneHotRows',
  family: FAMILY,
  infer: ([like]) => [like as TensorType],
  run(emit, x, y, { axis }) {
    const { shape } = x[0] as Operand;
    const [outer, length, inner] = [
      sizeOf(shape.slice(0, axis)),
      shape[axis] as number,
      sizeOf(shape.slice(axis + 1)),
    ];
    emit.run(hotRows, x, y, [outer, length, inner, length * inner, inner, 1, inner, 0, 1]);
  },
  grad: 'indices are whole numbers',
});

/**
 * A last axis of extent `depth` with `onValue` (1) at each index and `offValue` (0) elsewhere; all off where the index is outside.
 * @example nd.array([1, 0]).oneHot(2) // [[0, 1], [1, 0]]
 */
export function oneHot(
  indices: NDArray,
  depth:
    | number
    | {
        readonly depth: number;
        readonly onValue?: number | undefined;
        readonly offValue?: number | undefined;
        readonly dtype?: DType | undefined;
      },
  options?: {
    readonly onValue?: number | undefined;
    readonly offValue?: number | undefined;
    readonly dtype?: DType | undefined;
  },
): NDArray {
  const values = readArgs('oneHot', [depth, options], ['depth'], ['onValue', 'offValue', 'dtype']);
  return invoke(oneHotOp, [indices], {
    depth: integerArg('oneHot', values, 'depth', undefined, 1),
    on: numberArg('oneHot', values, 'onValue', 1),
    off: numberArg('oneHot', values, 'offValue', 0),
    dtype: checkDType(values['dtype'] ?? 'float32', 'oneHot'),
  });
}

/** 1 at each row's index along an axis, 0 elsewhere, in the shape and dtype of `like`; indices (…) without the axis, clipped as `pick` has it. */
export function oneHotRows(indices: NDArray, like: NDArray, axis: number): NDArray {
  const rows = like.shape.filter((_, i) => i !== axis);
  return invoke(hotRowsOp, [like, reshape(indices, rows)], { axis });
}

/** Rows of `weight` (inputDim, outputDim) at `data` (…) → (…, outputDim). Indices outside are clipped. */
export function embedding(
  data: NDArray,
  weight: NDArray,
  options?: {
    readonly inputDim?: number | undefined;
    readonly outputDim?: number | undefined;
    readonly dtype?: DType | undefined;
  },
): NDArray {
  readArgs('embedding', [options], [], ['inputDim', 'outputDim', 'dtype']);
  const { shape } = bodyOf(weight, 'embedding');
  if (shape.length !== 2)
    throw new ShapeError(
      `expected a weight of shape (inputDim, outputDim), received ${shapeText(shape)}. Reshape it.`,
      { op: 'embedding' },
    );
  return take(weight, data, { axis: 0, mode: 'clip' });
}
