// Machines and pages on which the kernels cannot be had are told why, at the first use of the CPU device.
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

const real = WebAssembly;
// each test begins before any kernel was compiled
beforeEach(() => vi.resetModules());
afterEach(() => vi.unstubAllGlobals());

/** WebAssembly with parts of it replaced. */
function machine(parts: object): void {
  vi.stubGlobal('WebAssembly', Object.assign(Object.create(null), namesOf(), parts));
}
function namesOf(): object {
  const names = Object.getOwnPropertyNames(real) as (keyof typeof WebAssembly)[];
  return Object.fromEntries(names.map((name) => [name, real[name]]));
}

async function refusal(): Promise<Error> {
  const { CpuDevice } = await import('../cpuDevice.ts');
  const { GluonError } = await import('../../../core/errors.ts');
  try {
    new CpuDevice();
  } catch (error) {
    expect(error).toBeInstanceOf(GluonError);
    return error as Error;
  }
  throw new Error('the device was made');
}

describe('the CPU device', () => {
  test('on a machine without SIMD', async () => {
    machine({ validate: () => false });
    expect((await refusal()).message).toMatch(
      /^\[cpu\] expected a machine with WebAssembly SIMD, received .*\. Use /,
    );
  });

  test('on a machine without WebAssembly', async () => {
    vi.stubGlobal('WebAssembly', undefined);
    expect((await refusal()).message).toMatch(/^\[cpu\] expected a machine with WebAssembly SIMD, received /);
  });

  test('in a page whose policy forbids compiling', async () => {
    const cause = new real.CompileError('Refused to compile or instantiate WebAssembly module');
    machine({
      Module: class {
        constructor() {
          throw cause;
        }
      },
    });
    const error = await refusal();
    expect(error.message).toMatch(
      /^\[cpu\] expected .*, received CompileError: Refused .*'wasm-unsafe-eval'.*script-src/,
    );
    expect(error.cause).toBe(cause);
  });

  test('on a machine with SIMD, relaxed or not', async () => {
    const taken: number[] = [];
    // without fused multiply-add: the form with it is tried first
    machine({
      validate: (bytes: Uint8Array<ArrayBuffer>) => {
        const valid = taken.length > 0 && real.validate(bytes);
        taken.push(bytes.length);
        return valid;
      },
    });
    const { CpuDevice } = await import('../cpuDevice.ts');
    expect(new CpuDevice().simd).toBe('plain');
    expect(taken.length).toBeGreaterThan(1);
  });
});
