// What normalises along an axis, each as one row kernel (stages, then an expression per element): layer, instance, group and L2 norm.
import type { NDArray } from '../array/ndarray.ts';
import { bodyOf } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { describe, shapeText, sizeOf } from '../core/shape.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { Operand, RowKernel, Stage } from '../ir/kernel.ts';
import { rowKernel } from '../ir/kernel.ts';
import { axisArg, integerArg, numberArg, readArgs, wordArg } from './args.ts';
import { rowDims } from './axes.ts';
import { add, mul, sub } from './binary.ts';
import { composed } from './composed.ts';
import { elementwiseOp } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { mean as average, sum } from './reduce.ts';
import {
  type AxisAttrs,
  alongAxis,
  checkAffine,
  FAMILY,
  fused,
  type NormalizeOptions,
  neverRecorded,
} from './rows.ts';
import { rsqrt, square } from './unary.ts';
import { expandToAxis, reshape } from './views.ts';

export { batchNorm } from './batchNorm.ts';
export type { NormalizeOptions } from './rows.ts';
export * from './softmax.ts';

// --- layer norm and its kin: mean and variance of a row ---

const x = e.input(0);
const length = e.length;
const centred = e.sub(x, e.div(e.stage(0), length));
const moments: readonly Stage[] = [
  { combine: 'sum', load: x },
  { combine: 'sum', load: e.mul(centred, centred) },
];
const shifted = e.add(e.div(e.stage(1), length), e.scalar(0));
const inverse = e.div(1, e.sqrt(shifted));
const normalized = e.mul(centred, inverse);
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
  fused('x', () => normalizeGradOp, standardizeGradient),
);

/** With g = dy·gamma: (g − mean g − x̂·mean(g·x̂)) / σ. */
function momentGradient(name: string, inputs: number, g: Expr): RowKernel {
  const [sum, product] = [e.stage(2), e.stage(3)];
  return rowKernel(
    name,
    inputs,
    [...moments, { combine: 'sum', load: g }, { combine: 'sum', load: e.mul(g, centred) }],
    e.mul(
      inverse,
      e.sub(e.sub(g, e.div(sum, length)), e.mul(centred, e.div(product, e.mul(length, shifted)))),
    ),
    true,
  );
}

/** (x − mean) / √(var + eps) along an axis by other operations, and 1 / √(var + eps). */
function standardize(x0: NDArray, axis: number, eps: number): readonly [normal: NDArray, inverse: NDArray] {
  const options = { keepdims: true };
  const deviation = sub(x0, average(x0, axis, options));
  const scale = rsqrt(add(average(square(deviation), axis, options), eps));
  return [mul(deviation, scale), scale];
}

/** dx of normalising x, from g. */
function standardizeGradient(x0: NDArray, g: NDArray, { attrs }: { readonly attrs: AxisAttrs }): NDArray {
  const { axis, scalars } = attrs;
  const options = { keepdims: true };
  const [normal, scale] = standardize(x0, axis, scalars[0] as number);
  const left = sub(g, average(g, axis, options));
  return mul(scale, sub(left, mul(normal, average(mul(g, normal), axis, options))));
}

/** Inputs x and dy. */
const normalizeGradOp = alongAxis(
  'normalizeMomentsGrad',
  momentGradient('normalizeMomentsGrad', 2, e.input(1)),
  neverRecorded,
  'gradient',
);

const layerNormGradKernel = momentGradient('layerNormGrad', 3, e.mul(e.input(1), e.input(2)));
/** Inputs x, dy and gamma. */
const layerNormGradOp: Op<AxisAttrs> = defineOp<AxisAttrs>({
  name: 'layerNormGrad',
  family: 'gradient',
  infer: ([x0]) => [x0 as TensorType],
  run(emit, inputs, y, { axis, scalars }) {
    const dims = rowDims((inputs[0] as Operand).shape, axis, ['whole', 'whole', 'vector']);
    emit.run(layerNormGradKernel, inputs, y, dims, scalars);
  },
  // where it would be recorded, `standardizeGradient` takes its place
  grad: null,
});

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
    const dims = rowDims((inputs[0] as Operand).shape, axis, ['whole', 'vector', 'vector']);
    emit.run(layerNormKernel, inputs, y, dims, scalars);
  },
  keeps: { inputs: [0, 1] },
  grad(c) {
    const { f } = c;
    const [data, dy] = [c.x(0), c.dy()];
    const others = data.shape.flatMap((_, i) => (i === c.attrs.axis ? [] : [i]));
    const byData = (): NDArray =>
      c.recorded
        ? standardizeGradient(data, mul(dy, expandToAxis(c.x(1), c.attrs.axis, data.ndim)), c)
        : invoke(layerNormGradOp, [data, dy, c.x(1)], c.attrs);
    const vector = (whole: NDArray): NDArray =>
      f.reshape(f.sum(whole, others), [data.shape[c.attrs.axis] as number]);
    return [
      c.wants(0) ? byData() : null,
      c.wants(1) ? vector(f.mul(dy, invoke(normalizeOp, [data], c.attrs))) : null,
      c.wants(2) ? vector(dy) : null,
    ];
  },
});

/**
 * (x − mean) / √(var + eps) · gamma + beta along one axis (the last by default), mean and population variance taken along it.
 * Ba et al., 2016. gamma and beta: (extent of the axis).
 */
export function layerNorm(data: NDArray, gamma: NDArray, beta: NDArray, options?: NormalizeOptions): NDArray {
  const values = readArgs('layerNorm', [options], [], ['axis', 'eps']);
  return invoke(layerNormOp, [data, gamma, beta], {
    axis: axisArg('layerNorm', values, data, -1),
    scalars: [numberArg('layerNorm', values, 'eps', 1e-5)],
  });
}

const affineOp = elementwiseOp('affine', 3, e.add(e.mul(e.input(0), e.input(1)), e.input(2)));

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
    { scalars: [] },
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
  const { shape } = bodyOf(data, 'instanceNorm');
  if (shape.length < 3)
    throw new ShapeError(
      `expected input of shape (N, C, …) with at least one spatial axis, received ${shapeText(shape)}. Add an axis.`,
      { op: 'instanceNorm' },
    );
  const [n, c] = shape;
  return composed(() => {
    const rows = reshape(data, [n * c, sizeOf(shape.slice(2))]);
    const normal = invoke(normalizeOp, [rows], { axis: 1, scalars: [eps] });
    return perChannel('instanceNorm', data, gamma, beta, 1, reshape(normal, shape));
  });
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
  const { shape } = bodyOf(data, 'groupNorm');
  if (shape.length < 3 || shape[1] % groups !== 0)
    throw new ShapeError(
      `expected input of shape (N, C, …) with C divisible by ${groups}, received ${shapeText(shape)}. Choose another numGroups.`,
      { op: 'groupNorm' },
    );
  const scalars = [numberArg('groupNorm', values, 'eps', 1e-5)];
  return composed(() => {
    const rows = reshape(data, [shape[0] * groups, sizeOf(shape.slice(1)) / groups]);
    const normal = invoke(normalizeOp, [rows], { axis: 1, scalars });
    return perChannel('groupNorm', data, gamma, beta, 1, reshape(normal, shape));
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
  // with n = √(Σx² + eps): (dy − x·Σ(x·dy) / n²) / n
  fused(
    'x',
    () => l2GradOp,
    (data, dy, { attrs: { axis, scalars } }) => {
      const scale = rsqrt(add(sum(square(data), axis, { keepdims: true }), scalars[0] as number));
      const normal = mul(data, scale);
      return mul(scale, sub(dy, mul(normal, sum(mul(normal, dy), axis, { keepdims: true }))));
    },
  ),
);

const squares = e.add(e.stage(0), e.scalar(0));
/** Inputs x and dy. */
const l2GradOp = alongAxis(
  'l2NormalizationGrad',
  rowKernel(
    'l2NormalizationGrad',
    2,
    [
      { combine: 'sum', load: e.mul(x, x) },
      { combine: 'sum', load: e.mul(x, e.input(1)) },
    ],
    e.div(e.sub(e.input(1), e.mul(x, e.div(e.stage(1), squares))), e.sqrt(squares)),
    true,
  ),
  neverRecorded,
  'gradient',
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
  return composed(() => {
    const rows = reshape(data, [sizeOf(shape.slice(0, lead)), sizeOf(shape.slice(lead))]);
    return reshape(invoke(l2Op, [rows], { axis: 1, scalars }), shape);
  });
}
