// Ten thousand products and convolutions of random shapes on the CPU device against a plain float64 sum, each within the bound that its length allows.
import { setFlagsFromString } from 'node:v8';
import { describe, expect, test } from 'vitest';
import { CpuDevice } from '../src/device/cpu/cpuDevice.ts';
import type { Operand } from '../src/ir/kernel.ts';
import { productKernel } from '../src/ir/kernel.ts';

// Node 20 has relaxed SIMD behind this flag, later ones know the flag no more
setFlagsFromString('--experimental-wasm-relaxed-simd');
const FORMS = ['relaxed', 'plain'] as const;

/** Repeatable numbers in [0, 1): xorshift32. */
function stream(seed: number): () => number {
  let s = seed | 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) / 2 ** 32;
  };
}

/** The exact sums and the sums of magnitudes, from which the bound follows. */
interface Reference {
  readonly sum: Float64Array;
  readonly size: Float64Array;
  /** Terms of the longest sum. */
  readonly terms: number;
}

/** |error| ≤ (n + 4)·u·Σ|aᵢ·bᵢ| with u = 2⁻²⁴: n roundings at most, in any order of summation (Higham, Accuracy and Stability, 4.2), and a few for bias and store. */
function worst(got: Float32Array, { sum, size, terms }: Reference): number {
  let most = 0;
  for (let i = 0; i < sum.length; i++) {
    const bound = (terms + 4) * 2 ** -24 * (size[i] as number) + 1e-37;
    const off = Math.abs((got[i] as number) - (sum[i] as number)) / bound;
    if (Number.isNaN(off)) return Infinity;
    if (off > most) most = off;
  }
  return most;
}

class Bench {
  readonly device: CpuDevice;
  readonly random: () => number;

  constructor(simd: 'relaxed' | 'plain') {
    this.device = new CpuDevice({ simd });
    this.random = stream(simd === 'plain' ? 77 : 1234);
  }

  /** A number from 1 to `most`; small ones more often. */
  extent(most: number): number {
    return 1 + Math.floor(this.random() ** 2 * most);
  }

  values(n: number): Float32Array {
    return Float32Array.from({ length: n }, () => 2 * this.random() - 1);
  }

  put(values: Float32Array): Operand {
    const storage = this.device.alloc(values.byteLength);
    this.device.write(storage, values);
    return { storage, dtype: 'float32', shape: [values.length] };
  }

  run(
    form: 'matmul' | 'conv' | 'convGradData' | 'convGradWeight',
    options: NonNullable<Parameters<typeof productKernel>[2]>,
    arrays: readonly Float32Array[],
    size: number,
    dims: readonly number[],
  ): Float32Array {
    const inputs = arrays.map((x) => this.put(x));
    const out = this.put(new Float32Array(size).fill(Number.NaN));
    this.device.run(productKernel('test', form, options), inputs, [out], dims, []);
    const got = new Float32Array(this.device.readSync({ storage: out.storage, at: 0, bytes: size * 4 }));
    for (const { storage } of [...inputs, out]) this.device.free(storage);
    return got;
  }
}

function product(bench: Bench): string | null {
  const { random } = bench;
  const large = random() < 0.01;
  const batch = random() < 0.7 ? 1 : bench.extent(5);
  const [m, n, k] = [0, 1, 2].map(() => bench.extent(large ? 400 : 90)) as [number, number, number];
  const [transposeA, transposeB, biased] = [random() < 0.4, random() < 0.4, random() < 0.5];
  const one = random() < 0.2 ? 1 : batch;
  const [a, b] = [bench.values(batch * m * k), bench.values(one * k * n)];
  const bias = bench.values(n);
  const sum = new Float64Array(batch * m * n);
  const size = new Float64Array(batch * m * n);
  for (let z = 0; z < batch; z++) {
    const [a0, b0] = [z * m * k, one === 1 ? 0 : z * k * n];
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let s = biased ? (bias[j] as number) : 0;
        let t = Math.abs(s);
        for (let l = 0; l < k; l++) {
          const x = a[a0 + (transposeA ? l * m + i : i * k + l)] as number;
          const term = x * (b[b0 + (transposeB ? j * k + l : l * n + j)] as number);
          s += term;
          t += Math.abs(term);
        }
        sum[(z * m + i) * n + j] = s;
        size[(z * m + i) * n + j] = t;
      }
  }
  const got = bench.run(
    'matmul',
    { transposeA, transposeB, bias: biased ? 'n' : 'none' },
    biased ? [a, b, bias] : [a, b],
    sum.length,
    [batch, m, n, k, m * k, one === 1 ? 0 : k * n],
  );
  const off = worst(got, { sum, size, terms: k });
  return off <= 1
    ? null
    : `${batch}×(${m}, ${k})·(${k}, ${n}) ${transposeA}${transposeB}${biased}: ${off} bounds`;
}

function convolution(bench: Bench): string | null {
  const { random } = bench;
  const depthwise = random() < 0.2;
  const groups = depthwise ? bench.extent(9) : random() < 0.7 ? 1 : bench.extent(3);
  const [cg, og] = depthwise ? [1, bench.extent(2)] : [bench.extent(6), bench.extent(9)];
  const [C, O, N] = [groups * cg, groups * og, bench.extent(3)];
  const axis = (): readonly number[] => {
    const [k, d, s] = [bench.extent(5), bench.extent(2), bench.extent(3)];
    const p = Math.floor(random() * k);
    const i = Math.max(d * (k - 1) + 1 - 2 * p, 1) + Math.floor(random() * 12);
    return [k, d, s, p, i, Math.floor((i + 2 * p - d * (k - 1) - 1) / s) + 1];
  };
  const [y, x] = [axis(), axis()];
  const [kH, dH, sH, pH, iH, oH] = y as [number, number, number, number, number, number];
  const [kW, dW, sW, pW, iW, oW] = x as [number, number, number, number, number, number];
  const sizes = { x: N * C * iH * iW, w: O * cg * kH * kW, y: N * O * oH * oW };
  const arrays = { x: bench.values(sizes.x), w: bench.values(sizes.w), y: bench.values(sizes.y) };
  const form = (['conv', 'convGradData', 'convGradWeight'] as const)[Math.floor(random() * 3)] ?? 'conv';
  const [left, right, out] = { conv: 'xwy', convGradData: 'ywx', convGradWeight: 'yxw' }[form] as unknown as [
    'x',
    'w',
    'y',
  ];
  const sum = new Float64Array(sizes[out]);
  const size = new Float64Array(sizes[out]);
  const counts = new Int32Array(sizes[out]);
  for (let n = 0; n < N; n++)
    for (let o = 0; o < O; o++)
      for (let c = 0; c < cg; c++)
        for (let a = 0; a < oH; a++)
          for (let b = 0; b < oW; b++)
            for (let e = 0; e < kH; e++) {
              const row = a * sH - pH + e * dH;
              if (row < 0 || row >= iH) continue;
              for (let f = 0; f < kW; f++) {
                const column = b * sW - pW + f * dW;
                if (column < 0 || column >= iW) continue;
                const at = {
                  x: ((n * C + Math.floor(o / og) * cg + c) * iH + row) * iW + column,
                  w: ((o * cg + c) * kH + e) * kW + f,
                  y: ((n * O + o) * oH + a) * oW + b,
                };
                const term = (arrays[left][at[left]] as number) * (arrays[right][at[right]] as number);
                const to = at[out];
                sum[to] = (sum[to] as number) + term;
                size[to] = (size[to] as number) + Math.abs(term);
                counts[to] = (counts[to] as number) + 1;
              }
            }
  const dims = [N, C, O, groups, 1, iH, iW, 1, oH, oW, 1, kH, kW, 1, sH, sW, 1, dH, dW, 0, pH, pW];
  const got = bench.run(form, {}, [arrays[left], arrays[right]], sizes[out], dims);
  const off = worst(got, { sum, size, terms: Math.max(0, ...counts) });
  return off <= 1 ? null : `${form} ${dims.join()}: ${off} bounds`;
}

describe.each(FORMS)('ten thousand random shapes, %s SIMD', (simd) => {
  test('5000 products', () => {
    const bench = new Bench(simd);
    const wrong = Array.from({ length: 5000 }, () => product(bench)).filter((x) => x !== null);
    expect(wrong).toEqual([]);
  });

  test('5000 convolutions and gradients of convolutions', () => {
    const bench = new Bench(simd);
    const wrong = Array.from({ length: 5000 }, () => convolution(bench)).filter((x) => x !== null);
    expect(wrong).toEqual([]);
  });
});
