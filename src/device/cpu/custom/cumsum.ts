// Running sums along an axis, kept in doubles (integers modulo 2³²) and rounded as they are written.
import { bytesOf, computeTypeOf } from '../../../core/dtype.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween } from '../convert.ts';
import type { Heap } from '../heap.ts';
import { NATIVE, widthOf } from '../program.ts';
import type { Temporaries } from '../temporaries.ts';

export function cumsum(
  heap: Heap,
  temporaries: Temporaries,
  x: Operand,
  y: Operand,
  dims: readonly number[],
): void {
  const [outer = 0, length = 0, inner = 0, exclusive = 0, reverse = 0] = dims;
  const size = outer * length * inner;
  if (size === 0) return;
  const type = computeTypeOf(x.dtype);
  const native = NATIVE[type];
  const width = widthOf(type);
  let from = x.storage.offset / bytesOf(x.dtype);
  const final = y.storage.offset / bytesOf(y.dtype);
  let to = final;
  if (x.dtype !== native) {
    const at = temporaries.take(size * width) / width;
    moveBetween(x.dtype, native)(heap, size, at, 1, from, 1);
    from = at;
  }
  if (y.dtype !== native) to = temporaries.take(size * width) / width;
  const m = heap[type];
  const integers = type === 'i32' || type === 'u32';
  const sums = new Float64Array(inner);
  for (let o = 0; o < outer; o++) {
    sums.fill(0);
    for (let step = 0; step < length; step++) {
      const l = reverse !== 0 ? length - 1 - step : step;
      const at = (o * length + l) * inner;
      for (let i = 0; i < inner; i++) {
        const before = sums[i] as number;
        const sum = before + (m[from + at + i] as number);
        sums[i] = integers ? sum | 0 : sum;
        m[to + at + i] = exclusive !== 0 ? before : sum;
      }
    }
  }
  if (y.dtype !== native) moveBetween(native, y.dtype)(heap, size, final, 1, to, 1);
  temporaries.release();
}
