// Loops written as in the crash course: nobody disposes of anything, values are awaited now and then. The memory of what was dropped comes back, and timers run.
import { expect, test, vi } from 'vitest';
import { cpu, memoryInfo, type NDArray, nd, OutOfMemoryError } from 'webgluon';
import { eachDevice } from './devices.ts';

eachDevice((ctx) => {
  test('arrays that nobody disposes of come back while values are awaited', {
    timeout: 120_000,
  }, async () => {
    const x = nd.ones([1024, 1024], { ctx });
    let most = 0;
    const steps = ctx.deviceType === 'cpu' ? 1600 : 600;
    for (let i = 0; i < steps; i++) {
      const y = x.add(1);
      if (i % 4 === 0) expect(await y.slice([0, 0], [1, 1]).asscalar()).toBe(2);
      most = Math.max(most, memoryInfo(ctx).bytesInUse);
    }
    // 6.7 or 2.5 GB were made; a collection is due for each 256 MiB, and may take a few frames
    expect(most).toBeLessThan(1.5 * 2 ** 30);
    // what is held is not touched
    expect(await x.sum().asscalar()).toBe(x.size);
  });
});

test('memory that is in use stays in use, however much it grows', async () => {
  const held = [];
  for (let i = 0; i < 24; i++) {
    held.push(nd.full([8, 1024, 1024], i, { ctx: cpu() }));
    await nd.waitall();
  }
  for (const [i, x] of held.entries()) {
    expect(await x.slice([7, 1023, 1023], [8, 1024, 1024]).asscalar()).toBe(i);
    x.dispose();
  }
});

test.each([
  ['values', async (): Promise<unknown> => nd.ones([2], { ctx: cpu() }).data()],
  ['waitall', nd.waitall],
])('timers run in a loop that awaits %s of the CPU', async (_, wait) => {
  let ticks = 0;
  const timer = setInterval(() => ticks++, 1);
  const end = performance.now() + 300;
  while (performance.now() < end) await wait();
  clearInterval(timer);
  expect(ticks).toBeGreaterThan(4);
});

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test.each([
  ['other tasks', tick],
  ['prints', (y: NDArray): Promise<void> => y.print()],
])('arrays that nobody disposes of come back while %s are awaited', { timeout: 120_000 }, async (_, wait) => {
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  const x = nd.ones([1024, 1024], { ctx: cpu() });
  let most = 0;
  for (let i = 0; i < 1600; i++) {
    await wait(x.add(1));
    most = Math.max(most, memoryInfo(cpu()).bytesInUse);
  }
  log.mockRestore();
  expect(most).toBeLessThan(1.5 * 2 ** 30);
});

test('after an OutOfMemoryError the next turns have what was dropped', async () => {
  const fill = (): void => {
    const held: NDArray[] = [];
    for (;;) held.push(nd.empty([2 ** 26], { ctx: cpu() }));
  };
  for (let round = 0; round < 4; round++) {
    expect(fill).toThrow(OutOfMemoryError);
    await vi.waitFor(() => expect(memoryInfo(cpu()).bytesInUse).toBeLessThan(2 ** 30), 5000);
  }
});

test('reads of one turn finish in the order of their calls', async () => {
  const order: number[] = [];
  // a frame has passed, so that one of the reads gives way
  await new Promise((resolve) => setTimeout(resolve, 30));
  await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      nd
        .full([1], i, { ctx: cpu() })
        .asscalar()
        .then((v) => order.push(v)),
    ),
  );
  expect(order).toEqual(Array.from({ length: 20 }, (_, i) => i));
});
