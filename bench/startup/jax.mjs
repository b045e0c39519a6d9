// The smallest page with jax-js.
import { defaultDevice, init, jit, lax, nn, numpy as np, tree, valueAndGrad } from '@jax-js/jax';
import { lenetBatch, lenetParameters } from '../lenet.mjs';

await init(__BACKEND__);
defaultDevice(__BACKEND__);
const batch = __TRAIN__ ? 64 : 1;
const p = lenetParameters().map(({ shape, data }, i) => {
  if (shape.length === 2) return np.transpose(np.array(data, { shape }));
  return np.array(data, { shape: i === 1 || i === 3 ? [shape[0], 1, 1] : shape });
});
const net = (w, x) => {
  const conv = (y, k, b) =>
    lax.reduceWindow(nn.relu(lax.convGeneralDilated(y, k, [1, 1], 'VALID').add(b)), np.max, [2, 2], [2, 2]);
  const dense = (y, k, b) => np.dot(y, k).add(b);
  const y = conv(conv(x, w[0], w[1]), w[2], w[3]).reshape([-1, 400]);
  return dense(nn.relu(dense(nn.relu(dense(y, w[4], w[5])), w[6], w[7])), w[8], w[9]);
};
const { x, labels } = lenetBatch(batch, 0);
const input = np.array(x.data, { shape: [batch, 1, 28, 28] });
let result;
if (__TRAIN__) {
  const y = np.array(labels, { shape: [batch], dtype: np.int32 });
  const lossOf = (w, images, classes) =>
    nn
      .logSoftmax(net(w, images))
      .mul(nn.oneHot(classes, 10))
      .sum()
      .mul(-1 / batch);
  const step = jit((w, images, classes) => {
    const [loss, grads] = valueAndGrad(lossOf)(tree.ref(w), images, classes);
    return [loss, w.map((v, i) => v.sub(grads[i].mul(0.05)))];
  });
  result = await step(p, input, y)[0].data();
} else result = await jit(net)(p, input).data();
globalThis.started = { ms: performance.now(), first: result[0] };
