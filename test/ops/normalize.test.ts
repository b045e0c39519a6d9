// Softmax and its kin, and the norms, against plain loops in float64.
import { describe, expect, test } from 'vitest';
import { type DType, type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { eachIndex, expectArray, numbers, place } from '../values.ts';

const FLOATS = { rtol: 2e-6, atol: 2e-6 };
const SHAPE = [2, 3, 4];
const total = (row: readonly number[]): number => row.reduce((a, b) => a + b, 0);
const mean = (row: readonly number[]): number => total(row) / row.length;
const variance = (row: readonly number[]): number => mean(row.map((v) => (v - mean(row)) ** 2));

/** Applies `f` to every row along an axis. */
function rows(
  v: readonly number[],
  shape: readonly number[],
  axis: number,
  f: (row: number[]) => number[],
): number[] {
  const out = new Array<number>(v.length);
  const length = shape[axis] as number;
  eachIndex(
    shape.map((d, i) => (i === axis ? 1 : d)),
    (index) => {
      const places = Array.from({ length }, (_, k) =>
        place(
          shape,
          index.map((c, i) => (i === axis ? k : c)),
        ),
      );
      const y = f(places.map((p) => v[p] as number));
      places.forEach((p, k) => {
        out[p] = y[k] as number;
      });
    },
  );
  return out;
}

function softmax(row: readonly number[], temperature = 1): number[] {
  const z = row.map((v) => v / temperature);
  const top = z.reduce((a, b) => Math.max(a, b), -Infinity);
  const e = z.map((v) => Math.exp(v - top));
  return e.map((v) => v / total(e));
}

eachDevice((ctx) => {
  const v = numbers(24, -3, 3, 2);
  const x = (dtype: DType = 'float32'): NDArray => nd.array(v, { ctx, dtype, shape: SHAPE });

  describe('softmax', () => {
    test('along each axis, with a temperature', async () => {
      for (const axis of [0, 1, 2, -1]) {
        const at = (axis + 3) % 3;
        await expectArray(
          x().softmax(axis),
          SHAPE,
          rows(v, SHAPE, at, (r) => softmax(r)),
          FLOATS,
        );
        await expectArray(
          x().logSoftmax(axis),
          SHAPE,
          rows(v, SHAPE, at, (r) => softmax(r).map(Math.log)),
          FLOATS,
        );
        await expectArray(
          x().softmin(axis),
          SHAPE,
          rows(v, SHAPE, at, (r) => softmax(r.map((n) => -n))),
          FLOATS,
        );
        await expectArray(
          nd.softmax(x(), { axis, temperature: 2.5 }),
          SHAPE,
          rows(v, SHAPE, at, (r) => softmax(r, 2.5)),
          FLOATS,
        );
      }
      await expectArray(
        x().softmax(),
        SHAPE,
        rows(v, SHAPE, 2, (r) => softmax(r)),
        FLOATS,
      );
    });

    test('large values do not overflow, −∞ counts as nothing, NaN fills its row', async () => {
      const y = nd.array(
        [
          [1000, 1000, -1000],
          [-Infinity, 0, 0],
          [NaN, 1, 2],
          [-2000, -2001, -Infinity],
        ],
        { ctx },
      );
      const q = 1 / (1 + Math.exp(-1));
      await expectArray(y.softmax(), [4, 3], [0.5, 0.5, 0, 0, 0.5, 0.5, NaN, NaN, NaN, q, 1 - q, 0], FLOATS);
      const half = Math.log(0.5);
      const expected = [
        half,
        half,
        half - 2000,
        -Infinity,
        half,
        half,
        NaN,
        NaN,
        NaN,
        Math.log(q),
        Math.log(1 - q),
        -Infinity,
      ];
      await expectArray(y.logSoftmax(), [4, 3], expected, FLOATS);
    });

    test('long rows, one element, none', async () => {
      const long = numbers(2 * 1500, -2, 2, 3);
      const y = nd.array(long, { ctx, shape: [2, 1500] });
      await expectArray(
        y.softmax(),
        [2, 1500],
        rows(long, [2, 1500], 1, (r) => softmax(r)),
        { rtol: 4e-6, atol: 1e-9 },
      );
      await expectArray(nd.array([[3], [-7]], { ctx }).softmax(), [2, 1], [1, 1]);
      await expectArray(nd.zeros([2, 0], { ctx }).softmax(), [2, 0], []);
      await expectArray(nd.zeros([0, 3], { ctx }).logSoftmax(), [0, 3], []);
    });
  });

  const affine = (y: number, channel: number): number =>
    y * (gamma[channel] as number) + (beta[channel] as number);
  const gamma = numbers(4, 0.5, 2, 7);
  const beta = numbers(4, -1, 1, 8);
  const vector = (u: readonly number[], n: number): NDArray => nd.array(u.slice(0, n), { ctx });

  test('layerNorm along each axis', async () => {
    for (const axis of [1, 2, -1]) {
      const at = (axis + 3) % 3;
      const n = SHAPE[at] as number;
      const expected = rows(v, SHAPE, at, (r) =>
        r.map((u, k) => affine((u - mean(r)) / Math.sqrt(variance(r) + 1e-5), k)),
      );
      await expectArray(
        nd.layerNorm(x(), vector(gamma, n), vector(beta, n), { axis }),
        SHAPE,
        expected,
        FLOATS,
      );
    }
    const expected = rows(v, SHAPE, 2, (r) =>
      r.map((u, k) => affine((u - mean(r)) / Math.sqrt(variance(r) + 0.5), k)),
    );
    await expectArray(
      nd.layerNorm(x(), vector(gamma, 4), vector(beta, 4), { eps: 0.5 }),
      SHAPE,
      expected,
      FLOATS,
    );
  });

  test('a row far from zero keeps its digits', async () => {
    // the mean of the squares less the square of the mean would lose all of them
    const far = [10000, 10001, 10002, 10003];
    const expected = far.map((u) => (u - 10001.5) / Math.sqrt(1.25 + 1e-5));
    const y = nd.layerNorm(nd.array([far], { ctx }), nd.ones([4], { ctx }), nd.zeros([4], { ctx }));
    await expectArray(y, [1, 4], expected, { rtol: 1e-4, atol: 0 });
  });

  test('instanceNorm and groupNorm', async () => {
    const shape = [2, 4, 3, 2];
    const u = numbers(48, -2, 3, 9);
    const y = nd.array(u, { ctx, shape });
    const [g, b] = [vector(gamma, 4), vector(beta, 4)];
    const grouped = (size: number, eps: number): number[] => {
      const flat = rows(u, [48 / size, size], 1, (r) =>
        r.map((w) => (w - mean(r)) / Math.sqrt(variance(r) + eps)),
      );
      return flat.map((w, i) => affine(w, Math.floor(i / 6) % 4));
    };
    await expectArray(nd.instanceNorm(y, g, b), shape, grouped(6, 1e-3), FLOATS);
    await expectArray(nd.instanceNorm(y, g, b, { eps: 0.1 }), shape, grouped(6, 0.1), FLOATS);
    await expectArray(nd.groupNorm(y, g, b, { numGroups: 2 }), shape, grouped(12, 1e-5), FLOATS);
    await expectArray(nd.groupNorm(y, g, b, { eps: 0.1 }), shape, grouped(24, 0.1), FLOATS);
  });

  test('batchNorm with given statistics, on any axis', async () => {
    const running = { mean: numbers(4, -1, 1, 3), variance: numbers(4, 0.1, 2, 4) };
    for (const axis of [1, 2, -1]) {
      const at = (axis + 3) % 3;
      const n = SHAPE[at] as number;
      const expected = rows(v, SHAPE, at, (r) =>
        r.map((u, k) =>
          affine((u - (running.mean[k] as number)) / Math.sqrt((running.variance[k] as number) + 1e-5), k),
        ),
      );
      const vectors = [gamma, beta, running.mean, running.variance].map((w) => vector(w, n)) as [
        NDArray,
        NDArray,
        NDArray,
        NDArray,
      ];
      await expectArray(nd.batchNorm(x(), ...vectors, { axis }), SHAPE, expected, FLOATS);
    }
    const one = [1, 1, 1].map(() => 1);
    const ones = nd.array(one, { ctx });
    const expected = v.map((u) => u / Math.sqrt(1.5));
    await expectArray(
      nd.batchNorm(x(), ones, nd.zeros([3], { ctx }), nd.zeros([3], { ctx }), ones, { eps: 0.5 }),
      SHAPE,
      expected,
      FLOATS,
    );
  });

  test('l2Normalization: instance, channel, spatial', async () => {
    const shape = [2, 3, 2, 2];
    const u = numbers(24, -2, 2, 5);
    const y = nd.array(u, { ctx, shape });
    const scaled = (r: number[]): number[] => r.map((w) => w / Math.sqrt(total(r.map((n) => n * n)) + 1e-10));
    await expectArray(nd.l2Normalization(y), shape, rows(u, [2, 12], 1, scaled), FLOATS);
    await expectArray(y.l2Normalization({ mode: 'channel' }), shape, rows(u, shape, 1, scaled), FLOATS);
    await expectArray(y.l2Normalization({ mode: 'spatial' }), shape, rows(u, [6, 4], 1, scaled), FLOATS);
    await expectArray(nd.l2Normalization(nd.zeros([1, 2], { ctx }), { eps: 1 }), [1, 2], [0, 0]);
  });

  test('float64 and float16', async () => {
    if (holds(ctx, 'float64'))
      await expectArray(
        x('float64').softmax(1),
        SHAPE,
        rows(v, SHAPE, 1, (r) => softmax(r)),
        { rtol: 1e-14, atol: 0 },
      );
    if (holds(ctx, 'float16')) {
      const y = nd.array(
        [
          [1, 2, 3],
          [0.5, 0.5, 8],
        ],
        { ctx, dtype: 'float16' },
      );
      expect(y.softmax().dtype).toBe('float16');
      await expectArray(y.softmax(), [2, 3], [...softmax([1, 2, 3]), ...softmax([0.5, 0.5, 8])], {
        rtol: 2 ** -10,
        atol: 6e-8,
      });
    }
  });
});
