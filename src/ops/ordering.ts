// Sorting and running sums along one axis: sort, argsort, topk, cumsum.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { checkDType, type DType } from '../core/dtype.ts';
import { ShapeError } from '../core/errors.ts';
import { sizeOf } from '../core/shape.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel } from '../ir/kernel.ts';
import { axisArg, booleanArg, integerArg, readArgs, wordArg } from './args.ts';
import { rowsOf } from './axes.ts';
import { lesser } from './binary.ts';
import { composed } from './composed.ts';
import { alongBack } from './indexing.ts';
import { invoke, invokeAll } from './invoke.ts';
import { astype, moveAxis } from './moves.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { sliceAxis } from './slices.ts';
import { reshape } from './views.ts';

const FAMILY = 'ordering';
const sortKernel = customKernel('sort');
const cumsumKernel = customKernel('cumsum');

/** Sorts along the last axis; outputs the values and their former places. */
const sortOp = defineOp<{ readonly descending: boolean; readonly places: DType }>({
  name: 'sort',
  family: FAMILY,
  infer: ([x], { places }) => [x as TensorType, { shape: (x as TensorType).shape, dtype: places }],
  run(emit, x, y, { descending }) {
    const { shape } = x[0] as Operand;
    emit.run(sortKernel, x, y, [
      sizeOf(shape.slice(0, -1)),
      shape[shape.length - 1] as number,
      descending ? 1 : 0,
    ]);
  },
  keeps: { outputs: [1] },
  grad: (c) => {
    const { shape } = c.xType(0);
    const attrs = { axis: shape.length - 1, mode: 'clip', shape, once: true } as const;
    return [c.given(0) ? invoke(alongBack, [c.dy(), c.y(1)], attrs) : null];
  },
});

interface Sorted {
  readonly values: NDArray;
  readonly places: NDArray;
  /** Puts a result's axes back in x's order. */
  readonly restore: (y: NDArray) => NDArray;
}

/** Sorts as a call asks for: along its axis (the last by default, null: flattened), `ascending` unless it says otherwise. */
function sorted(op: string, x: NDArray, values: Record<string, unknown>, ascending: boolean): Sorted {
  const descending = !booleanArg(op, values, 'isAscend', ascending);
  const flat = values['axis'] === null || bodyOf(x, op).shape.length === 0;
  const [at, end] = flat ? [0, 0] : [axisArg(op, values, x, -1), x.ndim - 1];
  const last = flat ? reshape(x, [-1]) : moveAxis(x, at, end);
  const [sortedValues, places] = invokeAll(sortOp, [last], { descending, places: 'int32' }) as [
    NDArray,
    NDArray,
  ];
  return { values: sortedValues, places, restore: (y) => moveAxis(y, end, at) };
}

/** Options of `sort` and `argsort`. */
export interface SortOptions {
  readonly axis?: number | null | undefined;
  /** Ascending, the default. */
  readonly isAscend?: boolean | undefined;
}

/** Sorts along an axis (the last by default, null: flattened), stably; NaN last when ascending. */
export function sort(
  x: NDArray,
  axis?: number | null | SortOptions,
  options?: { readonly isAscend?: boolean | undefined },
): NDArray {
  const values = readArgs('sort', [axis, options], ['axis'], ['isAscend']);
  return composed(() => {
    const result = sorted('sort', x, values, true);
    return result.restore(result.values);
  });
}

/** The places that would sort an axis (the last by default, null: flattened), as float32 or `dtype`. */
export function argsort(
  x: NDArray,
  axis?: number | null | (SortOptions & { readonly dtype?: DType | undefined }),
  options?: { readonly isAscend?: boolean | undefined; readonly dtype?: DType | undefined },
): NDArray {
  const values = readArgs('argsort', [axis, options], ['axis'], ['isAscend', 'dtype']);
  const dtype = checkDType(values['dtype'] ?? 'float32', 'argsort');
  return composed(() => {
    const result = sorted('argsort', x, values, true);
    return astype(result.restore(result.places), dtype);
  });
}

/** What `topk` gives. */
export type TopkReturn = 'indices' | 'value' | 'both' | 'mask';

/** Options of `topk`. */
export interface TopkOptions<R extends TopkReturn = TopkReturn> {
  /** The last by default; null: flattened. */
  readonly axis?: number | null | undefined;
  readonly retTyp?: R | undefined;
  /** The least instead of the greatest. */
  readonly isAscend?: boolean | undefined;
  /** Of the indices; float32 by default. */
  readonly dtype?: DType | undefined;
}

/**
 * The `k` greatest along an axis, in order: their indices (default), their values, both as a list, or a mask of 0 and 1 shaped as x.
 * @example nd.array([3, 1, 2]).topk(2) // [0, 2]
 */
export function topk<R extends TopkReturn = 'indices'>(
  x: NDArray,
  k?: number | ({ readonly k?: number | undefined } & TopkOptions<R>),
  options?: TopkOptions<R>,
): R extends 'both' ? [NDArray, NDArray] : NDArray {
  const values = readArgs('topk', [k, options], ['k'], ['axis', 'retTyp', 'isAscend', 'dtype']);
  const count = integerArg('topk', values, 'k', 1, 0);
  const kind = wordArg<TopkReturn>('topk', values, 'retTyp', ['indices', 'value', 'both', 'mask'], 'indices');
  const dtype = checkDType(values['dtype'] ?? 'float32', 'topk');
  const chosen = composed((): NDArray | [NDArray, NDArray] => {
    const result = sorted('topk', x, values, false);
    const last = result.values.ndim - 1;
    const extent = result.values.shape[last] as number;
    if (count > extent)
      throw new ShapeError(
        `expected k from 1 to ${extent}, received ${count}. The axis has ${extent} elements.`,
        { op: 'topk' },
      );
    const taken = count === 0 ? extent : count;
    const first = (y: NDArray): NDArray => result.restore(sliceAxis(y, last, 0, taken));
    switch (kind) {
      case 'value':
        return first(result.values);
      case 'both':
        return [first(result.values), astype(first(result.places), dtype)];
      case 'indices':
        return astype(first(result.places), dtype);
      case 'mask': {
        // an element's rank is where its place stands in the sorted order
        const ranks = invokeAll(sortOp, [result.places], {
          descending: false,
          places: 'int32',
        })[1] as NDArray;
        const mask = result.restore(astype(lesser(ranks, taken), x.dtype));
        return mask.ndim === x.ndim ? mask : reshape(mask, x.shape);
      }
    }
  });
  return chosen as R extends 'both' ? [NDArray, NDArray] : NDArray;
}

interface CumsumAttrs {
  readonly axis: number;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

const cumsumOp: Op<CumsumAttrs> = defineOp<CumsumAttrs>({
  name: 'cumsum',
  family: FAMILY,
  infer: ([x]) => [x as TensorType],
  run(emit, x, y, { axis, exclusive, reverse }) {
    const rows = rowsOf((x[0] as Operand).shape, axis);
    emit.run(cumsumKernel, x, y, [...rows, exclusive ? 1 : 0, reverse ? 1 : 0]);
  },
  grad: (c) => [invoke(cumsumOp, [c.dy()], { ...c.attrs, reverse: !c.attrs.reverse })],
});

/** Running sums along an axis (without one: of the flattened array); `exclusive` leaves the element itself out, `reverse` runs from the end. */
export function cumsum(
  x: NDArray,
  axis?:
    | number
    | null
    | {
        readonly axis?: number | undefined;
        readonly exclusive?: boolean | undefined;
        readonly reverse?: boolean | undefined;
      },
  options?: { readonly exclusive?: boolean | undefined; readonly reverse?: boolean | undefined },
): NDArray {
  const values = readArgs('cumsum', [axis, options], ['axis'], ['exclusive', 'reverse']);
  bodyOf(x, 'cumsum');
  const flat = values['axis'] === undefined || values['axis'] === null;
  const attrs = {
    axis: flat ? 0 : axisArg('cumsum', values, x),
    exclusive: booleanArg('cumsum', values, 'exclusive', false),
    reverse: booleanArg('cumsum', values, 'reverse', false),
  };
  return flat ? composed(() => invoke(cumsumOp, [reshape(x, [-1])], attrs)) : invoke(cumsumOp, [x], attrs);
}
