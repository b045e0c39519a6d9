// jax-js as its guides use it: everything that can be is compiled by jit, the training step whole; arguments are handed over with `.ref` where they live on.
// Work is lazy there: results are kept until blockUntilReady has seen them.
import {
  blockUntilReady,
  defaultDevice,
  init,
  jit,
  lax,
  nn,
  numpy as np,
  tree,
  valueAndGrad,
} from '@jax-js/jax';
import { EPSILON, TRAINING } from '../works.mjs';

const array = ({ shape, data }) => np.array(data, { shape });

const pool = (x) => lax.reduceWindow(x, np.max, [2, 2], [2, 2]);

/** Dense weights are (inputs, units), biases of convolutions (channels, 1, 1), as in its MNIST example. */
function parametersOf(parameters) {
  return parameters.map(({ shape, data }, i) => {
    if (shape.length === 2) {
      const [units, inputs] = shape;
      const turned = new Float32Array(data.length);
      for (let o = 0; o < units; o++)
        for (let k = 0; k < inputs; k++) turned[k * units + o] = data[o * inputs + k];
      return np.array(turned, { shape: [inputs, units] });
    }
    return np.array(data, { shape: i === 1 || i === 3 ? [shape[0], 1, 1] : shape });
  });
}

function lenet(p, x) {
  const conv = (y, w, b) => pool(nn.relu(lax.convGeneralDilated(y, w, [1, 1], 'VALID').add(b)));
  const y = conv(conv(x, p[0], p[1]), p[2], p[3]).reshape([-1, 400]);
  const h1 = nn.relu(np.dot(y, p[4]).add(p[5]));
  const h2 = nn.relu(np.dot(h1, p[6]).add(p[7]));
  return np.dot(h2, p[8]).add(p[9]);
}

/** Mean cross-entropy. */
function lossOf(p, x, y) {
  const batch = y.shape[0];
  return nn
    .logSoftmax(lenet(p, x))
    .mul(nn.oneHot(y, 10))
    .sum()
    .mul(-1 / batch);
}

function stepOf(p, x, y) {
  const [loss, grads] = valueAndGrad(lossOf)(tree.ref(p), x, y);
  return [loss, p.map((w, i) => w.sub(grads[i].mul(TRAINING.rate)))];
}

/**
 * @param {{ backend: 'wasm' | 'webgpu' }} options its wasm threads are as many as navigator.hardwareConcurrency says
 */
export async function open({ backend }) {
  const there = await init(backend);
  if (!there.includes(backend)) return { missing: `no ${backend} device here` };
  defaultDevice(backend);

  const simple = (inputs, fn) => {
    const arrays = Object.values(inputs).map(array);
    const call = jit(fn);
    let results = [];
    let last;
    return {
      run() {
        results.push(call(...arrays.map((a) => a.ref)));
      },
      async wait() {
        await blockUntilReady(results);
        last?.dispose();
        last = results.pop();
        tree.dispose(results);
        results = [];
      },
      output: () => last.ref.data(),
      dispose() {
        tree.dispose([...arrays, last]);
        call.dispose?.();
      },
    };
  };

  const kinds = {
    matmul: (_, inputs) => simple(inputs, (a, b) => np.matmul(a, b)),
    conv: ({ stride, pad, depthwise, channels }, inputs) =>
      simple(inputs, (x, w) =>
        lax.convGeneralDilated(
          x,
          w,
          [stride, stride],
          [
            [pad, pad],
            [pad, pad],
          ],
          depthwise ? { featureGroupCount: channels } : {},
        ),
      ),
    add: (_, inputs) => simple(inputs, (x, y) => x.add(y)),
    sigmoid: (_, inputs) => simple(inputs, (x) => nn.sigmoid(x)),
    softmax: (_, inputs) => simple(inputs, (x) => nn.softmax(x)),
    layerNorm: (_, inputs) =>
      simple(inputs, (x, gamma, beta) => nn.standardize(x, -1, { epsilon: EPSILON }).mul(gamma).add(beta)),

    lenet(_, { x, parameters }) {
      const [p, input] = [parametersOf(parameters), array(x)];
      const net = jit(lenet);
      let values;
      return {
        async run() {
          values = await net(tree.ref(p), input.ref).data();
        },
        output: async () => values,
        dispose: () => tree.dispose([...p, input]),
      };
    },

    train({ batch }, { batches, parameters }) {
      let p = parametersOf(parameters);
      const data = batches.map(({ x, labels }) => [
        np.array(x, { shape: [batch, 1, 28, 28] }),
        np.array(labels, { shape: [batch], dtype: np.int32 }),
      ]);
      const step = jit(stepOf);
      let count = 0;
      let loss;
      return {
        run() {
          loss?.dispose();
          const [x, y] = data[count++ % data.length];
          [loss, p] = step(p, x.ref, y.ref);
        },
        wait: () => blockUntilReady([loss, p]),
        loss: async () => (await loss.ref.data())[0],
        dispose: () => tree.dispose([...data.flat(), ...p, loss]),
      };
    },

    op({ op }, inputs) {
      const [a, b, m, n] = Object.values(inputs).map(array);
      const calls = {
        add: () => np.add(a.ref, b.ref),
        scale: () => a.ref.mul(3),
        relu: () => nn.relu(a.ref),
        sum: () => np.sum(a.ref),
        softmax: () => nn.softmax(m.ref),
        dot: () => np.matmul(m.ref, n.ref),
        transpose: () => np.transpose(m.ref),
        reshape: () => np.reshape(a.ref, [4, 4]),
        chain() {
          let y = a.ref;
          for (let i = 0; i < 32; i++) y = nn.relu(y.add(b.ref).mul(0.5)).sub(1);
          return y;
        },
      };
      const call = calls[op];
      let results = [];
      return {
        run() {
          results.push(call());
        },
        async wait() {
          await blockUntilReady(results);
          tree.dispose(results);
          results = [];
        },
        dispose: () => tree.dispose([a, b, m, n]),
      };
    },
  };

  return { prepare: (work, inputs) => kinds[work.kind](work, inputs) };
}
