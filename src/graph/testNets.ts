// Nets for the tests of traces: what layers and users' own forwards do, small.
import type { NDArray } from '../array/ndarray.ts';
import { bodyOf } from '../array/ndarray.ts';
import { Function } from '../autograd/api.ts';
import { bytesOf, type DType } from '../core/dtype.ts';
import * as loss from '../gluon/loss/index.ts';
import * as nn from '../gluon/nn/index.ts';
import * as nd from '../nd/index.ts';
import type { External } from './trace.ts';

export interface NetCase {
  readonly name: string;
  /** Types of the inputs. */
  readonly inputs: readonly { readonly shape: readonly number[]; readonly dtype?: DType }[];
  /** A block, or a function over arrays that it captures. */
  make(): (...inputs: NDArray[]) => NDArray | NDArray[];
  /** Values of integer inputs are below this. */
  readonly below?: number;
}

class Attention extends nn.HybridBlock {
  readonly query = new nn.Dense(8, { flatten: false });
  readonly key = new nn.Dense(8, { flatten: false });
  readonly value = new nn.Dense(8, { flatten: false });
  readonly norm = new nn.LayerNorm();

  override forward(x: NDArray): NDArray {
    const [batch, length] = x.shape as unknown as [number, number];
    const heads = (y: NDArray): NDArray =>
      y
        .reshape([batch, length, 2, 4])
        .transpose([0, 2, 1, 3])
        .reshape([batch * 2, length, 4]);
    const weights = nd.softmax(
      nd.batchDot(heads(this.query(x)), heads(this.key(x)), { transposeB: true }).div(2),
    );
    const mixed = nd.batchDot(weights, heads(this.value(x)));
    const back = mixed.reshape([batch, 2, length, 4]).transpose([0, 2, 1, 3]).reshape([batch, length, 8]);
    return this.norm(x.add(back));
  }
}

class Branching extends nn.HybridBlock {
  readonly wide: nn.Dense;
  readonly narrow: nn.Dense;

  constructor(inUnits: number) {
    super();
    this.wide = new nn.Dense(5, { inUnits });
    this.narrow = new nn.Dense(5, { inUnits, activation: 'tanh' });
  }

  override forward(x: NDArray): NDArray[] {
    let y = (x.shape[0] as number) > 2 ? this.wide(x) : this.narrow(x);
    for (let i = 0; i < (x.shape[1] as number); i++) y = y.mul(0.5).add(y.square());
    return [y, y.detach().mul(this.wide(x)), x];
  }
}

class Cube extends Function {
  override forward(x: NDArray): NDArray {
    this.saveForBackward(x);
    return x.mul(x).mul(x);
  }

  override backward(dy: NDArray): NDArray {
    const [x] = this.savedTensors;
    // not the true gradient, so that it shows who computed it
    return dy.mul(x).mul(7);
  }
}

export const nets: readonly NetCase[] = [
  {
    name: 'LeNet',
    inputs: [{ shape: [2, 1, 28, 28] }],
    make: () =>
      new nn.HybridSequential().add(
        new nn.Conv2D(6, 5, { activation: 'relu' }),
        new nn.MaxPool2D(2, 2),
        new nn.Conv2D(16, 3, { activation: 'relu' }),
        new nn.MaxPool2D(2, 2),
        new nn.Flatten(),
        new nn.Dense(30, { activation: 'relu' }),
        new nn.Dense(10),
      ),
  },
  {
    name: 'batch norm and dropout',
    inputs: [{ shape: [3, 2, 5, 5] }],
    make: () =>
      new nn.HybridSequential().add(
        new nn.Conv2D(4, 3, { padding: 1, useBias: false }),
        new nn.BatchNorm(),
        new nn.Activation('relu'),
        new nn.Dropout(0.5),
        new nn.GlobalAvgPool2D(),
        new nn.Dense(3),
        new nn.Dropout(0.3),
      ),
  },
  { name: 'attention', inputs: [{ shape: [2, 3, 8] }], make: () => new Attention() },
  { name: 'branches on shapes, several results', inputs: [{ shape: [3, 2] }], make: () => new Branching(2) },
  { name: 'the other branch', inputs: [{ shape: [2, 3] }], make: () => new Branching(3) },
  {
    name: 'embedding and a loss',
    inputs: [
      { shape: [4], dtype: 'int32' },
      { shape: [4], dtype: 'int32' },
    ],
    below: 5,
    make: () => {
      const net = new nn.HybridSequential().add(new nn.Embedding(5, 6), new nn.Dense(5));
      const lossFn = new loss.SoftmaxCrossEntropyLoss();
      return Object.assign((x: NDArray, y: NDArray) => lossFn(net(x), y), { net });
    },
  },
  {
    name: 'indexing, joins, scatters, constants',
    inputs: [{ shape: [4, 6] }],
    make: () => (x) => {
      const rows = x.at([0, 2, 2, -1]);
      const picked = nd.pick(rows, nd.array([0, 1, 5, 2], { dtype: 'int32' }), 1);
      const joined = nd.concat([rows.slice([0, 1], [4, 4]), nd.flip(x, 1), nd.ones([4, 1])], { dim: 1 });
      const sorted = nd.sort(joined, { axis: 1 });
      return [sorted.mul(picked.reshape([4, 1])), nd.cumsum(x, 1), nd.tile(x, [1, 2]).sum(1)];
    },
  },
  {
    name: 'writes in place of what is made inside',
    inputs: [{ shape: [3, 4] }],
    make: () => (x) => {
      const y = nd.zeros([3, 4]);
      const flat = y.reshape([12]);
      y.set(1, nd.array([4, 3, 2, 1]));
      flat.imul(2);
      y.iadd(1);
      return [x.mul(y), flat.add(0)];
    },
  },
  {
    name: 'draws of all kinds',
    inputs: [{ shape: [2, 3] }],
    make: () => (x) => [
      x.mul(nd.random.uniform(0, 1, [2, 3])),
      x.add(nd.random.normal(0, 1, [2, 3])),
      nd.random.randint(0, 9, [4]),
      nd.random.shuffle(nd.arange(5)),
    ],
  },
  {
    name: 'a function with a gradient of its own',
    inputs: [{ shape: [2, 3] }],
    make: () => (x) => {
      const y = new Cube()(x.add(1)) as NDArray;
      return [y.mul(2), y];
    },
  },
];

/** The bytes of an array as they are now. */
export function bytesNow(x: NDArray): Uint8Array {
  const { device, storage } = bodyOf(x, 'test');
  const bytes = device.readSync({ storage, at: 0, bytes: x.size * bytesOf(x.dtype) });
  if (bytes === null) throw new Error('expected an array on the CPU');
  return new Uint8Array(bytes);
}

/** Inputs of a net, the same each time. */
export function inputsOf({ inputs, below = 0 }: NetCase): NDArray[] {
  return inputs.map(({ shape, dtype = 'float32' }, k) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = Array.from({ length: size }, (_, i) =>
      below > 0 ? (i * 3 + k) % below : Math.sin(i * 1.7 + k) + 0.01 * i,
    );
    return nd.array(values, { shape, dtype });
  });
}

/** The array of an external. */
export function arrayOf({ argument, array }: External, args: readonly NDArray[]): NDArray {
  const found = argument === null ? array : args[argument];
  if (found == null) throw new Error('an external is nowhere');
  return found;
}
