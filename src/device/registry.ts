// Which device answers for a context. The CPU is made on first use; a GPU is opened by `openGpu` and may be lost, so devices come in generations: an
// array keeps the device it was made on, and this file knows only the present one. The code of the GPU device, a third of the library, is loaded by those who
// open a GPU.

import type { Context, DeviceLoss } from '../core/context.ts';
import { cpu, gpu, setContextHooks } from '../core/context.ts';
import { ArgumentError, GpuUnavailableError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import { CpuDevice } from './cpu/cpuDevice.ts';
import type { Device, MemoryInfo } from './device.ts';
import type { GpuDevice } from './gpu/gpuDevice.ts';
import type { OpenOptions } from './gpu/openAdapter.ts';

export type { OpenOptions } from './gpu/openAdapter.ts';

let cpuDevice: CpuDevice | undefined;
let gpuDevice: GpuDevice | undefined;
/** Why there is no GPU any more, after a loss. */
let lastLoss: DeviceLoss | undefined;
let opening: { readonly allowSoftware: boolean; readonly done: Promise<GpuDevice> } | undefined;
/** The seed that devices opened later begin with. */
let globalSeed: number | undefined;
/** Those who asked for `gpu(0).lost` before it was open. */
let waitingForLoss: ((loss: DeviceLoss) => void)[] = [];

function isOpen(device: GpuDevice | undefined): device is GpuDevice {
  return device !== undefined && !device.isLost;
}

/**
 * The device that holds a context's arrays. All numbers of CPU are one device.
 * Throws GpuUnavailableError for a GPU that is not open; `op` is named in it.
 */
export function deviceOf(context: Context, op?: string): Device {
  if (context.deviceType === 'cpu') {
    if (cpuDevice === undefined) {
      cpuDevice = new CpuDevice();
      if (globalSeed !== undefined) cpuDevice.seed(globalSeed);
    }
    return cpuDevice;
  }
  if (context.deviceId !== 0)
    throw new GpuUnavailableError(
      `expected gpu(0), received ${context}: browsers give one GPU. Use gpu(0).`,
      { op },
    );
  if (isOpen(gpuDevice)) return gpuDevice;
  const state =
    lastLoss === undefined
      ? 'one that is not open'
      : lastLoss.reason === 'destroyed'
        ? 'one that was closed'
        : `one that was lost (${lastLoss.message.trim()})`;
  throw new GpuUnavailableError(
    `expected an open gpu(0), received ${state}. Call await openGpu(), or await tryGpu(), first.`,
    { op },
  );
}

/** What a context's device holds; nothing for a GPU that is not open. `gpu(1)` throws. */
export function memoryOf(context: Context, op: string): MemoryInfo {
  if (context === gpu(0) && !isOpen(gpuDevice))
    return { bytesInUse: 0, userBytes: 0, peakBytes: 0, pooledBytes: 0, arrays: 0 };
  return deviceOf(context, op).memory();
}

const OPTIONS = ['powerPreference', 'allowSoftware'];

const POWER: readonly unknown[] = [undefined, 'low-power', 'high-performance'];

/** Refuses what is no option, before anything is opened. */
function checkOptions(op: string, options: unknown): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    throw new ArgumentError(
      `expected options such as { allowSoftware: true }, received ${describe(options)}. Pass an object or nothing.`,
      { op },
    );
  const { powerPreference } = options as OpenOptions;
  if (!POWER.includes(powerPreference))
    throw new ArgumentError(
      `expected powerPreference to be 'low-power' or 'high-performance', received ${describe(powerPreference)}. Leave it out for the browser's own choice.`,
      { op },
    );
  const plain = (name: string): string => name.replaceAll('_', '').toLowerCase();
  for (const name of Object.keys(options)) {
    if (OPTIONS.includes(name)) continue;
    const meant = OPTIONS.find((known) => plain(known) === plain(name));
    throw new ArgumentError(
      `expected the options ${OPTIONS.join(' and ')}, received ${name}. ${meant === undefined ? 'Leave it out.' : `Did you mean ${meant}?`}`,
      { op },
    );
  }
}

/** A part of the library that comes when it is needed. */
async function part<T>(module: Promise<T>): Promise<T> {
  try {
    return await module;
  } catch (cause) {
    throw new GpuUnavailableError(
      `expected the library's part for GPUs, received ${String(cause)}. Serve all files of webgluon's folder, or use cpu().`,
      { op: 'openGpu', cause },
    );
  }
}

// Small, and all that is loaded where there is no GPU.
const adapters = (): Promise<typeof import('./gpu/openAdapter.ts')> => part(import('./gpu/openAdapter.ts'));

async function open(options: OpenOptions): Promise<GpuDevice> {
  const { findAdapter, openAdapter } = await adapters();
  const adapter = await findAdapter(options);
  const [opened, { GpuDevice }] = await Promise.all([
    openAdapter(options, adapter),
    part(import('./gpu/gpuDevice.ts')),
  ]);
  const device = new GpuDevice(opened);
  if (globalSeed !== undefined) device.seed(globalSeed);
  gpuDevice = device;
  lastLoss = undefined;
  const waiting = waitingForLoss;
  waitingForLoss = [];
  void device.lost.then((loss) => {
    if (gpuDevice === device) {
      gpuDevice = undefined;
      lastLoss = loss;
    }
    for (const resolve of waiting) resolve(loss);
  });
  return device;
}

/**
 * Opens the GPU and returns `gpu(0)`; one that is open already is used as it is. Calls made together share one opening; after a loss it
 * gives a fresh device, which knows nothing of the lost one's arrays.
 *
 * Rejects with GpuUnavailableError that says why: no WebGPU, an insecure page, no adapter, a software adapter only (unless `allowSoftware`), a
 * refused device, or in Node the package `webgpu` not installed.
 *
 * @example
 * const ctx = await openGpu({ powerPreference: 'high-performance' });
 * const x = nd.ones([2, 3], { ctx });
 */
export async function openGpu(options: OpenOptions = {}): Promise<Context> {
  checkOptions('openGpu', options);
  const allowSoftware = options.allowSoftware === true;
  while (!isOpen(gpuDevice)) {
    if (opening === undefined) {
      const mine = { allowSoftware, done: open(options) };
      opening = mine;
      const clear = (): void => {
        if (opening === mine) opening = undefined;
      };
      mine.done.then(clear, clear);
      await mine.done;
    } else if (opening.allowSoftware === allowSoftware) {
      await opening.done;
    } else {
      // Somebody asks for less or more: whatever comes of it, decide anew.
      await opening.done.catch(() => undefined);
    }
  }
  return gpu(0);
}

/**
 * `gpu(0)` where there is one, else `cpu(0)`. Never rejects for want of a GPU.
 *
 * @example
 * const ctx = await tryGpu();
 */
export async function tryGpu(options: OpenOptions = {}): Promise<Context> {
  checkOptions('tryGpu', options);
  try {
    return await openGpu(options);
  } catch (error) {
    if (error instanceof GpuUnavailableError) return cpu(0);
    throw error;
  }
}

/** How many GPUs `openGpu` can open: 0 or 1. A software adapter counts as none unless it is open or `allowSoftware` says otherwise. */
export async function numGpus(options: OpenOptions = {}): Promise<number> {
  checkOptions('numGpus', options);
  if (isOpen(gpuDevice)) return 1;
  try {
    await (await adapters()).findAdapter(options);
    return 1;
  } catch (error) {
    if (error instanceof GpuUnavailableError) return 0;
    throw error;
  }
}

/** Calls `fn` for each device that has been made and is there: for seeding and waiting. */
export function forEachOpenDevice(fn: (device: Device, context: Context) => void): void {
  if (cpuDevice !== undefined) fn(cpuDevice, cpu(0));
  if (isOpen(gpuDevice)) fn(gpuDevice, gpu(0));
}

/** Starts the generators of all devices anew, those opened later included. */
export function seedDevices(seed: number): void {
  globalSeed = seed;
  forEachOpenDevice((device) => device.seed(seed));
}

async function close(context: Context): Promise<void> {
  if (context.deviceType === 'cpu') {
    const device = cpuDevice;
    cpuDevice = undefined;
    await device?.dispose();
    return;
  }
  if (context.deviceId !== 0) return;
  await opening?.done.catch(() => undefined);
  const device = gpuDevice;
  if (device === undefined) return;
  await device.dispose();
  if (gpuDevice === device) {
    gpuDevice = undefined;
    lastLoss = await device.lost;
  }
}

function lost(context: Context): Promise<DeviceLoss> {
  if (context.deviceType === 'gpu' && context.deviceId === 0) {
    if (isOpen(gpuDevice)) return gpuDevice.lost;
    if (lastLoss !== undefined) return Promise.resolve(lastLoss);
    return new Promise((resolve) => waitingForLoss.push(resolve));
  }
  return new Promise(() => undefined);
}

setContextHooks({ lost, close });
