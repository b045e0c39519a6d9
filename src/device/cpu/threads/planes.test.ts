// Work on planes shared among threads: pooling, depthwise convolutions and their gradients give the same bits however many compute, and the right ones after a thread
// was lost, also where the result is added up in place.
import { afterEach, describe, expect, test } from 'vitest';
import type { Kernel } from '../../../ir/kernel.ts';
import { customKernel, productKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { empty, put, randomStream, SIMD_FORMS } from '../testReference.ts';
import { FAULTS, faulty, untilLost } from './testFaults.ts';

interface Work {
  readonly kernel: Kernel;
  readonly sizes: readonly number[];
  readonly out: number;
  readonly dims: readonly number[];
}

function depthwise(form: 'conv' | 'convGradData' | 'convGradWeight', stride: number, multiplier = 1): Work {
  const [N, C, H, W] = [2, 37, 31, 45];
  const O = C * multiplier;
  const [oH, oW] = [Math.floor((H - 1) / stride) + 1, Math.floor((W - 1) / stride) + 1];
  const [x, w, y] = [N * C * H * W, O * 9, N * O * oH * oW];
  const dims = [N, C, O, C, 1, H, W, 1, oH, oW, 1, 3, 3, 1, stride, stride, 1, 1, 1, 0, 1, 1];
  const [sizes, out] = { conv: [[x, w], y], convGradData: [[y, w], x], convGradWeight: [[y, x], w] }[
    form
  ] as [number[], number];
  return { kernel: productKernel('depthwise', form), sizes, out, dims };
}

function pooling(name: 'poolMax' | 'poolAvg' | 'poolSum', k: number, gradient: boolean): Work {
  const [planes, H, W, p] = [101, 41, 40, k >> 1];
  const [oH, oW] = [Math.floor((H + 2 * p - k) / 2) + 1, Math.floor((W + 2 * p - k) / 2) + 1];
  const dims = [planes, 1, H, W, 1, oH, oW, 1, k, k, 1, 2, 2, 0, p, p, 0];
  const [x, y] = [planes * H * W, planes * oH * oW];
  if (!gradient) return { kernel: customKernel(name), sizes: [x], out: y, dims };
  return { kernel: customKernel(`${name}Grad`), sizes: name === 'poolMax' ? [x, y] : [y], out: x, dims };
}

const WORKS: readonly Work[] = [
  ...([1, 2] as const).flatMap((stride) =>
    (['conv', 'convGradData', 'convGradWeight'] as const).map((form) => depthwise(form, stride)),
  ),
  depthwise('conv', 1, 2),
  depthwise('convGradWeight', 1, 2),
  ...(['poolMax', 'poolAvg', 'poolSum'] as const).flatMap((name) =>
    [2, 3].flatMap((k) => [pooling(name, k, false), pooling(name, k, true)]),
  ),
];

function run(device: CpuDevice, { kernel, sizes, out, dims }: Work): Uint8Array {
  const random = randomStream(out);
  const inputs = sizes.map((n) =>
    put(
      device,
      'float32',
      [n],
      Array.from({ length: n }, () => Math.fround(random() - 0.5)),
    ),
  );
  const y = empty(device, 'float32', [out]);
  device.run(kernel, inputs, [y], dims, []);
  const bytes = new Uint8Array(device.readSync({ storage: y.storage, at: 0, bytes: out * 4 }));
  for (const { storage } of [...inputs, y]) device.free(storage);
  return bytes;
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

const nameOf = ({ kernel, dims }: Work): string => `${kernel.key} ${dims.join()}`;

describe('planes', () => {
  test.each(SIMD_FORMS)('the same bits on 1, 2, 3 and 4 threads: %s', async (simd) => {
    const alone = device({ simd });
    const wants = WORKS.map((work) => run(alone, work));
    for (const threads of [2, 3, 4]) {
      const many = device({ simd });
      expect(await many.setNumThreads(threads)).toBe(threads);
      for (const [i, work] of WORKS.entries())
        expect(Buffer.compare(run(many, work), wants[i] as Uint8Array), nameOf(work)).toBe(0);
      expect(many.numThreads).toBe(threads);
    }
  });

  // the ones that add up what others begin with zeros, and one that does not
  test.each(
    [
      depthwise('convGradWeight', 1),
      depthwise('conv', 1),
      pooling('poolAvg', 3, true),
      pooling('poolMax', 3, true),
    ].map((work) => [nameOf(work), work] as const),
  )('a thread that takes a tile of %s and dies', async (_, work) => {
    const want = run(device(), work);
    const cpu = device();
    expect(await cpu.setNumThreads(2, faulty(FAULTS[1][1]))).toBe(2);
    untilLost(cpu, () => {
      expect(Buffer.compare(run(cpu, work), want), nameOf(work)).toBe(0);
    });
    expect(cpu.numThreads, nameOf(work)).toBe(1);
    expect(Buffer.compare(run(cpu, work), want), nameOf(work)).toBe(0);
  });
});
