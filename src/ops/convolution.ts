// Convolution and its transpose over one to three spatial axes, channels first. They and the gradient by the weight run the tiled product through its
// convolution forms; the gradients of all three are again among the three.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, describe, shapeText } from '../core/shape.ts';
import type { Operand, ProductKernel } from '../ir/kernel.ts';
import { productKernel } from '../ir/kernel.ts';
import { booleanArg, integerArg, readArgs } from './args.ts';
import { requireFloat, requireSameDType } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { GradContext, Keeps, Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';

const FAMILY = 'convolution';

/** One number for every axis, or one for each. */
export type Extents = number | readonly number[];

/** Spreads a number over `ndim` axes, or checks a list's length. */
export function spread(
  op: string,
  name: string,
  value: Extents | undefined,
  ndim: number,
  fallback: number,
  least: number,
): readonly number[] {
  const list =
    value === undefined
      ? Array<number>(ndim).fill(fallback)
      : typeof value === 'number'
        ? Array<number>(ndim).fill(value)
        : value;
  if (!Array.isArray(list) || list.length !== ndim || list.some((v) => !Number.isInteger(v) || v < least))
    throw new ShapeError(
      `expected ${name} with ${ndim === 1 ? 'one integer' : `${ndim} integers`} ≥ ${least}, received ${describe(value)}. Pass a number, or one for each axis.`,
      { op },
    );
  return [...list];
}

interface ConvAttrs {
  readonly stride: readonly number[];
  readonly dilate: readonly number[];
  readonly pad: readonly number[];
  readonly groups: number;
  /** Transposed only: what is added to the output's extents. */
  readonly adj: readonly number[];
  /** The result's spatial extents, where they do not follow from the rest: in gradients. */
  readonly extents?: readonly number[] | undefined;
}

/** `spatial` extents as three, with `lead` in front where there are fewer. */
function three(values: readonly number[], lead: number): number[] {
  return [...Array<number>(3 - values.length).fill(lead), ...values];
}

function convDims(
  n: number,
  c: number,
  o: number,
  a: ConvAttrs,
  inner: readonly number[],
  outer: readonly number[],
  kernel: readonly number[],
): number[] {
  return [
    n,
    c,
    o,
    a.groups,
    ...three(inner, 1),
    ...three(outer, 1),
    ...three(kernel, 1),
    ...three(a.stride, 1),
    ...three(a.dilate, 1),
    ...three(a.pad, 0),
  ];
}

function checkBias(op: string, data: TensorType, bias: TensorType | undefined, channels: number): void {
  if (bias === undefined) return;
  requireSameDType(op, data, bias);
  if (bias.shape.length !== 1 || bias.shape[0] !== channels)
    throw new ShapeError(
      `expected a bias of shape (${channels},), received ${shapeText(bias.shape)}. Give one number for each channel.`,
      { op },
    );
}

function checkData(op: string, data: TensorType, weight: TensorType): void {
  requireFloat(op, data);
  requireSameDType(op, data, weight);
  const ndim = weight.shape.length - 2;
  if (ndim < 1 || ndim > 3)
    throw new ShapeError(
      `expected a weight with one to three spatial axes, received ${shapeText(weight.shape)}. Use (channels, inChannels, …kernel).`,
      { op },
    );
  if (data.shape.length !== weight.shape.length)
    throw new ShapeError(
      `expected input of shape (N, C, …) with ${ndim} spatial ${ndim === 1 ? 'axis' : 'axes'}, received ${shapeText(data.shape)}. Reshape it, e.g. with expandDims.`,
      { op },
    );
}

const pick = (bias: boolean, form: ProductKernel['form'], name: string): ProductKernel =>
  productKernel(name, form, { bias: bias ? 'm' : 'none' });
const forward = [pick(false, 'conv', 'convolution'), pick(true, 'conv', 'convolution')] as const;
const backward = [
  pick(false, 'convGradData', 'deconvolution'),
  pick(true, 'convGradData', 'deconvolution'),
] as const;

const gradWeight = productKernel('convolutionGradWeight', 'convGradWeight');

/** A bilinear form's gradient by one factor reads the other. */
const keepOther = (_: ConvAttrs, wants: (i: number) => boolean): Keeps => ({
  inputs: [...(wants(1) ? [0] : []), ...(wants(0) ? [1] : [])],
});

/** The gradient by a bias: the sum over all but the channels. */
function biasGradient(c: GradContext<ConvAttrs>): NDArray | null {
  if (c.count < 3 || !c.wants(2)) return null;
  const dy = c.dy();
  const axes = dy.shape.flatMap((_, i) => (i === 1 ? [] : [i]));
  return c.f.reshape(c.f.sum(dy, axes), c.xType(2).shape);
}

/** The gradient of a convolution of x (N, C, i) by its weight, from dy (N, O, o): (O, C / groups, k). */
const gradWeightOp: Op<ConvAttrs> = defineOp<ConvAttrs>({
  name: 'convolutionGradWeight',
  family: FAMILY,
  infer([dy, x], { groups, extents = [] }) {
    const [above, data] = [dy as TensorType, x as TensorType];
    return [{ shape: asShape([above.shape[1], data.shape[1] / groups, ...extents]), dtype: data.dtype }];
  },
  run(emit, inputs, y, attrs) {
    const [dy, x] = [(inputs[0] as Operand).shape, (inputs[1] as Operand).shape];
    const kernel = (y[0] as Operand).shape.slice(2);
    const dims = convDims(
      x[0] as number,
      x[1] as number,
      dy[1] as number,
      attrs,
      x.slice(2),
      dy.slice(2),
      kernel,
    );
    emit.run(gradWeight, inputs, y, dims);
  },
  keeps: keepOther,
  grad: (c) => [
    c.wants(0)
      ? invoke(convolutionOp, [c.x(1), c.dy()], { ...c.attrs, extents: c.xType(0).shape.slice(2) })
      : null,
    c.wants(1)
      ? invoke(deconvolutionOp, [c.x(0), c.dy()], { ...c.attrs, extents: c.xType(1).shape.slice(2) })
      : null,
  ],
});

const convolutionOp: Op<ConvAttrs> = defineOp<ConvAttrs>({
  name: 'convolution',
  family: FAMILY,
  infer([x, w, bias], { stride, dilate, pad, groups, extents }) {
    const [data, weight] = [x as TensorType, w as TensorType];
    checkData('convolution', data, weight);
    const [channels, inGroup, ...kernel] = weight.shape;
    if (data.shape[1] !== (inGroup as number) * groups || (channels as number) % groups !== 0)
      throw new ShapeError(
        `expected input with ${(inGroup as number) * groups} channels for weight ${shapeText(weight.shape)} and ${groups} group${groups === 1 ? '' : 's'}, received ${shapeText(data.shape)}. Check inChannels and groups.`,
        { op: 'convolution' },
      );
    checkBias('convolution', data, bias, channels as number);
    const out = data.shape.slice(2).map((d, i) => {
      if (extents !== undefined) return extents[i] as number;
      const reach = (dilate[i] as number) * ((kernel[i] as number) - 1) + 1;
      const padded = d + 2 * (pad[i] as number);
      if (padded < reach)
        throw new ShapeError(
          `expected an input at least as large as the kernel's reach ${reach} along spatial axis ${i}, received ${d}${pad[i] === 0 ? '' : ` (padded ${padded})`} in ${shapeText(data.shape)}. Pad more, or use a smaller kernel.`,
          { op: 'convolution' },
        );
      return Math.floor((padded - reach) / (stride[i] as number)) + 1;
    });
    return [{ shape: asShape([data.shape[0], channels as number, ...out]), dtype: data.dtype }];
  },
  run(emit, inputs, y, attrs) {
    const [x, w] = [(inputs[0] as Operand).shape, (inputs[1] as Operand).shape];
    const out = (y[0] as Operand).shape.slice(2);
    const dims = convDims(x[0] as number, x[1] as number, w[0] as number, attrs, x.slice(2), out, w.slice(2));
    emit.run(forward[inputs.length > 2 ? 1 : 0], inputs, y, dims);
  },
  keeps: keepOther,
  grad: (c) => [
    c.wants(0)
      ? invoke(deconvolutionOp, [c.dy(), c.x(1)], { ...c.attrs, extents: c.xType(0).shape.slice(2) })
      : null,
    c.wants(1)
      ? invoke(gradWeightOp, [c.dy(), c.x(0)], { ...c.attrs, extents: c.xType(1).shape.slice(2) })
      : null,
    biasGradient(c),
  ],
});

/** Options of `convolution`. */
export interface ConvolutionOptions {
  /** The kernel's extents; the weight has them, so this only checks. */
  readonly kernel?: Extents | undefined;
  readonly stride?: Extents | undefined;
  readonly dilate?: Extents | undefined;
  readonly pad?: Extents | undefined;
  readonly numFilter?: number | undefined;
  readonly numGroup?: number | undefined;
  readonly noBias?: boolean | undefined;
}

const OPTIONS = ['kernel', 'stride', 'dilate', 'pad', 'numFilter', 'numGroup', 'noBias'] as const;

function checkGiven(
  op: string,
  values: Record<string, unknown>,
  kernel: readonly number[],
  filters: number,
): void {
  if (values['kernel'] !== undefined) {
    const given = spread(op, 'kernel', values['kernel'] as Extents, kernel.length, 1, 1);
    if (given.some((k, i) => k !== kernel[i]))
      throw new ShapeError(
        `expected kernel ${shapeText(kernel)} as the weight has, received ${shapeText(given)}. Leave it out.`,
        { op },
      );
  }
  const numFilter = integerArg(op, values, 'numFilter', filters);
  if (numFilter !== filters)
    throw new ShapeError(
      `expected numFilter ${filters} as the weight has, received ${numFilter}. Leave it out.`,
      { op },
    );
}

/**
 * Cross-correlation over the spatial axes. x: (N, C, …spatial); weight: (channels, C / numGroup, …kernel); bias: (channels), optional.
 * Output extents ⌊(d + 2·pad − dilate·(kernel − 1) − 1) / stride⌋ + 1.
 *
 * @throws ShapeError where channels or extents do not fit
 * @example
 * nd.convolution(nd.ones([1, 3, 8, 8]), nd.ones([4, 3, 3, 3]), null, { pad: 1 }).shape // [1, 4, 8, 8]
 */
export function convolution(
  x: NDArray,
  weight: NDArray,
  bias?: NDArray | null,
  options?: ConvolutionOptions,
): NDArray {
  const op = 'convolution';
  const values = readArgs(op, [options], [], OPTIONS);
  const shape = bodyOf(weight, op).shape;
  const ndim = Math.max(1, shape.length - 2);
  checkGiven(op, values, shape.slice(2), shape[0]);
  const attrs: ConvAttrs = {
    stride: spread(op, 'stride', values['stride'] as Extents | undefined, ndim, 1, 1),
    dilate: spread(op, 'dilate', values['dilate'] as Extents | undefined, ndim, 1, 1),
    pad: spread(op, 'pad', values['pad'] as Extents | undefined, ndim, 0, 0),
    groups: integerArg(op, values, 'numGroup', 1, 1),
    adj: [],
  };
  const without = bias === undefined || bias === null || booleanArg(op, values, 'noBias', false);
  return invoke(convolutionOp, without ? [x, weight] : [x, weight, bias as NDArray], attrs);
}

const deconvolutionOp: Op<ConvAttrs> = defineOp<ConvAttrs>({
  name: 'deconvolution',
  family: FAMILY,
  infer([x, w, bias], { stride, dilate, pad, groups, adj, extents }) {
    const [data, weight] = [x as TensorType, w as TensorType];
    checkData('deconvolution', data, weight);
    const [inChannels, perGroup, ...kernel] = weight.shape;
    if (data.shape[1] !== inChannels || (inChannels as number) % groups !== 0)
      throw new ShapeError(
        `expected input with ${inChannels} channels for weight ${shapeText(weight.shape)} and ${groups} groups, received ${shapeText(data.shape)}. Check inChannels and groups.`,
        { op: 'deconvolution' },
      );
    const channels = (perGroup as number) * groups;
    checkBias('deconvolution', data, bias, channels);
    const out = data.shape.slice(2).map((d, i) => {
      if (extents !== undefined) return extents[i] as number;
      const extent =
        (stride[i] as number) * (d - 1) +
        (dilate[i] as number) * ((kernel[i] as number) - 1) +
        1 -
        2 * (pad[i] as number) +
        (adj[i] as number);
      if (extent < 1 || d < 1)
        throw new ShapeError(
          `expected an output of extent ≥ 1 along spatial axis ${i}, received ${extent} for input ${shapeText(data.shape)}. Use less padding.`,
          { op: 'deconvolution' },
        );
      return extent;
    });
    return [{ shape: asShape([data.shape[0], channels, ...out]), dtype: data.dtype }];
  },
  run(emit, inputs, y, attrs) {
    const [x, w] = [(inputs[0] as Operand).shape, (inputs[1] as Operand).shape];
    const out = (y[0] as Operand).shape;
    // it is the gradient of a convolution from its output's side to ours
    const dims = convDims(
      x[0] as number,
      out[1] as number,
      x[1] as number,
      attrs,
      out.slice(2),
      x.slice(2),
      w.slice(2),
    );
    emit.run(backward[inputs.length > 2 ? 1 : 0], inputs, y, dims);
  },
  keeps: keepOther,
  grad: (c) => [
    c.wants(0)
      ? invoke(convolutionOp, [c.dy(), c.x(1)], { ...c.attrs, extents: c.xType(0).shape.slice(2) })
      : null,
    c.wants(1)
      ? invoke(gradWeightOp, [c.x(0), c.dy()], { ...c.attrs, extents: c.xType(1).shape.slice(2) })
      : null,
    biasGradient(c),
  ],
});

/**
 * Transposed convolution. x: (N, C, …spatial); weight: (C, channels / numGroup, …kernel); bias: (channels), optional.
 * Output extents stride·(d − 1) + dilate·(kernel − 1) + 1 − 2·pad + adj. `targetShape` gives the extents instead (then pad and adj follow from it).
 */
export function deconvolution(
  x: NDArray,
  weight: NDArray,
  bias?: NDArray | null,
  options?: ConvolutionOptions & {
    readonly adj?: Extents | undefined;
    readonly targetShape?: Extents | undefined;
  },
): NDArray {
  const op = 'deconvolution';
  const values = readArgs(op, [options], [], [...OPTIONS, 'adj', 'targetShape']);
  const shape = bodyOf(weight, op).shape;
  const ndim = Math.max(1, shape.length - 2);
  const groups = integerArg(op, values, 'numGroup', 1, 1);
  const kernel = shape.slice(2);
  checkGiven(op, values, kernel, shape[1] * groups);
  const stride = spread(op, 'stride', values['stride'] as Extents | undefined, ndim, 1, 1);
  const dilate = spread(op, 'dilate', values['dilate'] as Extents | undefined, ndim, 1, 1);
  let pad = spread(op, 'pad', values['pad'] as Extents | undefined, ndim, 0, 0);
  let adj = spread(op, 'adj', values['adj'] as Extents | undefined, ndim, 0, 0);
  if (values['targetShape'] !== undefined) {
    const target = spread(op, 'targetShape', values['targetShape'] as Extents, ndim, 1, 1);
    const surplus = target.map(
      (t, i) =>
        (stride[i] as number) * ((x.shape[i + 2] ?? 1) - 1) +
        (dilate[i] as number) * ((kernel[i] ?? 1) - 1) +
        1 -
        t,
    );
    pad = surplus.map((s) => Math.max(0, Math.ceil(s / 2)));
    adj = surplus.map((s, i) => 2 * (pad[i] as number) - s);
  }
  adj.forEach((a, i) => {
    if (a >= Math.max(stride[i] as number, dilate[i] as number) && values['targetShape'] === undefined)
      throw new ShapeError(
        `expected an output padding below the stride ${stride[i]}, received ${a}. Use a smaller one.`,
        { op },
      );
  });
  const without = bias === undefined || bias === null || booleanArg(op, values, 'noBias', false);
  return invoke(deconvolutionOp, without ? [x, weight] : [x, weight, bias as NDArray], {
    stride,
    dilate,
    pad,
    groups,
    adj,
  });
}
