// How elementwise operations are made from one expression each: the record, its kernels and its function. The operations themselves stand in
// unary.ts, binary.ts and activation.ts.
import { NDArray } from '../array/ndarray.ts';
import { isFloat } from '../core/dtype.ts';
import { ArgumentError, DTypeError } from '../core/errors.ts';
import { broadcastShapes, describe } from '../core/shape.ts';
import { chain, differentiate, inputsOf, renumber } from '../ir/differentiate.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import { elementwiseKernel } from '../ir/kernel.ts';
import { invoke, invokeInto } from './invoke.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';

/** Attributes of operations that take numbers: they travel as run-time scalars. */
export interface ScalarAttrs {
  readonly scalars: readonly number[];
}

const NO_SCALARS: ScalarAttrs = { scalars: [] };

/** Refuses dtypes that are not floating point. */
export function requireFloat(op: string, type: TensorType): void {
  if (!isFloat(type.dtype))
    throw new DTypeError(
      `expected float32, float16 or float64, received ${type.dtype}. Convert first: x.astype('float32').`,
      { op },
    );
}

/** Refuses two dtypes that differ. */
export function requireSameDType(op: string, a: TensorType, b: TensorType): void {
  if (a.dtype !== b.dtype)
    throw new DTypeError(
      `expected arrays of one dtype, received ${a.dtype} and ${b.dtype}. Convert one: y.astype('${a.dtype}').`,
      { op },
    );
}

/** What an elementwise operation may say of itself. */
export interface ElementwiseOptions {
  /** Refuses dtypes that are not floating point. */
  readonly float?: boolean | undefined;
  readonly inPlace?: boolean | undefined;
  /** Input 0 is a condition: of any dtype, and without a gradient. */
  readonly condition?: boolean | undefined;
  /** d expr / d input i, where it is not what the rules of differentiation give. The input after dy, number `inputs + 1`, is the output. */
  readonly derivatives?: readonly Expr[] | undefined;
  /** The name errors give, where it is not the operation's. */
  readonly callee?: string | undefined;
  /** Why there is no gradient. */
  readonly flat?: string | undefined;
}

/** How one input's gradient is made: the upper gradient itself, or an operation over some inputs and it. */
interface InputGradient {
  readonly uses: readonly number[];
  readonly op: Op<ScalarAttrs> | null;
}

/** The gradients of an expression by its inputs: each one expression again, made when it is first wanted. */
function gradientsOf(
  name: string,
  inputs: number,
  expr: Expr,
  options: ElementwiseOptions,
): (InputGradient | null)[] {
  return Array.from({ length: inputs }, (_, i) => {
    if (i === 0 && options.condition === true) return null;
    const derivative = options.derivatives?.[i] ?? differentiate(expr, i);
    if (derivative.kind === 'const' && derivative.value === 0) return null;
    const above = e.input(inputs);
    const product = chain(derivative, above);
    if (product === above) return { uses: [], op: null };
    // ascending: inputs, then dy, then y
    const uses = inputsOf(product);
    const condition = options.condition === true && uses[0] === 0;
    const places = new Map(uses.map((index, place) => [index, place]));
    const op = elementwiseOp(`${name}Grad${i}`, 'gradient', uses.length, renumber(product, places), {
      condition,
    });
    return { uses, op };
  });
}

/**
 * Defines an elementwise operation over broadcast inputs of one dtype. Its gradient follows from the expression.
 */
export function elementwiseOp(
  name: string,
  family: string,
  inputs: number,
  expr: Expr,
  options: ElementwiseOptions = {},
): Op<ScalarAttrs> {
  const { float = false, condition = false, inPlace, flat, callee = name } = options;
  const typed = condition ? 1 : 0;
  const kernel = elementwiseKernel(name, inputs, expr, typed);
  let gradients: (InputGradient | null)[] | undefined;
  const gradientsNow = (): (InputGradient | null)[] =>
    (gradients ??= gradientsOf(name, inputs, expr, options));
  return defineOp<ScalarAttrs>({
    name,
    callee,
    family,
    inPlace,
    infer(x) {
      const first = x[typed] as TensorType;
      if (float) requireFloat(callee, first);
      if (inputs === 1) return [{ shape: first.shape, dtype: first.dtype }];
      let { shape } = first;
      for (let i = 0; i < x.length; i++) {
        if (i === typed) continue;
        const other = x[i] as TensorType;
        if (i > typed) requireSameDType(callee, first, other);
        shape = broadcastShapes(shape, other.shape, callee);
      }
      return [{ shape, dtype: first.dtype }];
    },
    run(emit, x, y, attrs) {
      emit.run(kernel, x, y, undefined, attrs.scalars);
    },
    keeps(_, wants) {
      const used = gradientsNow().flatMap((g, i) => (g !== null && wants(i) ? g.uses : []));
      return { inputs: used.filter((i) => i < inputs), outputs: used.includes(inputs + 1) ? [0] : [] };
    },
    grad:
      flat ??
      ((c) =>
        gradientsNow().map((gradient, i) => {
          if (gradient === null || !c.wants(i)) return null;
          const { op, uses } = gradient;
          const whole =
            op === null
              ? c.dy()
              : invoke(
                  op,
                  uses.map((u) => (u === inputs ? c.dy() : u > inputs ? c.y() : c.x(u))),
                  c.attrs,
                );
          return c.f.sumTo(whole, c.xType(i).shape);
        })),
  });
}

/** A function of one array, element by element. */
export type Unary = (x: NDArray) => NDArray;

/**
 * Defines a function of one array. `float` (the default) refuses integers and bools; `derivative` is given, by x and y, where the rules give another or where y
 * tells it more cheaply: then y is kept for it, which as a rule the next operation keeps anyway, and not x.
 */
export function unary(
  name: string,
  family: string,
  f: (x: Expr) => Expr,
  float = true,
  derivative?: (x: Expr, y: Expr) => Expr,
): Unary {
  const x0 = e.input(0);
  const derivatives = derivative && [derivative(x0, e.input(2))];
  const op = elementwiseOp(name, family, 1, f(x0), { float, derivatives });
  return (x) => invoke(op, [x], NO_SCALARS);
}

/** A function of two arrays, or of an array and a number, that broadcast. */
export type Binary = (a: NDArray | number, b: NDArray | number) => NDArray;

/** A function of two operands as arrays: what an array's method takes. */
export interface BinaryForms {
  /** `f(a, b)` with numbers on either side. */
  readonly call: Binary;
  /** `f(b, a)`. */
  readonly reversed: Binary;
  /** `a ← f(a, b)` in a's own memory. */
  readonly into: (a: NDArray, b: NDArray | number) => NDArray;
}

function operandError(name: string, a: unknown, b: unknown): ArgumentError {
  const bad = a instanceof NDArray || typeof a === 'number' ? b : a;
  if (typeof a === 'number' && typeof b === 'number')
    return new ArgumentError(
      `expected at least one NDArray, received the numbers ${a} and ${b}. Make one of them an array: nd.array([${a}]).`,
      { op: name },
    );
  return new ArgumentError(
    `expected an NDArray or a number, received ${describe(bad)}. ${bad instanceof Promise ? 'It is a Promise: await it first.' : 'Make an array with nd.array(…).'}`,
    { op: name },
  );
}

/** Defines a function of two operands in all its forms: array with array, number on either side, in place. */
export function binary(
  name: string,
  family: string,
  f: (a: Expr, b: Expr) => Expr,
  options: ElementwiseOptions = {},
): BinaryForms {
  const [a, b, s] = [e.input(0), e.input(1), e.scalar(0)];
  const both = elementwiseOp(name, family, 2, f(a, b), options);
  const callee = { ...options, callee: name };
  const right = elementwiseOp(`${name}Scalar`, family, 1, f(a, s), callee);
  const left = elementwiseOp(`r${name}Scalar`, family, 1, f(s, a), callee);
  const bothInto =
    options.inPlace === true
      ? elementwiseOp(`i${name}`, family, 2, f(a, b), { ...options, inPlace: true })
      : undefined;
  const rightInto =
    options.inPlace === true
      ? elementwiseOp(`i${name}Scalar`, family, 1, f(a, s), { ...options, callee: `i${name}`, inPlace: true })
      : undefined;
  const call: Binary = (x, y) => {
    if (x instanceof NDArray) {
      if (y instanceof NDArray) return invoke(both, [x, y], NO_SCALARS);
      if (typeof y === 'number') return invoke(right, [x], { scalars: [y] });
    } else if (y instanceof NDArray && typeof x === 'number') return invoke(left, [y], { scalars: [x] });
    throw operandError(name, x, y);
  };
  return {
    call,
    reversed: (x, y) => call(y, x),
    into: (x, y) => {
      if (bothInto === undefined || rightInto === undefined) throw new Error(`${name} has no form in place`);
      if (x instanceof NDArray) {
        if (y instanceof NDArray) return invokeInto(bothInto, x, [y], NO_SCALARS);
        if (typeof y === 'number') return invokeInto(rightInto, x, [], { scalars: [y] });
      }
      throw operandError(`i${name}`, x, y);
    },
  };
}

/** Defines a function of one array and some numbers. */
export function parametric(
  name: string,
  family: string,
  f: (x: Expr) => Expr,
  float = true,
  derivative?: (x: Expr) => Expr,
): (x: NDArray, ...scalars: number[]) => NDArray {
  const x0 = e.input(0);
  const op = elementwiseOp(name, family, 1, f(x0), { float, derivatives: derivative && [derivative(x0)] });
  return (x, ...scalars) => {
    for (const s of scalars)
      if (typeof s !== 'number')
        throw new ArgumentError(
          `expected numbers beside the array, received ${describe(s)}. Check the call's arguments.`,
          { op: name },
        );
    return invoke(op, [x], { scalars });
  };
}
