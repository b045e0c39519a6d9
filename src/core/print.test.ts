// The oracle is NumPy: test-data/numpy-print.json holds what it printed, test-data/numpy-print.py how that was asked.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { checkDType, DTYPES, type DType } from './dtype.ts';
import { formatArray, formatNDArray } from './print.ts';
import { sizeOf } from './shape.ts';

interface Case {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly values: Float64Array;
  readonly text: string;
}

type Rule = [a: number, b: number, m: number, c: number, scale: number];

const NAMED: Readonly<Record<string, number>> = { nan: NaN, inf: Infinity, '-inf': -Infinity };

function valuesOf(source: string | Rule, size: number): Float64Array {
  if (typeof source === 'string')
    return Float64Array.from(source === '' ? [] : source.split(' '), (word) => NAMED[word] ?? Number(word));
  const [a, b, m, c, scale] = source;
  return Float64Array.from({ length: size }, (_, i) => (((i * a + b) % m) - c) * scale);
}

function readCases(): Case[] {
  const file = readFileSync(new URL('../../test-data/numpy-print.json', import.meta.url), 'utf8');
  const { cases } = JSON.parse(file) as { cases: [string, number[], string | Rule, string][] };
  return cases.map(([dtype, shape, source, text]) => ({
    dtype: checkDType(dtype, 'test'),
    shape,
    values: valuesOf(source, sizeOf(shape)),
    text,
  }));
}

const cases = readCases();

describe('formatArray prints what NumPy prints', () => {
  test.each(DTYPES)('%s', (dtype) => {
    const some = cases.filter((c) => c.dtype === dtype);
    expect(some.length).toBeGreaterThanOrEqual(7);
    for (const { shape, values, text } of some) {
      expect(values.length).toBe(sizeOf(shape));
      expect(formatArray(values, shape, dtype)).toBe(text);
    }
  });

  test('in some four hundred cases', () => {
    expect(cases.length).toBeGreaterThanOrEqual(400);
  });

  test('from the typed arrays that hold the elements', () => {
    const tenths = new Float32Array([0.1, -0.2, 1 / 3]);
    expect(formatArray(tenths, [3], 'float32')).toBe('[ 0.1        -0.2         0.33333334]');
    expect(formatArray(tenths, [3], 'float64')).toBe('[ 0.1        -0.2         0.33333334]');
    expect(formatArray(new Float64Array(tenths), [1, 3], 'float16')).toBe('[[ 0.1    -0.2     0.3333]]');
    expect(formatArray(new Uint8Array([0, 255]), [2], 'uint8')).toBe('[  0 255]');
    expect(formatArray(new Uint8Array([0, 1, 1]), [3], 'bool')).toBe('[False  True  True]');
  });

  test('rounds what it is given to the dtype', () => {
    expect(formatArray([0.1 + 1e-12, 16777217], [2], 'float32')).toBe(
      formatArray([0.1, 16777216], [2], 'float32'),
    );
    expect(formatArray([1e39, 1], [2], 'float32')).toBe('[inf  1.]');
    expect(formatArray([1 + 2 ** -11 + 2 ** -40], [1], 'float16')).toBe('[1.001]');
  });

  test('leaves the data alone and reads no more than it prints', () => {
    const shape = [1000, 50, 50];
    const read = new Set<number>();
    const data = new Proxy<Record<number, number>>(
      {},
      {
        get(_, key) {
          const i = Number(key);
          read.add(i);
          return i % 7;
        },
      },
    ) as unknown as ArrayLike<number>;
    const text = formatArray(data, shape, 'float32');
    expect(read.size).toBe(6 ** 3);
    expect(Math.max(...read)).toBe(1000 * 50 * 50 - 1);
    expect(text.startsWith('[[[0. 1. 2. ... 5. 6. 0.]\n  [1. 2. 3. ... 6. 0. 1.]\n')).toBe(true);
    expect(text.split('\n').filter((line) => line.trim() === '...').length).toBe(7);
  });
});

describe('formatNDArray', () => {
  const layerOut = [0.01587485, 0.03087313, 0.02257253, -0.02103142, 0.06961896, 0.01239835].map(Math.fround);

  test("frames the values as Gluon's tutorial shows them", () => {
    expect(formatNDArray(layerOut, [3, 2], 'float32', 'cpu(0)')).toBe(
      [
        '',
        '[[ 0.01587485  0.03087313]',
        ' [ 0.02257253 -0.02103142]',
        ' [ 0.06961896  0.01239835]]',
        '<NDArray 3x2 @cpu(0)>',
      ].join('\n'),
    );
  });

  test('of one axis, of none, of no elements, elsewhere', () => {
    expect(formatNDArray([1, 2, 3], [3], 'float32', 'cpu(0)')).toBe('\n[1. 2. 3.]\n<NDArray 3 @cpu(0)>');
    expect(formatNDArray([1], [], 'float32', 'cpu(0)')).toBe('\n1.0\n<NDArray  @cpu(0)>');
    expect(formatNDArray([], [0, 3], 'int32', 'gpu(1)')).toBe('\n[]\n<NDArray 0x3 @gpu(1)>');
  });

  test('the recorded replay of the tutorial in exponential form', () => {
    const file = readFileSync(new URL('../../test-data/mxnet/rng-cpu.json', import.meta.url), 'utf8');
    const recorded = JSON.parse(file) as { seed_post_part2_replay: { v: Record<string, number[]> } };
    const { v } = recorded.seed_post_part2_replay;
    expect(formatArray(v['mix_out'] ?? [], [2, 5], 'float32')).toBe(
      [
        '[[ 3.9329494e-05  1.1599807e-05  4.5617682e-05 -1.8504745e-05',
        '   2.4952338e-05]',
        ' [ 4.4383840e-05  1.3090528e-05  5.1480143e-05 -2.0882840e-05',
        '   2.8159036e-05]]',
      ].join('\n'),
    );
    expect(formatArray(v['mix_print'] ?? [], [2, 4], 'float32')).toBe(
      '[[0.         0.00072302 0.00043636 0.00045482]\n [0.         0.00081594 0.00049244 0.00051327]]',
    );
  });
});
