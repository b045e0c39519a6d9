// Threads that share the device's memory and take tiles of jobs. The caller claims tiles like the others and in the end waits only for tiles that
// have been claimed; what a tile computes does not depend on who does it. A thread that makes no progress for a second ends the pool.
import type { Heap } from '../heap.ts';
import type { Cut, ProductJob } from '../product/layout.ts';
import type { Kernels } from '../wasm/load.ts';
import type { Job, JobName, Overwritten } from './cells.ts';
import {
  CELL_BYTES,
  CLAIM,
  DONE,
  ENDED,
  FIELDS,
  FLAGS,
  JOB,
  JOBS,
  MOST_FLAGS,
  OVER,
  OVER_END,
  OVER_TILE,
  PARKED,
  SAVED_BYTES,
  STOP,
  WAKE,
  WRITING,
} from './cells.ts';
import type { MakeThread, Thread } from './start.ts';

/** Multiplications of a product in a nanosecond. */
const SPEED = 26;
/** Nanoseconds of work below which a job stays with the caller, and that a tile has at least. */
const LEAST_WORK = 20000;
const LEAST_TILE = 5000;
/** Nanoseconds of a tile at most: a thread that is busy with one must not count as lost, on machines ten times slower either; and the most tiles that are wanted for that. */
const MOST_TILE = 2e7;
const MOST_TILES = 4096;
/** Tiles for each thread, so that one that comes late or is slow does not hold up the rest. */
const TILES_EACH = 4;
/** Milliseconds without progress after which a thread counts as lost. */
const MOST_WAIT = 1000;

/** How many tiles to make of `work` nanoseconds for a number of threads; 1 where it is not worth it. */
function tilesOf(work: number, threads: number): number {
  if (threads < 2 || work < LEAST_WORK) return 1;
  const wanted = Math.max(threads * TILES_EACH, Math.min(MOST_TILES, Math.ceil(work / MOST_TILE)));
  return Math.min(wanted, Math.floor(work / LEAST_TILE));
}

/**
 * Cuts `batch` products M × N of depth K for a number of threads; null where it is not worth it. `byRow`: whether a product without packing reads rows of B,
 * which should be long.
 */
export function cut(
  job: ProductJob,
  byRow: boolean,
  batch: number,
  M: number,
  N: number,
  K: number,
  threads: number,
): Cut | null {
  const wanted = tilesOf((batch * M * N * K) / SPEED, threads);
  if (wanted === 1) return null;
  const each = Math.ceil(wanted / batch);
  if (each === 1 || job === 'stepsTile')
    return { tileRows: M, tileColumns: N, across: 1, tiles: 1, matrices: Math.floor(batch / wanted) || 1 };
  const [rows, leastRows, columns, wide, narrow] =
    job === 'productTile'
      ? [6, 24, 8, 256, 8]
      : byRow
        ? [2, 8, 16, 512, Math.min(512, Math.max(64, N / 2))]
        : [2, 8, 16, 64, 16];
  // wide tiles first; rows are cut where these are too few, and columns further where rows are few too
  let across = Math.min(Math.ceil(N / wide), each);
  const down = Math.min(Math.ceil(each / across), Math.ceil(M / leastRows));
  if (across * down < each) across = Math.min(Math.ceil(N / narrow), Math.ceil(each / down));
  const tileRows = Math.ceil(M / down / rows) * rows;
  const tileColumns = Math.ceil(N / across / columns) * columns;
  across = Math.ceil(N / tileColumns);
  return { tileRows, tileColumns, across, tiles: across * Math.ceil(M / tileRows), matrices: 1 };
}

/** Bytes of a thread's own memory: what it saves, and what it works with. */
function eachOf(workBytes: number): number {
  return SAVED_BYTES + workBytes + 64;
}

/** Where the i-th thread saves, after the cells at `at`. */
function savedAt(at: number, each: number, i: number): number {
  return at + CELL_BYTES + i * each;
}

function cellsAt(memory: WebAssembly.Memory, at: number): Int32Array {
  return new Int32Array(memory.buffer, at, FLAGS / 4);
}

function jobsOf({ product, vector }: Kernels): readonly Job[] {
  const exports = { ...product, ...vector };
  return JOBS.map((name) => exports[name]);
}

export class Pool {
  readonly #cell: Int32Array;
  readonly #threads: readonly Thread[];
  readonly #jobs: readonly Job[];
  readonly #memory: WebAssembly.Memory;
  /** Where the cells lie, and bytes from one thread's memory to the next's. */
  readonly #at: number;
  readonly #each: number;
  /** What threads were overwriting when one was lost: of each, 1 + its tile. */
  #writing: readonly number[] = [];
  /** How many compute, the caller included. */
  readonly size: number;

  private constructor(
    kernels: Kernels,
    memory: WebAssembly.Memory,
    at: number,
    each: number,
    threads: readonly Thread[],
  ) {
    this.#jobs = jobsOf(kernels);
    this.#memory = memory;
    this.#at = at;
    this.#each = each;
    this.#cell = cellsAt(memory, at);
    this.#threads = threads;
    this.size = threads.length + 1;
  }

  /** Bytes of a pool of `threads` in the memory, the caller's cells included. */
  static bytes(threads: number, workBytes: number): number {
    return CELL_BYTES + (threads - 1) * eachOf(workBytes);
  }

  /**
   * Starts `threads` − 1 workers over a shared memory, whose cells and working memory lie from `at` on. Those that cannot start are left out; null where none could.
   */
  static async start(
    threads: number,
    kernels: Kernels,
    memory: WebAssembly.Memory,
    at: number,
    workBytes: number,
    make: MakeThread,
  ): Promise<Pool | null> {
    const { modules } = kernels;
    cellsAt(memory, at).fill(0);
    const each = eachOf(workBytes);
    const made = Array.from({ length: threads - 1 }, (_, i) => {
      try {
        const saved = savedAt(at, each, i);
        return make({
          modules,
          jobs: JOBS,
          memory,
          cells: at,
          saved,
          work: saved + SAVED_BYTES,
          index: i + 1,
        });
      } catch {
        return null;
      }
    });
    const started: Thread[] = [];
    for (const thread of made) {
      if (thread === null) continue;
      if (await thread.ready) started.push(thread);
      else thread.end();
    }
    return started.length === 0 ? null : new Pool(kernels, memory, at, each, started);
  }

  /** Cuts products; null where it is not worth it. */
  cut(job: ProductJob, byRow: boolean, batch: number, M: number, N: number, K: number): Cut | null {
    return cut(job, byRow, batch, M, N, K, this.size);
  }

  /** How many tiles to make of a job that takes one thread `work` nanoseconds and overwrites `over` bytes of what it reads; 1 where it is not worth sharing. */
  tiles(work: number, over: number): number {
    const wanted = Math.max(tilesOf(work, this.size), work < LEAST_WORK ? 1 : Math.ceil(over / SAVED_BYTES));
    return over > 0 && wanted > MOST_FLAGS ? 1 : wanted;
  }

  /**
   * Does a job of `tiles` < 2¹⁶ tiles whose fields lie at `fields`, with the others; `work`: the caller's working memory. Returns false where a thread was
   * lost: some of the result is missing then, the pool has ended, and the lost thread may write to the memory yet. `over`: what the job overwrites although it reads it.
   */
  run(name: JobName, fields: number, tiles: number, work: number, over: Overwritten | null): boolean {
    const cell = this.#cell;
    const index = JOBS.indexOf(name);
    const job = this.#jobs[index] as Job;
    cell[JOB] = index;
    cell[FIELDS] = fields;
    cell[OVER] = over?.at ?? 0;
    let flags: Uint8Array | null = null;
    if (over !== null) {
      cell[OVER_TILE] = over.tile;
      cell[OVER_END] = over.end;
      flags = new Uint8Array(this.#memory.buffer, this.#at + FLAGS, tiles).fill(0);
    }
    Atomics.store(cell, DONE, 0);
    Atomics.store(cell, CLAIM, tiles << 16);
    Atomics.add(cell, WAKE, 1);
    if (Atomics.load(cell, PARKED) > 0) Atomics.notify(cell, WAKE);
    for (;;) {
      const claim = Atomics.load(cell, CLAIM);
      const tile = claim & 0xffff;
      if (tile >= tiles) break;
      if (Atomics.compareExchange(cell, CLAIM, claim, claim + 1) !== claim) continue;
      job(fields, tile, work);
      if (flags !== null) flags[tile] = 1;
      Atomics.add(cell, DONE, 1);
    }
    return this.#wait(tiles);
  }

  /**
   * After `run` in place has lost a thread and the memory's contents have moved to another: does the tiles that are missing. What a thread was overwriting becomes again what
   * it was; one that had not begun was kept from it.
   */
  complete(heap: Heap, name: JobName, fields: number, tiles: number, work: number, over: Overwritten): void {
    const { u8 } = heap;
    const flags = u8.subarray(this.#at + FLAGS, this.#at + FLAGS + tiles);
    this.#writing.forEach((next, i) => {
      if (next < 1) return;
      const from = over.at + (next - 1) * over.tile;
      const saved = savedAt(this.#at, this.#each, i);
      u8.copyWithin(from, saved, saved + Math.min(over.tile, over.end - from));
      flags[next - 1] = 0;
    });
    const job = jobsOf(heap.kernels)[JOBS.indexOf(name)] as Job;
    for (let tile = 0; tile < tiles; tile++) if (flags[tile] === 0) job(fields, tile, work);
  }

  #wait(tiles: number): boolean {
    const cell = this.#cell;
    let done = Atomics.load(cell, DONE);
    let since = 0;
    for (let turn = 1; done < tiles; turn++) {
      const now = Atomics.load(cell, DONE);
      if (now !== done) {
        done = now;
        since = 0;
      } else if (turn % 256 === 0) {
        const time = performance.now();
        if (since === 0) since = time;
        else if (time - since > MOST_WAIT) {
          this.end();
          const all = this.#cell.subarray(WRITING + 1, FLAGS / 4);
          this.#writing = Array.from(all, (_, i) => Atomics.exchange(all, i, -1));
          return false;
        }
      }
    }
    return true;
  }

  /** Ends the threads. They may look at their cells for a moment yet, so their memory must not be given back. */
  end(): void {
    this.#stop();
    for (const thread of this.#threads) thread.end();
  }

  /** Ends the threads and resolves to whether all have left the memory. */
  async close(): Promise<boolean> {
    this.#stop();
    const left = (): boolean => Atomics.load(this.#cell, ENDED) === this.#threads.length;
    for (let turn = 0; turn < 100 && !left(); turn++) await new Promise((resolve) => setTimeout(resolve, 2));
    for (const thread of this.#threads) thread.end();
    return left();
  }

  #stop(): void {
    Atomics.store(this.#cell, STOP, 1);
    Atomics.add(this.#cell, WAKE, 1);
    Atomics.notify(this.#cell, WAKE);
  }
}
