// Loops over float32 (AssemblyScript): the primitives that expressions are made of, folds along rows, pooling. Addresses and strides in bytes, counts
// in elements. A stride is 4, or 0 for a single number; results may overwrite operands that begin at the same place.
// Accuracy: exp and log ≤ 2 ulp, tanh ≤ 3 ulp, measured over all float32 (wasm/vector.test.ts); the rest are IEEE's.

// @ts-ignore: decorator
@inline
function expOf(x: v128): v128 {
  // beyond these bounds the result is 0 or ∞; NaN passes both
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104.5));
  // adding 1.5·2²³ rounds to a whole number, which then stands in the low bits
  const magic = f32x4.splat(12582912);
  const t = f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504088896341)), magic);
  const n = f32x4.sub(t, magic);
  // x − n·ln 2 in two parts, of which the first is exact
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  // a polynomial for exp(r) − 1 − r on |r| ≤ ln 2 / 2
  let y = f32x4.splat(1.9875691500e-4);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.3981999507e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(8.3334519073e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(4.1665795894e-2));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.6666665459e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(5.0000001201e-1));
  y = f32x4.add(f32x4.mul(f32x4.mul(r, r), y), r);
  y = f32x4.add(y, f32x4.splat(1));
  // times 2ⁿ in two steps, so that results below the normal range are rounded once
  const i = i32x4.sub(t, magic);
  const half = i32x4.shr_s(i, 1);
  const bias = i32x4.splat(127);
  y = f32x4.mul(y, i32x4.shl(i32x4.add(half, bias), 23));
  return f32x4.mul(y, i32x4.shl(i32x4.add(i32x4.sub(i, half), bias), 23));
}

// @ts-ignore: decorator
@inline
function logOf(x: v128): v128 {
  const tiny = f32x4.lt(x, f32x4.splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, tiny);
  // x = m·2ᵉ with m from √½ on
  const shifted = i32x4.sub(scaled, i32x4.splat(0x3f3504f3));
  const e = i32x4.shr_s(shifted, 23);
  let m = f32x4.sub(i32x4.sub(scaled, i32x4.shl(e, 23)), f32x4.splat(1));
  const k = f32x4.sub(f32x4.convert_i32x4_s(e), v128.and(tiny, f32x4.splat(23)));
  const z = f32x4.mul(m, m);
  let y = f32x4.splat(7.0376836292e-2);
  y = f32x4.add(f32x4.mul(y, m), f32x4.splat(-1.1514610310e-1));
  y = f32x4.add(f32x4.mul(y, m), f32x4.splat(1.1676998740e-1));
  y = f32x4.add(f32x4.mul(y, m), f32x4.splat(-1.2420140846e-1));
  y = f32x4.add(f32x4.mul(y, m), f32x4.splat(1.4249322787e-1));
  y = f32x4.add(f32x4.mul(y, m), f32x4.splat(-1.6668057665e-1));
  y = f32x4.add(f32x4.mul(y, m), f32x4.splat(2.0000714765e-1));
  y = f32x4.add(f32x4.mul(y, m), f32x4.splat(-2.4999993993e-1));
  y = f32x4.add(f32x4.mul(y, m), f32x4.splat(3.3333331174e-1));
  y = f32x4.mul(f32x4.mul(y, m), z);
  y = f32x4.add(y, f32x4.mul(k, f32x4.splat(-2.12194440e-4)));
  y = f32x4.sub(y, f32x4.mul(z, f32x4.splat(0.5)));
  y = f32x4.add(f32x4.add(m, y), f32x4.mul(k, f32x4.splat(0.693359375)));
  // 0 gives −∞, ∞ itself, what is negative or NaN gives NaN
  const infinity = f32x4.splat(Infinity);
  y = v128.bitselect(infinity, y, f32x4.eq(x, infinity));
  y = v128.bitselect(f32x4.splat(-Infinity), y, f32x4.eq(x, f32x4.splat(0)));
  return v128.bitselect(y, f32x4.splat(NaN), f32x4.ge(x, f32x4.splat(0)));
}

// @ts-ignore: decorator
@inline
function tanhOf(x: v128): v128 {
  const size = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let y = f32x4.splat(-5.70498872745e-3);
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(2.06390887954e-2));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(-5.37397155531e-2));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(1.33314422036e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(-3.33332819422e-1));
  const small = f32x4.add(f32x4.mul(f32x4.mul(y, z), x), x);
  const one = f32x4.splat(1);
  const big = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(expOf(f32x4.add(size, size)), one)));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  return v128.or(v128.bitselect(small, big, f32x4.lt(size, f32x4.splat(0.625))), sign);
}

const NEG = 0;
const ABS = 1;
const SQRT = 2;
const FLOOR = 3;
const CEIL = 4;
const TRUNC = 5;
const RINT = 6;
const EXP = 7;
const LOG = 8;
const TANH = 9;
const NOT = 10;

// @ts-ignore: decorator
@inline
function unaryOf(op: i32, x: v128): v128 {
  if (op == NEG) return f32x4.neg(x);
  if (op == ABS) return f32x4.abs(x);
  if (op == SQRT) return f32x4.sqrt(x);
  if (op == FLOOR) return f32x4.floor(x);
  if (op == CEIL) return f32x4.ceil(x);
  if (op == TRUNC) return f32x4.trunc(x);
  if (op == RINT) return f32x4.nearest(x);
  if (op == EXP) return expOf(x);
  if (op == LOG) return logOf(x);
  if (op == TANH) return tanhOf(x);
  return v128.and(f32x4.eq(x, f32x4.splat(0)), f32x4.splat(1));
}

// @ts-ignore: decorator
@inline
function unaryLoop(op: i32, n: i32, o: usize, a: usize): void {
  const end = o + (<usize>(n & ~3) << 2);
  for (; o < end; o += 16, a += 16) v128.store(o, unaryOf(op, v128.load(a)));
  for (let i = n & 3; i > 0; i--, o += 4, a += 4) v128.store32_lane(o, unaryOf(op, v128.load32_zero(a)), 0);
}

export function neg(n: i32, o: usize, a: usize): void {
  unaryLoop(NEG, n, o, a);
}
export function abs(n: i32, o: usize, a: usize): void {
  unaryLoop(ABS, n, o, a);
}
export function sqrt(n: i32, o: usize, a: usize): void {
  unaryLoop(SQRT, n, o, a);
}
export function floor(n: i32, o: usize, a: usize): void {
  unaryLoop(FLOOR, n, o, a);
}
export function ceil(n: i32, o: usize, a: usize): void {
  unaryLoop(CEIL, n, o, a);
}
export function trunc(n: i32, o: usize, a: usize): void {
  unaryLoop(TRUNC, n, o, a);
}
export function rint(n: i32, o: usize, a: usize): void {
  unaryLoop(RINT, n, o, a);
}
export function exp(n: i32, o: usize, a: usize): void {
  unaryLoop(EXP, n, o, a);
}
export function log(n: i32, o: usize, a: usize): void {
  unaryLoop(LOG, n, o, a);
}
export function tanh(n: i32, o: usize, a: usize): void {
  unaryLoop(TANH, n, o, a);
}
export function not(n: i32, o: usize, a: usize): void {
  unaryLoop(NOT, n, o, a);
}

const ADD = 0;
const SUB = 1;
const MUL = 2;
const DIV = 3;
const MAX = 4;
const MIN = 5;
const EQ = 6;
const NE = 7;
const LT = 8;
const LE = 9;
const GT = 10;
const GE = 11;

// @ts-ignore: decorator
@inline
function binaryOf(op: i32, x: v128, y: v128): v128 {
  if (op == ADD) return f32x4.add(x, y);
  if (op == SUB) return f32x4.sub(x, y);
  if (op == MUL) return f32x4.mul(x, y);
  if (op == DIV) return f32x4.div(x, y);
  if (op == MAX) return f32x4.max(x, y);
  if (op == MIN) return f32x4.min(x, y);
  const one = f32x4.splat(1);
  if (op == EQ) return v128.and(f32x4.eq(x, y), one);
  if (op == NE) return v128.and(f32x4.ne(x, y), one);
  if (op == LT) return v128.and(f32x4.lt(x, y), one);
  if (op == LE) return v128.and(f32x4.le(x, y), one);
  if (op == GT) return v128.and(f32x4.gt(x, y), one);
  return v128.and(f32x4.ge(x, y), one);
}

// @ts-ignore: decorator
@inline
function binaryLoop(op: i32, n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  const end = o + (<usize>(n & ~3) << 2);
  if (sa == 0) {
    const x = v128.load32_splat(a);
    if (sb == 0) {
      const z = binaryOf(op, x, v128.load32_splat(b));
      for (; o < end; o += 16) v128.store(o, z);
      for (let i = n & 3; i > 0; i--, o += 4) v128.store32_lane(o, z, 0);
      return;
    }
    for (; o < end; o += 16, b += 16) v128.store(o, binaryOf(op, x, v128.load(b)));
    for (let i = n & 3; i > 0; i--, o += 4, b += 4) v128.store32_lane(o, binaryOf(op, x, v128.load32_zero(b)), 0);
  } else if (sb == 0) {
    const y = v128.load32_splat(b);
    for (; o < end; o += 16, a += 16) v128.store(o, binaryOf(op, v128.load(a), y));
    for (let i = n & 3; i > 0; i--, o += 4, a += 4) v128.store32_lane(o, binaryOf(op, v128.load32_zero(a), y), 0);
  } else {
    for (; o < end; o += 16, a += 16, b += 16) v128.store(o, binaryOf(op, v128.load(a), v128.load(b)));
    for (let i = n & 3; i > 0; i--, o += 4, a += 4, b += 4)
      v128.store32_lane(o, binaryOf(op, v128.load32_zero(a), v128.load32_zero(b)), 0);
  }
}

export function add(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(ADD, n, o, a, sa, b, sb);
}
export function sub(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(SUB, n, o, a, sa, b, sb);
}
export function mul(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MUL, n, o, a, sa, b, sb);
}
export function div(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(DIV, n, o, a, sa, b, sb);
}
export function max(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MAX, n, o, a, sa, b, sb);
}
export function min(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MIN, n, o, a, sa, b, sb);
}
export function eq(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(EQ, n, o, a, sa, b, sb);
}
export function ne(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(NE, n, o, a, sa, b, sb);
}
export function lt(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(LT, n, o, a, sa, b, sb);
}
export function le(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(LE, n, o, a, sa, b, sb);
}
export function gt(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(GT, n, o, a, sa, b, sb);
}
export function ge(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(GE, n, o, a, sa, b, sb);
}

/** o = b where a is not zero (NaN is not), else c. */
export function select(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize, c: usize, sc: usize): void {
  const zero = f32x4.splat(0);
  const end = o + (<usize>(n & ~3) << 2);
  let x = v128.load32_splat(a);
  let y = v128.load32_splat(b);
  let z = v128.load32_splat(c);
  for (; o < end; o += 16, a += sa << 2, b += sb << 2, c += sc << 2) {
    if (sa != 0) x = v128.load(a);
    if (sb != 0) y = v128.load(b);
    if (sc != 0) z = v128.load(c);
    v128.store(o, v128.bitselect(y, z, f32x4.ne(x, zero)));
  }
  for (let i = n & 3; i > 0; i--, o += 4, a += sa, b += sb, c += sc)
    store<f32>(o, load<f32>(a) != 0 ? load<f32>(b) : load<f32>(c));
}

/** acc + Σ a in doubles, eight partial sums. */
export function sum(n: i32, a: usize, acc: f64): f64 {
  let s0 = f64x2.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let i = 0;
  for (; i + 8 <= n; i += 8, a += 32) {
    const x = v128.load(a);
    const y = v128.load(a, 16);
    s0 = f64x2.add(s0, f64x2.promote_low_f32x4(x));
    s1 = f64x2.add(s1, f64x2.promote_low_f32x4(v128.shuffle<f32>(x, x, 2, 3, 0, 1)));
    s2 = f64x2.add(s2, f64x2.promote_low_f32x4(y));
    s3 = f64x2.add(s3, f64x2.promote_low_f32x4(v128.shuffle<f32>(y, y, 2, 3, 0, 1)));
  }
  s0 = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
  acc += f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
  for (; i < n; i++, a += 4) acc += <f64>load<f32>(a);
  return acc;
}

// @ts-ignore: decorator
@inline
function extreme(greatest: bool, n: i32, a: usize, acc: f32): f32 {
  let s0 = f32x4.splat(acc);
  let s1 = s0;
  let i = 0;
  for (; i + 8 <= n; i += 8, a += 32) {
    s0 = greatest ? f32x4.max(s0, v128.load(a)) : f32x4.min(s0, v128.load(a));
    s1 = greatest ? f32x4.max(s1, v128.load(a, 16)) : f32x4.min(s1, v128.load(a, 16));
  }
  s0 = greatest ? f32x4.max(s0, s1) : f32x4.min(s0, s1);
  const t = v128.shuffle<f32>(s0, s0, 2, 3, 0, 1);
  s0 = greatest ? f32x4.max(s0, t) : f32x4.min(s0, t);
  const x = f32x4.extract_lane(s0, 0);
  const y = f32x4.extract_lane(s0, 1);
  acc = greatest ? max32(x, y) : min32(x, y);
  for (; i < n; i++, a += 4) acc = greatest ? max32(acc, load<f32>(a)) : min32(acc, load<f32>(a));
  return acc;
}
// @ts-ignore: decorator
@inline
function max32(x: f32, y: f32): f32 {
  return f32.max(x, y);
}
// @ts-ignore: decorator
@inline
function min32(x: f32, y: f32): f32 {
  return f32.min(x, y);
}

/** The greatest of acc and a; NaN passes. */
export function greatest(n: i32, a: usize, acc: f32): f32 {
  return extreme(true, n, a, acc);
}
export function least(n: i32, a: usize, acc: f32): f32 {
  return extreme(false, n, a, acc);
}

/** Adds float32 to doubles. */
export function addWide(n: i32, acc: usize, a: usize): void {
  let i = 0;
  for (; i + 4 <= n; i += 4, a += 16, acc += 32) {
    const x = v128.load(a);
    v128.store(acc, f64x2.add(v128.load(acc), f64x2.promote_low_f32x4(x)));
    v128.store(acc, f64x2.add(v128.load(acc, 16), f64x2.promote_low_f32x4(v128.shuffle<f32>(x, x, 2, 3, 0, 1))), 16);
  }
  for (; i < n; i++, a += 4, acc += 8) store<f64>(acc, load<f64>(acc) + <f64>load<f32>(a));
}

/** Rounds doubles to float32. */
export function narrow(n: i32, o: usize, a: usize): void {
  for (let i = 0; i < n; i++, o += 4, a += 8) store<f32>(o, <f32>load<f64>(a));
}

/** Max pooling over windows of two axes that all lie inside. */
export function poolMax(
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
): void {
  const row = <usize>width << 2;
  const step = <usize>strideWidth << 2;
  const twos = kernelHeight == 2 && kernelWidth == 2 && strideWidth == 2;
  for (let p = 0; p < planes; p++, from += row * height) {
    for (let y = 0; y < outHeight; y++) {
      let at = from + row * (y * strideHeight);
      let x = 0;
      if (twos) {
        for (; x + 4 <= outWidth; x += 4, at += 32, to += 16) {
          const l = f32x4.max(v128.load(at), v128.load(at + row));
          const r = f32x4.max(v128.load(at, 16), v128.load(at + row, 16));
          v128.store(to, f32x4.max(v128.shuffle<f32>(l, r, 0, 2, 4, 6), v128.shuffle<f32>(l, r, 1, 3, 5, 7)));
        }
      }
      for (; x < outWidth; x++, at += step, to += 4) {
        let best: f32 = -Infinity;
        for (let i = 0, line = at; i < kernelHeight; i++, line += row)
          for (let j = 0; j < kernelWidth; j++) best = f32.max(best, load<f32>(line + (<usize>j << 2)));
        store<f32>(to, best);
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

/**
 * The gradient of max pooling over windows of two axes that all lie inside: adds g of each window to its first greatest element (NaN counts as greatest).
 * The result holds zeros before.
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
): void {
  const row = <usize>width << 2;
  const step = <usize>strideWidth << 2;
  const twos = kernelHeight == 2 && kernelWidth == 2 && strideWidth == 2 && strideHeight == 2;
  for (let p = 0; p < planes; p++, from += row * height, to += row * height) {
    for (let y = 0; y < outHeight; y++) {
      let at = row * (y * strideHeight);
      let x = 0;
      if (twos) {
        for (; x + 4 <= outWidth; x += 4, at += 32, g += 16) {
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
      for (; x < outWidth; x++, at += step, g += 4) {
        let place = at;
        let best = load<f32>(from + at);
        for (let i = 0, line = at; i < kernelHeight; i++, line += row)
          for (let j: usize = line, end = line + (<usize>kernelWidth << 2); j < end; j += 4) {
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

/** Transposes rows × columns of 32 bits; rows lie `fromStep` apart in the source, columns `toStep` in the result. */
export function transpose(rows: i32, columns: i32, from: usize, fromStep: usize, to: usize, toStep: usize): void {
  let r = 0;
  // bands of rows, so that the lines written stay in the cache until they are full
  for (; r + 4 <= rows; r += 4) {
    const r0 = from + <usize>r * fromStep;
    const r1 = r0 + fromStep;
    const r2 = r1 + fromStep;
    const r3 = r2 + fromStep;
    let at = to + (<usize>r << 2);
    let c = 0;
    for (; c + 4 <= columns; c += 4) {
      const o = <usize>c << 2;
      const x0 = v128.load(r0 + o);
      const x1 = v128.load(r1 + o);
      const x2 = v128.load(r2 + o);
      const x3 = v128.load(r3 + o);
      const l01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
      const h01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
      const l23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
      const h23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
      v128.store(at, v128.shuffle<f32>(l01, l23, 0, 1, 4, 5));
      v128.store(at + toStep, v128.shuffle<f32>(l01, l23, 2, 3, 6, 7));
      v128.store(at + toStep * 2, v128.shuffle<f32>(h01, h23, 0, 1, 4, 5));
      v128.store(at + toStep * 3, v128.shuffle<f32>(h01, h23, 2, 3, 6, 7));
      at += toStep * 4;
    }
    for (; c < columns; c++, at += toStep) {
      const o = <usize>c << 2;
      store<u32>(at, load<u32>(r0 + o));
      store<u32>(at, load<u32>(r1 + o), 4);
      store<u32>(at, load<u32>(r2 + o), 8);
      store<u32>(at, load<u32>(r3 + o), 12);
    }
  }
  for (; r < rows; r++) {
    const line = from + <usize>r * fromStep;
    let at = to + (<usize>r << 2);
    for (let c = 0; c < columns; c++, at += toStep) store<u32>(at, load<u32>(line + (<usize>c << 2)));
  }
}
