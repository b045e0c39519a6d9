// Windows over planes of float32 (AssemblyScript): pooling over two axes and its gradients, as jobs of threads/cells.ts whose tiles are planes.
// Addresses in bytes, counts in elements.
import { high } from './functions';

@unmanaged
class Windows {
  kind!: i32;
  /** The data, or for sums' and averages' gradient what stands above; what stands above for the greatest ones' gradient; the result. */
  from!: usize;
  above!: usize;
  to!: usize;
  planes!: i32;
  height!: i32;
  width!: i32;
  outHeight!: i32;
  outWidth!: i32;
  kernelHeight!: i32;
  kernelWidth!: i32;
  strideHeight!: i32;
  strideWidth!: i32;
  padHeight!: i32;
  padWidth!: i32;
  /** Whether averages count zeros around. */
  padded!: i32;
  /** Planes of a tile. */
  each!: i32;
}

const MAX = 0;
const AVERAGE = 2;

/** How many rows or columns a window from `first` on divides an average by. */
// @ts-expect-error: decorator
@inline
function counted(p: Windows, first: i32, kernel: i32, extent: i32, pad: i32): i32 {
  if (p.kind != AVERAGE) return 1;
  const end = first + kernel;
  return p.padded ? max(0, min(end, extent + pad) - first) : max(0, min(end, extent) - max(0, first));
}

/** Writes what the columns divide averages by, in doubles. Returns the end. */
function countColumns(p: Windows, to: usize): usize {
  for (let x = 0; x < p.outWidth; x++, to += 8)
    store<f64>(to, <f64>counted(p, x * p.strideWidth - p.padWidth, p.kernelWidth, p.width, p.padWidth));
  return to;
}

/** Four numbers `step` bytes apart. */
// @ts-expect-error: decorator
@inline
function fourAt(at: usize, step: usize): v128 {
  if (step == 4) return v128.load(at);
  if (step == 8) return v128.shuffle<f32>(v128.load(at), v128.load(at, 16), 0, 2, 4, 6);
  return v128.load32_lane(at + step * 3, v128.load32_lane(at + step * 2, v128.load32_lane(at + step, v128.load32_zero(at), 1), 2), 3);
}

/** Two doubles `step` bytes apart. */
// @ts-expect-error: decorator
@inline
function twoAt(at: usize, step: usize): v128 {
  return step == 8 ? v128.load(at) : v128.load64_lane(at + step, v128.load64_zero(at), 1);
}

/** The greatest of `rows` rows, column by column, or their sums in doubles. */
function foldRows(kind: i32, at: usize, row: usize, rows: i32, width: i32, to: usize): void {
  for (let x = 0; x < width; x += 4) {
    // the last ones overlap those before
    const o = <usize>max(0, min(x, width - 4)) << 2;
    let from = at + o;
    if (kind == MAX) {
      let best = rows > 0 ? v128.load(from) : f32x4.splat(-Infinity);
      for (let i = 1; i < rows; i++) {
        from += row;
        best = f32x4.max(best, v128.load(from));
      }
      v128.store(to + o, best);
    } else {
      let s0 = f64x2.splat(0);
      let s1 = s0;
      for (let i = 0; i < rows; i++, from += row) {
        const v = v128.load(from);
        s0 = f64x2.add(s0, f64x2.promote_low_f32x4(v));
        s1 = f64x2.add(s1, f64x2.promote_low_f32x4(high(v)));
      }
      v128.store(to + o * 2, s0);
      v128.store(to + o * 2, s1, 16);
    }
  }
}

// @ts-expect-error: decorator
@inline
function narrowed(low: v128, high: v128): v128 {
  return v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
}

/** As much of a row's columns: windows of `kernel` of them, `stride` apart, and averages' division by `rows` times the numbers at `counts`. */
function foldColumns(kind: i32, at: usize, kernel: i32, stride: i32, to: usize, n: i32, counts: usize, rows: f64): void {
  const last = max(0, n - 4);
  const size: usize = kind == MAX ? 4 : 8;
  const step = size * stride;
  for (let x = 0; ; x += 4) {
    x = min(x, last);
    let from = at + step * x;
    let v: v128;
    if (kind == MAX) {
      v = fourAt(from, step);
      for (let j = 1; j < kernel; j++) {
        from += 4;
        v = f32x4.max(v, fourAt(from, step));
      }
    } else {
      let s0 = f64x2.splat(0);
      let s1 = s0;
      for (let j = 0; j < kernel; j++, from += 8) {
        s0 = f64x2.add(s0, twoAt(from, step));
        s1 = f64x2.add(s1, twoAt(from + step * 2, step));
      }
      const by = f64x2.splat(rows);
      const count = counts + (<usize>x << 3);
      v = narrowed(f64x2.div(s0, f64x2.mul(v128.load(count), by)), f64x2.div(s1, f64x2.mul(v128.load(count, 16), by)));
    }
    const there = to + (<usize>x << 2);
    if (n >= 4) v128.store(there, v);
    else {
      store<f32>(there, f32x4.extract_lane(v, 0));
      if (n > 1) store<f32>(there, f32x4.extract_lane(v, 1), 4);
      if (n > 2) store<f32>(there, f32x4.extract_lane(v, 2), 8);
    }
    if (x == last) break;
  }
}

/** The sums of both rows of two neighbours each. */
// @ts-expect-error: decorator
@inline
function pairs(a: v128, b: v128): v128 {
  const low = f64x2.add(f64x2.promote_low_f32x4(a), f64x2.promote_low_f32x4(b));
  const upper = f64x2.add(f64x2.promote_low_f32x4(high(a)), f64x2.promote_low_f32x4(high(b)));
  return f64x2.add(v128.shuffle<f64>(low, upper, 0, 2), v128.shuffle<f64>(low, upper, 1, 3));
}

/** `n` windows of 2 × 2 side by side, whose sums are divided by `by`. */
// @ts-expect-error: decorator
@inline
function twoByTwo(kind: i32, at: usize, row: usize, to: usize, n: i32, by: f64): void {
  for (let x = 0; x < n; x += 4) {
    const o = <usize>min(x, n - 4) << 2;
    const from = at + o * 2;
    const a = v128.load(from);
    const b = v128.load(from, 16);
    const c = v128.load(from + row);
    const d = v128.load(from + row, 16);
    let v: v128;
    if (kind == MAX) {
      const l = f32x4.max(a, c);
      const r = f32x4.max(b, d);
      v = f32x4.max(v128.shuffle<f32>(l, r, 0, 2, 4, 6), v128.shuffle<f32>(l, r, 1, 3, 5, 7));
    } else v = narrowed(f64x2.div(pairs(a, c), f64x2.splat(by)), f64x2.div(pairs(b, d), f64x2.splat(by)));
    v128.store(to + o, v);
  }
}

/** Pooling over windows of two axes, clipped where they reach over an edge: greatest elements, sums, averages. A window's rows are folded first, then its columns. */
export function poolTile(p: Windows, tile: i32, work: usize): void {
  const row = <usize>p.width << 2;
  const twos =
    p.kernelHeight == 2 &&
    p.kernelWidth == 2 &&
    p.strideWidth == 2 &&
    (p.padHeight | p.padWidth) == 0 &&
    (p.outHeight - 1) * p.strideHeight + 2 <= p.height &&
    p.outWidth * 2 <= p.width &&
    p.outWidth >= 4;
  // a folded row, between what changes nothing: −∞ twice, or 0
  const size: usize = p.kind == MAX ? 4 : 8;
  const line = countColumns(p, work) + 32;
  const folded = line + size * p.padWidth;
  const after = folded + size * p.width;
  const end = max(after, line + size * ((p.outWidth - 1) * p.strideWidth + p.kernelWidth));
  const nothing: u64 = p.kind == MAX ? 0xff800000ff800000 : 0;
  for (let at = line; at < folded; at += size) store<u64>(at, nothing);
  let to = p.to + (<usize>(tile * p.each * p.outHeight * p.outWidth) << 2);
  const planes = min(p.planes, (tile + 1) * p.each);
  for (let plane = tile * p.each; plane < planes; plane++) {
    const from = p.from + row * (plane * p.height);
    for (let y = 0; y < p.outHeight; y++, to += <usize>p.outWidth << 2) {
      const top = y * p.strideHeight - p.padHeight;
      const y0 = max(0, top);
      const at = from + row * y0;
      const rows = <f64>counted(p, top, p.kernelHeight, p.height, p.padHeight);
      if (twos) {
        twoByTwo(p.kind, at, row, to, p.outWidth, rows * load<f64>(work));
        continue;
      }
      foldRows(p.kind, at, row, min(p.height, top + p.kernelHeight) - y0, p.width, folded);
      for (let z = after; z < end; z += size) store<u64>(z, nothing);
      foldColumns(p.kind, line, p.kernelWidth, p.strideWidth, to, p.outWidth, work, rows);
    }
  }
}

/** The gradient of sums and averages: adds what stands above each window, divided by what its average was divided by, to all its elements, by way of a row of such sums. */
export function poolSpreadTile(p: Windows, tile: i32, work: usize): void {
  const row = <usize>p.width << 2;
  const first = tile * p.each;
  const planes = min(p.planes, first + p.each) - first;
  const sums = countColumns(p, work);
  let to = p.to + row * (first * p.height);
  let g = p.from + (<usize>(first * p.outHeight * p.outWidth) << 2);
  memory.fill(to, 0, row * p.height * planes);
  for (let n = 0; n < planes; n++, to += row * p.height)
    for (let y = 0; y < p.outHeight; y++) {
      const top = y * p.strideHeight - p.padHeight;
      const rows = <f64>counted(p, top, p.kernelHeight, p.height, p.padHeight);
      for (let x: usize = 0; x < row; x += 16) v128.store(sums + x, f32x4.splat(0));
      for (let x = 0, left = 0 - p.padWidth; x < p.outWidth; x++, left += p.strideWidth, g += 4) {
        const share = <f32>(<f64>load<f32>(g) / (rows * load<f64>(work + (<usize>x << 3))));
        const end = sums + (<usize>min(p.width, left + p.kernelWidth) << 2);
        for (let at = sums + (<usize>max(0, left) << 2); at < end; at += 4) store<f32>(at, load<f32>(at) + share);
      }
      const bottom = min(p.height, top + p.kernelHeight);
      for (let i = max(0, top); i < bottom; i++) {
        const at = to + row * i;
        let x: usize = 0;
        for (; x + 16 <= row; x += 16) v128.store(at + x, f32x4.add(v128.load(at + x), v128.load(sums + x)));
        for (; x < row; x += 4) store<f32>(at + x, load<f32>(at + x) + load<f32>(sums + x));
      }
    }
}

// @ts-expect-error: decorator
@inline
function beats(v: v128, best: v128): v128 {
  // not (v ≤ best): a NaN is taken, and nothing after it
  return v128.andnot(f32x4.eq(best, best), f32x4.le(v, best));
}

/** Where the first greatest elements of four windows beside each other lie, each in bytes from its window's first element. */
// @ts-expect-error: decorator
@inline
function fourPlaces(at: usize, row: usize, rows: i32, columns: usize, step: usize): v128 {
  let best = fourAt(at, step);
  let place = i32x4.splat(0);
  for (let i = 0, o: usize = 0; i < rows; i++, o += row)
    for (let j: usize = 0; j < columns; j += 4) {
      const v = fourAt(at + o + j, step);
      const taken = beats(v, best);
      best = v128.bitselect(v, best, taken);
      place = v128.bitselect(i32x4.splat(o + j), place, taken);
    }
  return place;
}

// @ts-expect-error: decorator
@inline
function add32(at: usize, x: f32): void {
  store<f32>(at, load<f32>(at) + x);
}

/** The gradient of max pooling over windows of two axes, clipped where they reach over an edge: adds what stands above each to its first greatest element (NaN counts as greatest). */
export function poolMaxGradTile(p: Windows, tile: i32, work: usize): void {
  const height = p.height;
  const width = p.width;
  const outHeight = p.outHeight;
  const outWidth = p.outWidth;
  const kernelHeight = p.kernelHeight;
  const kernelWidth = p.kernelWidth;
  const strideHeight = p.strideHeight;
  const strideWidth = p.strideWidth;
  const padHeight = p.padHeight;
  const padWidth = p.padWidth;
  const row = <usize>width << 2;
  const columns = <usize>kernelWidth << 2;
  const twos =
    kernelHeight == 2 &&
    kernelWidth == 2 &&
    strideWidth == 2 &&
    strideHeight == 2 &&
    (padHeight | padWidth) == 0 &&
    outHeight * 2 <= height &&
    outWidth * 2 <= width;
  const first = tile * p.each;
  const planes = min(p.planes, first + p.each) - first;
  let from = p.from + row * (first * height);
  let to = p.to + row * (first * height);
  let g = p.above + (<usize>(first * outHeight * outWidth) << 2);
  // windows of 2 × 2 side by side are written whole
  if (!twos || outHeight * 2 < height || outWidth * 2 < width) memory.fill(to, 0, row * height * planes);
  for (let n = 0; n < planes; n++, from += row * height, to += row * height) {
    for (let y = 0; y < outHeight; y++) {
      const top = y * strideHeight - padHeight;
      const y0 = max(0, top);
      const rows = min(height, top + kernelHeight) - y0;
      const line = row * y0;
      let x = 0;
      if (twos && outWidth >= 4) {
        let at = line;
        for (; x < outWidth; x += 4, at += 32, g += 16) {
          if (x > outWidth - 4) {
            const back = <usize>(x - outWidth + 4) << 2;
            at -= back * 2;
            g -= back;
          }
          const here = from + at;
          const p0 = v128.load(here);
          const p1 = v128.load(here, 16);
          const q0 = v128.load(here + row);
          const q1 = v128.load(here + row, 16);
          let best = v128.shuffle<f32>(p0, p1, 0, 2, 4, 6);
          let v = v128.shuffle<f32>(p0, p1, 1, 3, 5, 7);
          let second = beats(v, best);
          best = v128.bitselect(v, best, second);
          v = v128.shuffle<f32>(q0, q1, 0, 2, 4, 6);
          let third = beats(v, best);
          best = v128.bitselect(v, best, third);
          v = v128.shuffle<f32>(q0, q1, 1, 3, 5, 7);
          const fourth = beats(v, best);
          third = v128.andnot(third, fourth);
          const later = v128.or(third, fourth);
          second = v128.andnot(second, later);
          const above = v128.load(g);
          const a = v128.andnot(above, v128.or(second, later));
          const b = v128.and(above, second);
          const c = v128.and(above, third);
          const d = v128.and(above, fourth);
          const there = to + at;
          v128.store(there, v128.shuffle<f32>(a, b, 0, 4, 1, 5));
          v128.store(there, v128.shuffle<f32>(a, b, 2, 6, 3, 7), 16);
          v128.store(there + row, v128.shuffle<f32>(c, d, 0, 4, 1, 5));
          v128.store(there + row, v128.shuffle<f32>(c, d, 2, 6, 3, 7), 16);
        }
      }
      for (; x < outWidth; x++, g += 4) {
        const left = x * strideWidth - padWidth;
        const x0 = max(0, left);
        const cells = min(width, left + kernelWidth) - x0;
        if (rows <= 0 || cells <= 0) continue;
        const at = line + (<usize>x0 << 2);
        if (left >= 0 && x + 4 <= outWidth && left + kernelWidth + 3 * strideWidth <= width) {
          const next = <usize>strideWidth << 2;
          const place = fourPlaces(from + at, row, rows, columns, next);
          const there = to + at;
          const above = v128.load(g);
          add32(there + i32x4.extract_lane(place, 0), f32x4.extract_lane(above, 0));
          add32(there + next + i32x4.extract_lane(place, 1), f32x4.extract_lane(above, 1));
          add32(there + next * 2 + i32x4.extract_lane(place, 2), f32x4.extract_lane(above, 2));
          add32(there + next * 3 + i32x4.extract_lane(place, 3), f32x4.extract_lane(above, 3));
          x += 3;
          g += 12;
          continue;
        }
        if (twos) {
          store<u64>(to + at, 0);
          store<u64>(to + at + row, 0);
        }
        let place = at;
        let best = load<f32>(from + at);
        for (let i = 0, first = at; i < rows; i++, first += row)
          for (let j: usize = first, end = first + (<usize>cells << 2); j < end; j += 4) {
            const v = load<f32>(from + j);
            if (!(v <= best) && best == best) {
              best = v;
              place = j;
            }
          }
        store<f32>(to + place, load<f32>(to + place) + load<f32>(g));
      }
    }
  }
}
