// ONNX's reductions, norms, products, convolutions and poolings in ours.
import { type NDArray, nd } from 'webgluon';
import type { Call, Expression } from './call.ts';

// --- reductions ---

interface Reduce {
  readonly axis: readonly number[] | null;
  readonly keepdims: boolean;
}

function reduction(f: (x: NDArray, options: Reduce) => NDArray): Expression {
  return (c) => {
    const axes = c.host(1) ?? c.list('axes') ?? [];
    if (axes.length === 0 && c.attr('noop_with_empty_axes', 0) === 1) return c.x().copy();
    return f(c.x(), { axis: axes.length === 0 ? null : axes, keepdims: c.attr('keepdims', 1) === 1 });
  };
}

function argReduction(f: typeof nd.argmax): Expression {
  return (c) => {
    const x = c.x();
    const axis = c.attr('axis', 0);
    const options = { axis, keepdims: c.attr('keepdims', 1) === 1 };
    const last = c.attr('select_last_index', 0) === 1;
    const places = last ? f(x.flip(axis), options).rsub((x.shape.at(axis) as number) - 1) : f(x, options);
    return places.astype('int32');
  };
}

/** Hardmax: 1 at the first greatest along an axis, 0 elsewhere. */
function hardmax(c: Call): NDArray {
  const x = c.x();
  const axis = (c.attr('axis', -1) + x.ndim) % x.ndim;
  const hot = x.argmax(axis).oneHot(x.shape[axis] as number);
  const axes = Array.from({ length: x.ndim }, (_, i) => i);
  axes.splice(axis, 0, ...axes.splice(x.ndim - 1, 1));
  return hot.transpose(axes);
}

// --- norms ---

/** (outer, inner): the axes before `axis`, and from it to the end, each as one. */
function folded(c: Call): { readonly rows: NDArray; readonly inner: number; readonly kept: number[] } {
  const shape = c.shapeOf(0);
  const axis = (c.attr('axis', -1) + shape.length) % shape.length;
  const inner = shape.slice(axis).reduce((n, d) => n * d, 1);
  return { rows: c.x().reshape([-1, inner]), inner, kept: shape.map((d, i) => (i < axis ? d : 1)) };
}

function layerNormalization(c: Call): NDArray[] {
  const { rows, inner, kept } = folded(c);
  const eps = c.attr('epsilon', 1e-5);
  const y = nd.layerNorm(rows, c.x(1).reshape([inner]), c.x(2).reshape([inner]), { eps });
  const mean = rows.mean(1, { keepdims: true });
  const variance = rows.sub(mean).square().mean(1);
  return [y.reshape(c.shapeOf(0)), mean.reshape(kept), nd.rsqrt(variance.add(eps)).reshape(kept)];
}

function rmsNormalization(c: Call): NDArray {
  const { rows, inner } = folded(c);
  const scale = nd.rsqrt(rows.square().mean(1, { keepdims: true }).add(c.attr('epsilon', 1e-5)));
  return rows
    .mul(scale)
    .mul(c.x(1).reshape([1, inner]))
    .reshape(c.shapeOf(0));
}

function batchNormalization(c: Call): NDArray[] {
  const [x, scale, bias, mean, variance] = c.all() as [NDArray, NDArray, NDArray, NDArray, NDArray];
  const eps = c.attr('epsilon', 1e-5);
  if (c.attr('training_mode', 0) === 0) return [nd.batchNorm(x, scale, bias, mean, variance, { eps })];
  const batchMean = x.mean(1, { exclude: true });
  const batchVariance = x
    .sub(batchMean.reshape([1, -1, 1, 1]))
    .square()
    .mean(1, { exclude: true });
  const momentum = c.attr('momentum', 0.9);
  return [
    nd.batchNorm(x, scale, bias, batchMean, batchVariance, { eps }),
    mean.mul(momentum).add(batchMean.mul(1 - momentum)),
    variance.mul(momentum).add(batchVariance.mul(1 - momentum)),
  ];
}

/** x / (bias + α/size · Σx²)^β, the sum over `size` channels round each: a sum pooling along the channels. */
function localResponse(c: Call): NDArray {
  const x = c.x();
  const [n, channels, h, w] = x.shape;
  const size = c.attr('size', 1);
  const sums = nd
    .pooling(x.square().reshape([n, 1, channels, h * w]), {
      kernel: [size, 1],
      pad: [(size - 1) / 2, 0],
      poolType: 'sum',
    })
    .reshape(x.shape);
  const base = sums.mul(c.attr('alpha', 1e-4) / size).add(c.attr('bias', 1));
  return x.div(base.pow(c.attr('beta', 0.75)));
}

// --- products ---

function gemm(c: Call): NDArray {
  const product = nd
    .dot(c.x(0), c.x(1), { transposeA: c.attr('transA', 0) === 1, transposeB: c.attr('transB', 0) === 1 })
    .mul(c.attr('alpha', 1));
  return c.has(2) ? product.add(c.x(2).mul(c.attr('beta', 1))) : product;
}

function einsum(c: Call): NDArray {
  const x = c.x();
  switch (c.text('equation', '')) {
    case 'i,i':
      return nd.dot(x, c.x(1));
    case 'ij->i':
      return x.sum(1);
    case '...ii ->...i': {
      const diagonal = nd.arange(x.shape[2], { ctx: c.ctx }).broadcastTo(x.shape.slice(0, -1));
      return x.pick(diagonal, 2);
    }
    default:
      throw new Error('no such equation');
  }
}

function matMulInteger(c: Call): NDArray {
  const whole = (i: number): NDArray => c.x(i).astype('int32');
  return nd.matmul(whole(0).sub(whole(2)), whole(1).sub(whole(3)));
}

// --- windows ---

/** Padding before and after each spatial axis. */
function padding(
  c: Call,
  kernel: readonly number[],
  strides: readonly number[],
): (readonly [number, number])[] {
  const spatial = c.shapeOf(0).slice(2);
  const pads = c.list('pads');
  return spatial.map((extent, i) => {
    if (c.text('auto_pad', 'NOTSET') !== 'SAME_UPPER')
      return [pads?.[i] ?? 0, pads?.[i + spatial.length] ?? 0];
    const [k, s] = [kernel[i] as number, strides[i] as number];
    const total = Math.max(0, (Math.ceil(extent / s) - 1) * s + k - extent);
    return [Math.floor(total / 2), Math.ceil(total / 2)];
  });
}

const ones = (c: Call): number[] => Array<number>(c.shapeOf(0).length - 2).fill(1);

/** Our padding is the same on both sides. */
function symmetric(pads: readonly (readonly [number, number])[]): number[] {
  if (pads.some(([before, after]) => before !== after)) throw new Error('padding that differs');
  return pads.map(([before]) => before);
}

function pool(poolType: 'max' | 'avg'): Expression {
  return (c) => {
    const kernel = c.list('kernel_shape') as readonly number[];
    const stride = c.list('strides') ?? ones(c);
    const pad = symmetric(padding(c, kernel, stride));
    // ONNX drops a last window that would begin on the padding; then rounding down says the same
    const full =
      c.attr('ceil_mode', 0) === 1 &&
      c
        .shapeOf(0)
        .slice(2)
        .some((extent, i) => {
          const [k, s, p] = [kernel[i] as number, stride[i] as number, pad[i] as number];
          return Math.ceil((extent + 2 * p - k) / s) * s < extent + p;
        });
    return nd.pooling(c.x(), {
      kernel,
      stride,
      pad,
      poolType,
      poolingConvention: full ? 'full' : 'valid',
      countIncludePad: c.attr('count_include_pad', 0) === 1,
    });
  };
}

function conv(c: Call): NDArray {
  const kernel = c.shapeOf(1).slice(2);
  const stride = c.list('strides') ?? ones(c);
  return nd.convolution(c.x(0), c.x(1), c.has(2) ? c.x(2) : null, {
    stride,
    pad: symmetric(padding(c, kernel, stride)),
    dilate: c.list('dilations') ?? ones(c),
    numGroup: c.attr('group', 1),
  });
}

function convTranspose(c: Call): NDArray {
  const kernel = c.shapeOf(1).slice(2);
  const spatial = c.shapeOf(0).slice(2);
  const stride = c.list('strides') ?? ones(c);
  const dilate = c.list('dilations') ?? ones(c);
  const pads = c.list('pads') ?? [...spatial, ...spatial].map(() => 0);
  const same = c.text('auto_pad', 'NOTSET') === 'SAME_UPPER';
  // what would come out without padding
  const whole = spatial.map(
    (d, i) => (stride[i] as number) * (d - 1) + (dilate[i] as number) * ((kernel[i] as number) - 1) + 1,
  );
  const wanted = same ? spatial.map((d, i) => d * (stride[i] as number)) : c.list('output_shape');
  const options = { stride, dilate, numGroup: c.attr('group', 1) };
  if (wanted === undefined)
    return nd.deconvolution(c.x(0), c.x(1), null, {
      ...options,
      pad: symmetric(spatial.map((_, i) => [pads[i] as number, pads[i + spatial.length] as number])),
    });
  // a wanted extent beyond the whole is an output padding; below, the end is cut off
  const adj = wanted.map((d, i) => Math.max(0, d - (whole[i] as number)));
  const y = nd.deconvolution(c.x(0), c.x(1), null, { ...options, adj });
  return y.slice([null, null, ...wanted.map(() => 0)], [null, null, ...wanted]);
}

const globalPool =
  (poolType: 'max' | 'avg'): Expression =>
  (c) =>
    nd.pooling(c.x(), { globalPool: true, poolType });

// --- losses: what a layer of gluon.loss is made of ---

/** −Σ w·logits[target], over those whose target is not ignored; the mean divides by Σ w. */
function pickedLoss(c: Call, logits: NDArray): NDArray {
  const target = c.x(1);
  const kept = nd.ones(target.shape, { ctx: c.ctx });
  const ignore = c.attr('ignore_index');
  const weights = c.has(2) ? c.x(2).take(target) : kept;
  const used = ignore === undefined ? weights : nd.where(target.notEqual(ignore), weights, 0);
  const losses = logits.pick(target, 1).neg().mul(used);
  const kind = c.text('reduction', 'mean');
  if (kind === 'none') return losses;
  return kind === 'sum' ? losses.sum() : losses.sum().div(used.sum());
}

export const REDUCTIONS: Readonly<Record<string, Expression>> = {
  ArgMax: argReduction(nd.argmax),
  ArgMin: argReduction(nd.argmin),
  AveragePool: pool('avg'),
  BatchNormalization: batchNormalization,
  Conv: conv,
  ConvTranspose: convTranspose,
  CumSum: (c) =>
    c.x().cumsum({
      axis: c.scalar(1),
      exclusive: c.attr('exclusive', 0) === 1,
      reverse: c.attr('reverse', 0) === 1,
    }),
  Einsum: einsum,
  Gemm: gemm,
  GlobalAveragePool: globalPool('avg'),
  GlobalMaxPool: globalPool('max'),
  GroupNormalization: (c) =>
    nd.groupNorm(c.x(0), c.x(1), c.x(2), {
      numGroups: c.attr('num_groups', 1),
      eps: c.attr('epsilon', 1e-5),
    }),
  Hardmax: hardmax,
  InstanceNormalization: (c) => nd.instanceNorm(c.x(0), c.x(1), c.x(2), { eps: c.attr('epsilon', 1e-5) }),
  LRN: localResponse,
  LayerNormalization: layerNormalization,
  LogSoftmax: (c) => c.x().logSoftmax(c.attr('axis', -1)),
  MatMul: (c) => nd.matmul(c.x(0), c.x(1)),
  MatMulInteger: matMulInteger,
  MaxPool: pool('max'),
  NegativeLogLikelihoodLoss: (c) => pickedLoss(c, c.x(0)),
  RMSNormalization: rmsNormalization,
  ReduceL1: reduction((x, o) => x.norm({ ord: 1, ...o })),
  ReduceL2: reduction((x, o) => x.norm(o)),
  ReduceLogSum: reduction((x, o) => x.sum(o).log()),
  ReduceLogSumExp: reduction((x, o) => x.exp().sum(o).log()),
  ReduceMax: reduction((x, o) => x.max(o)),
  ReduceMean: reduction((x, o) => x.mean(o)),
  ReduceMin: reduction((x, o) => x.min(o)),
  ReduceProd: reduction((x, o) => x.prod(o)),
  ReduceSum: reduction((x, o) => x.sum(o)),
  ReduceSumSquare: reduction((x, o) => x.square().sum(o)),
  Softmax: (c) => c.x().softmax(c.attr('axis', -1)),
  SoftmaxCrossEntropyLoss: (c) => {
    const logits = c.x(0).logSoftmax(1);
    const loss = pickedLoss(c, logits);
    return c.outputs > 1 ? [loss, logits] : loss;
  },
};
