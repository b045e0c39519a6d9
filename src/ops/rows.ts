// What the operations that normalise along an axis share: their view of an array as rows, a record of one row kernel, and the checks of their vectors.
import type { NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { shapeText } from '../core/shape.ts';
import type { Operand, RowKernel } from '../ir/kernel.ts';
import { type RowInput, rowDims } from './axes.ts';
import { requireFloat, requireSameDType } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { GradContext, Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';

export const FAMILY = 'normalize';

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

type RowGradient = Pick<Op<AxisAttrs>, 'grad' | 'keeps'>;

/** A record of one row kernel over arrays of one shape. `atOne`: a kernel without scalars for where the only one is 1, as a temperature mostly is. */
export function alongAxis(
  name: string,
  kernel: RowKernel,
  gradient: RowGradient,
  family = FAMILY,
  atOne: RowKernel | null = null,
): Op<AxisAttrs> {
  const whole = Array<RowInput>(kernel.inputs).fill('whole');
  return defineOp<AxisAttrs>({
    name,
    family,
    infer([x]) {
      requireFloat(name, x as TensorType);
      return [x as TensorType];
    },
    run(emit, x, y, { axis, scalars }) {
      const dims = rowDims((x[0] as Operand).shape, axis, whole);
      if (atOne !== null && scalars[0] === 1) emit.run(atOne, x, y, dims);
      else emit.run(kernel, x, y, dims, scalars);
    },
    ...gradient,
  });
}

type MadeOf = (of: NDArray, dy: NDArray, c: GradContext<AxisAttrs>) => NDArray;

/** dx as one fused record over x (or y) and dy; of other operations where it is recorded. */
export function fused(from: 'x' | 'y', op: () => Op<AxisAttrs>, decomposed: MadeOf): RowGradient {
  return {
    keeps: from === 'x' ? { inputs: [0] } : { outputs: [0] },
    grad(c) {
      const [of, dy] = [c[from](0), c.dy()];
      return [c.recorded ? decomposed(of, dy, c) : invoke(op(), [of, dy], c.attrs)];
    },
  };
}

/** Of fused gradients: where they are recorded, other operations take their place. */
export const neverRecorded: RowGradient = { grad: null };

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
