// How elementwise operations are made from one expression each: the record, its kernels and its function. The operations themselves stand in
// unary.ts, binary.ts and activation.ts.
import { NDArray } from '../array/ndarray.ts';
import { isFloat } from '../core/dtype.ts';
import { ArgumentError, DTypeError, ShapeError } from '../core/errors.ts';
import { broadcastShapes, describe, shapeText } from '../core/shape.ts';
import { chain, differentiate, inputsOf, renumber } from '../ir/differentiate.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import { elementwiseKernel } from '../ir/kernel.ts';
import { numberArg, readArgs } from './args.ts';
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

/** Refuses what is not one element for each `each`: (extent). */
export function requireVector(
  op: string,
  name: string,
  { shape }: TensorType,
  extent: number,
  each: string,
): void {
  if (shape.length !== 1 || shape[0] !== extent)
    throw new ShapeError(
      `expected ${name} of shape (${extent},), received ${shapeText(shape)}. Give one number for each ${each}.`,
      { op },
    );
}

/** What an elementwise operation may say of itself. */
export interface ElementwiseOptions {
  /** Its family; 'elementwise' by default. */
  readonly family?: string | undefined;
  /** Refuses dtypes that are not floating point. */
  readonly float?: boolean | undefined;
  readonly inPlace?: boolean | undefined;
  /** Input 0 is a condition: of any dtype, and without a gradient. */
  readonly condition?: boolean | undefined;
  /** d expr / d input i, where it is not what the rules of differentiation give. The input after dy, number `inputs + 1`, is the output. */
  readonly derivatives?: readonly Expr[] | undefined;
  /** The name errors give, where it is not the operation's. */
  readonly callee?: string | undefined;
  /** It has no gradient. */
  readonly flat?: boolean | undefined;
}

/** How one input's gradient is made: an operation over some inputs, the gradient above and the output; or that gradient itself. */
interface InputGradient {
  readonly uses: readonly number[];
  readonly op: Op<ScalarAttrs> | null;
}

/** The gradients of an expression by its inputs: each one expression again, made when it is first wanted. */
function gradientsOf(
  name: string,
  inputs: number,
  expr: Expr,
  { condition = false, derivatives }: ElementwiseOptions,
): (InputGradient | null)[] {
  return Array.from({ length: inputs }, (_, i) => {
    if (i === 0 && condition) return null;
    const derivative = derivatives?.[i] ?? differentiate(expr, i);
    if (derivative.kind === 'const' && derivative.value === 0) return null;
    const above = e.input(inputs);
    const product = chain(derivative, above);
    if (product === above) return { uses: [], op: null };
    // ascending: inputs, then dy, then y
    const uses = inputsOf(product);
    const op = elementwiseOp(`${name}Grad${i}`, uses.length, renumber(product, uses), {
      family: 'gradient',
      condition: condition && uses[0] === 0,
    });
    return { uses, op };
  });
}

/**
 * Defines an elementwise operation over broadcast inputs of one dtype. Its gradient follows from the expression.
 */
export function elementwiseOp(
  name: string,
  inputs: number,
  expr: Expr,
  options: ElementwiseOptions = {},
): Op<ScalarAttrs> {
  const { family = 'elementwise', float, condition, inPlace, flat, callee = name } = options;
  const typed = condition === true ? 1 : 0;
  const kernel = elementwiseKernel(name, inputs, expr, typed);
  let made: (InputGradient | null)[] | undefined;
  const gradients = (): (InputGradient | null)[] => (made ??= gradientsOf(name, inputs, expr, options));
  return defineOp<ScalarAttrs>({
    name,
    callee,
    family,
    inPlace,
    infer(x) {
      const first = x[typed] as TensorType;
      if (float === true) requireFloat(callee, first);
      if (inputs === 1) return x;
      let { shape } = first;
      for (let i = 0; i < inputs; i++) {
        if (i === typed) continue;
        const other = x[i] as TensorType;
        if (i > typed) requireSameDType(callee, first, other);
        shape = broadcastShapes(shape, other.shape, callee);
      }
      return [{ shape, dtype: first.dtype }];
    },
    run: (emit, x, y, { scalars }) => emit.run(kernel, x, y, undefined, scalars),
    keeps(_, wants) {
      const used = gradients().flatMap((g, i) => (g !== null && wants(i) ? g.uses : []));
      return { inputs: used.filter((i) => i < inputs), outputs: used.includes(inputs + 1) ? [0] : [] };
    },
    grad:
      flat === true
        ? null
        : (c) => {
            const source = (i: number): NDArray => (i < inputs ? c.x(i) : i === inputs ? c.dy() : c.y());
            return gradients().map((gradient, i) => {
              if (gradient === null || !c.wants(i)) return null;
              const { op, uses } = gradient;
              const whole = op === null ? c.dy() : invoke(op, uses.map(source), c.attrs);
              return c.f.sumTo(whole, c.xType(i).shape);
            });
          },
  });
}

/** A function of one array, element by element. */
export type Unary = (x: NDArray) => NDArray;

/** A record over one array. The derivative is given, by x and y, where the rules give another or where y tells it more cheaply. */
function ofOne(
  name: string,
  f: (x: Expr) => Expr,
  float: boolean,
  derivative: ((x: Expr, y: Expr) => Expr) | undefined,
): Op<ScalarAttrs> {
  const x = e.input(0);
  return elementwiseOp(name, 1, f(x), { float, derivatives: derivative && [derivative(x, e.input(2))] });
}

/**
 * Defines a function of one array. `float` (the default) refuses integers and bools; `derivative` is given, by x and y, where the rules give another or where y
 * tells it more cheaply: then y is kept for it, which as a rule the next operation keeps anyway, and not x.
 */
export function unary(
  name: string,
  f: (x: Expr) => Expr,
  float = true,
  derivative?: (x: Expr, y: Expr) => Expr,
): Unary {
  const op = ofOne(name, f, float, derivative);
  return (x) => invoke(op, [x], NO_SCALARS);
}

/** Defines a function of one array and numbers that are checked already. */
export function withScalars(
  name: string,
  f: (x: Expr) => Expr,
  derivative?: (x: Expr) => Expr,
): (x: NDArray, ...scalars: number[]) => NDArray {
  const op = ofOne(name, f, true, derivative);
  return (x, ...scalars) => invoke(op, [x], { scalars });
}

/** Defines a function of one array and some numbers, each with its name and default: `f` finds them as scalars in this order. */
export function parametric(
  name: string,
  numbers: Readonly<Record<string, number>>,
  f: (x: Expr) => Expr,
  derivative?: (x: Expr) => Expr,
): (x: NDArray, ...given: unknown[]) => NDArray {
  const apply = withScalars(name, f, derivative);
  const names = Object.keys(numbers);
  return (x, ...given) => {
    const values = readArgs(name, given, names);
    return apply(x, ...names.map((n) => numberArg(name, values, n, numbers[n])));
  };
}

/** A function of two arrays, or of an array and a number, that broadcast. */
export type Binary = (a: NDArray | number, b: NDArray | number) => NDArray;

/** `a ← f(a, b)` in a's own memory. */
export type Into = (a: NDArray, b: NDArray | number) => NDArray;

function operandError(op: string, a: unknown, b: unknown): ArgumentError {
  const bad = a instanceof NDArray || typeof a === 'number' ? b : a;
  return new ArgumentError(
    typeof a === 'number' && typeof b === 'number'
      ? `expected at least one NDArray, received the numbers ${a} and ${b}. Make one of them an array: nd.array([${a}]).`
      : `expected an NDArray or a number, received ${describe(bad)}. ${bad instanceof Promise ? 'It is a Promise: await it first.' : 'Make an array with nd.array(…).'}`,
    { op },
  );
}

const a = e.input(0);
const b = e.input(1);
const s = e.scalar(0);

/** Defines a function of two operands: array with array, number on either side. */
export function binary(name: string, f: (a: Expr, b: Expr) => Expr, float = false): Binary {
  const options = { float, callee: name };
  const both = elementwiseOp(name, 2, f(a, b), options);
  const right = elementwiseOp(`${name}Scalar`, 1, f(a, s), options);
  const left = elementwiseOp(`r${name}Scalar`, 1, f(s, a), options);
  return (x, y) => {
    if (x instanceof NDArray) {
      if (y instanceof NDArray) return invoke(both, [x, y], NO_SCALARS);
      if (typeof y === 'number') return invoke(right, [x], { scalars: [y] });
    } else if (y instanceof NDArray && typeof x === 'number') return invoke(left, [y], { scalars: [x] });
    throw operandError(name, x, y);
  };
}

/** Defines a function of two operands that writes into the first. */
export function inPlace(name: string, f: (a: Expr, b: Expr) => Expr): Into {
  const options = { inPlace: true, callee: name };
  const both = elementwiseOp(name, 2, f(a, b), options);
  const right = elementwiseOp(`${name}Scalar`, 1, f(a, s), options);
  return (x, y) => {
    if (x instanceof NDArray) {
      if (y instanceof NDArray) return invokeInto(both, x, [y], NO_SCALARS);
      if (typeof y === 'number') return invokeInto(right, x, [], { scalars: [y] });
    }
    throw operandError(name, x, y);
  };
}
