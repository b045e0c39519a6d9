// Which device answers for a context. The CPU is made on first use; a GPU is opened by `openGpu` and may be lost, so devices come in generations: an
// array keeps the device it was made on, and this file knows only the present one. The code of the GPU device, a third of the library, is loaded by those who
// open a GPU.

import type { Context, DeviceLoss } from '../core/context.ts';
import { cpu, gpu, setContextHooks } from '../core/context.ts';
import { GpuUnavailableError } from '../core/errors.ts';
import { CpuDevice } from './cpu/cpuDevice.ts';
import type { Device, MemoryInfo } from './device.ts';
import type { OpenOptions } from './gpu/openAdapter.ts';
import { gpus, isOpen, part } from './gpus.ts';

export type { OpenOptions } from './gpu/openAdapter.ts';

let cpuDevice: CpuDevice | undefined;

/**
 * The device that holds a context's arrays. All numbers of CPU are one device.
 * Throws GpuUnavailableError for a GPU that is not open; `op` is named in it.
 */
export function deviceOf(context: Context, op?: string): Device {
  if (context.deviceType === 'cpu') {
    if (cpuDevice === undefined) {
      cpuDevice = new CpuDevice();
      if (gpus.seed !== undefined) cpuDevice.seed(gpus.seed);
    }
    return cpuDevice;
  }
  if (context.deviceId !== 0)
    throw new GpuUnavailableError(
      `expected gpu(0), received ${context}: browsers give one GPU. Use gpu(0).`,
      { op },
    );
  if (isOpen(gpus.device)) return gpus.device;
  const state =
    gpus.loss === undefined
      ? 'one that is not open'
      : gpus.loss.reason === 'destroyed'
        ? 'one that was closed'
        : `one that was lost (${gpus.loss.message.trim()})`;
  throw new GpuUnavailableError(
    `expected an open gpu(0), received ${state}. Call await openGpu(), or await tryGpu(), first.`,
    { op },
  );
}

/** What a context's device holds; nothing for a GPU that is not open. `gpu(1)` throws. */
export function memoryOf(context: Context, op: string): MemoryInfo {
  if (context === gpu(0) && !isOpen(gpus.device))
    return { bytesInUse: 0, userBytes: 0, peakBytes: 0, pooledBytes: 0, arrays: 0 };
  return deviceOf(context, op).memory();
}

type Opening = typeof import('./gpu/opening.ts');

/** The last call that asked for the part that opens GPUs. */
let asked: Promise<Opening> | undefined;

function opening(): Promise<Opening> {
  asked = part(import('./gpu/opening.ts'));
  return asked;
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
  return (await opening()).openOnce('openGpu', options);
}

/**
 * `gpu(0)` where there is one, else `cpu(0)`. Never rejects for want of a GPU.
 *
 * @example
 * const ctx = await tryGpu();
 */
export async function tryGpu(options: OpenOptions = {}): Promise<Context> {
  try {
    return await (await opening()).openOnce('tryGpu', options);
  } catch (error) {
    if (error instanceof GpuUnavailableError) return cpu(0);
    throw error;
  }
}

/** How many GPUs `openGpu` can open: 0 or 1. A software adapter counts as none unless it is open or `allowSoftware` says otherwise. */
export async function numGpus(options: OpenOptions = {}): Promise<number> {
  try {
    await (await opening()).look(options);
    return 1;
  } catch (error) {
    if (error instanceof GpuUnavailableError) return 0;
    throw error;
  }
}

/** Calls `fn` for each device that has been made and is there: for seeding and waiting. */
export function forEachOpenDevice(fn: (device: Device, context: Context) => void): void {
  if (cpuDevice !== undefined) fn(cpuDevice, cpu(0));
  if (isOpen(gpus.device)) fn(gpus.device, gpu(0));
}

/** Starts the generators of all devices anew, those opened later included. */
export function seedDevices(seed: number): void {
  gpus.seed = seed;
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
  await asked?.catch(() => undefined);
  await gpus.opening?.done.catch(() => undefined);
  const device = gpus.device;
  if (device === undefined) return;
  await device.dispose();
  if (gpus.device === device) {
    gpus.device = undefined;
    gpus.loss = await device.lost;
  }
}

function lost(context: Context): Promise<DeviceLoss> {
  if (context.deviceType === 'gpu' && context.deviceId === 0) {
    if (isOpen(gpus.device)) return gpus.device.lost;
    if (gpus.loss !== undefined) return Promise.resolve(gpus.loss);
    return new Promise((resolve) => gpus.waiting.push(resolve));
  }
  return new Promise(() => undefined);
}

setContextHooks({ lost, close });
