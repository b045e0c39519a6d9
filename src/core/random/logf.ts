// The natural logarithm of a float32 as the C library of MXNet's time computed it (glibc before 2.27). Normal numbers are made of it, and its last bit, which differs
// from the rounded true value once in fourteen, is seen in their printed digits.
// The method is Sun's (fdlibm): x = 2ᵏ·(1 + f) with 1 + f near [√½, √2]; s = f/(2 + f); ln(1 + f) = f − s·(f − R(s²)), R an odd-even split polynomial;
// ln 2 in two parts, the first with few enough bits that k times it is exact. Every step is rounded to float32.

const f = Math.fround;
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

const LN2_HIGH = f(0.69313812255859375);
const LN2_LOW = f(9.0580006144591607e-6);
// 2/3, 2/5, 2/7 …, fitted
const C1 = f(0.66666668653488159);
const C2 = f(0.40000000596046448);
const C3 = f(0.28571429848670959);
const C4 = f(0.2222219854593277);
const C5 = f(0.18183572590351105);
const C6 = f(0.15313838422298431);
const C7 = f(0.14798198640346527);

/** ln x for a normal float32 x > 0, in float32. */
export function logFloat32(x: number): number {
  float[0] = x;
  const bits = word[0] ?? 0;
  const fraction = bits & 0x7fffff;
  // 1 where the significand is above √2: then it is halved and k grows by one
  const halve = ((fraction + 0x4afb20) & 0x800000) >>> 23;
  const k = (bits >>> 23) - 127 + halve;
  word[0] = fraction | (0x3f800000 - (halve << 23));
  const d = f((float[0] ?? 1) - 1);

  if (((fraction + 15) & 0x7fffff) < 16) {
    // |d| < 2⁻¹⁹: three terms of the series
    if (d === 0) return f(f(k * LN2_HIGH) + f(k * LN2_LOW));
    const rest = f(f(d * d) * f(0.5 - f(f(1 / 3) * d)));
    return k === 0 ? f(d - rest) : f(f(k * LN2_HIGH) - f(f(rest - f(k * LN2_LOW)) - d));
  }
  const s = f(d / f(2 + d));
  const z = f(s * s);
  const w = f(z * z);
  const even = f(w * f(C2 + f(w * f(C4 + f(w * C6)))));
  const odd = f(z * f(C1 + f(w * f(C3 + f(w * f(C5 + f(w * C7)))))));
  const r = f(odd + even);
  // where d is not small, half of d² is taken out first, which loses less
  if (fraction >= 0x30a3d0 && fraction <= 0x35c288) {
    const half = f(f(0.5 * d) * d);
    const product = f(s * f(half + r));
    if (k === 0) return f(d - f(half - product));
    return f(f(k * LN2_HIGH) - f(f(half - f(product + f(k * LN2_LOW))) - d));
  }
  const product = f(s * f(d - r));
  if (k === 0) return f(d - product);
  return f(f(k * LN2_HIGH) - f(f(product - f(k * LN2_LOW)) - d));
}
