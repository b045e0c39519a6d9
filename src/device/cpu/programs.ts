// What a program needs of the CPU device, and what the device needs to make one: replay.ts, which comes with the compiler, so that pages that compile nothing do without.
import type { Operand } from '../../ir/kernel.ts';
import type { Plan, PlanStep } from '../../ir/plan.ts';
import type { Storage } from '../../ir/storage.ts';
import type { CompileOptions, Program } from '../device.ts';
import type { KernelTimer } from './timer.ts';

/** A kernel made ready for operands of known dtypes and shapes; where they lie is looked up at each run. */
export type Ready = (scalars: readonly number[]) => void;

/** What a program needs of its device. */
export interface ReplayHost {
  readonly timer: KernelTimer | null;
  readonly stats: { dispatches: number };
  /** Throws where the device was closed; `op` is what errors name from here on. */
  begin(op: string): void;
  alloc(bytes: number, op: string): Storage;
  free(storage: Storage): void;
  write(storage: Storage, data: Uint8Array, at: number): void;
  /** Makes a step ready. */
  prepare(step: PlanStep, inputs: readonly Operand[], outputs: readonly Operand[]): Ready;
}

/** Filled by replay.ts. */
export const programs: {
  make: ((host: ReplayHost, plan: Plan, options: CompileOptions) => Program) | null;
} = { make: null };
