// Borders and blocks of images: pad, spaceToDepth, depthToSpace.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { describe, type Shape, shapeText, sizeOf, stridesOf, toShape } from '../core/shape.ts';
import { customKernel, type Operand } from '../ir/kernel.ts';
import { integerArg, numberArg, readArgs, wordArg } from './args.ts';
import { composed } from './composed.ts';
import { invoke } from './invoke.ts';
import { transpose } from './moves.ts';
import { defineOp, type Op, type TensorType } from './op.ts';
import { emitScatterAdd } from './scatter.ts';
import { place, ranges } from './slices.ts';
import { iota } from './strided.ts';
import { viewAs } from './views.ts';

const padKernel = customKernel('pad');

interface RepeatAttrs {
  readonly mode: 'edge' | 'reflect';
  readonly before: readonly number[];
  /** The result's. */
  readonly shape: Shape;
}

function padDims(
  { mode, before }: RepeatAttrs,
  from: readonly number[],
  to: readonly number[],
): readonly number[] {
  return [mode === 'edge' ? 0 : 1, from.length, ...from, ...before, ...to];
}

/** Padding that repeats elements. */
const repeatOp: Op<RepeatAttrs> = defineOp<RepeatAttrs>({
  name: 'pad',
  family: 'blocks',
  infer: ([x], { shape }) => [{ shape, dtype: (x as TensorType).dtype }],
  run: (emit, x, y, attrs) => emit.run(padKernel, x, y, padDims(attrs, (x[0] as Operand).shape, attrs.shape)),
  grad: (c) => [invoke(repeatBack, [c.dy()], { ...c.attrs, shape: c.xType(0).shape })],
});

/** Its gradient: added up where elements came from. */
const repeatBack: Op<RepeatAttrs> = defineOp<RepeatAttrs>({
  name: 'padGrad',
  family: 'gradient',
  infer: ([dy], { shape }) => [{ shape, dtype: (dy as TensorType).dtype }],
  run(emit, [dy], [dx], attrs) {
    const from = dy as Operand;
    const places = emit.temporary(attrs.shape, 'int32');
    const sources = emit.temporary(from.shape, 'int32');
    emit.run(iota, [], [places]);
    emit.run(padKernel, [places], [sources], padDims(attrs, attrs.shape, from.shape));
    const count = sizeOf(from.shape);
    const dims = [count, 1, 1, sizeOf(attrs.shape)];
    emitScatterAdd(emit, from, { ...sources, shape: [count] }, dx as Operand, dims);
  },
  grad: (c) => [invoke(repeatOp, [c.dy()], { ...c.attrs, shape: c.xType(0).shape })],
});

/**
 * Pads each axis: `padWidth` is (before, after) for each axis in turn. Mode 'constant' (with `constantValue` 0), 'edge' or 'reflect'.
 * @example nd.ones([1, 1, 2, 2]).pad({ mode: 'edge', padWidth: [0, 0, 0, 0, 1, 1, 1, 1] }).shape // [1, 1, 4, 4]
 */
export function pad(
  x: NDArray,
  options: {
    readonly mode?: 'constant' | 'edge' | 'reflect' | undefined;
    readonly padWidth: readonly number[];
    readonly constantValue?: number | undefined;
  },
): NDArray {
  const { shape } = bodyOf(x, 'pad');
  const values = readArgs('pad', [options], [], ['mode', 'padWidth', 'constantValue']);
  const mode = wordArg('pad', values, 'mode', ['constant', 'edge', 'reflect'], 'constant');
  const widths = values['padWidth'];
  if (
    !Array.isArray(widths) ||
    widths.length !== 2 * shape.length ||
    widths.some((w) => !Number.isInteger(w))
  )
    throw new ShapeError(
      `expected padWidth with ${2 * shape.length} integers (before and after for each axis), received ${describe(widths)}. Check its length.`,
      { op: 'pad' },
    );
  const widthsAt = (side: 0 | 1): number[] =>
    shape.map((_, i) => (widths as number[])[2 * i + side] as number);
  const [before, after] = [widthsAt(0), widthsAt(1)];
  const out = toShape(
    shape.map((d, i) => d + (before[i] as number) + (after[i] as number)),
    'pad',
  );
  if (mode !== 'constant') {
    shape.forEach((d, i) => {
      const widest = Math.max(before[i] as number, after[i] as number);
      if (widest > 0 && (mode === 'reflect' ? widest >= d : d === 0))
        throw new ShapeError(
          `expected padding narrower than the axis in mode '${mode}', received ${widest} for extent ${d} of axis ${i}. Use a narrower padding or mode 'constant'.`,
          { op: 'pad' },
        );
    });
    return invoke(repeatOp, [x], { mode, before, shape: out });
  }
  const value = numberArg('pad', values, 'constantValue', 0);
  const strides = stridesOf(out);
  const offset = before.reduce((sum, b, i) => sum + Math.max(0, b) * (strides[i] as number), 0);
  if (widths.every((w) => w >= 0)) return place(x, out, offset, value);
  // negative widths crop
  const left = shape.map((d, i) => {
    const [b, a] = [Math.min(0, before[i] as number), Math.min(0, after[i] as number)];
    return { start: -b, count: Math.max(0, d + b + a), step: 1 };
  });
  return composed(() => place(ranges(x, left), out, offset, value));
}

/** The block size and the extents of an array of images, of which it must divide height and width, or its square the channels. */
function blocksOf(
  op: string,
  x: NDArray,
  blockSize: unknown,
  divided: 'H and W' | 'C',
): readonly [block: number, n: number, c: number, h: number, w: number] {
  const block = integerArg(op, readArgs(op, [blockSize], ['blockSize']), 'blockSize', undefined, 1);
  const { shape } = bodyOf(x, op);
  const [n, c, h, w] = shape;
  const [by, extents] = divided === 'C' ? [block * block, [c]] : [block, [h, w]];
  if (shape.length !== 4 || extents.some((d) => d % by !== 0))
    throw new ShapeError(
      `expected shape (N, C, H, W) with ${divided} divisible by ${by}, received ${shapeText(shape)}. Pad or crop first, or choose another blockSize.`,
      { op },
    );
  return [block, n, c, h, w];
}

/** (N, C, H, W) → (N, C·b², H/b, W/b), MXNet's order of blocks. */
export function spaceToDepth(x: NDArray, blockSize: number | { readonly blockSize: number }): NDArray {
  const [b, n, c, h, w] = blocksOf('spaceToDepth', x, blockSize, 'H and W');
  return composed(() => {
    const blocks = transpose(viewAs(x, [n, c, h / b, b, w / b, b]), [0, 3, 5, 1, 2, 4]);
    return viewAs(blocks, [n, c * b * b, h / b, w / b]);
  });
}

/** (N, C·b², H, W) → (N, C, H·b, W·b), MXNet's order of blocks. */
export function depthToSpace(x: NDArray, blockSize: number | { readonly blockSize: number }): NDArray {
  const [b, n, c, h, w] = blocksOf('depthToSpace', x, blockSize, 'C');
  return composed(() => {
    const blocks = transpose(viewAs(x, [n, b, b, c / (b * b), h, w]), [0, 3, 4, 1, 5, 2]);
    return viewAs(blocks, [n, c / (b * b), h * b, w * b]);
  });
}
