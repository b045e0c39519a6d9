// What a program's memories are: which keep and which the pool lends, who uses them, what comes out. Numbered as in `Recording`.
import type { Plan } from '../../ir/plan.ts';
import type { Recording } from './programSink.ts';
import { memoryOf } from './programSink.ts';

export interface MemoryLayout {
  /** Bytes of each memory of the program's own; 0 for the caller's. */
  readonly bytes: readonly number[];
  /** Memories of the program's own that keep, and those that are lent for each run. */
  readonly kept: readonly number[];
  readonly lent: readonly number[];
  /** By memory: the dispatches that use it. */
  readonly users: readonly (readonly number[])[];
  /** Memories of the caller's that a run writes. */
  readonly results: readonly number[];
}

export function layOut(plan: Plan, recording: Recording, staticAlloc: boolean): MemoryLayout {
  const { dispatches, temporaries, spans } = recording;
  const own = plan.inputs + plan.outputs;
  const bytes = [
    ...new Array<number>(own).fill(0),
    ...plan.slots,
    ...plan.constants.map((data) => data.byteLength),
    ...temporaries,
  ];
  const constants = own + plan.slots.length;
  const kept: number[] = [];
  const lent: number[] = [];
  for (let i = own; i < bytes.length; i++) {
    const constant = i >= constants && i < constants + plan.constants.length;
    (staticAlloc || constant || plan.kept.has(i - own) ? kept : lent).push(i);
  }
  const users: Set<number>[] = bytes.map(() => new Set());
  dispatches.forEach(({ memories }, d) => {
    for (const memory of memories) users[spans[memory - bytes.length]?.of ?? memory]?.add(d);
  });
  const results = new Set<number>();
  for (const { outputs } of plan.steps)
    for (const { place } of outputs) if (memoryOf(plan, place) < own) results.add(memoryOf(plan, place));
  return { bytes, kept, lent, users: users.map((set) => [...set]), results: [...results] };
}
