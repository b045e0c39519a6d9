// Who owns which bytes of the heap. Small requests come from free lists by size class (constant time); large ones by best fit from
// coalesced blocks, so that a long run of changing shapes does not fragment the memory. Offsets are multiples of 16.
import { OutOfMemoryError } from '../../core/errors.ts';
import type { Heap } from './heap.ts';

/** Requests up to this many bytes are served by class. */
const SMALL_LIMIT = 32768;
/** Bytes taken from the large blocks at a time to be cut into small ones. */
const SLAB = 262144;
/** The first such slab, at the beginning of the memory: a small array that stays would else cut the memory in two where large ones come and go. */
const FIRST_SLAB = 2 ** 22;
/** Large blocks are multiples of this, so that nearly equal shapes reuse each other's blocks. */
const LARGE_STEP = 1024;

/** The bytes of each class, four to a doubling, all multiples of 16, so that at most a quarter of a block is unused. */
const CLASS_BYTES: readonly number[] = makeClasses();

function makeClasses(): number[] {
  const list = [];
  for (let bytes = 16; bytes <= SMALL_LIMIT; bytes += Math.max(16, 2 ** (29 - Math.clz32(bytes))))
    list.push(bytes);
  return list;
}

/** The class of each request, by its size in units of 16 bytes. */
const CLASS_OF = Uint8Array.from({ length: SMALL_LIMIT / 16 + 1 }, (_, units) =>
  CLASS_BYTES.findIndex((bytes) => bytes >= units * 16),
);

/** The class of a request of so many bytes, −1 for a large one. */
function classOf(bytes: number): number {
  return bytes <= SMALL_LIMIT ? (CLASS_OF[Math.ceil(bytes / 16)] as number) : -1;
}

/** The bytes of the blocks of a class, or of a large block for so many. */
function blockOf(c: number, bytes: number): number {
  return c < 0 ? large(bytes) : (CLASS_BYTES[c] as number);
}

function large(bytes: number): number {
  return Math.ceil(bytes / LARGE_STEP) * LARGE_STEP;
}

/** Bytes of memory beyond the last block: compiled kernels may load a vector that ends past an array. */
const SLACK = 64;

interface FreeBlock {
  start: number;
  bytes: number;
}

export class Allocator {
  readonly #heap: Heap;
  readonly #small: number[][] = CLASS_BYTES.map(() => []);
  /** Free large blocks by ascending size, equal sizes by ascending start. */
  readonly #large: FreeBlock[] = [];
  readonly #byStart = new Map<number, FreeBlock>();
  readonly #byEnd = new Map<number, FreeBlock>();
  readonly #first: number;
  /** The slab that is being cut: from here on it was never in use. */
  #slabAt: number;
  #slabEnd: number;
  /** Everything from here on is free and was never part of a block in use, or has come back from one. */
  #top: number;
  /** The highest `#top` has been: bytes beyond it were never touched. */
  #touched: number;
  #reserved = 0;

  /** Hands out bytes from `start` on. */
  constructor(heap: Heap, start: number) {
    this.#heap = heap;
    this.#first = large(start);
    this.#slabAt = this.#first;
    this.#slabEnd = this.#first + FIRST_SLAB;
    this.#top = this.#slabEnd;
    this.#touched = this.#top;
  }

  /** Bytes in blocks in use. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Bytes that were in use once and wait for the next request. */
  get pooled(): number {
    return this.#touched - this.#first - this.#reserved - (this.#slabEnd - this.#slabAt);
  }

  /** The offset of `bytes` bytes, or −1 where the memory cannot hold them. */
  alloc(bytes: number): number {
    const c = classOf(bytes);
    const block = blockOf(c, bytes);
    const at = c < 0 ? this.#allocLarge(block) : this.#allocSmall(c, block);
    if (at >= 0) this.#reserved += block;
    return at;
  }

  /** As `alloc`, for the device's own needs: throws where the memory cannot hold them. `op`: who asks. */
  take(bytes: number, op: string): number {
    const at = this.alloc(bytes);
    if (at < 0)
      throw new OutOfMemoryError(
        `expected ${bytes} bytes of working memory, received none. Free some arrays.`,
        { op },
      );
    return at;
  }

  /** Gives back what `alloc(bytes)` returned. */
  free(at: number, bytes: number): void {
    const c = classOf(bytes);
    const block = blockOf(c, bytes);
    this.#reserved -= block;
    if (c < 0) this.#freeLarge(at, block);
    else (this.#small[c] as number[]).push(at);
  }

  #allocSmall(c: number, block: number): number {
    const list = this.#small[c] as number[];
    const reused = list.pop();
    if (reused !== undefined) return reused;
    if (this.#slabEnd - this.#slabAt < block) {
      const slab = this.#allocLarge(SLAB);
      if (slab < 0) return this.#splitLarger(c, block);
      // what is left of the old slab becomes blocks of the largest classes that fit
      this.#shelve(this.#slabAt, this.#slabEnd);
      this.#slabAt = slab;
      this.#slabEnd = slab + SLAB;
    }
    const at = this.#slabAt;
    this.#slabAt += block;
    return at;
  }

  /** With the memory full: a free block of a larger class, or the rest of a large one. */
  #splitLarger(c: number, block: number): number {
    for (let k = c + 1; k < this.#small.length; k++) {
      const at = this.#small[k]?.pop();
      if (at !== undefined) {
        this.#shelve(at + block, at + (CLASS_BYTES[k] as number));
        return at;
      }
    }
    const bytes = large(block);
    const at = this.#allocLarge(bytes);
    if (at >= 0) this.#shelve(at + block, at + bytes);
    return at;
  }

  #shelve(from: number, to: number): void {
    let at = from;
    for (let c = CLASS_BYTES.length - 1; c >= 0 && at < to; ) {
      const bytes = CLASS_BYTES[c] as number;
      if (bytes <= to - at) {
        (this.#small[c] as number[]).push(at);
        at += bytes;
      } else c--;
    }
  }

  #allocLarge(bytes: number): number {
    const i = this.#firstAtLeast(bytes, 0);
    const found = this.#large[i];
    if (found !== undefined) {
      this.#remove(found, i);
      if (found.bytes > bytes) this.#insert(found.start + bytes, found.bytes - bytes);
      return found.start;
    }
    const at = this.#top;
    if (at + bytes + SLACK > this.#heap.bytes && !this.#heap.growTo(at + bytes + SLACK)) return -1;
    this.#top = at + bytes;
    if (this.#top > this.#touched) this.#touched = this.#top;
    return at;
  }

  #freeLarge(at: number, bytes: number): void {
    let start = at;
    let end = at + bytes;
    const before = this.#byEnd.get(start);
    if (before !== undefined) {
      this.#remove(before);
      start = before.start;
    }
    const after = this.#byStart.get(end);
    if (after !== undefined) {
      this.#remove(after);
      end += after.bytes;
    }
    if (end === this.#top) this.#top = start;
    else this.#insert(start, end - start);
  }

  #insert(start: number, bytes: number): void {
    const block = { start, bytes };
    this.#large.splice(this.#firstAtLeast(bytes, start), 0, block);
    this.#byStart.set(start, block);
    this.#byEnd.set(start + bytes, block);
  }

  #remove(block: FreeBlock, index = this.#firstAtLeast(block.bytes, block.start)): void {
    this.#large.splice(index, 1);
    this.#byStart.delete(block.start);
    this.#byEnd.delete(block.start + block.bytes);
  }

  /** The first free block not before (bytes, start) in the order of the list. */
  #firstAtLeast(bytes: number, start: number): number {
    let low = 0;
    let high = this.#large.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const block = this.#large[middle] as FreeBlock;
      if (block.bytes < bytes || (block.bytes === bytes && block.start < start)) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
