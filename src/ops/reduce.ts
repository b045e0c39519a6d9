// Reductions: what to load, how to combine, how to finish. An array is seen as (outer, length, inner); axes that are not neighbours take one pass each,
// the innermost first. Whatever is exported here is a function of `nd` and a method of NDArray.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import type { DType } from '../core/dtype.ts';
import { ArgumentError } from '../core/errors.ts';
import { normalizeAxes } from '../core/shape.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { Combine, Operand, RowKernel } from '../ir/kernel.ts';
import { rowKernel } from '../ir/kernel.ts';
import { axisArg, booleanArg, integerArg, readArgs } from './args.ts';
import { reducedShape, reduceGroups } from './axes.ts';
import { composed } from './composed.ts';
import { elementwiseOp, requireFloat } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { Emitter, GradFunctions, Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { reshape } from './views.ts';

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
  /** The name errors give, where it is not the operation's. */
  readonly callee?: string | undefined;
  readonly gradient: ReduceGradient;
}

/** dx from dy, both seen with the reduced axes of extent 1. */
interface ReduceGradient {
  /** Whether it reads x, and y. */
  readonly reads: readonly ('x' | 'y')[];
  dx(of: ReduceContext): NDArray;
}

interface ReduceContext {
  readonly f: GradFunctions;
  readonly x: () => NDArray;
  readonly y: () => NDArray;
  readonly dy: NDArray;
  readonly shape: readonly number[];
  readonly axes: readonly number[];
  /** How many elements each sum has. */
  readonly count: number;
}

/** dx as one expression over x, y and dy in this order, as far as read. */
function fusedGradient(name: string, reads: ReduceGradient['reads'], expr: Expr): ReduceGradient {
  const op = elementwiseOp(`${name}Grad`, 'gradient', reads.length + 1, expr);
  return {
    reads,
    dx: (of) => invoke(op, [...reads.map((r) => of[r]()), of.dy], { scalars: [] }),
  };
}

/** What reads nothing: each element gets dy, times a factor. */
function spreadGradient(factor: (count: number) => number): ReduceGradient {
  return {
    reads: [],
    dx({ f, dy, shape, count }) {
      const scale = factor(count);
      return f.broadcastTo(scale === 1 ? dy : f.mul(dy, scale), shape);
    },
  };
}

const [e0, e1, e2] = [e.input(0), e.input(1), e.input(2)];

/** Each of equal extremes gets dy, as in MXNet. */
function extremeGradient(name: string): ReduceGradient {
  return fusedGradient(name, ['x', 'y'], e.select(e.eq(e0, e1), e2, 0));
}

/** The product of the others: with one 0 only its own element has one, with more none. `clean` is what x counts as. */
function productGradient(
  clean: (f: GradFunctions, x: NDArray) => { readonly x: NDArray; readonly mask: NDArray | null },
): ReduceGradient {
  return {
    reads: ['x'],
    dx({ f, x, dy, axes }) {
      const { x: values, mask } = clean(f, x());
      const zeros = f.equal(values, 0);
      const filled = f.add(values, zeros);
      const others = f.div(f.prod(filled, axes), filled);
      const whole = f.mul(f.mul(dy, others), f.equal(f.sum(zeros, axes), zeros));
      return mask === null ? whole : f.mul(whole, mask);
    },
  };
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
  { combine, load = (x) => x, finish = (x) => x, float = false, callee = name, gradient }: Recipe,
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
    callee,
    family: FAMILY,
    infer([input], { axes, keepdims }) {
      const { shape, dtype } = input as TensorType;
      if (float) requireFloat(callee, input as TensorType);
      return [
        {
          shape: reducedShape(shape, axes, keepdims),
          dtype: dtype === 'bool' && combine === 'sum' ? 'int32' : dtype,
        },
      ];
    },
    run: (emit, [from], [to], { axes }) => emitReduction(emit, kernels, from as Operand, to as Operand, axes),
    keeps: {
      inputs: gradient.reads.includes('x') ? [0] : [],
      outputs: gradient.reads.includes('y') ? [0] : [],
    },
    grad(c) {
      const { f } = c;
      const { shape } = c.xType(0);
      const { axes } = c.attrs;
      const kept = reducedShape(shape, axes, true);
      const context: ReduceContext = {
        f,
        x: () => c.x(0),
        y: () => f.reshape(c.y(), kept),
        dy: f.reshape(c.dy(), kept),
        shape,
        axes,
        count: axes.reduce((n, a) => n * (shape[a] as number), 1),
      };
      return [gradient.dx(context)];
    },
  });
  return (array, axis, options) => {
    const values = readArgs(callee, [axis ?? undefined, options], ['axis'], ['keepdims', 'exclude']);
    const { shape } = bodyOf(array, callee);
    const axes = normalizeAxes(
      values['axis'] as Axis | undefined,
      shape.length,
      callee,
      booleanArg(callee, values, 'exclude', false),
    );
    return invoke(op, [array], { axes, keepdims: booleanArg(callee, values, 'keepdims', false) });
  };
}

/**
 * Sums along axes; all of them give shape `[1]`. bool counts as int32.
 * @example
 * nd.array([[1, 2], [3, 4]]).sum(0);                 // [4, 6]
 * nd.array([[1, 2], [3, 4]]).sum(1, { keepdims: true }); // [[3], [7]]
 */
export const sum: Reduction = reduction('sum', { combine: 'sum', gradient: spreadGradient(() => 1) });
/** The sum along axes; the same as `sum`. */
export const sumAxis: Reduction = sum;
/** The mean along axes. Integers give integers, cut towards zero, as MXNet does. */
export const mean: Reduction = reduction('mean', {
  combine: 'sum',
  finish: (s, n) => e.div(s, n),
  gradient: spreadGradient((n) => 1 / n),
});
/** The product along axes. */
export const prod: Reduction = reduction('prod', {
  combine: 'prod',
  gradient: productGradient((_, x) => ({ x, mask: null })),
});
/** The greatest along axes; NaN if there is one. */
export const max: Reduction = reduction('max', { combine: 'max', gradient: extremeGradient('max') });
/** The least along axes; NaN if there is one. */
export const min: Reduction = reduction('min', { combine: 'min', gradient: extremeGradient('min') });
/** The sum along axes with NaN as 0. */
export const nansum: Reduction = reduction('nansum', {
  combine: 'sum',
  load: (x) => e.select(e.isnan(x), 0, x),
  float: true,
  gradient: fusedGradient('nansum', ['x'], e.select(e.isnan(e0), 0, e1)),
});
const nanAsOne = elementwiseOp('nanAsOne', FAMILY, 1, e.select(e.isnan(e0), 1, e0));

/** The product along axes with NaN as 1. */
export const nanprod: Reduction = reduction('nanprod', {
  combine: 'prod',
  load: (x) => e.select(e.isnan(x), 1, x),
  float: true,
  gradient: productGradient((f, x) => ({ x: invoke(nanAsOne, [x], { scalars: [] }), mask: f.equal(x, x) })),
});

const norm1 = reduction('norm1', {
  callee: 'norm',
  combine: 'sum',
  load: (x) => e.abs(x),
  float: true,
  gradient: fusedGradient('norm1', ['x'], e.mul(e.sign(e0), e1)),
});
const norm2 = reduction('norm2', {
  callee: 'norm',
  combine: 'sum',
  load: (x) => e.mul(x, x),
  finish: (s) => e.sqrt(s),
  float: true,
  // 0 where the norm is
  gradient: fusedGradient('norm2', ['x', 'y'], e.select(e.eq(e1, 0), 0, e.div(e.mul(e2, e0), e1))),
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
  const values = readArgs('norm', [axis ?? undefined, options], ['axis'], ['ord', 'keepdims', 'exclude']);
  const ord = integerArg('norm', values, 'ord', 2);
  if (ord !== 1 && ord !== 2)
    throw new ArgumentError(`expected ord 1 or 2, received ${ord}. Use nd.power and nd.sum for others.`, {
      op: 'norm',
    });
  return (ord === 1 ? norm1 : norm2)(x, (values['axis'] as Axis | undefined) ?? null, {
    keepdims: booleanArg('norm', values, 'keepdims', false),
    exclude: booleanArg('norm', values, 'exclude', false),
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
    grad: 'a place is an integer: it jumps and is flat in between',
  });
  return (x, axis, options) => {
    const values = readArgs(name, [axis ?? undefined, options], ['axis'], ['keepdims']);
    const keepdims = booleanArg(name, values, 'keepdims', false);
    const { shape } = bodyOf(x, name);
    if (values['axis'] === undefined || values['axis'] === null) {
      // over all elements, in row-major order
      return composed(() => {
        const place = invoke(op, [reshape(x, [1, -1])], { axis: 1, keepdims: false });
        return reshape(place, keepdims ? shape.map(() => 1) : [1]);
      });
    }
    return invoke(op, [x], { axis: axisArg(name, values, x), keepdims });
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
