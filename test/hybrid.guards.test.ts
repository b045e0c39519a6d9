// What makes a program useless: changes of a net's tree and of its parameters' arrays, but not of their values.
import { describe, expect, test } from 'vitest';
import { autograd, gluon, nd, nn, Parameter } from 'webgluon';
import { eachDevice } from './devices.ts';
import { eagerly, mlp, ramp } from './hybridNets.ts';
import { expectSame, twins } from './twins.ts';
import { CLOSE, differences, numbers } from './values.ts';

describe('programs are given up', () => {
  test('when a child is added, replaced or registered, a parameter replaced', async () => {
    const net = mlp();
    net.hybridize();
    const x = ramp(2, 3);
    const check = async (why: RegExp | null): Promise<void> => {
      for (let i = 0; i < 2; i++) {
        const [misses, y] = [net.cacheInfo().misses, net(x)];
        expect(net.cacheInfo().misses - misses).toBe(i === 0 ? 1 : 0);
        if (i === 0 && why !== null) expect(net.cacheInfo().why).toMatch(why);
        expect(differences(await y.data(), await eagerly(net, x))).toEqual([]);
        expect(net.cacheInfo().entries.length).toBe(1);
      }
    };
    await check(null);
    const third = new nn.Dense(5, { inUnits: 2 });
    third.initialize();
    net.add(third);
    await check(/other fields|registered/);
    const other = new nn.Dense(2, { inUnits: 4, activation: 'relu' });
    other.initialize();
    net[1] = other;
    await check(/1 of .* was replaced/);
    net[0].weight = new Parameter({ shape: [4, 3], init: 'ones' });
    net[0].weight.initialize();
    await check(/weight of .* was replaced/);
  });

  test('when parameters are cast, initialized anew or given back', async () => {
    const net = mlp();
    net.hybridize();
    const x = ramp(2, 3);
    net(x);
    net(x);
    net.initialize('ones', { forceReinit: true });
    expect(differences(await net(x).data(), await eagerly(net, x))).toEqual([]);
    expect(net.cacheInfo()).toMatchObject({ hits: 1, misses: 2 });
    expect(net.cacheInfo().why).toMatch(/initialized anew, cast or moved/);
    expect(net.cacheInfo().entries.length).toBe(1);
    net.cast('float64');
    const wide = x.astype('float64');
    for (let i = 0; i < 2; i++) {
      expect(net(wide).dtype).toBe('float64');
      expect(differences(await net(wide).data(), await eagerly(net, wide))).toEqual([]);
    }
    expect(net.cacheInfo()).toMatchObject({ misses: 3 });
    net.dispose();
    expect(() => net(wide)).toThrow(/not initialized/);
    net.initialize('ones');
    expect(net(wide).shape).toEqual([2, 2]);
    expect(net(wide).shape).toEqual([2, 2]);
  });

  test('when hybridize is called again, and for good by hybridize(false)', () => {
    const net = mlp();
    net.hybridize();
    const x = ramp(2, 3);
    net(x);
    net(x);
    net.hybridize({ staticAlloc: true, staticShape: true });
    expect(net.cacheInfo().entries).toEqual([]);
    net(x);
    net(x);
    expect(net.cacheInfo().hits).toBe(1);
    net.hybridize(false);
    net(x);
    expect(net.cacheInfo().eager).toMatch(/not called/);
  });

  test('what is remembered of the shapes of the past has an end', () => {
    const net = new nn.Activation('relu');
    net.hybridize();
    for (let n = 1; n <= 140; n++) net(nd.zeros([n])).dispose();
    expect(net.cacheInfo().entries.length).toBe(128);
    expect(net.cacheInfo().entries[0]?.key).toContain('(140,)');
  });
});

eachDevice((ctx) => {
  const tolerance = ctx.deviceType === 'gpu' ? { rtol: 1e-4, atol: 1e-5 } : CLOSE;

  test('running statistics that a program of training moves on are seen by that of inference', async () => {
    const make = (): nn.Block =>
      new nn.HybridSequential().add(
        new nn.Conv2D(2, 2, { inChannels: 1 }),
        new nn.BatchNorm({ inChannels: 2, momentum: 0.5 }),
      );
    const pair = twins(make, ctx);
    const inputs = [{ shape: [3, 1, 4, 4] }];
    const wide = { rtol: Math.max(tolerance.rtol, 1e-5), atol: 1e-5 };
    let seed = 1;
    for (const mode of [
      'inference',
      'inference',
      'training',
      'training',
      'inference',
      'training',
      'inference',
    ] as const)
      await expectSame(pair, inputs, mode, ctx, wide, 10 * seed++);
    expect(pair.hybrid.cacheInfo()).toMatchObject({ hits: 5, misses: 2, eager: null });
  });

  test('programs are kept when parameters get other values, which they see', async () => {
    const net = new nn.HybridSequential().add(
      new nn.Conv2D(2, 2, { inChannels: 1 }),
      new nn.BatchNorm({ inChannels: 2 }),
      new nn.Dense(2, { inUnits: 8 }),
    );
    net.initialize({ init: 'xavier', ctx });
    const plain = new nn.HybridSequential().add(
      new nn.Conv2D(2, 2, { inChannels: 1 }),
      new nn.BatchNorm({ inChannels: 2 }),
      new nn.Dense(2, { inUnits: 8 }),
    );
    plain.initialize({ init: 'xavier', ctx });
    const x = ramp(2, 1, 3, 3).asInContext(ctx);
    const same = async (): Promise<void> => {
      for (const [to, from] of [...plain.collectParams().values()].map(
        (p, i) => [p, [...net.collectParams().values()][i] as Parameter] as const,
      ))
        to.setData(from.data());
      expect(differences(await net(x).data(), await plain(x).data(), tolerance)).toEqual([]);
    };
    net.hybridize();
    await same();
    await same();
    const trainer = new gluon.Trainer(net.collectParams(), 'sgd', { learningRate: 0.5 });
    autograd.record(() => net(x)).backward();
    trainer.step(1);
    await same();
    const misses = net.cacheInfo().misses;
    for (const parameter of net.collectParams().values())
      parameter.setData(nd.array(numbers(parameter.data().size, 0.1, 1, 9), { shape: parameter.shape, ctx }));
    await same();
    const bytes = await plain.saveParameters();
    net[1].gamma.setData(nd.array([5, 6], { ctx }));
    await same();
    await net.loadParameters(bytes);
    await same();
    net[0].weight.data().imul(-3);
    await same();
    expect(net.cacheInfo().misses).toBe(misses);
  });
});
