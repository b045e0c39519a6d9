// This project, as its guides use it: eager calls, results disposed; `compiled`: hybridize() and gluon.compileStep.
import * as webgluon from 'webgluon';
import { EPSILON, TRAINING } from '../works.mjs';

const { autograd, cpu, gluon, nd, nn, openGpu, random, withContext } = webgluon;

/** The crash course's LeNet with given parameters. */
function lenet(ctx, parameters) {
  const net = new (nn.HybridSequential ?? nn.Sequential)();
  net.add(
    new nn.Conv2D(6, 5, { activation: 'relu', inChannels: 1 }),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(16, 3, { activation: 'relu', inChannels: 6 }),
    new nn.MaxPool2D(2, 2),
    new nn.Flatten(),
    new nn.Dense(120, { activation: 'relu', inUnits: 400 }),
    new nn.Dense(84, { activation: 'relu', inUnits: 120 }),
    new nn.Dense(10, { inUnits: 84 }),
  );
  net.initialize({ ctx });
  [...net.collectParams().values()].forEach((parameter, i) => {
    const { shape, data } = parameters[i];
    parameter.setData(nd.array(data, { ctx, shape }));
  });
  return net;
}

/**
 * @param {{ backend: 'cpu' | 'gpu', threads?: number, compiled?: boolean }} options
 */
export async function open({ backend, threads, compiled = false }) {
  if (compiled && gluon.compileStep === undefined) return { missing: 'this build cannot compile graphs yet' };
  if (threads > 1 && webgluon.setNumThreads === undefined)
    return { missing: 'this build has no threads yet' };
  const ctx = backend === 'cpu' ? cpu() : await openGpu({ allowSoftware: true });
  if (threads !== undefined) await webgluon.setNumThreads?.(threads);
  random.seed?.(1);

  /** A function of arrays: one call a run, the result of the last kept to be read. */
  const simple = (inputs, call) => {
    const arrays = Object.values(inputs).map(({ shape, data }) => nd.array(data, { ctx, shape }));
    let last;
    return {
      run() {
        last?.dispose();
        last = call(...arrays);
      },
      wait: backend === 'gpu' ? () => nd.waitall() : undefined,
      output: () => last.data(),
      dispose() {
        for (const array of [...arrays, last]) array?.dispose();
      },
    };
  };

  const kinds = {
    matmul: (_, inputs) => simple(inputs, (a, b) => nd.dot(a, b)),
    conv: ({ stride, pad, depthwise, channels }, inputs) =>
      simple(inputs, (x, w) =>
        nd.convolution(x, w, null, { stride, pad, numGroup: depthwise ? channels : 1 }),
      ),
    add: (_, inputs) => simple(inputs, (x, y) => x.add(y)),
    sigmoid: (_, inputs) => simple(inputs, (x) => nd.sigmoid(x)),
    softmax: (_, inputs) => simple(inputs, (x) => x.softmax()),
    layerNorm: (_, inputs) =>
      simple(inputs, (x, gamma, beta) => nd.layerNorm(x, gamma, beta, { eps: EPSILON })),

    lenet(_, { x, parameters }) {
      const net = lenet(ctx, parameters);
      if (compiled) net.hybridize({ staticAlloc: true, staticShape: true });
      const input = nd.array(x.data, { ctx, shape: x.shape });
      let values;
      return {
        async run() {
          const y = net(input);
          values = await y.data();
          y.dispose();
        },
        output: async () => values,
        dispose() {
          input.dispose();
          net.dispose?.();
        },
      };
    },

    train({ batch }, { batches, parameters }) {
      const net = lenet(ctx, parameters);
      const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
      const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: TRAINING.rate });
      const data = batches.map(({ x, labels }) => [
        nd.array(x, { ctx, shape: [batch, 1, 28, 28] }),
        nd.array(labels, { ctx, dtype: 'int32' }),
      ]);
      const plain = (x, y) => {
        const loss = autograd.record(() => lossFn(net(x), y));
        loss.backward();
        trainer.step(batch);
        return loss;
      };
      const step = compiled ? gluon.compileStep(plain) : plain;
      let [count, loss] = [0];
      return {
        run() {
          loss?.dispose();
          const [x, y] = data[count++ % data.length];
          loss = step(x, y);
        },
        // a step's losses lie behind its predecessors' updates; what this step updates is waited for as well
        wait: () => nd.waitall(),
        async loss() {
          const values = await loss.data();
          return values.reduce((a, b) => a + b, 0) / values.length;
        },
        dispose() {
          for (const array of [...data.flat(), loss]) array?.dispose();
          net.dispose?.();
        },
      };
    },

    op({ op }, inputs) {
      const [a, b, m, n] = Object.values(inputs).map(({ shape, data }) => nd.array(data, { ctx, shape }));
      const calls = {
        add: () => a.add(b),
        scale: () => a.mul(3),
        relu: () => nd.relu(a),
        sum: () => a.sum(),
        softmax: () => m.softmax(),
        dot: () => nd.dot(m, n),
        transpose: () => m.transpose(),
        reshape: () => a.reshape([4, 4]),
        chain: () =>
          nd.scope(() => {
            let y = a;
            for (let i = 0; i < 32; i++) y = nd.relu(y.add(b).mul(0.5)).sub(1);
            return y;
          }),
      };
      const call = calls[op];
      return {
        run: () => call().dispose(),
        wait: () => nd.waitall(),
        dispose() {
          for (const array of [a, b, m, n]) array.dispose();
        },
      };
    },
  };

  return {
    prepare: (work, inputs) => withContext(ctx, () => kinds[work.kind](work, inputs)),
  };
}
