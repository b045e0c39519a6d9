// Reading and writing by index: take, takeAlong, gatherNd, scatterNd, scatterAddNd. Each works out where its runs of elements begin; the runs are moved in ascending
// order, so that results repeat.
import { bytesOf, computeTypeOf, fromHalf } from '../../../core/dtype.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween, unitsOf, viewOf } from '../convert.ts';
import type { Heap } from '../heap.ts';
import { loopsOf } from '../loops/tables.ts';

/** Where an operand begins, in elements. */
function startOf({ storage, dtype }: Operand): number {
  return storage.offset / bytesOf(dtype);
}

/** The operand's values truncated to integers (NaN: 0). */
function readIndices(heap: Heap, operand: Operand): Float64Array {
  const out = new Float64Array(sizeOf(operand.shape));
  const at = startOf(operand);
  const m = viewOf(heap, operand.dtype);
  const half = operand.dtype === 'float16';
  const n = out.length;
  for (let i = 0; i < n; i++) {
    const raw = m[at + i] as number;
    out[i] = Math.trunc(half ? fromHalf(raw) : raw) || 0;
  }
  return out;
}

/** An index within [0, extent): clipped (mode 0) or wrapped as Python's % (mode 1). */
function place(index: number, extent: number, mode: number): number {
  if (index >= 0 && index < extent) return index;
  if (mode === 1) {
    const r = index % extent;
    return Number.isFinite(index) ? (r < 0 ? r + extent : r) : 0;
  }
  return index < 0 ? 0 : extent - 1;
}

/** Reads runs of `n` elements of x: the k-th begins at `starts[k]`, and is left out where that is below 0. */
function readRuns(heap: Heap, x: Operand, y: Operand, n: number, starts: Float64Array): void {
  const from = startOf(x);
  const to = startOf(y);
  if (n === 1 && x.dtype === y.dtype) {
    const m: { [i: number]: number } = unitsOf(heap, x.dtype);
    for (let k = 0; k < starts.length; k++) {
      const start = starts[k] as number;
      if (start >= 0) m[to + k] = m[from + start] as number;
    }
    return;
  }
  const move = moveBetween(x.dtype, y.dtype);
  for (let k = 0; k < starts.length; k++) {
    const start = starts[k] as number;
    if (start >= 0) move(heap, n, to + k * n, 1, from + start, 1);
  }
}

export function take(heap: Heap, x: Operand, indices: Operand, y: Operand, dims: readonly number[]): void {
  const [outer = 0, extent = 0, inner = 0, count = 0, mode = 0] = dims;
  const places = readIndices(heap, indices);
  for (let j = 0; j < count; j++) places[j] = place(places[j] as number, extent, mode);
  const starts = new Float64Array(outer * count);
  for (let o = 0, k = 0; o < outer; o++)
    for (let j = 0; j < count; j++) starts[k++] = (o * extent + (places[j] as number)) * inner;
  readRuns(heap, x, y, inner, starts);
}

export function takeAlong(
  heap: Heap,
  x: Operand,
  indices: Operand,
  y: Operand,
  dims: readonly number[],
): void {
  const [outer = 0, extent = 0, inner = 0, count = 0, mode = 0] = dims;
  const starts = readIndices(heap, indices);
  for (let o = 0, k = 0; o < outer; o++)
    for (let j = 0; j < count; j++)
      for (let i = 0; i < inner; i++, k++)
        starts[k] = (o * extent + place(starts[k] as number, extent, mode)) * inner + i;
  readRuns(heap, x, y, 1, starts);
}

/** For gatherNd and scatterNd: where each of `count` slices begins; below 0 where an extent is 0. */
function sliceStarts(heap: Heap, indices: Operand, dims: readonly number[]): Float64Array {
  const [count = 0, depth = 0, slice = 0] = dims;
  const index = readIndices(heap, indices);
  const starts = new Float64Array(count).fill(dims.includes(0, 3) ? -1 : 0);
  for (let n = 0; n < count; n++) {
    let at = starts[n] as number;
    for (let d = 0; d < depth; d++) {
      const extent = dims[3 + d] as number;
      const i = index[d * count + n] as number;
      at = at * extent + Math.min(Math.max(i < 0 ? i + extent : i, 0), extent - 1);
    }
    starts[n] = at * slice;
  }
  return starts;
}

export function gatherNd(
  heap: Heap,
  x: Operand,
  indices: Operand,
  y: Operand,
  dims: readonly number[],
): void {
  readRuns(heap, x, y, dims[2] ?? 0, sliceStarts(heap, indices, dims));
}

/** scatterNd, and scatterAddNd where `add` says so (of one dtype, which is computed in as it is). */
export function scatterNd(
  heap: Heap,
  x: Operand,
  indices: Operand,
  y: Operand,
  dims: readonly number[],
  add: boolean,
): void {
  const [, , slice = 0] = dims;
  const starts = sliceStarts(heap, indices, dims);
  const from = startOf(x);
  const to = startOf(y);
  const move = moveBetween(x.dtype, y.dtype);
  const type = computeTypeOf(y.dtype);
  const sum = loopsOf(heap).few[type].binary.add;
  for (let n = 0; n < starts.length; n++) {
    const start = starts[n] as number;
    if (start < 0) continue;
    const [o, a] = [to + start, from + n * slice];
    if (add) sum(heap[type], slice, o, o, 1, a, 1, 0, 0);
    else move(heap, slice, o, 1, a, 1);
  }
}
