// Arithmetic and comparison in every dtype against plain loops: broadcasting, numbers on either side, wrapping, special values, in place.
import { describe, expect, test } from 'vitest';
import { type Context, type DType, memoryInfo, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { differences, eachIndex, expectArray, integers, numbers, place } from '../values.ts';

type Binary = (a: NDArray | number, b: NDArray | number) => NDArray;

/** a ∘ b by NumPy's rule, in a plain loop. */
function broadcast(
  f: (a: number, b: number) => number,
  a: ArrayLike<number>,
  aShape: readonly number[],
  b: ArrayLike<number>,
  bShape: readonly number[],
): { readonly shape: number[]; readonly values: number[] } {
  const ndim = Math.max(aShape.length, bShape.length);
  const [as, bs] = [aShape, bShape].map((s) => [...Array<number>(ndim - s.length).fill(1), ...s]) as [
    number[],
    number[],
  ];
  const shape = as.map((d, i) => (d === 1 ? (bs[i] as number) : d));
  const values: number[] = [];
  const at = (s: number[], index: number[]): number =>
    place(
      s,
      index.map((c, i) => (s[i] === 1 ? 0 : c)),
    );
  eachIndex(shape, (index) => values.push(f(a[at(as, index)] as number, b[at(bs, index)] as number)));
  return { shape, values };
}

const WRAP: Readonly<Record<'int32' | 'uint32' | 'int8' | 'uint8' | 'bool', (v: number) => number>> = {
  int32: (v) => v | 0,
  uint32: (v) => v >>> 0,
  int8: (v) => (v << 24) >> 24,
  uint8: (v) => v & 255,
  bool: (v) => (v === 0 ? 0 : 1),
};
type Whole = keyof typeof WRAP;

// Python's remainder, also for negative divisors
const modulo = (a: number, b: number): number => {
  const r = a % b;
  return r !== 0 && r < 0 !== b < 0 ? r + b : r;
};

const ARITHMETIC: readonly (readonly [string, Binary, (a: number, b: number) => number])[] = [
  ['add', nd.add, (a, b) => a + b],
  ['sub', nd.subtract, (a, b) => a - b],
  ['mul', nd.multiply, (a, b) => a * b],
  ['div', nd.divide, (a, b) => a / b],
  ['mod', nd.modulo, modulo],
  ['pow', nd.power, (a, b) => a ** b],
  ['maximum', nd.maximum, Math.max],
  ['minimum', nd.minimum, Math.min],
  ['fmod', nd.fmod, (a, b) => a % b],
  ['hypot', nd.hypot, Math.hypot],
  ['arctan2', nd.arctan2, Math.atan2],
];

const COMPARISONS: readonly (readonly [string, Binary, (a: number, b: number) => boolean])[] = [
  ['equal', nd.equal, (a, b) => a === b],
  ['notEqual', nd.notEqual, (a, b) => a !== b],
  ['greater', nd.greater, (a, b) => a > b],
  ['greaterEqual', nd.greaterEqual, (a, b) => a >= b],
  ['lesser', nd.lesser, (a, b) => a < b],
  ['lesserEqual', nd.lesserEqual, (a, b) => a <= b],
  ['logicalAnd', nd.logicalAnd, (a, b) => a !== 0 && b !== 0],
  ['logicalOr', nd.logicalOr, (a, b) => a !== 0 || b !== 0],
  ['logicalXor', nd.logicalXor, (a, b) => (a !== 0) !== (b !== 0)],
];

// equal shapes; one element; rows, columns, both; an axis in the middle; more axes on the right; no elements; no axes
const SHAPES: readonly (readonly [number[], number[]])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3], [1]],
  [[3], [2, 3]],
  [
    [2, 1],
    [1, 3],
  ],
  [
    [2, 1, 4],
    [3, 1],
  ],
  [
    [1, 2, 3, 2],
    [4, 1, 3, 1],
  ],
  [[5], [2, 1, 1, 5]],
  [
    [0, 3],
    [1, 3],
  ],
  [[], [2, 2]],
  [[], []],
];

const sizeOf = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
// adapters divide within 2.5 units in the last place, pow goes through exp2 and log2
const FLOATS = { rtol: 2e-6, atol: 1e-7 };

eachDevice((ctx) => {
  describe('float32', () => {
    for (const [name, f, oracle] of ARITHMETIC)
      test(`${name} broadcasts`, async () => {
        for (const [aShape, bShape] of SHAPES) {
          // positive, so that every function is defined
          const a = numbers(sizeOf(aShape), 0.25, 4, 3);
          const b = numbers(sizeOf(bShape), 0.5, 3, 4);
          const { shape, values } = broadcast(oracle, a, aShape, b, bShape);
          const y = f(
            nd.array(Float32Array.from(a), { ctx, shape: aShape }),
            nd.array(Float32Array.from(b), { ctx, shape: bShape }),
          );
          expect([...y.shape]).toEqual(shape);
          expect(differences(await y.data(), values, FLOATS)).toEqual([]);
        }
      });

    test('numbers on either side', async () => {
      const a = [-2.5, -1, 0.5, 3];
      const x = nd.array(a, { ctx });
      for (const [name, f, oracle] of ARITHMETIC) {
        const [left, right] = [a.map((v) => oracle(1.5, v)), a.map((v) => oracle(v, 2))];
        expect(differences(await f(1.5, x).data(), left, FLOATS), `number ${name} array`).toEqual([]);
        expect(differences(await f(x, 2).data(), right, FLOATS), `array ${name} number`).toEqual([]);
      }
      for (const [name, f, oracle] of COMPARISONS) {
        expect([...(await f(0.5, x).data())], name).toEqual(a.map((v) => Number(oracle(0.5, v))));
        expect([...(await f(x, -1).data())], name).toEqual(a.map((v) => Number(oracle(v, -1))));
      }
    });

    test('as methods, and reversed', async () => {
      const [x, y] = [nd.array([6, 7], { ctx }), nd.array([2, 4], { ctx })];
      const results: readonly (readonly [NDArray, number[]])[] = [
        [x.add(y), [8, 11]],
        [x.sub(y), [4, 3]],
        [x.subtract(1), [5, 6]],
        [x.mul(y), [12, 28]],
        [x.multiply(2), [12, 14]],
        [x.div(y), [3, 1.75]],
        [x.divide(2), [3, 3.5]],
        [x.mod(4), [2, 3]],
        [x.modulo(y), [0, 3]],
        [x.pow(2), [36, 49]],
        [y.power(2), [4, 16]],
        [x.rsub(1), [-5, -6]],
        [y.rdiv(1), [0.5, 0.25]],
        [y.rmod(7), [1, 3]],
        [y.rpow(2), [4, 16]],
        [x.neg(), [-6, -7]],
        [x.equal(6), [1, 0]],
        [x.notEqual(y), [1, 1]],
        [x.greater(6), [0, 1]],
        [x.lesserEqual(6), [1, 0]],
      ];
      for (const [i, [z, expected]] of results.entries())
        expect(differences(await z.data(), expected, FLOATS), `line ${i}`).toEqual([]);
    });

    test('comparisons, NaN among the operands', async () => {
      const values = [-1, 0, -0, 2, NaN, Infinity, -Infinity];
      for (const [name, f, oracle] of COMPARISONS) {
        const { shape, values: expected } = broadcast(
          (a, b) => Number(oracle(a, b)),
          values,
          [7, 1],
          values,
          [7],
        );
        const y = f(nd.array(values, { ctx }).reshape([7, 1]), nd.array(values, { ctx }));
        expect(y.dtype).toBe('float32');
        expect([...y.shape]).toEqual(shape);
        expect(differences(await y.data(), expected), name).toEqual([]);
      }
    });

    test('special values', async () => {
      const a = [NaN, 1, Infinity, -Infinity, 0, 1, -1, 0];
      const b = [1, NaN, 1, Infinity, 0, 0, 0, -5];
      const [x, y] = [nd.array(a, { ctx }), nd.array(b, { ctx })];
      await expectArray(x.add(y), [8], [NaN, NaN, Infinity, NaN, 0, 1, -1, -5]);
      await expectArray(x.mul(y), [8], [NaN, NaN, Infinity, -Infinity, 0, 0, -0, -0]);
      await expectArray(x.div(y), [8], [NaN, NaN, Infinity, NaN, NaN, Infinity, -Infinity, -0]);
      await expectArray(nd.maximum(x, y), [8], [NaN, NaN, Infinity, Infinity, 0, 1, 0, 0]);
      await expectArray(nd.minimum(x, y), [8], [NaN, NaN, 1, -Infinity, 0, 0, -1, -5]);
    });

    test('powers as C has them', async () => {
      const a = [2, -2, -2, 0, 0, 1, -8, 4, -1, Infinity, NaN, 10];
      const b = [10, 3, 0.5, 0, 3, NaN, 2, -0.5, 5, -1, 0, -3];
      const expected = [1024, -8, NaN, 1, 0, 1, 64, 0.5, -1, 0, 1, 1e-3];
      const y = nd.array(a, { ctx }).pow(nd.array(b, { ctx }));
      expect(differences(await y.data(), expected, FLOATS)).toEqual([]);
    });

    test('remainders have the sign of the divisor, fmod that of the dividend', async () => {
      const a = [5.5, -5.5, 5.5, -5.5, 6, -6, 0, 1e6];
      const b = [2, 2, -2, -2, 3, 3, 3, 7];
      const [x, y] = [nd.array(a, { ctx }), nd.array(b, { ctx })];
      await expectArray(
        x.mod(y),
        [8],
        a.map((v, i) => modulo(v, b[i] as number)),
        { rtol: 1e-6, atol: 1e-6 },
      );
      await expectArray(
        nd.fmod(x, y),
        [8],
        a.map((v, i) => v % (b[i] as number)),
        { rtol: 1e-6, atol: 1e-6 },
      );
    });

    test('all four quadrants of arctan2', async () => {
      const [a, b] = [
        [1, 1, -1, -1, 0, 0, 1, -1],
        [1, -1, 1, -1, 1, -1, 0, 0],
      ];
      const y = nd.arctan2(nd.array(a, { ctx }), nd.array(b, { ctx }));
      await expectArray(
        y,
        [8],
        a.map((v, i) => Math.atan2(v, b[i] as number)),
        FLOATS,
      );
    });
  });

  describe('integers and bool', () => {
    // the edges of each type, where results wrap
    const SAMPLES: Readonly<Record<Whole, readonly number[]>> = {
      int32: [2147483647, -2147483648, -7, 7, 46341, 16777217, 0, -1, 3],
      uint32: [4294967295, 0, 1, 7, 65537, 16777217, 3, 100, 2147483648],
      int8: [127, -128, -7, 7, 100, -1, 0, 3, 2],
      uint8: [255, 0, 1, 7, 100, 200, 3, 128, 2],
      bool: [1, 0, 1, 0, 1, 1, 0, 0, 1],
    };
    const oracles: readonly (readonly [string, Binary, (a: number, b: number) => number])[] = [
      ['add', nd.add, (a, b) => a + b],
      ['sub', nd.subtract, (a, b) => a - b],
      ['mul', nd.multiply, (a, b) => Number(BigInt.asIntN(32, BigInt(a) * BigInt(b)))],
      // towards zero; by zero: 0
      ['div', nd.divide, (a, b) => (b === 0 ? 0 : Math.trunc(a / b))],
      ['maximum', nd.maximum, Math.max],
      ['minimum', nd.minimum, Math.min],
      ...COMPARISONS.map(
        ([name, f, oracle]) => [name, f, (a: number, b: number) => Number(oracle(a, b))] as const,
      ),
    ];
    for (const [dtype, sample] of Object.entries(SAMPLES) as [Whole, number[]][])
      test(dtype, async () => {
        const x = nd.array(sample, { ctx, dtype }).reshape([9, 1]);
        const y = nd.array(sample, { ctx, dtype });
        for (const [name, f, oracle] of oracles) {
          const { values } = broadcast((a, b) => WRAP[dtype](oracle(a, b)), sample, [9, 1], sample, [9]);
          const z = f(x, y);
          expect(z.dtype).toBe(dtype);
          expect(differences(await z.data(), values), name).toEqual([]);
        }
        const divisors = sample.filter((v) => v !== 0);
        const { values } = broadcast((a, b) => WRAP[dtype](modulo(a, b)), sample, [9, 1], divisors, [
          divisors.length,
        ]);
        expect(differences(await x.mod(nd.array(divisors, { ctx, dtype })).data(), values), 'mod').toEqual(
          [],
        );
        const { values: rest } = broadcast((a, b) => WRAP[dtype](a % b), sample, [9, 1], divisors, [
          divisors.length,
        ]);
        expect(
          differences(await nd.fmod(x, nd.array(divisors, { ctx, dtype })).data(), rest),
          'fmod',
        ).toEqual([]);
      });

    test('numbers beside integers are truncated to them', async () => {
      const x = nd.array([10, -10, 7], { ctx, dtype: 'int32' });
      await expectArray(x.add(16777217), [3], [16777227, 16777207, 16777224]);
      await expectArray(x.mul(2), [3], [20, -20, 14]);
      await expectArray(x.div(3), [3], [3, -3, 2]);
      await expectArray(x.rsub(1), [3], [-9, 11, -6]);
      await expectArray(x.greater(6), [3], [1, 0, 1]);
      expect(x.add(1).dtype).toBe('int32');
      const u = nd.array([1, 255], { ctx, dtype: 'uint8' });
      await expectArray(u.add(1), [2], [2, 0]);
      await expectArray(u.sub(2), [2], [255, 253]);
    });

    test('integer powers', async () => {
      const x = nd.array([2, -3, 0, 7, 10], { ctx, dtype: 'int32' });
      await expectArray(x.pow(3), [5], [8, -27, 0, 343, 1000]);
      await expectArray(
        x.pow(nd.array([0, 1, 0, 2, 9], { ctx, dtype: 'int32' })),
        [5],
        [1, -3, 1, 49, 1000000000],
      );
      const u = nd.array([2, 3, 200], { ctx, dtype: 'uint8' });
      await expectArray(u.pow(2), [3], [4, 9, 64]);
    });
  });

  test('float64 and float16 keep their dtype', async () => {
    for (const dtype of (['float64', 'float16'] as const).filter((d) => holds(ctx, d))) {
      const [x, y] = [nd.array([1, 2, 3], { ctx, dtype }), nd.array([8, 4, 2], { ctx, dtype })];
      for (const [name, f, oracle] of [...ARITHMETIC, ...COMPARISONS]) {
        const z = f(x, y);
        expect(z.dtype, name).toBe(dtype);
        const expected = [1, 2, 3].map((a, i) => Number(oracle(a, [8, 4, 2][i] as number)));
        const tolerance = dtype === 'float64' ? { rtol: 1e-15, atol: 0 } : { rtol: 2 ** -11, atol: 0 };
        expect(differences(await z.data(), expected, tolerance), `${name} ${dtype}`).toEqual([]);
      }
    }
    if (holds(ctx, 'float64')) {
      const third = nd.ones([1], { ctx, dtype: 'float64' }).div(3);
      expect((await third.data())[0]).toBe(1 / 3);
    }
  });

  describe('in place', () => {
    const inPlace = (dtype: DType, target: Context): NDArray =>
      nd.array([6, 7, 8, 9], { ctx: target, dtype });

    test('writes into the array’s own memory and returns it', async () => {
      for (const dtype of ['float32', 'int32', 'uint8'] as const) {
        const x = inPlace(dtype, ctx);
        const view = x.reshape([2, 2]);
        const [less, two] = [nd.array([1, 1, 2, 2], { ctx, dtype }), nd.array([2], { ctx, dtype })];
        const before = memoryInfo(ctx);
        expect(x.iadd(1)).toBe(x);
        x.isub(less).imul(2).idiv(two);
        expect([memoryInfo(ctx).bytesInUse, memoryInfo(ctx).arrays]).toEqual([
          before.bytesInUse,
          before.arrays,
        ]);
        await expectArray(x, [4], [6, 7, 7, 8]);
        x.imod(4);
        await expectArray(view, [2, 2], [2, 3, 3, 0]);
      }
      const x = inPlace('float32', ctx);
      nd.ipow(x, 2);
      await expectArray(x, [4], [36, 49, 64, 81], FLOATS);
    });

    test('the array itself as the other operand', async () => {
      const x = nd.array([1, 2, 3], { ctx });
      await expectArray(x.iadd(x), [3], [2, 4, 6]);
      await expectArray(x.imul(x), [3], [4, 16, 36]);
      await expectArray(x.isub(x.reshape([1, 3]).reshape([3])), [3], [0, 0, 0]);
      const bytes = nd.array([1, 2, 3, 4, 5], { ctx, dtype: 'uint8' });
      await expectArray(bytes.iadd(bytes), [5], [2, 4, 6, 8, 10]);
    });

    test('through views, both ways', async () => {
      const x = nd.zeros([2, 3], { ctx });
      const flat = x.reshape([6]);
      const wide = x.expandDims(0);
      flat.iadd(nd.arange(6, { ctx }));
      wide.imul(10);
      await expectArray(x, [2, 3], [0, 10, 20, 30, 40, 50]);
      x.dispose();
      await expectArray(flat, [6], [0, 10, 20, 30, 40, 50]);
    });

    test('the other operand broadcasts to the array', async () => {
      const x = nd.ones([2, 3], { ctx });
      x.iadd(nd.array([1, 2, 3], { ctx })).iadd(nd.array([[10], [20]], { ctx }));
      await expectArray(x, [2, 3], [12, 13, 14, 22, 23, 24]);
    });
  });

  test('many elements, and sizes that do not fill the last word', async () => {
    for (const [dtype, count] of [
      ['float32', 100003],
      ['int8', 1001],
      ['uint8', 3],
      ['bool', 5],
    ] as const) {
      const whole = integers(count, 0, 100, 9);
      const x = nd.array(whole, { ctx, dtype });
      const wrap = dtype === 'float32' ? (v: number) => v : WRAP[dtype];
      const held = whole.map(wrap);
      expect(
        differences(
          await x.add(x).add(1).data(),
          held.map((v) => wrap(wrap(v + v) + 1)),
        ),
      ).toEqual([]);
    }
  });
});
