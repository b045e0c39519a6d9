// Folding elements: along a row into one number, and rows side by side into a block of them. Sums and products of float32 are kept in
// doubles until the end, which is more accurate than pairwise summation.
import type { ComputeType } from '../../core/dtype.ts';
import type { Combine } from '../../ir/kernel.ts';
import type { Heap } from './heap.ts';
import type { Cells, LoopTable } from './loops/loop.ts';
import { loopsOf } from './loops/tables.ts';
import type { Kernels } from './wasm/load.ts';

/** Folds `n` elements at `a`, stride `sa`, into `acc` and returns it. */
type Fold = (m: Cells, n: number, a: number, sa: number, acc: number) => number;

// Four partial sums: the additions of one would wait for each other.
const sumF32: Fold = (m, n, a, sa, acc) => {
  let s0 = acc;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  const sa2 = sa * 2;
  const sa3 = sa * 3;
  for (const step = sa * 4; i + 4 <= n; i += 4, a += step) {
    s0 += m[a] as number;
    s1 += m[a + sa] as number;
    s2 += m[a + sa2] as number;
    s3 += m[a + sa3] as number;
  }
  for (; i < n; i++, a += sa) s0 += m[a] as number;
  return s0 + s1 + (s2 + s3);
};
const sumF64: Fold = (m, n, a, sa, acc) => {
  let s0 = acc;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 4 <= n; i += 4, a += sa * 4) {
    s0 += m[a] as number;
    s1 += m[a + sa] as number;
    s2 += m[a + sa * 2] as number;
    s3 += m[a + sa * 3] as number;
  }
  for (; i < n; i++, a += sa) s0 += m[a] as number;
  return s0 + s1 + (s2 + s3);
};
const sumInt: Fold = (m, n, a, sa, acc) => {
  let sum = acc | 0;
  for (let i = 0; i < n; i++, a += sa) sum = (sum + (m[a] as number)) | 0;
  return sum;
};
const prodFloat: Fold = (m, n, a, sa, acc) => {
  for (let i = 0; i < n; i++, a += sa) acc *= m[a] as number;
  return acc;
};
const prodInt: Fold = (m, n, a, sa, acc) => {
  for (let i = 0; i < n; i++, a += sa) acc = Math.imul(acc, m[a] as number);
  return acc;
};
const maxF32: Fold = (m, n, a, sa, acc) => {
  for (let i = 0; i < n; i++, a += sa) acc = Math.max(acc, m[a] as number);
  return acc;
};
const maxOther: Fold = (m, n, a, sa, acc) => {
  for (let i = 0; i < n; i++, a += sa) acc = Math.max(acc, m[a] as number);
  return acc;
};
const minF32: Fold = (m, n, a, sa, acc) => {
  for (let i = 0; i < n; i++, a += sa) acc = Math.min(acc, m[a] as number);
  return acc;
};
const minOther: Fold = (m, n, a, sa, acc) => {
  for (let i = 0; i < n; i++, a += sa) acc = Math.min(acc, m[a] as number);
  return acc;
};

export type PlainCombine = Exclude<Combine, 'argmax' | 'argmin'>;

const FOLDS: { readonly [T in Exclude<ComputeType, 'f32'>]: { readonly [C in PlainCombine]: Fold } } = {
  f64: { sum: sumF64, prod: prodFloat, max: maxOther, min: minOther },
  i32: { sum: sumInt, prod: prodInt, max: maxOther, min: minOther },
  u32: { sum: sumInt, prod: prodInt, max: maxOther, min: minOther },
};

/** Rows shorter than this are done before a call into WebAssembly has begun. */
const SHORT = 16;

const byKernels = new WeakMap<Kernels, { readonly [C in PlainCombine]: Fold }>();

/** Float32's folds by compiled loops where a row lies together. */
function compiledFolds(heap: Heap): { readonly [C in PlainCombine]: Fold } {
  const { kernels } = heap;
  let folds = byKernels.get(kernels);
  if (folds === undefined) {
    const v = kernels.vector;
    folds = {
      sum: (m, n, a, sa, acc) => (sa === 1 && n >= SHORT ? v.sum(n, a * 4, acc) : sumF32(m, n, a, sa, acc)),
      prod: prodFloat,
      max: (m, n, a, sa, acc) =>
        sa === 1 && n >= SHORT ? v.greatest(n, a * 4, acc) : maxF32(m, n, a, sa, acc),
      min: (m, n, a, sa, acc) => (sa === 1 && n >= SHORT ? v.least(n, a * 4, acc) : minF32(m, n, a, sa, acc)),
    };
    byKernels.set(kernels, folds);
  }
  return folds;
}

export function foldOf(heap: Heap, type: ComputeType, combine: PlainCombine): Fold {
  return type === 'f32' ? compiledFolds(heap)[combine] : FOLDS[type][combine];
}

/** What an empty axis gives. */
export function identityOf(type: ComputeType, combine: Combine): number {
  const float = type === 'f32' || type === 'f64';
  switch (combine) {
    case 'sum':
      return 0;
    case 'prod':
      return 1;
    case 'max':
    case 'argmax':
      return float ? -Infinity : type === 'i32' ? -2147483648 : 0;
    case 'min':
    case 'argmin':
      return float ? Infinity : type === 'i32' ? 2147483647 : 4294967295;
  }
}

/** The extreme so far and its place; the first NaN is the extreme for good. */
export interface Extreme {
  value: number;
  place: number;
}

/** Continues a search with the elements at `a`, whose places count from `start`. */
export function foldExtreme(
  m: Cells,
  n: number,
  a: number,
  sa: number,
  max: boolean,
  start: number,
  best: Extreme,
): void {
  let { value, place } = best;
  if (Number.isNaN(value)) return;
  for (let i = 0; i < n; i++, a += sa) {
    const x = m[a] as number;
    if (max ? x > value : x < value) {
      value = x;
      place = start + i;
    } else if (Number.isNaN(x)) {
      value = x;
      place = start + i;
      break;
    }
  }
  best.value = value;
  best.place = place;
}

function addWide(f64: Float64Array, f32: Float32Array, n: number, acc: number, a: number, sa: number): void {
  for (let i = 0; i < n; i++, a += sa) f64[acc + i] = (f64[acc + i] as number) + (f32[a] as number);
}
function mulWide(f64: Float64Array, f32: Float32Array, n: number, acc: number, a: number, sa: number): void {
  for (let i = 0; i < n; i++, a += sa) f64[acc + i] = (f64[acc + i] as number) * (f32[a] as number);
}
function extremes(
  m: Cells,
  n: number,
  value: number,
  place: number,
  a: number,
  sa: number,
  max: boolean,
  l: number,
): void {
  for (let i = 0; i < n; i++, a += sa) {
    const x = m[a] as number;
    const best = m[value + i] as number;
    if ((max ? x > best : x < best) || (Number.isNaN(x) && !Number.isNaN(best))) {
      m[value + i] = x;
      m[place + i] = l;
    }
  }
}

/** Accumulators of a block of rows: `result` holds one value a row in the compute type, `extra` doubles or the extremes' values. */
export class RowAccumulators {
  readonly #heap: Heap;
  readonly #type: ComputeType;
  readonly #combine: Combine;
  readonly #n: number;
  readonly #result: number;
  readonly #extra: number;
  readonly #wide: boolean;
  readonly #loops: LoopTable['binary'];

  /** `result` and `extra` are byte offsets of registers. */
  constructor(heap: Heap, type: ComputeType, combine: Combine, n: number, result: number, extra: number) {
    this.#heap = heap;
    this.#type = type;
    this.#combine = combine;
    this.#n = n;
    const width = type === 'f64' ? 8 : 4;
    this.#loops = loopsOf(heap).few[type].binary;
    this.#wide = type === 'f32' && (combine === 'sum' || combine === 'prod');
    this.#result = result / width;
    this.#extra = extra / (this.#wide ? 8 : width);
    const m = heap[type];
    const identity = identityOf(type, combine);
    if (this.#wide) heap.f64.fill(identity, this.#extra, this.#extra + n);
    else if (combine === 'argmax' || combine === 'argmin') {
      m.fill(identity, this.#extra, this.#extra + n);
      m.fill(0, this.#result, this.#result + n);
    } else m.fill(identity, this.#result, this.#result + n);
  }

  /** Takes in the `l`-th element of every row: row i's lies at a + i·sa. */
  add(a: number, sa: number, l: number): void {
    const n = this.#n;
    const m = this.#heap[this.#type];
    const loops = this.#loops;
    switch (this.#combine) {
      case 'sum':
        if (this.#wide) {
          const { f64, f32, kernels } = this.#heap;
          if (sa === 1 && n >= SHORT) kernels.vector.addWide(n, this.#extra * 8, a * 4);
          else addWide(f64, f32, n, this.#extra, a, sa);
        } else loops.add(m, n, this.#result, this.#result, 1, a, sa, 0, 0);
        break;
      case 'prod':
        if (this.#wide) mulWide(this.#heap.f64, this.#heap.f32, n, this.#extra, a, sa);
        else loops.mul(m, n, this.#result, this.#result, 1, a, sa, 0, 0);
        break;
      case 'max':
        loops.max(m, n, this.#result, this.#result, 1, a, sa, 0, 0);
        break;
      case 'min':
        loops.min(m, n, this.#result, this.#result, 1, a, sa, 0, 0);
        break;
      default:
        extremes(m, n, this.#extra, this.#result, a, sa, this.#combine === 'argmax', l);
    }
  }

  /** Rounds to the compute type. */
  finish(): void {
    if (!this.#wide) return;
    const { f32, f64, kernels } = this.#heap;
    if (this.#n >= SHORT) {
      kernels.vector.narrow(this.#n, this.#result * 4, this.#extra * 8);
      return;
    }
    for (let i = 0; i < this.#n; i++) f32[this.#result + i] = f64[this.#extra + i] as number;
  }
}
