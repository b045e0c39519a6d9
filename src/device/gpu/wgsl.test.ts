// The text of generated shaders, so that a change in it is seen; and that a shader carries only the functions it uses.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { e } from '../../ir/expr.ts';
import type { ElementwiseKernel, Operand, RowKernel } from '../../ir/kernel.ts';
import { elementwiseKernel, rowKernel } from '../../ir/kernel.ts';
import { lowerElementwise } from './elementwise.ts';
import { FAKE_TRAITS } from './fakeGpu.ts';
import type { DispatchSink, GpuShader, GpuTraits } from './lowering.ts';
import { mathFor } from './mathLibrary.ts';
import { lowerRow } from './row.ts';
import { wgslNumber } from './wgslExpr.ts';

/** A sink that keeps what is dispatched. */
function recorder(traits: GpuTraits = FAKE_TRAITS) {
  const shaders: GpuShader[] = [];
  const grids: number[][] = [];
  const sink: DispatchSink = {
    traits,
    u32: () => undefined,
    i32: () => undefined,
    f32: () => undefined,
    dispatch(shader, _, x, y, z) {
      shaders.push(shader);
      grids.push([x, y, z]);
    },
    temporary: (bytes) => ({ buffer: -1, offset: 0, bytes, refs: 0, userRefs: 0 }),
    span: (storage) => storage,
  };
  return { sink, shaders, grids };
}

let nextBuffer = 1;
const operand = (shape: number[], dtype: DType = 'float32'): Operand => ({
  storage: { buffer: nextBuffer++, offset: 0, bytes: 0, refs: 0, userRefs: 0 },
  dtype,
  shape,
});

function elementwise(kernel: ElementwiseKernel, inputs: Operand[], output: Operand): string {
  const { sink, shaders } = recorder();
  lowerElementwise(sink, kernel, inputs, [output], [], []);
  expect(shaders).toHaveLength(1);
  return (shaders[0] as GpuShader).code();
}

function row(
  kernel: RowKernel,
  input: Operand,
  output: Operand,
  dims: number[],
  traits?: GpuTraits,
): string[] {
  const { sink, shaders } = recorder(traits);
  lowerRow(sink, kernel, [input], [output], dims, []);
  return shaders.map((shader) => shader.code());
}

const add = elementwiseKernel('add', 2, e.add(e.input(0), e.input(1)));

describe('elementwise', () => {
  test('of one shape', () => {
    expect(elementwise(add, [operand([8]), operand([8])], operand([8]))).toMatchSnapshot();
  });
  test('a row broadcast over rows whose length is a multiple of four', () => {
    expect(elementwise(add, [operand([3, 8]), operand([8])], operand([3, 8]))).toMatchSnapshot();
  });
  test('broadcast at any place, of packed dtypes', () => {
    expect(
      elementwise(add, [operand([3, 5], 'uint8'), operand([3, 1], 'float16')], operand([3, 5], 'int8')),
    ).toMatchSnapshot();
  });
  test('in place with one element', () => {
    const x = operand([8]);
    expect(elementwise(add, [x, operand([1])], x)).toMatchSnapshot();
  });
  test('relu', () => {
    const relu = elementwiseKernel('relu', 1, e.select(e.gt(e.input(0), 0), e.input(0), 0));
    expect(elementwise(relu, [operand([8])], operand([8]))).toMatchSnapshot();
  });
  test('shapes of one kind share a shader, another kind takes its own', () => {
    const { sink, shaders } = recorder();
    lowerElementwise(sink, add, [operand([8]), operand([8])], [operand([8])], [], []);
    lowerElementwise(sink, add, [operand([3, 70]), operand([3, 70])], [operand([3, 70])], [], []);
    lowerElementwise(sink, add, [operand([3, 70]), operand([1])], [operand([3, 70])], [], []);
    expect(shaders[1]).toBe(shaders[0]);
    expect(shaders[2]).not.toBe(shaders[0]);
  });
  test('large arrays spread over two axes of the grid', () => {
    const { sink, grids } = recorder();
    const size = 65535 * 64 * 4 + 1;
    lowerElementwise(sink, add, [operand([size]), operand([size])], [operand([size])], [], []);
    expect(grids).toEqual([[65535, 2, 1]]);
  });
});

describe('rows', () => {
  const softmax = rowKernel(
    'softmax',
    1,
    [
      { combine: 'max', load: e.input(0) },
      { combine: 'sum', load: e.exp(e.sub(e.input(0), e.stage(0))) },
    ],
    e.div(e.exp(e.sub(e.input(0), e.stage(0))), e.stage(1)),
    true,
  );
  const argmax = rowKernel('argmax', 1, [{ combine: 'argmax', load: e.input(0) }], e.stage(0), false);
  test('softmax by invocations', () => {
    const software = { ...FAKE_TRAITS, software: true };
    expect(
      row(softmax, operand([64, 10]), operand([64, 10]), [64, 10, 1, 10, 1, 0], software),
    ).toMatchSnapshot();
  });
  test('argmax by workgroups', () => {
    expect(row(argmax, operand([64, 1000]), operand([64]), [64, 1000, 1, 1000, 1, 0])).toMatchSnapshot();
  });
  test('argmax in chunks', () => {
    expect(row(argmax, operand([1, 100000]), operand([1]), [1, 100000, 1, 100000, 1, 0])).toMatchSnapshot();
  });
});

describe('the library', () => {
  test('a shader carries what it calls, and what that calls', () => {
    const names = (text: string): string[] =>
      [...mathFor(text).matchAll(/^fn (\w+)/gm)].map((match) => match[1] as string);
    expect(names('let y = x + 1.0;')).toEqual([]);
    expect(names('let y = exp_f(x);').sort()).toEqual([
      'exp_f',
      'expm1_core',
      'is_nan',
      'reduce_ln2',
      'scale_f',
    ]);
    expect(mathFor('exp_f(x)')).not.toContain('//');
  });
});

describe('numbers', () => {
  test('as WGSL takes them', () => {
    expect([1, -1, 0.1, 1e-7, 1e21, -0, Infinity, NaN].map((x) => wgslNumber(x, 'f32'))).toEqual([
      '1.0f',
      '(-1.0f)',
      '0.10000000149011612f',
      '1.0000000116860974e-7f',
      '1.0000000200408773e+21f',
      'from_bits(0x80000000u)',
      'from_bits(0x7f800000u)',
      'from_bits(0x7fc00000u)',
    ]);
    expect([1.9, -1.9, -2147483648, 1e20, NaN].map((x) => wgslNumber(x, 'i32'))).toEqual([
      '1i',
      '(-1i)',
      '(-2147483647i - 1i)',
      '2147483647i',
      '0i',
    ]);
    expect([3, -1, 1e20].map((x) => wgslNumber(x, 'u32'))).toEqual(['3u', '4294967295u', '4294967295u']);
  });
});
