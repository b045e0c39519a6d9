// Products in JavaScript, for dtypes that no compiled kernel takes: operands in doubles, tables of offsets as for the compiled ones, sums in doubles or, for integers, in 32 bits that wrap.
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Finish, MatmulCall } from './calls.ts';
import type { Margins, Surrounded } from './convTables.ts';
import { isWide, wideOf } from './convTables.ts';
import type { Engine, Tables } from './forms.ts';
import { eachMatrix, multiply } from './forms.ts';
import { volume } from './geometry.ts';
import type { Nest, PlanRef } from './plans.ts';
import type { ProductStore } from './store.ts';

export class PlainProduct implements Engine {
  readonly width = 8;
  readonly mostMarginBytes = Number.POSITIVE_INFINITY;
  readonly #heap: Heap;
  readonly #temporaries: Temporaries;
  readonly #store: ProductStore;
  readonly #integers: boolean;

  /** Results go to `store`, whose output begins at place 0. */
  constructor(heap: Heap, temporaries: Temporaries, store: ProductStore, integers: boolean) {
    this.#heap = heap;
    this.#temporaries = temporaries;
    this.#store = store;
    this.#integers = integers;
  }

  matmul(call: MatmulCall, a: number, b: number, c: number, finish: Finish): void {
    eachMatrix(call, 8, a, b, c, (from, other, to) => multiply(this, call, from, other, to, finish));
  }

  surround(planes: number, margins: Margins, from: number): Surrounded {
    const { extents, before } = margins;
    if (!isWide(margins)) return { at: from, extents, before: [0, 0, 0] };
    const wide = wideOf(margins);
    const start = this.#temporaries.take(planes * volume(wide) * 8);
    const { f64 } = this.#heap;
    f64.fill(0, start / 8, start / 8 + planes * volume(wide));
    const [depth, height, row] = extents;
    let source = from / 8;
    for (let p = 0; p < planes; p++)
      for (let z = 0; z < depth; z++)
        for (let y = 0; y < height; y++, source += row) {
          const to = ((p * wide[0] + before[0] + z) * wide[1] + before[1] + y) * wide[2] + before[2];
          f64.copyWithin(start / 8 + to, source, source + row);
        }
    return { at: start, extents: wide, before };
  }

  run(
    _plan: PlanRef,
    tables: () => Tables,
    a: number,
    b: number,
    c: number,
    _finish: Finish,
    channel: number,
  ): void {
    const [shape, starts = {}] = tables();
    const of = (name: keyof typeof shape & keyof typeof starts): Int32Array =>
      offsetsOf(shape[name], starts[name] ?? 0);
    const [aRows, aDepth, bDepth, bColumns] = [of('aRows'), of('aDepth'), of('bDepth'), of('bColumns')];
    const [cRows, cColumns] = [of('cRows'), of('cColumns')];
    if (shape.bDepthStart !== undefined)
      for (let k = 0; k < bDepth.length; k++) (bDepth[k] as number) += shape.bDepthStart;
    const { f64 } = this.#heap;
    const row = new Float64Array(aDepth.length);
    const sums = new Float64Array(bColumns.length);
    const take = this.#integers ? multiplyIntegers : multiplyFloats;
    for (let m = 0; m < aRows.length; m++) {
      const from = a / 8 + (aRows[m] as number);
      for (let k = 0; k < row.length; k++) row[k] = f64[from + (aDepth[k] as number)] as number;
      take(f64, row, b / 8, bDepth, bColumns, sums);
      this.#put(sums, c / 8 + (cRows[m] as number), cColumns, channel + m);
    }
  }

  /** Stores a row of sums, as far as its places go on in equal steps at a time. */
  #put(sums: Float64Array, to: number, places: Int32Array, row: number): void {
    const n = sums.length;
    for (let j = 0; j < n; ) {
      const first = places[j] as number;
      const step = j + 1 < n ? (places[j + 1] as number) - first : 1;
      let end = j + 1;
      while (end < n && places[end] === first + (end - j) * step) end++;
      this.#store.put(sums, j, end - j, to + first, step, row, j);
      j = end;
    }
  }
}

type Multiply = (
  data: Float64Array,
  row: Float64Array,
  b: number,
  depth: Int32Array,
  columns: Int32Array,
  sums: Float64Array,
) => void;

// Four columns at a time: the additions of one would wait for each other.

const multiplyFloats: Multiply = (data, row, b, depth, columns, sums) => {
  const n = columns.length;
  for (let j = 0; j < n; j += 4) {
    const p0 = b + (columns[j] as number);
    const p1 = b + (columns[Math.min(j + 1, n - 1)] as number);
    const p2 = b + (columns[Math.min(j + 2, n - 1)] as number);
    const p3 = b + (columns[Math.min(j + 3, n - 1)] as number);
    let [s0, s1, s2, s3] = [0, 0, 0, 0];
    for (let k = 0; k < row.length; k++) {
      const x = row[k] as number;
      const o = depth[k] as number;
      s0 += x * (data[p0 + o] as number);
      s1 += x * (data[p1 + o] as number);
      s2 += x * (data[p2 + o] as number);
      s3 += x * (data[p3 + o] as number);
    }
    sums[j] = s0;
    // past the end nothing is written
    sums[j + 1] = s1;
    sums[j + 2] = s2;
    sums[j + 3] = s3;
  }
};

const multiplyIntegers: Multiply = (data, row, b, depth, columns, sums) => {
  for (let j = 0; j < columns.length; j++) {
    const p = b + (columns[j] as number);
    let sum = 0;
    for (let k = 0; k < row.length; k++)
      sum = (sum + Math.imul(row[k] as number, data[p + (depth[k] as number)] as number)) | 0;
    sums[j] = sum;
  }
};

/** The offsets that a nest counts up, in elements. */
function offsetsOf(nest: Nest, start: number): Int32Array {
  let list = Int32Array.of(start);
  for (const [count, step] of nest) {
    const next = new Int32Array(list.length * count);
    for (let i = 0, at = 0; i < list.length; i++)
      for (let j = 0; j < count; j++) next[at++] = (list[i] as number) + j * step;
    list = next;
  }
  return list;
}
