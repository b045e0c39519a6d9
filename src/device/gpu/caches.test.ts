// Bind groups and pipelines: found again, forgotten, made ahead.
import { beforeEach, describe, expect, test } from 'vitest';
import { BindGroups } from './bindGroups.ts';
import type { FakeGpu } from './fakeGpu.ts';
import { fakeGpu } from './fakeGpu.ts';
import type { Access, GpuShader } from './lowering.ts';
import { Pipelines } from './pipelines.ts';
import { GpuStorage } from './storage.ts';

let fake: FakeGpu;
let pipelines: Pipelines;
beforeEach(() => {
  fake = fakeGpu();
  pipelines = new Pipelines(fake.device);
});

const shader = (key: string, bindings: Access[] = ['read', 'read_write']): GpuShader => ({
  key,
  label: key,
  bindings,
  code: () => '',
});
let nextId = 1;
function storage(): GpuStorage {
  const gpu = fake.device.createBuffer({ size: 256, usage: 0 });
  return new GpuStorage(
    {},
    { id: nextId++, gpu, size: 256, sizeClass: 0, batch: 0, madeIn: 0, broken: false, freedAt: 0 },
    256,
  );
}

describe('bind groups', () => {
  test('are told apart by layout, buffers and their order', () => {
    const groups = new BindGroups(fake.device, storage().pooled.gpu, 100);
    const [a, b] = [storage(), storage()];
    const two = pipelines.get(shader('two')).layout;
    const writing = pipelines.get(shader('writing', ['read_write', 'read_write'])).layout;
    const first = groups.get(two, [a, b]);
    expect(groups.get(two, [a, b])).toBe(first);
    expect(groups.get(two, [b, a])).not.toBe(first);
    expect(groups.get(two, [a, a])).not.toBe(first);
    expect(groups.get(writing, [a, b])).not.toBe(first);
    // what lies beyond the layout's bindings does not count
    expect(groups.get(two, [a, b, b])).toBe(first);
    expect(groups.created).toBe(4);
  });

  test('a part is bound with its own bytes, and told from its whole', () => {
    const groups = new BindGroups(fake.device, storage().pooled.gpu, 100);
    const layout = pipelines.get(shader('one', ['read_write'])).layout;
    const whole = storage();
    const part = (bytes: number): GpuStorage => new GpuStorage({}, whole.pooled, bytes, 0, whole);
    const first = groups.get(layout, [whole]);
    expect(groups.get(layout, [part(20)])).not.toBe(first);
    expect(groups.get(layout, [part(30)])).toBe(groups.get(layout, [part(20)]));
    expect(groups.get(layout, [part(40)])).not.toBe(groups.get(layout, [part(20)]));
  });

  test('those not asked for in the longest time are forgotten when there are too many', () => {
    const groups = new BindGroups(fake.device, storage().pooled.gpu, 8);
    const layout = pipelines.get(shader('one', ['read_write'])).layout;
    const storages = Array.from({ length: 8 }, storage);
    const made = storages.map((s) => groups.get(layout, [s]));
    groups.get(layout, [storages[0] as GpuStorage]);
    groups.get(layout, [storage()]);
    expect(groups.size).toBeLessThanOrEqual(8);
    expect(groups.get(layout, [storages[0] as GpuStorage])).toBe(made[0]);
    expect(groups.get(layout, [storages[7] as GpuStorage])).toBe(made[7]);
    expect(groups.get(layout, [storages[1] as GpuStorage])).not.toBe(made[1]);
  });

  test('those over destroyed buffers are forgotten', () => {
    const groups = new BindGroups(fake.device, storage().pooled.gpu, 100);
    const layout = pipelines.get(shader('two')).layout;
    const [a, b, c] = [storage(), storage(), storage()];
    groups.get(layout, [a, b]);
    groups.get(layout, [b, a]);
    const kept = groups.get(layout, [a, c]);
    b.pooled.broken = true;
    groups.dropBroken();
    expect(groups.size).toBe(1);
    expect(groups.get(layout, [a, c])).toBe(kept);
  });
});

describe('pipelines', () => {
  test('are made once for a key, and share layouts by signature', () => {
    const a = pipelines.get(shader('a'));
    expect(pipelines.get(shader('a'))).toBe(a);
    const b = pipelines.get(shader('b'));
    expect(b).not.toBe(a);
    expect(b.layout).toBe(a.layout);
    expect(pipelines.get(shader('c', ['read', 'read', 'read_write'])).layout).not.toBe(a.layout);
    expect(a.writes).toEqual([false, true]);
    expect(fake.log.filter((call) => call.startsWith('compile'))).toEqual([
      'compile a',
      'compile b',
      'compile c',
    ]);
  });

  test('can be made ahead, with progress, and are then there', async () => {
    let done = 0;
    await pipelines.precompile([shader('a'), shader('b'), shader('a')], () => void done++);
    expect(done).toBe(3);
    pipelines.get(shader('a'));
    pipelines.get(shader('b'));
    expect(pipelines.created).toBe(2);
    expect(fake.log).toEqual(['compile a', 'compile b']);
  });
});
