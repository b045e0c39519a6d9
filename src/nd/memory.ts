// What a device's memory holds.
import type { Context } from '../core/context.ts';
import { checkContext } from '../core/context.ts';
import type { MemoryInfo } from '../device/device.ts';
import { deviceOf } from '../device/registry.ts';

/**
 * What the device of a context (the current one by default) holds, in bytes: in use, of that in users' hands, at most so far, free but kept; and the
 * number of arrays. `bytesInUse − userBytes` is the library's own: parameters and state, the same after every call.
 *
 * @throws GpuUnavailableError for a GPU that is not open
 */
export function memoryInfo(ctx?: Context): MemoryInfo {
  return deviceOf(checkContext(ctx, 'memoryInfo'), 'memoryInfo').memory();
}
