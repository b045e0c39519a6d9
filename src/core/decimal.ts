// Decimal digits of floating-point numbers at the precision they are stored in: the fewest that tell a float16, float32 or
// float64 from its neighbours, and a given number of them, rounded half to even. Leaves all layout to print.ts.
//
// JavaScript's `toExponential` and `toFixed` work on the exact binary value (every float16 and float32 is a double), so they
// give correct digits; what they lack is the narrower neighbours, ties to even (they round ties up), and the rule for powers
// of two, whose lower neighbour is nearer than the upper one. That rule follows Steele and White, "How to Print
// Floating-Point Numbers Accurately" (1990), in the form NumPy prints with.

/** The dtypes whose elements have a fraction. */
export type FloatDType = 'float16' | 'float32' | 'float64';

/** d.ddd × 10^exponent; `digits` holds them without the point, the first is not 0 unless the value is. */
export interface Decimal {
  readonly digits: string;
  readonly exponent: number;
}

interface Format {
  /** Bits after the leading one. */
  readonly fractionBits: number;
  /** The exponent of the smallest normal number. */
  readonly minExponent: number;
  /** A number of digits that is often right: where the search begins. */
  readonly usualDigits: number;
}

const FORMATS: Readonly<Record<FloatDType, Format>> = {
  float16: { fractionBits: 10, minExponent: -14, usualDigits: 4 },
  float32: { fractionBits: 23, minExponent: -126, usualDigits: 8 },
  float64: { fractionBits: 52, minExponent: -1022, usualDigits: 16 },
};

const asDouble = new Float64Array(1);
const asWords = new Uint32Array(asDouble.buffer);
asDouble[0] = 1;
const HIGH_WORD = asWords[1] === 0 ? 0 : 1;

/** ⌊log₂ x⌋ of a positive double, at least −1023. */
function binaryExponent(x: number): number {
  asDouble[0] = x;
  return ((asWords[HIGH_WORD] as number) >>> 20) - 1023;
}

/** The exponent of the last bit of `x` in its format. */
function lastBit(x: number, format: Format): number {
  return Math.max(binaryExponent(x), format.minExponent) - format.fractionBits;
}

/** A normal power of two has a lower neighbour at half the distance of the upper one. */
function hasNearLowerNeighbour(x: number, exponent: number, format: Format): boolean {
  return exponent > format.minExponent - format.fractionBits && x === 2 ** (exponent + format.fractionBits);
}

/** Whether `x` lies exactly between two decimals of `fraction` digits after the point (negative: zeros before it). */
function isTie(x: number, fraction: number): boolean {
  // then x = (2k + 1) · 5 · 10^(−fraction − 1), which is odd once its powers of two are taken out; such scaling is exact
  const odd = x * 2 ** (fraction + 1);
  if (odd % 2 !== 1) return false;
  // left of the point the powers of five have to be there too (5²³ is above 2⁵³, where no double is odd)
  let five = 1;
  for (let i = fraction + 1; i < 0 && five <= odd; i++) five *= 5;
  return odd % five === 0;
}

/** A tie was rounded up: takes an odd last digit back to the even one below. No borrow: an odd digit is at least 1. */
function downToEven(digits: string): string {
  const last = digits.charCodeAt(digits.length - 1);
  return last % 2 === 1 ? digits.slice(0, -1) + String.fromCharCode(last - 1) : digits;
}

function trimZeros(digits: string): string {
  let end = digits.length;
  while (end > 1 && digits.charCodeAt(end - 1) === 48) end--;
  return end === digits.length ? digits : digits.slice(0, end);
}

/** Splits `d.ddde±x`. */
function parse(text: string): Decimal {
  const e = text.indexOf('e');
  return {
    digits: text.charAt(0) + text.slice(2, e),
    exponent: Number(text.slice(e + 1)),
  };
}

/** `count` correctly rounded digits of a positive number, a tie to even. */
function nearest(x: number, count: number): Decimal {
  const decimal = parse(x.toExponential(count - 1));
  if (!isTie(x, count - 1 - decimal.exponent)) return decimal;
  return { digits: downToEven(decimal.digits), exponent: decimal.exponent };
}

/**
 * Digit by digit in exact integers, until the digits tell `x` from its neighbours (or to exactly `count` of them): for
 * the few numbers where the nearest decimal is not the answer or double arithmetic cannot tell.
 */
function generate(x: number, format: Format, count?: number): Decimal {
  const e = lastBit(x, format);
  const significand = BigInt(x / 2 ** e);
  // value = rest/scale, half the distances to the neighbours are below/scale and above/scale; all in quarters of the last bit
  let rest = significand * 4n;
  let above = 2n;
  let below = hasNearLowerNeighbour(x, e, format) ? 1n : 2n;
  let scale = 4n;
  if (e > 0) {
    rest <<= BigInt(e);
    above <<= BigInt(e);
    below <<= BigInt(e);
  } else scale <<= BigInt(-e);
  const multiply = (): void => {
    rest *= 10n;
    above *= 10n;
    below *= 10n;
  };
  let exponent = 0;
  for (; rest >= scale * 10n; exponent++) scale *= 10n;
  for (; rest < scale; exponent--) multiply();

  const even = significand % 2n === 0n;
  const digits: number[] = [];
  for (;;) {
    const digit = Number(rest / scale);
    rest %= scale;
    digits.push(digit);
    const low = even ? rest <= below : rest < below;
    const high = even ? rest + above >= scale : rest + above > scale;
    if (count === undefined ? low || high : digits.length === count) {
      let up = high;
      if (low === high) up = rest * 2n === scale ? digit % 2 === 1 : rest * 2n > scale;
      if (up) exponent += increment(digits);
      return { digits: digits.join(''), exponent };
    }
    multiply();
  }
}

/** Adds one to the last digit; returns 1 where that carries out of the first. */
function increment(digits: number[]): number {
  let i = digits.length - 1;
  for (; i >= 0 && digits[i] === 9; i--) digits[i] = 0;
  if (i < 0) {
    digits[0] = 1;
    return 1;
  }
  digits[i] = (digits[i] as number) + 1;
  return 0;
}

/** At a power of two the upper of two decimals may be taken though the lower is nearer; not where they are far further apart than the floats. */
function mayPreferUpper(x: number, exponent: number, format: Format, unit: number): boolean {
  return unit <= 4 * 2 ** exponent && hasNearLowerNeighbour(x, exponent, format);
}

/**
 * The fewest digits that tell `x`, positive and finite, from the other numbers of its dtype, the nearest to it among those.
 *
 * @example shortestDigits(Math.fround(0.1), 'float32') // { digits: '1', exponent: -1 }
 */
export function shortestDigits(x: number, dtype: FloatDType): Decimal {
  const format = FORMATS[dtype];
  // JavaScript's own, but for ties, which it leaves to the engine
  if (dtype === 'float64') return settleTie(x, parse(x.toExponential()), format);
  const e = lastBit(x, format);
  // halves of the last bit of a float32 are doubles: the bounds are exact
  const high = x + 2 ** (e - 1);
  const low = x - 2 ** (hasNearLowerNeighbour(x, e, format) ? e - 2 : e - 1);

  let count = format.usualDigits;
  let text = x.toExponential(count - 1);
  let value = Number(text);
  while (!(value > low && value < high)) {
    if (value === low || value === high || mayPreferUpper(x, e, format, unitOf(text, count)))
      return generate(x, format);
    count++;
    text = x.toExponential(count - 1);
    value = Number(text);
  }
  const first = parse(text);
  let digits = trimZeros(first.digits);
  let exponent = first.exponent;
  for (count = digits.length - 1; count > 0; count--) {
    const fewer = x.toExponential(count - 1);
    value = Number(fewer);
    if (!(value > low && value < high)) {
      if (value === low || value === high || mayPreferUpper(x, e, format, unitOf(fewer, count)))
        return generate(x, format);
      break;
    }
    const shorter = parse(fewer);
    digits = trimZeros(shorter.digits);
    exponent = shorter.exponent;
    count = digits.length;
  }
  return settleTie(x, { digits, exponent }, format);
}

/** Which of two equally near and equally short decimals is meant: the even one, but the upper at a power of two. */
function settleTie(x: number, shortest: Decimal, format: Format): Decimal {
  const count = shortest.digits.length;
  if (!isTie(x, count - 1 - shortest.exponent)) return shortest;
  return hasNearLowerNeighbour(x, lastBit(x, format), format) ? generate(x, format) : nearest(x, count);
}

/** The weight of the last of `count` digits, roughly. */
function unitOf(text: string, count: number): number {
  return 10 ** (Number(text.slice(text.indexOf('e') + 1)) - count + 1);
}

/**
 * `count` digits of `x`, positive and finite, rounded from its exact value, half to even.
 *
 * @example roundedDigits(0.15625, 4, 'float32') // { digits: '1562', exponent: -1 }
 */
export function roundedDigits(x: number, count: number, dtype: FloatDType): Decimal {
  const decimal = nearest(x, count);
  const format = FORMATS[dtype];
  const e = lastBit(x, format);
  return mayPreferUpper(x, e, format, 10 ** (decimal.exponent - count + 1))
    ? generate(x, format, count)
    : decimal;
}

/**
 * `x`, positive and below 10²¹, with `count` digits after the point, rounded from its exact value, half to even.
 *
 * @example roundedFixed(0.001953125, 8) // '0.00195312'
 */
export function roundedFixed(x: number, count: number): string {
  const text = x.toFixed(count);
  return isTie(x, count) ? downToEven(text) : text;
}
