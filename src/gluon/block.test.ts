// Blocks as callables with structure: types of calls, registration by fields, names, hooks, walks.
import { afterEach, describe, expect, expectTypeOf, test, vi } from 'vitest';
import type { NDArray } from '../array/ndarray.ts';
import { ArgumentError, AutogradError, NotInitializedError, ShapeError } from '../core/errors.ts';
import * as nd from '../nd/index.ts';
import * as nn from './nn/index.ts';
import { Parameter } from './parameter.ts';
import { ParameterDict } from './parameterDict.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

class Pair extends nn.Block {
  left = new nn.Dense(2);
  right = new nn.Dense(3);
  #calls = 0;
  get calls(): number {
    return this.#calls;
  }
  forward(x: NDArray, y: NDArray): { sum: NDArray; both: [NDArray, NDArray] } {
    this.#calls++;
    const [a, b] = [this.left(x), this.right(y)];
    return { sum: a.sum().add(b.sum()), both: [a, b] };
  }
}

describe('calling', () => {
  test('a block is a function with its class, its #private state and no name or length of its own', () => {
    const pair = new Pair();
    expect(typeof pair).toBe('function');
    expect(pair instanceof Pair && pair instanceof nn.Block).toBe(true);
    expect(new nn.Dense(1) instanceof nn.Layer).toBe(true);
    expect(Object.hasOwn(pair, 'name') || Object.hasOwn(pair, 'length')).toBe(false);
    pair.initialize();
    pair(nd.ones([1, 4]), nd.ones([1, 5]));
    expect(pair.calls).toBe(1);
  });

  test('any number of inputs and outputs pass, with the types of forward', async () => {
    const pair = new Pair();
    pair.initialize('ones');
    const out = pair(nd.ones([1, 4]), nd.ones([1, 5]));
    expectTypeOf(out).toEqualTypeOf<{ sum: NDArray; both: [NDArray, NDArray] }>();
    expectTypeOf(pair).parameters.toEqualTypeOf<[x: NDArray, y: NDArray]>();
    // 2 units of 4 ones, 3 units of 5 ones
    expect(await out.sum.asscalar()).toBe(2 * 4 + 3 * 5);
    expect(await out.both[1].array()).toEqual([[5, 5, 5]]);
  });

  test('layers by number are layers, and what they have is typed as there', () => {
    const net = new nn.Sequential();
    net.add(new nn.Dense(3), new nn.Flatten());
    expectTypeOf(net[0]).toEqualTypeOf<nn.Layer>();
    expectTypeOf(net[0].weight).toEqualTypeOf<Parameter>();
    expectTypeOf((n: nn.Layer) => n[1].weight.data()).returns.toEqualTypeOf<NDArray>();
    expect(net[1].weight).toBeUndefined();
    expect(net[0].bias.shape).toEqual([3]);
  });

  test('a block without forward, and an async forward, say so', () => {
    expect(() => new (nn.Block as unknown as new () => () => void)()()).toThrow(
      /\[Block\] expected a class with a method forward/,
    );
    class Later extends nn.Block {
      async forward(x: NDArray): Promise<NDArray> {
        return x;
      }
    }
    const later = new Later();
    expect(() => later(nd.ones([1]))).toThrow(ArgumentError);
  });

  test('unknown options and numbers for options are refused, with what was meant', () => {
    expect(() => new nn.Dense(2, { in_units: 4 } as never)).toThrow(/Did you mean inUnits/);
    expect(() => new nn.Conv2D({ channels: 6, kernel_size: 5 } as never)).toThrow(/Did you mean kernelSize/);
    expect(() => new nn.Flatten(3 as never)).toThrow(ArgumentError);
    expect(() => new nn.Dense(2, 'relu' as never)).toThrow(ArgumentError);
    expect(() => new nn.Dense(2, { activation: 'rel' as never })).toThrow(/Did you mean 'relu'/);
  });
});

describe('registration', () => {
  test('public fields in their order, whatever is put there later, and registerChild', () => {
    class Net extends nn.Block {
      first = new nn.Dense(1);
      plain = [new nn.Dense(9)];
      second: nn.Layer = new nn.Dense(2);
      third: nn.Dense;
      #hidden = new nn.Dense(4);
      constructor() {
        super();
        this.third = new nn.Dense(3);
        this.registerChild(this.#hidden, 'hidden');
      }
      forward(x: NDArray): NDArray {
        return x;
      }
    }
    const net = new Net();
    const keys = (): string[] => [...String(net).matchAll(/^ {2}\((\w+)\)/gm)].map((m) => m[1] as string);
    expect(keys()).toEqual(['first', 'second', 'third', 'hidden']);
    const units = (): number[] => [...net.collectParams('.*weight').values()].map((p) => p.shape[0]);
    expect(units()).toEqual([1, 2, 3, 4]);
    net.second = new nn.Dense(7);
    expect(units()).toEqual([1, 7, 3, 4]);
    Reflect.deleteProperty(net, 'first');
    expect(units()).toEqual([7, 3, 4]);
    expect(() => net.registerChild(3 as never)).toThrow(ArgumentError);
  });

  test('parameters on fields are named by block and field; a replaced one leaves', () => {
    class Scale extends nn.Block {
      scale = new Parameter({ shape: [2], init: 'ones' });
      other = this.params.get('offset', { shape: [2] });
      forward(x: NDArray): NDArray {
        return x.mul(this.scale.data());
      }
    }
    const net = new Scale({ prefix: 'scale_' });
    expect([...net.collectParams().keys()]).toEqual(['scale_scale', 'scale_offset']);
    expect(net.scale.name).toBe('scale_scale');
    const before = net.scale;
    net.scale = new Parameter({ shape: [3] });
    expect(net.collectParams().get('scale_scale')).toBe(net.scale);
    expect([...net.collectParams().values()]).not.toContain(before);
    expect(net.params.get('offset')).toBeUndefined();
    expect(net.params.get('scale_offset')).toBe(net.other);
  });

  test('a field filled by inferShape; one that nobody fills', async () => {
    class Scale extends nn.Block {
      scale = new Parameter({ shape: [0, 2], init: 'ones' });
      override inferShape(x: NDArray): void {
        this.scale.shape = [x.shape[0], 2];
      }
      forward(x: NDArray): NDArray {
        return x.mul(this.scale.data());
      }
    }
    const net = new Scale();
    net.initialize();
    expect(await net(nd.ones([3, 1])).array()).toEqual([
      [1, 1],
      [1, 1],
      [1, 1],
    ]);
    class Forgot extends nn.Block {
      scale = new Parameter({ shape: [0], init: 'ones' });
      forward(x: NDArray): NDArray {
        return x.mul(this.scale.data());
      }
    }
    const forgot = new Forgot();
    forgot.initialize();
    expect(() => forgot(nd.ones([3]))).toThrow(/\[Forgot\] expected inferShape\(x\) to fill in the shape/);
  });

  test('an unregistered block that runs inside another warns once, in words that help', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    class Hiding extends nn.Block {
      #act = new nn.Activation('relu');
      known = new nn.Sequential();
      constructor() {
        super();
        this.known.add(new nn.Activation('tanh'));
      }
      forward(x: NDArray): NDArray {
        return this.#act(this.known[0](x));
      }
    }
    const net = new Hiding();
    for (let i = 0; i < 3; i++) net(nd.ones([1]));
    expect(warn).toHaveBeenCalledTimes(1);
    expect(warn.mock.calls[0]?.[0]).toMatch(
      /\[Hiding\] .* runs .*\(Activation\).*not registered.*registerChild/,
    );
  });

  test('a block that contains itself is refused', () => {
    class Loop extends nn.Block {
      inner: nn.Block = new nn.Identity();
      forward(x: NDArray): NDArray {
        return x;
      }
    }
    const loop = new Loop();
    loop.inner = loop;
    expect(() => loop.collectParams()).toThrow(/contains itself at "inner"/);
  });
});

describe('names', () => {
  test('kinds count, prefixes stand in front inside a scope', () => {
    class CountedBlock extends nn.Block {
      forward(x: NDArray): NDArray {
        return x;
      }
    }
    const [a, b] = [new CountedBlock(), new CountedBlock()];
    expect([a.name, b.name, b.prefix]).toEqual(['countedblock0', 'countedblock1', 'countedblock1_']);
    const [conv, pool, act] = [new nn.Conv2D(1, 1), new nn.MaxPool2D(), new nn.Activation('relu')];
    expect(conv.prefix).toMatch(/^conv\d+_$/);
    expect(pool.prefix).toMatch(/^pool\d+_$/);
    expect(act.prefix).toMatch(/^relu\d+_$/);
    const inside = a.nameScope(
      () => [new nn.Dense(1), new nn.Dense(2), new nn.Dense(3, { prefix: 'out_' })] as const,
    );
    expect(inside.map((d) => d.prefix)).toEqual([
      'countedblock0_dense0_',
      'countedblock0_dense1_',
      'countedblock0_out_',
    ]);
    expect(inside[2].weight.name).toBe('countedblock0_out_weight');
    {
      using _ = b.nameScope();
      expect(new nn.Dense(1).name).toBe('countedblock1_dense0');
    }
    expect(new nn.Dense(1).name).toMatch(/^dense\d+$/);
    expect(new nn.Dense(2, { activation: 'relu', prefix: 'x_' }).act?.prefix).toBe('x_relu_');
  });

  test('an async callback and a scope left open are told', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const net = new nn.Sequential({ prefix: 'net_' });
    // @ts-expect-error a callback that gives a Promise
    expect(() => net.nameScope(async () => 1)).toThrow(AutogradError);
    net.nameScope();
    expect(new nn.Dense(1).prefix).toBe('net_dense0_');
    await Promise.resolve();
    expect(warn).toHaveBeenCalledTimes(1);
    expect(new nn.Dense(1).prefix).toMatch(/^dense\d+_$/);
  });

  test('parameters are shared by params, and must agree', async () => {
    const a = new nn.Dense(2, { inUnits: 3, prefix: 'shared_' });
    const b = new nn.Dense(2, { params: a.params });
    expect(b.weight).toBe(a.weight);
    expect([...b.collectParams().keys()]).toEqual(['shared_weight', 'shared_bias']);
    expect(() => new nn.Dense(5, { params: a.params })).toThrow(/expected shared_weight with shape \(5, 0\)/);
    expect(() => new nn.Dense(5, { params: {} as never })).toThrow(ArgumentError);
  });
});

describe('walks', () => {
  const make = (): nn.Sequential =>
    new nn.Sequential({ prefix: '' }).add(
      new nn.Dense(2, { prefix: 'a_' }),
      new nn.Sequential({ prefix: 's_' }).add(new nn.Dense(3, { prefix: 'b_' })),
    );

  test('collectParams by pattern: from the beginning for strings, anywhere for RegExps', () => {
    const net = make();
    expect([...net.collectParams().keys()]).toEqual(['a_weight', 'a_bias', 'b_weight', 'b_bias']);
    expect([...net.collectParams('.*weight').keys()]).toEqual(['a_weight', 'b_weight']);
    expect([...net.collectParams('weight').keys()]).toEqual([]);
    expect([...net.collectParams(/weight/g).keys()]).toEqual(['a_weight', 'b_weight']);
    expect([...net.collectParams('a_bias|b_.*').keys()]).toEqual(['a_bias', 'b_weight', 'b_bias']);
    expect(() => net.collectParams('(')).toThrow(ArgumentError);
    expect(net.collectParams()).toBeInstanceOf(ParameterDict);
    expect(String(net.collectParams('a_'))).toBe(
      '(\n  Parameter a_weight (shape=(2, 0), dtype=float32)\n  Parameter a_bias (shape=(2,), dtype=float32)\n)',
    );
  });

  test('two parameters of one name are refused', () => {
    const net = new nn.Sequential().add(new nn.Dense(2, { prefix: 'a_' }), new nn.Dense(2, { prefix: 'a_' }));
    expect(() => net.collectParams()).toThrow(/one parameter of the name a_weight/);
  });

  test('apply goes through children first; cast and hybridize reach all', () => {
    const net = make();
    const seen: string[] = [];
    expect(net.apply((b) => seen.push(b.prefix))).toBe(net);
    expect(seen).toEqual(['a_', 'b_', 's_', '']);
    net.cast('float64');
    expect([...net.collectParams().values()].map((p) => p.dtype)).toEqual(Array(4).fill('float64'));
    net.hybridize({ staticAlloc: true });
    net.hybridize(false);
    expect(() => net.hybridize({ static_alloc: true } as never)).toThrow(/Did you mean staticAlloc/);
  });

  test('hooks see inputs and outputs until they are detached', () => {
    const net = make();
    net.initialize();
    const calls: string[] = [];
    const pre = net.registerForwardPreHook((block, inputs) => {
      calls.push(`pre ${block.length} ${inputs[0].shape}`);
    });
    const after = net[0].registerForwardHook((block, inputs, output) => {
      calls.push(`${block.name} ${inputs.length} ${output.shape}`);
    });
    net(nd.ones([1, 4]));
    expect(calls).toEqual(['pre 2 1,4', 'a 1 1,2']);
    pre.detach();
    {
      using _ = after;
    }
    net(nd.ones([1, 4]));
    expect(calls).toHaveLength(2);
    expect(() => net.registerForwardHook(3 as never)).toThrow(ArgumentError);
  });
});

describe('Sequential', () => {
  test('add, length, slice, iteration, replacement', async () => {
    const net = new nn.HybridSequential();
    const layers = [1, 2, 3, 4].map((units) => new nn.Dense(units));
    expect(net.add(...layers)).toBe(net);
    expect(net.length).toBe(4);
    expect([...net]).toEqual(layers);
    const middle = net.slice(1, -1);
    expect(middle).toBeInstanceOf(nn.HybridSequential);
    expect([...middle]).toEqual(layers.slice(1, 3));
    net[3] = new nn.Dense(9);
    net.initialize();
    expect(net(nd.ones([2, 5])).shape).toEqual([2, 9]);
    expect(new nn.Sequential().toString()).toBe('Sequential(\n\n)');
    expect(() => net.add([new nn.Dense(1)] as never)).toThrow(/Spread the list/);
    expect(() => net.add(((x: NDArray) => x) as never)).toThrow(/Lambda/);
  });

  test('custom blocks are links of a chain', () => {
    class Twice extends nn.Block {
      forward(x: NDArray): NDArray {
        return x.add(x);
      }
    }
    const net = new nn.Sequential().add(
      new Twice(),
      new nn.Lambda((x) => x.mul(2)),
      new nn.HybridLambda('square'),
    );
    expect(String(net(nd.ones([1])))).toContain('[16.]');
    expect(String(net)).toBe(
      'Sequential(\n  (0): Twice(\n  \n  )\n  (1): Lambda(<lambda>)\n  (2): HybridLambda(square)\n)',
    );
    expect(() => new nn.Lambda('sqare')).toThrow(/Did you mean 'square'/);
  });

  test('blocks side by side', async () => {
    const net = new nn.HybridConcurrent(1).add(new nn.Identity(), new nn.Lambda((x) => x.mul(3)));
    expect(await net(nd.ones([2, 1])).array()).toEqual([
      [1, 3],
      [1, 3],
    ]);
  });
});

describe('first calls', () => {
  test('before initialize, before the first batch, with a wrong batch', () => {
    const layer = new nn.Dense(2, { prefix: 'first_' });
    expect(() => layer(nd.ones([1, 4]))).toThrow(NotInitializedError);
    layer.initialize();
    expect(() => layer.weight.data()).toThrow(/first has not run yet.*inUnits.*inferShape/);
    expect(() => layer(nd.ones([4]))).toThrow(ShapeError);
    // the wrong batch has fixed nothing
    expect(layer.weight.shape).toEqual([2, 0]);
    layer(nd.ones([1, 4]));
    expect(layer.weight.shape).toEqual([2, 4]);
    expect(() => layer('x' as never)).toThrow(/\[Dense\] expected an NDArray/);
  });

  test('inferShape of a whole net draws what waits, without a call', async () => {
    nd.random.seed(3);
    const net = new nn.Sequential().add(new nn.Conv2D(2, 3), new nn.BatchNorm(), new nn.Dense(4));
    net.initialize();
    net.inferShape(nd.ones([1, 1, 5, 5]));
    const drawn = await net[2].weight.data().data();
    nd.random.seed(3);
    const other = new nn.Sequential().add(new nn.Conv2D(2, 3), new nn.BatchNorm(), new nn.Dense(4));
    other.initialize();
    other(nd.ones([1, 1, 5, 5]));
    expect(drawn).toEqual(await other[2].weight.data().data());
  });

  test('a second initialize only warns, unless forced', async () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    const layer = new nn.Dense(2, { inUnits: 2 });
    layer.initialize();
    const [array, before] = [layer.weight.data(), await layer.weight.data().data()];
    layer.initialize('ones');
    expect(warn).toHaveBeenCalledTimes(1);
    expect(layer.weight.data()).toBe(array);
    expect(await layer.weight.data().data()).toEqual(before);
    layer.initialize({ init: 'ones', forceReinit: true });
    expect([...(await layer.weight.data().data())]).toEqual([1, 1, 1, 1]);
    expect(() => layer.initialize('xaver')).toThrow(/Did you mean 'xavier'/);
  });
});
