// The small ResNet that is measured: pictures of CIFAR's size, a stem and three stages of one basic block (He and others, 2015), channels 16, 32, 64. What a
// library calls a tensor and how it computes is the caller's; the order of the layers stands here once.
import { numbers } from './numbers.mjs';

/** Convolutions, each with a batch norm behind it: [inputs, channels, kernel, stride, size of the output]. A block's shortcut comes last. */
export const UNITS = [
  [3, 16, 3, 1, 32],
  [16, 16, 3, 1, 32],
  [16, 16, 3, 1, 32],
  [16, 32, 3, 2, 16],
  [32, 32, 3, 1, 16],
  [16, 32, 1, 2, 16],
  [32, 64, 3, 2, 8],
  [64, 64, 3, 1, 8],
  [32, 64, 1, 2, 8],
];

const macsOf = ([inputs, channels, kernel, , out]) => inputs * channels * kernel ** 2 * out ** 2;
export const RESNET_STEM_MACS = macsOf(UNITS[0]);
/** Multiply-adds of a forward for one picture. */
export const RESNET_MACS = UNITS.reduce((sum, unit) => sum + macsOf(unit), 640);

/**
 * @param {object} x a batch of pictures (N, 3, 32, 32)
 * @param {object} ops `unit(y, i)`: the i-th convolution and its batch norm; `fork(y)`: y once more, for libraries that count references; `relu`, `add`;
 * `head(y)`: mean over each plane, then the dense layer
 */
export function resnet(x, { unit, fork = (y) => y, relu, add, head }) {
  let y = relu(unit(x, 0));
  y = relu(add(unit(relu(unit(fork(y), 1)), 2), y));
  for (const i of [3, 6]) y = relu(add(unit(relu(unit(fork(y), i)), i + 1), unit(y, i + 2)));
  return head(y);
}

/** `units`: weight, gamma, beta and, for inference, the running mean and variance; `dense`: weight (units, inputs) and bias. */
export function resnetParameters() {
  const units = UNITS.map(([inputs, channels, kernel], i) => {
    const bound = Math.sqrt(3 / (inputs * kernel * kernel));
    const vector = (k, low, high) => ({
      shape: [channels],
      data: numbers(400 + 10 * i + k, channels, low, high),
    });
    const shape = [channels, inputs, kernel, kernel];
    return {
      weight: { shape, data: numbers(400 + 10 * i, channels * inputs * kernel * kernel, -bound, bound) },
      gamma: vector(1, 0.5, 1.5),
      beta: vector(2, -0.2, 0.2),
      mean: vector(3, -0.1, 0.1),
      variance: vector(4, 0.5, 1.5),
    };
  });
  return {
    units,
    dense: {
      weight: { shape: [10, 64], data: numbers(390, 640, -0.2, 0.2) },
      bias: { shape: [10], data: numbers(391, 10, -0.05, 0.05) },
    },
  };
}

/** One batch of pictures and labels 0 … 9. */
export function resnetBatch(batch, seed) {
  const labels = Int32Array.from(numbers(2100 + seed, batch, 0, 10), Math.floor);
  return { x: { shape: [batch, 3, 32, 32], data: numbers(1100 + seed, batch * 3072) }, labels };
}
