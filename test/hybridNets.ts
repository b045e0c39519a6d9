// Small nets for tests of hybridize(), and what they give when nothing is compiled.
import { type NDArray, nd, nn } from 'webgluon';
import { numbers } from './values.ts';

/** Numbers in a shape, the same for each shape. */
export const ramp = (...shape: number[]): NDArray => {
  const size = shape.reduce((n, d) => n * d, 1);
  return nd.array(numbers(size, -1, 1, size), { shape });
};

export function mlp(): nn.Sequential {
  const net = new nn.Sequential().add(
    new nn.Dense(4, { activation: 'relu', inUnits: 3 }),
    new nn.Dense(2, { inUnits: 4 }),
  );
  net.initialize('xavier');
  return net;
}

/** What the same net gives eagerly. */
export async function eagerly(net: nn.Sequential, x: NDArray): Promise<number[]> {
  let y = x;
  for (const layer of net) {
    const w = layer.weight.data();
    y = nd.fullyConnected(y, w, layer.bias.data());
    if (layer instanceof nn.Dense && layer.act !== undefined) y = y.relu();
  }
  return [...(await y.data())];
}
