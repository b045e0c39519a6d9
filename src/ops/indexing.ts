// Choosing elements by index arrays: take, pick, gatherNd, scatterNd, oneHot, embedding.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { checkDType, type DType } from '../core/dtype.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, type Shape, sameShape, shapeText, sizeOf, toShape } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel, rowKernel } from '../ir/kernel.ts';
import { axisArg, booleanArg, integerArg, numberArg, readArgs, wordArg } from './args.ts';
import { rowDims, rowsOf } from './axes.ts';
import { invoke } from './invoke.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import {
  type AlongAttrs,
  alongBackOf,
  gatherBack,
  gatherDims,
  type IndexMode,
  ownersOp,
  pickBack,
  type TakeAttrs,
  takeBack,
  within,
} from './scatter.ts';
import { iota, zero } from './strided.ts';
import { reshape } from './views.ts';

export type { IndexMode } from './scatter.ts';

const FAMILY = 'indexing';
const gatherKernel = customKernel('gatherNd');
const scatterKernel = customKernel('scatterNd');
const MODES = ['clip', 'wrap'] as const;

/** A record that reads x along an axis: `count` elements of each row, in a result of the shape that `result` tells. */
function readOp<A extends TakeAttrs>(
  name: string,
  kernelName: 'take' | 'takeAlong',
  result: (shape: Shape, indices: Shape, attrs: A) => readonly number[],
  count: (indices: readonly number[], axis: number) => number,
  back: Op<A & { readonly shape: Shape }>,
): Op<A> {
  const kernel = customKernel(kernelName);
  return defineOp<A>({
    name,
    family: FAMILY,
    infer([x, indices], attrs) {
      const [{ shape, dtype }, given] = [x as TensorType, (indices as TensorType).shape];
      const out = result(shape, given, attrs);
      if (shape[attrs.axis] === 0 && sizeOf(given) > 0)
        throw new ShapeError(
          'expected an axis with elements to take from, received one of extent 0. Check the array.',
          { op: name },
        );
      return [{ shape: asShape(out), dtype }];
    },
    run(emit, x, y, { axis, mode }) {
      const [from, indices] = [x[0] as Operand, x[1] as Operand];
      const dims = [...rowsOf(from.shape, axis), count(indices.shape, axis), MODES.indexOf(mode)];
      emit.run(kernel, x, y, dims);
    },
    keeps: { inputs: [1] },
    grad: (c) => [
      c.wants(0) ? invoke(back, [c.dy(), c.x(1)], { ...c.attrs, shape: c.xType(0).shape }) : null,
      null,
    ],
  });
}

const takeOp: Op<TakeAttrs> = readOp(
  'take',
  'take',
  (shape, indices, { axis }) => [...shape.slice(0, axis), ...indices, ...shape.slice(axis + 1)],
  sizeOf,
  takeBack(() => takeOp),
);

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

interface PickAttrs extends TakeAttrs {
  readonly keepdims: boolean;
}

const pickOp: Op<PickAttrs> = readOp(
  'pick',
  'takeAlong',
  (shape, given, { axis, keepdims }) => {
    const kept = shape.map((d, i) => (i === axis ? 1 : d));
    const dropped = shape.filter((_, i) => i !== axis);
    if (!sameShape(given, kept) && !sameShape(given, dropped))
      throw new ShapeError(
        `expected indices of shape ${shapeText(dropped)} or ${shapeText(kept)} for input ${shapeText(shape)} and axis ${axis}, received ${shapeText(given)}. Give one index for each row.`,
        { op: 'pick' },
      );
    return keepdims ? kept : dropped.length === 0 ? [1] : dropped;
  },
  () => 1,
  pickBack(() => pickOp),
);

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

/** The gradient of reading along an axis, from dy and indices of one shape. */
export const alongBack: Op<AlongAttrs & { readonly shape: Shape }> = alongBackOf(() => takeAlongOp);

const takeAlongOp: Op<AlongAttrs> = readOp(
  'takeAlongAxis',
  'takeAlong',
  (shape, given, { axis }) => {
    if (given.length !== shape.length || given.some((d, i) => i !== axis && d !== shape[i]))
      throw new ShapeError(
        `expected indices shaped as ${shapeText(shape)} but along axis ${axis}, received ${shapeText(given)}. Broadcast them first.`,
        { op: 'takeAlongAxis' },
      );
    return given;
  },
  (indices, axis) => indices[axis] as number,
  alongBack,
);

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

/** What the places that `indices` name have: their own axes, then those of `shape` that they leave. */
function placesShape(op: string, shape: readonly number[], indices: readonly number[]): readonly number[] {
  const depth = indices[0] ?? 0;
  if (depth < 1 || depth > shape.length)
    throw new ShapeError(
      `expected indices of shape (M, …) with M from 1 to ${shape.length}, received ${shapeText(indices)} for shape ${shapeText(shape)}. Each column is one place.`,
      { op },
    );
  return [...indices.slice(1), ...shape.slice(depth)];
}

const gatherOp: Op<object> = defineOp<object>({
  name: 'gatherNd',
  family: FAMILY,
  infer([x, indices]) {
    const { shape, dtype } = x as TensorType;
    const out = placesShape('gatherNd', shape, (indices as TensorType).shape);
    return [{ shape: asShape(out.length === 0 ? [1] : out), dtype }];
  },
  run: (emit, x, y) =>
    emit.run(gatherKernel, x, y, gatherDims((x[0] as Operand).shape, (x[1] as Operand).shape)),
  keeps: { inputs: [1] },
  grad: (c) => [c.wants(0) ? invoke(gatherGrad, [c.dy(), c.x(1)], { shape: c.xType(0).shape }) : null, null],
});
const gatherGrad = gatherBack(() => gatherOp);

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
    const wanted = placesShape('scatterNd', shape, (indices as TensorType).shape);
    if (!sameShape(data.shape, wanted) && !(wanted.length === 0 && sizeOf(data.shape) === 1))
      throw new ShapeError(
        `expected values of shape ${shapeText(wanted)}, received ${shapeText(data.shape)}. Give one for each place.`,
        { op: 'scatterNd' },
      );
    return [{ shape, dtype: data.dtype }];
  },
  run(emit, x, y, { shape }) {
    emit.run(zero, [], y);
    emit.run(scatterKernel, x, y, gatherDims(shape, (x[1] as Operand).shape));
  },
  keeps: { inputs: [1] },
  grad(c) {
    if (!c.wants(0)) return [null, null];
    // what stands at the places; nothing where a later one overwrote
    const { f } = c;
    const [dy, indices, { shape }] = [c.dy(), c.x(1), c.xType(0)];
    const owners = invoke(ownersOp, [indices], { shape: dy.shape, dtype: dy.dtype });
    const lead = indices.shape.slice(1);
    const rows = [...lead, ...Array<number>(shape.length - lead.length).fill(1)];
    return [f.mul(f.reshape(gatherNd(dy, indices), shape), f.reshape(owners, rows)), null];
  },
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
  // indices are whole numbers
  grad: null,
});

const hotRows = rowKernel('oneHotRows', 2, [], e.eq(e.index, within('clip', e.input(1), e.length)), true);

const hotRowsOp = defineOp<{ readonly axis: number }>({
  name: 'oneHotRows',
  family: FAMILY,
  infer: ([like]) => [like as TensorType],
  run(emit, x, y, { axis }) {
    emit.run(hotRows, x, y, rowDims((x[0] as Operand).shape, axis, ['whole', 'rows']));
  },
  // indices are whole numbers
  grad: null,
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
