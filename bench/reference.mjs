// What every contender has to compute, element by element in float64 and as plainly as can be. No speed, no library.

import { LENET } from './lenet.mjs';
import { resnetLogits, resnetLosses } from './resnetReference.mjs';
import { EPSILON, inputsOf, sampled, TRAINING } from './works.mjs';

const sizeOf = (shape) => shape.reduce((a, b) => a * b, 1);

/**
 * The sampled elements of a work's result (for training: its first losses), or undefined where nothing is compared.
 * @returns {number[] | undefined}
 */
export function reference(work) {
  if (work.kind === 'op') return undefined;
  const inputs = inputsOf(work);
  if (work.kind === 'train')
    return work.net === 'lenet'
      ? trainingLosses(inputs, work.checked)
      : resnetLosses(inputs, work.checked, TRAINING.rate);
  if (work.kind === 'forward') {
    const out = work.net === 'lenet' ? lenetLogits(inputs, work.batch) : resnetLogits(inputs);
    return sampled(out.length).map((i) => out[i]);
  }
  const { size, at } = ELEMENT[work.kind](work, inputs);
  return sampled(size).map(at);
}

const ELEMENT = {
  batched({ count, m, n, k }, { a, b }) {
    const at = (index) => {
      const [row, column] = [Math.floor(index / n), index % n];
      const from = Math.floor(row / m) * k * n;
      let sum = 0;
      for (let i = 0; i < k; i++) sum += a.data[row * k + i] * b.data[from + i * n + column];
      return sum;
    };
    return { size: count * m * n, at };
  },
  gradient(work, { x, w, dy }) {
    return work.of === 'data' ? dataGradient(work, w.data, dy.data) : weightGradient(work, x.data, dy.data);
  },
  replay({ calls }, { x, w }) {
    let y = Float64Array.from(x.data);
    for (let i = 0; i < calls; i++)
      y = y.map((_, at) => {
        const row = at - (at % 4);
        return [0, 1, 2, 3].reduce((sum, k) => sum + y[row + k] * w.data[4 * k + (at % 4)], 0);
      });
    return { size: 16, at: (i) => y[i] };
  },
  matmul({ m, n, k }, { a, b }) {
    const at = (index) => {
      const [row, column] = [Math.floor(index / n), index % n];
      let sum = 0;
      for (let i = 0; i < k; i++) sum += a.data[row * k + i] * b.data[i * n + column];
      return sum;
    };
    return { size: m * n, at };
  },
  conv({ batch, inputs, channels, size, kernel, stride, pad, depthwise, out }, { x, w }) {
    const deep = depthwise ? 1 : inputs;
    const at = (index) => {
      const column = index % out;
      const row = Math.floor(index / out) % out;
      const channel = Math.floor(index / (out * out)) % channels;
      const image = Math.floor(index / (out * out * channels));
      let sum = 0;
      for (let c = 0; c < deep; c++)
        for (let i = 0; i < kernel; i++)
          for (let j = 0; j < kernel; j++) {
            const [y, z] = [row * stride + i - pad, column * stride + j - pad];
            if (y < 0 || y >= size || z < 0 || z >= size) continue;
            const plane = image * inputs + (depthwise ? channel : c);
            sum +=
              x.data[(plane * size + y) * size + z] *
              w.data[((channel * deep + c) * kernel + i) * kernel + j];
          }
      return sum;
    };
    return { size: batch * channels * out * out, at };
  },
  add: ({ size }, { x, y }) => ({ size, at: (i) => x.data[i] + y.data[i] }),
  sigmoid: ({ size }, { x }) => ({ size, at: (i) => 1 / (1 + Math.exp(-x.data[i])) }),
  softmax({ size }, { x }) {
    const at = (index) => {
      const row = x.data.subarray(index - (index % 1024), index - (index % 1024) + 1024);
      let sum = 0;
      for (const v of row) sum += Math.exp(v);
      return Math.exp(x.data[index]) / sum;
    };
    return { size, at };
  },
  layerNorm({ size }, { x, gamma, beta }) {
    const at = (index) => {
      const row = x.data.subarray(index - (index % 1024), index - (index % 1024) + 1024);
      let [sum, squares] = [0, 0];
      for (const v of row) sum += v;
      const mean = sum / 1024;
      for (const v of row) squares += (v - mean) ** 2;
      const z = (x.data[index] - mean) / Math.sqrt(squares / 1024 + EPSILON);
      return z * gamma.data[index % 1024] + beta.data[index % 1024];
    };
    return { size, at };
  },
};

/** Gradient by the input of a convolution, for a gradient `dy` of its output. */
function dataGradient({ batch, inputs, channels, size, kernel, stride, pad, depthwise, out }, w, dy) {
  const deep = depthwise ? 1 : inputs;
  const at = (index) => {
    const column = index % size;
    const row = Math.floor(index / size) % size;
    const input = Math.floor(index / (size * size)) % inputs;
    const image = Math.floor(index / (size * size * inputs));
    let sum = 0;
    for (let o = depthwise ? input : 0; o < (depthwise ? input + 1 : channels); o++)
      for (let u = 0; u < kernel; u++)
        for (let v = 0; v < kernel; v++) {
          const [i, j] = [(row + pad - u) / stride, (column + pad - v) / stride];
          if (!Number.isInteger(i) || !Number.isInteger(j) || i < 0 || j < 0 || i >= out || j >= out)
            continue;
          sum +=
            dy[((image * channels + o) * out + i) * out + j] *
            w[((o * deep + (depthwise ? 0 : input)) * kernel + u) * kernel + v];
        }
    return sum;
  };
  return { size: batch * inputs * size * size, at };
}

/** Gradient by the weights. */
function weightGradient({ batch, inputs, channels, size, kernel, stride, pad, depthwise, out }, x, dy) {
  const deep = depthwise ? 1 : inputs;
  const at = (index) => {
    const v = index % kernel;
    const u = Math.floor(index / kernel) % kernel;
    const c = Math.floor(index / kernel ** 2) % deep;
    const o = Math.floor(index / (kernel ** 2 * deep));
    let sum = 0;
    for (let n = 0; n < batch; n++)
      for (let i = 0; i < out; i++)
        for (let j = 0; j < out; j++) {
          const [h, k] = [i * stride + u - pad, j * stride + v - pad];
          if (h < 0 || h >= size || k < 0 || k >= size) continue;
          const plane = n * inputs + (depthwise ? o : c);
          sum += dy[((n * channels + o) * out + i) * out + j] * x[(plane * size + h) * size + k];
        }
    return sum;
  };
  return { size: channels * deep * kernel ** 2, at };
}

/** Valid convolution, bias, relu. */
function convRelu(x, batch, inputs, size, w, b, channels, kernel) {
  const out = size - kernel + 1;
  const y = new Float64Array(batch * channels * out * out);
  let at = 0;
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < channels; o++)
      for (let i = 0; i < out; i++)
        for (let j = 0; j < out; j++) {
          let sum = b[o];
          for (let c = 0; c < inputs; c++)
            for (let u = 0; u < kernel; u++)
              for (let v = 0; v < kernel; v++)
                sum +=
                  x[((n * inputs + c) * size + i + u) * size + j + v] *
                  w[((o * inputs + c) * kernel + u) * kernel + v];
          y[at++] = Math.max(0, sum);
        }
  return y;
}

/** Where each 2×2 window of (planes, size, size) has its first largest value. */
function poolIndices(x, planes, size) {
  const half = size / 2;
  const indices = new Int32Array(planes * half * half);
  let at = 0;
  for (let p = 0; p < planes; p++)
    for (let i = 0; i < half; i++)
      for (let j = 0; j < half; j++) {
        const corner = (p * size + 2 * i) * size + 2 * j;
        let best = corner;
        for (const k of [corner + 1, corner + size, corner + size + 1]) if (x[k] > x[best]) best = k;
        indices[at++] = best;
      }
  return indices;
}

function dense(x, batch, w, b, relu) {
  const [units, inputs] = [b.length, x.length / batch];
  const y = new Float64Array(batch * units);
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < units; o++) {
      let sum = b[o];
      for (let i = 0; i < inputs; i++) sum += x[n * inputs + i] * w[o * inputs + i];
      y[n * units + o] = relu ? Math.max(0, sum) : sum;
    }
  return y;
}

/** Everything the way back needs, logits last. */
function lenetForward(x, batch, p) {
  const c1 = convRelu(x, batch, 1, 28, p[0], p[1], 6, 5);
  const i1 = poolIndices(c1, batch * 6, 24);
  const p1 = Float64Array.from(i1, (i) => c1[i]);
  const c2 = convRelu(p1, batch, 6, 12, p[2], p[3], 16, 3);
  const i2 = poolIndices(c2, batch * 16, 10);
  const p2 = Float64Array.from(i2, (i) => c2[i]);
  const h1 = dense(p2, batch, p[4], p[5], true);
  const h2 = dense(h1, batch, p[6], p[7], true);
  return [c1, i1, p1, c2, i2, p2, h1, h2, dense(h2, batch, p[8], p[9], false)];
}

const lenetLogits = ({ x, parameters }, batch) =>
  lenetForward(
    x.data,
    batch,
    parameters.map((p) => Float64Array.from(p.data)),
  ).at(-1);

/** Gradients of a dense layer, added to gw and gb; returns the gradient by x, zero where x is (the relu below it). */
function denseBack(dy, x, batch, w, gw, gb) {
  const [units, inputs] = [gb.length, x.length / batch];
  const dx = new Float64Array(x.length);
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < units; o++) {
      const d = dy[n * units + o];
      gb[o] += d;
      for (let i = 0; i < inputs; i++) {
        gw[o * inputs + i] += d * x[n * inputs + i];
        if (x[n * inputs + i] > 0) dx[n * inputs + i] += d * w[o * inputs + i];
      }
    }
  return dx;
}

/** Gradients of a convolution; `dx` where the layer below wants one. */
function convBack(dy, y, x, batch, inputs, size, w, channels, kernel, gw, gb, dx) {
  const out = size - kernel + 1;
  let at = 0;
  for (let n = 0; n < batch; n++)
    for (let o = 0; o < channels; o++)
      for (let i = 0; i < out; i++)
        for (let j = 0; j < out; j++, at++) {
          const d = y[at] > 0 ? dy[at] : 0;
          if (d === 0) continue;
          gb[o] += d;
          for (let c = 0; c < inputs; c++)
            for (let u = 0; u < kernel; u++)
              for (let v = 0; v < kernel; v++) {
                const k = ((o * inputs + c) * kernel + u) * kernel + v;
                const q = ((n * inputs + c) * size + i + u) * size + j + v;
                gw[k] += d * x[q];
                if (dx) dx[q] += d * w[k];
              }
        }
}

/** Mean cross-entropy before each of the first steps of plain stochastic gradient descent. */
function trainingLosses({ batches, parameters }, steps) {
  const p = parameters.map((q) => Float64Array.from(q.data));
  const losses = [];
  for (let step = 0; step < steps; step++) {
    const { x: pictures, labels } = batches[step % batches.length];
    const x = pictures.data;
    const batch = labels.length;
    const [c1, i1, p1, c2, i2, p2, h1, h2, logits] = lenetForward(x, batch, p);
    const g = LENET.map((shape) => new Float64Array(sizeOf(shape)));
    const dy = new Float64Array(logits.length);
    let loss = 0;
    for (let n = 0; n < batch; n++) {
      const row = logits.subarray(10 * n, 10 * n + 10);
      const top = Math.max(...row);
      let sum = 0;
      for (const v of row) sum += Math.exp(v - top);
      loss += (Math.log(sum) + top - row[labels[n]]) / batch;
      for (let k = 0; k < 10; k++)
        dy[10 * n + k] = (Math.exp(row[k] - top) / sum - (k === labels[n] ? 1 : 0)) / batch;
    }
    losses.push(loss);
    const d2 = denseBack(dy, h2, batch, p[8], g[8], g[9]);
    const d1 = denseBack(d2, h1, batch, p[6], g[6], g[7]);
    const dp2 = denseBack(d1, p2, batch, p[4], g[4], g[5]);
    const dc2 = new Float64Array(c2.length);
    i2.forEach((k, i) => {
      dc2[k] += dp2[i];
    });
    const dp1 = new Float64Array(p1.length);
    convBack(dc2, c2, p1, batch, 6, 12, p[2], 16, 3, g[2], g[3], dp1);
    const dc1 = new Float64Array(c1.length);
    i1.forEach((k, i) => {
      dc1[k] += dp1[i];
    });
    convBack(dc1, c1, x, batch, 1, 28, p[0], 6, 5, g[0], g[1], undefined);
    for (let i = 0; i < p.length; i++)
      for (let k = 0; k < p[i].length; k++) p[i][k] -= TRAINING.rate * g[i][k];
  }
  return losses;
}

/**
 * How far apart values and reference are: the largest difference over the larger of the reference's own size and its root mean square. A slow contender gives
 * fewer losses than the reference has.
 * @param {readonly number[]} values @param {readonly number[]} wanted
 */
export function distance(values, wanted) {
  if (values.length === 0 || values.length > wanted.length) return Number.POSITIVE_INFINITY;
  const rms = Math.sqrt(wanted.reduce((a, v) => a + v * v, 0) / wanted.length);
  let worst = 0;
  for (let i = 0; i < values.length; i++) {
    const error = Math.abs(values[i] - wanted[i]) / Math.max(Math.abs(wanted[i]), rms);
    if (!(error <= worst)) worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : error;
  }
  return worst;
}

/** What still counts as the same numbers: float32 sums of up to a thousand terms, approximations of exp, six steps of training. */
export const TOLERANCE = 3e-4;
