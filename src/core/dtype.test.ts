import { describe, expect, test } from 'vitest';
import {
  bytesOf,
  checkDType,
  computeTypeOf,
  DTYPES,
  dtypeOfTypedArray,
  fromHalf,
  isDType,
  isFloat,
  toHalf,
} from './dtype.ts';
import { DTypeError } from './errors.ts';

describe('dtype names', () => {
  test('bytes of an element are those of the typed array that holds it', () => {
    const holders = {
      float32: Float32Array,
      float16: Uint16Array,
      float64: Float64Array,
      int32: Int32Array,
      uint32: Uint32Array,
      int8: Int8Array,
      uint8: Uint8Array,
      bool: Uint8Array,
    };
    expect(Object.keys(holders).sort()).toEqual([...DTYPES].sort());
    for (const dtype of DTYPES)
      expect([dtype, bytesOf(dtype)]).toEqual([dtype, holders[dtype].BYTES_PER_ELEMENT]);
  });

  test('three of them are floats', () => {
    expect(DTYPES.filter(isFloat)).toEqual(['float32', 'float16', 'float64']);
  });

  test('isDType knows the eight names and nothing that an object inherits', () => {
    expect(DTYPES.every(isDType)).toBe(true);
    for (const value of [
      'float',
      'int64',
      'Float32',
      '',
      'toString',
      '__proto__',
      32,
      null,
      undefined,
      ['float32'],
    ])
      expect(isDType(value)).toBe(false);
  });

  test('checkDType returns the name or says what is possible', () => {
    expect(checkDType('int8', 'cast')).toBe('int8');
    for (const [value, shown] of [
      ['int64', '"int64"'],
      [undefined, 'undefined'],
      [7, '7'],
      [7n, '7'],
      [{}, 'a Object'],
    ]) {
      let error: unknown;
      try {
        checkDType(value, 'cast');
      } catch (e) {
        error = e;
      }
      expect(error).toBeInstanceOf(DTypeError);
      expect((error as DTypeError).message).toBe(
        `[cast] expected a dtype, one of float32, float16, float64, int32, uint32, int8, uint8, bool, received ${shown}. Pass one of these names.`,
      );
    }
  });

  test('computeTypeOf widens and keeps the sign', () => {
    expect(DTYPES.map((dtype) => `${dtype} ${computeTypeOf(dtype)}`)).toEqual([
      'float32 f32',
      'float16 f32',
      'float64 f64',
      'int32 i32',
      'uint32 u32',
      'int8 i32',
      'uint8 u32',
      'bool u32',
    ]);
  });

  test('dtypeOfTypedArray', () => {
    const buffer = new ArrayBuffer(8);
    const found = [
      new Float32Array(buffer),
      new Float64Array(buffer),
      new Int32Array(buffer),
      new Uint32Array(buffer),
      new Int8Array(buffer),
      new Uint8Array(buffer),
      new Uint8ClampedArray(buffer),
      new Int16Array(buffer),
      new Uint16Array(buffer),
      new BigInt64Array(buffer),
      new DataView(buffer),
    ].map(dtypeOfTypedArray);
    expect(found).toEqual([
      'float32',
      'float64',
      'int32',
      'uint32',
      'int8',
      'uint8',
      'uint8',
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});

describe('half floats', () => {
  test('known values of IEEE 754 binary16', () => {
    const known: [number, number][] = [
      [0x0000, 0],
      [0x8000, -0],
      [0x0001, 2 ** -24],
      [0x03ff, 2 ** -14 - 2 ** -24],
      [0x0400, 2 ** -14],
      [0x3555, 0.333251953125],
      [0x3bff, 1 - 2 ** -11],
      [0x3c00, 1],
      [0x3c01, 1 + 2 ** -10],
      [0xc000, -2],
      [0x7bff, 65504],
      [0x7c00, Infinity],
      [0xfc00, -Infinity],
    ];
    for (const [bits, value] of known) {
      expect(fromHalf(bits)).toBe(value);
      expect(toHalf(value)).toBe(bits);
    }
  });

  test('all 65536 patterns come back; NaNs stay NaNs', () => {
    let nans = 0;
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromHalf(bits);
      if (Number.isNaN(value)) {
        nans++;
        expect(fromHalf(toHalf(value))).toBeNaN();
      } else if (toHalf(value) !== bits) expect([bits, toHalf(value)]).toEqual([bits, bits]);
    }
    expect(nans).toBe(2 * 1023);
  });

  test('rounds to the nearest of two neighbours, and from their middle to the even one', () => {
    for (let bits = 0; bits < 0x7bff; bits++) {
      const low = fromHalf(bits);
      const high = fromHalf(bits + 1);
      const middle = (low + high) / 2;
      const step = (high - low) * 2 ** -30;
      const got = [toHalf(middle - step), toHalf(middle), toHalf(middle + step), toHalf(-middle - step)];
      const want = [bits, bits % 2 === 0 ? bits : bits + 1, bits + 1, 0x8000 | (bits + 1)];
      if (got.join() !== want.join()) expect([bits, ...got]).toEqual([bits, ...want]);
    }
  });

  test('beyond the range: infinity from 65520 on, zero up to half the smallest', () => {
    expect(toHalf(65519.999999)).toBe(0x7bff);
    expect(toHalf(65520)).toBe(0x7c00);
    expect(toHalf(-1e300)).toBe(0xfc00);
    expect(toHalf(2 ** -25)).toBe(0);
    expect(toHalf(2 ** -25 + 2 ** -70)).toBe(1);
    expect(toHalf(-1e-300)).toBe(0x8000);
    expect(toHalf(NaN)).toBe(0x7e00);
  });
});
