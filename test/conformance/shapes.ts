// ONNX's operators that move, choose and make elements, in ours.
import { type NDArray, nd } from 'webgluon';
import type { Call, Expression } from './call.ts';

const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** x with axis `from` at place `to`. */
function moved(x: NDArray, from: number, to: number): NDArray {
  const axes = range(x.ndim);
  axes.splice(to, 0, ...axes.splice(from, 1));
  return x.transpose(axes);
}

function depthToSpace(c: Call): NDArray {
  const b = c.attr('blocksize', 1);
  if (c.text('mode', 'DCR') === 'DCR') return nd.depthToSpace(c.x(), b);
  const [n, channels, h, w] = c.shapeOf(0) as [number, number, number, number];
  return c
    .x()
    .reshape([n, channels / (b * b), b, b, h, w])
    .transpose([0, 1, 4, 2, 5, 3])
    .reshape([n, channels / (b * b), h * b, w * b]);
}

function expand(c: Call): NDArray {
  const wanted = c.host(1) as readonly number[];
  const x = c.x();
  // both sides broadcast: an extent of 1 in the new shape keeps the old one
  const lead = wanted.length - x.ndim;
  return x.broadcastTo(wanted.map((d, i) => (d === 1 && i >= lead ? (x.shape[i - lead] as number) : d)));
}

function gatherNd(c: Call): NDArray {
  const [x, indices] = [c.x(0), c.x(1)];
  // ONNX's places are rows, ours are columns
  const columns = moved(indices, indices.ndim - 1, 0);
  if (c.attr('batch_dims', 0) === 0) return nd.gatherNd(x, columns);
  const batch = nd.arange(x.shape[0], { ctx: c.ctx, dtype: indices.dtype }).reshape([1, -1]);
  return nd.gatherNd(x, nd.concat(batch, columns, { dim: 0 }));
}

function oneHot(c: Call): NDArray {
  const depth = c.scalar(1);
  const [off, on] = c.host(2) as readonly [number, number];
  // negative indices count from the end
  const hot = nd.oneHot(c.x().mod(depth), depth, { onValue: on, offValue: off });
  return moved(hot, hot.ndim - 1, (c.attr('axis', -1) + hot.ndim) % hot.ndim);
}

function pad(c: Call): NDArray {
  const x = c.x();
  const mode = c.text('mode', 'constant');
  const axes = (c.host(3) ?? range(x.ndim)).map((a) => (a + x.ndim) % x.ndim);
  const pads = c.host(1) as readonly number[];
  const widths = Array<number>(2 * x.ndim).fill(0);
  axes.forEach((axis, i) => {
    widths[2 * axis] = pads[i] as number;
    widths[2 * axis + 1] = pads[i + axes.length] as number;
  });
  if (mode !== 'wrap')
    return x.pad({ mode: mode as 'constant', padWidth: widths, constantValue: c.scalar(2, 0) });
  return axes.reduce((y, axis) => {
    const places = nd.arange(
      -(widths[2 * axis] as number),
      (y.shape[axis] as number) + (widths[2 * axis + 1] as number),
      {
        ctx: c.ctx,
      },
    );
    return y.take(places, { axis, mode: 'wrap' });
  }, x);
}

function slice(c: Call): NDArray {
  const x = c.x();
  const [starts, ends] = [c.host(1) as readonly number[], c.host(2) as readonly number[]];
  const axes = c.host(3) ?? range(starts.length);
  const begin = Array<number | null>(x.ndim).fill(null);
  const end = Array<number | null>(x.ndim).fill(null);
  const step = Array<number | null>(x.ndim).fill(null);
  axes.forEach((a, i) => {
    const axis = (a + x.ndim) % x.ndim;
    begin[axis] = starts[i] as number;
    end[axis] = ends[i] as number;
    step[axis] = c.host(4)?.[i] ?? 1;
  });
  return x.slice(begin, end, step);
}

function split(c: Call): NDArray[] {
  const x = c.x();
  const axis = (c.attr('axis', 0) + x.ndim) % x.ndim;
  const extent = x.shape[axis] as number;
  const sizes = c.host(1);
  const pieces = c.attr('num_outputs', c.outputs);
  if (sizes === undefined && extent % pieces === 0) return x.split(pieces, { axis });
  const widths = sizes ?? range(pieces).map(() => Math.ceil(extent / pieces));
  let at = 0;
  return widths.map((width) => {
    const piece = x.sliceAxis(axis, at, Math.min(extent, at + width));
    at += width;
    return piece;
  });
}

function topk(c: Call): NDArray[] {
  return c.x(0).topk(c.scalar(1), {
    axis: c.attr('axis', -1),
    retTyp: 'both',
    isAscend: c.attr('largest', 1) === 0,
    dtype: 'int32',
  });
}

/** x where the column is at least k to the right of the row, zeros elsewhere; with upper: 0 at most k. */
function trilu(c: Call): NDArray {
  const x = c.x();
  const [rows, columns] = [x.shape[x.ndim - 2] as number, x.shape[x.ndim - 1] as number];
  const line = { ctx: c.ctx, dtype: 'int32' } as const;
  const beyond = nd.arange(columns, line).sub(nd.arange(rows, line).reshape([rows, 1]));
  const k = c.scalar(1, 0);
  return nd.where(c.attr('upper', 1) === 1 ? beyond.greaterEqual(k) : beyond.lesserEqual(k), x, 0);
}

function scatterElements(c: Call): NDArray {
  const x = c.x(0);
  const axis = (c.attr('axis', 0) + x.ndim) % x.ndim;
  const indices = c.x(1);
  // one array of indices for each axis: the given one along `axis`, the element's own place along the others
  const all = range(x.ndim).map((a) =>
    a === axis
      ? indices
      : nd
          .arange(indices.shape[a] as number, { ctx: c.ctx, dtype: 'int32' })
          .reshape(indices.shape.map((d, i) => (i === a ? d : 1))),
  );
  return x.copy().set(all, c.x(2));
}

function unsqueeze(c: Call): NDArray {
  const x = c.x();
  const axes = c.host(1) as readonly number[];
  const ndim = x.ndim + axes.length;
  return axes
    .map((a) => (a + ndim) % ndim)
    .sort((a, b) => a - b)
    .reduce((y, a) => y.expandDims(a), x);
}

export const SHAPES: Readonly<Record<string, Expression>> = {
  Concat: (c) => nd.concat(c.all(), { dim: c.attr('axis', 0) }),
  DepthToSpace: depthToSpace,
  Expand: expand,
  EyeLike: (c) => {
    const [rows, columns] = c.shapeOf(0) as [number, number];
    return nd.eye(rows, columns, c.attr('k', 0), { ctx: c.ctx, dtype: c.output().dtype });
  },
  Flatten: (c) => {
    const { shape } = c.output();
    return c.x().reshape(shape);
  },
  Gather: (c) => c.x(0).take(c.x(1), { axis: c.attr('axis', 0), mode: 'wrap' }),
  GatherElements: (c) => c.x(0).takeAlongAxis(c.x(1), c.attr('axis', 0)),
  GatherND: gatherNd,
  OneHot: oneHot,
  Pad: pad,
  Range: (c) => nd.arange(c.scalar(0), c.scalar(1), c.scalar(2), { ctx: c.ctx, dtype: c.output().dtype }),
  Reshape: (c) =>
    c.attr('allowzero', 0) === 1
      ? c.x().reshapeLike(nd.zeros(c.host(1) as readonly number[], { ctx: c.ctx }))
      : c.x().reshape(c.host(1) as readonly number[]),
  ScatterElements: scatterElements,
  Slice: slice,
  SpaceToDepth: (c) => nd.spaceToDepth(c.x(), c.attr('blocksize', 1)),
  Split: split,
  Squeeze: (c) => c.x().squeeze(c.host(1) as readonly number[]),
  Tile: (c) => c.x().tile(c.host(1) as readonly number[]),
  TopK: topk,
  Transpose: (c) => c.x().transpose(c.list('perm')),
  Trilu: trilu,
  Unsqueeze: unsqueeze,
};
