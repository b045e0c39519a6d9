// Sums of products along rows (AssemblyScript): every tap of a window is one number, times neighbours in a plane or in a copy that has no edges (depthwise.ts). Rows lie
// `step` bytes apart (of `many`: rows of windows), rows of results `toStep`; `table` says where the taps lie, from a window's first element on.
import { madd } from './madd';

/**
 * A window of 3 × 3 neighbours, `stride` (1 or 2) rows and columns apart. Four beside each other go down the rows together: a row is read once for all windows that
 * it lies in. The first row is `row` of `height`: zeros stand in the place of rows that are none of them (64 bytes at `zeros`), and in that of the first column and of
 * the last where `before` and `after` are 0, not −1.
 */
export function nine(
  stride: i32,
  at: usize,
  step: usize,
  row: i32,
  height: i32,
  before: i32,
  after: i32,
  zeros: usize,
  to: usize,
  toStep: usize,
  rows: i32,
  columns: i32,
  w: usize,
  bias: f32,
): void {
  const w0 = v128.load32_splat(w);
  const w1 = v128.load32_splat(w, 4);
  const w2 = v128.load32_splat(w, 8);
  const w3 = v128.load32_splat(w, 12);
  const w4 = v128.load32_splat(w, 16);
  const w5 = v128.load32_splat(w, 20);
  const w6 = v128.load32_splat(w, 24);
  const w7 = v128.load32_splat(w, 28);
  const w8 = v128.load32_splat(w, 32);
  const start = f32x4.splat(bias);
  const all = i32x4.splat(-1);
  const last = <usize>(columns - 4) << 2;
  const end = row + rows * stride;
  for (let x: usize = 0; ; x += 16) {
    x = min(x, last);
    const first = i32x4.replace_lane(all, 0, x == 0 ? before : -1);
    const third = i32x4.replace_lane(all, 3, x == last ? after : -1);
    let s = start;
    let t = start;
    let p = at + x * stride;
    let o = to + x - toStep;
    if (stride == 1) {
      // the first two rows complete no window
      o -= toStep;
      for (let y = row; y < end + 2; y++, p += step, o += toStep) {
        const q = <u32>y < <u32>height ? p : zeros;
        let v = v128.and(v128.load(q), first);
        s = madd(w6, v, s);
        t = madd(w3, v, t);
        let u = madd(w0, v, start);
        v = v128.load(q, 4);
        s = madd(w7, v, s);
        t = madd(w4, v, t);
        u = madd(w1, v, u);
        v = v128.and(v128.load(q, 8), third);
        s = madd(w8, v, s);
        t = madd(w5, v, t);
        u = madd(w2, v, u);
        if (y > row + 1) v128.store(o, s);
        s = t;
        t = u;
      }
    } else {
      // what stands at even places, at odd ones, and at the next even ones
      for (let y = row; y <= end; y += 2, o += toStep) {
        let q = <u32>y < <u32>height ? p : zeros;
        p += step;
        let a = v128.load(q);
        let b = v128.load(q, 16);
        let v = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
        a = v128.shuffle<f32>(a, b, 1, 3, 5, 7);
        b = v128.and(v128.shuffle<f32>(v, v128.load32_zero(q, 32), 1, 2, 3, 4), third);
        v = v128.and(v, first);
        s = madd(w6, v, s);
        t = madd(w0, v, start);
        s = madd(w7, a, s);
        t = madd(w1, a, t);
        s = madd(w8, b, s);
        t = madd(w2, b, t);
        if (y > row) v128.store(o, s);
        q = <u32>(y + 1) < <u32>height ? p : zeros;
        p += step;
        a = v128.load(q);
        b = v128.load(q, 16);
        v = v128.shuffle<f32>(a, b, 0, 2, 4, 6);
        t = madd(w3, v128.and(v, first), t);
        t = madd(w4, v128.shuffle<f32>(a, b, 1, 3, 5, 7), t);
        s = madd(w5, v128.and(v128.shuffle<f32>(v, v128.load32_zero(q, 32), 1, 2, 3, 4), third), t);
      }
    }
    if (x == last) break;
  }
}

/** Any number of taps, in blocks of 3 × 8 or, where there are few rows, 1 × 24: with the six vectors that they read no more than there are registers. */
export function many(
  at: usize,
  step: usize,
  to: usize,
  toStep: usize,
  rows: i32,
  columns: i32,
  table: usize,
  w: usize,
  taps: i32,
  bias: f32,
): void {
  const across = rows < 3 && columns >= 24;
  const down = across ? 1 : 3;
  const right = across ? 24 : 8;
  const most = across ? 2 : rows - 1;
  const a1 = (across ? 32 : step) * min(1, most);
  const a2 = (across ? 32 : step) * min(2, most);
  const b1 = (across ? 32 : toStep) * min(1, most);
  const b2 = (across ? 32 : toStep) * min(2, most);
  const next = <usize>min(4, columns - 4) << 2;
  const end = table + (<usize>taps << 2);
  for (let y = 0; y < rows; y += down) {
    // the last blocks overlap those before
    const line = max(0, min(y, rows - down));
    for (let x = 0; x < columns; x += right) {
      const column = <usize>max(0, min(x, columns - right)) << 2;
      const from = at + step * line + column;
      let s00 = f32x4.splat(bias);
      let s01 = s00;
      let s10 = s00;
      let s11 = s00;
      let s20 = s00;
      let s21 = s00;
      for (let t = table, q = w; t < end; t += 4, q += 4) {
        const x = v128.load32_splat(q);
        const p = from + load<usize>(t);
        s00 = madd(x, v128.load(p), s00);
        s01 = madd(x, v128.load(p + next), s01);
        s10 = madd(x, v128.load(p + a1), s10);
        s11 = madd(x, v128.load(p + a1 + next), s11);
        s20 = madd(x, v128.load(p + a2), s20);
        s21 = madd(x, v128.load(p + a2 + next), s21);
      }
      const there = to + toStep * line + column;
      v128.store(there, s00);
      v128.store(there + next, s01);
      v128.store(there + b1, s10);
      v128.store(there + b1 + next, s11);
      v128.store(there + b2, s20);
      v128.store(there + b2 + next, s21);
    }
  }
}
