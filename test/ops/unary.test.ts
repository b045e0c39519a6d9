// Functions of one number over wide ranges and at special values, against NumPy's float64 (test-data/numpy-ops.json).
import { describe, expect, test } from 'vitest';
import { type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { differences, EXACT } from '../values.ts';
import { NUMPY, numbersOf } from './vectors.ts';

const functions = Object.entries(NUMPY.functions);
const places = numbersOf(NUMPY.places);
const special = numbersOf(NUMPY.special);
// functions that keep the sign of zero; elsewhere −0 and 0 are the same answer
const SIGNED = ['neg', 'abs', 'round', 'rint', 'ceil', 'floor', 'trunc', 'fix', 'square', 'sqrt', 'cbrt'];
const INTEGERS = ['neg', 'abs', 'sign', 'square', 'logicalNot', 'relu'];

function apply(name: string, x: NDArray): NDArray {
  const f = (nd as unknown as Record<string, unknown>)[name];
  if (typeof f !== 'function') throw new Error(`nd.${name} is missing`);
  return (f as (x: NDArray) => NDArray)(x);
}

eachDevice((ctx) => {
  describe('float32', () => {
    for (const [name, { y }] of functions)
      test(`${name} over wide ranges`, async () => {
        const expected = numbersOf(y).map(Math.fround);
        // some eight units in the last place; near 0 an eighth of a unit of 1, since 1 + erf and the like round at 1
        expect(
          differences(await apply(name, nd.array(places, { ctx })).data(), expected, {
            rtol: 1e-6,
            atol: 1e-7,
          }),
        ).toEqual([]);
      });

    for (const [name, { special: y }] of functions)
      test(`${name} at 0, −0, ±1, ±∞ and NaN`, async () => {
        const values = await apply(name, nd.array(special, { ctx })).data();
        const tolerance = { rtol: 1e-6, atol: 0 };
        const signed = SIGNED.includes(name);
        expect(differences(values, numbersOf(y).map(Math.fround), tolerance, signed)).toEqual([]);
      });
  });

  test('rounding where adding a half would be wrong', async () => {
    const x = [0.49999997, -0.49999997, 8388609, -8388609, 16777215, 2.5, -2.5, 0.5, -0.5, 1.5];
    const array = nd.array(x, { ctx });
    const away = [0, -0, 8388609, -8388609, 16777215, 3, -3, 1, -1, 2];
    expect(differences(await array.round().data(), away, EXACT, true)).toEqual([]);
    const even = [0, -0, 8388609, -8388609, 16777215, 2, -2, 0, -0, 2];
    expect(differences(await array.rint().data(), even, EXACT, true)).toEqual([]);
  });

  test('small and large arguments keep their digits', async () => {
    const tiny = [1e-10, -3e-9, 2e-8];
    const x = nd.array(tiny, { ctx });
    for (const name of [
      'expm1',
      'log1p',
      'sin',
      'tan',
      'sinh',
      'tanh',
      'arcsin',
      'arctan',
      'arcsinh',
      'arctanh',
    ])
      expect(differences(await apply(name, x).data(), tiny, { rtol: 1e-6, atol: 0 }), name).toEqual([]);
    // e^88 is the last that a float32 holds
    const large = nd.array([88, -87, 89, -200], { ctx });
    const exp = [Math.exp(88), Math.exp(-87), Infinity, 0];
    expect(differences(await large.exp().data(), exp, { rtol: 8e-6, atol: 1e-37 })).toEqual([]);
    expect(differences(await large.tanh().data(), [1, -1, 1, -1], { rtol: 1e-7, atol: 0 })).toEqual([]);
    expect(differences(await large.softrelu().data(), [88, 0, 89, 0], { rtol: 1e-6, atol: 1e-37 })).toEqual(
      [],
    );
    const big = nd.array([1e19, -1e19, 3e38], { ctx });
    const log = [Math.log(1e19), NaN, Math.log(3e38)];
    expect(differences(await big.log().data(), log, { rtol: 1e-6, atol: 0 })).toEqual([]);
    const inverse = [Math.asinh(1e19), -Math.asinh(1e19), Math.asinh(3e38)];
    expect(differences(await big.arcsinh().data(), inverse, { rtol: 1e-6, atol: 0 })).toEqual([]);
    expect(differences(await big.sigmoid().data(), [1, 0, 1])).toEqual([]);
  });

  test('integers: the functions that take them give integers, the others refuse', async () => {
    const values = [-128, -3, 0, 1, 127];
    const results: Record<string, number[]> = {
      // −(−128) does not fit an int8 and wraps
      neg: [-128, 3, 0, -1, -127],
      abs: [-128, 3, 0, 1, 127],
      sign: [-1, -1, 0, 1, 1],
      square: [0, 9, 0, 1, 1],
      logicalNot: [0, 0, 1, 0, 0],
      relu: [0, 0, 0, 1, 127],
    };
    const x = nd.array(values, { ctx, dtype: 'int8' });
    for (const name of INTEGERS) {
      const y = apply(name, x);
      expect(y.dtype).toBe('int8');
      expect([...(await y.data())], name).toEqual(results[name]);
    }
    for (const [name] of functions)
      if (!INTEGERS.includes(name)) expect(() => apply(name, x), name).toThrow(/expected float32/);
    const unsigned = nd.array([0, 1, 200, 255], { ctx, dtype: 'uint8' });
    expect([...(await unsigned.neg().data())]).toEqual([0, 255, 56, 1]);
    expect([...(await unsigned.square().data())]).toEqual([0, 1, 64, 1]);
    const wide = nd.array([-(2 ** 31), 46341, -2147483647], { ctx, dtype: 'int32' });
    expect([...(await wide.abs().data())]).toEqual([-(2 ** 31), 46341, 2147483647]);
    expect([...(await wide.square().data())]).toEqual([0, Math.imul(46341, 46341), 1]);
    const flags = nd.array([true, false], { ctx, dtype: 'bool' });
    expect([...(await flags.logicalNot().data())]).toEqual([0, 1]);
  });

  test('float64 keeps its digits', async ({ skip }) => {
    if (!holds(ctx, 'float64')) skip('no GPU holds float64');
    const x = nd.array(places, { ctx, dtype: 'float64' });
    for (const [name, { y }] of functions)
      expect(
        differences(await apply(name, x).data(), numbersOf(y), { rtol: 2e-13, atol: 1e-14 }),
        name,
      ).toEqual([]);
  });

  test('float16 is the float32 result, rounded', async ({ skip }) => {
    if (!holds(ctx, 'float16')) skip('the adapter lacks shader-f16');
    // numbers that a float16 holds exactly
    const halves = places.filter((v) => Math.abs(v) <= 16 && v * 4 === Math.round(v * 4));
    const x = nd.array(halves, { ctx, dtype: 'float16' });
    for (const [name, { y }] of functions) {
      const expected = numbersOf(y).filter((_, i) => halves.includes(places[i] as number));
      // half a unit of 11 bits; 6e-8: the smallest float16
      const values = await apply(name, x).data();
      const held = expected.map((v) => (Math.abs(v) >= 65520 ? Math.sign(v) * Infinity : v));
      expect(differences(values, held, { rtol: 2 ** -11 + 1e-6, atol: 6e-8 }), name).toEqual([]);
    }
  });
});
