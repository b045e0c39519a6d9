// Threads that share rows and blocks: what they compute is bit for bit what one thread computes, close to doubles, and right whatever befalls a worker.
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, test } from 'vitest';
import type { Expr } from '../../../ir/expr.ts';
import { e } from '../../../ir/expr.ts';
import type { Operand, Stage } from '../../../ir/kernel.ts';
import { elementwiseKernel, rowKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { empty, get, put, randomStream, SIMD_FORMS } from '../testReference.ts';
import { FAULTS, FAULTS_IN_PLACE, faulty, untilLost } from './testFaults.ts';

const open: CpuDevice[] = [];
function device(options: ConstructorParameters<typeof CpuDevice>[0] = {}): CpuDevice {
  const made = new CpuDevice(options);
  open.push(made);
  return made;
}
afterEach(async () => {
  for (const made of open.splice(0)) await made.dispose();
});

const x = e.input(0);
const exponential = e.exp(e.sub(x, e.stage(0)));
const softmax: readonly Stage[] = [
  { combine: 'max', load: x },
  { combine: 'sum', load: exponential },
];
const centred = e.sub(x, e.div(e.stage(0), e.length));
const spread = e.sqrt(e.add(e.div(e.stage(1), e.length), 1e-5));
const sigmoid = e.div(1, e.add(1, e.exp(e.neg(x))));

type Run = (device: CpuDevice) => Operand[];

const random = randomStream(5);
const stock = Array.from({ length: 410_000 }, () => Math.fround((random() - 0.5) * 12));
/** Numbers that are the same for every device. */
const values = (n: number): number[] => stock.slice(-n);

/** Inputs of these shapes, outputs of the first one's. */
function elementwise(shapes: readonly (readonly number[])[], expr: Expr, others: readonly Expr[] = []): Run {
  const kernel = elementwiseKernel('e', shapes.length, expr, 0, others);
  return (on) => {
    const inputs = shapes.map((shape) => put(on, 'float32', shape, values(shape.reduce((n, d) => n * d, 1))));
    const outputs = [expr, ...others].map(() => empty(on, 'float32', shapes[0] as readonly number[]));
    on.run(kernel, inputs, outputs, [], [1.5]);
    for (const input of inputs) on.free(input.storage);
    return outputs;
  };
}

function inPlace(n: number, expr: Expr): Run {
  const kernel = elementwiseKernel('e', 1, expr);
  return (on) => {
    const data = put(on, 'float32', [n], values(n));
    on.run(kernel, [data], [data], [], []);
    return [data];
  };
}

/** Inputs: the rows, one number a row, one number a column. */
function rows(count: number, length: number, stages: readonly Stage[], store: Expr, perElement = true): Run {
  const kernel = rowKernel('r', 3, stages, store, perElement);
  return (on) => {
    const data = put(on, 'float32', [count, length], values(count * length));
    const row = put(
      on,
      'float32',
      [count],
      values(count).map((v) => Math.floor(Math.abs(v) * 80) % length),
    );
    const column = put(on, 'float32', [length], values(length));
    const out = empty(on, 'float32', perElement ? [count, length] : [count]);
    on.run(kernel, [data, row, column], [out], [count, length, 1, length, 1, 0, 1, 0, 0, 0, 1, 0], []);
    for (const input of [data, row, column]) on.free(input.storage);
    return [out];
  };
}

const share = e.div(exponential, e.stage(1));
const norm = e.add(e.mul(e.div(centred, spread), e.input(2)), e.input(1));
const moments: readonly Stage[] = [
  { combine: 'sum', load: x },
  { combine: 'sum', load: e.mul(centred, centred) },
];
const entropy: readonly Stage[] = [
  ...softmax,
  { combine: 'sum', load: e.select(e.eq(e.index, e.input(1)), x, 0) },
];

const CASES: Readonly<Record<string, Run>> = {
  sum: elementwise([[400003], [400003]], e.add(x, e.input(1))),
  sigmoid: elementwise([[200001]], sigmoid),
  'sigmoid in place': inPlace(100001, sigmoid),
  'a product in place': inPlace(400003, e.mul(x, 3)),
  'a polynomial in place': inPlace(400003, e.add(e.mul(e.add(e.mul(x, e.mul(x, 0.1)), 0.5), x), 2)),
  'functions of scalars and places': elementwise(
    [[260, 1111], [1]],
    e.add(e.mul(e.tanh(x), e.scalar(0)), e.mul(e.input(1), e.index)),
  ),
  'two results': elementwise([[100003], [100003]], e.mul(x, e.exp(e.input(1))), [
    e.sub(e.erf(x), e.scalar(0)),
  ]),
  'a number a column': elementwise([[777, 515], [515]], e.sub(x, e.input(1))),
  'a number a row': elementwise(
    [
      [777, 515],
      [777, 1],
    ],
    e.mul(e.log(e.abs(x)), e.input(1)),
  ),
  'a number a plane': elementwise(
    [
      [3, 40, 50, 41],
      [40, 1, 1],
    ],
    e.exp(e.mul(x, e.input(1))),
  ),
  'places along rows': elementwise([[301, 700], [700]], e.add(e.index, e.mul(x, e.input(1)))),
  softmax: rows(213, 777, softmax, share),
  'softmax of long rows': rows(7, 30011, softmax, share),
  'softmax of one row': rows(1, 200003, softmax, share),
  'log softmax': rows(300, 1025, softmax, e.sub(e.sub(x, e.stage(0)), e.log(e.stage(1)))),
  'layer norm': rows(1100, 199, moments, norm),
  'layer norm of long rows': rows(9, 20011, moments, norm),
  'cross entropy': rows(300, 1000, entropy, e.sub(e.add(e.log(e.stage(1)), e.stage(0)), e.stage(2)), false),
  'cross entropy of long rows': rows(
    30,
    10007,
    entropy,
    e.sub(e.add(e.log(e.stage(1)), e.stage(0)), e.stage(2)),
    false,
  ),
  'sums of rows': rows(70, 5000, [{ combine: 'sum', load: x }], e.stage(0), false),
  'extremes of many rows': rows(
    5000,
    64,
    [
      { combine: 'max', load: x },
      { combine: 'min', load: e.mul(x, e.input(2)) },
    ],
    e.sub(e.stage(0), e.stage(1)),
    false,
  ),
};

function bitsOf(on: CpuDevice, run: Run): string {
  const outputs = run(on);
  const hash = createHash('sha256');
  for (const { storage, shape } of outputs) {
    hash.update(new Uint8Array(on.readSync({ storage, at: 0, bytes: shape.reduce((n, d) => n * d, 4) })));
    on.free(storage);
  }
  return hash.digest('hex');
}
const all = (on: CpuDevice): Record<string, string> =>
  Object.fromEntries(Object.entries(CASES).map(([name, run]) => [name, bitsOf(on, run)]));

describe('rows and blocks', () => {
  test.each(SIMD_FORMS)('are the same for 1, 2 and 4 threads: %s', async (simd) => {
    const one = all(device({ simd }));
    for (const threads of [2, 4]) {
      const many = device({ simd });
      expect(await many.setNumThreads(threads)).toBe(threads);
      for (let round = 0; round < 2; round++) expect(all(many)).toEqual(one);
      expect(many.numThreads).toBe(threads);
    }
  });

  test('of more than a block are those of doubles', async () => {
    const cpu = device();
    await cpu.setNumThreads(2);
    for (const [count, length] of [
      [40, 1025],
      [3, 5003],
      [2, 30000],
    ] as const) {
      const data = values(count * length);
      const [out] = rows(count, length, softmax, share)(cpu) as [Operand];
      const got = get(cpu, out);
      for (let r = 0; r < count; r++) {
        const row = data.slice(r * length, (r + 1) * length);
        const top = Math.max(...row);
        const total = row.reduce((sum, v) => sum + Math.exp(v - top), 0);
        const worst = row.reduce((most, v, i) => {
          const want = Math.exp(v - top) / total;
          return Math.max(most, Math.abs((got[r * length + i] as number) - want) / want);
        }, 0);
        // 2 ulp of exp, what rounding the differences and the quotient adds
        expect(worst).toBeLessThan(2e-6);
      }
      const sums = get(
        cpu,
        (rows(count, length, entropy, e.add(e.stage(2), e.stage(0)), false)(cpu) as [Operand])[0],
      );
      const labels = values(count).map((v) => Math.floor(Math.abs(v) * 80) % length);
      for (let r = 0; r < count; r++) {
        const row = data.slice(r * length, (r + 1) * length);
        expect(sums[r]).toBe(Math.fround(Math.max(...row) + (row[labels[r] as number] as number)));
      }
    }
  });

  test.each(FAULTS)('%s', async (_, text) => {
    const want = all(device());
    const cpu = device();
    expect(await cpu.setNumThreads(2, faulty(text))).toBe(2);
    untilLost(cpu, () => {
      expect(all(cpu)).toEqual(want);
    });
    expect(cpu.numThreads).toBe(1);
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect(all(cpu)).toEqual(want);
  });

  test.each(['sigmoid', 'a number a plane', 'layer norm', 'cross entropy'])(
    'a worker that stops in the midst of %s',
    async (name) => {
      const run = CASES[name] as Run;
      const want = bitsOf(device(), run);
      const cpu = device();
      expect(await cpu.setNumThreads(2, faulty(FAULTS[0][1]))).toBe(2);
      untilLost(cpu, () => {
        expect(bitsOf(cpu, run)).toBe(want);
      });
      expect(cpu.numThreads).toBe(1);
      expect(bitsOf(cpu, run)).toBe(want);
    },
  );

  test.each(FAULTS_IN_PLACE)('%s', async (_, text) => {
    for (const name of ['a polynomial in place', 'sigmoid in place']) {
      const run = CASES[name] as Run;
      const want = bitsOf(device(), run);
      const cpu = device();
      expect(await cpu.setNumThreads(2, faulty(text))).toBe(2);
      untilLost(cpu, () => {
        expect(bitsOf(cpu, run)).toBe(want);
      });
      expect(cpu.numThreads).toBe(1);
      expect(bitsOf(cpu, run)).toBe(want);
    }
  });
});
