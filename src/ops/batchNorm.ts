// Batch normalisation: with given statistics, which is elementwise, and with the batch's own, which come out beside the result.
import type { NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, shapeText, sizeOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand, RowKernel } from '../ir/kernel.ts';
import { elementwiseKernel, rowKernel } from '../ir/kernel.ts';
import { axisArg, numberArg, readArgs } from './args.ts';
import { rowsOf } from './axes.ts';
import { add, mul, sub } from './binary.ts';
import { elementwiseOp } from './elementwise.ts';
import { invoke, invokeAll, invokeInto } from './invoke.ts';
import type { Emitter, GradContext, Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { mean as average, sum } from './reduce.ts';
import { type AxisAttrs, checkAffine, FAMILY, type NormalizeOptions } from './rows.ts';
import { rsqrt, square } from './unary.ts';
import { reshape } from './views.ts';

const x = e.input(0);
const gamma = e.input(1);
const beta = e.input(2);
const mean = e.input(3);
const variance = e.input(4);
const kernel = elementwiseKernel(
  'batchNorm',
  5,
  e.add(e.mul(e.sub(x, mean), e.div(gamma, e.sqrt(e.add(variance, e.scalar(0))))), beta),
);

/** A vector's shape where it stands along an axis of others. */
function along(shape: readonly number[], axis: number): number[] {
  return shape.map((d, i) => (i === axis ? d : 1));
}

function alongAxis(v: Operand, shape: readonly number[], axis: number): Operand {
  return { storage: v.storage, dtype: v.dtype, shape: along(shape, axis) };
}

function othersThan(axis: number, ndim: number): number[] {
  return Array.from({ length: ndim }, (_, i) => i).filter((i) => i !== axis);
}

function inferAffine(op: string, [data, ...vectors]: readonly TensorType[], axis: number): TensorType {
  const input = data as TensorType;
  const names = ['gamma', 'beta', 'runningMean', 'runningVar'];
  checkAffine(
    op,
    input,
    vectors.map((v, i) => [names[i] as string, v]),
    input.shape[axis] as number,
  );
  return input;
}

const GRADIENT = { family: 'gradient' };
// dy·gamma / √(var + eps), and dy·(x − mean) / √(var + eps)
const root = (v: number): ReturnType<typeof e.sqrt> => e.sqrt(e.add(e.input(v), e.scalar(0)));
const scaledOp = elementwiseOp('batchNormScale', 3, e.mul(e.input(0), e.div(e.input(1), root(2))), GRADIENT);
const weighted = e.div(e.mul(e.input(0), e.sub(e.input(1), e.input(2))), root(3));
const weightedOp = elementwiseOp('batchNormWeight', 4, weighted, GRADIENT);

const batchNormOp = defineOp<AxisAttrs>({
  name: 'batchNorm',
  family: FAMILY,
  infer: (inputs, { axis }) => [inferAffine('batchNorm', inputs, axis)],
  run(emit, inputs, y, { axis, scalars }) {
    const { shape } = inputs[0] as Operand;
    emit.run(
      kernel,
      inputs.map((v, i) => (i === 0 ? v : alongAxis(v, shape, axis))),
      y,
      undefined,
      scalars,
    );
  },
  keeps: (_, wants) => ({
    inputs: [
      ...(wants(1) || wants(4) ? [0] : []),
      ...(wants(0) || wants(3) || wants(4) ? [1] : []),
      ...(wants(1) || wants(4) ? [3] : []),
      4,
    ],
  }),
  grad: givenStatisticsGradient,
});

function givenStatisticsGradient(c: GradContext<AxisAttrs>): (NDArray | null)[] {
  const { f } = c;
  const { axis, scalars } = c.attrs;
  const { shape } = c.xType(0);
  const wide = (i: number): NDArray => f.reshape(c.x(i), along(shape, axis));
  const vector = (whole: NDArray): NDArray =>
    f.reshape(f.sum(whole, othersThan(axis, shape.length)), [shape[axis] as number]);
  const dy = c.dy();
  const shifted = f.add(c.x(4), scalars[0] as number);
  const bySum = c.wants(2) || c.wants(3) ? vector(dy) : null;
  const byProduct =
    c.wants(1) || c.wants(4) ? vector(invoke(weightedOp, [dy, c.x(0), wide(3), wide(4)], { scalars })) : null;
  const scale = (): NDArray => f.div(c.x(1), f.sqrt(shifted));
  return [
    c.wants(0) ? invoke(scaledOp, [dy, wide(1), wide(4)], { scalars }) : null,
    c.wants(1) ? byProduct : null,
    c.wants(2) ? bySum : null,
    c.wants(3) && bySum !== null ? f.neg(f.mul(scale(), bySum)) : null,
    c.wants(4) && byProduct !== null ? f.div(f.mul(f.mul(c.x(1), byProduct), -0.5), shifted) : null,
  ];
}

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
  return invoke(
    batchNormOp,
    [data, gamma, beta, runningMean, runningVar],
    axisAttrs('batchNorm', data, options),
  );
}

function axisAttrs(op: string, data: NDArray, options: NormalizeOptions | undefined): AxisAttrs {
  const values = readArgs(op, [options], [], ['axis', 'eps']);
  return {
    axis: axisArg(op, values, data, 1),
    scalars: [numberArg(op, values, 'eps', 1e-5)],
  };
}

// --- the batch's own statistics ---

// Over samples and places, which are not neighbours: first each sample's own mean and squares, then these combined (Chan et al., 1983).
const sumStage = { combine: 'sum', load: x } as const;
const deviation = e.sub(x, e.div(e.stage(0), e.length));
const squares = { combine: 'sum', load: e.mul(deviation, deviation) } as const;
const rowMean = rowKernel('rowMean', 1, [sumStage], e.div(e.stage(0), e.length), false);
const rowSquares = rowKernel('rowSquares', 1, [sumStage, squares], e.stage(1), false);
const rowVariance = rowKernel('rowVariance', 1, [sumStage, squares], e.div(e.stage(1), e.length), false);
const rowSum = rowKernel('rowSum', 1, [sumStage], e.stage(0), false);
// means and squares of samples with scalar 0 places each
const combined = rowKernel(
  'combinedVariance',
  2,
  [sumStage, { combine: 'sum', load: e.add(e.input(1), e.mul(e.scalar(0), e.mul(deviation, deviation))) }],
  e.div(e.stage(1), e.mul(e.scalar(0), e.length)),
  false,
);

/** Emits one row kernel over all of a channel's elements, where they can be seen as one row: of one place each, or of one sample. */
function emitWhole(emit: Emitter, k: RowKernel, from: Operand, to: Operand, axis: number): boolean {
  const [samples, channels, places] = rowsOf(from.shape, axis);
  if (places === 1) emit.run(k, [from], [to], [1, samples, channels, 0, channels, 1]);
  else if (samples === 1) emit.run(k, [from], [to], [channels, places, 1, places, 1, 0]);
  else return false;
  return true;
}

function emitMoments(emit: Emitter, from: Operand, to: Operand, square: Operand, axis: number): void {
  if (emitWhole(emit, rowMean, from, to, axis)) {
    emitWhole(emit, rowVariance, from, square, axis);
    return;
  }
  const [samples, channels, places] = rowsOf(from.shape, axis);
  const means = emit.temporary([samples, channels], from.dtype);
  const each = emit.temporary([samples, channels], from.dtype);
  const rows = [samples * channels, places, 1, places, 1, 0];
  emit.run(rowMean, [from], [means], rows);
  emit.run(rowSquares, [from], [each], rows);
  const across = [1, samples, channels, 0, channels, 1];
  emit.run(rowMean, [means], [to], across);
  emit.run(combined, [means, each], [square], [...across, 0, channels, 1], [places]);
}

function emitSums(emit: Emitter, from: Operand, to: Operand, axis: number): void {
  if (emitWhole(emit, rowSum, from, to, axis)) return;
  const [samples, channels, places] = rowsOf(from.shape, axis);
  const each = emit.temporary([samples, channels], from.dtype);
  emit.run(rowSum, [from], [each], [samples * channels, places, 1, places, 1, 0]);
  emit.run(rowSum, [each], [to], [1, samples, channels, 0, channels, 1]);
}

const trainingOp = defineOp<AxisAttrs>({
  name: 'batchNormTraining',
  family: FAMILY,
  infer(inputs, { axis }) {
    const data = inferAffine('batchNormTraining', inputs, axis);
    if (sizeOf(data.shape) === 0 || data.shape.length < 2)
      throw new ShapeError(
        `expected a batch (N, C, …) with elements, received ${shapeText(data.shape)}. There is nothing to average.`,
        {
          op: 'batchNormTraining',
        },
      );
    const vector = { shape: asShape([data.shape[axis] as number]), dtype: data.dtype };
    return [data, vector, vector];
  },
  run(emit, [data, scale, shift], [y, means, squared], { axis, scalars }) {
    const from = data as Operand;
    emitMoments(emit, from, means as Operand, squared as Operand, axis);
    const vectors = [scale, shift, means, squared].map((v) => alongAxis(v as Operand, from.shape, axis));
    emit.run(kernel, [from, ...vectors], [y as Operand], undefined, scalars);
  },
  keeps: { inputs: [0, 1], outputs: [1, 2] },
  grad(c) {
    const { f, attrs } = c;
    const data = c.x(0);
    const [dx, dGamma, dBeta] = c.given(0)
      ? c.recorded
        ? decomposition(data, c.x(1), c.dy(0), attrs)
        : (invokeAll(gradOp, [data, c.x(1), c.dy(0), c.y(1), c.y(2)], attrs) as [NDArray, NDArray, NDArray])
      : [null, null, null];
    // who uses the statistics themselves
    let whole: NDArray | null = dx;
    const count = data.size / (data.shape[attrs.axis] as number);
    const plus = (more: NDArray): void => {
      whole = whole === null ? f.broadcastTo(more, data.shape) : f.add(whole, more);
    };
    const wide = (v: NDArray): NDArray => f.reshape(v, along(data.shape, attrs.axis));
    if (c.given(1)) plus(wide(f.div(c.dy(1), count)));
    if (c.given(2)) plus(f.mul(f.sub(data, wide(c.y(1))), wide(f.mul(c.dy(2), 2 / count))));
    return [whole, dGamma, dBeta];
  },
});

// over x, dy, mean, var; and x, dy, gamma, mean, var, dGamma, dBeta with scalar 1 = 1 / count
const productKernel = elementwiseKernel(
  'batchNormProduct',
  4,
  e.div(e.mul(e.input(1), e.sub(e.input(0), e.input(2))), root(3)),
);
const gradKernel = elementwiseKernel(
  'batchNormGrad',
  7,
  e.mul(
    e.div(e.input(2), root(4)),
    e.sub(
      e.input(1),
      e.mul(e.scalar(1), e.add(e.input(6), e.mul(e.div(e.sub(e.input(0), e.input(3)), root(4)), e.input(5)))),
    ),
  ),
);

/** Inputs x, gamma, dy and the batch's mean and variance, which follow from x; outputs dx, dGamma, dBeta. */
const gradOp: Op<AxisAttrs> = defineOp<AxisAttrs>({
  name: 'batchNormGrad',
  family: 'gradient',
  infer: ([data, scale]) => [data as TensorType, scale as TensorType, scale as TensorType],
  run(emit, [data, scale, above, means, squared], [dx, dGamma, dBeta], { axis, scalars }) {
    const [from, dy] = [data as Operand, above as Operand];
    const wide = (v: Operand | undefined): Operand => alongAxis(v as Operand, from.shape, axis);
    const product = emit.temporary(from.shape, from.dtype);
    emit.run(productKernel, [from, dy, wide(means), wide(squared)], [product], undefined, scalars);
    emitSums(emit, product, dGamma as Operand, axis);
    emitSums(emit, dy, dBeta as Operand, axis);
    const count = sizeOf(from.shape) / (from.shape[axis] as number);
    const vectors = [scale, means, squared, dGamma, dBeta].map(wide);
    emit.run(gradKernel, [from, dy, ...vectors], [dx as Operand], undefined, [...scalars, 1 / count]);
  },
  // where it would be recorded, the decomposition takes its place
  grad: null,
});

/** The same from x, gamma and dy alone, by other operations. */
function decomposition(
  data: NDArray,
  scale: NDArray,
  dy: NDArray,
  { axis, scalars }: AxisAttrs,
): readonly [dx: NDArray, dGamma: NDArray, dBeta: NDArray] {
  const others = othersThan(axis, data.ndim);
  const keep = { keepdims: true };
  const centred = sub(data, average(data, others, keep));
  const inverse = rsqrt(add(average(square(centred), others, keep), scalars[0] as number));
  const normal = mul(centred, inverse);
  const left = sub(sub(dy, average(dy, others, keep)), mul(normal, average(mul(dy, normal), others, keep)));
  return [
    mul(mul(reshape(scale, along(data.shape, axis)), inverse), left),
    sum(mul(dy, normal), others),
    sum(dy, others),
  ];
}

const followOp = elementwiseOp(
  'followStatistics',
  2,
  e.add(e.mul(e.input(0), e.scalar(0)), e.mul(e.input(1), e.scalar(1))),
  // running statistics are no part of what is differentiated
  { family: FAMILY, inPlace: true, flat: true },
);

/** running ← momentum·running + (1 − momentum)·batch, in its own memory. */
export function followStatistics(running: NDArray, batch: NDArray, momentum: number): void {
  invokeInto(followOp, running, [batch], { scalars: [momentum, 1 - momentum] });
}

/**
 * Batch normalisation with the batch's own mean and population variance, per channel (axis 1 by default).
 * @returns y as `data`, and the mean and variance, (C): for running statistics
 */
export function batchNormTraining(
  data: NDArray,
  gamma: NDArray,
  beta: NDArray,
  options?: NormalizeOptions,
): [y: NDArray, mean: NDArray, variance: NDArray] {
  const [y, means, squared] = invokeAll(
    trainingOp,
    [data, gamma, beta],
    axisAttrs('batchNormTraining', data, options),
  );
  return [y as NDArray, means as NDArray, squared as NDArray];
}
