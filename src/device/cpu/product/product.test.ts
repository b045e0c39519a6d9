// Products against loops written from the definition: all transpositions, batches and sizes on both sides of the thin and tiny paths, all dtypes,
// biases and epilogues; convolutions and both gradients against direct loops over every index, with strides, dilation, padding and groups.
import { beforeAll, describe, expect, test } from 'vitest';
import type { DType } from '../../../core/dtype.ts';
import { isFloat } from '../../../core/dtype.ts';
import { e } from '../../../ir/expr.ts';
import type { ProductKernel } from '../../../ir/kernel.ts';
import { productKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { close, convertTo, empty, get, put, randomStream, release, SIMD_FORMS } from '../testReference.ts';

let device = new CpuDevice();
let random = randomStream(21);

function numbers(dtype: DType, n: number): number[] {
  return Array.from({ length: n }, () => {
    const x = isFloat(dtype)
      ? random() - 0.5
      : Math.floor(random() * 40) - (dtype === 'uint8' || dtype === 'bool' ? 0 : 20);
    return convertTo(x, dtype, isFloat(dtype));
  });
}

const bigInts: number[] = [2147483647, -2147483648, 123456789, -987654321];

function compare(
  results: readonly number[],
  want: readonly number[],
  tolerance: number,
  label: string,
): void {
  expect(results.length).toBe(want.length);
  const bad: string[] = [];
  for (let i = 0; i < want.length; i++) {
    const a = results[i] as number;
    const b = want[i] as number;
    if (!close(a, b, tolerance) && !(Math.abs(a - b) <= tolerance) && bad.length < 4)
      bad.push(`[${i}] ${a} instead of ${b}`);
  }
  expect(bad, label).toEqual([]);
}

/** Products of integers wrap. */
function times(a: number, b: number, dtype: DType): number {
  return isFloat(dtype) ? a * b : Math.imul(a, b);
}

const relu = e.max(e.input(0), 0);
const bend = e.add(e.mul(e.tanh(e.input(0)), e.scalar(0)), e.input(0));

function finish(sum: number, bias: number, epilogue: 'none' | 'relu' | 'bend', dtype: DType): number {
  const float = isFloat(dtype);
  const native: DType =
    dtype === 'float16'
      ? 'float32'
      : float
        ? dtype
        : dtype === 'uint32' || dtype === 'uint8'
          ? 'uint32'
          : 'int32';
  let x = convertTo(sum + bias, native, float);
  if (epilogue === 'relu') x = Math.max(x, 0);
  if (epilogue === 'bend') x = Math.tanh(x) * 0.5 + x;
  return convertTo(x, dtype, float);
}

const tolerance = (dtype: DType): number =>
  dtype === 'float64' ? 1e-11 : dtype === 'float16' ? 2e-3 : isFloat(dtype) ? 1e-5 : 0;

function checkMatmul(
  dtype: DType,
  [batch, M, N, K]: readonly [number, number, number, number],
  options: {
    transposeA?: boolean;
    transposeB?: boolean;
    bias?: 'none' | 'm' | 'n';
    epilogue?: 'none' | 'relu' | 'bend';
    repeatA?: boolean;
    repeatB?: boolean;
    outDtype?: DType;
  },
): void {
  const {
    transposeA = false,
    transposeB = false,
    bias = 'none',
    epilogue = 'none',
    repeatA = false,
    repeatB = false,
    outDtype = dtype,
  } = options;
  const a = numbers(dtype, (repeatA ? 1 : batch) * M * K);
  const b = numbers(dtype, (repeatB ? 1 : batch) * K * N);
  if (dtype === 'int32' && a.length > 4) a.splice(0, 4, ...bigInts);
  const c = numbers(dtype, bias === 'm' ? M : N);
  const aStep = repeatA ? 0 : M * K;
  const bStep = repeatB ? 0 : K * N;
  const want: number[] = [];
  for (let i = 0; i < batch; i++)
    for (let m = 0; m < M; m++)
      for (let n = 0; n < N; n++) {
        let sum = 0;
        for (let k = 0; k < K; k++) {
          const x = a[i * aStep + (transposeA ? k * M + m : m * K + k)] as number;
          const y = b[i * bStep + (transposeB ? n * K + k : k * N + n)] as number;
          sum += times(x, y, dtype);
        }
        const added = bias === 'none' ? 0 : (c[bias === 'm' ? m : n] as number);
        want.push(finish(sum, added, epilogue, outDtype));
      }
  const kernel = productKernel('matmul', 'matmul', {
    transposeA,
    transposeB,
    bias,
    epilogue: epilogue === 'none' ? null : epilogue === 'relu' ? relu : bend,
  });
  const x = put(device, dtype, [a.length], a);
  const y = put(device, dtype, [b.length], b);
  const z = put(device, dtype, [c.length], c);
  const out = empty(device, outDtype, [batch * M * N]);
  device.run(kernel, bias === 'none' ? [x, y] : [x, y, z], [out], [batch, M, N, K, aStep, bStep], [0.5]);
  compare(get(device, out), want, tolerance(outDtype), `${kernel.key} ${dtype} ${[batch, M, N, K]}`);
  release(device, x, y, z, out);
}

/** Every test with each form of the kernels. */
function eachForm(name: string, tests: () => void): void {
  describe.each(SIMD_FORMS)(`${name}, SIMD: %s`, (simd) => {
    beforeAll(() => {
      device = new CpuDevice({ simd });
      random = randomStream(21);
    });
    tests();
  });
}

eachForm('matmul', () => {
  const sizes: readonly (readonly [number, number, number, number])[] = [
    [1, 1, 1, 1],
    [1, 4, 4, 4],
    [1, 1, 50, 33],
    [1, 50, 1, 33],
    [1, 2, 70, 9],
    [1, 70, 2, 9],
    [1, 3, 5, 600],
    [1, 17, 23, 31],
    [3, 5, 7, 11],
    [1, 130, 131, 70],
    [1, 40, 260, 300],
    [2, 33, 34, 257],
    [1, 5, 6, 0],
    [0, 4, 4, 4],
    [1, 0, 4, 4],
    [4, 64, 3, 3],
    [1, 1, 1, 1000],
    [1, 1, 1500, 3],
  ];
  test.each(sizes)('%i × (%i, %i, %i)', (...size) => {
    for (const transposeA of [false, true])
      for (const transposeB of [false, true])
        for (const bias of ['none', 'm', 'n'] as const)
          checkMatmul('float32', size, {
            transposeA,
            transposeB,
            bias,
            epilogue: bias === 'n' ? 'bend' : bias === 'm' ? 'relu' : 'none',
          });
    for (const dtype of ['float64', 'int32', 'uint32', 'int8', 'uint8', 'float16'] as const)
      checkMatmul(dtype, size, { transposeB: true, bias: 'n', epilogue: 'relu' });
    checkMatmul('float32', size, { outDtype: 'float16' });
    checkMatmul('float16', size, { outDtype: 'float32' });
  });
  test('one matrix for the whole batch', () => {
    for (const transposeA of [false, true]) {
      checkMatmul('float32', [5, 12, 13, 14], { repeatB: true, transposeA, bias: 'n' });
      checkMatmul('float32', [5, 12, 13, 14], { repeatB: true, transposeA, bias: 'm' });
      checkMatmul('float32', [5, 12, 13, 14], { repeatA: true, transposeA });
    }
  });
  test('calls of one kernel that are kept: numbers of one hash, and more sizes than are kept', () => {
    const kernel = productKernel('matmul', 'matmul', { bias: 'n' });
    const check = (M: number, N: number, K: number, dtype: DType = 'float32'): void => {
      const values = [M * K, K * N, N].map((n) => numbers(dtype, n));
      const [a, b, c] = values as [number[], number[], number[]];
      const operands = values.map((list) => put(device, dtype, [list.length], list));
      const out = empty(device, dtype, [M, N]);
      device.run(kernel, operands, [out], [1, M, N, K, 0, 0], []);
      const want = Array.from({ length: M * N }, (_, i) => {
        const [m, n] = [Math.floor(i / N), i % N];
        return a.slice(m * K, (m + 1) * K).reduce((sum, x, k) => sum + x * (b[k * N + n] ?? 0), c[n] ?? 0);
      });
      compare(get(device, out), want, 1e-4, `(${M}, ${K}) · (${K}, ${N}) ${dtype}`);
      release(device, ...operands, out);
    };
    // 31 M + N and 31 N + K are the same
    for (let round = 0; round < 3; round++) {
      check(2, 40, 5);
      check(3, 9, 5);
      check(3, 8, 36);
      check(3, 8, 36, 'float64');
    }
    for (let n = 1; n <= 300; n++) check(1, n, 2);
    for (let n = 1; n <= 300; n++) check(1, n, 2);
  });
  test('NaN and ∞ reach the result, in large and small products', () => {
    for (const n of [3, 40]) {
      const values = numbers('float32', n * n);
      values[1] = Number.NaN;
      values[n] = Infinity;
      const x = put(device, 'float32', [n * n], values);
      const ones = put(device, 'float32', [n * n], new Array<number>(n * n).fill(1));
      const y = empty(device, 'float32', [n * n]);
      device.run(productKernel('m', 'matmul'), [x, ones], [y], [1, n, n, n, 0, 0], []);
      const results = get(device, y);
      expect(results.slice(0, n).every(Number.isNaN)).toBe(true);
      expect(results.slice(n, 2 * n).every((v) => v === Infinity)).toBe(true);
      expect(results.slice(2 * n).every(Number.isFinite)).toBe(true);
      release(device, x, ones, y);
    }
  });
  test('an epilogue that is a leaf', () => {
    const x = put(device, 'float32', [1], [3]);
    const y = empty(device, 'float32', [1]);
    for (const [epilogue, want] of [
      [e.input(0), 9],
      [e.constant(2), 2],
      [e.scalar(0), 7],
    ] as const) {
      device.run(productKernel('m', 'matmul', { epilogue }), [x, x], [y], [1, 1, 1, 1, 0, 0], [7]);
      expect(get(device, y)).toEqual([want]);
    }
    release(device, x, y);
  });
});

interface Conv {
  readonly N: number;
  readonly C: number;
  readonly O: number;
  readonly groups: number;
  readonly i: readonly number[];
  readonly k: readonly number[];
  readonly s: readonly number[];
  readonly d: readonly number[];
  readonly p: readonly number[];
}

function outputOf(g: Conv): number[] {
  return g.i.map((extent, a) => {
    const k = (g.d[a] as number) * ((g.k[a] as number) - 1) + 1;
    return Math.floor((extent + 2 * (g.p[a] as number) - k) / (g.s[a] as number)) + 1;
  });
}

/** Visits every product of a convolution: places of y, x and w, flat. */
function everyTerm(g: Conv, o: readonly number[], visit: (y: number, x: number, w: number) => void): void {
  const [iD, iH, iW] = g.i as [number, number, number];
  const [oD, oH, oW] = o as [number, number, number];
  const [kD, kH, kW] = g.k as [number, number, number];
  const [s, d, p] = [g.s, g.d, g.p] as [number[], number[], number[]];
  const cg = g.C / g.groups;
  const og = g.O / g.groups;
  for (let n = 0; n < g.N; n++)
    for (let oc = 0; oc < g.O; oc++)
      for (let c = 0; c < cg; c++)
        for (let z = 0; z < oD; z++)
          for (let y = 0; y < oH; y++)
            for (let x = 0; x < oW; x++)
              for (let kz = 0; kz < kD; kz++)
                for (let ky = 0; ky < kH; ky++)
                  for (let kx = 0; kx < kW; kx++) {
                    const iz = z * (s[0] as number) + kz * (d[0] as number) - (p[0] as number);
                    const iy = y * (s[1] as number) + ky * (d[1] as number) - (p[1] as number);
                    const ix = x * (s[2] as number) + kx * (d[2] as number) - (p[2] as number);
                    if (iz < 0 || iz >= iD || iy < 0 || iy >= iH || ix < 0 || ix >= iW) continue;
                    const channel = Math.floor(oc / og) * cg + c;
                    visit(
                      (((n * g.O + oc) * oD + z) * oH + y) * oW + x,
                      (((n * g.C + channel) * iD + iz) * iH + iy) * iW + ix,
                      (((oc * cg + c) * kD + kz) * kH + ky) * kW + kx,
                    );
                  }
}

const volume = (t: readonly number[]): number => t.reduce((a, b) => a * b, 1);

function checkConv(g: Conv, dtype: DType): void {
  const o = outputOf(g);
  const dims = [g.N, g.C, g.O, g.groups, ...g.i, ...o, ...g.k, ...g.s, ...g.d, ...g.p];
  const x = numbers(dtype, g.N * g.C * volume(g.i));
  const w = numbers(dtype, ((g.O * g.C) / g.groups) * volume(g.k));
  const dy = numbers(dtype, g.N * g.O * volume(o));
  const biasO = numbers(dtype, g.O);
  const biasC = numbers(dtype, g.C);
  const y = new Array<number>(dy.length).fill(0);
  const dx = new Array<number>(x.length).fill(0);
  const dw = new Array<number>(w.length).fill(0);
  everyTerm(g, o, (a, b, c) => {
    y[a] = (y[a] as number) + times(x[b] as number, w[c] as number, dtype);
    dx[b] = (dx[b] as number) + times(dy[a] as number, w[c] as number, dtype);
    dw[c] = (dw[c] as number) + times(dy[a] as number, x[b] as number, dtype);
  });
  const label = `${dtype} ${JSON.stringify(g)}`;
  const run = (
    kernel: ProductKernel,
    a: readonly number[],
    b: readonly number[],
    bias: readonly number[] | null,
    want: readonly number[],
  ): void => {
    const inputs = [a, b, ...(bias === null ? [] : [bias])].map((v) => put(device, dtype, [v.length], v));
    const out = empty(device, dtype, [want.length]);
    device.run(kernel, inputs, [out], dims, []);
    compare(get(device, out), want, tolerance(dtype) * 3, `${kernel.form} ${label}`);
    release(device, out, ...inputs);
  };
  const plain = (v: readonly number[]): number[] => v.map((sum) => finish(sum, 0, 'none', dtype));
  const biased = (v: readonly number[], bias: readonly number[], per: number): number[] =>
    v.map((sum, at) => finish(sum, bias[Math.floor(at / per) % bias.length] as number, 'relu', dtype));
  run(productKernel('conv', 'conv'), x, w, null, plain(y));
  run(productKernel('conv', 'conv', { bias: 'm', epilogue: relu }), x, w, biasO, biased(y, biasO, volume(o)));
  run(productKernel('conv', 'convGradData'), dy, w, null, plain(dx));
  run(
    productKernel('conv', 'convGradData', { bias: 'm', epilogue: relu }),
    dy,
    w,
    biasC,
    biased(dx, biasC, volume(g.i)),
  );
  run(productKernel('conv', 'convGradWeight'), dy, x, null, plain(dw));
}

const flat = (C: number, O: number, h: number, w: number, k: number, more: Partial<Conv> = {}): Conv => ({
  N: 2,
  C,
  O,
  groups: 1,
  i: [1, h, w],
  k: [1, k, k],
  s: [1, 1, 1],
  d: [1, 1, 1],
  p: [0, 0, 0],
  ...more,
});

const cases: readonly (readonly [string, Conv])[] = [
  ['plain', flat(3, 6, 9, 8, 3)],
  ['1×1', flat(5, 7, 6, 5, 1)],
  ['padding', flat(3, 4, 7, 6, 3, { p: [0, 1, 1] })],
  ['more padding than kernel', flat(2, 3, 4, 4, 2, { p: [0, 3, 2] })],
  ['stride 2', flat(3, 5, 9, 10, 3, { s: [1, 2, 2], p: [0, 1, 1] })],
  ['stride beyond the kernel', flat(2, 3, 11, 10, 2, { s: [1, 3, 4] })],
  ['dilation', flat(2, 3, 11, 12, 3, { d: [1, 2, 3], p: [0, 1, 2] })],
  ['dilation and stride', flat(2, 3, 11, 12, 3, { d: [1, 2, 2], s: [1, 2, 3], p: [0, 2, 2] })],
  ['groups', flat(6, 9, 6, 7, 3, { groups: 3, p: [0, 1, 1] })],
  ['depthwise', flat(5, 5, 8, 7, 3, { groups: 5, p: [0, 1, 1] })],
  ['depthwise, stride 2', flat(4, 4, 9, 10, 3, { groups: 4, s: [1, 2, 2], p: [0, 1, 1] })],
  [
    'depthwise, one axis',
    { ...flat(3, 3, 1, 20, 1, { groups: 3 }), k: [1, 1, 5], s: [1, 1, 2], p: [0, 0, 2] },
  ],
  ['depthwise, stride 3', flat(2, 4, 14, 17, 3, { groups: 2, s: [1, 3, 3], p: [0, 1, 0] })],
  ['depthwise, long rows', flat(3, 3, 9, 23, 3, { groups: 3, p: [0, 1, 1] })],
  ['depthwise, long rows, stride 2', flat(2, 2, 11, 26, 3, { groups: 2, s: [1, 2, 2], p: [0, 1, 1] })],
  ['depthwise, stride beyond the kernel', flat(2, 2, 10, 17, 2, { groups: 2, s: [1, 3, 3], d: [1, 1, 2] })],
  ['depthwise, more padding than kernel', flat(2, 2, 4, 5, 2, { groups: 2, p: [0, 2, 2] })],
  ['depthwise with a multiplier', flat(3, 6, 7, 6, 3, { groups: 3, d: [1, 2, 1], p: [0, 2, 1] })],
  ['one axis', { ...flat(3, 4, 1, 20, 1), k: [1, 1, 5], s: [1, 1, 2], p: [0, 0, 2] }],
  [
    'three axes',
    { N: 2, C: 2, O: 3, groups: 1, i: [4, 5, 6], k: [2, 3, 2], s: [2, 1, 1], d: [1, 1, 2], p: [1, 1, 0] },
  ],
  [
    'three axes, depthwise',
    { N: 2, C: 3, O: 3, groups: 3, i: [4, 5, 6], k: [2, 3, 2], s: [2, 2, 1], d: [1, 1, 1], p: [1, 1, 0] },
  ],
  ['many channels', flat(40, 135, 5, 5, 3, { N: 3 })],
  ['deep', flat(70, 3, 8, 8, 2)],
  ['no images', flat(3, 4, 5, 5, 3, { N: 0 })],
];

eachForm('convolution and its gradients', () => {
  test.each(cases)('%s', (_, g) => {
    checkConv(g, 'float32');
    if (g.C < 40) {
      checkConv(g, 'float64');
      checkConv(g, 'int32');
      checkConv(g, 'float16');
    }
  });
  test('random geometry', () => {
    const one = (max: number): number => 1 + Math.floor(random() * max);
    for (let round = 0; round < 60; round++) {
      const groups = one(3);
      const k = [one(2), one(3), one(4)];
      const d = [one(2), one(2), one(2)];
      const p = [one(2) - 1, one(3) - 1, one(3) - 1];
      const i = k.map((kernel, a) => (d[a] as number) * (kernel - 1) + one(a === 0 ? 3 : 7));
      checkConv(
        {
          N: one(3),
          C: groups * one(3),
          O: groups * one(3),
          groups,
          i,
          k,
          s: [one(2), one(3), one(3)],
          d,
          p,
        },
        'float32',
      );
    }
  });
});
