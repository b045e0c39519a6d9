// Generated WGSL in snapshots, so that a change in it is seen in review; bodies are files of their own and left out.
import { expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { e } from '../../ir/expr.ts';
import { productKernel } from '../../ir/kernel.ts';
import type { GpuTraits } from './lowering.ts';
import { chooseProduct, productShaderTexts } from './product.ts';
import { productCode } from './productHead.ts';

const real: GpuTraits = {
  software: false,
  subgroups: false,
  f16: false,
  maxWorkgroupStorage: 32768,
  maxInvocationsPerWorkgroup: 256,
  maxWorkgroups: 65535,
};
const f32 = (count: number): DType[] => new Array<DType>(count).fill('float32');

/** A shader's text before its body. */
function headOf(code: string): string {
  const at = /^\/\/ (What the product's bodies share|Ends a product whose)/m.exec(code)?.index;
  if (at === undefined) throw new Error('expected a body');
  return code.slice(0, at);
}

test('a matrix product of whole tiles', () => {
  const [code = ''] = productShaderTexts(
    productKernel('dot', 'matmul'),
    [1, 4096, 4096, 4096, 0, 0],
    f32(3),
    real,
  );
  expect(headOf(code)).toMatchSnapshot();
});

test('a dense layer in float16 with bias and relu, on a software adapter', () => {
  const kernel = productKernel('dense', 'matmul', {
    transposeB: true,
    bias: 'n',
    epilogue: e.max(e.input(0), 0),
  });
  const types: DType[] = ['float16', 'float16', 'float16', 'float16'];
  const [code = ''] = productShaderTexts(kernel, [1, 64, 120, 400, 0, 0], types, { ...real, software: true });
  expect(headOf(code)).toMatchSnapshot();
});

const PADDED = [2, 64, 64, 1, 1, 56, 56, 1, 28, 28, 1, 3, 3, 1, 2, 2, 1, 1, 1, 0, 1, 1];

test('a padded convolution with stride', () => {
  const [code = ''] = productShaderTexts(productKernel('conv', 'conv', { bias: 'm' }), PADDED, f32(4), real);
  expect(headOf(code)).toMatchSnapshot();
});

test('its gradient by data', () => {
  const [code = ''] = productShaderTexts(productKernel('conv', 'convGradData'), PADDED, f32(3), real);
  expect(headOf(code)).toMatchSnapshot();
});

test('its gradient by weight, in two passes', () => {
  const codes = productShaderTexts(productKernel('conv', 'convGradWeight'), PADDED, f32(3), real);
  expect(codes.length).toBe(2);
  expect(codes.map(headOf).join('\n')).toMatchSnapshot();
});

test('sizes that are all fixed leave no parameter', () => {
  const { product, shape, plan } = chooseProduct(
    productKernel('dot', 'matmul'),
    [1, 256, 512, 64, 0, 0],
    f32(3),
    real,
  );
  const common = {
    m: 256,
    n: 512,
    k: 64,
    tilesM: 2,
    tilesN: 4,
    tileCount: 8,
    gridX: 8,
    zGroups: 1,
    splits: 1,
    chunk: plan.chunk,
    partStride: 0,
  };
  const code = productCode({ ...product, fixed: new Map([...Object.entries(common), ...shape.sizes]) });
  expect(
    headOf(code)
      .split('\n')
      .filter((line) => /\bpu\(/.test(line) && !line.startsWith('fn pu')),
  ).toEqual([]);
});
