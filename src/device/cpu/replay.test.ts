// Programs on the CPU: memory that moves between runs and within them, slots given back or kept, what a run leaves behind. What plans compute is tested in graph/plan.test.ts.
import { afterEach, describe, expect, test } from 'vitest';
import { OutOfMemoryError } from '../../core/errors.ts';
import { e } from '../../ir/expr.ts';
import { customKernel, elementwiseKernel, productKernel, rowKernel } from '../../ir/kernel.ts';
import type { Place, Plan, PlanOperand } from '../../ir/plan.ts';
import type { Storage } from '../../ir/storage.ts';
import { CpuDevice } from './cpuDevice.ts';
import './replay.ts';

const open: CpuDevice[] = [];
function device(): CpuDevice {
  const made = new CpuDevice();
  open.push(made);
  return made;
}
afterEach(async () => {
  for (const made of open.splice(0)) await made.dispose();
});

const N = 160;
const operand = (kind: Place['kind'], index: number, shape: readonly number[] = [N, N]): PlanOperand => ({
  place: { kind, index },
  dtype: 'float32',
  shape,
});

/** out = exp(softmax(x·x·s + k)) summed over windows of two, by every kind of kernel; out1 = noise. */
const PLAN: Plan = {
  steps: [
    {
      kernel: productKernel('square', 'matmul', {
        epilogue: e.add(e.mul(e.input(0), e.scalar(0)), e.input(1)),
        extras: ['n'],
      }),
      inputs: [operand('input', 0), operand('input', 0), operand('constant', 0, [N])],
      outputs: [operand('slot', 0)],
      dims: [1, N, N, N, 0, 0],
      scalars: [{ slot: 0 }],
      ops: ['dot', 'mul', 'add'],
    },
    {
      kernel: rowKernel(
        'sum',
        1,
        [{ combine: 'sum', load: e.input(0) }],
        e.div(e.stage(0), e.scalar(0)),
        false,
      ),
      inputs: [operand('slot', 0)],
      outputs: [operand('slot', 1, [N])],
      dims: [N, N, 1, N, 1, 1],
      scalars: [N],
      ops: [],
    },
    {
      kernel: elementwiseKernel('sub', 2, e.sub(e.input(0), e.input(1))),
      inputs: [operand('slot', 0), operand('slot', 1, [N, 1])],
      outputs: [operand('slot', 0)],
      dims: [],
      scalars: [],
      ops: ['sub'],
    },
    {
      kernel: customKernel('poolSum'),
      inputs: [operand('slot', 0)],
      outputs: [operand('output', 0, [N / 2, N / 2])],
      dims: [1, 1, N, N, 1, N / 2, N / 2, 1, 2, 2, 1, 2, 2, 0, 0, 0, 0],
      scalars: [],
      ops: ['pooling'],
    },
  ],
  prologue: 0,
  inputs: 1,
  outputs: 1,
  slots: [N * N * 4, N * 4],
  kept: new Set(),
  constants: [new Uint8Array(Float32Array.from({ length: N }, (_, i) => i / 7).buffer)],
  scalars: 1,
};

function storage(cpu: CpuDevice, n: number, value = (i: number): number => Math.sin(i)): Storage {
  const made = cpu.alloc(n * 4);
  cpu.write(
    made,
    Float32Array.from({ length: n }, (_, i) => value(i)),
  );
  return made;
}

const read = (cpu: CpuDevice, x: Storage): string =>
  new Uint32Array(cpu.readSync({ storage: x, at: 0, bytes: x.bytes })).join();

/** The plan's result by single kernels. */
function wanted(cpu: CpuDevice, x: Storage, scale: number): string {
  const k = cpu.alloc(N * 4);
  cpu.write(k, PLAN.constants[0] as Uint8Array);
  const slots = PLAN.slots.map((bytes) => cpu.alloc(bytes));
  const out = cpu.alloc(((N * N) / 4) * 4);
  const at = ({ kind, index }: Place): Storage =>
    kind === 'input' ? x : kind === 'output' ? out : kind === 'constant' ? k : (slots[index] as Storage);
  for (const { kernel, inputs, outputs, dims, scalars } of PLAN.steps)
    cpu.run(
      kernel,
      inputs.map(({ place, dtype, shape }) => ({ storage: at(place), dtype, shape })),
      outputs.map(({ place, dtype, shape }) => ({ storage: at(place), dtype, shape })),
      dims,
      scalars.map((s) => (typeof s === 'number' ? s : scale)),
    );
  const result = read(cpu, out);
  for (const s of [k, out, ...slots]) cpu.free(s);
  return result;
}

describe.each([true, false])('staticAlloc: %s', (staticAlloc) => {
  test('gives what single kernels give, whatever the scalars, wherever operands lie, on one thread and on two', async () => {
    const cpu = device();
    const program = cpu.compile(PLAN, { staticAlloc, name: 'test' });
    for (const threads of [1, 2, 1]) {
      expect(await cpu.setNumThreads(threads)).toBe(threads);
      for (const scale of [1, 0.25]) {
        const [x, out] = [storage(cpu, N * N, (i) => Math.sin(i + scale)), cpu.alloc(((N * N) / 4) * 4)];
        program.run([x], [out], [scale], false);
        expect(read(cpu, out)).toBe(wanted(cpu, x, scale));
        // memory that grows between runs has other views
        const big = cpu.alloc(2 ** 25);
        program.run([x], [out], [scale], false);
        expect(read(cpu, out)).toBe(wanted(cpu, x, scale));
        for (const s of [x, out, big]) cpu.free(s);
      }
    }
    expect(program.stats).toEqual({
      dispatches: 4,
      prologue: 0,
      slots: 2,
      slotBytes: N * N * 4 + N * 4,
      runs: 12,
    });
    program.dispose();
    expect(cpu.memory().bytesInUse).toBe(0);
  });

  test('memory stays level over a thousand runs, and comes back', () => {
    const cpu = device();
    const [x, out] = [storage(cpu, N * N), cpu.alloc(((N * N) / 4) * 4)];
    const before = cpu.memory();
    const program = cpu.compile(PLAN, { staticAlloc, name: 'test' });
    program.run([x], [out], [1], false);
    const { bytesInUse, pooledBytes, arrays } = cpu.memory();
    const dispatches = cpu.stats.dispatches;
    for (let i = 0; i < 1000; i++) program.run([x], [out], [1], false);
    expect(cpu.memory()).toMatchObject({ bytesInUse, pooledBytes, arrays });
    expect(cpu.stats.dispatches - dispatches).toBe(4000);
    // slots are held between runs only where they are kept
    expect(bytesInUse - before.bytesInUse > N * N * 4).toBe(staticAlloc);
    program.dispose();
    program.dispose();
    expect(cpu.memory().bytesInUse).toBe(before.bytesInUse);
  });
});

test('a run that finds no memory says so, and leaves nothing behind', () => {
  const cpu = device();
  const plan: Plan = { ...PLAN, slots: [2 * cpu.maxStorageBytes, N * 4] };
  const program = cpu.compile(plan, { staticAlloc: false, name: 'net' });
  const [x, out] = [storage(cpu, N * N), cpu.alloc(((N * N) / 4) * 4)];
  const { bytesInUse } = cpu.memory();
  expect(() => program.run([x], [out], [1], false)).toThrow(OutOfMemoryError);
  expect(() => program.run([x], [out], [1], false)).toThrow(/^\[net\] expected \d+ bytes of CPU memory/);
  expect(cpu.memory().bytesInUse).toBe(bytesInUse);
  expect(program.stats.runs).toBe(0);
});

test('a profile names the operations whose work a step does', async () => {
  const cpu = device();
  const program = cpu.compile(PLAN, { staticAlloc: true, name: 'test' });
  const [x, out] = [storage(cpu, N * N), cpu.alloc(((N * N) / 4) * 4)];
  cpu.startProfile();
  program.run([x], [out], [1], false);
  const times = await cpu.stopProfile();
  expect(times.map(({ label }) => label)).toEqual(['dot+mul+add', 'sum', 'sub', 'pooling']);
});
