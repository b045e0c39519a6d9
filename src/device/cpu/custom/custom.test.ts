// Custom kernels against loops written from the lines of ir/kernel.ts.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../../core/dtype.ts';
import { DTYPES, isFloat } from '../../../core/dtype.ts';
import { CpuGenerators } from '../../../core/random/mxnetCpu.ts';
import { sizeOf, stridesOf } from '../../../core/shape.ts';
import type { CustomName } from '../../../ir/kernel.ts';
import { customKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { convertTo, empty, get, put, randomStream, release } from '../testReference.ts';

const device = new CpuDevice();
const random = randomStream(77);
const one = (max: number): number => 1 + Math.floor(random() * max);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

function numbers(dtype: DType, n: number, span = 200): number[] {
  return Array.from({ length: n }, () => {
    if (isFloat(dtype) && random() < 0.02) return pick([Number.NaN, Infinity, -Infinity, -0]);
    const x = isFloat(dtype) ? (random() - 0.5) * span : Math.floor((random() - 0.5) * span);
    return convertTo(x, dtype, isFloat(dtype));
  });
}

/** Runs a kernel on one input (and indices) and returns the output's numbers. */
function run(
  name: CustomName,
  inputs: readonly (readonly [DType, readonly number[], readonly number[]])[],
  out: readonly [DType, readonly number[]],
  dims: readonly number[],
  initial?: readonly number[],
): number[] {
  const operands = inputs.map(([dtype, shape, values]) => put(device, dtype, shape, values));
  const y = initial === undefined ? empty(device, ...out) : put(device, out[0], out[1], initial);
  device.run(customKernel(name), operands, [y], dims, []);
  const result = get(device, y);
  release(device, y, ...operands);
  return result;
}

describe('stridedCopy', () => {
  test('random axes, offsets and strides, also negative and repeated; the rest keeps its value', () => {
    for (let round = 0; round < 300; round++) {
      const dtype = pick(DTYPES);
      const to = random() < 0.7 ? dtype : pick(DTYPES);
      const ndim = Math.floor(random() * 5);
      const shape = Array.from({ length: ndim }, () => (random() < 0.03 ? 0 : random() < 0.1 ? 40 : one(6)));
      // a permuted, flipped, partly repeated input
      const order = shape.map((_, i) => i).sort(() => random() - 0.5);
      const inStrides = new Array<number>(ndim).fill(0);
      let inOffset = one(5);
      let step = random() < 0.3 ? 2 : 1;
      for (const axis of order) {
        if (random() < 0.15) continue;
        const extent = shape[axis] as number;
        if (random() < 0.25) {
          inStrides[axis] = -step;
          inOffset += step * Math.max(extent - 1, 0);
        } else inStrides[axis] = step;
        step *= Math.max(extent, 1);
      }
      const length = inOffset + step + 5;
      // an output with gaps
      const gaps = shape.map((d) => d + (random() < 0.4 ? one(3) : 0));
      const outStrides = stridesOf(gaps);
      const outOffset = one(7);
      const size = outOffset + sizeOf(gaps) + 3;
      const x = numbers(dtype, length);
      const before = numbers(to, size);
      const want = before.slice();
      const visit = (axis: number, from: number, at: number): void => {
        if (axis === ndim) {
          want[at] = convertTo(x[from] as number, to, isFloat(dtype));
          return;
        }
        for (let c = 0; c < (shape[axis] as number); c++)
          visit(axis + 1, from + c * (inStrides[axis] as number), at + c * (outStrides[axis] as number));
      };
      visit(0, inOffset, outOffset);
      const dims = [ndim, inOffset, outOffset, ...shape, ...inStrides, ...outStrides];
      expect(run('stridedCopy', [[dtype, [length], x]], [to, [size]], dims, before)).toEqual(want);
    }
  });
  test.each([
    [100, 70],
    [3, 500],
    [500, 3],
    [33, 1000],
  ])('transposes %i × %i', (rows, columns) => {
    const x = numbers('float32', rows * columns);
    const result = run(
      'stridedCopy',
      [['float32', [rows, columns], x]],
      ['float32', [columns, rows]],
      [2, 0, 0, columns, rows, 1, columns, rows, 1],
    );
    expect(result).toEqual(
      Array.from({ length: rows * columns }, (_, i) => x[(i % rows) * columns + Math.floor(i / rows)]),
    );
  });
});

const wrap = (i: number, n: number): number => ((i % n) + n) % n;
const clip = (i: number, n: number): number => Math.min(Math.max(i, 0), n - 1);

test('take and takeAlong, clipped and wrapped, with indices of every dtype', () => {
  for (let round = 0; round < 150; round++) {
    const [outer, extent, inner, count] = [one(4), one(6), random() < 0.4 ? 1 : one(50), one(8)];
    const mode = pick([0, 1]);
    const place = (i: number): number => (mode === 0 ? clip : wrap)(Math.trunc(i), extent);
    const dtype = pick(DTYPES);
    const indexType = pick(DTYPES.filter((d) => d !== 'bool'));
    const makeIndices = (n: number): number[] =>
      Array.from({ length: n }, () =>
        convertTo(
          isFloat(indexType)
            ? (random() - 0.4) * 20
            : Math.floor((random() - (indexType.startsWith('u') ? 0 : 0.4)) * 20),
          indexType,
          isFloat(indexType),
        ),
      );
    const x = numbers(dtype, outer * extent * inner);
    const indices = makeIndices(count);
    const dims = [outer, extent, inner, count, mode];
    const shape = [outer, count, inner];
    const want = Array.from({ length: outer * count * inner }, (_, at) => {
      const i = at % inner;
      const j = Math.floor(at / inner) % count;
      return x[(Math.floor(at / inner / count) * extent + place(indices[j] as number)) * inner + i];
    });
    expect(
      run(
        'take',
        [
          [dtype, [x.length], x],
          [indexType, [count], indices],
        ],
        [dtype, shape],
        dims,
      ),
    ).toEqual(want);
    const along = makeIndices(outer * count * inner);
    const wantAlong = along.map((index, at) => {
      const o = Math.floor(at / inner / count);
      return x[(o * extent + place(index)) * inner + (at % inner)];
    });
    expect(
      run(
        'takeAlong',
        [
          [dtype, [x.length], x],
          [indexType, shape, along],
        ],
        [dtype, shape],
        dims,
      ),
    ).toEqual(wantAlong);
  }
});

/** The dtypes that scatterAddNd takes: those that are computed in as they are. */
const ADDED: readonly DType[] = ['float32', 'float64', 'int32', 'uint32'];

test('gatherNd, scatterNd and scatterAddNd', () => {
  for (let round = 0; round < 150; round++) {
    const depth = Math.floor(random() * 4);
    const extents = Array.from({ length: depth }, () => one(4));
    const [count, slice] = [Math.floor(random() * 9), one(random() < 0.5 ? 2 : 60)];
    const dims = [count, depth, slice, ...extents];
    const indices = Array.from({ length: depth * count }, () => Math.floor((random() - 0.5) * 14));
    const offset = (n: number): number =>
      extents.reduce((at, extent, d) => {
        const i = indices[d * count + n] as number;
        return at * extent + clip(i < 0 ? i + extent : i, extent);
      }, 0) * slice;
    const dtype = pick(DTYPES);
    const whole = numbers(dtype, sizeOf(extents) * slice);
    const rows = numbers(dtype, count * slice);
    const index: readonly [DType, readonly number[], readonly number[]] = [
      pick(['int32', 'float32'] as const),
      [depth, count],
      indices,
    ];
    const gathered = rows.map((_, at) => whole[offset(Math.floor(at / slice)) + (at % slice)]);
    expect(run('gatherNd', [[dtype, [whole.length], whole], index], [dtype, [count, slice]], dims)).toEqual(
      gathered,
    );
    const scattered = whole.slice();
    rows.forEach((v, at) => {
      scattered[offset(Math.floor(at / slice)) + (at % slice)] = v;
    });
    expect(
      run('scatterNd', [[dtype, [count, slice], rows], index], [dtype, [whole.length]], dims, whole),
    ).toEqual(scattered);
    if (!ADDED.includes(dtype)) continue;
    const added = whole.slice();
    rows.forEach((v, at) => {
      const to = offset(Math.floor(at / slice)) + (at % slice);
      added[to] = convertTo((added[to] as number) + v, dtype, isFloat(dtype));
    });
    expect(
      run('scatterAddNd', [[dtype, [count, slice], rows], index], [dtype, [whole.length]], dims, whole),
    ).toEqual(added);
  }
});

test('pad by edge and by reflection', () => {
  for (let round = 0; round < 100; round++) {
    const mode = pick([0, 1]);
    const ndim = 1 + Math.floor(random() * 4);
    const shape = Array.from({ length: ndim }, () => one(6));
    const before = shape.map((d) => Math.floor(random() * (mode === 1 ? d : 4)));
    const out = shape.map((d, i) => d + (before[i] as number) + Math.floor(random() * (mode === 1 ? d : 4)));
    const dtype = pick(DTYPES);
    const x = numbers(dtype, sizeOf(shape));
    const strides = stridesOf(shape);
    const outStrides = stridesOf(out);
    const want = Array.from({ length: sizeOf(out) }, (_, at) => {
      let from = 0;
      for (let a = 0; a < ndim; a++) {
        const extent = shape[a] as number;
        let i = (Math.floor(at / (outStrides[a] as number)) % (out[a] as number)) - (before[a] as number);
        if (mode === 0) i = clip(i, extent);
        else {
          if (i < 0) i = -i;
          if (i >= extent) i = 2 * (extent - 1) - i;
        }
        from += i * (strides[a] as number);
      }
      return x[from];
    });
    expect(run('pad', [[dtype, shape, x]], [dtype, out], [mode, ndim, ...shape, ...before, ...out])).toEqual(
      want,
    );
  }
});

test('pooling: windows clipped, averages by both counts, NaN through the maximum', () => {
  for (let round = 0; round < 200; round++) {
    const dtype = pick(['float32', 'float32', 'float64', 'float16', 'int32', 'uint8'] as const);
    const planes = one(4);
    const i = [one(3), one(8), one(8)];
    const k = i.map((d) => one(Math.min(d, 3)));
    const s = [one(2), one(3), one(3)];
    const p = k.map((d) => Math.floor(random() * d));
    const ceil = random() < 0.5;
    const o = i.map(
      (d, a) =>
        (ceil ? Math.ceil : Math.floor)((d + 2 * (p[a] as number) - (k[a] as number)) / (s[a] as number)) + 1,
    );
    const padding = pick([0, 1]);
    const x = numbers(dtype, planes * sizeOf(i), 100);
    const inputs = [[dtype, [planes, ...i], x]] as const;
    const dims = [planes, ...i, ...o, ...k, ...s, ...p, padding];
    const window = (plane: number, place: readonly number[]): { values: number[]; padded: number } => {
      const values: number[] = [];
      let padded = 0;
      const start = place.map((c, a) => c * (s[a] as number) - (p[a] as number));
      for (let z = 0; z < (k[0] as number); z++)
        for (let y = 0; y < (k[1] as number); y++)
          for (let w = 0; w < (k[2] as number); w++) {
            const at = [z + (start[0] as number), y + (start[1] as number), w + (start[2] as number)];
            if (at.every((c, a) => c < (i[a] as number) + (p[a] as number))) padded++;
            if (at.every((c, a) => c >= 0 && c < (i[a] as number)))
              values.push(
                x[
                  ((plane * (i[0] as number) + (at[0] as number)) * (i[1] as number) + (at[1] as number)) *
                    (i[2] as number) +
                    (at[2] as number)
                ] as number,
              );
          }
      return { values, padded };
    };
    const places = Array.from({ length: planes * sizeOf(o) }, (_, at) => {
      const c = at % sizeOf(o);
      return window(Math.floor(at / sizeOf(o)), [
        Math.floor(c / (o[1] as number) / (o[2] as number)),
        Math.floor(c / (o[2] as number)) % (o[1] as number),
        c % (o[2] as number),
      ]);
    });
    const float = isFloat(dtype);
    const native: DType = dtype === 'float16' ? 'float32' : dtype;
    const store = (v: number): number =>
      convertTo(convertTo(v, native === 'uint8' ? 'uint32' : native, float), dtype, float);
    const lowest = float ? -Infinity : dtype === 'int32' ? -2147483648 : 0;
    const out: readonly [DType, number[]] = [dtype, [planes, ...o]];
    expect(run('poolMax', inputs, out, dims)).toEqual(
      places.map(({ values }) => store(values.reduce((a, b) => Math.max(a, b), lowest))),
    );
    const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);
    expect(run('poolSum', inputs, out, dims)).toEqual(places.map(({ values }) => store(sum(values))));
    const averages = places.map(({ values, padded }) => {
      const count = padding === 1 ? padded : values.length;
      return !float && count === 0 ? 0 : store(float ? sum(values) / count : Math.trunc(sum(values) / count));
    });
    expect(run('poolAvg', inputs, out, dims)).toEqual(averages);
  }
});

test('sorting is stable, both ways, with NaN at the right end', () => {
  for (let round = 0; round < 160; round++) {
    const dtype = pick(DTYPES);
    const [rows, length] = [one(4), random() < 0.2 ? 500 + one(1500) : one(70)];
    const down = round % 2;
    // few different values, so that there are ties
    const x = numbers(dtype, rows * length, random() < 0.5 ? 6 : 1e4);
    const placesType = pick(['float32', 'int32'] as const);
    const input = put(device, dtype, [rows, length], x);
    const values = empty(device, dtype, [rows, length]);
    const places = empty(device, placesType, [rows, length]);
    device.run(customKernel('sort'), [input], [values, places], [rows, length, down], []);
    const wantPlaces: number[] = [];
    for (let r = 0; r < rows; r++) {
      const order = Array.from({ length }, (_, i) => i);
      const at = (i: number): number => x[r * length + i] as number;
      order.sort((a, b) => {
        const [p, q] = [at(a), at(b)];
        if (Number.isNaN(p) || Number.isNaN(q))
          return (Number(Number.isNaN(p)) - Number(Number.isNaN(q))) * (down ? -1 : 1) || a - b;
        return (p < q ? -1 : p > q ? 1 : 0) * (down ? -1 : 1) || a - b;
      });
      wantPlaces.push(...order);
    }
    expect(get(device, places)).toEqual(wantPlaces);
    expect(get(device, values)).toEqual(wantPlaces.map((p, i) => x[Math.floor(i / length) * length + p]));
    release(device, input, values, places);
  }
});

test('running sums, exclusive and reversed', () => {
  for (let round = 0; round < 100; round++) {
    const dtype = pick(DTYPES);
    const [outer, length, inner] = [one(3), one(9), one(4)];
    const [exclusive, reverse] = [pick([0, 1]), pick([0, 1])];
    const x = numbers(dtype, outer * length * inner, 50).map((v) => (Number.isFinite(v) ? v : 1));
    const want = x.slice();
    for (let o = 0; o < outer; o++)
      for (let i = 0; i < inner; i++) {
        let sum = 0;
        for (let step = 0; step < length; step++) {
          const at = (o * length + (reverse ? length - 1 - step : step)) * inner + i;
          const native: DType = dtype === 'float16' ? 'float32' : dtype;
          const store = (v: number): number =>
            convertTo(isFloat(native) ? convertTo(v, native, true) : v, dtype, isFloat(dtype));
          want[at] = store(exclusive ? sum : sum + (x[at] as number));
          sum += x[at] as number;
        }
      }
    expect(
      run(
        'cumsum',
        [[dtype, [x.length], x]],
        [dtype, [x.length]],
        [outer, length, inner, exclusive, reverse],
      ),
    ).toEqual(want);
  }
});

describe('random numbers', () => {
  const draw = (
    own: CpuDevice,
    name: CustomName,
    dtype: DType,
    n: number,
    scalars: readonly number[],
  ): number[] => {
    const y = empty(own, dtype, [n]);
    own.run(customKernel(name), [], [y], [], scalars);
    return get(own, y);
  };
  test('are the generators’, which move on and start anew with the seed', () => {
    const own = new CpuDevice();
    const generators = new CpuGenerators(0);
    const expected = new Float32Array(100);
    for (let round = 0; round < 2; round++) {
      generators.uniform(expected, -1, 1);
      expect(draw(own, 'randomUniform', 'float32', 100, [-1, 1])).toEqual(Array.from(expected));
    }
    generators.normal(expected, 2, 3);
    expect(draw(own, 'randomNormal', 'float32', 100, [2, 3])).toEqual(Array.from(expected));
    const doubles = new Float64Array(70);
    generators.uniform(doubles, 0, 1);
    expect(draw(own, 'randomUniform', 'float64', 70, [0, 1])).toEqual(Array.from(doubles));
    generators.normal(doubles, 0, 1);
    expect(draw(own, 'randomNormal', 'float16', 70, [0, 1])).toEqual(
      Array.from(doubles, (v) => convertTo(v, 'float16', true)),
    );
    const integers = new Int32Array(70);
    generators.integers(integers, -5, 9);
    expect(draw(own, 'randomInt', 'int32', 70, [-5, 9])).toEqual(Array.from(integers));
    generators.integers(integers, 0, 9);
    expect(draw(own, 'randomInt', 'uint8', 70, [0, 9])).toEqual(Array.from(integers));
    own.seed(5);
    const fresh = new CpuGenerators(5);
    fresh.uniform(expected, 0, 1);
    expect(draw(own, 'randomUniform', 'float32', 100, [0, 1])).toEqual(Array.from(expected));
  });
  test('first values as MXNet prints them', () => {
    const own = new CpuDevice();
    const values = draw(own, 'randomUniform', 'float32', 3, [0, 1]).map((x) => x.toFixed(6));
    expect(values).toEqual(['0.548814', '0.592845', '0.715189']);
  });
});
