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
  vjp,
} from '@jax-js/jax';
import { resnet, UNITS } from '../resnet.mjs';
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

const convolution = (x, w, stride, pad, more = {}) =>
  lax.convGeneralDilated(
    x,
    w,
    [stride, stride],
    [
      [pad, pad],
      [pad, pad],
    ],
    more,
  );

/** The small ResNet's parameters: what is trained, and the running statistics. Vectors of channels are (channels, 1, 1). */
function resnetParametersOf({ units, dense }) {
  const vector = ({ shape, data }) => np.array(data, { shape: [...shape, 1, 1] });
  const { weight, bias } = dense;
  return [
    {
      units: units.map(({ weight: w, gamma, beta }) => [array(w), vector(gamma), vector(beta)]),
      dense: [np.transpose(array(weight)), array(bias)],
    },
    units.map(({ mean, variance }) => [vector(mean), vector(variance)]),
  ];
}

const MOMENTUM = 0.9;
const blend = (running, now) => running.mul(MOMENTUM).add(now.mul(1 - MOMENTUM));

/** Logits, and the running statistics: moved where it trains. */
function resnetOf(p, running, x, training) {
  const moved = [];
  const logits = resnet(x, {
    unit(y, i) {
      const [, , kernel, stride] = UNITS[i];
      const [w, gamma, beta] = p.units[i];
      const z = convolution(y, w, stride, kernel >> 1);
      let [mean, variance] = running[i];
      if (training) {
        const axis = [0, 2, 3];
        const [m, v] = [mean, variance];
        mean = np.mean(z.ref, axis, { keepdims: true });
        variance = np.mean(np.square(z.ref.sub(mean.ref)), axis, { keepdims: true });
        const flat = (a) => lax.stopGradient(a.ref).reshape([-1, 1, 1]);
        moved[i] = [blend(m, flat(mean)), blend(v, flat(variance))];
      }
      const scale = gamma.div(np.sqrt(variance.add(EPSILON)));
      return z.sub(mean).mul(scale).add(beta);
    },
    fork: (y) => y.ref,
    relu: nn.relu,
    add: np.add,
    head: (y) => np.dot(np.mean(y, [2, 3]), p.dense[0]).add(p.dense[1]),
  });
  return [logits, moved];
}

/** Mean cross-entropy. */
function crossEntropy(logits, y) {
  const batch = y.shape[0];
  return nn
    .logSoftmax(logits)
    .mul(nn.oneHot(y, 10))
    .sum()
    .mul(-1 / batch);
}

/** (parameters, state, x, y) → loss, new parameters, new state. */
const STEPS = {
  lenet(p, state, x, y) {
    const [loss, grads] = valueAndGrad((q) => crossEntropy(lenet(q, x), y))(tree.ref(p));
    return [loss, updated(p, grads), state];
  },
  resnet(p, state, x, y) {
    const lossOf = (q) => {
      const [logits, moved] = resnetOf(q, state, x, true);
      return [crossEntropy(logits, y), moved];
    };
    const [[loss, moved], grads] = valueAndGrad(lossOf, { hasAux: true })(tree.ref(p));
    return [loss, updated(p, grads), moved];
  },
};

const updated = (p, grads) => tree.map((w, g) => w.sub(g.mul(TRAINING.rate)), p, grads);

const NETS = {
  lenet: { prepare: (parameters) => [parametersOf(parameters), []], forward: (p, _, x) => lenet(p, x) },
  resnet: { prepare: resnetParametersOf, forward: (p, state, x) => resnetOf(p, state, x, false)[0] },
};

/**
 * @param {{ backend: 'wasm' | 'webgpu' }} options its wasm threads are as many as navigator.hardwareConcurrency says
 */
export async function open({ backend, threads }) {
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
    batched: (_, inputs) => simple(inputs, (a, b) => np.matmul(a, b)),
    conv: ({ stride, pad, depthwise, channels }, inputs) =>
      simple(inputs, (x, w) =>
        convolution(x, w, stride, pad, depthwise ? { featureGroupCount: channels } : {}),
      ),
    gradient({ of, stride, pad, depthwise, channels }, inputs) {
      const more = depthwise ? { featureGroupCount: channels } : {};
      return simple(inputs, (x, w, dy) => {
        const by = of === 'data' ? x : w;
        const call =
          of === 'data'
            ? (v) => convolution(v, w, stride, pad, more)
            : (v) => convolution(x, v, stride, pad, more);
        const [y, back] = vjp(call, [by]);
        y.dispose();
        const [gradient] = back(dy);
        back.dispose();
        return gradient;
      });
    },
    add: (_, inputs) => simple(inputs, (x, y) => x.add(y)),
    sigmoid: (_, inputs) => simple(inputs, (x) => nn.sigmoid(x)),
    softmax: (_, inputs) => simple(inputs, (x) => nn.softmax(x)),
    layerNorm: (_, inputs) =>
      simple(inputs, (x, gamma, beta) => nn.standardize(x, -1, { epsilon: EPSILON }).mul(gamma).add(beta)),

    forward({ net }, { x, parameters }) {
      const [p, state] = NETS[net].prepare(parameters);
      const input = array(x);
      const call = jit(NETS[net].forward);
      let values;
      return {
        async run() {
          values = await call(tree.ref(p), tree.ref(state), input.ref).data();
        },
        output: async () => values,
        dispose: () => tree.dispose([p, state, input]),
      };
    },

    train({ net }, { batches, parameters }) {
      let [p, state] = NETS[net].prepare(parameters);
      const data = batches.map(({ x, labels }) => [
        array(x),
        np.array(labels, { shape: [labels.length], dtype: np.int32 }),
      ]);
      const step = jit(STEPS[net]);
      let count = 0;
      let loss;
      return {
        run() {
          loss?.dispose();
          const [x, y] = data[count++ % data.length];
          [loss, p, state] = step(p, state, x.ref, y.ref);
        },
        wait: () => blockUntilReady([loss, p, state]),
        loss: async () => (await loss.ref.data())[0],
        dispose: () => tree.dispose([data, p, state, loss]),
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

  /** Its way back is traced with the forward, of which it keeps nothing that is not needed; on WebAssembly that takes long, and two threads
   * make no difference. */
  const lacks = ({ kind, net, flops }) => {
    if (kind === 'replay') return 'not measured';
    if (backend !== 'wasm') return undefined;
    const long =
      kind === 'gradient' || (kind === 'train' && net === 'resnet') || (kind === 'conv' && flops > 5e8);
    if (long && threads > 1) return 'as one thread';
    return kind === 'gradient' && flops > 5e8 ? 'seconds a run' : undefined;
  };
  return { lacks, prepare: (work, inputs) => kinds[work.kind](work, inputs) };
}
