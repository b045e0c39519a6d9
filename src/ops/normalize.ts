// What normalises along an axis, each as one row kernel (stages, then an expression per element): softmax and its kin, layer, instance and group norm;
// and batch norm with given statistics, which is elementwise.
import type { NDArray } from '../array/ndarray.ts';
import { bodyOf } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { describe, normalizeAxis, shapeText, sizeOf } from '../core/shape.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { Operand, RowKernel, Stage } from '../ir/kernel.ts';
import { elementwiseKernel, rowKernel } from '../ir/kernel.ts';
import { integerArg, numberArg, readArgs, wordArg } from './args.ts';
import { requireFloat, requireSameDType } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { expandToAxis, reshape } from './shapes.ts';
import { neg } from './unary.ts';

const FAMILY = 'normalize';

/** [outer, length, inner] of one axis. */
function rowsOf(shape: readonly number[], axis: number): readonly [number, number, number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis] as number, sizeOf(shape.slice(axis + 1))];
}

interface AxisAttrs {
  readonly axis: number;
  readonly scalars: readonly number[];
}

function alongAxis(name: string, kernel: RowKernel): Op<AxisAttrs> {
  return defineOp<AxisAttrs>({
    name,
    family: FAMILY,
    infer([x]) {
      requireFloat(name, x as TensorType);
      return [x as TensorType];
    },
    run(emit, x, y, { axis, scalars }) {
      const [outer, length, inner] = rowsOf((x[0] as Operand).shape, axis);
      emit.run(kernel, x, y, [outer, length, inner, length * inner, inner, 1], scalars);
    },
  });
}

// z = x / temperature; subtracting the greatest keeps e^z finite
const z = e.div(e.input(0), e.scalar(0));
const greatest: Stage = { combine: 'max', load: z };
const exponentials: Stage = { combine: 'sum', load: e.exp(e.sub(z, e.stage(0))) };
const stages = [greatest, exponentials];
const softmaxOp = alongAxis(
  'softmax',
  rowKernel('softmax', 1, stages, e.div(e.exp(e.sub(z, e.stage(0))), e.stage(1)), true),
);
const logSoftmaxOp = alongAxis(
  'logSoftmax',
  rowKernel('logSoftmax', 1, stages, e.sub(e.sub(z, e.stage(0)), e.log(e.stage(1))), true),
);

/** Options of `softmax` and its kin. */
export interface SoftmaxOptions {
  readonly axis?: number | undefined;
  /** Divides the input first; 1 by default. */
  readonly temperature?: number | undefined;
}

type Softmax = (x: NDArray, axis?: number | SoftmaxOptions, options?: SoftmaxOptions) => NDArray;

function softmaxCall(name: string, op: Op<AxisAttrs>): Softmax {
  return (x, axis, options) => {
    const values = readArgs(name, [axis, options], ['axis'], ['temperature']);
    return invoke(op, [x], {
      axis: normalizeAxis(integerArg(name, values, 'axis', -1), x.ndim, name),
      scalars: [numberArg(name, values, 'temperature', 1)],
    });
  };
}

/** exp(x) / Σ exp(x) along an axis, the last by default. @example nd.array([0, 0]).softmax() // [0.5, 0.5] */
export const softmax: Softmax = softmaxCall('softmax', softmaxOp);
/** log(softmax(x)) without loss of digits. */
export const logSoftmax: Softmax = softmaxCall('logSoftmax', logSoftmaxOp);
/** softmax(−x). */
export function softmin(x: NDArray, axis?: number | SoftmaxOptions, options?: SoftmaxOptions): NDArray {
  return softmax(neg(x), axis, options);
}

// --- layer norm and its kin: mean and variance of a row ---

const x = e.input(0);
const mean = e.div(e.stage(0), e.length);
const centred = e.sub(x, mean);
const variance = (sum: Expr): Expr => e.div(sum, e.length);
const moments: readonly Stage[] = [
  { combine: 'sum', load: x },
  { combine: 'sum', load: e.mul(centred, centred) },
];
const normalized = e.mul(centred, e.div(1, e.sqrt(e.add(variance(e.stage(1)), e.scalar(0)))));
const layerNormKernel = rowKernel(
  'layerNorm',
  3,
  moments,
  e.add(e.mul(normalized, e.input(1)), e.input(2)),
  true,
);
const normalizeOp = alongAxis(
  'normalizeMoments',
  rowKernel('normalizeMoments', 1, moments, normalized, true),
);

function checkAffine(
  op: string,
  data: TensorType,
  vectors: readonly (readonly [string, TensorType])[],
  extent: number,
): void {
  requireFloat(op, data);
  for (const [name, v] of vectors) {
    requireSameDType(op, data, v);
    if (v.shape.length !== 1 || v.shape[0] !== extent)
      throw new ShapeError(
        `expected ${name} of shape (${extent},) for input ${shapeText(data.shape)}, received ${shapeText(v.shape)}. Check the axis.`,
        { op },
      );
  }
}

const layerNormOp = defineOp<AxisAttrs>({
  name: 'layerNorm',
  family: FAMILY,
  infer([data, gamma, beta], { axis }) {
    const input = data as TensorType;
    checkAffine(
      'layerNorm',
      input,
      [
        ['gamma', gamma as TensorType],
        ['beta', beta as TensorType],
      ],
      input.shape[axis] as number,
    );
    return [input];
  },
  run(emit, inputs, y, { axis, scalars }) {
    const [outer, length, inner] = rowsOf((inputs[0] as Operand).shape, axis);
    emit.run(
      layerNormKernel,
      inputs,
      y,
      [outer, length, inner, length * inner, inner, 1, 0, 1, 0, 0, 1, 0],
      scalars,
    );
  },
});

/** Options of the norms. */
export interface NormalizeOptions {
  readonly axis?: number | undefined;
  /** Added to the variance; 1e-5 by default. */
  readonly eps?: number | undefined;
}

/**
 * (x − mean) / √(var + eps) · gamma + beta along one axis (the last by default), mean and population variance taken along it.
 * Ba et al., 2016. gamma and beta: (extent of the axis).
 */
export function layerNorm(data: NDArray, gamma: NDArray, beta: NDArray, options?: NormalizeOptions): NDArray {
  const values = readArgs('layerNorm', [options], [], ['axis', 'eps']);
  return invoke(layerNormOp, [data, gamma, beta], {
    axis: normalizeAxis(integerArg('layerNorm', values, 'axis', -1), data.ndim, 'layerNorm'),
    scalars: [numberArg('layerNorm', values, 'eps', 1e-5)],
  });
}

const affine = elementwiseKernel('affine', 3, e.add(e.mul(e.input(0), e.input(1)), e.input(2)));
const affineOp = defineOp<object>({
  name: 'affine',
  family: FAMILY,
  infer: (inputs) => [inputs[0] as TensorType],
  run: (emit, inputs, y) => emit.run(affine, inputs, y),
});

function perChannel(
  op: string,
  data: NDArray,
  gamma: NDArray,
  beta: NDArray,
  axis: number,
  normal: NDArray,
): NDArray {
  const body = bodyOf(data, op);
  checkAffine(
    op,
    body,
    [
      ['gamma', bodyOf(gamma, op)],
      ['beta', bodyOf(beta, op)],
    ],
    body.shape[axis] as number,
  );
  return invoke(
    affineOp,
    [normal, expandToAxis(gamma, axis, data.ndim), expandToAxis(beta, axis, data.ndim)],
    {},
  );
}

/**
 * Normalises every channel of every sample over its spatial axes: (N, C, …). gamma, beta: (C). Ulyanov et al., 2016.
 */
export function instanceNorm(
  data: NDArray,
  gamma: NDArray,
  beta: NDArray,
  options?: { readonly eps?: number | undefined },
): NDArray {
  const eps = numberArg('instanceNorm', readArgs('instanceNorm', [options], [], ['eps']), 'eps', 1e-3);
  if (data.ndim < 3)
    throw new ShapeError(
      `expected input of shape (N, C, …) with at least one spatial axis, received ${shapeText(data.shape)}. Add an axis.`,
      { op: 'instanceNorm' },
    );
  const [n, c] = data.shape;
  const rows = invoke(normalizeOp, [reshape(data, [n * c, sizeOf(data.shape.slice(2))])], {
    axis: 1,
    scalars: [eps],
  });
  return perChannel('instanceNorm', data, gamma, beta, 1, reshape(rows, data.shape));
}

/** Normalises groups of channels of every sample together: (N, C, …). gamma, beta: (C). Wu & He, 2018. */
export function groupNorm(
  data: NDArray,
  gamma: NDArray,
  beta: NDArray,
  options?: { readonly numGroups?: number | undefined; readonly eps?: number | undefined },
): NDArray {
  const values = readArgs('groupNorm', [options], [], ['numGroups', 'eps']);
  const groups = integerArg('groupNorm', values, 'numGroups', 1, 1);
  if (data.ndim < 3 || data.shape[1] % groups !== 0)
    throw new ShapeError(
      `expected input of shape (N, C, …) with C divisible by ${groups}, received ${shapeText(data.shape)}. Choose another numGroups.`,
      { op: 'groupNorm' },
    );
  const n = data.shape[0];
  const rows = invoke(normalizeOp, [reshape(data, [n * groups, sizeOf(data.shape.slice(1)) / groups])], {
    axis: 1,
    scalars: [numberArg('groupNorm', values, 'eps', 1e-5)],
  });
  return perChannel('groupNorm', data, gamma, beta, 1, reshape(rows, data.shape));
}

// --- batch norm with given statistics ---

const batchNormKernel = elementwiseKernel(
  'batchNorm',
  5,
  e.add(
    e.mul(e.sub(e.input(0), e.input(3)), e.div(e.input(1), e.sqrt(e.add(e.input(4), e.scalar(0))))),
    e.input(2),
  ),
);

const batchNormOp = defineOp<AxisAttrs>({
  name: 'batchNorm',
  family: FAMILY,
  infer([data, gamma, beta, runningMean, runningVar], { axis }) {
    const input = data as TensorType;
    const named = (name: string, t: TensorType | undefined): readonly [string, TensorType] => [
      name,
      t as TensorType,
    ];
    checkAffine(
      'batchNorm',
      input,
      [
        named('gamma', gamma),
        named('beta', beta),
        named('runningMean', runningMean),
        named('runningVar', runningVar),
      ],
      input.shape[axis] as number,
    );
    return [input];
  },
  run(emit, inputs, y, { axis, scalars }) {
    const { shape } = inputs[0] as Operand;
    const along = shape.map((_, i) => (i === axis ? (shape[axis] as number) : 1));
    emit.run(
      batchNormKernel,
      inputs.map((v, i) => (i === 0 ? v : { storage: v.storage, dtype: v.dtype, shape: along })),
      y,
      undefined,
      scalars,
    );
  },
});

/**
 * (x − runningMean) / √(runningVar + eps) · gamma + beta, per channel (axis 1 by default). Ioffe & Szegedy, 2015.
 * All four vectors: (C).
 */
export function batchNorm(
  data: NDArray,
  gamma: NDArray,
  beta: NDArray,
  runningMean: NDArray,
  runningVar: NDArray,
  options?: NormalizeOptions,
): NDArray {
  const values = readArgs('batchNorm', [options], [], ['axis', 'eps']);
  return invoke(batchNormOp, [data, gamma, beta, runningMean, runningVar], {
    axis: normalizeAxis(integerArg('batchNorm', values, 'axis', 1), data.ndim, 'batchNorm'),
    scalars: [numberArg('batchNorm', values, 'eps', 1e-5)],
  });
}

const l2Op = alongAxis(
  'l2Normalization',
  rowKernel(
    'l2Normalization',
    1,
    [{ combine: 'sum', load: e.mul(x, x) }],
    e.div(x, e.sqrt(e.add(e.stage(0), e.scalar(0)))),
    true,
  ),
);

/**
 * x / √(Σx² + eps): over all of a sample ('instance', default), over channels at each place ('channel', axis 1), or over the spatial axes of each channel ('spatial').
 */
export function l2Normalization(
  data: NDArray,
  options?: {
    readonly mode?: 'instance' | 'channel' | 'spatial' | undefined;
    readonly eps?: number | undefined;
  },
): NDArray {
  const values = readArgs('l2Normalization', [options], [], ['mode', 'eps']);
  const mode = wordArg('l2Normalization', values, 'mode', ['instance', 'channel', 'spatial'], 'instance');
  const scalars = [numberArg('l2Normalization', values, 'eps', 1e-10)];
  const { shape } = bodyOf(data, 'l2Normalization');
  const least = mode === 'instance' ? 1 : mode === 'channel' ? 2 : 3;
  if (shape.length < least)
    throw new ShapeError(
      `expected at least ${least} axes in mode '${mode}', received ${describe([...shape])}. Choose another mode.`,
      { op: 'l2Normalization' },
    );
  if (mode === 'channel') return invoke(l2Op, [data], { axis: 1, scalars });
  const lead = mode === 'instance' ? 1 : 2;
  const rows = reshape(data, [sizeOf(shape.slice(0, lead)), sizeOf(shape.slice(lead))]);
  return reshape(invoke(l2Op, [rows], { axis: 1, scalars }), shape);
}
