// What the passes make of networks: how many kernels they are, which ones (snapshots), and that they compute the same.
import { describe, expect, test } from 'vitest';
import type { NDArray } from '../../array/ndarray.ts';
import { bodyOf } from '../../array/ndarray.ts';
import { record } from '../../autograd/api.ts';
import { cpu } from '../../core/context.ts';
import { CpuDevice } from '../../device/cpu/cpuDevice.ts';
import { deviceOf } from '../../device/registry.ts';
import { L2Loss, SoftmaxCrossEntropyLoss } from '../../gluon/loss/index.ts';
import * as nn from '../../gluon/nn/index.ts';
import { Trainer } from '../../gluon/trainer.ts';
import type { Graph } from '../../ir/graph.ts';
import * as nd from '../../nd/index.ts';
import type { Limits } from '../fuse/expressions.ts';
import { lower } from '../lower.ts';
import { faultsOf, interpret, plainly } from '../testGraphs.ts';
import { fullText } from '../testText.ts';
import { Recorder } from '../trace.ts';
import { optimize } from './optimize.ts';

const LIMITS: readonly Limits[] = [
  { kind: 'cpu', maxBindings: 12 },
  { kind: 'gpu', maxBindings: 8 },
];

type Net = nn.HybridBlock & ((x: NDArray) => NDArray);

/** A call as a graph, with the bytes of its inputs as they were before. */
interface Case {
  readonly graph: Graph;
  readonly inputs: readonly Uint8Array[];
  readonly scalars: readonly number[];
}

function bytesOfArray(x: NDArray): Uint8Array {
  const { storage } = bodyOf(x, 'test');
  const bytes = deviceOf(cpu(0)).readSync({ storage, at: 0, bytes: storage.bytes });
  return new Uint8Array(bytes as ArrayBuffer);
}

function traced(
  args: readonly NDArray[],
  fn: () => NDArray,
  inference: boolean,
  scalars: number[] = [],
): Case {
  // what waits for shapes gets its values
  fn();
  const held = new Map<NDArray, Uint8Array>();
  const recorder = new Recorder({ name: 'net', context: cpu(0), args });
  const y = recorder.run(() => {
    for (const x of args) held.set(x, bytesOfArray(x));
    return fn();
  });
  const trace = recorder.finish([y]);
  const { graph } = lower(trace, {
    outputs: trace.results.map((r) => r.value),
    writes: true,
    stable: ({ argument }) => inference && argument === null,
  });
  // the parameters as they are now: any will do
  const inputs = trace.externals.map(({ array, argument }) =>
    argument === null ? bytesOfArray(array as NDArray) : (held.get(args[argument] as NDArray) as Uint8Array),
  );
  return { graph, inputs, scalars: Array.from({ length: graph.scalars }, (_, i) => scalars[i] ?? 0.1) };
}

function noise(shape: readonly number[]): NDArray {
  const size = shape.reduce((n, d) => n * d, 1);
  return nd.array(
    Float32Array.from({ length: size }, (_, i) => Math.sin(i * 12.9898) % 1),
    { shape },
  );
}

function lenet(): Net {
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
  return net as unknown as Net;
}

class Residual extends nn.HybridBlock {
  readonly conv1 = new nn.Conv2D(4, 3, { padding: 1, useBias: false });
  readonly bn1 = new nn.BatchNorm();
  readonly conv2 = new nn.Conv2D(4, 3, { padding: 1, useBias: false });
  readonly bn2 = new nn.BatchNorm();

  override forward(x: NDArray): NDArray {
    const y = this.bn1(this.conv1(x)).relu();
    return this.bn2(this.conv2(y)).add(x).relu();
  }
}

class Attention extends nn.HybridBlock {
  readonly query = new nn.Dense(8, { flatten: false });
  readonly key = new nn.Dense(8, { flatten: false });
  readonly value = new nn.Dense(8, { flatten: false });
  readonly out = new nn.Dense(8, { flatten: false });
  readonly up = new nn.Dense(16, { flatten: false });
  readonly down = new nn.Dense(8, { flatten: false });
  readonly norm1 = new nn.LayerNorm();
  readonly norm2 = new nn.LayerNorm();

  override forward(x: NDArray): NDArray {
    const [batch, length] = x.shape;
    const heads = (y: NDArray): NDArray => y.reshape([batch, length, 2, 4]).transpose([0, 2, 1, 3]);
    const h = this.norm1(x);
    const scores = nd.matmul(heads(this.query(h)), heads(this.key(h)), { transposeB: true });
    const mixed = nd.matmul(nd.softmax(scores.mul(0.5)), heads(this.value(h)));
    const y = x.add(this.out(mixed.transpose([0, 2, 1, 3]).reshape([batch, length, 8])));
    return y.add(this.down(nd.gelu(this.up(this.norm2(y)))));
  }
}

function inference(net: Net, shape: readonly number[]): Case {
  nd.random.seed(3);
  net.initialize('xavier');
  const x = noise(shape);
  return traced([x], () => net(x), true);
}

function training(
  net: Net,
  shape: readonly number[],
  label: NDArray,
  lossFn: L2Loss | SoftmaxCrossEntropyLoss,
): Case {
  nd.random.seed(3);
  net.initialize('xavier');
  const x = noise(shape);
  net(x);
  const trainer = new Trainer(net.collectParams(), 'sgd', { learningRate: 0.01 });
  return traced(
    [x, label],
    () => {
      const loss = record(() => lossFn(net(x), label));
      loss.backward();
      trainer.step(shape[0] as number);
      return loss;
    },
    false,
  );
}

/** Kernels besides the updates, which run as one on a GPU. */
function kernels(graph: Graph): number {
  return graph.nodes.filter((n) => n.kernel.kind !== 'update').length;
}

async function expectSame({ graph, inputs, scalars }: Case, fused: Graph, within: number): Promise<void> {
  expect(faultsOf(graph)).toBe('');
  expect(faultsOf(fused)).toBe('');
  const device = new CpuDevice();
  const wanted = await interpret(graph, device, inputs, scalars);
  for (const form of [fused, plainly(fused)]) {
    const found = await interpret(form, device, inputs, scalars);
    wanted.forEach((bytes, i) => {
      const [a, b] = [bytes, found[i] as Uint8Array].map((x) => new Float32Array(x.slice().buffer)) as [
        Float32Array,
        Float32Array,
      ];
      const most = a.reduce((m, v) => Math.max(m, Math.abs(v)), 1e-3);
      const worst = a.reduce((m, v, k) => Math.max(m, Math.abs(v - (b[k] as number))), 0);
      expect(worst, `output ${i}`).toBeLessThanOrEqual(within * most);
    });
  }
}

const net = (block: nn.HybridBlock): Net => block as Net;

describe.each(LIMITS)('for a $kind', (limits) => {
  test('LeNet forward: 7 kernels, bit for bit', async () => {
    const c = inference(lenet(), [2, 1, 28, 28]);
    const fused = optimize(c.graph, limits);
    expect(kernels(fused)).toBe(7);
    expect(fullText(fused)).toMatchSnapshot();
    await expectSame(c, fused, 0);
  });

  test('LeNet step with sgd: 20 kernels and the update', async () => {
    const c = training(lenet(), [2, 1, 28, 28], nd.array([3, 7]), new SoftmaxCrossEntropyLoss());
    const fused = optimize(c.graph, limits);
    expect(kernels(fused)).toBe(20);
    expect(fullText(fused)).toMatchSnapshot();
    await expectSame(c, fused, 1e-6);
  });

  test.each([1, 3])('LeNet step with a batch of %i: as many', async (batch) => {
    const labels = nd.array(Array.from({ length: batch }, (_, i) => i));
    const c = training(lenet(), [batch, 1, 28, 28], labels, new SoftmaxCrossEntropyLoss());
    const fused = optimize(c.graph, limits);
    expect(kernels(fused)).toBe(20);
    await expectSame(c, fused, 1e-6);
  });

  test('a residual block at inference: a kernel for each convolution, batch norm in the prologue', async () => {
    const c = inference(net(new Residual()), [2, 4, 6, 6]);
    const fused = optimize(c.graph, limits);
    const convolutions = fused.nodes.filter((n) => n.kernel.kind === 'product');
    expect(convolutions.map((n) => n.ops.join('+'))).toEqual([
      'convolution+batchNorm+relu',
      'convolution+batchNorm+add+relu',
    ]);
    expect(fullText(fused)).toMatchSnapshot();
    await expectSame(c, fused, 1e-6);
  });

  test('a residual block in training', async () => {
    const c = training(net(new Residual()), [2, 4, 6, 6], noise([2, 4, 6, 6]), new L2Loss());
    const fused = optimize(c.graph, limits);
    expect(kernels(fused)).toBeLessThanOrEqual(32);
    expect(fullText(fused)).toMatchSnapshot();
    await expectSame(c, fused, 1e-5);
  });

  test('an attention block: heads are neither copied nor scaled by kernels of their own', async () => {
    const c = inference(net(new Attention()), [2, 5, 8]);
    const fused = optimize(c.graph, limits);
    // two norms, six dense layers, two products of heads, softmax
    expect(kernels(fused)).toBe(11);
    expect(fullText(fused)).toMatchSnapshot();
    await expectSame(c, fused, 0);
  });

  test('an attention block in training', async () => {
    const c = training(net(new Attention()), [2, 5, 8], noise([2, 5, 8]), new L2Loss());
    const fused = optimize(c.graph, limits);
    expect(fused.nodes.filter((n) => n.ops.join() === 'transpose')).toEqual([]);
    expect(fullText(fused)).toMatchSnapshot();
    await expectSame(c, fused, 1e-5);
  });
});
