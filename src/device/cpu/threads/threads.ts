// One place for all runners that share work among threads: with those there are, or alone. The threads themselves (pool.ts) are loaded when they are asked for.
import { bytesOf } from '../../../core/dtype.ts';
import { OutOfMemoryError } from '../../../core/errors.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { Operand } from '../../../ir/kernel.ts';
import type { Allocator } from '../allocator.ts';
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { JobName } from './cells.ts';
import type { Pool } from './pool.ts';

export class Threads {
  /** Null where there are none. */
  pool: Pool | null = null;
  readonly #heap: Heap;
  readonly #allocator: Allocator;
  readonly #temporaries: Temporaries;
  readonly #moved: () => void;
  #work = 0;

  /** `moved` is called when the heap has moved to another memory, because a thread was lost. */
  constructor(heap: Heap, allocator: Allocator, temporaries: Temporaries, moved: () => void) {
    this.#heap = heap;
    this.#allocator = allocator;
    this.#temporaries = temporaries;
    this.#moved = moved;
  }

  /** Bytes of a thread's working memory. */
  get workBytes(): number {
    return this.#heap.kernels.product.workBytes();
  }

  /** The caller's own working memory. */
  get work(): number {
    if (this.#work === 0) this.#work = this.#allocator.take(this.workBytes, this.#temporaries.op);
    return this.#work;
  }

  /** How many tiles to make, `most` at the most, of work that takes one thread so many nanoseconds; 1 where it is not to be shared. */
  tiles(nanoseconds: number, most: number): number {
    return this.pool === null ? 1 : Math.min(this.pool.tiles(nanoseconds), most);
  }

  /**
   * Does the job whose fields lie at `fields`, cut into `tiles`; `alone` does the same without threads, where there is one tile or none, and once more from the beginning
   * where a thread was lost. So the job must not overwrite what it reads, and `alone` must look at the heap's kernels itself: they may be others by then.
   */
  run(job: JobName, fields: number, tiles: number, alone: () => void): void {
    if (this.pool !== null && tiles > 1) {
      if (this.pool.run(job, fields, tiles, this.work)) return;
      this.#lose();
    }
    alone();
  }

  /** What a lost thread may write yet shall not reach the arrays: they move to a memory of their own. */
  #lose(): void {
    this.pool = null;
    if (!this.#heap.move(false))
      throw new OutOfMemoryError(
        `expected ${this.#heap.bytes} bytes of memory to leave threads that stopped answering, received none. Reload the page.`,
        { op: this.#temporaries.op },
      );
    this.#moved();
  }
}

/** Whether no output lies where an input does: only such work can be done once more after a thread was lost. */
export function areApart(inputs: readonly Operand[], outputs: readonly Operand[]): boolean {
  return inputs.every((x) =>
    outputs.every((y) => endOf(x) <= y.storage.offset || endOf(y) <= x.storage.offset),
  );
}

function endOf({ storage, dtype, shape }: Operand): number {
  return storage.offset + sizeOf(shape) * bytesOf(dtype);
}
