// What is measured, and on which numbers: shared by the pages, by Node and by the reference, so it needs nothing but JavaScript.
import { LENET_MACS, LENET_STEM_MACS, lenetBatch, lenetParameters } from './lenet.mjs';
import { numbers } from './numbers.mjs';
import { RESNET_MACS, RESNET_STEM_MACS, resnetBatch, resnetParameters } from './resnet.mjs';

const product = (shape) => shape.reduce((a, b) => a * b, 1);

/** Training: batches that take turns, the rate, and how many losses are compared at the start. */
export const TRAINING = { batches: 4, rate: 0.05 };

const NETS = {
  lenet: { name: 'LeNet', macs: LENET_MACS, stem: LENET_STEM_MACS, checked: 6 },
  resnet: { name: 'ResNet-8', macs: RESNET_MACS, stem: RESNET_STEM_MACS, checked: 3 },
};

/** Forward, loss, backward, sgd: a step of training; `checked` losses of the first steps are compared. */
export const train = (net, batch) => ({
  group: 'training',
  id: net === 'lenet' ? `train-${batch}` : `train-${net}-${batch}`,
  kind: 'train',
  name: `${NETS[net].name} training step, batch ${batch}`,
  net,
  batch,
  checked: NETS[net].checked,
  // forward, gradient by weight, gradient by data (the first layer needs none)
  flops: 2 * batch * (3 * NETS[net].macs - NETS[net].stem),
  software: net === 'lenet',
});

export const forward = (net, batch) => ({
  group: net,
  id: `${net}-${batch}`,
  kind: 'forward',
  name: `${NETS[net].name} forward with its values read, batch ${batch}`,
  net,
  batch,
  flops: 2 * batch * NETS[net].macs,
  software: net === 'lenet' && batch <= 64,
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

/** `count` products of one size, one after the other in memory. */
const batched = (count, m, n, k) => ({
  group: 'matmul',
  id: `batched-${count}x${m}x${k}x${n}`,
  kind: 'batched',
  name: `${count} × (${m}, ${k}) · (${k}, ${n})`,
  ...{ count, m, n, k },
  flops: 2 * count * m * n * k,
});

/** `of`: what is computed, the output or a gradient of the convolution: 'data' by its input, 'weight' by its kernels. */
export const conv = (
  name,
  { batch, inputs, channels, size, kernel, stride = 1, pad = 0, depthwise = false },
  of = 'output',
) => {
  const out = Math.floor((size + 2 * pad - kernel) / stride) + 1;
  return {
    group: of === 'output' ? 'conv' : 'gradients',
    id: `${of === 'output' ? 'conv' : `conv-${of}`}-${kernel}x${kernel}-${inputs}-${channels}-${size}-s${stride}-b${batch}${depthwise ? '-dw' : ''}`,
    kind: of === 'output' ? 'conv' : 'gradient',
    name: of === 'output' ? name : `${name}, gradient by ${of}`,
    ...{ of, batch, inputs, channels, size, kernel, stride, pad, depthwise, out },
    flops: 2 * batch * channels * out * out * kernel * kernel * (depthwise ? 1 : inputs),
  };
};

/** Layers of ResNet and MobileNet. */
const LAYERS = [
  ['conv 3×3, 64→64, 56×56, batch 4', { batch: 4, inputs: 64, channels: 64, size: 56, kernel: 3, pad: 1 }],
  [
    'conv 3×3 stride 2, 64→128, 56×56',
    { batch: 1, inputs: 64, channels: 128, size: 56, kernel: 3, stride: 2, pad: 1 },
  ],
  ['conv 1×1, 96→24, 56×56', { batch: 1, inputs: 96, channels: 24, size: 56, kernel: 1 }],
  [
    'depthwise 3×3, 144, 56×56',
    { batch: 1, inputs: 144, channels: 144, size: 56, kernel: 3, pad: 1, depthwise: true },
  ],
];

/** More of them, forward only. */
const MORE_LAYERS = [
  ['conv 3×3, 256→256, 14×14', { batch: 1, inputs: 256, channels: 256, size: 14, kernel: 3, pad: 1 }],
  ['conv 1×1, 24→144, 56×56', { batch: 1, inputs: 24, channels: 144, size: 56, kernel: 1 }],
  [
    'depthwise 3×3 stride 2, 96, 112×112',
    { batch: 1, inputs: 96, channels: 96, size: 112, kernel: 3, stride: 2, pad: 1, depthwise: true },
  ],
];

const SIZES = { '1K': 2 ** 10, '64K': 2 ** 16, '1M': 2 ** 20, '4M': 2 ** 22 };

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

/** A compiled chain of products of 4×4 matrices, a dispatch each: what encoding it takes, per dispatch. */
const replay = (calls) => ({
  group: 'replay',
  id: 'replay',
  kind: 'replay',
  name: `${calls} products of 4×4 matrices`,
  calls,
  software: true,
});

export const WORKS = [
  train('lenet', 64),
  train('resnet', 16),
  ...[1, 4, 64, 256].map((batch) => forward('lenet', batch)),
  ...[1, 16].map((batch) => forward('resnet', batch)),
  ...[64, 128, 256, 512, 1024].map((n) => matmul(n)),
  matmul(16, 1024, 1024),
  matmul(1, 1024, 1024),
  batched(16, 128, 128, 64),
  ...[...LAYERS, ...MORE_LAYERS].map((layer) => conv(...layer)),
  ...LAYERS.flatMap((layer) => [conv(...layer, 'data'), conv(...layer, 'weight')]),
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
  replay(32),
];

/** A short run keeps these. */
export const QUICK = new Set([
  'train-64',
  'lenet-1',
  'lenet-64',
  'resnet-1',
  'matmul-256x256x256',
  'matmul-512x512x512',
  'conv-3x3-64-64-56-s1-b4',
  'conv-data-1x1-96-24-56-s1-b1',
  'conv-weight-1x1-96-24-56-s1-b1',
  'softmax-1M',
  'layerNorm-1M',
  'op-add',
  'op-chain',
  'replay',
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
    case 'batched': {
      const { count, m, n, k } = work;
      const scale = Math.sqrt(3 / k);
      return {
        a: { shape: [count, m, k], data: numbers(1, count * m * k) },
        b: { shape: [count, k, n], data: numbers(2, count * k * n, -scale, scale) },
      };
    }
    case 'conv':
    case 'gradient': {
      const { batch, inputs, channels, size, kernel, depthwise, out } = work;
      const shapes = {
        x: [batch, inputs, size, size],
        w: [channels, depthwise ? 1 : inputs, kernel, kernel],
        dy: [batch, channels, out, out],
      };
      if (work.kind === 'conv') delete shapes.dy;
      return Object.fromEntries(
        Object.entries(shapes).map(([name, shape], i) => [
          name,
          { shape, data: numbers(3 + i, product(shape)) },
        ]),
      );
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
    case 'forward':
      return work.net === 'lenet'
        ? {
            x: lenetBatch(work.batch, 0).x,
            parameters: lenetParameters(),
          }
        : { x: resnetBatch(work.batch, 0).x, parameters: resnetParameters() };
    case 'train': {
      const [batchOf, parametersOf] =
        work.net === 'lenet' ? [lenetBatch, lenetParameters] : [resnetBatch, resnetParameters];
      return {
        batches: Array.from({ length: TRAINING.batches }, (_, i) => batchOf(work.batch, i)),
        parameters: parametersOf(),
      };
    }
    case 'replay': {
      // a turn by one radian in two planes: the chain's values stay of order 1
      const [c, s] = [Math.cos(1), Math.sin(1)];
      const turn = [c, s, 0, 0, -s, c, 0, 0, 0, 0, c, s, 0, 0, -s, c];
      return {
        x: { shape: [4, 4], data: numbers(15, 16) },
        w: { shape: [4, 4], data: Float32Array.from(turn) },
      };
    }
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
