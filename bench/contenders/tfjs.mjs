// TensorFlow.js as its guides use it: production mode, NHWC, fused operations where it has them, tf.tidy, optimizer.minimize. What it is given and gives is in
// Gluon's layouts, put in its own and back outside the clock.
import * as tf from '@tensorflow/tfjs';
import { resnet, UNITS } from '../resnet.mjs';
import { EPSILON, TRAINING } from '../works.mjs';

/** (O, I, H, W) → (H, W, I, O). */
const filter = ({ shape, data }) => tf.tidy(() => tf.transpose(tf.tensor(data, shape), [2, 3, 1, 0]));

/** LeNet's parameters in its layouts: the first dense layer's inputs come as (height, width, channel) there. */
function parametersOf(parameters) {
  return parameters.map(({ shape, data }, i) =>
    tf.tidy(() => {
      const t = tf.tensor(data, shape);
      if (shape.length === 4) return tf.transpose(t, [2, 3, 1, 0]);
      if (i === 4) return t.reshape([120, 16, 5, 5]).transpose([2, 3, 1, 0]).reshape([400, 120]);
      return shape.length === 2 ? t.transpose() : t;
    }),
  );
}

function lenet(x, p) {
  const conv = (y, w, bias) =>
    tf.maxPool(
      tf.fused.conv2d({ x: y, filter: w, strides: 1, pad: 'valid', bias, activation: 'relu' }),
      2,
      2,
      'valid',
    );
  const dense = (y, w, bias, activation) => tf.fused.matMul({ a: y, b: w, bias, activation });
  let y = conv(conv(x, p[0], p[1]), p[2], p[3]);
  y = dense(y.reshape([-1, 400]), p[4], p[5], 'relu');
  return dense(dense(y, p[6], p[7], 'relu'), p[8], p[9], 'linear');
}

/** The small ResNet's parameters; convolutions as (H, W, I, O). */
function resnetParametersOf({ units, dense }) {
  const plain = ({ shape, data }) => tf.tensor(data, shape);
  return {
    units: units.map(({ weight, ...norm }) => ({
      weight: filter(weight),
      ...Object.fromEntries(Object.entries(norm).map(([name, value]) => [name, plain(value)])),
    })),
    dense: { weight: tf.tidy(() => plain(dense.weight).transpose()), bias: plain(dense.bias) },
  };
}

const MOMENTUM = 0.9;

/** Training normalizes by the batch's statistics and moves the running ones, as its layer of that name does. */
function resnetOf(x, p, training) {
  const norm = (y, { gamma, beta, mean, variance }) => {
    if (!training) return tf.batchNorm(y, mean, variance, beta, gamma, EPSILON);
    const batch = tf.moments(y, [0, 1, 2]);
    for (const [running, now] of [
      [mean, batch.mean],
      [variance, batch.variance],
    ])
      running.assign(running.mul(MOMENTUM).add(now.mul(1 - MOMENTUM)));
    return tf.batchNorm(y, batch.mean, batch.variance, beta, gamma, EPSILON);
  };
  return resnet(x, {
    unit: (y, i) => norm(tf.conv2d(y, p.units[i].weight, UNITS[i][3], UNITS[i][2] >> 1), p.units[i]),
    relu: tf.relu,
    add: tf.add,
    head: (y) =>
      tf.fused.matMul({
        a: tf.mean(y, [1, 2]),
        b: p.dense.weight,
        bias: p.dense.bias,
        activation: 'linear',
      }),
  });
}

const all = (p) => (Array.isArray(p) ? p : [...p.units.flatMap(Object.values), ...Object.values(p.dense)]);

/** The same with variables in place of tensors; running statistics are not trained. */
function variablesOf(p) {
  const variable = (t, trainable = true) => {
    const made = tf.variable(t, trainable);
    t.dispose();
    return made;
  };
  if (Array.isArray(p)) return p.map((t) => variable(t));
  const each = (of) =>
    Object.fromEntries(
      Object.entries(of).map(([name, t]) => [name, variable(t, name !== 'mean' && name !== 'variance')]),
    );
  return { units: p.units.map(each), dense: each(p.dense) };
}

const NETS = {
  lenet: [lenet, parametersOf],
  resnet: [resnetOf, resnetParametersOf],
};

/** What a backend does not do: the WebAssembly one has no gradients of convolution and pooling, plain JavaScript would take seconds a run. */
function lack(backend, { kind, id, of, depthwise, flops }) {
  if (kind === 'replay') return 'compiles nothing';
  if (backend === 'wasm' && (kind === 'train' || of === 'weight' || (of === 'data' && depthwise)))
    return 'no gradients of convolution and pooling';
  if (backend === 'cpu' && id !== 'train-64' && flops > 3e8) return 'seconds a run';
  return undefined;
}

/**
 * @param {{ backend: 'wasm' | 'cpu' | 'webgpu', base: string }} options
 */
export async function open({ backend, base }) {
  tf.enableProdMode();
  if (backend === 'wasm') {
    const wasm = await import('@tensorflow/tfjs-backend-wasm');
    if (base !== undefined) wasm.setWasmPaths(`${base}tfjs-wasm/`);
  }
  if (backend === 'webgpu') await import('@tensorflow/tfjs-backend-webgpu');
  if (!(await tf.setBackend(backend))) return { missing: `no ${backend} backend here` };
  await tf.ready();

  const done =
    backend === 'webgpu'
      ? () => {
          const own = tf.backend();
          own.ensureCommandEncoderReady();
          own.endComputePassEncoder();
          own.submitQueue();
          return own.queue.onSubmittedWorkDone();
        }
      : undefined;

  /** A function of tensors; `back` puts a result into Gluon's layout. */
  const simple = (tensors, call, back = (y) => y) => {
    let last;
    return {
      run() {
        last?.dispose();
        last = call(...tensors);
      },
      wait: done,
      async output() {
        const y = tf.tidy(() => tf.clone(back(last)));
        const values = await y.data();
        y.dispose();
        return values;
      },
      dispose: () => tf.dispose([...tensors, last].filter((t) => t !== undefined)),
    };
  };
  const tensors = (inputs) => Object.values(inputs).map(({ shape, data }) => tf.tensor(data, shape));
  const images = ({ shape, data }) => tf.tidy(() => tf.tensor(data, shape).transpose([0, 2, 3, 1]));

  const kinds = {
    matmul: (_, inputs) => simple(tensors(inputs), (a, b) => tf.matMul(a, b)),
    conv({ stride, pad, depthwise }, { x, w }) {
      const back = (y) => y.transpose([0, 3, 1, 2]);
      const kernel = depthwise
        ? tf.tidy(() => tf.tensor(w.data, w.shape).transpose([2, 3, 0, 1]))
        : filter(w);
      const call = depthwise
        ? (a, b) => tf.depthwiseConv2d(a, b, stride, pad)
        : (a, b) => tf.conv2d(a, b, stride, pad);
      return simple([images(x), kernel], call, back);
    },
    batched: (_, inputs) => simple(tensors(inputs), (a, b) => tf.matMul(a, b)),
    // the kernels that its own gradients run
    gradient({ of, stride, pad, depthwise, batch, inputs, channels, size, kernel }, { x, w, dy }) {
      const [input, above] = [images(x), images(dy)];
      const weight = depthwise
        ? tf.tidy(() => tf.tensor(w.data, w.shape).transpose([2, 3, 0, 1]))
        : filter(w);
      const attributes = { strides: stride, pad, dataFormat: 'NHWC', dilations: [1, 1] };
      const name = depthwise ? 'DepthwiseConv2dNativeBackprop' : 'Conv2DBackprop';
      const call =
        of === 'data'
          ? () =>
              tf
                .engine()
                .runKernel(
                  `${name}Input`,
                  { dy: above, filter: weight },
                  { ...attributes, inputShape: [batch, size, size, inputs] },
                )
          : () =>
              tf
                .engine()
                .runKernel(
                  `${name}Filter`,
                  { x: input, dy: above },
                  { ...attributes, filterShape: [kernel, kernel, inputs, depthwise ? 1 : channels] },
                );
      const order = of === 'data' ? [0, 3, 1, 2] : depthwise ? [2, 3, 0, 1] : [3, 2, 0, 1];
      const job = simple([], call, (y) => y.transpose(order));
      return {
        ...job,
        dispose() {
          job.dispose();
          tf.dispose([input, above, weight]);
        },
      };
    },
    add: (_, inputs) => simple(tensors(inputs), (x, y) => tf.add(x, y)),
    sigmoid: (_, inputs) => simple(tensors(inputs), (x) => tf.sigmoid(x)),
    softmax: (_, inputs) => simple(tensors(inputs), (x) => tf.softmax(x)),
    // in plain operations: its layer of that name takes seventy times as long on WebAssembly
    layerNorm: (_, inputs) =>
      simple(tensors(inputs), (x, gamma, beta) =>
        tf.tidy(() => {
          const { mean, variance } = tf.moments(x, -1, true);
          return x.sub(mean).mul(variance.add(EPSILON).rsqrt()).mul(gamma).add(beta);
        }),
      ),

    forward({ net }, { x, parameters }) {
      const [call, prepare] = NETS[net];
      const [input, p] = [images(x), prepare(parameters)];
      let values;
      return {
        async run() {
          const y = tf.tidy(() => call(input, p, false));
          values = await y.data();
          y.dispose();
        },
        output: async () => values,
        dispose: () => tf.dispose([input, ...all(p)]),
      };
    },

    train({ net }, { batches, parameters }) {
      const [call, prepare] = NETS[net];
      const p = variablesOf(prepare(parameters));
      const trained = all(p).filter((variable) => variable.trainable);
      const data = batches.map(({ x, labels }) => [
        images(x),
        tf.tidy(() => tf.oneHot(tf.tensor1d(labels, 'int32'), 10).toFloat()),
      ]);
      const optimizer = tf.train.sgd(TRAINING.rate);
      let [count, cost] = [0];
      return {
        run() {
          cost?.dispose();
          const [x, y] = data[count++ % data.length];
          const loss = () => tf.losses.softmaxCrossEntropy(y, call(x, p, true));
          cost = optimizer.minimize(loss, true, trained);
        },
        wait: done,
        loss: async () => (await cost.data())[0],
        dispose() {
          tf.dispose([...data.flat(), ...all(p), cost]);
          optimizer.dispose();
        },
      };
    },

    op({ op }, inputs) {
      const [a, b, m, n] = tensors(inputs);
      const calls = {
        add: () => tf.add(a, b),
        scale: () => tf.mul(a, 3),
        relu: () => tf.relu(a),
        sum: () => tf.sum(a),
        softmax: () => tf.softmax(m),
        dot: () => tf.matMul(m, n),
        transpose: () => tf.transpose(m),
        reshape: () => tf.reshape(a, [4, 4]),
        chain: () =>
          tf.tidy(() => {
            let y = a;
            for (let i = 0; i < 32; i++) y = tf.relu(y.add(b).mul(0.5)).sub(1);
            return y;
          }),
      };
      const call = calls[op];
      return {
        run: () => call().dispose(),
        wait: done,
        dispose: () => tf.dispose([a, b, m, n]),
      };
    },
  };

  return {
    version: tf.version_core,
    lacks: (work) => lack(backend, work),
    prepare: (work, inputs) => kinds[work.kind](work, inputs),
  };
}
