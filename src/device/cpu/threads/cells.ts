// What threads share besides the arrays: a few 32-bit cells in the memory. Types and numbers only; serve.ts repeats the numbers, because its text
// has to stand alone.

/** Tiles of the job at hand (upper half) and how many are claimed (lower half): one atomic cell, so that a claim is of this job or fails. */
export const CLAIM = 0;
/** Tiles that are finished. */
export const DONE = 1;
/** Counts jobs; threads without work sleep on it. */
export const WAKE = 2;
/** Threads that sleep. */
export const PARKED = 3;
/** Not 0: threads end. */
export const STOP = 4;
/** The job: where the product's fields lie, its rows and columns, those of a tile, and tiles side by side. */
export const FIELDS = 5;
export const ROWS = 6;
export const COLUMNS = 7;
export const TILE_ROWS = 8;
export const TILE_COLUMNS = 9;
export const TILES_ACROSS = 10;
/** Threads that have ended because of STOP. */
export const ENDED = 11;
/** Bytes of all cells; a cache line apart from what follows. */
export const CELL_BYTES = 128;

/** What a thread is told when it starts. */
export interface Start {
  /** The product's module (kernels/product.ts) for a shared memory. */
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** Where the cells and the thread's own working memory lie, in bytes. */
  readonly cells: number;
  readonly work: number;
}
