// Failures and losses against a fake GPUDevice that fails at will.
import { beforeEach, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { DeviceLostError, GluonError, OutOfMemoryError } from '../../core/errors.ts';
import { e } from '../../ir/expr.ts';
import type { Operand } from '../../ir/kernel.ts';
import { elementwiseKernel, rowKernel } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import type { FakeGpu } from './fakeGpu.ts';
import { FAKE_TRAITS, fakeGpu } from './fakeGpu.ts';
import { GpuDevice } from './gpuDevice.ts';

const ADD = elementwiseKernel('add', 2, e.add(e.input(0), e.input(1)));
const SCALE = elementwiseKernel('scale', 1, e.mul(e.input(0), e.scalar(0)));

let fake: FakeGpu;
let device: GpuDevice;

function setUp(limits = {}, keepBytes?: number): void {
  fake = fakeGpu(limits);
  device = new GpuDevice({ device: fake.device, description: 'fake', traits: FAKE_TRAITS, keepBytes });
}
beforeEach(() => setUp());

const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0));
const operand = (storage: Storage, shape: number[] = [4], dtype: DType = 'float32'): Operand => ({
  storage,
  dtype,
  shape,
});
const array = (shape: number[] = [4], dtype: DType = 'float32'): Operand =>
  operand(device.alloc(shape.reduce((a, b) => a * b, 1) * 4, 'test'), shape, dtype);
const readOne = async (x: Operand, at = 0, bytes = x.storage.bytes): Promise<Uint8Array> =>
  new Uint8Array((await device.read([{ storage: x.storage, at, bytes }]))[0] as ArrayBuffer);

describe('failures', () => {
  test('reject reads of what the batch touched, naming operation and shapes', async () => {
    const [a, b, c, other] = [array([2, 2]), array([2, 2]), array([2, 2]), array()];
    await turn();
    fake.fail('validation', 'bad shader');
    device.run(ADD, [a, b], [c], [], []);
    await expect(readOne(c)).rejects.toThrow(/\[add\] .*\(2, 2\), \(2, 2\).*bad shader/);
    await expect(readOne(c)).rejects.toThrow(GluonError);
    await readOne(a);
    await readOne(other);
  });

  test('reject all reads that travelled in the batch, since its copies were not made either', async () => {
    const [a, b, c, other] = [array(), array(), array(), array()];
    await turn();
    fake.fail('validation', 'bad shader');
    const read = readOne(other);
    device.run(ADD, [a, b], [c], [], []);
    await expect(read).rejects.toThrow(/bad shader/);
    await readOne(other);
  });

  test('spoil what is computed from it, before and after they are known', async () => {
    const [a, b, c, d] = [array(), array(), array(), array()];
    await turn();
    fake.fail('internal', 'driver gave up');
    device.run(ADD, [a, b], [c], [], []);
    device.flush();
    device.run(SCALE, [c], [d], [], [2]);
    await expect(readOne(d)).rejects.toThrow(/driver gave up/);
    const later = array();
    device.run(SCALE, [c], [later], [], [2]);
    await expect(readOne(later)).rejects.toThrow(/driver gave up/);
    const copied = array();
    device.copy(c.storage, 0, copied.storage, 0, 16);
    await expect(readOne(copied)).rejects.toThrow(/driver gave up/);
    const clean = array();
    device.run(SCALE, [a], [clean], [], [2]);
    await readOne(clean);
  });

  test('of a part are failures of the whole, but not of its other parts', async () => {
    const whole = device.alloc(1024, 'test');
    const [a, b] = [operand(device.part(whole, 0, 16)), operand(device.part(whole, 256, 16))];
    const x = array();
    await turn();
    fake.fail('validation', 'bad shader');
    device.run(SCALE, [x], [a], [], [2]);
    await expect(readOne(a)).rejects.toThrow(/bad shader/);
    await expect(readOne(operand(whole))).rejects.toThrow(/bad shader/);
    await readOne(b);
  });

  test('memory that ran out is said so, and its buffer not used again', async () => {
    await turn();
    fake.fail('out-of-memory', 'no room');
    const a = array([64]);
    await expect(readOne(a)).rejects.toThrow(OutOfMemoryError);
    await expect(readOne(a)).rejects.toThrow(/\[test\] .*no room/);
    device.free(a.storage);
    expect(array([64]).storage.buffer).not.toBe(a.storage.buffer);
  });

  test('memory that ran out in the middle of a kernel is not used again either', async () => {
    const narrow = rowKernel('sum', 1, [{ combine: 'sum', load: e.input(0) }], e.stage(0), false);
    const [x, y] = [array([4, 4]), operand(device.alloc(4, 'test'), [4], 'uint8')];
    await turn();
    const before = device.stats.buffersCreated;
    fake.fail('out-of-memory', 'no room');
    device.run(narrow, [x], [y], [4, 4, 1, 4, 1, 1], []);
    expect(device.stats.buffersCreated).toBe(before + 1);
    await expect(readOne(y)).rejects.toThrow(OutOfMemoryError);
    device.run(narrow, [x], [operand(device.alloc(4, 'test'), [4], 'uint8')], [4, 4, 1, 4, 1, 1], []);
    expect(device.stats.buffersCreated).toBe(before + 3);
  });

  test('synchronize rejects once', async () => {
    const [a, b, c] = [array(), array(), array()];
    await device.synchronize();
    fake.fail('validation', 'bad shader');
    device.run(ADD, [a, b], [c], [], []);
    await expect(device.synchronize()).rejects.toThrow(/bad shader/);
    await device.synchronize();
  });
});

describe('loss', () => {
  test('rejects pending and later reads, and asks no more of the device', async () => {
    const [a, b] = [array(), array()];
    fake.holdMaps();
    const pending = readOne(a);
    await turn();
    fake.lose('unknown', 'the driver crashed');
    await expect(pending).rejects.toThrow(DeviceLostError);
    expect(await device.lost).toEqual({ reason: 'unknown', message: 'the driver crashed' });
    await expect(readOne(b)).rejects.toThrow(/the driver crashed/);
    fake.take();
    const c = array();
    device.write(c.storage, new Float32Array(4));
    device.run(ADD, [a, b], [c], [], []);
    device.copy(a.storage, 0, c.storage, 0, 16);
    device.flush();
    device.free(c.storage);
    await expect(readOne(c)).rejects.toThrow(DeviceLostError);
    await expect(device.synchronize()).rejects.toThrow(DeviceLostError);
    await turn();
    expect(fake.take()).toEqual([]);
  });

  test('dispose lets reads finish, then destroys', async () => {
    const a = array();
    device.write(a.storage, Float32Array.of(1, 2, 3, 4));
    const pending = readOne(a);
    await device.dispose();
    expect(new Float32Array((await pending).buffer)[3]).toBe(4);
    expect(fake.log.at(-1)).toBe('destroy device');
    expect((await device.lost).reason).toBe('destroyed');
    await expect(readOne(a)).rejects.toThrow(DeviceLostError);
  });

  test('arrays of a lost device are refused by the next', () => {
    const old = array();
    const before = device;
    fake.lose('unknown', 'gone');
    return before.lost.then(() => {
      setUp();
      expect(() => device.run(SCALE, [old], [array()], [], [1])).toThrow(DeviceLostError);
    });
  });
});
