// Part 2 of Gluon's crash course: layers, networks, custom blocks. Runs on the CPU and prints what MXNet's tutorial prints, digit for digit:
// the generators start from seed 0, and the cell `x = …; layer(x)` ran five times when the tutorial's output was recorded.
import { type NDArray, nd, nn } from 'webgluon';

// --- a first layer ---
const layer = new nn.Dense(2);
console.log(String(layer));
layer.initialize();

let out = layer(nd.random.uniform(-1, 1, [3, 4]));
for (let run = 2; run <= 5; run++) out = layer(nd.random.uniform(-1, 1, [3, 4]));
await out.print();
await layer.weight.data().print();

// --- chain layers into a network ---
const net = new nn.Sequential();
net.add(
  new nn.Conv2D(6, 5, { activation: 'relu' }),
  new nn.MaxPool2D(2, 2),
  new nn.Conv2D(16, 3, { activation: 'relu' }),
  new nn.MaxPool2D(2, 2),
  // the dense layer folds the 4-D output of the last pooling into 2-D by itself
  new nn.Dense(120, { activation: 'relu' }),
  new nn.Dense(84, { activation: 'relu' }),
  new nn.Dense(10),
);
console.log(String(net));

net.initialize();
const pictures = nd.random.uniform({ shape: [4, 1, 28, 28] });
const y = net(pictures);
console.log(y.shape);
console.log(net[0].weight.data().shape, net[5].bias.data().shape);

// --- a flexible network of one's own ---
class MixMLP extends nn.Block {
  blk = new nn.Sequential();
  dense = new nn.Dense(5);

  constructor() {
    super();
    this.blk.add(new nn.Dense(3, { activation: 'relu' }), new nn.Dense(4, { activation: 'relu' }));
  }

  forward(x: NDArray): NDArray {
    const hidden = nd.relu(this.blk(x));
    void hidden.print();
    return this.dense(hidden);
  }
}

const mix = new MixMLP();
console.log(String(mix));
mix.initialize();
await mix(nd.random.uniform({ shape: [2, 2] })).print();
await mix.blk[1].weight.data().print();
