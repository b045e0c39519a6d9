// An optimizer's step as a recorder sees it: parameters that share an update, what a replay does on the host beforehand, and the kernels it runs.
import type { NDArray } from '../../array/ndarray.ts';
import type { GraphScalar } from '../../ir/graph.ts';
import type { Operand } from '../../ir/kernel.ts';
import { slots, type Updated, type UpdateEmitter } from '../../ops/invoke.ts';
import { emitUpdate } from '../optimizer/apply.ts';
import { Arenas, columnsOf, groupsOf, sameScalars } from '../optimizer/arena.ts';
import { layoutOf } from '../optimizer/pack.ts';
import type { Step, UpdateItem } from '../optimizer/step.ts';

/** An update of one parameter, with its place among those of the step. */
interface Item extends UpdateItem {
  readonly at: number;
}

/**
 * Gives a step that has been run to the recorder at hand. Memory stays where it is, so that the recorder can follow it; in the program, items that can share an update do.
 */
export function recordStep(step: Step, updates: readonly UpdateItem[]): void {
  const { rule, turn } = step;
  const groups = groupsOf(
    rule,
    updates.map((item, at): Item => ({ ...item, at })),
  );
  for (const group of groups) slots.trace?.updated(new Group(step, group));
  slots.trace?.effect(
    () => {
      if (!step.isDue()) return false;
      turn.run();
      const fits = groups.every(([first, ...others]) =>
        others.every(({ at }) => sameScalars(turn.scalars[at] ?? [], turn.scalars[first?.at ?? 0] ?? [])),
      );
      if (fits) step.settle(true);
      else turn.undo();
      return fits;
    },
    () => {
      turn.undo();
      step.settle(false);
    },
  );
}

/** Items that share an update in a compiled step, or one by itself. */
class Group implements Updated {
  readonly targets: readonly NDArray[];
  readonly grads: readonly NDArray[];
  readonly count: number;
  readonly #step: Step;
  readonly #items: readonly Item[];

  constructor(step: Step, items: readonly Item[]) {
    this.#step = step;
    this.#items = items;
    this.targets = columnsOf(items).flat();
    this.grads = items.map((item) => item.grad);
    this.count = step.rule.scalars.length;
  }

  scalars(): readonly number[] {
    return this.#step.turn.scalars[this.#items[0]?.at ?? 0] as readonly number[];
  }

  arrange(): void {
    if (this.#items.length < 2) return;
    const { rule, memory } = this.#step;
    memory.arenas ??= new Arenas();
    memory.arenas.arrange(rule, this.#items);
  }

  emit(
    emitter: UpdateEmitter,
    targets: readonly Operand[],
    grads: readonly Operand[],
    scalars: readonly GraphScalar[],
  ): void {
    const { rule } = this.#step;
    const count = this.#items.length;
    if (count === 1) {
      emitUpdate(rule, emitter, targets, grads[0] as Operand, scalars);
      return;
    }
    const { offsets, total } = layoutOf(this.#items.map((item) => item.weight.size));
    emitter.run(rule.kernel, grads, targets, [count, total, ...offsets], scalars);
  }
}
