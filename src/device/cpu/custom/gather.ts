// Reading by index: take, takeAlong, gatherNd. Elements are moved as they lie, whatever their dtype.
import { bytesOf } from '../../../core/dtype.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween, readElement, unitsOf } from '../convert.ts';
import type { Heap } from '../heap.ts';

/** The operand's values truncated to integers (NaN: 0). */
function readIndices(heap: Heap, operand: Operand): Float64Array {
  const n = sizeOf(operand.shape);
  const at = operand.storage.offset / bytesOf(operand.dtype);
  const out = new Float64Array(n);
  if (operand.dtype === 'float32') truncate(out, heap.f32, at, n);
  else if (operand.dtype === 'int32') for (let i = 0; i < n; i++) out[i] = heap.i32[at + i] as number;
  else for (let i = 0; i < n; i++) out[i] = Math.trunc(readElement(heap, operand.dtype, at + i)) || 0;
  return out;
}

function truncate(out: Float64Array, from: Float32Array, at: number, n: number): void {
  for (let i = 0; i < n; i++) out[i] = Math.trunc(from[at + i] as number) || 0;
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

/** Copies `n` elements inside the heap, loops for few and memmove for many. */
type Run = (heap: Heap, n: number, o: number, so: number, a: number, sa: number) => void;

export function take(heap: Heap, x: Operand, indices: Operand, y: Operand, dims: readonly number[]): void {
  const [outer = 0, extent = 0, inner = 0, count = 0, mode = 0] = dims;
  if (outer * inner * count * extent === 0) return;
  const index = readIndices(heap, indices);
  for (let j = 0; j < count; j++) index[j] = place(index[j] as number, extent, mode);
  const width = bytesOf(x.dtype);
  const from = x.storage.offset / width;
  const to = y.storage.offset / bytesOf(y.dtype);
  const run: Run = moveBetween(x.dtype, y.dtype);
  if (inner === 1 && x.dtype === y.dtype) {
    const m: { [i: number]: number } = unitsOf(heap, x.dtype);
    for (let o = 0; o < outer; o++)
      for (let j = 0; j < count; j++)
        m[to + o * count + j] = m[from + o * extent + (index[j] as number)] as number;
    return;
  }
  for (let o = 0; o < outer; o++)
    for (let j = 0; j < count; j++)
      run(
        heap,
        inner,
        to + (o * count + j) * inner,
        1,
        from + (o * extent + (index[j] as number)) * inner,
        1,
      );
}

export function takeAlong(
  heap: Heap,
  x: Operand,
  indices: Operand,
  y: Operand,
  dims: readonly number[],
): void {
  const [outer = 0, extent = 0, inner = 0, count = 0, mode = 0] = dims;
  if (outer * inner * count * extent === 0) return;
  const index = readIndices(heap, indices);
  const from = x.storage.offset / bytesOf(x.dtype);
  const to = y.storage.offset / bytesOf(y.dtype);
  if (x.dtype !== y.dtype) {
    const run: Run = moveBetween(x.dtype, y.dtype);
    for (let o = 0, at = 0; o < outer; o++)
      for (let j = 0; j < count; j++)
        for (let i = 0; i < inner; i++, at++)
          run(
            heap,
            1,
            to + at,
            1,
            from + (o * extent + place(index[at] as number, extent, mode)) * inner + i,
            1,
          );
    return;
  }
  const m: { [i: number]: number } = unitsOf(heap, x.dtype);
  for (let o = 0, at = 0; o < outer; o++)
    for (let j = 0; j < count; j++)
      for (let i = 0; i < inner; i++, at++)
        m[to + at] = m[from + (o * extent + place(index[at] as number, extent, mode)) * inner + i] as number;
}

/** For gatherNd and scatterNd: the element offset of each of `count` slices; −1 where an extent is 0. */
export function sliceOffsets(heap: Heap, indices: Operand, dims: readonly number[]): Float64Array {
  const [count = 0, depth = 0, slice = 0] = dims;
  const index = readIndices(heap, indices);
  const out = new Float64Array(count);
  for (let n = 0; n < count; n++) {
    let at = 0;
    for (let d = 0; d < depth; d++) {
      const extent = dims[3 + d] as number;
      if (extent === 0) {
        at = -1;
        break;
      }
      let i = index[d * count + n] as number;
      if (i < 0) i += extent;
      at = at * extent + Math.min(Math.max(i, 0), extent - 1);
    }
    out[n] = at < 0 ? -1 : at * slice;
  }
  return out;
}

export function gatherNd(
  heap: Heap,
  x: Operand,
  indices: Operand,
  y: Operand,
  dims: readonly number[],
): void {
  const [count = 0, , slice = 0] = dims;
  if (count * slice === 0) return;
  const offsets = sliceOffsets(heap, indices, dims);
  const from = x.storage.offset / bytesOf(x.dtype);
  const to = y.storage.offset / bytesOf(y.dtype);
  const run: Run = moveBetween(x.dtype, y.dtype);
  for (let n = 0; n < count; n++)
    if ((offsets[n] as number) >= 0) run(heap, slice, to + n * slice, 1, from + (offsets[n] as number), 1);
}
