// Decimal digits of floating-point numbers at the precision they are stored in: the fewest that tell a float16, float32 or float64 from its neighbours,
// or fewer, rounded half to even. Leaves all layout to print.ts.
//
// Digit by digit in exact integers, as NumPy finds what it prints: Steele and White, "How to Print Floating-Point Numbers Accurately" (1990). JavaScript's own
// digits would be those of the nearest double, break ties upwards, and not know that a power of two is nearer to its lower neighbour than to the upper one.

/** The dtypes whose elements have a fraction. */
export type FloatDType = 'float16' | 'float32' | 'float64';

/** d.ddd × 10^exponent; `digits` holds them without the point, neither the first nor the last is 0. */
export interface Decimal {
  readonly digits: string;
  readonly exponent: number;
}

/** Bits after the leading one, and the exponent of the smallest normal number. */
const FORMATS: Readonly<Record<FloatDType, readonly [fractionBits: number, minExponent: number]>> = {
  float16: [10, -14],
  float32: [23, -126],
  float64: [52, -1022],
};

const bits = new DataView(new ArrayBuffer(8));

/**
 * The fewest digits that tell `x`, positive and finite, from the other numbers of its dtype, the nearest to it among those; but at most `count`, and at most `places` after
 * the point, rounded from its exact value.
 *
 * @example
 * digitsOf(Math.fround(0.1), 'float32') // { digits: '1', exponent: -1 }
 * digitsOf(0.15625, 'float32', 4)       // { digits: '1562', exponent: -1 }
 */
export function digitsOf(x: number, dtype: FloatDType, count = Infinity, places = Infinity): Decimal {
  const [fractionBits, minExponent] = FORMATS[dtype];
  bits.setFloat64(0, x);
  const binaryExponent = (bits.getUint16(0) >> 4) - 1023;
  const lastBit = Math.max(binaryExponent, minExponent) - fractionBits;
  const significand = BigInt(x / 2 ** lastBit);
  // x = rest/scale, half the distances to the neighbours are below/scale and above/scale; all in quarters of the last bit
  let rest = significand * 4n;
  let above = 2n;
  let below = binaryExponent > minExponent && x === 2 ** binaryExponent ? 1n : 2n;
  let scale = 4n;
  const multiply = (factor: bigint): void => {
    rest *= factor;
    above *= factor;
    below *= factor;
  };
  if (lastBit > 0) multiply(1n << BigInt(lastBit));
  else scale <<= BigInt(-lastBit);
  // the decimal exponent is this or one more
  let exponent = Math.floor(Math.log10(x)) - 1;
  if (exponent > 0) scale *= 10n ** BigInt(exponent);
  else multiply(10n ** BigInt(-exponent));
  for (; rest >= scale * 10n; exponent++) scale *= 10n;

  const most = Math.max(1, Math.min(count, exponent + 1 + places));
  const inclusive = significand % 2n === 0n ? 1n : 0n;
  let head = 0n;
  for (let made = 1; ; made++) {
    head = head * 10n + rest / scale;
    rest %= scale;
    const low = rest < below + inclusive;
    const high = rest + above > scale - inclusive;
    if (low || high || made >= most) {
      const twice = rest * 2n;
      if (low === high ? twice > scale || (twice === scale && head % 2n === 1n) : high) head++;
      const digits = String(head);
      return { digits: digits.replace(/0+$/, ''), exponent: exponent + digits.length - made };
    }
    multiply(10n);
  }
}
