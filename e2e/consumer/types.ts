// Type test of the built declarations, compiled by a consumer with `lib: es2022, dom` and `skipLibCheck: false`, under
// both module resolutions (scripts/test-package.mjs), and by the project itself against the sources. It never runs.

import type { DType, NDArray, Shape } from 'webgluon';
import * as webgluon from 'webgluon';
import {
  autograd,
  cpu,
  debug,
  gluon,
  init,
  metric,
  nd,
  nn,
  Parameter,
  profile,
  ShapeError,
  setNumThreads,
  viz,
  withContext,
} from 'webgluon';

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_yes: Equal<A, B>): void => {};

export async function arrays(): Promise<void> {
  using x = nd.array(
    [
      [1, 2],
      [3, 4],
    ],
    { ctx: cpu(), dtype: 'float32' },
  );
  const dtype: DType = x.dtype;
  const shape: Shape = x.shape;
  // A number, not `number | undefined`, under noUncheckedIndexedAccess.
  same<Shape[0], number>(true);
  const rows: number = x.shape[0];
  const flat: Float32Array<ArrayBuffer> = await x.data('float32');
  const y: NDArray = x.add(1).mul(x).sum(0, { keepdims: true });
  // Optional members take an explicit undefined under exactOptionalPropertyTypes.
  nd.zeros([2, 3], { ctx: undefined, dtype: undefined });
  // @ts-expect-error a dtype that does not exist
  nd.zeros([2, 3], { dtype: 'float63' });
  for (const row of x) await row.print();
  console.log(dtype, shape, rows, flat.length, String(y), webgluon.nd === nd);
}

class MixMLP extends nn.Block {
  blk = new nn.Sequential();
  dense = new nn.Dense(5);
  constructor() {
    super();
    this.blk.add(new nn.Dense(3, { activation: 'relu' }), new nn.Dense(4, { activation: 'relu' }));
  }
  forward(x: NDArray): NDArray {
    const y = nd.relu(this.blk(x));
    void y.print();
    return this.dense(y);
  }
}

export function blocks(): void {
  const net = new MixMLP();
  net.initialize();
  const y = net(nd.ones([2, 2]));
  same<typeof y, NDArray>(true);
  // @ts-expect-error a block's call takes what its forward takes
  net('x');
  const weight: NDArray = net.blk[1].weight.data();
  const layers = new nn.Sequential();
  layers.add(new nn.Conv2D(6, 5, { activation: 'relu' }), new nn.MaxPool2D(2, 2), new nn.Flatten());
  const first: NDArray = layers[0].weight.data();
  // @ts-expect-error what Gluon's users give by position is needed
  new nn.Dense();
  console.log(weight.shape[0], first.size, new ShapeError('x') instanceof Error);
}

class Scaled extends nn.Block {
  scale = new Parameter({ shape: [0, 4], init: 'ones' });
  override inferShape(x: NDArray): void {
    this.scale.shape = [1, x.shape[1]];
  }
  forward(x: NDArray, factor: number): [NDArray, { readonly text: string }] {
    return [x.mul(this.scale.data()).mul(factor), { text: String(x) }];
  }
}

/** The forms of calls that API.md names, and what they give. */
export async function calls(x: NDArray): Promise<void> {
  const [y, { text }] = new Scaled()(x, 2);
  // @ts-expect-error a block's call takes all that its forward takes
  new Scaled()(x);
  same<typeof text, string>(true);
  const [values, indices] = x.topk(2, { retTyp: 'both' });
  const top: NDArray = x.topk({ k: 2, axis: 0 });
  const parts: NDArray[] = x.split(3, { axis: 1, squeezeAxis: true });
  x.sum({ axis: 1, keepdims: true }).norm(0, { exclude: true }).reshape([0, -1]);
  x.set([':', '1:3'], 2).at(null, '...', [0, 1], Int32Array.of(1));
  nd.dot(x, x, { transposeA: true });
  nd.where(x.greater(1), 1, x);
  nd.random.uniform({ shape: [2, 2] });
  // @ts-expect-error a scope's callback returns at once
  nd.scope(async () => 1);
  // @ts-expect-error a context's, too
  withContext(cpu(), async () => 1);
  const net = new nn.Sequential().add(new nn.Lambda('relu'), new nn.Lambda((z: NDArray) => z.mul(2)));
  net.initialize(new init.Xavier({ magnitude: 2 }), { ctx: cpu(), forceReinit: undefined });
  for (const layer of net) console.log(layer.name);
  net.registerForwardHook((block, _inputs, output) => console.log(block.length, output.shape[0])).detach();
  const bytes: Uint8Array<ArrayBuffer> = await net.saveParameters();
  await net.loadParameters(bytes, {
    rename: { a: 'b' },
    onProgress: ({ done, total }) => console.log(done, total),
  });
  const parameters: Map<string, Parameter> = net.collectParams('.*weight');
  console.log(y.size, values.size, indices.size, top.size, parts.length, parameters.size);
}

/** What API.md names under "Compiled". */
export async function compiled(net: nn.HybridSequential, trainer: gluon.Trainer): Promise<void> {
  net.hybridize({ staticAlloc: true, staticShape: undefined });
  net.hybridize(false);
  await net.warmup([[1, 1, 28, 28]], {
    training: true,
    dtype: 'float32',
    onProgress: ({ done, total, unit }) => console.log(done, total, unit),
    signal: undefined,
  });
  const { hits, entries } = net.cacheInfo();
  const text: string = net.graph(nd.ones([1, 1, 28, 28])) + net.graph([1, 1, 28, 28]);
  const svg: string =
    viz.plotNetwork(net, [1, 1, 28, 28]) +
    viz.plotNetwork(
      net,
      [
        [1, 2],
        [2, 3],
      ],
      { fused: true },
    );
  const threads: number = await setNumThreads(0);
  debug({ callSites: true, nan: undefined });
  const { value, kernels, totalMs } = await profile(() => net(nd.ones([1, 1, 28, 28])));
  same<typeof value, NDArray>(true);
  const waited = await profile(async () => 1);
  same<typeof waited.value, number>(true);
  for (const { name, count, ms, share } of kernels) console.log(name.length, count + ms + share);
  const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
  const step = gluon.compileStep((x: NDArray, y: NDArray) => {
    const loss = autograd.record(() => lossFn(net(x), y));
    loss.backward();
    trainer.step(x.shape[0]);
    return loss;
  });
  const loss: NDArray = step(nd.ones([2, 3]), nd.ones([2]));
  new metric.Loss().update(null, loss);
  const both = gluon.compileStep((x: NDArray) => ({ x, pair: [x, x] as const }));
  same<ReturnType<typeof both>['x'], NDArray>(true);
  // @ts-expect-error a step's inputs are arrays
  gluon.compileStep((text: string) => text);
  console.log(hits, entries.length, text, svg, threads, totalMs);
}
