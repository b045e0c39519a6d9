// Random kernels on a real WebGPU implementation: MXNet's recorded first digits, and the TypeScript form of the generators.
// The generators themselves are tested in src/core/random.
import { afterEach, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import type { Draw } from '../../core/random/philox.ts';
import { GpuGenerators } from '../../core/random/philox.ts';
import { drawReference } from '../../core/random/philoxReference.ts';
import type { CustomName } from '../../ir/kernel.ts';
import { customKernel } from '../../ir/kernel.ts';
import { GpuRandom } from './random.ts';
import { decode, encode, testGpu } from './testSink.ts';

const gpu = await testGpu();
afterEach(() => gpu.clear());

async function draw(
  random: GpuRandom,
  name: CustomName,
  count: number,
  dtype: DType,
  scalars: readonly number[],
): Promise<number[]> {
  const y = gpu.array([count], dtype);
  random.lower(gpu, customKernel(name), [y], scalars);
  return (await gpu.read(y))[0] ?? [];
}

describe('GpuRandom', () => {
  test('MXNet’s first values at seed 0', async () => {
    const first = await draw(new GpuRandom(), 'randomUniform', 4, 'float32', [0, 1]);
    expect(first).toEqual([0.6686509, 0.17409194, 0.3850025, 0.24678314].map(Math.fround));
    const normal = await draw(new GpuRandom(), 'randomNormal', 2, 'float32', [0, 1]);
    expect(normal).toEqual([-1.3204551, 0.68232244].map(Math.fround));
  });

  test('draw after draw, as the generators go on; a seed begins anew', async () => {
    const random = new GpuRandom();
    const generators = new GpuGenerators(0);
    const draws: [CustomName, Draw, readonly number[]][] = [
      ['randomUniform', { kind: 'uniform', low: -2, high: 3 }, [-2, 3]],
      ['randomInt', { kind: 'integers', low: -5, high: 9 }, [-5, 9]],
      ['randomNormal', { kind: 'normal', loc: 1, scale: 2 }, [1, 2]],
    ];
    for (const count of [5, 131])
      for (const [name, kind, scalars] of [...draws, ...draws]) {
        const got = await draw(random, name, count, name === 'randomInt' ? 'int32' : 'float32', scalars);
        expect(got, `${name} ${count}`).toEqual([...drawReference(generators.plan(kind, count))]);
      }
    random.seed(3);
    generators.seed(3);
    const want = [...drawReference(generators.plan({ kind: 'uniform', low: 0, high: 1 }, 9))];
    expect(await draw(random, 'randomUniform', 9, 'float32', [0, 1])).toEqual(want);
  });

  test('narrower outputs are the same numbers, converted', async () => {
    const floats = await draw(new GpuRandom(), 'randomUniform', 7, 'float32', [0, 1]);
    expect(await draw(new GpuRandom(), 'randomUniform', 7, 'float16', [0, 1])).toEqual(
      decode(encode(floats, 'float16'), 'float16'),
    );
    const integers = await draw(new GpuRandom(), 'randomInt', 7, 'int32', [0, 200]);
    for (const dtype of ['uint8', 'uint32', 'float32'] as const)
      expect(await draw(new GpuRandom(), 'randomInt', 7, dtype, [0, 200]), dtype).toEqual(integers);
  });

  test('a draw of nothing moves nothing, nor does one that is refused', async () => {
    const random = new GpuRandom();
    await draw(random, 'randomUniform', 0, 'float32', [0, 1]);
    expect(() =>
      random.lower(gpu, customKernel('randomUniform'), [gpu.array([3], 'float32')], [2, 1]),
    ).toThrow();
    const [first] = await draw(random, 'randomUniform', 4, 'float32', [0, 1]);
    expect(first).toBe(Math.fround(0.6686509));
  });
});
