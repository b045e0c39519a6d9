// All parameters of a step in one update: weights, states and gradients lie side by side in a pack each, and one kernel updates them. Eager gradients come to lie elsewhere and are
// gathered first, three dispatches for ten parameters rather than ten; those of a compiled step are written in place. A CPU gains nothing by it and does without: pages load this file
// with their GPU.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { Pack } from './pack.ts';
import type { UpdateRule } from './rule.ts';
import { type Sharing, targetsOf, type UpdateItem } from './step.ts';

const NONE: readonly number[] = [];

/** Whether two lists of scalars are the same. */
export function sameScalars(a: readonly number[], b: readonly number[]): boolean {
  return a === b || (a.length === b.length && a.every((s, i) => Object.is(s, b[i])));
}

/** Whether items can share one update: float32 on one GPU, the same scalars, no norms over single layers. */
function canShare(rule: UpdateRule, a: UpdateItem, b: UpdateItem): boolean {
  const [x, y] = [bodyOf(a.weight, rule.name), bodyOf(b.weight, rule.name)];
  return (
    rule.layerwise === null &&
    x.device === y.device &&
    x.device.kind === 'gpu' &&
    x.dtype === 'float32' &&
    y.dtype === 'float32' &&
    sameScalars(a.scalars, b.scalars)
  );
}

/** Items in groups that can share an update, in their order. */
export function groupsOf<I extends UpdateItem>(rule: UpdateRule, items: readonly I[]): I[][] {
  const groups: I[][] = [];
  for (const item of items) {
    const group = groups.find(([first]) => first !== undefined && canShare(rule, first, item));
    if (group === undefined) groups.push([item]);
    else group.push(item);
  }
  return groups;
}

// an arena's hold on its memory goes with the arena; what parameters hold stays theirs
const dropped = new FinalizationRegistry<readonly Pack[]>((packs) => {
  for (const pack of packs) pack.release();
});

/** The arrays of some items by their part in the step: all weights, all first states, … */
export function columnsOf(items: readonly UpdateItem[]): NDArray[][] {
  return targetsOf(items[0] as UpdateItem).map((_, t) =>
    items.map((item) => (t === 0 ? item.weight : (item.states[t - 1] as NDArray))),
  );
}

/** The weights, states and gradients of some parameters, each packed. */
class Arena {
  readonly #op: string;
  readonly #columns: readonly (readonly NDArray[])[];
  /** One for each column, the last for the gradients. */
  readonly #packs: Pack[];

  constructor(op: string, items: readonly UpdateItem[]) {
    this.#op = op;
    this.#columns = columnsOf(items);
    const { device } = bodyOf((items[0] as UpdateItem).weight, op);
    const sizes = items.map((item) => item.weight.size);
    this.#packs = [];
    try {
      for (const column of this.#columns) this.#packs.push(Pack.of(column, op).hold());
      this.#packs.push(new Pack(device, sizes, op).hold());
    } catch (error) {
      for (const pack of this.#packs) pack.release();
      throw error;
    }
    dropped.register(this, this.#packs, this);
  }

  /** Gives up the arena's own hold; parameters keep their parts. */
  dispose(): void {
    dropped.unregister(this);
    for (const pack of this.#packs) pack.release();
  }

  /** Whether these items lie here, each in its place. */
  holds(items: readonly UpdateItem[]): boolean {
    return columnsOf(items).every((column, t) => this.#packs[t]?.holds(column, this.#op));
  }

  /** Whether what it was made for lies here yet. */
  get isWhole(): boolean {
    return this.#columns.every(
      (column, t) => !column.some((x) => x.isDisposed) && this.#packs[t]?.holds(column, this.#op),
    );
  }

  get #gradients(): Pack {
    return this.#packs[this.#columns.length] as Pack;
  }

  /** Makes the gradients lie in a pack too. */
  moveGradients(gradients: readonly NDArray[]): void {
    if (this.#gradients.holds(gradients, this.#op)) return;
    const found = Pack.find(gradients, this.#op);
    if (found === undefined) {
      this.#gradients.moveIn(gradients, this.#op);
      return;
    }
    this.#gradients.release();
    this.#packs[this.#columns.length] = found.hold();
  }

  /** One step for all. */
  update(rule: UpdateRule, items: readonly UpdateItem[]): void {
    const { weight, scalars } = items[0] as UpdateItem;
    this.#gradients.gather(
      items.map((item) => item.grad),
      this.#op,
    );
    const targets = this.#packs.slice(0, -1).map((pack) => pack.whole);
    bodyOf(weight, this.#op).device.run(rule.kernel, [this.#gradients.whole], targets, NONE, scalars);
  }
}

/** Arenas of one Trainer: made at its first step, and anew where parameters have moved. */
export class Arenas implements Sharing {
  #arenas: readonly Arena[] = [];

  update(rule: UpdateRule, items: readonly UpdateItem[]): readonly UpdateItem[] {
    const groups = groupsOf(rule, items);
    const used: Arena[] = [];
    for (const group of groups) {
      if (group.length < 2) continue;
      const arena = this.#find(group) ?? new Arena(rule.kernel.name, group);
      used.push(arena);
      // what a tape kept of the weights is out of date from here on
      for (const item of group)
        for (const x of targetsOf(item)) {
          const { storage } = bodyOf(x, rule.name);
          storage.version = (storage.version ?? 0) + 1;
        }
      arena.update(rule, group);
    }
    for (const arena of this.#arenas) if (!used.includes(arena)) arena.dispose();
    this.#arenas = used;
    return groups.flatMap((group) => (group.length < 2 ? group : []));
  }

  arrange(rule: UpdateRule, group: readonly UpdateItem[]): void {
    let arena = this.#find(group);
    if (arena === undefined) {
      arena = new Arena(rule.kernel.name, group);
      const left = this.#arenas.filter((old) => old.isWhole);
      for (const old of this.#arenas) if (!left.includes(old)) old.dispose();
      this.#arenas = [...left, arena];
    }
    arena.moveGradients(group.map((item) => item.grad));
  }

  #find(group: readonly UpdateItem[]): Arena | undefined {
    return this.#arenas.find((arena) => arena.holds(group));
  }
}
