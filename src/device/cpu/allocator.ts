// Who owns which bytes of the heap. Small requests come from free lists by size class (constant time); large ones by best fit from
// coalesced blocks, so that a long run of changing shapes does not fragment the memory. Offsets are multiples of 16.
import { OutOfMemoryError } from '../../core/errors.ts';
import type { Heap } from './heap.ts';

/** Requests up to this many bytes are served by class. */
const SMALL_LIMIT = 32768;
/** Bytes taken from the large blocks at a time to be cut into small ones. */
const SLAB = 262144;
/** Large blocks are multiples of this, so that nearly equal shapes reuse each other's blocks. */
const LARGE_STEP = 1024;

/** Four classes to a doubling, all multiples of 16: at most a quarter of a block is unused. */
const CLASS_BYTES: readonly number[] = makeClasses();
/** The class of a request, by its size in 16-byte units. */
const CLASS_OF = classTable();

function makeClasses(): number[] {
  const list = [16, 32, 48, 64, 80, 96, 112, 128];
  for (let base = 128; base < SMALL_LIMIT; base *= 2)
    for (let i = 1; i <= 4; i++) list.push(base + (base / 4) * i);
  return list;
}

function classTable(): Uint8Array {
  const table = new Uint8Array(SMALL_LIMIT / 16 + 1);
  let c = 0;
  for (let units = 0; units < table.length; units++) {
    while ((CLASS_BYTES[c] as number) < units * 16) c++;
    table[units] = c;
  }
  return table;
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
  #slabAt = 0;
  #slabEnd = 0;
  /** Everything from here on is free and was never part of a block in use, or has come back from one. */
  #top: number;
  /** The highest `#top` has been: bytes beyond it were never touched. */
  #touched: number;
  #reserved = 0;

  /** Hands out bytes from `start` on. */
  constructor(heap: Heap, start: number) {
    this.#heap = heap;
    this.#first = Math.ceil(start / LARGE_STEP) * LARGE_STEP;
    this.#top = this.#first;
    this.#touched = this.#first;
  }

  /** Bytes in blocks in use. */
  get reserved(): number {
    return this.#reserved;
  }

  /** Bytes that were in use once and wait for the next request. */
  get pooled(): number {
    return this.#touched - this.#first - this.#reserved;
  }

  /** The bytes that a request really takes. */
  static blockBytes(bytes: number): number {
    if (bytes <= SMALL_LIMIT) return CLASS_BYTES[CLASS_OF[Math.ceil(bytes / 16)] as number] as number;
    return Math.ceil(bytes / LARGE_STEP) * LARGE_STEP;
  }

  /** The offset of `bytes` bytes, or −1 where the memory cannot hold them. */
  alloc(bytes: number): number {
    const block = Allocator.blockBytes(bytes);
    const at =
      bytes <= SMALL_LIMIT
        ? this.#allocSmall(CLASS_OF[Math.ceil(bytes / 16)] as number, block)
        : this.#allocLarge(block);
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
    const block = Allocator.blockBytes(bytes);
    this.#reserved -= block;
    if (bytes <= SMALL_LIMIT) (this.#small[CLASS_OF[Math.ceil(bytes / 16)] as number] as number[]).push(at);
    else this.#freeLarge(at, block);
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
    const bytes = Math.ceil(block / LARGE_STEP) * LARGE_STEP;
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
