// Gradients of pooling against plain loops.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../../core/dtype.ts';
import type { CustomName } from '../../../ir/kernel.ts';
import { customKernel } from '../../../ir/kernel.ts';
import { POOL_CASES, poolValues } from '../../poolCases.ts';
import { maxGradOracle, maxPickOracle, spreadOracle } from '../../poolOracle.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { empty, get, put, release } from '../testReference.ts';

const device = new CpuDevice();

function run(
  name: CustomName,
  dtype: DType,
  inputs: readonly (readonly number[])[],
  count: number,
  dims: readonly number[],
): number[] {
  const operands = inputs.map((values) => put(device, dtype, [values.length], values));
  const y = empty(device, dtype, [count]);
  device.run(customKernel(name), operands, [y], dims, []);
  const result = get(device, y);
  release(device, y, ...operands);
  return result;
}

describe.each(['float32', 'float64', 'float16'] as const)('%s', (dtype) => {
  test.each(POOL_CASES.map((c) => [c.join(' '), c] as const))('%s', (_, dims) => {
    const [planes = 0, iD = 0, iH = 0, iW = 0, oD = 0, oH = 0, oW = 0] = dims;
    const [inner, outer] = [planes * iD * iH * iW, planes * oD * oH * oW];
    const x = poolValues(inner, true);
    const [above, g] = [poolValues(outer, false), poolValues(inner, false)];
    expect(run('poolMaxGrad', dtype, [x, above], inner, [...dims, 0])).toEqual(maxGradOracle(x, above, dims));
    expect(run('poolMaxPick', dtype, [x, g], outer, [...dims, 0])).toEqual(maxPickOracle(x, g, dims));
    expect(run('poolSumGrad', dtype, [above], inner, [...dims, 0])).toEqual(
      spreadOracle(above, inner, dims, false),
    );
    for (const padded of [0, 1]) {
      const whole = [...dims, padded];
      const wanted = spreadOracle(above, inner, whole, true);
      run('poolAvgGrad', dtype, [above], inner, whole).forEach((v, i) => {
        const expected = wanted[i] as number;
        expect(Math.abs(v - expected)).toBeLessThanOrEqual(
          Math.abs(expected) * (dtype === 'float16' ? 1e-3 : 1e-6),
        );
      });
    }
  });
});
