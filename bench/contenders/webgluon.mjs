// This project, as its guides use it: eager calls, results disposed; `compiled`: hybridize() and gluon.compileStep.
import * as webgluon from 'webgluon';
import { lenet, resnet8 } from '../nets.mjs';
import { EPSILON, TRAINING } from '../works.mjs';

const { autograd, cpu, gluon, nd, nn, openGpu, random, withContext } = webgluon;

const NETS = { lenet, resnet: resnet8 };

/** Products in a row, none of which can become part of another. */
class Chain extends nn.HybridBlock {
  constructor(count) {
    super();
    this.count = count;
  }
  forward(x, w) {
    let y = x;
    for (let i = 0; i < this.count; i++) y = nd.dot(y, w);
    return y;
  }
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
    batched: (_, inputs) => simple(inputs, (a, b) => nd.batchDot(a, b)),
    /** The forward is recorded once; what is timed goes back over it. */
    gradient({ of, stride, pad, depthwise, channels }, { x, w, dy }) {
      const [a, b, above] = [x, w, dy].map(({ shape, data }) => nd.array(data, { ctx, shape }));
      const by = of === 'data' ? a : b;
      by.attachGrad();
      const y = autograd.record(() =>
        nd.convolution(a, b, null, { stride, pad, numGroup: depthwise ? channels : 1 }),
      );
      let last;
      return {
        run() {
          last?.dispose();
          [last] = autograd.grad(y, [by], { headGrads: above, retainGraph: true });
        },
        wait: backend === 'gpu' ? () => nd.waitall() : undefined,
        output: () => last.data(),
        dispose() {
          for (const array of [a, b, above, y, last]) array.dispose();
        },
      };
    },
    add: (_, inputs) => simple(inputs, (x, y) => x.add(y)),
    sigmoid: (_, inputs) => simple(inputs, (x) => nd.sigmoid(x)),
    softmax: (_, inputs) => simple(inputs, (x) => x.softmax()),
    layerNorm: (_, inputs) =>
      simple(inputs, (x, gamma, beta) => nd.layerNorm(x, gamma, beta, { eps: EPSILON })),

    forward({ net: name }, { x, parameters }) {
      const net = NETS[name](ctx, parameters);
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

    train({ batch, net: name }, { batches, parameters }) {
      const net = NETS[name](ctx, parameters);
      const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
      const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: TRAINING.rate });
      const data = batches.map(({ x, labels }) => [
        nd.array(x.data, { ctx, shape: x.shape }),
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

    replay({ calls }, inputs) {
      const net = new Chain(calls);
      if (compiled) net.hybridize({ staticAlloc: true, staticShape: true });
      const job = simple(inputs, (x, w) => net(x, w));
      return { ...job, wait: () => nd.waitall() };
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
    lacks: ({ kind }) => (kind === 'replay' && !compiled ? 'eager' : undefined),
    prepare: (work, inputs) => withContext(ctx, () => kinds[work.kind](work, inputs)),
  };
}
