// Lists of steps against the same kernels on single rows and blocks, which take their steps one by one in JavaScript: bit for bit.
import { describe, expect, test } from 'vitest';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { Stage } from '../../ir/kernel.ts';
import { elementwiseKernel, rowKernel } from '../../ir/kernel.ts';
import { CpuDevice } from './cpuDevice.ts';
import { empty, get, put, randomStream } from './testReference.ts';

const x = e.input(0);
const z = e.div(x, e.scalar(0));
const exponential = e.exp(e.sub(z, e.stage(0)));
const softmaxStages: readonly Stage[] = [
  { combine: 'max', load: z },
  { combine: 'sum', load: exponential },
];
const centred = e.sub(x, e.div(e.stage(0), e.length));
const spread = e.sqrt(e.add(e.div(e.stage(1), e.length), 1e-5));

/** Name, inputs, stages, store, whether it is one a number. Inputs: the rows, one number a row, one number a column. */
const KERNELS: readonly (readonly [string, readonly Stage[], Expr, boolean])[] = [
  ['softmax', softmaxStages, e.div(exponential, e.stage(1)), true],
  ['log softmax', softmaxStages, e.sub(e.sub(z, e.stage(0)), e.log(e.stage(1))), true],
  ['log of the sum of exponentials', softmaxStages, e.add(e.log(e.stage(1)), e.stage(0)), false],
  [
    'layer norm',
    [
      { combine: 'sum', load: x },
      { combine: 'sum', load: e.mul(centred, centred) },
    ],
    e.add(e.mul(e.div(centred, spread), e.input(2)), e.input(1)),
    true,
  ],
  [
    'cross entropy',
    [...softmaxStages, { combine: 'sum', load: e.select(e.eq(e.index, e.input(1)), z, 0) }],
    e.sub(e.add(e.log(e.stage(1)), e.stage(0)), e.stage(2)),
    false,
  ],
  [
    'extremes and functions',
    [
      { combine: 'min', load: e.tanh(e.mul(x, e.input(2))) },
      { combine: 'max', load: e.abs(e.erf(x)) },
    ],
    e.add(e.mul(e.stage(0), e.floor(x)), e.mul(e.max(x, e.stage(1)), e.not(e.lt(e.index, 3)))),
    true,
  ],
];

describe('lists', () => {
  const device = new CpuDevice();
  const random = randomStream(11);

  // 600 elements a row and more: functions are the compiled ones for one row too
  test.each(KERNELS)('%s, all rows at once and one by one', (name, stages, store, perElement) => {
    const kernel = rowKernel(name, 3, stages, store, perElement);
    for (const length of [600, 777, 1024])
      for (const temperature of [1, 1.7]) {
        const rows = 5;
        const values = Array.from({ length: rows * length }, () => (random() - 0.5) * 12);
        const labels = Array.from({ length: rows }, () => Math.floor(random() * length));
        const columns = Array.from({ length }, () => random());
        const run = (first: number, count: number): number[] => {
          const data = put(
            device,
            'float32',
            [count, length],
            values.slice(first * length, (first + count) * length),
          );
          const label = put(device, 'float32', [count], labels.slice(first, first + count));
          const column = put(device, 'float32', [length], columns);
          const out = empty(device, 'float32', perElement ? [count, length] : [count]);
          const dims = [count, length, 1, length, 1, 0, 1, 0, 0, 0, 1, 0];
          device.run(kernel, [data, label, column], [out], dims, [temperature]);
          return get(device, out);
        };
        const single = Array.from({ length: rows }, (_, r) => run(r, 1)).flat();
        expect(run(0, rows)).toEqual(single);
        expect(single.some((y) => y !== 0 && Number.isFinite(y))).toBe(true);
      }
  });

  test('more rows than are gathered at once', () => {
    const kernel = rowKernel('lse', 1, softmaxStages, e.add(e.log(e.stage(1)), e.stage(0)), false);
    const [rows, length] = [1500, 64];
    const values = Array.from({ length: rows * length }, () => (random() - 0.5) * 12);
    const y = empty(device, 'float32', [rows]);
    const data = put(device, 'float32', [rows, length], values);
    device.run(kernel, [data], [y], [rows, length, 1, length, 1, 0], [1]);
    get(device, y).forEach((got, r) => {
      const row = values.slice(r * length, (r + 1) * length).map(Math.fround);
      const top = Math.max(...row);
      const want = top + Math.log(row.reduce((sum, v) => sum + Math.exp(v - top), 0));
      expect(Math.abs(got - want)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(want)));
    });
  });

  test('scalars change from run to run', () => {
    const kernel = rowKernel('softmax', 1, softmaxStages, e.div(exponential, e.stage(1)), true);
    const data = put(
      device,
      'float32',
      [2, 64],
      Array.from({ length: 128 }, () => random()),
    );
    const of = (temperature: number, on = device): number[] => {
      const y = empty(on, 'float32', [2, 64]);
      const input = on === device ? data : put(on, 'float32', [2, 64], get(device, data));
      on.run(kernel, [input], [y], [2, 64, 1, 64, 1, 0], [temperature]);
      return get(on, y);
    };
    for (const temperature of [1, 3, 1, 0.5])
      expect(of(temperature)).toEqual(of(temperature, new CpuDevice()));
    expect(of(1)).not.toEqual(of(3));
  });

  const s = e.div(1, e.add(1, e.exp(e.neg(x))));
  test.each([
    ['sigmoid', s],
    ['a product with 1', e.add(e.mul(e.mul(x, e.scalar(0)), x), e.mul(x, e.scalar(0)))],
    ['gelu', e.mul(e.mul(x, 0.5), e.add(1, e.erf(e.mul(x, Math.SQRT1_2))))],
    // lists do exp and what stands around it as one step, where nothing else reads what is between
    ['exp of a difference', e.exp(e.sub(x, e.input(1)))],
    ['a share, the other way round', e.div(1, e.add(e.exp(e.sub(x, e.input(1))), 1))],
    ['exp read twice', e.add(e.exp(e.neg(x)), e.div(1, e.add(1, e.exp(e.neg(x)))))],
    ['its operand read twice', e.mul(e.neg(x), e.exp(e.neg(x)))],
    ['shares of others than 1', e.add(e.div(2, e.add(1, e.exp(x))), e.div(1, e.add(2, e.exp(e.sub(2, x)))))],
    ['choice', e.select(e.gt(x, e.input(1)), e.mul(x, 2), e.sub(e.exp(x), 1))],
    ['no compiled loop', e.add(e.sin(x), e.exp(x))],
  ])('%s: many blocks at once and one by one, also in place', (name, expr) => {
    const kernel = elementwiseKernel(name, 2, expr);
    for (const n of [2048, 5000]) {
      const values = Array.from({ length: n }, () => (random() - 0.5) * 8);
      const run = (first: number, count: number, inPlace = false): number[] => {
        const data = put(device, 'float32', [count], values.slice(first, first + count));
        const other = put(device, 'float32', [1], [0.25]);
        const out = inPlace ? data : empty(device, 'float32', [count]);
        device.run(kernel, [data, other], [out], [], [1]);
        return get(device, out);
      };
      const pieces: number[] = [];
      for (let at = 0; at < n; at += 1000) pieces.push(...run(at, Math.min(1000, n - at)).slice(0, 1000));
      // pieces of at most 512 elements would have other functions
      const tail = n % 1000;
      const end = tail > 0 && tail <= 512 ? n - tail : n;
      const whole = run(0, n);
      expect(whole.slice(0, end)).toEqual(pieces.slice(0, end));
      expect(run(0, n, true)).toEqual(whole);
    }
  });
});
