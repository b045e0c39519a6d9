// Loops over float32 (AssemblyScript): the primitives that expressions are made of, folds along rows, pooling. Addresses and strides in bytes, counts
// in elements. A stride is 4, or 0 for a single number; results may overwrite operands that begin at the same place.
// Accuracy: exp and log ≤ 2 ulp, tanh and erf ≤ 3 ulp, measured over all float32 (wasm/vector.test.ts); the rest are IEEE's.

/** Adding 1.5·2²³ rounds to a whole number, which then stands in the low bits. */
const MAGIC: f32 = 12582912;

// @ts-ignore: decorator
@inline
function expTimes(x: v128): v128 {
  return f32x4.add(f32x4.mul(x, f32x4.splat(1.44269504088896341)), f32x4.splat(MAGIC));
}

/** exp(x) / 2ⁿ, where `t` holds n as above. */
// @ts-ignore: decorator
@inline
function expRest(x: v128, t: v128): v128 {
  const n = f32x4.sub(t, f32x4.splat(MAGIC));
  // x − n·ln 2 in two parts, of which the first is exact
  let r = f32x4.sub(x, f32x4.mul(n, f32x4.splat(0.693359375)));
  r = f32x4.sub(r, f32x4.mul(n, f32x4.splat(-2.12194440e-4)));
  // (exp(r) − 1 − r) / r² on |r| ≤ ln 2 / 2: the largest error is 2⁻²⁸ of exp(r), by Remez's exchange
  let y = f32x4.splat(1.381432057570753e-3);
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(8.36885106580537e-3));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(4.166840108367331e-2));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(1.666651952409907e-1));
  y = f32x4.add(f32x4.mul(y, r), f32x4.splat(4.9999993373086377e-1));
  return f32x4.add(f32x4.add(f32x4.mul(f32x4.mul(r, r), y), r), f32x4.splat(1));
}

/** exp for |x| ≤ 87, where neither 2ⁿ nor the result leaves the normal range, and NaN. */
// @ts-ignore: decorator
@inline
function expNear(x: v128): v128 {
  const t = expTimes(x);
  return f32x4.mul(expRest(x, t), i32x4.add(i32x4.shl(t, 23), i32x4.splat(127 << 23)));
}

// @ts-ignore: decorator
@inline
function expOf(x: v128): v128 {
  // beyond these bounds the result is 0 or ∞; NaN passes both
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104.5));
  const t = expTimes(x);
  // times 2ⁿ in two steps, so that results below the normal range are rounded once
  const i = i32x4.sub(t, f32x4.splat(MAGIC));
  const half = i32x4.shr_s(i, 1);
  const bias = i32x4.splat(127);
  const y = f32x4.mul(expRest(x, t), i32x4.shl(i32x4.add(half, bias), 23));
  return f32x4.mul(y, i32x4.shl(i32x4.add(i32x4.sub(i, half), bias), 23));
}

/** exp of two doubles within ±105, to 2⁻³⁹. */
// @ts-ignore: decorator
@inline
function expWide(x: v128): v128 {
  const magic = f64x2.splat(6755399441055744);
  const t = f64x2.add(f64x2.mul(x, f64x2.splat(1.4426950408889634)), magic);
  const r = f64x2.sub(x, f64x2.mul(f64x2.sub(t, magic), f64x2.splat(0.6931471805599453)));
  let y = f64x2.splat(2.470791874477778e-5);
  y = f64x2.add(f64x2.mul(y, r), f64x2.splat(1.9909209151241676e-4));
  y = f64x2.add(f64x2.mul(y, r), f64x2.splat(1.3889199594128757e-3));
  y = f64x2.add(f64x2.mul(y, r), f64x2.splat(8.333281396276085e-3));
  y = f64x2.add(f64x2.mul(y, r), f64x2.splat(4.1666664377880754e-2));
  y = f64x2.add(f64x2.mul(y, r), f64x2.splat(1.6666666785854872e-1));
  y = f64x2.add(f64x2.mul(y, r), f64x2.splat(5.00000000043367e-1));
  y = f64x2.add(f64x2.mul(y, r), f64x2.splat(1));
  y = f64x2.add(f64x2.mul(y, r), f64x2.splat(1));
  return f64x2.mul(y, i64x2.add(i64x2.shl(t, 52), i64x2.splat(1023 << 52)));
}

// @ts-ignore: decorator
@inline
function high(x: v128): v128 {
  return v128.shuffle<f32>(x, x, 2, 3, 0, 1);
}

/** exp by way of doubles: the correctly rounded result but for one number in some hundred thousand. */
// @ts-ignore: decorator
@inline
function expExactOf(x: v128): v128 {
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104.5));
  const low = f32x4.demote_f64x2_zero(expWide(f64x2.promote_low_f32x4(x)));
  return v128.shuffle<f32>(low, f32x4.demote_f64x2_zero(expWide(f64x2.promote_low_f32x4(high(x)))), 0, 1, 4, 5);
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
  // from 10 on the result is 1; NaN passes
  const twice = f32x4.pmin(f32x4.add(size, size), f32x4.splat(20));
  const big = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(expNear(twice), one)));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  return v128.or(v128.bitselect(small, big, f32x4.lt(size, f32x4.splat(0.625))), sign);
}

// @ts-ignore: decorator
@inline
function erfOf(x: v128): v128 {
  // from 4 on the result is 1; NaN passes
  const size = f32x4.pmin(f32x4.abs(x), f32x4.splat(4));
  const z = f32x4.mul(x, x);
  // erf(x)/x − 1 below 0.92, ln(1 − erf(x)) above: errors of 2⁻²⁶ and 2⁻²⁹ of the result, by Remez's exchange
  let y = f32x4.splat(-5.990853379e-4);
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(4.9931801039e-3));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(-2.67666160545e-2));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(1.128181615764e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(-3.761249368492e-1));
  y = f32x4.add(f32x4.mul(y, z), f32x4.splat(1.283791495554e-1));
  const small = f32x4.add(f32x4.mul(y, x), x);
  y = f32x4.splat(1.9687054314e-4);
  y = f32x4.add(f32x4.mul(y, size), f32x4.splat(-3.0523510685e-3));
  y = f32x4.add(f32x4.mul(y, size), f32x4.splat(2.22632388276e-2));
  y = f32x4.add(f32x4.mul(y, size), f32x4.splat(-1.040067417139e-1));
  y = f32x4.add(f32x4.mul(y, size), f32x4.splat(-6.370968645964e-1));
  y = f32x4.add(f32x4.mul(y, size), f32x4.splat(-1.1277261815285));
  y = f32x4.add(f32x4.mul(y, size), f32x4.splat(-1.834784878852e-4));
  const big = f32x4.sub(f32x4.splat(1), expNear(y));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  return v128.bitselect(small, v128.or(big, sign), f32x4.lt(size, f32x4.splat(0.921875)));
}

const NEG = 0;
const ABS = 1;
const SQRT = 2;
const FLOOR = 3;
const CEIL = 4;
const TRUNC = 5;
const RINT = 6;
const NOT = 7;
const EXP = 8;
const LOG = 9;
const TANH = 10;
const ERF = 11;
const EXP_EXACT = 12;

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
  if (op == NOT) return v128.and(f32x4.eq(x, f32x4.splat(0)), f32x4.splat(1));
  if (op == EXP) return expOf(x);
  if (op == LOG) return logOf(x);
  if (op == TANH) return tanhOf(x);
  if (op == ERF) return erfOf(x);
  return expExactOf(x);
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
/** Most numbers are neither tiny nor huge: eight at a time, of which few loops see the bounds. */
export function exp(n: i32, o: usize, a: usize): void {
  const bound = f32x4.splat(87);
  for (; n >= 8; n -= 8, o += 32, a += 32) {
    const x = v128.load(a);
    const y = v128.load(a, 16);
    if (v128.any_true(v128.or(f32x4.gt(f32x4.abs(x), bound), f32x4.gt(f32x4.abs(y), bound)))) {
      v128.store(o, expOf(x));
      v128.store(o, expOf(y), 16);
    } else {
      v128.store(o, expNear(x));
      v128.store(o, expNear(y), 16);
    }
  }
  unaryLoop(EXP, n, o, a);
}
export function expExact(n: i32, o: usize, a: usize): void {
  unaryLoop(EXP_EXACT, n, o, a);
}
export function log(n: i32, o: usize, a: usize): void {
  unaryLoop(LOG, n, o, a);
}
export function tanh(n: i32, o: usize, a: usize): void {
  unaryLoop(TANH, n, o, a);
}
export function erf(n: i32, o: usize, a: usize): void {
  unaryLoop(ERF, n, o, a);
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
    s1 = f64x2.add(s1, f64x2.promote_low_f32x4(high(x)));
    s2 = f64x2.add(s2, f64x2.promote_low_f32x4(y));
    s3 = f64x2.add(s3, f64x2.promote_low_f32x4(high(y)));
  }
  s0 = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
  acc += f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
  for (; i < n; i++, a += 4) acc += <f64>load<f32>(a);
  return acc;
}

/** Sums of rows: row r of each of `images` boxes of `rows` × n goes to to[r], the sum of each image rounded before. */
export function rowSums(to: usize, from: usize, images: i32, rows: i32, n: i32): void {
  const row = <usize>n << 2;
  for (let r = 0; r < rows; r++, to += 4, from += row) {
    let acc: f64 = 0;
    for (let i = 0, at = from; i < images; i++, at += row * rows) acc += <f64>(<f32>sum(n, at, 0));
    store<f32>(to, <f32>acc);
  }
}

/** Sums of columns of a matrix whose rows lie `step` bytes apart. */
export function columnSums(to: usize, from: usize, rows: i32, columns: i32, step: usize): void {
  let c = 0;
  for (; c + 4 <= columns; c += 4, to += 16, from += 16) {
    let s0 = f64x2.splat(0);
    let s1 = s0;
    for (let r = 0, at = from; r < rows; r++, at += step) {
      const x = v128.load(at);
      s0 = f64x2.add(s0, f64x2.promote_low_f32x4(x));
      s1 = f64x2.add(s1, f64x2.promote_low_f32x4(high(x)));
    }
    v128.store(to, v128.shuffle<f32>(f32x4.demote_f64x2_zero(s0), f32x4.demote_f64x2_zero(s1), 0, 1, 4, 5));
  }
  for (; c < columns; c++, to += 4, from += 4) {
    let acc: f64 = 0;
    for (let r = 0, at = from; r < rows; r++, at += step) acc += <f64>load<f32>(at);
    store<f32>(to, <f32>acc);
  }
}

// @ts-ignore: decorator
@inline
function extreme(greatest: bool, n: i32, a: usize, acc: f32): f32 {
  // one instruction an element where pmax and pmin decide as max and min do: not for NaN, nor between zeros of both signs
  let s0 = f32x4.splat(acc);
  let s1 = s0;
  let odd = f32x4.ne(s0, s0);
  let i = 0;
  for (let at = a; i + 8 <= n; i += 8, at += 32) {
    const x = v128.load(at);
    const y = v128.load(at, 16);
    s0 = greatest ? f32x4.pmax(s0, x) : f32x4.pmin(s0, x);
    s1 = greatest ? f32x4.pmax(s1, y) : f32x4.pmin(s1, y);
    odd = v128.or(odd, v128.or(f32x4.ne(x, x), f32x4.ne(y, y)));
  }
  s0 = greatest ? f32x4.max(s0, s1) : f32x4.min(s0, s1);
  const zero = f32x4.eq(s0, f32x4.splat(0));
  if (v128.any_true(v128.or(odd, zero))) {
    s0 = f32x4.splat(acc);
    s1 = s0;
    for (i = 0; i + 8 <= n; i += 8) {
      const at = a + (<usize>i << 2);
      s0 = greatest ? f32x4.max(s0, v128.load(at)) : f32x4.min(s0, v128.load(at));
      s1 = greatest ? f32x4.max(s1, v128.load(at, 16)) : f32x4.min(s1, v128.load(at, 16));
    }
    s0 = greatest ? f32x4.max(s0, s1) : f32x4.min(s0, s1);
  }
  a += <usize>i << 2;
  s0 = greatest ? f32x4.max(s0, high(s0)) : f32x4.min(s0, high(s0));
  const x = f32x4.extract_lane(s0, 0);
  const y = f32x4.extract_lane(s0, 1);
  acc = greatest ? f32.max(x, y) : f32.min(x, y);
  for (; i < n; i++, a += 4) acc = greatest ? f32.max(acc, load<f32>(a)) : f32.min(acc, load<f32>(a));
  return acc;
}

/** The greatest of acc and a; NaN passes. */
export function greatest(n: i32, a: usize, acc: f32): f32 {
  return extreme(true, n, a, acc);
}
export function least(n: i32, a: usize, acc: f32): f32 {
  return extreme(false, n, a, acc);
}

const SELECT = 32;
const SUM = 33;
const GREATEST = 34;
const LEAST = 35;
const BINARY = 16;

/** Words of a step. */
const STEP = 13;

/**
 * Runs a list of steps for each of `rows` rows. A step is [operation, n, o, ·, a, ·, sa, b, ·, sb, c, ·, sc]: where result and operands begin in the
 * first row, each followed by the bytes to the next row's, and strides. Folds write their one number to o and to b.
 */
export function run(steps: usize, count: i32, rows: i32): void {
  const end = steps + <usize>count * (STEP * 4);
  for (let row = 0; row < rows; row++) {
    for (let p = steps; p < end; p += STEP * 4) {
      const op = load<i32>(p);
      const n = load<i32>(p, 4);
      const o = load<usize>(p, 8);
      const a = load<usize>(p, 16);
      const sa = load<usize>(p, 24);
      const b = load<usize>(p, 28);
      const sb = load<usize>(p, 36);
      const c = load<usize>(p, 40);
      store<usize>(p, o + load<usize>(p, 12), 8);
      store<usize>(p, a + load<usize>(p, 20), 16);
      store<usize>(p, b + load<usize>(p, 32), 28);
      store<usize>(p, c + load<usize>(p, 44), 40);
      switch (op) {
        case NEG:
          neg(n, o, a);
          break;
        case ABS:
          abs(n, o, a);
          break;
        case SQRT:
          sqrt(n, o, a);
          break;
        case FLOOR:
          floor(n, o, a);
          break;
        case CEIL:
          ceil(n, o, a);
          break;
        case TRUNC:
          trunc(n, o, a);
          break;
        case RINT:
          rint(n, o, a);
          break;
        case EXP:
          exp(n, o, a);
          break;
        case LOG:
          log(n, o, a);
          break;
        case TANH:
          tanh(n, o, a);
          break;
        case ERF:
          erf(n, o, a);
          break;
        case NOT:
          not(n, o, a);
          break;
        case EXP_EXACT:
          expExact(n, o, a);
          break;
        case BINARY + ADD:
          add(n, o, a, sa, b, sb);
          break;
        case BINARY + SUB:
          sub(n, o, a, sa, b, sb);
          break;
        case BINARY + MUL:
          mul(n, o, a, sa, b, sb);
          break;
        case BINARY + DIV:
          div(n, o, a, sa, b, sb);
          break;
        case BINARY + MAX:
          max(n, o, a, sa, b, sb);
          break;
        case BINARY + MIN:
          min(n, o, a, sa, b, sb);
          break;
        case BINARY + EQ:
          eq(n, o, a, sa, b, sb);
          break;
        case BINARY + NE:
          ne(n, o, a, sa, b, sb);
          break;
        case BINARY + LT:
          lt(n, o, a, sa, b, sb);
          break;
        case BINARY + LE:
          le(n, o, a, sa, b, sb);
          break;
        case BINARY + GT:
          gt(n, o, a, sa, b, sb);
          break;
        case BINARY + GE:
          ge(n, o, a, sa, b, sb);
          break;
        case SELECT:
          select(n, o, a, sa, b, sb, c, load<usize>(p, 48));
          break;
        default: {
          const x: f32 = op == SUM ? <f32>sum(n, a, 0) : op == GREATEST ? greatest(n, a, -Infinity) : least(n, a, Infinity);
          store<f32>(o, x);
          store<f32>(b, x);
        }
      }
    }
  }
}

/** Adds float32 to doubles. */
export function addWide(n: i32, acc: usize, a: usize): void {
  let i = 0;
  for (; i + 4 <= n; i += 4, a += 16, acc += 32) {
    const x = v128.load(a);
    v128.store(acc, f64x2.add(v128.load(acc), f64x2.promote_low_f32x4(x)));
    v128.store(acc, f64x2.add(v128.load(acc, 16), f64x2.promote_low_f32x4(high(x))), 16);
  }
  for (; i < n; i++, a += 4, acc += 8) store<f64>(acc, load<f64>(acc) + <f64>load<f32>(a));
}

/** Rounds doubles to float32. */
export function narrow(n: i32, o: usize, a: usize): void {
  for (let i = 0; i < n; i++, o += 4, a += 8) store<f32>(o, <f32>load<f64>(a));
}

// max and min are loops above
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
