// A graph with a place in memory for every value: what a device compiles. Plain data.
import type { DType } from '../core/dtype.ts';
import type { GraphScalar } from './graph.ts';
import type { Kernel } from './kernel.ts';

/** Where an operand lies: the caller's inputs and outputs, memory of the program's own, or a constant. */
export interface Place {
  readonly kind: 'input' | 'output' | 'slot' | 'constant';
  readonly index: number;
}

export interface PlanOperand {
  readonly place: Place;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** One kernel call. What an output's memory holds before, where the kernel needs it, is there: the plan has seen to it. */
export interface PlanStep {
  readonly kernel: Kernel;
  readonly inputs: readonly PlanOperand[];
  readonly outputs: readonly PlanOperand[];
  readonly dims: readonly number[];
  readonly scalars: readonly GraphScalar[];
  readonly ops: readonly string[];
}

export interface Plan {
  readonly steps: readonly PlanStep[];
  /** Steps at the beginning that depend on stable inputs alone: their slots keep, and they run again only when asked to. */
  readonly prologue: number;
  /** How many inputs and outputs a run is given. */
  readonly inputs: number;
  readonly outputs: number;
  /** The bytes of each slot. */
  readonly slots: readonly number[];
  /** Slots that the prologue writes, which keep their contents from run to run. */
  readonly kept: ReadonlySet<number>;
  readonly constants: readonly Uint8Array[];
  readonly scalars: number;
}
