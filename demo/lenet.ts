// The network and the lines that run it. The page shows this very file.
import { type Context, nd, nn, type Source } from 'webgluon';

/** The crash course's LeNet with the weights that Apache MXNet trained. */
export async function openLenet(weights: Source, ctx: Context) {
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
  await net.loadParameters(weights, { ctx });
  return net;
}

/** Ten probabilities for each picture of 28 × 28 bytes. */
export async function classify(net: nn.Sequential, pixels: Uint8Array, ctx: Context) {
  const shape = [pixels.length / 784, 1, 28, 28];
  const probabilities = nd.scope(() => {
    const x = nd.array(pixels, { shape, ctx }).div(255);
    return nd.softmax(net(x.sub(0.13).div(0.31)));
  });
  const values = await probabilities.data('float32');
  probabilities.dispose();
  return values;
}
