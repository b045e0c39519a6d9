// Functions of one or two doubles that JavaScript lacks or defines otherwise than C and Python do. The loops call them; the typed
// array that takes the result rounds it to the compute type.

const TWO_52 = 2 ** 52;

/** Rounded to an integer, halves to even; keeps −0. */
export function rint(x: number): number {
  const size = Math.abs(x);
  if (!(size < TWO_52)) return x;
  const rounded = size + TWO_52 - TWO_52;
  return x < 0 || Object.is(x, -0) ? -rounded : rounded;
}

/** The remainder with the sign of the divisor, as Python's `%` on floats: a zero has the divisor's sign too. */
export function mod(a: number, b: number): number {
  const r = a % b;
  if (r === 0) return b < 0 ? -0 : 0;
  return r < 0 !== b < 0 ? r + b : r;
}

/** C's pow: 1 to anything is 1, and so is −1 to ±∞ (JavaScript says NaN). */
export function pow(a: number, b: number): number {
  return a === 1 || (a === -1 && (b === Infinity || b === -Infinity)) ? 1 : a ** b;
}

/** Integer power, wrapped to 32 bits; a negative exponent truncates (0 for |a| > 1), and a power of zero saturates. */
export function powInt(a: number, b: number): number {
  if (b < 0) return a === 1 ? 1 : a === -1 ? (b % 2 === 0 ? 1 : -1) : a === 0 ? 2147483647 : 0;
  let result = 1;
  let base = a | 0;
  for (let n = b; n > 0; n = Math.floor(n / 2)) {
    if (n % 2 === 1) result = Math.imul(result, base);
    base = Math.imul(base, base);
  }
  return result;
}

/** Truncated to int32: NaN gives 0, what is out of range saturates. */
export function toInt32(x: number): number {
  return x >= 2147483647 ? 2147483647 : x <= -2147483648 ? -2147483648 : x | 0;
}

/** Truncated to uint32: negative values as int32, wrapped; NaN gives 0, what is too large saturates. */
export function toUint32(x: number): number {
  return x >= 4294967295 ? 4294967295 : x < 0 ? toInt32(x) >>> 0 : x >>> 0;
}

// erf by Taylor expansions around the multiples of 1/16 up to 6, where 1 − erf is 2e-17. All terms of an expansion follow from
// g = exp(−(x₀ + d)²): g' = −2(x₀ + d)·g gives gₙ₊₁ = −2(x₀·gₙ + gₙ₋₁)/(n + 1), and erf' = 2/√π·g.
const STEPS = 16;
const LAST = 6;
const TERMS = 10;
const TWO_OVER_SQRT_PI = 2 / Math.sqrt(Math.PI);
let erfTable: Float64Array | undefined;

/** erf at the expansions' centres: 2/√π·exp(−x²)·Σ 2ⁿx²ⁿ⁺¹/(1·3·…·(2n+1)), all terms positive, so nothing cancels. */
function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; term > sum * 1e-18; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return TWO_OVER_SQRT_PI * Math.exp(-x * x) * sum;
}

function makeErfTable(): Float64Array {
  const table = new Float64Array((STEPS * LAST + 1) * TERMS);
  for (let k = 0; k <= STEPS * LAST; k++) {
    const x0 = k / STEPS;
    let before = 0;
    let g = Math.exp(-x0 * x0);
    table[k * TERMS] = k === 0 ? 0 : erfSeries(x0);
    for (let n = 1; n < TERMS; n++) {
      table[k * TERMS + n] = (TWO_OVER_SQRT_PI * g) / n;
      const next = (-2 * (x0 * g + before)) / n;
      before = g;
      g = next;
    }
  }
  return table;
}

/** The error function, to about 3e-16. */
export function erf(x: number): number {
  const size = Math.abs(x);
  if (!(size < LAST)) return size >= LAST ? Math.sign(x) : NaN;
  erfTable ??= makeErfTable();
  const k = Math.round(size * STEPS);
  const d = size - k / STEPS;
  const t = k * TERMS;
  let sum = erfTable[t + TERMS - 1] as number;
  for (let n = TERMS - 2; n >= 0; n--) sum = sum * d + (erfTable[t + n] as number);
  return x < 0 ? -sum : sum;
}

/** The inverse of erf: Winitzki's closed form (error 2e-3) and Halley steps on erf; ±∞ at ±1, NaN outside. */
export function erfinv(x: number): number {
  const size = Math.abs(x);
  if (!(size < 1)) return size === 1 ? x * Infinity : NaN;
  if (size < 1e-9) return x / TWO_OVER_SQRT_PI;
  const log = Math.log1p(-size * size);
  const half = 2 / (Math.PI * 0.147) + log / 2;
  let y = Math.sqrt(Math.sqrt(half * half - log / 0.147) - half);
  for (let step = 0; step < 3; step++) {
    const f = erf(y) - size;
    const slope = TWO_OVER_SQRT_PI * Math.exp(-y * y);
    if (f === 0 || slope === 0) break;
    y -= f / (slope + y * f);
  }
  return x < 0 ? -y : y;
}
