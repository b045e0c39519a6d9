// Families of kernels over arrays large enough to be shared among threads, each as a call that gives arrays: what stays the same to the bit however the CPU
// computes it is asked of all of them.
import { createHash } from 'node:crypto';
import { autograd, cpu, gluon, type NDArray, nd, nn } from 'webgluon';
import { numbers } from '../values.ts';

const ctx = cpu();

const DRAWN = Float32Array.from(numbers(100_003, 0, 1));

/** Arrays of the same numbers at every call, others for every size. */
export function given(shape: readonly number[], low = -1, high = 1): NDArray {
  const values = new Float32Array(shape.reduce((n, d) => n * d, 1));
  for (let i = 0; i < values.length; i++)
    values[i] = low + (high - low) * (DRAWN[(i + values.length) % DRAWN.length] as number);
  return nd.array(values, { ctx, shape });
}

/** A gradient by each input, for a gradient of the output that is no constant. */
export function gradients(f: (...x: NDArray[]) => NDArray, ...inputs: NDArray[]): NDArray[] {
  for (const x of inputs) x.attachGrad();
  const y = autograd.record(() => f(...inputs));
  y.backward(given(y.shape));
  return [y, ...inputs.map((x) => x.grad)];
}

const image = (): NDArray => given([4, 16, 30, 31]);
const conv = (weight: readonly number[], options: NonNullable<Parameters<typeof nd.convolution>[3]>) => () =>
  gradients(
    (x, w, b) => nd.convolution(x, w, b, options),
    image(),
    given(weight),
    given([weight[0] as number]),
  );
const pool = (options: Parameters<typeof nd.pooling>[1]) => () =>
  gradients((x) => nd.pooling(x, options), image());
const update = (name: string) => () => {
  const net = new nn.Dense(300, { inUnits: 400 });
  net.initialize({ ctx });
  net.weight.setData(given([300, 400]));
  const trainer = new gluon.Trainer(net.collectParams(), name as 'sgd', { learningRate: 0.01, wd: 0.01 });
  const x = given([5, 400]);
  for (let i = 0; i < 3; i++) {
    autograd.record(() => net(x).square()).backward();
    trainer.step(5);
  }
  return [net.weight.data().copy(), net.bias.data().copy()];
};

const long = (): NDArray => given([300_007], -4, 4);
const wide = (): NDArray => given([300, 1001], -4, 4);
const cube = (): NDArray => given([37, 51, 90], -2, 2);

const CASES: Readonly<Record<string, () => readonly NDArray[]>> = {
  'elementwise chain': () => gradients((x) => x.mul(2).add(1).relu().square().sub(x), long()),
  'a broadcast': () => gradients((x, y) => x.mul(y).add(y), wide(), given([1001])),
  'a broadcast of columns': () => gradients((x, y) => x.mul(y), wide(), given([300, 1])),
  ...Object.fromEntries(
    (['exp', 'tanh', 'sigmoid', 'erf', 'gelu', 'softrelu', 'sin', 'log1p'] as const).map((name) => [
      name,
      () => gradients((x) => nd[name](x), given([300_007], 0, 4)),
    ]),
  ),
  'pow, mod, comparisons': () => {
    const [x, y] = [long(), given([300_007], 0.5, 2)];
    return [y.pow(x), x.mod(y), x.greater(y), nd.where(x.greater(0), x, y), nd.maximum(x, y)];
  },
  'whole numbers': () => {
    const x = long().mul(1000).astype('int32');
    return [x.mul(x), x.add(7).mod(13), x.sum(), x.max(), x.astype('uint8').astype('float32')];
  },
  'half and quarter storage': () => {
    const [h, b] = [long().astype('float16'), long().mul(30).astype('int8')];
    return [h.mul(h).astype('float32'), h.exp().astype('float32'), b.add(b), b.astype('float32').exp()];
  },
  'products of halves': () => {
    const [a, b] = [given([130, 200]).astype('float16'), given([200, 140]).astype('float16')];
    return [nd.dot(a, b).astype('float32')];
  },
  float64: () => [wide().astype('float64').exp().sum(1), wide().astype('float64').softmax()],
  sums: () => [long().sum(), wide().sum(0), wide().sum(1), cube().sum(1), cube().sum([0, 2]), wide().mean()],
  'sums and their gradients': () => gradients((x) => x.square().mean(1), wide()),
  'extremes and norms': () => [
    ...[long().max(), wide().min(0), wide().max(1), cube().norm(), cube().prod(1)],
    ...[wide().argmax(1), wide().argmin(0), cube().argmax(1)],
  ],
  'means of squares': () => [wide().square().mean(1), wide().norm(1)],
  softmax: () => gradients((x) => x.softmax(), wide()),
  'softmax across': () => gradients((x) => x.softmax(0), wide()),
  'softmax inside': () => gradients((x) => x.softmax(1), cube()),
  'softmax of short rows': () => gradients((x) => x.softmax(), given([20_000, 10], -3, 3)),
  logSoftmax: () => gradients((x) => x.logSoftmax(), wide()),
  'layer norm': () => gradients((x, g, b) => nd.layerNorm(x, g, b), wide(), given([1001]), given([1001])),
  'instance norm': () => gradients((x, g, b) => nd.instanceNorm(x, g, b), image(), given([16]), given([16])),
  'group norm': () =>
    gradients((x, g, b) => nd.groupNorm(x, g, b, { numGroups: 4 }), image(), given([16]), given([16])),
  'batch norm': () => {
    const norm = new nn.BatchNorm({ inChannels: 16 });
    norm.initialize({ ctx });
    return [...gradients((x) => norm(x), image()), norm.runningMean.data().copy(), norm.gamma.grad()];
  },
  l2Normalization: () => gradients((x) => nd.l2Normalization(x), wide()),
  dot: () => gradients((a, b) => nd.dot(a, b), given([130, 301]), given([301, 270])),
  'dot, both turned': () =>
    gradients(
      (a, b) => nd.dot(a, b, { transposeA: true, transposeB: true }),
      given([301, 130]),
      given([270, 301]),
    ),
  'dot of a vector': () => gradients((a, b) => nd.dot(a, b), given([1, 1500]), given([1500, 1100])),
  'dot with a vector': () => gradients((a, b) => nd.dot(a, b), given([1500, 1100]), given([1100])),
  'thin products': () => gradients((a, b) => nd.dot(a, b), given([9, 1500]), given([1500, 700])),
  batchDot: () => gradients((a, b) => nd.batchDot(a, b), given([16, 60, 70]), given([16, 70, 80])),
  'many small matrices': () =>
    gradients((a, b) => nd.batchDot(a, b), given([400, 12, 16]), given([400, 16, 12])),
  'matmul that broadcasts': () => gradients((a, b) => nd.matmul(a, b), given([8, 100, 90]), given([90, 80])),
  fullyConnected: () =>
    gradients((x, w, b) => nd.fullyConnected(x, w, b), given([64, 400]), given([120, 400]), given([120])),
  'convolution 3×3': conv([24, 16, 3, 3], { pad: 1 }),
  'convolution 3×3, stride 2': conv([24, 16, 3, 3], { pad: 1, stride: 2 }),
  'convolution 1×1': conv([24, 16, 1, 1], {}),
  'convolution 1×1, stride 2': conv([24, 16, 1, 1], { stride: 2 }),
  'convolution 5×5, dilated': conv([8, 16, 5, 5], { dilate: 2 }),
  'convolution in groups': conv([32, 4, 3, 3], { numGroup: 4 }),
  depthwise: conv([16, 1, 3, 3], { numGroup: 16, pad: 1 }),
  'depthwise, stride 2': conv([16, 1, 3, 3], { numGroup: 16, pad: 1, stride: 2 }),
  'depthwise, two filters': conv([32, 1, 3, 3], { numGroup: 16 }),
  deconvolution: () =>
    gradients(
      (x, w) => nd.deconvolution(x, w, null, { stride: 2, adj: 1, pad: 1 }),
      image(),
      given([16, 8, 3, 3]),
    ),
  'max pooling': pool({ kernel: 2, stride: 2 }),
  'max pooling 3×3': pool({ kernel: 3, stride: 2, pad: 1 }),
  'average pooling': pool({ kernel: 2, stride: 2, poolType: 'avg' }),
  'average pooling, edges not counted': pool({
    kernel: 3,
    stride: 1,
    pad: 1,
    poolType: 'avg',
    countIncludePad: false,
  }),
  'sum pooling, rounded up': pool({ kernel: 3, stride: 2, poolType: 'sum', poolingConvention: 'full' }),
  'lp pooling': pool({ kernel: 2, stride: 2, poolType: 'lp' }),
  'pooling of large pictures': () => {
    const x = given([8, 32, 56, 57]);
    const options = { kernel: 3, stride: 2, pad: 1 } as const;
    return (['max', 'avg', 'sum'] as const).flatMap((poolType) =>
      gradients((v) => nd.pooling(v, { ...options, poolType }), x.copy()),
    );
  },
  'global pooling': pool({ kernel: 1, globalPool: true, poolType: 'avg' }),
  'transposes and copies': () => [
    ...[wide().T.copy(), cube().transpose([2, 0, 1]), cube().swapaxes(0, 1), wide().flip(1)],
    ...[
      wide().tile([1, 2]),
      wide().repeat(2, 1),
      nd.concat(wide(), wide(), { dim: 1 }),
      nd.stack(wide(), wide()),
    ],
    wide().slice([1, null], [299, null], [2, -3]),
  ],
  padding: () => gradients((x) => x.pad({ mode: 'reflect', padWidth: [0, 0, 0, 0, 2, 2, 3, 3] }), image()),
  'taking and scattering': () => {
    const places = nd.array(Int32Array.from(numbers(5000, 0, 300, 8), Math.floor), { ctx, dtype: 'int32' });
    return gradients((x) => x.take(places), wide());
  },
  sorting: () => [wide().sort(), wide().argsort(0), wide().topk(7, { retTyp: 'mask' }), wide().cumsum(1)],
  'random numbers': () => {
    nd.random.seed(11);
    return [nd.random.uniform(0, 1, [100_000], { ctx }), nd.random.normal(0, 1, [100_000], { ctx })];
  },
  dropout: () => {
    nd.random.seed(12);
    const layer = new nn.Dropout(0.3);
    return gradients((x) => layer(x), wide());
  },
  'cross-entropy': () => {
    const labels = nd.array(Int32Array.from(numbers(300, 0, 1001, 9), Math.floor), { ctx, dtype: 'int32' });
    const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
    return gradients((x) => lossFn(x, labels), wide());
  },
  ...Object.fromEntries(
    [
      'sgd',
      'nag',
      'adam',
      'adamw',
      'adagrad',
      'rmsprop',
      'adadelta',
      'adamax',
      'nadam',
      'ftrl',
      'signum',
      'lamb',
    ].map((name) => [name, update(name)]),
  ),
};

/** The bits of some arrays, in short; frees them. */
export async function digest(arrays: readonly NDArray[]): Promise<string> {
  const hash = createHash('sha256');
  for (const x of arrays) {
    const values = await x.data();
    hash.update(`${x.shape}`).update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    x.dispose();
  }
  return hash.digest('hex');
}

export const FAMILIES = Object.keys(CASES);

/** The bits of a family. */
export async function bitsOf(name: string): Promise<string> {
  try {
    return await digest(nd.scope(() => [...(CASES[name]?.() ?? [])]));
  } catch (cause) {
    throw new Error(`${name}: ${cause}`, { cause });
  }
}

/** The bits of every family. */
export async function allFamilies(): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of FAMILIES) found[name] = await bitsOf(name);
  return found;
}
