// Borders and blocks of images: pad, spaceToDepth, depthToSpace.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, describe, type Shape, shapeText, sizeOf, stridesOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import { customKernel, elementwiseKernel, type Operand } from '../ir/kernel.ts';
import { integerArg, readArgs, wordArg } from './args.ts';
import { composed } from './composed.ts';
import { invoke } from './invoke.ts';
import { transpose } from './moves.ts';
import { defineOp, type Op, type TensorType } from './op.ts';
import { emitScatterAdd } from './scatter.ts';
import { emitCopy } from './strided.ts';
import { viewAs } from './views.ts';

const FAMILY = 'blocks';
const padKernel = customKernel('pad');
const fill = elementwiseKernel('full', 0, e.scalar(0), -1);
const iota = elementwiseKernel('iota', 0, e.index, -1);

interface PadAttrs {
  readonly mode: 'constant' | 'edge' | 'reflect';
  readonly before: readonly number[];
  readonly after: readonly number[];
  readonly value: number;
}

/** The gradient of padding that repeats elements: added up where they came from. */
const padBack: Op<PadAttrs & { readonly shape: Shape }> = defineOp<PadAttrs & { readonly shape: Shape }>({
  name: 'padGrad',
  family: 'gradient',
  infer: (dy, { shape }) => [{ shape, dtype: (dy[0] as TensorType).dtype }],
  run(emit, [dy], [dx], { mode, before, shape }) {
    const from = dy as Operand;
    const places = emit.temporary(shape, 'int32');
    const sources = emit.temporary(from.shape, 'int32');
    emit.run(iota, [], [places]);
    emit.run(padKernel, [places], [sources], padDims(mode, shape, before, from.shape));
    const count = sizeOf(from.shape);
    emitScatterAdd(emit, from, { ...sources, shape: [count] }, dx as Operand, [count, 1, 1, sizeOf(shape)]);
  },
  grad: (c) => [invoke(padOp, [c.dy()], c.attrs)],
});

function padDims(
  mode: PadAttrs['mode'],
  from: readonly number[],
  before: readonly number[],
  to: readonly number[],
): number[] {
  return [mode === 'edge' ? 0 : 1, from.length, ...from, ...before, ...to];
}

const padOp: Op<PadAttrs> = defineOp<PadAttrs>({
  name: 'pad',
  family: FAMILY,
  infer(x, { mode, before, after }) {
    const { shape, dtype } = x[0] as TensorType;
    const out = shape.map((d, i) => d + (before[i] as number) + (after[i] as number));
    if (out.some((d) => d < 0))
      throw new ShapeError(
        `expected padding that leaves extents ≥ 0, received ${shapeText(before)} and ${shapeText(after)} for shape ${shapeText(shape)}. Check the widths.`,
        { op: 'pad' },
      );
    shape.forEach((d, i) => {
      const widest = Math.max(before[i] as number, after[i] as number);
      if ((mode === 'reflect' && widest >= d && widest > 0) || (mode === 'edge' && d === 0 && widest > 0))
        throw new ShapeError(
          `expected padding narrower than the axis in mode '${mode}', received ${widest} for extent ${d} of axis ${i}. Use a narrower padding or mode 'constant'.`,
          { op: 'pad' },
        );
    });
    return [{ shape: asShape(out), dtype }];
  },
  run(emit, x, y, { mode, before, after, value }) {
    const [from, to] = [x[0] as Operand, y[0] as Operand];
    if (mode !== 'constant') {
      emit.run(padKernel, x, y, padDims(mode, from.shape, before, to.shape));
      return;
    }
    emit.run(fill, [], y, undefined, [value]);
    const [inStrides, outStrides] = [stridesOf(from.shape), stridesOf(to.shape)];
    let [inOffset, outOffset] = [0, 0];
    // negative widths crop
    const shape = from.shape.map((d, i) => {
      const [b, a] = [before[i] as number, after[i] as number];
      inOffset += Math.max(0, -b) * (inStrides[i] as number);
      outOffset += Math.max(0, b) * (outStrides[i] as number);
      return Math.max(0, d + Math.min(0, b) + Math.min(0, a));
    });
    emitCopy(emit, from, to, shape, inStrides, inOffset, outStrides, outOffset);
  },
  grad(c) {
    const { mode, before, after } = c.attrs;
    // negative widths crop, and padding back where it cropped gives zeros
    if (mode === 'constant')
      return [
        invoke(padOp, [c.dy()], {
          mode,
          before: before.map((b) => -b),
          after: after.map((a) => -a),
          value: 0,
        }),
      ];
    return [invoke(padBack, [c.dy()], { ...c.attrs, shape: c.xType(0).shape })];
  },
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
  const even = (k: number): number[] => (widths as number[]).filter((_, i) => i % 2 === k);
  return invoke(padOp, [x], {
    mode,
    before: even(0),
    after: even(1),
    value: (values['constantValue'] as number | undefined) ?? 0,
  });
}

/** (N, C, H, W) → (N, C·b², H/b, W/b), MXNet's order of blocks. */
export function spaceToDepth(x: NDArray, blockSize: number | { readonly blockSize: number }): NDArray {
  const b = integerArg(
    'spaceToDepth',
    readArgs('spaceToDepth', [blockSize], ['blockSize']),
    'blockSize',
    undefined,
    1,
  );
  const [n, c, h, w] = bodyOf(x, 'spaceToDepth').shape;
  if (x.ndim !== 4 || h % b !== 0 || w % b !== 0)
    throw new ShapeError(
      `expected shape (N, C, H, W) with H and W divisible by ${b}, received ${shapeText(x.shape)}. Pad or crop first.`,
      { op: 'spaceToDepth' },
    );
  return composed(() => {
    const blocks = transpose(viewAs(x, [n, c, h / b, b, w / b, b]), [0, 3, 5, 1, 2, 4]);
    return viewAs(blocks, [n, c * b * b, h / b, w / b]);
  });
}

/** (N, C·b², H, W) → (N, C, H·b, W·b), MXNet's order of blocks. */
export function depthToSpace(x: NDArray, blockSize: number | { readonly blockSize: number }): NDArray {
  const b = integerArg(
    'depthToSpace',
    readArgs('depthToSpace', [blockSize], ['blockSize']),
    'blockSize',
    undefined,
    1,
  );
  const [n, c, h, w] = bodyOf(x, 'depthToSpace').shape;
  if (x.ndim !== 4 || c % (b * b) !== 0)
    throw new ShapeError(
      `expected shape (N, C, H, W) with C divisible by ${b * b}, received ${shapeText(x.shape)}. Check blockSize.`,
      { op: 'depthToSpace' },
    );
  return composed(() => {
    const blocks = transpose(viewAs(x, [n, b, b, c / (b * b), h, w]), [0, 3, 4, 1, 5, 2]);
    return viewAs(blocks, [n, c / (b * b), h * b, w * b]);
  });
}
