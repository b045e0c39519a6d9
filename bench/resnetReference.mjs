// The small ResNet of resnet.mjs in float64: forward at inference, and the losses of the first steps of training. Each layer leaves behind how its gradient goes
// on; as plain as can be.
import { resnet, UNITS } from './resnet.mjs';

const EPSILON = 1e-5;

/** Values (N, C, S, S) and what is collected by them. */
const tensor = (data, channels = 0, size = 0) => ({
  data,
  grad: new Float64Array(data.length),
  channels,
  size,
});
const parameter = ({ data }) => tensor(Float64Array.from(data));

function convolution(tape, x, w, batch, [inputs, channels, kernel, stride, out]) {
  const y = tensor(new Float64Array(batch * channels * out * out), channels, out);
  const { size } = x;
  const pad = kernel >> 1;
  /** Calls `row(w index, first x index, first y index, how many)` for everything that is multiplied, a row of outputs at a time. */
  const rows = (row) => {
    for (let n = 0; n < batch; n++)
      for (let o = 0; o < channels; o++)
        for (let c = 0; c < inputs; c++)
          for (let u = 0; u < kernel; u++)
            for (let v = 0; v < kernel; v++)
              for (let i = 0; i < out; i++) {
                const h = i * stride + u - pad;
                if (h < 0 || h >= size) continue;
                const first = Math.max(0, Math.ceil((pad - v) / stride));
                const last = Math.min(out - 1, Math.floor((size - 1 + pad - v) / stride));
                row(
                  ((o * inputs + c) * kernel + u) * kernel + v,
                  ((n * inputs + c) * size + h) * size + first * stride + v - pad,
                  ((n * channels + o) * out + i) * out + first,
                  last - first + 1,
                );
              }
  };
  rows((k, p, q, count) => {
    const weight = w.data[k];
    for (let j = 0; j < count; j++) y.data[q + j] += weight * x.data[p + j * stride];
  });
  tape.push(() =>
    rows((k, p, q, count) => {
      const weight = w.data[k];
      let sum = 0;
      for (let j = 0; j < count; j++) {
        const d = y.grad[q + j];
        sum += d * x.data[p + j * stride];
        x.grad[p + j * stride] += d * weight;
      }
      w.grad[k] += sum;
    }),
  );
  return y;
}

/** With the batch's own statistics; with `running` ones where they are given. */
function batchNorm(tape, x, { gamma, beta, mean, variance }, batch, running) {
  const { channels, size } = x;
  const y = tensor(new Float64Array(x.data.length), channels, size);
  const plane = size * size;
  const count = batch * plane;
  const each = (c, visit) => {
    for (let n = 0; n < batch; n++) for (let i = 0; i < plane; i++) visit((n * channels + c) * plane + i);
  };
  for (let c = 0; c < channels; c++) {
    let [m, v] = [0, 0];
    if (running) [m, v] = [mean.data[c], variance.data[c]];
    else {
      each(c, (i) => {
        m += x.data[i] / count;
      });
      each(c, (i) => {
        v += (x.data[i] - m) ** 2 / count;
      });
    }
    const scale = 1 / Math.sqrt(v + EPSILON);
    each(c, (i) => {
      y.data[i] = (x.data[i] - m) * scale * gamma.data[c] + beta.data[c];
    });
    tape.push(() => {
      let [sum, along] = [0, 0];
      each(c, (i) => {
        sum += y.grad[i];
        along += y.grad[i] * (x.data[i] - m) * scale;
      });
      gamma.grad[c] += along;
      beta.grad[c] += sum;
      each(c, (i) => {
        const z = (x.data[i] - m) * scale;
        x.grad[i] += gamma.data[c] * scale * (y.grad[i] - sum / count - (z * along) / count);
      });
    });
  }
  return y;
}

function relu(tape, x) {
  const y = tensor(
    x.data.map((v) => Math.max(0, v)),
    x.channels,
    x.size,
  );
  tape.push(() => {
    for (let i = 0; i < y.data.length; i++) if (y.data[i] > 0) x.grad[i] += y.grad[i];
  });
  return y;
}

function add(tape, a, b) {
  const y = tensor(
    a.data.map((v, i) => v + b.data[i]),
    a.channels,
    a.size,
  );
  tape.push(() => {
    for (let i = 0; i < y.data.length; i++) {
      a.grad[i] += y.grad[i];
      b.grad[i] += y.grad[i];
    }
  });
  return y;
}

function head(tape, x, { weight, bias }, batch) {
  const { channels } = x;
  const plane = x.size ** 2;
  const units = bias.data.length;
  const means = new Float64Array(batch * channels);
  x.data.forEach((v, i) => {
    means[Math.floor(i / plane)] += v / plane;
  });
  const y = tensor(new Float64Array(batch * units));
  const each = (visit) => {
    for (let n = 0; n < batch; n++)
      for (let o = 0; o < units; o++)
        for (let c = 0; c < channels; c++) visit(n * units + o, o * channels + c, n * channels + c);
  };
  y.data.forEach((_, i) => {
    y.data[i] = bias.data[i % units];
  });
  each((i, k, m) => {
    y.data[i] += weight.data[k] * means[m];
  });
  tape.push(() => {
    y.grad.forEach((d, i) => {
      bias.grad[i % units] += d;
    });
    each((i, k, m) => {
      weight.grad[k] += y.grad[i] * means[m];
      const d = (y.grad[i] * weight.data[k]) / plane;
      for (let j = 0; j < plane; j++) x.grad[m * plane + j] += d;
    });
  });
  return y;
}

function parametersOf({ units, dense }) {
  const all = (of) => Object.fromEntries(Object.entries(of).map(([name, given]) => [name, parameter(given)]));
  return { units: units.map(all), dense: all(dense) };
}

function logitsOf(tape, { shape, data }, p, running) {
  const [batch, channels, size] = shape;
  return resnet(tensor(Float64Array.from(data), channels, size), {
    unit: (y, i) =>
      batchNorm(tape, convolution(tape, y, p.units[i].weight, batch, UNITS[i]), p.units[i], batch, running),
    relu: (y) => relu(tape, y),
    add: (a, b) => add(tape, a, b),
    head: (y) => head(tape, y, p.dense, batch),
  });
}

/** The logits at inference. */
export const resnetLogits = ({ x, parameters }) => logitsOf([], x, parametersOf(parameters), true).data;

/** Mean cross-entropy before each of the first `steps` steps of plain stochastic gradient descent. */
export function resnetLosses({ batches, parameters }, steps, rate) {
  const p = parametersOf(parameters);
  const trained = [
    ...p.units.flatMap(({ weight, gamma, beta }) => [weight, gamma, beta]),
    ...Object.values(p.dense),
  ];
  const losses = [];
  for (let step = 0; step < steps; step++) {
    const { x, labels } = batches[step % batches.length];
    const tape = [];
    const y = logitsOf(tape, x, p, false);
    let loss = 0;
    labels.forEach((label, n) => {
      const row = y.data.subarray(10 * n, 10 * n + 10);
      const top = Math.max(...row);
      let sum = 0;
      for (const v of row) sum += Math.exp(v - top);
      loss += (Math.log(sum) + top - row[label]) / labels.length;
      for (let k = 0; k < 10; k++)
        y.grad[10 * n + k] = (Math.exp(row[k] - top) / sum - (k === label ? 1 : 0)) / labels.length;
    });
    losses.push(loss);
    if (step === steps - 1) break;
    for (const back of tape.reverse()) back();
    for (const { data, grad } of trained) {
      for (let k = 0; k < data.length; k++) data[k] -= rate * grad[k];
      grad.fill(0);
    }
  }
  return losses;
}
