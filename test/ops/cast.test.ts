// Conversions between all dtypes, by the rules of ir/kernel.ts written out again: to float rounded to nearest; to integers truncated, then as each type says.
import { describe, expect, test } from 'vitest';
import { type DType, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { differences } from '../values.ts';

const DTYPES: readonly DType[] = [
  'float32',
  'float16',
  'float64',
  'int32',
  'uint32',
  'int8',
  'uint8',
  'bool',
];

const SAMPLES: Readonly<Record<DType, readonly number[]>> = {
  float32: [
    0,
    -0,
    1,
    -1,
    0.5,
    -0.5,
    1.9,
    -1.9,
    127.5,
    -128.5,
    255.9,
    300,
    -300,
    65504,
    70000,
    1e6,
    16777216,
    2147483520,
    -2147483648,
    3e9,
    -3e9,
    1e20,
    -1e20,
    0.1,
    NaN,
    Infinity,
    -Infinity,
  ],
  float16: [
    0,
    -0,
    1,
    -1,
    0.5,
    -0.5,
    1.9,
    -1.9,
    127.5,
    -128.5,
    300,
    -300,
    2048,
    65504,
    -65504,
    0.1,
    6e-8,
    NaN,
    Infinity,
    -Infinity,
  ],
  float64: [
    0,
    1,
    -1.9,
    0.1,
    16777217,
    2147483647,
    -2147483648,
    4294967295,
    3e9,
    -3e9,
    1e300,
    -1e300,
    65519,
    65521,
    NaN,
    Infinity,
  ],
  int32: [0, 1, -1, 127, 128, 255, 256, -129, 65535, 16777217, 2147483647, -2147483648],
  uint32: [0, 1, 127, 128, 255, 256, 65535, 16777217, 2147483648, 4294967295],
  int8: [0, 1, -1, 127, -128],
  uint8: [0, 1, 127, 128, 255],
  bool: [0, 1],
};

/** A number rounded to the nearest float16, ties to even, by its definition: 11 bits, exponents down to 2^-14. */
function half(v: number): number {
  if (!Number.isFinite(v) || v === 0) return v;
  const exponent = Math.max(-14, Math.floor(Math.log2(Math.abs(v))));
  const unit = 2 ** (exponent - 10);
  const steps = v / unit;
  const low = Math.floor(steps);
  const rest = steps - low;
  const rounded = (rest > 0.5 || (rest === 0.5 && low % 2 !== 0) ? low + 1 : low) * unit;
  return Math.abs(rounded) >= 65520 ? Math.sign(v) * Infinity : rounded;
}

const saturated = (v: number, low: number, high: number): number =>
  Number.isNaN(v) ? 0 : Math.min(high, Math.max(low, Math.trunc(v))) + 0;
const int32 = (v: number): number => saturated(v, -(2 ** 31), 2 ** 31 - 1);

const isFloat = (dtype: DType): boolean => dtype.startsWith('float');

/** The value of `from` as `to`. */
function converted(v: number, from: DType, to: DType): number {
  switch (to) {
    case 'float64':
      return v;
    case 'float32':
      return Math.fround(v);
    case 'float16':
      return half(v);
    case 'bool':
      return v === 0 ? 0 : 1;
    case 'int32':
      return isFloat(from) ? int32(v) : v | 0;
    case 'uint32':
      if (!isFloat(from)) return v >>> 0;
      return v < 0 ? int32(v) >>> 0 : saturated(v, 0, 2 ** 32 - 1);
    case 'int8':
      return ((isFloat(from) ? int32(v) : v) << 24) >> 24;
    case 'uint8':
      return (isFloat(from) ? int32(v) : v) & 255;
  }
}

eachDevice((ctx) => {
  for (const from of DTYPES)
    describe(`from ${from}`, () => {
      for (const to of DTYPES)
        test(`to ${to}`, async ({ skip }) => {
          for (const dtype of [from, to]) if (!holds(ctx, dtype)) skip(`${ctx} does not hold ${dtype}`);
          const sample =
            from === 'float32'
              ? SAMPLES[from].map(Math.fround)
              : from === 'float16'
                ? SAMPLES[from].map(half)
                : SAMPLES[from];
          const x = nd.array(Float64Array.from(sample), { ctx, dtype: from });
          // what the array holds is what it was given
          expect(differences(await x.data(), sample, undefined, true)).toEqual([]);
          const y = x.astype(to);
          expect(y.dtype).toBe(to);
          const expected = sample.map((v) => converted(v, from, to));
          expect(differences(await y.data(), expected, undefined, isFloat(to))).toEqual([]);
          expect(differences(await nd.cast(x, { dtype: to }).data(), expected)).toEqual([]);
        });
    });

  test('a cast to the same dtype is a copy', async () => {
    const x = nd.array([1, 2], { ctx });
    const y = x.astype('float32');
    x.iadd(1);
    expect([...(await y.data())]).toEqual([1, 2]);
  });

  test('shapes stay, sizes that do not fill a word too, nothing stays nothing', async () => {
    const x = nd.arange(5, { ctx }).reshape([5, 1]);
    const y = x.astype('uint8');
    expect([...y.shape]).toEqual([5, 1]);
    expect([...(await y.astype('int8').astype('int32').data())]).toEqual([0, 1, 2, 3, 4]);
    expect([...nd.zeros([0, 2], { ctx }).astype('bool').shape]).toEqual([0, 2]);
    expect(nd.ones([], { ctx }).astype('int32').ndim).toBe(0);
  });
});
