// The tiled product in float32 (AssemblyScript). Both operands and the result are told by offset tables, so matrices, their transposes and a
// convolution's patches are one thing:
//   A(m, k) = f32 at a + aRows[m] + aDepth[k],  B(k, n) = f32 at b + bDepth[k] + bColumns[n],  C(m, n) = f32 at c + cRows[m] + cColumns[n]
// Tables hold byte offsets (i32). Panels are packed to strips of 6 rows and 8 columns; a strip's micro-kernel keeps 6 × 8 sums in registers.
// The sum of an element runs over blocks of `depth` whose size follows from K alone: the same whatever part of the result a call computes.
// Compiled with fused multiply-add (relaxed SIMD); scripts/build-wasm.mjs makes the form without it from that.

import { madd } from './madd';

export { combine, complete, depthwise, dots, steps } from './thin';

/** Rows and columns of a strip. */
const MR = 6;
const NR = 8;
/** Depth, rows and columns of a block: the strip of B stays in the first-level cache, the panels (96 KiB and 512 KiB) in the second. */
const KC = 256;
const MC = 96;
const NC = 512;

/** Rows up to which columns are not worth packing. */
const FEW = 12;

/** Steps that a sum runs on before it is added to the one before: rounding errors grow with the steps of a run, not with the depth. */
const CHUNK = 64;

/** The fields of a product in memory, 4 bytes each. */
const A = 0;
const A_ROWS = 4;
const A_DEPTH = 8;
const B = 12;
const B_DEPTH = 16;
const B_COLUMNS = 20;
const C = 24;
const C_ROWS = 28;
const C_COLUMNS = 32;
const K = 36;
/** Where the bias lies, and what it is: 0 none, 1 one a row, 2 one a column. */
const BIAS = 40;
const BIAS_KIND = 44;
/** What is stored: 0 the sum, 1 the sum where it is positive (NaN stays), else 0. */
const FINISH = 48;
/** Whether C's values are added to. */
const ADD = 52;

/** Bytes of the working memory of a call: a strip's sums, then the panels, then what loads past their ends may touch. */
const TILE_BYTES = 256;
const A_BYTES = MC * KC * 4;
export function workBytes(): i32 {
  return TILE_BYTES + A_BYTES + NC * KC * 4 + 64;
}

// @ts-expect-error: decorator
@inline
function entry(table: usize, i: i32): usize {
  return load<u32>(table + (<usize>i << 2));
}

/** Whether the four offsets at `table` are those of neighbours. */
// @ts-expect-error: decorator
@inline
function four(table: usize): bool {
  const t = v128.load(table);
  return i32x4.all_true(i32x4.eq(i32x4.sub(t, i32x4.splat(load<i32>(table))), i32x4(0, 4, 8, 12)));
}

/** The rows `m0 … m1` and columns `n0 … n1` of the product whose fields lie at `p`. */
export function product(p: usize, m0: i32, m1: i32, n0: i32, n1: i32, work: usize): void {
  const depthOfAll = load<i32>(p, K);
  const blocks = (depthOfAll + KC - 1) / KC;
  // blocks of equal size, so that none is thin
  const step = blocks > 1 ? ((depthOfAll + blocks - 1) / blocks + 3) & ~3 : depthOfAll;
  const panelA = work + TILE_BYTES;
  const panelB = panelA + A_BYTES;
  const bColumns = load<usize>(p, B_COLUMNS);
  // B's columns are read where they lie, or packed strip by strip, where they serve few rows
  const few = m1 - m0 <= FEW;
  for (let j = n0; j < n1; j += NC) {
    const columns = min(NC, n1 - j);
    let k = 0;
    do {
      const depth = min(step, depthOfAll - k);
      const stripA = depth * MR * 4;
      const stripB = depth * NR * 4;
      if (!few)
        for (let c = 0, to = panelB; c < columns; c += NR, to += stripB)
          packColumns(p, to, bColumns + ((j + c) << 2), min(NR, columns - c), k, depth);
      for (let i = m0; i < m1; i += MC) {
        const rows = min(MC, m1 - i);
        for (let r = 0, to = panelA; r < rows; r += MR, to += stripA) packRows(p, to, i + r, min(MR, rows - r), k, depth);
        const first = k == 0 && load<i32>(p, ADD) == 0;
        const last = k + depth >= depthOfAll;
        for (let c = 0, fromB = panelB; c < columns; c += NR, fromB += stripB)
          strip(p, panelA, fromB, i, rows, j + c, min(NR, columns - c), k, depth, first, last, few, work);
      }
      k += depth;
    } while (k < depthOfAll);
  }
}

/** One strip of B against the rows of a block. */
function strip(
  p: usize,
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
  let far: usize = 0;
  let mask0 = i32x4.splat(0);
  let mask1 = mask0;
  const table = load<usize>(p, B_DEPTH) + (<usize>k0 << 2);
  if (few) {
    const at = load<usize>(p, B_COLUMNS) + (<usize>column << 2);
    if (columns == NR && twoRuns(at)) {
      near = load<usize>(p, B) + entry(at, 0);
      far = load<usize>(p, B) + entry(at, 7) - 28;
      mask0 = i32x4.ne(jumps(at, entry(at, 0), 0), mask0);
      mask1 = i32x4.ne(jumps(at + 16, entry(at, 0), 16), mask1);
    } else packColumns(p, fromB, at, columns, k0, depth);
  }
  const cColumns = load<usize>(p, C_COLUMNS) + (<usize>column << 2);
  const cRows = load<usize>(p, C_ROWS) + (<usize>row << 2);
  const direct = columns == NR && four(cColumns) && four(cColumns + 16) && entry(cColumns, 4) - entry(cColumns, 0) == 16;
  const c = load<usize>(p, C) + entry(cColumns, 0);
  const kind = last ? load<i32>(p, BIAS_KIND) : 0;
  const relu = last && load<i32>(p, FINISH) == 1;
  const bias = load<usize>(p, BIAS);
  let bias0 = f32x4.splat(0);
  let bias1 = bias0;
  if (kind == 2 && columns == NR) {
    bias0 = v128.load(bias + (<usize>column << 2));
    bias1 = v128.load(bias + (<usize>column << 2), 16);
  }
  for (let r = 0; r < rows; r += MR) {
    const fromA = panelA + <usize>(r * depth * 4);
    const count = min(MR, rows - r);
    if (near != 0) {
      if (near == far) {
        if (count > 4) here6(fromA, near, table, depth, work);
        else here4(fromA, near, table, depth, work);
      } else if (count > 4) across6(fromA, near, far, mask0, mask1, table, depth, work);
      else across4(fromA, near, far, mask0, mask1, table, depth, work);
    } else if (count > 4) kernel6(fromA, fromB, depth, work);
    else if (count > 2) kernel4(fromA, fromB, depth, work);
    else kernel2(fromA, fromB, depth, work);
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
        const at = load<usize>(p, C) + entry(cRows, r + q);
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

/** Where a kernel finds B's columns: packed; neighbours where they lie; in two places, of which masks choose lane by lane. */
const PACKED = 0;
const HERE = 1;
const ACROSS = 2;

/** `rows` × 8 sums over `depth`, stored at `to` row by row. `table`: the depth's offsets where columns are not packed. */
// @ts-expect-error: decorator
@inline
function sums(
  rows: i32,
  mode: i32,
  a: usize,
  b: usize,
  far: usize,
  mask0: v128,
  mask1: v128,
  table: usize,
  depth: i32,
  to: usize,
): void {
  let before = false;
  do {
    const end = a + <usize>min(CHUNK, depth) * (MR * 4);
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
    for (; a < end; a += MR * 4) {
      let b0: v128;
      let b1: v128;
      if (mode == PACKED) {
        b0 = v128.load(b);
        b1 = v128.load(b, 16);
        b += NR * 4;
      } else {
        const o = load<u32>(table);
        table += 4;
        b0 = v128.load(b + o);
        b1 = v128.load(b + o, 16);
        if (mode == ACROSS) {
          b0 = v128.bitselect(v128.load(far + o), b0, mask0);
          b1 = v128.bitselect(v128.load(far + o, 16), b1, mask1);
        }
      }
      let x = v128.load32_splat(a);
      c00 = madd(x, b0, c00);
      c01 = madd(x, b1, c01);
      x = v128.load32_splat(a, 4);
      c10 = madd(x, b0, c10);
      c11 = madd(x, b1, c11);
      if (rows > 2) {
        x = v128.load32_splat(a, 8);
        c20 = madd(x, b0, c20);
        c21 = madd(x, b1, c21);
      }
      if (rows > 3) {
        x = v128.load32_splat(a, 12);
        c30 = madd(x, b0, c30);
        c31 = madd(x, b1, c31);
      }
      if (rows > 4) {
        x = v128.load32_splat(a, 16);
        c40 = madd(x, b0, c40);
        c41 = madd(x, b1, c41);
      }
      if (rows > 5) {
        x = v128.load32_splat(a, 20);
        c50 = madd(x, b0, c50);
        c51 = madd(x, b1, c51);
      }
    }
    if (before) {
      if (rows > 0) {
        c00 = f32x4.add(v128.load(to, 0), c00);
        c01 = f32x4.add(v128.load(to, 16), c01);
      }
      if (rows > 1) {
        c10 = f32x4.add(v128.load(to, 32), c10);
        c11 = f32x4.add(v128.load(to, 48), c11);
      }
      if (rows > 2) {
        c20 = f32x4.add(v128.load(to, 64), c20);
        c21 = f32x4.add(v128.load(to, 80), c21);
      }
      if (rows > 3) {
        c30 = f32x4.add(v128.load(to, 96), c30);
        c31 = f32x4.add(v128.load(to, 112), c31);
      }
      if (rows > 4) {
        c40 = f32x4.add(v128.load(to, 128), c40);
        c41 = f32x4.add(v128.load(to, 144), c41);
      }
      if (rows > 5) {
        c50 = f32x4.add(v128.load(to, 160), c50);
        c51 = f32x4.add(v128.load(to, 176), c51);
      }
    }
    if (rows > 0) {
      v128.store(to, c00, 0);
      v128.store(to, c01, 16);
    }
    if (rows > 1) {
      v128.store(to, c10, 32);
      v128.store(to, c11, 48);
    }
    if (rows > 2) {
      v128.store(to, c20, 64);
      v128.store(to, c21, 80);
    }
    if (rows > 3) {
      v128.store(to, c30, 96);
      v128.store(to, c31, 112);
    }
    if (rows > 4) {
      v128.store(to, c40, 128);
      v128.store(to, c41, 144);
    }
    if (rows > 5) {
      v128.store(to, c50, 160);
      v128.store(to, c51, 176);
    }
    before = true;
    depth -= CHUNK;
  } while (depth > 0);
}

const NONE = i32x4(0, 0, 0, 0);

function kernel6(a: usize, b: usize, depth: i32, to: usize): void {
  sums(6, PACKED, a, b, 0, NONE, NONE, 0, depth, to);
}
function kernel4(a: usize, b: usize, depth: i32, to: usize): void {
  sums(4, PACKED, a, b, 0, NONE, NONE, 0, depth, to);
}
function kernel2(a: usize, b: usize, depth: i32, to: usize): void {
  sums(2, PACKED, a, b, 0, NONE, NONE, 0, depth, to);
}
function here6(a: usize, b: usize, table: usize, depth: i32, to: usize): void {
  sums(6, HERE, a, b, 0, NONE, NONE, table, depth, to);
}
function here4(a: usize, b: usize, table: usize, depth: i32, to: usize): void {
  sums(4, HERE, a, b, 0, NONE, NONE, table, depth, to);
}
function across6(a: usize, b: usize, far: usize, mask0: v128, mask1: v128, table: usize, depth: i32, to: usize): void {
  sums(6, ACROSS, a, b, far, mask0, mask1, table, depth, to);
}
function across4(a: usize, b: usize, far: usize, mask0: v128, mask1: v128, table: usize, depth: i32, to: usize): void {
  sums(4, ACROSS, a, b, far, mask0, mask1, table, depth, to);
}

/** How far the four offsets at `table` are from being neighbours of the one `lane` places before. */
// @ts-expect-error: decorator
@inline
function jumps(table: usize, first: i32, lane: i32): v128 {
  return i32x4.sub(v128.load(table), i32x4.add(i32x4.splat(first + lane), i32x4(0, 4, 8, 12)));
}

/** Whether the eight offsets at `table` are those of one run of neighbours, or of two. */
// @ts-expect-error: decorator
@inline
function twoRuns(table: usize): bool {
  const first = load<i32>(table);
  const low = jumps(table, first, 0);
  const high = jumps(table + 16, first, 16);
  const jump = i32x4.splat(load<i32>(table, 28) - first - 28);
  const zero = i32x4.splat(0);
  return (
    i32x4.all_true(v128.or(i32x4.eq(low, zero), i32x4.eq(low, jump))) &&
    i32x4.all_true(v128.or(i32x4.eq(high, zero), i32x4.eq(high, jump)))
  );
}

/** Packs `count` rows of A from `row` on; what stands in the strip's other rows is never looked at. */
function packRows(p: usize, to: usize, row: i32, count: i32, k0: i32, depth: i32): void {
  const rows = load<usize>(p, A_ROWS) + (<usize>row << 2);
  const a = load<usize>(p, A);
  const p0 = a + entry(rows, 0);
  const p1 = a + entry(rows, min(1, count - 1));
  const p2 = a + entry(rows, min(2, count - 1));
  const p3 = a + entry(rows, min(3, count - 1));
  const p4 = a + entry(rows, min(4, count - 1));
  const p5 = a + entry(rows, min(5, count - 1));
  let table = load<usize>(p, A_DEPTH) + (<usize>k0 << 2);
  let k = 0;
  if (count == MR && p3 - p0 == 12 && p5 - p0 == 20 && p4 - p0 == 16 && p1 - p0 == 4) {
    for (; k < depth; k++, to += MR * 4, table += 4) {
      const from = p0 + load<u32>(table);
      v128.store(to, v128.load(from));
      store<u64>(to, load<u64>(from, 16), 16);
    }
    return;
  }
  for (; k + 4 <= depth; k += 4, table += 16) {
    if (!four(table)) {
      for (let q = 0; q < 4; q++, to += MR * 4) one6(to, load<u32>(table + (<usize>q << 2)), p0, p1, p2, p3, p4, p5);
      continue;
    }
    const o = load<u32>(table);
    const x0 = v128.load(p0 + o);
    const x1 = v128.load(p1 + o);
    const x2 = v128.load(p2 + o);
    const x3 = v128.load(p3 + o);
    const x4 = v128.load(p4 + o);
    const x5 = v128.load(p5 + o);
    const l01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
    const h01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
    const l23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
    const h23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
    const l45 = v128.shuffle<f32>(x4, x5, 0, 4, 1, 5);
    const h45 = v128.shuffle<f32>(x4, x5, 2, 6, 3, 7);
    v128.store(to, v128.shuffle<f32>(l01, l23, 0, 1, 4, 5));
    v128.store64_lane(to, l45, 0, 16);
    v128.store(to, v128.shuffle<f32>(l01, l23, 2, 3, 6, 7), 24);
    v128.store64_lane(to, l45, 1, 40);
    v128.store(to, v128.shuffle<f32>(h01, h23, 0, 1, 4, 5), 48);
    v128.store64_lane(to, h45, 0, 64);
    v128.store(to, v128.shuffle<f32>(h01, h23, 2, 3, 6, 7), 72);
    v128.store64_lane(to, h45, 1, 88);
    to += MR * 16;
  }
  for (; k < depth; k++, to += MR * 4, table += 4) one6(to, load<u32>(table), p0, p1, p2, p3, p4, p5);
}

// @ts-expect-error: decorator
@inline
function one6(to: usize, o: usize, p0: usize, p1: usize, p2: usize, p3: usize, p4: usize, p5: usize): void {
  store<u32>(to, load<u32>(p0 + o));
  store<u32>(to, load<u32>(p1 + o), 4);
  store<u32>(to, load<u32>(p2 + o), 8);
  store<u32>(to, load<u32>(p3 + o), 12);
  store<u32>(to, load<u32>(p4 + o), 16);
  store<u32>(to, load<u32>(p5 + o), 20);
}

/** Packs `count` columns of B, whose offsets begin at `columns`. */
function packColumns(p: usize, to: usize, columns: usize, count: i32, k0: i32, depth: i32): void {
  const b = load<usize>(p, B);
  const p0 = b + entry(columns, 0);
  const p1 = b + entry(columns, min(1, count - 1));
  const p2 = b + entry(columns, min(2, count - 1));
  const p3 = b + entry(columns, min(3, count - 1));
  const p4 = b + entry(columns, min(4, count - 1));
  const p5 = b + entry(columns, min(5, count - 1));
  const p6 = b + entry(columns, min(6, count - 1));
  const p7 = b + entry(columns, min(7, count - 1));
  let table = load<usize>(p, B_DEPTH) + (<usize>k0 << 2);
  const end = to + <usize>(depth * NR * 4);
  if (count == NR && four(columns) && four(columns + 16)) {
    for (; to < end; to += NR * 4, table += 4) {
      const o = load<u32>(table);
      v128.store(to, v128.load(p0 + o));
      v128.store(to, v128.load(p4 + o), 16);
    }
    return;
  }
  if (count == NR && twoRuns(columns)) {
    const far = p7 - 28;
    const mask0 = i32x4.ne(jumps(columns, entry(columns, 0), 0), i32x4.splat(0));
    const mask1 = i32x4.ne(jumps(columns + 16, entry(columns, 0), 16), i32x4.splat(0));
    for (; to < end; to += NR * 4, table += 4) {
      const o = load<u32>(table);
      v128.store(to, v128.bitselect(v128.load(far + o), v128.load(p0 + o), mask0));
      v128.store(to, v128.bitselect(v128.load(far + o, 16), v128.load(p0 + o, 16), mask1), 16);
    }
    return;
  }
  let k = 0;
  for (; k + 4 <= depth; k += 4, table += 16) {
    if (!four(table)) {
      for (let q = 0; q < 4; q++, to += NR * 4)
        one8(to, load<u32>(table + (<usize>q << 2)), p0, p1, p2, p3, p4, p5, p6, p7);
      continue;
    }
    const o = load<u32>(table);
    transpose4(to, v128.load(p0 + o), v128.load(p1 + o), v128.load(p2 + o), v128.load(p3 + o));
    transpose4(to + 16, v128.load(p4 + o), v128.load(p5 + o), v128.load(p6 + o), v128.load(p7 + o));
    to += NR * 16;
  }
  for (; k < depth; k++, to += NR * 4, table += 4) one8(to, load<u32>(table), p0, p1, p2, p3, p4, p5, p6, p7);
}

// @ts-expect-error: decorator
@inline
function transpose4(to: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  const l01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
  const h01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
  const l23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
  const h23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(l01, l23, 0, 1, 4, 5));
  v128.store(to, v128.shuffle<f32>(l01, l23, 2, 3, 6, 7), 32);
  v128.store(to, v128.shuffle<f32>(h01, h23, 0, 1, 4, 5), 64);
  v128.store(to, v128.shuffle<f32>(h01, h23, 2, 3, 6, 7), 96);
}

// @ts-expect-error: decorator
@inline
function one8(
  to: usize,
  o: usize,
  p0: usize,
  p1: usize,
  p2: usize,
  p3: usize,
  p4: usize,
  p5: usize,
  p6: usize,
  p7: usize,
): void {
  store<u32>(to, load<u32>(p0 + o));
  store<u32>(to, load<u32>(p1 + o), 4);
  store<u32>(to, load<u32>(p2 + o), 8);
  store<u32>(to, load<u32>(p3 + o), 12);
  store<u32>(to, load<u32>(p4 + o), 16);
  store<u32>(to, load<u32>(p5 + o), 20);
  store<u32>(to, load<u32>(p6 + o), 24);
  store<u32>(to, load<u32>(p7 + o), 28);
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
