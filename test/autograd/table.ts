// For every operation a call with inputs at which it is smooth: what the gradient tests run through.
import { type NDArray, nd } from 'webgluon';
import { batchNormTraining } from '../../src/ops/batchNorm.ts';
import { crossEntropyRows } from '../../src/ops/crossEntropy.ts';
import { drop } from '../../src/ops/dropout.ts';
import { type Computation, type Input, indices, input } from './check.ts';

export interface Case {
  readonly name: string;
  readonly f: Computation;
  /** The same without a seed of its own, where `f` draws: a compiled call cannot seed. */
  readonly unseeded?: Computation;
  readonly inputs: readonly Input[];
}

const cases: Case[] = [];
const add = (name: string, f: Computation, ...inputs: Input[]): void => {
  cases.push({ name, f, inputs });
};

// --- one argument ---
type Unary = (x: NDArray) => NDArray;
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  sqrt: [0.3, 3],
  rsqrt: [0.3, 3],
  cbrt: [0.3, 3],
  rcbrt: [0.3, 3],
  reciprocal: [0.4, 2],
  log: [0.2, 3],
  log2: [0.2, 3],
  log10: [0.2, 3],
  log1p: [-0.5, 2],
  arcsin: [-0.9, 0.9],
  arccos: [-0.9, 0.9],
  arctanh: [-0.9, 0.9],
  erfinv: [-0.8, 0.8],
  arccosh: [1.2, 3],
  tan: [-1.2, 1.2],
};
const smooth =
  'neg abs sign round rint ceil floor trunc fix square sqrt rsqrt cbrt rcbrt reciprocal exp expm1 log log2 log10 log1p sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh arctanh degrees radians erf erfinv logicalNot isnan isinf isfinite relu sigmoid softrelu softsign logSigmoid mish gelu selu silu swish hardSigmoid leakyReLU elu smoothL1';
for (const name of smooth.split(' ')) {
  const [low, high] = ranges[name] ?? [-2, 2];
  add(name, (nd as unknown as Record<string, Unary>)[name] as Unary, input([2, 5], low, high, name.length));
}
add('leakyReLU elu', (x) => nd.leakyReLU(x, 0.3, { actType: 'elu' }), input([6], -2, 2));
add('swish 2', (x) => nd.swish(x, 2), input([6], -2, 2));
add('prelu', (x, a) => nd.prelu(x, a), input([2, 3, 2], -2, 2), input([3], 0.1, 0.4));
add('clip', (x) => x.clip(-0.7, 0.6), input([8], -2, 2));

// --- two arguments ---
type Binary = (a: NDArray | number, b: NDArray | number) => NDArray;
const binary =
  'add sub mul div mod pow equal notEqual greater greaterEqual lesser lesserEqual logicalAnd logicalOr logicalXor maximum minimum hypot arctan2 fmod';
for (const name of binary.split(' ')) {
  const f = (nd as unknown as Record<string, Binary>)[name] as Binary;
  const a = input([2, 3], 0.5, 2, 2);
  const b = input([2, 3], 0.6, 1.9, 5);
  add(name, f, a, b);
  add(`${name} broadcast`, f, a, input([2, 1], 0.6, 1.9, 6));
  add(`${name} number`, (x) => f(x as NDArray, 1.3), a);
  add(`number ${name}`, (x) => f(1.3, x as NDArray), a);
}
add('x twice', (x) => nd.mul(x, x).add(x), input([4]));
add('iadd', (x) => nd.zeros([3], { dtype: 'float64' }).iadd(x.mul(x)), input([3]));

// --- reductions ---
type Reduction = (x: NDArray, axis?: number | readonly number[] | null, o?: object) => NDArray;
for (const name of 'sum mean prod max min nansum nanprod'.split(' ')) {
  const f = (nd as unknown as Record<string, Reduction>)[name] as Reduction;
  const x = input([2, 3, 4], 0.5, 2, 3);
  add(name, (a) => f(a as NDArray), x);
  add(`${name} 1`, (a) => f(a as NDArray, 1), x);
  add(`${name} 0 2`, (a) => f(a as NDArray, [0, 2], { keepdims: true }), x);
  add(`${name} exclude`, (a) => f(a as NDArray, 1, { exclude: true }), x);
}
add('norm', (x) => nd.norm(x), input([2, 3]));
add('norm 1', (x) => nd.norm(x, 1), input([2, 3]));
add('norm1', (x) => nd.norm(x, { ord: 1, axis: 0 }), input([2, 3]));
add(
  'argmax',
  (x) => x.argmax(1).astype('float64').add(x.argmin(1).astype('float64')).add(x.sum(1)),
  input([2, 3]),
);

// --- shapes ---
add('reshape', (x) => x.reshape([3, 2]).mul(x.reshape([3, 2])), input([2, 3]));
add('transpose', (x) => x.transpose([2, 0, 1]).square(), input([2, 3, 2]));
add('swapaxes', (x) => x.swapaxes(0, 2).square(), input([2, 3, 2]));
add('cast', (x) => x.astype('float64').square(), input([4]));
add('copy', (x) => x.copy().square(), input([4]));
add('broadcastTo', (x) => x.broadcastTo([2, 3, 2]).square(), input([3, 1]));
add('slice', (x) => x.slice([1, 0], [3, 3]).square(), input([3, 4]));
add('slice steps', (x) => x.slice([null, 3], [null, 0], [2, -2]).square(), input([3, 4]));
add('at', (x) => x.at(1, null, '1:3').square(), input([3, 4]));
add('at list', (x) => x.at([0, 2, 0], '1:3').square(), input([3, 4]));
add('at lists', (x) => x.at([0, 2, 0], [1, 1, 1]).square(), input([3, 4]));
add('flip', (x) => x.flip(1).mul(x), input([2, 3]));
add('tile', (x) => x.tile([2, 1, 3]).square(), input([2, 3]));
add('repeat', (x) => x.repeat(3, 1).square(), input([2, 3]));
add('concat', (x, y) => nd.concat(x, y, { dim: 1 }).square(), input([2, 3]), input([2, 1]));
add('concat one', (x, y) => nd.concat(y.detach(), x, { dim: 0 }).square(), input([2, 3]), {
  ...input([1, 3]),
  fixed: 'float64',
});
add('stack', (x, y) => nd.stack(x, y, x, { axis: 1 }).square(), input([2, 3]), input([2, 3]));
add('split', (x) => x.split(3, { axis: 1 }).map((p) => p.square()), input([2, 6]));
add('split part', (x) => (x.split(3, { axis: 1 })[1] as NDArray).square(), input([2, 6]));
for (const mode of ['constant', 'edge', 'reflect'] as const)
  add(
    `pad ${mode}`,
    (x) => x.pad({ mode, padWidth: [0, 0, 0, 0, 1, 2, 2, 1] }).square(),
    input([1, 2, 3, 4]),
  );
add('crop', (x) => x.pad({ padWidth: [-1, 0, 1, -1] }).square(), input([3, 3]));
add('spaceToDepth', (x) => x.spaceToDepth(2).square(), input([1, 1, 4, 4]));
add('depthToSpace', (x) => x.depthToSpace(2).square(), input([1, 4, 2, 2]));

// --- indices ---
add('take', (x, i) => x.take(i).square(), input([3, 2]), indices([2, 2], [2, 0, 2, 5]));
add(
  'take 1',
  (x, i) => x.take(i, { axis: 1, mode: 'wrap' }).square(),
  input([2, 3, 2]),
  indices([4], [-1, 1, 4, 1]),
);
add('pick', (x, i) => x.pick(i).square(), input([3, 4]), indices([3], [2, 0, 9]));
add(
  'pick 0',
  (x, i) => x.pick(i, 0, { keepdims: true, mode: 'wrap' }).square(),
  input([3, 2]),
  indices([1, 2], [2, -1]),
);
add(
  'takeAlongAxis',
  (x, i) => x.takeAlongAxis(i, 1).square(),
  input([2, 3]),
  indices([2, 4], [0, 0, -1, 1, 2, 2, 2, 0]),
);
add(
  'takeAlongAxis 0',
  (x, i) => x.takeAlongAxis(i, 0, { mode: 'clip' }).square(),
  input([3, 2, 2]),
  indices([2, 2, 2], [0, 9, 1, 1, 2, 2, 0, 0]),
);
add(
  'gatherNd',
  (x, i) => x.gatherNd(i).square(),
  input([3, 2, 2]),
  indices([2, 4], [0, 2, 0, -1, 1, 0, 1, 0]),
);
add('scatterNd', (x, i) => nd.scatterNd(x, i, [3, 2]).square(), input([3, 2]), indices([1, 3], [0, 2, 0]));
add(
  'scatterNd places',
  (x, i) => nd.scatterNd(x, i, [2, 2]).square(),
  input([3]),
  indices([2, 3], [0, 1, 1, 1, 0, 1]),
);
add('embedding', (w, i) => nd.embedding(i, w).square(), input([4, 3]), indices([2, 3], [0, 1, 1, 3, 3, 3]));
add('oneHot', (x, i) => x.mul(i.oneHot(3).astype('float64')), input([2, 3]), indices([2], [0, 2]));
add(
  'where',
  (x, y, c) => nd.where(c, x, y).square(),
  input([2, 3]),
  input([2, 3]),
  indices([2, 3], [0, 1, 1, 0, 0, 1]),
);
add(
  'where broadcast',
  (x, y, c) => nd.where(c, x, y).square(),
  input([1, 3]),
  input([2, 1]),
  indices([2, 3], [0, 1, 1, 0, 0, 1]),
);
add(
  'where numbers',
  (x, c) => nd.where(c, x, 2).add(nd.where(c, -1, x).square()),
  input([2, 3]),
  indices([2, 3], [0, 1, 1, 0, 0, 1]),
);
add(
  'where number number',
  (x, c) => nd.where(c, 1, 2).astype('float64').mul(x),
  input([3]),
  indices([3], [0, 1, 1]),
);
add('sort', (x) => x.sort(1).square(), input([2, 5]));
add('sort down', (x) => x.sort(0, { isAscend: false }).square(), input([4, 2]));
add('topk', (x) => x.topk(2, { axis: 1, retTyp: 'value' }).square(), input([2, 5]));
add('topk both', (x) => x.topk(2, { axis: 0, retTyp: 'both' })[0].square(), input([4, 2]));
add('argsort', (x) => x.argsort().astype('float64').mul(x), input([2, 5]));
for (const exclusive of [false, true])
  for (const reverse of [false, true])
    add(
      `cumsum ${exclusive} ${reverse}`,
      (x) => x.cumsum({ axis: 1, exclusive, reverse }).square(),
      input([2, 4, 2]),
    );

// --- rows ---
add('softmax', (x) => x.softmax(), input([2, 4]));
add('softmax 0', (x) => x.softmax(0, { temperature: 0.7 }), input([3, 2]));
add('softmin', (x) => nd.softmin(x), input([2, 4]));
add('logSoftmax', (x) => x.logSoftmax(), input([2, 4]));
add('logSoftmax 1', (x) => x.logSoftmax(1, { temperature: 2 }), input([2, 3, 2]));
add('layerNorm', (x, g, b) => nd.layerNorm(x, g, b), input([2, 5]), input([5], 0.5, 1.5), input([5]));
add(
  'layerNorm 1',
  (x, g, b) => nd.layerNorm(x, g, b, { axis: 1 }),
  input([2, 3, 2]),
  input([3], 0.5, 1.5),
  input([3]),
);
add('layerNorm vector', (x, g, b) => nd.layerNorm(x, g, b), input([4]), input([4], 0.5, 1.5), input([4]));
add(
  'instanceNorm',
  (x, g, b) => nd.instanceNorm(x, g, b),
  input([2, 2, 4]),
  input([2], 0.5, 1.5),
  input([2]),
);
add(
  'groupNorm',
  (x, g, b) => nd.groupNorm(x, g, b, { numGroups: 2 }),
  input([2, 4, 2]),
  input([4], 0.5, 1.5),
  input([4]),
);
for (const mode of ['instance', 'channel', 'spatial'] as const)
  add(`l2 ${mode}`, (x) => nd.l2Normalization(x, { mode }), input([2, 2, 3]));
add(
  'batchNorm',
  (x, g, b, m, v) => nd.batchNorm(x, g, b, m, v),
  input([2, 3, 2]),
  input([3], 0.5, 1.5),
  input([3]),
  input([3]),
  input([3], 0.5, 1.5),
);
const norm = [input([3], 0.5, 1.5, 7), input([3], -1, 1, 8)];
add('batchNormTraining', (x, g, b) => batchNormTraining(x, g, b), input([2, 3, 4]), ...norm);
add('batchNormTraining y', (x, g, b) => batchNormTraining(x, g, b)[0], input([3, 3, 2]), ...norm);
add('batchNormTraining dense', (x, g, b) => batchNormTraining(x, g, b), input([4, 3]), ...norm);
add(
  'batchNormTraining last',
  (x, g, b) => batchNormTraining(x, g, b, { axis: -1 })[0],
  input([2, 2, 3]),
  ...norm,
);
add('batchNormTraining one', (x, g, b) => batchNormTraining(x, g, b)[0], input([1, 3, 4]), ...norm);
add('softmaxCrossEntropy', (x, t) => crossEntropyRows(x, t), input([3, 4]), indices([3], [0, 3, 1]));
add(
  'softmaxCrossEntropy 1',
  (x, t) => crossEntropyRows(x, t, 1),
  input([2, 3, 2]),
  indices([2, 2], [0, 2, 1, 1]),
);
add('softmaxCrossEntropy vector', (x, t) => crossEntropyRows(x, t), input([4]), indices([1], [2]));
add('nd.softmaxCrossEntropy', (x, t) => nd.softmaxCrossEntropy(x, t), input([3, 4]), indices([3], [0, 3, 1]));

// --- products ---
for (const transposeA of [false, true])
  for (const transposeB of [false, true]) {
    const a = transposeA ? [3, 2] : [2, 3];
    const b = transposeB ? [4, 3] : [3, 4];
    add(
      `dot ${transposeA} ${transposeB}`,
      (x, y) => nd.dot(x, y, { transposeA, transposeB }),
      input(a),
      input(b),
    );
    add(
      `batchDot ${transposeA} ${transposeB}`,
      (x, y) => nd.batchDot(x, y, { transposeA, transposeB }),
      input([2, ...a]),
      input([2, ...b]),
    );
    add(
      `matmul ${transposeA} ${transposeB}`,
      (x, y) => nd.matmul(x, y, { transposeA, transposeB }),
      input([2, ...a]),
      input(b),
    );
  }
add('matmul broadcast', (x, y) => nd.matmul(x, y), input([2, 1, 2, 3]), input([2, 3, 2]));
add('matmul vectors', (x, y) => nd.matmul(x, y), input([3]), input([3]));
add('dot vectors', (x, y) => nd.dot(x, y), input([3]), input([3]));
add('dot axes', (x, y) => nd.dot(x, y), input([2, 2, 3]), input([3, 2]));
add(
  'linalgGemm2',
  (x, y) => nd.linalgGemm2(x, y, { alpha: 2, transposeB: true }),
  input([2, 3]),
  input([2, 3]),
);
add('fullyConnected', (x, w, b) => nd.fullyConnected(x, w, b), input([2, 3, 2]), input([4, 6]), input([4]));
add(
  'fullyConnected flat',
  (x, w) => nd.fullyConnected(x, w, null, { flatten: false }),
  input([2, 3, 2]),
  input([4, 2]),
);

// --- windows ---
add(
  'convolution',
  (x, w, b) => nd.convolution(x, w, b),
  input([2, 2, 4, 4]),
  input([3, 2, 3, 3]),
  input([3]),
);
add(
  'convolution stride',
  (x, w) => nd.convolution(x, w, null, { stride: 2, pad: 1, dilate: [1, 2] }),
  input([1, 2, 5, 6]),
  input([2, 2, 3, 2]),
);
add(
  'convolution groups',
  (x, w, b) => nd.convolution(x, w, b, { numGroup: 2, pad: [1, 0] }),
  input([1, 4, 3, 3]),
  input([2, 2, 2, 2]),
  input([2]),
);
add(
  'convolution 1d',
  (x, w, b) => nd.convolution(x, w, b, { stride: 3 }),
  input([2, 2, 8]),
  input([2, 2, 3]),
  input([2]),
);
add(
  'convolution 3d',
  (x, w) => nd.convolution(x, w, null, { pad: 1, stride: [1, 2, 1] }),
  input([1, 1, 2, 3, 2]),
  input([2, 1, 2, 2, 2]),
);
add(
  'depthwise',
  (x, w) => nd.convolution(x, w, null, { numGroup: 3, pad: 1 }),
  input([1, 3, 3, 3]),
  input([3, 1, 3, 3]),
);
add(
  'deconvolution',
  (x, w, b) => nd.deconvolution(x, w, b, { stride: 2, pad: 1, adj: 1 }),
  input([1, 2, 3, 3]),
  input([2, 2, 3, 3]),
  input([2]),
);
add(
  'deconvolution groups',
  (x, w) => nd.deconvolution(x, w, null, { numGroup: 2, dilate: 2 }),
  input([1, 4, 2, 2]),
  input([4, 1, 2, 2]),
);
add(
  'deconvolution target',
  (x, w) => nd.deconvolution(x, w, null, { stride: 2, targetShape: [4, 5] }),
  input([1, 1, 3, 3]),
  input([1, 1, 3, 3]),
);
for (const poolType of ['max', 'avg', 'sum', 'lp'] as const) {
  add(`pooling ${poolType}`, (x) => nd.pooling(x, { kernel: 2, stride: 2, poolType }), input([2, 2, 4, 4]));
  add(
    `pooling ${poolType} overlap`,
    (x) => nd.pooling(x, { kernel: 3, stride: 2, pad: 1, poolType, poolingConvention: 'full' }),
    input([1, 2, 5, 4]),
  );
  add(
    `pooling ${poolType} inside`,
    (x) => nd.pooling(x, { kernel: [2, 3], pad: 1, poolType, countIncludePad: false }),
    input([1, 1, 4, 5]),
  );
  add(`pooling ${poolType} 1d`, (x) => nd.pooling(x, { kernel: 3, stride: 1, poolType }), input([1, 2, 6]));
  add(
    `pooling ${poolType} 3d`,
    (x) => nd.pooling(x, { kernel: 2, stride: 1, poolType }),
    input([1, 1, 3, 3, 2]),
  );
  add(
    `pooling ${poolType} global`,
    (x) => nd.pooling(x, { globalPool: true, poolType }),
    input([2, 2, 3, 3]),
  );
}
// the mask of one draw is part of the function: drawn anew with the same seed each time
for (const axes of [[], [1]]) {
  const unseeded = (x: NDArray): NDArray => drop(x, 0.4, axes).square();
  const f = (x: NDArray): NDArray => {
    nd.random.seed(3);
    return unseeded(x);
  };
  cases.push({ name: `dropout ${axes}`, f, unseeded, inputs: [input([3, 4, 2])] });
}

export default cases;
