// Choosing by a condition, element by element: where, clip. Choosing by indices is in indexing.ts.
import { bodyOf, NDArray } from '../array/ndarray.ts';
import { ArgumentError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import { type Expr, e } from '../ir/expr.ts';
import { elementwiseKernel } from '../ir/kernel.ts';
import { numberArg, readArgs } from './args.ts';
import { composed } from './composed.ts';
import { elementwiseOp, type ScalarAttrs } from './elementwise.ts';
import { invoke } from './invoke.ts';
import { defineOp, type Op, type TensorType } from './op.ts';
import { expandToAxis } from './views.ts';

const [c, a, b, s0, s1] = [e.input(0), e.input(1), e.input(2), e.scalar(0), e.scalar(1)];
// inputs: the condition, then the arrays; a number stands as a scalar
const choice = (name: string, inputs: number, expr: Expr): Op<ScalarAttrs> =>
  elementwiseOp(name, inputs, expr, { condition: true, callee: 'where' });
const numbersKernel = elementwiseKernel('whereNumbers', 1, e.select(c, s0, s1), -1);
const whereForms: readonly Op<ScalarAttrs>[] = [
  choice('where', 3, e.select(c, a, b)),
  choice('whereRightNumber', 2, e.select(c, a, s0)),
  choice('whereLeftNumber', 2, e.select(c, s0, a)),
  defineOp<ScalarAttrs>({
    name: 'whereNumbers',
    family: 'elementwise',
    infer: ([test]) => [{ shape: (test as TensorType).shape, dtype: 'float32' }],
    run: (emit, x, y, { scalars }) => emit.run(numbersKernel, x, y, undefined, scalars),
    // the result jumps and is flat in between
    grad: null,
  }),
];

/**
 * `yes` where the condition is not 0, else `no`; all three broadcast, numbers are allowed for both.
 * A condition with one axis over arrays with more chooses whole rows, as in MXNet.
 * @example nd.where(x.greater(0), x, 0)
 */
export function where(condition: NDArray, yes: NDArray | number, no: NDArray | number): NDArray {
  bodyOf(condition, 'where');
  const shaped = yes instanceof NDArray ? yes : no instanceof NDArray ? no : undefined;
  const byRows =
    shaped !== undefined && condition.ndim === 1 && shaped.ndim > 1 && condition.shape[0] === shaped.shape[0];
  const arrays: NDArray[] = [];
  const scalars: number[] = [];
  for (const v of [yes, no]) {
    if (v instanceof NDArray) arrays.push(v);
    else if (typeof v === 'number') scalars.push(v);
    else
      throw new ArgumentError(
        `expected an NDArray or a number for both choices, received ${describe(v)}. Make an array with nd.array(…).`,
        { op: 'where' },
      );
  }
  const form = (yes instanceof NDArray ? 0 : 2) + (no instanceof NDArray ? 0 : 1);
  const op = whereForms[form] as (typeof whereForms)[0];
  if (!byRows) return invoke(op, [condition, ...arrays], { scalars });
  return composed(() => invoke(op, [expandToAxis(condition, 0, shaped.ndim), ...arrays], { scalars }));
}

const clipOp = elementwiseOp('clip', 1, e.min(e.max(e.input(0), e.scalar(0)), e.scalar(1)));

/** min(max(x, min), max); lets NaN through. */
export function clip(
  x: NDArray,
  min: number | { readonly min: number; readonly max: number },
  max?: number,
): NDArray {
  const values = readArgs('clip', [min, max], ['min', 'max'], ['aMin', 'aMax']);
  const low = numberArg('clip', { min: values['min'] ?? values['aMin'] }, 'min');
  const high = numberArg('clip', { max: values['max'] ?? values['aMax'] }, 'max');
  return invoke(clipOp, [x], { scalars: [low, high] });
}
