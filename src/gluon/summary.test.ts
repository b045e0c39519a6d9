// The table of `summary`, and `gluon.utils`.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { cpu } from '../core/context.ts';
import { ArgumentError, NotInitializedError, ShapeError } from '../core/errors.ts';
import * as nd from '../nd/index.ts';
import { memoryInfo } from '../nd/memory.ts';
import * as nn from './nn/index.ts';
import { clipGlobalNorm, splitAndLoad, splitData } from './utils.ts';

afterEach(() => {
  vi.restoreAllMocks();
});

describe('summary', () => {
  test('is Gluon’s table, printed and returned, and keeps nothing', () => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
    const net = new nn.Sequential();
    const shared = new nn.BatchNorm();
    net.add(new nn.Dense(4, { activation: 'relu' }), shared, shared);
    expect(() => net.summary(nd.ones([2, 3]))).toThrow(NotInitializedError);
    net.initialize();
    net(nd.ones([2, 3])).dispose();
    const x = nd.ones([2, 3]);
    const before = memoryInfo(cpu()).bytesInUse;
    const text = net.summary(x);
    expect(memoryInfo(cpu()).bytesInUse).toBe(before);
    expect(log).toHaveBeenCalledWith(text);
    expect(text.split('\n')).toEqual([
      '-'.repeat(80),
      '        Layer (type)                                Output Shape         Param #',
      '='.repeat(80),
      '               Input                                      (2, 3)               0',
      '        Activation-1                                      (2, 4)               0',
      '             Dense-2                                      (2, 4)              16',
      '         BatchNorm-3                                      (2, 4)              16',
      '         BatchNorm-4                                      (2, 4)              16',
      '='.repeat(80),
      'Parameters in forward computation graph, duplicate included',
      '   Total params: 48',
      '   Trainable params: 32',
      '   Non-trainable params: 16',
      'Shared params in forward computation graph: 16',
      'Unique parameters in model: 32',
      '-'.repeat(80),
    ]);
  });
});

describe('gluon.utils', () => {
  test('splitData', () => {
    const x = nd.arange(10).reshape([5, 2]);
    expect(() => splitData(x, 2)).toThrow(/evenSplit: false/);
    expect(splitData(x, 2, { evenSplit: false }).map((p) => p.shape[0])).toEqual([2, 3]);
    expect(splitData(x, 2, { batchAxis: 1 }).map((p) => p.shape)).toEqual([
      [5, 1],
      [5, 1],
    ]);
    expect(() => splitData(x, 6, { evenSplit: false })).toThrow(ShapeError);
  });

  test('splitAndLoad', async () => {
    const x = nd.arange(4);
    const [a, b] = splitAndLoad(x, [cpu(0), cpu(1)]);
    expect([a?.context, b?.context]).toEqual([cpu(0), cpu(1)]);
    expect(await b?.array()).toEqual([2, 3]);
    expect(splitAndLoad(x, [cpu(0)])).toEqual([x]);
  });

  test('clipGlobalNorm', async () => {
    const arrays = [nd.array([3, 0]), nd.array([[4]])];
    expect(await clipGlobalNorm(arrays, 1)).toBe(5);
    expect((await arrays[0]?.data())?.[0]).toBeCloseTo(0.6, 6);
    expect((await arrays[1]?.data())?.[0]).toBeCloseTo(0.8, 6);
    expect(await clipGlobalNorm(arrays, 2)).toBeCloseTo(1, 6);
    expect((await arrays[0]?.data())?.[0]).toBeCloseTo(0.6, 6);
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    expect(await clipGlobalNorm([nd.array([Number.NaN, 1])], 1)).toBeNaN();
    expect(warn).toHaveBeenCalledTimes(1);
    await expect(clipGlobalNorm([], 1)).rejects.toThrow(ArgumentError);
    await expect(clipGlobalNorm(arrays, 0)).rejects.toThrow(ArgumentError);
  });
});
