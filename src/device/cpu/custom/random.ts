// Random kernels: the numbers are MXNet's, drawn by core/random; here they only find their way into the heap.
import { bytesOf } from '../../../core/dtype.ts';
import { ArgumentError } from '../../../core/errors.ts';
import type { CpuGenerators } from '../../../core/random/mxnetCpu.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { toStored, viewOf } from '../convert.ts';
import type { Heap } from '../heap.ts';

export type RandomName = 'randomUniform' | 'randomNormal' | 'randomInt';

export function random(
  heap: Heap,
  generators: CpuGenerators,
  name: RandomName,
  y: Operand,
  scalars: readonly number[],
): void {
  const n = sizeOf(y.shape);
  if (n === 0) return;
  const [first = 0, second = 0] = scalars;
  const at = y.storage.offset / bytesOf(y.dtype);
  if (name === 'randomInt') {
    const draw = y.dtype === 'int32' ? heap.i32.subarray(at, at + n) : new Int32Array(n);
    generators.integers(draw, first, second);
    if (y.dtype !== 'int32') storeAll(heap, y, at, draw, false);
    return;
  }
  // float16 is MXNet's draw in float64, rounded to float32 and then to float16
  const draw =
    y.dtype === 'float32'
      ? heap.f32.subarray(at, at + n)
      : y.dtype === 'float64'
        ? heap.f64.subarray(at, at + n)
        : y.dtype === 'float16'
          ? new Float64Array(n)
          : undefined;
  if (draw === undefined)
    throw new ArgumentError(`expected a float output, received ${y.dtype}. Draw floats and convert them.`, {
      op: name,
    });
  if (name === 'randomUniform') generators.uniform(draw, first, second);
  else generators.normal(draw, first, second);
  if (y.dtype === 'float16') storeAll(heap, y, at, draw, true);
}

function storeAll(heap: Heap, y: Operand, at: number, values: ArrayLike<number>, fromFloat: boolean): void {
  const view: { [i: number]: number } = viewOf(heap, y.dtype);
  for (let i = 0; i < values.length; i++) view[at + i] = toStored(values[i] as number, y.dtype, fromFloat);
}
