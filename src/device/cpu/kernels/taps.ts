// Sums of products along rows (AssemblyScript): every tap of a window is one number, times neighbours from where it lies in a copy that has no edges (depthwise.ts). Rows of
// windows lie `step` bytes apart, rows of results `toStep`; `table` says where the taps lie, from a window's first element on.
import { madd } from './madd';

/** A window of 3 × 3 whose rows are neighbours, in blocks of four rows; there are no fewer. `table`: the taps' offsets. */
export function nine(
  at: usize,
  step: usize,
  to: usize,
  toStep: usize,
  rows: i32,
  columns: i32,
  table: usize,
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
  const start = load<usize>(table);
  const t1 = load<usize>(table, 4) - start;
  const t2 = load<usize>(table, 8) - start;
  const down = load<usize>(table, 12) - start;
  const last = <usize>max(0, columns - 4) << 2;
  for (let y = 0; y < rows; y += 4) {
    // the last blocks overlap those before
    const line = <usize>min(y, rows - 4);
    for (let x: usize = 0; ; x += 16) {
      x = min(x, last);
      let p = at + start + step * line + x;
      const o = to + toStep * line + x;
      let a = v128.load(p);
      let b = v128.load(p + t1);
      let c = v128.load(p + t2);
      let s0 = f32x4.splat(bias);
      s0 = madd(w0, a, s0);
      s0 = madd(w1, b, s0);
      s0 = madd(w2, c, s0);
      p += down;
      a = v128.load(p);
      b = v128.load(p + t1);
      c = v128.load(p + t2);
      let s1 = f32x4.splat(bias);
      s0 = madd(w3, a, s0);
      s0 = madd(w4, b, s0);
      s0 = madd(w5, c, s0);
      s1 = madd(w0, a, s1);
      s1 = madd(w1, b, s1);
      s1 = madd(w2, c, s1);
      p += down;
      a = v128.load(p);
      b = v128.load(p + t1);
      c = v128.load(p + t2);
      let s2 = f32x4.splat(bias);
      s0 = madd(w6, a, s0);
      s0 = madd(w7, b, s0);
      s0 = madd(w8, c, s0);
      s1 = madd(w3, a, s1);
      s1 = madd(w4, b, s1);
      s1 = madd(w5, c, s1);
      s2 = madd(w0, a, s2);
      s2 = madd(w1, b, s2);
      s2 = madd(w2, c, s2);
      v128.store(o, s0);
      p += down;
      a = v128.load(p);
      b = v128.load(p + t1);
      c = v128.load(p + t2);
      s0 = f32x4.splat(bias);
      s1 = madd(w6, a, s1);
      s1 = madd(w7, b, s1);
      s1 = madd(w8, c, s1);
      s2 = madd(w3, a, s2);
      s2 = madd(w4, b, s2);
      s2 = madd(w5, c, s2);
      s0 = madd(w0, a, s0);
      s0 = madd(w1, b, s0);
      s0 = madd(w2, c, s0);
      v128.store(o + toStep, s1);
      p += down;
      a = v128.load(p);
      b = v128.load(p + t1);
      c = v128.load(p + t2);
      s2 = madd(w6, a, s2);
      s2 = madd(w7, b, s2);
      s2 = madd(w8, c, s2);
      s0 = madd(w3, a, s0);
      s0 = madd(w4, b, s0);
      s0 = madd(w5, c, s0);
      v128.store(o + toStep * 2, s2);
      p += down;
      a = v128.load(p);
      b = v128.load(p + t1);
      c = v128.load(p + t2);
      s0 = madd(w6, a, s0);
      s0 = madd(w7, b, s0);
      s0 = madd(w8, c, s0);
      v128.store(o + toStep * 3, s0);
      if (x == last) break;
    }
  }
}

/** A window of 3 × 3 whose rows lie anywhere. */
export function apart(
  at: usize,
  step: usize,
  to: usize,
  toStep: usize,
  rows: i32,
  columns: i32,
  table: usize,
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
  const t1 = load<usize>(table, 4);
  const t2 = load<usize>(table, 8);
  const down = load<usize>(table, 12);
  const last = <usize>(columns - 4) << 2;
  for (; rows > 0; rows--, at += step, to += toStep) {
    for (let x: usize = 0; ; x += 16) {
      x = min(x, last);
      let p = at + x;
      let s = f32x4.splat(bias);
      s = madd(w0, v128.load(p), s);
      s = madd(w1, v128.load(p + t1), s);
      s = madd(w2, v128.load(p + t2), s);
      p += down;
      s = madd(w3, v128.load(p), s);
      s = madd(w4, v128.load(p + t1), s);
      s = madd(w5, v128.load(p + t2), s);
      p += down;
      s = madd(w6, v128.load(p), s);
      s = madd(w7, v128.load(p + t1), s);
      s = madd(w8, v128.load(p + t2), s);
      v128.store(to + x, s);
      if (x == last) break;
    }
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
