// What a device's memory holds.
import type { Context } from '../core/context.ts';
import { checkContext } from '../core/context.ts';
import type { MemoryInfo } from '../device/device.ts';
import { memoryOf } from '../device/registry.ts';

/**
 * What the device of a context (the current one by default) holds, in bytes: in use, of that in users' hands, at most so far, free but kept; and the
 * number of arrays. `bytesInUse − userBytes` is the library's own: parameters and state, the same after every call.
 *
 * A GPU that is not open holds nothing.
 * @throws GpuUnavailableError for gpu(1)
 */
export function memoryInfo(ctx?: Context): MemoryInfo {
  return memoryOf(checkContext(ctx, 'memoryInfo'), 'memoryInfo');
}
