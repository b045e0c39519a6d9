// Buffers kept for the next arrays. Size classes are powers of two in quarter steps, so at most a fifth of a buffer is slack; free
// lists are last in, first out, so that a warm loop meets the same buffers and its bind groups are found again.

import type { PooledBuffer } from './storage.ts';
import { COPY_DST, COPY_SRC, STORAGE } from './usage.ts';

/** Bytes of the smallest class. */
const SMALLEST = 256;
const SMALLEST_LOG2 = 8;

/** The class that holds `bytes`: class 4k + j has 2^(8+k) · (1 + j/4) bytes. */
export function sizeClassOf(bytes: number): number {
  if (bytes <= SMALLEST) return 0;
  // bytes − 1 so that an exact power of two stays in its own class
  const log2 = Math.floor(Math.log2(bytes - 1));
  const base = 2 ** log2;
  return (log2 - SMALLEST_LOG2) * 4 + Math.ceil((bytes - base) / (base / 4));
}

/** Bytes of a class. */
export function bytesOfClass(sizeClass: number): number {
  const whole = Math.floor(sizeClass / 4);
  return 2 ** (SMALLEST_LOG2 + whole) * (1 + (sizeClass % 4) / 4);
}

export interface BufferPoolOptions {
  readonly device: GPUDevice;
  /** The largest buffer that may be made and bound. */
  readonly maxBytes: number;
  /** Free bytes that are kept. */
  readonly keepBytes: number;
  /** Called for each buffer that is destroyed. */
  readonly onDestroy: (buffer: PooledBuffer) => void;
}

export class BufferPool {
  readonly #options: BufferPoolOptions;
  readonly #free: PooledBuffer[][] = [];
  #nextId = 1;
  #tick = 0;
  /** Bytes in free buffers. */
  freeBytes = 0;
  /** Bytes in all buffers, free or not. */
  totalBytes = 0;
  created = 0;

  constructor(options: BufferPoolOptions) {
    this.#options = options;
  }

  /** A buffer of at least `bytes`, with what its last owner left in it. `batch` is the open batch. */
  take(bytes: number, batch: number): PooledBuffer {
    const sizeClass = sizeClassOf(bytes);
    const buffer = this.#free[sizeClass]?.pop();
    if (buffer !== undefined) {
      this.freeBytes -= buffer.size;
      return buffer;
    }
    // The class may be larger than the device allows though the array is not.
    const size = Math.min(
      bytesOfClass(sizeClass),
      Math.max(this.#options.maxBytes - (this.#options.maxBytes % 16), Math.ceil(bytes / 16) * 16),
    );
    const gpu = this.#options.device.createBuffer({ size, usage: STORAGE | COPY_SRC | COPY_DST });
    this.created++;
    this.totalBytes += size;
    return { id: this.#nextId++, gpu, size, sizeClass, batch: 0, madeIn: batch, broken: false, freedAt: 0 };
  }

  /** Takes a buffer back; later dispatches may have it at once. */
  give(buffer: PooledBuffer): void {
    if (buffer.broken) {
      this.#destroy(buffer);
      return;
    }
    buffer.freedAt = ++this.#tick;
    let list = this.#free[buffer.sizeClass];
    if (list === undefined) {
      list = [];
      this.#free[buffer.sizeClass] = list;
    }
    list.push(buffer);
    this.freeBytes += buffer.size;
  }

  /** Destroys free buffers, the longest free first, until no more than `keep` bytes are. Only right after a submit: no open batch uses them then. */
  trim(keep = this.#options.keepBytes): void {
    while (this.freeBytes > keep) {
      let oldest: PooledBuffer[] | undefined;
      for (const list of this.#free) {
        if (list === undefined || list.length === 0) continue;
        if (oldest === undefined || (list[0] as PooledBuffer).freedAt < (oldest[0] as PooledBuffer).freedAt)
          oldest = list;
      }
      const buffer = oldest?.shift();
      if (buffer === undefined) return;
      this.freeBytes -= buffer.size;
      this.#destroy(buffer);
    }
  }

  #destroy(buffer: PooledBuffer): void {
    this.totalBytes -= buffer.size;
    buffer.broken = true;
    buffer.gpu.destroy();
    this.#options.onDestroy(buffer);
  }
}
