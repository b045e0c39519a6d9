// Every layer of nn hybridized against itself as it is: results, gradients, running statistics and random numbers, with shapes and modes that change between calls.
import { describe, expect, test } from 'vitest';
import { autograd, type Context, cpu, type NDArray, nd, nn } from 'webgluon';
import { eachDevice } from './devices.ts';
import { expectSame, type Input, type Mode, twins } from './twins.ts';
import { EXACT, integers, type Tolerance } from './values.ts';

interface Case {
  readonly make: () => nn.Block;
  /** Inputs of one call; the second list has other shapes. */
  readonly inputs: readonly (readonly Input[])[];
  /** In inference a batch norm is folded into the convolution before it, which rounds at other places. */
  readonly folds?: boolean;
}

/** A shape with another batch and, of pictures and the like, other extents of space. */
function another(shape: readonly number[], inSpace: boolean, seed: number): number[] {
  const by = integers(shape.length + 3, 0, 4, seed).slice(3);
  return shape.map((d, axis) =>
    axis === 0 ? 1 + (by[0] as number) : inSpace && axis > 1 ? d + (by[axis] as number) : d,
  );
}

const of = (...shapes: (readonly number[])[]): Case['inputs'] => shapes.map((shape) => [{ shape }]);
const ROWS = of([3, 5], [2, 5]);
const WAVES = of([2, 3, 9], [1, 3, 12]);
const IMAGES = of([2, 4, 7, 6], [3, 4, 5, 8]);
const CUBES = of([1, 2, 5, 4, 6], [2, 2, 4, 5, 4]);
const ids = (count: number, seed: number): number[] => integers(count, 0, 6, seed);

const CASES: Readonly<Record<string, Case>> = {
  Dense: { make: () => new nn.Dense(4), inputs: of([3, 5], [2, 5]) },
  'Dense, relu': { make: () => new nn.Dense(4, { activation: 'relu' }), inputs: of([3, 2, 4], [2, 8]) },
  'Dense, not flat': {
    make: () => new nn.Dense(4, { flatten: false, useBias: false, activation: 'tanh' }),
    inputs: of([2, 3, 5], [4, 5]),
  },
  Conv1D: { make: () => new nn.Conv1D(4, 3, { activation: 'sigmoid' }), inputs: WAVES },
  Conv2D: { make: () => new nn.Conv2D(3, 3), inputs: IMAGES },
  'Conv2D, relu, strides': {
    make: () => new nn.Conv2D(6, [3, 2], { strides: 2, padding: 1, activation: 'relu' }),
    inputs: IMAGES,
  },
  'Conv2D, groups': {
    make: () => new nn.Conv2D(4, 3, { groups: 2, useBias: false, dilation: [1, 2] }),
    inputs: IMAGES,
  },
  'Conv2D, depthwise': { make: () => new nn.Conv2D(4, 3, { groups: 4, padding: 1 }), inputs: IMAGES },
  'Conv2D, pointwise': { make: () => new nn.Conv2D(5, 1, { activation: 'relu' }), inputs: IMAGES },
  Conv3D: { make: () => new nn.Conv3D(3, 2), inputs: CUBES },
  Conv1DTranspose: { make: () => new nn.Conv1DTranspose(4, 3, { strides: 2 }), inputs: WAVES },
  Conv2DTranspose: {
    make: () =>
      new nn.Conv2DTranspose(3, 3, { strides: 2, padding: 1, outputPadding: 1, activation: 'relu' }),
    inputs: IMAGES,
  },
  Conv3DTranspose: { make: () => new nn.Conv3DTranspose(2, 2), inputs: CUBES },
  MaxPool1D: { make: () => new nn.MaxPool1D(), inputs: WAVES },
  MaxPool2D: { make: () => new nn.MaxPool2D(3, 2, { padding: 1 }), inputs: IMAGES },
  'MaxPool2D, ceil': { make: () => new nn.MaxPool2D(2, 2, { ceilMode: true }), inputs: IMAGES },
  MaxPool3D: { make: () => new nn.MaxPool3D(), inputs: CUBES },
  AvgPool1D: { make: () => new nn.AvgPool1D(3, 1), inputs: WAVES },
  AvgPool2D: { make: () => new nn.AvgPool2D(3, 2, { padding: 1, countIncludePad: false }), inputs: IMAGES },
  AvgPool3D: { make: () => new nn.AvgPool3D(), inputs: CUBES },
  GlobalMaxPool1D: { make: () => new nn.GlobalMaxPool1D(), inputs: WAVES },
  GlobalMaxPool2D: { make: () => new nn.GlobalMaxPool2D(), inputs: IMAGES },
  GlobalMaxPool3D: { make: () => new nn.GlobalMaxPool3D(), inputs: CUBES },
  GlobalAvgPool1D: { make: () => new nn.GlobalAvgPool1D(), inputs: WAVES },
  GlobalAvgPool2D: { make: () => new nn.GlobalAvgPool2D(), inputs: IMAGES },
  GlobalAvgPool3D: { make: () => new nn.GlobalAvgPool3D(), inputs: CUBES },
  BatchNorm: { make: () => new nn.BatchNorm(), inputs: IMAGES },
  'BatchNorm, no scale': { make: () => new nn.BatchNorm({ scale: false, momentum: 0.5 }), inputs: ROWS },
  'BatchNorm, global': {
    make: () => new nn.BatchNorm({ useGlobalStats: true, center: false }),
    inputs: IMAGES,
  },
  'BatchNorm, last axis': { make: () => new nn.BatchNorm({ axis: -1 }), inputs: of([2, 3, 5], [4, 2, 5]) },
  LayerNorm: { make: () => new nn.LayerNorm(), inputs: of([3, 5], [2, 3, 5]) },
  'LayerNorm, axis': { make: () => new nn.LayerNorm({ axis: 1 }), inputs: IMAGES },
  GroupNorm: { make: () => new nn.GroupNorm({ numGroups: 2 }), inputs: IMAGES },
  InstanceNorm: { make: () => new nn.InstanceNorm({ scale: true }), inputs: IMAGES },
  Dropout: { make: () => new nn.Dropout(0.4), inputs: ROWS },
  'Dropout, axes': { make: () => new nn.Dropout(0.4, { axes: [1] }), inputs: IMAGES },
  Embedding: {
    make: () => new nn.Embedding(7, 3),
    inputs: [[{ shape: [2, 4], dtype: 'int32', values: ids }], [{ shape: [3], values: ids, attach: false }]],
  },
  Flatten: { make: () => new nn.Flatten(), inputs: IMAGES },
  Identity: { make: () => new nn.Identity(), inputs: ROWS },
  HybridLambda: { make: () => new nn.HybridLambda((x) => x.mul(2).add(x.exp())), inputs: ROWS },
  Activation: { make: () => new nn.Activation('softrelu'), inputs: ROWS },
  'Activation, softsign': { make: () => new nn.Activation('softsign'), inputs: ROWS },
  LeakyReLU: { make: () => new nn.LeakyReLU(0.1), inputs: ROWS },
  PReLU: { make: () => new nn.PReLU(), inputs: IMAGES },
  ELU: { make: () => new nn.ELU(), inputs: ROWS },
  SELU: { make: () => new nn.SELU(), inputs: ROWS },
  GELU: { make: () => new nn.GELU(), inputs: ROWS },
  Swish: { make: () => new nn.Swish(1.5), inputs: ROWS },
  SiLU: { make: () => new nn.SiLU(), inputs: ROWS },
  ReflectionPad2D: { make: () => new nn.ReflectionPad2D(1), inputs: IMAGES },
  PixelShuffle1D: { make: () => new nn.PixelShuffle1D(3), inputs: WAVES },
  PixelShuffle2D: { make: () => new nn.PixelShuffle2D(2), inputs: IMAGES },
  PixelShuffle3D: { make: () => new nn.PixelShuffle3D([1, 2, 1]), inputs: CUBES },
  Sequential: {
    make: () =>
      new nn.Sequential().add(
        new nn.Conv2D(3, 3, { activation: 'relu' }),
        new nn.BatchNorm(),
        new nn.MaxPool2D(),
        new nn.Dropout(0.3),
        new nn.Flatten(),
        new nn.Identity(),
      ),
    inputs: IMAGES,
  },
  HybridSequential: {
    make: () =>
      new nn.HybridSequential().add(
        new nn.Dense(6, { activation: 'relu' }),
        new nn.HybridSequential().add(new nn.LayerNorm(), new nn.Dense(3)),
      ),
    inputs: ROWS,
  },
  HybridConcurrent: {
    make: () => new nn.HybridConcurrent(1).add(new nn.Dense(2), new nn.Identity(), new nn.Dense(3)),
    inputs: ROWS,
  },
  Concurrent: { make: () => new nn.Concurrent().add(new nn.Dense(2), new nn.Dense(3)), inputs: ROWS },
};

class Residual extends nn.HybridBlock {
  body = new nn.HybridSequential().add(
    new nn.Conv2D(4, 3, { padding: 1, useBias: false }),
    new nn.BatchNorm(),
    new nn.Activation('relu'),
    new nn.Conv2D(4, 3, { padding: 1, useBias: false }),
    new nn.BatchNorm(),
  );
  forward(x: NDArray): NDArray {
    return this.body(x).add(x).relu();
  }
}

/** Attention of two heads, with a mask that forward makes. */
class Attention extends nn.HybridBlock {
  norm = new nn.LayerNorm();
  query = new nn.Dense(8, { flatten: false });
  key = new nn.Dense(8, { flatten: false });
  value = new nn.Dense(8, { flatten: false });
  out = new nn.Dense(6, { flatten: false });
  drop = new nn.Dropout(0.2);
  forward(x: NDArray): NDArray {
    const [n, t] = x.shape;
    const y = this.norm(x);
    const split = (z: NDArray): NDArray =>
      z
        .reshape([n, t, 2, 4])
        .transpose([0, 2, 1, 3])
        .reshape([2 * n, t, 4]);
    const [q, k, v] = [this.query(y), this.key(y), this.value(y)].map(split) as [NDArray, NDArray, NDArray];
    const steps = nd.arange(0, t, 1, { ctx: x.context });
    const mask = steps
      .reshape([t, 1])
      .lesser(steps.reshape([1, t]))
      .mul(-1e9);
    const weights = nd.batchDot(q, k, { transposeB: true }).div(2).add(mask.expandDims(0)).softmax();
    const mixed = nd.batchDot(this.drop(weights), v).reshape([n, 2, t, 4]).transpose([0, 2, 1, 3]);
    return x.add(this.out(mixed.reshape([n, t, 8])));
  }
}

/** Calculates with a gradient inside: x goes down the slope of what the net says of it. */
class Descent extends nn.HybridBlock {
  body = new nn.Dense(3, { activation: 'tanh' });
  forward(x: NDArray): NDArray {
    const z = x.detach();
    z.attachGrad();
    const energy = autograd.record(() => this.body(z).square().sum());
    const [slope] = autograd.grad(energy, [z]);
    return this.body(x.sub((slope as NDArray).mul(0.1)));
  }
}

const NETS: Readonly<Record<string, Case>> = {
  LeNet: {
    make: () =>
      new nn.Sequential().add(
        new nn.Conv2D(6, 5, { activation: 'relu' }),
        new nn.MaxPool2D(2, 2),
        new nn.Conv2D(16, 3, { activation: 'relu' }),
        new nn.MaxPool2D(2, 2),
        new nn.Dense(12, { activation: 'relu' }),
        new nn.Dense(10),
      ),
    inputs: of([2, 1, 28, 28], [3, 1, 28, 28]),
  },
  'a residual block': { make: () => new Residual(), inputs: IMAGES, folds: true },
  'an attention block': { make: () => new Attention(), inputs: of([2, 5, 6], [1, 7, 6]) },
  'gradients inside': { make: () => new Descent(), inputs: ROWS },
};

/** Bit for bit on the CPU, unless a fusion has reason to calculate in another order. */
function toleranceOf(ctx: Context, { folds = false }: Case): Tolerance {
  return ctx.deviceType === 'gpu' ? { rtol: 1e-5, atol: 1e-6 } : folds ? { rtol: 1e-6, atol: 1e-6 } : EXACT;
}

/** Blocks of which nothing compiles by themselves. */
const NOT_HERE = ['Block', 'HybridBlock', 'Layer', 'Lambda'];

test('every layer has a case', () => {
  const tested = new Set(Object.values(CASES).map(({ make }) => make().constructor.name));
  const all = Object.entries(nn).flatMap(([name, value]) =>
    typeof value === 'function' && value.prototype instanceof nn.Block ? [name] : [],
  );
  expect(all.filter((name) => !tested.has(name) && !NOT_HERE.includes(name))).toEqual([]);
});

eachDevice((ctx) => {
  const onGpu = ctx.deviceType === 'gpu';
  // what a software adapter has time for
  const few: readonly (readonly [Mode, number])[] = [
    ['record', 0],
    ['record', 0],
    ['inference', 0],
    ['inference', 0],
  ];
  const all: readonly (readonly [Mode, number])[] = onGpu
    ? few
    : [
        ['inference', 0],
        ['record', 0],
        ['record', 0],
        ['inference', 1],
        ['record', 1],
        ['record', 1],
        ['record', 0],
        ['inference', 0],
        ['training', 0],
        ['training', 0],
        ['record, inference', 0],
        ['record, inference', 0],
        ['inference', 1],
      ];
  // … nor for variants of one layer: those are named after a comma
  const cases = Object.entries({ ...CASES, ...NETS }).filter(([name]) => !onGpu || !name.includes(','));
  describe.each(cases)('%s', (name, c) => {
    test('is hybridized what it is', async () => {
      const { make, inputs } = c;
      const calls = onGpu && !(make() instanceof nn.BatchNorm) && !(name in NETS) ? few.slice(0, 2) : all;
      const [pair, tolerance] = [twins(make, ctx), toleranceOf(ctx, c)];
      let seed = 1;
      for (const [mode, which] of calls)
        await expectSame(pair, inputs[which] as readonly Input[], mode, ctx, tolerance, 1000 * seed++);
      const { hits, misses, eager, entries } = pair.hybrid.cacheInfo();
      const keys = new Set(calls.map(String));
      expect({ hits, misses, eager, entries: entries.length }).toEqual({
        hits: calls.length - keys.size,
        misses: keys.size,
        eager: null,
        entries: keys.size,
      });
      pair.eager.dispose();
      pair.hybrid.dispose();
    });
  });
});

describe('over random shapes and modes', () => {
  const modes: readonly Mode[] = ['inference', 'training', 'record', 'record, inference'];
  test.each(Object.entries({ ...CASES, ...NETS }))('%s', async (_, c) => {
    const { make, inputs } = c;
    const pair = twins(make, cpu());
    const inSpace = inputs === WAVES || inputs === IMAGES || inputs === CUBES;
    const shapes = [1, 2, 3].map((seed) =>
      (inputs[0] as readonly Input[]).map((input) => ({
        ...input,
        shape: another(input.shape, inSpace, seed * 987654321),
      })),
    );
    const order = integers(14, 0, 11, 5);
    for (const [seed, at] of order.entries())
      await expectSame(
        pair,
        shapes[at % 3] as Input[],
        modes[at % 4] as Mode,
        cpu(),
        toleranceOf(cpu(), c),
        10_000 + 1000 * seed,
      );
    const keys = new Set(
      order.map((at) => JSON.stringify([shapes[at % 3]?.map(({ shape }) => shape), at % 4])),
    );
    expect(keys.size).toBeGreaterThan(4);
    expect(pair.hybrid.cacheInfo()).toMatchObject({ misses: keys.size, eager: null });
  });
});

test('a Lambda is anybody’s code and stays as it is', () => {
  const net = new nn.Lambda((x) => x.mul(2));
  net.hybridize();
  net(nd.ones([2]));
  net(nd.ones([2]));
  expect(net.cacheInfo().hits).toBe(0);
  expect(net.cacheInfo().eager).toMatch(/Lambda.*HybridBlock/);
});
