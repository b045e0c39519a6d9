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
/** Work in place, which reads what it overwrites: where that begins (0: the job is none), the bytes of a tile, and where it ends. */
export const OVER = 8;
export const OVER_TILE = 9;
export const OVER_END = 10;
/** From here on one for each thread: 1 + the tile in place that it may be overwriting, whose old values it has saved; 0 for none; −1: it must not begin. */
export const WRITING = 16;
/** From this byte on one for each tile of work in place, 1 when it is done. */
export const FLAGS = 128;
/** Tiles of work in place, at the most. */
export const MOST_FLAGS = 4096;
/** Bytes of all cells; cache lines apart from what follows. */
export const CELL_BYTES = FLAGS + MOST_FLAGS;
/** Bytes of a tile in place at the most: a thread has room to save them. */
export const SAVED_BYTES = 2 ** 16;

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

/** What a job in place overwrites, in bytes: where it begins and ends, and how much of it a tile does. */
export interface Overwritten {
  readonly at: number;
  readonly tile: number;
  readonly end: number;
}

/** What a thread is told when it starts. */
export interface Start {
  /** The compiled kernels for a shared memory, and which of their exports are jobs. */
  readonly modules: readonly WebAssembly.Module[];
  readonly jobs: readonly string[];
  readonly memory: WebAssembly.Memory;
  /** Where the cells and the thread's own working memory lie, in bytes; and where it saves what it is about to overwrite. */
  readonly cells: number;
  readonly work: number;
  readonly saved: number;
  /** Which thread it is, from 1 on: the caller is 0. */
  readonly index: number;
}
