// Several arrays in one and one in several: concat, stack, split.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../core/errors.ts';
import { asShape, normalizeAxis, sameShape, shapeText, stridesOf } from '../core/shape.ts';
import type { Operand } from '../ir/kernel.ts';
import { axisArg, booleanArg, checkOptions, integerArg, isOptions, readArgs } from './args.ts';
import { composed } from './composed.ts';
import { requireSameDType } from './elementwise.ts';
import { invoke, invokeAll } from './invoke.ts';
import { defineOp, type Op, type TensorType } from './op.ts';
import { rangeAlong } from './slices.ts';
import { emitCopy } from './strided.ts';
import { expandDims, viewAs } from './views.ts';

const FAMILY = 'joins';

const concatOp: Op<{ readonly axis: number }> = defineOp<{ readonly axis: number }>({
  name: 'concat',
  family: FAMILY,
  infer(x, { axis }) {
    const first = x[0] as TensorType;
    let extent = 0;
    x.forEach((t, i) => {
      requireSameDType('concat', first, t);
      if (t.shape.length !== first.shape.length || t.shape.some((d, k) => k !== axis && d !== first.shape[k]))
        throw new ShapeError(
          `expected shapes equal but along axis ${axis}, received ${shapeText(first.shape)} and ${shapeText(t.shape)} (array ${i}). Reshape one, or join along another axis.`,
          { op: 'concat' },
        );
      extent += t.shape[axis] as number;
    });
    return [{ shape: asShape(first.shape.map((d, k) => (k === axis ? extent : d))), dtype: first.dtype }];
  },
  run(emit, x, y, { axis }) {
    const to = y[0] as Operand;
    const strides = stridesOf(to.shape);
    let at = 0;
    for (const from of x) {
      emitCopy(emit, from, to, from.shape, stridesOf(from.shape), 0, strides, at * (strides[axis] as number));
      at += from.shape[axis] as number;
    }
  },
  grad(c) {
    const { axis } = c.attrs;
    const sizes = Array.from({ length: c.count }, (_, i) => c.xType(i).shape[axis] as number);
    const dy = c.dy();
    if (sizes.filter((_, i) => c.wants(i)).length > 1) return splitSizes(dy, axis, sizes);
    // one piece alone
    let start = 0;
    return sizes.map((count, i) => {
      const piece = { start, count, step: 1 };
      start += count;
      return c.wants(i) ? rangeAlong(dy, axis, piece) : null;
    });
  },
});

function arrayList(
  op: string,
  args: readonly unknown[],
): { readonly arrays: NDArray[]; readonly options: Record<string, unknown> } {
  const last = args[args.length - 1];
  const options = isOptions(last) ? last : {};
  const given = isOptions(last) ? args.slice(0, -1) : args;
  const arrays = given.length === 1 && Array.isArray(given[0]) ? (given[0] as unknown[]) : given;
  if (arrays.length === 0)
    throw new ArgumentError('expected at least one array, received none. Pass the arrays to join.', { op });
  for (const a of arrays) bodyOf(a as NDArray, op);
  return { arrays: arrays as NDArray[], options };
}

/**
 * Joins arrays along an axis they already have (`dim`, 1 by default as in MXNet).
 * @example nd.concat(nd.ones([2, 1]), nd.zeros([2, 2]), { dim: 1 }).shape // [2, 3]
 */
export function concat(
  ...args: readonly (NDArray | readonly NDArray[] | { readonly dim?: number | undefined })[]
): NDArray {
  const { arrays, options } = arrayList('concat', args);
  checkOptions('concat', options, ['dim', 'axis']);
  const first = arrays[0] as NDArray;
  const axis = normalizeAxis(
    integerArg('concat', { dim: options['dim'] ?? options['axis'] }, 'dim', 1),
    first.ndim,
    'concat',
  );
  return invoke(concatOp, arrays, { axis });
}

/** Joins arrays along a new axis. @example nd.stack(a, b, { axis: 0 }) */
export function stack(
  ...args: readonly (NDArray | readonly NDArray[] | { readonly axis?: number | undefined })[]
): NDArray {
  const { arrays, options } = arrayList('stack', args);
  checkOptions('stack', options, ['axis']);
  const first = arrays[0] as NDArray;
  const axis = normalizeAxis(integerArg('stack', options, 'axis', 0), first.ndim + 1, 'stack');
  for (const [i, a] of arrays.entries())
    if (!sameShape(a.shape, first.shape))
      throw new ShapeError(
        `expected arrays of one shape, received ${shapeText(first.shape)} and ${shapeText(a.shape)} (array ${i}). Use concat to join unequal ones.`,
        { op: 'stack' },
      );
  return composed(() =>
    invoke(
      concatOp,
      arrays.map((a) => expandDims(a, axis)),
      { axis },
    ),
  );
}

const splitOp = defineOp<{ readonly axis: number; readonly sizes: readonly number[] }>({
  name: 'split',
  family: FAMILY,
  infer(x, { axis, sizes }) {
    const { shape, dtype } = x[0] as TensorType;
    return sizes.map((size) => ({ shape: asShape(shape.map((d, i) => (i === axis ? size : d))), dtype }));
  },
  run(emit, x, y, { axis }) {
    const from = x[0] as Operand;
    const strides = stridesOf(from.shape);
    let at = 0;
    for (const to of y) {
      emitCopy(emit, from, to, to.shape, strides, at * (strides[axis] as number));
      at += to.shape[axis] as number;
    }
  },
  grad: (c) => [
    c.f.concat(
      c.attrs.sizes.map((_, i) => c.dy(i)),
      c.attrs.axis,
    ),
  ],
});

/** Cuts an axis into pieces of the given sizes. */
function splitSizes(x: NDArray, axis: number, sizes: readonly number[]): NDArray[] {
  return invokeAll(splitOp, [x], { axis, sizes });
}

/**
 * Cuts an axis (1 by default, as in MXNet) into `n` equal pieces; always a list. `squeezeAxis` drops the axis where the pieces have extent 1.
 * @throws ShapeError where the extent is not divisible
 */
export function split(
  x: NDArray,
  n:
    | number
    | {
        readonly n?: number | undefined;
        readonly numOutputs?: number | undefined;
        readonly axis?: number | undefined;
        readonly squeezeAxis?: boolean | undefined;
      },
  options?: { readonly axis?: number | undefined; readonly squeezeAxis?: boolean | undefined },
): NDArray[] {
  const values = readArgs('split', [n, options], ['n'], ['numOutputs', 'axis', 'squeezeAxis']);
  const pieces = integerArg('split', { n: values['n'] ?? values['numOutputs'] }, 'n', undefined, 1);
  const axis = axisArg('split', values, x, 1);
  const extent = x.shape[axis] as number;
  if (extent % pieces !== 0)
    throw new ShapeError(
      `expected an extent divisible by ${pieces} along axis ${axis}, received ${shapeText(x.shape)}. Choose another number of pieces, or slice.`,
      { op: 'split' },
    );
  const size = extent / pieces;
  const sizes = Array<number>(pieces).fill(size);
  if (!booleanArg('split', values, 'squeezeAxis', false)) return splitSizes(x, axis, sizes);
  if (size !== 1)
    throw new ShapeError(
      `expected pieces of extent 1 for squeezeAxis, received ${size}. Split into ${extent} pieces.`,
      { op: 'split' },
    );
  return composed(() =>
    splitSizes(x, axis, sizes).map((p) =>
      viewAs(
        p,
        p.shape.filter((_, i) => i !== axis),
      ),
    ),
  );
}
