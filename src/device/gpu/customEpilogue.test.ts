// Pooling with an epilogue gives what the pooling and an elementwise kernel after it give, bit for bit.
import { expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { e } from '../../ir/expr.ts';
import type { CustomName } from '../../ir/kernel.ts';
import { customKernel, elementwiseKernel } from '../../ir/kernel.ts';
import { array, run, testDevice, values } from './testDevice.ts';

const device = await testDevice();

const EPILOGUE = e.add(e.exp(e.mul(e.max(e.input(0), e.input(1)), e.scalar(1))), e.scalar(0));
const INSIDE = [3, 1, 6, 6, 1, 3, 3, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0];
const BORDER = [2, 1, 5, 6, 1, 5, 3, 1, 3, 3, 1, 1, 2, 0, 1, 1, 1];

const CASES: [CustomName, DType, number[]][] = [
  ['poolMax', 'float32', INSIDE],
  ['poolMax', 'float16', BORDER],
  ['poolAvg', 'float32', BORDER],
  ['poolSum', 'int32', INSIDE],
  ['poolMaxGrad', 'float32', BORDER],
  ['poolMaxPick', 'float16', INSIDE],
  ['poolAvgGrad', 'float32', BORDER],
  ['poolSumGrad', 'float16', INSIDE],
];

test.each(CASES)('%s of %s', async (name, dtype, dims) => {
  const [planes = 0, , iH = 0, iW = 0, , oH = 0, oW = 0] = dims;
  const [inner, outer] = [planes * iH * iW, planes * oH * oW];
  const toInner = name.endsWith('Grad');
  const sizes = name === 'poolMaxGrad' ? [inner, outer] : toInner ? [outer] : [inner];
  if (name === 'poolMaxPick') sizes.push(inner);
  const count = toInner ? inner : outer;
  const numbers = (n: number, seed: number): number[] =>
    Array.from({ length: n }, (_, i) => ((i * 29 + seed) % 17) - 8);
  const inputs = sizes.map((n, i) => array(device, [n], dtype, numbers(n, i)));
  const extra = array(device, [count], dtype, numbers(count, 5));
  const scalars = dtype === 'int32' ? [3, 1] : [0.5, 0.25];
  const plain = run(device, customKernel(name), inputs, [count], dtype, dims);
  const after = elementwiseKernel('after', 2, EPILOGUE);
  const want = await values(device, run(device, after, [plain, extra], [count], dtype, [], scalars));
  const fused = customKernel(name, EPILOGUE);
  const got = await values(device, run(device, fused, [...inputs, extra], [count], dtype, dims, scalars));
  expect(got).toEqual(want);
  expect(new Set(got).size).toBeGreaterThan(2);
});
