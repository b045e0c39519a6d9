// The blocked product: panels packed by whoever knows the operands' layout, the micro-kernel over them, tiles of sums handed to whoever
// knows the result's. Matrix products and convolutions differ only in those two.
import type { MicroKernel } from './microKernel.ts';
import { STRIP } from './microKernel.ts';

/** Rows, columns and depth of a block: two panels of 256 KiB and a tile of 128 KiB stay in the second-level cache. */
const MAX_ROWS = 128;
const MAX_COLUMNS = 128;
const MAX_DEPTH = 256;

/** Elements that products read. */
export type Floats = Float32Array | Float64Array;

/**
 * Fills a panel with `count` rows of A (or columns of B) from `first` on, `depth` elements each from `k0` on: strips of four, within a
 * strip for each k four elements, zeros where rows are missing.
 */
export type Pack = (panel: Float64Array, first: number, count: number, k0: number, depth: number) => void;

/** Takes a finished tile: rows `ldc` apart, row r column j at r·ldc + j. */
export type TakeTile = (
  tile: Float64Array,
  ldc: number,
  row: number,
  rows: number,
  column: number,
  columns: number,
) => void;

let panels: { a: Float64Array; b: Float64Array; c: Float64Array } | undefined;

/** C = A·B for an M×K and a K×N matrix given by their packers. K may be 0. */
export function blockedProduct(
  M: number,
  N: number,
  K: number,
  packA: Pack,
  packB: Pack,
  kernel: MicroKernel,
  take: TakeTile,
): void {
  panels ??= {
    a: new Float64Array(MAX_ROWS * MAX_DEPTH),
    b: new Float64Array(MAX_COLUMNS * MAX_DEPTH),
    c: new Float64Array(MAX_ROWS * MAX_COLUMNS),
  };
  const { a, b, c } = panels;
  const ldc = MAX_COLUMNS;
  for (let j = 0; j < N; j += MAX_COLUMNS) {
    const columns = Math.min(MAX_COLUMNS, N - j);
    for (let i = 0; i < M; i += MAX_ROWS) {
      const rows = Math.min(MAX_ROWS, M - i);
      c.fill(0, 0, Math.ceil(rows / STRIP) * STRIP * ldc);
      for (let k = 0; k < K; k += MAX_DEPTH) {
        const depth = Math.min(MAX_DEPTH, K - k);
        packA(a, i, rows, k, depth);
        // with one block of depth the columns' panel serves all rows
        if (i === 0 || K > MAX_DEPTH) packB(b, j, columns, k, depth);
        for (let column = 0; column < columns; column += STRIP)
          for (let row = 0; row < rows; row += STRIP)
            kernel(a, row * depth, b, column * depth, depth, c, row * ldc + column, ldc);
      }
      take(c, ldc, i, rows, j, columns);
    }
  }
}

/** Packs from elements at base + r·rowStride + k·depthStride. */
export function packStrided(
  panel: Float64Array,
  source: Floats,
  base: number,
  rowStride: number,
  depthStride: number,
  count: number,
  depth: number,
  /** Elements of a strip in the panel and where its first goes, when a packer fills a strip in parts. */
  stripSize: number = depth * STRIP,
  at = 0,
): void {
  for (let r = 0; r < count; r += STRIP, at += stripSize) {
    let p0 = base + r * rowStride;
    const end = at + depth * STRIP;
    if (r + STRIP <= count) {
      let p1 = p0 + rowStride;
      let p2 = p1 + rowStride;
      let p3 = p2 + rowStride;
      for (let d = at; d < end; d += STRIP) {
        panel[d] = source[p0] as number;
        panel[d + 1] = source[p1] as number;
        panel[d + 2] = source[p2] as number;
        panel[d + 3] = source[p3] as number;
        p0 += depthStride;
        p1 += depthStride;
        p2 += depthStride;
        p3 += depthStride;
      }
    } else {
      const left = count - r;
      for (let d = at; d < end; d += STRIP, p0 += depthStride)
        for (let q = 0; q < STRIP; q++) panel[d + q] = q < left ? (source[p0 + q * rowStride] as number) : 0;
    }
  }
}
