// What fusion asks of a product: further inputs of the epilogue, the sums of A's rows as a second output, matrices inside larger arrays; on a software adapter
// and as a real GPU would do it (tiles in workgroup memory), in one pass and in two.
import { beforeAll, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { e } from '../../ir/expr.ts';
import { productKernel } from '../../ir/kernel.ts';
import type { GpuTraits } from './lowering.ts';
import { check, convProblem, matmulProblem, stridedProblem } from './testProduct.ts';
import type { TestGpu } from './testSink.ts';
import { testGpu } from './testSink.ts';

let gpu: TestGpu;
let real: GpuTraits;
beforeAll(async () => {
  gpu = await testGpu();
  real = { ...gpu.traits, software: false };
});
const both = (): GpuTraits[] => [gpu.traits, real];

describe('inputs of the epilogue', () => {
  // relu(sum)·e1 + e2 − e3·e4
  const epilogue = e.sub(
    e.add(e.mul(e.max(e.input(0), 0), e.input(1)), e.input(2)),
    e.mul(e.input(3), e.input(4)),
  );
  const ending = (x: number, a = 0, b = 0, c = 0, d = 0): number => Math.max(x, 0) * a + b - c * d;
  const kernel = productKernel('dense', 'matmul', {
    bias: 'n',
    epilogue,
    extras: ['n', 'full', 'm', 'one'],
  });

  test('of every shape, rows that end at a vec4 and rows that do not', async () => {
    for (const traits of both())
      for (const [m, n, k] of [
        [5, 7, 9],
        [8, 12, 16],
        [1, 4, 8],
      ] as const)
        await check(gpu, kernel, matmulProblem(m, n, k, { batch: 2 }), { traits, ending });
  });

  test('in whole tiles', async () => {
    await check(gpu, kernel, matmulProblem(32, 32, 16), { traits: real, ending, body: 'tiled' });
  });

  test('after a second pass: parts of k, and float16 rows that end inside a word', async () => {
    await check(gpu, kernel, matmulProblem(3, 5, 1024), { ending, splits: 4 });
    const half = productKernel('half', 'matmul', {
      epilogue: e.add(e.input(0), e.input(1)),
      extras: ['full'],
    });
    const add = (x: number, y = 0): number => x + y;
    for (const traits of both())
      for (const n of [5, 8])
        await check(gpu, half, matmulProblem(3, n, 4), { traits, dtype: 'float16', ending: add });
  });

  test('of convolutions: a residual and a factor per channel', async () => {
    const options = {
      epilogue: e.max(e.add(e.mul(e.input(0), e.input(2)), e.input(1)), 0),
      extras: ['full', 'm'],
    } as const;
    const residual = (x: number, r = 0, s = 0): number => Math.max(x * s + r, 0);
    const sizes = {
      images: 2,
      channels: 4,
      filters: 6,
      groups: 2,
      input: [5, 4],
      kernel: [3, 3],
      padding: [1, 1],
    };
    for (const traits of both())
      for (const form of ['conv', 'convGradData'] as const)
        for (const bias of ['none', 'm'] as const)
          await check(gpu, productKernel(form, form, { ...options, bias }), convProblem(form, sizes), {
            traits,
            ending: residual,
          });
    const weight = productKernel('gw', 'convGradWeight', {
      epilogue: e.mul(e.input(0), e.input(1)),
      extras: ['n'],
    });
    for (const traits of both())
      await check(gpu, weight, convProblem('convGradWeight', sizes), { traits, ending: (x, y = 0) => x * y });
  });
});

describe('sums of A’s rows', () => {
  const LAYOUTS = [
    { ta: false, tb: false },
    { ta: true, tb: false },
    { ta: false, tb: true },
  ];
  test.each(LAYOUTS)('of matrices, $ta $tb', async ({ ta, tb }) => {
    const kernel = productKernel('dot', 'matmul', { transposeA: ta, transposeB: tb, rowSum: true });
    for (const traits of both())
      for (const [m, n, k, batch] of [
        [5, 7, 9, 1],
        [40, 36, 20, 2],
        [1, 5, 6, 2],
        [13, 1, 70, 1],
      ] as const)
        await check(gpu, kernel, matmulProblem(m, n, k, { batch, ta, tb }), { traits });
  });

  test('in parts of k', async () => {
    const kernel = productKernel('dot', 'matmul', { transposeA: true, rowSum: true, bias: 'm' });
    await check(gpu, kernel, matmulProblem(6, 5, 1100, { ta: true, bias: 'm' }), { splits: 4 });
    await check(gpu, kernel, matmulProblem(5, 4, 4096, { ta: true, bias: 'm' }), {
      traits: real,
      splits: 128,
    });
  });

  test('of integers and of float16', async () => {
    const kernel = productKernel('dot', 'matmul', { rowSum: true });
    for (const dtype of ['int32', 'float16'] as DType[])
      for (const n of [3, 4]) await check(gpu, kernel, matmulProblem(5, n, 6), { dtype });
  });

  test('of a convolution’s gradient by weight: its bias’s gradient', async () => {
    const kernel = productKernel('gw', 'convGradWeight', { rowSum: true });
    for (const traits of both()) {
      const sizes = { images: 3, channels: 2, filters: 6, kernel: [3, 3], padding: [1, 1] };
      await check(gpu, kernel, convProblem('convGradWeight', { ...sizes, input: [6, 6] }), { traits });
      await check(gpu, kernel, convProblem('convGradWeight', { ...sizes, input: [5, 7], groups: 2 }), {
        traits,
      });
      await check(
        gpu,
        kernel,
        convProblem('convGradWeight', { ...sizes, images: 2, input: [20, 20], padding: [0, 0] }),
        { traits },
      );
    }
  });
});

describe('matrices inside larger arrays', () => {
  const LAYOUTS = [
    { ta: false, tb: false },
    { ta: false, tb: true },
    { ta: true, tb: false },
    { ta: true, tb: true },
  ];
  test.each(LAYOUTS)('attention’s heads, $ta $tb', async ({ ta, tb }) => {
    const kernel = productKernel('dot', 'matmul', {
      transposeA: ta,
      transposeB: tb,
      bias: 'n',
      epilogue: e.add(e.mul(e.input(0), e.scalar(0)), e.input(1)),
      extras: ['full'],
    });
    const ending = (x: number, y = 0): number => x * 0.5 + y;
    for (const traits of both())
      for (const [m, n, k, gap] of [
        [5, 3, 7, 1],
        [8, 4, 12, 0],
        [1, 4, 8, 4],
        [6, 1, 5, 2],
      ] as const)
        if (traits.software || m !== 6)
          await check(gpu, kernel, stridedProblem(2, 3, m, n, k, { ta, tb, gap }), {
            traits,
            ending,
            scalars: [0.5],
          });
  });

  test('long sums are not cut, and float16 goes through the plain order', async () => {
    const kernel = productKernel('dot', 'matmul');
    await check(gpu, kernel, stridedProblem(1, 2, 3, 3, 1024), { splits: 1 });
    for (const n of [3, 4])
      await check(gpu, kernel, stridedProblem(2, 2, 3, n, 5, { gap: n === 3 ? 1 : 0 }), { dtype: 'float16' });
  });
});

test('nothing to compute', async () => {
  const kernel = productKernel('dot', 'matmul', { rowSum: true });
  const before = gpu.dispatches;
  await check(gpu, kernel, matmulProblem(0, 3, 2));
  expect(gpu.dispatches).toBe(before);
});
