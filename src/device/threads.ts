// `setNumThreads`: how many threads the CPU device has.
import { cpu } from '../core/context.ts';
import { ArgumentError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import { CpuDevice } from './cpu/cpuDevice.ts';
import { deviceOf } from './registry.ts';

/**
 * Shares large work on the CPU among `n` threads, the caller included; 0: as many as there are cores. Resolves to the number in use. It is 1,
 * and everything works as before, where threads cannot be had: a page needs to be isolated from other origins (`Cross-Origin-Opener-Policy: same-origin` and
 * `Cross-Origin-Embedder-Policy: require-corp`) and to allow the worker (`worker-src 'self'`). Results are the same for any number of threads.
 *
 * Throws ArgumentError for what is no whole number ≥ 0.
 * @example
 * const threads = await setNumThreads(0);
 */
export async function setNumThreads(n: number): Promise<number> {
  if (!Number.isInteger(n) || n < 0)
    throw new ArgumentError(
      `expected a whole number of threads ≥ 0, received ${describe(n)}. Pass 0 for as many as there are cores.`,
      { op: 'setNumThreads' },
    );
  const device = deviceOf(cpu(), 'setNumThreads');
  return device instanceof CpuDevice ? device.setNumThreads(n) : 1;
}
