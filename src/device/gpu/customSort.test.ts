// Sorting on a real WebGPU implementation, against JavaScript's own stable sort.
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

const GPU_DTYPES: readonly DType[] = ['float32', 'float16', 'int32', 'uint32', 'int8', 'uint8', 'bool'];

/** The order of `sort` in ir/kernel.ts: NaN greatest, both zeros alike. */
function compare(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Many ties, and whatever is special in a dtype. */
function values(n: number, dtype: DType): number[] {
  const special: Partial<Record<DType, number[]>> = {
    float32: [NaN, Infinity, -Infinity, 0, -0, 3.4e38, -3.4e38, 1e-30, -NaN],
    float16: [NaN, Infinity, -Infinity, 0, -0, 65504, -65504, 6e-8],
    int32: [2147483647, -2147483648, -1, 0],
    uint32: [4294967295, 2147483648, 2147483647, 0],
    int8: [127, -128, -1, 0],
    uint8: [255, 128, 127, 0],
  };
  const own = special[dtype] ?? [];
  const given = Array.from({ length: n }, (_, i) => {
    const k = (i * 7919 + 13) % 97;
    if (k < own.length) return own[k] ?? 0;
    return dtype === 'bool' ? k & 1 : dtype.startsWith('u') ? k % 19 : (k % 19) - 9;
  });
  return decode(encode(given, dtype), dtype);
}

async function check(
  rows: number,
  length: number,
  dtype: DType,
  descending: boolean,
  placesType: DType,
): Promise<void> {
  const xs = values(rows * length, dtype);
  const x = gpu.array([rows, length], dtype, xs);
  const y = gpu.array([rows, length], dtype);
  const places = gpu.array([rows, length], placesType);
  lowerCustom(gpu, customKernel('sort'), [x], [y, places], [rows, length, descending ? 1 : 0], []);
  const wantValues: number[] = [];
  const wantPlaces: number[] = [];
  for (let r = 0; r < rows; r++) {
    const row = xs.slice(r * length, (r + 1) * length);
    const order = row
      .map((_, i) => i)
      .sort((a, b) => compare(row[a] ?? 0, row[b] ?? 0) * (descending ? -1 : 1) || a - b);
    wantPlaces.push(...order);
    wantValues.push(...order.map((i) => row[i] ?? 0));
  }
  const [gotValues, gotPlaces] = await gpu.read(y, places);
  const what = `${rows}×${length} ${dtype} ${descending ? 'descending' : 'ascending'}`;
  expect(gotPlaces, what).toEqual(wantPlaces);
  expect(gotValues, what).toEqual(wantValues);
}

describe('sort', () => {
  test('short rows of every dtype, both ways', async () => {
    for (const dtype of GPU_DTYPES)
      for (const descending of [false, true]) {
        await check(3, 33, dtype, descending, 'int32');
        await check(5, 1, dtype, descending, 'float32');
      }
  });

  test('rows by blocks and merges, of every dtype', async () => {
    for (const dtype of GPU_DTYPES) {
      await check(3, 129, dtype, false, 'float32');
      await check(2, 301, dtype, true, 'int32');
    }
  });

  test('lengths around powers of the block, and one long row', async () => {
    for (const length of [48, 49, 63, 64, 65, 127, 128, 160, 255, 256, 257, 512, 513])
      await check(2, length, 'float32', false, 'int32');
    await check(1, 5000, 'float32', true, 'int32');
  });

  test('with the blocks of hardware', async () => {
    gpu.traits = { ...usual, software: false };
    await check(2, 500, 'int32', false, 'int32');
    await check(2, 600, 'float32', true, 'int32');
  });

  test('places may be packed too', async () => {
    await check(2, 30, 'float32', false, 'uint8');
  });

  test('no rows, no elements', () => {
    const before = gpu.dispatches;
    for (const [rows, length] of [
      [0, 5],
      [5, 0],
    ] as const)
      lowerCustom(
        gpu,
        customKernel('sort'),
        [gpu.array([rows, length], 'float32')],
        [gpu.array([rows, length], 'float32'), gpu.array([rows, length], 'int32')],
        [rows, length, 0],
        [],
      );
    expect(gpu.dispatches).toBe(before);
  });
});
