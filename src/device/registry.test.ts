// Contexts to devices, on whatever adapter Node has: here a software one, which counts as none unless it is allowed.
import { afterEach, describe, expect, test } from 'vitest';
import { cpu, gpu } from '../core/context.ts';
import { ArgumentError, DeviceLostError, GpuUnavailableError } from '../core/errors.ts';
import type { GpuDevice } from './gpu/gpuDevice.ts';
import type { OpenOptions } from './registry.ts';
import { deviceOf, forEachOpenDevice, numGpus, openGpu, tryGpu } from './registry.ts';

const SOFTWARE = { allowSoftware: true };
afterEach(() => gpu(0).close());

describe('the CPU', () => {
  test('is one device for all numbers', () => {
    expect(deviceOf(cpu(0))).toBe(deviceOf(cpu(3)));
    expect(deviceOf(cpu(0)).kind).toBe('cpu');
  });
});

describe('the GPU', () => {
  test('that is not open says what to call; there is no second one', async () => {
    expect(() => deviceOf(gpu(0), 'zeros')).toThrow(GpuUnavailableError);
    expect(() => deviceOf(gpu(0), 'zeros')).toThrow(/\[zeros\] .*openGpu/);
    await openGpu(SOFTWARE);
    expect(deviceOf(gpu(0)).kind).toBe('gpu');
    expect(() => deviceOf(gpu(1), 'zeros')).toThrow(GpuUnavailableError);
  });

  test('a software adapter counts as none unless it is allowed', async () => {
    await expect(openGpu()).rejects.toThrow(GpuUnavailableError);
    await expect(openGpu()).rejects.toThrow(/software adapter.*allowSoftware/);
    expect(await numGpus()).toBe(0);
    expect(await tryGpu()).toBe(cpu(0));
    expect(await numGpus(SOFTWARE)).toBe(1);
    expect(await tryGpu(SOFTWARE)).toBe(gpu(0));
    expect(await numGpus()).toBe(1);
  });

  test('calls made together share one opening', async () => {
    const [a, b, c] = await Promise.all([
      openGpu(SOFTWARE),
      openGpu(SOFTWARE),
      openGpu().catch(() => 'none'),
    ]);
    expect(a).toBe(gpu(0));
    expect(b).toBe(gpu(0));
    void c;
    const device = deviceOf(gpu(0));
    await openGpu(SOFTWARE);
    expect(deviceOf(gpu(0))).toBe(device);
  });

  test('a refusal asked for together with an opening spoils neither', async () => {
    const refused = openGpu();
    const opened = openGpu(SOFTWARE);
    await expect(refused).rejects.toThrow(GpuUnavailableError);
    expect(await opened).toBe(gpu(0));
  });

  test('closed, it tells so, and opens anew', async () => {
    const lostBefore = gpu(0).lost;
    await openGpu(SOFTWARE);
    const first = deviceOf(gpu(0));
    const lost = gpu(0).lost;
    const storage = first.alloc(16, 'test');
    await gpu(0).close();
    expect(await lost).toMatchObject({ reason: 'destroyed' });
    if (lostBefore !== lost) expect((await lostBefore).reason).toBe('destroyed');
    expect(() => deviceOf(gpu(0))).toThrow(/closed/);
    await expect(first.read([{ storage, at: 0, bytes: 16 }])).rejects.toThrow(DeviceLostError);
    await openGpu(SOFTWARE);
    const second = deviceOf(gpu(0));
    expect(second).not.toBe(first);
    await expect(second.read([{ storage, at: 0, bytes: 16 }])).rejects.toThrow(DeviceLostError);
    expect((first as GpuDevice).isLost).toBe(true);
  });

  test('closed while it is being opened, it is closed', async () => {
    const opened = openGpu(SOFTWARE);
    await gpu(0).close();
    expect(await opened).toBe(gpu(0));
    expect(() => deviceOf(gpu(0))).toThrow(/closed/);
  });

  test('options that are none are refused, with what was meant', async () => {
    await expect(openGpu({ allow_software: true } as OpenOptions)).rejects.toThrow(
      /\[openGpu\] .*allow_software.*allowSoftware\?/,
    );
    await expect(tryGpu(1 as OpenOptions)).rejects.toThrow(ArgumentError);
    await expect(numGpus({ software: true } as OpenOptions)).rejects.toThrow(
      /\[numGpus\] .*received software\. Leave it out/,
    );
  });

  test('open devices are counted', async () => {
    deviceOf(cpu(0));
    await openGpu(SOFTWARE);
    const kinds: string[] = [];
    forEachOpenDevice((device, context) => kinds.push(`${device.kind} ${context}`));
    expect(kinds).toEqual(['cpu cpu(0)', 'gpu gpu(0)']);
  });
});
