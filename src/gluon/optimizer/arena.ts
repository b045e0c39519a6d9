// All parameters of a step in one update: weights and states live side by side in an array each, gradients are gathered into a third, and one kernel
// updates them. On a GPU a step is then three dispatches rather than one for each parameter; a CPU gains nothing by it and does without.
import { adoptStorage, bodyOf, makeArray, type NDArray, setOwner } from '../../array/ndarray.ts';
import { outsideScopes } from '../../array/scope.ts';
import type { Device } from '../../device/device.ts';
import { e } from '../../ir/expr.ts';
import { customKernel, elementwiseKernel, type Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import type { UpdateRule } from './rule.ts';

/** One parameter's part of a step. */
export interface UpdateItem {
  readonly weight: NDArray;
  readonly grad: NDArray;
  readonly states: readonly NDArray[];
  /** In the order of the rule's scalars. */
  readonly scalars: readonly number[];
}

/** float32 elements to which each parameter's part is rounded up: bindings begin at multiples of 256 bytes. */
const ALIGNMENT = 64;
/** Arrays that one gathering dispatch reads: 8 bindings with the target. */
const GATHERED = 7;

const pack = customKernel('pack');
const zero = elementwiseKernel('zero', 0, e.constant(0), -1);
const NONE: readonly number[] = [];

/** Whether items can share one update: float32 on one GPU, the same scalars, no norms over single layers. */
function canShare(rule: UpdateRule, a: UpdateItem, b: UpdateItem): boolean {
  const [x, y] = [bodyOf(a.weight, rule.name), bodyOf(b.weight, rule.name)];
  return (
    rule.layerwise === null &&
    x.device === y.device &&
    x.device.kind === 'gpu' &&
    x.dtype === 'float32' &&
    y.dtype === 'float32' &&
    a.scalars.length === b.scalars.length &&
    a.scalars.every((s, i) => s === b.scalars[i])
  );
}

// an arena's own hold on its memory goes with the arena; the parts that parameters hold keep theirs
const dropped = new FinalizationRegistry<() => void>((free) => free());

/** Made apart from the arena, so that it does not keep what it waits for. */
function freeing(device: Device, storages: readonly Storage[]): () => void {
  return () => {
    for (const storage of storages) device.free(storage);
  };
}

/** Gives an array another place of the same contents; its handle stays. */
function moveInto(x: NDArray, storage: Storage): void {
  const { device, dtype, shape } = bodyOf(x, 'arena');
  const moved = outsideScopes(() => makeArray(x.context, device, storage, dtype, shape));
  setOwner(moved, 'library');
  adoptStorage(x, moved);
  moved.dispose();
}

/** The arrays that a step writes: the weight, then its states. */
function targetsOf(item: UpdateItem): readonly NDArray[] {
  return [item.weight, ...item.states];
}

/** The weights, states and gradients of some parameters, each packed. */
export class Arena {
  readonly #device: Device;
  readonly #offsets: readonly number[];
  readonly #sizes: readonly number[];
  readonly #targets: readonly Operand[];
  readonly #gradients: Operand;
  /** Where each item's arrays lie, to notice when one was replaced. */
  readonly #parts: readonly (readonly Storage[])[];
  readonly #free: () => void;

  constructor(rule: UpdateRule, items: readonly UpdateItem[]) {
    const op = rule.kernel.name;
    const { device } = bodyOf((items[0] as UpdateItem).weight, op);
    this.#device = device;
    this.#sizes = items.map((item) => item.weight.size);
    let total = 0;
    this.#offsets = this.#sizes.map((size) => {
      const at = total;
      total += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
      return at;
    });
    const wholes = Array.from({ length: rule.states.length + 2 }, (): Operand => {
      const storage = device.alloc(total * 4, op);
      storage.refs = 1;
      const whole: Operand = { storage, dtype: 'float32', shape: [total] };
      // between the parts there is padding, which the update runs over too
      device.run(zero, [], [whole], NONE, NONE);
      return whole;
    });
    this.#gradients = wholes.pop() as Operand;
    this.#targets = wholes;
    wholes.forEach((whole, t) => {
      const arrays = items.map((item) => targetsOf(item)[t] as NDArray);
      this.#gather(
        arrays.map((x) => bodyOf(x, op)),
        whole,
      );
      arrays.forEach((x, i) => {
        const [at, size] = [this.#offsets[i] as number, this.#sizes[i] as number];
        moveInto(x, device.part(whole.storage, at * 4, size * 4));
      });
    });
    this.#parts = items.map((item) => targetsOf(item).map((x) => bodyOf(x, op).storage));
    this.#free = freeing(
      device,
      [...wholes, this.#gradients].map((whole) => whole.storage),
    );
    dropped.register(this, this.#free, this);
  }

  /** Gives up the arena's own hold; parameters keep their parts. */
  dispose(): void {
    dropped.unregister(this);
    this.#free();
  }

  /** Whether the items still lie here, each in its place. */
  holds(items: readonly UpdateItem[], op: string): boolean {
    return (
      items.length === this.#parts.length &&
      items.every((item, i) => targetsOf(item).every((x, t) => bodyOf(x, op).storage === this.#parts[i]?.[t]))
    );
  }

  #gather(sources: readonly Operand[], whole: Operand): void {
    for (let k = 0; k < sources.length; k += GATHERED) {
      const some = sources.slice(k, k + GATHERED);
      const dims = some.flatMap((_, i) => [this.#offsets[k + i] as number, this.#sizes[k + i] as number]);
      this.#device.run(pack, some, [whole], dims, NONE);
    }
  }

  /** One step for all. */
  update(rule: UpdateRule, items: readonly UpdateItem[]): void {
    const op = rule.kernel.name;
    this.#gather(
      items.map((item) => bodyOf(item.grad, op)),
      this.#gradients,
    );
    this.#device.run(rule.kernel, [this.#gradients], this.#targets, NONE, (items[0] as UpdateItem).scalars);
  }
}

/** Arenas of one Trainer: made at its first step, and anew where parameters have moved. */
export class Arenas {
  #arenas: readonly Arena[] = [];

  /** Runs the items that can share an update, and returns the others. */
  update(rule: UpdateRule, items: readonly UpdateItem[]): readonly UpdateItem[] {
    const op = rule.kernel.name;
    const rest = new Set(items);
    const used: Arena[] = [];
    for (const leader of items) {
      if (!rest.has(leader)) continue;
      const shared = [...rest].filter((item) => canShare(rule, leader, item));
      if (shared.length < 2) continue;
      for (const item of shared) rest.delete(item);
      const arena = this.#arenas.find((a) => a.holds(shared, op)) ?? new Arena(rule, shared);
      used.push(arena);
      // what a tape kept of the weights is out of date from here on
      for (const item of shared)
        for (const x of targetsOf(item)) {
          const { storage } = bodyOf(x, op);
          storage.version = (storage.version ?? 0) + 1;
        }
      arena.update(rule, shared);
    }
    for (const arena of this.#arenas) if (!used.includes(arena)) arena.dispose();
    this.#arenas = used;
    return [...rest];
  }
}
