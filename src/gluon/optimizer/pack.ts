// Arrays side by side in one piece of memory, each beginning at a multiple of 256 bytes: what one kernel can update as a whole. Who shall lie together is left to arena.ts.
import { adoptStorage, bodyOf, makeArray, type NDArray, setOwner } from '../../array/ndarray.ts';
import { outsideScopes } from '../../array/scope.ts';
import type { Device } from '../../device/device.ts';
import { e } from '../../ir/expr.ts';
import { customKernel, elementwiseKernel, type Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';

/** float32 elements to which each part is rounded up: bindings begin at multiples of 256 bytes. */
const ALIGNMENT = 64;
/** Arrays that one gathering dispatch reads: 8 bindings with the target. */
const GATHERED = 7;
const BYTES = 4;

const gather = customKernel('pack');
const zero = elementwiseKernel('zero', 0, e.constant(0), -1);
const NONE: readonly number[] = [];

/** Where float32 arrays of some sizes begin when they are packed, and how much they take, in elements. */
export function layoutOf(sizes: readonly number[]): { readonly offsets: number[]; readonly total: number } {
  let total = 0;
  const offsets = sizes.map((size) => {
    const at = total;
    total += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
    return at;
  });
  return { offsets, total };
}

/** The pack whose first part a storage is. */
const packs = new WeakMap<Storage, Pack>();

/** Gives an array another place of the same contents; its handle stays. */
function moveInto(x: NDArray, storage: Storage): void {
  const { device, dtype, shape } = bodyOf(x, 'arena');
  const moved = outsideScopes(() => makeArray(x.context, device, storage, dtype, shape));
  setOwner(moved, 'library');
  adoptStorage(x, moved);
  moved.dispose();
}

/** Memory for float32 arrays of some sizes. Counted: given back by the last `release`, but for parts that arrays still hold. */
export class Pack {
  /** All of it, the padding between the parts included, which is 0 at first. */
  readonly whole: Operand;
  readonly #device: Device;
  readonly #sizes: readonly number[];
  readonly #offsets: readonly number[];
  readonly #parts: readonly Storage[];
  #holders = 0;

  constructor(device: Device, sizes: readonly number[], op: string) {
    this.#device = device;
    this.#sizes = sizes;
    const { offsets, total } = layoutOf(sizes);
    this.#offsets = offsets;
    const storage = device.alloc(total * BYTES, op);
    storage.refs = 1;
    this.whole = { storage, dtype: 'float32', shape: [total] };
    device.run(zero, [], [this.whole], NONE, NONE);
    this.#parts = sizes.map((size, i) => {
      const part = device.part(storage, (offsets[i] as number) * BYTES, size * BYTES);
      part.refs = 1;
      return part;
    });
    const first = this.#parts[0];
    if (first !== undefined) packs.set(first, this);
  }

  /** The pack in which arrays lie, in their order; a new one into which they are moved where there is none. */
  static of(arrays: readonly NDArray[], op: string): Pack {
    const found = Pack.find(arrays, op);
    if (found !== undefined) return found;
    const { device } = bodyOf(arrays[0] as NDArray, op);
    const pack = new Pack(
      device,
      arrays.map((x) => x.size),
      op,
    );
    pack.moveIn(arrays, op);
    return pack;
  }

  /** The pack in which arrays lie, in their order. */
  static find(arrays: readonly NDArray[], op: string): Pack | undefined {
    const found = packs.get(bodyOf(arrays[0] as NDArray, op).storage);
    return found?.holds(arrays, op) === true ? found : undefined;
  }

  /** Whether all these arrays lie here, each in its place. */
  holds(arrays: readonly NDArray[], op: string): boolean {
    return (
      arrays.length === this.#parts.length && arrays.every((x, i) => bodyOf(x, op).storage === this.#parts[i])
    );
  }

  /** Copies arrays that lie elsewhere to their places. */
  gather(arrays: readonly NDArray[], op: string): void {
    const away = arrays
      .map((x) => bodyOf(x, op))
      .flatMap((x, i) => (x.storage === this.#parts[i] ? [] : [[x, i] as const]));
    for (let k = 0; k < away.length; k += GATHERED) {
      const some = away.slice(k, k + GATHERED);
      const dims = some.flatMap(([, i]) => [this.#offsets[i] as number, this.#sizes[i] as number]);
      this.#device.run(
        gather,
        some.map(([x]) => x),
        [this.whole],
        dims,
        NONE,
      );
    }
  }

  /** Makes arrays lie here, with their values. */
  moveIn(arrays: readonly NDArray[], op: string): void {
    this.gather(arrays, op);
    arrays.forEach((x, i) => {
      const part = this.#parts[i] as Storage;
      if (bodyOf(x, op).storage !== part) moveInto(x, part);
    });
  }

  /** One more that needs it. */
  hold(): this {
    this.#holders++;
    return this;
  }

  /** One less. */
  release(): void {
    if (--this.#holders > 0) return;
    for (const storage of [...this.#parts, this.whole.storage])
      if (--storage.refs === 0) this.#device.free(storage);
  }
}
