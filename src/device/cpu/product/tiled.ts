// Products in float32 by the compiled kernels (kernels/product.ts), with tables kept from call to call, on as many threads as there are. Matrices of few rows or few multiplications and
// depthwise convolutions have kernels of their own.
import { OutOfMemoryError } from '../../../core/errors.ts';
import type { Allocator } from '../allocator.ts';
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Pool } from '../threads/pool.ts';
import type { ProductExports } from '../wasm/load.ts';
import type { Finish, MatmulCall } from './calls.ts';
import type { Margins, Surrounded } from './convTables.ts';
import { isWide, wideOf } from './convTables.ts';
import { depthwiseData, depthwiseWeight, KIND } from './depthwiseGrad.ts';
import type { Engine, Tables } from './forms.ts';
import { eachMatrix, multiply } from './forms.ts';
import type { ConvGeometry } from './geometry.ts';
import { isDepthwise, volume } from './geometry.ts';
import type { PlanRef } from './plans.ts';
import { Plans } from './plans.ts';

/** Fields of a product in memory. */
const FIELD_BYTES = 64;

export class TiledProduct implements Engine {
  readonly width = 4;
  readonly mostMarginBytes = 2 ** 26;
  readonly #heap: Heap;
  readonly #allocator: Allocator;
  readonly #temporaries: Temporaries;
  #pool: Pool | null = null;
  readonly #moved: () => void;
  readonly #plans: Plans;
  #fields = 0;
  #work = 0;

  /** `moved` is called when the heap has moved to another memory, because a thread was lost. */
  constructor(heap: Heap, allocator: Allocator, temporaries: Temporaries, moved: () => void) {
    this.#heap = heap;
    this.#allocator = allocator;
    this.#temporaries = temporaries;
    this.#plans = new Plans(heap, allocator, temporaries);
    this.#moved = moved;
  }

  /** The kernels on the memory as it is now. */
  get #kernel(): ProductExports {
    return this.#heap.kernels.product;
  }

  /** Threads that take tiles of large products, null for none. */
  get pool(): Pool | null {
    return this.#pool;
  }

  set pool(pool: Pool | null) {
    this.#pool = pool;
  }

  /** Batched matrices; `a`, `b` and `c` in bytes. */
  matmul(call: MatmulCall, a: number, b: number, c: number, finish: Finish): void {
    eachMatrix(call, 4, a, b, c, (from, other, to) => {
      if (call.road === 'thin') this.#thin(call, from, other, to, finish);
      else if (call.road === 'steps') this.#steps(call, from, other, to, finish);
      else multiply(this, call, from, other, to, finish);
    });
  }

  /** Few rows: each is a sum of B's rows, or of dots with its columns. */
  #thin(
    { kernel: { transposeA, transposeB }, layout }: MatmulCall,
    a: number,
    b: number,
    c: number,
    finish: Finish,
  ): void {
    const { M, N, K, aRow, bRow, cRow } = layout;
    const kernel = this.#kernel;
    // one row of a transposed A lies across its memory
    const step = transposeA ? aRow : 1;
    for (let m = 0; m < M; m++) {
      const to = c + m * cRow * 4;
      const from = a + m * aRow * 4;
      if (transposeB && step === 1) kernel.dots(to, from, b, bRow * 4, 0, N, K);
      else kernel.combine(to, from, step * 4, b, bRow * 4, 0, N, K);
    }
    this.#complete(c, M, N, cRow, finish);
  }

  /** Few multiplications: summed from first to last. */
  #steps(
    { kernel: { transposeA, transposeB }, layout }: MatmulCall,
    a: number,
    b: number,
    c: number,
    finish: Finish,
  ): void {
    const { M, N, K, aRow, bRow, cRow } = layout;
    const [aSide, aDepth] = transposeA ? [4, aRow * 4] : [aRow * 4, 4];
    const [bSide, bDepth] = transposeB ? [bRow * 4, 4] : [4, bRow * 4];
    this.#kernel.steps(c, cRow * 4, a, aSide, aDepth, b, bDepth, bSide, M, N, K);
    this.#complete(c, M, N, cRow, finish);
  }

  /** What a store does, afterwards. */
  #complete(c: number, M: number, N: number, cRow: number, { kind, bias, relu }: Finish): void {
    if (kind === 'none' && !relu) return;
    for (let m = 0; m < M; m++)
      this.#kernel.complete(
        c + m * cRow * 4,
        N,
        KIND[kind],
        kind === 'm' ? bias + m * 4 : bias,
        relu ? 1 : 0,
      );
  }

  /** With one channel of the data to a group, over two axes. */
  depthwise(g: ConvGeometry, { at, extents }: Surrounded, w: number, y: number, finish: Finish): boolean {
    if (!isFlat(g)) return false;
    const [, sy, sx] = g.s;
    const [, dy, dx] = g.d;
    this.#kernel.depthwise(
      at,
      y,
      w,
      g.N,
      g.C,
      g.O / g.groups,
      volume(extents) * 4,
      extents[2] * 4,
      g.o[1],
      g.o[2],
      g.k[1],
      g.k[2],
      sy,
      sx,
      dy,
      dx,
      KIND[finish.kind],
      finish.bias,
      finish.relu ? 1 : 0,
    );
    return true;
  }

  /** Where it is the convolution of what stands above with the weights turned round. */
  depthwiseData(g: ConvGeometry, dy: number, w: number, dx: number, finish: Finish): boolean {
    const fits = ([1, 2] as const).every((a) => {
      const before = (g.k[a] - 1) * g.d[a] - g.p[a];
      return before >= 0 && before + (g.o[a] - 1) * g.s[a] < g.i[a] + (g.k[a] - 1) * g.d[a];
    });
    if (!isFlat(g) || g.O !== g.C || !fits) return false;
    depthwiseData(this.#heap, this.#temporaries, g, dy, w, dx, finish);
    return true;
  }

  depthwiseWeight(
    g: ConvGeometry,
    dy: number,
    x: Surrounded,
    dw: number,
    finish: Finish,
    add: boolean,
  ): boolean {
    if (!isFlat(g)) return false;
    depthwiseWeight(this.#heap, g, dy, x, dw, add);
    this.#complete(dw, g.O, volume(g.k), volume(g.k), finish);
    return true;
  }

  /** A copy of `planes` boxes with zeros around each, or the boxes themselves where there is nothing to add. */
  surround(planes: number, margins: Margins, from: number): Surrounded {
    const { extents, before } = margins;
    if (!isWide(margins)) return { at: from, extents, before: [0, 0, 0] };
    const wide = wideOf(margins);
    const at = this.#temporaries.take(planes * volume(wide) * 4);
    this.#kernel.surround(from, at, planes, ...extents, ...wide, ...before);
    return { at, extents: wide, before };
  }

  run(
    ref: PlanRef,
    tables: () => Tables,
    a: number,
    b: number,
    c: number,
    finish: Finish,
    channel: number,
    add: boolean,
  ): void {
    const plan = this.#plans.find(ref, tables);
    let kernel = this.#kernel;
    if (this.#work === 0) {
      this.#fields = this.#allocator.take(kernel.workBytes() + FIELD_BYTES, this.#temporaries.op);
      this.#work = this.#fields + FIELD_BYTES;
    }
    const u = this.#heap.u32;
    const f = this.#fields / 4;
    u[f] = a;
    u[f + 1] = plan.aRows.at;
    u[f + 2] = plan.aDepth.at;
    u[f + 3] = b;
    u[f + 4] = plan.bDepth.at;
    u[f + 5] = plan.bColumns.at;
    u[f + 6] = c;
    u[f + 7] = plan.cRows.at;
    u[f + 8] = plan.cColumns.at;
    u[f + 9] = plan.aDepth.count;
    u[f + 10] = finish.bias + (finish.kind === 'm' ? channel * 4 : 0);
    u[f + 11] = KIND[finish.kind];
    u[f + 12] = finish.relu ? 1 : 0;
    u[f + 13] = add ? 1 : 0;
    const M = plan.aRows.count;
    const N = plan.bColumns.count;
    // a sum that is added to cannot be computed again
    if (this.#pool !== null && !add) {
      const tiles = this.#pool.cut(M, N, plan.aDepth.count);
      if (tiles !== null) {
        if (this.#pool.run(kernel, this.#fields, M, N, tiles, this.#work)) return;
        this.#loseThreads();
        kernel = this.#kernel;
      }
    }
    kernel.product(this.#fields, 0, M, 0, N, this.#work);
  }

  /** What a lost thread may write yet shall not reach the arrays: they move to a memory of their own. */
  #loseThreads(): void {
    this.#pool = null;
    if (!this.#heap.move(false))
      throw new OutOfMemoryError(
        `expected ${this.#heap.bytes} bytes of memory to leave threads that stopped answering, received none. Reload the page.`,
        { op: this.#temporaries.op },
      );
    this.#moved();
  }
}

/** Whether it is depthwise over two axes. */
function isFlat(g: ConvGeometry): boolean {
  return isDepthwise(g) && g.i[0] === 1 && g.o[0] === 1 && g.k[0] === 1;
}
