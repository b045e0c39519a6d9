// The product's bodies for real GPUs, on SwiftShader: their traits are forced. Kernels with barriers take SwiftShader up to a second each to compile, so
// the shapes are few, each chosen for a variant.
import { beforeAll, expect, test } from 'vitest';
import type { ProductKernel } from '../../ir/kernel.ts';
import { productKernel } from '../../ir/kernel.ts';
import type { GpuTraits } from './lowering.ts';
import { chooseProduct } from './product.ts';
import type { ConvSizes } from './testProduct.ts';
import { check, convProblem, matmulProblem } from './testProduct.ts';
import type { TestGpu } from './testSink.ts';
import { testGpu } from './testSink.ts';

let gpu: TestGpu;
/** A large GPU's traits, as far as the plan looks at them. */
let real: GpuTraits;

beforeAll(async () => {
  gpu = await testGpu();
  real = { ...gpu.traits, software: false };
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

test.each(LAYOUTS)('tiled, all layouts, $ta $tb', async (layout) => {
  await check(gpu, kernelOf(layout), matmulProblem(33, 34, 35, layout), { traits: real, body: 'tiled' });
  await check(gpu, kernelOf(layout), matmulProblem(36, 40, 44, layout), { traits: real, body: 'tiled' });
});

test('tiled, whole tiles, one and two stages', async () => {
  await check(gpu, matmul, matmulProblem(64, 64, 32), { traits: real, body: 'tiled' });
  await check(gpu, matmul, matmulProblem(64, 64, 32), {
    traits: { ...real, maxWorkgroupStorage: 6000 },
    body: 'tiled',
  });
});

test.each([
  [128, 128, 1300, 1400],
  [64, 128, 60, 20_000],
  [128, 64, 20_000, 60],
  [32, 128, 30, 40_000],
])('tiled, the tile of %d × %d', async (rows, cols, m, n) => {
  const problem = matmulProblem(m, n, 20);
  const { plan } = chooseProduct(matmul, problem.dims, ['float32', 'float32', 'float32'], real);
  expect([plan.rows, plan.cols]).toEqual([rows, cols]);
  await check(gpu, matmul, problem, { traits: real, body: 'tiled' });
});

test('tiled, split along k, with bias', async () => {
  await check(gpu, productKernel('dense', 'matmul', { bias: 'n' }), matmulProblem(40, 36, 1500), {
    traits: real,
    body: 'tiled',
  });
});

test('tiled convolution and gradients', async () => {
  const sizes: ConvSizes = {
    images: 2,
    channels: 12,
    filters: 20,
    input: [7, 7],
    kernel: [3, 3],
    padding: [1, 1],
    stride: [2, 1],
  };
  await check(gpu, productKernel('conv', 'conv', { bias: 'm' }), convProblem('conv', sizes), {
    traits: real,
    body: 'tiled',
  });
  await check(gpu, productKernel('conv', 'convGradData'), convProblem('convGradData', sizes), {
    traits: real,
    body: 'tiled',
  });
  await check(gpu, productKernel('conv', 'convGradWeight'), convProblem('convGradWeight', sizes), {
    traits: real,
    body: 'tiled',
  });
});

test('dot: few rows or few columns', async () => {
  const nt = kernelOf({ ta: false, tb: true });
  await check(gpu, nt, matmulProblem(1, 37, 515, { tb: true }), { traits: real, body: 'dot' });
  await check(gpu, nt, matmulProblem(3, 8, 256, { tb: true }), { traits: real, body: 'dot' });
  await check(gpu, matmul, matmulProblem(9, 1, 130), { traits: real, body: 'dot' });
  await check(gpu, nt, matmulProblem(4, 4, 20_000, { tb: true }), { traits: real, body: 'dot' });
});

test('direct for few rows', async () => {
  await check(gpu, matmul, matmulProblem(1, 2000, 300), { traits: real, body: 'direct' });
});
