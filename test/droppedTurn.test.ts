// Arrays that are made and dropped within one turn, with nothing awaited between: the net below them is made at the turn's end.
import { expect, test } from 'vitest';
import { cpu, memoryInfo, type NDArray, nd } from 'webgluon';
import { collectGarbage } from './heap.ts';

const arrays = (): number => memoryInfo(cpu()).arrays;

/** Makes arrays that only what is returned still refers to: every `every`-th. */
function drop(count: number, every: number): NDArray[] {
  const held: NDArray[] = [];
  for (let i = 0; i < count; i++) {
    const x = nd.full([2], i, { ctx: cpu() });
    if (i % every === 0) held.push(x);
    // half of the others are given back at once
    else if (i % 2 === 1) x.dispose();
  }
  return held;
}

test.each([1, 2, 255, 256, 257, 1100])('%i arrays of one turn come back, those held stay', async (count) => {
  await collectGarbage();
  const before = arrays();
  const held = drop(count, 10);
  expect(held.length).toBe(Math.ceil(count / 10));
  await collectGarbage();
  expect(arrays() - before).toBe(Math.ceil(count / 10));
  expect(await Promise.all(held.splice(0).map((x) => x.data()))).toEqual(
    Array.from({ length: Math.ceil(count / 10) }, (_, i) => new Float32Array(2).fill(10 * i)),
  );
  await collectGarbage();
  expect(arrays()).toBe(before);
});

test('what a scope lets out comes back as well', async () => {
  await collectGarbage();
  const before = arrays();
  const make = (): void => {
    const x = nd.scope(() => nd.ones([3], { ctx: cpu() }).add(1).mul(2));
    expect(arrays() - before).toBe(1);
    expect(x.isDisposed).toBe(false);
  };
  make();
  await collectGarbage();
  expect(arrays()).toBe(before);
});
