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

  // a sample, a channel, a place of the picture; what depends on channel and sample alone is computed once a row
  const [data, channel, both, sample] = [e.input(0), e.input(1), e.input(2), e.input(3)];
  const deviation = e.sqrt(e.add(e.mul(channel, channel), e.abs(both)));
  const share = e.div(1, e.add(1, e.exp(e.neg(sample))));
  test.each([
    ['three axes', [5, 6, 70]],
    ['four axes', [3, 4, 6, 20]],
    ['one sample', [1, 7, 2500]],
    ['rows cut into blocks', [2, 1, 5000]],
  ] as const)('numbers a row: %s', (_, shape) => {
    const [places, channels] = [shape.at(-1) as number, shape.at(-2) as number];
    const samples = shape[0];
    const between = shape.slice(1, -2).map(() => 1);
    const shapes = [shape, [channels, 1], [samples, ...between, channels, 1], [samples, ...between, 1, 1]];
    const expr = e.add(e.mul(e.div(e.sub(data, channel), deviation), share), e.mul(both, e.index));
    const kernel = elementwiseKernel('rows', 4, expr);
    const values = shapes.map((of) =>
      Array.from({ length: of.reduce((n, d) => n * d, 1) }, () => Math.fround(random() * 4 - 2)),
    );
    const inputs = shapes.map((of, k) => put(device, 'float32', of, values[k] as number[]));
    const out = empty(device, 'float32', shape);
    device.run(kernel, inputs, [out], [], []);
    const size = values[0]?.length ?? 0;
    const perSample = size / samples;
    const at = (k: number, i: number): number => values[k]?.[i] as number;
    const want = Array.from({ length: size }, (_, i) => {
      const [s, c] = [Math.floor(i / perSample), Math.floor(i / places) % channels];
      const b = at(2, s * channels + c);
      const spread = Math.sqrt(at(1, c) ** 2 + Math.abs(b));
      return (at(0, i) - at(1, c)) / spread / (1 + Math.exp(-at(3, s))) + b * i;
    });
    // rounded a dozen times, in numbers up to twice the place, and quotients of up to some hundreds
    get(device, out).forEach((y, i) => {
      const w = want[i] as number;
      if (!(Math.abs(y - w) <= 12 * 2 ** -24 * (Math.abs(w) + 2 * i + 400)))
        throw new Error(`${i}: expected ${w}, received ${y}`);
    });
  });

  test('labels of any dtype, and classes that they round to', () => {
    const label = e.max(0, e.min(e.trunc(e.input(1)), e.sub(e.length, 1)));
    const stages: readonly Stage[] = [{ combine: 'sum', load: e.select(e.eq(e.index, label), x, 0) }];
    const [rows, length] = [90, 77];
    const values = Array.from({ length: rows * length }, () => Math.fround(random()));
    const labels = Array.from({ length: rows }, (_, r) => (r * 31) % (length + 20));
    for (const perElement of [false, true])
      for (const dtype of ['float32', 'int32', 'uint8', 'float16', 'float64'] as const) {
        const store = perElement ? e.sub(e.eq(e.index, label), e.stage(0)) : e.stage(0);
        const kernel = rowKernel('pick', 2, stages, store, perElement);
        const inputs = [put(device, 'float32', [rows, length], values), put(device, dtype, [rows], labels)];
        const out = empty(device, 'float32', perElement ? [rows, length] : [rows]);
        device.run(kernel, inputs, [out], [rows, length, 1, length, 1, 0, 1, 0, 0], []);
        const picked = labels.map((c, r) => values[r * length + Math.min(c, length - 1)] as number);
        const want = perElement
          ? values.map((_, i) => {
              const r = Math.floor(i / length);
              const hit = i % length === Math.min(labels[r] as number, length - 1);
              return Math.fround(Number(hit) - (picked[r] as number));
            })
          : picked;
        expect(get(device, out)).toEqual(want);
      }
  });
});
