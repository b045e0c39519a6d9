// Pooling over one to three spatial axes, channels first. Windows have a kernel of their own; global pooling is a reduction.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, type Shape, shapeText, sizeWithin } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { CustomName, Operand } from '../ir/kernel.ts';
import { customKernel } from '../ir/kernel.ts';
import { booleanArg, integerArg, readArgs, wordArg } from './args.ts';
import { pow } from './binary.ts';
import { composed } from './composed.ts';
import { type Extents, putThree, spread } from './convolution.ts';
import { elementwiseOp, requireFloat } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { max, mean, sum } from './reduce.ts';
import { abs } from './unary.ts';
import { reshape } from './views.ts';

/** How a window is folded. `lp`: (Σ xᵖ)^(1/p). */
export type PoolType = 'max' | 'avg' | 'sum' | 'lp';

const FAMILY = 'pooling';

/** How the windows lie, checked and for each spatial axis. */
export interface Windows {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly pad: readonly number[];
  /** Rounds the number of windows up. */
  readonly full: boolean;
  readonly countIncludePad: boolean;
}

/** A gradient's attributes: the pooling's, and the shape that its kernel does not see. */
interface Shaped extends Windows {
  readonly shape: Shape;
}

/** What the kernels of a pooling from (N, C, …) extents `from` to `to` are told. */
function poolDims(a: Windows, from: readonly number[], to: readonly number[]): number[] {
  const dims = [sizeWithin(from, 0, 2)];
  putThree(dims, from, 1, 2);
  putThree(dims, to, 1, 2);
  putThree(dims, a.kernel, 1);
  putThree(dims, a.stride, 1);
  putThree(dims, a.pad, 0);
  dims.push(a.countIncludePad ? 1 : 0);
  return dims;
}

/** The record that folds windows by a kernel. */
function poolOp(
  kernelName: CustomName,
  gradient: Required<Pick<Op<Windows>, 'grad' | 'keeps'>>,
): Op<Windows> {
  const fold = customKernel(kernelName);
  return defineOp<Windows>({
    // one name for all kinds: traces show the kernel beside it
    name: 'pooling',
    family: FAMILY,
    infer([x], { kernel, stride, pad, full }) {
      const { shape, dtype } = x as TensorType;
      requireFloat('pooling', x as TensorType);
      const out = shape.map((d, axis) => {
        if (axis < 2) return d;
        const i = axis - 2;
        const [k, p] = [kernel[i] as number, pad[i] as number];
        if (d + 2 * p < k)
          throw new ShapeError(
            `expected an input at least as large as the window ${k} along spatial axis ${i}, received ${d}${p === 0 ? '' : ` (padded ${d + 2 * p})`} in ${shapeText(shape)}. Use a smaller poolSize, or pad.`,
            { op: 'pooling' },
          );
        const steps = (d + 2 * p - k) / (stride[i] as number);
        return (full ? Math.ceil(steps) : Math.floor(steps)) + 1;
      });
      return [{ shape: asShape(out), dtype }];
    },
    run: (emit, x, y, attrs) =>
      emit.run(fold, x, y, poolDims(attrs, (x[0] as Operand).shape, (y[0] as Operand).shape)),
    ...gradient,
  });
}

const maxOp: Op<Windows> = poolOp('poolMax', {
  keeps: { inputs: [0] },
  grad: (c) => [invoke(maxGradOp, [c.x(0), c.dy()], { ...c.attrs, shape: c.xType(0).shape })],
});

/** A record over x and an array g of windows or of x's shape that reads where x's windows are greatest; linear in g, so that `back` is its gradient by it. */
function byGreatest(name: string, kernel: CustomName, back: () => Op<Shaped>): Op<Shaped> {
  const pick = customKernel(kernel);
  return defineOp<Shaped>({
    name,
    family: FAMILY,
    infer: ([x], { shape }) => [{ shape, dtype: (x as TensorType).dtype }],
    run(emit, inputs, y, attrs) {
      const [x, g, to] = [inputs[0], inputs[1], y[0]] as [Operand, Operand, Operand];
      emit.run(pick, inputs, y, poolDims(attrs, x.shape, kernel === 'poolMaxGrad' ? g.shape : to.shape));
    },
    keeps: { inputs: [0] },
    grad: (c) => [
      null,
      c.wants(1) ? invoke(back(), [c.x(0), c.dy()], { ...c.attrs, shape: c.xType(1).shape }) : null,
    ],
  });
}

/** dx from x and dy: each window's gradient goes to its first greatest element. */
const maxGradOp: Op<Shaped> = byGreatest('poolingMaxGrad', 'poolMaxGrad', () => maxPickOp);
/** What stands in an array of x's shape where x's windows are greatest: the gradient of the above by dy. */
const maxPickOp: Op<Shaped> = byGreatest('poolingMaxPick', 'poolMaxPick', () => maxGradOp);

/** A pooling that is linear: its gradient spreads dy over the windows, and is differentiated by the pooling itself. */
function linear(kernel: 'poolAvg' | 'poolSum'): Op<Windows> {
  const spreadKernel = customKernel(`${kernel}Grad`);
  const op: Op<Windows> = poolOp(kernel, {
    keeps: {},
    grad: (c) => [invoke(back, [c.dy()], { ...c.attrs, shape: c.xType(0).shape })],
  });
  const back = defineOp<Shaped>({
    name: 'poolingSpread',
    family: FAMILY,
    infer: ([dy], { shape }) => [{ shape, dtype: (dy as TensorType).dtype }],
    run: (emit, dy, dx, attrs) =>
      emit.run(spreadKernel, dy, dx, poolDims(attrs, attrs.shape, (dy[0] as Operand).shape)),
    grad: (c) => [invoke(op, [c.dy()], c.attrs)],
  });
  return op;
}

const avgOp = linear('poolAvg');
const sumOp = linear('poolSum');

/** Folds windows of (N, C, …) that are smaller than the input and larger than the padding: what layers call. */
export type WindowPool = (x: NDArray, windows: Windows) => NDArray;
/** The greatest of each window. */
export const maxPool: WindowPool = (x, windows) => invoke(maxOp, [x], windows);
/** The average of each window. */
export const avgPool: WindowPool = (x, windows) => invoke(avgOp, [x], windows);
const sumPool: WindowPool = (x, windows) => invoke(sumOp, [x], windows);

/** Folds each plane of (N, C, …) to one element. */
export function globalPool(x: NDArray, fold: (rows: NDArray, axis: number) => NDArray): NDArray {
  const { shape } = bodyOf(x, 'pooling');
  requireFloat('pooling', x);
  return composed(() => {
    const folded = fold(reshape(x, [shape[0], shape[1], -1]), 2);
    return reshape(
      folded,
      shape.map((d, i) => (i < 2 ? d : 1)),
    );
  });
}

// y^(1/p), whose gradient is 0 where y is
const root = elementwiseOp('poolRoot', 1, e.pow(e.input(0), e.scalar(0)), {
  family: FAMILY,
  derivatives: [
    e.select(e.eq(e.input(0), 0), 0, e.mul(e.scalar(0), e.pow(e.input(0), e.sub(e.scalar(0), 1)))),
  ],
});

/** Options of `pooling`. */
export interface PoolingOptions {
  /** The window's extents; not needed with `globalPool`. */
  readonly kernel?: Extents | undefined;
  readonly poolType?: PoolType | undefined;
  readonly globalPool?: boolean | undefined;
  /** As the window by default in layers; here 1, as MXNet's operator. */
  readonly stride?: Extents | undefined;
  readonly pad?: Extents | undefined;
  /** 'valid' rounds the number of windows down, 'full' up. */
  readonly poolingConvention?: 'valid' | 'full' | undefined;
  readonly countIncludePad?: boolean | undefined;
  readonly pValue?: number | undefined;
}

/**
 * Folds windows of the spatial axes. x: (N, C, …spatial) → (N, C, …), ⌊(d + 2·pad − kernel) / stride⌋ + 1 windows along each.
 * Maxima start from −∞ and let NaN through; averages count padding unless `countIncludePad: false`.
 *
 * @example nd.pooling(x, { kernel: 2, stride: 2, poolType: 'max' })
 */
export function pooling(x: NDArray, options?: PoolingOptions): NDArray {
  const op = 'pooling';
  const values = readArgs(
    op,
    [options],
    [],
    ['kernel', 'poolType', 'globalPool', 'stride', 'pad', 'poolingConvention', 'countIncludePad', 'pValue'],
  );
  const { shape } = bodyOf(x, op);
  const type = wordArg<PoolType>(op, values, 'poolType', ['max', 'avg', 'sum', 'lp'], 'max');
  const pValue = integerArg(op, values, 'pValue', 2, 1);
  const ndim = shape.length - 2;
  if (ndim < 1 || ndim > 3)
    throw new ShapeError(
      `expected input of shape (N, C, …) with one to three spatial axes, received ${shapeText(shape)}. Reshape it, e.g. with expandDims.`,
      { op },
    );
  const norm = (fold: (powers: NDArray) => NDArray): NDArray => {
    requireFloat(op, x);
    return composed(() => invoke(root, [fold(pow(abs(x), pValue))], { scalars: [1 / pValue] }));
  };
  if (booleanArg(op, values, 'globalPool', false))
    return type === 'lp'
      ? norm((powers) => globalPool(powers, sum))
      : globalPool(x, type === 'max' ? max : type === 'avg' ? mean : sum);
  if (values['kernel'] === undefined)
    throw new ShapeError('expected kernel, received none. Pass { kernel: 2 }, or globalPool: true.', { op });
  const each = (name: string, least: number): readonly number[] =>
    spread(op, name, values[name] as Extents | undefined, ndim, least, least);
  const windows: Windows = {
    kernel: each('kernel', 1),
    stride: each('stride', 1),
    pad: each('pad', 0),
    full: wordArg(op, values, 'poolingConvention', ['valid', 'full'], 'valid') === 'full',
    countIncludePad: booleanArg(op, values, 'countIncludePad', true),
  };
  windows.pad.forEach((p, i) => {
    if (p >= (windows.kernel[i] as number))
      throw new ShapeError(
        `expected padding below the window ${windows.kernel[i]} along spatial axis ${i}, received ${p}. Every window must see some input.`,
        { op },
      );
  });
  if (type === 'lp') return norm((powers) => sumPool(powers, windows));
  return (type === 'max' ? maxPool : type === 'avg' ? avgPool : sumPool)(x, windows);
}
