// The crash course's LeNet, its numbers and pictures. Start-up pages import nothing else of the benchmark.
import { numbers } from './numbers.mjs';

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
  return { x: { shape: [batch, 1, 28, 28], data: numbers(1000 + seed, batch * 784, 0, 1) }, labels };
}

export const LENET_STEM_MACS = 24 ** 2 * 6 * 25;
/** Multiply-adds of a forward for one picture. */
export const LENET_MACS = LENET_STEM_MACS + 10 ** 2 * 16 * 54 + 400 * 120 + 120 * 84 + 84 * 10;
