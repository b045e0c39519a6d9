// The same kernels on both devices: whatever ir/kernel.ts leaves to the reader, they must have read alike.
import { describe, expect, test } from 'vitest';
import type { DType } from '../core/dtype.ts';
import { bytesOf } from '../core/dtype.ts';
import { sizeOf } from '../core/shape.ts';
import type { BinaryName, UnaryName } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { Combine, Kernel, Operand } from '../ir/kernel.ts';
import { elementwiseKernel, rowKernel } from '../ir/kernel.ts';
import { CpuDevice } from './cpu/cpuDevice.ts';
import type { Device } from './device.ts';
import { testDevice } from './gpu/testDevice.ts';
import { decode, encode } from './gpu/testSink.ts';

const gpu = await testDevice();
const cpu = new CpuDevice();

interface Given {
  readonly shape: readonly number[];
  readonly dtype: DType;
  readonly values: readonly number[];
}

async function on(
  device: Device,
  kernel: Kernel,
  inputs: readonly Given[],
  shape: readonly number[],
  dtype: DType,
  dims: number[] = [],
  scalars: number[] = [],
): Promise<number[]> {
  const operands = inputs.map((given): Operand => {
    const storage = device.alloc(sizeOf(given.shape) * bytesOf(given.dtype), 'test');
    device.write(storage, new Uint8Array(encode(given.values, given.dtype)));
    return { storage, dtype: given.dtype, shape: given.shape };
  });
  const output: Operand = { storage: device.alloc(sizeOf(shape) * bytesOf(dtype), 'test'), dtype, shape };
  device.run(kernel, operands, [output], dims, scalars);
  const [bytes] = await device.read([{ storage: output.storage, at: 0, bytes: output.storage.bytes }]);
  for (const { storage } of [...operands, output]) device.free(storage);
  return decode(bytes as ArrayBuffer, dtype);
}

/** Equal, or within a millionth; NaN is NaN; below the normal range a GPU may give zero. */
function close(a: number, b: number): boolean {
  if (Object.is(a, b) || a === b) return true;
  if (Number.isNaN(a) || Number.isNaN(b) || !Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= 1e-6 * Math.max(Math.abs(a), Math.abs(b)) + 1.2e-38;
}

async function agree(
  kernel: Kernel,
  inputs: readonly Given[],
  shape: readonly number[],
  dtype: DType,
  dims: number[] = [],
  scalars: number[] = [],
): Promise<void> {
  const [a, b] = [
    await on(cpu, kernel, inputs, shape, dtype, dims, scalars),
    await on(gpu, kernel, inputs, shape, dtype, dims, scalars),
  ];
  const wrong = a.flatMap((x, i) =>
    close(x, b[i] as number)
      ? []
      : [`${inputs.map((given) => given.values[i]).join(', ')}: cpu ${x}, gpu ${b[i]}`],
  );
  expect(wrong).toEqual([]);
}

const UNARY: UnaryName[] = [
  'neg',
  'abs',
  'sign',
  'floor',
  'ceil',
  'rint',
  'trunc',
  'exp',
  'expm1',
  'log',
  'log1p',
  'sqrt',
  'cbrt',
  'sin',
  'cos',
  'tan',
  'asin',
  'acos',
  'atan',
  'sinh',
  'cosh',
  'tanh',
  'asinh',
  'acosh',
  'atanh',
  'erf',
  'erfinv',
  'isnan',
  'isinf',
  'not',
];
const BINARY: BinaryName[] = [
  'add',
  'sub',
  'mul',
  'div',
  'mod',
  'fmod',
  'pow',
  'max',
  'min',
  'atan2',
  'eq',
  'ne',
  'lt',
  'le',
  'gt',
  'ge',
  'and',
  'or',
  'xor',
];
const VALUES: Partial<Record<DType, number[]>> = {
  float32: [
    0,
    -0,
    0.25,
    -0.25,
    0.5,
    1,
    -1,
    1.5,
    -2.5,
    3,
    7,
    -10,
    20.25,
    100,
    -100,
    1e-6,
    1e6,
    3e9,
    -3e9,
    Infinity,
    -Infinity,
    NaN,
  ],
  int32: [0, 1, -1, 2, -3, 7, 100, -100, 2147483647, -2147483648],
  uint32: [0, 1, 2, 7, 100, 4294967295],
  int8: [0, 1, -1, 7, -128, 127],
  uint8: [0, 1, 7, 200, 255],
  bool: [0, 1],
  float16: [0, 1, -1.5, 65504, 0.25],
};
const DTYPES = Object.keys(VALUES) as DType[];

describe('one number', () => {
  test.each(UNARY)('%s', async (name) => {
    const kernel = elementwiseKernel(name, 1, e[name](e.input(0)));
    for (const dtype of ['float32', 'int32', 'uint32', 'uint8'] as const) {
      // A GPU takes functions of integers in float32, which is exact to 2^24.
      const exact = /^(neg|abs|sign|floor|ceil|rint|trunc|not|isnan|isinf)$/.test(name) ? Infinity : 2 ** 24;
      const values = (VALUES[dtype] ?? []).filter((x) => dtype === 'float32' || Math.abs(x) <= exact);
      await agree(kernel, [{ shape: [values.length], dtype, values }], [values.length], dtype);
    }
  });
});

describe('two numbers', () => {
  test.each(BINARY)('%s', async (name) => {
    const kernel = elementwiseKernel(name, 2, e[name](e.input(0), e.input(1)));
    for (const dtype of ['float32', 'int32', 'uint32', 'int8'] as const) {
      const some = VALUES[dtype] ?? [];
      const a = some.flatMap((x) => some.map(() => x));
      const b = some.flatMap(() => some);
      await agree(
        kernel,
        [
          { shape: [a.length], dtype, values: a },
          { shape: [a.length], dtype, values: b },
        ],
        [a.length],
        dtype,
      );
    }
  });
});

describe('conversions', () => {
  test.each(DTYPES)('from %s', async (from) => {
    const values = VALUES[from] ?? [];
    const kernel = elementwiseKernel('cast', 1, e.input(0));
    for (const to of DTYPES)
      await agree(kernel, [{ shape: [values.length], dtype: from, values }], [values.length], to);
  });

  test('constants and scalars in integer kernels', async () => {
    const values = VALUES.int32 ?? [];
    const given: Given = { shape: [values.length], dtype: 'int32', values };
    for (const number of [2.7, -2.7, 0, 3])
      for (const name of ['add', 'mul', 'div', 'mod', 'max', 'lt'] as const) {
        await agree(elementwiseKernel(name, 1, e[name](e.input(0), number)), [given], given.shape, 'int32');
        await agree(
          elementwiseKernel(name, 1, e[name](e.input(0), e.scalar(0))),
          [given],
          given.shape,
          'int32',
          [],
          [number],
        );
      }
  });
});

describe('rows', () => {
  test.each(['sum', 'prod', 'max', 'min', 'argmax', 'argmin'] as Combine[])('%s', async (combine) => {
    const kernel = rowKernel(combine, 1, [{ combine, load: e.input(0) }], e.stage(0), false);
    for (const dtype of ['float32', 'int32', 'uint32', 'int8', 'uint8', 'float16'] as const) {
      const values = VALUES[dtype] ?? [];
      // each value alone, all of them, and the finite ones
      await agree(kernel, [{ shape: [values.length], dtype, values }], [values.length], dtype, [
        values.length,
        1,
        1,
        1,
        1,
        0,
      ]);
      await agree(kernel, [{ shape: [values.length], dtype, values }], [1], dtype, [
        1,
        values.length,
        1,
        values.length,
        1,
        0,
      ]);
      await agree(
        kernel,
        [{ shape: [3], dtype, values: values.slice(0, 3) }],
        [1],
        dtype,
        [1, 3, 1, 3, 1, 0],
      );
      await agree(kernel, [{ shape: [0], dtype, values: [] }], [2], dtype, [2, 0, 1, 0, 1, 0]);
    }
  });
});
