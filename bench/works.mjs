// What is measured, and on which numbers: shared by the pages, by Node and by the reference, so it needs nothing but JavaScript.

/** Uniform float32 values in [low, high): mulberry32, the same everywhere. Random data, never zeros: zeros flatter kernels and hide wrong ones. */
export function numbers(seed, size, low = -1, high = 1) {
  const out = new Float32Array(size);
  let a = seed >>> 0;
  for (let i = 0; i < size; i++) {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    out[i] = low + ((high - low) * ((t ^ (t >>> 14)) >>> 0)) / 4294967296;
  }
  return out;
}

const product = (shape) => shape.reduce((a, b) => a * b, 1);

/** The crash course's LeNet: shapes of its parameters in Gluon's order (NCHW; dense weights are (units, inputs)). */
export const LENET = [
  [6, 1, 5, 5],
  [6],
  [16, 6, 3, 3],
  [16],
  [120, 400],
  [120],
  [84, 120],
  [84],
  [10, 84],
  [10],
];

/** Weights within ±√(3 / fan-in), biases within ±0.05. */
export function lenetParameters() {
  return LENET.map((shape, i) => {
    const size = product(shape);
    const bound = shape.length > 1 ? Math.sqrt(3 / (size / shape[0])) : 0.05;
    return { shape, data: numbers(100 + i, size, -bound, bound) };
  });
}

/** One batch of pictures in [0, 1) and labels 0 … 9. */
export function lenetBatch(batch, seed) {
  const labels = Int32Array.from(numbers(2000 + seed, batch, 0, 10), Math.floor);
  return { x: numbers(1000 + seed, batch * 784, 0, 1), labels };
}

/** Training: batches that take turns, the rate, and how many losses are compared at the start. */
export const TRAINING = { batches: 4, rate: 0.05, checked: 6 };

/** Multiply-adds of LeNet's forward for one picture: 24²·6·25 + 10²·16·54 + 400·120 + 120·84 + 84·10. */
const LENET_MACS = 86400 + 86400 + 48000 + 10080 + 840;

export const train = (batch) => ({
  group: 'training',
  id: `train-${batch}`,
  kind: 'train',
  name: `LeNet training step, batch ${batch}`,
  batch,
  // forward, gradient by weight, gradient by data (the first layer needs none)
  flops: 2 * batch * (3 * LENET_MACS - 86400),
  software: true,
});

const lenet = (batch) => ({
  group: 'lenet',
  id: `lenet-${batch}`,
  kind: 'lenet',
  name: `LeNet forward with its values read, batch ${batch}`,
  batch,
  flops: 2 * batch * LENET_MACS,
  software: batch <= 64,
});

export const matmul = (m, n = m, k = m) => ({
  group: 'matmul',
  id: `matmul-${m}x${k}x${n}`,
  kind: 'matmul',
  name: m === n && n === k ? `matmul ${m}³` : `matmul (${m}, ${k}) · (${k}, ${n})`,
  m,
  n,
  k,
  flops: 2 * m * n * k,
});

export const conv = (
  name,
  { batch, inputs, channels, size, kernel, stride = 1, pad = 0, depthwise = false },
) => {
  const out = Math.floor((size + 2 * pad - kernel) / stride) + 1;
  return {
    group: 'conv',
    id: `conv-${kernel}x${kernel}-${inputs}-${channels}-${size}-s${stride}-b${batch}${depthwise ? '-dw' : ''}`,
    kind: 'conv',
    name,
    ...{ batch, inputs, channels, size, kernel, stride, pad, depthwise, out },
    flops: 2 * batch * channels * out * out * kernel * kernel * (depthwise ? 1 : inputs),
  };
};

const SIZES = { '1K': 2 ** 10, '1M': 2 ** 20, '4M': 2 ** 22 };

/** Rows of 1024 values; `touched` is how many times the array goes through memory at least. */
export const rows = (kind, label, touched, sizes = SIZES) =>
  Object.entries(sizes).map(([text, size]) => ({
    group: 'rows',
    id: `${kind}-${text}`,
    kind,
    name: `${label}, ${text}`,
    shape: [size / 1024, 1024],
    size,
    bytes: 4 * touched * size,
  }));

/** One call on arrays of 16 elements; `calls` operations go into one call. */
const op = (name, text, calls = 1) => ({
  group: 'ops',
  id: `op-${name}`,
  kind: 'op',
  name: text,
  op: name,
  calls,
  unit: 'µs',
  software: true,
});

export const WORKS = [
  train(64),
  lenet(1),
  lenet(4),
  lenet(64),
  lenet(256),
  ...[64, 128, 256, 512, 1024].map((n) => matmul(n)),
  matmul(16, 1024, 1024),
  conv('conv 3×3, 64→64, 56×56, batch 4', {
    batch: 4,
    inputs: 64,
    channels: 64,
    size: 56,
    kernel: 3,
    pad: 1,
  }),
  conv('conv 3×3 stride 2, 64→128, 56×56', {
    batch: 1,
    inputs: 64,
    channels: 128,
    size: 56,
    kernel: 3,
    stride: 2,
    pad: 1,
  }),
  conv('conv 1×1, 96→24, 56×56', { batch: 1, inputs: 96, channels: 24, size: 56, kernel: 1 }),
  conv('depthwise 3×3, 144, 56×56', {
    batch: 1,
    inputs: 144,
    channels: 144,
    size: 56,
    kernel: 3,
    pad: 1,
    depthwise: true,
  }),
  ...rows('add', 'add', 3),
  ...rows('sigmoid', 'sigmoid', 2),
  ...rows('softmax', 'softmax', 2),
  ...rows('layerNorm', 'layer norm', 2),
  op('add', 'add (two arrays)'),
  op('scale', 'mul (by a number)'),
  op('relu', 'relu'),
  op('sum', 'sum (all)'),
  op('softmax', 'softmax 4×4'),
  op('dot', 'dot 4×4'),
  op('transpose', 'transpose 4×4'),
  op('reshape', 'reshape'),
  op('chain', 'chain of add, mul, relu, sub', 128),
];

/** A short run keeps these. */
export const QUICK = new Set([
  'train-64',
  'lenet-1',
  'lenet-64',
  'matmul-256x256x256',
  'matmul-512x512x512',
  'conv-3x3-64-64-56-s1-b4',
  'softmax-1M',
  'layerNorm-1M',
  'op-add',
  'op-chain',
]);

export const EPSILON = 1e-5;

/** The arrays a work is done on, in Gluon's layouts. */
export function inputsOf(work) {
  switch (work.kind) {
    case 'matmul': {
      // results of order 1 whatever the length of the sums
      const scale = Math.sqrt(3 / work.k);
      return {
        a: { shape: [work.m, work.k], data: numbers(1, work.m * work.k) },
        b: { shape: [work.k, work.n], data: numbers(2, work.k * work.n, -scale, scale) },
      };
    }
    case 'conv': {
      const { batch, inputs, channels, size, kernel, depthwise } = work;
      const shape = [channels, depthwise ? 1 : inputs, kernel, kernel];
      return {
        x: { shape: [batch, inputs, size, size], data: numbers(3, batch * inputs * size * size) },
        w: { shape, data: numbers(4, product(shape)) },
      };
    }
    case 'add':
      return {
        x: { shape: work.shape, data: numbers(5, work.size) },
        y: { shape: work.shape, data: numbers(6, work.size) },
      };
    case 'layerNorm':
      return {
        x: { shape: work.shape, data: numbers(7, work.size, -3, 5) },
        gamma: { shape: [1024], data: numbers(8, 1024, 0.5, 1.5) },
        beta: { shape: [1024], data: numbers(9, 1024) },
      };
    case 'sigmoid':
    case 'softmax':
      return { x: { shape: work.shape, data: numbers(10, work.size, -6, 6) } };
    case 'lenet':
      return {
        x: { shape: [work.batch, 1, 28, 28], data: lenetBatch(work.batch, 0).x },
        parameters: lenetParameters(),
      };
    case 'train':
      return {
        batches: Array.from({ length: TRAINING.batches }, (_, i) => lenetBatch(work.batch, i)),
        parameters: lenetParameters(),
      };
    case 'op':
      return {
        a: { shape: [16], data: numbers(11, 16) },
        b: { shape: [16], data: numbers(12, 16) },
        m: { shape: [4, 4], data: numbers(13, 16) },
        n: { shape: [4, 4], data: numbers(14, 16) },
      };
    default:
      throw new Error(`no inputs for ${work.kind}`);
  }
}

/** Which elements of a result of that size are compared: up to 1024, spread by a stride that meets all rows and columns, the last one among them. */
export function sampled(size) {
  const count = Math.min(1024, size);
  const step = size <= 1024 ? 1 : Math.floor(size / count) | 1;
  return Array.from({ length: count }, (_, i) => (i === count - 1 ? size - 1 : (i * step) % size));
}
