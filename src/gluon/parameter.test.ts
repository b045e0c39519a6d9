// Parameters: what they hold, where, when; and what is told when they cannot.
import { afterEach, describe, expect, test, vi } from 'vitest';
import * as autograd from '../autograd/index.ts';
import { cpu } from '../core/context.ts';
import {
  ArgumentError,
  AutogradError,
  ContextError,
  DeferredInitializationError,
  DTypeError,
  NotInitializedError,
  ShapeError,
} from '../core/errors.ts';
import * as nd from '../nd/index.ts';
import * as nn from './nn/index.ts';
import { Parameter } from './parameter.ts';
import { ParameterDict } from './parameterDict.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('Parameter', () => {
  test('prints as Gluon prints it', () => {
    expect(String(new Parameter('dense0_weight', { shape: [2, 0] }))).toBe(
      'Parameter dense0_weight (shape=(2, 0), dtype=float32)',
    );
    expect(String(new Parameter('b', { shape: 3, dtype: 'float64' }))).toBe(
      'Parameter b (shape=(3,), dtype=float64)',
    );
    expect(String(new Parameter('x'))).toBe('Parameter x (shape=None, dtype=float32)');
  });

  test('reading before values are there', () => {
    const p = new Parameter('dense7_weight', { shape: [2, 0] });
    for (const read of [
      () => p.data(),
      () => p.listData(),
      () => p.grad(),
      () => p.listCtx(),
      () => p.setData(nd.ones([2, 2])),
    ])
      expect(read).toThrow(NotInitializedError);
    p.initialize();
    expect(() => p.data()).toThrow(DeferredInitializationError);
    expect(p.listCtx()).toEqual([cpu()]);
    p.shape = [2, 3];
    expect(p.data().shape).toEqual([2, 3]);
    expect(p.data()).toBe(p.data());
    expect(() => {
      p.shape = [2, 4];
    }).toThrow(ShapeError);
  });

  test('bad options are refused', () => {
    expect(() => new Parameter('a', { shape: [1.5] })).toThrow(ShapeError);
    expect(() => new Parameter('a', { shape: 'x' as never })).toThrow(ShapeError);
    expect(() => new Parameter('a', { dtype: 'float' as never })).toThrow(DTypeError);
    expect(() => new Parameter('a', { init: 'one s' })).toThrow(ArgumentError);
    expect(() => new Parameter('a', { gradReq: 'writ' as never })).toThrow(/Did you mean 'write'/);
    expect(() => new Parameter('a', { grad_req: 'write' } as never)).toThrow(/Did you mean gradReq/);
  });

  test('its own initializer wins over initialize’s', async () => {
    const p = new Parameter('p', { shape: [2], init: 'ones' });
    p.initialize({ defaultInit: 'zeros' });
    expect(await p.data().array()).toEqual([1, 1]);
    p.initialize('zeros', { forceReinit: true });
    expect(await p.data().array()).toEqual([0, 0]);
  });

  test('several contexts hold their own arrays; one that it is not on is told', async () => {
    const p = new Parameter('p', { shape: [2], init: 'ones' });
    p.initialize({ ctx: [cpu(0), cpu(1)] });
    expect(p.listCtx()).toEqual([cpu(0), cpu(1)]);
    expect(p.data(cpu(1)).context).toBe(cpu(1));
    expect(p.data().context).toBe(cpu(0));
    expect(() => p.data(cpu(2))).toThrow(ContextError);
    p.data(cpu(1)).iadd(2);
    await p.resetCtx(cpu(2));
    // the mean of 1 and 3
    expect(await p.data().array()).toEqual([2, 2]);
    expect(p.listCtx()).toEqual([cpu(2)]);
    expect(() => p.initialize({ ctx: 'cpu' as never, forceReinit: true })).toThrow(ContextError);
  });

  test('setData writes into the same arrays, in the parameter’s dtype, or fills the shape in', async () => {
    const p = new Parameter('p', { shape: [2] });
    p.initialize();
    const array = p.data();
    p.setData(nd.array([3, 4], { dtype: 'int32' }));
    expect(p.data()).toBe(array);
    expect(await array.array()).toEqual([3, 4]);
    expect(array.dtype).toBe('float32');
    expect(() => p.setData(nd.ones([3]))).toThrow(ShapeError);
    expect(() => p.setData([1, 2] as never)).toThrow(ArgumentError);
    expect(await array.array()).toEqual([3, 4]);
    const q = new Parameter('q', { shape: [0, 2] });
    q.initialize();
    q.setData(nd.ones([3, 2]));
    expect(q.shape).toEqual([3, 2]);
    expect(await q.data().sum().asscalar()).toBe(6);
  });

  test('gradients: zeros before the first backward, then as asked', async () => {
    const p = new Parameter('p', { shape: [2], init: 'ones' });
    p.initialize();
    expect(await p.grad().array()).toEqual([0, 0]);
    const step = (): void => autograd.record(() => p.data().mul(nd.array([2, 3]))).backward();
    step();
    expect(await p.grad().array()).toEqual([2, 3]);
    p.gradReq = 'add';
    step();
    expect(await p.listGrad()[0]?.array()).toEqual([4, 6]);
    p.grad().imul(Number.NaN);
    p.zeroGrad();
    expect(await p.grad().array()).toEqual([0, 0]);
    expect(() => autograd.record(() => p.setData(nd.zeros([2])))).toThrow(AutogradError);
    p.gradReq = 'null';
    expect(() => p.grad()).toThrow(AutogradError);
    expect(() => step()).toThrow(AutogradError);
    p.gradReq = 'write';
    step();
    expect(await p.grad().array()).toEqual([2, 3]);
    expect(() => {
      p.gradReq = 'none' as never;
    }).toThrow(ArgumentError);
  });

  test('cast converts what is there', async () => {
    const p = new Parameter('p', { shape: [2], init: 'ones' });
    p.initialize();
    p.cast('float64');
    expect(p.data().dtype).toBe('float64');
    expect(p.dtype).toBe('float64');
    expect(await p.data().array()).toEqual([1, 1]);
  });
});

describe('ParameterDict', () => {
  test('get makes and checks, get by name alone is Map’s', () => {
    const params = new ParameterDict('net_');
    const p = params.get('scale', { shape: [0, 4] });
    expect(p.name).toBe('net_scale');
    expect(params.get('scale')).toBeUndefined();
    expect(params.get('net_scale')).toBe(p);
    expect(params.get('scale', { shape: [3, 4] })).toBe(p);
    expect(p.shape).toEqual([3, 4]);
    expect(() => params.get('scale', { shape: [2, 4] })).toThrow(ArgumentError);
    expect(() => params.get('scale', { dtype: 'float64' })).toThrow(ArgumentError);
    expect(() => params.get('other', { shap: [1] } as never)).toThrow(/Did you mean shape/);
    expect(params instanceof Map && params.size).toBe(1);
    expect(String(params)).toBe('net_ (\n  Parameter net_scale (shape=(3, 4), dtype=float32)\n)');
  });

  test('setattr, update, listCtx, resetCtx', async () => {
    const net = new nn.Dense(2, { inUnits: 1, prefix: 'pd_' });
    const params = net.collectParams();
    params.setattr('gradReq', 'null');
    params.setattr('lrMult', 0.5);
    expect([net.weight.gradReq, net.bias.lrMult]).toEqual(['null', 0.5]);
    expect(() => params.setattr('gradReq', 'nul' as never)).toThrow(ArgumentError);
    expect(() => params.setattr('grad_req' as never, 'null' as never)).toThrow(/Did you mean gradReq/);
    await expect(params.resetCtx(cpu(1))).rejects.toThrow(NotInitializedError);
    params.initialize('ones');
    await net.resetCtx([cpu(0), cpu(1)]);
    expect(params.listCtx()).toEqual([cpu(0), cpu(1)]);
    expect(await net.weight.data(cpu(1)).array()).toEqual([[1], [1]]);
    const other = new ParameterDict();
    other.update(params);
    expect([...other.keys()]).toEqual(['pd_weight', 'pd_bias']);
    const impostor = new ParameterDict();
    impostor.set('pd_weight', new Parameter('pd_weight'));
    expect(() => other.update(impostor)).toThrow(ArgumentError);
  });

  test('an initializer that refuses one parameter leaves none initialized', () => {
    class Vector extends nn.Block {
      dense = new nn.Dense(2, { inUnits: 2 });
      vector = new Parameter({ shape: [3] });
      forward(): void {}
    }
    const net = new Vector();
    net.dense.initialize('ones');
    const other = new nn.Sequential().add(
      new nn.Dense(2, { inUnits: 2 }),
      new nn.PReLU({ alphaInitializer: 'xavier' }),
    );
    expect(() => net.initialize('xavier', { forceReinit: true })).toThrow(
      /give that parameter an initializer/i,
    );
    expect(() => other.initialize()).toThrow(ShapeError);
    expect(() => other[0].weight.data()).toThrow(NotInitializedError);
  });

  test('initialize says what it does when asked', () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    new nn.Dense(1, { prefix: 'v_' }).initialize({ init: 'xavier', verbose: true });
    expect(log.mock.calls.map((c) => c[0])).toEqual([
      'Initialized v_weight as Xavier, at the first forward',
      'Initialized v_bias as Zero',
    ]);
  });

  test('save and load by full names', async () => {
    const net = new nn.Dense(2, { inUnits: 2, prefix: 'sl_' });
    net.initialize();
    const bytes = await net.collectParams().save({ stripPrefix: 'sl_' });
    expect(Object.keys(await nd.load(bytes))).toEqual(['weight', 'bias']);
    const again = new nn.Dense(2, { inUnits: 2, prefix: 'sl_' });
    await again.collectParams().load(bytes, { restorePrefix: 'sl_' });
    expect(await again.weight.data().data()).toEqual(await net.weight.data().data());
    await expect(net.collectParams().save({ stripPrefix: 'x_' })).rejects.toThrow(ArgumentError);
  });
});
