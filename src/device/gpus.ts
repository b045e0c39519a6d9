// What is known of the one GPU, between the registry, which every page has, and opening.ts, which comes when a GPU is asked for.
import type { DeviceLoss } from '../core/context.ts';
import { GpuUnavailableError } from '../core/errors.ts';
import type { GpuDevice } from './gpu/gpuDevice.ts';

/** The GPU: what there is of it, written by what opens it. */
export const gpus: {
  device: GpuDevice | undefined;
  /** Why there is none any more, after a loss. */
  loss: DeviceLoss | undefined;
  opening: { readonly allowSoftware: boolean; readonly done: Promise<GpuDevice> } | undefined;
  /** The seed that devices opened later begin with; a CPU's too. */
  seed: number | undefined;
  /** Those who asked for `gpu(0).lost` before it was open. */
  waiting: ((loss: DeviceLoss) => void)[];
} = { device: undefined, loss: undefined, opening: undefined, seed: undefined, waiting: [] };

/** Whether it is there, and not lost. */
export function isOpen(device: GpuDevice | undefined): device is GpuDevice {
  return device !== undefined && !device.isLost;
}

/** A part of the library that comes when a GPU is asked for. */
export async function part<T>(module: Promise<T>): Promise<T> {
  try {
    return await module;
  } catch (cause) {
    throw new GpuUnavailableError(
      `expected the library's part for GPUs, received ${String(cause)}. Serve all files of webgluon's folder, or use cpu().`,
      { op: 'openGpu', cause },
    );
  }
}

/** What is loaded beside the GPU's own part. */
export const companions: (() => Promise<unknown>)[] = [];

/** Takes note of a part of the floors above that only arrays of a GPU need: it is loaded when one is opened. */
export function besideGpu(load: () => Promise<unknown>): void {
  companions.push(load);
}
