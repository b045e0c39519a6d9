// Transforms against plain loops: (H, W, C), batches of them, uint8 and float; on every device where they run.
import { describe, expect, test } from 'vitest';
import {
  ContextError,
  cpu,
  DTypeError,
  gluon,
  memoryInfo,
  type NDArray,
  nd,
  random,
  ShapeError,
} from 'webgluon';
import { eachDevice } from '../../../../../test/devices.ts';
import { differences, expectArray, integers } from '../../../../../test/values.ts';
import { toHost } from '../../../../nd/image/host.ts';
import { HOST, type HostForm, type HostTransform } from '../../batch.ts';

const { transforms } = gluon.data.vision;
const hostForm = (transform: unknown): HostForm | undefined =>
  (transform as Partial<HostTransform>)[HOST]?.();

const [N, H, W, C] = [3, 6, 5, 3];
const VALUES = integers(N * H * W * C, 0, 255, 9);
const batch = (): NDArray => nd.array(VALUES, { shape: [N, H, W, C], dtype: 'uint8' });
const picture = (n = 0): NDArray => batch().at(n);
const pixel = (n: number, y: number, x: number, c: number): number =>
  VALUES[((n * H + y) * W + x) * C + c] as number;

/** Values by a function of (n, y, x, c), in row-major order. */
function table(
  shape: readonly [number, number, number, number],
  f: (...at: [number, number, number, number]) => number,
): number[] {
  const out: number[] = [];
  for (let a = 0; a < shape[0]; a++)
    for (let b = 0; b < shape[1]; b++)
      for (let c = 0; c < shape[2]; c++) for (let d = 0; d < shape[3]; d++) out.push(f(a, b, c, d));
  return out;
}

eachDevice((ctx) => {
  test('ToTensor, Normalize and Cast', async () => {
    const x = nd.array(VALUES, { shape: [N, H, W, C], dtype: 'uint8', ctx });
    const tensor = new transforms.ToTensor()(x);
    const expected = table([N, C, H, W], (n, c, y, i) => Math.fround(pixel(n, y, i, c) / 255));
    const close = { rtol: ctx.deviceType === 'cpu' ? 0 : 2e-7, atol: 0 };
    expect([tensor.dtype, tensor.context]).toEqual(['float32', ctx]);
    await expectArray(tensor, [N, C, H, W], expected, close);
    const single = new transforms.ToTensor()(x.at(1));
    await expectArray(single, [C, H, W], expected.slice(C * H * W, 2 * C * H * W), close);
    const [mean, std] = [
      [0.485, 0.456, 0.406],
      [0.229, 0.224, 0.225],
    ];
    const normal = new transforms.Normalize(mean, std)(tensor);
    await expectArray(
      normal,
      [N, C, H, W],
      expected.map((v, i) => {
        const c = Math.floor(i / (H * W)) % C;
        return Math.fround(Math.fround(v - Math.fround(mean[c] as number)) / Math.fround(std[c] as number));
      }),
      { rtol: ctx.deviceType === 'cpu' ? 0 : 1e-5, atol: 1e-6 },
    );
    await expectArray(
      new transforms.Normalize(0.13, 0.31)(single),
      [C, H, W],
      expected.slice(C * H * W, 2 * C * H * W).map((v) => (v - 0.13) / 0.31),
      { rtol: 1e-5, atol: 1e-6 },
    );
    const cast = new transforms.Cast()(x);
    await expectArray(cast, [N, H, W, C], VALUES);
    expect([cast.dtype, new transforms.Cast('int32')(x).dtype]).toEqual(['float32', 'int32']);
  });

  test('Compose frees what lies between', () => {
    const chain = new transforms.Compose([
      new transforms.ToTensor(),
      new transforms.Normalize(0.5, 0.5),
      (x: NDArray) => x.mul(2),
    ]);
    const x = nd.array(VALUES, { shape: [N, H, W, C], dtype: 'uint8', ctx });
    const before = memoryInfo(ctx).arrays;
    const y = chain(x);
    expect(memoryInfo(ctx).arrays).toBe(before + 1);
    y.dispose();
    expect(String(chain)).toMatch(/^Compose\(\n {2}\(0\): ToTensor\(\n/);
  });
});

describe('the form for batches gives the operations’ bits', () => {
  const chain = new transforms.Compose([
    new transforms.ToTensor(),
    new transforms.Normalize([0.1, 0.2, 0.3], [0.3, 0.7, 0.9]),
  ]);
  test.each([
    ['ToTensor of uint8', new transforms.ToTensor(), (): NDArray => batch()],
    ['ToTensor of float32', new transforms.ToTensor(), (): NDArray => batch().astype('float32').div(7)],
    ['ToTensor of gray', new transforms.ToTensor(), (): NDArray => batch().sliceAxis(3, 0, 1)],
    ['ToTensor of int32', new transforms.ToTensor(), (): NDArray => batch().astype('int32')],
    ['Cast', new transforms.Cast(), (): NDArray => batch()],
    ['a chain', chain, (): NDArray => batch()],
    ['Normalize of float64', new transforms.Normalize(0.1, 0.7), (): NDArray => batch().astype('float64')],
  ] as const)('%s', async (_, transform, source) => {
    const x = source();
    const form = hostForm(transform) as HostForm;
    const host = form(toHost(x, 'test'), []);
    const y = transform(x);
    expect([host.shape, host.dtype]).toEqual([[...y.shape], y.dtype]);
    expect(differences(host.values, await y.data())).toEqual([]);
  });

  test('there is none for what could differ', () => {
    expect(hostForm(new transforms.Cast('uint8'))).toBeUndefined();
    expect(hostForm(new transforms.Compose([(x: NDArray) => x]))).toBeUndefined();
    expect(hostForm((x: NDArray) => x)).toBeUndefined();
    expect(hostForm(new transforms.Compose([]))).toBeDefined();
  });
});

describe('moving pixels', () => {
  test('Resize: both sides, the shorter side, width and height', () => {
    const shape = (t: (x: NDArray) => NDArray, x = picture()): readonly number[] => t(x).shape;
    expect(shape(new transforms.Resize(4))).toEqual([4, 4, C]);
    expect(shape(new transforms.Resize(10, true))).toEqual([12, 10, C]);
    expect(shape(new transforms.Resize({ size: 10, keepRatio: true }))).toEqual([12, 10, C]);
    expect(shape(new transforms.Resize([8, 3]))).toEqual([3, 8, C]);
    expect(shape(new transforms.Resize([8, 3], true, 0))).toEqual([3, 8, C]);
    expect(shape(new transforms.Resize(4), batch())).toEqual([N, 4, 4, C]);
    expect(new transforms.Resize(4)(picture()).dtype).toBe('uint8');
  });

  test('CenterCrop and CropResize', async () => {
    await expectArray(
      new transforms.CenterCrop([3, 2])(batch()),
      [N, 2, 3, C],
      table([N, 2, 3, C], (n, y, x, c) => pixel(n, y + 2, x + 1, c)),
    );
    await expectArray(
      new transforms.CropResize(1, 2, 2, 3)(picture(1)),
      [3, 2, C],
      table([1, 3, 2, C], (_, y, x, c) => pixel(1, y + 2, x + 1, c)),
    );
    expect(new transforms.CropResize(1, 2, 2, 3, { size: [7, 8] })(picture()).shape).toEqual([8, 7, C]);
    expect(() => new transforms.CropResize(4, 0, 2, 2)(picture())).toThrow(
      /^\[CropResize\] expected a part of a picture of 5 × 6/,
    );
  });

  test('flips, each picture by its own chance', async () => {
    const certain = new transforms.RandomFlipLeftRight(1);
    await expectArray(
      certain(batch()),
      [N, H, W, C],
      table([N, H, W, C], (n, y, x, c) => pixel(n, y, W - 1 - x, c)),
    );
    const never = new transforms.RandomFlipTopBottom({ p: 0 });
    await expectArray(never(batch()), [N, H, W, C], VALUES);
    await expectArray(
      new transforms.RandomFlipTopBottom(1)(picture(2)),
      [H, W, C],
      table([1, H, W, C], (_, y, x, c) => pixel(2, H - 1 - y, x, c)),
    );
    random.seed(1);
    const many = nd.array([0, 1], { shape: [1, 1, 2, 1] }).tile([400, 1, 1, 1]);
    const flipped = await new transforms.RandomFlipLeftRight()(many).data('float32');
    const count = flipped.filter((v, i) => i % 2 === 0 && v === 1).length;
    expect(count).toBeGreaterThan(150);
    expect(count).toBeLessThan(250);
  });

  test('RandomCrop: a part of the padded picture, all places alike', async () => {
    random.seed(2);
    const crop = new transforms.RandomCrop([3, 2], {
      pad: [
        [1, 0],
        [2, 1],
      ],
      padValue: 77,
    });
    const seen = new Set<string>();
    for (let run = 0; run < 60; run++) {
      const y = await crop(picture(1)).data();
      let places = 0;
      for (let y0 = 0; y0 <= H + 1 - 2; y0++)
        for (let x0 = 0; x0 <= W + 3 - 3; x0++) {
          const expected = table([1, 2, 3, C], (_, i, j, c) => {
            const [py, px] = [y0 + i - 1, x0 + j - 2];
            return py < 0 || px < 0 || px >= W ? 77 : pixel(1, py, px, c);
          });
          if (expected.every((v, i) => v === y[i])) {
            places++;
            seen.add(`${y0},${x0}`);
          }
        }
      expect(places).toBeGreaterThan(0);
    }
    expect(seen.size).toBeGreaterThan(20);
    // larger than the picture: scaled up, as Gluon does
    expect(new transforms.RandomCrop(12)(picture()).shape).toEqual([12, 12, C]);
    expect(new transforms.RandomCrop(4, 2)(batch()).shape).toEqual([N, 4, 4, C]);
  });

  test('RandomResizedCrop', async () => {
    random.seed(3);
    const y = new transforms.RandomResizedCrop([4, 3])(batch());
    expect([y.shape, y.dtype]).toEqual([[N, 3, 4, C], 'uint8']);
    // the whole of a square picture, where scale and ratio allow nothing else
    const square = nd.array(integers(75, 0, 255), { shape: [5, 5, 3], dtype: 'uint8' });
    const whole = new transforms.RandomResizedCrop(5, { scale: [1, 1], ratio: [1, 1] })(square);
    expect(await whole.data()).toEqual(await square.data());
    expect(() => new transforms.RandomResizedCrop(5, { scale: [1, 0.5] })).toThrow(
      /expected scale as \[least, most\]/,
    );
  });

  test('the seed decides', async () => {
    const run = async (seed: number): Promise<readonly number[]> => {
      random.seed(seed);
      const all: number[] = [];
      for (const t of [new transforms.RandomCrop(3), new transforms.RandomColorJitter(0.5, 0.5, 0.5, 0.5)])
        all.push(...(await t(batch()).data()));
      return all;
    };
    expect(await run(5)).toEqual(await run(5));
    expect(await run(5)).not.toEqual(await run(6));
  });
});

describe('colours', () => {
  /** What a transform did to a picture, by the factor that explains its first value that is not cut. */
  const clamp = (v: number): number => Math.trunc(Math.max(0, Math.min(255, v)));

  test('brightness multiplies by one factor within its bounds', async () => {
    random.seed(4);
    const factors = new Set<number>();
    for (let run = 0; run < 20; run++) {
      const x = picture().astype('float32');
      const y = await new transforms.RandomBrightness(0.3)(x).data();
      const factor = (y[0] as number) / pixel(0, 0, 0, 0);
      expect(factor).toBeGreaterThanOrEqual(0.7 - 1e-6);
      expect(factor).toBeLessThanOrEqual(1.3 + 1e-6);
      factors.add(factor);
      expect(
        differences(
          y,
          VALUES.slice(0, H * W * C).map((v) => v * factor),
          { rtol: 1e-5, atol: 1e-4 },
        ),
      ).toEqual([]);
    }
    expect(factors.size).toBe(20);
    await expectArray(new transforms.RandomBrightness(0)(batch()), [N, H, W, C], VALUES);
    const bright = await new transforms.RandomBrightness({ brightness: 0.9 })(batch()).data();
    expect([...bright].every((v, i) => v === clamp(v) && (VALUES[i] === 0 ? v === 0 : true))).toBe(true);
  });

  test('contrast keeps the mean luma, saturation each pixel’s', async () => {
    random.seed(5);
    const luma = (v: ArrayLike<number>, i: number): number =>
      0.299 * (v[i] as number) + 0.587 * (v[i + 1] as number) + 0.114 * (v[i + 2] as number);
    const mean = (v: ArrayLike<number>): number => {
      let sum = 0;
      for (let i = 0; i < v.length; i += 3) sum += luma(v, i);
      return (sum / v.length) * 3;
    };
    const x = picture().astype('float32');
    const before = await x.data();
    const contrast = await new transforms.RandomContrast(0.5)(x).data();
    expect(mean(contrast)).toBeCloseTo(mean(before), 2);
    expect(contrast).not.toEqual(before);
    const saturation = await new transforms.RandomSaturation(0.5)(x).data();
    expect(saturation).not.toEqual(before);
    for (let i = 0; i < before.length; i += 3) expect(luma(saturation, i)).toBeCloseTo(luma(before, i), 2);
    // gray has no saturation
    const gray = nd.full([2, 2, 1], 9);
    expect(await new transforms.RandomSaturation(0.5)(gray).data()).toEqual(await gray.data());
  });

  test('hue turns: red by a third of a turn is green or blue, gray stays', async () => {
    random.seed(6);
    const x = nd.array([255, 0, 0, 128, 128, 128, 10, 200, 30], { shape: [1, 3, 3] });
    await expectArray(new transforms.RandomHue(0)(x), [1, 3, 3], await x.data(), { rtol: 1e-4, atol: 1e-3 });
    for (let run = 0; run < 10; run++) {
      const y = await new transforms.RandomHue(0.5)(x).data();
      expect([...y.slice(3, 6)]).toEqual([128, 128, 128]);
      // lightness and strength stay: the greatest and the least channel do
      expect([Math.max(...y.slice(0, 3)), Math.min(...y.slice(0, 3))]).toEqual([255, 0]);
      expect(Math.max(...y.slice(6))).toBeCloseTo(200, 3);
      expect(Math.min(...y.slice(6))).toBeCloseTo(10, 3);
    }
  });

  test('bad amounts and channels', () => {
    expect(() => new transforms.RandomBrightness(-1)).toThrow(/expected brightness ≥ 0, received -1/);
    expect(() => new transforms.RandomHue(Number.NaN)).toThrow(/expected hue ≥ 0/);
    expect(() => new transforms.RandomContrast(0.1)(nd.ones([2, 2, 4]))).toThrow(ShapeError);
    expect(() => new transforms.RandomColorJitter({ colour: 1 } as never)).toThrow(/received "colour"/);
  });
});

describe('bad input', () => {
  test.each([
    [
      () => new transforms.ToTensor()(nd.ones([4, 4])),
      ShapeError,
      /^\[ToTensor\] expected pictures of shape \(H, W, C\) or \(N, H, W, C\), received \(4, 4\)/,
    ],
    [
      () => new transforms.Normalize(0.5, 0.5)(picture()),
      DTypeError,
      /^\[Normalize\] expected float pictures, received uint8\. Put ToTensor/,
    ],
    [
      () => new transforms.Normalize([1, 2, 3], 1)(nd.ones([1, 4, 4])),
      ShapeError,
      /mean as one number or 1, .*received 3/,
    ],
    [() => new transforms.Normalize(0, 1)(nd.ones([4])), ShapeError, /\(C, H, W\) or \(N, C, H, W\)/],
    [() => new transforms.Resize(4)(nd.ones([4, 4])), ShapeError, /^\[Resize\] expected pictures of shape/],
    [() => new transforms.Resize(4)(nd.ones([0, 4, 3])), ShapeError, /pictures with pixels/],
  ] as const)('%#', (call, type, message) => {
    expect(call).toThrow(type);
    expect(call).toThrow(message);
  });

  test('bad arguments', () => {
    expect(() => new transforms.Normalize(0.5, 0)).toThrow(/std other than 0/);
    expect(() => new transforms.Normalize('a' as never)).toThrow(/expected mean as a number/);
    expect(() => new transforms.Resize(0)).toThrow(
      /a size as a whole number ≥ 1 or \[width, height\], received 0/,
    );
    expect(() => new transforms.Resize(4, { keep_ratio: true } as never)).toThrow(/Did you mean keepRatio/);
    expect(() => new transforms.RandomCrop(4, -1)).toThrow(/expected pad/);
    expect(() => new transforms.RandomFlipLeftRight(2)).toThrow(/expected p from 0 to 1, received 2/);
    expect(() => new transforms.Compose(new transforms.ToTensor() as never)).toThrow(
      /expected a list of transforms/,
    );
    expect(() => new transforms.Compose([5 as never])).toThrow(/expected blocks, received 5/);
    expect(() => new transforms.Cast('float' as never)).toThrow(/expected a dtype/);
  });

  test('a refused picture leaves nothing behind', () => {
    const x = nd.ones([4, 4]);
    const before = memoryInfo(cpu()).arrays;
    expect(() => new transforms.Resize(2)(x)).toThrow();
    expect(() => new transforms.Compose([new transforms.ToTensor(), new transforms.ToTensor()])(x)).toThrow();
    expect(memoryInfo(cpu()).arrays).toBe(before);
  });
});

eachDevice((ctx) => {
  test('loops over pixels say where they run', () => {
    const x = nd.ones([4, 4, 3], { ctx });
    if (ctx.deviceType === 'cpu') expect(new transforms.Resize(2)(x).shape).toEqual([2, 2, 3]);
    else expect(() => new transforms.Resize(2)(x)).toThrow(ContextError);
  });
});
