// For unit tests only: the process's one GpuDevice on whatever adapter Node has (SwiftShader in the project's tests), and arrays on it.
import type { DType } from '../../core/dtype.ts';
import { bytesOf, DTYPES } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Kernel, Operand } from '../../ir/kernel.ts';
import { GpuDevice } from './gpuDevice.ts';
import type { GpuTraits } from './lowering.ts';
import { openAdapter } from './openAdapter.ts';
import { decode, encode } from './testSink.ts';

let opened: Promise<GpuDevice> | undefined;

/** A fresh device; `traits` override what the adapter is. */
export async function freshDevice(traits: Partial<GpuTraits> = {}): Promise<GpuDevice> {
  const adapter = await openAdapter({ allowSoftware: true });
  return new GpuDevice({
    ...adapter,
    traits: { ...adapter.traits, ...traits },
    // All that shaders can hold, whatever the adapter's features.
    dtypes: new Set(DTYPES.filter((dtype) => dtype !== 'float64')),
  });
}

export function testDevice(): Promise<GpuDevice> {
  opened ??= freshDevice();
  return opened;
}

/** An array on the device; without values its contents are what the pool gives. */
export function array(
  device: GpuDevice,
  shape: readonly number[],
  dtype: DType,
  values?: ArrayLike<number>,
): Operand {
  const storage = device.alloc(sizeOf(shape) * bytesOf(dtype), 'test');
  if (values !== undefined) device.write(storage, new Uint8Array(encode(values, dtype)));
  return { storage, dtype, shape };
}

/** The numbers of an array. */
export async function values(device: GpuDevice, operand: Operand): Promise<number[]> {
  const [bytes] = await device.read([{ storage: operand.storage, at: 0, bytes: operand.storage.bytes }]);
  return decode(bytes as ArrayBuffer, operand.dtype);
}

/** Runs a kernel into a new array of `shape` and `dtype`. */
export function run(
  device: GpuDevice,
  kernel: Kernel,
  inputs: readonly Operand[],
  shape: readonly number[],
  dtype: DType,
  dims: readonly number[] = [],
  scalars: readonly number[] = [],
): Operand {
  const output = array(device, shape, dtype);
  device.run(kernel, inputs, [output], dims, scalars);
  return output;
}
