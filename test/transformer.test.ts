// Six transformer blocks, built from layers, learn to reverse a sequence: called eagerly, hybridized, and as one compiled step, with the same losses.
import { expect, test } from 'vitest';
import { autograd, type Context, gluon, type NDArray, nd, nn, Parameter, random } from '../src/index.ts';
import { eachDevice } from './devices.ts';

interface Sizes {
  readonly blocks: number;
  readonly units: number;
  readonly heads: number;
  readonly length: number;
  readonly batch: number;
  readonly dropout: number;
}

const VOCABULARY = 11;

class Attention extends nn.HybridBlock {
  readonly heads: number;
  query: nn.Dense;
  key: nn.Dense;
  value: nn.Dense;
  out: nn.Dense;
  dropout: nn.Dropout;

  constructor({ units, heads, dropout }: Sizes) {
    super();
    this.heads = heads;
    const dense = (): nn.Dense => new nn.Dense(units, { flatten: false });
    [this.query, this.key, this.value, this.out] = [dense(), dense(), dense(), dense()];
    this.dropout = new nn.Dropout(dropout);
  }

  /** (batch, length, units) → (batch · heads, length, units / heads). */
  split(x: NDArray): NDArray {
    return x.reshape([0, 0, -4, this.heads, -1]).transpose([0, 2, 1, 3]).reshape([-3, 0, 0]);
  }

  forward(x: NDArray): NDArray {
    const [q, k, v] = [this.split(this.query(x)), this.split(this.key(x)), this.split(this.value(x))];
    const scores = nd.batchDot(q, k, { transposeB: true }).mul(1 / Math.sqrt(q.shape[2]));
    const mixed = nd.batchDot(this.dropout(scores.softmax(-1)), v);
    return this.out(mixed.reshape([-4, -1, this.heads, 0, 0]).transpose([0, 2, 1, 3]).reshape([0, 0, -3]));
  }
}

class TransformerBlock extends nn.HybridBlock {
  before: nn.LayerNorm;
  attention: Attention;
  between: nn.LayerNorm;
  inner: nn.Dense;
  gelu: nn.GELU;
  outer: nn.Dense;
  dropout: nn.Dropout;

  constructor(sizes: Sizes) {
    super();
    this.before = new nn.LayerNorm();
    this.attention = new Attention(sizes);
    this.between = new nn.LayerNorm();
    this.inner = new nn.Dense(2 * sizes.units, { flatten: false });
    this.gelu = new nn.GELU();
    this.outer = new nn.Dense(sizes.units, { flatten: false });
    this.dropout = new nn.Dropout(sizes.dropout);
  }

  forward(x: NDArray): NDArray {
    const y = x.add(this.dropout(this.attention(this.before(x))));
    return y.add(this.dropout(this.outer(this.gelu(this.inner(this.between(y))))));
  }
}

class Transformer extends nn.HybridBlock {
  embedding: nn.Embedding;
  positions: Parameter;
  body: nn.HybridSequential;
  norm: nn.LayerNorm;
  head: nn.Dense;

  constructor(sizes: Sizes) {
    super();
    this.embedding = new nn.Embedding(VOCABULARY, sizes.units);
    this.positions = new Parameter({ shape: [1, sizes.length, sizes.units], init: 'normal' });
    this.body = new nn.HybridSequential();
    for (let i = 0; i < sizes.blocks; i++) this.body.add(new TransformerBlock(sizes));
    this.norm = new nn.LayerNorm();
    this.head = new nn.Dense(VOCABULARY, { flatten: false });
  }

  forward(tokens: NDArray): NDArray {
    const x = this.embedding(tokens).add(this.positions.data());
    return this.head(this.norm(this.body(x)));
  }
}

type How = 'eager' | 'hybridized' | 'compiled step';

/** The losses of some steps of training, the same draws for every way of calling. */
async function losses(how: How, ctx: Context, sizes: Sizes, steps: number): Promise<number[]> {
  random.seed(7);
  const net = new Transformer(sizes);
  net.initialize('xavier', { ctx });
  const lossFn = new gluon.loss.SoftmaxCrossEntropyLoss();
  const trainer = new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.01 });
  if (how === 'hybridized') net.hybridize();
  const eager = (x: NDArray, y: NDArray): NDArray => {
    const loss = autograd.record(() => lossFn(net(x), y));
    loss.backward();
    trainer.step(x.shape[0]);
    return loss;
  };
  const compiled = gluon.compileStep(eager);
  const step = how === 'compiled step' ? compiled : eager;
  const found: number[] = [];
  for (let i = 0; i < steps; i++) {
    // three batches in turn
    const at = (row: number, column: number): number =>
      ((i % 3) * 31 + row * 7 + column * (row + 3)) % VOCABULARY;
    const rows = Array.from({ length: sizes.batch }, (_, row) =>
      Array.from({ length: sizes.length }, (_, column) => at(row, column)),
    );
    const x = nd.array(rows, { ctx });
    const y = nd.array(
      rows.map((row) => row.toReversed()),
      { ctx },
    );
    found.push(await step(x, y).mean().asscalar());
  }
  // one recording, then programs
  const info = how === 'compiled step' ? compiled.cacheInfo() : how === 'hybridized' ? net.cacheInfo() : null;
  if (info !== null) expect(info).toMatchObject({ hits: steps - 1, misses: 1 });
  net.dispose();
  return found;
}

eachDevice((ctx) => {
  const onGpu = ctx.deviceType === 'gpu';
  const sizes: Sizes = onGpu
    ? { blocks: 6, units: 8, heads: 2, length: 5, batch: 2, dropout: 0.1 }
    : { blocks: 6, units: 16, heads: 2, length: 6, batch: 4, dropout: 0.1 };
  const steps = onGpu ? 9 : 30;

  // the CPU's sums may be in another order where a fusion changed it, the GPU's always; training spreads such differences
  const digits = onGpu ? 3 : 5;
  let eager: number[] = [];

  test('six transformer blocks train', { timeout: 120_000 }, async () => {
    eager = await losses('eager', ctx, sizes, steps);
    // it begins near a guess among all tokens, and learns; each of the three batches counts alike
    const mean = (part: number[]): number => part.reduce((sum, loss) => sum + loss, 0) / part.length;
    expect(mean(eager.slice(0, 3))).toBeLessThan(1.5 * Math.log(VOCABULARY));
    expect(mean(eager.slice(-3))).toBeLessThan((onGpu ? 0.95 : 0.8) * mean(eager.slice(0, 3)));
  });

  for (const how of ['hybridized', 'compiled step'] as const)
    test(`${how}: the eager run's losses`, { timeout: 120_000 }, async () => {
      const found = await losses(how, ctx, sizes, steps);
      expect(found).toHaveLength(eager.length);
      for (const [i, loss] of found.entries())
        expect(loss, `step ${i}`).toBeCloseTo(eager[i] as number, digits);
    });
});
