// A computation as kernels over values: what a recorder lowers to, what passes rewrite and what a plan is made from. Plain data; nothing here runs.
import type { DType } from '../core/dtype.ts';
import type { Kernel } from './kernel.ts';

/** Flat, contiguous memory that is written once; views of it are operands with other shapes. */
export interface GraphValue {
  /** Its place in `Graph.values`. */
  readonly id: number;
  readonly bytes: number;
}

/** A value as a kernel sees it. */
export interface GraphOperand {
  readonly value: number;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** A number of the kernel, or one of those that `Program.run` is given. */
export type GraphScalar = number | { readonly slot: number };

/** One kernel call. */
export interface GraphNode {
  readonly kernel: Kernel;
  readonly inputs: readonly GraphOperand[];
  readonly outputs: readonly GraphOperand[];
  /** For each output: the value that its memory holds before, of which the kernel keeps or reads a part; null for none. */
  readonly from: readonly (number | null)[];
  readonly dims: readonly number[];
  readonly scalars: readonly GraphScalar[];
  /** The operations whose work it does, in their order: `['convolution', 'relu']`. */
  readonly ops: readonly string[];
}

/** Kernels in an order in which they may run. */
export interface Graph {
  readonly values: readonly GraphValue[];
  /** Values that are there before. */
  readonly inputs: readonly number[];
  /** For each input: whether it is a parameter or constant that no run changes, so that what depends on such alone need not run each time. */
  readonly stable: readonly boolean[];
  /** Values known when the graph was made, by id. */
  readonly constants: ReadonlyMap<number, Uint8Array>;
  readonly nodes: readonly GraphNode[];
  readonly outputs: readonly number[];
  /** For each output: the place in `inputs` of the input whose memory it is written to (state), or null for memory of the caller's. */
  readonly into: readonly (number | null)[];
  /** How many scalars a run is given. */
  readonly scalars: number;
}

/** Kernels whose runs move a generator on: never removed, merged or reordered among themselves. */
export function draws(kernel: Kernel): boolean {
  return kernel.kind === 'custom' && kernel.name.startsWith('random');
}
