// Copies between devices, contexts, and what a device's memory counts.
import { describe, expect, test } from 'vitest';
import {
  ContextError,
  cpu,
  type DType,
  GpuUnavailableError,
  gpu,
  memoryInfo,
  type NDArray,
  nd,
  withContext,
} from 'webgluon';
import { eachDevice, holds } from './devices.ts';
import { differences, expectArray } from './values.ts';

const DTYPES: readonly DType[] = ['float32', 'float16', 'int32', 'uint32', 'int8', 'uint8', 'bool'];

eachDevice((ctx) => {
  describe('to and from cpu(0)', () => {
    test('every dtype, every size, there and back', async () => {
      for (const dtype of DTYPES.filter((d) => holds(ctx, d)))
        for (const size of [0, 1, 3, 5, 1000]) {
          const values = Array.from({ length: size }, (_, i) => (dtype === 'bool' ? i % 2 : i % 100));
          const x = nd.array(values, { dtype, shape: [size, 1] });
          const there = x.asInContext(ctx);
          expect([there.context, there.dtype]).toEqual([ctx, dtype]);
          await expectArray(there, [size, 1], values);
          const back = await there.toCpu();
          expect([back.context, back.dtype]).toEqual([cpu(0), dtype]);
          await expectArray(back, [size, 1], values);
        }
    });

    test('asInContext is the array itself where it is there already; copyto never is', async () => {
      const x = nd.ones([2], { ctx });
      expect(x.asInContext(ctx)).toBe(x);
      const y = x.copyto(ctx);
      expect(y).not.toBe(x);
      y.iadd(1);
      await expectArray(x, [2], [1, 1]);
      const z = nd.zeros([2], { ctx });
      expect(x.copyto(z)).toBe(z);
      await expectArray(z, [2], [1, 1]);
      await expectArray(nd.array([5, 6]).copyto(z), [2], [5, 6]);
      const whole = nd.zeros([2], { ctx, dtype: 'int32' });
      await expectArray(nd.array([2.7, -2.7], { ctx }).copyto(whole), [2], [2, -2]);
      await expectArray(nd.array(nd.array([1, 2]), { ctx }), [2], [1, 2]);
    });

    test('toCpu takes the values as they are at the call', async () => {
      const x = nd.ones([3], { ctx });
      const waiting = x.toCpu();
      x.iadd(1);
      const y = await waiting;
      // on the CPU it is the array itself
      await expectArray(y, [3], ctx.deviceType === 'cpu' ? [2, 2, 2] : [1, 1, 1]);
      expect(y === x).toBe(ctx.deviceType === 'cpu');
    });
  });

  test('withContext makes arrays there', async () => {
    const made = withContext(ctx, () => [
      nd.zeros([1]),
      nd.array([1]),
      nd.arange(2),
      nd.eye(2),
      nd.random.uniform(),
      nd.linspace(0, 1, 3),
    ]);
    expect(made.map((x) => x.context)).toEqual(made.map(() => ctx));
    {
      using _ = withContext(ctx);
      expect(nd.ones([1]).context).toBe(ctx);
    }
    expect(nd.ones([1]).context).toBe(cpu(0));
    const failing = (): number => {
      throw new RangeError('mine');
    };
    expect(() => withContext(ctx, failing)).toThrow('mine');
    expect(nd.ones([1]).context).toBe(cpu(0));
  });

  test('waitall', async () => {
    const x = nd.ones([64], { ctx }).mul(3);
    await nd.waitall();
    await expectArray(x.sum(), [1], [192]);
  });

  describe('memoryInfo', () => {
    const make = (): NDArray => nd.zeros([256], { ctx });

    test('counts bytes and arrays; views count once', () => {
      const before = memoryInfo(ctx);
      const x = make();
      expect(memoryInfo(ctx).bytesInUse - before.bytesInUse).toBe(1024);
      expect(memoryInfo(ctx).userBytes - before.userBytes).toBe(1024);
      expect(memoryInfo(ctx).arrays - before.arrays).toBe(1);
      const view = x.reshape([16, 16]);
      expect(memoryInfo(ctx).bytesInUse - before.bytesInUse).toBe(1024);
      x.dispose();
      // the view still holds them
      expect(memoryInfo(ctx).bytesInUse - before.bytesInUse).toBe(1024);
      expect(memoryInfo(ctx).userBytes - before.userBytes).toBe(1024);
      view.dispose();
      view.dispose();
      const { pooledBytes: _, peakBytes, ...after } = memoryInfo(ctx);
      expect(after).toEqual({
        bytesInUse: before.bytesInUse,
        userBytes: before.userBytes,
        arrays: before.arrays,
      });
      expect(peakBytes).toBeGreaterThanOrEqual(before.bytesInUse + 1024);
    });

    test('using and nd.scope give everything back but what is returned or kept', async () => {
      const before = memoryInfo(ctx);
      {
        using x = make();
        expect(x.isDisposed).toBe(false);
      }
      expect(memoryInfo(ctx).bytesInUse).toBe(before.bytesInUse);
      let inner: NDArray | undefined;
      let kept: NDArray | undefined;
      const result = nd.scope(() => {
        inner = make().add(1);
        kept = nd.keep(inner.mul(2));
        return { list: [inner.add(kept)] };
      });
      const y = result.list[0] as NDArray;
      expect(memoryInfo(ctx).arrays - before.arrays).toBe(2);
      expect(memoryInfo(ctx).userBytes - before.userBytes).toBe(2048);
      expect(inner?.isDisposed).toBe(true);
      expect(() => inner?.add(1)).toThrow(/nd\.scope made and freed at its end.*nd\.keep/);
      // in one turn: whatever earlier tests dropped may be collected in the next
      const values = y.data();
      y.dispose();
      kept?.dispose();
      expect(memoryInfo(ctx).bytesInUse).toBe(before.bytesInUse);
      expect(memoryInfo(ctx).userBytes).toBe(before.userBytes);
      expect(differences(await values, Array(256).fill(3))).toEqual([]);
    });

    test('a scope that throws gives everything back', () => {
      const before = memoryInfo(ctx);
      expect(() =>
        nd.scope(() => {
          make();
          nd.scope(() => make());
          make().reshape([3]);
        }),
      ).toThrow(/reshape/);
      expect(memoryInfo(ctx).bytesInUse).toBe(before.bytesInUse);
      {
        using _ = nd.scope();
        make();
      }
      expect(memoryInfo(ctx).arrays).toBe(before.arrays);
    });

    test('a scope is synchronous', () => {
      expect(() => nd.scope((async () => 1) as never)).toThrow(/Promise/);
    });
  });
});

describe('contexts that cannot be had', () => {
  test('gpu(1) never; what leaves a GPU must be awaited', async ({ skip }) => {
    expect(() => nd.zeros([1], { ctx: gpu(1) })).toThrow(GpuUnavailableError);
    expect(() => nd.zeros([1], { ctx: 'gpu' as never })).toThrow(ContextError);
    if (process.env['WEBGLUON_NO_GPU'] === '1') skip('there is no adapter here');
    const x = nd.ones([2], { ctx: gpu(0) });
    for (const copy of [
      () => x.asInContext(cpu(0)),
      () => x.copyto(cpu(0)),
      () => x.copyto(nd.zeros([2])),
      () => nd.array(x, { ctx: cpu(0) }),
    ])
      expect(copy).toThrow(/await x\.toCpu\(\)/);
    expect(() => nd.add(x, nd.ones([2]))).toThrow(/received gpu\(0\) and cpu\(0\)/);
  });

  test('cpu(1) is the same memory under another name', async () => {
    const x = nd.ones([2], { ctx: cpu(1) });
    expect(x.context).toBe(cpu(1));
    expect(x.add(1).context).toBe(cpu(1));
    const y = x.asInContext(cpu(0));
    expect(y.context).toBe(cpu(0));
    await expectArray(y, [2], [1, 1]);
  });
});
