// Oracles: exact integers (every float is significand × 2^e, every decimal digits × 10^n) and reading back. NumPy's own
// prints of the same digits are compared in print.test.ts.
import { describe, expect, test } from 'vitest';
import { type Decimal, digitsOf, type FloatDType } from './decimal.ts';
import { fromHalf, toHalf } from './dtype.ts';

const READ_BACK: Readonly<Record<FloatDType, (x: number) => number>> = {
  float16: (x) => fromHalf(toHalf(x)),
  float32: Math.fround,
  float64: (x) => x,
};

function numberOf({ digits, exponent }: Decimal): number {
  return Number(`${digits}e${exponent - digits.length + 1}`);
}

/** Both decimals of one digit less that enclose x, where x is d.ddd × 10^exponent. */
function shorter({ digits, exponent }: Decimal): number[] {
  const head = BigInt(digits.slice(0, -1));
  return [head, head + 1n].map((d) => Number(`${d}e${exponent - digits.length + 2}`));
}

function checkShortest(x: number, dtype: FloatDType): void {
  const decimal = digitsOf(x, dtype);
  const back = READ_BACK[dtype];
  const found = back(numberOf(decimal));
  if (!Object.is(found, x)) expect([x, decimal, found]).toEqual([x, decimal, x]);
  if (decimal.digits.length > 1) {
    const rivals = shorter(decimal).filter((value) => back(value) === x);
    if (rivals.length > 0) expect([x, decimal, rivals]).toEqual([x, decimal, []]);
  }
}

/** A repeatable stream of 32-bit words (xorshift). */
function* words(count: number): Generator<number> {
  let state = 0x9e3779b9;
  for (let i = 0; i < count; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    yield state >>> 0;
  }
}

/** x · 10^scale as a fraction of integers. */
function exactly(x: number, scale: number): [numerator: bigint, denominator: bigint] {
  let numerator = x;
  let twos = 0;
  for (; !Number.isInteger(numerator); twos++) numerator *= 2;
  const ten = 10n ** BigInt(Math.abs(scale));
  return scale >= 0
    ? [BigInt(numerator) * ten, 1n << BigInt(twos)]
    : [BigInt(numerator), (1n << BigInt(twos)) * ten];
}

function roundHalfEven(x: number, scale: number): bigint {
  const [numerator, denominator] = exactly(x, scale);
  const whole = numerator / denominator;
  const twice = (numerator % denominator) * 2n;
  const up = twice > denominator || (twice === denominator && whole % 2n === 1n);
  return up ? whole + 1n : whole;
}

describe('the fewest digits', () => {
  test('every float16 reads back and no shorter decimal does', () => {
    for (let bits = 1; bits < 0x7c00; bits++) checkShortest(fromHalf(bits), 'float16');
  });

  test('float32 and float64 over their whole range', () => {
    const view = new DataView(new ArrayBuffer(8));
    for (const word of words(20_000)) {
      view.setUint32(0, word & 0x7fffffff);
      view.setUint32(4, word * 31);
      const [single, double] = [view.getFloat32(0), view.getFloat64(0)];
      if (single > 0 && single < Infinity) checkShortest(single, 'float32');
      if (double > 0 && double < Infinity) checkShortest(double, 'float64');
    }
  });

  test('powers of two, whose lower neighbour is nearer', () => {
    for (let e = -149; e < 128; e++) checkShortest(2 ** e, 'float32');
    for (let e = -1074; e < 1024; e++) checkShortest(2 ** e, 'float64');
  });

  test('in words', () => {
    expect(digitsOf(Math.fround(0.1), 'float32')).toEqual({ digits: '1', exponent: -1 });
    expect(digitsOf(16777216, 'float32')).toEqual({ digits: '16777216', exponent: 7 });
    expect(digitsOf(67108872, 'float32')).toEqual({ digits: '6710887', exponent: 7 });
    expect(digitsOf(2 ** -149, 'float32')).toEqual({ digits: '1', exponent: -45 });
    expect(digitsOf(0.1 + 0.2, 'float64')).toEqual({ digits: '30000000000000004', exponent: -1 });
  });

  test('of two equally near decimals the even one', () => {
    expect(digitsOf(256.25, 'float16').digits).toBe('2562');
    expect(digitsOf(256.75, 'float16').digits).toBe('2568');
    expect(digitsOf(2097152.75, 'float32').digits).toBe('20971528');
    expect(digitsOf(2 ** 50 + 0.25, 'float64').digits).toBe('11258999068426242');
    expect(digitsOf(2 ** 50 + 0.75, 'float64').digits).toBe('11258999068426248');
  });
});

describe('rounding', () => {
  /** The decimal with `count` digits. */
  const padded = ({ digits }: Decimal, count: number): string => digits.padEnd(count, '0');

  test('to a count of digits, from the exact value, half to even', () => {
    const ties = [0.15625, 0.46875, 2.5, 3.5, 9.5, 0.5, 125, 375, 9995, 1e15 + 5, 93499483050000000];
    for (const x of ties) {
      for (let count = 2; count <= 9; count++) {
        const decimal = digitsOf(x, 'float64', count);
        const want = roundHalfEven(x, count - 1 - decimal.exponent);
        expect([x, count, padded(decimal, count)]).toEqual([x, count, String(want)]);
      }
    }
  });

  test('to a count of decimals, from the exact value, half to even', () => {
    const ties = [2 ** -9, 3 * 2 ** -9, 5 * 2 ** -9, 12345 + 2 ** -9, 0.5, 99999999.5, 0.999999999];
    const others = [...words(2000)].map((word) => word * 2 ** -30);
    for (const x of [...ties, ...others]) {
      const decimal = digitsOf(x, 'float64', Infinity, 8);
      const text = padded(decimal, decimal.exponent + 9);
      if (BigInt(text) !== roundHalfEven(x, 8)) expect([x, text]).toEqual([x, roundHalfEven(x, 8)]);
    }
  });

  test('gives no more digits than tell the number', () => {
    expect(digitsOf(Math.fround(0.1), 'float32', 9)).toEqual({ digits: '1', exponent: -1 });
    expect(digitsOf(9.9999999996, 'float64', Infinity, 8)).toEqual({ digits: '1', exponent: 1 });
  });
});
