// Every layer and loss inside a compiled step: forward, gradients and running statistics as the same step gives them eagerly.
import { expect, test } from 'vitest';
import { autograd, type Context, gluon, type NDArray, nd, nn, random } from 'webgluon';
import { eachDevice } from './devices.ts';
import { differences, EXACT, type Tolerance } from './values.ts';

const GPU_CLOSE: Tolerance = { rtol: 2e-4, atol: 2e-6 };

type Shape = readonly number[];

const layers: Readonly<Record<string, readonly [() => nn.Layer, Shape]>> = {
  Dense: [() => new nn.Dense(3, { activation: 'sigmoid' }), [4, 5]],
  'Dense along the last axis': [() => new nn.Dense(3, { flatten: false }), [2, 3, 4]],
  Conv1D: [() => new nn.Conv1D(3, 2), [2, 2, 6]],
  Conv2D: [() => new nn.Conv2D(4, 3, { padding: 1, groups: 2, activation: 'relu' }), [2, 2, 5, 5]],
  Conv3D: [() => new nn.Conv3D(2, 2), [1, 2, 3, 3, 3]],
  Conv2DTranspose: [() => new nn.Conv2DTranspose(3, 3, { strides: 2 }), [2, 2, 3, 3]],
  MaxPool2D: [() => new nn.MaxPool2D(2, 1), [2, 2, 4, 4]],
  AvgPool2D: [() => new nn.AvgPool2D(2), [2, 2, 4, 4]],
  GlobalAvgPool2D: [() => new nn.GlobalAvgPool2D(), [2, 2, 3, 3]],
  BatchNorm: [() => new nn.BatchNorm(), [4, 3, 2, 2]],
  LayerNorm: [() => new nn.LayerNorm(), [4, 6]],
  GroupNorm: [() => new nn.GroupNorm({ numGroups: 2 }), [2, 4, 3]],
  InstanceNorm: [() => new nn.InstanceNorm(), [2, 3, 4]],
  Dropout: [() => new nn.Dropout(0.4), [4, 6]],
  Embedding: [() => new nn.Embedding(5, 3), [4]],
  PReLU: [() => new nn.PReLU(), [4, 3]],
  GELU: [() => new nn.GELU(), [4, 3]],
  ELU: [() => new nn.ELU(), [4, 3]],
  SELU: [() => new nn.SELU(), [4, 3]],
  Swish: [() => new nn.Swish(), [4, 3]],
  LeakyReLU: [() => new nn.LeakyReLU(0.1), [4, 3]],
  ReflectionPad2D: [() => new nn.ReflectionPad2D(1), [1, 2, 3, 3]],
  PixelShuffle2D: [() => new nn.PixelShuffle2D(2), [1, 4, 2, 2]],
  HybridConcurrent: [
    () => new nn.HybridConcurrent({ axis: 1 }).add(new nn.Dense(2), new nn.Dense(3, { activation: 'tanh' })),
    [4, 5],
  ],
};

/** Losses, by what they are given besides the prediction (4, 3). */
const losses: Readonly<Record<string, (ctx: Context) => [(...x: NDArray[]) => NDArray, ...NDArray[]]>> = {
  SoftmaxCrossEntropyLoss: (ctx) => [
    new gluon.loss.SoftmaxCrossEntropyLoss(),
    nd.array([0, 2, 1, 1], { ctx, dtype: 'int32' }),
  ],
  'SoftmaxCrossEntropyLoss of distributions': (ctx) => [
    new gluon.loss.SoftmaxCrossEntropyLoss({ sparseLabel: false }),
    nd.ones([4, 3], { ctx }).div(3),
  ],
  SigmoidBinaryCrossEntropyLoss: (ctx) => [
    new gluon.loss.SigmoidBinaryCrossEntropyLoss(),
    nd.ones([4, 3], { ctx }),
  ],
  L1Loss: (ctx) => [new gluon.loss.L1Loss(), nd.ones([4, 3], { ctx })],
  L2Loss: (ctx) => [
    new gluon.loss.L2Loss(),
    nd.ones([4, 3], { ctx }),
    nd.array([[1], [2], [0], [1]], { ctx }),
  ],
  HuberLoss: (ctx) => [new gluon.loss.HuberLoss(), nd.ones([4, 3], { ctx })],
  HingeLoss: (ctx) => [new gluon.loss.HingeLoss(), nd.ones([4, 3], { ctx })],
  SquaredHingeLoss: (ctx) => [new gluon.loss.SquaredHingeLoss(), nd.ones([4, 3], { ctx })],
  LogisticLoss: (ctx) => [new gluon.loss.LogisticLoss(), nd.ones([4, 3], { ctx })],
  KLDivLoss: (ctx) => [new gluon.loss.KLDivLoss({ fromLogits: false }), nd.ones([4, 3], { ctx }).div(3)],
  TripletLoss: (ctx) => [new gluon.loss.TripletLoss(), nd.ones([4, 3], { ctx }), nd.zeros([4, 3], { ctx })],
  CosineEmbeddingLoss: (ctx) => [
    new gluon.loss.CosineEmbeddingLoss(),
    nd.ones([4, 3], { ctx }),
    nd.array([1, -1, 1, 1], { ctx }),
  ],
  PoissonNLLLoss: (ctx) => {
    const loss = new gluon.loss.PoissonNLLLoss();
    return [(x, y) => loss(x, y as NDArray), nd.ones([4, 3], { ctx })];
  },
  CTCLoss: (ctx) => {
    const loss = new gluon.loss.CTCLoss({ layout: 'NTC' });
    return [(x, y) => loss(x.reshape([2, 3, 2]), y as NDArray), nd.array([[0], [0]], { ctx })];
  },
};

interface Case {
  readonly net: nn.Layer;
  readonly loss: (y: NDArray, more: readonly NDArray[]) => NDArray;
  readonly x: (i: number) => NDArray;
  readonly more: readonly NDArray[];
}

async function run(compiled: boolean, ctx: Context, make: () => Case): Promise<number[]> {
  random.seed(31);
  const { net, loss, x, more } = make();
  net.initialize({ init: 'xavier', ctx });
  const parameters = net.collectParams();
  const trainer =
    parameters.size > 0 ? new gluon.Trainer(parameters, 'sgd', { learningRate: 0.05 }) : undefined;
  const plain = (input: NDArray, ...others: NDArray[]): NDArray => {
    const y = autograd.record(() => loss(net(input), others));
    if (trainer !== undefined) {
      y.backward();
      trainer.step(2);
    }
    return y;
  };
  const program = compiled ? gluon.compileStep(plain) : undefined;
  const step = program ?? plain;
  const seen: number[] = [];
  for (let i = 0; i < 4; i++) seen.push(...(await step(x(i), ...more).data()));
  for (const p of parameters.values()) {
    seen.push(...(await p.data().data()));
    if (p.gradReq !== 'null') seen.push(...(await p.grad().data()));
  }
  if (program !== undefined) expect(program.cacheInfo().hits).toBe(3);
  return seen;
}

function values(ctx: Context, shape: Shape, i: number): NDArray {
  const size = shape.reduce((a, b) => a * b, 1);
  return nd.array(
    Float32Array.from({ length: size }, (_, k) => Math.sin(1 + k * 0.9 + i * 1.7)),
    { ctx, shape: [...shape] },
  );
}

eachDevice((ctx) => {
  const close = ctx.deviceType === 'cpu' ? EXACT : GPU_CLOSE;

  test.each(Object.keys(layers))('%s', async (name) => {
    const [make, shape] = layers[name] as (typeof layers)[string];
    const single = (): Case => ({
      net: make(),
      loss: (y) => y.square().mul(y.add(1)).mean(),
      x: (i) => (name === 'Embedding' ? nd.array([i % 5, 1, 4, 1], { ctx }) : values(ctx, shape, i)),
      more: [],
    });
    expect(differences(await run(true, ctx, single), await run(false, ctx, single), close)).toEqual([]);
  });

  test.each(Object.keys(losses))('%s', async (name) => {
    const whole = (): Case => {
      const [loss, ...more] = (losses[name] as (typeof losses)[string])(ctx);
      return {
        net: new nn.Dense(3, { inUnits: 5 }),
        loss: (y, others) => loss(y, ...others),
        x: (i) => values(ctx, [4, 5], i),
        more,
      };
    };
    expect(differences(await run(true, ctx, whole), await run(false, ctx, whole), close)).toEqual([]);
  });
});
