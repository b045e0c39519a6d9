// Matrix products against plain loops in float64: dot, batchDot, matmul, linalgGemm2, fullyConnected, with transposes, in every dtype that has products.
import { describe, expect, test } from 'vitest';
import { type DType, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { expectArray, integers, numbers } from '../values.ts';

/** Σₖ a[m, k]·b[k, n], row-major. */
function multiply(a: readonly number[], b: readonly number[], m: number, k: number, n: number): number[] {
  const out: number[] = [];
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let l = 0; l < k; l++) sum += (a[i * k + l] as number) * (b[l * n + j] as number);
      out.push(sum);
    }
  return out;
}

function transposed(a: readonly number[], rows: number, columns: number): number[] {
  return Array.from({ length: a.length }, (_, i) => a[(i % rows) * columns + Math.floor(i / rows)] as number);
}

const FLOATS = { rtol: 2e-6, atol: 2e-6 };
const FLAGS = [false, true].flatMap((transposeA) =>
  [false, true].map((transposeB) => ({ transposeA, transposeB })),
);

eachDevice((ctx) => {
  const make = (v: readonly number[], shape: readonly number[], dtype: DType = 'float32'): NDArray =>
    nd.array(Float64Array.from(v), { ctx, dtype, shape });

  describe('dot', () => {
    // odd sizes, sizes that fill tiles, one row, one column, a long sum, nothing to sum
    const sizes = [
      [1, 1, 1],
      [3, 5, 7],
      [16, 16, 16],
      [17, 33, 9],
      [1, 64, 5],
      [6, 70, 1],
      [4, 1, 4],
      [33, 130, 65],
      [2, 0, 3],
      [0, 3, 2],
    ] as const;
    for (const flags of FLAGS)
      test(`of matrices, ${JSON.stringify(flags)}`, async () => {
        for (const [m, k, n] of sizes) {
          const [a, b] = [numbers(m * k, -1, 1, m + k), numbers(k * n, -1, 1, n + k)];
          const left = flags.transposeA ? make(transposed(a, m, k), [k, m]) : make(a, [m, k]);
          const right = flags.transposeB ? make(transposed(b, k, n), [n, k]) : make(b, [k, n]);
          await expectArray(nd.dot(left, right, flags), [m, n], multiply(a, b, m, k, n), {
            rtol: 2e-6,
            atol: 4e-6,
          });
        }
      });

    test('of vectors, and of more axes', async () => {
      await expectArray(make([1, 2, 3], [3]).dot(make([4, 5, 6], [3])), [1], [32]);
      const [a, b] = [integers(24, -5, 5, 1), integers(20, -5, 5, 2)];
      // the last axis of a with the first of b
      await expectArray(nd.dot(make(a, [2, 3, 4]), make(b, [4, 5])), [2, 3, 5], multiply(a, b, 6, 4, 5));
      await expectArray(nd.dot(make(a, [6, 4]), make(b, [4, 1, 5])), [6, 1, 5], multiply(a, b, 6, 4, 5));
      await expectArray(
        nd.dot(make(a.slice(0, 8), [2, 4]), make(b.slice(0, 4), [4])),
        [2],
        multiply(a, b, 2, 4, 1),
      );
    });

    test('NaN and ∞ reach only the rows they stand in', async () => {
      const a = make([NaN, 1, 2, 3, Infinity, 0], [3, 2]);
      await expectArray(nd.dot(a, make([1, 0, 0, 1], [2, 2])), [3, 2], [NaN, NaN, 2, 3, Infinity, NaN]);
      await expectArray(nd.dot(a, make([1, 1], [2, 1])), [3, 1], [NaN, 5, Infinity]);
    });

    test('integers are exact and wrap', async () => {
      const v = [2147483647, 3, -5, 65537, 16777217, 2];
      const product = (row: readonly number[], column: readonly number[]): number =>
        row.reduce((sum, r, i) => (sum + Math.imul(r, column[i] as number)) | 0, 0);
      const expected = [
        product([2147483647, 3], [7, 2]),
        product([-5, 65537], [7, 2]),
        product([16777217, 2], [7, 2]),
      ];
      await expectArray(nd.dot(make(v, [3, 2], 'int32'), make([7, 2], [2, 1], 'int32')), [3, 1], expected);
      const bytes = nd.dot(make([200, 100, 3, 4], [2, 2], 'uint8'), make([2, 1, 1, 1], [2, 2], 'uint8'));
      expect(bytes.dtype).toBe('uint8');
      await expectArray(bytes, [2, 2], [500 % 256, 300 % 256, 10, 7]);
      await expectArray(
        nd.dot(make([100, -100], [1, 2], 'int8'), make([2, 1], [2, 1], 'int8')),
        [1, 1],
        [100],
      );
    });

    test('float64 and float16', async () => {
      const [a, b] = [integers(12, -9, 9, 3).map((v) => v / 7), integers(8, -9, 9, 4).map((v) => v / 7)];
      if (holds(ctx, 'float64')) {
        const y = nd.dot(make(a, [3, 4], 'float64'), make(b, [4, 2], 'float64'));
        expect(y.dtype).toBe('float64');
        await expectArray(y, [3, 2], multiply(a, b, 3, 4, 2), { rtol: 1e-14, atol: 1e-15 });
      }
      if (holds(ctx, 'float16')) {
        const eighths = (v: readonly number[]): number[] => v.map((n) => Math.round(n * 8) / 8);
        const y = nd.dot(make(eighths(a), [3, 4], 'float16'), make(eighths(b), [4, 2], 'float16'));
        expect(y.dtype).toBe('float16');
        await expectArray(y, [3, 2], multiply(eighths(a), eighths(b), 3, 4, 2), { rtol: 2 ** -11, atol: 0 });
      }
    });
  });

  test('batchDot, either transposed', async () => {
    const [batch, m, k, n] = [3, 4, 5, 6];
    const [a, b] = [numbers(batch * m * k, -1, 1, 1), numbers(batch * k * n, -1, 1, 2)];
    const expected = Array.from({ length: batch }, (_, i) =>
      multiply(a.slice(i * m * k, (i + 1) * m * k), b.slice(i * k * n, (i + 1) * k * n), m, k, n),
    ).flat();
    const each = (v: readonly number[], rows: number, columns: number): number[] =>
      Array.from({ length: batch }, (_, i) =>
        transposed(v.slice(i * rows * columns, (i + 1) * rows * columns), rows, columns),
      ).flat();
    for (const flags of FLAGS) {
      const left = flags.transposeA ? make(each(a, m, k), [batch, k, m]) : make(a, [batch, m, k]);
      const right = flags.transposeB ? make(each(b, k, n), [batch, n, k]) : make(b, [batch, k, n]);
      await expectArray(nd.batchDot(left, right, flags), [batch, m, n], expected, FLOATS);
      await expectArray(left.batchDot(right, flags), [batch, m, n], expected, FLOATS);
    }
    await expectArray(nd.batchDot(make([], [0, 2, 3]), make([], [0, 3, 4])), [0, 2, 4], []);
  });

  test('matmul broadcasts its batch axes, and takes vectors', async () => {
    const [m, k, n] = [2, 3, 4];
    const shapes: readonly (readonly [number[], number[], number[]])[] = [
      [[], [], []],
      [[5], [], [5]],
      [[], [5], [5]],
      [[2, 1], [3], [2, 3]],
      [
        [1, 3],
        [2, 1],
        [2, 3],
      ],
    ];
    for (const [left, right, batch] of shapes) {
      const count = (s: readonly number[]): number => s.reduce((p, d) => p * d, 1);
      const [a, b] = [numbers(count(left) * m * k, -1, 1, 5), numbers(count(right) * k * n, -1, 1, 6)];
      const places = (own: readonly number[], i: number): number => {
        // the place in `own` of the i-th of `batch`
        let [rest, at, step] = [i, 0, 1];
        for (let axis = 1; axis <= batch.length; axis++) {
          const c = rest % (batch.at(-axis) as number);
          rest = Math.floor(rest / (batch.at(-axis) as number));
          const d = own.at(-axis) ?? 1;
          if (d > 1) at += c * step;
          step *= d;
        }
        return at;
      };
      const expected = Array.from({ length: count(batch) }, (_, i) => {
        const [x, y] = [places(left, i) * m * k, places(right, i) * k * n];
        return multiply(a.slice(x, x + m * k), b.slice(y, y + k * n), m, k, n);
      }).flat();
      await expectArray(
        nd.matmul(make(a, [...left, m, k]), make(b, [...right, k, n])),
        [...batch, m, n],
        expected,
        FLOATS,
      );
    }
    const [row, matrix] = [make([1, 2], [2]), make([1, 2, 3, 4], [2, 2])];
    await expectArray(nd.matmul(row, matrix), [2], [7, 10]);
    await expectArray(nd.matmul(matrix, row), [2], [5, 11]);
    await expectArray(row.matmul(row), [1], [5]);
  });

  test('linalgGemm2 scales', async () => {
    const [a, b] = [make([1, 2, 3, 4], [1, 2, 2]), make([1, 0, 0, 1], [1, 2, 2])];
    await expectArray(nd.linalgGemm2(a, b, { alpha: 2, transposeA: true }), [1, 2, 2], [2, 6, 4, 8]);
  });

  test('fullyConnected: x·Wᵀ + b, folding the axes after the first or working on the last', async () => {
    const [x, w, bias] = [numbers(24, -1, 1, 1), numbers(36, -1, 1, 2), numbers(3, -1, 1, 3)];
    const plain = multiply(x, transposed(w, 3, 12), 2, 12, 3);
    const withBias = plain.map((v, i) => v + (bias[i % 3] as number));
    const [data, weight, b] = [make(x, [2, 3, 4]), make(w, [3, 12]), make(bias, [3])];
    await expectArray(nd.fullyConnected(data, weight, b), [2, 3], withBias, FLOATS);
    await expectArray(nd.fullyConnected(data, weight), [2, 3], plain, FLOATS);
    await expectArray(nd.fullyConnected(data, weight, null, { numHidden: 3 }), [2, 3], plain, FLOATS);
    await expectArray(nd.fullyConnected(data, weight, b, { noBias: true }), [2, 3], plain, FLOATS);
    const small = w.slice(0, 8);
    const last = multiply(x, transposed(small, 2, 4), 6, 4, 2).map((v, i) => v + (bias[i % 2] as number));
    await expectArray(
      nd.fullyConnected(data, make(small, [2, 4]), make(bias.slice(0, 2), [2]), { flatten: false }),
      [2, 3, 2],
      last,
      FLOATS,
    );
    await expectArray(nd.fullyConnected(make([], [0, 4]), make(small, [2, 4]), b.slice(0, 2)), [0, 2], []);
  });
});
