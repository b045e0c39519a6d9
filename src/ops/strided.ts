// Copies by strides: what stands behind every operation that moves elements. It knows offsets and steps, nothing of axes.
import { sizeOf, stridesOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import { customKernel, elementwiseKernel, type Operand } from '../ir/kernel.ts';
import type { Emitter } from './op.ts';

export const stridedCopy = customKernel('stridedCopy');

/** The kernel that copies element by element, broadcasting and converting on its way. */
export const identity = elementwiseKernel('copy', 1, e.input(0));

/** One value, zeros, and each element's place. */
export const fill = elementwiseKernel('full', 0, e.scalar(0), -1);
export const zero = elementwiseKernel('zero', 0, e.constant(0), -1);
export const iota = elementwiseKernel('iota', 0, e.index, -1);

/** Emits a strided copy: element c of `shape` goes from x[inOffset + c·inStrides] to y[outOffset + c·outStrides]. */
export function emitCopy(
  emit: Emitter,
  x: Operand,
  y: Operand,
  shape: readonly number[],
  inStrides: readonly number[],
  inOffset = 0,
  outStrides: readonly number[] = stridesOf(shape),
  outOffset = 0,
): void {
  if (sizeOf(shape) === 0) return;
  emit.run(stridedCopy, [x], [y], [shape.length, inOffset, outOffset, ...shape, ...inStrides, ...outStrides]);
}
