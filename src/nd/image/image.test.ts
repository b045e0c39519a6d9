// Pictures: sizes against ONNX's Resize cases and plain loops, PNG against files written here, canvases against stand-ins. Real browsers: e2e/data.spec.ts.
import { deflateSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import {
  ArgumentError,
  ContextError,
  cpu,
  FormatError,
  image,
  LoadError,
  memoryInfo,
  type NDArray,
  nd,
  ShapeError,
} from 'webgluon';
import { loadCases, type OnnxCase } from '../../../test/conformance/cases.ts';
import { differences, integers, numbers } from '../../../test/values.ts';
import { decodePng } from './png.ts';

const cases = new Map((loadCases().get('Resize') ?? []).map((c): [string, OnnxCase] => [c.name, c]));

describe('imresize', () => {
  test.each([
    ['resize_upsample_scales_linear', 1],
    ['resize_upsample_sizes_cubic', 3],
    ['resize_upsample_scales_nearest', 0],
  ] as const)('is ONNX’s %s', async (name, interpolation) => {
    const c = cases.get(name) as OnnxCase;
    const [x, y] = [c.inputs.find((t) => t.name === 'X'), c.outputs[0]];
    if (x === undefined || y === undefined) throw new Error('the case has an input and an output');
    const [, , h = 0, w = 0] = x.shape;
    const [, , outH = 0, outW = 0] = y.shape;
    const source = nd.array([...x.data], { shape: [h, w, 1] });
    const actual = await image.imresize(source, outW, outH, interpolation).data();
    expect(differences(actual, y.data, { rtol: 1e-6, atol: 1e-6 })).toEqual([]);
  });

  test('by area is the mean of what a pixel covers', async () => {
    // each pixel copied so often that whole blocks are means
    const [h, w, toH, toW] = [7, 9, 3, 4];
    const values = numbers(h * w, 0, 1);
    const expected: number[] = [];
    for (let i = 0; i < toH; i++)
      for (let j = 0; j < toW; j++) {
        let sum = 0;
        for (let a = i * h; a < (i + 1) * h; a++)
          for (let b = j * w; b < (j + 1) * w; b++)
            sum += values[Math.floor(a / toH) * w + Math.floor(b / toW)] as number;
        expected.push(sum / (h * w));
      }
    const y = image.imresize(nd.array(values, { shape: [h, w, 1] }), toW, toH, 'area');
    expect(differences(await y.data(), expected, { rtol: 1e-6, atol: 1e-7 })).toEqual([]);
  });

  test('bilinear by the plain formula, channels and pictures by themselves, uint8 rounded', async () => {
    const [n, h, w, c] = [2, 5, 4, 3];
    const values = integers(n * h * w * c, 0, 255);
    for (const [toH, toW] of [
      [8, 3],
      [2, 9],
      [1, 1],
    ] as const) {
      const expected: number[] = [];
      const at = (p: number, y: number, x: number, k: number): number =>
        values[
          ((p * h + Math.max(0, Math.min(h - 1, y))) * w + Math.max(0, Math.min(w - 1, x))) * c + k
        ] as number;
      for (let p = 0; p < n; p++)
        for (let i = 0; i < toH; i++)
          for (let j = 0; j < toW; j++)
            for (let k = 0; k < c; k++) {
              const [y, x] = [((i + 0.5) * h) / toH - 0.5, ((j + 0.5) * w) / toW - 0.5];
              const [y0, x0] = [Math.floor(y), Math.floor(x)];
              const [fy, fx] = [y - y0, x - x0];
              const v =
                (1 - fy) * ((1 - fx) * at(p, y0, x0, k) + fx * at(p, y0, x0 + 1, k)) +
                fy * ((1 - fx) * at(p, y0 + 1, x0, k) + fx * at(p, y0 + 1, x0 + 1, k));
              expected.push(Math.floor(v + 0.5 + 1e-9));
            }
      const x = nd.array(values, { shape: [n, h, w, c], dtype: 'uint8' });
      const y = image.imresize(x, toW, toH);
      expect([y.dtype, y.shape]).toEqual(['uint8', [n, toH, toW, c]]);
      expect(differences(await y.data(), expected)).toEqual([]);
      const float = image.imresize(x.astype('float32'), toW, toH);
      expect(differences(await float.data(), expected, { rtol: 0, atol: 0.5001 })).toEqual([]);
    }
  });

  test('a constant stays what it is, by every interpolation, larger and smaller', async () => {
    const x = nd.full([5, 7, 1], 200, { dtype: 'uint8' });
    for (const how of [0, 1, 2, 3] as const)
      for (const [w, h] of [
        [3, 2],
        [11, 13],
        [3, 13],
      ] as const)
        expect(new Set(await image.imresize(x, w, h, how).data())).toEqual(new Set([200]));
  });

  test('bad arguments', () => {
    const x = nd.ones([4, 4, 3]);
    expect(() => image.imresize(x, 0, 2)).toThrow(/width to be an integer ≥ 1/);
    expect(() => image.imresize(x, 2, 2, 4 as never)).toThrow(/interpolation 0 \('nearest'\)/);
    expect(() => image.imresize(nd.ones([4, 4]), 2, 2)).toThrow(ShapeError);
    expect(() => image.imresize(nd.ones([0, 4, 1]), 2, 2)).toThrow(/with pixels/);
    expect(() => image.imresize(nd.ones([2, 4, 1], { dtype: 'bool' }), 2, 2)).toThrow(/received bool/);
  });
});

describe('resizeShort and centerCrop', () => {
  test('the shorter side is the size, the longer one rounded down', () => {
    const shape = (h: number, w: number, size: number): readonly number[] =>
      image.resizeShort(nd.zeros([h, w, 3]), size).shape;
    expect(shape(48, 64, 26)).toEqual([26, 34, 3]);
    expect(shape(64, 48, 26)).toEqual([34, 26, 3]);
    expect(shape(10, 10, 20)).toEqual([20, 20, 3]);
    expect(shape(100, 1, 2)).toEqual([200, 2, 3]);
  });

  test('centerCrop cuts the middle and says where', async () => {
    const x = nd.arange(5 * 6).reshape([5, 6, 1]);
    const [y, rect] = image.centerCrop(x, [2, 3]);
    expect(rect).toEqual([2, 1, 2, 3]);
    expect(await y.data()).toEqual(new Float32Array([8, 9, 14, 15, 20, 21]));
    const [large, whole] = image.centerCrop(x, [12, 10]);
    expect([large.shape, whole]).toEqual([
      [10, 12, 1],
      [0, 0, 6, 5],
    ]);
    // of other proportions: the largest part that has them
    const [wide, part] = image.centerCrop(x, [12, 5]);
    expect([wide.shape, part]).toEqual([
      [5, 12, 1],
      [0, 1, 6, 2],
    ]);
    expect(() => image.centerCrop(x, [2] as never)).toThrow(/\[width, height\]/);
  });

  test('fixedCrop cuts where it is told', async () => {
    const x = nd.arange(12).reshape([3, 4, 1]);
    expect(await image.fixedCrop(x, 1, 0, 2, 2).data()).toEqual(new Float32Array([1, 2, 5, 6]));
    expect(image.fixedCrop(x, 1, 0, 2, 2, [6, 5]).shape).toEqual([5, 6, 1]);
    expect(() => image.fixedCrop(x, 3, 0, 2, 2)).toThrow(
      /part of a picture of 4 × 3, received 2 × 2 at \(3, 0\)/,
    );
  });
});

// --- PNG ---

function crc(bytes: Uint8Array): number {
  let value = 0xffffffff;
  for (const b of bytes) {
    value ^= b;
    for (let k = 0; k < 8; k++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  }
  return ~value >>> 0;
}

function word(v: number): number[] {
  return [(v >>> 24) & 255, (v >>> 16) & 255, (v >>> 8) & 255, v & 255];
}

function chunk(type: string, body: ArrayLike<number>): number[] {
  const named = [...new TextEncoder().encode(type), ...Array.from(body)];
  return [...word(body.length), ...named, ...word(crc(Uint8Array.from(named)))];
}

/** A PNG of rows that are filtered already. */
function png(
  width: number,
  height: number,
  depth: number,
  colour: number,
  rows: readonly (readonly number[])[],
  extra: number[] = [],
  interlace = 0,
): Uint8Array<ArrayBuffer> {
  const header = [...word(width), ...word(height), depth, colour, 0, 0, interlace];
  return Uint8Array.from([
    0x89,
    0x50,
    0x4e,
    0x47,
    0x0d,
    0x0a,
    0x1a,
    0x0a,
    ...chunk('IHDR', header),
    ...extra,
    ...chunk('IDAT', deflateSync(Uint8Array.from(rows.flat()))),
    ...chunk('IEND', []),
  ]);
}

describe('imread of PNG', () => {
  const rgb = [
    [10, 20, 30, 40, 50, 60],
    [11, 22, 33, 250, 240, 230],
  ];

  test('RGB, by each row filter', async () => {
    const flat = rgb.flat();
    const predict = (filter: number, y: number, i: number): number => {
      const left = i >= 3 ? (rgb[y]?.[i - 3] as number) : 0;
      const up = y > 0 ? (rgb[y - 1]?.[i] as number) : 0;
      const corner = i >= 3 && y > 0 ? (rgb[y - 1]?.[i - 3] as number) : 0;
      const p = left + up - corner;
      const paeth = [left, up, corner].reduce((a, b) => (Math.abs(p - b) < Math.abs(p - a) ? b : a));
      return [0, left, up, (left + up) >> 1, paeth][filter] as number;
    };
    for (let filter = 0; filter < 5; filter++) {
      const rows = rgb.map((row, y) => [filter, ...row.map((v, i) => (v - predict(filter, y, i)) & 255)]);
      const x = await image.imread(png(2, 2, 8, 2, rows));
      expect([filter, x.shape, x.dtype, String(x.context)]).toEqual([filter, [2, 2, 3], 'uint8', 'cpu(0)']);
      expect([filter, [...(await x.data())]]).toEqual([filter, flat]);
    }
  });

  test('gray of 1, 2, 4, 8 and 16 bits, palettes, transparency', async () => {
    const gray = async (bytes: Uint8Array<ArrayBuffer>): Promise<number[]> => [
      ...(await (await image.imread(bytes, { flag: 0 })).data()),
    ];
    expect(await gray(png(3, 1, 1, 0, [[0, 0b10100000]]))).toEqual([255, 0, 255]);
    expect(await gray(png(3, 1, 2, 0, [[0, 0b00011100]]))).toEqual([0, 85, 255]);
    expect(await gray(png(3, 1, 4, 0, [[0, 0x0f, 0x80]]))).toEqual([0, 255, 136]);
    expect(await gray(png(2, 1, 8, 0, [[0, 7, 200]]))).toEqual([7, 200]);
    expect(await gray(png(2, 1, 16, 0, [[0, 7, 99, 200, 1]]))).toEqual([7, 200]);
    expect(await gray(png(2, 1, 8, 4, [[0, 7, 0, 200, 255]]))).toEqual([7, 200]);
    const palette = chunk('PLTE', [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const x = await image.imread(png(3, 1, 2, 3, [[0, 0b10000100]], palette));
    expect([...(await x.data())]).toEqual([7, 8, 9, 1, 2, 3, 4, 5, 6]);
    const decoded = await decodePng(
      png(2, 1, 8, 3, [[0, 0, 1]], [...palette, ...chunk('tRNS', [128])]),
      'test',
    );
    expect([...decoded.rgba]).toEqual([1, 2, 3, 128, 4, 5, 6, 255]);
    const hidden = await decodePng(png(2, 1, 8, 0, [[0, 5, 6]], chunk('tRNS', [0, 6])), 'test');
    expect([...hidden.rgba]).toEqual([5, 5, 5, 255, 6, 6, 6, 0]);
  });

  test('interlaced', async () => {
    const [w, h] = [5, 5];
    const value = (x: number, y: number): number => x * 10 + y;
    const passes = [
      [0, 0, 8, 8],
      [4, 0, 8, 8],
      [0, 4, 4, 8],
      [2, 0, 4, 4],
      [0, 2, 2, 4],
      [1, 0, 2, 2],
      [0, 1, 1, 2],
    ] as const;
    const rows: number[][] = [];
    for (const [x0, y0, dx, dy] of passes)
      for (let y = y0; y < h; y += dy) {
        const row = [];
        for (let x = x0; x < w; x += dx) row.push(value(x, y));
        if (row.length > 0) rows.push([0, ...row]);
      }
    const x = await image.imread(png(w, h, 8, 0, rows, [], 1), { flag: 0 });
    expect(await x.reshape([h, w]).array()).toEqual(
      Array.from({ length: h }, (_, y) => Array.from({ length: w }, (__, i) => value(i, y))),
    );
  });

  test('BGR and gray', async () => {
    const rows = rgb.map((row) => [0, ...row]);
    const bgr = await image.imread(png(2, 2, 8, 2, rows), { toRgb: false });
    expect([...(await bgr.at(0, 0).data())]).toEqual([30, 20, 10]);
    const gray = await image.imread(new Blob([png(2, 2, 8, 2, rows)]), { flag: 0 });
    expect(gray.shape).toEqual([2, 2, 1]);
    expect([...(await gray.data())]).toEqual(
      [
        [10, 20, 30],
        [40, 50, 60],
        [11, 22, 33],
        [250, 240, 230],
      ].map(([r = 0, g = 0, b = 0]) => Math.round(0.299 * r + 0.587 * g + 0.114 * b)),
    );
  });

  const whole = png(
    2,
    2,
    8,
    2,
    rgb.map((row) => [0, ...row]),
  );
  test.each([
    ['empty', new Uint8Array(0), /received an empty file/],
    ['cut', whole.slice(0, -5), /one that ends after \d+ bytes/],
    ['without its last chunk', whole.slice(0, -12), /without its last chunk/],
    [
      'damaged',
      Uint8Array.from(whole, (v, i) => (i === 20 ? v ^ 1 : v)),
      /chunk IHDR does not agree with its checksum/,
    ],
    [
      'of too few rows',
      png(
        2,
        3,
        8,
        2,
        rgb.map((row) => [0, ...row]),
      ),
      /14 of 21 bytes of pixels/,
    ],
    [
      'of another filter',
      png(
        2,
        2,
        8,
        2,
        rgb.map((row) => [9, ...row]),
      ),
      /unknown row filter 9/,
    ],
    ['of a colour type that is none', png(2, 2, 8, 5, []), /colour type 5 with 8 bits/],
    ['without its palette', png(1, 1, 8, 3, [[0, 0]]), /without its palette/],
    [
      'a JPEG',
      Uint8Array.from([0xff, 0xd8, 0xff, 0xe0, 0, 0]),
      /received a JPEG file\. Outside a browser only PNG/,
    ],
    ['a page', new TextEncoder().encode('<!doctype html><p>no'), /expected a picture, received an HTML page/],
  ] as const)('%s: refused', async (_, bytes, message) => {
    const failure = await image.imread(bytes as Uint8Array<ArrayBuffer>).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(FormatError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).toMatch(/^\[image.imread\] expected .+, received .+\. .+/);
  });

  test('no such file, bad options, an abort', async () => {
    await expect(image.imread('no/such/file.png')).rejects.toBeInstanceOf(LoadError);
    await expect(image.imread(whole, { flags: 0 } as never)).rejects.toThrow(/Did you mean flag/);
    await expect(image.imread(whole, { flag: 2 as never })).rejects.toThrow(/flag 1 \(colour\) or 0/);
    const reason = new Error('stop');
    await expect(image.imread(whole, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  });
});

// --- canvases ---

const pixels = {
  data: new Uint8ClampedArray([1, 2, 3, 255, 40, 50, 60, 0, 7, 8, 9, 9, 100, 110, 120, 128]),
  width: 2,
  height: 2,
} as ImageData;

describe('fromPixels', () => {
  test('three channels by default, gray and four on demand', async () => {
    const x = image.fromPixels(pixels);
    expect([x.shape, x.dtype, x.context]).toEqual([[2, 2, 3], 'uint8', cpu()]);
    expect([...(await x.data())]).toEqual([1, 2, 3, 40, 50, 60, 7, 8, 9, 100, 110, 120]);
    const gray = image.fromPixels(pixels, { channels: 1, dtype: 'float32' });
    expect([gray.shape, gray.dtype]).toEqual([[2, 2, 1], 'float32']);
    expect([...(await gray.data())]).toEqual([2, 48, 8, 108]);
    expect([...(await image.fromPixels(pixels, { channels: 4 }).data())]).toEqual([...pixels.data]);
  });

  test('refuses what has no pixels', () => {
    expect(() => image.fromPixels('cat.jpg' as never)).toThrow(
      /received "cat.jpg"\. For a file or URL, write await image.imread/,
    );
    expect(() => image.fromPixels({} as never)).toThrow(ArgumentError);
    expect(() => image.fromPixels(pixels, { channels: 2 as never })).toThrow(
      /channels 1 \(gray\), 3 \(RGB\) or 4/,
    );
    expect(() => image.fromPixels({ ...pixels, width: 3 } as ImageData)).toThrow(
      /24 values for 3 × 2, received 16/,
    );
    expect(() => image.fromPixels({ width: 2, height: 2 } as ImageBitmap)).toThrow(/host with canvases/);
    expect(() => image.fromPixels({ videoWidth: 0, videoHeight: 0 } as HTMLVideoElement)).toThrow(
      /Wait until it has loaded/,
    );
    expect(() => image.fromPixels(pixels, { channel: 1 } as never)).toThrow(/Did you mean channels/);
  });
});

/** What `toCanvas` needs of a canvas. */
function canvas(): { readonly element: HTMLCanvasElement; drawn(): number[] } {
  let shown: ImageData | undefined;
  const element = {
    width: 1,
    height: 1,
    getContext: (kind: string) =>
      kind === '2d' && {
        createImageData: (width: number, height: number) => ({
          width,
          height,
          data: new Uint8ClampedArray(width * height * 4),
        }),
        putImageData: (data: ImageData) => {
          shown = data;
        },
      },
  } as unknown as HTMLCanvasElement;
  return { element, drawn: () => [...(shown?.data ?? [])] };
}

describe('toCanvas', () => {
  test('HWC, CHW and HW; uint8 and float', async () => {
    const { element, drawn } = canvas();
    const rgb = [10, 20, 30, 40, 50, 60];
    const rgba = [10, 20, 30, 255, 40, 50, 60, 255];
    const hwc = nd.array(rgb, { shape: [1, 2, 3], dtype: 'uint8' });
    await image.toCanvas(hwc, element);
    expect([element.width, element.height, drawn()]).toEqual([2, 1, rgba]);
    await image.toCanvas(hwc.transpose([2, 0, 1]), element);
    expect(drawn()).toEqual(rgba);
    await image.toCanvas(hwc.astype('float32').div(255), element);
    expect(drawn()).toEqual(rgba);
    await image.toCanvas(nd.array([[0, 0.5, 2, -1, Number.NaN]]), element);
    expect([element.width, drawn()]).toEqual([5, [0, 128, 255, 0, 0].flatMap((v) => [v, v, v, 255])]);
    await image.toCanvas(nd.array([1, 2, 3, 4], { shape: [1, 1, 4], dtype: 'uint8' }), element);
    expect(drawn()).toEqual([1, 2, 3, 4]);
    await image.toCanvas(nd.array([9], { shape: [1, 1, 1], dtype: 'uint8' }), element);
    expect(drawn()).toEqual([9, 9, 9, 255]);
  });

  test('what came from pixels goes back', async () => {
    const { element, drawn } = canvas();
    await image.toCanvas(image.fromPixels(pixels, { channels: 4 }), element);
    expect(drawn()).toEqual([...pixels.data]);
  });

  test('refuses what is no picture and what is no canvas', async () => {
    const { element } = canvas();
    await expect(image.toCanvas(nd.ones([2, 3, 5]), element)).rejects.toThrow(ShapeError);
    await expect(image.toCanvas(nd.ones([1, 3, 5, 3]), element)).rejects.toThrow(/x\.at\(0\)/);
    await expect(image.toCanvas(nd.ones([2, 2]), {} as never)).rejects.toThrow(/expected a canvas/);
    const webgl = { getContext: () => null } as unknown as HTMLCanvasElement;
    await expect(image.toCanvas(nd.ones([2, 2]), webgl)).rejects.toThrow(/another context/);
  });
});

test('nothing stays behind', async () => {
  const before = memoryInfo(cpu()).arrays;
  const made: NDArray[] = [image.fromPixels(pixels)];
  made.push(image.imresize(made[0] as NDArray, 3, 3), image.resizeShort(made[0] as NDArray, 4));
  made.push(image.centerCrop(made[0] as NDArray, 1)[0]);
  expect(memoryInfo(cpu()).arrays).toBe(before + 4);
  for (const x of made) x.dispose();
  expect(memoryInfo(cpu()).arrays).toBe(before);
  expect(ContextError).toBeDefined();
});
