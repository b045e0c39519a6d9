// What an operation makes on its way is given back when it ends: after its results are disposed of, the device holds what it held before.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { memoryInfo, type NDArray, nd } from 'webgluon';
import { eachDevice } from './devices.ts';

type Results = NDArray | readonly NDArray[];

interface Inputs {
  readonly x: NDArray;
  readonly row: NDArray;
  readonly cube: NDArray;
  readonly image: NDArray;
  readonly weight: NDArray;
  readonly two: NDArray;
  readonly four: NDArray;
  readonly places: NDArray;
  readonly grid: NDArray;
  readonly pairs: NDArray;
}

const CALLS: Readonly<Record<string, (i: Inputs) => Results>> = {
  activation: ({ x }) => nd.activation(x, 'gelu'),
  prelu: ({ image, two }) => nd.prelu(image, two),
  leakyReLU: ({ image, two }) => nd.leakyReLU(image, { actType: 'prelu', gamma: two }),
  add: ({ x, row }) => x.add(row),
  'add a number': ({ x }) => nd.add(1, x),
  iadd: ({ x, row }) => {
    x.iadd(row).isub(row);
    return [];
  },
  convolution: ({ image, weight, two }) => nd.convolution(image, weight, two, { pad: 1 }),
  deconvolution: ({ image, weight, two }) => nd.deconvolution(image, weight, two, { stride: 2 }),
  'max pooling': ({ image }) => nd.pooling(image, { kernel: 2 }),
  'lp pooling': ({ image }) => nd.pooling(image, { kernel: 2, poolType: 'lp' }),
  'global pooling': ({ image }) => nd.pooling(image, { globalPool: true, poolType: 'avg' }),
  'global lp pooling': ({ image }) => nd.pooling(image, { globalPool: true, poolType: 'lp' }),
  zeros: ({ x }) => nd.zerosLike(x),
  arange: ({ x }) => nd.arange(0, 4, 1, { ctx: x.context, repeat: 2 }),
  eye: ({ x }) => nd.eye(3, { ctx: x.context }),
  array: ({ x }) => nd.array(x, { dtype: 'int32', shape: [6] }),
  uniform: ({ x }) => nd.random.uniform(0, 1, 3, { ctx: x.context }),
  randint: ({ x }) => nd.random.randint(0, 5, 3, { ctx: x.context, dtype: 'float32' }),
  shuffle: ({ x }) => nd.random.shuffle(x),
  take: ({ x, places }) => x.take(places),
  pick: ({ x, places }) => x.pick(places),
  batchTake: ({ x, places }) => x.batchTake(places),
  takeAlongAxis: ({ x, grid }) => x.takeAlongAxis(grid),
  gatherNd: ({ x, grid }) => x.gatherNd(grid),
  scatterNd: ({ two, grid }) => nd.scatterNd(two, grid, [2, 3]),
  oneHot: ({ places }) => places.oneHot(3),
  embedding: ({ places, x }) => nd.embedding(places, x),
  where: ({ x, row }) => nd.where(x, row, 0),
  'where by rows': ({ x, places }) => nd.where(places, x, x),
  clip: ({ x }) => x.clip(0, 1),
  softmax: ({ x }) => x.softmax(),
  softmin: ({ x }) => x.softmin(),
  layerNorm: ({ x, row }) => nd.layerNorm(x, row, row),
  instanceNorm: ({ image, two }) => nd.instanceNorm(image, two, two),
  groupNorm: ({ image, two }) => nd.groupNorm(image, two, two),
  batchNorm: ({ image, two }) => nd.batchNorm(image, two, two, two, two),
  'l2Normalization of instances': ({ image }) => nd.l2Normalization(image),
  'l2Normalization of channels': ({ image }) => nd.l2Normalization(image, { mode: 'channel' }),
  'sort the last axis': ({ x }) => x.sort(),
  'sort another axis': ({ cube }) => cube.sort(0),
  'sort all': ({ cube }) => cube.sort(null),
  argsort: ({ cube }) => cube.argsort(1),
  'topk indices': ({ cube }) => cube.topk(2, { axis: 1 }),
  'topk both': ({ cube }) => cube.topk(2, { retTyp: 'both', axis: 0 }),
  'topk mask': ({ cube }) => cube.topk(2, { retTyp: 'mask', axis: 0 }),
  'topk mask of all': ({ cube }) => cube.topk(2, { retTyp: 'mask', axis: null }),
  cumsum: ({ cube }) => cube.cumsum(1),
  'cumsum of all': ({ cube }) => cube.cumsum(),
  dot: ({ x, row }) => nd.dot(x, row),
  'dot of more axes': ({ cube, four }) => nd.dot(cube, four),
  'dot of vectors': ({ row }) => nd.dot(row, row),
  batchDot: ({ cube }) => nd.batchDot(cube, cube, { transposeB: true }),
  matmul: ({ cube, four }) => nd.matmul(cube, four),
  'matmul, broadcast': ({ cube, pairs }) => nd.matmul(cube.expandDims(1), pairs),
  linalgGemm2: ({ cube }) => nd.linalgGemm2(cube, cube, { transposeB: true, alpha: 2 }),
  fullyConnected: ({ x }) => nd.fullyConnected(x, x),
  sum: ({ cube }) => cube.sum([0, 2]),
  'mean, excluding': ({ cube }) => cube.mean(1, { exclude: true }),
  norm: ({ cube }) => cube.norm(),
  argmax: ({ cube }) => cube.argmax(),
  'argmax of an axis': ({ cube }) => cube.argmax(1),
  reshape: ({ x }) => x.reshape([3, 2]),
  squeeze: ({ x }) => x.squeeze(),
  astype: ({ x }) => x.astype('int32'),
  transpose: ({ x }) => x.T,
  swapaxes: ({ cube }) => cube.swapaxes(0, 2),
  broadcastTo: ({ row }) => row.broadcastTo([2, 3]),
  broadcastAxis: ({ row }) => row.reshape([1, 3]).broadcastAxis(0, 2),
  slice: ({ x }) => x.slice([0], [1]),
  sliceLike: ({ cube, x }) => nd.sliceLike(cube, x, { axes: [0, 1] }),
  flip: ({ x }) => x.flip(0),
  tile: ({ x }) => x.tile([2, 2]),
  'tile many axes': ({ cube }) => cube.expandDims(1).expandDims(3).tile([2, 2, 2, 2, 2]),
  repeat: ({ x }) => x.repeat(2, 1),
  'repeat all': ({ x }) => x.repeat(2),
  concat: ({ x }) => nd.concat(x, x),
  stack: ({ x }) => nd.stack(x, x),
  split: ({ x }) => x.split(3),
  'split, squeezed': ({ x }) => x.split(3, { squeezeAxis: true }),
  pad: ({ x }) => x.pad({ padWidth: [1, 1, 1, 1] }),
  'pad by reflection': ({ x }) => x.pad({ mode: 'reflect', padWidth: [0, 0, 1, 1] }),
  spaceToDepth: ({ image }) => nd.spaceToDepth(image, 2),
  depthToSpace: ({ cube }) => nd.depthToSpace(cube.reshape([1, 4, 2, 3]), 2),
  at: ({ cube }) => cube.at(0, ':', '1:'),
  'at a list': ({ cube }) => cube.at(':', [0, 1]),
  'at lists': ({ cube }) => cube.at(':', [0, 1], [1, 2]),
  'at lists apart': ({ cube }) => cube.at([0, 1], ':', [1, 2]),
  'at an array': ({ x, places }) => x.at(places),
  set: ({ x }) => {
    x.set([0], 1).set([1, ':'], [4, 5, 6]);
    return [];
  },
  'set lists': ({ x }) => {
    x.set(
      [
        [0, 1],
        [1, 2],
      ],
      3,
    );
    return [];
  },
  'set an array': ({ x, places, row }) => {
    x.set([places], row);
    return [];
  },
  copyto: ({ x, cube }) => x.copyto(cube.context),
  'copyto an array': ({ x }) => x.copyto(nd.zeros([2, 3], { ctx: x.context, dtype: 'int32' })),
};

eachDevice((ctx) => {
  let inputs: Inputs;
  beforeAll(() => {
    const v = (n: number): NDArray => nd.arange(1, n + 1, 1, { ctx });
    inputs = {
      x: v(6).reshape([2, 3]),
      row: v(3),
      cube: v(24).reshape([2, 3, 4]),
      image: v(72).reshape([1, 2, 6, 6]),
      weight: v(36).reshape([2, 2, 3, 3]),
      two: v(2),
      four: v(4),
      places: nd.array([1, 0], { ctx }),
      grid: nd.array(
        [
          [0, 1],
          [1, 2],
        ],
        { ctx },
      ),
      pairs: v(8).reshape([1, 4, 2]),
    };
  });
  afterAll(() => {
    for (const x of Object.values(inputs ?? {})) x.dispose();
  });

  for (const [name, call] of Object.entries(CALLS))
    test(name, async () => {
      // everything that earlier tests dropped may go whenever the collector runs: between turns, so not within what follows
      await nd.waitall();
      const before = memoryInfo(ctx);
      const made: NDArray[] = [];
      const collect = (result: Results): void => {
        made.push(...(Array.isArray(result) ? (result as NDArray[]) : [result as NDArray]));
      };
      collect(call(inputs));
      for (const x of made) x.dispose();
      const after = memoryInfo(ctx);
      expect([after.arrays, after.bytesInUse, after.userBytes]).toEqual([
        before.arrays,
        before.bytesInUse,
        before.userBytes,
      ]);
    });
});
