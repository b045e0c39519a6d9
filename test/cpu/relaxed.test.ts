// Accuracy and special values once more with the kernels' form that most browsers run, fused multiply-add, which Node 20 has behind a flag; and exp, log, tanh and
// erf in either form, wherever in a run a number stands.
import { setFlagsFromString } from 'node:v8';
import { expect, test } from 'vitest';
import { cpu } from 'webgluon';
import { CpuDevice } from '../../src/device/cpu/cpuDevice.ts';
import { deviceOf } from '../../src/device/registry.ts';
import { e } from '../../src/ir/expr.ts';
import { elementwiseKernel } from '../../src/ir/kernel.ts';

// later versions know the flag no more
setFlagsFromString('--experimental-wasm-relaxed-simd');

test('the device of these tests has the relaxed form', () => {
  expect((deviceOf(cpu()) as CpuDevice).simd).toBe('relaxed');
});

// their tests become this file's
await import('./accuracy.test.ts');
await import('./special.test.ts');

const NAN = Number.NaN;
const EXPECTED = {
  exp: [NAN, Infinity, 0, 1, 1],
  log: [NAN, Infinity, NAN, -Infinity, -Infinity],
  tanh: [NAN, 1, -1, 0, -0],
  erf: [NAN, 1, -1, 0, -0],
} as const;
const INPUTS = [
  ...[NAN, Infinity, -Infinity, 0, -0, 1, -1, 88.7, 89, -87.4, -103.9, -104.5, 0.625, 0.92, 1e-45, 3e38],
  1.75,
];

test.each(['relaxed', 'plain'] as const)('special values, and the same at every place: %s SIMD', (simd) => {
  const device = new CpuDevice({ simd });
  // long enough for the compiled kernels; each number at every place of a vector and in the rest
  const length = 2048 + INPUTS.length - 2;
  for (const name of ['exp', 'log', 'tanh', 'erf'] as const) {
    const kernel = elementwiseKernel(name, 1, e[name](e.input(0)));
    const shifted = (shift: number): Float32Array => {
      const x = { storage: device.alloc(length * 4), dtype: 'float32', shape: [length] } as const;
      const y = { ...x, storage: device.alloc(length * 4) };
      const values = Float32Array.from({ length }, (_, i) => INPUTS[(i + shift) % INPUTS.length] as number);
      device.write(x.storage, values);
      device.run(kernel, [x], [y], [], []);
      return new Float32Array(device.readSync({ storage: y.storage, at: 0, bytes: length * 4 }));
    };
    const first = shifted(0);
    expect([...first.subarray(0, 5)], name).toEqual(EXPECTED[name]);
    for (let shift = 1; shift < INPUTS.length; shift++)
      expect(
        shifted(shift).every((v, i) => Object.is(v, first[(i + shift) % INPUTS.length])),
        `${name} by ${shift}`,
      ).toBe(true);
  }
});
