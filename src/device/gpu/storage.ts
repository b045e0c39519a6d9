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
  readonly offset: number;
  readonly bytes: number;
  /** Bytes of its binding: the whole buffer, or a part with the padding that shaders may reach. */
  readonly boundBytes: number;
  refs = 0;
  userRefs = 0;
  /** The device it belongs to, by identity; another generation's storage is refused. */
  readonly owner: object;
  readonly pooled: PooledBuffer;
  #poison: Poison | null = null;
  /** The first failure among its parts. */
  #partPoison: Poison | null = null;
  freed = false;
  /** Whether its bytes are counted as users'. */
  users = false;
  /** The storage whose part this is. */
  readonly whole: GpuStorage | null;
  /** How many parts of it are in use. */
  parts = 0;

  constructor(
    owner: object,
    pooled: PooledBuffer,
    bytes: number,
    offset = 0,
    whole: GpuStorage | null = null,
  ) {
    this.owner = owner;
    this.offset = offset;
    this.whole = whole;
    this.pooled = pooled;
    this.buffer = pooled.id;
    this.bytes = bytes;
    this.boundBytes = whole === null ? pooled.size : Math.max(Math.ceil(bytes / 16) * 16, 16);
  }

  /** The memory from its beginning on, also beyond its end: for a binding only. */
  span(bytes: number): GpuStorage {
    return new GpuStorage(this.owner, this.pooled, bytes, this.offset, this.whole ?? this);
  }

  /** What spoiled its contents, if anything did: reads reject with it. A failure of a part is one of the whole, and the other way round. */
  get poison(): Poison | null {
    return this.#poison ?? this.#partPoison ?? (this.whole === null ? null : this.whole.#poison);
  }

  /** Work that made or changed its contents failed; the first failure stays. */
  spoil(poison: Poison): void {
    this.#poison ??= poison;
    if (this.whole !== null) this.whole.#partPoison ??= poison;
  }
}
