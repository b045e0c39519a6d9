// Stable sorting of rows. Values become unsigned 32-bit keys that compare as they do (float64: doubles), so that one radix sort serves all
// dtypes; short rows are merged instead, for there the radix sort's counting costs more than the row.
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
  const down = descending !== 0;
  const from = x.storage.offset / bytesOf(x.dtype);
  const units: { [i: number]: number } = unitsOf(heap, x.dtype);
  const to = values.storage.offset / bytesOf(values.dtype);
  const move = x.dtype === values.dtype ? null : moveBetween(x.dtype, values.dtype);
  const placesTo = places === undefined ? 0 : places.storage.offset / bytesOf(places.dtype);
  const placesView: { [i: number]: number } | null = places === undefined ? null : viewOf(heap, places.dtype);
  const wide = x.dtype === 'float64';
  const sorter = wide ? new DoubleSorter(length) : new KeySorter(length);
  for (let r = 0; r < rows; r++) {
    const row = from + r * length;
    const order =
      sorter instanceof KeySorter
        ? sorter.sort((keys) => fillKeys(heap, x.dtype, row, length, down, keys))
        : sorter.sort(heap.f64, row, down);
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

/** Keys that ascend as the values do: NaN above all, −0 equal to 0; all turned round for a descending sort. */
function fillKeys(heap: Heap, dtype: DType, at: number, n: number, down: boolean, keys: Uint32Array): void {
  const flip = down ? 0xffffffff : 0;
  if (dtype === 'float32') {
    const bits = heap.u32;
    for (let i = 0; i < n; i++) keys[i] = floatKey(bits[at + i] as number) ^ flip;
  } else if (isFloat(dtype)) {
    for (let i = 0; i < n; i++) {
      floatWord[0] = readElement(heap, dtype, at + i);
      keys[i] = floatKey(wordBits[0] as number) ^ flip;
    }
  } else {
    const offset = dtype === 'int32' || dtype === 'int8' ? 0x80000000 : 0;
    const view: { [i: number]: number } = viewOf(heap, dtype);
    for (let i = 0; i < n; i++) keys[i] = ((view[at + i] as number) + offset) ^ flip;
  }
}

function floatKey(bits: number): number {
  if ((bits & 0x7fffffff) >>> 0 > 0x7f800000) return 0xffffffff;
  if (bits === 0x80000000) return 0x80000000;
  return (bits & 0x80000000 ? ~bits : bits | 0x80000000) >>> 0;
}

class KeySorter {
  readonly #length: number;
  readonly #keys: Uint32Array;
  readonly #otherKeys: Uint32Array;
  readonly #order: Int32Array;
  readonly #otherOrder: Int32Array;
  readonly #counts = new Int32Array(3 * BUCKETS);

  constructor(length: number) {
    this.#length = length;
    this.#keys = new Uint32Array(length);
    this.#otherKeys = new Uint32Array(length);
    this.#order = new Int32Array(length);
    this.#otherOrder = new Int32Array(length);
  }

  /** The places in ascending order of their keys, equal keys in their own order. */
  sort(fill: (keys: Uint32Array) => void): Int32Array {
    fill(this.#keys);
    for (let i = 0; i < this.#length; i++) this.#order[i] = i;
    return this.#length < RADIX_FROM
      ? mergeSort(this.#keys, this.#otherKeys, this.#order, this.#otherOrder)
      : this.#radixSort();
  }

  #radixSort(): Int32Array {
    const n = this.#length;
    const counts = this.#counts;
    counts.fill(0);
    let keys = this.#keys;
    for (let i = 0; i < n; i++) {
      const key = keys[i] as number;
      const d0 = key & (BUCKETS - 1);
      const d1 = BUCKETS + ((key >>> DIGIT) & (BUCKETS - 1));
      const d2 = 2 * BUCKETS + (key >>> (2 * DIGIT));
      counts[d0] = (counts[d0] as number) + 1;
      counts[d1] = (counts[d1] as number) + 1;
      counts[d2] = (counts[d2] as number) + 1;
    }
    let otherKeys = this.#otherKeys;
    let order = this.#order;
    let otherOrder = this.#otherOrder;
    for (let pass = 0; pass < 3; pass++) {
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
      [keys, otherKeys] = [otherKeys, keys];
      [order, otherOrder] = [otherOrder, order];
    }
    return order;
  }
}

class DoubleSorter {
  readonly #length: number;
  readonly #result: Int32Array;

  constructor(length: number) {
    this.#length = length;
    this.#result = new Int32Array(length);
  }

  /** As `KeySorter.sort`, with the NaN taken out first. */
  sort(m: Float64Array, at: number, down: boolean): Int32Array {
    const n = this.#length;
    let numbers = 0;
    for (let i = 0; i < n; i++) if (!Number.isNaN(m[at + i])) numbers++;
    const keys = new Float64Array(numbers);
    const order = new Int32Array(numbers);
    let k = 0;
    let nan = down ? 0 : numbers;
    for (let i = 0; i < n; i++) {
      const x = m[at + i] as number;
      if (Number.isNaN(x)) this.#result[nan++] = i;
      else {
        keys[k] = down ? -x : x;
        order[k++] = i;
      }
    }
    const sorted = mergeSort(keys, new Float64Array(numbers), order, new Int32Array(numbers));
    this.#result.set(sorted, down ? n - numbers : 0);
    return this.#result;
  }
}

/** Insertion in short runs, then merging from the bottom up between the two pairs of arrays; returns the one that ends up sorted. */
function mergeSort<T extends Uint32Array | Float64Array>(
  keys: T,
  otherKeys: T,
  order: Int32Array,
  otherOrder: Int32Array,
): Int32Array {
  const n = keys.length;
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
    [keys, otherKeys] = [otherKeys, keys];
    [order, otherOrder] = [otherOrder, order];
  }
  return order;
}
