// This project's nets for the benchmark, in pages and on a real GPU.
import { nd, nn } from 'webgluon';
import { resnet, UNITS } from './resnet.mjs';
import { EPSILON } from './works.mjs';

/** The crash course's LeNet with given parameters. */
export function lenet(ctx, parameters) {
  const net = new nn.HybridSequential();
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

class ResNet8 extends nn.HybridBlock {
  constructor() {
    super();
    this.units = UNITS.map(([inputs, channels, kernel, stride], i) => {
      const size = { strides: stride, padding: kernel >> 1, inChannels: inputs };
      const conv = new nn.Conv2D(channels, kernel, { ...size, useBias: false });
      const norm = new nn.BatchNorm({ inChannels: channels, epsilon: EPSILON });
      this.registerChild(conv, `conv${i}`);
      this.registerChild(norm, `norm${i}`);
      return { conv, norm };
    });
    this.pool = new nn.GlobalAvgPool2D();
    this.dense = new nn.Dense(10, { inUnits: 64 });
  }
  forward(x) {
    return resnet(x, {
      unit: (y, i) => this.units[i].norm(this.units[i].conv(y)),
      relu: nd.relu,
      add: (a, b) => a.add(b),
      head: (y) => this.dense(this.pool(y)),
    });
  }
}

/** The small ResNet with given parameters. */
export function resnet8(ctx, { units, dense }) {
  const net = new ResNet8();
  net.initialize({ ctx });
  const set = (parameter, { shape, data }) => parameter.setData(nd.array(data, { ctx, shape }));
  units.forEach(({ weight, gamma, beta, mean, variance }, i) => {
    const { conv, norm } = net.units[i];
    set(conv.weight, weight);
    set(norm.gamma, gamma);
    set(norm.beta, beta);
    set(norm.runningMean, mean);
    set(norm.runningVar, variance);
  });
  set(net.dense.weight, dense.weight);
  set(net.dense.bias, dense.bias);
  return net;
}

/** Convolution and batch norm. */
function unit(channels, kernel, strides, inChannels) {
  const made = new nn.HybridSequential();
  made.add(
    new nn.Conv2D(channels, kernel, { strides, padding: kernel >> 1, inChannels, useBias: false }),
    new nn.BatchNorm({ inChannels: channels }),
  );
  return made;
}

class BasicBlock extends nn.HybridBlock {
  constructor(inChannels, channels, stride) {
    super();
    this.first = unit(channels, 3, stride, inChannels);
    this.second = unit(channels, 3, 1, channels);
    this.shortcut = stride === 1 ? null : unit(channels, 1, stride, inChannels);
  }
  forward(x) {
    const y = this.second(nd.relu(this.first(x)));
    return nd.relu(y.add(this.shortcut === null ? x : this.shortcut(x)));
  }
}

/** ResNet-18 for pictures of 224×224, with weights of its own. */
export function resnet18(ctx) {
  const net = new nn.HybridSequential();
  net.add(unit(64, 7, 2, 3), new nn.Activation('relu'), new nn.MaxPool2D(3, 2, 1));
  let before = 64;
  for (const channels of [64, 128, 256, 512]) {
    net.add(new BasicBlock(before, channels, channels === 64 ? 1 : 2), new BasicBlock(channels, channels, 1));
    before = channels;
  }
  net.add(new nn.GlobalAvgPool2D(), new nn.Flatten(), new nn.Dense(1000, { inUnits: 512 }));
  net.initialize({ init: 'xavier', ctx });
  return net;
}
