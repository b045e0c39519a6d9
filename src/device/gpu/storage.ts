// What this device hands out as Storage, and the buffers behind it.

import type { GluonError } from '../../core/errors.ts';
import type { Storage } from '../../ir/storage.ts';

/** A GPU buffer of a size class. It outlives the storages that live in it one after the other. */
export interface PooledBuffer {
  /** Unique for the device's life. */
  readonly id: number;
  readonly gpu: GPUBuffer;
  /** In bytes, padded to its class. */
  readonly size: number;
  readonly sizeClass: number;
  /** The batch in which recorded commands last used it: while that batch is open, the host may neither write nor destroy it. */
  batch: number;
  /** The batch during which it was made: if that batch fails, the buffer may be none. */
  readonly madeIn: number;
  /** Not to be used again. */
  broken: boolean;
  /** When it was last given back, in ticks of the pool. */
  freedAt: number;
}

/** What went wrong with a storage's contents. */
export interface Poison {
  /** The batch that failed. */
  readonly batch: number;
  readonly error: GluonError;
}

/** A storage of one GPU device. */
export class GpuStorage implements Storage {
  readonly buffer: number;
  readonly offset = 0;
  readonly bytes: number;
  refs = 0;
  userRefs = 0;
  /** The device it belongs to, by identity; another generation's storage is refused. */
  readonly owner: object;
  readonly pooled: PooledBuffer;
  /** Set when work that made its contents failed; reads reject with it. */
  poison: Poison | null = null;
  freed = false;

  constructor(owner: object, pooled: PooledBuffer, bytes: number) {
    this.owner = owner;
    this.pooled = pooled;
    this.buffer = pooled.id;
    this.bytes = bytes;
  }
}
