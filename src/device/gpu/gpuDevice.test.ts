// The device's rules against a fake GPUDevice: what is asked of WebGPU, and in which order.
import { beforeEach, describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { OutOfMemoryError } from '../../core/errors.ts';
import { e } from '../../ir/expr.ts';
import type { Operand } from '../../ir/kernel.ts';
import { elementwiseKernel } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import { MAX_DISPATCHES } from './encoder.ts';
import type { FakeGpu } from './fakeGpu.ts';
import { FAKE_TRAITS, fakeGpu } from './fakeGpu.ts';
import { GpuDevice } from './gpuDevice.ts';

const ADD = elementwiseKernel('add', 2, e.add(e.input(0), e.input(1)));
const MUL = elementwiseKernel('mul', 2, e.mul(e.input(0), e.input(1)));
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

describe('batches', () => {
  test('what one turn records is one pass and one submit', async () => {
    const [a, b, c] = [array(), array(), array()];
    await turn();
    fake.take();
    device.run(ADD, [a, b], [c], [], []);
    device.run(ADD, [a, c], [b], [], []);
    device.run(MUL, [a, c], [b], [], []);
    await turn();
    expect(fake.take()).toEqual([
      'compile add',
      'group',
      'pass',
      'pipeline add',
      'dispatch 1',
      'group',
      'dispatch 1',
      'compile mul',
      'pipeline mul',
      'dispatch 1',
      'end',
      'write parameters 768',
      'submit',
    ]);
    expect(device.stats).toMatchObject({
      dispatches: 3,
      submits: 1,
      bindGroupsCreated: 2,
      pipelinesCreated: 2,
    });
  });

  test('a warm call makes no object', async () => {
    const [a, b, c] = [array(), array(), array()];
    device.run(ADD, [a, b], [c], [], []);
    await turn();
    fake.take();
    device.run(ADD, [a, b], [c], [], []);
    await turn();
    expect(fake.take()).toEqual([
      'pass',
      'pipeline add',
      'dispatch 1',
      'end',
      'write parameters 256',
      'submit',
    ]);
  });

  test(`${MAX_DISPATCHES} dispatches are submitted at once`, () => {
    const [a, b, c] = [array(), array(), array()];
    for (let i = 0; i < MAX_DISPATCHES; i++) {
      expect(device.stats.submits).toBe(0);
      device.run(ADD, [a, b], [c], [], []);
    }
    expect(device.stats.submits).toBe(1);
  });

  test('so are dispatches that write much', () => {
    setUp({ maxBufferSize: 2 ** 29, maxStorageBufferBindingSize: 2 ** 29 });
    // A quarter of the budget each.
    const size = 2 ** 24;
    const c = operand(device.alloc(size * 4, 'test'), [size]);
    const a = operand(device.alloc(4, 'test'), [1]);
    for (let i = 0; i < 4; i++) {
      expect(device.stats.submits).toBe(0);
      device.run(SCALE, [a], [c], [], [1]);
    }
    expect(device.stats.submits).toBe(1);
  });

  test('a copy ends the pass, not the batch', async () => {
    const [a, b, c] = [array(), array(), array()];
    await turn();
    fake.take();
    device.run(ADD, [a, b], [c], [], []);
    device.copy(c.storage, 0, a.storage, 0, 16);
    device.run(ADD, [a, b], [c], [], []);
    await turn();
    const calls = fake.take().filter((call) => !/group|compile|parameters/.test(call));
    expect(calls).toEqual([
      'pass',
      'pipeline add',
      'dispatch 1',
      'end',
      'copy #4 → #2 16',
      'pass',
      'pipeline add',
      'dispatch 1',
      'end',
      'submit',
    ]);
  });

  test('a write to a buffer that the batch uses submits it first, another does not', async () => {
    const [a, b, c, d] = [array(), array(), array(), array()];
    device.run(ADD, [a, b], [c], [], []);
    fake.take();
    device.write(d.storage, new Float32Array(4));
    expect(fake.take()).toEqual(['write #5 16']);
    device.write(a.storage, new Float32Array(4));
    expect(fake.take()).toEqual(['end', 'write parameters 256', 'submit', 'write #2 16']);
    device.write(a.storage, new Float32Array(4));
    expect(fake.take()).toEqual(['write #2 16']);
  });

  test('flush hands over at once, and nothing twice', () => {
    const [a, b, c] = [array(), array(), array()];
    device.run(ADD, [a, b], [c], [], []);
    device.flush();
    device.flush();
    expect(fake.log.filter((call) => call === 'submit')).toHaveLength(1);
  });

  test('error scopes are balanced', async () => {
    for (let i = 0; i < 5; i++) {
      const [a, b, c] = [array(), array(), array()];
      device.run(ADD, [a, b], [c], [], []);
      if (i % 2 === 0) device.flush();
      await turn();
      expect(fake.openScopes()).toBe(0);
    }
  });
});

describe('parameters', () => {
  test('each dispatch has a slot of its own, uploaded once before the submit', async () => {
    const [a, b] = [array(), array()];
    device.run(SCALE, [a], [b], [], [0.5]);
    device.run(SCALE, [a], [b], [], [-2]);
    await turn();
    expect(fake.offsets).toEqual([0, 256]);
    expect(fake.parameters.map((words) => [words[0], new Float32Array(words.buffer)[2]])).toEqual([
      [1, 0.5],
      [1, -2],
    ]);
    expect(fake.log.filter((call) => call.startsWith('write parameters'))).toEqual(['write parameters 512']);
  });

  test('the ring begins anew when it is full, and no slot serves twice in a batch', async () => {
    const [a, b] = [array(), array()];
    const scalars: number[] = [];
    for (let i = 0; i < 600; i++) {
      scalars.push(i);
      device.run(SCALE, [a], [b], [], [i]);
      if (i % 50 === 49) device.flush();
    }
    await turn();
    expect(fake.parameters.map((words) => new Float32Array(words.buffer)[2])).toEqual(scalars);
    expect(Math.max(...fake.offsets)).toBe(255 * 256);
  });
});

describe('memory', () => {
  test('counts', () => {
    expect(device.memory()).toEqual({ bytesInUse: 0, userBytes: 0, peakBytes: 0, pooledBytes: 0, arrays: 0 });
    const a = device.alloc(1000, 'test');
    const b = device.alloc(24, 'test');
    device.countUser(a, 1);
    expect(device.memory()).toEqual({
      bytesInUse: 1024,
      userBytes: 1000,
      peakBytes: 1024,
      pooledBytes: 0,
      arrays: 2,
    });
    device.free(b);
    expect(device.memory()).toEqual({
      bytesInUse: 1000,
      userBytes: 1000,
      peakBytes: 1024,
      pooledBytes: 256,
      arrays: 1,
    });
    device.countUser(a, -1);
    expect(device.memory().userBytes).toBe(0);
    device.free(a);
    device.free(a);
    expect(device.memory()).toEqual({
      bytesInUse: 0,
      userBytes: 0,
      peakBytes: 1024,
      pooledBytes: 1280,
      arrays: 0,
    });
  });

  test('a freed buffer serves the next array of its class at once, last in first out', () => {
    const [a, b, c] = [device.alloc(1000, 'test'), device.alloc(1024, 'test'), device.alloc(896, 'test')];
    for (const storage of [a, b, c]) device.free(storage);
    expect(device.alloc(897, 'test').buffer).toBe(b.buffer);
    expect(device.alloc(897, 'test').buffer).toBe(a.buffer);
    expect(device.alloc(769, 'test').buffer).toBe(c.buffer);
    expect(device.stats.buffersCreated).toBe(3);
  });

  test('beyond the cap the longest free are destroyed, only after a submit', async () => {
    setUp({}, 3000);
    const [a, b, c] = [device.alloc(1024, 'test'), device.alloc(1024, 'test'), device.alloc(2048, 'test')];
    const x = array();
    device.run(SCALE, [operand(a, [4])], [x], [], [1]);
    fake.take();
    device.free(a);
    device.free(b);
    device.free(c);
    expect(fake.take()).toEqual([]);
    await turn();
    expect(fake.take().filter((call) => /submit|destroy/.test(call))).toEqual([
      'submit',
      'destroy #2',
      'destroy #3',
    ]);
    expect(device.memory().pooledBytes).toBe(2048);
  });

  test('bind groups over destroyed buffers are forgotten', async () => {
    setUp({}, 0);
    const x = array();
    const a = array();
    device.run(SCALE, [a], [x], [], [1]);
    device.free(a.storage);
    await turn();
    const b = array();
    expect(b.storage.buffer).not.toBe(a.storage.buffer);
    device.run(SCALE, [b], [x], [], [1]);
    await turn();
    expect(device.stats.bindGroupsCreated).toBe(2);
  });

  test('an array beyond the limits is refused, naming the operation, the bytes and the limit', () => {
    expect(() => device.alloc(2 ** 27 + 4, 'zeros')).toThrow(OutOfMemoryError);
    expect(() => device.alloc(2 ** 27 + 4, 'zeros')).toThrow(/\[zeros\] .*134217728.*134217732/);
    expect(device.memory().arrays).toBe(0);
  });

  test('nothing is a legal size', async () => {
    const a = operand(device.alloc(0, 'test'), [0]);
    device.write(a.storage, new Uint8Array(0));
    device.run(SCALE, [a], [a], [], [1]);
    expect((await readOne(a)).length).toBe(0);
    expect(device.stats.dispatches).toBe(0);
  });
});

describe('reads', () => {
  test('reads of one turn share a staging buffer, a submit and a mapping', async () => {
    const [a, b] = [array(), array()];
    device.write(a.storage, Float32Array.of(1, 2, 3, 4));
    device.write(b.storage, Float32Array.of(5, 6, 7, 8));
    fake.take();
    const got = await Promise.all([
      device.read([{ storage: a.storage, at: 0, bytes: 16 }]),
      device.read([
        { storage: b.storage, at: 4, bytes: 8 },
        { storage: a.storage, at: 0, bytes: 4 },
      ]),
    ]);
    expect(got.map((list) => list.map((bytes) => [...new Float32Array(bytes)]))).toEqual([
      [[1, 2, 3, 4]],
      [[6, 7], [1]],
    ]);
    expect(fake.take()).toEqual([
      'buffer readback 65536',
      'copy #2 → readback 16',
      'copy #3 → readback 8',
      'copy #2 → readback 4',
      'submit',
      'map readback',
      'unmap readback',
    ]);
    // and once unmapped the staging buffer serves again
    await readOne(a);
    expect(fake.take()).toEqual(['copy #2 → readback 16', 'submit', 'map readback', 'unmap readback']);
  });

  test('a staging buffer that is still mapped is not used', async () => {
    const a = array();
    fake.holdMaps();
    const first = readOne(a);
    await turn();
    const second = readOne(a);
    await turn();
    expect(fake.log.filter((call) => call.startsWith('buffer readback'))).toHaveLength(2);
    fake.releaseMaps();
    await Promise.all([first, second]);
  });

  test('give the values as they are at the call', async () => {
    const a = array();
    device.write(a.storage, Float32Array.of(1, 1, 1, 1));
    const before = readOne(a);
    device.write(a.storage, Float32Array.of(2, 2, 2, 2));
    const after = readOne(a);
    device.free(a.storage);
    const next = array();
    device.write(next.storage, Float32Array.of(3, 3, 3, 3));
    expect(new Float32Array((await before).buffer)[0]).toBe(1);
    expect(new Float32Array((await after).buffer)[0]).toBe(2);
  });

  test('bytes at any place', async () => {
    const a = operand(device.alloc(11, 'test'), [11], 'uint8');
    device.write(
      a.storage,
      Uint8Array.from({ length: 11 }, (_, i) => i),
    );
    for (let at = 0; at <= 11; at++)
      for (let bytes = 0; at + bytes <= 11; bytes++)
        expect([...(await readOne(a, at, bytes))]).toEqual(Array.from({ length: bytes }, (_, i) => at + i));
  });

  test('outside of the storage they reject', async () => {
    const a = array();
    await expect(readOne(a, 8, 12)).rejects.toThrow(RangeError);
    expect(() => device.write(a.storage, new Uint8Array(4), 13)).toThrow(RangeError);
  });
});
