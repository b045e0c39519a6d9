// Why there is no GPU, in plain words: with a `navigator.gpu` of our own.
import { afterEach, describe, expect, test, vi } from 'vitest';
import { GpuUnavailableError } from '../../core/errors.ts';
import { describeAdapter, findAdapter, isSoftware, openAdapter } from './openAdapter.ts';

interface FakeInfo {
  vendor?: string;
  architecture?: string;
  device?: string;
  description?: string;
  isFallbackAdapter?: boolean;
}

const LIMITS = {
  maxBufferSize: 2 ** 32,
  maxStorageBufferBindingSize: 2 ** 31,
  maxComputeWorkgroupStorageSize: 32768,
  maxComputeInvocationsPerWorkgroup: 1024,
  maxComputeWorkgroupSizeX: 1024,
  maxComputeWorkgroupSizeY: 1024,
  maxComputeWorkgroupSizeZ: 64,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** An adapter whose device has what was asked for; `refusals` requests are refused first. */
function adapter(info: FakeInfo, features: string[] = [], refusals = 0) {
  const requests: GPUDeviceDescriptor[] = [];
  let left = refusals;
  return {
    info: { vendor: '', architecture: '', device: '', description: '', ...info },
    features: new Set(features),
    limits: LIMITS,
    requests,
    requestDevice(descriptor: GPUDeviceDescriptor) {
      requests.push(descriptor);
      if (left-- > 0) return Promise.reject(new TypeError('limit too high'));
      return Promise.resolve({
        features: new Set(descriptor.requiredFeatures),
        limits: { ...LIMITS, maxComputeInvocationsPerWorkgroup: 256, ...descriptor.requiredLimits },
      });
    },
  };
}

function page(gpu: unknown, secure = true): void {
  vi.stubGlobal('navigator', { gpu });
  vi.stubGlobal('isSecureContext', secure);
  if (gpu === undefined) vi.stubGlobal('process', undefined);
}
const offering = (...adapters: unknown[]) => ({
  asked: [] as unknown[],
  requestAdapter(options: unknown) {
    this.asked.push(options);
    return Promise.resolve(adapters.shift() ?? null);
  },
});

afterEach(() => vi.unstubAllGlobals());

async function reason(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(GpuUnavailableError);
  return (error as GpuUnavailableError).message;
}

describe('no GPU', () => {
  test('a browser without WebGPU', async () => {
    page(undefined);
    expect(await reason(openAdapter())).toMatch(/\[openGpu\] .*browser without WebGPU.*cpu\(\)/);
  });

  test('a page that is not secure', async () => {
    page(undefined, false);
    expect(await reason(openAdapter())).toMatch(/not secure \(http\).*https/);
  });

  test('no adapter', async () => {
    page(offering());
    expect(await reason(openAdapter())).toMatch(/received none/);
  });

  test('a software adapter, by flag or by name', async () => {
    for (const info of [
      { vendor: 'x', isFallbackAdapter: true },
      { vendor: 'google', architecture: 'swiftshader' },
      { vendor: 'mesa', description: 'llvmpipe (LLVM 15.0.7, 256 bits)' },
      { vendor: 'microsoft', description: 'Microsoft Basic Render Driver' },
    ]) {
      page(offering(adapter(info)));
      expect(await reason(openAdapter())).toMatch(/software adapter only .*allowSoftware: true/);
      page(offering(adapter(info)));
      expect((await openAdapter({ allowSoftware: true })).traits.software).toBe(true);
    }
  });

  test('a refused device', async () => {
    page(
      offering(
        adapter({ vendor: 'nvidia', architecture: 'ampere' }, [], 9),
        adapter({ vendor: 'nvidia' }, [], 9),
      ),
    );
    expect(await reason(openAdapter())).toMatch(/device request that nvidia ampere refused/);
  });
});

describe('a GPU', () => {
  test('gives the most it has, and what is known of it', async () => {
    const one = adapter({ vendor: 'nvidia', architecture: 'ampere' }, [
      'shader-f16',
      'subgroups',
      'depth-clip-control',
    ]);
    const gpu = offering(one);
    page(gpu);
    const opened = await openAdapter({ powerPreference: 'high-performance' });
    expect(gpu.asked).toEqual([{ powerPreference: 'high-performance' }]);
    expect([...(one.requests[0]?.requiredFeatures ?? [])]).toEqual(['subgroups', 'shader-f16']);
    expect(one.requests[0]?.requiredLimits).toMatchObject({
      maxBufferSize: 2 ** 32,
      maxStorageBufferBindingSize: 2 ** 31,
    });
    expect(opened.description).toBe('nvidia ampere');
    expect(opened.traits).toEqual({
      software: false,
      subgroups: true,
      f16: true,
      maxWorkgroupStorage: 32768,
      maxInvocationsPerWorkgroup: 1024,
      maxWorkgroups: 65535,
    });
  });

  test('that refuses its own limits is asked for what every device has', async () => {
    const second = adapter({ vendor: 'arm' });
    page(offering(adapter({ vendor: 'arm' }, [], 1), second));
    expect((await openAdapter()).traits.maxInvocationsPerWorkgroup).toBe(256);
    expect(second.requests[0]?.requiredLimits).toBeUndefined();
  });

  test('a fallback is asked for only where software is allowed', async () => {
    const gpu = offering(null, adapter({ isFallbackAdapter: true }));
    page(gpu);
    await findAdapter({ allowSoftware: true });
    expect(gpu.asked).toEqual([{}, { forceFallbackAdapter: true }]);
  });

  test('names', () => {
    const info = (x: FakeInfo) =>
      ({ vendor: '', architecture: '', device: '', description: '', ...x }) as GPUAdapterInfo;
    expect(describeAdapter(info({ vendor: 'apple', architecture: 'metal-3' }))).toBe('apple metal-3');
    expect(describeAdapter(info({ vendor: 'intel', description: 'Intel Arc A770' }))).toBe('Intel Arc A770');
    expect(describeAdapter(info({}))).toBe('unknown adapter');
    expect(isSoftware({ info: info({ vendor: 'intel', architecture: 'gen-12lp' }) } as GPUAdapter)).toBe(
      false,
    );
  });
});
