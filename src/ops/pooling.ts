// Pooling over one to three spatial axes, channels first. Windows have a kernel of their own; global pooling is a reduction.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, shapeText, sizeOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel } from '../ir/kernel.ts';
import { booleanArg, integerArg, readArgs, wordArg } from './args.ts';
import { pow } from './binary.ts';
import { type Extents, spread } from './convolution.ts';
import { requireFloat } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { max, mean, sum } from './reduce.ts';
import { reshape } from './shapes.ts';
import { abs } from './unary.ts';

/** How a window is folded. `lp`: (Σ xᵖ)^(1/p). */
export type PoolType = 'max' | 'avg' | 'sum' | 'lp';

interface PoolAttrs {
  readonly type: PoolType;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly pad: readonly number[];
  readonly full: boolean;
  readonly countIncludePad: boolean;
  readonly pValue: number;
}

const windows = {
  max: customKernel('poolMax'),
  avg: customKernel('poolAvg'),
  sum: customKernel('poolSum'),
} as const;
const power = elementwiseKernel('poolPower', 1, e.pow(e.abs(e.input(0)), e.scalar(0)));
const root = elementwiseKernel('poolRoot', 1, e.pow(e.input(0), e.scalar(0)));

/** Fewer than three axes have extents 1 (padding 0) in front. */
function three(values: readonly number[], lead: number): number[] {
  return [...Array<number>(3 - values.length).fill(lead), ...values];
}

const poolingOp = defineOp<PoolAttrs>({
  name: 'pooling',
  family: 'pooling',
  infer([x], { kernel, stride, pad, full }) {
    const data = x as TensorType;
    requireFloat('pooling', data);
    const out = data.shape.slice(2).map((d, i) => {
      const [k, s, p] = [kernel[i] as number, stride[i] as number, pad[i] as number];
      if (d + 2 * p < k)
        throw new ShapeError(
          `expected an input at least as large as the window ${k} along spatial axis ${i}, received ${d}${p === 0 ? '' : ` (padded ${d + 2 * p})`} in ${shapeText(data.shape)}. Use a smaller poolSize, or pad.`,
          { op: 'pooling' },
        );
      if (p >= k)
        throw new ShapeError(
          `expected padding below the window ${k} along spatial axis ${i}, received ${p}. Every window must see some input.`,
          { op: 'pooling' },
        );
      const steps = (d + 2 * p - k) / s;
      return (full ? Math.ceil(steps) : Math.floor(steps)) + 1;
    });
    return [{ shape: asShape([data.shape[0], data.shape[1], ...out]), dtype: data.dtype }];
  },
  run(emit, [x], [y], { type, kernel, stride, pad, countIncludePad, pValue }) {
    const [from, to] = [x as Operand, y as Operand];
    const dims = [
      sizeOf(from.shape.slice(0, 2)),
      ...three(from.shape.slice(2), 1),
      ...three(to.shape.slice(2), 1),
      ...three(kernel, 1),
      ...three(stride, 1),
      ...three(pad, 0),
      countIncludePad ? 1 : 0,
    ];
    if (type !== 'lp') {
      emit.run(windows[type], [from], [to], dims);
      return;
    }
    const powers = emit.temporary(from.shape, from.dtype);
    emit.run(power, [from], [powers], undefined, [pValue]);
    const sums = emit.temporary(to.shape, to.dtype);
    emit.run(windows.sum, [powers], [sums], dims);
    emit.run(root, [sums], [to], undefined, [1 / pValue]);
  },
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
  if (booleanArg(op, values, 'globalPool', false)) {
    requireFloat(op, x);
    const rows = reshape(x, [shape[0], shape[1], -1]);
    const folded =
      type === 'max'
        ? max(rows, 2)
        : type === 'avg'
          ? mean(rows, 2)
          : type === 'sum'
            ? sum(rows, 2)
            : pow(sum(pow(abs(rows), pValue), 2), 1 / pValue);
    return reshape(folded, [shape[0], shape[1], ...Array<number>(ndim).fill(1)]);
  }
  if (values['kernel'] === undefined)
    throw new ShapeError('expected kernel, received none. Pass { kernel: 2 }, or globalPool: true.', { op });
  const attrs: PoolAttrs = {
    type,
    kernel: spread(op, 'kernel', values['kernel'] as Extents, ndim, 1, 1),
    stride: spread(op, 'stride', values['stride'] as Extents | undefined, ndim, 1, 1),
    pad: spread(op, 'pad', values['pad'] as Extents | undefined, ndim, 0, 0),
    full: wordArg(op, values, 'poolingConvention', ['valid', 'full'], 'valid') === 'full',
    countIncludePad: booleanArg(op, values, 'countIncludePad', true),
    pValue,
  };
  return invoke(poolingOp, [x], attrs);
}
