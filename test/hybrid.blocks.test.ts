// Which blocks compile, and what keeps one from it: other code's reach into a call, hooks, reads of values, arrays left behind.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { ArgumentError, autograd, cpu, debug, memoryInfo, type NDArray, nd, nn } from 'webgluon';
import { eagerly, mlp, ramp } from './hybridNets.ts';

afterEach(() => {
  vi.restoreAllMocks();
  debug();
});

describe('which blocks compile', () => {
  class Printing extends nn.Block {
    body = new nn.Sequential().add(new nn.Dense(3, { activation: 'relu' }), new nn.Dense(4));
    head = new nn.Dense(2);
    seen: number[] = [];
    forward(x: NDArray): NDArray {
      const y = this.body(x);
      this.seen.push(y.shape[0]);
      void y.print();
      return this.head(y);
    }
  }

  test('any other Block runs as ever, and its children on their own', async () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const net = new Printing();
    net.initialize();
    net.hybridize();
    const x = ramp(2, 3);
    const results = [0, 1, 2].map(() => net(x));
    expect(log).toHaveBeenCalledTimes(3);
    expect(net.seen).toEqual([2, 2, 2]);
    expect(net.cacheInfo().eager).toMatch(/Printing is a Block.*HybridBlock/);
    expect(net.cacheInfo()).toMatchObject({ hits: 0, misses: 3 });
    expect(net.body.cacheInfo()).toMatchObject({ hits: 2, misses: 1, eager: null });
    expect(net.head.cacheInfo()).toMatchObject({ hits: 2, misses: 1 });
    // what is inside of a program has none of its own
    expect(net.body[0].cacheInfo()).toMatchObject({ hits: 0, misses: 0 });
    expect(await results[2]?.data()).toEqual(await results[0]?.data());
    expect(net.body[1].weight.data().isDisposed).toBe(false);
  });

  test('a chain compiles where all in it do', () => {
    const inner = new Printing();
    const net = new nn.Sequential().add(new nn.Dense(3), inner);
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    net.initialize();
    net.hybridize();
    for (let i = 0; i < 3; i++) net(ramp(2, 3));
    expect(log).toHaveBeenCalledTimes(3);
    expect(net.cacheInfo().eager).toMatch(/1 \(Printing\) is a Block/);
    expect(net[0].cacheInfo().hits).toBe(2);
    expect(inner.body.cacheInfo().hits).toBe(2);
  });

  test('a HybridBlock that holds another Block does not, nor a chain with a forward of its own', () => {
    class Outer extends nn.HybridBlock {
      inner = new Printing();
      forward(x: NDArray): NDArray {
        return this.inner(x);
      }
    }
    class Chain extends nn.Sequential {
      override forward(x: NDArray): NDArray {
        return super.forward(x).add(1);
      }
    }
    class HybridChain extends nn.HybridSequential {
      override forward(x: NDArray): NDArray {
        return super.forward(x).add(1);
      }
    }
    const outer = new Outer();
    outer.hybridize();
    expect(outer.cacheInfo().eager).toMatch(/inner \(Printing\)/);
    const [chain, hybrid] = [new Chain().add(new nn.Dense(2)), new HybridChain().add(new nn.Dense(2))];
    chain.hybridize();
    hybrid.hybridize();
    expect(chain.cacheInfo().eager).toMatch(/Chain/);
    expect(hybrid.cacheInfo().eager).toBeNull();
  });

  test('hooks inside keep a block eager as long as they are there; its own see every call', async () => {
    const net = mlp();
    net.hybridize();
    const x = ramp(2, 3);
    net(x);
    const inside: NDArray[] = [];
    const handle = net[0].registerForwardHook((_block, _inputs, output) => inside.push(output as NDArray));
    net(x);
    net(x);
    expect(inside.length).toBe(2);
    expect(net.cacheInfo().eager).toMatch(/dense\d+ has hooks/);
    handle.detach();
    expect(net.cacheInfo().eager).toBeNull();
    const outside: NDArray[][] = [];
    net.registerForwardPreHook((_block, inputs) => outside.push([inputs[0] as NDArray]));
    net.registerForwardHook((_block, _inputs, output) => outside.at(-1)?.push(output as NDArray));
    const hits = net.cacheInfo().hits;
    const results = [net(x), net(x)];
    expect(net.cacheInfo().hits - hits).toBe(2);
    expect(outside.map(([input, output]) => [input === x, output])).toEqual(results.map((y) => [true, y]));
    const last = outside[1] as NDArray[];
    expect([...(await (last[1] as NDArray).data())]).toEqual(await eagerly(net, x));
  });

  test('arrays stored on fields or kept: eager, told once', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    class Storing extends nn.HybridBlock {
      body = new nn.Dense(2, { inUnits: 3 });
      hidden: NDArray | undefined;
      forward(x: NDArray): NDArray {
        this.hidden = this.body(x);
        return this.hidden.relu();
      }
    }
    class Keeping extends nn.HybridBlock {
      kept: NDArray[] = [];
      readonly #list: NDArray[] = [];
      forward(x: NDArray): NDArray {
        this.#list.push(nd.keep(x.add(1)));
        return x.add(this.#list.length);
      }
    }
    const storing = new Storing();
    storing.initialize();
    storing.hybridize();
    const x = ramp(2, 3);
    const seen = [0, 1, 2].map(() => {
      storing(x);
      return storing.hidden;
    });
    expect(new Set(seen).size).toBe(3);
    expect(seen[0]?.isDisposed).toBe(false);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]?.[0]).toMatch(/storing\d.*field hidden.*Return it/s);
    expect(storing.cacheInfo().eager).toMatch(/field hidden/);
    const keeping = new Keeping();
    keeping.hybridize();
    expect([...(await keeping(nd.zeros([1])).data()), ...(await keeping(nd.zeros([1])).data())]).toEqual([
      1, 2,
    ]);
    expect(keeping.cacheInfo().eager).toMatch(/nd\.keep/);
    expect(warn).toHaveBeenCalledTimes(2);
  });

  test('reading values inside is refused, or runs eagerly by choice', async () => {
    class Reading extends nn.HybridBlock {
      calls = 0;
      forward(x: NDArray): NDArray {
        this.calls++;
        const y = x.mul(2);
        void y.print();
        return y.add(nd.random.uniform(0, 1, [2]));
      }
    }
    const [log, warn] = [
      vi.spyOn(console, 'log').mockImplementation(() => undefined),
      vi.spyOn(console, 'warn').mockImplementation(() => undefined),
    ];
    const block = new Reading({ prefix: 'peeking_' });
    block.hybridize();
    const x = nd.ones([2]);
    const before = memoryInfo(cpu()).bytesInUse;
    expect(() => block(x)).toThrow(ArgumentError);
    expect(() => block(x)).toThrow(/\[peeking\].*print/);
    expect(memoryInfo(cpu()).bytesInUse).toBe(before);
    // nothing is left of the attempt
    expect([...(await nd.ones([2]).add(1).data())]).toEqual([2, 2]);
    expect(log).not.toHaveBeenCalled();
    block.hybridize({ fallback: true });
    nd.random.seed(3);
    const expected = await nd.random.uniform(0, 1, [2, 2]).add(2).data();
    nd.random.seed(3);
    const results = [...(await block(x).data()), ...(await block(x).data())];
    expect(results).toEqual([...expected]);
    expect(log).toHaveBeenCalledTimes(2);
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]?.[0]).toMatch(/\[peeking\].*print/);
    expect(block.cacheInfo().eager).toMatch(/print/);
    expect(block.calls).toBe(4);
  });

  test('inputs that tell no program apart, and results that cannot be made again', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    class Odd extends nn.HybridBlock {
      forward(x: NDArray, fn: (x: NDArray) => NDArray): NDArray {
        return fn(x);
      }
    }
    const odd = new Odd();
    odd.hybridize();
    const shapes = [odd(nd.ones([2]), (x) => x.reshape([2, 1])), odd(nd.ones([2]), (x) => x.reshape([1, 2]))];
    expect(shapes.map((y) => [...y.shape])).toEqual([
      [2, 1],
      [1, 2],
    ]);
    expect(odd.cacheInfo().why).toMatch(/function/);
    class Mapping extends nn.HybridBlock {
      forward(x: NDArray): Map<string, NDArray> {
        return new Map([['y', x.add(1)]]);
      }
    }
    const mapping = new Mapping();
    mapping.hybridize();
    expect(mapping(nd.ones([1])).get('y')?.shape).toEqual([1]);
    expect(mapping(nd.ones([1]))).toBeInstanceOf(Map);
    expect(mapping.cacheInfo().eager).toMatch(/Map/);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test('training inside of forward is no part of a program', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    class Learning extends nn.HybridBlock {
      body = new nn.Dense(1, { inUnits: 2, weightInitializer: 'ones' });
      forward(x: NDArray): NDArray {
        const y = autograd.record(() => this.body(x));
        y.backward();
        return y.add(this.body.weight.grad().sum());
      }
    }
    const learning = new Learning();
    learning.initialize();
    learning.hybridize();
    for (let i = 1; i < 4; i++)
      expect(
        await learning(nd.array([[i, i]]))
          .sum()
          .asscalar(),
      ).toBe(4 * i);
    expect(learning.cacheInfo().eager).toMatch(/backward.*compileStep/);
    expect(warn).toHaveBeenCalledTimes(1);
  });

  test('debug watches single operations, so it stops replays', () => {
    const net = mlp();
    net.hybridize();
    const x = ramp(2, 3);
    net(x);
    net(x);
    debug({ nan: true });
    net(x);
    expect(net.cacheInfo()).toMatchObject({ hits: 1, misses: 2 });
    expect(net.cacheInfo().eager).toMatch(/debug/);
    debug();
    net(x);
    expect(net.cacheInfo()).toMatchObject({ hits: 2, misses: 2, eager: null });
  });
});
