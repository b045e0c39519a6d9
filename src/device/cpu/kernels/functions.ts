// exp, log, tanh and erf of four float32 at once (AssemblyScript), for the loops in vector.ts and lists.ts, and the loop of exp.
// Accuracy: exp and log ≤ 2 ulp, tanh and erf ≤ 3 ulp, measured over all float32 (wasm/vector.test.ts).

import { madd } from './madd';

/** The last vector of n numbers. */
export function storeLast(n: i32, o: usize, x: v128): void {
  const rest = n & 3;
  if (rest == 0) {
    if (n > 0) v128.store(o, x);
    return;
  }
  v128.store32_lane(o, x, 0);
  if (rest > 1) v128.store32_lane(o, x, 1, 4);
  if (rest > 2) v128.store32_lane(o, x, 2, 8);
}

/** Adding 1.5·2²³ rounds to a whole number, which then stands in the low bits; 127 more, so that these are already an exponent's. */
const MAGIC: f32 = 12583039;

// @ts-ignore: decorator
@inline
function expTimes(x: v128): v128 {
  return madd(x, f32x4.splat(1.44269504088896341), f32x4.splat(MAGIC));
}

/** exp(x) / 2ⁿ · s, where `t` holds n as above. */
// @ts-ignore: decorator
@inline
function expRest(x: v128, t: v128, s: v128): v128 {
  const n = f32x4.sub(t, f32x4.splat(MAGIC));
  // x − n·ln 2 in two parts, of which the first is exact
  let r = madd(n, f32x4.splat(-0.693359375), x);
  r = madd(n, f32x4.splat(2.12194440e-4), r);
  // (exp(r) − 1 − r) / r² on |r| ≤ ln 2 / 2: the largest error is 2⁻²⁸ of exp(r), by Remez's exchange
  let y = f32x4.splat(1.381432057570753e-3);
  y = madd(y, r, f32x4.splat(8.36885106580537e-3));
  y = madd(y, r, f32x4.splat(4.166840108367331e-2));
  y = madd(y, r, f32x4.splat(1.666651952409907e-1));
  y = madd(y, r, f32x4.splat(4.9999993373086377e-1));
  y = madd(y, r, f32x4.splat(1));
  return madd(f32x4.mul(r, s), y, s);
}

/** exp for |x| ≤ 87, where neither 2ⁿ nor the result leaves the normal range, and NaN. */
// @ts-ignore: decorator
@inline
function expNear(x: v128): v128 {
  const t = expTimes(x);
  return expRest(x, t, i32x4.shl(t, 23));
}

/** exp for x ≤ 0, and NaN; from −88 on down n is −127 and 2ⁿ is 0. */
// @ts-ignore: decorator
@inline
function expBelow(x: v128): v128 {
  return expNear(f32x4.pmax(x, f32x4.splat(-88)));
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
  const y = expRest(x, t, i32x4.shl(i32x4.add(half, bias), 23));
  return f32x4.mul(y, i32x4.shl(i32x4.add(i32x4.sub(i, half), bias), 23));
}

// @ts-ignore: decorator
@inline
function logistic(is: bool, y: v128): v128 {
  const one = f32x4.splat(1);
  return is ? f32x4.div(one, f32x4.add(one, y)) : y;
}

/**
 * y = exp(±a − s) or, where `share`, 1 / (1 + y). Most numbers are neither tiny nor huge: eight at a time, of which few loops see the bounds.
 */
export function expOfDifference(n: i32, o: usize, a: usize, sign: v128, s: v128, share: bool): void {
  const bound = f32x4.splat(87);
  for (; n >= 8; n -= 8, o += 32, a += 32) {
    let x = f32x4.sub(v128.xor(v128.load(a), sign), s);
    let y = f32x4.sub(v128.xor(v128.load(a, 16), sign), s);
    // as whole numbers these are in the same order, with NaN above all
    if (v128.any_true(i32x4.gt_s(i32x4.max_s(f32x4.abs(x), f32x4.abs(y)), bound))) {
      x = expOf(x);
      y = expOf(y);
    } else {
      x = expNear(x);
      y = expNear(y);
    }
    v128.store(o, logistic(share, x));
    v128.store(o, logistic(share, y), 16);
  }
  for (; n > 0; n -= 4, o += 16, a += 16) {
    const y = logistic(share, expOf(f32x4.sub(v128.xor(v128.load(a), sign), s)));
    storeLast(min(n, 4), o, y);
  }
}

/**
 * y = exp(a − s), and their sum; no a is above s. Sixteen numbers are added up in float32, two by two twice, then in doubles: however many there are, the sum is
 * within 2 · 2⁻²⁴ of theirs. What is below the normal range may be 0.
 */
export function powers(n: i32, o: usize, a: usize, s: v128): f64 {
  let s0 = f64x2.splat(0);
  for (; n >= 16; n -= 16, o += 64, a += 64) {
    const x = expBelow(f32x4.sub(v128.load(a), s));
    const y = expBelow(f32x4.sub(v128.load(a, 16), s));
    const z = expBelow(f32x4.sub(v128.load(a, 32), s));
    const w = expBelow(f32x4.sub(v128.load(a, 48), s));
    v128.store(o, x);
    v128.store(o, y, 16);
    v128.store(o, z, 32);
    v128.store(o, w, 48);
    const sum = f32x4.add(f32x4.add(x, y), f32x4.add(z, w));
    s0 = f64x2.add(s0, wide(sum));
  }
  for (; n > 0; n -= 4, o += 16, a += 16) {
    let x = expBelow(f32x4.sub(v128.load(a), s));
    storeLast(min(n, 4), o, x);
    x = v128.and(x, i32x4.gt_s(i32x4.splat(n), i32x4(0, 1, 2, 3)));
    s0 = f64x2.add(s0, wide(x));
  }
  return f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
}

/** The numbers as doubles, two by two added up. */
// @ts-ignore: decorator
@inline
function wide(x: v128): v128 {
  return f64x2.add(f64x2.promote_low_f32x4(x), f64x2.promote_low_f32x4(high(x)));
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
export function high(x: v128): v128 {
  return v128.shuffle<f32>(x, x, 2, 3, 0, 1);
}

/** exp by way of doubles: the correctly rounded result but for one number in some hundred thousand. */
// @ts-ignore: decorator
@inline
export function expExactOf(x: v128): v128 {
  x = f32x4.pmax(f32x4.pmin(x, f32x4.splat(89)), f32x4.splat(-104.5));
  const low = f32x4.demote_f64x2_zero(expWide(f64x2.promote_low_f32x4(x)));
  return v128.shuffle<f32>(low, f32x4.demote_f64x2_zero(expWide(f64x2.promote_low_f32x4(high(x)))), 0, 1, 4, 5);
}

// @ts-ignore: decorator
@inline
export function logOf(x: v128): v128 {
  const tiny = f32x4.lt(x, f32x4.splat(1.17549435e-38));
  const scaled = v128.bitselect(f32x4.mul(x, f32x4.splat(8388608)), x, tiny);
  // x = m·2ᵉ with m from √½ on
  const shifted = i32x4.sub(scaled, i32x4.splat(0x3f3504f3));
  const e = i32x4.shr_s(shifted, 23);
  let m = f32x4.sub(i32x4.sub(scaled, i32x4.shl(e, 23)), f32x4.splat(1));
  const k = f32x4.sub(f32x4.convert_i32x4_s(e), v128.and(tiny, f32x4.splat(23)));
  const z = f32x4.mul(m, m);
  let y = f32x4.splat(7.0376836292e-2);
  y = madd(y, m, f32x4.splat(-1.1514610310e-1));
  y = madd(y, m, f32x4.splat(1.1676998740e-1));
  y = madd(y, m, f32x4.splat(-1.2420140846e-1));
  y = madd(y, m, f32x4.splat(1.4249322787e-1));
  y = madd(y, m, f32x4.splat(-1.6668057665e-1));
  y = madd(y, m, f32x4.splat(2.0000714765e-1));
  y = madd(y, m, f32x4.splat(-2.4999993993e-1));
  y = madd(y, m, f32x4.splat(3.3333331174e-1));
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
export function tanhOf(x: v128): v128 {
  const size = f32x4.abs(x);
  const z = f32x4.mul(x, x);
  let y = f32x4.splat(-5.70498872745e-3);
  y = madd(y, z, f32x4.splat(2.06390887954e-2));
  y = madd(y, z, f32x4.splat(-5.37397155531e-2));
  y = madd(y, z, f32x4.splat(1.33314422036e-1));
  y = madd(y, z, f32x4.splat(-3.33332819422e-1));
  const small = madd(f32x4.mul(y, z), x, x);
  const one = f32x4.splat(1);
  // from 10 on the result is 1; NaN passes
  const twice = f32x4.pmin(f32x4.add(size, size), f32x4.splat(20));
  const big = f32x4.sub(one, f32x4.div(f32x4.splat(2), f32x4.add(expNear(twice), one)));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  return v128.or(v128.bitselect(small, big, f32x4.lt(size, f32x4.splat(0.625))), sign);
}

// @ts-ignore: decorator
@inline
export function erfOf(x: v128): v128 {
  // from 4 on the result is 1; NaN passes
  const size = f32x4.pmin(f32x4.abs(x), f32x4.splat(4));
  const z = f32x4.mul(x, x);
  // erf(x)/x − 1 below 0.92, ln(1 − erf(x)) above: errors of 2⁻²⁶ and 2⁻²⁹ of the result, by Remez's exchange
  let y = f32x4.splat(-5.990853379e-4);
  y = madd(y, z, f32x4.splat(4.9931801039e-3));
  y = madd(y, z, f32x4.splat(-2.67666160545e-2));
  y = madd(y, z, f32x4.splat(1.128181615764e-1));
  y = madd(y, z, f32x4.splat(-3.761249368492e-1));
  y = madd(y, z, f32x4.splat(1.283791495554e-1));
  const small = madd(y, x, x);
  y = f32x4.splat(1.9687054314e-4);
  y = madd(y, size, f32x4.splat(-3.0523510685e-3));
  y = madd(y, size, f32x4.splat(2.22632388276e-2));
  y = madd(y, size, f32x4.splat(-1.040067417139e-1));
  y = madd(y, size, f32x4.splat(-6.370968645964e-1));
  y = madd(y, size, f32x4.splat(-1.1277261815285));
  y = madd(y, size, f32x4.splat(-1.834784878852e-4));
  const big = f32x4.sub(f32x4.splat(1), expNear(y));
  const sign = v128.and(x, i32x4.splat(0x80000000));
  return v128.bitselect(small, v128.or(big, sign), f32x4.lt(size, f32x4.splat(0.921875)));
}
