// Threads that share the device's memory and take tiles of products. The caller claims tiles like the others and in the end waits only for tiles that
// have been claimed; what a tile's sums are does not depend on who computes it. A thread that makes no progress for a second ends the pool.
import type { ProductExports } from '../wasm/load.ts';
import {
  CELL_BYTES,
  CLAIM,
  COLUMNS,
  DONE,
  ENDED,
  FIELDS,
  PARKED,
  ROWS,
  STOP,
  TILE_COLUMNS,
  TILE_ROWS,
  TILES_ACROSS,
  WAKE,
} from './cells.ts';
import type { MakeThread, Thread } from './start.ts';

/** Multiplications below which a product stays with the caller: about 20 µs of work. */
const LEAST_WORK = 2 ** 19;
/** Multiplications that a tile has at least. */
const LEAST_TILE = 2 ** 17;
/** Tiles for each thread, so that one that comes late or is slow does not hold up the rest. */
const TILES_EACH = 4;
/** Columns of a tile, where there are enough of them: packing costs a tile about 4 % then. */
const WIDE = 256;
/** Milliseconds without progress after which a thread counts as lost. */
const MOST_WAIT = 1000;

/** How a product is cut. */
export interface Cut {
  readonly tileRows: number;
  readonly tileColumns: number;
  readonly down: number;
  readonly across: number;
}

/** Cuts an M × N product of depth K for a number of threads; null where it is not worth it. */
export function cut(M: number, N: number, K: number, threads: number): Cut | null {
  const work = M * N * K;
  if (threads < 2 || work < LEAST_WORK) return null;
  const wanted = Math.min(threads * TILES_EACH, Math.floor(work / LEAST_TILE));
  // wide tiles first; rows are cut where these are too few, and columns further where rows are few too
  let across = Math.min(Math.ceil(N / WIDE), wanted);
  const down = Math.min(Math.ceil(wanted / across), Math.ceil(M / 24));
  if (across * down < wanted) across = Math.min(Math.ceil(N / 8), Math.ceil(wanted / down));
  const tileRows = Math.ceil(M / down / 6) * 6;
  const tileColumns = Math.ceil(N / across / 8) * 8;
  const cut = {
    tileRows,
    tileColumns,
    down: Math.ceil(M / tileRows),
    across: Math.ceil(N / tileColumns),
  };
  return cut.down * cut.across < 2 || cut.down * cut.across > 0xffff ? null : cut;
}

export class Pool {
  readonly #cell: Int32Array;
  readonly #threads: readonly Thread[];
  /** How many compute, the caller included. */
  readonly size: number;

  private constructor(cell: Int32Array, threads: readonly Thread[]) {
    this.#cell = cell;
    this.#threads = threads;
    this.size = threads.length + 1;
  }

  /** Bytes of a pool of `threads` in the memory, the caller's cells included. */
  static bytes(threads: number, workBytes: number): number {
    return CELL_BYTES + (threads - 1) * (workBytes + 64);
  }

  /**
   * Starts `threads` − 1 workers over a shared memory, whose cells and working memory lie from `at` on. Those that cannot start are left out; null where none could.
   */
  static async start(
    threads: number,
    module: WebAssembly.Module,
    memory: WebAssembly.Memory,
    at: number,
    workBytes: number,
    make: MakeThread,
  ): Promise<Pool | null> {
    const cell = new Int32Array(memory.buffer, at, CELL_BYTES / 4);
    cell.fill(0);
    const made = Array.from({ length: threads - 1 }, (_, i) => {
      try {
        return make({ module, memory, cells: at, work: at + CELL_BYTES + i * (workBytes + 64) });
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
    return started.length === 0 ? null : new Pool(cell, started);
  }

  /** Cuts an M × N product of depth K; null where it is not worth it. */
  cut(M: number, N: number, K: number): Cut | null {
    return cut(M, N, K, this.size);
  }

  /**
   * Computes the M × N product whose fields lie at `fields`, with the others. Returns false where a thread was lost: some of the result is
   * missing then, the pool has ended, and the lost thread may write to the memory yet.
   */
  run(
    kernel: ProductExports,
    fields: number,
    M: number,
    N: number,
    { tileRows, tileColumns, down, across }: Cut,
    work: number,
  ): boolean {
    const cell = this.#cell;
    const tiles = down * across;
    cell[FIELDS] = fields;
    cell[ROWS] = M;
    cell[COLUMNS] = N;
    cell[TILE_ROWS] = tileRows;
    cell[TILE_COLUMNS] = tileColumns;
    cell[TILES_ACROSS] = across;
    Atomics.store(cell, DONE, 0);
    Atomics.store(cell, CLAIM, tiles << 16);
    Atomics.add(cell, WAKE, 1);
    if (Atomics.load(cell, PARKED) > 0) Atomics.notify(cell, WAKE);
    for (;;) {
      const claim = Atomics.load(cell, CLAIM);
      const tile = claim & 0xffff;
      if (tile >= tiles) break;
      if (Atomics.compareExchange(cell, CLAIM, claim, claim + 1) !== claim) continue;
      const m = Math.floor(tile / across) * tileRows;
      const n = (tile % across) * tileColumns;
      kernel.product(fields, m, Math.min(m + tileRows, M), n, Math.min(n + tileColumns, N), work);
      Atomics.add(cell, DONE, 1);
    }
    return this.#wait(tiles);
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
