// Writing by index: scatterNd and scatterAddNd, in ascending n, so that results repeat.
import type { ComputeType } from '../../../core/dtype.ts';
import { bytesOf, computeTypeOf } from '../../../core/dtype.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween } from '../convert.ts';
import type { Heap } from '../heap.ts';
import { LOOPS } from '../loops/tables.ts';
import { NATIVE, widthOf } from '../program.ts';
import type { Temporaries } from '../temporaries.ts';
import { sliceOffsets } from './gather.ts';

export function scatterNd(
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
  const run = moveBetween(x.dtype, y.dtype);
  for (let n = 0; n < count; n++)
    if ((offsets[n] as number) >= 0) run(heap, slice, to + (offsets[n] as number), 1, from + n * slice, 1);
}

export function scatterAddNd(
  heap: Heap,
  temporaries: Temporaries,
  x: Operand,
  indices: Operand,
  y: Operand,
  dims: readonly number[],
): void {
  const [count = 0, , slice = 0] = dims;
  if (count * slice === 0) return;
  const type: ComputeType = computeTypeOf(y.dtype);
  const width = widthOf(type);
  const native = NATIVE[type];
  const offsets = sliceOffsets(heap, indices, dims);
  const from = x.storage.offset / bytesOf(x.dtype);
  const to = y.storage.offset / bytesOf(y.dtype);
  if (x.dtype === native && y.dtype === native) {
    const add = LOOPS[type].binary.add;
    const m = heap[type];
    for (let n = 0; n < count; n++) {
      const at = to + (offsets[n] as number);
      if ((offsets[n] as number) >= 0) add(m, slice, at, at, 1, from + n * slice, 1, 0, 0);
    }
    return;
  }
  const loadX = moveBetween(x.dtype, native);
  const loadY = moveBetween(y.dtype, native);
  const store = moveBetween(native, y.dtype);
  const row = temporaries.take(2 * slice * width) / width;
  const m = heap[type];
  for (let n = 0; n < count; n++) {
    if ((offsets[n] as number) < 0) continue;
    const at = to + (offsets[n] as number);
    loadX(heap, slice, row, 1, from + n * slice, 1);
    loadY(heap, slice, row + slice, 1, at, 1);
    LOOPS[type].binary.add(m, slice, row, row, 1, row + slice, 1, 0, 0);
    store(heap, slice, at, 1, row, 1);
  }
  temporaries.release();
}
