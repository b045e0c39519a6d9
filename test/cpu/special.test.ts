// NaN, infinities and zeros of both signs go where IEEE 754 sends them, through the short forms of kernels and the long, on one thread and on two: random arrays
// full of them, against plain loops in doubles.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { autograd, cpu, type DType, type NDArray, nd, setNumThreads } from 'webgluon';
import { differences, numbers, type Tolerance } from '../values.ts';

const ctx = cpu();
const CLOSE: Tolerance = { rtol: 4e-6, atol: 4e-6 };
const SPECIAL = [Number.NaN, Infinity, -Infinity, 0, -0];

/** Numbers, of which about one in `often` is a special one. */
function values(n: number, often: number, seed: number): number[] {
  const which = numbers(n, 0, often, seed + 1);
  const other = numbers(n, 0, SPECIAL.length, seed + 2);
  return numbers(n, -4, 4, seed).map((v, i) =>
    (which[i] as number) < 1 ? (SPECIAL[Math.floor(other[i] as number)] as number) : v,
  );
}

const either = (pick: (a: number, b: number) => number) => (a: number, b: number) =>
  Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : pick(a, b);
const larger = either((a, b) => (a > b ? a : b));
const smaller = either((a, b) => (a < b ? a : b));
const total = (row: readonly number[]): number => row.reduce((a, b) => a + b, 0);

const ROW: Readonly<
  Record<'max' | 'min' | 'sum' | 'mean' | 'prod' | 'norm', (row: readonly number[]) => number>
> = {
  max: (row) => row.reduce(larger, -Infinity),
  min: (row) => row.reduce(smaller, Infinity),
  sum: total,
  mean: (row) => total(row) / row.length,
  prod: (row) => row.reduce((a, b) => a * b, 1),
  norm: (row) => Math.sqrt(total(row.map((v) => v * v))),
};

function softmax(row: readonly number[]): number[] {
  const top = row.reduce(larger, -Infinity);
  const e = row.map((v) => Math.exp(v - top));
  const sum = total(e);
  return e.map((v) => v / sum);
}

function normed(row: readonly number[]): number[] {
  const mean = total(row) / row.length;
  const spread = total(row.map((v) => (v - mean) ** 2)) / row.length;
  return row.map((v) => (v - mean) / Math.sqrt(spread + 1e-5));
}

/** Rows of an R × C array, or its columns. */
const lines = (v: readonly number[], rows: number, columns: number, axis: number): number[][] =>
  axis === 1
    ? Array.from({ length: rows }, (_, r) => v.slice(r * columns, (r + 1) * columns))
    : Array.from({ length: columns }, (_, c) =>
        Array.from({ length: rows }, (_, r) => v[r * columns + c] as number),
      );

/** Puts lines back together. */
function laid(found: readonly (readonly number[])[], rows: number, columns: number, axis: number): number[] {
  return Array.from({ length: rows * columns }, (_, i) => {
    const [r, c] = [Math.floor(i / columns), i % columns];
    return (axis === 1 ? found[r]?.[c] : found[c]?.[r]) as number;
  });
}

/** What is compared first rounds to float32: products of many numbers overflow there. */
const rounded = (v: readonly number[]): number[] => v.map(Math.fround);

describe.each([1, 2])('on %i threads', (threads) => {
  beforeAll(async () => {
    expect(await setNumThreads(threads)).toBe(threads);
  });
  afterAll(async () => {
    await setNumThreads(1);
  });

  const of = (v: readonly number[], shape: readonly number[], dtype: DType = 'float32'): NDArray =>
    nd.array(v, { ctx, shape, dtype });

  test.each([1, 7, 511, 513, 70_000])('one by one, %i elements', async (n) => {
    for (const often of [1, 2, 50]) {
      const [a, b] = [rounded(values(n, often, n)), rounded(values(n, often, n + 9))];
      const [x, y] = [of(a, [n]), of(b, [n])];
      const each = async (
        name: string,
        found: NDArray,
        want: (a: number, b: number) => number,
      ): Promise<void> =>
        expect(
          differences(
            await found.data(),
            a.map((v, i) => want(v, b[i] as number)),
            CLOSE,
          ),
          name,
        ).toEqual([]);
      await each('relu', x.relu(), (v) => larger(v, 0));
      await each('maximum', nd.maximum(x, y), larger);
      await each('minimum', nd.minimum(x, y), smaller);
      await each('clip', x.clip(-1, 2), (v) => smaller(larger(v, -1), 2));
      await each('add', x.add(y), (v, w) => v + w);
      await each('mul', x.mul(y), (v, w) => v * w);
      await each('div', x.div(y), (v, w) => v / w);
      await each('greater', x.greater(y), (v, w) => (v > w ? 1 : 0));
      await each('lesserEqual', x.lesserEqual(y), (v, w) => (v <= w ? 1 : 0));
      await each('equal', x.equal(y), (v, w) => (v === w ? 1 : 0));
      await each('notEqual', x.notEqual(y), (v, w) => (v !== w ? 1 : 0));
      await each('abs', x.abs(), Math.abs);
      await each('sqrt', x.sqrt(), Math.sqrt);
      await each('exp', x.exp(), Math.exp);
      await each('log', x.log(), Math.log);
      await each('tanh', x.tanh(), Math.tanh);
      await each('sigmoid', x.sigmoid(), (v) => 1 / (1 + Math.exp(-v)));
      await each('softrelu', x.softrelu(), (v) => (v > 20 ? v : Math.log1p(Math.exp(v))));
      await each('square', x.square(), (v) => v * v);
      await each('isnan', nd.isnan(x), (v) => (Number.isNaN(v) ? 1 : 0));
      await each('where', nd.where(x, x, y), (v, w) => (v === 0 ? w : v));
      await each('relu and its like in one', x.relu().mul(2).add(y), (v, w) => larger(v, 0) * 2 + w);
      const gradient = (f: (v: NDArray) => NDArray): NDArray => {
        x.attachGrad();
        autograd.record(() => f(x)).backward(y);
        return x.grad;
      };
      await each('gradient of abs', gradient(nd.abs), (v, w) =>
        Number.isNaN(v) ? Number.NaN : Math.sign(v) * w,
      );
    }
  });

  test.each([
    [1, 5],
    [3, 9],
    [40, 700],
    [700, 40],
    [2, 40_000],
  ])('rows and columns of %i × %i', async (rows, columns) => {
    for (const often of [3, 60, 3000]) {
      const v = rounded(values(rows * columns, often, rows + often));
      for (const axis of [0, 1]) {
        const all = lines(v, rows, columns, axis);
        for (const [name, fold] of Object.entries(ROW) as [keyof typeof ROW, (typeof ROW)['max']][]) {
          const x = of(v, [rows, columns]);
          const size = all.map(
            (line) => Math.max(...line.filter((w) => Number.isFinite(w)).map(Math.abs), 1) * line.length,
          );
          const want = rounded(all.map(fold));
          const got = await x[name](axis).data();
          // sums of numbers of both signs: what is lost goes by what is added
          const scale = name === 'prod' ? 1 : 4e-7 * Math.max(...size);
          expect(
            differences(got, want, { rtol: 4e-6, atol: name === 'prod' ? 1e-37 : scale }),
            `${name} ${axis}`,
          ).toEqual([]);
        }
        const x = of(v, [rows, columns]);
        const soft = all.map(softmax);
        const laidOut = (found: number[][]): number[] => laid(found, rows, columns, axis);
        expect(differences(await x.softmax(axis).data(), laidOut(soft), CLOSE), `softmax ${axis}`).toEqual(
          [],
        );
        const sorted = all.map((line) =>
          [...line].sort((a, b) =>
            Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : Number.isNaN(b) ? -1 : a === b ? 0 : a < b ? -1 : 1,
          ),
        );
        expect(differences(await x.sort(axis).data(), laidOut(sorted)), `sort ${axis}`).toEqual([]);
        const run = all.map((line) => {
          let sum = 0;
          return line.map((w) => {
            sum += w;
            return sum;
          });
        });
        expect(
          differences(await x.cumsum(axis).data(), laidOut(run), {
            rtol: 1e-5,
            atol: 1e-6 * (axis === 1 ? columns : rows),
          }),
          `cumsum ${axis}`,
        ).toEqual([]);
        const n = axis === 1 ? columns : rows;
        const norm = nd.layerNorm(x, nd.ones([n], { ctx }), nd.zeros([n], { ctx }), { axis });
        expect(
          differences(await norm.data(), laidOut(all.map(normed)), { rtol: 1e-4, atol: 1e-4 }),
          `norm ${axis}`,
        ).toEqual([]);
      }
    }
  });

  test.each([
    { size: [2, 3, 9, 10], kernel: 2, stride: 2, pad: 0 },
    { size: [2, 3, 20, 33], kernel: 3, stride: 2, pad: 1 },
    { size: [8, 16, 40, 40], kernel: 2, stride: 2, pad: 0 },
    { size: [2, 4, 30, 30], kernel: 3, stride: 1, pad: 1 },
    { size: [1, 2, 12, 12], kernel: 5, stride: 3, pad: 2 },
  ] as const)('pooling $size by $kernel', async ({ size, kernel, stride, pad }) => {
    const [n, c, h, w] = size;
    const v = rounded(values(n * c * h * w, 12, h));
    const oH = Math.floor((h + 2 * pad - kernel) / stride) + 1;
    const oW = Math.floor((w + 2 * pad - kernel) / stride) + 1;
    const max: number[] = [];
    const avg: number[] = [];
    for (let plane = 0; plane < n * c; plane++)
      for (let i = 0; i < oH; i++)
        for (let j = 0; j < oW; j++) {
          let [top, sum] = [-Infinity, 0];
          for (let a = 0; a < kernel; a++)
            for (let b = 0; b < kernel; b++) {
              const [y, x] = [i * stride - pad + a, j * stride - pad + b];
              if (y < 0 || x < 0 || y >= h || x >= w) continue;
              const value = v[(plane * h + y) * w + x] as number;
              top = larger(top, value);
              sum += value;
            }
          max.push(top);
          avg.push(sum / kernel ** 2);
        }
    for (const dtype of ['float32', 'float16', 'float64'] as const) {
      const x = of(v, size, dtype);
      const tolerance = dtype === 'float16' ? { rtol: 2 ** -10, atol: 2 ** -10 } : CLOSE;
      const options = { kernel, stride, pad };
      expect(differences(await nd.pooling(x, options).data(), max, tolerance), `max ${dtype}`).toEqual([]);
      const mean = nd.pooling(x, { ...options, poolType: 'avg' });
      expect(differences(await mean.data(), avg, tolerance), `avg ${dtype}`).toEqual([]);
    }
  });

  test.each([
    [3, 4, 5],
    [1, 300, 200],
    [9, 500, 400],
    [120, 130, 140],
    [130, 200, 1],
  ])('products (%i, %i)·(·, %i)', async (m, k, n) => {
    for (const often of [40, 4000]) {
      const [a, b] = [rounded(values(m * k, often, m)), rounded(values(k * n, often, n))];
      const want: number[] = [];
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let sum = 0;
          for (let l = 0; l < k; l++) sum += (a[i * k + l] as number) * (b[l * n + j] as number);
          want.push(sum);
        }
      for (const [x, y, flags] of [
        [of(a, [m, k]), of(b, [k, n]), {}],
        [of(a, [m, k]).T.copy(), of(b, [k, n]), { transposeA: true }],
        [of(a, [m, k]), of(b, [k, n]).T.copy(), { transposeB: true }],
      ] as const)
        expect(
          differences(await nd.dot(x, y, flags).data(), want, { rtol: 1e-5, atol: 1e-5 * k }),
          JSON.stringify(flags),
        ).toEqual([]);
    }
  });

  test.each([
    { groups: 1, kernel: 3, stride: 1, pad: 1 },
    { groups: 1, kernel: 1, stride: 1, pad: 0 },
    { groups: 1, kernel: 3, stride: 2, pad: 1 },
    { groups: 8, kernel: 3, stride: 1, pad: 1 },
    { groups: 8, kernel: 3, stride: 2, pad: 0 },
    { groups: 2, kernel: 5, stride: 1, pad: 2 },
  ])(
    'convolution of $kernel by $stride, $groups groups: only windows that see one are touched',
    async ({ groups, kernel, stride, pad }) => {
      const [N, C, O, H] = [2, 8, 8, 21];
      const x = rounded(values(N * C * H * H, 200, kernel));
      const w = numbers(O * (C / groups) * kernel ** 2, -1, 1, 4);
      const out = Math.floor((H + 2 * pad - kernel) / stride) + 1;
      const want: number[] = [];
      for (let n = 0; n < N; n++)
        for (let o = 0; o < O; o++)
          for (let i = 0; i < out; i++)
            for (let j = 0; j < out; j++) {
              let sum = 0;
              for (let c = 0; c < C / groups; c++)
                for (let a = 0; a < kernel; a++)
                  for (let b = 0; b < kernel; b++) {
                    const [y, z] = [i * stride - pad + a, j * stride - pad + b];
                    if (y < 0 || z < 0 || y >= H || z >= H) continue;
                    const channel = Math.floor((o * groups) / O) * (C / groups) + c;
                    sum +=
                      (x[((n * C + channel) * H + y) * H + z] as number) *
                      (w[((o * (C / groups) + c) * kernel + a) * kernel + b] as number);
                  }
              want.push(sum);
            }
      const y = nd.convolution(of(x, [N, C, H, H]), of(w, [O, C / groups, kernel, kernel]), null, {
        stride,
        pad,
        numGroup: groups,
      });
      expect(differences(await y.data(), want, { rtol: 1e-5, atol: 2e-5 })).toEqual([]);
    },
  );
});
