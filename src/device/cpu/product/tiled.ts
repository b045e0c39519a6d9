// Products in float32 by the compiled kernels: what is multiplied with what, told by tables of offsets (see kernels/product.ts), which are kept from call to
// call. Matrices, convolutions and both gradients of convolutions become the same call.
import { OutOfMemoryError } from '../../../core/errors.ts';
import type { Allocator } from '../allocator.ts';
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Pool } from '../threads/pool.ts';
import { cut } from '../threads/pool.ts';
import type { ProductExports } from '../wasm/load.ts';
import { marginsOf } from './conv.ts';
import type { Margins, Surrounded } from './convTables.ts';
import { gridOf, isWide, keyOf, tapsOf, wideOf } from './convTables.ts';
import type { ConvGeometry, Triple } from './patches.ts';
import { volume } from './patches.ts';
import type { Plan } from './plans.ts';
import { Plans } from './plans.ts';

/** Above this the images of a convolution are taken in parts, so that copies with zeros around them stay small. */
const MOST_MARGIN_BYTES = 2 ** 26;
/** Fields of a product in memory. */
const FIELD_BYTES = 64;
/** Rows of A up to which a product is not packed. */
const THIN = 3;

/** What a store does: bias (byte offset) by row or column, and the rectifier. */
export interface Finish {
  readonly bias: number;
  readonly kind: 'none' | 'm' | 'n';
  readonly relu: boolean;
}

const KIND = { none: 0, m: 1, n: 2 } as const;

export class TiledProduct {
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
    const { kernels } = this.#heap;
    if (kernels === null) throw new Error('tiled products need compiled kernels');
    return kernels.product;
  }

  /** Threads that take tiles of large products, null for none. */
  get pool(): Pool | null {
    return this.#pool;
  }

  set pool(pool: Pool | null) {
    this.#pool = pool;
  }

  /** Batched matrices; `a`, `b` and `c` in bytes, the rest as in ir/kernel.ts. */
  matmul(
    transposeA: boolean,
    transposeB: boolean,
    dims: readonly number[],
    a: number,
    b: number,
    c: number,
    finish: Finish,
  ): void {
    let [batch = 0, M = 0] = dims;
    const [, , N = 0, K = 0, aStep = 0, bStep = 0] = dims;
    if (batch > 1 && bStep === 0 && aStep === M * K && !transposeA && finish.kind !== 'm') {
      // one B for all: the batch is more rows of A
      M *= batch;
      batch = 1;
    }
    if (M <= THIN && (!transposeA || M === 1) && K > 0) {
      for (let i = 0; i < batch; i++)
        this.#thin(transposeB, M, N, K, a + i * aStep * 4, b + i * bStep * 4, c + i * M * N * 4, finish);
      return;
    }
    const key = `${transposeA ? 't' : 'n'}${transposeB ? 't' : 'n'}${M},${N},${K}`;
    const plan =
      this.#plans.get(key) ??
      this.#plans.make(key, {
        aRows: [[M, transposeA ? 1 : K]],
        aDepth: [[K, transposeA ? M : 1]],
        bDepth: [[K, transposeB ? 1 : N]],
        bColumns: [[N, transposeB ? K : 1]],
        cRows: [[M, N]],
        cColumns: [[N, 1]],
      });
    for (let i = 0; i < batch; i++)
      this.#run(plan, a + i * aStep * 4, b + i * bStep * 4, c + i * M * N * 4, finish, false);
  }

  /** Few rows: each is a sum of B's rows, or of dots with its columns. */
  #thin(
    transposeB: boolean,
    M: number,
    N: number,
    K: number,
    a: number,
    b: number,
    c: number,
    finish: Finish,
  ): void {
    const kernel = this.#kernel;
    const { kind, bias, relu } = finish;
    for (let m = 0; m < M; m++) {
      const to = c + m * N * 4;
      if (transposeB) kernel.dots(to, a + m * K * 4, b, K * 4, 0, N, K);
      else kernel.combine(to, a + m * K * 4, 4, b, N * 4, 0, N, K);
      if (kind !== 'none' || relu)
        kernel.complete(to, N, KIND[kind], kind === 'm' ? bias + m * 4 : bias, relu ? 1 : 0);
    }
  }

  /** y(N, O, o) from x(N, C, i) and w, all in bytes. */
  conv(g: ConvGeometry, x: number, w: number, y: number, finish: Finish): void {
    const margins = marginsOf('conv', g);
    const perImage = g.C * volume(g.i) * 4;
    this.#inParts(g, g.C, margins, (part, first) => {
      const s = this.#surround(part.N * g.C, margins, x + first * perImage);
      this.#convPart(part, s, w, y + first * g.O * volume(g.o) * 4, finish);
    });
  }

  /** As `conv` with one channel of the data to a group, over two axes. */
  depthwise(g: ConvGeometry, x: number, w: number, y: number, finish: Finish): void {
    const margins = marginsOf('conv', g);
    const perImage = g.C * volume(g.i) * 4;
    this.#inParts(g, g.C, margins, (part, first) => {
      const { at, extents } = this.#surround(part.N * g.C, margins, x + first * perImage);
      const [, sy, sx] = g.s;
      const [, dy, dx] = g.d;
      this.#kernel.depthwise(
        at,
        y + first * g.O * volume(g.o) * 4,
        w,
        part.N,
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
    });
  }

  #convPart(g: ConvGeometry, x: Surrounded, w: number, y: number, finish: Finish): void {
    const inChannels = g.C / g.groups;
    const outChannels = g.O / g.groups;
    const pixels = volume(g.o);
    const K = inChannels * volume(g.k);
    const key = `c${keyOf(g)}`;
    const plan =
      this.#plans.get(key) ??
      this.#plans.make(key, {
        aRows: [[outChannels, K]],
        aDepth: [[K, 1]],
        ...tapsOf(g, x, inChannels),
        bColumns: gridOf(g, x, g.C),
        cRows: [[outChannels, pixels]],
        cColumns: [
          [g.N, g.O * pixels],
          [pixels, 1],
        ],
      });
    for (let group = 0; group < g.groups; group++)
      this.#run(
        plan,
        w + group * outChannels * K * 4,
        x.at + group * inChannels * volume(x.extents) * 4,
        y + group * outChannels * pixels * 4,
        moved(finish, group * outChannels),
        false,
      );
  }

  /** The data's gradient, (N, C, i) from dy(N, O, o) and w: for each residue of the stride a convolution of stride 1. */
  convGradData(g: ConvGeometry, dy: number, w: number, dx: number, finish: Finish): void {
    const margins = marginsOf('convGradData', g);
    const perImage = g.O * volume(g.o) * 4;
    this.#inParts(g, g.O, margins, (part, first) => {
      const s = this.#surround(part.N * g.O, margins, dy + first * perImage);
      const to = dx + first * g.C * volume(g.i) * 4;
      const [sz, sy, sx] = g.s;
      for (let rz = 0; rz < Math.min(sz, g.i[0]); rz++)
        for (let ry = 0; ry < Math.min(sy, g.i[1]); ry++)
          for (let rx = 0; rx < Math.min(sx, g.i[2]); rx++)
            this.#residue(part, s, w, to, finish, [rz, ry, rx]);
    });
  }

  /** The places in the input that are ≡ residue modulo the stride. */
  #residue(g: ConvGeometry, dy: Surrounded, w: number, dx: number, finish: Finish, residue: Triple): void {
    const inChannels = g.C / g.groups;
    const outChannels = g.O / g.groups;
    const kernelVolume = volume(g.k);
    const [, iy, ix] = g.i;
    const start = (residue[0] * iy + residue[1]) * ix + residue[2];
    const key = `d${start},${keyOf(g)}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      const axis = (a: 0 | 1 | 2): Residue => {
        const ks: number[] = [];
        for (let k = 0; k < g.k[a]; k++) if ((residue[a] + g.p[a] - k * g.d[a]) % g.s[a] === 0) ks.push(k);
        const qs = ks.map((k) => (residue[a] + g.p[a] - k * g.d[a]) / g.s[a] + dy.before[a]);
        return {
          count: ks.length,
          k0: ks[0] ?? 0,
          dk: (ks[1] ?? 0) - (ks[0] ?? 0),
          q0: qs[0] ?? 0,
          dq: (qs[1] ?? 0) - (qs[0] ?? 0),
          extent: Math.ceil((g.i[a] - residue[a]) / g.s[a]),
        };
      };
      const [z, y, x] = [axis(0), axis(1), axis(2)];
      const [, ey, ex] = dy.extents;
      const [, ky, kx] = g.k;
      plan = this.#plans.make(
        key,
        {
          aRows: [[inChannels, kernelVolume]],
          aDepth: [
            [outChannels, inChannels * kernelVolume],
            [z.count, z.dk * ky * kx],
            [y.count, y.dk * kx],
            [x.count, x.dk],
          ],
          bDepth: [
            [outChannels, volume(dy.extents)],
            [z.count, z.dq * ey * ex],
            [y.count, y.dq * ex],
            [x.count, x.dq],
          ],
          bColumns: [
            [g.N, g.O * volume(dy.extents)],
            [z.extent, ey * ex],
            [y.extent, ex],
            [x.extent, 1],
          ],
          cRows: [[inChannels, volume(g.i)]],
          cColumns: [
            [g.N, g.C * volume(g.i)],
            [z.extent, g.s[0] * iy * ix],
            [y.extent, g.s[1] * ix],
            [x.extent, g.s[2]],
          ],
        },
        { aDepth: (z.k0 * ky + y.k0) * kx + x.k0, bDepth: (z.q0 * ey + y.q0) * ex + x.q0, cColumns: start },
      );
    }
    for (let group = 0; group < g.groups; group++)
      this.#run(
        plan,
        w + group * outChannels * inChannels * kernelVolume * 4,
        dy.at + group * outChannels * volume(dy.extents) * 4,
        dx + group * inChannels * volume(g.i) * 4,
        moved(finish, group * inChannels),
        false,
      );
  }

  /** The weights' gradient, (O, C/groups, k) from dy(N, O, o) and x(N, C, i). */
  convGradWeight(g: ConvGeometry, dy: number, x: number, dw: number, finish: Finish): void {
    const margins = marginsOf('convGradWeight', g);
    const perImage = g.C * volume(g.i) * 4;
    this.#inParts(g, g.C, margins, (part, first) => {
      const s = this.#surround(part.N * g.C, margins, x + first * perImage);
      const last = first + part.N === g.N;
      this.#weightPart(part, dy + first * g.O * volume(g.o) * 4, s, dw, last ? finish : NOTHING, first > 0);
    });
  }

  #weightPart(g: ConvGeometry, dy: number, x: Surrounded, dw: number, finish: Finish, add: boolean): void {
    const inChannels = g.C / g.groups;
    const outChannels = g.O / g.groups;
    const pixels = volume(g.o);
    const taps = inChannels * volume(g.k);
    const key = `w${keyOf(g)}`;
    let plan = this.#plans.get(key);
    if (plan === undefined) {
      const { bDepth, bDepthStart } = tapsOf(g, x, inChannels);
      plan = this.#plans.make(
        key,
        {
          aRows: [[outChannels, pixels]],
          aDepth: [
            [g.N, g.O * pixels],
            [pixels, 1],
          ],
          bDepth: gridOf(g, x, g.C),
          bColumns: bDepth,
          cRows: [[outChannels, taps]],
          cColumns: [[taps, 1]],
        },
        { bColumns: bDepthStart },
      );
    }
    for (let group = 0; group < g.groups; group++)
      this.#run(
        plan,
        dy + group * outChannels * pixels * 4,
        x.at + group * inChannels * volume(x.extents) * 4,
        dw + group * outChannels * taps * 4,
        moved(finish, group * outChannels),
        add,
      );
  }

  /** Calls `run` with all images at once, or with as many at a time as copies with zeros around them may be. */
  #inParts(
    g: ConvGeometry,
    channels: number,
    margins: Margins,
    run: (part: ConvGeometry, first: number) => void,
  ): void {
    const perImage = channels * volume(wideOf(margins)) * 4;
    const all = !isWide(margins) || perImage * g.N <= MOST_MARGIN_BYTES;
    const images = all ? g.N : Math.max(1, Math.floor(MOST_MARGIN_BYTES / perImage));
    // without images too: the gradient of weights is 0 then
    let first = 0;
    do {
      run(images === g.N ? g : { ...g, N: Math.min(images, g.N - first) }, first);
      first += images;
    } while (first < g.N);
  }

  /** A copy of `planes` boxes with zeros around each, or the boxes themselves where there is nothing to add. */
  #surround(planes: number, margins: Margins, from: number): Surrounded {
    const { extents, before } = margins;
    if (!isWide(margins)) return { at: from, extents, before: [0, 0, 0] };
    const wide = wideOf(margins);
    const at = this.#temporaries.take(planes * volume(wide) * 4);
    this.#kernel.surround(from, at, planes, ...extents, ...wide, ...before);
    return { at, extents: wide, before };
  }

  #run(plan: Plan, a: number, b: number, c: number, finish: Finish, add: boolean): void {
    let kernel = this.#kernel;
    if (this.#work === 0) {
      const bytes = kernel.workBytes() + FIELD_BYTES;
      const at = this.#allocator.alloc(bytes);
      if (at < 0)
        throw new OutOfMemoryError(
          `expected ${bytes} bytes of working memory, received none. Free some arrays.`,
          {
            op: this.#temporaries.op,
          },
        );
      this.#fields = at;
      this.#work = at + FIELD_BYTES;
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
    u[f + 10] = finish.bias;
    u[f + 11] = KIND[finish.kind];
    u[f + 12] = finish.relu ? 1 : 0;
    u[f + 13] = add ? 1 : 0;
    const M = plan.aRows.count;
    const N = plan.bColumns.count;
    // a sum that is added to cannot be computed again
    if (this.#pool !== null && !add) {
      const tiles = cut(M, N, plan.aDepth.count, this.#pool.size);
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

interface Residue {
  readonly count: number;
  readonly k0: number;
  readonly dk: number;
  readonly q0: number;
  readonly dq: number;
  readonly extent: number;
}

const NOTHING: Finish = { bias: 0, kind: 'none', relu: false };

function moved(finish: Finish, channels: number): Finish {
  return finish.kind === 'm' && channels > 0 ? { ...finish, bias: finish.bias + channels * 4 } : finish;
}
