// Gathers and scatters by indices on a real WebGPU implementation, against plain loops.
import { afterEach, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import { customKernel } from '../../ir/kernel.ts';
import { lowerCustom } from './custom.ts';
import { testGpu } from './testSink.ts';

const gpu = await testGpu();
const usual = gpu.traits;
afterEach(() => {
  gpu.traits = usual;
  gpu.clear();
});

const GPU_DTYPES: readonly DType[] = ['float32', 'float16', 'int32', 'uint32', 'int8', 'uint8', 'bool'];
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);
const numbers = (n: number, dtype: DType): number[] =>
  range(n).map((i) => (dtype === 'bool' ? ((i * 5) % 7) & 1 : (i * 37 + 11) % 127));

/** Repeatable numbers in [0, 1): a linear congruence. */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe('take', () => {
  const index = [0, 2, 4, -1, 7, 3, -6, 2];
  const wrapped = [0, 2, 4, 4, 2, 3, 4, 2];
  const clipped = [0, 2, 4, 0, 4, 3, 0, 2];

  test('every dtype, clipped and wrapped', async () => {
    for (const dtype of GPU_DTYPES)
      for (const [mode, places] of [
        [0, clipped],
        [1, wrapped],
      ] as const) {
        const xs = numbers(3 * 5 * 3, dtype);
        const x = gpu.array([3, 5, 3], dtype, xs);
        const y = gpu.array([3, 8, 3], dtype);
        lowerCustom(
          gpu,
          customKernel('take'),
          [x, gpu.array([8], 'int32', index)],
          [y],
          [3, 5, 3, 8, mode],
          [],
        );
        const [got] = await gpu.read(y);
        const want = range(72).map(
          (i) => xs[(Math.floor(i / 24) * 5 + (places[Math.floor(i / 3) % 8] ?? 0)) * 3 + (i % 3)],
        );
        expect(got, `${dtype} mode ${mode}`).toEqual(want);
      }
  });

  test('indices of every dtype, truncated', async () => {
    for (const dtype of GPU_DTYPES) {
      const given = dtype.startsWith('float')
        ? [1.9, -0.9, 3.5, 2]
        : dtype === 'bool'
          ? [1, 0, 1, 0]
          : [1, 0, 3, 2];
      const x = gpu.array([4], 'float32', [10, 11, 12, 13]);
      const y = gpu.array([4], 'float32');
      lowerCustom(gpu, customKernel('take'), [x, gpu.array([4], dtype, given)], [y], [1, 4, 1, 4, 0], []);
      expect((await gpu.read(y))[0], dtype).toEqual(given.map((v) => 10 + Math.trunc(v)));
    }
  });

  test('indices beyond all bounds clip', async () => {
    const x = gpu.array([4], 'float32', [10, 11, 12, 13]);
    for (const [dtype, given, want] of [
      ['float32', [Infinity, -Infinity, NaN, 3e9], [13, 10, 10, 13]],
      ['uint32', [4294967295, 2147483648, 2, 0], [13, 13, 12, 10]],
      ['int32', [2147483647, -2147483648, 2, 0], [13, 10, 12, 10]],
    ] as const) {
      const y = gpu.array([4], 'float32');
      lowerCustom(gpu, customKernel('take'), [x, gpu.array([4], dtype, given)], [y], [1, 4, 1, 4, 0], []);
      expect((await gpu.read(y))[0], dtype).toEqual(want);
    }
  });

  test('nothing to take', async () => {
    const before = gpu.dispatches;
    lowerCustom(
      gpu,
      customKernel('take'),
      [gpu.array([4], 'float32', [1, 2, 3, 4]), gpu.array([0], 'int32', [])],
      [gpu.array([0], 'float32')],
      [1, 4, 1, 0, 0],
      [],
    );
    expect(gpu.dispatches).toBe(before);
  });
});

describe('takeAlong', () => {
  test('each output element has its own index', async () => {
    for (const dtype of GPU_DTYPES) {
      const xs = numbers(2 * 4 * 3, dtype);
      const index = [0, 1, 2, 3, 2, 1, -1, 9, 0, 1, 1, 3];
      const y = gpu.array([2, 2, 3], dtype);
      lowerCustom(
        gpu,
        customKernel('takeAlong'),
        [gpu.array([2, 4, 3], dtype, xs), gpu.array([2, 2, 3], 'float32', index)],
        [y],
        [2, 4, 3, 2, 0],
        [],
      );
      const want = index.map(
        (k, e) => xs[(Math.floor(e / 6) * 4 + Math.min(3, Math.max(0, k))) * 3 + (e % 3)],
      );
      expect((await gpu.read(y))[0], dtype).toEqual(want);
    }
  });
});

describe('gatherNd', () => {
  test('slices by one, two and three indices', async () => {
    const shape = [3, 4, 2, 3];
    for (const dtype of GPU_DTYPES)
      for (const depth of [1, 2, 3]) {
        const xs = numbers(sizeOf(shape), dtype);
        const slice = sizeOf(shape.slice(depth));
        const count = 5;
        const index = [0, 2, -1, 1, 9, 3, 0, -4, -9, 1, 1, 0, -1, 1, 0].slice(0, depth * count);
        const y = gpu.array([count, slice], dtype);
        lowerCustom(
          gpu,
          customKernel('gatherNd'),
          [gpu.array(shape, dtype, xs), gpu.array([depth, count], 'int32', index)],
          [y],
          [count, depth, slice, ...shape.slice(0, depth)],
          [],
        );
        const want = range(count * slice).map((e) => {
          let cell = 0;
          for (let q = 0; q < depth; q++) {
            const extent = shape[q] ?? 1;
            const k = index[q * count + Math.floor(e / slice)] ?? 0;
            cell = cell * extent + Math.min(extent - 1, Math.max(0, k < 0 ? k + extent : k));
          }
          return xs[cell * slice + (e % slice)];
        });
        expect((await gpu.read(y))[0], `${dtype} ${depth}`).toEqual(want);
      }
  });
});

/** Cells for many writers: some places often, some never. */
function manyIndices(count: number, extents: readonly number[], seed: number): number[] {
  const next = generator(seed);
  return extents.flatMap((extent) => range(count).map(() => Math.floor(next() * next() * extent)));
}

function cellsOf(index: readonly number[], count: number, extents: readonly number[]): number[] {
  return range(count).map((n) =>
    extents.reduce((cell, extent, q) => {
      const k = index[q * count + n] ?? 0;
      return cell * extent + Math.min(extent - 1, Math.max(0, k < 0 ? k + extent : k));
    }, 0),
  );
}

describe('scatterNd', () => {
  test('the last of a few writers wins, the rest stays', async () => {
    for (const dtype of GPU_DTYPES) {
      const index = [1, 3, 1, -1, 1];
      const xs = numbers(15, dtype);
      const ys = numbers(18, dtype).reverse();
      const y = gpu.array([6, 3], dtype, ys);
      lowerCustom(
        gpu,
        customKernel('scatterNd'),
        [gpu.array([5, 3], dtype, xs), gpu.array([1, 5], 'int32', index)],
        [y],
        [5, 1, 3, 6],
        [],
      );
      const want = ys.slice();
      for (const [n, k] of [1, 3, 1, 5, 1].entries())
        for (let s = 0; s < 3; s++) want[k * 3 + s] = xs[n * 3 + s] ?? NaN;
      expect((await gpu.read(y))[0], dtype).toEqual(want);
    }
  });

  test('the last of many writers wins, the rest stays', async () => {
    for (const dtype of GPU_DTYPES) {
      const [count, slice, extents] = [300, 2, [7, 9]];
      const index = manyIndices(count, extents, 1);
      const xs = numbers(count * slice, dtype);
      const ys = numbers(63 * slice, dtype);
      const y = gpu.array([7, 9, slice], dtype, ys);
      lowerCustom(
        gpu,
        customKernel('scatterNd'),
        [gpu.array([count, slice], dtype, xs), gpu.array([2, count], 'float32', index)],
        [y],
        [count, 2, slice, ...extents],
        [],
      );
      const want = ys.slice();
      cellsOf(index, count, extents).forEach((c, n) => {
        for (let s = 0; s < slice; s++) want[c * slice + s] = xs[n * slice + s] ?? NaN;
      });
      expect((await gpu.read(y))[0], dtype).toEqual(want);
    }
  });
});

describe('scatterAddNd', () => {
  for (const [count, what] of [
    [40, 'a few writers'],
    [100, 'writers ordered by counting'],
    [700, 'writers ordered by merges'],
  ] as const)
    test(`${what}: in ascending order, to the bit`, async () => {
      for (const dtype of ['float32', 'int32', 'uint32'] as const) {
        const [slice, extents] = [3, [4, 5]];
        const index = manyIndices(count, extents, count);
        const next = generator(7);
        const value = (): number =>
          dtype === 'float32' ? Math.fround((next() - 0.5) * 10 ** (next() * 8)) : Math.floor(next() * 4e8);
        const xs = Array.from({ length: count * slice }, value);
        const ys = Array.from({ length: 20 * slice }, value);
        const y = gpu.array([4, 5, slice], dtype, ys);
        lowerCustom(
          gpu,
          customKernel('scatterAddNd'),
          [gpu.array([count, slice], dtype, xs), gpu.array([2, count], 'int32', index)],
          [y],
          [count, 2, slice, ...extents],
          [],
        );
        const want =
          dtype === 'float32'
            ? Float32Array.from(ys)
            : dtype === 'int32'
              ? Int32Array.from(ys)
              : Uint32Array.from(ys);
        cellsOf(index, count, extents).forEach((c, n) => {
          for (let s = 0; s < slice; s++)
            want[c * slice + s] = (want[c * slice + s] ?? 0) + (xs[n * slice + s] ?? 0);
        });
        expect((await gpu.read(y))[0], dtype).toEqual([...want]);
      }
    });
});
