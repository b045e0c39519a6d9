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
/** The job: its place in JOBS, and where its fields lie. */
export const JOB = 5;
export const FIELDS = 6;
/** Threads that have ended because of STOP. */
export const ENDED = 7;
/** Bytes of all cells; a cache line apart from what follows. */
export const CELL_BYTES = 128;

/**
 * What threads can do: exports of the compiled kernels that take a struct with all they need, the tile to compute, and working memory of the thread's own
 * (Threads.work says how much). What a tile computes must not depend on who computes it, nor the result on how often.
 */
export const JOBS = [
  'productTile',
  'thinTile',
  'stepsTile',
  'depthwiseTile',
  'depthwiseWeightTile',
  'poolTile',
  'poolSpreadTile',
  'poolMaxGradTile',
  'runTile',
] as const;
export type JobName = (typeof JOBS)[number];
export type Job = (fields: number, tile: number, work: number) => void;

/** What a thread is told when it starts. */
export interface Start {
  /** The compiled kernels for a shared memory, and which of their exports are jobs. */
  readonly modules: readonly WebAssembly.Module[];
  readonly jobs: readonly string[];
  readonly memory: WebAssembly.Memory;
  /** Where the cells and the thread's own working memory lie, in bytes. */
  readonly cells: number;
  readonly work: number;
}
