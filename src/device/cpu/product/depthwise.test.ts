// Depthwise convolutions and their gradients against plain loops in doubles: planes narrower and wider than the kernels' blocks, cut into parts or too large for a
// thread's memory, every stride, dilation and padding, channels that give several; ∞ and NaN where they belong and nowhere else.
import { beforeAll, describe, expect, test } from 'vitest';
import { e } from '../../../ir/expr.ts';
import { productKernel } from '../../../ir/kernel.ts';
import { CpuDevice } from '../cpuDevice.ts';
import { empty, get, put, randomStream, SIMD_FORMS } from '../testReference.ts';

interface Plane {
  readonly N: number;
  readonly C: number;
  readonly O: number;
  readonly i: readonly [number, number];
  readonly k: readonly [number, number];
  readonly s: readonly [number, number];
  readonly d: readonly [number, number];
  readonly p: readonly [number, number];
}

const relu = e.max(e.input(0), 0);
let device: CpuDevice;
let random = randomStream(5);
const one = (most: number): number => 1 + Math.floor(random() * most);
const pick = (n: number): Float64Array => Float64Array.from({ length: n }, () => Math.fround(random() - 0.5));

/** A sum and the sum of its terms' magnitudes, which its rounding errors go with. */
class Sums {
  readonly value: Float64Array;
  readonly size: Float64Array;
  constructor(n: number) {
    this.value = new Float64Array(n);
    this.size = new Float64Array(n);
  }
  add(at: number, a: number, b: number): void {
    this.value[at] = (this.value[at] as number) + a * b;
    this.size[at] = (this.size[at] as number) + Math.abs(a * b);
  }
}

function check(g: Plane, special = false): void {
  const { N, C, O, i, k, s, d, p } = g;
  const o = ([0, 1] as const).map((a) => Math.floor((i[a] + 2 * p[a] - (k[a] - 1) * d[a] - 1) / s[a]) + 1);
  const [oH = 0, oW = 0] = o;
  if (oH < 1 || oW < 1) return;
  const each = O / C;
  const x = pick(N * C * i[0] * i[1]);
  const w = pick(O * k[0] * k[1]);
  const dy = pick(N * O * oH * oW);
  const bias = pick(O);
  if (special) {
    // with padding ∞ above meets the zeros around x, as in every sum of products
    for (const list of p[0] + p[1] > 0 ? [x] : [x, dy]) {
      list[Math.floor(random() * list.length)] = Infinity;
      list[Math.floor(random() * list.length)] = Number.NaN;
      list[0] = -Infinity;
    }
  }
  const [y, dx, dw] = [new Sums(dy.length), new Sums(x.length), new Sums(w.length)];
  for (let n = 0; n < N; n++)
    for (let c = 0; c < O; c++)
      for (let r = 0; r < oH; r++)
        for (let q = 0; q < oW; q++)
          for (let u = 0; u < k[0]; u++)
            for (let v = 0; v < k[1]; v++) {
              const [row, column] = [r * s[0] - p[0] + u * d[0], q * s[1] - p[1] + v * d[1]];
              if (row < 0 || row >= i[0] || column < 0 || column >= i[1]) continue;
              const at = ((n * C + Math.floor(c / each)) * i[0] + row) * i[1] + column;
              const [above, tap] = [((n * O + c) * oH + r) * oW + q, (c * k[0] + u) * k[1] + v];
              y.add(above, x[at] as number, w[tap] as number);
              dx.add(at, dy[above] as number, w[tap] as number);
              dw.add(tap, dy[above] as number, x[at] as number);
            }
  const dims = [N, C, O, C, 1, ...i, 1, oH, oW, 1, ...k, 1, ...s, 1, ...d, 0, ...p];
  const label = JSON.stringify(g);
  const run = (
    form: 'conv' | 'convGradData' | 'convGradWeight',
    inputs: readonly Float64Array[],
    want: Sums,
    finish: (v: number, at: number) => number,
  ): void => {
    const arrays = inputs.map((v) => put(device, 'float32', [v.length], Array.from(v)));
    const out = empty(device, 'float32', [want.value.length]);
    const options = inputs.length === 3 ? ({ bias: 'm', epilogue: relu } as const) : {};
    device.run(productKernel('depthwise', form, options), arrays, [out], dims, []);
    const got = get(device, out);
    for (const array of [...arrays, out]) device.free(array.storage);
    const bad = got.flatMap((v, at) => {
      const exact = finish(want.value[at] as number, at);
      const near = Number.isFinite(exact) && Math.abs(v - exact) <= 2e-6 * ((want.size[at] as number) + 0.1);
      return near || Object.is(v, exact) || v === exact ? [] : [`[${at}] ${v} instead of ${exact}`];
    });
    expect(bad.slice(0, 4), `${form} ${label}`).toEqual([]);
  };
  const plain = (v: number): number => v;
  run('conv', [x, w], y, plain);
  run('conv', [x, w, bias], y, (v, at) => {
    const sum = v + (bias[Math.floor(at / oH / oW) % O] as number);
    return sum > 0 || Number.isNaN(sum) ? sum : 0;
  });
  run('convGradData', [dy, w], dx, plain);
  run('convGradWeight', [dy, x], dw, plain);
}

const plane = (C: number, h: number, w: number, k: number, more: Partial<Plane> = {}): Plane => ({
  ...{ N: 1, C, O: C, i: [h, w], k: [k, k], s: [1, 1], d: [1, 1], p: [0, 0] },
  ...more,
});

describe.each(SIMD_FORMS)('depthwise, SIMD: %s', (simd) => {
  beforeAll(() => {
    device = new CpuDevice({ simd });
    random = randomStream(5);
  });

  test('every width and height around the blocks of 4, 8 and 24', () => {
    for (const s of [1, 2, 3])
      for (let n = 1; n <= 27; n++) {
        check(plane(2, n, 28 - n, 3, { s: [s, s], p: [1, 1] }));
        check(plane(2, 1 + (n % 3), n, 2, { s: [1, s], p: [n % 2, 1] }));
      }
  });
  test('parts of planes, and rows beyond the memory of a thread', () => {
    check(plane(2, 150, 149, 3, { N: 2, p: [1, 1] }));
    check(plane(2, 151, 150, 5, { s: [2, 2], p: [2, 2] }));
    check(plane(2, 1, 9001, 1, { k: [1, 5], p: [0, 2] }));
    check(plane(2, 4, 60_001, 3, { p: [1, 1], s: [2, 2] }));
  });
  test('geometry at random', () => {
    for (let round = 0; round < 150; round++) {
      const two = (most: number): [number, number] => [one(most), one(most)];
      const C = 1 + one(3);
      const [k, s, d] = [two(5), two(3), two(3)];
      const p = two(7).map((n) => n - 1) as [number, number];
      check({ N: one(2), C, O: C * one(2), i: [one(14), one(30)], k, s, d, p });
    }
  });
  test('∞ and NaN reach what reads them, and nothing else', () => {
    for (let round = 0; round < 60; round++) {
      const [stride, pad] = [one(3), round % 2];
      check(plane(2, 3 + one(8), 3 + one(12), one(4), { s: [stride, stride], p: [pad, pad] }), true);
    }
  });
});
