// Softmax of few numbers, a class list's or an attention's of a toy: the digits that rowCall.ts gives, without its steps for each row.
import type { Heap } from './heap.ts';
import type { Loop } from './loops/loop.ts';
import { foldOf } from './reduce.ts';

/** Softmax of `rows` rows of `n` float32 at `from`, `step` apart, to `to` (in elements), by a loop for exp. */
export function smallSoftmax(
  heap: Heap,
  exp: Loop,
  rows: number,
  n: number,
  from: number,
  step: number,
  to: number,
): void {
  const { f32 } = heap;
  const greatest = foldOf(heap, 'f32', 'max');
  const sum = foldOf(heap, 'f32', 'sum');
  for (let r = 0, o = to; r < rows; r++, from += step) {
    const top = greatest(f32, n, from, 1, Number.NEGATIVE_INFINITY);
    for (let i = 0; i < n; i++) f32[o++] = (f32[from + i] as number) - top;
  }
  exp(f32, rows * n, to, to, 1, 0, 0, 0, 0);
  for (let r = 0; r < rows; r++) {
    const share = Math.fround(1 / sum(f32, n, to, 1, 0));
    for (let i = 0; i < n; i++, to++) f32[to] = (f32[to] as number) * share;
  }
}
