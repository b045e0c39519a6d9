// Running sums on a real WebGPU implementation, against plain loops.
import { afterEach, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { customKernel } from '../../ir/kernel.ts';
import { lowerCustom } from './custom.ts';
import { decode, encode, testGpu } from './testSink.ts';

const gpu = await testGpu();
const usual = gpu.traits;
afterEach(() => {
  gpu.traits = usual;
  gpu.clear();
});

/** Whole numbers that sum without rounding in every dtype, packed ones modulo their width. */
const numbers = (n: number, dtype: DType): number[] =>
  Array.from({ length: n }, (_, i) =>
    dtype === 'bool' ? ((i * 5) % 7) & 1 : ((i * 37 + 11) % 10) - (dtype.startsWith('u') ? 0 : 4),
  );

async function check(
  [outer, length, inner]: readonly [number, number, number],
  from: DType,
  to: DType,
  exclusive: boolean,
  reverse: boolean,
): Promise<number> {
  const before = gpu.dispatches;
  const xs = numbers(outer * length * inner, from);
  const y = gpu.array([outer, length, inner], to);
  lowerCustom(
    gpu,
    customKernel('cumsum'),
    [gpu.array([outer, length, inner], from, xs)],
    [y],
    [outer, length, inner, exclusive ? 1 : 0, reverse ? 1 : 0],
    [],
  );
  const want = new Array<number>(xs.length).fill(0);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      let sum = 0;
      for (let t = 0; t < length; t++) {
        const at = (o * length + (reverse ? length - 1 - t : t)) * inner + i;
        const next = sum + (xs[at] ?? 0);
        want[at] = exclusive ? sum : next;
        sum = next;
      }
    }
  const what = `${outer}×${length}×${inner} ${from}>${to} exclusive ${exclusive} reverse ${reverse}`;
  expect((await gpu.read(y))[0], what).toEqual(decode(encode(want, to), to));
  return gpu.dispatches - before;
}

describe('cumsum', () => {
  const dtypes: readonly DType[] = ['float32', 'float16', 'int32', 'uint32', 'int8', 'uint8'];

  test('every dtype, all directions', async () => {
    for (const dtype of dtypes)
      for (const exclusive of [false, true])
        for (const reverse of [false, true]) {
          await check([2, 7, 3], dtype, dtype, exclusive, reverse);
          await check([1, 13, 1], dtype, dtype, exclusive, reverse);
        }
  });

  test('wider than what is summed', async () => {
    await check([2, 9, 3], 'bool', 'float32', false, false);
    await check([2, 90, 3], 'uint8', 'int32', false, true);
    await check([2, 90, 3], 'int8', 'float32', true, false);
  });

  test('long rows by chunks', async () => {
    for (const exclusive of [false, true])
      for (const reverse of [false, true]) {
        // one pass over sums
        expect(await check([2, 1000, 3], 'int32', 'int32', exclusive, reverse)).toBe(3);
      }
    // sums of sums
    expect(await check([1, 40_000, 1], 'float32', 'float32', false, false)).toBe(5);
    expect(await check([1, 1000, 1], 'uint8', 'uint8', false, false)).toBe(4);
  });

  test('no elements', async () => {
    expect(await check([2, 0, 3], 'float32', 'float32', false, false)).toBe(0);
  });
});
