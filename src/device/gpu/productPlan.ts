// How a product is cut: which body, which tile, how many parts along k. A pure function of the product's extents and the adapter's traits, so that
// results repeat. The numbers in it are estimates for real GPUs (no GPU was measured yet) and measurements on SwiftShader, as each says.
import type { GpuTraits } from './lowering.ts';
import type { ProductShape } from './productShape.ts';

/** One way to compute a product. */
export interface ProductPlan {
  /** `tiled` (workgroup memory), `direct` (registers only), `dot` (a workgroup per few sums, both operands along k): shaders/product*.wgsl. */
  readonly body: 'tiled' | 'direct' | 'dot';
  /** Rows and columns of the sum per tile: of a workgroup, in `direct` of an invocation. */
  readonly rows: number;
  readonly cols: number;
  /** Invocations of a workgroup down and across (`direct` and `dot`: 1 and all). */
  readonly threadsM: number;
  readonly threadsN: number;
  /** Terms per step along k. */
  readonly step: number;
  /** Tiles kept in workgroup memory at a time. */
  readonly stages: 1 | 2;
  /** Parts along k, summed by a second pass, and the terms of each: a multiple of `step`. */
  readonly splits: number;
  readonly chunk: number;
}

type Extents = Pick<ProductShape, 'm' | 'n' | 'k' | 'batch' | 'groups' | 'aAlong' | 'bAlong'> &
  Partial<Pick<ProductShape, 'strided' | 'rowSum'>>;

interface Tile {
  readonly threadsM: number;
  readonly threadsN: number;
  readonly rowQuads: 1 | 2;
  readonly colQuads: 1 | 2;
  readonly step: number;
  /** Speed per multiplication relative to the largest tile when the GPU is full: an estimate from reads of workgroup memory per multiplication. */
  readonly speed: number;
  /** The same with one workgroup per processor: fewer invocations hide less of the latency. */
  readonly alone: number;
}

/** Every invocation brings at most one 4 × 4 block per step: (rows + cols)/4 · step/4 ≤ invocations. */
export const TILES: readonly Tile[] = [
  { threadsM: 16, threadsN: 16, rowQuads: 2, colQuads: 2, step: 16, speed: 1, alone: 0.8 }, // 128 × 128
  { threadsM: 16, threadsN: 16, rowQuads: 1, colQuads: 2, step: 16, speed: 0.8, alone: 0.6 }, // 64 × 128
  { threadsM: 16, threadsN: 16, rowQuads: 2, colQuads: 1, step: 16, speed: 0.8, alone: 0.6 }, // 128 × 64
  { threadsM: 16, threadsN: 16, rowQuads: 1, colQuads: 1, step: 32, speed: 0.6, alone: 0.4 }, // 64 × 64
  { threadsM: 8, threadsN: 32, rowQuads: 1, colQuads: 1, step: 16, speed: 0.5, alone: 0.3 }, // 32 × 128
  { threadsM: 8, threadsN: 8, rowQuads: 1, colQuads: 1, step: 16, speed: 0.35, alone: 0.12 }, // 32 × 32
];

/** Workgroups that a large GPU runs at a time (an estimate; WebGPU does not tell). Smaller GPUs just take more turns. */
const AT_A_TIME = 128;
/** No scratch for partial sums larger than this many elements (64 MiB). */
const MAX_PARTIAL = 1 << 24;
const MAX_SPLITS = 256;

function ceilDiv(a: number, b: number): number {
  return Math.ceil(a / b);
}

function chunkOf(k: number, splits: number, step: number): number {
  return Math.max(step, ceilDiv(ceilDiv(k, splits), step) * step);
}

/** `splits` as it comes out when chunks are whole steps. */
function withSplits(plan: Omit<ProductPlan, 'splits' | 'chunk'>, k: number, wanted: number): ProductPlan {
  const chunk = chunkOf(k, Math.max(1, wanted), plan.step);
  return { ...plan, splits: Math.max(1, ceilDiv(k, chunk)), chunk };
}

/** Multiplications below which a software adapter's time goes into compiling: about 0.2 s for the largest tile, a third of that for 4 × 4. */
const SMALL = 1 << 16;

/**
 * Software adapters. On SwiftShader a load from storage takes about 12 ns for four invocations, sequential or not, and a multiply-add 0.8 ns, so the
 * largest register tile wins; workgroup memory does not help. Tiles of equal height rather than one full and one nearly empty; few heights, because
 * each is a pipeline to compile.
 */
function planSoftware(shape: Extents): ProductPlan {
  const { m, n, k } = shape;
  const slices = shape.batch * shape.groups;
  const small = m * n * k * slices < SMALL;
  const even = ceilDiv(m, Math.max(1, ceilDiv(m, small ? 4 : 8)));
  // Along m, rows are read by fours.
  const rows =
    even <= 1 ? 1 : even === 2 && m === 2 ? 2 : even <= 4 ? 4 : even <= 6 && shape.aAlong === 'k' ? 6 : 8;
  const cols = small || n <= 4 ? 4 : 8;
  const tiles = ceilDiv(m, rows) * ceilDiv(n, cols) * slices;
  const plan = { body: 'direct', rows, cols, threadsM: 1, threadsN: 32, step: 4, stages: 1 } as const;
  // Few tiles leave processors idle. A part is at least 256 terms, below which the second pass costs more than it brings.
  const wanted =
    tiles >= 128 || tiles === 0 || shape.strided
      ? 1
      : Math.min(ceilDiv(256, tiles), Math.floor(k / 256), Math.floor(MAX_PARTIAL / (m * n * slices)));
  return withSplits(plan, k, wanted);
}

/** Real GPUs: the cheapest of all tiles and splits by a simple model: turns of AT_A_TIME workgroups, each as long as its tile is large. */
function planGpu(shape: Extents, traits: GpuTraits): ProductPlan {
  const { m, n, k } = shape;
  const slices = Math.max(1, shape.batch * shape.groups);
  // The second pass stores in the plain order, and a workgroup per sum does not add up rows.
  const { strided = false, rowSum = false } = shape;
  if (shape.aAlong === 'k' && shape.bAlong === 'k' && Math.min(m, n) <= 4 && k >= 64 && !rowSum) {
    const rows = Math.max(1, Math.min(4, m));
    const cols = Math.max(1, Math.min(4, n));
    const plan = { body: 'dot', rows, cols, threadsM: 1, threadsN: 64, step: 256, stages: 1 } as const;
    const tiles = ceilDiv(m, rows) * ceilDiv(n, cols) * slices;
    return withSplits(
      plan,
      k,
      tiles >= AT_A_TIME || tiles === 0 || strided
        ? 1
        : Math.min(ceilDiv(2 * AT_A_TIME, tiles), Math.floor(k / 4096)),
    );
  }
  const outputs = m * n * slices;
  let best: ProductPlan | undefined;
  let bestCost = Infinity;
  const consider = (
    plan: Omit<ProductPlan, 'splits' | 'chunk'>,
    tileRows: number,
    tileCols: number,
    speed: number,
    alone: number,
  ): void => {
    const tiles = ceilDiv(m, tileRows) * ceilDiv(n, tileCols) * slices;
    for (let wanted = 1; wanted <= MAX_SPLITS; wanted *= 2) {
      // a part is at least eight steps long, and there are not more than are needed to fill the GPU twice
      if (
        wanted > 1 &&
        (strided ||
          wanted * 8 * plan.step > k ||
          tiles * wanted > 4 * AT_A_TIME ||
          outputs * wanted > MAX_PARTIAL)
      )
        break;
      const candidate = withSplits(plan, k, wanted);
      const turns = ceilDiv(tiles * candidate.splits, AT_A_TIME);
      // The second pass reads every part; it and its launch weigh like some multiplications.
      const second = candidate.splits > 1 ? 400_000 + (outputs * candidate.splits * 16) / AT_A_TIME : 0;
      const cost = tileRows * tileCols * (candidate.chunk + 16) * Math.max(turns / speed, 1 / alone) + second;
      if (cost < bestCost) {
        best = candidate;
        bestCost = cost;
      }
    }
  };
  for (const tile of TILES) {
    const rows = tile.threadsM * 4 * tile.rowQuads;
    const cols = tile.threadsN * 4 * tile.colQuads;
    const bytes = (rows + cols) * tile.step * 4;
    const stages = 2 * bytes <= traits.maxWorkgroupStorage ? 2 : 1;
    const { threadsM, threadsN, step } = tile;
    if (threadsM * threadsN > traits.maxInvocationsPerWorkgroup) continue;
    consider(
      { body: 'tiled', rows, cols, threadsM, threadsN, step, stages },
      rows,
      cols,
      tile.speed,
      tile.alone,
    );
  }
  // Few rows: a tile would be mostly empty, and every element of B is used by few.
  if (m <= 8 && shape.bAlong === 'n') {
    const rows = Math.max(1, m);
    consider(
      { body: 'direct', rows, cols: 4, threadsM: 1, threadsN: 64, step: 4, stages: 1 },
      rows,
      256,
      0.25,
      0.1,
    );
  }
  if (best === undefined) throw new Error('no tile fits this adapter');
  return best;
}

/** The plan for a product on an adapter. */
export function planProduct(shape: Extents, traits: GpuTraits): ProductPlan {
  return traits.software ? planSoftware(shape) : planGpu(shape, traits);
}

/** Tiles of a plan: down, across, and in all (over batch, groups and splits). */
export function tilesOf(
  plan: ProductPlan,
  shape: Extents,
): { readonly down: number; readonly across: number; readonly all: number } {
  const down = ceilDiv(shape.m, plan.rows);
  const across = ceilDiv(shape.n, plan.cols);
  return { down, across, all: down * across * shape.batch * shape.groups * plan.splits };
}
