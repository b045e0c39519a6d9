// Row kernels against a reference that follows ir/kernel.ts literally, one (o, i) after the other: random stages, shapes, strides and dtypes,
// so that all three orders of work are met, and the known ones (softmax, norms) on their own.
import { expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { DTYPES, isFloat } from '../../core/dtype.ts';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { Combine, Operand, RowKernel, Stage } from '../../ir/kernel.ts';
import { computeTypeFor, rowKernel } from '../../ir/kernel.ts';
import { CpuDevice } from './cpuDevice.ts';
import {
  close,
  convertTo,
  empty,
  evaluate,
  get,
  nativeOf,
  put,
  randomStream,
  release,
} from './testReference.ts';

const device = new CpuDevice();

function reference(
  kernel: RowKernel,
  inputs: readonly Operand[],
  out: Operand,
  dims: readonly number[],
  scalars: readonly number[],
): number[] {
  const [outer = 0, length = 0, inner = 0] = dims;
  const type = computeTypeFor(kernel.computeFrom, inputs, [out]);
  const native = nativeOf[type];
  const float = type === 'f32' || type === 'f64';
  const values = inputs.map((x) => get(device, x));
  const result = get(device, out);
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      const leaves = (l: number, stages: readonly number[]) => ({
        input: (k: number) => {
          const at =
            o * (dims[3 + 3 * k] as number) +
            l * (dims[4 + 3 * k] as number) +
            i * (dims[5 + 3 * k] as number);
          return convertTo(
            (values[k] as number[])[at] as number,
            native,
            isFloat((inputs[k] as Operand).dtype),
          );
        },
        scalars,
        index: l,
        length,
        stages,
      });
      const stages: number[] = [];
      for (const stage of kernel.stages) {
        const row = Array.from({ length }, (_, l) => evaluate(stage.load, type, leaves(l, stages)));
        stages.push(
          convertTo(
            fold(stage.combine, row, type === 'i32' || type === 'u32', type === 'u32'),
            native,
            float,
          ),
        );
      }
      if (kernel.perElement)
        for (let l = 0; l < length; l++)
          result[(o * length + l) * inner + i] = convertTo(
            evaluate(kernel.store, type, leaves(l, stages)),
            out.dtype,
            float,
          );
      else
        result[o * inner + i] = convertTo(evaluate(kernel.store, type, leaves(0, stages)), out.dtype, float);
    }
  return result;
}

function fold(combine: Combine, row: readonly number[], integer: boolean, unsigned: boolean): number {
  switch (combine) {
    case 'sum':
      return integer ? row.reduce((a, b) => (a + b) | 0, 0) : row.reduce((a, b) => a + b, 0);
    case 'prod':
      return integer ? row.reduce((a, b) => Math.imul(a, b), 1) : row.reduce((a, b) => a * b, 1);
    case 'max':
      return row.reduce((a, b) => Math.max(a, b), integer ? (unsigned ? 0 : -2147483648) : -Infinity);
    case 'min':
      return row.reduce((a, b) => Math.min(a, b), integer ? (unsigned ? 4294967295 : 2147483647) : Infinity);
    case 'argmax':
    case 'argmin': {
      const nan = row.findIndex((x) => Number.isNaN(x));
      if (nan >= 0) return nan;
      if (row.length === 0) return 0;
      return row.indexOf(combine === 'argmax' ? Math.max(...row) : Math.min(...row));
    }
  }
}

function check(
  kernel: RowKernel,
  inputs: readonly Operand[],
  out: Operand,
  dims: readonly number[],
  scalars: readonly number[],
  relative: number,
): void {
  const want = reference(kernel, inputs, out, dims, scalars);
  device.run(kernel, inputs, [out], dims, scalars);
  const results = get(device, out);
  const bad: string[] = [];
  for (let i = 0; i < want.length; i++)
    if (!close(results[i] as number, want[i] as number, relative) && bad.length < 4)
      bad.push(`[${i}] ${results[i]} instead of ${want[i]}`);
  expect(bad, `${kernel.key} ${dims} ${inputs.map((x) => x.dtype)} > ${out.dtype}`).toEqual([]);
}

const COMBINES: readonly Combine[] = ['sum', 'prod', 'max', 'min', 'argmax', 'argmin'];

function randomLoad(inputs: number, stages: number, random: () => number): Expr {
  const leaf = (): Expr => {
    const r = random();
    if (r < 0.55) return e.input(Math.floor(random() * inputs));
    if (r < 0.7 && stages > 0) return e.stage(Math.floor(random() * stages));
    if (r < 0.8) return e.index;
    return r < 0.9 ? e.length : e.scalar(0);
  };
  const r = random();
  if (r < 0.35) return e.input(Math.floor(random() * inputs));
  if (r < 0.7) return e.max(leaf(), leaf());
  return e.select(e.lt(leaf(), leaf()), leaf(), e.add(leaf(), leaf()));
}

test('random stages, shapes, strides and dtypes', () => {
  const random = randomStream(3);
  const dimOf = (): number => {
    const r = random();
    return r < 0.05
      ? 0
      : r < 0.3
        ? 1
        : r < 0.8
          ? 1 + Math.floor(random() * 7)
          : 20 + Math.floor(random() * 60);
  };
  for (let round = 0; round < 350; round++) {
    const [outer, length, inner] = [dimOf(), dimOf(), dimOf()];
    const dtype = DTYPES[Math.floor(random() * DTYPES.length)] as DType;
    const count = 1 + Math.floor(random() * 2);
    const dims = [outer, length, inner];
    const inputs: Operand[] = [];
    for (let k = 0; k < count; k++) {
      // contiguous, transposed, or repeated along some axis
      const r = random();
      const strides =
        r < 0.5
          ? [length * inner, inner, 1]
          : r < 0.7
            ? [1, outer, outer * length]
            : [length * (random() < 0.5 ? 0 : 1), 1, 0];
      dims.push(...strides);
      const n = outer * length * inner;
      // small integers: sums and products are exact, so every order of summation gives the same
      const type =
        k === 0 || random() < 0.7 ? dtype : (DTYPES[Math.floor(random() * DTYPES.length)] as DType);
      const values = Array.from({ length: n }, () => {
        if (isFloat(type) && random() < 0.004) return random() < 0.5 ? Number.NaN : Infinity;
        return convertTo(Math.floor(random() * 5) - (type.startsWith('u') ? 0 : 2), type, false);
      });
      inputs.push(put(device, type, [n], values));
    }
    const stages: Stage[] = [];
    const stageCount = Math.floor(random() * 4);
    for (let s = 0; s < stageCount; s++)
      stages.push({
        combine: COMBINES[Math.floor(random() * (random() < 0.1 ? 6 : 6))] as Combine,
        load: randomLoad(count, s, random),
      });
    // a product of many factors leaves the exact integers of float32
    const safe = stages.map((s) =>
      s.combine === 'prod' ? { combine: s.combine, load: e.select(e.lt(s.load, 0), -1, 1) } : s,
    );
    const perElement = random() < 0.5;
    const store = perElement
      ? randomLoad(count, stageCount, random)
      : stageCount === 0
        ? e.add(e.length, e.scalar(0))
        : length > 0 && random() < 0.5
          ? e.add(e.stage(0), randomLoad(count, stageCount, random))
          : e.add(e.stage(Math.floor(random() * stageCount)), e.mul(e.stage(0), e.scalar(0)));
    const kernel = rowKernel('test', count, safe, store, perElement);
    const n = outer * inner * (perElement ? length : 1);
    const out = empty(
      device,
      random() < 0.6 ? dtype : (DTYPES[Math.floor(random() * DTYPES.length)] as DType),
      [n],
    );
    check(kernel, inputs, out, dims, [Math.floor(random() * 5) - 2], 0);
    release(device, out, ...inputs);
  }
});

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
const norm = rowKernel(
  'layerNorm',
  3,
  [
    { combine: 'sum', load: e.div(e.input(0), e.length) },
    {
      combine: 'sum',
      load: e.div(e.mul(e.sub(e.input(0), e.stage(0)), e.sub(e.input(0), e.stage(0))), e.length),
    },
  ],
  e.add(
    e.mul(e.div(e.sub(e.input(0), e.stage(0)), e.sqrt(e.add(e.stage(1), e.scalar(0)))), e.input(1)),
    e.input(2),
  ),
  true,
);

test.each([
  [64, 10, 1],
  [3, 2500, 1],
  [2, 7, 90],
  [5, 3, 4],
  [1, 1, 1],
  [1500, 4, 1],
  [4, 30, 2],
])('softmax and layer norm over (%i, %i, %i)', (outer, length, inner) => {
  const random = randomStream(outer + length);
  const n = outer * length * inner;
  const x = put(
    device,
    'float32',
    [n],
    Array.from({ length: n }, () => Math.fround((random() - 0.5) * 20)),
  );
  const gamma = put(
    device,
    'float32',
    [length],
    Array.from({ length }, () => Math.fround(random())),
  );
  const y = empty(device, 'float32', [n]);
  const dims = [outer, length, inner, length * inner, inner, 1];
  check(softmax, [x], y, dims, [], 3e-6);
  // a row of one element has no spread: what is left is rounding
  check(norm, [x, gamma, gamma], y, [...dims, 0, 1, 0, 0, 1, 0], [0.5], 1e-4);
  release(device, x, gamma, y);
});

test('float32 sums are as good as a double sum, rounded', () => {
  const n = 200_003;
  const random = randomStream(5);
  const values = Array.from({ length: n }, () => Math.fround(random() * 1000));
  const x = put(device, 'float32', [n], values);
  const y = empty(device, 'float32', [1]);
  const sum = rowKernel('sum', 1, [{ combine: 'sum', load: e.input(0) }], e.stage(0), false);
  device.run(sum, [x], [y], [1, n, 1, n, 1, 1], []);
  const want = Math.fround(values.reduce((a, b) => a + b, 0));
  expect(get(device, y)).toEqual([want]);
  // the same numbers down the columns
  const z = empty(device, 'float32', [100]);
  device.run(sum, [x], [z], [1, 2000, 100, 0, 100, 1], []);
  const column = Math.fround(
    Array.from({ length: 2000 }, (_, l) => values[l * 100 + 7] as number).reduce((a, b) => a + b, 0),
  );
  expect(get(device, z)[7]).toBe(column);
  release(device, x, y, z);
});

test('an empty axis gives 0, 1, −∞ and ∞', () => {
  const x = put(device, 'float32', [0], []);
  const y = empty(device, 'float32', [3]);
  for (const [combine, value] of [
    ['sum', 0],
    ['prod', 1],
    ['max', -Infinity],
    ['min', Infinity],
  ] as const) {
    for (const dims of [
      [3, 0, 1],
      [1, 0, 3],
    ]) {
      device.run(
        rowKernel('r', 1, [{ combine, load: e.input(0) }], e.stage(0), false),
        [x],
        [y],
        [...dims, 0, 1, 1],
        [],
      );
      expect(get(device, y)).toEqual([value, value, value]);
    }
  }
  release(device, x, y);
});
