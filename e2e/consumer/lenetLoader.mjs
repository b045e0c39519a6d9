// lenet.mjs with its batches from a DataLoader, as the crash course has it.
import { autograd, gluon, init, metric, nd, nn, random, tryGpu } from 'webgluon';

random.seed(1);
const ctx = await tryGpu();
const net = new nn.Sequential();
net.add(
  new nn.Conv2D(6, 5, { activation: 'relu' }),
  new nn.MaxPool2D(2, 2),
  new nn.Conv2D(16, 3, { activation: 'relu' }),
  new nn.MaxPool2D(2, 2),
  new nn.Dense(120, { activation: 'relu' }),
  new nn.Dense(84, { activation: 'relu' }),
  new nn.Dense(10),
);
net.initialize(new init.Xavier(), { ctx });

const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1, momentum: 0.9 });
const accuracy = new metric.Accuracy();

const [pictures, classes] = [nd.random.uniform(0, 1, [64, 1, 28, 28]), nd.arange(64).mod(10)];
const loader = new gluon.data.DataLoader(new gluon.data.ArrayDataset(pictures, classes), 16, {
  shuffle: true,
  ctx,
});
const losses = [];
for (let epoch = 0; epoch < 8; epoch++) {
  let sum = 0;
  for await (const [x, y] of loader) {
    const [output, loss] = autograd.record(() => {
      const out = net(x);
      return [out, lossFn(out, y)];
    });
    loss.backward();
    trainer.step(x.shape[0]);
    accuracy.update(y, output);
    sum += await loss.mean().asscalar();
  }
  losses.push(sum / loader.length);
}
console.log(JSON.stringify({ losses, accuracy: await accuracy.get() }));
