// The tiled product in float32 (AssemblyScript). Both operands and the result are told by offset tables, so matrices, their transposes and a
// convolution's patches are one thing:
//   A(m, k) = f32 at a + aRows[m] + aDepth[k],  B(k, n) = f32 at b + bDepth[k] + bColumns[n],  C(m, n) = f32 at c + cRows[m] + cColumns[n]
// Tables hold byte offsets (i32). Panels are packed to strips of 6 rows and 8 columns; a strip's micro-kernel keeps 6 × 8 sums in registers.
// The sum of an element runs over blocks of `depth` whose size follows from K alone: the same whatever part of the result a call computes.
// Its steps come in two forms, with fused multiply-add (relaxed SIMD) and without: see madd.ts.

import { FIELD_BYTES, Fields, part } from './fields';
import { madd } from './madd';
import { entry, four, NR, pack } from './pack';

export { depthwiseTile, depthwiseWeightTile } from './depthwise';
export { stepsTile, thinTile } from './thin';

/** Rows of a strip. */
const MR = 6;
/** Depth, rows and columns of a block: the strip of B stays in the first-level cache, the panels (128 KiB and 512 KiB) in the second. */
const KC = 256;
const MC = 96;
const NC = 512;

/** Rows up to which columns are not worth packing, unless all of a column falls on one set of the first-level cache: where its elements are multiples of 4 KiB apart. */
const FEW = 36;
const SET_BYTES = 4096;

/** Steps that a sum runs on before it is added to the one before: rounding errors grow with the steps of a run, not with the depth. */
const CHUNK = 64;

/** Bytes of a thread's working memory: its fields, a strip's sums, the panels, then what loads past their ends may touch. */
const SUM_BYTES = 256;
// strips of rows are packed as wide as those of columns, by the same function
const A_BYTES = (MC / MR) * NR * KC * 4;
export function workBytes(): i32 {
  return FIELD_BYTES + SUM_BYTES + A_BYTES + NC * KC * 4 + 64;
}

/** Whether the eight are. */
// @ts-expect-error: decorator
@inline
function eight(table: usize): bool {
  return four(table) && four(table + 16) && entry(table, 4) - entry(table, 0) == 16;
}

/** A job: the operands are told by tables. */
export function productTile(p: Fields, tile: i32, work: usize): void {
  const own = changetype<Fields>(work);
  for (let i = 0; part(p, tile, i, own); i++) product(own, work + FIELD_BYTES);
}

/** The rows and columns of the product that `p` names. */
function product(p: Fields, work: usize): void {
  // blocks of equal size, so that none is thin
  const blocks = (p.depth + KC - 1) / KC;
  const step = blocks > 1 ? ((p.depth + blocks - 1) / blocks + 3) & ~3 : p.depth;
  const panelA = work + SUM_BYTES;
  const panelB = panelA + A_BYTES;
  // B's columns are read where they lie, or packed strip by strip, where they serve few rows
  const few = p.rows - p.row <= FEW && (entry(p.bDepth, 1) - entry(p.bDepth, 0)) % SET_BYTES != 0;
  for (let j = p.column; j < p.columns; j += NC) {
    const columns = min(NC, p.columns - j);
    let k = 0;
    do {
      const depth = min(step, p.depth - k);
      const bDepth = p.bDepth + (k << 2);
      const stripBytes = depth * NR * 4;
      if (!few)
        for (let c = 0, to = panelB; c < columns; c += NR, to += stripBytes)
          pack(p.b, p.bColumns + ((j + c) << 2), bDepth, min(NR, columns - c), depth, to);
      for (let i = p.row; i < p.rows; i += MC) {
        const rows = min(MC, p.rows - i);
        for (let r = 0, to = panelA; r < rows; r += taken(rows - r), to += stripBytes)
          pack(p.a, p.aRows + ((i + r) << 2), p.aDepth + (k << 2), min(NR, p.rows - i - r), depth, to);
        const first = k == 0 && p.add == 0;
        const last = k + depth >= p.depth;
        for (let c = 0, fromB = panelB; c < columns; c += NR, fromB += stripBytes)
          strip(p, panelA, fromB, i, rows, j + c, min(NR, columns - c), k, depth, first, last, few, work);
      }
      k += depth;
    } while (k < p.depth);
  }
}

/** How many of the rows that are left a strip takes: two of four in place of six and two, whose loads would cost as much as six. */
// @ts-expect-error: decorator
@inline
function taken(left: i32): i32 {
  return left == MR + 1 || left == MR + 2 ? 4 : min(MR, left);
}

/** One strip of B against the rows of a block. */
function strip(
  p: Fields,
  panelA: usize,
  fromB: usize,
  row: i32,
  rows: i32,
  column: i32,
  columns: i32,
  k0: i32,
  depth: i32,
  first: bool,
  last: bool,
  few: bool,
  work: usize,
): void {
  let near: usize = 0;
  const table = p.bDepth + (<usize>k0 << 2);
  if (few) {
    const at = p.bColumns + (<usize>column << 2);
    if (columns == NR && eight(at)) near = p.b + entry(at, 0);
    else pack(p.b, at, table, columns, depth, fromB);
  }
  const cColumns = p.cColumns + (<usize>column << 2);
  const cRows = p.cRows + (<usize>row << 2);
  const direct = columns == NR && eight(cColumns);
  const c = p.c + entry(cColumns, 0);
  const kind = last ? p.kind : 0;
  const relu = last && p.relu != 0;
  const bias = p.bias;
  let bias0 = f32x4.splat(0);
  let bias1 = bias0;
  if (kind == 2 && columns == NR) {
    bias0 = v128.load(bias + (<usize>column << 2));
    bias1 = v128.load(bias + (<usize>column << 2), 16);
  }
  for (let r = 0, count = 0, fromA = panelA; r < rows; r += count, fromA += depth * NR * 4) {
    count = taken(rows - r);
    if (near == 0) {
      if (count > 4) kernel6(fromA, fromB, depth, work);
      else kernel4(fromA, fromB, depth, work);
    } else if (count > 4) here6(fromA, near, table, depth, work);
    else here4(fromA, near, table, depth, work);
    if (direct) {
      for (let q = 0, from = work; q < count; q++, from += NR * 4) {
        const at = c + entry(cRows, r + q);
        let x = v128.load(from);
        let y = v128.load(from, 16);
        if (!first) {
          x = f32x4.add(v128.load(at), x);
          y = f32x4.add(v128.load(at, 16), y);
        }
        if (kind == 1) {
          const b = v128.load32_splat(bias + (<usize>(row + r + q) << 2));
          x = f32x4.add(x, b);
          y = f32x4.add(y, b);
        } else if (kind == 2) {
          x = f32x4.add(x, bias0);
          y = f32x4.add(y, bias1);
        }
        if (relu) {
          x = f32x4.max(x, f32x4.splat(0));
          y = f32x4.max(y, f32x4.splat(0));
        }
        v128.store(at, x);
        v128.store(at, y, 16);
      }
    } else {
      for (let q = 0; q < count; q++) {
        const at = p.c + entry(cRows, r + q);
        for (let j = 0; j < columns; j++) {
          const to = at + entry(cColumns, j);
          let x = load<f32>(work + <usize>((q * NR + j) << 2));
          if (!first) x = load<f32>(to) + x;
          if (kind == 1) x += load<f32>(bias + (<usize>(row + r + q) << 2));
          else if (kind == 2) x += load<f32>(bias + (<usize>(column + j) << 2));
          if (relu) x = max<f32>(x, 0);
          store<f32>(to, x);
        }
      }
    }
  }
}

/** `rows` (4 or 6) × 8 sums over `depth`, stored at `to` row by row. Columns of B that are not packed lie where `table` says. */
// @ts-expect-error: decorator
@inline
function sums(rows: i32, packed: bool, a: usize, b: usize, table: usize, depth: i32, to: usize): void {
  let before = false;
  do {
    const end = a + <usize>min(CHUNK, depth) * (NR * 4);
    let c00 = f32x4.splat(0);
    let c01 = c00;
    let c10 = c00;
    let c11 = c00;
    let c20 = c00;
    let c21 = c00;
    let c30 = c00;
    let c31 = c00;
    let c40 = c00;
    let c41 = c00;
    let c50 = c00;
    let c51 = c00;
    for (; a < end; a += NR * 4) {
      const at = packed ? b : b + load<u32>(table);
      const b0 = v128.load(at);
      const b1 = v128.load(at, 16);
      if (packed) b += NR * 4;
      else table += 4;
      let x = v128.load32_splat(a);
      c00 = madd(x, b0, c00);
      c01 = madd(x, b1, c01);
      x = v128.load32_splat(a, 4);
      c10 = madd(x, b0, c10);
      c11 = madd(x, b1, c11);
      x = v128.load32_splat(a, 8);
      c20 = madd(x, b0, c20);
      c21 = madd(x, b1, c21);
      x = v128.load32_splat(a, 12);
      c30 = madd(x, b0, c30);
      c31 = madd(x, b1, c31);
      if (rows > 4) {
        x = v128.load32_splat(a, 16);
        c40 = madd(x, b0, c40);
        c41 = madd(x, b1, c41);
        x = v128.load32_splat(a, 20);
        c50 = madd(x, b0, c50);
        c51 = madd(x, b1, c51);
      }
    }
    if (before) {
      c00 = f32x4.add(v128.load(to, 0), c00);
      c01 = f32x4.add(v128.load(to, 16), c01);
      c10 = f32x4.add(v128.load(to, 32), c10);
      c11 = f32x4.add(v128.load(to, 48), c11);
      c20 = f32x4.add(v128.load(to, 64), c20);
      c21 = f32x4.add(v128.load(to, 80), c21);
      c30 = f32x4.add(v128.load(to, 96), c30);
      c31 = f32x4.add(v128.load(to, 112), c31);
      if (rows > 4) {
        c40 = f32x4.add(v128.load(to, 128), c40);
        c41 = f32x4.add(v128.load(to, 144), c41);
        c50 = f32x4.add(v128.load(to, 160), c50);
        c51 = f32x4.add(v128.load(to, 176), c51);
      }
    }
    v128.store(to, c00, 0);
    v128.store(to, c01, 16);
    v128.store(to, c10, 32);
    v128.store(to, c11, 48);
    v128.store(to, c20, 64);
    v128.store(to, c21, 80);
    v128.store(to, c30, 96);
    v128.store(to, c31, 112);
    if (rows > 4) {
      v128.store(to, c40, 128);
      v128.store(to, c41, 144);
      v128.store(to, c50, 160);
      v128.store(to, c51, 176);
    }
    before = true;
    depth -= CHUNK;
  } while (depth > 0);
}

function kernel6(a: usize, b: usize, depth: i32, to: usize): void {
  sums(6, true, a, b, 0, depth, to);
}
function kernel4(a: usize, b: usize, depth: i32, to: usize): void {
  sums(4, true, a, b, 0, depth, to);
}
function here6(a: usize, b: usize, table: usize, depth: i32, to: usize): void {
  sums(6, false, a, b, table, depth, to);
}
function here4(a: usize, b: usize, table: usize, depth: i32, to: usize): void {
  sums(4, false, a, b, table, depth, to);
}

/** Writes n0·n1·n2·n3 offsets: Σ index·step, the last index fastest, all from `start` on. */
export function offsets(
  to: usize,
  start: i32,
  n0: i32,
  s0: i32,
  n1: i32,
  s1: i32,
  n2: i32,
  s2: i32,
  n3: i32,
  s3: i32,
): void {
  for (let i = 0; i < n0; i++, start += s0)
    for (let j = 0, y = start; j < n1; j++, y += s1)
      for (let k = 0, z = y; k < n2; k++, z += s2)
        for (let l = 0, x = z; l < n3; l++, x += s3, to += 4) store<i32>(to, x);
}

/** Copies `planes` boxes of depth × height × width float32 into boxes of zeros: `before` elements lie before, `wide` after one another. */
export function surround(
  from: usize,
  to: usize,
  planes: i32,
  depth: i32,
  height: i32,
  width: i32,
  wideDepth: i32,
  wideHeight: i32,
  wideWidth: i32,
  beforeDepth: i32,
  beforeHeight: i32,
  beforeWidth: i32,
): void {
  memory.fill(to, 0, <usize>planes * wideDepth * wideHeight * wideWidth * 4);
  const row = <usize>width << 2;
  for (let p = 0; p < planes; p++)
    for (let z = 0; z < depth; z++) {
      let at = to + ((<usize>((p * wideDepth + beforeDepth + z) * wideHeight + beforeHeight) * wideWidth + beforeWidth) << 2);
      for (let y = 0; y < height; y++, at += <usize>wideWidth << 2, from += row) {
        let i: usize = 0;
        for (; i + 16 <= row; i += 16) v128.store(at + i, v128.load(from + i));
        for (; i < row; i += 4) store<u32>(at + i, load<u32>(from + i));
      }
    }
}
