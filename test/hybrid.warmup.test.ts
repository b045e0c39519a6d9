// warmup: programs before the first call, with nothing computed, drawn or written for them.
import { describe, expect, test, vi } from 'vitest';
import { ArgumentError, autograd, cpu, gluon, memoryInfo, type NDArray, nd, nn, Parameter } from 'webgluon';
import { deviceOf } from '../src/device/registry.ts';
import { eachDevice } from './devices.ts';
import { differences, numbers } from './values.ts';

const lenet = (): nn.Sequential =>
  new nn.Sequential().add(
    new nn.Conv2D(2, 3, { activation: 'relu' }),
    new nn.BatchNorm(),
    new nn.MaxPool2D(2, 2),
    new nn.Dropout(0.5),
    new nn.Dense(4, { activation: 'tanh' }),
    new nn.Dense(3),
  );

eachDevice((ctx) => {
  test('the first call is a program already, and draws what it would have drawn', async () => {
    const x = nd.array(numbers(2 * 64, -1, 1, 3), { shape: [2, 1, 8, 8], ctx });
    const runs: number[][] = [];
    for (const warm of [false, true]) {
      nd.random.seed(21);
      const net = lenet();
      net.initialize({ init: 'xavier', ctx });
      if (warm) {
        net.hybridize();
        const seen: unknown[] = [];
        await net.warmup([[2, 1, 8, 8]], { training: true, onProgress: (p) => seen.push(p) });
        expect(seen).toEqual([
          { done: 1, total: 2, unit: 'programs' },
          { done: 2, total: 2, unit: 'programs' },
        ]);
        expect(net.cacheInfo()).toMatchObject({ hits: 0, misses: 0, why: null, eager: null });
        expect(net.cacheInfo().entries.map(({ key, runs }) => [key, runs])).toEqual([
          [`(2, 1, 8, 8) float32 on ${ctx}, training, recording`, 0],
          [`(2, 1, 8, 8) float32 on ${ctx}, inference`, 0],
        ]);
        expect(net[0].weight.shape).toEqual([2, 1, 3, 3]);
      } else net.inferShape(x); // first values before the first draw of dropout
      const values: number[] = [];
      for (let i = 0; i < 2; i++) {
        const y = autograd.record(() => net(x));
        y.backward();
        values.push(...(await y.data()), ...(await net(x).data()));
        for (const p of net.collectParams().values()) {
          values.push(...(await p.data(ctx).data()));
          if (p.gradReq !== 'null') values.push(...(await p.grad(ctx).data()));
        }
      }
      if (warm) {
        expect(net.cacheInfo()).toMatchObject({ hits: 4, misses: 0 });
        await net.warmup([[2, 1, 8, 8]], { training: true });
        expect(net.cacheInfo().entries.length).toBe(2);
      }
      runs.push(values);
    }
    const tolerance = ctx.deviceType === 'gpu' ? { rtol: 1e-4, atol: 1e-5 } : { rtol: 1e-6, atol: 1e-7 };
    expect(differences(runs[1] as number[], runs[0] as number[], tolerance)).toEqual([]);
  });

  test('computes nothing', async () => {
    const net = lenet();
    net.initialize({ init: 'xavier', ctx });
    net.inferShape(nd.zeros([2, 1, 8, 8], { ctx }));
    net.hybridize();
    await nd.waitall();
    const { stats } = deviceOf(ctx);
    const [before, used] = [{ ...stats }, memoryInfo(ctx).bytesInUse];
    await net.warmup([[2, 1, 8, 8]], { training: true });
    expect(stats.dispatches).toBe(before.dispatches);
    expect(stats.submits).toBe(before.submits);
    expect(memoryInfo(ctx).userBytes).toBeLessThanOrEqual(used);
    expect([...(await net[1].runningMean.data(ctx).data())]).toEqual([0, 0]);
    expect(() => net[0].weight.grad(ctx)).not.toThrow();
    if (ctx.deviceType === 'gpu') {
      const { pipelinesCreated } = stats;
      const x = nd.ones([2, 1, 8, 8], { ctx });
      await nd.waitall();
      const made = stats.pipelinesCreated - pipelinesCreated;
      autograd.record(() => net(x)).backward();
      net(x);
      // the ones of the head gradient are no part of the net
      expect(stats.pipelinesCreated - pipelinesCreated - made).toBeLessThanOrEqual(1);
    }
  });
});

describe('warmup', () => {
  test('of several inputs, dtypes, lists and inputs left out', async () => {
    class Cell extends nn.HybridBlock {
      table = new nn.Embedding(5, 3);
      body = new nn.Dense(3);
      forward(ids: NDArray, states: readonly NDArray[], mask: NDArray | null): [NDArray, NDArray[]] {
        const y = this.body(this.table(ids)).add(states[0] as NDArray);
        return [mask === null ? y : y.mul(mask), [y, (states[1] as NDArray).add(y)]];
      }
    }
    const cell = new Cell();
    cell.initialize();
    cell.hybridize();
    await cell.warmup(
      [
        [2],
        [
          [2, 3],
          [2, 3],
        ],
        null,
      ],
      { dtype: ['int32', 'float32'] },
    );
    const [ids, h, c] = [nd.array([1, 4], { dtype: 'int32' }), nd.ones([2, 3]), nd.zeros([2, 3])];
    const [y, [next]] = cell(ids, [h, c], null);
    expect(await y.data()).toEqual(await (next as NDArray).data());
    expect(cell.cacheInfo()).toMatchObject({ hits: 1, misses: 0 });
    cell(ids, [h, c], nd.ones([2, 3]));
    expect(cell.cacheInfo()).toMatchObject({ hits: 1, misses: 1 });
  });

  test('of a Block makes its children’s programs', async () => {
    class Outer extends nn.Block {
      first = new nn.Dense(4, { activation: 'relu' });
      last = new nn.Dense(2);
      forward(x: NDArray): NDArray {
        return this.last(this.first(x).mul(2));
      }
    }
    const net = new Outer();
    net.initialize();
    net.hybridize();
    await net.warmup([[3, 5]], { training: true });
    const x = nd.ones([3, 5]);
    net(x);
    autograd.record(() => net(x)).backward();
    for (const part of [net.first, net.last]) expect(part.cacheInfo()).toMatchObject({ hits: 2, misses: 0 });
  });

  test('leaves what forward writes alone', async () => {
    class Counting extends nn.HybridBlock {
      count = new Parameter({ shape: [1], init: 'zeros', gradReq: 'null' });
      forward(x: NDArray): NDArray {
        this.count.data().iadd(1);
        return x.add(nd.random.uniform(0, 1, [1])).add(this.count.data());
      }
    }
    const net = new Counting();
    net.initialize();
    net.hybridize();
    nd.random.seed(2);
    const drawn = await nd.random.uniform(0, 1, [1]).asscalar();
    nd.random.seed(2);
    await net.warmup([[1]]);
    expect(await net.count.data().asscalar()).toBe(0);
    expect(await net(nd.zeros([1])).asscalar()).toBe(Math.fround(drawn + 1));
    expect(await net.count.data().asscalar()).toBe(1);
  });

  test('an abort changes nothing more, and rejects with its reason', async () => {
    const net = lenet();
    net.initialize();
    net.hybridize();
    const reason = new Error('enough');
    await expect(net.warmup([[2, 1, 8, 8]], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(net.cacheInfo().entries).toEqual([]);
    const controller = new AbortController();
    const waiting = net.warmup([[2, 1, 8, 8]], { training: true, signal: controller.signal });
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    // what it made by then serves
    expect(net(nd.ones([2, 1, 8, 8])).shape).toEqual([2, 3]);
  });

  test('refuses what it cannot do', async () => {
    const net = lenet();
    await expect(net.warmup([[2, 1, 8, 8]])).rejects.toThrow(/Call net\.hybridize\(\) first/);
    net.hybridize();
    await expect(net.warmup([[2, 1, 8, 8]])).rejects.toThrow(/not initialized/);
    net.initialize();
    await expect(net.warmup([2, 1, 8, 8] as never)).rejects.toThrow(
      /\[Sequential\.warmup\].*\[\[1, 1, 28, 28\]\]/,
    );
    await expect(net.warmup([[2, 1, 8, 8]], { trainnig: true } as never)).rejects.toThrow(ArgumentError);
    await expect(net.warmup([[2, 1, 8]])).rejects.toThrow(/\[Conv2D\]/);
    class Reading extends nn.HybridBlock {
      forward(x: NDArray): NDArray {
        void x.print();
        return x;
      }
    }
    const reading = new Reading();
    reading.hybridize({ fallback: true });
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
    await expect(reading.warmup([[2]])).rejects.toThrow(/print/);
    warn.mockRestore();
    // nothing of it holds on
    expect(autograd.isRecording()).toBe(false);
    expect(nd.ones([2]).context).toBe(cpu());
    expect([...(await nd.ones([2]).data())]).toEqual([1, 1]);
    expect(gluon.Block).toBe(nn.Block);
  });
});
