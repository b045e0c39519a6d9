// Products in JavaScript, for dtypes that no compiled kernel takes: operands in doubles, the compiled ones' tables of offsets, sums in doubles or, for integers, in 32 bits that wrap.
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Finish } from './calls.ts';
import type { Engine, Tables } from './forms.ts';
import type { Batch } from './layout.ts';
import { startOf } from './layout.ts';
import type { PlanRef, Plans, Table } from './plans.ts';
import type { ProductStore } from './store.ts';
import type { TiledProduct } from './tiled.ts';

export class PlainProduct implements Engine {
  readonly width = 8;
  readonly mostMarginBytes = Number.POSITIVE_INFINITY;
  readonly heap: Heap;
  readonly temporaries: Temporaries;
  readonly #plans: Plans;
  readonly #store: ProductStore;
  readonly #integers: boolean;

  /** Results go to `store`, whose output begins at place 0. */
  constructor({ heap, temporaries, plans }: TiledProduct, store: ProductStore, integers: boolean) {
    this.heap = heap;
    this.temporaries = temporaries;
    this.#plans = plans;
    this.#store = store;
    this.#integers = integers;
  }

  run(
    ref: PlanRef,
    tables: () => Tables,
    a: number,
    b: number,
    c: number,
    _finish: Finish,
    batch: Batch,
  ): void {
    const plan = this.#plans.find(ref, tables);
    const { f64, u32 } = this.heap;
    const of = ({ at, count }: Table): Uint32Array =>
      u32.slice(at / 4, at / 4 + count).map((byte) => byte / 4);
    const [aRows, aDepth, bDepth, bColumns] = [
      of(plan.aRows),
      of(plan.aDepth),
      of(plan.bDepth),
      of(plan.bColumns),
    ];
    const [cRows, cColumns] = [of(plan.cRows), of(plan.cColumns)];
    const row = new Float64Array(aDepth.length);
    const sums = new Float64Array(bColumns.length);
    const take = this.#integers ? multiplyIntegers : multiplyFloats;
    for (let i = 0; i < batch.batch; i++) {
      const [ai, bi, ci] = [batch.aSteps, batch.bSteps, batch.cSteps].map((steps) =>
        startOf(steps, i, batch),
      );
      for (let m = 0; m < aRows.length; m++) {
        const from = a / 8 + (ai as number) + (aRows[m] as number);
        for (let k = 0; k < row.length; k++) row[k] = f64[from + (aDepth[k] as number)] as number;
        take(f64, row, b / 8 + (bi as number), bDepth, bColumns, sums);
        const channel = i * (batch.biasStep ?? 0) + m;
        this.#put(sums, c / 8 + (ci as number) + (cRows[m] as number), cColumns, channel);
      }
    }
  }

  /** Stores a row of sums, as far as its places go on in equal steps at a time. */
  #put(sums: Float64Array, to: number, places: Uint32Array, row: number): void {
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
  depth: Uint32Array,
  columns: Uint32Array,
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
