// One operation, one record: its name, what comes out for what goes in, and the kernels it runs. The registry holds them all; methods, `nd.*`,
// tests over every device and tables in the docs derive from it.
import type { NDArray } from '../array/ndarray.ts';
import type { DType } from '../core/dtype.ts';
import type { Shape } from '../core/shape.ts';
import type { Kernel, Operand } from '../ir/kernel.ts';

/** An array's type: what can be known without its values. */
export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

/** Where an operation puts its kernels: a device in eager mode, a graph being compiled otherwise. */
export interface Emitter {
  run(
    kernel: Kernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims?: readonly number[],
    scalars?: readonly number[],
  ): void;
  /** Scratch that is given back when the operation has been emitted. */
  temporary(shape: readonly number[], dtype: DType): Operand;
}

/**
 * The functions of which gradients are made. They reach a record as an argument, so that operations need not import each other in circles; all of them are
 * operations themselves, so a gradient can be differentiated again.
 */
export interface GradFunctions {
  add(a: NDArray, b: NDArray | number): NDArray;
  sub(a: NDArray, b: NDArray | number): NDArray;
  mul(a: NDArray, b: NDArray | number): NDArray;
  div(a: NDArray, b: NDArray | number): NDArray;
  neg(x: NDArray): NDArray;
  exp(x: NDArray): NDArray;
  sqrt(x: NDArray): NDArray;
  equal(a: NDArray, b: NDArray | number): NDArray;
  /** Sums over axes, which stay with extent 1. */
  sum(x: NDArray, axes: readonly number[]): NDArray;
  prod(x: NDArray, axes: readonly number[]): NDArray;
  /** Sums over what was broadcast, so that the shape becomes `shape`. */
  sumTo(x: NDArray, shape: readonly number[]): NDArray;
  broadcastTo(x: NDArray, shape: readonly number[]): NDArray;
  reshape(x: NDArray, shape: readonly number[]): NDArray;
  transpose(x: NDArray, axes: readonly number[]): NDArray;
  astype(x: NDArray, dtype: DType): NDArray;
  matmul(
    a: NDArray,
    b: NDArray,
    options: { readonly transposeA: boolean; readonly transposeB: boolean },
  ): NDArray;
  concat(arrays: readonly NDArray[], axis: number): NDArray;
}

/** What a gradient is made from. What it reads of `x` and `y` must be named in the record's `keeps`. */
export interface GradContext<A> {
  readonly attrs: A;
  readonly f: GradFunctions;
  /** Input i as it was at the call. */
  x(i: number): NDArray;
  /** Output i as it was at the call. */
  y(i?: number): NDArray;
  /** The gradient by output i; zeros where nothing depends on it. */
  dy(i?: number): NDArray;
  /** Whether anything depends on output i. */
  given(i: number): boolean;
  /** Input i's type, for which nothing needs to be kept. */
  xType(i: number): TensorType;
  /** Whether the gradient by input i is wanted. */
  wants(i: number): boolean;
  /** Whether the gradient is recorded, to be differentiated again: then it is made of operations that have gradients themselves, not of a fused kernel. */
  readonly recorded: boolean;
  /** How many inputs the call had. */
  readonly count: number;
}

/** The gradients by the inputs, in their order; null where it is zero or not wanted. */
export type Gradient<A> = (c: GradContext<A>) => readonly (NDArray | null)[];

/** Which arrays of a call its gradient reads. */
export interface Keeps {
  readonly inputs?: readonly number[] | undefined;
  readonly outputs?: readonly number[] | undefined;
}

/**
 * An operation over arrays. `A` is what it takes besides arrays: plain data, already checked and complete (defaults filled in).
 * `infer` throws a ShapeError or DTypeError for what does not fit, before anything is allocated.
 */
export interface Op<A> {
  readonly name: string;
  /** What errors call it, where that is not its name: the function a user calls. */
  readonly callee?: string | undefined;
  /** The family, for docs and tests: the file it is defined in. */
  readonly family: string;
  /** The outputs' types. */
  infer(inputs: readonly TensorType[], attrs: A): readonly TensorType[];
  /** Emits the kernels that fill the outputs; absent for views, whose one output shares the first input's memory. */
  readonly run:
    | ((emit: Emitter, inputs: readonly Operand[], outputs: readonly Operand[], attrs: A) => void)
    | null;
  /** Writes into its first output, which is an array that existed before. */
  readonly inPlace?: boolean | undefined;
  /** The gradients by the inputs; none where it is zero everywhere: `null` then, with a comment that says why, for records that users' functions run. */
  readonly grad?: Gradient<A> | null | undefined;
  /** What `grad` reads; nothing by default. `wants` tells by which inputs a gradient may be asked for. */
  readonly keeps?: Keeps | ((attrs: A, wants: (i: number) => boolean) => Keeps) | undefined;
}

/** What a function of two arrays keeps that is linear in each: the gradient by one reads the other. */
export function keepOther(_: unknown, wants: (i: number) => boolean): Keeps {
  return { inputs: [1, 0].filter(wants).map((i) => 1 - i) };
}

/** All records. */
export const operations: Op<never>[] = [];

/** Adds a record to the list and returns it. */
export function defineOp<A>(op: Op<A>): Op<A> {
  operations.push(op as unknown as Op<never>);
  return op;
}
