// Reductions: what to load, how to combine, how to finish. An array is seen as (outer, length, inner); axes that are not neighbours take one pass each,
// the innermost first. Whatever is exported here is a function of `nd` and a method of NDArray.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import type { DType } from '../core/dtype.ts';
import { normalizeAxes, normalizeAxis } from '../core/shape.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { Combine, Operand, RowKernel } from '../ir/kernel.ts';
import { rowKernel } from '../ir/kernel.ts';
import { booleanArg, integerArg, readArgs } from './args.ts';
import { reducedShape, reduceGroups } from './axes.ts';
import { requireFloat } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { Emitter, Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { reshape } from './shapes.ts';

/** An axis, several, or all of them. */
export type Axis = number | readonly number[] | null;

/** Options of reductions. */
export interface ReduceOptions {
  readonly axis?: Axis | undefined;
  /** Keep reduced axes with extent 1. */
  readonly keepdims?: boolean | undefined;
  /** Reduce all axes but those named. */
  readonly exclude?: boolean | undefined;
}

/** A reduction over the array's axes. */
export type Reduction = (x: NDArray, axis?: Axis | ReduceOptions, options?: ReduceOptions) => NDArray;

interface ReduceAttrs {
  readonly axes: readonly number[];
  readonly keepdims: boolean;
}

const FAMILY = 'reduce';

interface Recipe {
  readonly combine: Combine;
  /** Of the element. */
  readonly load?: ((x: Expr) => Expr) | undefined;
  /** Of the folded value and the number of elements. */
  readonly finish?: ((folded: Expr, count: Expr) => Expr) | undefined;
  readonly float?: boolean | undefined;
}

function emitReduction(
  emit: Emitter,
  kernels: readonly [RowKernel, RowKernel, RowKernel, RowKernel],
  x: Operand,
  y: Operand,
  axes: readonly number[],
): void {
  const [whole, first, middle, last] = kernels;
  const groups = reduceGroups(x.shape, axes);
  const count = groups.reduce((n, g) => n * g[1], 1);
  let from = x;
  groups.forEach(([outer, length, inner], i) => {
    const isLast = i === groups.length - 1;
    const to = isLast ? y : emit.temporary([outer, inner], x.dtype);
    const kernel = groups.length === 1 ? whole : i === 0 ? first : isLast ? last : middle;
    emit.run(kernel, [from], [to], [outer, length, inner, length * inner, inner, 1], [count]);
    from = to;
  });
}

function reduction(
  name: string,
  { combine, load = (x) => x, finish = (x) => x, float = false }: Recipe,
): Reduction {
  const [x, folded, count] = [e.input(0), e.stage(0), e.scalar(0)];
  const kernels = [
    rowKernel(name, 1, [{ combine, load: load(x) }], finish(folded, count), false),
    rowKernel(name, 1, [{ combine, load: load(x) }], folded, false),
    rowKernel(name, 1, [{ combine, load: x }], folded, false),
    rowKernel(name, 1, [{ combine, load: x }], finish(folded, count), false),
  ] as const;
  const op: Op<ReduceAttrs> = defineOp<ReduceAttrs>({
    name,
    family: FAMILY,
    infer([input], { axes, keepdims }) {
      const { shape, dtype } = input as TensorType;
      if (float) requireFloat(name, input as TensorType);
      return [
        {
          shape: reducedShape(shape, axes, keepdims),
          dtype: dtype === 'bool' && combine === 'sum' ? 'int32' : dtype,
        },
      ];
    },
    run: (emit, [from], [to], { axes }) => emitReduction(emit, kernels, from as Operand, to as Operand, axes),
  });
  return (array, axis, options) => {
    const values = readArgs(name, [axis ?? undefined, options], ['axis'], ['keepdims', 'exclude']);
    const { shape } = bodyOf(array, name);
    const axes = normalizeAxes(
      values['axis'] as Axis | undefined,
      shape.length,
      name,
      booleanArg(name, values, 'exclude', false),
    );
    return invoke(op, [array], { axes, keepdims: booleanArg(name, values, 'keepdims', false) });
  };
}

/**
 * Sums along axes; all of them give shape `[1]`. bool counts as int32.
 * @example
 * nd.array([[1, 2], [3, 4]]).sum(0);                 // [4, 6]
 * nd.array([[1, 2], [3, 4]]).sum(1, { keepdims: true }); // [[3], [7]]
 */
export const sum: Reduction = reduction('sum', { combine: 'sum' });
/** The sum along axes; the same as `sum`. */
export const sumAxis: Reduction = sum;
/** The mean along axes. Integers give integers, cut towards zero, as MXNet does. */
export const mean: Reduction = reduction('mean', { combine: 'sum', finish: (s, n) => e.div(s, n) });
/** The product along axes. */
export const prod: Reduction = reduction('prod', { combine: 'prod' });
/** The greatest along axes; NaN if there is one. */
export const max: Reduction = reduction('max', { combine: 'max' });
/** The least along axes; NaN if there is one. */
export const min: Reduction = reduction('min', { combine: 'min' });
/** The sum along axes with NaN as 0. */
export const nansum: Reduction = reduction('nansum', {
  combine: 'sum',
  load: (x) => e.select(e.isnan(x), 0, x),
  float: true,
});
/** The product along axes with NaN as 1. */
export const nanprod: Reduction = reduction('nanprod', {
  combine: 'prod',
  load: (x) => e.select(e.isnan(x), 1, x),
  float: true,
});

const norm1 = reduction('norm1', { combine: 'sum', load: (x) => e.abs(x), float: true });
const norm2 = reduction('norm2', {
  combine: 'sum',
  load: (x) => e.mul(x, x),
  finish: (s) => e.sqrt(s),
  float: true,
});

/** Options of `norm`. */
export interface NormOptions {
  /** 1 or 2 (default). */
  readonly ord?: 1 | 2 | undefined;
  readonly axis?: Axis | undefined;
  readonly keepdims?: boolean | undefined;
}

/**
 * The L2 norm √Σx² (or L1, Σ|x|, with `ord: 1`) along axes, all by default.
 * `norm(axis)` or `norm({ ord, axis })`.
 */
export function norm(x: NDArray, axis?: Axis | NormOptions, options?: NormOptions): NDArray {
  const values = readArgs('norm', [axis ?? undefined, options], ['axis'], ['ord', 'keepdims']);
  const kind = integerArg('norm', values, 'ord', 2, 1) === 1 ? norm1 : norm2;
  return kind(x, (values['axis'] as Axis | undefined) ?? null, {
    keepdims: booleanArg('norm', values, 'keepdims', false),
  });
}

// --- where the extreme is ---

/** Options of `argmax` and `argmin`. */
export interface ArgOptions {
  readonly axis?: number | null | undefined;
  readonly keepdims?: boolean | undefined;
}

interface ArgAttrs {
  readonly axis: number;
  readonly keepdims: boolean;
}

function argReduction(
  name: 'argmax' | 'argmin',
): (x: NDArray, axis?: number | null | ArgOptions, options?: ArgOptions) => NDArray {
  const kernel = rowKernel(name, 1, [{ combine: name, load: e.input(0) }], e.stage(0), false);
  const op = defineOp<ArgAttrs>({
    name,
    family: FAMILY,
    infer([x], { axis, keepdims }) {
      return [{ shape: reducedShape((x as TensorType).shape, [axis], keepdims), dtype: 'float32' as DType }];
    },
    run(emit, x, y, { axis }) {
      const { shape } = x[0] as Operand;
      const [outer, length, inner] = reduceGroups(shape, [axis])[0] as [number, number, number];
      emit.run(kernel, x, y, [outer, length, inner, length * inner, inner, 1]);
    },
  });
  return (x, axis, options) => {
    const values = readArgs(name, [axis ?? undefined, options], ['axis'], ['keepdims']);
    const keepdims = booleanArg(name, values, 'keepdims', false);
    if (values['axis'] === undefined || values['axis'] === null) {
      // over all elements, in row-major order
      const flat = reshape(x, [1, -1]);
      return reshape(invoke(op, [flat], { axis: 1, keepdims: false }), keepdims ? x.shape.map(() => 1) : [1]);
    }
    return invoke(op, [x], { axis: normalizeAxis(integerArg(name, values, 'axis'), x.ndim, name), keepdims });
  };
}

/** The place of the greatest along an axis (the first of equals), or in the flattened array, as float32. */
export const argmax: (x: NDArray, axis?: number | null | ArgOptions, options?: ArgOptions) => NDArray =
  argReduction('argmax');
/** The place of the least along an axis (the first of equals), or in the flattened array, as float32. */
export const argmin: (x: NDArray, axis?: number | null | ArgOptions, options?: ArgOptions) => NDArray =
  argReduction('argmin');

/** `argmax` along axis 1. */
export function argmaxChannel(x: NDArray): NDArray {
  return argmax(x, 1);
}
