// hybridize() as somebody uses it who knows Gluon and has not read how it is built: state on fields, steps through time, penalties on gradients, a GPU that goes away. What each gives is
// compared with a second net of the same values that runs eagerly.
import { expect, test, vi } from 'vitest';
import { autograd, type Context, cpu, gluon, gpu, type NDArray, nd, nn, openGpu, random } from 'webgluon';
import { eachDevice } from './devices.ts';
import { ramp } from './hybridNets.ts';

eachDevice((ctx: Context) => {
  const near = ctx.deviceType === 'cpu' ? 6 : 4;
  const array = (...shape: number[]): NDArray => ramp(...shape).asInContext(ctx);
  const values = async (x: NDArray): Promise<number[]> => [...(await x.data())];

  async function expectSame(own: NDArray, eager: NDArray, what = ''): Promise<void> {
    const [a, b] = [await values(own), await values(eager)];
    expect(a, what).toHaveLength(b.length);
    for (const [i, value] of b.entries()) expect(a[i], `${what} [${i}]`).toBeCloseTo(value, near);
  }

  /** Two nets of the same values: one hybridized, one that is not. */
  function twins<B extends nn.Block>(make: () => B): [B, B] {
    const [own, eager] = [0, 1].map(() => {
      random.seed(5);
      const net = make();
      net.initialize({ init: 'xavier', ctx });
      return net;
    }) as [B, B];
    own.hybridize();
    return [own, eager];
  }

  const mlp = (): nn.HybridSequential =>
    new nn.HybridSequential().add(
      new nn.Dense(6, { activation: 'tanh', inUnits: 4 }),
      new nn.Dense(2, { inUnits: 6 }),
    );

  test('the mode by name is the mode by position, and finds its program', () => {
    const [net] = twins(mlp);
    const x = array(3, 4);
    for (let i = 0; i < 3; i++) {
      autograd.record(() => net(x), { trainMode: false });
      autograd.record(() => net(x), false);
    }
    expect(net.cacheInfo()).toMatchObject({ hits: 5, misses: 1 });
    expect(autograd.record(() => autograd.isTraining(), { trainMode: false })).toBe(false);
    expect(autograd.record(() => autograd.isTraining(), {})).toBe(true);
    expect(autograd.pause(() => autograd.isTraining(), { trainMode: true })).toBe(true);
    {
      using _ = autograd.record({ trainMode: false });
      expect([autograd.isRecording(), autograd.isTraining()]).toEqual([true, false]);
    }
    expect(() => autograd.record(() => 1, { train_mode: true } as object)).toThrow(/Did you mean trainMode/);
    expect(() => autograd.record(() => 1, 0 as unknown as boolean)).toThrow(/^\[record\] expected/);
    expect(() => autograd.record(x as never)).toThrow(/\[record\] expected a callback/);
    expect(autograd.isRecording()).toBe(false);
  });

  test('options that are neither true nor false are refused, and change nothing', () => {
    const [net] = twins(mlp);
    const x = array(3, 4);
    net(x);
    for (const name of ['active', 'staticAlloc', 'staticShape', 'fallback'])
      expect(() => net.hybridize({ [name]: 'yes' })).toThrow(
        `[HybridSequential.hybridize] expected ${name} to be true or false, received "yes".`,
      );
    net(x);
    expect(net.cacheInfo()).toMatchObject({ hits: 1, misses: 1 });
    net.hybridize(true, { staticAlloc: undefined, staticShape: undefined });
    expect(net.cacheInfo().eager).toBe(null);
  });

  test('a child or an array that comes to an empty field, and an array replaced by another', async () => {
    class Growing extends nn.HybridBlock {
      first = new nn.Dense(3, { inUnits: 4 });
      second: nn.Dense | null = null;
      shift: NDArray | undefined = undefined;

      forward(x: NDArray): NDArray {
        let y = this.first(x);
        if (this.second !== null) y = this.second(y);
        return this.shift === undefined ? y : y.add(this.shift);
      }
    }
    const [own, eager] = twins(() => new Growing());
    const x = array(2, 4);
    const compare = async (why: RegExp): Promise<void> => {
      for (let i = 0; i < 3; i++) await expectSame(own(x), eager(x), String(why));
      expect(own.cacheInfo().why).toMatch(why);
    };
    await compare(/the first call/);
    for (const net of [own, eager]) {
      net.second = new nn.Dense(2, { inUnits: 3 });
      net.second.initialize({ init: 'ones', ctx });
    }
    await compare(/second of .* was replaced/);
    for (const shift of [array(2, 2), array(2, 1), undefined]) {
      own.shift = eager.shift = shift;
      await compare(/shift of .* was replaced/);
    }
    expect(own.cacheInfo().misses).toBe(5);
  });

  test('a state in a field that is another array at every call: right, and after some calls eager', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    try {
      class Stateful extends nn.HybridBlock {
        cell = new nn.Dense(3, { inUnits: 3, activation: 'tanh' });
        state: NDArray = nd.zeros([2, 3], { ctx });

        forward(x: NDArray): NDArray {
          return this.cell(x).add(this.state);
        }
      }
      const [own, eager] = twins(() => new Stateful());
      const x = array(2, 3);
      for (let i = 0; i < 8; i++) {
        own.state = own(x);
        eager.state = eager(x);
        await expectSame(own.state, eager.state, `call ${i}`);
      }
      expect(own.cacheInfo().eager).toMatch(
        /^state of .* was replaced before every call\. Give what changes as an argument/,
      );
      expect(warn).toHaveBeenCalledTimes(1);
      // once it stays, hybridize() tries again
      own.hybridize();
      for (let i = 0; i < 3; i++) await expectSame(own(x), eager(x));
      expect(own.cacheInfo()).toMatchObject({ hits: 2, eager: null });
    } finally {
      warn.mockRestore();
    }
  });

  test('a generator that forward begins anew is refused: a replay would not', () => {
    class Seeding extends nn.HybridBlock {
      forward(x: NDArray): NDArray {
        random.seed(3);
        return x.add(nd.random.uniform(0, 1, [2], { ctx }));
      }
    }
    const net = new Seeding();
    net.hybridize();
    const x = array(2);
    expect(() => net(x)).toThrow(
      /\] expected no generator to begin anew inside a call that is compiled, received random\.seed: .* Call it before\.$/,
    );
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    net.hybridize({ fallback: true });
    const [a, b] = [net(x), net(x)];
    expect(net.cacheInfo().eager).toMatch(/random\.seed/);
    warn.mockRestore();
    return expectSame(a, b);
  });

  test('results that are read late, of inputs that are gone, before weights that changed', async () => {
    const [own, eager] = twins(mlp);
    own.hybridize({ staticAlloc: true, staticShape: true });
    const pairs: [NDArray, NDArray][] = [];
    for (let i = 0; i < 10; i++) {
      const x = array(3, 4).mul(i - 4);
      pairs.push([own(x), eager(x)]);
      x.dispose();
      for (const net of [own, eager]) net[0].weight.data().imul(i % 2 === 0 ? 2 : 0.5);
    }
    await Promise.all(pairs.map(([a, b], i) => expectSame(a, b, `call ${i}`)));
  });

  test('steps through time with one cell, all on one tape, the last ones read first', async () => {
    class Cell extends nn.HybridBlock {
      i2h = new nn.Dense(5, { inUnits: 4 });
      h2h = new nn.Dense(5, { inUnits: 5 });

      forward(x: NDArray, h: NDArray): [NDArray, NDArray] {
        const next = this.i2h(x).add(this.h2h(h)).tanh();
        return [next.mul(next), next];
      }
    }
    const nets = twins(() => new Cell());
    nets[0].hybridize({ staticAlloc: true });
    const trainers = nets.map((net) => new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 }));
    const xs = array(6, 2, 4);
    for (const length of [4, 6, 2]) {
      const losses = nets.map((net, i) => {
        const loss = autograd.record(() => {
          let [sum, h] = [nd.zeros([2, 5], { ctx }), nd.zeros([2, 5], { ctx })];
          for (let t = 0; t < length; t++) {
            const [y, next] = net(xs.at(t), h);
            [sum, h] = [sum.add(y), next];
          }
          return sum.mean();
        });
        loss.backward();
        trainers[i]?.step(1);
        return loss;
      });
      await expectSame(losses[0] as NDArray, losses[1] as NDArray);
    }
    await expectSame(nets[0].h2h.weight.data(), nets[1].h2h.weight.data());
    expect(nets[0].cacheInfo().entries.length).toBeLessThanOrEqual(2);
  });

  test('a batch of nothing has gradients of zeros', async () => {
    const nets = twins(mlp);
    for (let i = 0; i < 3; i++) {
      for (const net of nets) {
        const loss = autograd.record(() => net(nd.zeros([0, 4], { ctx })).sum());
        loss.backward();
        expect(await values(loss)).toEqual([0]);
        expect(await values(net[0].weight.grad())).toEqual(new Array(24).fill(0));
      }
    }
    expect(nets[0].cacheInfo()).toMatchObject({ hits: 2, eager: null });
  });

  test('a penalty on the gradient, trained', async () => {
    const nets = twins(mlp);
    const trainers = nets.map((net) => new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.05 }));
    for (let i = 0; i < 3; i++) {
      const found = nets.map((net, k) => {
        const x = array(3, 4);
        x.attachGrad();
        const loss = autograd.record(() => {
          const y = net(x);
          const [slope] = autograd.grad([y], [x], { createGraph: true, retainGraph: true });
          return (slope as NDArray).square().sum(1).sqrt().sub(1).square().mean().add(y.mean());
        });
        loss.backward();
        trainers[k]?.step(1);
        return [loss, x.grad] as const;
      });
      const [own, eager] = found as [(typeof found)[0], (typeof found)[0]];
      await expectSame(own[0], eager[0], `loss ${i}`);
      await expectSame(own[1], eager[1], `gradient ${i}`);
    }
    await expectSame(nets[0][0].weight.data(), nets[1][0].weight.data());
  });

  test('a GPU that is closed: errors that say so, and the same net on the next one', async ({ skip }) => {
    if (ctx.deviceType === 'cpu') skip('a CPU stays');
    const [net, eager] = twins(mlp);
    const x = array(3, 4);
    for (let i = 0; i < 2; i++) net(x);
    const expected = await values(eager(x));
    const bytes = await net.saveParameters();
    const recorded = autograd.record(() => net(x).sum());
    await gpu().close();
    try {
      expect(() => net.graph([3, 4])).toThrow(/^\[hybridsequential\d+\] expected an open gpu\(0\)/);
      await expect(net.warmup([[5, 4]])).rejects.toThrow(
        /^\[HybridSequential\.warmup\] expected an open gpu\(0\)/,
      );
      await expect((async () => net(x).data())()).rejects.toThrow(/openGpu\(\)/);
    } finally {
      await openGpu({ allowSoftware: true });
    }
    const again = array(3, 4);
    expect(() => net(again)).toThrow(/load its parameters again/);
    expect(() => recorded.backward()).toThrow(/lost or closed/);
    await net.loadParameters(bytes, { ctx });
    for (let i = 0; i < 3; i++)
      for (const [k, value] of (await values(net(again))).entries())
        expect(value).toBeCloseTo(expected[k] as number, near);
    expect(net.cacheInfo().entries).toHaveLength(1);
    expect(net.cacheInfo().hits).toBe(4);
  });
});

test('warming for a device that is not there names the call', async () => {
  const net = new nn.Dense(2, { inUnits: 3 });
  net.initialize({ ctx: cpu() });
  net.hybridize();
  await expect(net.warmup([[1, 3]], { ctx: gpu(1) })).rejects.toThrow(/^\[Dense\.warmup\] expected .*gpu/);
});
