// Reductions: what to load, how to combine, how to finish. An array is seen as (outer, length, inner); axes that are not neighbours take one pass each,
// the innermost first. Whatever is exported here is a function of `nd` and a method of NDArray.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ArgumentError } from '../core/errors.ts';
import { describe, normalizeAxes, sizeOf } from '../core/shape.ts';
import { inputsOf, renumber } from '../ir/differentiate.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { Combine, Operand, RowKernel } from '../ir/kernel.ts';
import { rowKernel } from '../ir/kernel.ts';
import { axisArg, booleanArg, readArgs } from './args.ts';
import { reducedShape, reduceGroups } from './axes.ts';
import { elementwiseOp, requireFloat } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { GradFunctions, Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';

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

/** dx by operations; dy has the reduced axes with extent 1. */
type GradientOfX = (f: GradFunctions, x: NDArray, dy: NDArray, axes: readonly number[]) => NDArray;

interface Recipe {
  /** Of the element. */
  readonly load?: ((x: Expr) => Expr) | undefined;
  /** Of the folded value and the number of elements. */
  readonly finish?: ((folded: Expr, count: Expr) => Expr) | undefined;
  readonly float?: boolean | undefined;
  /** The name errors give, where it is not the operation's. */
  readonly callee?: string | undefined;
  /** Gives places, float32, along one axis or over all elements. */
  readonly places?: boolean | undefined;
  /** dx as one expression over `x0`, `y0` and `dy0`, scalar 0 being the number of elements; what does not read x is the same for all that were folded. None of places. */
  readonly gradient?: Expr | GradientOfX | undefined;
}

const x0 = e.input(0);
const y0 = e.input(1);
const dy0 = e.input(2);
const count0 = e.scalar(0);

function reduction(
  name: string,
  combine: Combine,
  { load = (x) => x, finish = (x) => x, float, callee = name, places, gradient }: Recipe,
): Reduction {
  // a pass for each run of neighbouring axes: the first loads, the last finishes
  const pass = (first: boolean, last: boolean): RowKernel => {
    const stage = { combine, load: first ? load(x0) : x0 };
    return rowKernel(name, 1, [stage], last ? finish(e.stage(0), count0) : e.stage(0), false);
  };
  const kernels = [pass(false, false), pass(false, true), pass(true, false), pass(true, true)];
  const derived = typeof gradient === 'object' ? gradient : x0;
  const reads = inputsOf(derived);
  const fused =
    derived === x0 || derived === dy0
      ? null
      : elementwiseOp(`${name}Grad`, reads.length, renumber(derived, reads), { family: 'gradient' });
  const op: Op<ReduceAttrs> = defineOp<ReduceAttrs>({
    name,
    callee,
    family: FAMILY,
    infer([input], { axes, keepdims }) {
      const { shape, dtype } = input as TensorType;
      if (float === true) requireFloat(callee, input as TensorType);
      return [
        {
          shape: reducedShape(shape, axes, keepdims),
          dtype: places === true ? 'float32' : dtype === 'bool' && combine === 'sum' ? 'int32' : dtype,
        },
      ];
    },
    run(emit, [input], [y], { axes }) {
      let x = input as Operand;
      const groups = reduceGroups(x.shape, axes);
      let count = 1;
      for (const group of groups) count *= group[1];
      for (const [i, [outer, length, inner]] of groups.entries()) {
        const last = i === groups.length - 1;
        const to = last ? (y as Operand) : emit.temporary([outer, inner], x.dtype);
        const kernel = kernels[(i === 0 ? 2 : 0) + (last ? 1 : 0)] as RowKernel;
        emit.run(kernel, [x], [to], [outer, length, inner, length * inner, inner, 1], [count]);
        x = to;
      }
    },
    keeps: { inputs: reads.filter((i) => i === 0), outputs: reads.includes(1) ? [0] : [] },
    // a place jumps and is flat in between
    grad:
      gradient === undefined
        ? null
        : (c) => {
            const { f } = c;
            const { axes } = c.attrs;
            const { shape } = c.xType(0);
            const kept = reducedShape(shape, axes, true);
            const dy = f.reshape(c.dy(), kept);
            if (typeof gradient === 'function') return [gradient(f, c.x(0), dy, axes)];
            const sources = reads.map((i) => (i === 0 ? c.x(0) : i === 1 ? f.reshape(c.y(), kept) : dy));
            const scalars = [sizeOf(shape) / sizeOf(kept)];
            return [f.broadcastTo(fused === null ? dy : invoke(fused, sources, { scalars }), shape)];
          },
  });
  const named = places === true ? ['keepdims'] : ['keepdims', 'exclude'];
  return (array, axis, options) => {
    const values = readArgs(callee, [axis, options], ['axis'], named);
    const exclude = booleanArg(callee, values, 'exclude', false);
    const { shape } = bodyOf(array, callee);
    const given = values['axis'] as Axis | undefined;
    return invoke(op, [array], {
      axes:
        places === true && given !== undefined && given !== null
          ? [axisArg(callee, values, array)]
          : normalizeAxes(given, shape.length, callee, exclude),
      keepdims: booleanArg(callee, values, 'keepdims', false),
    });
  };
}

/**
 * Sums along axes; all of them give shape `[1]`. bool counts as int32.
 * @example
 * nd.array([[1, 2], [3, 4]]).sum(0);                 // [4, 6]
 * nd.array([[1, 2], [3, 4]]).sum(1, { keepdims: true }); // [[3], [7]]
 */
export const sum: Reduction = reduction('sum', 'sum', { gradient: dy0 });
/** The sum along axes; the same as `sum`. */
export const sumAxis: Reduction = sum;
/** The mean along axes. Integers give integers, cut towards zero, as MXNet does. */
export const mean: Reduction = reduction('mean', 'sum', { finish: e.div, gradient: e.div(dy0, count0) });

/** The product of the others: with one 0 only its own element has one, with more none. */
const productOfOthers: GradientOfX = (f, x, dy, axes) => {
  const zeros = f.equal(x, 0);
  const filled = f.add(x, zeros);
  const others = f.div(f.prod(filled, axes), filled);
  return f.mul(f.mul(dy, others), f.equal(f.sum(zeros, axes), zeros));
};
/** The product along axes. */
export const prod: Reduction = reduction('prod', 'prod', { gradient: productOfOthers });

/** Each of equal extremes gets dy, as in MXNet. */
const extreme = e.select(e.eq(x0, y0), dy0, 0);
/** The greatest along axes; NaN if there is one. */
export const max: Reduction = reduction('max', 'max', { gradient: extreme });
/** The least along axes; NaN if there is one. */
export const min: Reduction = reduction('min', 'min', { gradient: extreme });

const unlessNaN =
  (value: number) =>
  (x: Expr): Expr =>
    e.select(e.isnan(x), value, x);
/** The sum along axes with NaN as 0. */
export const nansum: Reduction = reduction('nansum', 'sum', {
  load: unlessNaN(0),
  float: true,
  gradient: e.select(e.isnan(x0), 0, dy0),
});
const nanAsOne = elementwiseOp('nanAsOne', 1, unlessNaN(1)(x0));
/** The product along axes with NaN as 1. */
export const nanprod: Reduction = reduction('nanprod', 'prod', {
  load: unlessNaN(1),
  float: true,
  gradient: (f, x, dy, axes) =>
    f.mul(productOfOthers(f, invoke(nanAsOne, [x], { scalars: [] }), dy, axes), f.equal(x, x)),
});

const norm1 = reduction('norm1', 'sum', {
  callee: 'norm',
  load: e.abs,
  float: true,
  gradient: e.mul(e.sign(x0), dy0),
});
const norm2 = reduction('norm2', 'sum', {
  callee: 'norm',
  load: (x) => e.mul(x, x),
  finish: e.sqrt,
  float: true,
  // 0 where the norm is
  gradient: e.select(e.eq(y0, 0), 0, e.div(e.mul(dy0, x0), y0)),
});

/** Options of `norm`. */
export interface NormOptions {
  /** 1 or 2 (default). */
  readonly ord?: 1 | 2 | undefined;
  readonly axis?: Axis | undefined;
  readonly keepdims?: boolean | undefined;
  /** Reduce all axes but those named. */
  readonly exclude?: boolean | undefined;
}

/**
 * The L2 norm √Σx² (or L1, Σ|x|, with `ord: 1`) along axes, all by default.
 * `norm(axis)` or `norm({ ord, axis })`.
 */
export function norm(x: NDArray, axis?: Axis | NormOptions, options?: NormOptions): NDArray {
  const values = readArgs('norm', [axis, options], ['axis'], ['ord', 'keepdims', 'exclude']);
  const { ord = 2, ...rest } = values;
  if (ord !== 1 && ord !== 2)
    throw new ArgumentError(
      `expected ord 1 or 2, received ${describe(ord)}. Use nd.power and nd.sum for others.`,
      { op: 'norm' },
    );
  return (ord === 1 ? norm1 : norm2)(x, rest);
}

// --- where the extreme is ---

/** Options of `argmax` and `argmin`. */
export interface ArgOptions {
  readonly axis?: number | null | undefined;
  readonly keepdims?: boolean | undefined;
}

type ArgReduction = (x: NDArray, axis?: number | null | ArgOptions, options?: ArgOptions) => NDArray;

/** The place of the greatest along an axis (the first of equals), or in the flattened array, as float32. */
export const argmax: ArgReduction = reduction('argmax', 'argmax', { places: true });
/** The place of the least along an axis (the first of equals), or in the flattened array, as float32. */
export const argmin: ArgReduction = reduction('argmin', 'argmin', { places: true });

/** `argmax` along axis 1. */
export function argmaxChannel(x: NDArray): NDArray {
  return argmax(x, 1);
}
