// Saving and loading: names, formats, and that a load which fails changes nothing.
import { afterEach, describe, expect, test, vi } from 'vitest';
import type { NDArray } from '../array/ndarray.ts';
import { cpu } from '../core/context.ts';
import {
  ArgumentError,
  DTypeError,
  FormatError,
  type GluonError,
  LoadError,
  NotInitializedError,
  ShapeError,
} from '../core/errors.ts';
import * as nd from '../nd/index.ts';
import { memoryInfo } from '../nd/memory.ts';
import * as nn from './nn/index.ts';
import { Parameter } from './parameter.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

class Net extends nn.Block {
  body = new nn.Sequential({ prefix: 'body_' }).add(
    new nn.Dense(3, { prefix: 'body_a_', inUnits: 2 }),
    new nn.BatchNorm({ prefix: 'body_b_', inChannels: 3 }),
  );
  scale = new Parameter({ shape: [3], init: 'ones' });
  forward(x: NDArray): NDArray {
    return this.body(x).mul(this.scale.data(x.context));
  }
}

const NAMES = [
  'scale',
  'body.0.weight',
  'body.0.bias',
  'body.1.gamma',
  'body.1.beta',
  'body.1.running_mean',
  'body.1.running_var',
];

function make(seed = 1): Net {
  nd.random.seed(seed);
  const net = new Net({ prefix: 'net_' });
  net.initialize('normal');
  return net;
}

async function values(net: nn.Block): Promise<number[][]> {
  const all: number[][] = [];
  for (const p of net.collectParams().values()) all.push([...(await p.data().data())]);
  return all;
}

describe('saveParameters and loadParameters', () => {
  test('names are the paths of fields, MXNet’s for what MXNet has', async () => {
    const arrays = await nd.load(await make().saveParameters());
    expect(Object.keys(arrays)).toEqual(NAMES);
    const bare = new nn.Dense(2, { inUnits: 1 });
    bare.initialize();
    expect(Object.keys(await nd.load(await bare.saveParameters()))).toEqual(['weight', 'bias']);
  });

  test.each(['params', 'safetensors'] as const)(
    'a %s file comes back, into a net that is not initialized',
    async (format) => {
      const net = make();
      const bytes = await net.saveParameters({ format });
      const other = new Net({ prefix: 'other_' });
      await other.loadParameters(bytes);
      expect(await values(other)).toEqual(await values(net));
      expect(other.body[0].weight.data().context).toBe(cpu());
    },
  );

  test('deferred shapes are filled in by the file', async () => {
    const net = make();
    const chain = new nn.Sequential().add(new nn.Dense(3), new nn.BatchNorm());
    const bytes = await net.body.saveParameters();
    chain.initialize();
    await chain.loadParameters(bytes);
    expect(chain[0].weight.shape).toEqual([3, 2]);
    expect(await chain(nd.ones([1, 2])).data()).toEqual(await net.body(nd.ones([1, 2])).data());
  });

  test.each([
    ['full names', (n: string) => n],
    ['names without the block’s prefix', (n: string) => n.replace(/^body_/, '')],
    ['arg: and aux: names', (n: string) => (n.includes('running') ? `aux:${n}` : `arg:${n}`)],
  ])('%s are understood', async (_, rename) => {
    const net = make();
    const params = net.body.collectParams();
    const dict: Record<string, NDArray> = {};
    for (const [name, p] of params) dict[rename(name)] = p.data();
    const bytes = await nd.save(dict);
    const other = make(2);
    await other.body.loadParameters(bytes);
    expect(await values(other.body)).toEqual(await values(net.body));
  });

  test('rename by function or object', async () => {
    const net = make();
    const dict: Record<string, NDArray> = {};
    for (const name of ['w', 'b']) dict[name] = name === 'w' ? nd.ones([3, 2]) : nd.zeros([3]);
    const bytes = await nd.save(dict);
    const dense = net.body[0] as nn.Dense;
    await dense.loadParameters(bytes, { rename: { w: 'weight', b: 'bias' } });
    expect(await dense.weight.data().sum().asscalar()).toBe(6);
    await dense.loadParameters(bytes, { rename: (name) => (name === 'w' ? 'weight' : 'bias') });
    await expect(dense.loadParameters(bytes, { rename: () => 'weight' })).rejects.toThrow(ArgumentError);
    await expect(dense.loadParameters(bytes, { rename: 'w' as never })).rejects.toThrow(ArgumentError);
  });

  test('arrays keep their identity; other contexts replace them', async () => {
    const net = make();
    const bytes = await make(5).saveParameters();
    const array = net.scale.data();
    await net.loadParameters(bytes);
    expect(net.scale.data()).toBe(array);
    await net.loadParameters(bytes, { ctx: [cpu(0), cpu(1)] });
    expect(net.scale.listCtx()).toEqual([cpu(0), cpu(1)]);
    expect(net.scale.data(cpu(0)).isDisposed).toBe(false);
  });

  test('values are those at the call', async () => {
    const net = make();
    const before = await values(net);
    const saving = net.saveParameters();
    net.scale.setData(nd.full([3], 99));
    const other = new Net();
    await other.loadParameters(await saving);
    expect(await values(other)).toEqual(before);
  });

  test('saving what has no values says so', async () => {
    await expect(new nn.Dense(2).saveParameters()).rejects.toThrow(NotInitializedError);
    await expect(make().saveParameters({ format: 'npz' as never })).rejects.toThrow(ArgumentError);
  });
});

describe('loads that fail', () => {
  const dictOf = (net: Net): Record<string, NDArray> => {
    const params = [...net.collectParams().values()];
    return Object.fromEntries(NAMES.map((name, i) => [name, (params[i] as Parameter).data()]));
  };

  async function refuses(
    change: (dict: Record<string, NDArray>) => void,
    type: typeof GluonError,
    message: RegExp,
    relax?: Parameters<Net['loadParameters']>[1],
  ): Promise<void> {
    const dict = dictOf(make(7));
    change(dict);
    const bytes = await nd.save(dict);
    const net = make();
    const before = await values(net);
    const memory = memoryInfo(cpu()).bytesInUse;
    const error = await net.loadParameters(bytes).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(type);
    expect(String(error)).toMatch(message);
    expect(await values(net)).toEqual(before);
    expect(memoryInfo(cpu()).bytesInUse).toBe(memory);
    if (relax !== undefined) {
      await net.loadParameters(bytes, relax);
      expect(await values(net)).not.toEqual(before);
    }
  }

  test('missing names are listed', async () => {
    await refuses(
      (dict) => {
        Reflect.deleteProperty(dict, 'body.0.bias');
        Reflect.deleteProperty(dict, 'scale');
      },
      LoadError,
      /2 of 7 are missing: "scale", "body\.0\.bias".*allowMissing/,
      { allowMissing: true },
    );
  });

  test('extra names are listed', async () => {
    await refuses(
      (dict) => {
        dict['body.2.weight'] = nd.ones([1]);
      },
      LoadError,
      /1 extra: "body\.2\.weight".*ignoreExtra/,
      { ignoreExtra: true },
    );
  });

  test('shapes that differ are listed', async () => {
    await refuses(
      (dict) => {
        dict['scale'] = nd.ones([4]);
        dict['body.0.weight'] = nd.ones([2, 3]);
      },
      ShapeError,
      /"scale": expected \(3,\), received \(4,\); "body\.0\.weight": expected \(3, 2\), received \(2, 3\)/,
    );
  });

  test('dtypes that differ are listed', async () => {
    await refuses(
      (dict) => {
        dict['scale'] = nd.array([1, 2, 3], { dtype: 'float64' });
      },
      DTypeError,
      /"scale": expected float32, received float64.*castDtype/,
      { castDtype: true },
    );
  });

  test('a file cut short anywhere, another magic, a zip, nothing', async () => {
    const net = make();
    const before = await values(net);
    const bytes = await make(3).saveParameters();
    for (let end = 0; end < bytes.length; end += 7)
      await expect(net.loadParameters(bytes.slice(0, end))).rejects.toThrow(FormatError);
    for (const first of [
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
      [0x50, 0x4b, 3, 4, 0, 0, 0, 0, 0, 0],
    ])
      await expect(net.loadParameters(Uint8Array.from(first))).rejects.toThrow(FormatError);
    await expect(net.loadParameters('no-such-file.params')).rejects.toThrow(LoadError);
    await expect(net.loadParameters(undefined as never)).rejects.toThrow(ArgumentError);
    await expect(net.loadParameters(bytes, { allow_missing: true } as never)).rejects.toThrow(
      /Did you mean allowMissing/,
    );
    expect(await values(net)).toEqual(before);
  });

  test('a list without names', async () => {
    await expect(make().loadParameters(await nd.save([nd.ones([1])]))).rejects.toThrow(/nd\.load/);
  });

  test('an abort rejects with its reason and changes nothing; progress is told', async () => {
    const net = make();
    const before = await values(net);
    const bytes = await make(3).saveParameters();
    const reason = new Error('enough');
    await expect(net.loadParameters(bytes, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(await values(net)).toEqual(before);
    const seen: unknown[] = [];
    await net.loadParameters(bytes, { onProgress: (p) => seen.push(p) });
    expect(seen.at(-1)).toEqual({ done: bytes.length, total: bytes.length, unit: 'bytes' });
    expect(await values(net)).not.toEqual(before);
  });
});
