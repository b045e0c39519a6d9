// Whatever threads were at when one of them stopped: for each of their jobs a worker that takes one tile of it and never comes back. The call is computed again,
// everything after it on one thread, and all bits are those of one thread.
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cpu, setNumThreads } from 'webgluon';
import type { CpuDevice } from '../../src/device/cpu/cpuDevice.ts';
import { CLAIM, JOB, JOBS, type Start } from '../../src/device/cpu/threads/cells.ts';
import type { Thread } from '../../src/device/cpu/threads/start.ts';
import { deviceOf } from '../../src/device/registry.ts';
import { allFamilies, bitsOf, FAMILIES } from './families.ts';

/** A worker that waits for a job, claims one of its tiles and stops. */
const faulty =
  (job: number) =>
  (start: Start): Thread => {
    const text = `
      import { parentPort, workerData } from 'node:worker_threads';
      const { memory, cells } = workerData;
      const cell = new Int32Array(memory.buffer, cells, 16);
      parentPort.postMessage('ready');
      for (;;) {
        const claim = Atomics.load(cell, ${CLAIM});
        if ((claim & 0xffff) < claim >>> 16 && Atomics.load(cell, ${JOB}) === ${job} &&
          Atomics.compareExchange(cell, ${CLAIM}, claim, claim + 1) === claim) break;
      }
      for (;;);`;
    const { memory, cells } = start;
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(text)}`), {
      workerData: { memory, cells },
    });
    worker.unref();
    const ready = new Promise<boolean>((resolve) => {
      worker.on('message', () => resolve(true));
      worker.on('error', () => resolve(false));
    });
    return { ready, end: () => void worker.terminate() };
  };

const device = deviceOf(cpu()) as CpuDevice;
let one: Readonly<Record<string, string>> = {};
beforeAll(async () => {
  one = await allFamilies();
});
afterAll(async () => {
  await setNumThreads(1);
});

/** Families whose work is that job; of a job that is not listed, any may be. */
const OF_JOB: Readonly<Record<string, readonly string[]>> = {
  productTile: ['convolution 3×3'],
  thinTile: ['thin products', 'dot of a vector'],
  stepsTile: ['many small matrices'],
  depthwiseTile: ['depthwise', 'depthwise, stride 2'],
  depthwiseWeightTile: ['depthwise', 'depthwise, two filters'],
  poolTile: ['pooling of large pictures'],
  poolSpreadTile: ['average pooling', 'sum pooling, rounded up'],
  poolMaxGradTile: ['max pooling', 'max pooling 3×3'],
  runTile: ['softmax', 'elementwise chain', 'adam'],
};

test.each(JOBS.map((name, i) => [name, i] as const))('%s', { timeout: 60_000 }, async (name, job) => {
  expect(await device.setNumThreads(2, faulty(job))).toBe(2);
  const families = OF_JOB[name] ?? FAMILIES;
  const lost = (): boolean => device.numThreads === 1;
  // until a tile of the job was taken: on a busy machine the worker comes late for most of them
  for (const end = performance.now() + 40_000; !lost() && performance.now() < end; )
    for (const family of families) expect(await bitsOf(family), family).toBe(one[family]);
  expect(lost()).toBe(true);
  for (const family of [...families, 'layer norm', 'dot', 'sgd'])
    expect(await bitsOf(family), family).toBe(one[family]);
});
