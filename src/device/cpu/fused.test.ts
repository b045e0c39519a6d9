// What fusion makes of kernels gives, bit for bit, what the kernels one after the other give: further outputs, strided loads, epilogues that read more than the sums, matrices inside
// larger arrays, pooling with an epilogue. Sums of rows beside a product against sums in doubles.
import { beforeAll, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { isFloat } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { Operand } from '../../ir/kernel.ts';
import { customKernel, elementwiseKernel, productKernel } from '../../ir/kernel.ts';
import { CpuDevice } from './cpuDevice.ts';
import { convertTo, empty, get, put, randomStream, SIMD_FORMS } from './testReference.ts';

let device = new CpuDevice();
let random = randomStream(5);
const one = (max: number): number => 1 + Math.floor(random() * max);
const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;

function some(dtype: DType, shape: readonly number[]): Operand {
  const values = Array.from({ length: sizeOf(shape) }, () =>
    convertTo(isFloat(dtype) ? random() - 0.5 : Math.floor(random() * 40) - 20, dtype, isFloat(dtype)),
  );
  return put(device, dtype, shape, values);
}

const swap = [e.mul(e.input(1), 2), e.add(e.input(0), e.input(1)), e.input(0), e.constant(3)] as const;

describe('elementwise', () => {
  test.each([1, 7, 1024, 3000])('several outputs, also where inputs lie: %i elements', (n) => {
    for (const dtype of ['float32', 'float64', 'float16', 'int32', 'int8'] as const) {
      const [x, y] = [some(dtype, [n]), some(dtype, [n])];
      const want = swap.map((expr) => {
        const out = empty(device, dtype, [n]);
        device.run(elementwiseKernel('one', 2, expr), [x, y], [out], [], []);
        return get(device, out);
      });
      const kernel = elementwiseKernel('many', 2, swap[0], 0, swap.slice(1));
      const outs = swap.map(() => empty(device, dtype, [n]));
      device.run(kernel, [x, y], outs, [], []);
      expect(outs.map((out) => get(device, out))).toEqual(want);
      const inPlace = [x, outs[1], y, outs[3]] as Operand[];
      device.run(kernel, [x, y], inPlace, [], []);
      expect(inPlace.map((out) => get(device, out))).toEqual(want);
    }
  });

  test('strided loads: random axes, also negative and repeated', () => {
    const sum = e.add(e.mul(e.input(0), e.input(1)), e.index);
    for (let round = 0; round < 200; round++) {
      const dtype = pick(['float32', 'float16', 'int32', 'float64', 'uint8'] as const);
      const ndim = one(4);
      const shape = Array.from({ length: ndim }, () => (random() < 0.2 ? 1 + one(70) : one(6)));
      const dims = [ndim, ...shape];
      const inputs: Operand[] = [];
      const wanted: number[][] = [];
      for (let k = 0; k < 2; k++) {
        const strides = new Array<number>(ndim).fill(0);
        let step = random() < 0.2 ? 2 : 1;
        let offset = one(4);
        const axes = shape.map((_, i) => i);
        if (random() < 0.7) axes.sort(() => random() - 0.5);
        else axes.reverse();
        for (const axis of axes) {
          if (random() < 0.15) continue;
          const extent = shape[axis] as number;
          const back = random() < 0.2;
          strides[axis] = back ? -step : step;
          if (back) offset += step * (extent - 1);
          step *= extent;
        }
        const x = some(dtype, [offset + step + 8]);
        const values = get(device, x);
        const own: number[] = [];
        for (let i = 0; i < sizeOf(shape); i++) {
          let rest = i;
          let at = offset;
          for (let a = ndim - 1; a >= 0; a--) {
            const c = rest % (shape[a] as number);
            rest = (rest - c) / (shape[a] as number);
            at += c * (strides[a] as number);
          }
          own.push(values[at] as number);
        }
        dims.push(offset, ...strides);
        inputs.push(x);
        wanted.push(own);
      }
      const kernel = elementwiseKernel('strided', 2, sum);
      const laid = wanted.map((values) => put(device, dtype, shape, values));
      const [out, want] = [empty(device, dtype, shape), empty(device, dtype, shape)];
      device.run(kernel, inputs, [out], dims, []);
      device.run(kernel, laid, [want], [], []);
      expect(get(device, out), `${dtype} ${dims}`).toEqual(get(device, want));
      for (const x of [...inputs, ...laid, out, want]) device.free(x.storage);
    }
  });
});

const CONV = [3, 4, 6, 2, 1, 9, 8, 1, 5, 4, 1, 3, 3, 1, 2, 2, 1, 1, 1, 0, 1, 1];

interface Case {
  readonly form: 'matmul' | 'conv' | 'convGradData' | 'convGradWeight';
  readonly dims: readonly number[];
  readonly a: number;
  readonly b: number;
  /** Matrices, rows, columns of the result. */
  readonly out: readonly [number, number, number];
}

const CASES: readonly Case[] = [
  { form: 'matmul', dims: [3, 5, 7, 4, 20, 28], a: 60, b: 84, out: [3, 5, 7] },
  { form: 'matmul', dims: [2, 40, 50, 33, 40 * 33, 0], a: 80 * 33, b: 33 * 50, out: [2, 40, 50] },
  { form: 'matmul', dims: [1, 1, 90, 300, 0, 0], a: 300, b: 27000, out: [1, 1, 90] },
  { form: 'conv', dims: CONV, a: 3 * 4 * 72, b: 6 * 2 * 9, out: [3, 6, 20] },
  { form: 'convGradData', dims: CONV, a: 3 * 6 * 20, b: 6 * 2 * 9, out: [3, 4, 72] },
  { form: 'convGradWeight', dims: CONV, a: 3 * 6 * 20, b: 3 * 4 * 72, out: [1, 6, 18] },
];

describe.each(SIMD_FORMS)('products, SIMD: %s', (simd) => {
  beforeAll(() => {
    device = new CpuDevice({ simd });
    random = randomStream(9);
  });

  const epilogue: Expr = e.add(
    e.mul(e.tanh(e.add(e.input(0), e.input(1))), e.input(2)),
    e.max(e.mul(e.input(3), e.input(4)), e.scalar(0)),
  );

  test.each(CASES)('extras: $form $out', ({ form, dims, a, b, out: shape }) => {
    const [, rows, columns] = shape;
    for (const dtype of ['float32', 'float64', 'int32'] as const)
      for (const bias of ['none', 'm'] as const) {
        const ends = e.add(
          e.mul(e.add(e.input(0), e.input(1)), e.input(2)),
          e.max(e.mul(e.input(3), e.input(4)), e.scalar(0)),
        );
        const finish = dtype === 'int32' ? ends : epilogue;
        const inputs = [some(dtype, [a]), some(dtype, [b]), ...(bias === 'm' ? [some(dtype, [rows])] : [])];
        const extras = [some(dtype, shape), some(dtype, [rows, 1]), some(dtype, [columns]), some(dtype, [1])];
        const options = { transposeB: form === 'matmul', bias };
        const [out, sums, want] = [
          empty(device, dtype, shape),
          empty(device, dtype, shape),
          empty(device, dtype, shape),
        ];
        device.run(productKernel('plain', form, options), inputs, [sums], dims, []);
        device.run(elementwiseKernel('finish', 5, finish), [sums, ...extras], [want], [], [0.1]);
        const kernel = productKernel('fused', form, {
          ...options,
          epilogue: finish,
          extras: ['full', 'm', 'n', 'one'],
        });
        device.run(kernel, [...inputs, ...extras], [out], dims, [0.1]);
        expect(get(device, out), `${dtype} ${bias}`).toEqual(get(device, want));
      }
    // float16 is converted on the way
    const half = [some('float16', [a]), some('float16', [b]), some('float16', shape)];
    const [sums, want, out] = [
      empty(device, 'float32', shape),
      empty(device, 'float16', shape),
      empty(device, 'float16', shape),
    ];
    device.run(productKernel('plain', form), half.slice(0, 2), [sums], dims, []);
    const add = e.add(e.input(0), e.input(1));
    device.run(elementwiseKernel('finish', 2, add), [sums, half[2] as Operand], [want], [], []);
    device.run(productKernel('fused', form, { epilogue: add, extras: ['full'] }), half, [out], dims, []);
    expect(get(device, out)).toEqual(get(device, want));
  });

  test('sums of rows ride along', () => {
    for (const [transposeA, batch, M, N, K] of [
      [false, 1, 5, 6, 7],
      [true, 1, 5, 6, 7],
      [true, 1, 30, 41, 64],
      [false, 3, 12, 40, 70],
      [true, 2, 13, 40, 70],
    ] as const) {
      const [x, y] = [some('float32', [batch * M * K]), some('float32', [batch * K * N])];
      const [out, want, sums] = [
        some('float32', [batch * M * N]),
        some('float32', [batch * M * N]),
        some('float32', [batch, M]),
      ];
      const dims = [batch, M, N, K, M * K, K * N];
      device.run(productKernel('p', 'matmul', { transposeA }), [x, y], [want], dims, []);
      device.run(productKernel('p', 'matmul', { transposeA, rowSum: true }), [x, y], [out, sums], dims, []);
      expect(get(device, out)).toEqual(get(device, want));
      const values = get(device, x);
      const exact = Array.from({ length: batch * M }, (_, r) => {
        const [i, m] = [Math.floor(r / M), r % M];
        let sum = 0;
        for (let k = 0; k < K; k++) sum += values[i * M * K + (transposeA ? k * M + m : m * K + k)] as number;
        return Math.fround(sum);
      });
      expect(get(device, sums)).toEqual(exact);
    }
    const [dy, x] = [some('float32', [3 * 6 * 20]), some('float32', [3 * 4 * 72])];
    const [out, want, sums] = [some('float32', [108]), some('float32', [108]), some('float32', [6])];
    device.run(productKernel('p', 'convGradWeight'), [dy, x], [want], CONV, []);
    device.run(productKernel('p', 'convGradWeight', { rowSum: true }), [dy, x], [out, sums], CONV, []);
    expect(get(device, out)).toEqual(get(device, want));
    const values = get(device, dy);
    const exact = Array.from({ length: 6 }, (_, o) => {
      let all = 0;
      for (let n = 0; n < 3; n++) {
        let sum = 0;
        for (let p = 0; p < 20; p++) sum += values[(n * 6 + o) * 20 + p] as number;
        all += Math.fround(sum);
      }
      return Math.fround(all);
    });
    expect(get(device, sums)).toEqual(exact);
  });

  // heads of attention: (B, T, H, D) read and written as B·H matrices
  test.each([
    [2, 3, 2, 4],
    [2, 20, 3, 24],
    [1, 2, 4, 40],
  ])('matrices inside larger arrays: batch %i, length %i, %i heads of %i', (B, T, H, D) => {
    for (const dtype of ['float32', 'float64', 'float16'] as const) {
      const E = H * D;
      const [q, k, v] = [some(dtype, [B, T, H, D]), some(dtype, [B, T, H, D]), some(dtype, [B, T, H, D])];
      const apart = (x: Operand): Operand => {
        const y = empty(device, dtype, [B, H, T, D]);
        device.run(
          customKernel('stridedCopy'),
          [x],
          [y],
          [4, 0, 0, B, H, T, D, T * E, D, E, 1, T * E, T * D, D, 1],
          [],
        );
        return y;
      };
      const [scores, wantScores] = [empty(device, dtype, [B, H, T, T]), empty(device, dtype, [B, H, T, T])];
      const mask = some(dtype, [B, H, T, T]);
      const masked = {
        transposeB: true,
        epilogue: e.add(e.mul(e.input(0), e.scalar(0)), e.input(1)),
        extras: ['full'],
      } as const;
      const kernel = productKernel('scores', 'matmul', masked);
      const inner = [B * H, T, T, D];
      device.run(kernel, [apart(q), apart(k), mask], [wantScores], [...inner, T * D, T * D], [0.5]);
      device.run(
        kernel,
        [q, k, mask],
        [scores],
        [...inner, T * E, T * E, H, D, D, E, E, H * T * T, T * T, T],
        [0.5],
      );
      expect(get(device, scores)).toEqual(get(device, wantScores));
      for (const options of [
        {},
        { epilogue: e.tanh(e.input(0)) },
        { epilogue: e.mul(e.input(0), e.input(1)), extras: ['n'] },
      ] as const) {
        const [out, want] = [empty(device, dtype, [B, T, H, D]), empty(device, dtype, [B, H, T, D])];
        const more = 'extras' in options ? [some(dtype, [D])] : [];
        const context = productKernel('context', 'matmul', options);
        device.run(context, [scores, apart(v), ...more], [want], [B * H, T, D, T, T * T, T * D], []);
        device.run(
          context,
          [scores, v, ...more],
          [out],
          [B * H, T, D, T, H * T * T, T * E, H, T * T, D, T, E, T * E, D, E],
          [],
        );
        expect(get(device, apart(out))).toEqual(get(device, want));
      }
    }
  });
});

test('an epilogue after pooling', () => {
  const dims = [3, 1, 8, 9, 1, 4, 4, 1, 2, 3, 1, 2, 2, 0, 0, 0, 0];
  for (const dtype of ['float32', 'float16', 'float64'] as const)
    for (const name of ['poolMax', 'poolAvg', 'poolSum'] as const) {
      const [x, more] = [some(dtype, [3, 8, 9]), some(dtype, [3, 4, 4])];
      const [out, plain, want] = [
        empty(device, dtype, [3, 4, 4]),
        empty(device, dtype, [3, 4, 4]),
        empty(device, dtype, [3, 4, 4]),
      ];
      const finish = e.max(e.add(e.input(0), e.input(1)), 0);
      device.run(customKernel(name), [x], [plain], dims, []);
      device.run(elementwiseKernel('finish', 2, finish), [plain, more], [want], [], []);
      device.run(customKernel(name, finish), [x, more], [out], dims, []);
      expect(get(device, out)).toEqual(get(device, want));
    }
});
