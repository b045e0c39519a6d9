// Convolutions, their transposes and pooling over one to three spatial axes, against loops over every axis in float64.
import { describe, expect, test } from 'vitest';
import { type NDArray, nd } from 'webgluon';
import { eachDevice, holds } from '../devices.ts';
import { eachIndex, expectArray, numbers, place, type Tolerance } from '../values.ts';

interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly dilate: readonly number[];
  readonly pad: readonly number[];
}

const FLOATS: Tolerance = { rtol: 2e-6, atol: 4e-6 };
const count = (shape: readonly number[]): number => shape.reduce((n, d) => n * d, 1);
const extent = (d: number, w: Window, i: number): number =>
  Math.floor(
    (d + 2 * (w.pad[i] as number) - (w.dilate[i] as number) * ((w.kernel[i] as number) - 1) - 1) /
      (w.stride[i] as number),
  ) + 1;

/** y[n, o, p] = Σ x[n, c, p·stride + k·dilate − pad]·w[o, c, k] over the group's channels and the kernel. */
function convolve(
  x: readonly number[],
  xShape: readonly number[],
  w: readonly number[],
  wShape: readonly number[],
  window: Window,
  groups: number,
) {
  const [n, , ...spatial] = xShape as [number, number, ...number[]];
  const [filters, perGroup, ...kernel] = wShape as [number, number, ...number[]];
  const shape = [n, filters, ...spatial.map((d, i) => extent(d, window, i))];
  const values: number[] = [];
  eachIndex(shape, ([b, o, ...p]) => {
    let sum = 0;
    eachIndex([perGroup, ...kernel], ([c, ...k], at) => {
      const from = p.map(
        (q, i) =>
          q * (window.stride[i] as number) +
          (k[i] as number) * (window.dilate[i] as number) -
          (window.pad[i] as number),
      );
      if (from.some((f, i) => f < 0 || f >= (spatial[i] as number))) return;
      const channel = Math.floor(((o as number) * groups) / filters) * perGroup + (c as number);
      sum +=
        (x[place(xShape, [b as number, channel, ...from])] as number) *
        (w[(o as number) * perGroup * count(kernel) + at] as number);
    });
    values.push(sum);
  });
  return { shape, values };
}

/** Each x[n, c, p] spreads over y[n, o, p·stride + k·dilate − pad] by w[c, o, k]. */
function spread(
  x: readonly number[],
  xShape: readonly number[],
  w: readonly number[],
  wShape: readonly number[],
  window: Window,
  groups: number,
  adj: readonly number[],
) {
  const [n, channels, ...spatial] = xShape as [number, number, ...number[]];
  const [, perGroup, ...kernel] = wShape as [number, number, ...number[]];
  const out = spatial.map(
    (d, i) =>
      (window.stride[i] as number) * (d - 1) +
      (window.dilate[i] as number) * ((kernel[i] as number) - 1) +
      1 -
      2 * (window.pad[i] as number) +
      (adj[i] as number),
  );
  const shape = [n, perGroup * groups, ...out];
  const values = Array<number>(count(shape)).fill(0);
  eachIndex(xShape, ([b, c, ...p], at) => {
    eachIndex([perGroup, ...kernel], ([o, ...k], tap) => {
      const to = p.map(
        (q, i) =>
          q * (window.stride[i] as number) +
          (k[i] as number) * (window.dilate[i] as number) -
          (window.pad[i] as number),
      );
      if (to.some((t, i) => t < 0 || t >= (out[i] as number))) return;
      const filter = Math.floor(((c as number) * groups) / channels) * perGroup + (o as number);
      const target = place(shape, [b as number, filter, ...to]);
      values[target] =
        (values[target] as number) +
        (x[at] as number) * (w[(c as number) * perGroup * count(kernel) + tap] as number);
    });
  });
  return { shape, values };
}

interface Case {
  readonly x: readonly number[];
  readonly filters: number;
  readonly window: Window;
  readonly groups?: number;
  readonly adj?: readonly number[];
}
const plain = (kernel: readonly number[], rest: Partial<Window> = {}): Window => ({
  kernel,
  stride: kernel.map(() => 1),
  dilate: kernel.map(() => 1),
  pad: kernel.map(() => 0),
  ...rest,
});

const CASES: readonly (readonly [string, Case])[] = [
  ['one axis', { x: [2, 3, 9], filters: 4, window: plain([3]) }],
  [
    'one axis, stride, padding and dilation',
    { x: [1, 2, 11], filters: 3, window: plain([3], { stride: [2], pad: [2], dilate: [2] }) },
  ],
  ['two axes', { x: [2, 3, 6, 7], filters: 5, window: plain([3, 2]) }],
  [
    'two axes, all different',
    { x: [1, 2, 7, 9], filters: 3, window: plain([2, 3], { stride: [2, 1], pad: [1, 2], dilate: [1, 2] }) },
  ],
  ['1 × 1', { x: [2, 5, 4, 4], filters: 6, window: plain([1, 1]) }],
  ['groups', { x: [2, 4, 5, 5], filters: 6, window: plain([3, 3], { pad: [1, 1] }), groups: 2 }],
  [
    'depthwise',
    { x: [1, 5, 6, 6], filters: 5, window: plain([3, 3], { pad: [1, 1], stride: [2, 2] }), groups: 5 },
  ],
  ['depthwise, two filters a channel', { x: [1, 3, 5, 5], filters: 6, window: plain([3, 3]), groups: 3 }],
  ['a kernel as large as the input', { x: [3, 2, 4, 5], filters: 2, window: plain([4, 5]) }],
  [
    'three axes',
    { x: [1, 2, 4, 5, 4], filters: 3, window: plain([2, 3, 2], { stride: [1, 2, 1], pad: [0, 1, 1] }) },
  ],
  ['many channels and pixels', { x: [1, 20, 12, 12], filters: 18, window: plain([5, 5]) }],
];

const TRANSPOSED: readonly (readonly [string, Case])[] = [
  ['one axis', { x: [2, 3, 5], filters: 4, window: plain([3]) }],
  [
    'two axes, stride and padding',
    { x: [1, 3, 4, 3], filters: 2, window: plain([3, 2], { stride: [2, 3], pad: [1, 0] }) },
  ],
  [
    'output padding',
    { x: [1, 2, 3, 3], filters: 3, window: plain([3, 3], { stride: [2, 2], pad: [1, 1] }), adj: [1, 1] },
  ],
  ['dilation', { x: [1, 2, 3, 4], filters: 2, window: plain([2, 2], { dilate: [2, 3] }) }],
  ['groups', { x: [2, 4, 3, 3], filters: 6, window: plain([2, 2], { stride: [2, 2] }), groups: 2 }],
  ['three axes', { x: [1, 2, 2, 3, 2], filters: 2, window: plain([2, 2, 2], { stride: [2, 1, 2] }) }],
];

eachDevice((ctx) => {
  const make = (v: readonly number[], shape: readonly number[]): NDArray => nd.array(v, { ctx, shape });

  describe('convolution', () => {
    for (const [name, { x, filters, window, groups = 1 }] of CASES)
      test(name, async () => {
        const wShape = [filters, (x[1] as number) / groups, ...window.kernel];
        const [xs, ws, bs] = [
          numbers(count(x), -1, 1, 1),
          numbers(count(wShape), -1, 1, 2),
          numbers(filters, -1, 1, 3),
        ];
        const { shape, values } = convolve(xs, x, ws, wShape, window, groups);
        const [a, w] = [make(xs, x), make(ws, wShape)];
        const options = { stride: window.stride, dilate: window.dilate, pad: window.pad, numGroup: groups };
        await expectArray(nd.convolution(a, w, null, options), shape, values, FLOATS);
        const area = count(shape.slice(2));
        const withBias = values.map((v, i) => v + (bs[Math.floor(i / area) % filters] as number));
        await expectArray(nd.convolution(a, w, make(bs, [filters]), options), shape, withBias, FLOATS);
      });

    test('a number serves for every axis; what the weight says may be said again', async () => {
      const [xs, ws] = [numbers(2 * 49, -1, 1, 4), numbers(3 * 2 * 9, -1, 1, 5)];
      const { shape, values } = convolve(
        xs,
        [1, 2, 7, 7],
        ws,
        [3, 2, 3, 3],
        plain([3, 3], { stride: [2, 2], pad: [1, 1] }),
        1,
      );
      const y = nd.convolution(make(xs, [1, 2, 7, 7]), make(ws, [3, 2, 3, 3]), nd.ones([3], { ctx }), {
        kernel: [3, 3],
        stride: 2,
        pad: 1,
        numFilter: 3,
        noBias: true,
      });
      await expectArray(y, shape, values, FLOATS);
    });

    test('no samples', async () => {
      await expectArray(
        nd.convolution(nd.zeros([0, 2, 5, 5], { ctx }), nd.ones([3, 2, 2, 2], { ctx })),
        [0, 3, 4, 4],
        [],
      );
    });

    test('float64 and float16', async () => {
      for (const dtype of (['float64', 'float16'] as const).filter((d) => holds(ctx, d))) {
        // eighths: a float16 holds them, and their products' sums
        const eighths = (n: number, seed: number): number[] =>
          numbers(n, -2, 2, seed).map((v) => Math.round(v * 8) / 8);
        const [xs, ws] = [eighths(2 * 25, 1), eighths(3 * 2 * 4, 2)];
        const { shape, values } = convolve(xs, [1, 2, 5, 5], ws, [3, 2, 2, 2], plain([2, 2]), 1);
        const y = nd.convolution(make(xs, [1, 2, 5, 5]).astype(dtype), make(ws, [3, 2, 2, 2]).astype(dtype));
        expect(y.dtype).toBe(dtype);
        await expectArray(
          y,
          shape,
          values,
          dtype === 'float64' ? { rtol: 0, atol: 1e-15 } : { rtol: 2 ** -11, atol: 0 },
        );
      }
    });
  });

  describe('deconvolution', () => {
    for (const [name, { x, filters, window, groups = 1, adj = x.slice(2).map(() => 0) }] of TRANSPOSED)
      test(name, async () => {
        const wShape = [x[1] as number, filters / groups, ...window.kernel];
        const [xs, ws, bs] = [
          numbers(count(x), -1, 1, 1),
          numbers(count(wShape), -1, 1, 2),
          numbers(filters, -1, 1, 3),
        ];
        const { shape, values } = spread(xs, x, ws, wShape, window, groups, adj);
        const [a, w] = [make(xs, x), make(ws, wShape)];
        const options = {
          stride: window.stride,
          dilate: window.dilate,
          pad: window.pad,
          numGroup: groups,
          adj,
        };
        await expectArray(nd.deconvolution(a, w, null, options), shape, values, FLOATS);
        const area = count(shape.slice(2));
        const withBias = values.map((v, i) => v + (bs[Math.floor(i / area) % filters] as number));
        await expectArray(nd.deconvolution(a, w, make(bs, [filters]), options), shape, withBias, FLOATS);
      });

    test('a target shape gives padding and output padding', async () => {
      const [xs, ws] = [numbers(9, -1, 1, 1), numbers(9, -1, 1, 2)];
      const wide = plain([3, 3], { stride: [2, 2], pad: [1, 1] });
      const { shape, values } = spread(xs, [1, 1, 3, 3], ws, [1, 1, 3, 3], wide, 1, [1, 1]);
      expect(shape).toEqual([1, 1, 6, 6]);
      const y = nd.deconvolution(make(xs, [1, 1, 3, 3]), make(ws, [1, 1, 3, 3]), null, {
        stride: 2,
        targetShape: [6, 6],
      });
      await expectArray(y, shape, values, FLOATS);
    });
  });

  describe('pooling', () => {
    type Kind = 'max' | 'avg' | 'sum' | 'lp';

    /** Windows clipped to the input; `full` rounds their number up. */
    function pool(
      x: readonly number[],
      shape: readonly number[],
      kind: Kind,
      w: Window,
      full: boolean,
      countPad: boolean,
      p = 2,
    ) {
      const [n, c, ...spatial] = shape as [number, number, ...number[]];
      const out = spatial.map((d, i) => {
        const steps = (d + 2 * (w.pad[i] as number) - (w.kernel[i] as number)) / (w.stride[i] as number);
        return (full ? Math.ceil(steps) : Math.floor(steps)) + 1;
      });
      const values: number[] = [];
      eachIndex([n, c, ...out], ([b, channel, ...q]) => {
        const start = q.map((s, i) => s * (w.stride[i] as number) - (w.pad[i] as number));
        const seen: number[] = [];
        let padded = 1;
        start.forEach((s, i) => {
          padded *= Math.min(s + (w.kernel[i] as number), (spatial[i] as number) + (w.pad[i] as number)) - s;
        });
        eachIndex(w.kernel, (k) => {
          const from = start.map((s, i) => s + (k[i] as number));
          if (from.every((f, i) => f >= 0 && f < (spatial[i] as number)))
            seen.push(x[place(shape, [b as number, channel as number, ...from])] as number);
        });
        const sum = seen.reduce((a, v) => a + v, 0);
        if (kind === 'max')
          values.push(
            seen.reduce((a, v) => (Number.isNaN(a) || Number.isNaN(v) ? NaN : Math.max(a, v)), -Infinity),
          );
        else if (kind === 'avg') values.push(sum / (countPad ? padded : seen.length));
        else if (kind === 'sum') values.push(sum);
        else values.push(seen.reduce((a, v) => a + Math.abs(v) ** p, 0) ** (1 / p));
      });
      return { shape: [n, c, ...out], values };
    }

    const POOLS: readonly (readonly [string, readonly number[], Window])[] = [
      ['one axis', [2, 3, 9], plain([3], { stride: [2] })],
      ['2 × 2 by 2', [2, 3, 6, 8], plain([2, 2], { stride: [2, 2] })],
      ['overlapping, padded', [1, 2, 7, 6], plain([3, 3], { stride: [2, 1], pad: [1, 1] })],
      ['windows that do not come out even', [1, 2, 8, 7], plain([3, 2], { stride: [3, 2], pad: [1, 0] })],
      ['three axes', [1, 2, 5, 4, 6], plain([2, 2, 3], { stride: [2, 1, 2], pad: [1, 0, 1] })],
    ];
    for (const [name, shape, w] of POOLS)
      test(name, async () => {
        const xs = numbers(count(shape), -2, 2, 3);
        const x = make(xs, shape);
        const options = { kernel: w.kernel, stride: w.stride, pad: w.pad };
        for (const poolType of ['max', 'avg', 'sum', 'lp'] as const)
          for (const poolingConvention of ['valid', 'full'] as const) {
            const expected = pool(xs, shape, poolType, w, poolingConvention === 'full', true);
            await expectArray(
              nd.pooling(x, { ...options, poolType, poolingConvention }),
              expected.shape,
              expected.values,
              FLOATS,
            );
          }
        const expected = pool(xs, shape, 'avg', w, false, false);
        await expectArray(
          nd.pooling(x, { ...options, poolType: 'avg', countIncludePad: false }),
          expected.shape,
          expected.values,
          FLOATS,
        );
      });

    test('maxima start from −∞ and let NaN through', async () => {
      const xs = [-5, -7, NaN, -1, -Infinity, -Infinity, 3, 4];
      const y = nd.pooling(make(xs, [1, 1, 8]), { kernel: 2, stride: 2 });
      await expectArray(y, [1, 1, 4], [-5, NaN, -Infinity, 4]);
      const padded = nd.pooling(make([-5, -7], [1, 1, 2]), { kernel: 2, stride: 1, pad: 1 });
      await expectArray(padded, [1, 1, 3], [-5, -5, -7]);
    });

    test('global pooling keeps (N, C, 1, 1)', async () => {
      const shape = [2, 3, 4, 5];
      const xs = numbers(count(shape), -2, 2, 6);
      const x = make(xs, shape);
      const rows = Array.from({ length: 6 }, (_, i) => xs.slice(i * 20, (i + 1) * 20));
      const sum = (r: readonly number[]): number => r.reduce((a, b) => a + b, 0);
      const folds: Record<Kind, (r: number[]) => number> = {
        max: (r) => Math.max(...r),
        avg: (r) => sum(r) / 20,
        sum,
        lp: (r) => sum(r.map((v) => v * v)) ** 0.5,
      };
      for (const poolType of ['max', 'avg', 'sum', 'lp'] as const)
        await expectArray(
          nd.pooling(x, { globalPool: true, poolType }),
          [2, 3, 1, 1],
          rows.map(folds[poolType]),
          FLOATS,
        );
      expect([...nd.pooling(make(xs, [2, 3, 20]), { globalPool: true }).shape]).toEqual([2, 3, 1]);
    });
  });
});
