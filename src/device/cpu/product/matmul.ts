// Matrix products: blocked where the matrices are large, straight loops where packing would cost more than it saves (thin or tiny).
import type { ProductKernel } from '../../../ir/kernel.ts';
import type { Floats } from './gemm.ts';
import { blockedProduct, packStrided } from './gemm.ts';
import { floatKernel, intKernel } from './microKernel.ts';
import type { ProductStore } from './store.ts';

/** Up to this many multiplications a product is not packed, and one of float32 is summed step by step. */
export const TINY = 4096;

/** A matrix in the heap: element (r, k) of A, or (k, c) of B, by strides. */
interface Matrix {
  readonly data: Floats;
  at: number;
  /** Stride of the row of A or the column of B, and of the summed axis. */
  readonly side: number;
  readonly depth: number;
}

/** `a` and `b`: the elements with the index of the first. `integers`: sums wrap at 32 bits. */
export function matmul(
  kernel: ProductKernel,
  dims: readonly number[],
  a: { data: Floats; at: number },
  b: { data: Floats; at: number },
  store: ProductStore,
  integers: boolean,
): void {
  let batch = dims[0] as number;
  let M = dims[1] as number;
  const N = dims[2] as number;
  const K = dims[3] as number;
  const aStep = dims[4] as number;
  const bStep = dims[5] as number;
  if (batch > 1 && bStep === 0 && aStep === M * K && !kernel.transposeA && kernel.bias !== 'm') {
    // one B for all: the batch is more rows of A
    M *= batch;
    batch = 1;
  }
  const left: Matrix = {
    data: a.data,
    at: a.at,
    side: kernel.transposeA ? 1 : K,
    depth: kernel.transposeA ? M : 1,
  };
  const right: Matrix = {
    data: b.data,
    at: b.at,
    side: kernel.transposeB ? K : 1,
    depth: kernel.transposeB ? 1 : N,
  };
  for (let i = 0; i < batch; i++) {
    left.at = a.at + i * aStep;
    right.at = b.at + i * bStep;
    const to = i * M * N;
    if (!integers && M * N * K <= TINY && a.data instanceof Float32Array && b.data instanceof Float32Array)
      inSingleSteps(M, N, K, left, right, store, to);
    else if (integers || (M > 2 && N > 2 && M * N * K > TINY))
      blocked(M, N, K, left, right, store, to, integers);
    else if (right.side === 1 && N > 4) byRows(M, N, K, left, right, store, to);
    else if (left.side === 1 && N <= 2 && M > 4) byColumns(M, N, K, left, right, store, to);
    else byDots(M, N, K, left, right, store, to);
  }
}

function blocked(
  M: number,
  N: number,
  K: number,
  a: Matrix,
  b: Matrix,
  store: ProductStore,
  to: number,
  integers: boolean,
): void {
  blockedProduct(
    M,
    N,
    K,
    (panel, first, count, k0, depth) =>
      packStrided(panel, a.data, a.at + first * a.side + k0 * a.depth, a.side, a.depth, count, depth),
    (panel, first, count, k0, depth) =>
      packStrided(panel, b.data, b.at + first * b.side + k0 * b.depth, b.side, b.depth, count, depth),
    integers ? intKernel : floatKernel,
    (tile, ldc, row, rows, column, columns) => {
      for (let r = 0; r < rows; r++)
        store.put(tile, r * ldc, columns, to + (row + r) * N + column, 1, row + r, column);
    },
  );
}

let sums = new Float64Array(1024);

function sumsOf(n: number): Float64Array {
  if (sums.length < n) sums = new Float64Array(n * 2);
  return sums;
}

/** A row of the result as a sum of B's rows. */
function byRows(
  M: number,
  N: number,
  K: number,
  a: Matrix,
  b: Matrix,
  store: ProductStore,
  to: number,
): void {
  const row = sumsOf(N);
  for (let r = 0; r < M; r++) {
    row.fill(0, 0, N);
    for (let k = 0; k < K; k++) {
      const x = a.data[a.at + r * a.side + k * a.depth] as number;
      addScaled(row, b.data, b.at + k * b.depth, x, N);
    }
    store.put(row, 0, N, to + r * N, 1, r, 0);
  }
}

/** A column of the result as a sum of A's columns, where those are contiguous and columns are few. */
function byColumns(
  M: number,
  N: number,
  K: number,
  a: Matrix,
  b: Matrix,
  store: ProductStore,
  to: number,
): void {
  const column = sumsOf(M);
  for (let c = 0; c < N; c++) {
    column.fill(0, 0, M);
    for (let k = 0; k < K; k++)
      addScaled(column, a.data, a.at + k * a.depth, b.data[b.at + c * b.side + k * b.depth] as number, M);
    if (store.bias === 'none') store.put(column, 0, M, to + c, N, 0, c);
    // one at a time: the bias is not that of a row
    else for (let r = 0; r < M; r++) store.put(column, r, 1, to + r * N + c, 1, r, c);
  }
}

/**
 * Sums in float32 from the first k to the last, each step rounded once (a fused multiply-add), as MXNet's BLAS sums small float32 matrices: the last
 * digits that a tutorial prints depend on it. (The product of two float32 is exact in a double.)
 */
function inSingleSteps(
  M: number,
  N: number,
  K: number,
  a: Matrix,
  b: Matrix,
  store: ProductStore,
  to: number,
): void {
  const row = sumsOf(N);
  const [left, right] = [a.data as Float32Array, b.data as Float32Array];
  for (let r = 0; r < M; r++) {
    for (let c = 0; c < N; c++) {
      let sum = 0;
      let i = a.at + r * a.side;
      let j = b.at + c * b.side;
      for (let k = 0; k < K; k++, i += a.depth, j += b.depth)
        sum = Math.fround(sum + (left[i] as number) * (right[j] as number));
      row[c] = sum;
    }
    store.put(row, 0, N, to + r * N, 1, r, 0);
  }
}

function byDots(
  M: number,
  N: number,
  K: number,
  a: Matrix,
  b: Matrix,
  store: ProductStore,
  to: number,
): void {
  const row = sumsOf(N);
  for (let r = 0; r < M; r++) {
    const aAt = a.at + r * a.side;
    for (let c = 0; c < N; c++) row[c] = dot(a.data, aAt, a.depth, b.data, b.at + c * b.side, b.depth, K);
    store.put(row, 0, N, to + r * N, 1, r, 0);
  }
}

// Each twice, for float32 and for doubles: a loop that has met both kinds of array is half as fast on either.

function addScaled(sum: Float64Array, source: Floats, at: number, x: number, n: number): void {
  if (source instanceof Float32Array) addScaledSingle(sum, source, at, x, n);
  else addScaledDouble(sum, source, at, x, n);
}

function addScaledSingle(sum: Float64Array, source: Float32Array, at: number, x: number, n: number): void {
  for (let i = 0; i < n; i++) sum[i] = (sum[i] as number) + x * (source[at + i] as number);
}

function addScaledDouble(sum: Float64Array, source: Float64Array, at: number, x: number, n: number): void {
  for (let i = 0; i < n; i++) sum[i] = (sum[i] as number) + x * (source[at + i] as number);
}

function dot(
  a: Floats,
  aAt: number,
  aStep: number,
  b: Floats,
  bAt: number,
  bStep: number,
  n: number,
): number {
  if (a instanceof Float32Array && b instanceof Float32Array && aStep === 1 && bStep === 1)
    return dotSingle(a, aAt, b, bAt, n);
  let sum = 0;
  for (let i = 0; i < n; i++, aAt += aStep, bAt += bStep) sum += (a[aAt] as number) * (b[bAt] as number);
  return sum;
}

function dotSingle(a: Float32Array, aAt: number, b: Float32Array, bAt: number, n: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 4 <= n; i += 4, aAt += 4, bAt += 4) {
    s0 += (a[aAt] as number) * (b[bAt] as number);
    s1 += (a[aAt + 1] as number) * (b[bAt + 1] as number);
    s2 += (a[aAt + 2] as number) * (b[bAt + 2] as number);
    s3 += (a[aAt + 3] as number) * (b[bAt + 3] as number);
  }
  for (; i < n; i++, aAt++, bAt++) s0 += (a[aAt] as number) * (b[bAt] as number);
  return s0 + s1 + (s2 + s3);
}
