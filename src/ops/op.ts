// One operation, one record: its name, what comes out for what goes in, and the kernels it runs. The registry holds them all; methods, `nd.*`,
// tests over every device and tables in the docs derive from it.
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
 * An operation over arrays. `A` is what it takes besides arrays: plain data, already checked and complete (defaults filled in).
 * `infer` throws a ShapeError or DTypeError for what does not fit, before anything is allocated.
 */
export interface Op<A> {
  readonly name: string;
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
}

const registry = new Map<string, Op<never>>();

/** Adds a record to the registry and returns it. */
export function defineOp<A>(op: Op<A>): Op<A> {
  if (registry.has(op.name)) throw new Error(`the operation ${op.name} is defined twice`);
  registry.set(op.name, op as unknown as Op<never>);
  return op;
}

/** All records, by name. */
export function operations(): ReadonlyMap<string, Op<never>> {
  return registry;
}
