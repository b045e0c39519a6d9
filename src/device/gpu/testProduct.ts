// For unit tests only: products as plain loops in float64, and the comparison of a lowered product with them.
// Tolerances: |error| ≤ (terms + 2)·2⁻²⁴·Σ|a·b|, the bound of a float32 sum in any order, and the rounding of one more operation for an epilogue.
import { expect } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { fromHalf, toHalf } from '../../core/dtype.ts';
import type { Operand, ProductKernel } from '../../ir/kernel.ts';
import type { GpuTraits } from './lowering.ts';
import { chooseProduct, lowerProduct } from './product.ts';
import type { TestGpu } from './testSink.ts';
import { decode } from './testSink.ts';

/** Reproducible numbers in (−1, 1). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32) * 2 - 1;
  };
}

/** The value that an element of a dtype has for `x` in (−1, 1). */
function representable(x: number, dtype: DType): number {
  switch (dtype) {
    case 'float32':
      return Math.fround(x);
    case 'float16':
      return fromHalf(toHalf(x));
    case 'int32':
    case 'int8':
      return Math.round(x * 100);
    case 'uint32':
    case 'uint8':
      return Math.round(Math.abs(x) * 200);
    case 'bool':
      return x > 0 ? 1 : 0;
    case 'float64':
      return x;
  }
}

/** Reproducible values of a dtype. */
export function values(count: number, seed: number, dtype: DType = 'float32'): number[] {
  const next = generator(seed);
  return Array.from({ length: count }, () => representable(next(), dtype));
}

/** A sum and the sum of its terms' magnitudes. */
export interface Sums {
  readonly shape: readonly number[];
  readonly value: Float64Array;
  readonly magnitude: Float64Array;
  readonly terms: number;
}

export interface Problem {
  readonly aShape: readonly number[];
  readonly bShape: readonly number[];
  readonly dims: readonly number[];
  readonly reference: (a: readonly number[], b: readonly number[]) => Sums;
  /** Of the output: how many channels or columns, and which of them element i belongs to. */
  readonly biasCount: number;
  readonly biasOf: (i: number) => number;
  /** The row (channel) and column of element i, and how many there are of each. */
  readonly rowCount: number;
  readonly rowOf: (i: number) => number;
  readonly columns: number;
  /** The sums of the left operand's rows. */
  readonly rowSums?: (a: readonly number[]) => number[];
  /** Where element i lies in an output of so many elements, where that is not the plain order. */
  readonly placeOf?: (i: number) => number;
  readonly outputSize?: number;
}

const volume = (shape: readonly number[]): number => shape.reduce((x, y) => x * y, 1);
/** Element i; NaN beyond the end, which no comparison passes. */
export const get = (list: readonly number[] | Float64Array, i: number): number => list[i] ?? Number.NaN;

/** C = A·B, with dims, operands' shapes and the loops. */
export function matmulProblem(
  m: number,
  n: number,
  k: number,
  { batch = 1, ta = false, tb = false, repeatA = false, repeatB = false, bias = 'n' as 'm' | 'n' } = {},
): Problem {
  const aBatch = repeatA ? 0 : m * k;
  const bBatch = repeatB ? 0 : k * n;
  return {
    aShape: [repeatA ? 1 : batch, ta ? k : m, ta ? m : k],
    bShape: [repeatB ? 1 : batch, tb ? n : k, tb ? k : n],
    dims: [batch, m, n, k, aBatch, bBatch],
    biasCount: bias === 'm' ? m : n,
    biasOf: (i) => (bias === 'm' ? Math.floor(i / n) % m : i % n),
    rowCount: m,
    rowOf: (i) => Math.floor(i / n) % m,
    columns: n,
    rowSums: (a) =>
      Array.from({ length: batch * m }, (_, row) => {
        const [z, i] = [Math.floor(row / m), row % m];
        let sum = 0;
        for (let t = 0; t < k; t++) sum += get(a, z * aBatch + (ta ? t * m + i : i * k + t));
        return sum;
      }),
    reference: (a, b) => {
      const value = new Float64Array(batch * m * n);
      const magnitude = new Float64Array(batch * m * n);
      for (let z = 0; z < batch; z++)
        for (let i = 0; i < m; i++)
          for (let j = 0; j < n; j++)
            for (let t = 0; t < k; t++) {
              const x =
                get(a, z * aBatch + (ta ? t * m + i : i * k + t)) *
                get(b, z * bBatch + (tb ? j * k + t : t * n + j));
              const at = (z * m + i) * n + j;
              value[at] = get(value, at) + x;
              magnitude[at] = get(magnitude, at) + Math.abs(x);
            }
      return { shape: [batch, m, n], value, magnitude, terms: k };
    },
  };
}

/**
 * Matrices inside larger arrays: batch = outer · heads, each a slice of (outer, rows, heads, columns) as attention has them; `gap` elements lie behind each head.
 */
export function stridedProblem(
  outer: number,
  heads: number,
  m: number,
  n: number,
  k: number,
  { ta = false, tb = false, gap = 0 } = {},
): Problem {
  const layout = (rows: number, columns: number) => {
    const row = heads * (columns + gap);
    return { each: rows * row, within: columns + gap, row, size: outer * rows * row };
  };
  const a = layout(ta ? k : m, ta ? m : k);
  const b = layout(tb ? n : k, tb ? k : n);
  const c = layout(m, n);
  const batch = outer * heads;
  const begin = (of: typeof a, z: number): number =>
    Math.floor(z / heads) * of.each + (z % heads) * of.within;
  return {
    aShape: [a.size],
    bShape: [b.size],
    dims: [
      ...[batch, m, n, k, a.each, b.each, heads, a.within, b.within, a.row, b.row],
      ...[c.each, c.within, c.row],
    ],
    biasCount: n,
    biasOf: (i) => i % n,
    rowCount: m,
    rowOf: (i) => Math.floor(i / n) % m,
    columns: n,
    placeOf: (i) => begin(c, Math.floor(i / (m * n))) + (Math.floor(i / n) % m) * c.row + (i % n),
    outputSize: c.size,
    reference: (x, y) => {
      const value = new Float64Array(batch * m * n);
      const magnitude = new Float64Array(batch * m * n);
      for (let at = 0; at < value.length; at++)
        for (let t = 0; t < k; t++) {
          const [z, i, j] = [Math.floor(at / (m * n)), Math.floor(at / n) % m, at % n];
          const term =
            get(x, begin(a, z) + (ta ? t * a.row + i : i * a.row + t)) *
            get(y, begin(b, z) + (tb ? j * b.row + t : t * b.row + j));
          value[at] = get(value, at) + term;
          magnitude[at] = get(magnitude, at) + Math.abs(term);
        }
      return { shape: [batch, m, n], value, magnitude, terms: k };
    },
  };
}

export interface ConvSizes {
  readonly images?: number;
  readonly channels: number;
  readonly filters: number;
  readonly groups?: number;
  /** Spatial extents of x; one, two or three. */
  readonly input: readonly number[];
  readonly kernel: readonly number[];
  readonly stride?: readonly number[];
  readonly dilation?: readonly number[];
  readonly padding?: readonly number[];
}

function threeAxes(
  list: readonly number[] | undefined,
  axes: number,
  fill: number,
): [number, number, number] {
  const given = list ?? new Array<number>(axes).fill(fill);
  const [d = fill, h = fill, w = fill] = [...new Array<number>(3 - axes).fill(fill), ...given];
  return [d, h, w];
}

/** All three convolution products from one loop nest over images, groups, filters, channels, output pixels and the window. */
export function convProblem(form: 'conv' | 'convGradData' | 'convGradWeight', sizes: ConvSizes): Problem {
  const { images = 1, channels, filters, groups = 1 } = sizes;
  const axes = sizes.input.length;
  const i = threeAxes(sizes.input, axes, 1);
  const k = threeAxes(sizes.kernel, axes, 1);
  const s = threeAxes(sizes.stride ?? new Array<number>(axes).fill(1), axes, 1);
  const d = threeAxes(sizes.dilation ?? new Array<number>(axes).fill(1), axes, 1);
  const p = threeAxes(sizes.padding ?? new Array<number>(axes).fill(0), axes, 0);
  const out = (axis: 0 | 1 | 2): number =>
    Math.floor((i[axis] + 2 * p[axis] - d[axis] * (k[axis] - 1) - 1) / s[axis]) + 1;
  const o = [out(0), out(1), out(2)] as const;
  const cg = channels / groups;
  const fg = filters / groups;
  const x = [images, channels, ...i];
  const w = [filters, cg, ...k];
  const y = [images, filters, ...o];
  const [aShape, bShape, cShape] =
    form === 'conv' ? [x, w, y] : form === 'convGradData' ? [y, w, x] : [y, x, w];
  const channelEvery = volume(cShape.slice(2));
  const terms =
    form === 'conv' ? cg * volume(k) : form === 'convGradData' ? fg * volume(k) : images * volume(o);
  return {
    aShape,
    bShape,
    dims: [images, channels, filters, groups, ...i, ...o, ...k, ...s, ...d, ...p],
    biasCount: form === 'conv' ? filters : channels,
    biasOf: (at) => Math.floor(at / channelEvery) % (form === 'conv' ? filters : channels),
    rowCount: form === 'convGradData' ? channels : filters,
    rowOf: (at) =>
      form === 'convGradWeight'
        ? Math.floor(at / (cg * volume(k)))
        : Math.floor(at / channelEvery) % (form === 'conv' ? filters : channels),
    columns: cg * volume(k),
    rowSums: (dy) =>
      Array.from({ length: filters }, (_, f) => {
        let sum = 0;
        for (let image = 0; image < images; image++)
          for (let pixel = 0; pixel < volume(o); pixel++)
            sum += get(dy, (image * filters + f) * volume(o) + pixel);
        return sum;
      }),
    reference: (first, second) => {
      const value = new Float64Array(volume(cShape));
      const magnitude = new Float64Array(volume(cShape));
      const add = (at: number, term: number): void => {
        value[at] = get(value, at) + term;
        magnitude[at] = get(magnitude, at) + Math.abs(term);
      };
      for (let image = 0; image < images; image++)
        for (let f = 0; f < filters; f++)
          for (let c = 0; c < cg; c++)
            for (let pixel = 0; pixel < volume(o); pixel++)
              for (let tap = 0; tap < volume(k); tap++) {
                const at = [0, 1, 2].map((axis) => {
                  const place = (index: number, extents: readonly number[]): number =>
                    Math.floor(index / volume(extents.slice(axis + 1))) % get(extents, axis);
                  return place(pixel, o) * get(s, axis) - get(p, axis) + place(tap, k) * get(d, axis);
                });
                if (at.some((v, axis) => v < 0 || v >= get(i, axis))) continue;
                const channel = Math.floor(f / fg) * cg + c;
                const xAt =
                  (image * channels + channel) * volume(i) +
                  (get(at, 0) * i[1] + get(at, 1)) * i[2] +
                  get(at, 2);
                const wAt = (f * cg + c) * volume(k) + tap;
                const yAt = (image * filters + f) * volume(o) + pixel;
                if (form === 'conv') add(yAt, get(first, xAt) * get(second, wAt));
                else if (form === 'convGradData') add(xAt, get(first, yAt) * get(second, wAt));
                else add(wAt, get(first, yAt) * get(second, xAt));
              }
      return { shape: cShape, value, magnitude, terms };
    },
  };
}

export interface Check {
  readonly traits?: GpuTraits;
  readonly dtype?: DType;
  readonly output?: DType;
  readonly scalars?: readonly number[];
  /** What the epilogue means, in float64. */
  readonly ending?: (sum: number, ...extras: number[]) => number;
  readonly body?: string;
  /** How many parts k is to be cut in. */
  readonly splits?: number;
}

/** Runs a problem and compares; the contents of the output's memory beforehand must not show. */
export async function check(
  gpu: TestGpu,
  kernel: ProductKernel,
  problem: Problem,
  options: Check = {},
): Promise<void> {
  const software = gpu.traits;
  const {
    traits = software,
    dtype = 'float32',
    output: outputType = dtype,
    scalars = [],
    ending = (sum) => sum,
  } = options;
  const a = values(volume(problem.aShape), 1, dtype);
  const b = values(volume(problem.bShape), 2, dtype);
  const bias = kernel.bias === 'none' ? undefined : values(problem.biasCount, 3, dtype);
  const wanted = problem.reference(a, b);
  // what lies behind an operand in its buffer must not count, not even as NaN · 0
  const operand = (shape: readonly number[], elements: readonly number[]): Operand => {
    const { storage } = gpu.array([elements.length + 64], dtype, [
      ...elements,
      ...new Array<number>(64).fill(Number.NaN),
    ]);
    return { storage, dtype, shape };
  };
  const inputs = [operand(problem.aShape, a), operand(problem.bShape, b)];
  if (bias !== undefined) inputs.push(operand([problem.biasCount], bias));
  const extras = kernel.extras.map((extra, i) => {
    const { rowCount, columns } = problem;
    const count = { full: wanted.value.length, m: rowCount, n: columns, one: 1 }[extra];
    const numbers = values(count, 4 + i, outputType);
    inputs.push(gpu.array([count], outputType, numbers));
    return (at: number): number =>
      get(numbers, { full: at, m: problem.rowOf(at), n: at % problem.columns, one: 0 }[extra]);
  });
  const place = problem.placeOf ?? ((i: number): number => i);
  const output = gpu.array([problem.outputSize ?? wanted.value.length], outputType);
  const outputs = [output];
  const sums = kernel.rowSum ? (problem.rowSums?.(a) ?? []) : [];
  if (kernel.rowSum) outputs.push(gpu.array([sums.length], 'float32'));
  const dtypes = [...inputs.map((o) => o.dtype), outputType];
  const { plan } = chooseProduct(kernel, problem.dims, dtypes, traits);
  if (options.body !== undefined) expect(plan.body).toBe(options.body);
  if (options.splits !== undefined) expect(plan.splits).toBe(options.splits);
  gpu.traits = traits;
  try {
    lowerProduct(gpu, kernel, inputs, outputs, problem.dims, scalars);
  } finally {
    gpu.traits = software;
  }
  const [all = [], gotSums = []] = await gpu.read(...outputs);
  gpu.clear();
  const got = Array.from(wanted.value, (_, i) => get(all, place(i)));
  if (problem.placeOf === undefined) expect(all.length).toBe(wanted.value.length);
  else {
    // what lies between the matrices keeps what it had
    const written = new Set(got.map((_, i) => place(i)));
    const [untouched] = decode(new Uint8Array(8).fill(0xab).buffer, outputType);
    expect(new Set(all.filter((_, i) => !written.has(i)))).toEqual(
      new Set(written.size === all.length ? [] : [untouched]),
    );
  }
  expect(gotSums.length).toBe(sums.length);
  const bound =
    (wanted.terms + 2) * 2 ** -24 * wanted.terms * a.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  for (const [i, sum] of sums.entries()) expect(Math.abs(get(gotSums, i) - sum)).toBeLessThanOrEqual(bound);
  const whole = outputType !== 'float32' && outputType !== 'float16';
  const wrap = { int8: 8, uint8: 8, int32: 32, uint32: 32, bool: 32, float16: 0, float32: 0, float64: 0 }[
    outputType
  ];
  let worst = '';
  for (let i = 0; i < got.length; i++) {
    const biased = get(wanted.value, i) + (bias === undefined ? 0 : get(bias, problem.biasOf(i)));
    const beside = extras.map((extra) => extra(i));
    let value = ending(biased, ...beside);
    if (whole) {
      value =
        outputType === 'bool'
          ? value === 0
            ? 0
            : 1
          : Number(
              outputType.startsWith('u')
                ? BigInt.asUintN(wrap, BigInt(value))
                : BigInt.asIntN(wrap, BigInt(value)),
            );
      if (got[i] !== value) worst ||= `element ${i}: ${got[i]} for ${value}`;
      continue;
    }
    const magnitude =
      get(wanted.magnitude, i) + beside.reduce((total, x) => total + Math.abs(x), Math.abs(biased));
    const tolerance =
      (wanted.terms + 2) * 2 ** -24 * magnitude +
      2 ** -24 * Math.abs(value) +
      (outputType === 'float16' ? 2 ** -11 * Math.abs(value) + 2 ** -25 : 0);
    if (!(Math.abs(get(got, i) - value) <= tolerance))
      worst ||= `element ${i}: ${got[i]} for ${value}, tolerance ${tolerance}`;
  }
  expect(worst).toBe('');
}
