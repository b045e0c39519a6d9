// What a device is asked to run. A kernel is the static part (made once, when its operation is defined, and compared by identity or
// by `key`); what changes from call to call travels beside it: operands, `dims` (integers) and `scalars` (floats).
// Both devices implement exactly what is written here.
import type { ComputeType, DType } from '../core/dtype.ts';
import { computeTypeOf } from '../core/dtype.ts';
import type { Expr } from './expr.ts';
import { exprKey } from './expr.ts';
import type { Storage } from './storage.ts';

/** An array as a kernel sees it: always contiguous and row-major in its storage, from the storage's beginning. */
export interface Operand {
  readonly storage: Storage;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/**
 * One expression per output element. Every input broadcasts (NumPy's rule) to the output's shape; the devices have fast paths for
 * inputs of the output's shape and of one element. An output may share its storage with an input of the same shape (in place).
 * Elements are computed in the compute type of input `computeFrom` (−1: of the output); other inputs are converted to
 * it when loaded, the result is converted to the output's dtype when stored (see `conversions` below).
 * `others` are the expressions of further outputs, of the first output's shape and dtype.
 * `dims`: none; or [ndim, shape…, then for each input its offset and strides…], in elements: input k is read at offset + Σ c·stride for the place c in `shape`, which is
 * the outputs' (transposed, sliced and broadcast loads); strides may be 0 or negative. Never in place then.
 */
export interface ElementwiseKernel {
  readonly kind: 'elementwise';
  readonly key: string;
  readonly name: string;
  readonly expr: Expr;
  readonly others: readonly Expr[];
  readonly inputs: number;
  readonly computeFrom: number;
}

/** How a stage folds the elements along the axis. `argmax` and `argmin` give the first place of the extreme (a NaN counts as extreme). */
export type Combine = 'sum' | 'prod' | 'max' | 'min' | 'argmax' | 'argmin';

export interface Stage {
  readonly combine: Combine;
  /** Over inputs, scalars, `index`, `length` and earlier stages. */
  readonly load: Expr;
}

/**
 * Reductions and everything that normalises along an axis. An array is seen as (outer, length, inner); for each (o, i) the stages run one after
 * the other along l, each with the results of those before it; then `store` is evaluated: once per row (output o·inner + i) or, where `perElement`,
 * for every element (output (o·length + l)·inner + i).
 * `dims` = [outer, length, inner, then for each input its three element strides so, sl, si]: input k is read at o·so + l·sl + i·si.
 * In a perRow store, `input` leaves are read at l = 0. An empty axis gives 0 for sum, 1 for prod, −∞ for max, ∞ for min.
 * A stage that is a max or min lets NaN through. Sums of float32 must be at least as accurate as pairwise summation.
 */
export interface RowKernel {
  readonly kind: 'row';
  readonly key: string;
  readonly name: string;
  readonly stages: readonly Stage[];
  readonly store: Expr;
  readonly perElement: boolean;
  readonly inputs: number;
  readonly computeFrom: number;
}

/**
 * The tiled product. Accumulates in float32 (float64 for float64, int32 for integers).
 * - `matmul`: C[b, m, n] = Σₖ A[b, m, k]·B[b, k, n]; `transposeA`: A is stored as (k, m), `transposeB`: B as (n, k).
 *   dims = [batch, M, N, K, aBatchStride, bBatchStride] (strides in elements, 0 repeats one matrix). Inputs A, B, then the bias.
 *   Or 14 numbers, for matrices that lie inside larger arrays: [batch, M, N, K, aBatch, bBatch, inner, aInner, bInner, aRow, bRow, cBatch, cInner, cRow]: matrix β of A begins at
 *   ⌊β / inner⌋·aBatch + (β mod inner)·aInner and its rows, as stored, are aRow elements apart; B and C likewise. The bias and the extras go by C's places in the plain order.
 * - convolutions over up to three spatial axes, NC[DHW], weight (O, C/groups, kD, kH, kW), cross-correlation:
 *   dims = [N, C, O, groups, iD, iH, iW, oD, oH, oW, kD, kH, kW, sD, sH, sW, dD, dH, dW, pD, pH, pW]
 *   (i: the side of C, o: the side of O; p: padding before; fewer axes: extents and strides 1, padding 0 in front).
 *   `conv`: y(N,O,o) from x(N,C,i), w, bias over O. `convGradData`: (N,C,i) from dy(N,O,o), w, bias over C; it is also the transposed
 *   convolution. `convGradWeight`: (O, C/groups, k) from dy(N,O,o), x(N,C,i).
 * Then the epilogue: bias (`m`: one per row = channel; `n`: one per column; the input after A and B), then `epilogue` over input 0 = the sum and inputs 1, 2, … = the
 * extras, which follow the bias and have the output's dtype: `full` has the output's shape, `m` one element per row (channel), `n` one per column, `one` one in all.
 * `rowSum` (matmul with 6 dims, convGradWeight): a second output, float32, Σₖ A[m, k] for each row of the left operand, (batch·M) or (O): a bias's gradient beside its weight's.
 */
export interface ProductKernel {
  readonly kind: 'product';
  readonly key: string;
  readonly name: string;
  readonly form: 'matmul' | 'conv' | 'convGradData' | 'convGradWeight';
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly bias: 'none' | 'm' | 'n';
  readonly epilogue: Expr | null;
  readonly extras: readonly ExtraShape[];
  readonly rowSum: boolean;
}

/** How an extra input of a product's epilogue lies beside the output. */
export type ExtraShape = 'full' | 'm' | 'n' | 'one';

/**
 * What is none of the above; `dims` as said at each name.
 * - `stridedCopy`: [ndim, inOffset, outOffset, shape…, inStrides…, outStrides…] copies x[inOffset + Σ c·inStride] to y[outOffset + Σ c·outStride]
 *   for all c in shape, in elements; strides may be 0 or negative for the input, not for the output; dtype may differ (converted). What it does not write keeps its value.
 * - `take`: [outer, extent, inner, count, mode]: y[o, j, i] = x[o, index(j), i]; inputs x, indices (any dtype, truncated). mode 0 clips, 1 wraps (as Python's %).
 * - `takeAlong`: [outer, extent, inner, count, mode]: y[o, j, i] = x[o, index[o, j, i], i]; inputs x, indices of shape (outer, count, inner). `pick` is count 1.
 * - `gatherNd`: [count, depth, slice, extents…(depth)]: y[n, s] = x[(index[0, n], …, index[depth−1, n]), s]; inputs x, indices (depth, count). Negative indices count from the end; then clipped.
 * - `scatterNd`: dims as gatherNd; y[(index…), s] = x[n, s] where y keeps what it had; for repeated indices the last n wins. inputs x (count, slice), indices; output y.
 * - `scatterAddNd`: as scatterNd, but y[…] += x[n, s], in ascending n (deterministic). float32, int32, uint32.
 * - `pad`: [mode, ndim, inShape…, before…, outShape…]: mode 0 edge, 1 reflect (without repeating the border); y[c] = x[reflect(c − before)].
 * - `poolMax`, `poolAvg`, `poolSum`: [planes, iD, iH, iW, oD, oH, oW, kD, kH, kW, sD, sH, sW, pD, pH, pW, countIncludePad] over (planes, D, H, W).
 *   A window is clipped to the input; max over it (−∞ if empty; NaN goes through). Average: divided by the number of elements in the clipped window, or,
 *   with countIncludePad, of the window clipped to the padded input (end at most extent + padding, the same padding after as before).
 * - `poolMaxGrad`, `poolMaxPick`, `poolAvgGrad`, `poolSumGrad`: dims as poolMax; one float dtype. Each window has a first greatest element, at place p in x (NaN counts
 *   as greatest, −0 as 0). poolMaxGrad: inputs x, g (of the windows); dx[p] = Σ g over the windows with that p. poolMaxPick: inputs x, g (of x's shape); y = g[p] for each
 *   window, 0 for one without elements. poolAvgGrad, poolSumGrad: input g; dx = Σ g (divided as the average was) over the windows that hold the element, in their order.
 * - `sort`: [rows, length, descending]: sorts each row of x (rows, length), stably; NaN last when ascending, first when descending.
 *   Two outputs: the sorted values (dtype of x), and their former places (float32 or int32, as the second output's dtype says).
 * - `cumsum`: [outer, length, inner, exclusive, reverse].
 * - `pack`: [offset, size, …] for each of up to 7 inputs: writes input k, flat, to y[offsetₖ … offsetₖ + sizeₖ]. float32. What it does not write keeps its value.
 * - `randomShuffle`: [vector]: an int32 permutation of 0 … n − 1 from the shuffling generator (the same on every device); vector 1 for arrays of one axis.
 * - `randomUniform` scalars [low, high], `randomNormal` scalars [loc, scale], `randomInt` scalars [low, high) : no inputs; draws from the device's own generators
 *   (GLUON.md), which move on; output float32, float16 or float64 (integers for randomInt). dims = [].
 */
export type CustomName =
  | 'stridedCopy'
  | 'take'
  | 'takeAlong'
  | 'gatherNd'
  | 'scatterNd'
  | 'scatterAddNd'
  | 'pad'
  | 'poolMax'
  | 'poolAvg'
  | 'poolSum'
  | 'poolMaxGrad'
  | 'poolMaxPick'
  | 'poolAvgGrad'
  | 'poolSumGrad'
  | 'sort'
  | 'cumsum'
  | 'randomUniform'
  | 'randomNormal'
  | 'randomInt'
  | 'randomShuffle'
  | 'pack';

export interface CustomKernel {
  readonly kind: 'custom';
  readonly key: string;
  readonly name: CustomName;
  /** pool* only: what is stored, over input 0 = the kernel's result and 1, 2, … = inputs after the kernel's own, of the output's shape and dtype. */
  readonly epilogue: Expr | null;
}

/** One step of an update: what its target becomes, over the targets (inputs 0, 1, …) and then the read-only inputs. */
export interface UpdateStep {
  readonly target: number;
  /** The same as an elementwise kernel in place, for devices that run steps one by one. */
  readonly kernel: ElementwiseKernel;
}

/**
 * Several elementwise steps in place, in one kernel: an optimizer's update of weights and state. Outputs are the targets, which are read and written; inputs
 * are read only; all have one shape and one float dtype. In the steps' expressions, input leaves 0 … targets − 1 are the targets as earlier steps left them, those
 * after are the read-only inputs. No `dims`; at most 8 operands.
 */
export interface UpdateKernel {
  readonly kind: 'update';
  readonly key: string;
  readonly name: string;
  readonly targets: number;
  readonly inputs: number;
  readonly steps: readonly UpdateStep[];
}

export type Kernel = ElementwiseKernel | RowKernel | ProductKernel | CustomKernel | UpdateKernel;

// Conversions, everywhere a value changes type: to float: rounded to nearest. float → int32/int8: truncated towards zero (NaN: 0; out of range: saturated at
// int32, then wrapped for int8). float → uint32: negative values as int32 wrapped, else truncated. float → uint8: as int32, then modulo 256.
// anything → bool: 0 for zero, else 1. integers → narrower integers: wrapped.

export function elementwiseKernel(
  name: string,
  inputs: number,
  expr: Expr,
  computeFrom = inputs > 0 ? 0 : -1,
  others: readonly Expr[] = [],
): ElementwiseKernel {
  return {
    kind: 'elementwise',
    key: `e${inputs}c${computeFrom}:${[expr, ...others].map(exprKey).join(';')}`,
    name,
    expr,
    others,
    inputs,
    computeFrom,
  };
}

export function rowKernel(
  name: string,
  inputs: number,
  stages: readonly Stage[],
  store: Expr,
  perElement: boolean,
  computeFrom = 0,
): RowKernel {
  const key = `r${inputs}c${computeFrom}${perElement ? 'e' : 'r'}:${stages.map((s) => `${s.combine}=${exprKey(s.load)}`).join(';')}>${exprKey(store)}`;
  return { kind: 'row', key, name, stages, store, perElement, inputs, computeFrom };
}

/** What a product may have besides: all of it is plain by default. */
type ProductOptions = Partial<Omit<ProductKernel, 'kind' | 'key' | 'name' | 'form'>>;

export function productKernel(
  name: string,
  form: ProductKernel['form'],
  options: ProductOptions = {},
): ProductKernel {
  const parts = {
    transposeA: false,
    transposeB: false,
    bias: 'none',
    epilogue: null,
    extras: [],
    rowSum: false,
    ...options,
  } as const;
  const { transposeA, transposeB, bias, epilogue, extras, rowSum } = parts;
  const flags = `${transposeA ? 'T' : 'N'}${transposeB ? 'T' : 'N'}${bias}${rowSum ? 's' : ''}${extras.length > 0 ? `[${extras.join()}]` : ''}`;
  const key = `p${form}${flags}:${epilogue === null ? '' : exprKey(epilogue)}`;
  // last: what is given may be another product's parts
  return { ...parts, kind: 'product', key, name, form };
}

export function customKernel(name: CustomName, epilogue: Expr | null = null): CustomKernel {
  return {
    kind: 'custom',
    key: `c${name}${epilogue === null ? '' : `:${exprKey(epilogue)}`}`,
    name,
    epilogue,
  };
}

/** `steps`: [which target, what it becomes] in order; `inputs`: how many arrays are read besides the targets. */
export function updateKernel(
  name: string,
  targets: number,
  inputs: number,
  steps: readonly (readonly [target: number, expr: Expr])[],
): UpdateKernel {
  const key = `u${targets},${inputs}:${steps.map(([t, x]) => `${t}=${exprKey(x)}`).join(';')}`;
  return {
    kind: 'update',
    key,
    name,
    targets,
    inputs,
    steps: steps.map(([target, x]) => ({ target, kernel: elementwiseKernel(name, targets + inputs, x) })),
  };
}

/** The numbers in which a kernel computes on these operands. */
export function computeTypeFor(
  computeFrom: number,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
): ComputeType {
  const operand = computeFrom < 0 ? outputs[0] : inputs[computeFrom];
  return computeTypeOf(operand?.dtype ?? 'float32');
}
