// Products that the tiles of product.ts would be too much for (AssemblyScript): few rows, few steps, depthwise convolutions; and what a store does, afterwards.
import { madd } from './madd';

/** Σ a[i]·b[i] of neighbours, in sixteen partial sums. */
function dot(a: usize, b: usize, n: i32): f32 {
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let i = 0;
  for (; i + 16 <= n; i += 16, a += 64, b += 64) {
    s0 = madd(v128.load(a), v128.load(b), s0);
    s1 = madd(v128.load(a, 16), v128.load(b, 16), s1);
    s2 = madd(v128.load(a, 32), v128.load(b, 32), s2);
    s3 = madd(v128.load(a, 48), v128.load(b, 48), s3);
  }
  for (; i + 4 <= n; i += 4, a += 16, b += 16) s0 = madd(v128.load(a), v128.load(b), s0);
  s0 = f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3));
  let sum =
    f32x4.extract_lane(s0, 0) + f32x4.extract_lane(s0, 1) + (f32x4.extract_lane(s0, 2) + f32x4.extract_lane(s0, 3));
  for (; i < n; i++, a += 4, b += 4) sum += load<f32>(a) * load<f32>(b);
  return sum;
}

/** c[j] = Σ a[k]·B[j, k] for the columns `n0 … n1` of a matrix whose columns are neighbours in memory (B transposed), `step` bytes apart. */
export function dots(c: usize, a: usize, b: usize, step: usize, n0: i32, n1: i32, depth: i32): void {
  for (let j = n0; j < n1; j++) store<f32>(c + (<usize>j << 2), dot(a, b + <usize>j * step, depth));
}

/** c[j] = Σ a[k·aStep]·B[k, j] for the columns `n0 … n1` of a matrix whose rows lie `step` bytes apart. */
export function combine(c: usize, a: usize, aStep: usize, b: usize, step: usize, n0: i32, n1: i32, depth: i32): void {
  let j = n0;
  for (; j + 16 <= n1; j += 16) {
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    let from = b + (<usize>j << 2);
    let x = a;
    for (let k = 0; k < depth; k++, from += step, x += aStep) {
      const y = v128.load32_splat(x);
      s0 = madd(y, v128.load(from), s0);
      s1 = madd(y, v128.load(from, 16), s1);
      s2 = madd(y, v128.load(from, 32), s2);
      s3 = madd(y, v128.load(from, 48), s3);
    }
    const to = c + (<usize>j << 2);
    v128.store(to, s0);
    v128.store(to, s1, 16);
    v128.store(to, s2, 32);
    v128.store(to, s3, 48);
  }
  for (; j < n1; j++) {
    let sum: f32 = 0;
    let from = b + (<usize>j << 2);
    let x = a;
    for (let k = 0; k < depth; k++, from += step, x += aStep) sum += load<f32>(x) * load<f32>(from);
    store<f32>(c + (<usize>j << 2), sum);
  }
}

/** What a store does, on `n` sums of one row: a bias of the row (kind 1, its address) or of the columns (kind 2, the first one's), then `finish` as above. */
export function complete(c: usize, n: i32, kind: i32, bias: usize, finish: i32): void {
  for (let i = 0; i < n; i++, c += 4) {
    let x = load<f32>(c);
    if (kind == 1) x += load<f32>(bias);
    else if (kind == 2) x += load<f32>(bias + (<usize>i << 2));
    if (finish == 1) x = max<f32>(x, 0);
    store<f32>(c, x);
  }
}

/** Four outputs of a depthwise convolution: taps of one window row by row, `step` elements between outputs (1 or 2). */
// @ts-ignore: decorator
@inline
function fourOutputs(at: usize, w: usize, kernelHeight: i32, kernelWidth: i32, down: usize, right: usize, step: i32): v128 {
  let sum = f32x4.splat(0);
  for (let y = 0; y < kernelHeight; y++, at += down) {
    let from = at;
    for (let x = 0; x < kernelWidth; x++, from += right, w += 4) {
      const v = step == 1 ? v128.load(from) : v128.shuffle<f32>(v128.load(from), v128.load(from, 16), 0, 2, 4, 6);
      sum = madd(v128.load32_splat(w), v, sum);
    }
  }
  return sum;
}

/**
 * A convolution with one channel of input to a group, over two axes, of planes that need no margins: (N, C) planes of `plane` bytes and `row` bytes a row
 * give `perGroup` planes each. Bias (one a plane of the result) and `finish` as above.
 */
export function depthwise(
  from: usize,
  to: usize,
  w: usize,
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
  kind: i32,
  bias: usize,
  finish: i32,
): void {
  const down = row * dilateHeight;
  const right = <usize>dilateWidth << 2;
  const step = <usize>strideWidth << 2;
  const zero = f32x4.splat(0);
  const weights = <usize>(kernelHeight * kernelWidth) << 2;
  for (let n = 0; n < images; n++)
    for (let c = 0; c < channels; c++, from += plane)
      for (let q = 0; q < perGroup; q++) {
        const o = c * perGroup + q;
        const taps = w + weights * o;
        const b: f32 = kind == 0 ? 0 : load<f32>(bias + (<usize>o << 2));
        for (let y = 0; y < outHeight; y++, to += <usize>outWidth << 2) {
          const line = from + row * (y * strideHeight);
          let x = 0;
          if (strideWidth <= 2 && outWidth >= 4) {
            while (x < outWidth) {
              // the last four overlap those before
              const i = min(x, outWidth - 4);
              let v = strideWidth == 1
                ? fourOutputs(line + step * i, taps, kernelHeight, kernelWidth, down, right, 1)
                : fourOutputs(line + step * i, taps, kernelHeight, kernelWidth, down, right, 2);
              v = f32x4.add(v, f32x4.splat(b));
              if (finish == 1) v = f32x4.max(v, zero);
              v128.store(to + (<usize>i << 2), v);
              x += 4;
            }
          } else {
            for (; x < outWidth; x++) {
              let sum: f32 = 0;
              for (let i = 0, t = taps; i < kernelHeight; i++)
                for (let j = 0; j < kernelWidth; j++, t += 4)
                  sum += load<f32>(t) * load<f32>(line + step * x + down * i + right * j);
              sum += b;
              if (finish == 1) sum = max<f32>(sum, 0);
              store<f32>(to + (<usize>x << 2), sum);
            }
          }
        }
      }
}

// @ts-ignore: decorator
@inline
function stepOf(sum: f64, x: f64, at: usize): f64 {
  return <f64>(<f32>(sum + x * <f64>load<f32>(at)));
}

/**
 * C(m, n) = Σ A(m, k)·B(k, n) in float32 from the first k to the last, each step rounded once, as MXNet's BLAS sums small matrices: the last digits that a tutorial prints depend on it.
 * (The product of two float32 is exact in a double.) Distances in bytes; C's columns are neighbours.
 */
export function steps(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  aDepth: usize,
  b: usize,
  bDepth: usize,
  bColumn: usize,
  rows: i32,
  columns: i32,
  depth: i32,
): void {
  for (let m = 0; m < rows; m++, a += aRow, c += cRow) {
    let n = 0;
    let to = c;
    let q0 = b;
    for (; n + 4 <= columns; n += 4, to += 16, q0 += bColumn * 4) {
      let s0: f64 = 0;
      let s1: f64 = 0;
      let s2: f64 = 0;
      let s3: f64 = 0;
      for (let k = 0, p = a, q = q0; k < depth; k++, p += aDepth, q += bDepth) {
        const x = <f64>load<f32>(p);
        s0 = stepOf(s0, x, q);
        s1 = stepOf(s1, x, q + bColumn);
        s2 = stepOf(s2, x, q + bColumn * 2);
        s3 = stepOf(s3, x, q + bColumn * 3);
      }
      store<f32>(to, <f32>s0);
      store<f32>(to, <f32>s1, 4);
      store<f32>(to, <f32>s2, 8);
      store<f32>(to, <f32>s3, 12);
    }
    for (; n < columns; n++, to += 4, q0 += bColumn) {
      let s0: f64 = 0;
      for (let k = 0, p = a, q = q0; k < depth; k++, p += aDepth, q += bDepth) s0 = stepOf(s0, <f64>load<f32>(p), q);
      store<f32>(to, <f32>s0);
    }
  }
}
