// An array's own part in gradients: `attachGrad`, `grad`, `backward`, `blockGrad`.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { type BackwardOptions, backward as run } from '../autograd/api.ts';
import { gradientOf } from '../autograd/backward.ts';
import type { GradReq } from '../autograd/mode.ts';
import { placeOf, setVariable } from '../autograd/tape.ts';
import { isFloat } from '../core/dtype.ts';
import { AutogradError, DTypeError } from '../core/errors.ts';
import { shapeText } from '../core/shape.ts';
import { readArgs, wordArg } from '../ops/args.ts';

/**
 * Asks for gradients by this array: `backward` will write them to `x.grad` ('write'), or add them ('add'). The array becomes a variable of its own; what it was computed from
 * is forgotten.
 */
export function attachGrad(x: NDArray, gradReq?: GradReq | { readonly gradReq?: GradReq | undefined }): void {
  const values = readArgs('attachGrad', [gradReq], ['gradReq']);
  const { dtype } = bodyOf(x, 'attachGrad');
  if (!isFloat(dtype))
    throw new DTypeError(`expected a float array, received ${dtype}. Gradients need x.astype('float32').`, {
      op: 'attachGrad',
    });
  setVariable(x, wordArg<GradReq>('attachGrad', values, 'gradReq', ['write', 'add', 'null'], 'write'));
}

/** The gradient array of a variable. */
export function gradOf(x: NDArray): NDArray {
  const variable = placeOf(x)?.variable ?? null;
  if (variable === null || variable.gradReq === 'null')
    throw new AutogradError(
      `expected an array with attachGrad, received one of shape ${shapeText(x.shape)} without. Call x.attachGrad() before recording.`,
      { op: 'grad' },
    );
  return gradientOf(variable, x.context);
}

/** Gradients of this array's sum (or weighted by `outGrad`) into those of all variables it came from. */
export function backward(
  x: NDArray,
  outGrad?: NDArray | null | BackwardOptions,
  options?: BackwardOptions,
): void {
  run(x, outGrad as NDArray | null | undefined, options);
}
