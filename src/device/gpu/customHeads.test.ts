// The generated heads of custom kernels as text, so that a change in them is seen in review.
import { afterAll, expect, test } from 'vitest';
import { customKernel } from '../../ir/kernel.ts';
import { lowerCustom } from './custom.ts';
import { testGpu } from './testSink.ts';
import { CONVERSIONS } from './wgslTypes.ts';

const gpu = await testGpu();
afterAll(() => gpu.clear());

/** The WGSL of the shaders that `run` is the first to need, without the conversions that stand in all of them. */
async function sourcesOf(run: () => void): Promise<string> {
  const before = new Set(gpu.sources.keys());
  run();
  await gpu.read();
  const added = [...gpu.sources].filter(([key]) => !before.has(key));
  return added
    .map(([key, code]) => `// ${key}\n${code.replace(CONVERSIONS, '\n// conversions\n')}`)
    .join('\n');
}

test('a copy of three axes into packed places', async () => {
  const x = gpu.array([2, 2, 2], 'float32', [1, 2, 3, 4, 5, 6, 7, 8]);
  const y = gpu.array([50], 'uint8');
  const dims = [3, 0, 1, 2, 2, 2, 4, 1, 2, 20, 9, 2];
  expect(
    await sourcesOf(() => lowerCustom(gpu, customKernel('stridedCopy'), [x], [y], dims, [])),
  ).toMatchSnapshot();
});

test('a gather by two indices of float32 into half precision', async () => {
  const x = gpu.array([2, 3], 'float16', [1, 2, 3, 4, 5, 6]);
  const index = gpu.array([2, 1], 'float32', [1, 2]);
  const y = gpu.array([1], 'float16');
  expect(
    await sourcesOf(() => lowerCustom(gpu, customKernel('gatherNd'), [x, index], [y], [1, 2, 1, 2, 3], [])),
  ).toMatchSnapshot();
});

test('a maximum over windows inside', async () => {
  const x = gpu.array([1, 2, 2], 'float32', [1, 2, 3, 4]);
  const y = gpu.array([1, 1, 1], 'float32');
  const dims = [1, 1, 2, 2, 1, 1, 1, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0];
  expect(
    await sourcesOf(() => lowerCustom(gpu, customKernel('poolMax'), [x], [y], dims, [])),
  ).toMatchSnapshot();
});
