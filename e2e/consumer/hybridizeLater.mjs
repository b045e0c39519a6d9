// A page that names nothing of what compiles, and hybridizes: the compiler comes while it runs. scripts/test-package.mjs bundles it and runs it in Node, where it prints what happened.
import { autograd, gluon, nd, nn, random } from 'webgluon';

const [pictures, classes] = [nd.random.uniform(0, 1, [8, 1, 12, 12]), nd.arange(8).mod(4)];
const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();

/** The losses of some steps, always with the same first values; `before` is called between them. */
async function train(before) {
  random.seed(1);
  const net = new nn.Sequential();
  net.add(new nn.Conv2D(4, 3, { activation: 'relu' }), new nn.MaxPool2D(2, 2), new nn.Dense(4));
  net.initialize();
  const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 });
  const losses = [];
  for (let step = 0; step < 5; step++) {
    await before(net, step);
    const loss = autograd.record(() => lossFn(net(pictures), classes));
    loss.backward();
    trainer.step(8);
    losses.push(await loss.mean().asscalar());
  }
  return losses;
}

const infos = [];
const eager = await train(() => undefined);
const later = await train(async (net, step) => {
  if (step === 0) net.hybridize();
  infos.push(net.cacheInfo());
  if (step === 1) await net.warmup([[8, 1, 12, 12]], { training: true });
});
console.log(JSON.stringify({ eager, later, infos }));
