// The smallest page with TensorFlow.js: its core and one backend, as its guide on size-optimized bundles says; no layers, no converter.
import * as tf from '@tensorflow/tfjs-core';
import { lenetBatch, lenetParameters } from '../lenet.mjs';

if (__TRAIN__) await import('@tensorflow/tfjs-core/dist/register_all_gradients');
tf.enableProdMode();
if (__BACKEND__ === 'wasm') {
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  setWasmPaths('/tfjs-wasm/');
} else if (__BACKEND__ === 'webgpu') await import('@tensorflow/tfjs-backend-webgpu');
else await import('@tensorflow/tfjs-backend-cpu');
await tf.setBackend(__BACKEND__);
await tf.ready();

const batch = __TRAIN__ ? 64 : 1;
const p = lenetParameters().map(({ shape, data }, i) =>
  tf.tidy(() => {
    let t = tf.tensor(data, shape);
    if (shape.length === 4) t = tf.transpose(t, [2, 3, 1, 0]);
    else if (i === 4) t = tf.reshape(tf.transpose(tf.reshape(t, [120, 16, 5, 5]), [2, 3, 1, 0]), [400, 120]);
    else if (shape.length === 2) t = tf.transpose(t);
    return __TRAIN__ ? tf.variable(t) : t;
  }),
);
const net = (x) => {
  const conv = (y, w, bias) =>
    tf.maxPool(
      tf.fused.conv2d({ x: y, filter: w, strides: 1, pad: 'valid', bias, activation: 'relu' }),
      2,
      2,
      'valid',
    );
  const dense = (y, w, bias, activation) => tf.fused.matMul({ a: y, b: w, bias, activation });
  const y = tf.reshape(conv(conv(x, p[0], p[1]), p[2], p[3]), [-1, 400]);
  return dense(dense(dense(y, p[4], p[5], 'relu'), p[6], p[7], 'relu'), p[8], p[9], 'linear');
};
const { x, labels } = lenetBatch(batch, 0);
const input = tf.tensor(x.data, [batch, 28, 28, 1]);
let result;
if (__TRAIN__) {
  const y = tf.cast(tf.oneHot(tf.tensor1d(labels, 'int32'), 10), 'float32');
  const cost = tf.train.sgd(0.05).minimize(() => tf.losses.softmaxCrossEntropy(y, net(input)), true);
  result = await cost.data();
} else result = await net(input).data();
globalThis.started = { ms: performance.now(), first: result[0] };
