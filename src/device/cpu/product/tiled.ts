// Products in float32 by the compiled kernels (kernels/product.ts), with tables kept from call to call, on as many threads as there are. Matrices of few rows or few multiplications and
// depthwise convolutions have kernels of their own.
import type { Allocator } from '../allocator.ts';
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Threads } from '../threads/threads.ts';
import type { ProductExports } from '../wasm/load.ts';
import type { ConvCall, Finish, MatmulCall } from './calls.ts';
import { Depthwise } from './depthwise.ts';
import type { Engine, Tables } from './forms.ts';
import type { Batch, ProductJob } from './layout.ts';
import type { PlanRef } from './plans.ts';
import { Plans } from './plans.ts';

/** Fields of a product in memory. */
const FIELD_BYTES = 128;

/** An operand: where it begins, its rows or columns and its depth (tables or distances, in bytes), and from matrix to matrix, in elements. */
type Factor = readonly [at: number, side: number, depth: number, steps: Batch['aSteps']];

/** Kinds of bias in kernels. */
const KIND = { none: 0, m: 1, n: 2 } as const;

export class TiledProduct implements Engine {
  readonly width = 4;
  readonly mostMarginBytes = 2 ** 26;
  readonly heap: Heap;
  readonly temporaries: Temporaries;
  readonly plans: Plans;
  readonly #allocator: Allocator;
  readonly #threads: Threads;
  readonly #depthwise: Depthwise;
  #fields = 0;

  constructor(heap: Heap, allocator: Allocator, temporaries: Temporaries, threads: Threads) {
    this.heap = heap;
    this.#allocator = allocator;
    this.temporaries = temporaries;
    this.plans = new Plans(heap, allocator, temporaries);
    this.#depthwise = new Depthwise(heap, temporaries, threads);
    this.#threads = threads;
  }

  /** The kernels on the memory as it is now. */
  get #kernel(): ProductExports {
    return this.heap.kernels.product;
  }

  /** Matrices of few rows, steps or multiplications. */
  unpacked(call: MatmulCall, a: number, b: number, c: number, finish: Finish): boolean {
    const { job, layout, turned } = call;
    if (job === 'productTile') return false;
    const { M, N, K, cRow, aSteps, bSteps } = layout;
    const left = [a, call.a[0] * 4, call.a[1] * 4, aSteps] as const;
    const right = [b, call.b[0] * 4, call.b[1] * 4, bSteps] as const;
    const result = [c, cRow * 4, 4] as const;
    if (turned) this.#do(job, right, left, result, [N, M, K], finish, 3 - KIND[finish.kind], layout, false);
    else this.#do(job, left, right, result, [M, N, K], finish, KIND[finish.kind], layout, false);
    return true;
  }

  /** With one channel of the data to a group, over two axes. */
  depthwise(call: ConvCall, a: number, b: number, c: number, finish: Finish): boolean {
    return this.#depthwise.run(call, a, b, c, finish);
  }

  run(
    ref: PlanRef,
    tables: () => Tables,
    a: number,
    b: number,
    c: number,
    finish: Finish,
    batch: Batch,
    add: boolean,
  ): void {
    const plan = this.plans.find(ref, tables);
    const { aRows, aDepth, bDepth, bColumns, cRows, cColumns } = plan;
    this.#do(
      'productTile',
      [a, aRows.at, aDepth.at, batch.aSteps],
      [b, bColumns.at, bDepth.at, batch.bSteps],
      [c, cRows.at, cColumns.at],
      [aRows.count, bColumns.count, aDepth.count],
      finish,
      KIND[finish.kind],
      batch,
      add,
    );
  }

  /** Shares a job (see kernels/fields.ts); `bias`: its kind. */
  #do(
    job: ProductJob,
    a: Factor,
    b: Factor,
    c: readonly [at: number, rows: number, columns: number],
    [M, N, K]: readonly [number, number, number],
    finish: Finish,
    bias: number,
    { batch, inner, cSteps, biasStep = 0 }: Batch,
    add: boolean,
  ): void {
    const threads = this.#threads;
    const { work } = threads;
    if (this.#fields === 0) this.#fields = this.#allocator.take(FIELD_BYTES, this.temporaries.op);
    // a sum that is added to cannot be computed again
    const pool = add ? null : threads.pool;
    const cut = pool?.cut(job, b[1] === 4, batch, M, N, K);
    const { tileRows = M, tileColumns = N, across = 1, tiles = 1, matrices = batch } = cut ?? {};
    const [aPlace, aSide, aDepth, aSteps] = a;
    const [bPlace, bSide, bDepth, bSteps] = b;
    // biome-ignore format: as in kernels/fields.ts
    const words = [
      aPlace, aSide, aDepth, bPlace, bDepth, bSide, c[0], c[1], c[2], K,
      finish.bias, bias, finish.relu ? 1 : 0, add ? 1 : 0,
      M, N, tileRows, tileColumns, across, tiles, matrices, batch, inner,
      aSteps[0] * 4, aSteps[1] * 4, bSteps[0] * 4, bSteps[1] * 4, cSteps[0] * 4, cSteps[1] * 4, biasStep * 4,
    ];
    const { u32 } = this.heap;
    const fields = this.#fields;
    for (let i = 0; i < words.length; i++) u32[fields / 4 + i] = words[i] as number;
    const count = tiles * Math.ceil(batch / matrices);
    threads.run(job, fields, count, () => {
      for (let i = 0; i < count; i++) this.#kernel[job](fields, i, work);
    });
  }
}
