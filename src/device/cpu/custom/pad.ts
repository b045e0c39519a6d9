// Padding by the edge or by reflection: axis by axis each place of the output finds its place in the input; the input's own part of the last axis is copied in a run.
import { bytesOf } from '../../../core/dtype.ts';
import { stridesOf } from '../../../core/shape.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween } from '../convert.ts';
import type { Heap } from '../heap.ts';

/** Where place `i` beside an axis of `extent` elements is read. */
function sourcePlace(i: number, extent: number, reflect: boolean): number {
  if (!reflect || extent === 1) return i < 0 ? 0 : extent - 1;
  const period = 2 * (extent - 1);
  const r = ((i % period) + period) % period;
  return r < extent ? r : period - r;
}

export function pad(heap: Heap, x: Operand, y: Operand, dims: readonly number[]): void {
  const [mode = 0, ndim = 0] = dims;
  const part = (k: number): readonly number[] => dims.slice(2 + k * ndim, 2 + (k + 1) * ndim);
  const [extents, before, out] = [part(0), part(1), part(2)] as const;
  if (extents.includes(0)) return;
  const [inSteps, outSteps] = [stridesOf(extents), stridesOf(out)];
  const move = moveBetween(x.dtype, y.dtype);
  const fill = (axis: number, from: number, to: number): void => {
    const extent = extents[axis] ?? 1;
    const end = out[axis] ?? 1;
    const lead = before[axis] ?? 0;
    const last = axis >= ndim - 1;
    for (let c = 0; c < end; ) {
      const i = c - lead;
      const inside = i >= 0 && i < extent;
      const a = inside ? i : sourcePlace(i, extent, mode === 1);
      const n = inside && last ? Math.min(extent - i, end - c) : 1;
      if (last) move(heap, n, to + c, 1, from + a, 1);
      else fill(axis + 1, from + a * (inSteps[axis] as number), to + c * (outSteps[axis] as number));
      c += n;
    }
  };
  fill(0, x.storage.offset / bytesOf(x.dtype), y.storage.offset / bytesOf(y.dtype));
}
