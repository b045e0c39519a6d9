// One step of an optimizer as data: what apply.ts runs, arena.ts shares and compiled/updates.ts records.
import type { NDArray } from '../../array/ndarray.ts';
import type { UpdateRule } from './rule.ts';
import type { Turn } from './turn.ts';

/** The arrays of one parameter's update. */
export interface UpdateArrays {
  readonly weight: NDArray;
  readonly grad: NDArray;
  readonly states: readonly NDArray[];
}

/** One parameter's part of a step. */
export interface UpdateItem extends UpdateArrays {
  /** In the order of the rule's scalars. */
  readonly scalars: readonly number[];
}

/** Where parameters of one GPU lie side by side, so that one kernel updates them all: `Arenas` in arena.ts, once there is a GPU. */
export interface Sharing {
  /** Runs the items that can share an update, and returns the others. */
  update(rule: UpdateRule, items: readonly UpdateItem[]): readonly UpdateItem[];
  /** Makes all arrays of a group lie side by side, the gradients too. */
  arrange(rule: UpdateRule, group: readonly UpdateItem[]): void;
}

/** A step of some parameters, and what a replay of it asks on the host. */
export interface Step {
  readonly rule: UpdateRule;
  /** One for each of the turn's parameters, in their order. They are checked. */
  readonly arrays: readonly UpdateArrays[];
  /** The numbers of this step, which has been counted. */
  readonly turn: Turn;
  readonly memory: { arenas: Sharing | null };
  /** Whether a replay would be over the same parameters. */
  isDue(): boolean;
  /** Notes that gradients have been used up, or, false, that they have not. */
  settle(used: boolean): void;
}

/** The arrays that a step writes: the weight, then its states. */
export function targetsOf(item: UpdateArrays): readonly NDArray[] {
  return [item.weight, ...item.states];
}
