// The network, one step of training and one look. The page shows this very file.
import { autograd, type Context, gluon, init, type NDArray, nd, nn, random } from 'webgluon';

/** The crash course's LeNet, as yet without knowledge. */
export function makeLenet(seed: number, ctx: Context) {
  const net = new nn.Sequential();
  net.add(
    new nn.Conv2D(6, 5, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Conv2D(16, 3, { activation: 'relu' }),
    new nn.MaxPool2D(2, 2),
    new nn.Flatten(),
    new nn.Dense(120, { activation: 'relu' }),
    new nn.Dense(84, { activation: 'relu' }),
    new nn.Dense(10),
  );
  random.seed(seed);
  net.initialize(new init.Xavier(), { ctx });
  net(nd.zeros([1, 1, 28, 28], { ctx })).dispose(); // shapes are known from here on
  const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { momentum: 0.9 });
  return { net, trainer };
}

const lossOf = new gluon.loss.SoftmaxCrossEntropyLoss();

/** Bytes as the network wants them. */
function normalized(pixels: NDArray) {
  return pixels.div(255).sub(0.13).div(0.31);
}

/** Pictures of 28 × 28 bytes on a device. */
function toDevice(pixels: Uint8Array, ctx: Context) {
  return nd.array(pixels, { shape: [pixels.length / 784, 1, 28, 28], ctx });
}

/** One step of training: the first call runs as it stands, later ones as one program. Gives the batch's mean loss and how many it had right, still on the device. */
export function makeStep(net: nn.Sequential, trainer: gluon.Trainer) {
  return gluon.compileStep((pixels: NDArray, labels: NDArray) => {
    const x = normalized(pixels);
    const [scores, losses] = autograd.record(() => {
      const scores = net(x);
      return [scores, lossOf(scores, labels)] as const;
    });
    losses.backward();
    trainer.step(labels.shape[0]);
    return { loss: losses.mean(), right: scores.argmax(1).equal(labels).sum() };
  });
}

/** Learns from one batch. */
export function learn(
  step: ReturnType<typeof makeStep>,
  pixels: Uint8Array,
  labels: Uint8Array,
  ctx: Context,
) {
  return nd.scope(() => step(toDevice(pixels, ctx), nd.array(labels, { ctx })));
}

/** Ten probabilities for each picture. */
export async function classify(net: nn.Sequential, pixels: Uint8Array, ctx: Context) {
  const probabilities = nd.scope(() => nd.softmax(net(normalized(toDevice(pixels, ctx)))));
  const values = await probabilities.data('float32');
  probabilities.dispose();
  return values;
}
