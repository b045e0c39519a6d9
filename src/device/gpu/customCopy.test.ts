// stridedCopy on a real WebGPU implementation, against loops over coordinates.
import { afterEach, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { fromHalf, toHalf } from '../../core/dtype.ts';
import { sizeOf, stridesOf } from '../../core/shape.ts';
import { customKernel } from '../../ir/kernel.ts';
import { lowerCustom } from './custom.ts';
import { testGpu } from './testSink.ts';

const gpu = await testGpu();
const usual = gpu.traits;
afterEach(() => {
  gpu.traits = usual;
  gpu.clear();
});

const GPU_DTYPES: readonly DType[] = ['float32', 'float16', 'int32', 'uint32', 'int8', 'uint8', 'bool'];

/** Conversions as ir/kernel.ts says them, by JavaScript's own integer arithmetic. */
function converted(v: number, to: DType): number {
  const int32 = (x: number): number =>
    Number.isNaN(x) ? 0 : x >= 2147483648 ? 2147483647 : x < -2147483648 ? -2147483648 : Math.trunc(x) + 0;
  switch (to) {
    case 'float32':
      return Math.fround(v);
    case 'float16':
      return fromHalf(toHalf(v));
    case 'int32':
      return int32(v);
    case 'uint32':
      return v < 0 ? int32(v) >>> 0 : Number.isNaN(v) ? 0 : Math.min(Math.trunc(v) + 0, 4294967295);
    case 'int8':
      return (int32(v) << 24) >> 24;
    case 'uint8':
      return int32(v) & 255;
    case 'bool':
      return v === 0 ? 0 : 1;
    default:
      throw new Error(to);
  }
}

/** From an integer dtype conversions wrap; the numbers here stay in both ranges' common bits. */
function integerConverted(v: number, to: DType): number {
  switch (to) {
    case 'int32':
      return v | 0;
    case 'uint32':
      return v >>> 0;
    case 'int8':
      return (v << 24) >> 24;
    case 'uint8':
      return v & 255;
    default:
      return converted(v, to);
  }
}

/** Small whole numbers that a dtype holds. */
function numbers(n: number, dtype: DType): number[] {
  return Array.from({ length: n }, (_, i) => (dtype === 'bool' ? (i % 3 === 0 ? 1 : 0) : (i * 7 + 3) % 101));
}

interface Case {
  readonly inShape: number[];
  readonly outShape: number[];
  readonly shape: number[];
  readonly inStrides: number[];
  readonly outStrides: number[];
  readonly inOffset?: number;
  readonly outOffset?: number;
}

async function check(c: Case, from: DType, to: DType): Promise<void> {
  const { inOffset = 0, outOffset = 0 } = c;
  const xs = numbers(sizeOf(c.inShape), from);
  const ys = numbers(sizeOf(c.outShape), to).reverse();
  const x = gpu.array(c.inShape, from, xs);
  const y = gpu.array(c.outShape, to, ys);
  lowerCustom(
    gpu,
    customKernel('stridedCopy'),
    [x],
    [y],
    [c.shape.length, inOffset, outOffset, ...c.shape, ...c.inStrides, ...c.outStrides],
    [],
  );
  const want = ys.slice();
  const rowMajor = stridesOf(c.shape);
  for (let i = 0; i < sizeOf(c.shape); i++) {
    let a = inOffset;
    let b = outOffset;
    c.shape.forEach((extent, d) => {
      const at = Math.floor(i / (rowMajor[d] ?? 1)) % extent;
      a += at * (c.inStrides[d] ?? 0);
      b += at * (c.outStrides[d] ?? 0);
    });
    want[b] = integerConverted(xs[a] ?? NaN, to);
  }
  const [got] = await gpu.read(y);
  expect(got, `${JSON.stringify(c)} ${from}>${to}`).toEqual(want);
}

describe('stridedCopy', () => {
  const cases: Record<string, Case> = {
    'one run': { inShape: [13], outShape: [13], shape: [13], inStrides: [1], outStrides: [1] },
    'a run into the middle, at odd places': {
      inShape: [20],
      outShape: [23],
      shape: [9],
      inStrides: [1],
      outStrides: [1],
      inOffset: 5,
      outOffset: 3,
    },
    'a run inside one word': {
      inShape: [9],
      outShape: [9],
      shape: [2],
      inStrides: [1],
      outStrides: [1],
      inOffset: 6,
      outOffset: 5,
    },
    transposition: {
      inShape: [5, 7],
      outShape: [7, 5],
      shape: [7, 5],
      inStrides: [1, 7],
      outStrides: [5, 1],
    },
    'three axes turned': {
      inShape: [2, 3, 5],
      outShape: [5, 3, 2],
      shape: [5, 3, 2],
      inStrides: [1, 5, 15],
      outStrides: [6, 2, 1],
    },
    broadcast: {
      inShape: [3],
      outShape: [2, 3, 2],
      shape: [2, 3, 2],
      inStrides: [0, 1, 0],
      outStrides: [6, 2, 1],
    },
    'flip and step': {
      inShape: [4, 9],
      outShape: [4, 5],
      shape: [4, 5],
      inStrides: [-9, -2],
      outStrides: [5, 1],
      inOffset: 35,
    },
    'a part of each row': {
      inShape: [3, 5],
      outShape: [3, 11],
      shape: [3, 5],
      inStrides: [5, 1],
      outStrides: [11, 1],
      outOffset: 3,
    },
    'every third place': {
      inShape: [7],
      outShape: [21],
      shape: [7],
      inStrides: [-1],
      outStrides: [3],
      inOffset: 6,
      outOffset: 1,
    },
    'eight axes': {
      inShape: [2, 2, 2, 2, 2, 2, 2, 3],
      outShape: [3, 2, 2, 2, 2, 2, 2, 2],
      shape: [3, 2, 2, 2, 2, 2, 2, 2],
      inStrides: [1, 3, 6, 12, 24, 48, 96, 192],
      outStrides: [128, 64, 32, 16, 8, 4, 2, 1],
    },
    'one element, no axes': { inShape: [], outShape: [], shape: [], inStrides: [], outStrides: [] },
    nothing: { inShape: [0, 3], outShape: [0, 3], shape: [0, 3], inStrides: [3, 1], outStrides: [3, 1] },
  };
  for (const [name, c] of Object.entries(cases)) {
    test(`${name}, every dtype`, async () => {
      for (const dtype of GPU_DTYPES) await check(c, dtype, dtype);
    });
  }

  test('small numbers in every pair of dtypes', async () => {
    for (const from of GPU_DTYPES)
      for (const to of GPU_DTYPES) {
        await check(
          { inShape: [11], outShape: [11], shape: [11], inStrides: [1], outStrides: [1] },
          from,
          to,
        );
        await check(
          { inShape: [11], outShape: [14], shape: [5], inStrides: [2], outStrides: [3], outOffset: 1 },
          from,
          to,
        );
      }
  });

  test('what floats become', async () => {
    const hard = [
      0,
      -0,
      0.5,
      -0.5,
      1.5,
      -1.5,
      2.5,
      127.9,
      128,
      -128.9,
      -129,
      255.9,
      256,
      300.7,
      -300.7,
      65504,
      65519.9,
      65520,
      1e9,
      -1e9,
      2147483520,
      2147483648,
      3e9,
      -2147483648,
      -3e9,
      4294967040,
      4294967296,
      1e20,
      -1e20,
      Infinity,
      -Infinity,
      NaN,
      1e-40,
      6e-8,
      2.9e-8,
      3.1e-8,
      1.00048828125,
    ].map(Math.fround);
    for (const to of GPU_DTYPES) {
      const x = gpu.array([hard.length], 'float32', hard);
      const y = gpu.array([hard.length], to);
      lowerCustom(gpu, customKernel('stridedCopy'), [x], [y], [1, 0, 0, hard.length, 1, 1], []);
      const [got] = await gpu.read(y);
      expect(got, to).toEqual(hard.map((v) => converted(v, to)));
    }
  });

  test('what integers become', async () => {
    const hard = [0, 1, -1, 127, 128, -128, -129, 255, 256, 16777217, 2147483647, -2147483648];
    for (const from of ['int32', 'uint32'] as const)
      for (const to of GPU_DTYPES) {
        const values = hard.map((v) => integerConverted(v, from));
        const x = gpu.array([values.length], from, values);
        const y = gpu.array([values.length], to);
        lowerCustom(gpu, customKernel('stridedCopy'), [x], [y], [1, 0, 0, values.length, 1, 1], []);
        const [got] = await gpu.read(y);
        expect(got, `${from}>${to}`).toEqual(values.map((v) => integerConverted(v, to)));
      }
  });

  test('every half is read and written as it is', async () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const x = gpu.arrayOfBytes([65536], 'float16', halves.buffer);
    const wide = gpu.array([65536], 'float32');
    const back = gpu.array([65536], 'float16');
    lowerCustom(gpu, customKernel('stridedCopy'), [x], [wide], [1, 0, 0, 65536, 1, 1], []);
    lowerCustom(gpu, customKernel('stridedCopy'), [wide], [back], [1, 0, 0, 65536, 1, 1], []);
    const [floats, bytes] = await gpu.readBytes(wide, back);
    expect([...new Float32Array(floats ?? new ArrayBuffer(0))]).toEqual(Array.from(halves, fromHalf));
    const got = new Uint16Array(bytes ?? new ArrayBuffer(0));
    // a NaN comes back as the quiet one of its sign
    expect([...got]).toEqual(Array.from(halves, (h) => ((h & 0x7fff) > 0x7c00 ? (h & 0x8000) | 0x7e00 : h)));
  });

  test('NaN keeps its bits where nothing is converted', async () => {
    const bits = Uint32Array.of(0x7fc00001, 0xffc12345, 0x7f800001, 0xff800000, 0x80000000, 1);
    const x = gpu.arrayOfBytes([2, 3], 'float32', bits.buffer);
    const y = gpu.array([3, 2], 'float32');
    lowerCustom(gpu, customKernel('stridedCopy'), [x], [y], [2, 0, 0, 3, 2, 1, 3, 2, 1], []);
    const [got] = await gpu.readBytes(y);
    expect([...new Uint32Array(got ?? new ArrayBuffer(0))]).toEqual([0, 3, 1, 4, 2, 5].map((i) => bits[i]));
  });

  describe('through tiles, as on hardware', () => {
    const shapes: Case[] = [
      { inShape: [33, 40], outShape: [40, 33], shape: [40, 33], inStrides: [1, 40], outStrides: [33, 1] },
      { inShape: [8, 70], outShape: [70, 8], shape: [70, 8], inStrides: [1, 70], outStrides: [8, 1] },
      {
        inShape: [3, 9, 34],
        outShape: [3, 34, 9],
        shape: [3, 34, 9],
        inStrides: [306, 1, 34],
        outStrides: [306, 9, 1],
      },
      // the input runs along the first axis, the middle one is the batch
      {
        inShape: [11, 2, 10],
        outShape: [10, 2, 11],
        shape: [10, 2, 11],
        inStrides: [1, 10, 20],
        outStrides: [22, 11, 1],
      },
      // from and to the middle
      {
        inShape: [200],
        outShape: [150],
        shape: [9, 10],
        inStrides: [1, 12],
        outStrides: [10, 1],
        inOffset: 7,
        outOffset: 30,
      },
    ];
    for (const c of shapes)
      test(JSON.stringify(c.shape), async () => {
        gpu.traits = { ...usual, software: false };
        await check(c, 'float32', 'float32');
        await check(c, 'float32', 'int32');
        // packed: another way, same result
        await check(c, 'uint8', 'uint8');
        expect([...gpu.sources.keys()].some((k) => k.startsWith('transpose'))).toBe(true);
      });
  });

  test('more workgroups than one row of them holds', async () => {
    gpu.traits = { ...usual, maxWorkgroups: 4 };
    await check(
      { inShape: [4000], outShape: [4000], shape: [4000], inStrides: [1], outStrides: [1] },
      'int32',
      'float32',
    );
  });
});
