// Contexts as the public page promises them: one object each, errors that say what to do, and what is left when a GPU was closed.
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import {
  ArgumentError,
  AutogradError,
  Context,
  cpu,
  currentContext,
  DeviceLostError,
  GpuUnavailableError,
  gpu,
  memoryInfo,
  nd,
  numGpus,
  openGpu,
  tryGpu,
  withContext,
} from 'webgluon';

const NOTHING = { bytesInUse: 0, userBytes: 0, peakBytes: 0, pooledBytes: 0, arrays: 0 };

describe('by name', () => {
  test('there is one object for each', () => {
    expect(gpu()).toBe(gpu(0));
    expect(cpu(3)).toBe(cpu(3));
    expect(new Context('gpu', 0)).toBe(gpu(0));
    expect(gpu(1)).not.toBe(gpu(0));
  });

  test('they print by their name', () => {
    expect(`${cpu()} ${gpu(1)} ${inspect(cpu(2))}`).toBe('cpu(0) gpu(1) cpu(2)');
  });

  test('a scope is set for a callback that returns at once, or until its using block ends', () => {
    expect(withContext(cpu(1), () => nd.ones([1]).context)).toBe(cpu(1));
    const open = withContext(cpu(2));
    expect(currentContext()).toBe(cpu(2));
    open[Symbol.dispose]();
    expect(currentContext()).toBe(cpu(0));
    expect(() => withContext(cpu(1), (async () => 1) as never)).toThrow(AutogradError);
    expect(() => withContext(cpu(1), 3 as never)).toThrow(/\[withContext\] expected a callback, received 3/);
    expect(currentContext()).toBe(cpu(0));
  });
});

describe('a GPU that is not open', () => {
  test('the first allocation says what to call; it holds nothing', () => {
    expect(() => nd.ones([2], { ctx: gpu() })).toThrow(GpuUnavailableError);
    expect(() => nd.ones([2], { ctx: gpu() })).toThrow(
      /^\[ones\] expected an open gpu\(0\).*await openGpu\(\)/,
    );
    expect(memoryInfo(gpu())).toEqual(NOTHING);
  });

  test('gpu(1) never is', () => {
    expect(() => nd.zeros([2], { ctx: gpu(1) })).toThrow(GpuUnavailableError);
    expect(() => memoryInfo(gpu(1))).toThrow(GpuUnavailableError);
  });

  test('wrong options are refused before anything opens', async () => {
    for (const open of [openGpu, tryGpu, numGpus])
      for (const options of [{ allow_software: true }, { powerPreference: 'fast' }, 1])
        await expect(open(options as never)).rejects.toThrow(ArgumentError);
    await expect(openGpu({ allow_software: true } as never)).rejects.toThrow(/Did you mean allowSoftware/);
  });
});

describe('a GPU that was closed', () => {
  test('its arrays are lost, to reads and to operations with new ones', async ({ skip }) => {
    if (process.env['WEBGLUON_NO_GPU'] === '1') skip('there is no adapter here');
    const ctx = await openGpu({ allowSoftware: true });
    expect(ctx).toBe(gpu(0));
    expect(await numGpus()).toBe(1);
    const old = nd.ones([2], { ctx });
    const pending = old.data();
    const { lost } = ctx;
    await Promise.all([ctx.close(), ctx.close()]);
    expect(await pending).toEqual(Float32Array.of(1, 1));
    expect((await lost).reason).toBe('destroyed');
    await expect(old.data()).rejects.toThrow(DeviceLostError);
    expect(memoryInfo(ctx)).toEqual(NOTHING);
    expect(() => nd.ones([2], { ctx })).toThrow(/one that was closed/);

    await openGpu({ allowSoftware: true });
    const fresh = nd.ones([2], { ctx });
    expect(() => old.add(fresh)).toThrow(DeviceLostError);
    expect(() => fresh.add(old)).toThrow(DeviceLostError);
    expect(await fresh.add(1).data()).toEqual(Float32Array.of(2, 2));
    await ctx.close();
  });
});
