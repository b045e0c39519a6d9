// Threads: every tile is computed once, results are bit for bit those of one thread, and whatever befalls a worker ends in one thread with the right
// numbers and the arrays as they were.
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { productKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import type { ProductJob } from '../product/layout.ts';
import { empty, get, put, randomStream, SIMD_FORMS } from '../testReference.ts';
import { cut } from './pool.ts';
import { FAULTS, faulty, untilLost } from './testFaults.ts';

const random = randomStream(9);
const numbers = (n: number): number[] => Array.from({ length: n }, () => Math.fround(random() - 0.5));

describe('tiles', () => {
  test('cover every product once, and little work has none', () => {
    for (let round = 0; round < 2000; round++) {
      const one = (): number => 1 + Math.floor(2 ** (random() * 11));
      const [batch, M, N, K] = [random() < 0.5 ? 1 : one(), one(), one(), one()];
      const threads = 1 + Math.floor(random() * 8);
      const job = (['productTile', 'thinTile', 'stepsTile'] as const)[Math.floor(random() * 3)] as ProductJob;
      const tiles = cut(job, random() < 0.5, batch, M, N, K, threads);
      if (tiles === null) continue;
      const label = `${[job, batch, M, N, K, threads]}`;
      expect(batch * M * N * K, label).toBeGreaterThanOrEqual(2 ** 18);
      expect(threads).toBeGreaterThan(1);
      const { tileRows, tileColumns, across, tiles: each, matrices } = tiles;
      // what a strip, a pair of rows or four columns compute together stays together
      if (each > 1) {
        expect([tileRows % (job === 'productTile' ? 6 : 2), tileColumns % 8, matrices], label).toEqual([
          0, 0, 1,
        ]);
        expect(job).not.toBe('stepsTile');
      }
      const down = each / across;
      expect((down - 1) * tileRows < M && down * tileRows >= M, label).toBe(true);
      expect((across - 1) * tileColumns < N && across * tileColumns >= N, label).toBe(true);
      expect(each * Math.ceil(batch / matrices), label).toBeLessThan(2 ** 16);
    }
    expect(cut('productTile', false, 1, 8, 8, 8, 4)).toBeNull();
    expect(cut('productTile', false, 1, 512, 512, 512, 2)).not.toBeNull();
    // no tile takes long
    expect(cut('productTile', false, 1, 8192, 8192, 8192, 2)?.tiles).toBeGreaterThan(1000);
    expect(cut('thinTile', true, 1, 1, 1024, 1024, 2)).toMatchObject({ tileColumns: 512, tiles: 2 });
  });
});

/** A few products on a device, as bytes; the same numbers for every device. */
function products(device: CpuDevice): string {
  const stream = randomStream(31);
  const values = (n: number): number[] => Array.from({ length: n }, () => Math.fround(stream() - 0.5));
  const run = (
    form: 'matmul' | 'conv' | 'convGradData' | 'convGradWeight',
    dims: number[],
    sizes: readonly [number, number, number],
    options: Parameters<typeof productKernel>[2] = {},
  ): string => {
    const counts = options.bias === 'n' ? [sizes[0], sizes[1], dims[2] ?? 0] : sizes.slice(0, 2);
    const inputs = counts.map((n) => put(device, 'float32', [n], values(n)));
    const c = empty(device, 'float32', [sizes[2]]);
    device.run(productKernel('p', form, options), inputs, [c], dims, []);
    const bytes = device.readSync({ storage: c.storage, at: 0, bytes: sizes[2] * 4 });
    for (const x of [...inputs, c]) device.free(x.storage);
    return createHash('sha256').update(new Uint8Array(bytes)).digest('hex');
  };
  const conv = [4, 8, 20, 1, 1, 30, 31, 1, 28, 29, 1, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0];
  const [x, w, y] = [4 * 8 * 30 * 31, 20 * 8 * 9, 4 * 20 * 28 * 29];
  return [
    run('matmul', [1, 130, 301, 270, 0, 0], [130 * 270, 270 * 301, 130 * 301]),
    run('matmul', [3, 100, 90, 80, 8000, 0], [3 * 8000, 7200, 27000]),
    run('matmul', [1, 20, 9, 4000, 0, 0], [80000, 36000, 180]),
    ...[false, true].flatMap((transposeB) =>
      [
        [1, 1, 1301, 410],
        [1, 5, 1030, 111],
        [1, 501, 1, 1100],
        [1, 300, 700, 3],
        [9, 13, 100, 50],
        [300, 13, 15, 10],
      ].map(([batch = 0, M = 0, N = 0, K = 0]) =>
        run('matmul', [batch, M, N, K, M * K, K * N], [batch * M * K, batch * K * N, batch * M * N], {
          transposeB,
          bias: 'n',
        }),
      ),
    ),
    run('conv', conv, [x, w, y]),
    run('convGradData', conv, [y, w, x]),
    run('convGradWeight', conv, [y, x, w]),
  ].join();
}

const open: CpuDevice[] = [];
function device(options: ConstructorParameters<typeof CpuDevice>[0] = {}): CpuDevice {
  const made = new CpuDevice(options);
  open.push(made);
  return made;
}
afterEach(async () => {
  for (const made of open.splice(0)) await made.dispose();
});

describe('results', () => {
  test.each(SIMD_FORMS)('are the same for 1, 2 and 4 threads: %s', async (simd) => {
    const one = products(device({ simd }));
    for (const threads of [2, 4]) {
      const many = device({ simd });
      expect(await many.setNumThreads(threads)).toBe(threads);
      for (let round = 0; round < 5; round++) expect(products(many)).toBe(one);
      expect(many.numThreads).toBe(threads);
    }
  });

  test('arrays survive the change of memory, forth and back', async () => {
    const cpu = device();
    const values = numbers(5000);
    const x = put(cpu, 'float32', [5000], values);
    expect(await cpu.setNumThreads(2)).toBe(2);
    expect(get(cpu, x)).toEqual(values);
    // growth of the shared memory
    const big = put(cpu, 'float32', [2 ** 23], new Array<number>(2 ** 23).fill(1));
    expect(get(cpu, x)).toEqual(values);
    expect(products(cpu)).toBe(products(device()));
    cpu.free(big.storage);
    expect(await cpu.setNumThreads(3)).toBe(3);
    expect(products(cpu)).toBe(products(device()));
    expect(await cpu.setNumThreads(1)).toBe(1);
    expect(get(cpu, x)).toEqual(values);
    expect(products(cpu)).toBe(products(device()));
  });

  test('0 means as many as there are cores', async () => {
    const cpu = device();
    expect(await cpu.setNumThreads(0)).toBe(cpu.numThreads);
  });
});

describe('faults', () => {
  test.each(FAULTS)('%s', async (_, text) => {
    const cpu = device();
    const values = numbers(1000);
    const x = put(cpu, 'float32', [1000], values);
    expect(await cpu.setNumThreads(2, faulty(text))).toBe(2);
    const want = products(device());
    untilLost(cpu, () => {
      expect(products(cpu)).toBe(want);
    });
    expect(cpu.numThreads).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(products(cpu)).toBe(want);
    expect(get(cpu, x)).toEqual(values);
    // and threads can be had again
    expect(await cpu.setNumThreads(2)).toBe(2);
    expect(products(cpu)).toBe(want);
  });

  test('a worker that cannot start', async () => {
    const cpu = device();
    expect(await cpu.setNumThreads(2, () => ({ ready: Promise.resolve(false), end: () => {} }))).toBe(1);
    expect(
      await cpu.setNumThreads(2, () => {
        throw new Error('a policy');
      }),
    ).toBe(1);
    expect(products(cpu)).toBe(products(device()));
  });
});
