// Heap memory for the length of one kernel call, such as operands converted to the dtype in which a kernel computes.
import type { Allocator } from './allocator.ts';

export class Temporaries {
  readonly #allocator: Allocator;
  readonly #held: { readonly at: number; readonly bytes: number }[] = [];

  /** The operation that takes, for messages. */
  op = 'cpu';

  constructor(allocator: Allocator) {
    this.#allocator = allocator;
  }

  /** The byte offset of `bytes` undefined bytes, held until `release`. The heap's views may be renewed. */
  take(bytes: number): number {
    try {
      const at = this.#allocator.take(bytes, this.op);
      this.#held.push({ at, bytes });
      return at;
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Gives everything back. */
  release(): void {
    for (let held = this.#held.pop(); held !== undefined; held = this.#held.pop())
      this.#allocator.free(held.at, held.bytes);
  }
}
