// Stable sorting of rows. Values become unsigned keys of 32 bits that compare as they do (those of float64 two, of which the lower is sorted by first), so that one
// radix sort serves all dtypes; short rows are merged instead, for there the radix sort's counting costs more than the row.
import type { DType } from '../../../core/dtype.ts';
import { bytesOf, isFloat } from '../../../core/dtype.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween, readElement, unitsOf, viewOf } from '../convert.ts';
import type { Heap } from '../heap.ts';

/** Rows from this length on are sorted by radix. */
const RADIX_FROM = 512;
const DIGIT = 11;
const BUCKETS = 2 ** DIGIT;
const RUN = 12;

export function sort(
  heap: Heap,
  x: Operand,
  values: Operand,
  places: Operand | undefined,
  dims: readonly number[],
): void {
  const [rows = 0, length = 0, descending = 0] = dims;
  if (rows * length === 0) return;
  const from = x.storage.offset / bytesOf(x.dtype);
  const units: { [i: number]: number } = unitsOf(heap, x.dtype);
  const to = values.storage.offset / bytesOf(values.dtype);
  const move = x.dtype === values.dtype ? null : moveBetween(x.dtype, values.dtype);
  const placesTo = places === undefined ? 0 : places.storage.offset / bytesOf(places.dtype);
  const placesView: { [i: number]: number } | null = places === undefined ? null : viewOf(heap, places.dtype);
  const sorter = new Sorter(length);
  for (let r = 0; r < rows; r++) {
    const row = from + r * length;
    const order = sorter.sort(heap, x.dtype, row, descending === 0 ? 0 : 0xffffffff);
    const out = to + r * length;
    if (move === null)
      for (let i = 0; i < length; i++) units[out + i] = units[row + (order[i] as number)] as number;
    else for (let i = 0; i < length; i++) move(heap, 1, out + i, 1, row + (order[i] as number), 1);
    if (placesView !== null)
      for (let i = 0; i < length; i++) placesView[placesTo + r * length + i] = order[i] as number;
  }
}

const floatWord = new Float32Array(1);
const wordBits = new Uint32Array(floatWord.buffer);

/** What an infinity has in its upper word. */
const INFINITY_32 = 0x7f800000;
const INFINITY_64 = 0x7ff00000;

/** The key of a float's upper word, or else of its lower: ascends as the float does, NaN above all, −0 equal to 0. `low` is 0 where a float has one word. */
function floatKey(high: number, low: number, infinity: number, upper: boolean): number {
  const size = high & 0x7fffffff;
  if (size > infinity || (size === infinity && low !== 0)) return 0xffffffff;
  const sign = upper ? 0x80000000 : 0;
  if ((size | low) === 0) return sign;
  return ((upper ? high : low) ^ (high & 0x80000000 ? 0xffffffff : sign)) >>> 0;
}

/** Keys, and the places that they have come from. */
interface Row {
  readonly keys: Uint32Array;
  readonly order: Int32Array;
}

/** Sorts rows of one length, from one pair of arrays to another and back. */
class Sorter {
  readonly #length: number;
  #row: Row;
  #other: Row;
  readonly #counts = new Int32Array(3 * BUCKETS);

  constructor(length: number) {
    const row = (): Row => ({ keys: new Uint32Array(length), order: new Int32Array(length) });
    this.#length = length;
    this.#row = row();
    this.#other = row();
  }

  /** The places of the elements from `at` on in ascending order, equal ones in their own; `flip`: all bits of a key for a descending order. */
  sort(heap: Heap, dtype: DType, at: number, flip: number): Int32Array {
    const { order } = this.#row;
    for (let i = 0; i < order.length; i++) order[i] = i;
    if (dtype === 'float64') this.#sortBy(heap, dtype, at, flip, false);
    this.#sortBy(heap, dtype, at, flip, true);
    return this.#row.order;
  }

  #sortBy(heap: Heap, dtype: DType, at: number, flip: number, upper: boolean): void {
    this.#fillKeys(heap, dtype, at, flip, upper);
    if (this.#length < RADIX_FROM) this.#merge();
    else this.#sortByDigits();
  }

  #fillKeys(heap: Heap, dtype: DType, at: number, flip: number, upper: boolean): void {
    const { keys, order } = this.#row;
    const n = this.#length;
    const bits = heap.u32;
    if (dtype === 'float32')
      for (let i = 0; i < n; i++) keys[i] = floatKey(bits[at + i] as number, 0, INFINITY_32, true) ^ flip;
    else if (dtype === 'float64')
      for (let i = 0; i < n; i++) {
        const word = 2 * (at + (order[i] as number));
        keys[i] = floatKey(bits[word + 1] as number, bits[word] as number, INFINITY_64, upper) ^ flip;
      }
    else if (isFloat(dtype))
      for (let i = 0; i < n; i++) {
        floatWord[0] = readElement(heap, dtype, at + i);
        keys[i] = floatKey(wordBits[0] as number, 0, INFINITY_32, true) ^ flip;
      }
    else {
      const offset = dtype === 'int32' || dtype === 'int8' ? 0x80000000 : 0;
      const view: { [i: number]: number } = viewOf(heap, dtype);
      for (let i = 0; i < n; i++) keys[i] = ((view[at + i] as number) + offset) ^ flip;
    }
  }

  #turn(): void {
    [this.#row, this.#other] = [this.#other, this.#row];
  }

  #sortByDigits(): void {
    const n = this.#length;
    const counts = this.#counts.fill(0);
    const all = this.#row.keys;
    for (let i = 0; i < n; i++) {
      const key = all[i] as number;
      const d0 = key & (BUCKETS - 1);
      const d1 = BUCKETS + ((key >>> DIGIT) & (BUCKETS - 1));
      const d2 = 2 * BUCKETS + (key >>> (2 * DIGIT));
      counts[d0] = (counts[d0] as number) + 1;
      counts[d1] = (counts[d1] as number) + 1;
      counts[d2] = (counts[d2] as number) + 1;
    }
    for (let pass = 0; pass < 3; pass++) {
      const { keys, order } = this.#row;
      const { keys: otherKeys, order: otherOrder } = this.#other;
      const shift = pass * DIGIT;
      const base = pass * BUCKETS;
      // all in one bucket: nothing moves
      if (counts[base + (((keys[0] as number) >>> shift) & (BUCKETS - 1))] === n) continue;
      let sum = 0;
      for (let b = base; b < base + BUCKETS; b++) {
        const count = counts[b] as number;
        counts[b] = sum;
        sum += count;
      }
      for (let i = 0; i < n; i++) {
        const key = keys[i] as number;
        const bucket = base + ((key >>> shift) & (BUCKETS - 1));
        const to = counts[bucket] as number;
        counts[bucket] = to + 1;
        otherKeys[to] = key;
        otherOrder[to] = order[i] as number;
      }
      this.#turn();
    }
  }

  /** Insertion in short runs, then merging from the bottom up. */
  #merge(): void {
    const n = this.#length;
    const { keys, order } = this.#row;
    for (let start = 0; start < n; start += RUN) {
      const end = Math.min(start + RUN, n);
      for (let i = start + 1; i < end; i++) {
        const key = keys[i] as number;
        const place = order[i] as number;
        let j = i - 1;
        for (; j >= start && (keys[j] as number) > key; j--) {
          keys[j + 1] = keys[j] as number;
          order[j + 1] = order[j] as number;
        }
        keys[j + 1] = key;
        order[j + 1] = place;
      }
    }
    for (let width = RUN; width < n; width *= 2) {
      mergePairs(this.#row, this.#other, width);
      this.#turn();
    }
  }
}

/** Merges each two neighbouring runs of `width`. */
function mergePairs({ keys, order }: Row, { keys: otherKeys, order: otherOrder }: Row, width: number): void {
  const n = keys.length;
  for (let start = 0; start < n; start += 2 * width) {
    const middle = Math.min(start + width, n);
    const end = Math.min(start + 2 * width, n);
    let i = start;
    let j = middle;
    for (let o = start; o < end; o++) {
      const left = i < middle && (j >= end || (keys[i] as number) <= (keys[j] as number));
      const p = left ? i++ : j++;
      otherKeys[o] = keys[p] as number;
      otherOrder[o] = order[p] as number;
    }
  }
}
