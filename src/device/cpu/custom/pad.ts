// Padding by the edge or by reflection: each axis gets a table from output to input places, the last axis is copied in runs.
import { bytesOf } from '../../../core/dtype.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween } from '../convert.ts';
import type { Heap } from '../heap.ts';

/** Where output place `c` lies along an axis of `extent` elements after `before` padded ones. */
function sourcePlace(c: number, before: number, extent: number, reflect: boolean): number {
  const i = c - before;
  if (i >= 0 && i < extent) return i;
  if (!reflect || extent === 1) return i < 0 ? 0 : extent - 1;
  const period = 2 * (extent - 1);
  const r = ((i % period) + period) % period;
  return r < extent ? r : period - r;
}

export function pad(heap: Heap, x: Operand, y: Operand, dims: readonly number[]): void {
  const [mode = 0, ndim = 0] = dims;
  const extents = dims.slice(2, 2 + ndim);
  const before = dims.slice(2 + ndim, 2 + 2 * ndim);
  const out = dims.slice(2 + 2 * ndim, 2 + 3 * ndim);
  if (out.some((d) => d === 0) || extents.some((d) => d === 0)) return;
  const from = x.storage.offset / bytesOf(x.dtype);
  const to = y.storage.offset / bytesOf(y.dtype);
  const move = moveBetween(x.dtype, y.dtype);
  if (ndim === 0) {
    move(heap, 1, to, 1, from, 1);
    return;
  }
  const tables = out.map((d, axis) =>
    Array.from({ length: d }, (_, c) =>
      sourcePlace(c, before[axis] as number, extents[axis] as number, mode === 1),
    ),
  );
  const last = ndim - 1;
  const inner = out[last] as number;
  const table = tables[last] as number[];
  // the part of a row that is the input's own, and what lies beside it
  const low = Math.min(inner, Math.max(0, before[last] as number));
  const high = Math.max(low, Math.min(inner, (before[last] as number) + (extents[last] as number)));
  const rows = out.slice(0, last).reduce((a, b) => a * b, 1);
  for (let row = 0; row < rows; row++) {
    let rest = row;
    let at = 0;
    let step = extents[last] as number;
    for (let axis = last - 1; axis >= 0; axis--) {
      const d = out[axis] as number;
      const c = rest % d;
      rest = (rest - c) / d;
      at += ((tables[axis] as number[])[c] as number) * step;
      step *= extents[axis] as number;
    }
    const a = from + at;
    const o = to + row * inner;
    for (let c = 0; c < low; c++) move(heap, 1, o + c, 1, a + (table[c] as number), 1);
    if (high > low) move(heap, high - low, o + low, 1, a + (table[low] as number), 1);
    for (let c = high; c < inner; c++) move(heap, 1, o + c, 1, a + (table[c] as number), 1);
  }
}
