// Functions of float32 numbers that are good to a few units in the last place on every adapter. WGSL's own are not: `sin` may be wrong by
// 2⁻¹¹, `atan` by 4096 ulp, `exp` by 3 + 2|x|, and what a NaN or an infinity gives is left open. A kernel gets the functions it
// uses and those they use, nothing else (src/device/gpu/mathLibrary.ts cuts this file at each `fn`).
// Polynomials: minimax fits on the ranges said beside them. Nothing here depends on x == x or on a sum being kept in
// its order, since drivers may compile with fast-math: NaN is told on bits, splits into high and low parts go through bits.

// A number from its bits: a way to infinity and NaN, which WGSL refuses as constants.
fn from_bits(b: u32) -> f32 { return bitcast<f32>(b); }

fn is_nan(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) > 0x7f800000u; }

fn is_inf(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) == 0x7f800000u; }

// True for everything but ±0, NaN included.
fn is_true(x: f32) -> bool { return (bitcast<u32>(x) & 0x7fffffffu) != 0u; }

fn sign_f(x: f32) -> f32 { return select(sign(x), x, is_nan(x)); }

// NaN if either is NaN, as NumPy's.
fn max_f(a: f32, b: f32) -> f32 { return select(max(a, b), a + b, is_nan(a) || is_nan(b)); }

fn min_f(a: f32, b: f32) -> f32 { return select(min(a, b), a + b, is_nan(a) || is_nan(b)); }

// x · 2ⁿ in two steps, so that n may go past the exponent's range on either side.
fn scale_f(x: f32, n: i32) -> f32 {
  let a = n >> 1u;
  let b = n - a;
  return x * bitcast<f32>((a + 127) << 23u) * bitcast<f32>((b + 127) << 23u);
}

// e^r − 1 for |r| ≤ ln2/2.
fn expm1_core(r: f32) -> f32 {
  let p = 0.166666672f + r * (0.0416664742f + r * (0.00833327975f + r * (0.00139342016f + r * 0.000199110553f)));
  return r + (r * r) * (0.5f + r * p);
}

// x − n·ln2, n·0.693145751953125 being exact for |n| < 512.
fn reduce_ln2(x: f32, n: f32) -> f32 { return fma(n, -1.42860677e-6f, fma(n, -0.693145751953125f, x)); }

fn exp_f(x: f32) -> f32 {
  let c = clamp(x, -110.0f, 90.0f);
  let n = round(c * 1.44269502f);
  return select(scale_f(1.0f + expm1_core(reduce_ln2(c, n)), i32(n)), x, is_nan(x));
}

fn expm1_f(x: f32) -> f32 {
  let c = clamp(x, -30.0f, 90.0f);
  let n = round(c * 1.44269502f);
  let r = expm1_core(reduce_ln2(c, n));
  // 2ⁿ in two factors, the second of which is 1 but for the largest n.
  let m = min(i32(n), 126);
  let s = bitcast<f32>((m + 127) << 23u);
  let t = bitcast<f32>((i32(n) - m + 127) << 23u);
  return select((s * r + (s - 1.0f)) * t, x, is_nan(x) || bitcast<u32>(x) == 0x80000000u);
}

// ln(1 + f) for 1 + f in [√½, √2].
fn log1p_core(f: f32) -> f32 {
  let p = 0.333333105f + f * (-0.249999851f + f * (0.20002301f + f * (-0.166694149f + f * (0.142167211f + f * (-0.1237996f + f * (0.118859708f + f * (-0.118239552f + f * 0.0692407042f)))))));
  let z = f * f;
  return f + (f * (z * p) - 0.5f * z);
}

fn log_f(x: f32) -> f32 {
  let bits = bitcast<u32>(x);
  let subnormal = bits < 0x00800000u; // then x = bits · 2⁻¹⁴⁹
  let b = select(bits, bitcast<u32>(f32(bits)), subnormal);
  let e = i32(b - 0x3f3504f3u) >> 23u; // so that the significand lies in [√½, √2)
  let m = bitcast<f32>(b - (bitcast<u32>(e) << 23u));
  let n = f32(e + select(0, -149, subnormal));
  let r = n * 0.693145751953125f + (log1p_core(m - 1.0f) + n * 1.42860677e-6f);
  // +∞ and NaN give themselves, ±0 −∞, negative numbers NaN.
  let special = from_bits(select(select(0x7fc00000u, 0xff800000u, !is_true(x)), bits, bits >= 0x7f800000u && (bits < 0x80000000u || is_nan(x))));
  return select(r, special, bits >= 0x7f800000u || bits == 0u);
}

fn log1p_f(x: f32) -> f32 {
  if (is_nan(x) || bitcast<u32>(x) == 0x7f800000u) { return x; }
  if (x > -0.29f && x < 0.41f) { return select(log1p_core(x), x, abs(x) < 1e-8f); }
  if (x <= -1.0f) { return from_bits(select(0x7fc00000u, 0xff800000u, x == -1.0f)); }
  let u = 1.0f + x;
  // What rounding 1 + x lost, relative to u.
  let c = select(x - (u - 1.0f), 1.0f - (u - x), x >= 1.0f) / u;
  return log_f(u) + c;
}

fn sinh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  var r = 0.0f;
  if (a < 1.0f) {
    let t = expm1_f(a);
    r = 0.5f * (t + t / (t + 1.0f));
  } else if (a < 80.0f) {
    let t = exp_f(a);
    r = 0.5f * t - 0.5f / t;
  } else {
    let t = exp_f(0.5f * a);
    r = (0.5f * t) * t;
  }
  return bitcast<f32>(bitcast<u32>(r) | (bitcast<u32>(x) & 0x80000000u));
}

fn cosh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a < 80.0f) {
    let t = exp_f(a);
    return 0.5f * t + 0.5f / t;
  }
  let t = exp_f(0.5f * a);
  return (0.5f * t) * t;
}

fn tanh_f(x: f32) -> f32 {
  let t = expm1_f(2.0f * min(abs(x), 10.0f));
  let r = t / (t + 2.0f);
  return select(bitcast<f32>(bitcast<u32>(r) | (bitcast<u32>(x) & 0x80000000u)), x, is_nan(x));
}

fn asinh_f(x: f32) -> f32 {
  if (is_nan(x) || is_inf(x)) { return x; }
  let a = abs(x);
  var r = 0.0f;
  if (a > 1e7f) {
    r = log_f(a) + 0.693147182f;
  } else {
    let z = a * a;
    r = log1p_f(a + z / (1.0f + sqrt(1.0f + z)));
  }
  return bitcast<f32>(bitcast<u32>(r) | (bitcast<u32>(x) & 0x80000000u));
}

fn acosh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  if (x < 1.0f) { return from_bits(0x7fc00000u); }
  if (x > 1e7f) { return log_f(x) + 0.693147182f; }
  let t = x - 1.0f;
  return log1p_f(t + sqrt(2.0f * t + t * t));
}

fn atanh_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a > 1.0f) { return from_bits(0x7fc00000u); }
  if (a == 1.0f) { return from_bits(0x7f800000u | (bitcast<u32>(x) & 0x80000000u)); }
  let r = 0.5f * log1p_f((a + a) / (1.0f - a));
  return bitcast<f32>(bitcast<u32>(r) | (bitcast<u32>(x) & 0x80000000u));
}

// The upper half of a 64-bit product.
fn multiply_high(a: u32, b: u32) -> u32 {
  let low = (a & 0xffffu) * (b & 0xffffu);
  let one = (a >> 16u) * (b & 0xffffu) + (low >> 16u);
  let two = (a & 0xffffu) * (b >> 16u) + (one & 0xffffu);
  return (a >> 16u) * (b >> 16u) + (one >> 16u) + (two >> 16u);
}

// `reduce_pio2` for any size (after Payne and Hanek, 1983): the fraction of x/(2π) to 64 bits, the upper two of which are the quadrant,
// from those bits of 1/(2π) that x's exponent leaves behind the point.
fn reduce_pio2_large(x: f32) -> vec2<f32> {
  const INVERSE_2PI = array<u32, 8>(0u, 0x28be60dbu, 0x9391054au, 0x7f09d5f4u, 0x7d4d3770u, 0x36d8a566u, 0x4f10e410u, 0x7f9458eau);
  let bits = bitcast<u32>(x);
  let m = (bits << 8u) | 0x80000000u;
  let e = ((bits >> 23u) & 0xffu) - 126u;
  let i = min(e >> 5u, 4u);
  let s = e & 31u;
  // 96 bits from bit e before the end of word i on; a shift by 32 is no shift in WGSL, hence the two steps
  let w0 = (INVERSE_2PI[i] << s) | ((INVERSE_2PI[i + 1u] >> 1u) >> (31u - s));
  let w1 = (INVERSE_2PI[i + 1u] << s) | ((INVERSE_2PI[i + 2u] >> 1u) >> (31u - s));
  let w2 = (INVERSE_2PI[i + 2u] << s) | ((INVERSE_2PI[i + 3u] >> 1u) >> (31u - s));
  let low = m * w1 + multiply_high(m, w2);
  let high = m * w0 + multiply_high(m, w1) + select(0u, 1u, low < m * w1);
  var q = high >> 30u;
  var h = high & 0x3fffffffu;
  var l = low;
  let past = (h & 0x20000000u) != 0u; // nearer to the next quadrant: count back from it
  if (past) {
    q = q + 1u;
    h = 0x40000000u - h - select(0u, 1u, l != 0u);
    l = 0u - l;
  }
  let r = (f32(h) * 9.31322575e-10f + u32_to_f32(l) * 2.16840434e-19f) * 1.57079637f; // 2⁻³⁰, 2⁻⁶²
  let negative = (bits >> 31u) != 0u;
  return vec2<f32>(select(r, -r, past != negative), f32(select(q, 0u - q, negative) & 3u));
}

// The quadrant of x mod 4 and what remains, |r| ≤ π/4. π/2 in pieces of 8, 11 and 24 bits, whose products with the quadrant are
// exact up to 8192.
fn reduce_pio2(x: f32) -> vec2<f32> {
  if (abs(x) > 8192.0f) { return reduce_pio2_large(x); }
  let n = round(x * 0.636619747f);
  let r = fma(n, -7.54978942e-8f, fma(n, -0.00048375129699707f, fma(n, -1.5703125f, x)));
  let q = n - 4.0f * floor(n * 0.25f);
  return vec2<f32>(r, q);
}

fn sin_core(r: f32) -> f32 {
  let z = r * r;
  return r + r * (z * (-0.166666672f + z * (0.00833332911f + z * (-0.000198391819f + z * 2.71684871e-6f))));
}

fn cos_core(r: f32) -> f32 {
  let z = r * r;
  return 1.0f - (0.5f * z - (z * z) * (0.0416666679f + z * (-0.00138888834f + z * (2.47993521e-5f + z * -2.71964524e-7f))));
}

fn sin_f(x: f32) -> f32 {
  let v = reduce_pio2(x);
  let q = u32(v.y) & 3u;
  let s = select(sin_core(v.x), cos_core(v.x), (q & 1u) == 1u);
  return select(select(s, -s, q >= 2u), from_bits(0x7fc00000u), is_nan(x) || is_inf(x));
}

fn cos_f(x: f32) -> f32 {
  let v = reduce_pio2(x);
  let q = u32(v.y) & 3u;
  let s = select(cos_core(v.x), sin_core(v.x), (q & 1u) == 1u);
  return select(select(s, -s, q == 1u || q == 2u), from_bits(0x7fc00000u), is_nan(x) || is_inf(x));
}

fn tan_f(x: f32) -> f32 {
  let v = reduce_pio2(x);
  let s = sin_core(v.x);
  let c = cos_core(v.x);
  return select(select(s / c, -c / s, (u32(v.y) & 1u) == 1u), from_bits(0x7fc00000u), is_nan(x) || is_inf(x));
}

// |x| ≤ ½.
fn asin_core(x: f32) -> f32 {
  let z = x * x;
  return x + x * (z * (0.166667521f + z * (0.0749529898f + z * (0.0454724394f + z * (0.0241618361f + z * 0.0422059745f)))));
}

fn asin_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a > 1.0f) { return from_bits(0x7fc00000u); }
  if (a <= 0.5f) { return asin_core(x); }
  let r = 1.57079637f - (2.0f * asin_core(sqrt(0.5f * (1.0f - a))) + 4.37113883e-8f);
  return select(r, -r, x < 0.0f);
}

fn acos_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a > 1.0f) { return from_bits(0x7fc00000u); }
  if (a <= 0.5f) { return 1.57079637f - (asin_core(x) + 4.37113883e-8f); }
  let r = 2.0f * asin_core(sqrt(0.5f * (1.0f - a)));
  return select(r, 3.14159274f - (r + 8.74227766e-8f), x < 0.0f);
}

fn atan_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  var t = a;
  var base = 0.0f;
  if (a > 2.41421356f) {
    base = 1.57079637f;
    t = select(-1.0f / a, 0.0f, is_inf(a));
  } else if (a > 0.414213562f) {
    base = 0.785398185f;
    t = (a - 1.0f) / (a + 1.0f);
  }
  let z = t * t;
  let r = base + (t + t * (z * (-0.333329529f + z * (0.199777156f + z * (-0.138763323f + z * 0.0804583728f)))));
  return bitcast<f32>(bitcast<u32>(r) | (bitcast<u32>(x) & 0x80000000u));
}

fn atan2_f(y: f32, x: f32) -> f32 {
  if (is_nan(x) || is_nan(y)) { return x + y; }
  let ax = abs(x);
  let ay = abs(y);
  let left = (bitcast<u32>(x) >> 31u) == 1u;
  var r = 0.0f;
  if (ay == 0.0f) {
    r = select(0.0f, 3.14159274f, left);
  } else if (ax == 0.0f) {
    r = 1.57079637f;
  } else if (is_inf(ax) || is_inf(ay)) {
    r = select(select(0.0f, 3.14159274f, left), 1.57079637f, is_inf(ay));
    if (is_inf(ax) && is_inf(ay)) { r = select(0.785398185f, 2.3561945f, left); }
  } else {
    // The smaller over the larger, so that the quotient neither overflows nor vanishes where it matters.
    let steep = ay > ax;
    r = atan_f(select(ay / ax, ax / ay, steep));
    if (steep) { r = 1.57079637f - (r + 4.37113883e-8f); }
    if (left) { r = 3.14159274f - (r + 8.74227766e-8f); }
  }
  return bitcast<f32>(bitcast<u32>(r) | (bitcast<u32>(y) & 0x80000000u));
}

fn cbrt_f(x: f32) -> f32 {
  if (is_nan(x) || is_inf(x) || !is_true(x)) { return x; }
  var a = abs(x);
  var s = 1.0f;
  if (a < 1e-30f) { a = a * 1073741824.0f; s = 0.0009765625f; } // 2³⁰ and its cube root's inverse
  var t = bitcast<f32>(bitcast<u32>(a) / 3u + 0x2a514067u);
  t = t - (t - a / (t * t)) * 0.333333343f;
  t = t - (t - a / (t * t)) * 0.333333343f;
  t = t - (t - a / (t * t)) * 0.333333343f;
  return bitcast<f32>(bitcast<u32>(t * s) | (bitcast<u32>(x) & 0x80000000u));
}

fn erf_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a < 1.0f) {
    let z = x * x;
    return x * (1.12837911f + z * (-0.37612626f + z * (0.112836003f + z * (-0.0268544443f + z * (0.00518953567f + z * (-0.000802084222f + z * 7.88912294e-5f))))));
  }
  let c = min(a, 5.0f);
  let t = 1.0f / (1.0f + 0.5f * c);
  let p = t * (0.282605648f + t * (0.274333328f + t * (0.296658397f + t * (0.00249607395f + t * (0.432467967f + t * (-0.382476538f + t * 0.0937970653f))))));
  let r = 1.0f - exp_f(-c * c) * p;
  return select(r, -r, x < 0.0f);
}

// After M. Giles, "Approximating the erfinv function" (GPU Computing Gems, 2010): one polynomial in w = −ln(1 − x²), one in √w.
fn erfinv_f(x: f32) -> f32 {
  if (is_nan(x)) { return x; }
  let a = abs(x);
  if (a > 1.0f) { return from_bits(0x7fc00000u); }
  if (a == 1.0f) { return from_bits(0x7f800000u | (bitcast<u32>(x) & 0x80000000u)); }
  var w = -log1p_f(-a * a);
  if (a > 0.5f) { w = -log_f((1.0f - a) * (1.0f + a)); }
  if (w < 5.0f) {
    w = w - 2.5f;
    return x * (1.50140941f + w * (0.246640727f + w * (-0.00417770818f + w * (-0.00125370699f + w * (0.000218602785f + w * (-4.39691985e-6f + w * (-3.52902657e-6f + w * (3.43739401e-7f + w * 2.85486124e-8f))))))));
  }
  w = sqrt(w) - 3.0f;
  return x * (2.83297706f + w * (1.00167429f + w * (0.00943402015f + w * (-0.00762807531f + w * (0.00577188702f + w * (-0.00364978425f + w * (0.00127888634f + w * (7.59309187e-5f + w * -0.000150313528f))))))));
}

// The upper 12 bits of the significand: products of two such numbers are exact.
fn high_f(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }

// a^b for a > 0 finite, through ln a in two parts (about 36 bits), so that b·ln a keeps its last bits.
fn pow_core(a: f32, b: f32) -> f32 {
  var bits = bitcast<u32>(a);
  var k = 0;
  if (bits < 0x00800000u) { bits = bitcast<u32>(f32(bits)); k = -149; }
  let e = i32(bits - 0x3f3504f3u) >> 23u;
  let m = bitcast<f32>(bits - (bitcast<u32>(e) << 23u));
  let n = f32(e + k);
  // ln m = 2·atanh(s), s = (m − 1)/(m + 1), in two parts.
  let f = m - 1.0f;
  let d = m + 1.0f;
  let dh = high_f(d);
  let dl = m - (dh - 1.0f);
  let s = f / d;
  let sh = high_f(s);
  let sl = ((f - sh * dh) - sh * dl) / d;
  let z = s * s;
  let tail = s * (z * (0.666666627f + z * (0.400003552f + z * (0.285359025f + z * 0.236103609f))));
  let big = n * 0.693115234375f; // ln2 to 12 bits
  let lh = high_f(big + 2.0f * sh);
  let ll = ((big - lh) + 2.0f * sh) + (2.0f * sl + (tail + n * 3.19461833e-5f));
  let c = clamp(b, -1e11f, 1e11f);
  let bh = high_f(c);
  let bl = c - bh;
  let y = bh * lh;
  let rest = bl * lh + c * ll;
  let t = y + rest;
  if (t > 99.0f || t < -119.0f) { return scale_f(1.0f, select(-173, 144, t > 0.0f)); }
  let q = round(t * 1.44269502f);
  return scale_f(1.0f + expm1_core(reduce_ln2(y, q) + rest), i32(q));
}

fn pow_f(a: f32, b: f32) -> f32 {
  if (!is_true(b) || bitcast<u32>(a) == 0x3f800000u) { return 1.0f; }
  if (is_nan(a) || is_nan(b)) { return a + b; }
  let x = abs(a);
  let whole = floor(b) == b || is_inf(b);
  let odd = whole && abs(b) < 16777216.0f && (i32(clamp(b, -16777216.0f, 16777216.0f)) & 1) == 1;
  let negative = (bitcast<u32>(a) >> 31u) == 1u;
  var r = 0.0f;
  if (is_inf(b)) {
    if (x == 1.0f) { return 1.0f; }
    r = from_bits(select(0u, 0x7f800000u, (x > 1.0f) == (b > 0.0f)));
  } else if (!is_true(a) || is_inf(a)) {
    r = from_bits(select(0u, 0x7f800000u, is_true(a) == (b > 0.0f)));
  } else if (negative && !whole) {
    return from_bits(0x7fc00000u);
  } else if (b == 2.0f) {
    return a * a;
  } else {
    r = pow_core(x, b);
    // A whole power of a whole number is whole.
    if (whole && b > 0.0f && r < 4194304.0f && floor(x) == x) { r = round(r); }
  }
  return select(r, -r, negative && odd);
}

// The exact remainder of a / b with a's sign, as C's fmod: long division of the significands, eight bits a step.
fn fmod_f(a: f32, b: f32) -> f32 {
  if (is_nan(a) || is_nan(b)) { return a + b; }
  if (is_inf(a) || !is_true(b)) { return from_bits(0x7fc00000u); }
  let ab = bitcast<u32>(a) & 0x7fffffffu;
  let bb = bitcast<u32>(b) & 0x7fffffffu;
  if (ab < bb) { return a; }
  let ae = max(ab >> 23u, 1u);
  let be = max(bb >> 23u, 1u);
  var r = (ab & 0x7fffffu) | select(0u, 0x800000u, ab >= 0x800000u);
  let d = (bb & 0x7fffffu) | select(0u, 0x800000u, bb >= 0x800000u);
  r = r % d;
  for (var left = ae - be; left > 0u && r != 0u;) {
    let step = min(left, 8u);
    r = (r << step) % d;
    left -= step;
  }
  let sign = bitcast<u32>(a) & 0x80000000u;
  if (r == 0u) { return bitcast<f32>(sign); }
  let lead = countLeadingZeros(r) - 8u; // bits to the significand's place
  let up = min(lead, be - 1u);
  r = r << up;
  return bitcast<f32>(sign | select(r, ((be - up) << 23u) | (r & 0x7fffffu), r >= 0x800000u));
}

// The remainder with b's sign, as Python's %.
fn mod_f(a: f32, b: f32) -> f32 {
  let r = fmod_f(a, b);
  if (is_inf(b) && !is_inf(a) && !is_nan(a)) { return select(b, a, !is_true(a) || (a < 0.0f) == (b < 0.0f)); }
  return select(r, r + b, is_true(r) && (r < 0.0f) != (b < 0.0f));
}

// Integers. Division by zero gives 0.
fn div_i(a: i32, b: i32) -> i32 { return select(a / select(b, 1, b == 0), 0, b == 0); }

fn div_u(a: u32, b: u32) -> u32 { return select(a / select(b, 1u, b == 0u), 0u, b == 0u); }

fn fmod_i(a: i32, b: i32) -> i32 { return select(a % select(b, 1, b == 0 || b == -1), 0, b == 0); }

fn fmod_u(a: u32, b: u32) -> u32 { return select(a % select(b, 1u, b == 0u), 0u, b == 0u); }

fn mod_i(a: i32, b: i32) -> i32 {
  let r = fmod_i(a, b);
  return select(r, r + b, r != 0 && (r < 0) != (b < 0));
}

fn pow_u(a: u32, b: u32) -> u32 {
  var r = 1u;
  var x = a;
  for (var n = b; n != 0u; n = n >> 1u) {
    if ((n & 1u) == 1u) { r = r * x; }
    x = x * x;
  }
  return r;
}

// A negative power of an integer is a fraction, hence 0, but for ±1; of 0 it is infinite, hence the largest number.
fn pow_i(a: i32, b: i32) -> i32 {
  if (b < 0) {
    if (a == 0) { return 2147483647; }
    return select(select(0, select(1, -1, (b & 1) == 1), a == -1), 1, a == 1);
  }
  return bitcast<i32>(pow_u(bitcast<u32>(a), u32(b)));
}

// Conversions, as src/ir/kernel.ts lays them down: truncated, NaN to 0, saturated.
fn f32_to_i32(x: f32) -> i32 {
  if (is_nan(x)) { return 0; }
  if (x >= 2147483648.0f) { return 2147483647; }
  if (x <= -2147483648.0f) { return -2147483647 - 1; }
  return i32(x);
}

// Rounded once, in the sum: drivers convert words from 2³¹ on one place off (SwiftShader does).
fn u32_to_f32(x: u32) -> f32 { return f32(x & 0xffff0000u) + f32(x & 0xffffu); }

// Negative numbers as int32, wrapped.
fn f32_to_u32(x: f32) -> u32 {
  if (x < 0.0f || is_nan(x)) { return bitcast<u32>(f32_to_i32(x)); }
  return select(u32(min(x, 4294967040.0f)), 0xffffffffu, x >= 4294967296.0f);
}

// IEEE binary16 bits, rounded to nearest, ties to even; pack2x16float leaves rounding and overflow open.
fn f32_to_half(x: f32) -> u32 {
  let b = bitcast<u32>(x);
  let sign = (b >> 16u) & 0x8000u;
  let a = b & 0x7fffffffu;
  if (a > 0x7f800000u) { return sign | 0x7e00u; }
  if (a >= 0x477ff000u) { return sign | 0x7c00u; }
  if (a >= 0x38800000u) { return sign | ((a - 0x38000000u + 0xfffu + ((a >> 13u) & 1u)) >> 13u); }
  if (a < 0x33000001u) { return sign; }
  let m = (a & 0x7fffffu) | 0x800000u;
  let shift = 126u - (a >> 23u);
  let h = m >> shift;
  let left = m & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  return sign | (h + select(0u, 1u, left > middle || (left == middle && (h & 1u) == 1u)));
}

fn half_to_f32(h: u32) -> f32 {
  let sign = (h & 0x8000u) << 16u;
  let e = (h >> 10u) & 31u;
  let f = h & 0x3ffu;
  if (e == 0u) {
    let v = f32(f) * 5.9604644775390625e-8f;
    return bitcast<f32>(bitcast<u32>(v) | sign);
  }
  return bitcast<f32>(sign | (select(e + 112u, 255u, e == 31u) << 23u) | (f << 13u));
}
