// The smallest page with this project: LeNet, one answer (or one training step), and how long that took from the start of navigation.
import { autograd, cpu, gluon, nd, nn, openGpu } from 'webgluon';
import { lenetBatch, lenetParameters } from '../lenet.mjs';

const batch = __TRAIN__ ? 64 : 1;
const ctx = __BACKEND__ === 'cpu' ? cpu() : await openGpu({ allowSoftware: true });
const net = new nn.Sequential();
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
const values = lenetParameters();
[...net.collectParams().values()].forEach((p, i) => {
  p.setData(nd.array(values[i].data, { ctx, shape: values[i].shape }));
});
const { x, labels } = lenetBatch(batch, 0);
const input = nd.array(x.data, { ctx, shape: [batch, 1, 28, 28] });
let result;
if (__TRAIN__) {
  const y = nd.array(labels, { ctx, dtype: 'int32' });
  const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
  const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.05 });
  const loss = autograd.record(() => lossFn(net(input), y));
  loss.backward();
  trainer.step(batch);
  result = await loss.data();
} else result = await net(input).data();
globalThis.started = { ms: performance.now(), first: result[0] };
