// What the operations that normalise along an axis share: their view of an array as rows, a record of one row kernel, and the checks of their vectors.
import type { NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { shapeText, sizeOf } from '../core/shape.ts';
import type { Operand, RowKernel } from '../ir/kernel.ts';
import { requireFloat, requireSameDType } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';

export const FAMILY = 'normalize';

/** [outer, length, inner] of one axis. */
export function rowsOf(shape: readonly number[], axis: number): readonly [number, number, number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis] as number, sizeOf(shape.slice(axis + 1))];
}

/** Options of the norms. */
export interface NormalizeOptions {
  readonly axis?: number | undefined;
  /** Added to the variance; 1e-5 by default. */
  readonly eps?: number | undefined;
}

export interface AxisAttrs {
  readonly axis: number;
  readonly scalars: readonly number[];
}

/** A record of one row kernel over arrays of one shape. `atOne`: a kernel without scalars for where the only one is 1, as a temperature mostly is. */
export function alongAxis(
  name: string,
  kernel: RowKernel,
  gradient: Pick<Op<AxisAttrs>, 'grad' | 'keeps'>,
  family = FAMILY,
  atOne: RowKernel | null = null,
): Op<AxisAttrs> {
  return defineOp<AxisAttrs>({
    name,
    family,
    infer([x]) {
      requireFloat(name, x as TensorType);
      return [x as TensorType];
    },
    run(emit, x, y, { axis, scalars }) {
      const [outer, length, inner] = rowsOf((x[0] as Operand).shape, axis);
      const strides = x.flatMap(() => [length * inner, inner, 1]);
      const dims = [outer, length, inner, ...strides];
      if (atOne !== null && scalars[0] === 1) emit.run(atOne, x, y, dims);
      else emit.run(kernel, x, y, dims, scalars);
    },
    ...gradient,
  });
}

/** dx as one fused record over x and dy. */
export const fromInput = (op: () => Op<AxisAttrs>): Pick<Op<AxisAttrs>, 'grad' | 'keeps'> => ({
  keeps: { inputs: [0] },
  grad: (c) => [invoke(op(), [c.x(0), c.dy()], c.attrs)],
});

/** dx as one fused record over y and dy. */
export const fromOutput = (op: () => Op<AxisAttrs>): Pick<Op<AxisAttrs>, 'grad' | 'keeps'> => ({
  keeps: { outputs: [0] },
  grad: (c) => [invoke(op(), [c.y(), c.dy()], c.attrs)],
});

/** The gradient of a fused record through the operations it is made of. */
export const decomposed = (
  fn: (inputs: readonly NDArray[], attrs: AxisAttrs) => NDArray,
): Pick<Op<AxisAttrs>, 'grad' | 'keeps'> => ({
  keeps: { inputs: [0, 1, 2] },
  grad(c) {
    const inputs = Array.from({ length: c.count }, (_, i) => c.x(i));
    return c.f.through(inputs, (x) => [fn(x, c.attrs)], [c.dy()]);
  },
});

/** Refuses data that are not floats, and vectors that are not (extent). */
export function checkAffine(
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
