// Layers against sums written out from GLUON's formulas, their printed forms, and what they say to bad input.
import { describe, expect, test } from 'vitest';
import type { NDArray } from '../../array/ndarray.ts';
import { record } from '../../autograd/index.ts';
import { setTraining } from '../../autograd/mode.ts';
import { ArgumentError, DTypeError, type GluonError, ShapeError } from '../../core/errors.ts';
import * as nd from '../../nd/index.ts';
import * as init from '../init.ts';
import type { Parameter } from '../parameter.ts';
import { Trainer } from '../trainer.ts';
import * as nn from './index.ts';

/** Numbers without a pattern, the same at every run. */
function numbers(shape: readonly number[], seed = 1): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return nd.array(
    Float32Array.from({ length: size }, (_, i) => Math.sin((i + 1) * 1.7 + seed * 0.9)),
    { shape: [...shape] },
  );
}

/** Reads an array at (n, c, i, j), 0 outside. */
async function reader(x: NDArray): Promise<(...at: number[]) => number> {
  const values = await x.data('float32');
  return (...at) => {
    let index = 0;
    for (const [axis, i] of at.entries()) {
      const extent = x.shape[axis] as number;
      if (i < 0 || i >= extent) return 0;
      index = index * extent + i;
    }
    return values[index] as number;
  };
}

async function expectClose(
  x: NDArray,
  shape: readonly number[],
  at: (...i: number[]) => number,
): Promise<void> {
  expect(x.shape).toEqual(shape);
  const values = await x.data('float32');
  values.forEach((value, flat) => {
    const index: number[] = [];
    let rest = flat;
    for (const d of [...shape].reverse()) {
      index.unshift(rest % d);
      rest = Math.floor(rest / d);
    }
    const expected = at(...index);
    expect(Math.abs(value - expected), `at ${index}: ${value} for ${expected}`).toBeLessThan(
      1e-4 * (1 + Math.abs(expected)),
    );
  });
}

/** Fills every parameter with numbers of its own. */
function fill(net: nn.Block): void {
  let seed = 5;
  net.initialize({ forceReinit: true });
  for (const p of net.collectParams().values()) {
    const positive = /var$/.test(p.name);
    const values = numbers(p.shape, seed++);
    p.setData(positive ? values.abs().add(0.5) : values);
  }
}

describe('Dense', () => {
  test('x·Wᵀ + b, folded or along the last axis, with its activation', async () => {
    const x = numbers([2, 3, 4]);
    const [xs, folded] = [await reader(x), new nn.Dense(5, { activation: 'relu', inUnits: 12 })];
    fill(folded);
    const [w, b] = [await reader(folded.weight.data()), await reader(folded.bias.data())];
    await expectClose(folded(x), [2, 5], (n, u) => {
      let sum = b(u);
      for (let k = 0; k < 12; k++) sum += xs(n, Math.floor(k / 4), k % 4) * w(u, k);
      return Math.max(sum, 0);
    });
    const last = new nn.Dense(5, { flatten: false, useBias: false });
    last.initialize();
    last(x);
    fillOne(last.weight);
    const v = await reader(last.weight.data());
    await expectClose(last(x), [2, 3, 5], (n, i, u) =>
      [0, 1, 2, 3].reduce((s, k) => s + xs(n, i, k) * v(u, k), 0),
    );
    expect(last.bias).toBeUndefined();
  });
});

function fillOne(p: Parameter): void {
  p.setData(numbers(p.shape, 3));
}

describe('convolutions', () => {
  test('Conv2D with strides, padding, dilation and groups', async () => {
    const x = numbers([2, 4, 7, 6]);
    const layer = new nn.Conv2D(6, [3, 2], {
      strides: [2, 1],
      padding: [1, 0],
      dilation: [1, 2],
      groups: 2,
      activation: 'tanh',
      inChannels: 4,
    });
    fill(layer);
    const [xs, w, b] = [await reader(x), await reader(layer.weight.data()), await reader(layer.bias.data())];
    expect(layer.weight.shape).toEqual([6, 2, 3, 2]);
    await expectClose(layer(x), [2, 6, 4, 4], (n, o, i, j) => {
      let sum = b(o);
      for (let c = 0; c < 2; c++)
        for (let k = 0; k < 3; k++)
          for (let l = 0; l < 2; l++)
            sum += xs(n, Math.floor(o / 3) * 2 + c, 2 * i + k - 1, j + 2 * l) * w(o, c, k, l);
      return Math.tanh(sum);
    });
  });

  test('Conv2DTranspose scatters what Conv2D gathers', async () => {
    const x = numbers([1, 2, 3, 3]);
    const layer = new nn.Conv2DTranspose(3, 3, { strides: 2, padding: 1, outputPadding: 1 });
    layer.initialize();
    expect(layer(x).shape).toEqual([1, 3, 6, 6]);
    fillOne(layer.weight);
    const [xs, w] = [await reader(x), await reader(layer.weight.data())];
    await expectClose(layer(x), [1, 3, 6, 6], (n, o, i, j) => {
      let sum = 0;
      for (let c = 0; c < 2; c++)
        for (let k = 0; k < 3; k++)
          for (let l = 0; l < 3; l++) {
            const [p, q] = [(i + 1 - k) / 2, (j + 1 - l) / 2];
            if (Number.isInteger(p) && Number.isInteger(q)) sum += xs(n, c, p, q) * w(c, o, k, l);
          }
      return sum;
    });
  });

  test('one and three spatial axes', async () => {
    const shapes = (layer: nn.Layer, shape: number[]): readonly number[] => {
      layer.initialize();
      return layer(nd.ones(shape)).shape;
    };
    expect(shapes(new nn.Conv1D(2, 3, { padding: 1 }), [1, 3, 8])).toEqual([1, 2, 8]);
    expect(shapes(new nn.Conv3D(2, 3, { strides: 2 }), [1, 3, 7, 5, 5])).toEqual([1, 2, 3, 2, 2]);
    expect(shapes(new nn.Conv1DTranspose(2, 3, { strides: 2 }), [1, 3, 4])).toEqual([1, 2, 9]);
    expect(shapes(new nn.Conv3DTranspose(2, 2), [1, 3, 2, 2, 2])).toEqual([1, 2, 3, 3, 3]);
  });
});

describe('pooling', () => {
  test('windows, ceilings and padding', async () => {
    const x = numbers([1, 2, 5, 5]);
    const xs = await reader(x);
    const window = (i: number, j: number, k: number, stride: number, pad: number): [number, number][] => {
      const all: [number, number][] = [];
      for (let a = 0; a < k; a++)
        for (let b = 0; b < k; b++) all.push([i * stride + a - pad, j * stride + b - pad]);
      return all;
    };
    const inside = ([a, b]: [number, number]): boolean => a >= 0 && b >= 0 && a < 5 && b < 5;
    await expectClose(new nn.MaxPool2D()(x), [1, 2, 2, 2], (n, c, i, j) =>
      Math.max(...window(i, j, 2, 2, 0).map(([a, b]) => xs(n, c, a, b))),
    );
    await expectClose(new nn.MaxPool2D(2, 2, { ceilMode: true })(x), [1, 2, 3, 3], (n, c, i, j) =>
      Math.max(
        ...window(i, j, 2, 2, 0)
          .filter(inside)
          .map(([a, b]) => xs(n, c, a, b)),
      ),
    );
    const mean = (values: number[], over = values.length): number => values.reduce((a, b) => a + b, 0) / over;
    await expectClose(new nn.AvgPool2D(3, 2, { padding: 1 })(x), [1, 2, 3, 3], (n, c, i, j) =>
      mean(window(i, j, 3, 2, 1).map(([a, b]) => xs(n, c, a, b))),
    );
    await expectClose(
      new nn.AvgPool2D({ poolSize: 3, strides: 2, padding: 1, countIncludePad: false })(x),
      [1, 2, 3, 3],
      (n, c, i, j) =>
        mean(
          window(i, j, 3, 2, 1)
            .filter(inside)
            .map(([a, b]) => xs(n, c, a, b)),
        ),
    );
    const all = window(0, 0, 5, 1, 0);
    await expectClose(new nn.GlobalAvgPool2D()(x), [1, 2, 1, 1], (n, c) =>
      mean(all.map(([a, b]) => xs(n, c, a, b))),
    );
    await expectClose(new nn.GlobalMaxPool2D()(x), [1, 2, 1, 1], (n, c) =>
      Math.max(...all.map(([a, b]) => xs(n, c, a, b))),
    );
  });

  test('one and three spatial axes', () => {
    expect(new nn.MaxPool1D()(nd.ones([1, 2, 6])).shape).toEqual([1, 2, 3]);
    expect(new nn.AvgPool1D(3, 1)(nd.ones([1, 2, 6])).shape).toEqual([1, 2, 4]);
    expect(new nn.MaxPool3D([1, 2, 2])(nd.ones([1, 2, 3, 4, 4])).shape).toEqual([1, 2, 3, 2, 2]);
    expect(new nn.AvgPool3D()(nd.ones([1, 2, 4, 4, 4])).shape).toEqual([1, 2, 2, 2, 2]);
    expect(new nn.GlobalMaxPool1D()(nd.ones([1, 2, 6])).shape).toEqual([1, 2, 1]);
    expect(new nn.GlobalAvgPool3D()(nd.ones([1, 2, 2, 2, 2])).shape).toEqual([1, 2, 1, 1, 1]);
  });
});

describe('norms', () => {
  const moments = (values: number[]): [number, number] => {
    const mean = values.reduce((a, b) => a + b, 0) / values.length;
    return [mean, values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length];
  };
  const places = (shape: readonly number[]): number[][] =>
    shape.reduce<number[][]>(
      (all, d) => all.flatMap((at) => Array.from({ length: d }, (_, i) => [...at, i])),
      [[]],
    );

  test('BatchNorm by running statistics', async () => {
    const x = numbers([2, 3, 4]);
    const layer = new nn.BatchNorm({ epsilon: 1e-3 });
    layer.initialize();
    layer(x);
    fill(layer);
    const [xs, g, b] = [await reader(x), await reader(layer.gamma.data()), await reader(layer.beta.data())];
    const [m, v] = [await reader(layer.runningMean.data()), await reader(layer.runningVar.data())];
    await expectClose(
      layer(x),
      [2, 3, 4],
      (n, c, i) => ((xs(n, c, i) - m(c)) / Math.sqrt(v(c) + 1e-3)) * g(c) + b(c),
    );
  });

  test('BatchNorm in training: the batch’s statistics, and running ones that follow', async () => {
    const x = numbers([3, 2, 4]);
    const xs = await reader(x);
    const layer = new nn.BatchNorm({ momentum: 0.75 });
    layer.initialize();
    const before = setTraining(true);
    const y = layer(x);
    setTraining(before);
    const stats = [0, 1].map((c) => moments(places([3, 4]).map(([n, i]) => xs(n as number, c, i as number))));
    await expectClose(y, [3, 2, 4], (n, c, i) => {
      const [mean, variance] = stats[c] as [number, number];
      return (xs(n, c, i) - mean) / Math.sqrt(variance + 1e-5);
    });
    await expectClose(layer.runningMean.data(), [2], (c) => 0.25 * (stats[c] as [number, number])[0]);
    await expectClose(layer.runningVar.data(), [2], (c) => 0.75 + 0.25 * (stats[c] as [number, number])[1]);
    expect([layer.runningMean.gradReq, layer.gamma.gradReq]).toEqual(['null', 'write']);
  });

  test('LayerNorm, InstanceNorm, GroupNorm', async () => {
    const x = numbers([2, 4, 3]);
    const xs = await reader(x);
    const layerNorm = new nn.LayerNorm();
    const instanceNorm = new nn.InstanceNorm();
    const groupNorm = new nn.GroupNorm({ numGroups: 2 });
    for (const layer of [layerNorm, instanceNorm, groupNorm]) {
      layer.initialize();
      layer(x);
      fill(layer);
    }
    const normal = async (
      layer: nn.Layer,
      row: (n: number, c: number) => number[],
      own: (c: number, i: number) => number,
    ) => {
      const [g, b] = [await reader(layer.gamma.data()), await reader(layer.beta.data())];
      await expectClose(layer(x), [2, 4, 3], (n, c, i) => {
        const [mean, variance] = moments(row(n, c));
        return ((xs(n, c, i) - mean) / Math.sqrt(variance + 1e-5)) * g(own(c, i)) + b(own(c, i));
      });
    };
    const channel = (n: number, c: number): number[] => [0, 1, 2].map((i) => xs(n, c, i));
    await normal(layerNorm, channel, (_, i) => i);
    await normal(instanceNorm, channel, (c) => c);
    const first = (c: number): number => Math.floor(c / 2) * 2;
    await normal(
      groupNorm,
      (n, c) => [...channel(n, first(c)), ...channel(n, first(c) + 1)],
      (c) => Math.floor(c / 2),
    );
    expect([instanceNorm.gamma.gradReq, groupNorm.gamma.shape]).toEqual(['null', [2]]);
  });

  test('half precision leaves BatchNorm in single', () => {
    const net = new nn.Sequential().add(new nn.Dense(1), new nn.BatchNorm());
    net.cast('float16');
    expect([net[0].weight.dtype, net[1].gamma.dtype, net[1].runningVar.dtype]).toEqual([
      'float16',
      'float32',
      'float32',
    ]);
  });

  test.each([false, true])(
    'a net in half precision trains through BatchNorm, hybridized: %s',
    async (active) => {
      const net = new nn.HybridSequential().add(new nn.Dense(3), new nn.BatchNorm(), new nn.Dense(2));
      net.initialize();
      net.cast('float16');
      net.hybridize(active);
      const x = numbers([8, 4]).astype('float16');
      const trainer = new Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 });
      const losses = [];
      for (let step = 0; step < 6; step++) {
        const loss = record(() => net(x).sub(1).square().mean());
        loss.backward();
        trainer.step(1);
        losses.push(await loss.asscalar());
      }
      expect(net(x).dtype).toBe('float16');
      expect(losses[5]).toBeLessThan((losses[0] as number) * 0.8);
      expect(net[1].runningVar.dtype).toBe('float32');
      expect((await net[1].runningMean.data().data()).some((v) => v !== 0)).toBe(true);
    },
  );
});

describe('activations', () => {
  test.each<[nn.Layer, (x: number) => number]>([
    [new nn.Activation('sigmoid'), (x) => 1 / (1 + Math.exp(-x))],
    [new nn.Activation('softrelu'), (x) => Math.log(1 + Math.exp(x))],
    [new nn.Activation('softsign'), (x) => x / (1 + Math.abs(x))],
    [new nn.LeakyReLU(0.1), (x) => (x > 0 ? x : 0.1 * x)],
    [new nn.PReLU(), (x) => (x > 0 ? x : 0.25 * x)],
    [new nn.PReLU({ alphaInitializer: new init.Constant(0.5), inChannels: 4 }), (x) => (x > 0 ? x : 0.5 * x)],
    [new nn.ELU(2), (x) => (x > 0 ? x : 2 * (Math.exp(x) - 1))],
    [new nn.SELU(), (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (Math.exp(x) - 1))],
    [new nn.Swish(2), (x) => x / (1 + Math.exp(-2 * x))],
    [new nn.SiLU(), (x) => x / (1 + Math.exp(-x))],
  ])('%s', async (layer, f) => {
    const x = numbers([2, 4, 3]).mul(3);
    const xs = await reader(x);
    layer.initialize();
    await expectClose(layer(x), [2, 4, 3], (n, c, i) => f(xs(n, c, i)));
  });

  test('GELU is by erf', async () => {
    // x·Φ(x) from tables of the normal distribution
    const y = await new nn.GELU()(nd.array([-1, 0, 1, 2])).data();
    [-0.15865525, 0, 0.84134475, 1.9544997].forEach((value, i) => {
      expect(y[i]).toBeCloseTo(value, 5);
    });
  });
});

describe('the others', () => {
  test('Dropout gives its input, and in training scales what stays', async () => {
    const layer = new nn.Dropout(0.25, { axes: [1] });
    const x = nd.ones([200, 3]);
    expect(layer(x)).toBe(x);
    const before = setTraining(true);
    const y = (await layer(x).array()) as number[][];
    setTraining(before);
    const kept = y.filter((row) => row[0] !== 0);
    for (const row of y) expect(row).toEqual(row[0] === 0 ? [0, 0, 0] : Array(3).fill(Math.fround(1 / 0.75)));
    expect(kept.length / 200).toBeGreaterThan(0.6);
    expect(kept.length).toBeLessThan(200);
  });

  test('Embedding clips ids', async () => {
    const layer = new nn.Embedding(3, 2);
    layer.initialize();
    layer.weight.setData(
      nd.array([
        [0, 1],
        [2, 3],
        [4, 5],
      ]),
    );
    expect(
      await layer(
        nd.array([
          [1, -4],
          [9, 0],
        ]),
      ).array(),
    ).toEqual([
      [
        [2, 3],
        [0, 1],
      ],
      [
        [4, 5],
        [0, 1],
      ],
    ]);
  });

  test('Flatten, Identity, ReflectionPad2D', async () => {
    expect(new nn.Flatten()(nd.ones([2, 3, 4])).shape).toEqual([2, 12]);
    const x = nd.array([
      [
        [
          [1, 2, 3],
          [4, 5, 6],
        ],
      ],
    ]);
    expect(new nn.Identity()(x)).toBe(x);
    expect(await new nn.ReflectionPad2D([0, 0, 0, 0, 1, 0, 2, 1])(x).array()).toEqual([
      [
        [
          [6, 5, 4, 5, 6, 5],
          [3, 2, 1, 2, 3, 2],
          [6, 5, 4, 5, 6, 5],
        ],
      ],
    ]);
  });

  test('PixelShuffle in one, two and three dimensions', async () => {
    const one = numbers([1, 6, 2]);
    const a = await reader(one);
    await expectClose(new nn.PixelShuffle1D(3)(one), [1, 2, 6], (n, c, w) =>
      a(n, c * 3 + (w % 3), Math.floor(w / 3)),
    );
    const two = numbers([1, 12, 2, 2]);
    const b = await reader(two);
    await expectClose(new nn.PixelShuffle2D([2, 3])(two), [1, 2, 4, 6], (n, c, h, w) =>
      b(n, c * 6 + (h % 2) * 3 + (w % 3), Math.floor(h / 2), Math.floor(w / 3)),
    );
    expect(new nn.PixelShuffle3D(2)(nd.ones([1, 8, 1, 2, 3])).shape).toEqual([1, 1, 2, 4, 6]);
  });
});

describe('printed forms', () => {
  test.each<[nn.Layer, string]>([
    [new nn.Dense(2), 'Dense(None -> 2, linear)'],
    [new nn.Dense(120, { activation: 'relu', inUnits: 3 }), 'Dense(3 -> 120, Activation(relu))'],
    [
      new nn.Conv2D(6, 5, { padding: 2, dilation: [1, 2], groups: 2, useBias: false, activation: 'relu' }),
      'Conv2D(None -> 6, kernel_size=(5, 5), stride=(1, 1), padding=(2, 2), dilation=(1, 2), groups=2, bias=False)',
    ],
    [new nn.Conv1D(6, 5, { inChannels: 4 }), 'Conv1D(4 -> 6, kernel_size=(5,), stride=(1,))'],
    [
      new nn.Conv2DTranspose(6, 4, { strides: 2, outputPadding: 1 }),
      'Conv2DTranspose(6 -> 0, kernel_size=(4, 4), stride=(2, 2), output_padding=(1, 1))',
    ],
    [new nn.MaxPool2D(), 'MaxPool2D(size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False)'],
    [new nn.GlobalAvgPool2D(), 'GlobalAvgPool2D(size=(1, 1), stride=(1, 1), padding=(0, 0), ceil_mode=True)'],
    [new nn.Dropout(0.5), 'Dropout(p = 0.5, axes=())'],
    [new nn.Dropout(0.5, { axes: [1] }), 'Dropout(p = 0.5, axes=(1,))'],
    [
      new nn.BatchNorm(),
      'BatchNorm(axis=1, eps=1e-05, momentum=0.9, fix_gamma=False, use_global_stats=False, in_channels=None)',
    ],
    [
      new nn.BatchNorm({ scale: false, inChannels: 4 }),
      'BatchNorm(axis=1, eps=1e-05, momentum=0.9, fix_gamma=True, use_global_stats=False, in_channels=4)',
    ],
    [new nn.LayerNorm(), 'LayerNorm(eps=1e-05, axis=-1, center=True, scale=True, in_channels=0)'],
    [new nn.GroupNorm(), 'GroupNorm(eps=1e-05, num_groups=1, center=True, scale=True)'],
    [new nn.InstanceNorm(), 'InstanceNorm(eps=1e-05, axis=1, center=True, scale=False, in_channels=0)'],
    [new nn.Embedding(20, 4), 'Embedding(20 -> 4, float32)'],
    [new nn.Flatten(), 'Flatten'],
    [new nn.Activation('relu'), 'Activation(relu)'],
    [new nn.LeakyReLU(0.1), 'LeakyReLU(0.1)'],
    [new nn.PReLU(), 'PReLU(\n\n)'],
    [new nn.PixelShuffle2D(2), 'PixelShuffle2D((2, 2))'],
  ])('%#', (layer, text) => {
    expect(String(layer)).toBe(text);
  });

  test('a subclass prints its own name', () => {
    class Head extends nn.Dense {}
    expect(String(new Head(2))).toBe('Head(None -> 2, linear)');
    expect(new Head(2).name).toMatch(/^head\d+$/);
  });
});

describe('bad input names the layer and changes nothing', () => {
  test.each<[string, nn.Layer, NDArray, typeof GluonError, RegExp]>([
    [
      'Dense along the last axis',
      new nn.Dense(10, { inUnits: 784, flatten: false }),
      nd.zeros([64, 28, 28]),
      ShapeError,
      /^\[Dense\] expected input of shape \(\*, 784\), received \(64, 28, 28\)\. Pass flatten: true, or reshape first\.$/,
    ],
    [
      'Dense, folded',
      new nn.Dense(10, { inUnits: 784 }),
      nd.zeros([64, 28]),
      ShapeError,
      /^\[Dense\] .*\(N, 784\).*\(64, 28\)/,
    ],
    [
      'Dense, integers',
      new nn.Dense(10, { inUnits: 4 }),
      nd.zeros([1, 4], { dtype: 'int32' }),
      DTypeError,
      /^\[Dense\] .*int32/,
    ],
    [
      'Conv2D, three axes',
      new nn.Conv2D(2, 3),
      nd.zeros([1, 28, 28]),
      ShapeError,
      /^\[Conv2D\] .*\(N, C, H, W\).*expandDims/,
    ],
    [
      'Conv2D, other channels',
      new nn.Conv2D(2, 3, { inChannels: 3 }),
      nd.zeros([1, 1, 8, 8]),
      ShapeError,
      /^\[Conv2D\] .*\(N, 3, H, W\)/,
    ],
    ['Conv2D, too small', new nn.Conv2D(2, 5), nd.zeros([1, 1, 3, 8]), ShapeError, /^\[Conv2D\] .*5 along H/],
    [
      'Conv2D, groups',
      new nn.Conv2D(4, 1, { groups: 2 }),
      nd.zeros([1, 3, 3, 8]),
      ShapeError,
      /^\[Conv2D\] .*divisible by 2/,
    ],
    ['MaxPool2D', new nn.MaxPool2D(), nd.zeros([4, 4]), ShapeError, /^\[MaxPool2D\] .*\(N, C, H, W\)/],
    [
      'MaxPool2D, too small',
      new nn.MaxPool2D(5),
      nd.zeros([1, 1, 4, 4]),
      ShapeError,
      /^\[MaxPool2D\] .*window 5/,
    ],
    [
      'BatchNorm',
      new nn.BatchNorm({ inChannels: 3 }),
      nd.zeros([1, 4, 2]),
      ShapeError,
      /^\[BatchNorm\] .*extent 3 along axis 1/,
    ],
    [
      'BatchNorm, no such axis',
      new nn.BatchNorm({ axis: 3 }),
      nd.zeros([1, 4]),
      ShapeError,
      /^\[BatchNorm\] .*axis/,
    ],
    [
      'GroupNorm',
      new nn.GroupNorm({ numGroups: 3 }),
      nd.zeros([1, 4, 2]),
      ShapeError,
      /^\[GroupNorm\] .*divisible by 3/,
    ],
    [
      'PixelShuffle2D',
      new nn.PixelShuffle2D(2),
      nd.zeros([1, 3, 2, 2]),
      ShapeError,
      /^\[PixelShuffle2D\] .*divisible by 4/,
    ],
    [
      'Activation, integers',
      new nn.Activation('tanh'),
      nd.zeros([2], { dtype: 'int32' }),
      DTypeError,
      /^\[Activation\] .*int32/,
    ],
  ])('%s', (_, layer, x, type, message) => {
    layer.initialize();
    const shapes = [...layer.params.values()].map((p) => p.shape);
    let error: unknown;
    try {
      layer(x);
    } catch (e) {
      error = e;
    }
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toMatch(message);
    expect([...layer.params.values()].map((p) => p.shape)).toEqual(shapes);
  });

  test('an array that was disposed, and what is no array', () => {
    const layer = new nn.Dense(2);
    layer.initialize();
    const x = nd.ones([1, 2]);
    x.dispose();
    expect(() => layer(x)).toThrow(/^\[Dense\] .*disposed/);
    expect(() => layer([1, 2] as never)).toThrow(/^\[Dense\] expected an NDArray/);
    expect(() => new nn.MaxPool2D()(undefined as never)).toThrow(/^\[MaxPool2D\] expected an NDArray/);
  });

  test.each<[string, () => unknown, typeof GluonError]>([
    ['layouts', () => new nn.Conv2D(1, 1, { layout: 'NHWC' }), ArgumentError],
    ['layouts of pools', () => new nn.MaxPool1D(2, 2, { layout: 'NWC' }), ArgumentError],
    ['no kernel', () => new nn.Conv2D(6 as never, undefined as never), ShapeError],
    ['kernels of another rank', () => new nn.Conv2D(6, [3, 3, 3]), ShapeError],
    ['no units', () => new nn.Dense(undefined as never), ArgumentError],
    ['units that are no count', () => new nn.Dense(2.5), ArgumentError],
    ['a rate beyond one', () => new nn.Dropout(1.5), ArgumentError],
    ['padding as large as the window', () => new nn.MaxPool2D(2, 2, { padding: 2 }), ShapeError],
    [
      'output padding beyond the stride',
      () => new nn.Conv2DTranspose(1, 2, { outputPadding: 1 }),
      ShapeError,
    ],
    ['channels that groups do not divide', () => new nn.Conv2D(3, 1, { groups: 2 }), ShapeError],
    [
      'options of another layer',
      () => new nn.MaxPool2D(2, 2, { countIncludePad: true } as never),
      ArgumentError,
    ],
    ['a slope below zero', () => new nn.LeakyReLU(-1), ArgumentError],
    ['a word for a flag', () => new nn.Dense(2, { useBias: 'no' as never }), ArgumentError],
  ])('constructors refuse %s', (_, make, type) => {
    expect(make).toThrow(type);
  });
});
