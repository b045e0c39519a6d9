// Convolution and its transpose over one to three spatial axes, channels first. They and the gradient by the weight run the tiled product through its
// convolution forms; the gradients of all three are again among the three.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, describe, sameShape, shapeText } from '../core/shape.ts';
import type { Operand, ProductKernel } from '../ir/kernel.ts';
import { productKernel } from '../ir/kernel.ts';
import { booleanArg, integerArg, readArgs } from './args.ts';
import { requireFloat, requireSameDType, requireVector } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp, keepOther } from './op.ts';

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

/** Appends the extents of three axes, those of `values` from `begin` on, `lead` standing for those in front that are not there: what the kernels are told. */
export function putThree(dims: number[], values: readonly number[], lead: number, begin = 0): void {
  for (let i = values.length - 3; i < values.length; i++) dims.push(i < begin ? lead : (values[i] as number));
}

/** How a convolution's windows lie, checked and for each spatial axis. */
export interface Geometry {
  readonly stride: readonly number[];
  readonly dilate: readonly number[];
  readonly pad: readonly number[];
  readonly groups: number;
}

interface ConvAttrs extends Geometry {
  /** The result's spatial extents. */
  readonly extents: readonly number[];
}

/** The arrays of a convolution, each bilinear in the other two: x (N, C, …), w (O, C / groups, …kernel), y (N, O, …). */
type Role = 'x' | 'w' | 'y';

/** What makes one of the three, and from which, in the order of its inputs. */
interface Maker {
  readonly from: readonly [Role, Role];
  readonly op: Op<ConvAttrs>;
}

function maker(name: string, form: ProductKernel['form'], from: readonly [Role, Role], to: Role): Maker {
  const kernels = [productKernel(name, form), productKernel(name, form, { bias: 'm' })] as const;
  // their places among the inputs, −1 for the result
  const [xAt, wAt, yAt] = [from.indexOf('x'), from.indexOf('w'), from.indexOf('y')];
  const op = defineOp<ConvAttrs>({
    name,
    family: 'convolution',
    infer(inputs, { groups, extents }) {
      const [first, second] = inputs as readonly [TensorType, TensorType];
      const bias = inputs[2];
      requireFloat(name, first);
      requireSameDType(name, first, second);
      if (bias !== undefined) requireSameDType(name, first, bias);
      const rows = to === 'w' ? first.shape[1] : first.shape[0];
      const columns =
        to === 'y' ? second.shape[0] : to === 'x' ? second.shape[1] * groups : second.shape[1] / groups;
      return [{ shape: asShape([rows, columns, ...extents]), dtype: first.dtype }];
    },
    run(emit, inputs, outputs, { groups, stride, dilate, pad }) {
      const shapeAt = (i: number): readonly number[] => ((i < 0 ? outputs[0] : inputs[i]) as Operand).shape;
      const [x, w, y] = [shapeAt(xAt), shapeAt(wAt), shapeAt(yAt)];
      const dims = [x[0] as number, x[1] as number, y[1] as number, groups];
      for (const shape of [x, y, w]) putThree(dims, shape, 1, 2);
      putThree(dims, stride, 1);
      putThree(dims, dilate, 1);
      putThree(dims, pad, 0);
      emit.run(kernels[inputs.length > 2 ? 1 : 0], inputs, outputs, dims);
    },
    keeps: keepOther,
    // again among the three
    grad(c) {
      const by = (i: 0 | 1): NDArray | null => {
        if (!c.wants(i)) return null;
        const made = makers[from[i]];
        const inputs = made.from.map((role) => (role === to ? c.dy() : c.x(1 - i)));
        return invoke(made.op, inputs, { ...c.attrs, extents: c.xType(i).shape.slice(2) });
      };
      const byBias = (): NDArray => {
        const others = [...c.dy().shape.keys()].filter((i) => i !== 1);
        return c.f.reshape(c.f.sum(c.dy(), others), c.xType(2).shape);
      };
      return [by(0), by(1), c.count > 2 && c.wants(2) ? byBias() : null];
    },
  });
  return { from, op };
}

const makers: Readonly<Record<Role, Maker>> = {
  y: maker('convolution', 'conv', ['x', 'w'], 'y'),
  x: maker('deconvolution', 'convGradData', ['y', 'w'], 'x'),
  w: maker('convolutionGradWeight', 'convGradWeight', ['y', 'x'], 'w'),
};

type Bias = NDArray | null | undefined;

function withBias(x: NDArray, weight: NDArray, bias: Bias): readonly NDArray[] {
  return bias === undefined || bias === null ? [x, weight] : [x, weight, bias];
}

/** How far a kernel reaches along spatial axis i. */
function reachOf(weight: NDArray, { dilate }: Geometry, i: number): number {
  return (dilate[i] as number) * ((weight.shape[i + 2] as number) - 1) + 1;
}

/** A convolution of shapes that fit: what layers, which check in words of their own, call. */
export function convolve(x: NDArray, weight: NDArray, bias: Bias, geometry: Geometry): NDArray {
  const { stride, dilate, pad, groups } = geometry;
  const extents = stride.map((step, i) => {
    const padded = (x.shape[i + 2] as number) + 2 * (pad[i] as number);
    return Math.floor((padded - reachOf(weight, geometry, i)) / step) + 1;
  });
  return invoke(makers.y.op, withBias(x, weight, bias), { stride, dilate, pad, groups, extents });
}

/** A transposed convolution of channels that fit: what layers call. */
export function deconvolve(
  x: NDArray,
  weight: NDArray,
  bias: Bias,
  geometry: Geometry,
  adj: readonly number[],
): NDArray {
  const { stride, pad } = geometry;
  const extents = x.shape.slice(2).map((d, i) => {
    const whole = (stride[i] as number) * (d - 1) + reachOf(weight, geometry, i);
    const extent = whole - 2 * (pad[i] as number) + (adj[i] as number);
    if (extent < 1 || d < 1)
      throw new ShapeError(
        `expected an output of extent ≥ 1 along spatial axis ${i}, received ${extent} for input ${shapeText(x.shape)}. Use less padding.`,
        { op: 'deconvolution' },
      );
    return extent;
  });
  return invoke(makers.x.op, withBias(x, weight, bias), { ...geometry, extents });
}

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

/** What a call gives, checked against the arrays: input, weight and bias fit, kernel and numFilter are as the weight has them. */
function checked(
  op: 'convolution' | 'deconvolution',
  x: NDArray,
  weight: NDArray,
  bias: Bias,
  values: Record<string, unknown>,
): { readonly geometry: Geometry; readonly bias: Bias; readonly ndim: number } {
  const [{ shape }, w] = [bodyOf(x, op), bodyOf(weight, op).shape];
  const ndim = w.length - 2;
  if (ndim < 1 || ndim > 3)
    throw new ShapeError(
      `expected a weight with one to three spatial axes, received ${shapeText(w)}. Use (channels, inChannels, …kernel).`,
      { op },
    );
  if (shape.length !== w.length)
    throw new ShapeError(
      `expected input of shape (N, C, …) with ${ndim} spatial ${ndim === 1 ? 'axis' : 'axes'}, received ${shapeText(shape)}. Reshape it, e.g. with expandDims.`,
      { op },
    );
  const groups = integerArg(op, values, 'numGroup', 1, 1);
  const inner = w[1] * groups;
  const [inputs, outputs] = op === 'convolution' ? [inner, w[0]] : [w[0], inner];
  if (shape[1] !== inputs || w[0] % groups !== 0)
    throw new ShapeError(
      `expected input with ${inputs} channels for weight ${shapeText(w)} and ${groups} group${groups === 1 ? '' : 's'}, received ${shapeText(shape)}. Check inChannels and groups.`,
      { op },
    );
  const kernel = w.slice(2);
  const given = values['kernel'];
  if (given !== undefined && !sameShape(spread(op, 'kernel', given as Extents, ndim, 1, 1), kernel))
    throw new ShapeError(
      `expected kernel ${shapeText(kernel)} as the weight has, received ${describe(given)}. Leave it out.`,
      { op },
    );
  const numFilter = integerArg(op, values, 'numFilter', outputs);
  if (numFilter !== outputs)
    throw new ShapeError(
      `expected numFilter ${outputs} as the weight has, received ${numFilter}. Leave it out.`,
      { op },
    );
  const used = booleanArg(op, values, 'noBias', false) ? null : bias;
  if (used !== undefined && used !== null) requireVector(op, 'a bias', bodyOf(used, op), outputs, 'channel');
  const each = (name: string, least: number): readonly number[] =>
    spread(op, name, values[name] as Extents | undefined, ndim, least, least);
  return {
    geometry: { stride: each('stride', 1), dilate: each('dilate', 1), pad: each('pad', 0), groups },
    bias: used,
    ndim,
  };
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
  const { geometry, bias: used } = checked(op, x, weight, bias, readArgs(op, [options], [], OPTIONS));
  geometry.pad.forEach((pad, i) => {
    const d = x.shape[i + 2] as number;
    const reach = reachOf(weight, geometry, i);
    if (d + 2 * pad < reach)
      throw new ShapeError(
        `expected an input at least as large as the kernel's reach ${reach} along spatial axis ${i}, received ${d}${pad === 0 ? '' : ` (padded ${d + 2 * pad})`} in ${shapeText(x.shape)}. Pad more, or use a smaller kernel.`,
        { op },
      );
  });
  return convolve(x, weight, used, geometry);
}

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
  const { geometry, bias: used, ndim } = checked(op, x, weight, bias, values);
  const { stride, dilate } = geometry;
  const adj = spread(op, 'adj', values['adj'] as Extents | undefined, ndim, 0, 0);
  if (values['targetShape'] !== undefined) {
    const target = spread(op, 'targetShape', values['targetShape'] as Extents, ndim, 1, 1);
    const surplus = target.map(
      (t, i) => (stride[i] as number) * ((x.shape[i + 2] as number) - 1) + reachOf(weight, geometry, i) - t,
    );
    const pad = surplus.map((s) => Math.max(0, Math.ceil(s / 2)));
    return deconvolve(
      x,
      weight,
      used,
      { ...geometry, pad },
      surplus.map((s, i) => 2 * (pad[i] as number) - s),
    );
  }
  adj.forEach((a, i) => {
    if (a >= Math.max(stride[i] as number, dilate[i] as number))
      throw new ShapeError(
        `expected an output padding below the stride ${stride[i]}, received ${a}. Use a smaller one.`,
        { op },
      );
  });
  return deconvolve(x, weight, used, geometry, adj);
}
