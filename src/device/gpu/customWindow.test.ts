// Padding and pooling on a real WebGPU implementation, against plain loops.
import { afterEach, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import { customKernel } from '../../ir/kernel.ts';
import { lowerCustom } from './custom.ts';
import { mergePad } from './customWindow.ts';
import { decode, encode, testGpu } from './testSink.ts';

const gpu = await testGpu();
afterEach(() => gpu.clear());

const GPU_DTYPES: readonly DType[] = ['float32', 'float16', 'int32', 'uint32', 'int8', 'uint8', 'bool'];
const numbers = (n: number, dtype: DType): number[] =>
  Array.from({ length: n }, (_, i) =>
    dtype === 'bool' ? ((i * 5) % 7) & 1 : ((i * 37 + 11) % 120) - (dtype.startsWith('u') ? 0 : 60),
  );

describe('pad', () => {
  test('axes without padding merge', () => {
    expect(mergePad([0, 4, 2, 3, 4, 5, 0, 0, 1, 2, 2, 3, 6, 9])).toEqual([6, 4, 5, 0, 1, 2, 6, 6, 9]);
    expect(mergePad([0, 3, 2, 3, 4, 0, 1, 0, 2, 5, 4])).toEqual([2, 3, 4, 0, 1, 0, 2, 5, 4]);
    expect(mergePad([0, 2, 2, 3, 0, 0, 2, 3])).toEqual([6, 0, 6]);
    // nothing before, but something after
    expect(mergePad([0, 2, 2, 3, 0, 0, 2, 4])).toEqual([2, 3, 0, 0, 2, 4]);
  });

  for (const mode of [0, 1])
    test(mode === 0 ? 'edge' : 'reflect', async () => {
      for (const dtype of GPU_DTYPES)
        for (const [shape, before, out] of [
          [[7], [3], [13]],
          [
            [2, 3, 4, 5],
            [0, 0, 1, 2],
            [2, 3, 7, 8],
          ],
          [
            [3, 1, 4],
            [2, 1, 3],
            [5, 3, 10],
          ],
          [
            [2, 2, 2, 2, 2, 2, 2, 2],
            [1, 0, 1, 0, 1, 0, 1, 0],
            [3, 2, 3, 2, 3, 2, 3, 3],
          ],
        ] as const) {
          const ndim = shape.length;
          const xs = numbers(sizeOf(shape), dtype);
          const y = gpu.array(out, dtype);
          lowerCustom(
            gpu,
            customKernel('pad'),
            [gpu.array(shape, dtype, xs)],
            [y],
            [mode, ndim, ...shape, ...before, ...out],
            [],
          );
          const want = Array.from({ length: sizeOf(out) }, (_, e) => {
            let rest = e;
            let at = 0;
            let step = 1;
            for (let a = ndim - 1; a >= 0; a--) {
              const n = shape[a] ?? 1;
              let c = (rest % (out[a] ?? 1)) - (before[a] ?? 0);
              rest = Math.floor(rest / (out[a] ?? 1));
              // a step over a border turns round until it is inside
              while (c < 0 || c >= n)
                c = mode === 0 || n === 1 ? Math.min(n - 1, Math.max(0, c)) : c < 0 ? -c : 2 * (n - 1) - c;
              at += c * step;
              step *= n;
            }
            return xs[at];
          });
          expect((await gpu.read(y))[0], `${dtype} ${shape}`).toEqual(want);
        }
    });
});

interface Pool {
  readonly planes: number;
  readonly i: readonly [number, number, number];
  readonly k: readonly [number, number, number];
  readonly s: readonly [number, number, number];
  readonly p: readonly [number, number, number];
  /** Output extents, where not the usual. */
  readonly o?: readonly [number, number, number];
}

function extents(c: Pool): readonly [number, number, number] {
  const one = (a: 0 | 1 | 2): number => Math.floor((c.i[a] + 2 * c.p[a] - c.k[a]) / c.s[a]) + 1;
  return c.o ?? [one(0), one(1), one(2)];
}

/** By the words of ir/kernel.ts: the window of each output, element by element of the kernel. */
function reference(
  c: Pool,
  xs: readonly number[],
  mode: 'poolMax' | 'poolAvg' | 'poolSum',
  include: boolean,
): number[] {
  const [oD, oH, oW] = extents(c);
  const [iD, iH, iW] = c.i;
  const out: number[] = [];
  for (let plane = 0; plane < c.planes; plane++)
    for (let od = 0; od < oD; od++)
      for (let oh = 0; oh < oH; oh++)
        for (let ow = 0; ow < oW; ow++) {
          let [max, sum, inside, padded] = [-Infinity, 0, 0, 0];
          for (let kd = 0; kd < c.k[0]; kd++)
            for (let kh = 0; kh < c.k[1]; kh++)
              for (let kw = 0; kw < c.k[2]; kw++) {
                const [d, h, w] = [
                  od * c.s[0] - c.p[0] + kd,
                  oh * c.s[1] - c.p[1] + kh,
                  ow * c.s[2] - c.p[2] + kw,
                ];
                if (d < iD + c.p[0] && h < iH + c.p[1] && w < iW + c.p[2]) padded++;
                if (d < 0 || h < 0 || w < 0 || d >= iD || h >= iH || w >= iW) continue;
                inside++;
                const v = xs[((plane * iD + d) * iH + h) * iW + w] ?? 0;
                max = Number.isNaN(v) || Number.isNaN(max) ? NaN : Math.max(max, v);
                sum = Math.fround(sum + v);
              }
          out.push(
            mode === 'poolMax'
              ? max
              : mode === 'poolSum'
                ? sum
                : Math.fround(sum / (include ? padded : inside)),
          );
        }
  return out;
}

describe('pooling', () => {
  const cases: Pool[] = [
    { planes: 3, i: [1, 6, 6], k: [1, 2, 2], s: [1, 2, 2], p: [0, 0, 0] },
    // inside, with a border left over; inside, but deep; inside, but large
    { planes: 2, i: [1, 8, 10], k: [1, 3, 2], s: [1, 3, 1], p: [0, 0, 0] },
    { planes: 2, i: [4, 4, 4], k: [2, 2, 2], s: [2, 2, 2], p: [0, 0, 0] },
    { planes: 2, i: [1, 5, 6], k: [1, 4, 5], s: [1, 1, 1], p: [0, 0, 0] },
    { planes: 2, i: [1, 7, 5], k: [1, 3, 3], s: [1, 2, 1], p: [0, 1, 1] },
    { planes: 2, i: [3, 4, 5], k: [2, 3, 2], s: [2, 1, 2], p: [1, 1, 0] },
    { planes: 3, i: [1, 1, 9], k: [1, 1, 4], s: [1, 1, 3], p: [0, 0, 1] },
    // ceil: the last window reaches over the padding
    { planes: 1, i: [1, 5, 6], k: [1, 2, 3], s: [1, 2, 2], p: [0, 0, 1], o: [1, 3, 4] },
    // global
    { planes: 5, i: [1, 3, 3], k: [1, 3, 3], s: [1, 1, 1], p: [0, 0, 0] },
  ];

  async function run(
    c: Pool,
    xs: readonly number[],
    dtype: DType,
    mode: 'poolMax' | 'poolAvg' | 'poolSum',
    include: boolean,
  ): Promise<number[]> {
    const o = extents(c);
    const x = gpu.array([c.planes, ...c.i], dtype, xs);
    const y = gpu.array([c.planes, ...o], dtype);
    lowerCustom(
      gpu,
      customKernel(mode),
      [x],
      [y],
      [c.planes, ...c.i, ...o, ...c.k, ...c.s, ...c.p, include ? 1 : 0],
      [],
    );
    return (await gpu.read(y))[0] ?? [];
  }

  for (const mode of ['poolMax', 'poolAvg', 'poolSum'] as const)
    test(`${mode} of floats`, async () => {
      for (const dtype of ['float32', 'float16'] as const)
        for (const c of cases)
          for (const include of [false, true]) {
            const xs = numbers(c.planes * sizeOf(c.i), dtype).map((v) => v / 8);
            const want = decode(encode(reference(c, xs, mode, include), dtype), dtype);
            const got = await run(c, xs, dtype, mode, include);
            // division need not be rounded to nearest in WGSL
            got.forEach((v, i) => {
              expect(
                Math.abs(v - (want[i] ?? NaN)),
                `${dtype} ${JSON.stringify(c)} at ${i}`,
              ).toBeLessThanOrEqual(dtype === 'float32' ? 3e-6 : 8e-3);
            });
            expect(got.length).toBe(want.length);
          }
    });

  test('max and sum of integers', async () => {
    for (const dtype of ['int32', 'uint32', 'int8', 'uint8'] as const)
      for (const c of cases) {
        const xs = numbers(c.planes * sizeOf(c.i), dtype);
        expect(await run(c, xs, dtype, 'poolMax', false), dtype).toEqual(reference(c, xs, 'poolMax', false));
        const sums = reference(c, xs, 'poolSum', false);
        expect(await run(c, xs, dtype, 'poolSum', false), dtype).toEqual(decode(encode(sums, dtype), dtype));
      }
  });

  test('max lets NaN through and takes −∞ for what it is', async () => {
    for (const dtype of ['float32', 'float16'] as const) {
      const xs = [
        1,
        NaN,
        2,
        3,
        -Infinity,
        -Infinity,
        -Infinity,
        -Infinity,
        5,
        Infinity,
        -1,
        -2,
        -0,
        -0,
        -3,
        -5,
      ];
      const c: Pool = { planes: 4, i: [1, 2, 2], k: [1, 2, 2], s: [1, 2, 2], p: [0, 0, 0] };
      expect(await run(c, xs, dtype, 'poolMax', false), dtype).toEqual([NaN, -Infinity, Infinity, -0]);
    }
    const negative = Uint32Array.of(0xffc00000, 0x3f800000, 0x3f800000, 0x3f800000);
    const x = gpu.arrayOfBytes([1, 1, 2, 2], 'float32', negative.buffer);
    const y = gpu.array([1], 'float32');
    lowerCustom(
      gpu,
      customKernel('poolMax'),
      [x],
      [y],
      [1, 1, 2, 2, 1, 1, 1, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0],
      [],
    );
    expect((await gpu.read(y))[0]).toEqual([NaN]);
  });

  test('a window without elements: −∞, and a sum of zero', async () => {
    const c: Pool = { planes: 1, i: [1, 1, 2], k: [1, 1, 1], s: [1, 1, 1], p: [0, 0, 1] };
    expect(await run(c, [1, 2], 'float32', 'poolMax', false)).toEqual([-Infinity, 1, 2, -Infinity]);
    expect(await run(c, [1, 2], 'float32', 'poolSum', false)).toEqual([0, 1, 2, 0]);
    expect(await run(c, [1, 2], 'float32', 'poolAvg', true)).toEqual([0, 1, 2, 0]);
  });

  test('no planes', () => {
    const before = gpu.dispatches;
    lowerCustom(
      gpu,
      customKernel('poolMax'),
      [gpu.array([0, 1, 2, 2], 'float32')],
      [gpu.array([0, 1, 1, 1], 'float32')],
      [0, 1, 2, 2, 1, 1, 1, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0],
      [],
    );
    expect(gpu.dispatches).toBe(before);
  });
});
