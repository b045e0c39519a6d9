// What a hybridized call is: when it is a program, what it gives, and that it throws, draws and frees as the eager one does.
import { describe, expect, test, vi } from 'vitest';
import {
  ArgumentError,
  autograd,
  cpu,
  gluon,
  memoryInfo,
  type NDArray,
  nd,
  nn,
  Parameter,
  ShapeError,
} from 'webgluon';
import { eachDevice } from './devices.ts';
import { eagerly, mlp, ramp } from './hybridNets.ts';
import { CLOSE, differences, numbers } from './values.ts';

describe('calls', () => {
  test('the first is recorded, those that follow are one program, whose results are the caller’s', async () => {
    const net = mlp();
    expect(net.cacheInfo()).toEqual({
      hits: 0,
      misses: 0,
      entries: [],
      why: null,
      eager: 'hybridize() was not called',
    });
    net.hybridize();
    const inputs = [1, 2, 3, 4].map((seed) => nd.array(numbers(6, -1, 1, seed), { shape: [2, 3] }));
    const results = inputs.map((x) => net(x));
    for (const [i, y] of results.entries()) {
      expect(y.shape).toEqual([2, 2]);
      expect([...(await y.data())]).toEqual(await eagerly(net, inputs[i] as NDArray));
    }
    const { hits, misses, entries, why, eager } = net.cacheInfo();
    expect({ hits, misses, eager }).toEqual({ hits: 3, misses: 1, eager: null });
    expect(entries).toMatchObject([{ key: '(2, 3) float32 on cpu(0), inference', runs: 3, backward: null }]);
    expect(entries[0]?.forward.runs).toBe(3);
    expect(why).toMatch(/first call with \(2, 3\) float32 on cpu\(0\), inference/);
  });

  test('shapes, dtypes, modes and values that are no arrays have programs of their own', async () => {
    class Many extends nn.HybridBlock {
      runs = 0;
      forward(x: NDArray, options: unknown, list?: unknown): NDArray {
        this.runs++;
        const { scale = 1, other = null } = (options ?? {}) as { scale?: number; other?: NDArray | null };
        let y = x.mul(scale);
        if (other !== null) y = y.add(other);
        for (const more of (list ?? []) as NDArray[]) y = y.add(more);
        return autograd.isTraining() ? y.neg() : y;
      }
    }
    const block = new Many();
    block.hybridize();
    const [a, b] = [nd.array([1, 2]), nd.array([10, 20])];
    const one = nd.array([1], { dtype: 'int32' });
    const calls: [() => NDArray, number[]][] = [
      [() => block(a, null), [1, 2]],
      [() => block(nd.array([1, 2, 3]), null), [1, 2, 3]],
      [() => block(one, null), [1]],
      [() => block(a, { scale: 2 }), [2, 4]],
      [() => block(a, { scale: 3 }), [3, 6]],
      [() => block(a, { scale: 2, other: b }), [12, 24]],
      [() => block(a, {}, [b]), [11, 22]],
      [() => block(a, {}, [b, b]), [21, 42]],
      [() => block(a, {}, [b, a]), [12, 24]],
      [() => block(a, undefined, undefined), [1, 2]],
      [() => autograd.trainMode(() => block(a, null)), [-1, -2]],
      [() => autograd.record(() => block(a, null)), [-1, -2]],
    ];
    for (let round = 0; round < 3; round++)
      for (const [i, [call, expected]] of calls.entries()) {
        expect([...(await call().data())], `call ${i} of round ${round}`).toEqual(expected);
      }
    expect(block.cacheInfo()).toMatchObject({ misses: calls.length, hits: 2 * calls.length });
    expect(block.runs).toBe(calls.length);
  });

  test('other arrays on the tape are another program', async () => {
    const net = new nn.Dense(2, { inUnits: 3 });
    net.initialize();
    net.hybridize();
    const x = ramp(1, 3);
    const y = ramp(1, 3);
    y.attachGrad();
    for (let round = 0; round < 2; round++) {
      autograd.record(() => net(x)).backward();
      autograd.record(() => net(y)).backward();
      expect([...(await y.grad.data())]).toEqual([...(await net.weight.data().sum(0).data())]);
    }
    expect(net.cacheInfo()).toMatchObject({
      hits: 2,
      misses: 2,
      why: 'other arrays are on the tape than before',
    });
    net.weight.gradReq = 'null';
    autograd.record(() => net(x)).backward();
    expect(net.cacheInfo().misses).toBe(3);
    expect(() => net.weight.grad()).toThrow(/gradReq 'null'/);
  });

  test('results have the form that forward gives', async () => {
    class Forms extends nn.HybridBlock {
      weight = new Parameter({ shape: [2], init: 'ones' });
      forward(x: NDArray, state: readonly NDArray[]): unknown {
        const y = x.add(1);
        return [
          y,
          { twice: y.mul(2), name: 'abc', list: [3, null, true], state },
          [y, y.reshape([2, 1])],
          this.weight.data(),
        ];
      }
    }
    const block = new Forms();
    block.initialize();
    block.hybridize();
    const state = [nd.array([7]), nd.array([8])];
    type Out = [
      NDArray,
      { twice: NDArray; name: string; list: unknown; state: NDArray[] },
      [NDArray, NDArray],
      NDArray,
    ];
    const seen: Out[] = [];
    for (let i = 0; i < 3; i++) {
      const out = block(nd.array([i, i]), state) as Out;
      const [y, { twice, name, list, state: given }, [again, folded], weight] = out;
      expect([...(await y.data())]).toEqual([i + 1, i + 1]);
      expect([...(await twice.data())]).toEqual([2 * i + 2, 2 * i + 2]);
      expect({ name, list }).toEqual({ name: 'abc', list: [3, null, true] });
      // what was given or belongs to the block is handed on itself, and one array is one array
      expect(given[0]).toBe(state[0]);
      expect(given[1]).toBe(state[1]);
      expect(weight).toBe(block.weight.data());
      expect(again).toBe(y);
      expect(folded.shape).toEqual([2, 1]);
      folded.imul(10);
      expect([...(await y.data())]).toEqual([10 * i + 10, 10 * i + 10]);
      seen.push(out);
    }
    expect(block.cacheInfo().hits).toBe(2);
    // lists and objects are the caller's own
    expect(seen[1]?.[1]).not.toBe(seen[2]?.[1]);
    expect(seen[1]?.[1].list).not.toBe(seen[2]?.[1].list);
  });

  test('views of an input share its memory, as they do eagerly', async () => {
    const flat = new nn.Flatten();
    flat.hybridize();
    for (let i = 0; i < 3; i++) {
      const x = ramp(2, 3, 2);
      const y = flat(x);
      expect(y.shape).toEqual([2, 6]);
      y.imul(0).iadd(i);
      expect([...(await x.data())]).toEqual(new Array(12).fill(i));
      x.dispose();
      expect([...(await y.data())]).toEqual(new Array(12).fill(i));
    }
  });

  test('a forward without arrays, or without results, replays too', () => {
    class Nothing extends nn.HybridBlock {
      weight = new Parameter({ shape: [2], init: 'ones' });
      forward(give: boolean): NDArray | null {
        return give ? this.weight.data().mul(2) : null;
      }
    }
    const block = new Nothing();
    block.initialize();
    block.hybridize();
    for (let i = 0; i < 3; i++) {
      expect(block(true)?.shape).toEqual([2]);
      expect(block(false)).toBeNull();
    }
    expect(block.cacheInfo()).toMatchObject({ hits: 4, misses: 2 });
  });

  test('what forward makes from numbers is the same at every call', async () => {
    class Constant extends nn.HybridBlock {
      offset = nd.array([100, 200]);
      forward(x: NDArray): NDArray {
        return x
          .mul(nd.array([1, 2], { ctx: x.context }))
          .add(nd.ones([2]))
          .add(this.offset);
      }
    }
    const block = new Constant();
    block.hybridize();
    for (let i = 0; i < 3; i++) {
      expect([...(await block(nd.array([i, i])).data())]).toEqual([i + 101, 2 * i + 201]);
    }
    // an array that it holds is looked at anew
    block.offset.imul(0);
    expect([...(await block(nd.array([5, 5])).data())]).toEqual([6, 11]);
    expect(block.cacheInfo()).toMatchObject({ hits: 3, misses: 1 });
    block.offset = nd.array([1, 1]);
  });

  test('arguments that share memory with each other or with a parameter give what they give eagerly', async () => {
    class Two extends nn.HybridBlock {
      weight = new Parameter({ shape: [2], init: 'ones' });
      forward(a: NDArray, b: NDArray): NDArray {
        return a.mul(2).add(b).add(this.weight.data());
      }
    }
    const block = new Two();
    block.initialize();
    block.hybridize();
    const [x, y] = [nd.array([1, 2]), nd.array([10, 20])];
    const w = block.weight.data();
    for (let i = 0; i < 2; i++) {
      expect([...(await block(x, x).data())]).toEqual([4, 7]);
      expect([...(await block(x, y).data())]).toEqual([13, 25]);
      expect([...(await block(x, x.detach()).data())]).toEqual([4, 7]);
      expect([...(await block(w, y).data())]).toEqual([13, 23]);
      expect([...(await block(y, w).data())]).toEqual([22, 42]);
    }
    expect(block.cacheInfo().eager).toBeNull();
    expect(block.cacheInfo().hits).toBeGreaterThan(0);
  });

  test('what forward writes into its input or into an array of its own is written by every call', async () => {
    class Counting extends nn.HybridBlock {
      count = new Parameter({ shape: [1], init: 'zeros', gradReq: 'null' });
      forward(x: NDArray): NDArray {
        const y = x.add(this.count.data());
        this.count.data().iadd(1);
        x.imul(2);
        return y.add(this.count.data().mul(100));
      }
    }
    const block = new Counting();
    block.initialize();
    block.hybridize();
    for (let i = 0; i < 4; i++) {
      const x = nd.array([10]);
      expect(await block(x).asscalar()).toBe(10 + i + 100 * (i + 1));
      expect(await x.asscalar()).toBe(20);
      expect(await block.count.data().asscalar()).toBe(i + 1);
    }
    expect(block.cacheInfo()).toMatchObject({ hits: 3, misses: 1 });
    // the input is what it writes itself
    const own = block.count.data();
    expect(await block(own).asscalar()).toBe(4 + 4 + 1000);
  });
});

describe('a hybridized net', () => {
  test('finishes what waits for a shape at its first call, with the same draws', async () => {
    const make = (): nn.Sequential =>
      new nn.Sequential().add(
        new nn.Conv2D(2, 3),
        new nn.Dropout(0.5),
        new nn.Dense(3, { activation: 'tanh' }),
        new nn.Dense(2),
      );
    const outputs: number[][] = [];
    for (const hybridized of [false, true]) {
      nd.random.seed(17);
      const net = make();
      net.initialize();
      if (hybridized) net.hybridize();
      const seen: number[] = [];
      const x = ramp(2, 1, 6, 6);
      for (let i = 0; i < 4; i++) {
        seen.push(...(await autograd.record(() => net(x)).data()), ...(await net(x).data()));
        // between steps, others draw
        seen.push(await nd.random.normal(0, 1, [1]).asscalar());
      }
      if (hybridized) expect(net.cacheInfo()).toMatchObject({ hits: 6, misses: 2 });
      outputs.push(seen);
    }
    expect(outputs[1]).toEqual(outputs[0]);
  });

  test('infers shapes of blocks that know nothing of shapes themselves', async () => {
    class Scale extends nn.HybridBlock {
      scale = new Parameter({ shape: [0], init: 'ones' });
      body = new nn.Dense(3);
      override inferShape(x: NDArray): void {
        this.scale.shape = [x.shape[1]];
      }
      forward(x: NDArray): NDArray {
        return this.body(x.mul(this.scale.data()));
      }
    }
    const net = new nn.HybridSequential().add(new Scale() as never, new nn.Dense(2));
    net.initialize();
    net.hybridize();
    const x = ramp(2, 5);
    net.inferShape(x);
    expect(net.cacheInfo()).toMatchObject({ misses: 0, entries: [] });
    expect(net[1].weight.shape).toEqual([2, 3]);
    const first = await net(x).data();
    expect([...(await net(x).data())]).toEqual([...first]);
    expect(net.cacheInfo()).toMatchObject({ misses: 1, hits: 1 });
  });

  test('still prints its summary, of every layer', () => {
    vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const net = mlp();
    net.hybridize();
    const x = ramp(2, 3);
    net(x);
    net(x);
    expect(net.summary(x)).toMatch(/Dense-\d.*Dense-\d/s);
    expect(net.cacheInfo()).toMatchObject({ hits: 1, misses: 1, eager: null });
  });

  test('throws what it throws eagerly, and goes on', async () => {
    const net = mlp();
    net.hybridize();
    const x = ramp(2, 3);
    net(x);
    net(x);
    const before = memoryInfo(cpu());
    expect(() => net(ramp(2, 5))).toThrow(ShapeError);
    expect(() => autograd.record(() => net(nd.ones([2, 5])))).toThrow(
      /\[Dense\] expected input of shape \(N, 3\)/,
    );
    const gone = ramp(2, 3);
    gone.dispose();
    expect(() => net(gone)).toThrow(/expected an array in use/);
    expect(() => (net as unknown as (x: unknown) => unknown)('x')).toThrow(ArgumentError);
    expect(memoryInfo(cpu()).arrays).toBeLessThanOrEqual(before.arrays + 2);
    expect([...(await net(x).data())]).toEqual(await eagerly(net, x));
  });

  test('runs inside scopes and other blocks, which free what it made', () => {
    const net = mlp();
    net.hybridize();
    class Outer extends nn.Block {
      net = net;
      inner: NDArray | undefined;
      forward(x: NDArray): NDArray {
        const y = this.net(x);
        escaped = y;
        return y.add(1);
      }
    }
    let escaped: NDArray | undefined;
    const outer = new Outer();
    const x = ramp(2, 3);
    for (let i = 0; i < 3; i++) {
      const y = outer(x);
      expect(y.isDisposed).toBe(false);
      expect(escaped?.isDisposed).toBe(true);
      let inside: NDArray | undefined;
      const z = nd.scope(() => {
        inside = net(x);
        return inside.add(1);
      });
      expect(inside?.isDisposed).toBe(true);
      expect(z.isDisposed).toBe(false);
    }
    expect(net.cacheInfo().misses).toBe(1);
  });
});

eachDevice((ctx) => {
  test('dropout draws the same numbers, step by step, as the eager net', async () => {
    const runs: number[][] = [];
    for (const hybridized of [false, true]) {
      nd.random.seed(4);
      const net = new nn.Sequential().add(
        new nn.Dense(8, { inUnits: 4 }),
        new nn.Dropout(0.5),
        new nn.Dense(3, { inUnits: 8 }),
        new nn.Dropout(0.2),
      );
      net.initialize({ init: 'xavier', ctx });
      if (hybridized) net.hybridize();
      const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.1 });
      const seen: number[] = [];
      for (let step = 0; step < 5; step++) {
        const x = nd.random.normal(0, 1, [6, 4], { ctx });
        const y = autograd.record(() => net(x));
        y.backward();
        trainer.step(6);
        seen.push(...(await y.data()));
      }
      runs.push(seen);
    }
    const [eager, hybrid] = runs as [number[], number[]];
    expect(hybrid.map((v) => v === 0)).toEqual(eager.map((v) => v === 0));
    expect(differences(hybrid, eager, ctx.deviceType === 'gpu' ? { rtol: 1e-4, atol: 1e-6 } : CLOSE)).toEqual(
      [],
    );
  });

  test('moves with its parameters', async () => {
    const net = mlp();
    net.hybridize();
    const x = ramp(2, 3);
    net(x);
    const expected = await net(x).data();
    await net.resetCtx(ctx);
    const there = x.asInContext(ctx);
    for (let i = 0; i < 3; i++) {
      const y = net(there);
      expect(y.context).toBe(ctx);
      expect(differences(await y.data(), expected, { rtol: 1e-5, atol: 1e-6 })).toEqual([]);
    }
    if (ctx !== cpu()) expect(() => net(x)).toThrow(/cpu\(0\).*gpu\(0\)|gpu\(0\).*cpu\(0\)/s);
  });
});
