// The device on Dawn: bytes in and out at any place, real refusals, a real loss.
import { describe, expect, test } from 'vitest';
import { DeviceLostError, GluonError, OutOfMemoryError } from '../../core/errors.ts';
import { e } from '../../ir/expr.ts';
import { elementwiseKernel } from '../../ir/kernel.ts';
import { GpuDevice } from './gpuDevice.ts';
import { openAdapter } from './openAdapter.ts';
import { array, freshDevice, run, testDevice, values } from './testDevice.ts';

const device = await testDevice();
const ADD = elementwiseKernel('add', 2, e.add(e.input(0), e.input(1)));

describe('bytes', () => {
  test('writes, copies and reads at any place leave their neighbours alone', async () => {
    const size = 37;
    const shadow = [new Uint8Array(size), new Uint8Array(size)];
    const storages = [device.alloc(size), device.alloc(size)];
    let state = 7;
    const next = (below: number): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return Math.floor((state / 2 ** 32) * below);
    };
    for (const storage of storages) device.write(storage, new Uint8Array(size));
    for (let step = 0; step < 120; step++) {
      const to = next(2);
      const at = next(size);
      const bytes = next(size - at + 1);
      const target = shadow[to] as Uint8Array;
      if (next(2) === 0) {
        const data = Uint8Array.from({ length: bytes }, () => next(256));
        device.write(storages[to] as (typeof storages)[0], data, at);
        target.set(data, at);
        data.fill(0);
      } else {
        const from = next(2);
        const fromAt = next(size - bytes + 1);
        device.copy(
          storages[from] as (typeof storages)[0],
          fromAt,
          storages[to] as (typeof storages)[0],
          at,
          bytes,
        );
        target.set((shadow[from] as Uint8Array).slice(fromAt, fromAt + bytes), at);
      }
      if (step % 10 === 9) {
        const first = next(size);
        const length = next(size - first + 1);
        const got = await device.read([
          { storage: storages[0] as (typeof storages)[0], at: first, bytes: length },
          { storage: storages[1] as (typeof storages)[0], at: 0, bytes: size },
        ]);
        expect([...new Uint8Array(got[0] as ArrayBuffer)]).toEqual([
          ...(shadow[0] as Uint8Array).slice(first, first + length),
        ]);
        expect([...new Uint8Array(got[1] as ArrayBuffer)]).toEqual([...(shadow[1] as Uint8Array)]);
      }
    }
  });

  test('a part is written, copied and read at its own place', async () => {
    const whole = device.alloc(600);
    device.write(
      whole,
      Uint8Array.from({ length: 600 }, () => 9),
    );
    const [a, b] = [device.part(whole, 0, 5), device.part(whole, 256, 7)];
    device.write(a, Uint8Array.of(1, 2, 3, 4, 5));
    device.copy(a, 1, b, 3, 3);
    device.write(b, Uint8Array.of(7), 1);
    const got = await device.read([
      { storage: b, at: 0, bytes: 7 },
      { storage: whole, at: 254, bytes: 12 },
    ]);
    expect(got.map((bytes) => [...new Uint8Array(bytes)])).toEqual([
      [9, 7, 9, 2, 3, 4, 9],
      [9, 9, 9, 7, 9, 2, 3, 4, 9, 9, 9, 9],
    ]);
    for (const storage of [whole, a, b]) device.free(storage);
  });

  test('a view of shared memory can be written', async () => {
    const shared = new Float32Array(new SharedArrayBuffer(32), 8, 4);
    shared.set([1, 2, 3, 4]);
    const storage = device.alloc(16);
    device.write(storage, shared);
    const [bytes] = await device.read([{ storage, at: 0, bytes: 16 }]);
    expect([...new Float32Array(bytes as ArrayBuffer)]).toEqual([1, 2, 3, 4]);
  });

  test('values are those at the call, whatever is done to the array afterwards', async () => {
    const x = array(device, [3], 'float32', [1, 2, 3]);
    const before = values(device, x);
    device.run(ADD, [x, x], [x], [], []);
    const after = values(device, x);
    device.write(x.storage, new Float32Array(3));
    device.free(x.storage);
    expect(await before).toEqual([1, 2, 3]);
    expect(await after).toEqual([2, 4, 6]);
  });

  test('a thousand calls in one turn', async () => {
    const x = array(device, [4], 'float32', [0, 0, 0, 0]);
    const one = array(device, [1], 'float32', [1]);
    for (let i = 0; i < 1000; i++) device.run(ADD, [x, one], [x], [], []);
    expect(await values(device, x)).toEqual([1000, 1000, 1000, 1000]);
  });
});

describe('failures', () => {
  test('a shader that does not compile rejects the read of its output, naming the operation', async () => {
    const broken = elementwiseKernel('broken', 1, e.input(7));
    const x = array(device, [2, 2], 'float32', [1, 2, 3, 4]);
    const y = run(device, broken, [x], [2, 2], 'float32');
    await expect(values(device, y)).rejects.toThrow(/\[broken\] .*\(2, 2\)/);
    await expect(values(device, y)).rejects.toThrow(GluonError);
    // what the failed batch did not touch is as it was, and the device goes on
    expect(await values(device, x)).toEqual([1, 2, 3, 4]);
    expect(await values(device, run(device, ADD, [x, x], [2, 2], 'float32'))).toEqual([2, 4, 6, 8]);
    await expect(device.synchronize()).rejects.toThrow(/broken/);
    await device.synchronize();
  });

  test('more than the adapter binds is refused at the call', () => {
    expect(() => device.alloc(device.maxStorageBytes + 4, 'zeros')).toThrow(OutOfMemoryError);
  });

  test('float64 has no place here', () => {
    const x = { ...array(device, [2], 'float32'), dtype: 'float64' as const };
    expect(() => device.run(ADD, [x, x], [x], [], [])).toThrow(/\[add\] .*float64/);
  });
});

describe('loss', () => {
  test('a device that goes away in the middle of a read', async () => {
    const adapter = await openAdapter({ allowSoftware: true });
    const own = new GpuDevice(adapter);
    const x = array(own, [3], 'float32', [1, 2, 3]);
    const pending = values(own, x);
    adapter.device.destroy();
    await expect(pending).rejects.toThrow(DeviceLostError);
    await own.lost;
    await expect(values(own, x)).rejects.toThrow(DeviceLostError);
    own.run(ADD, [x, x], [x], [], []);
    await expect(own.synchronize()).rejects.toThrow(DeviceLostError);
  });

  test('dispose gives pending reads their values', async () => {
    const own = await freshDevice();
    const x = array(own, [3], 'float32', [1, 2, 3]);
    const pending = values(own, x);
    await own.dispose();
    expect(await pending).toEqual([1, 2, 3]);
    await expect(values(own, x)).rejects.toThrow(DeviceLostError);
    expect((await own.lost).reason).toBe('destroyed');
  });
});
