// Softmax's exponentials and their sum in one step (`powers` of kernels/functions.ts): against doubles at every length, what lies far below the greatest, what is not
// finite, and the same digits alone, among other rows and from a compiled kernel with more in it.
import { describe, expect, test } from 'vitest';
import { e } from '../../ir/expr.ts';
import type { Stage } from '../../ir/kernel.ts';
import { rowKernel } from '../../ir/kernel.ts';
import { CpuDevice } from './cpuDevice.ts';
import { empty, get, put, randomStream, SIMD_FORMS } from './testReference.ts';

function stagesOf(z: typeof x): readonly Stage[] {
  return [
    { combine: 'max', load: z },
    { combine: 'sum', load: e.exp(e.sub(z, e.stage(0))) },
  ];
}
const x = e.input(0);
const softmax = rowKernel('softmax', 1, stagesOf(x), e.div(e.exp(e.sub(x, e.stage(0))), e.stage(1)), true);
const shifted = e.sub(x, e.input(1));
const softmaxOfDifferences = rowKernel(
  'softmaxOfDifferences',
  2,
  stagesOf(shifted),
  e.div(e.exp(e.sub(shifted, e.stage(0))), e.stage(1)),
  true,
);
const logSoftmax = rowKernel(
  'logSoftmax',
  1,
  stagesOf(x),
  e.sub(e.sub(x, e.stage(0)), e.log(e.stage(1))),
  true,
);

describe.each(SIMD_FORMS)('softmax, %s', (simd) => {
  const device = new CpuDevice({ simd });

  function run(values: readonly number[], rows: number, kernel = softmax): Float32Array {
    const n = values.length / rows;
    const a = put(device, 'float32', [rows, n], values);
    const b = put(device, 'float32', [1], [0]);
    const y = empty(device, 'float32', [rows, n]);
    const inputs = kernel.inputs === 2 ? [a, b] : [a];
    device.run(kernel, inputs, [y], [rows, n, 1, n, 1, 1, 0, 0, 0], []);
    const got = Float32Array.from(get(device, y));
    for (const operand of [a, b, y]) device.free(operand.storage);
    return got;
  }

  const lengths = [...Array.from({ length: 50 }, (_, i) => 16 + i), 100, 513, 600, 1000, 1023, 1024, 1025];
  test.each([...lengths, 1039, 2048, 2600, 100_003])('rows of %i', (n) => {
    const random = randomStream(n);
    const rows = Math.max(3, Math.ceil(1100 / n));
    // the worst for sums of float32: many equal numbers, here a fifth of all. Differences of all of them are exact
    const values = Array.from({ length: rows * n }, () =>
      random() < 0.2 ? 0.75 : Math.floor(random() * 768) / 64,
    );
    const got = run(values, rows);
    const logs = run(values, rows, logSoftmax);
    let [worst, worstLog, sum] = [0, 0, 0];
    for (let r = 0; r < rows; r++) {
      const row = values.slice(r * n, (r + 1) * n);
      const top = row.reduce((a, b) => Math.max(a, b));
      const z = row.reduce((a, b) => a + Math.exp(b - top), 0);
      row.forEach((v, i) => {
        const want = Math.exp(v - top) / z;
        const y = got[r * n + i] as number;
        worst = Math.max(worst, Math.abs(y - want) / want);
        const log = v - top - Math.log(z);
        worstLog = Math.max(worstLog, Math.abs((logs[r * n + i] as number) - log) / (12 + Math.log(z)));
        sum += y;
      });
    }
    // the power 2 ulp, which are at most 4 units, the sum 2, its reciprocal 1, the product 1
    expect(worst / 2 ** -24).toBeLessThan(8);
    expect(worst / 2 ** -24).toBeGreaterThan(0.1);
    expect(worstLog / 2 ** -24).toBeLessThan(4);
    expect(sum).toBeCloseTo(rows, 4);
  });

  test('a row has the same digits alone, among others and in a kernel with more in it', () => {
    const random = randomStream(3);
    for (const n of [1, 4, 10, 15, 16, 17, 50, 100, 200, 511, 512, 513, 520, 1024, 1300]) {
      const rows = Math.min(n, 5);
      const values = Array.from({ length: rows * n }, () => Math.fround(random() * 9));
      const together = run(values, rows);
      expect(run(values, rows, softmaxOfDifferences)).toEqual(together);
      // few numbers have exponentials of their own
      if (n > 512 || rows * n <= 512)
        for (let r = 0; r < rows; r++)
          expect(run(values.slice(r * n, (r + 1) * n), 1)).toEqual(together.slice(r * n, (r + 1) * n));
    }
  });

  test('what lies far below the greatest, and what is not finite', () => {
    const n = 1031;
    const values: number[] = new Array(3 * n).fill(-200);
    const far = [-87, -87.3, -87.4, -87.6, -87.7, -88, -88.1, -100, -103.9, -104.6, -1e30, -Infinity];
    values[5] = 0;
    far.forEach((v, i) => {
      values[40 + 16 * i] = Math.fround(v);
    });
    // all of them masked, and one of them not a number
    values.fill(-Infinity, n, 2 * n);
    values[2 * n + 1030] = Number.NaN;
    const got = run(values, 3);
    expect(got[5]).toBe(1);
    expect(got[4]).toBe(0);
    far.forEach((v, i) => {
      const want = Math.exp(Math.fround(v));
      expect(Math.abs((got[40 + 16 * i] as number) - want)).toBeLessThan(v < -87 ? 2 ** -126 : want * 3e-7);
    });
    expect(got[40 + 16 * 11]).toBe(0);
    expect(got.slice(n).every(Number.isNaN)).toBe(true);
  });
});
