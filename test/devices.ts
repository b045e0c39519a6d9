// The device matrix: whatever a test says of arrays, it says of every device. In Node the GPU is Dawn, as a rule on a software adapter.
import { beforeAll, beforeEach, describe } from 'vitest';
import { type Context, cpu, type DType, gpu, openGpu } from 'webgluon';
import { deviceOf } from '../src/device/registry.ts';

/** Set where no adapter can be had at all: the GPU's half is skipped and counted. Without it, a missing adapter is a failure. */
const WITHOUT_GPU = process.env['WEBGLUON_NO_GPU'] === '1';

/** Defines the same tests on `cpu(0)` and on `gpu(0)`. */
export function eachDevice(define: (ctx: Context) => void): void {
  describe('on cpu(0)', () => define(cpu(0)));
  describe('on gpu(0)', () => {
    if (WITHOUT_GPU) beforeEach((test) => test.skip('WEBGLUON_NO_GPU=1: there is no adapter here'));
    else
      beforeAll(async () => {
        await openGpu({ allowSoftware: true });
      });
    define(gpu(0));
  });
}

/** Whether the device of a context, which is open, holds arrays of a dtype. */
export function holds(ctx: Context, dtype: DType): boolean {
  return deviceOf(ctx).dtypes.has(dtype);
}
