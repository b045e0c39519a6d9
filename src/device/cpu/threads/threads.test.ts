// Threads: every tile is computed once, results are bit for bit those of one thread, and whatever befalls a worker ends in one thread with the right
// numbers and the arrays as they were.
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import { productKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { empty, get, put, randomStream, SIMD_FORMS } from '../testReference.ts';
import type { Start } from './cells.ts';
import { cut } from './pool.ts';
import type { Thread } from './start.ts';

const random = randomStream(9);
const numbers = (n: number): number[] => Array.from({ length: n }, () => Math.fround(random() - 0.5));

describe('tiles', () => {
  test('cover a product once, and small products have none', () => {
    for (let round = 0; round < 400; round++) {
      const one = (): number => 1 + Math.floor(2 ** (random() * 11));
      const [M, N, K] = [one(), one(), one()];
      const threads = 1 + Math.floor(random() * 8);
      const tiles = cut(M, N, K, threads);
      if (tiles === null) continue;
      expect(M * N * K).toBeGreaterThanOrEqual(2 ** 19);
      expect(threads).toBeGreaterThan(1);
      const { tileRows, tileColumns, down, across } = tiles;
      expect(tileRows % 6).toBe(0);
      expect(tileColumns % 8).toBe(0);
      expect((down - 1) * tileRows < M && down * tileRows >= M, `${[M, N, K, threads]}`).toBe(true);
      expect((across - 1) * tileColumns < N && across * tileColumns >= N, `${[M, N, K, threads]}`).toBe(true);
    }
    expect(cut(8, 8, 8, 4)).toBeNull();
    expect(cut(512, 512, 512, 2)).not.toBeNull();
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
  ): string => {
    const a = put(device, 'float32', [sizes[0]], values(sizes[0]));
    const b = put(device, 'float32', [sizes[1]], values(sizes[1]));
    const c = empty(device, 'float32', [sizes[2]]);
    device.run(productKernel('p', form), [a, b], [c], dims, []);
    const bytes = device.readSync({ storage: c.storage, at: 0, bytes: sizes[2] * 4 });
    for (const x of [a, b, c]) device.free(x.storage);
    return createHash('sha256').update(new Uint8Array(bytes)).digest('hex');
  };
  const conv = [4, 8, 20, 1, 1, 30, 31, 1, 28, 29, 1, 3, 3, 1, 1, 1, 1, 1, 1, 0, 0, 0];
  const [x, w, y] = [4 * 8 * 30 * 31, 20 * 8 * 9, 4 * 20 * 28 * 29];
  return [
    run('matmul', [1, 130, 301, 270, 0, 0], [130 * 270, 270 * 301, 130 * 301]),
    run('matmul', [3, 100, 90, 80, 8000, 0], [3 * 8000, 7200, 27000]),
    run('matmul', [1, 20, 9, 4000, 0, 0], [80000, 36000, 180]),
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

/** A worker that runs `text` with the start message in `start`. */
async function worker(start: Start, text: string): Promise<Thread> {
  const { Worker } = await import('node:worker_threads');
  const made = new Worker(
    new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { parentPort } from 'node:worker_threads';
        parentPort.once('message', (start) => {
          const cell = new Int32Array(start.memory.buffer, start.cells, 16);
          parentPort.postMessage('ready');
          ${text}
        });`)}`,
    ),
  );
  made.unref();
  const ready = new Promise<boolean>((resolve) => {
    made.on('message', () => resolve(true));
    made.on('error', () => resolve(false));
  });
  made.postMessage(start);
  return { ready, end: () => void made.terminate() };
}

function faulty(text: string): (start: Start) => Thread {
  return (start) => {
    const made = worker(start, text);
    return {
      ready: made.then((thread) => thread.ready),
      end: () => void made.then((thread) => thread.end()),
    };
  };
}

const CLAIM_ONE = `
  for (;;) {
    const claim = Atomics.load(cell, 0);
    if ((claim & 0xffff) < claim >>> 16 && Atomics.compareExchange(cell, 0, claim, claim + 1) === claim) break;
  }`;

describe('faults', () => {
  test.each([
    ['a worker that claims a tile and stops', `${CLAIM_ONE} for (;;);`],
    ['a worker that claims a tile and dies', `${CLAIM_ONE} process.exit(1);`],
    [
      'a worker that comes back after it was given up',
      `${CLAIM_ONE} const end = performance.now() + 1300; while (performance.now() < end);
       new Uint8Array(start.memory.buffer).fill(255);`,
    ],
  ])('%s', async (_, text) => {
    const cpu = device();
    const values = numbers(1000);
    const x = put(cpu, 'float32', [1000], values);
    expect(await cpu.setNumThreads(2, faulty(text))).toBe(2);
    const want = products(device());
    // the worker may be late for the first product: then it takes its tile from a later one
    for (let round = 0; round < 50 && cpu.numThreads === 2; round++) expect(products(cpu)).toBe(want);
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
