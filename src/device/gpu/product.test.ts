// The product on a software adapter against plain loops in float64: every form and dtype, with shapes at the edges of tiles. The bodies for real
// GPUs: productTiled.test.ts.
import { beforeAll, describe, expect, test } from 'vitest';
import { DTypeError } from '../../core/errors.ts';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { ProductKernel } from '../../ir/kernel.ts';
import { productKernel } from '../../ir/kernel.ts';
import type { GpuTraits } from './lowering.ts';
import { chooseProduct, lowerProduct } from './product.ts';
import type { ConvSizes } from './testProduct.ts';
import { check, convProblem, get, matmulProblem, values } from './testProduct.ts';
import type { TestGpu } from './testSink.ts';
import { testGpu } from './testSink.ts';

let gpu: TestGpu;
let software: GpuTraits;
/** A large GPU's traits, as far as the plan looks at them. */
let real: GpuTraits;

beforeAll(async () => {
  gpu = await testGpu();
  software = gpu.traits;
  real = { ...software, software: false };
});

const matmul = productKernel('dot', 'matmul');
const LAYOUTS = [
  { ta: false, tb: false },
  { ta: false, tb: true },
  { ta: true, tb: false },
  { ta: true, tb: true },
] as const;
const kernelOf = ({ ta, tb }: { ta: boolean; tb: boolean }): ProductKernel =>
  productKernel('dot', 'matmul', { transposeA: ta, transposeB: tb });

describe('matrix products on a software adapter', () => {
  test.each(LAYOUTS)('all edges, $ta $tb', async (layout) => {
    for (const [m, n, k] of [
      [1, 1, 1],
      [3, 5, 17],
      [17, 1, 5],
      [1, 17, 5],
      [5, 65, 3],
      [65, 17, 65],
      [8, 8, 4],
      [16, 24, 32],
      [12, 20, 7],
      [9, 8, 16],
      [2, 4, 64],
    ] as const)
      await check(gpu, kernelOf(layout), matmulProblem(m, n, k, layout));
  });

  test('batches, and one matrix repeated over them', async () => {
    await check(gpu, matmul, matmulProblem(5, 7, 6, { batch: 3 }));
    await check(gpu, matmul, matmulProblem(5, 7, 6, { batch: 3, repeatA: true }));
    await check(gpu, matmul, matmulProblem(4, 8, 12, { batch: 4, repeatB: true }));
    // m·k not a multiple of 4: the second matrix does not begin at a vec4
    await check(gpu, kernelOf({ ta: false, tb: true }), matmulProblem(3, 3, 4, { batch: 2, tb: true }));
    await check(gpu, kernelOf({ ta: true, tb: false }), matmulProblem(4, 4, 3, { batch: 2, ta: true }));
  });

  test('no terms: the sum is 0, and bias and epilogue still apply', async () => {
    const kernel = productKernel('dense', 'matmul', { bias: 'n', epilogue: e.add(e.input(0), 1) });
    await check(gpu, kernel, matmulProblem(3, 5, 0), { ending: (sum) => sum + 1 });
    await check(gpu, kernel, matmulProblem(3, 5, 0), { ending: (sum) => sum + 1, traits: real });
    await check(gpu, matmul, matmulProblem(130, 132, 0), { traits: real });
  });

  test('nothing to compute dispatches nothing', async () => {
    const before = gpu.dispatches;
    for (const [m, n, batch] of [
      [0, 4, 1],
      [4, 0, 1],
      [4, 4, 0],
    ] as const)
      await check(gpu, matmul, matmulProblem(m, n, 3, { batch }));
    await check(gpu, matmul, matmulProblem(0, 4, 3), { traits: real });
    expect(gpu.dispatches).toBe(before);
  });

  test('bias per row and per column, epilogue with scalars', async () => {
    const clipped: Expr = e.min(e.max(e.mul(e.input(0), e.scalar(0)), e.scalar(1)), 0.5);
    const ending = (sum: number): number => Math.min(Math.max(sum * 0.25, -0.125), 0.5);
    for (const bias of ['m', 'n'] as const) {
      const kernel = productKernel('dense', 'matmul', { bias, epilogue: clipped });
      await check(gpu, kernel, matmulProblem(6, 9, 11, { bias, batch: 2 }), {
        scalars: [0.25, -0.125],
        ending,
      });
      await check(gpu, kernel, matmulProblem(6, 8, 12, { bias }), { scalars: [0.25, -0.125], ending });
    }
  });

  test('a long k is split, deterministically, and ended by the second pass', async () => {
    const kernel = productKernel('dense', 'matmul', { bias: 'm', epilogue: e.max(e.input(0), 0) });
    const problem = matmulProblem(5, 7, 3001, { bias: 'm' });
    expect(
      chooseProduct(kernel, problem.dims, ['float32', 'float32', 'float32', 'float32'], software).plan.splits,
    ).toBeGreaterThan(2);
    await check(gpu, kernel, problem, { ending: (sum) => Math.max(sum, 0) });
    await check(
      gpu,
      productKernel('dense', 'matmul', { bias: 'n' }),
      matmulProblem(3, 4, 1024, { batch: 3 }),
    );
    const a = gpu.array([5, 3001], 'float32', values(5 * 3001, 5));
    const b = gpu.array([3001, 7], 'float32', values(7 * 3001, 6));
    const outputs = [gpu.array([5, 7], 'float32'), gpu.array([5, 7], 'float32')] as const;
    for (const c of outputs) lowerProduct(gpu, matmul, [a, b], [c], [1, 5, 7, 3001, 0, 0], []);
    const [first, second] = await gpu.readBytes(...outputs);
    expect(first).toEqual(second);
  });

  test('more than 65535 small products', async () => {
    await check(gpu, matmul, matmulProblem(1, 2, 2, { batch: 70_000, repeatB: true }), {
      traits: { ...software, maxWorkgroups: 100 },
    });
  });

  test('the same array twice', async () => {
    const x = values(6 * 4, 9);
    const a = gpu.array([6, 4], 'float32', x);
    const c = gpu.array([6, 6], 'float32');
    lowerProduct(gpu, kernelOf({ ta: false, tb: true }), [a, a], [c], [1, 6, 6, 4, 0, 0], []);
    const [got = []] = await gpu.read(c);
    const wanted = matmulProblem(6, 6, 4, { tb: true }).reference(x, x);
    got.forEach((v, i) => {
      expect(Math.abs(v - get(wanted.value, i))).toBeLessThanOrEqual(6 * 2 ** -24 * get(wanted.magnitude, i));
    });
  });

  test('NaN and infinity go only where they belong', async () => {
    const a = [1, Number.NaN, 3, 4, 5, 6];
    const b = [1, 2, 3, Number.POSITIVE_INFINITY, 5, 6];
    const c = gpu.array([2, 2], 'float32');
    lowerProduct(
      gpu,
      matmul,
      [gpu.array([2, 3], 'float32', a), gpu.array([3, 2], 'float32', b)],
      [c],
      [1, 2, 2, 3, 0, 0],
      [],
    );
    const [got] = await gpu.read(c);
    expect(got).toEqual([Number.NaN, Number.NaN, 4 + 15 + 30, Number.POSITIVE_INFINITY]);
  });
});

describe('dtypes', () => {
  test.each(['float16', 'int32', 'uint32', 'int8', 'uint8', 'bool'] as const)(
    '%s, rows that end inside a word and rows that do not',
    async (dtype) => {
      for (const [m, n, k] of [
        [3, 5, 7],
        [4, 8, 12],
        [1, 1, 1],
        [5, 6, 9],
      ] as const)
        await check(gpu, matmul, matmulProblem(m, n, k), { dtype });
      await check(gpu, kernelOf({ ta: true, tb: true }), matmulProblem(4, 4, 8, { ta: true, tb: true }), {
        dtype,
      });
    },
  );

  test('bias in float16 and int32; wide results of narrow operands', async () => {
    await check(gpu, productKernel('dense', 'matmul', { bias: 'n' }), matmulProblem(3, 5, 7), {
      dtype: 'float16',
    });
    await check(gpu, productKernel('dense', 'matmul', { bias: 'm' }), matmulProblem(4, 8, 7, { bias: 'm' }), {
      dtype: 'int32',
    });
    await check(gpu, matmul, matmulProblem(3, 5, 7), { dtype: 'int8', output: 'int32' });
    await check(gpu, matmul, matmulProblem(4, 8, 8), { dtype: 'float16', output: 'float32' });
    await check(gpu, matmul, matmulProblem(3, 5, 2000), { dtype: 'int32' });
    await check(gpu, matmul, matmulProblem(40, 40, 40), { dtype: 'uint8', output: 'uint32', traits: real });
  });

  test('float64 is refused by name', () => {
    const a = gpu.array([2, 2], 'float64', [1, 2, 3, 4]);
    expect(() =>
      lowerProduct(gpu, matmul, [a, a], [gpu.array([2, 2], 'float64')], [1, 2, 2, 2, 0, 0], []),
    ).toThrow(DTypeError);
  });
});

const CONVOLUTIONS: readonly (readonly [string, ConvSizes])[] = [
  ['LeNet 1', { images: 2, channels: 1, filters: 6, input: [10, 10], kernel: [5, 5] }],
  ['LeNet 2', { images: 2, channels: 6, filters: 16, input: [6, 6], kernel: [3, 3] }],
  [
    'padding and stride',
    { images: 2, channels: 4, filters: 5, input: [9, 7], kernel: [3, 3], stride: [2, 2], padding: [1, 1] },
  ],
  ['stride beyond the window', { channels: 3, filters: 4, input: [11, 13], kernel: [2, 2], stride: [3, 5] }],
  [
    'dilation',
    { images: 2, channels: 2, filters: 3, input: [12, 9], kernel: [3, 2], dilation: [2, 3], padding: [2, 1] },
  ],
  [
    'groups',
    { images: 2, channels: 6, filters: 4, groups: 2, input: [5, 6], kernel: [3, 3], padding: [1, 1] },
  ],
  [
    'depthwise',
    { images: 2, channels: 5, filters: 5, groups: 5, input: [8, 8], kernel: [3, 3], padding: [1, 1] },
  ],
  [
    'depthwise, two filters each',
    { channels: 3, filters: 6, groups: 3, input: [6, 6], kernel: [3, 3], stride: [2, 1] },
  ],
  ['pointwise, whole vec4s', { images: 3, channels: 8, filters: 12, input: [4, 4], kernel: [1, 1] }],
  ['pointwise, odd', { images: 2, channels: 3, filters: 5, groups: 1, input: [3, 5], kernel: [1, 1] }],
  [
    'pointwise with stride',
    { images: 2, channels: 4, filters: 4, input: [6, 6], kernel: [1, 1], stride: [2, 2] },
  ],
  ['pointwise, groups', { images: 2, channels: 8, filters: 8, groups: 2, input: [2, 4], kernel: [1, 1] }],
  ['one axis', { images: 3, channels: 3, filters: 4, input: [17], kernel: [5], stride: [2], padding: [2] }],
  [
    'three axes',
    {
      images: 2,
      channels: 2,
      filters: 3,
      input: [4, 5, 6],
      kernel: [2, 3, 2],
      stride: [1, 2, 1],
      padding: [1, 1, 0],
      dilation: [1, 1, 2],
    },
  ],
  [
    'padding wider than the window',
    { channels: 2, filters: 2, input: [3, 3], kernel: [2, 2], padding: [3, 3] },
  ],
];

describe('convolutions on a software adapter', () => {
  test.each(CONVOLUTIONS)('%s', async (_, sizes) => {
    await check(gpu, productKernel('conv', 'conv'), convProblem('conv', sizes));
    await check(gpu, productKernel('conv', 'convGradData'), convProblem('convGradData', sizes));
    await check(gpu, productKernel('conv', 'convGradWeight'), convProblem('convGradWeight', sizes));
  });

  test('bias, epilogue, dtypes', async () => {
    const sizes: ConvSizes = {
      images: 2,
      channels: 4,
      filters: 6,
      groups: 2,
      input: [5, 5],
      kernel: [3, 3],
      padding: [1, 1],
    };
    const fused = { bias: 'm', epilogue: e.max(e.input(0), 0) } as const;
    const ending = (sum: number): number => Math.max(sum, 0);
    await check(gpu, productKernel('conv', 'conv', fused), convProblem('conv', sizes), { ending });
    await check(gpu, productKernel('conv', 'convGradData', fused), convProblem('convGradData', sizes), {
      ending,
    });
    await check(gpu, productKernel('conv', 'conv', fused), convProblem('conv', sizes), {
      ending,
      dtype: 'float16',
    });
    await check(gpu, productKernel('conv', 'convGradWeight'), convProblem('convGradWeight', sizes), {
      dtype: 'float16',
    });
    await check(gpu, productKernel('conv', 'conv'), convProblem('conv', sizes), { dtype: 'int32' });
  });

  test('the weight gradient of many pixels is split', async () => {
    const sizes: ConvSizes = {
      images: 3,
      channels: 2,
      filters: 3,
      input: [20, 20],
      kernel: [3, 3],
      padding: [1, 1],
    };
    const kernel = productKernel('conv', 'convGradWeight');
    const problem = convProblem('convGradWeight', sizes);
    expect(
      chooseProduct(kernel, problem.dims, ['float32', 'float32', 'float32'], software).plan.splits,
    ).toBeGreaterThan(2);
    await check(gpu, kernel, problem);
  });
});
