// How far the CPU's float32 results are from the same computed in doubles: functions over all of float32, in short kernels and in long; rows of 1 to 100 003
// elements, around zero and far from it; norms and poolings of pictures. Bounds are in units of rounding (2⁻²⁴) of what is added, so they follow from the sums.
import { describe, expect, test } from 'vitest';
import { autograd, cpu, type NDArray, nd, nn } from 'webgluon';
import { erf } from '../../src/device/cpu/scalarMath.ts';
import { numbers } from '../values.ts';

const ctx = cpu();
const UNIT = 2 ** -24;
/** The smallest normal float32: below it a result may be 0. */
const TINY = 2 ** -126;

const softplus = (x: number): number => (x > 40 ? x : Math.log1p(Math.exp(x)));
const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

/** A function, and how far from its double it may be: in units in the last place, and in `of` · 2⁻²⁴ besides. */
type Row = readonly [want: (x: number) => number, ulps: number, of?: (x: number) => number];

const one = (): number => 1;
/** Where e^x is below the normal range, its multiples may be 0. */
const faded = (x: number): number => Math.min(1, Math.abs(x) * 1e-30);
const FUNCTIONS: Readonly<Record<string, Row>> = {
  exp: [Math.exp, 4],
  log: [Math.log, 4],
  tanh: [Math.tanh, 4],
  // tested against its definition in the kernels' own tests
  erf: [erf, 4],
  ...Object.fromEntries(
    (['log2', 'log10', 'log1p', 'expm1', 'sin', 'cos', 'tan', 'sinh', 'cosh', 'cbrt', 'sqrt'] as const).map(
      (name): [string, Row] => [name, [Math[name], 4]],
    ),
  ),
  arcsin: [Math.asin, 4],
  arccos: [Math.acos, 4],
  arctan: [Math.atan, 4],
  arcsinh: [Math.asinh, 4],
  arccosh: [Math.acosh, 4],
  arctanh: [Math.atanh, 4],
  rsqrt: [(x) => 1 / Math.sqrt(x), 4],
  rcbrt: [(x) => 1 / Math.cbrt(x), 4],
  reciprocal: [(x) => 1 / x, 1],
  square: [(x) => x * x, 1],
  degrees: [(x) => x * (180 / Math.PI), 2],
  radians: [(x) => x * (Math.PI / 180), 2],
  sigmoid: [sigmoid, 4],
  softrelu: [softplus, 4],
  logSigmoid: [(x) => -softplus(-x), 4],
  softsign: [(x) => (Number.isFinite(x) ? x / (1 + Math.abs(x)) : Math.sign(x)), 4],
  elu: [(x) => (x > 0 ? x : Math.expm1(x)), 4],
  selu: [(x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)), 4],
  silu: [(x) => (x === -Infinity ? 0 : x * sigmoid(x)), 4, faded],
  mish: [(x) => (x === -Infinity ? 0 : x * Math.tanh(softplus(x))), 6, faded],
  // 1 + erf and the like round at 1
  gelu: [
    (x) => (x === -Infinity ? 0 : 0.5 * x * (1 + erf(x / Math.SQRT2))),
    4,
    (x) => Math.min(8, 4 * Math.abs(x)),
  ],
  hardSigmoid: [(x) => Math.min(1, Math.max(0, 0.2 * x + 0.5)), 4, one],
};

/** How many times its bound a result is off. */
function excess(got: number, want: number, ulps: number, more: number): number {
  const nearest = Math.fround(want);
  if (Number.isNaN(want) || Number.isNaN(got)) return Number.isNaN(want) && Number.isNaN(got) ? 0 : Infinity;
  if (!Number.isFinite(nearest) || !Number.isFinite(got)) return nearest === got ? 0 : Infinity;
  const ulp = 2 ** (Math.floor(Math.log2(Math.max(Math.abs(nearest), TINY))) - 23);
  return Math.abs(got - want) / (ulps * ulp + UNIT * more + TINY);
}

describe('functions over all of float32', () => {
  // an odd step meets every exponent and both signs
  const all = new Float32Array(Uint32Array.from({ length: 2 ** 16 }, (_, i) => i * 65537).buffer);
  const few = all.filter((_, i) => i % 163 === 0).subarray(0, 400);

  test.each(Object.entries(FUNCTIONS))('%s', async (name, [want, ulps, of = () => 0]) => {
    for (const x of [all, few]) {
      const f = nd[name as 'exp'] as (x: NDArray) => NDArray;
      const y = await f(nd.array(x, { ctx })).data();
      let [worst, where] = [0, 0];
      x.forEach((v, i) => {
        const e = excess(y[i] as number, want(v), ulps, of(v));
        if (e > worst) [worst, where] = [e, v];
      });
      expect(worst, `at ${where}, of ${x.length}`).toBeLessThanOrEqual(1);
    }
  });
});

/** Collects the worst of each name, in its bounds. */
class Worst {
  readonly #found = new Map<string, number>();

  /** |got − want| beside `most` units of `scale`. */
  see(name: string, got: number | undefined, want: number, scale: number, most: number): void {
    const off = Math.abs((got ?? Number.NaN) - want) / (most * UNIT * scale + TINY);
    this.#found.set(name, Math.max(this.#found.get(name) ?? 0, Number.isNaN(off) ? Infinity : off));
  }

  get over(): [string, number][] {
    return [...this.#found].filter(([, off]) => off > 1);
  }
}

describe.each([0, 3, 1000])('rows of numbers around %i', (middle) => {
  test.each([
    [1, 1],
    [7, 3],
    [5, 33],
    [3, 600],
    [600, 5],
    [40, 1024],
    [2, 100_003],
    [20_000, 10],
    [64, 4097],
  ])('%i × %i', async (rows, columns) => {
    const v = numbers(rows * columns, middle - 1, middle + 1, rows + columns);
    const x = nd.array(v, { ctx, shape: [rows, columns] });
    const worst = new Worst();
    for (const axis of [0, 1]) {
      const [m, n] = axis === 1 ? [rows, columns] : [columns, rows];
      const place = (i: number, j: number): number => (axis === 1 ? i * columns + j : j * columns + i);
      const results = [
        ...[x.sum(axis), x.mean(axis), x.norm(axis), x.square().sum(axis)],
        ...[x.softmax(axis), x.logSoftmax(axis), x.cumsum(axis)],
        nd.layerNorm(x, nd.ones([n], { ctx }), nd.zeros([n], { ctx }), { axis }),
      ];
      const [sum, mean, norm, squares, soft, logs, running, normed] = await Promise.all(
        results.map((y) => y.data()),
      );
      for (let i = 0; i < m; i++) {
        const row = Array.from({ length: n }, (_, j) => v[place(i, j)] as number);
        const fold = (f: (e: number) => number): number => row.reduce((a, e) => a + f(e), 0);
        const [s, size, q, top] = [
          fold((e) => e),
          fold(Math.abs),
          fold((e) => e * e),
          row.reduce((a, e) => Math.max(a, e)),
        ];
        worst.see('sum', sum?.[i], s, size, 2);
        worst.see('mean', mean?.[i], s / n, size / n, 2);
        worst.see('norm', norm?.[i], Math.sqrt(q), Math.sqrt(q), 3);
        worst.see('squares', squares?.[i], q, q, 3);
        const mu = s / n;
        const z = fold((e) => Math.exp(e - top));
        const deviation = Math.sqrt(fold((e) => (e - mu) ** 2) / n + 1e-5);
        let [so, far] = [0, 0];
        row.forEach((e, j) => {
          const at = place(i, j);
          const w = Math.exp(e - top) / z;
          worst.see('softmax', soft?.[at], w, w, 6);
          worst.see('logSoftmax', logs?.[at], e - top - Math.log(z), 2 + Math.log(z), 4);
          const y = (e - mu) / deviation;
          worst.see('layerNorm', normed?.[at], y, (Math.abs(e) + Math.abs(mu)) / deviation + Math.abs(y), 4);
          so += e;
          far += Math.abs(e);
          worst.see('cumsum', running?.[at], so, far, 2);
        });
      }
      for (const y of results) y.dispose();
    }
    expect(worst.over).toEqual([]);
  });
});

describe.each([0, 50])('pictures of numbers around %i', (middle) => {
  const [N, C, H] = [4, 6, 23];
  const v = numbers(N * C * H * H, middle - 2, middle + 2, 5);
  const x = (): NDArray => nd.array(v, { ctx, shape: [N, C, H, H] });
  const area = H * H;

  /** The mean, the variance and the largest magnitude of what `belongs`. */
  function statistics(
    belongs: (n: number, c: number) => boolean,
  ): [mean: number, variance: number, size: number] {
    const own = v.filter((_, i) => belongs(Math.floor(i / area / C), Math.floor(i / area) % C));
    const mean = own.reduce((a, b) => a + b, 0) / own.length;
    return [
      mean,
      own.reduce((a, b) => a + (b - mean) ** 2, 0) / own.length,
      own.reduce((a, b) => Math.max(a, Math.abs(b)), 0),
    ];
  }

  /** Compares a norm whose groups are told apart by `group`. */
  async function compare(y: NDArray, group: (n: number, c: number) => string, eps: number): Promise<void> {
    const worst = new Worst();
    const got = await y.data();
    for (let n = 0; n < N; n++)
      for (let c = 0; c < C; c++) {
        const [mean, variance, size] = statistics((a, b) => group(a, b) === group(n, c));
        const deviation = Math.sqrt(variance + eps);
        for (let k = 0; k < area; k++) {
          const at = (n * C + c) * area + k;
          const want = ((v[at] as number) - mean) / deviation;
          worst.see('norm', got[at], want, (2 * size) / deviation + Math.abs(want), 4);
        }
      }
    expect(worst.over).toEqual([]);
  }

  test('instance, group and batch norm', async () => {
    const [ones, zeros] = [nd.ones([C], { ctx }), nd.zeros([C], { ctx })];
    await compare(nd.instanceNorm(x(), ones, zeros), (n, c) => `${n} ${c}`, 1e-3);
    await compare(
      nd.groupNorm(x(), ones, zeros, { numGroups: 2 }),
      (n, c) => `${n} ${Math.floor((2 * c) / C)}`,
      1e-5,
    );
    const norm = new nn.BatchNorm({ inChannels: C });
    norm.initialize({ ctx });
    await compare(
      autograd.record(() => norm(x())),
      (_, c) => `${c}`,
      1e-5,
    );
    // running statistics: a tenth of the way from 0 and 1
    const [mean, variance] = [await norm.runningMean.data().data(), await norm.runningVar.data().data()];
    for (let c = 0; c < C; c++) {
      const [m, s, size] = statistics((_, b) => b === c);
      const worst = new Worst();
      worst.see('mean', mean[c], 0.1 * m, 0.1 * size, 4);
      worst.see('variance', variance[c], 0.9 + 0.1 * s, 1 + s + size * UNIT * size, 4);
      expect(worst.over).toEqual([]);
    }
  });

  test.each(['avg', 'sum', 'lp'] as const)('%s pooling and its gradient', async (poolType) => {
    for (const [kernel, stride, pad] of [
      [2, 2, 0],
      [3, 2, 1],
      [5, 1, 2],
      [23, 1, 0],
    ] as const) {
      const out = Math.floor((H + 2 * pad - kernel) / stride) + 1;
      const above = numbers(N * C * out * out, -1, 1, kernel);
      const input = x();
      input.attachGrad();
      const y = autograd.record(() => nd.pooling(input, { kernel, stride, pad, poolType }));
      y.backward(nd.array(above, { ctx, shape: [N, C, out, out] }));
      const [got, gradient] = [await y.data(), await input.grad.data()];
      const worst = new Worst();
      const [back, size] = [new Float64Array(v.length), new Float64Array(v.length)];
      for (let at = 0; at < above.length; at++) {
        const [plane, i, j] = [Math.floor(at / out ** 2), Math.floor(at / out) % out, at % out];
        const seen: number[] = [];
        for (let a = 0; a < kernel; a++)
          for (let b = 0; b < kernel; b++) {
            const [r, c] = [i * stride - pad + a, j * stride - pad + b];
            if (r >= 0 && c >= 0 && r < H && c < H) seen.push((plane * H + r) * H + c);
          }
        const sum = seen.reduce(
          (t, p) => t + (poolType === 'lp' ? (v[p] as number) ** 2 : (v[p] as number)),
          0,
        );
        const far = seen.reduce((t, p) => t + Math.abs(v[p] as number), 0);
        const count = poolType === 'avg' ? kernel ** 2 : 1;
        const want = poolType === 'lp' ? Math.sqrt(sum) : sum / count;
        // at most as many roundings as there are numbers in the window
        worst.see('forward', got[at], want, poolType === 'lp' ? want : far / count, kernel ** 2 + 4);
        for (const p of seen) {
          const g =
            poolType === 'lp'
              ? ((above[at] as number) * (v[p] as number)) / want
              : (above[at] as number) / count;
          back[p] = (back[p] as number) + g;
          size[p] = (size[p] as number) + Math.abs(g);
        }
      }
      back.forEach((g, p) => {
        worst.see('backward', gradient[p], g, size[p] as number, 2 * kernel ** 2 + 8);
      });
      expect(worst.over, `kernel ${kernel}`).toEqual([]);
    }
  });

  test('gradients of norms', async () => {
    // Σ w·y differentiated through the statistics, by the closed form of a normalization
    const w = numbers(v.length, -1, 1, 8);
    const input = x();
    const norm = new nn.BatchNorm({ inChannels: C });
    norm.initialize({ ctx });
    input.attachGrad();
    const y = autograd.record(() => norm(input));
    y.backward(nd.array(w, { ctx, shape: [N, C, H, H] }));
    const [dx, dGamma, dBeta] = await Promise.all(
      [input.grad, norm.gamma.grad(), norm.beta.grad()].map((g) => g.data()),
    );
    const worst = new Worst();
    for (let c = 0; c < C; c++) {
      const [mean, variance, size] = statistics((_, b) => b === c);
      const deviation = Math.sqrt(variance + 1e-5);
      const own: number[] = [];
      for (let i = 0; i < v.length; i++) if (Math.floor(i / area) % C === c) own.push(i);
      const z = (i: number): number => ((v[i] as number) - mean) / deviation;
      const [sw, swz] = [
        own.reduce((a, i) => a + (w[i] as number), 0),
        own.reduce((a, i) => a + (w[i] as number) * z(i), 0),
      ];
      const magnitude = own.reduce((a, i) => a + Math.abs((w[i] as number) * z(i)), 0);
      // each z is as good as the numbers around the mean allow
      const z0 = 1 + size / deviation;
      worst.see('gamma', dGamma?.[c], swz, magnitude * z0, 8);
      worst.see(
        'beta',
        dBeta?.[c],
        sw,
        own.reduce((a, i) => a + Math.abs(w[i] as number), 0),
        2,
      );
      for (const i of own) {
        const want = ((w[i] as number) - sw / own.length - (z(i) * swz) / own.length) / deviation;
        const scale = (Math.abs(w[i] as number) + (Math.abs(sw) + z0 * magnitude) / own.length) / deviation;
        worst.see('data', dx?.[i], want, scale, 16);
      }
    }
    expect(worst.over).toEqual([]);
  });
});
