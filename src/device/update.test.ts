// Update kernels and parts of storages on both devices, against the same arithmetic in doubles.
import { beforeAll, describe, expect, test } from 'vitest';
import { cpu, gpu } from '../core/context.ts';
import { e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { elementwiseKernel, updateKernel } from '../ir/kernel.ts';
import { deviceOf, openGpu } from './registry.ts';

beforeAll(async () => {
  await openGpu({ allowSoftware: true });
});

// targets: weight, momentum; read: gradient. m ← μ·m − lr·g; w ← w + m (the new m)
const momentum = updateKernel('momentum', 2, 1, [
  [1, e.sub(e.mul(e.scalar(1), e.input(1)), e.mul(e.scalar(0), e.input(2)))],
  [0, e.add(e.input(0), e.input(1))],
]);

describe.each([cpu(), gpu()])('on %s', (context) => {
  const make = (values: number[]): Operand => {
    const device = deviceOf(context);
    const storage = device.alloc(values.length * 4);
    device.write(storage, Float32Array.from(values));
    return { storage, dtype: 'float32', shape: [values.length] };
  };
  const read = async (x: Operand): Promise<number[]> => {
    const [bytes] = await deviceOf(context).read([
      { storage: x.storage, at: 0, bytes: (x.shape[0] as number) * 4 },
    ]);
    return [...new Float32Array(bytes as ArrayBuffer)];
  };

  test('steps see what earlier steps made', async () => {
    const n = 301;
    const values = (f: (i: number) => number): number[] =>
      Array.from({ length: n }, (_, i) => Math.fround(f(i)));
    const [w, m, g] = [values(Math.sin), values(Math.cos), values((i) => i / 100)] as const;
    const [weight, state, gradient] = [make(w), make(m), make(g)] as const;
    deviceOf(context).run(momentum, [gradient], [weight, state], [], [0.1, 0.9]);
    const [newW, newM] = [await read(weight), await read(state)];
    for (let i = 0; i < n; i++) {
      const expected = 0.9 * (m[i] as number) - 0.1 * (g[i] as number);
      expect(newM[i]).toBeCloseTo(expected, 5);
      expect(newW[i]).toBeCloseTo((w[i] as number) + expected, 5);
    }
    expect(await read(gradient)).toEqual(g);
  });

  test('parts share the memory of their whole and keep it', async () => {
    const device = deviceOf(context);
    const before = device.memory();
    const whole = make(Array.from({ length: 192 }, (_, i) => i));
    const parts = [0, 256, 512].map(
      (at): Operand => ({ storage: device.part(whole.storage, at, 256), dtype: 'float32', shape: [64] }),
    );
    const [a, b, c] = parts as [Operand, Operand, Operand];
    expect((await read(b)).slice(0, 2)).toEqual([64, 65]);
    // an input beside the output in one buffer
    device.run(elementwiseKernel('add', 2, e.add(e.input(0), e.input(1))), [a, b], [c], [], []);
    expect((await read(whole)).slice(127, 131)).toEqual([127, 64, 66, 68]);
    expect(device.memory().bytesInUse - before.bytesInUse).toBe(768);
    device.free(whole.storage);
    expect(device.memory().bytesInUse - before.bytesInUse).toBe(768);
    expect((await read(c))[1]).toBe(66);
    for (const p of parts) device.free(p.storage);
    expect(device.memory().bytesInUse).toBe(before.bytesInUse);
    expect(device.memory().arrays).toBe(before.arrays);
  });
});
