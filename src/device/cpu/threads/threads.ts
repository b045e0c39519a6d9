// One place for all runners that share work among threads: with those there are, or alone. The threads themselves (pool.ts) are loaded when they are asked for.
import { bytesOf } from '../../../core/dtype.ts';
import { OutOfMemoryError } from '../../../core/errors.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { Operand } from '../../../ir/kernel.ts';
import type { Allocator } from '../allocator.ts';
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { JobName, Overwritten } from './cells.ts';
import type { Pool } from './pool.ts';

export class Threads {
  /** Null where there are none. */
  pool: Pool | null = null;
  /** The caller's own working memory; taken at the beginning, for above arrays it would cut the memory in two. */
  readonly work: number;
  readonly #heap: Heap;
  readonly #temporaries: Temporaries;
  readonly #moved: () => void;

  /** `moved` is called when the heap has moved to another memory, because a thread was lost. */
  constructor(heap: Heap, allocator: Allocator, temporaries: Temporaries, moved: () => void) {
    this.#heap = heap;
    this.#temporaries = temporaries;
    this.#moved = moved;
    this.work = allocator.take(this.workBytes, 'cpu');
  }

  /** Bytes of a thread's working memory. */
  get workBytes(): number {
    return this.#heap.kernels.product.workBytes();
  }

  /** How many tiles to make, `most` at the most, of work that takes one thread so many nanoseconds; 1 where it is not to be shared. `over`: bytes it overwrites in place. */
  tiles(nanoseconds: number, most: number, over = 0): number {
    return this.pool === null ? 1 : Math.min(this.pool.tiles(nanoseconds, over), most);
  }

  /**
   * Does the job whose fields lie at `fields`, cut into `tiles`; `alone` does the same without threads, where there is one tile or none, and once more from the beginning
   * where a thread was lost. So the job must not overwrite what it reads, but for `over`, of which each tile reads and overwrites its own part; and `alone` must look at the
   * heap's kernels itself: they may be others by then.
   */
  run(job: JobName, fields: number, tiles: number, alone: () => void, over: Overwritten | null = null): void {
    const { pool } = this;
    if (pool !== null && tiles > 1) {
      if (pool.run(job, fields, tiles, this.work, over)) return;
      this.#lose();
      if (over !== null) {
        pool.complete(this.#heap, job, fields, tiles, this.work, over);
        return;
      }
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
