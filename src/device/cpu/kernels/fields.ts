// What a product works on (AssemblyScript): one struct for the three ways of multiplying, which are jobs of threads/cells.ts, and which part of it a tile is.

@unmanaged
export class Fields {
  /** The operands and the result: where they begin, then for rows, depth and columns a table's address (product.ts) or the distance of neighbours (thin.ts). */
  a!: usize;
  aRows!: usize;
  aDepth!: usize;
  b!: usize;
  bDepth!: usize;
  bColumns!: usize;
  c!: usize;
  cRows!: usize;
  cColumns!: usize;
  depth!: i32;
  /** Where the bias lies, and what it is: 0 none, 1 one a row, 2 one a column. */
  bias!: usize;
  kind!: i32;
  /** Whether the sum is rectified as it is stored: 0 where it is negative; NaN stays. */
  relu!: i32;
  /** Whether C's values are added to. */
  add!: i32;
  rows!: i32;
  columns!: i32;
  /** Rows and columns of a tile, tiles side by side and of a matrix; or matrices of a tile, which then are whole. */
  tileRows!: i32;
  tileColumns!: i32;
  across!: i32;
  tiles!: i32;
  matrices!: i32;
  /** How many products, of matrices that begin at ⌊i / inner⌋·batch + (i mod inner)·inner. */
  count!: i32;
  inner!: i32;
  aBatch!: usize;
  aInner!: usize;
  bBatch!: usize;
  bInner!: usize;
  cBatch!: usize;
  cInner!: usize;
  biasBatch!: usize;
  /** Of a part of a tile: the first row and column; `rows` and `columns` are where it ends. */
  row!: i32;
  column!: i32;
}

/** Bytes of the fields that a thread copies. */
export const FIELD_BYTES: usize = 128;

/** Writes part `i` of a tile, which lies in one matrix, to `to`; false where there is none. */
export function part(p: Fields, tile: i32, i: i32, to: Fields): bool {
  const which = (tile / p.tiles) * p.matrices + i;
  if (i >= p.matrices || which >= p.count) return false;
  for (let at: usize = 0; at < FIELD_BYTES; at += 16)
    v128.store(changetype<usize>(to) + at, v128.load(changetype<usize>(p) + at));
  const batch = which / p.inner;
  const inner = which % p.inner;
  to.a += batch * p.aBatch + inner * p.aInner;
  to.b += batch * p.bBatch + inner * p.bInner;
  to.c += batch * p.cBatch + inner * p.cInner;
  to.bias += batch * p.biasBatch;
  const place = tile % p.tiles;
  to.row = (place / p.across) * p.tileRows;
  to.column = (place % p.across) * p.tileColumns;
  to.rows = min(p.rows, to.row + p.tileRows);
  to.columns = min(p.columns, to.column + p.tileColumns);
  return true;
}
