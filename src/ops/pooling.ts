// Pooling over one to three spatial axes, channels first. Windows have a kernel of their own; global pooling is a reduction.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, type Shape, shapeText, sizeOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel } from '../ir/kernel.ts';
import { booleanArg, integerArg, readArgs, wordArg } from './args.ts';
import { pow } from './binary.ts';
import { composed } from './composed.ts';
import { type Extents, spread } from './convolution.ts';
import { elementwiseOp, requireFloat } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { max, mean, sum } from './reduce.ts';
import { abs } from './unary.ts';
import { reshape } from './views.ts';

/** How a window is folded. `lp`: (Σ xᵖ)^(1/p). */
export type PoolType = 'max' | 'avg' | 'sum' | 'lp';

interface PoolAttrs {
  readonly type: Exclude<PoolType, 'lp'>;
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly pad: readonly number[];
  readonly full: boolean;
  readonly countIncludePad: boolean;
}

const windows = {
  max: customKernel('poolMax'),
  avg: customKernel('poolAvg'),
  sum: customKernel('poolSum'),
} as const;
const spreads = { avg: customKernel('poolAvgGrad'), sum: customKernel('poolSumGrad') } as const;
const maxGrad = customKernel('poolMaxGrad');
const maxPick = customKernel('poolMaxPick');
// y^(1/p), whose gradient is 0 where y is
const root = elementwiseOp('poolRoot', 'pooling', 1, e.pow(e.input(0), e.scalar(0)), {
  derivatives: [
    e.select(e.eq(e.input(0), 0), 0, e.mul(e.scalar(0), e.pow(e.input(0), e.sub(e.scalar(0), 1)))),
  ],
});

/** Fewer than three axes have extents 1 (padding 0) in front. */
function three(values: readonly number[], lead: number): number[] {
  return [...Array<number>(3 - values.length).fill(lead), ...values];
}

/** What the kernels of a pooling from (N, C, …) extents `from` to `to` are told. */
function poolDims(a: PoolAttrs, from: readonly number[], to: readonly number[]): number[] {
  return [
    sizeOf(from.slice(0, 2)),
    ...three(from.slice(2), 1),
    ...three(to.slice(2), 1),
    ...three(a.kernel, 1),
    ...three(a.stride, 1),
    ...three(a.pad, 0),
    a.countIncludePad ? 1 : 0,
  ];
}

/** The gradient's attributes: the pooling's, and the shape that its kernel does not see. */
interface PoolGradAttrs extends PoolAttrs {
  readonly shape: Shape;
}

/** dx of an average or a sum, from dy. Linear, and the pooling itself is its own gradient's gradient. */
const spreadOp: Op<PoolGradAttrs> = defineOp<PoolGradAttrs>({
  name: 'poolingSpread',
  family: 'pooling',
  infer: ([dy], { shape }) => [{ shape, dtype: (dy as TensorType).dtype }],
  run: (emit, dy, dx, attrs) =>
    emit.run(
      spreads[attrs.type === 'avg' ? 'avg' : 'sum'],
      dy,
      dx,
      poolDims(attrs, attrs.shape, (dy[0] as Operand).shape),
    ),
  grad: (c) => [invoke(poolingOp, [c.dy()], c.attrs)],
});

/** dx of a maximum, from x and dy: each window's gradient goes to its first greatest element. */
const maxGradOp: Op<PoolAttrs> = defineOp<PoolAttrs>({
  name: 'poolingMaxGrad',
  family: 'pooling',
  infer: ([x]) => [x as TensorType],
  run: (emit, inputs, dx, attrs) =>
    emit.run(
      maxGrad,
      inputs,
      dx,
      poolDims(attrs, (inputs[0] as Operand).shape, (inputs[1] as Operand).shape),
    ),
  keeps: { inputs: [0] },
  grad: (c) => [
    null,
    c.wants(1) ? invoke(maxPickOp, [c.x(0), c.dy()], { ...c.attrs, shape: c.xType(1).shape }) : null,
  ],
});

/** What stands in an array of x's shape where x's windows are greatest: the gradient of the above by dy. */
const maxPickOp: Op<PoolGradAttrs> = defineOp<PoolGradAttrs>({
  name: 'poolingMaxPick',
  family: 'pooling',
  infer: ([x], { shape }) => [{ shape, dtype: (x as TensorType).dtype }],
  run: (emit, inputs, y, attrs) =>
    emit.run(maxPick, inputs, y, poolDims(attrs, (inputs[0] as Operand).shape, attrs.shape)),
  keeps: { inputs: [0] },
  grad: (c) => [null, c.wants(1) ? invoke(maxGradOp, [c.x(0), c.dy()], c.attrs) : null],
});

const poolingOp: Op<PoolAttrs> = defineOp<PoolAttrs>({
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
  run: (emit, x, y, attrs) =>
    emit.run(windows[attrs.type], x, y, poolDims(attrs, (x[0] as Operand).shape, (y[0] as Operand).shape)),
  keeps: ({ type }) => ({ inputs: type === 'max' ? [0] : [] }),
  grad: (c) => [
    c.attrs.type === 'max'
      ? invoke(maxGradOp, [c.x(0), c.dy()], c.attrs)
      : invoke(spreadOp, [c.dy()], { ...c.attrs, shape: c.xType(0).shape }),
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
  if (booleanArg(op, values, 'globalPool', false)) {
    requireFloat(op, x);
    return composed(() => {
      const rows = reshape(x, [shape[0], shape[1], -1]);
      const folded =
        type === 'max'
          ? max(rows, 2)
          : type === 'avg'
            ? mean(rows, 2)
            : type === 'sum'
              ? sum(rows, 2)
              : invoke(root, [sum(pow(abs(rows), pValue), 2)], { scalars: [1 / pValue] });
      return reshape(folded, [shape[0], shape[1], ...Array<number>(ndim).fill(1)]);
    });
  }
  if (values['kernel'] === undefined)
    throw new ShapeError('expected kernel, received none. Pass { kernel: 2 }, or globalPool: true.', { op });
  const attrs: PoolAttrs = {
    type: type === 'lp' ? 'sum' : type,
    kernel: spread(op, 'kernel', values['kernel'] as Extents, ndim, 1, 1),
    stride: spread(op, 'stride', values['stride'] as Extents | undefined, ndim, 1, 1),
    pad: spread(op, 'pad', values['pad'] as Extents | undefined, ndim, 0, 0),
    full: wordArg(op, values, 'poolingConvention', ['valid', 'full'], 'valid') === 'full',
    countIncludePad: booleanArg(op, values, 'countIncludePad', true),
  };
  if (type !== 'lp') return invoke(poolingOp, [x], attrs);
  requireFloat(op, x);
  return composed(() => {
    const sums = invoke(poolingOp, [pow(abs(x), pValue)], attrs);
    return invoke(root, [sums], { scalars: [1 / pValue] });
  });
}
