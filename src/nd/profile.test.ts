import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { cpu } from '../core/context.ts';
import { ArgumentError } from '../core/errors.ts';
import type { Device } from '../device/device.ts';
import { deviceOf, forEachOpenDevice } from '../device/registry.ts';
import { type Context, gpu, nd, nn, openGpu } from '../index.ts';
import { profile } from './profile.ts';

/** Entries of the timeline that are kernels of ours. */
function entries(): PerformanceMeasure[] {
  return (performance.getEntriesByType('measure') as PerformanceMeasure[]).filter(
    (entry) => entry.detail?.devtools?.trackGroup === 'webgluon',
  );
}

/** What three calls of a hybridized net run. */
async function ofProgram(ctx: Context): Promise<(string | number)[][]> {
  const net = new nn.HybridSequential();
  net.add(new nn.Dense(3, { activation: 'relu' }), new nn.Dense(2));
  net.initialize('xavier', { ctx });
  net.hybridize();
  const x = nd.ones([4, 5], { ctx });
  net(x);
  const { kernels } = await profile(() => [net(x), net(x), net(x)]);
  return kernels.map(({ name, count, device }) => [device, name, count]).sort();
}

afterEach(() => {
  performance.clearMeasures();
  vi.restoreAllMocks();
});

describe('profile on the CPU', () => {
  test('counts and times the kernels that the function ran, and no others', async () => {
    const x = nd.ones([64, 64]);
    nd.exp(x);
    const { value, kernels, totalMs } = await profile(() => {
      let y = nd.dot(x, x);
      for (let i = 0; i < 3; i++) y = y.add(1);
      return y;
    });
    expect((await value.data())[0]).toBe(67);
    expect(kernels.map(({ name, count }) => [name, count]).sort()).toEqual([
      ['addScalar', 3],
      ['matmul', 1],
    ]);
    expect(kernels.every(({ device, ms }) => device === 'cpu' && ms > 0)).toBe(true);
    expect(kernels[0]?.ms).toBeGreaterThanOrEqual(kernels[1]?.ms ?? Infinity);
    expect(kernels.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(totalMs).toBeGreaterThanOrEqual(kernels.reduce((sum, { ms }) => sum + ms, 0));
    // off again
    expect((deviceOf(cpu()) as { timer?: unknown }).timer).toBeNull();
  });

  test('waits for an asynchronous function, and gives what it resolves to', async () => {
    const { value, kernels } = await profile(async () => {
      const y = nd.ones([4]).mul(2);
      await new Promise((resolve) => setTimeout(resolve, 5));
      return (await y.exp().data()).length;
    });
    expect(value).toBe(4);
    expect(kernels.map(({ name }) => name).sort()).toEqual(['exp', 'full', 'mulScalar']);
  });

  test('shows each run in the performance timeline, and clears the profile before', async () => {
    const x = nd.ones([8]);
    const before = performance.now();
    await profile(() => x.add(1).add(2).exp());
    const first = entries();
    expect(first.map(({ name }) => name)).toEqual(['addScalar', 'addScalar', 'exp']);
    expect(first.map(({ detail }) => detail.devtools.track)).toEqual(Array(3).fill('CPU kernels'));
    const starts = first.map(({ startTime }) => startTime);
    expect(starts).toEqual(starts.toSorted((a, b) => a - b));
    expect(starts[0]).toBeGreaterThan(before);
    await profile(() => x.exp());
    expect(entries().map(({ name }) => name)).toEqual(['exp']);
  });

  test('kernels of a program are named after all that they do', async () => {
    expect(await ofProgram(cpu())).toEqual([
      ['cpu', 'fullyConnected+relu', 3],
      ['cpu', 'fullyConnected', 3],
    ]);
  });

  test('a function that throws ends the profile', async () => {
    const wrong = (): never => {
      throw new RangeError('mine');
    };
    await expect(profile(wrong)).rejects.toThrow('mine');
    await expect(profile(async () => wrong())).rejects.toThrow(RangeError);
    expect((deviceOf(cpu()) as { timer?: unknown }).timer).toBeNull();
    expect((await profile(() => 3)).value).toBe(3);
  });

  test('refuses a profile within a profile, and what is no function', async () => {
    let inner: unknown;
    const { value } = await profile(async () => {
      inner = await profile(() => 1).catch((error: unknown) => error);
      return 2;
    });
    expect(value).toBe(2);
    expect(inner).toBeInstanceOf(ArgumentError);
    expect(String(inner)).toContain('[profile] expected one profile at a time');
    await expect(profile(7 as unknown as () => void)).rejects.toThrow(
      '[profile] expected a function, received',
    );
  });
});

describe.skipIf(process.env['WEBGLUON_NO_GPU'] === '1')('profile on the GPU', () => {
  beforeAll(async () => {
    await openGpu({ allowSoftware: true });
  });

  test('counts kernels, with their times where the adapter tells them', async () => {
    const x = nd.ones([256, 256], { ctx: gpu() });
    const { value, kernels, totalMs } = await profile(() => nd.dot(x, x).add(1).add(1));
    expect((await value.data())[0]).toBe(258);
    const own = kernels.filter(({ device }) => device === 'gpu');
    expect(own.map(({ name, count }) => [name, count]).sort()).toEqual([
      ['addScalar', 2],
      ['matmul', 1],
    ]);
    // all or none: as the adapter has timestamp queries
    const times = own.map(({ ms }) => ms);
    expect(times.every(Number.isNaN) || times.every((ms) => ms >= 0)).toBe(true);
    const shown = entries().filter(({ detail }) => detail.devtools.track === 'GPU kernels');
    expect(shown).toHaveLength(times.some(Number.isNaN) ? 0 : 3);
    expect(totalMs).toBeGreaterThan(0);
  });

  test('kernels of a program are named after all that they do', async () => {
    expect(await ofProgram(gpu())).toEqual([
      ['gpu', 'fullyConnected+relu', 3],
      ['gpu', 'fullyConnected', 3],
    ]);
  });

  test('an adapter without timestamp queries: counts alone', async () => {
    const devices: Device[] = [];
    forEachOpenDevice((device) => devices.push(device));
    const device = devices.find(({ kind }) => kind === 'gpu') as Device;
    const untimed = { label: 'relu', ns: undefined, at: undefined };
    vi.spyOn(device, 'startProfile').mockReturnValue();
    vi.spyOn(device, 'stopProfile').mockResolvedValue([untimed, untimed, { ...untimed, label: 'exp' }]);
    const { kernels } = await profile(() => undefined);
    expect(kernels).toEqual([
      { name: 'relu', device: 'gpu', count: 2, ms: Number.NaN, share: Number.NaN },
      { name: 'exp', device: 'gpu', count: 1, ms: Number.NaN, share: Number.NaN },
    ]);
    expect(entries()).toEqual([]);
  });
});
