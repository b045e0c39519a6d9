// Windows over planes of float32 (AssemblyScript): pooling over two axes, its gradients, the weights' gradient of depthwise convolutions.
// Addresses in bytes, counts in elements.
import { high } from './functions';

// @ts-ignore: decorator
@inline
function larger(x: i32, y: i32): i32 {
  return x > y ? x : y;
}
// @ts-ignore: decorator
@inline
function smaller(x: i32, y: i32): i32 {
  return x < y ? x : y;
}

const POOL_MAX = 0;
const POOL_AVERAGE = 2;

/** Four neighbours, or every other number of eight. */
// @ts-ignore: decorator
@inline
function fourAt(at: usize, step: i32): v128 {
  return step == 1 ? v128.load(at) : v128.shuffle<f32>(v128.load(at), v128.load(at, 16), 0, 2, 4, 6);
}

/** Four windows beside each other that all have the same rows and columns; sums are divided by `count`. */
// @ts-ignore: decorator
@inline
function fourWindows(kind: i32, at: usize, row: usize, rows: i32, columns: usize, step: i32, count: f64): v128 {
  if (kind == POOL_MAX) {
    let best = f32x4.splat(-Infinity);
    for (; rows > 0; rows--, at += row)
      for (let j: usize = 0; j < columns; j += 4) best = f32x4.max(best, fourAt(at + j, step));
    return best;
  }
  let s0 = f64x2.splat(0);
  let s1 = s0;
  for (; rows > 0; rows--, at += row)
    for (let j: usize = 0; j < columns; j += 4) {
      const x = fourAt(at + j, step);
      s0 = f64x2.add(s0, f64x2.promote_low_f32x4(x));
      s1 = f64x2.add(s1, f64x2.promote_low_f32x4(high(x)));
    }
  const by = f64x2.splat(count);
  s0 = f32x4.demote_f64x2_zero(f64x2.div(s0, by));
  return v128.shuffle<f32>(s0, f32x4.demote_f64x2_zero(f64x2.div(s1, by)), 0, 1, 4, 5);
}

/** Pooling over windows of two axes, clipped where they reach over an edge: greatest elements, sums, averages. `padded`: averages count zeros around. */
export function pool(
  kind: i32,
  from: usize,
  to: usize,
  planes: i32,
  height: i32,
  width: i32,
  outHeight: i32,
  outWidth: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  padHeight: i32,
  padWidth: i32,
  padded: i32,
): void {
  const row = <usize>width << 2;
  const columns = <usize>kernelWidth << 2;
  const twos =
    kind == POOL_MAX &&
    kernelHeight == 2 &&
    kernelWidth == 2 &&
    strideWidth == 2 &&
    (padHeight | padWidth) == 0 &&
    (outHeight - 1) * strideHeight + 2 <= height &&
    outWidth * 2 <= width &&
    outWidth >= 4;
  for (let p = 0; p < planes; p++, from += row * height) {
    for (let y = 0; y < outHeight; y++) {
      const top = y * strideHeight - padHeight;
      const y0 = larger(0, top);
      const rows = larger(0, smaller(height, top + kernelHeight) - y0);
      const countedRows = padded ? larger(0, smaller(top + kernelHeight, height + padHeight) - top) : rows;
      const line = from + row * y0;
      let x = 0;
      if (twos) {
        for (let at = line; x < outWidth; x += 4, at += 32, to += 16) {
          if (x > outWidth - 4) {
            // the last four overlap those before
            const back = <usize>(x - outWidth + 4) << 2;
            at -= back * 2;
            to -= back;
          }
          const l = f32x4.max(v128.load(at), v128.load(at + row));
          const r = f32x4.max(v128.load(at, 16), v128.load(at + row, 16));
          v128.store(to, f32x4.max(v128.shuffle<f32>(l, r, 0, 2, 4, 6), v128.shuffle<f32>(l, r, 1, 3, 5, 7)));
        }
      }
      while (x < outWidth) {
        const left = x * strideWidth - padWidth;
        const right = left + kernelWidth;
        if (left >= 0 && strideWidth <= 2 && x + 4 <= outWidth && right + 3 * strideWidth <= width) {
          const at = line + (<usize>left << 2);
          const count: f64 = kind == POOL_AVERAGE ? <f64>(countedRows * kernelWidth) : 1;
          v128.store(
            to,
            kind == POOL_MAX
              ? strideWidth == 1
                ? fourWindows(POOL_MAX, at, row, rows, columns, 1, 1)
                : fourWindows(POOL_MAX, at, row, rows, columns, 2, 1)
              : strideWidth == 1
                ? fourWindows(POOL_AVERAGE, at, row, rows, columns, 1, count)
                : fourWindows(POOL_AVERAGE, at, row, rows, columns, 2, count),
          );
          x += 4;
          to += 16;
          continue;
        }
        const x0 = larger(0, left);
        const cells = larger(0, smaller(width, right) - x0);
        let best: f32 = -Infinity;
        let sum: f64 = 0;
        for (let i = 0, at = line + (<usize>x0 << 2); i < rows; i++, at += row)
          for (let j = 0; j < cells; j++) {
            const v = load<f32>(at + (<usize>j << 2));
            if (kind == POOL_MAX) best = f32.max(best, v);
            else sum += <f64>v;
          }
        if (kind == POOL_AVERAGE)
          sum /= <f64>(countedRows * (padded ? larger(0, smaller(right, width + padWidth) - left) : cells));
        store<f32>(to, kind == POOL_MAX ? best : <f32>sum);
        x++;
        to += 4;
      }
    }
  }
}

/** The gradient of sums and averages: adds g of each window, divided by what its average was divided by, to all its elements; zeros stand there before. */
export function poolSpread(
  kind: i32,
  g: usize,
  to: usize,
  planes: i32,
  height: i32,
  width: i32,
  outHeight: i32,
  outWidth: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  padHeight: i32,
  padWidth: i32,
  padded: i32,
): void {
  const row = <usize>width << 2;
  for (let p = 0; p < planes; p++, to += row * height)
    for (let y = 0; y < outHeight; y++) {
      const top = y * strideHeight - padHeight;
      const y0 = larger(0, top);
      const rows = smaller(height, top + kernelHeight) - y0;
      const countedRows = padded ? smaller(top + kernelHeight, height + padHeight) - top : rows;
      for (let x = 0; x < outWidth; x++, g += 4) {
        const left = x * strideWidth - padWidth;
        const x0 = larger(0, left);
        const cells = smaller(width, left + kernelWidth) - x0;
        let above = <f64>load<f32>(g);
        if (kind == POOL_AVERAGE)
          above /= <f64>(countedRows * (padded ? smaller(left + kernelWidth, width + padWidth) - left : cells));
        for (let i = 0, at = to + row * y0 + (<usize>x0 << 2); i < rows; i++, at += row)
          for (let j = 0; j < cells; j++) {
            const place = at + (<usize>j << 2);
            store<f32>(place, <f32>(<f64>load<f32>(place) + above));
          }
      }
    }
}

// @ts-ignore: decorator
@inline
function beats(v: v128, best: v128): v128 {
  // not (v ≤ best): a NaN is taken, and nothing after it
  return v128.andnot(f32x4.eq(best, best), f32x4.le(v, best));
}

/** Where the first greatest elements of four windows beside each other lie, each in bytes from its window's first element. */
// @ts-ignore: decorator
@inline
function fourPlaces(at: usize, row: usize, rows: i32, columns: usize, step: i32): v128 {
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

// @ts-ignore: decorator
@inline
function add32(at: usize, x: f32): void {
  store<f32>(at, load<f32>(at) + x);
}

/**
 * The gradient of max pooling over windows of two axes, clipped where they reach over an edge: adds g of each window to its first greatest element (NaN counts as greatest).
 * The result holds zeros before, except where windows of 2 × 2 lie side by side, which are written whole.
 */
export function poolMaxGrad(
  from: usize,
  g: usize,
  to: usize,
  planes: i32,
  height: i32,
  width: i32,
  outHeight: i32,
  outWidth: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  padHeight: i32,
  padWidth: i32,
): void {
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
  for (let p = 0; p < planes; p++, from += row * height, to += row * height) {
    for (let y = 0; y < outHeight; y++) {
      const top = y * strideHeight - padHeight;
      const y0 = larger(0, top);
      const rows = smaller(height, top + kernelHeight) - y0;
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
        const x0 = larger(0, left);
        const cells = smaller(width, left + kernelWidth) - x0;
        if (rows <= 0 || cells <= 0) continue;
        const at = line + (<usize>x0 << 2);
        if (strideWidth <= 2 && left >= 0 && x + 4 <= outWidth && left + kernelWidth + 3 * strideWidth <= width) {
          const place =
            strideWidth == 1
              ? fourPlaces(from + at, row, rows, columns, 1)
              : fourPlaces(from + at, row, rows, columns, 2);
          const there = to + at;
          const next = <usize>strideWidth << 2;
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

/** Σ g·x along a row of `n`, where x's numbers lie `step` apart: 1, 2 or any other. */
// @ts-ignore: decorator
@inline
function rowDot(g: usize, x: usize, n: i32, step: i32): f32 {
  let sums = f32x4.splat(0);
  let i = 0;
  if (step == 1) {
    for (; i + 4 <= n; i += 4, g += 16, x += 16) sums = f32x4.add(sums, f32x4.mul(v128.load(g), v128.load(x)));
  } else if (step == 2) {
    for (; i + 4 <= n; i += 4, g += 16, x += 32)
      sums = f32x4.add(sums, f32x4.mul(v128.load(g), v128.shuffle<f32>(v128.load(x), v128.load(x, 16), 0, 2, 4, 6)));
  }
  sums = f32x4.add(sums, high(sums));
  let sum = f32x4.extract_lane(sums, 0) + f32x4.extract_lane(sums, 1);
  for (; i < n; i++, g += 4, x += <usize>step << 2) sum += load<f32>(g) * load<f32>(x);
  return sum;
}

/**
 * The weights' gradient of a depthwise convolution: for each output channel and tap Σ g·x, each row's sum in float32, their sum in doubles. x in planes of `plane`
 * bytes and rows of `row` bytes, with its padding. `add`: to what is there.
 */
export function depthwiseWeight(
  from: usize,
  g: usize,
  to: usize,
  images: i32,
  channels: i32,
  perGroup: i32,
  plane: usize,
  row: usize,
  outHeight: i32,
  outWidth: i32,
  kernelHeight: i32,
  kernelWidth: i32,
  strideHeight: i32,
  strideWidth: i32,
  dilateHeight: i32,
  dilateWidth: i32,
  add: i32,
): void {
  const gRow = <usize>outWidth << 2;
  const gPlane = gRow * outHeight;
  const down = row * strideHeight;
  for (let c = 0; c < channels; c++, from += plane)
    for (let q = 0; q < perGroup; q++, g += gPlane)
      for (let i = 0; i < kernelHeight; i++)
        for (let j = 0; j < kernelWidth; j++, to += 4) {
          let acc: f64 = add == 0 ? 0 : <f64>load<f32>(to);
          let x = from + row * (i * dilateHeight) + (<usize>(j * dilateWidth) << 2);
          let above = g;
          for (let n = 0; n < images; n++, x += plane * channels, above += gPlane * (channels * perGroup)) {
            let line = x;
            let at = above;
            if (strideWidth == 1) {
              for (let y = 0; y < outHeight; y++, line += down, at += gRow) acc += <f64>rowDot(at, line, outWidth, 1);
            } else if (strideWidth == 2) {
              for (let y = 0; y < outHeight; y++, line += down, at += gRow) acc += <f64>rowDot(at, line, outWidth, 2);
            } else {
              for (let y = 0; y < outHeight; y++, line += down, at += gRow)
                acc += <f64>rowDot(at, line, outWidth, strideWidth);
            }
          }
          store<f32>(to, <f32>acc);
        }
}
