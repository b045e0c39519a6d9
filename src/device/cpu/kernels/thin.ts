// Products without packing (AssemblyScript): few rows, few steps, or few multiplications altogether.
import { Fields, part } from './fields';
import { madd } from './madd';

/** Columns of C that are summed up at a time: they stay in the first-level cache while B goes by once, row by row. */
const WIDE = 1024;

/** A job: B's columns are neighbours in memory; or each goes on along its depth, and A's rows do. */
export function thinTile(p: Fields, tile: i32, work: usize): void {
  const own = changetype<Fields>(work);
  for (let i = 0; part(p, tile, i, own); i++) {
    if (own.bColumns == 4) combine(own);
    else dots(own);
    finish(own);
  }
}

/** A job: few multiplications, summed from first to last. */
export function stepsTile(p: Fields, tile: i32, work: usize): void {
  const own = changetype<Fields>(work);
  for (let i = 0; part(p, tile, i, own); i++) {
    steps(own);
    finish(own);
  }
}

/** C(m, ·) = Σ A(m, k)·B(k, ·) */
function combine(p: Fields): void {
  for (let j = p.column; j < p.columns; j += WIDE) {
    const bytes = <usize>min(WIDE, p.columns - j) << 2;
    for (let k = 0; k < p.depth; ) {
      const four = k + 4 <= p.depth;
      const b = p.b + k * p.bDepth + (<usize>j << 2);
      for (let m = p.row; m < p.rows; ) {
        const a = p.a + m * p.aRows + k * p.aDepth;
        const c = p.c + m * p.cRows + (<usize>j << 2);
        const two = four && m + 2 <= p.rows;
        if (two) twoByFour(p, a, b, c, bytes, k == 0);
        else if (four) oneByFour(p, a, b, c, bytes, k == 0);
        else oneByOne(p, a, b, c, bytes, k == 0);
        m += two ? 2 : 1;
      }
      k += four ? 4 : 1;
    }
  }
}

/** Adds `depth` rows of B, each times an element of A, to one row of C or two, on `bytes` of them: four columns at a time, or one. */
// @ts-expect-error: decorator
@inline
function addRows(
  rows: i32,
  depth: i32,
  columns: i32,
  p: Fields,
  a: usize,
  b: usize,
  c: usize,
  bytes: usize,
  fresh: bool,
): void {
  const zero = f32x4.splat(0);
  const x0 = v128.load32_splat(a);
  const y0 = rows > 1 ? v128.load32_splat(a + p.aRows) : zero;
  if (depth > 1) a += p.aDepth;
  const x1 = depth > 1 ? v128.load32_splat(a) : zero;
  const y1 = depth > 1 && rows > 1 ? v128.load32_splat(a + p.aRows) : zero;
  if (depth > 1) a += p.aDepth;
  const x2 = depth > 1 ? v128.load32_splat(a) : zero;
  const y2 = depth > 1 && rows > 1 ? v128.load32_splat(a + p.aRows) : zero;
  if (depth > 1) a += p.aDepth;
  const x3 = depth > 1 ? v128.load32_splat(a) : zero;
  const y3 = depth > 1 && rows > 1 ? v128.load32_splat(a + p.aRows) : zero;
  const b1 = b + p.bDepth;
  const b2 = b1 + p.bDepth;
  const b3 = b2 + p.bDepth;
  const d = c + p.cRows;
  for (let at: usize = 0; at < bytes; at += columns * 4) {
    let v = some(columns, b + at);
    let s = madd(x0, v, fresh ? zero : some(columns, c + at));
    let t = rows > 1 ? madd(y0, v, fresh ? zero : some(columns, d + at)) : zero;
    if (depth > 1) {
      v = some(columns, b1 + at);
      s = madd(x1, v, s);
      if (rows > 1) t = madd(y1, v, t);
      v = some(columns, b2 + at);
      s = madd(x2, v, s);
      if (rows > 1) t = madd(y2, v, t);
      v = some(columns, b3 + at);
      s = madd(x3, v, s);
      if (rows > 1) t = madd(y3, v, t);
    }
    if (columns > 1) {
      v128.store(c + at, s);
      if (rows > 1) v128.store(d + at, t);
    } else {
      v128.store32_lane(c + at, s, 0);
      if (rows > 1) v128.store32_lane(d + at, t, 0);
    }
  }
}

// @ts-expect-error: decorator
@inline
function some(columns: i32, at: usize): v128 {
  return columns > 1 ? v128.load(at) : v128.load32_zero(at);
}

// @ts-expect-error: decorator
@inline
function addAll(rows: i32, depth: i32, p: Fields, a: usize, b: usize, c: usize, bytes: usize, fresh: bool): void {
  const fours = bytes & ~15;
  addRows(rows, depth, 4, p, a, b, c, fours, fresh);
  if (fours < bytes) addRows(rows, depth, 1, p, a, b + fours, c + fours, bytes - fours, fresh);
}

function twoByFour(p: Fields, a: usize, b: usize, c: usize, bytes: usize, fresh: bool): void {
  addAll(2, 4, p, a, b, c, bytes, fresh);
}
function oneByFour(p: Fields, a: usize, b: usize, c: usize, bytes: usize, fresh: bool): void {
  addAll(1, 4, p, a, b, c, bytes, fresh);
}
function oneByOne(p: Fields, a: usize, b: usize, c: usize, bytes: usize, fresh: bool): void {
  addAll(1, 1, p, a, b, c, bytes, fresh);
}

/** C(m, n) = Σ A(m, k)·B(k, n) of four columns at a time. */
function dots(p: Fields): void {
  for (let n = p.column; n < p.columns; n += 4)
    for (let m = p.row; m < p.rows; )
      if (m + 2 <= p.rows) {
        dotsOfTwo(p, m, n);
        m += 2;
      } else dotsOfOne(p, m++, n);
}

/** One row's dots, or two rows', with four columns; past the last column that one stands in. */
// @ts-expect-error: decorator
@inline
function fourDots(rows: i32, p: Fields, m: i32, n: i32): void {
  const left = p.columns - n;
  let b0 = p.b + n * p.bColumns;
  let b1 = b0 + (left > 1 ? p.bColumns : 0);
  let b2 = b1 + (left > 2 ? p.bColumns : 0);
  let b3 = b2 + (left > 3 ? p.bColumns : 0);
  let a = p.a + m * p.aRows;
  // the second row; or where there is one its next four, because the additions of one sum wait for each other
  const other: usize = rows > 1 ? p.aRows : 16;
  const step = rows > 1 ? 16 : 32;
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let t0 = s0;
  let t1 = s0;
  let t2 = s0;
  let t3 = s0;
  const end = a + (<usize>p.depth << 2);
  for (; a + step <= end; a += step, b0 += step, b1 += step, b2 += step, b3 += step) {
    const x = v128.load(a);
    const y = v128.load(a + other);
    let v = v128.load(b0);
    s0 = madd(x, v, s0);
    t0 = madd(y, rows > 1 ? v : v128.load(b0, 16), t0);
    v = v128.load(b1);
    s1 = madd(x, v, s1);
    t1 = madd(y, rows > 1 ? v : v128.load(b1, 16), t1);
    v = v128.load(b2);
    s2 = madd(x, v, s2);
    t2 = madd(y, rows > 1 ? v : v128.load(b2, 16), t2);
    v = v128.load(b3);
    s3 = madd(x, v, s3);
    t3 = madd(y, rows > 1 ? v : v128.load(b3, 16), t3);
  }
  for (; a < end; a += 4, b0 += 4, b1 += 4, b2 += 4, b3 += 4) {
    const x = v128.load32_zero(a);
    const y = rows > 1 ? v128.load32_zero(a + other) : x;
    let v = v128.load32_zero(b0);
    s0 = madd(x, v, s0);
    if (rows > 1) t0 = madd(y, v, t0);
    v = v128.load32_zero(b1);
    s1 = madd(x, v, s1);
    if (rows > 1) t1 = madd(y, v, t1);
    v = v128.load32_zero(b2);
    s2 = madd(x, v, s2);
    if (rows > 1) t2 = madd(y, v, t2);
    v = v128.load32_zero(b3);
    s3 = madd(x, v, s3);
    if (rows > 1) t3 = madd(y, v, t3);
  }
  const c = p.c + m * p.cRows + (<usize>n << 2);
  if (rows > 1) {
    put(c, left, s0, s1, s2, s3);
    put(c + p.cRows, left, t0, t1, t2, t3);
  } else put(c, left, f32x4.add(s0, t0), f32x4.add(s1, t1), f32x4.add(s2, t2), f32x4.add(s3, t3));
}

function dotsOfOne(p: Fields, m: i32, n: i32): void {
  fourDots(1, p, m, n);
}
function dotsOfTwo(p: Fields, m: i32, n: i32): void {
  fourDots(2, p, m, n);
}

/** Stores the sums over the lanes of each, as many as there are columns left. */
function put(c: usize, left: i32, s0: v128, s1: v128, s2: v128, s3: v128): void {
  const l01 = v128.shuffle<f32>(s0, s1, 0, 4, 1, 5);
  const h01 = v128.shuffle<f32>(s0, s1, 2, 6, 3, 7);
  const l23 = v128.shuffle<f32>(s2, s3, 0, 4, 1, 5);
  const h23 = v128.shuffle<f32>(s2, s3, 2, 6, 3, 7);
  let s = f32x4.add(
    f32x4.add(v128.shuffle<f32>(l01, l23, 0, 1, 4, 5), v128.shuffle<f32>(l01, l23, 2, 3, 6, 7)),
    f32x4.add(v128.shuffle<f32>(h01, h23, 0, 1, 4, 5), v128.shuffle<f32>(h01, h23, 2, 3, 6, 7)),
  );
  if (left >= 4) v128.store(c, s);
  else
    for (; left > 0; left--, c += 4) {
      v128.store32_lane(c, s, 0);
      s = v128.shuffle<f32>(s, s, 1, 2, 3, 0);
    }
}

/** What a store does, afterwards: the bias, and the rectifier. */
function finish(p: Fields): void {
  if (p.kind == 0 && p.relu == 0) return;
  for (let m = p.row; m < p.rows; m++) {
    let c = p.c + m * p.cRows + (<usize>p.column << 2);
    let bias = p.bias + (<usize>(p.kind == 1 ? m : p.column) << 2);
    for (let left = p.columns - p.column; left > 0; ) {
      const four = left >= 4;
      let x = four ? v128.load(c) : v128.load32_zero(c);
      if (p.kind == 1) x = f32x4.add(x, v128.load32_splat(bias));
      else if (p.kind == 2) x = f32x4.add(x, four ? v128.load(bias) : v128.load32_zero(bias));
      if (p.relu) x = f32x4.max(x, f32x4.splat(0));
      if (four) v128.store(c, x);
      else v128.store32_lane(c, x, 0);
      const columns = four ? 4 : 1;
      left -= columns;
      c += columns * 4;
      if (p.kind == 2) bias += columns * 4;
    }
  }
}

// @ts-ignore: decorator
@inline
function stepOf(sum: f64, x: f64, at: usize): f64 {
  return <f64>(<f32>(sum + x * <f64>load<f32>(at)));
}

/**
 * C(m, n) = Σ A(m, k)·B(k, n) in float32 from the first k to the last, each step rounded once, as MXNet's BLAS sums small matrices: the last digits that a tutorial
 * prints depend on it. (The product of two float32 is exact in a double.)
 */
function steps(p: Fields): void {
  const last = p.columns - 1;
  for (let m = p.row; m < p.rows; m++)
    for (let n = p.column; n < p.columns; n += 4) {
      const left = last - n;
      const b1 = p.bColumns * min(1, left);
      const b2 = p.bColumns * min(2, left);
      const b3 = p.bColumns * min(3, left);
      let s0: f64 = 0;
      let s1: f64 = 0;
      let s2: f64 = 0;
      let s3: f64 = 0;
      let a = p.a + m * p.aRows;
      let b = p.b + n * p.bColumns;
      for (let k = p.depth; k > 0; k--, a += p.aDepth, b += p.bDepth) {
        const x = <f64>load<f32>(a);
        s0 = stepOf(s0, x, b);
        s1 = stepOf(s1, x, b + b1);
        s2 = stepOf(s2, x, b + b2);
        s3 = stepOf(s3, x, b + b3);
      }
      const c = p.c + m * p.cRows + (<usize>n << 2);
      store<f32>(c, <f32>s0);
      if (left > 0) store<f32>(c, <f32>s1, 4);
      if (left > 1) store<f32>(c, <f32>s2, 8);
      if (left > 2) store<f32>(c, <f32>s3, 12);
    }
}
