// Gradients through hybridized calls: whatever a tape of single operations allows, a call that is one program allows too, with the same numbers.
import { describe, expect, test } from 'vitest';
import {
  AutogradError,
  autograd,
  type Context,
  cpu,
  gluon,
  memoryInfo,
  type NDArray,
  nd,
  nn,
  type Parameter,
} from 'webgluon';
import { eachDevice } from './devices.ts';
import { type AnyNet, type Twins, twins } from './twins.ts';
import { CLOSE, differences, numbers, type Tolerance } from './values.ts';

const toleranceOf = (ctx: Context): Tolerance =>
  ctx.deviceType === 'gpu' ? { rtol: 1e-4, atol: 1e-5 } : CLOSE;

const mlp = (): nn.Sequential =>
  new nn.Sequential().add(
    new nn.Dense(4, { activation: 'tanh', inUnits: 3 }),
    new nn.LayerNorm({ inChannels: 4 }),
    new nn.Dense(2, { inUnits: 4 }),
  );

/** Does the same to both nets, after two calls that make the second a program, and expects the same numbers. */
async function both(
  { eager, hybrid }: Twins,
  ctx: Context,
  run: (net: AnyNet) => readonly NDArray[] | Promise<readonly NDArray[]>,
  rounds = ctx.deviceType === 'gpu' ? 2 : 3,
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const seen: ArrayLike<number>[][] = [];
    for (const net of [eager, hybrid]) {
      nd.random.seed(round);
      const list: ArrayLike<number>[] = [];
      for (const x of await run(net)) list.push(await x.data());
      for (const p of net.collectParams().values())
        if (p.gradReq !== 'null') list.push(await p.grad(ctx).data());
      seen.push(list);
    }
    const [a, b] = seen as [ArrayLike<number>[], ArrayLike<number>[]];
    expect(b.length).toBe(a.length);
    for (const [i, values] of b.entries())
      expect(
        differences(values, a[i] as ArrayLike<number>, toleranceOf(ctx)),
        `round ${round}, array ${i}`,
      ).toEqual([]);
  }
  const { hits, eager: why } = hybrid.cacheInfo();
  expect(why).toBeNull();
  expect(hits).toBeGreaterThan(0);
}

const input = (ctx: Context, shape: readonly number[], seed: number): NDArray =>
  nd.array(
    numbers(
      shape.reduce((n, d) => n * d, 1),
      -1,
      1,
      seed,
    ),
    { shape, ctx },
  );

eachDevice((ctx) => {
  const x = (seed: number): NDArray => input(ctx, [2, 3], seed);

  test('called twice in one record, on different inputs and on its own output', async () => {
    await both(twins(mlp, ctx), ctx, (net) => {
      const y = autograd.record(() => (net(x(1)) as NDArray).mul(net(x(2)) as NDArray));
      y.backward();
      return [y];
    });
    const square = (): nn.Sequential =>
      new nn.Sequential().add(new nn.Dense(3, { activation: 'sigmoid', inUnits: 3 }), new nn.Dropout(0.3));
    await both(twins(square, ctx), ctx, (net) => {
      const y = autograd.record(() => net(net(net(x(3)))) as NDArray);
      y.backward();
      return [y];
    });
  });

  test('a second backward with retainGraph, none without', async () => {
    await both(twins(mlp, ctx), ctx, (net) => {
      const given = x(4);
      given.attachGrad('add');
      const y = autograd.record(() => net(given) as NDArray);
      y.backward(null, { retainGraph: true });
      y.backward();
      expect(() => y.backward()).toThrow(AutogradError);
      expect(() => y.backward()).toThrow(/retainGraph/);
      return [given.grad];
    });
  });

  test('gradReq add and null, which may change between calls', async () => {
    await both(
      twins(mlp, ctx),
      ctx,
      (net) => {
        const [first, ...rest] = [...net.collectParams().values()];
        (first as Parameter).gradReq = 'add';
        for (const p of rest) p.gradReq = 'write';
        for (let i = 0; i < 3; i++) autograd.record(() => net(x(5)) as NDArray).backward();
        (rest[1] as Parameter).gradReq = 'null';
        for (let i = 0; i < 2; i++) autograd.record(() => net(x(6)) as NDArray).backward();
        return [];
      },
      2,
    );
  });

  test('autograd.grad by inputs, by parameters and by what comes between', async () => {
    await both(twins(mlp, ctx), ctx, (net) => {
      const given = x(7);
      given.attachGrad();
      const weight = [...net.collectParams().values()][0]?.data(ctx) as NDArray;
      const [middle, y] = autograd.record(() => {
        const twice = given.mul(2);
        return [twice, (net(twice) as NDArray).square()] as const;
      });
      const gradients = autograd.grad(y, [given, weight, middle], { retainGraph: true });
      y.backward();
      return [...gradients, given.grad];
    });
  });

  test('second derivatives, by createGraph', async () => {
    const smooth = (): nn.Sequential =>
      new nn.Sequential().add(
        new nn.Dense(4, { activation: 'tanh', inUnits: 3 }),
        new nn.Dropout(0.5),
        new nn.BatchNorm({ inChannels: 4 }),
        new nn.Dense(1, { activation: 'sigmoid', inUnits: 4 }),
      );
    await both(twins(smooth, ctx), ctx, (net) => {
      const given = x(8);
      given.attachGrad();
      const penalty = autograd.record(() => {
        const y = net(given) as NDArray;
        const [dx] = autograd.grad(y, [given], { createGraph: true });
        return (dx as NDArray).square().sum();
      });
      penalty.backward();
      const state = [...net.collectParams().values()]
        .filter((p) => p.gradReq === 'null')
        .map((p) => p.data(ctx));
      return [penalty, given.grad, ...state];
    });
  });

  test('results of which some, and some parts, are used', async () => {
    class Three extends nn.HybridBlock {
      body = new nn.Dense(4, { inUnits: 3 });
      forward(x: NDArray): [NDArray, { root: NDArray }, NDArray] {
        const y = this.body(x);
        // at 0 the gradient of a root is infinite: only who asks for it may see that
        return [y, { root: y.relu().sqrt() }, y.argmax(1)];
      }
    }
    await both(
      twins(() => new Three(), ctx),
      ctx,
      (net) => {
        const given = x(9);
        given.attachGrad();
        const [y, root, most, part] = autograd.record(() => {
          const [all, named, place] = net(given) as [NDArray, { root: NDArray }, NDArray];
          return [all, named.root, place, all.sliceAxis(1, 0, 2)] as const;
        });
        part.backward();
        const first = given.grad.copy();
        const [again, other] = autograd.record(() => net(given)) as [NDArray, { root: NDArray }];
        autograd.backward([again, other.root]);
        const [, last] = autograd.record(() => net(given)) as [NDArray, { root: NDArray }];
        last.root.backward();
        return [y, root, most, first];
      },
    );
  });

  test('within a net that is not hybridized, and around one', async () => {
    class Outer extends nn.Block {
      first = new nn.Dense(5, { inUnits: 3, activation: 'relu' });
      body = mlpOf(5);
      last = new nn.Dense(2, { inUnits: 2 });
      forward(x: NDArray): NDArray {
        return this.last(
          this.body(this.first(x))
            .add(x.sliceAxis(1, 0, 2))
            .tanh(),
        );
      }
    }
    const pair = twins(() => new Outer(), ctx);
    for (let round = 0; round < 3; round++) {
      const seen: ArrayLike<number>[][] = [];
      for (const net of [pair.eager, pair.hybrid]) {
        const y = autograd.record(() => net(x(10 + round)) as NDArray);
        y.backward();
        const list: ArrayLike<number>[] = [await y.data()];
        for (const p of net.collectParams().values()) list.push(await p.grad(ctx).data());
        seen.push(list);
      }
      seen[1]?.forEach((values, i) => {
        expect(differences(values, seen[0]?.[i] as ArrayLike<number>, toleranceOf(ctx))).toEqual([]);
      });
    }
    const outer = pair.hybrid as unknown as Outer;
    expect(outer.cacheInfo().hits).toBe(0);
    for (const part of [outer.first, outer.body, outer.last])
      expect(part.cacheInfo()).toMatchObject({ hits: 2, misses: 1 });
  });
});

const mlpOf = (inUnits: number): nn.Sequential =>
  new nn.Sequential().add(new nn.Dense(4, { activation: 'tanh', inUnits }), new nn.Dense(2, { inUnits: 4 }));

describe('on the tape', () => {
  const ctx = cpu();
  const x = (seed: number): NDArray => input(ctx, [2, 3], seed);

  test('parameters that two layers share have one gradient', async () => {
    class Tied extends nn.HybridBlock {
      a = new nn.Dense(3, { inUnits: 3, activation: 'tanh' });
      b = new nn.Dense(3, { inUnits: 3, params: this.a.params });
      forward(x: NDArray): NDArray {
        return this.b(this.a(x)).add(this.a(x.mul(2)));
      }
    }
    await both(
      twins(() => new Tied(), ctx),
      ctx,
      (net) => {
        expect([...net.collectParams().values()].length).toBe(2);
        autograd.record(() => net(x(1)) as NDArray).backward();
        return [];
      },
    );
  });

  test('what forward does off the tape stays off it', async () => {
    class Paused extends nn.HybridBlock {
      body = new nn.Dense(3, { inUnits: 3 });
      forward(x: NDArray): NDArray {
        const y = this.body(x);
        const scale = autograd.pause(() => y.square().mean());
        return y.div(scale).add(y.detach().mul(3)).mul(nd.blockGrad(x));
      }
    }
    await both(
      twins(() => new Paused(), ctx),
      ctx,
      (net) => {
        const given = x(2);
        given.attachGrad();
        const y = autograd.record(() => net(given) as NDArray);
        y.backward();
        return [y, given.grad];
      },
    );
  });

  test('functions with gradients of the user’s own', async () => {
    class Clipped extends autograd.Function {
      forward(x: NDArray): NDArray {
        const y = nd.sigmoid(x);
        this.saveForBackward(x, y);
        return y;
      }
      backward(dy: NDArray): NDArray {
        const [x, y] = this.savedTensors;
        return dy.mul(y).clip(-0.1, 0.1).add(x.mul(0.5));
      }
    }
    class Custom extends nn.HybridBlock {
      body = new nn.Dense(3, { inUnits: 3 });
      forward(x: NDArray): NDArray {
        return new Clipped()(this.body(x)).mul(2).add(new Clipped()(x));
      }
    }
    await both(
      twins(() => new Custom(), ctx),
      ctx,
      (net) => {
        const given = x(3);
        given.attachGrad();
        const [y, z] = autograd.record(() => {
          const [first, second] = [net(given), net(given.mul(2))] as [NDArray, NDArray];
          return [first, first.add(second)] as const;
        });
        y.backward(null, { retainGraph: true });
        const before = given.grad.copy();
        z.backward();
        return [y, z, before, given.grad];
      },
    );
  });

  test('a weight that was written before backward is noticed', () => {
    const { hybrid } = twins(mlp, ctx);
    for (let i = 0; i < 3; i++) {
      const y = autograd.record(() => hybrid(x(4)) as NDArray);
      const weight = [...hybrid.collectParams().values()][0]?.data() as NDArray;
      weight.iadd(0);
      const last = [...hybrid.collectParams().values()].at(-2)?.data() as NDArray;
      last.iadd(0);
      expect(() => y.backward()).toThrow(AutogradError);
      expect(() => y.backward()).toThrow(/written in place/);
      autograd.record(() => hybrid(x(4)) as NDArray).backward();
    }
  });

  test('a call whose gradient nobody wants keeps nothing', () => {
    const net = new nn.Activation('tanh');
    net.hybridize();
    const given = x(5);
    for (let i = 0; i < 3; i++) {
      const y = autograd.record(() => net(given));
      expect(() => y.backward()).toThrow(AutogradError);
      y.dispose();
    }
    expect(net.cacheInfo().entries[0]?.backward).toBeNull();
  });

  test('what does not depend on what was asked for says so, as eagerly', () => {
    class Apart extends nn.HybridBlock {
      body = new nn.Dense(3, { inUnits: 3 });
      forward(x: NDArray, z: NDArray): [NDArray, NDArray, NDArray] {
        const y = this.body(x);
        return [y, y.argmax(1), z.detach().mul(2)];
      }
    }
    const { eager, hybrid } = twins(() => new Apart(), ctx);
    for (let i = 0; i < 3; i++)
      for (const net of [eager, hybrid]) {
        const [given, other] = [x(5), x(6)];
        given.attachGrad();
        other.attachGrad();
        const [y, most, apart] = autograd.record(() => net(given, other)) as [NDArray, NDArray, NDArray];
        expect(() => most.backward()).toThrow(/that was not/);
        expect(() => apart.backward()).toThrow(/that was not/);
        expect(() => autograd.grad(y, [other], { retainGraph: true })).toThrow(/do not/);
        expect(autograd.grad(y, [given]).map((g) => [...g.shape])).toEqual([[2, 3]]);
      }
    expect(hybrid.cacheInfo()).toMatchObject({ hits: 2, misses: 1 });
  });

  test('a throw in a recorded first call leaves nothing half done', async () => {
    class Failing extends nn.HybridBlock {
      body = new nn.Dense(3, { inUnits: 3 });
      fails = true;
      forward(x: NDArray): NDArray {
        const y = this.body(x);
        if (this.fails) throw new Error('on purpose');
        return y.relu();
      }
    }
    const net = new Failing();
    net.initialize();
    net.hybridize();
    const given = x(6);
    const before = memoryInfo(ctx);
    for (let i = 0; i < 2; i++) expect(() => autograd.record(() => net(given))).toThrow('on purpose');
    expect(memoryInfo(ctx)).toMatchObject({ bytesInUse: before.bytesInUse, arrays: before.arrays });
    expect(net.cacheInfo()).toMatchObject({ hits: 0, misses: 2, entries: [] });
    net.fails = false;
    for (let i = 0; i < 3; i++) autograd.record(() => net(given)).backward();
    expect(net.cacheInfo()).toMatchObject({ hits: 2, misses: 3 });
    const [weight] = [...net.collectParams().values()] as [Parameter];
    expect((await weight.grad().data()).some((v) => v !== 0)).toBe(true);
  });

  test('programs that are given up still serve the backward that is to come', async () => {
    const { eager, hybrid } = twins(mlp, ctx);
    for (let i = 0; i < 2; i++) autograd.record(() => hybrid(x(7)) as NDArray).backward();
    const heads = [eager, hybrid].map((net) => autograd.record(() => net(x(8)) as NDArray));
    hybrid.hybridize(false);
    for (const y of heads) y.backward();
    const [a, b] = [eager, hybrid].map((net) => [...net.collectParams().values()]) as [
      Parameter[],
      Parameter[],
    ];
    for (const [i, p] of b.entries())
      expect(differences(await p.grad().data(), await (a[i] as Parameter).grad().data(), CLOSE)).toEqual([]);
  });

  test('a train step of nets that feed each other', async () => {
    // a generator and a critic: one of them holds still while the other learns
    const runs: number[][] = [];
    for (const hybridized of [false, true]) {
      nd.random.seed(31);
      const made = [
        new nn.Sequential().add(
          new nn.Dense(6, { activation: 'relu', inUnits: 2 }),
          new nn.Dense(3, { inUnits: 6 }),
        ),
        new nn.Sequential().add(
          new nn.Dense(6, { activation: 'tanh', inUnits: 3 }),
          new nn.Dense(1, { inUnits: 6 }),
        ),
      ] as const;
      const loss = new gluon.loss.SigmoidBCELoss();
      for (const net of made) net.initialize('xavier');
      if (hybridized) for (const net of [...made, loss]) net.hybridize();
      const [generator, critic] = made;
      const trainers = made.map(
        (net) => new gluon.Trainer(net.collectParams(), 'adam', { learningRate: 0.01 }),
      );
      const seen: number[] = [];
      for (let step = 0; step < 6; step++) {
        const z = nd.random.normal(0, 1, [4, 2]);
        const real = nd.random.normal(1, 1, [4, 3]);
        const judged = autograd.record(() => {
          const fake = generator(z).detach();
          return loss(critic(real), nd.ones([4, 1])).add(loss(critic(fake), nd.zeros([4, 1])));
        });
        judged.backward();
        trainers[1]?.step(4);
        const fooled = autograd.record(() => loss(critic(generator(z)), nd.ones([4, 1])));
        fooled.backward();
        trainers[0]?.step(4);
        seen.push(...(await judged.data()), ...(await fooled.data()));
      }
      runs.push(seen);
    }
    expect(differences(runs[1] as number[], runs[0] as number[], { rtol: 1e-4, atol: 1e-6 })).toEqual([]);
  });
});
