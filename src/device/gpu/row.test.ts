// Row kernels on Dawn against plain loops in float64, in each way they are spread over a GPU.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { e } from '../../ir/expr.ts';
import type { Combine } from '../../ir/kernel.ts';
import { rowKernel } from '../../ir/kernel.ts';
import type { GpuDevice } from './gpuDevice.ts';
import { planRows } from './rowPlan.ts';
import { array, freshDevice, run, values } from './testDevice.ts';

const f = Math.fround;
const x = e.input(0);

/** A software adapter as it is, and the same made to work as a real GPU would: workgroups, chunks. */
const software = await freshDevice();
const hardware = await freshDevice({ software: false });
const DEVICES: [string, GpuDevice][] = [
  ['software', software],
  ['hardware', hardware],
];

/** Strides of a contiguous (outer, length, inner). */
const strides = (length: number, inner: number): number[] => [length * inner, inner, 1];

function random(count: number, seed = 1): number[] {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return f(state / 2 ** 31 - 1);
  });
}

/** Calls `each` with the values along the axis of every row, in the output's order. */
function rows(
  data: readonly number[],
  outer: number,
  length: number,
  inner: number,
  each: (row: number[]) => number,
): number[] {
  const out: number[] = [];
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++)
      out.push(each(Array.from({ length }, (_, l) => data[(o * length + l) * inner + i] as number)));
  return out;
}

const reduce = (combine: Combine) => rowKernel(combine, 1, [{ combine, load: x }], e.stage(0), false);
const SUM = reduce('sum');

const REFERENCE: Record<Combine, (row: number[]) => number> = {
  sum: (row) => row.reduce((a, b) => a + b, 0),
  prod: (row) => row.reduce((a, b) => a * b, 1),
  max: (row) => row.reduce((a, b) => Math.max(a, b), -Infinity),
  min: (row) => row.reduce((a, b) => Math.min(a, b), Infinity),
  argmax: (row) => best(row, (a, b) => a > b),
  argmin: (row) => best(row, (a, b) => a < b),
};

function best(row: number[], beats: (a: number, b: number) => boolean): number {
  const nan = row.findIndex(Number.isNaN);
  if (nan >= 0) return nan;
  let at = 0;
  row.forEach((v, i) => {
    if (beats(v, row[at] as number)) at = i;
  });
  return at;
}

// Shapes that reach every plan: rows by invocations, by workgroups, in chunks.
const SHAPES: [number, number, number][] = [
  [3, 5, 1],
  [2, 7, 3],
  [5, 64, 1],
  [2, 300, 1],
  [2, 40, 17],
  [1, 3000, 1],
  [2, 17000, 1],
  [1, 2500, 18],
];

describe.each(DEVICES)('on %s', (_, device) => {
  test.each(SHAPES)('folds of (%i, %i, %i)', async (outer, length, inner) => {
    const data = random(outer * length * inner, length);
    const input = array(device, [outer, length, inner], 'float32', data);
    for (const combine of Object.keys(REFERENCE) as Combine[]) {
      // products of many numbers below 1 vanish: bring them near 1
      const kernel =
        combine === 'prod'
          ? rowKernel('prod', 1, [{ combine, load: e.add(1, e.mul(x, 1e-3)) }], e.stage(0), false)
          : reduce(combine);
      const got = await values(
        device,
        run(device, kernel, [input], [outer, inner], 'float32', [
          outer,
          length,
          inner,
          ...strides(length, inner),
        ]),
      );
      const want = rows(data, outer, length, inner, (row) =>
        REFERENCE[combine](combine === 'prod' ? row.map((v) => 1 + v * 1e-3) : row),
      );
      got.forEach((v, i) => {
        const w = want[i] as number;
        if (combine === 'sum' || combine === 'prod')
          expect(Math.abs(v - w), `${combine} row ${i}: ${v}, ${w}`).toBeLessThan(
            combine === 'sum' ? 1e-6 * Math.sqrt(length) : 2e-7 * length * w,
          );
        else expect(v, `${combine} row ${i}`).toBe(w);
      });
    }
  });

  test.each(SHAPES)('softmax of (%i, %i, %i)', async (outer, length, inner) => {
    const softmax = rowKernel(
      'softmax',
      1,
      [
        { combine: 'max', load: x },
        { combine: 'sum', load: e.exp(e.sub(x, e.stage(0))) },
      ],
      e.div(e.exp(e.sub(x, e.stage(0))), e.stage(1)),
      true,
    );
    const data = random(outer * length * inner, 3).map((v) => f(v * 10));
    const input = array(device, [outer, length, inner], 'float32', data);
    const got = await values(
      device,
      run(device, softmax, [input], [outer, length, inner], 'float32', [
        outer,
        length,
        inner,
        ...strides(length, inner),
      ]),
    );
    let worst = 0;
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++) {
        const at = (l: number): number => (o * length + l) * inner + i;
        let top = -Infinity;
        let total = 0;
        for (let l = 0; l < length; l++) top = Math.max(top, data[at(l)] as number);
        for (let l = 0; l < length; l++) total += Math.exp(f((data[at(l)] as number) - top));
        for (let l = 0; l < length; l++) {
          // the kernel's own rounding of the difference is no fault of exp
          const want = Math.exp(f((data[at(l)] as number) - top)) / total;
          worst = Math.max(worst, Math.abs((got[at(l)] as number) - want) / want);
        }
      }
    expect(worst).toBeLessThan(1e-6);
  });

  test.each(SHAPES)('mean and variance of (%i, %i, %i), per row', async (outer, length, inner) => {
    const mean = e.div(e.stage(0), e.length);
    const centred = e.sub(x, mean);
    const kernel = rowKernel(
      'std',
      1,
      [
        { combine: 'sum', load: x },
        { combine: 'sum', load: e.mul(centred, centred) },
      ],
      e.sqrt(e.add(e.div(e.stage(1), e.length), e.scalar(0))),
      false,
    );
    const data = random(outer * length * inner, 9).map((v) => f(v + 100));
    const got = await values(
      device,
      run(
        device,
        kernel,
        [array(device, [outer, length, inner], 'float32', data)],
        [outer, inner],
        'float32',
        [outer, length, inner, ...strides(length, inner)],
        [1e-5],
      ),
    );
    const want = rows(data, outer, length, inner, (row) => {
      const m = row.reduce((a, b) => a + b, 0) / length;
      return Math.sqrt(row.reduce((a, b) => a + (b - m) ** 2, 0) / length + 1e-5);
    });
    for (const [i, v] of got.entries()) expect(Math.abs(v / (want[i] as number) - 1)).toBeLessThan(2e-5);
  });

  test('NaN goes through max and min, and is the extreme of argmax and argmin', async () => {
    for (const length of [6, 100, 20000]) {
      const data = Array.from({ length }, (_, i) => -i);
      data[length - 3] = NaN;
      data[length - 1] = NaN;
      const input = array(device, [1, length], 'float32', data);
      const dims = [1, length, 1, ...strides(length, 1)];
      for (const combine of ['max', 'min'] as const)
        expect(await values(device, run(device, reduce(combine), [input], [1], 'float32', dims))).toEqual([
          NaN,
        ]);
      for (const combine of ['argmax', 'argmin'] as const)
        expect(await values(device, run(device, reduce(combine), [input], [1], 'float32', dims))).toEqual([
          length - 3,
        ]);
    }
  });

  test('the first of equal extremes', async () => {
    for (const length of [7, 90, 20000]) {
      const input = array(
        device,
        [2, length],
        'float32',
        Array.from({ length: 2 * length }, (_, i) => (i % length >= 3 && i % 2 === 1 ? 5 : -5)),
      );
      const dims = [2, length, 1, ...strides(length, 1)];
      const first = (row: number): number =>
        [0, 1, 2, 3, 4].find((l) => l >= 3 && (row * length + l) % 2 === 1) as number;
      expect(await values(device, run(device, reduce('argmax'), [input], [2], 'float32', dims))).toEqual([
        first(0),
        first(1),
      ]);
      expect(await values(device, run(device, reduce('argmin'), [input], [2], 'int32', dims))).toEqual([
        0, 0,
      ]);
    }
  });

  test('infinities', async () => {
    const input = array(device, [2, 3], 'float32', [-Infinity, -Infinity, -Infinity, Infinity, 1, Infinity]);
    const dims = [2, 3, 1, 3, 1, 1];
    expect(await values(device, run(device, reduce('max'), [input], [2], 'float32', dims))).toEqual([
      -Infinity,
      Infinity,
    ]);
    expect(await values(device, run(device, reduce('argmax'), [input], [2], 'float32', dims))).toEqual([
      0, 0,
    ]);
    expect(await values(device, run(device, SUM, [input], [2], 'float32', dims))).toEqual([
      -Infinity,
      Infinity,
    ]);
  });

  test('an empty axis', async () => {
    const input = array(device, [2, 0], 'float32', []);
    const dims = [2, 0, 1, 0, 1, 1];
    const got: number[] = [];
    for (const combine of ['sum', 'prod', 'max', 'min'] as const)
      got.push(...(await values(device, run(device, reduce(combine), [input], [2], 'float32', dims))));
    expect(got).toEqual([0, 0, 1, 1, -Infinity, -Infinity, Infinity, Infinity]);
  });

  test('no rows', async () => {
    const y = run(device, SUM, [array(device, [0, 3], 'float32', [])], [0], 'float32', [0, 3, 1, 3, 1, 1]);
    expect(await values(device, y)).toEqual([]);
  });

  test('sums are as accurate as pairwise summation', async () => {
    const length = 100_000;
    const input = array(device, [length], 'float32', new Array(length).fill(f(0.1)));
    const [got] = await values(
      device,
      run(device, SUM, [input], [1], 'float32', [1, length, 1, length, 1, 1]),
    );
    expect(Math.abs((got as number) / (f(0.1) * length) - 1)).toBeLessThan(3e-7);
  });

  test('repeats to the bit', async () => {
    const data = random(40000, 5);
    const input = array(device, [2, 20000], 'float32', data);
    const dims = [2, 20000, 1, ...strides(20000, 1)];
    const first = await values(device, run(device, SUM, [input], [2], 'float32', dims));
    for (let i = 0; i < 3; i++)
      expect(await values(device, run(device, SUM, [input], [2], 'float32', dims))).toEqual(first);
  });

  test('strides that are not the array’s own: a transposed reading, and one value for all', async () => {
    // sum over the first axis of (4, 3) minus a broadcast row: input 1 has strides (0, 0, 1)
    const kernel = rowKernel(
      'sumdiff',
      2,
      [{ combine: 'sum', load: e.sub(x, e.input(1)) }],
      e.stage(0),
      false,
    );
    const a = array(device, [4, 3], 'float32', [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    const b = array(device, [3], 'float32', [1, 10, 100]);
    expect(
      await values(device, run(device, kernel, [a, b], [3], 'float32', [1, 4, 3, 12, 3, 1, 0, 0, 1])),
    ).toEqual([18, -14, -370]);
    // rows of the transpose: outer runs along columns
    expect(await values(device, run(device, SUM, [a], [3], 'float32', [3, 4, 1, 1, 3, 0]))).toEqual([
      22, 26, 30,
    ]);
  });

  test('index and length in loads and stores', async () => {
    const kernel = rowKernel(
      'weighted',
      1,
      [{ combine: 'sum', load: e.mul(x, e.index) }],
      e.add(e.div(e.stage(0), e.length), e.index),
      true,
    );
    const a = array(device, [2, 3], 'float32', [1, 2, 3, 4, 5, 6]);
    const got = await values(device, run(device, kernel, [a], [2, 3], 'float32', [2, 3, 1, 3, 1, 1]));
    for (const [i, v] of got.entries()) expect(v).toBeCloseTo((8 + 3 * i) / 3, 5);
  });

  const INTEGERS: [DType, number[], number, number, number][] = [
    ['int32', [5, 7, 2147483647, 1], -2147483636, 2147483647, 2],
    ['uint32', [4294967295, 2, 7, 1], 9, 4294967295, 0],
    ['int8', [-128, 100, 100, 3], 75, 100, 1],
    ['uint8', [200, 100, 1, 3], 48, 200, 0],
  ];
  test.each(INTEGERS)('%s', async (dtype, data, sum, max, argmax) => {
    const input = array(device, [4], dtype, data);
    const dims = [1, 4, 1, 4, 1, 1];
    expect(await values(device, run(device, SUM, [input], [1], dtype, dims))).toEqual([sum]);
    expect(await values(device, run(device, reduce('max'), [input], [1], dtype, dims))).toEqual([max]);
    expect(await values(device, run(device, reduce('argmax'), [input], [1], 'float32', dims))).toEqual([
      argmax,
    ]);
  });

  test('narrow outputs of neighbouring rows', async () => {
    const data = random(7 * 5, 2).map((v) => f(Math.round(v * 20)));
    const kernel = rowKernel('sum', 1, [{ combine: 'sum', load: x }], e.stage(0), false);
    for (const dtype of ['float16', 'int8', 'uint8', 'bool'] as const) {
      const input = array(device, [7, 5], 'float32', data);
      const got = await values(device, run(device, kernel, [input], [7], dtype, [7, 5, 1, 5, 1, 1]));
      const sums = rows(data, 7, 5, 1, (row) => row.reduce((p, q) => p + q, 0));
      expect(got).toEqual(
        sums.map((v) =>
          dtype === 'float16'
            ? v
            : dtype === 'bool'
              ? Number(v !== 0)
              : dtype === 'int8'
                ? (v << 24) >> 24
                : v & 255,
        ),
      );
    }
    const half = array(device, [2, 3], 'float16', [1, 2, 3, 4, 5, 6]);
    const each = rowKernel('share', 1, [{ combine: 'sum', load: x }], e.div(x, e.stage(0)), true);
    expect(await values(device, run(device, each, [half], [2, 3], 'float32', [2, 3, 1, 3, 1, 1]))).toEqual(
      [1 / 6, 2 / 6, 3 / 6, 4 / 15, 5 / 15, 6 / 15].map(f),
    );
  });
});

describe('plans', () => {
  const traits = {
    software: true,
    subgroups: false,
    f16: false,
    maxWorkgroupStorage: 16384,
    maxInvocationsPerWorkgroup: 256,
    maxWorkgroups: 65535,
  };
  test('a software adapter never uses workgroups together', () => {
    for (const rows of [1, 10, 1000])
      for (const length of [1, 100, 1e6]) expect(planRows(traits, rows, length, 1).agent).toBe('invocation');
    expect(planRows(traits, 1, 1e6, 1).chunks).toBe(256);
    expect(planRows(traits, 1000, 1e6, 1).chunks).toBe(1);
  });
  test('a GPU folds rows by workgroups, neighbours along the inner axis by invocations', () => {
    const real = { ...traits, software: false };
    expect(planRows(real, 64, 1000, 1)).toEqual({ agent: 'workgroup', workgroup: 128, chunks: 1 });
    expect(planRows(real, 64, 10, 1)).toEqual({ agent: 'invocation', workgroup: 64, chunks: 1 });
    expect(planRows(real, 1, 1e6, 1)).toEqual({ agent: 'workgroup', workgroup: 256, chunks: 245 });
    expect(planRows(real, 640, 1000, 64).agent).toBe('invocation');
  });
});

describe('a store per row', () => {
  /** −x[row's label] + log Σ exp: inputs of other strides, read where the row begins. */
  const kernel = rowKernel(
    'loss',
    3,
    [
      { combine: 'max', load: x },
      { combine: 'sum', load: e.exp(e.sub(x, e.stage(0))) },
    ],
    e.mul(e.sub(e.add(e.log(e.stage(1)), e.stage(0)), e.input(1)), e.input(2)),
    false,
  );
  test.each(DEVICES)('reads inputs, %s', async (_, device) => {
    for (const [rows_, length] of [
      [5, 10],
      [3, 5000],
    ] as const) {
      const data = random(rows_ * length, 5);
      const picked = random(rows_, 6);
      const weight = [0.5];
      const y = run(
        device,
        kernel,
        [
          array(device, [rows_, length], 'float32', data),
          array(device, [rows_], 'float32', picked),
          array(device, [1], 'float32', weight),
        ],
        [rows_],
        'float32',
        [rows_, length, 1, length, 1, 0, 1, 0, 0, 0, 0, 0],
      );
      const got = await values(device, y);
      for (let r = 0; r < rows_; r++) {
        const row = data.slice(r * length, (r + 1) * length);
        const most = Math.max(...row);
        const sum = row.reduce((total, v) => total + Math.exp(v - most), 0);
        expect(got[r]).toBeCloseTo((Math.log(sum) + most - (picked[r] as number)) * 0.5, 5);
      }
    }
  });

  test.each(DEVICES)(
    'seven inputs, or six that the store reads, leave no room for chunks, %s',
    async (_, device) => {
      for (const count of [6, 7]) {
        const sum = Array.from({ length: count }, (_, k) => e.input(k)).reduce((a, b) => e.add(a, b));
        const wide = rowKernel(
          'wide',
          count,
          [{ combine: 'sum', load: sum }],
          count === 6 ? e.add(e.stage(0), sum) : e.stage(0),
          false,
        );
        const data = Array.from({ length: count }, (_, k) => random(4100, k + 1));
        const y = run(
          device,
          wide,
          data.map((list) => array(device, [1, 4100], 'float32', list)),
          [1],
          'float32',
          [1, 4100, 1, ...data.flatMap(() => strides(4100, 1))],
        );
        const first = count === 6 ? data.reduce((total, list) => total + (list[0] as number), 0) : 0;
        const want = data.flat().reduce((a, b) => a + b, first);
        expect((await values(device, y))[0]).toBeCloseTo(want, 3);
      }
    },
  );
});
