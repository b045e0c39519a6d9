// Programs on a real WebGPU implementation: they give what the same kernels give when they are run one by one, again and again, and make nothing new.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import { e } from '../../ir/expr.ts';
import type { GraphScalar } from '../../ir/graph.ts';
import type { Kernel, Operand } from '../../ir/kernel.ts';
import { customKernel, elementwiseKernel, productKernel, rowKernel, updateKernel } from '../../ir/kernel.ts';
import type { Place, Plan, PlanOperand, PlanStep } from '../../ir/plan.ts';
import type { CompileOptions, Program } from '../device.ts';
import type { GpuDevice } from './gpuDevice.ts';
import { array, freshDevice, run, testDevice, values } from './testDevice.ts';

const device = await testDevice();

const input = (index: number, shape: number[], dtype: DType = 'float32'): PlanOperand => ({
  place: { kind: 'input', index },
  shape,
  dtype,
});
const at = (kind: Place['kind'], index: number, shape: number[], dtype: DType = 'float32'): PlanOperand => ({
  place: { kind, index },
  shape,
  dtype,
});
const step = (
  kernel: Kernel,
  inputs: PlanOperand[],
  outputs: PlanOperand[],
  dims: number[] = [],
  scalars: GraphScalar[] = [],
): PlanStep => ({ kernel, inputs, outputs, dims, scalars, ops: [kernel.name] });

/** A plan whose counts follow from its steps. */
function planOf(steps: PlanStep[], options: Partial<Plan> = {}): Plan {
  const places = steps.flatMap((s) => [...s.inputs, ...s.outputs]);
  const count = (kind: Place['kind']): number =>
    Math.max(0, ...places.filter((p) => p.place.kind === kind).map((p) => p.place.index + 1));
  const slots = Array.from({ length: count('slot') }, (_, i) =>
    Math.max(
      ...places
        .filter(({ place }) => place.kind === 'slot' && place.index === i)
        .map(({ shape, dtype }) => sizeOf(shape) * bytesOf(dtype)),
    ),
  );
  return {
    steps,
    prologue: 0,
    inputs: count('input'),
    outputs: count('output'),
    slots,
    kept: new Set(),
    constants: [],
    scalars: 0,
    ...options,
  };
}
const lent: CompileOptions = { staticAlloc: false, name: 'test' };
const kept: CompileOptions = { staticAlloc: true, name: 'test' };
const storages = (...operands: Operand[]) => operands.map((o) => o.storage);
const ramp = (count: number, scale = 1): number[] =>
  Array.from({ length: count }, (_, i) => Math.fround((((i * 37) % 23) - 11) * scale));

const DENSE = productKernel('dense', 'matmul', { transposeB: true, bias: 'n' });
const RELU = elementwiseKernel('relu', 1, e.max(e.input(0), 0));
const SCALE = elementwiseKernel('scale', 1, e.mul(e.input(0), e.scalar(0)));
const ADD = elementwiseKernel('add', 2, e.add(e.input(0), e.input(1)));
const SOFTMAX = rowKernel(
  'softmax',
  1,
  [
    { combine: 'max', load: e.input(0) },
    { combine: 'sum', load: e.exp(e.sub(e.input(0), e.stage(0))) },
  ],
  e.div(e.exp(e.sub(e.input(0), e.stage(0))), e.stage(1)),
  true,
);

/** x (5, 12) → dense 8 → relu, in place → dense 3 → times a scalar → softmax. */
const mlp = planOf(
  [
    step(
      DENSE,
      [input(0, [5, 12]), input(1, [8, 12]), input(2, [8])],
      [at('slot', 0, [5, 8])],
      [1, 5, 8, 12, 0, 0],
    ),
    step(RELU, [at('slot', 0, [5, 8])], [at('slot', 0, [5, 8])]),
    step(
      DENSE,
      [at('slot', 0, [5, 8]), input(3, [3, 8]), input(4, [3])],
      [at('slot', 1, [5, 3])],
      [1, 5, 3, 8, 0, 0],
    ),
    step(SCALE, [at('slot', 1, [5, 3])], [at('slot', 1, [5, 3])], [], [{ slot: 0 }]),
    step(SOFTMAX, [at('slot', 1, [5, 3])], [at('output', 0, [5, 3])], [5, 3, 1, 3, 1, 1]),
  ],
  { scalars: 1 },
);

function mlpArrays(gpu: GpuDevice): Operand[] {
  return [
    array(gpu, [5, 12], 'float32', ramp(60, 0.1)),
    array(gpu, [8, 12], 'float32', ramp(96, 0.05)),
    array(gpu, [8], 'float32', ramp(8, 0.01)),
    array(gpu, [3, 8], 'float32', ramp(24, 0.2)),
    array(gpu, [3], 'float32', ramp(3)),
  ];
}

async function mlpEager(gpu: GpuDevice, [x, w, b, v, c]: Operand[], scale: number): Promise<number[]> {
  const h = run(gpu, DENSE, [x, w, b] as Operand[], [5, 8], 'float32', [1, 5, 8, 12, 0, 0]);
  gpu.run(RELU, [h], [h], [], []);
  const z = run(gpu, DENSE, [h, v, c] as Operand[], [5, 3], 'float32', [1, 5, 3, 8, 0, 0]);
  gpu.run(SCALE, [z], [z], [], [scale]);
  return values(gpu, run(gpu, SOFTMAX, [z], [5, 3], 'float32', [5, 3, 1, 3, 1, 1]));
}

describe('a small network', () => {
  for (const options of [lent, kept])
    test(`gives what its kernels give one by one, ${options.staticAlloc ? 'with its own memory' : 'with lent memory'}`, async () => {
      const program = device.compile(mlp, options);
      await program.ready;
      const arrays = mlpArrays(device);
      for (const scale of [1, 0.5, 2]) {
        const y = array(device, [5, 3], 'float32');
        program.run(storages(...arrays), [y.storage], [scale], false);
        expect(await values(device, y)).toEqual(await mlpEager(device, arrays, scale));
        device.free(y.storage);
      }
      expect(program.stats).toEqual({ dispatches: 5, prologue: 0, slots: 2, slotBytes: 220, runs: 3 });
      program.dispose();
    });

  test('runs of one turn keep their own scalars, more of them than fit one batch', async () => {
    const program = device.compile(mlp, lent);
    const arrays = mlpArrays(device);
    const scales = [1, 2, 2, 3, 4, 5, 1, 0.25];
    const ys = scales.map(() => array(device, [5, 3], 'float32'));
    scales.forEach(
      (scale, i) => void program.run(storages(...arrays), storages(ys[i] as Operand), [scale], false),
    );
    for (const [i, y] of ys.entries())
      expect(await values(device, y)).toEqual(await mlpEager(device, arrays, scales[i] as number));
    program.dispose();
  });

  test('an input that the host writes between two runs of a turn', async () => {
    const program = device.compile(mlp, kept);
    const arrays = mlpArrays(device);
    const x = arrays[0] as Operand;
    const ys = [1, 2].map(() => array(device, [5, 3], 'float32'));
    program.run(storages(...arrays), storages(ys[0] as Operand), [1], false);
    const first = await mlpEager(device, arrays, 1);
    program.run(storages(...arrays), storages(ys[0] as Operand), [1], false);
    device.write(x.storage, Float32Array.from(ramp(60, -0.3)));
    program.run(storages(...arrays), storages(ys[1] as Operand), [1], false);
    expect(await values(device, ys[0] as Operand)).toEqual(first);
    expect(await values(device, ys[1] as Operand)).toEqual(await mlpEager(device, arrays, 1));
    program.dispose();
  });

  test('a hundred replays make no buffer, bind group or pipeline, and take one submit each', async () => {
    for (const options of [lent, kept]) {
      const gpu = await freshDevice();
      const program = gpu.compile(mlp, options);
      const arrays = mlpArrays(gpu);
      const once = async (scale: number): Promise<void> => {
        const y = array(gpu, [5, 3], 'float32');
        program.run(storages(...arrays), [y.storage], [scale], false);
        gpu.free(y.storage);
        await gpu.synchronize();
      };
      await once(1);
      await once(2);
      const before = { ...gpu.stats };
      const memory = gpu.memory();
      for (let i = 0; i < 100; i++) await once(i % 3);
      expect(gpu.stats).toEqual({
        ...before,
        dispatches: before.dispatches + 500,
        submits: before.submits + 100,
      });
      expect(gpu.memory()).toEqual(memory);
      program.dispose();
      expect(gpu.memory().bytesInUse).toBe(5 * 12 * 4 + 8 * 12 * 4 + 32 + 96 + 12);
      await gpu.dispose();
    }
  });
});

describe('what the plan says', () => {
  test('constants are there, and the prologue runs when asked to', async () => {
    const plan = planOf(
      [
        step(ADD, [input(0, [4]), at('constant', 0, [4])], [at('slot', 0, [4])]),
        step(ADD, [input(1, [4]), at('slot', 0, [4])], [at('output', 0, [4])]),
      ],
      { prologue: 1, kept: new Set([0]), constants: [new Uint8Array(new Float32Array([1, 2, 3, 4]).buffer)] },
    );
    const program = device.compile(plan, lent);
    expect(program.stats).toMatchObject({ dispatches: 1, prologue: 1 });
    const w = array(device, [4], 'float32', [10, 10, 10, 10]);
    const x = array(device, [4], 'float32', [0, 0, 0, 1]);
    const y = array(device, [4], 'float32');
    const replay = async (refresh: boolean): Promise<number[]> => {
      program.run(storages(w, x), storages(y), [], refresh);
      return values(device, y);
    };
    expect(await replay(false)).toEqual([11, 12, 13, 15]);
    device.write(w.storage, new Float32Array(4));
    expect(await replay(false)).toEqual([11, 12, 13, 15]);
    expect(await replay(true)).toEqual([1, 2, 3, 5]);
    program.dispose();
  });

  test('state is changed where it lies', async () => {
    const plan = planOf(
      [
        step(ADD, [input(0, [4]), input(1, [4])], [input(0, [4])]),
        step(SCALE, [input(0, [4])], [at('output', 1, [4])], [], [2]),
      ],
      { outputs: 2 },
    );
    const program = device.compile(plan, lent);
    const sum = array(device, [4], 'float32', [0, 0, 0, 0]);
    const x = array(device, [4], 'float32', [1, 2, 3, 4]);
    const y = array(device, [4], 'float32');
    for (let i = 0; i < 3; i++) program.run(storages(sum, x), storages(sum, y), [], false);
    expect(await values(device, sum)).toEqual([3, 6, 9, 12]);
    expect(await values(device, y)).toEqual([6, 12, 18, 24]);
    program.dispose();
  });

  test('an integer kernel takes its scalars as integers', async () => {
    const plan = planOf(
      [step(SCALE, [input(0, [4], 'int32')], [at('output', 0, [4], 'int32')], [], [{ slot: 1 }])],
      { scalars: 2 },
    );
    const program = device.compile(plan, lent);
    const x = array(device, [4], 'int32', [1, 2, -3, 4]);
    const y = array(device, [4], 'int32');
    program.run(storages(x), storages(y), [9, -7], false);
    expect(await values(device, y)).toEqual([-7, -14, 21, -28]);
    program.dispose();
  });

  test('kernels that take scratch memory share it', async () => {
    // two reductions of few long rows, each in chunks
    const SUM = rowKernel('sum', 1, [{ combine: 'sum', load: e.input(0) }], e.stage(0), false);
    const plan = planOf([
      step(SUM, [input(0, [1, 4096])], [at('output', 0, [1])], [1, 4096, 1, 4096, 1, 1]),
      step(SUM, [input(0, [2, 2048])], [at('output', 1, [2])], [2, 2048, 1, 2048, 1, 1]),
    ]);
    const program = device.compile(plan, lent);
    expect(program.stats.dispatches).toBe(4);
    expect(program.stats.slots).toBe(1);
    const x = array(device, [4096], 'float32', new Array<number>(4096).fill(0.5));
    const ys = [array(device, [1], 'float32'), array(device, [2], 'float32')] as const;
    program.run(storages(x), storages(...ys), [], false);
    expect(await values(device, ys[0])).toEqual([2048]);
    expect(await values(device, ys[1])).toEqual([1024, 1024]);
    program.dispose();
  });

  test('float64 is refused', () => {
    const plan = planOf([step(RELU, [input(0, [2], 'float64')], [at('output', 0, [2], 'float64')])]);
    expect(() => device.compile(plan, lent)).toThrow(/float64/);
  });

  test('a program without steps, and one over arrays of no elements', () => {
    device.compile(planOf([]), kept).run([], [], [], true);
    const empty = device.compile(planOf([step(RELU, [input(0, [0])], [at('output', 0, [0])])]), lent);
    const [x, y] = [array(device, [0], 'float32'), array(device, [0], 'float32')];
    empty.run(storages(x), storages(y), [], false);
    expect(empty.stats.dispatches).toBe(0);
  });
});

describe('parts of one buffer', () => {
  test('one is read and another written in the same dispatch', async () => {
    const whole = device.alloc(1024);
    device.write(
      whole,
      Float32Array.from({ length: 256 }, (_, i) => i),
    );
    const [a, b, c] = [0, 256, 512].map((from) => device.part(whole, from, 16));
    const program = device.compile(
      planOf([
        step(ADD, [input(0, [4]), input(1, [4])], [at('output', 0, [4])]),
        step(SCALE, [input(1, [4])], [at('output', 1, [4])], [], [2]),
      ]),
      lent,
    );
    const y = array(device, [4], 'float32');
    for (let i = 0; i < 2; i++)
      program.run(
        [a, b].map((s) => s as Operand['storage']),
        [c as Operand['storage'], y.storage],
        [],
        false,
      );
    expect(await values(device, { storage: c as Operand['storage'], dtype: 'float32', shape: [4] })).toEqual([
      64, 66, 68, 70,
    ]);
    expect(await values(device, y)).toEqual([128, 130, 132, 134]);
    program.dispose();
  });

  /** w −= rate·g; m = m·0.5 + g, over two parameters that lie in arenas. */
  test('a grouped update, by itself and in a program', async () => {
    const kernel = updateKernel('sgd', 2, 1, [
      [1, e.add(e.mul(e.input(1), 0.5), e.input(2))],
      [0, e.sub(e.input(0), e.mul(e.scalar(0), e.input(1)))],
    ]);
    const arenas = [0, 1, 2].map(() => device.alloc(512));
    for (const arena of arenas) device.write(arena, new Float32Array(128));
    const parts = arenas.map((arena) => [device.part(arena, 0, 12), device.part(arena, 256, 20)]);
    const operands = (list: number): Operand[] =>
      (parts[list] ?? []).map((storage, i) => ({ storage, dtype: 'float32', shape: [i === 0 ? 3 : 5] }));
    const [w, m, g] = [operands(0), operands(1), operands(2)];
    for (const [i, { storage }] of g.entries())
      device.write(
        storage,
        Float32Array.from({ length: i === 0 ? 3 : 5 }, (_, k) => k + 1),
      );
    const dims = [2, 128, 0, 64];
    const before = device.stats.dispatches;
    device.run(kernel, g, [...w, ...m], dims, [0.5]);
    expect(device.stats.dispatches).toBe(before + 1);
    expect(await values(device, w[1] as Operand)).toEqual([-0.5, -1, -1.5, -2, -2.5]);
    const state = [w, m].flat().map(({ shape }, i) => at('input', 2 + i, [...shape]));
    const program = device.compile(
      planOf([step(kernel, [input(0, [3]), input(1, [5])], state, dims, [{ slot: 0 }])], {
        outputs: 4,
        scalars: 1,
      }),
      kept,
    );
    program.run(storages(...g, ...w, ...m), storages(...w, ...m), [2], false);
    expect(await values(device, m[1] as Operand)).toEqual([1.5, 3, 4.5, 6, 7.5]);
    expect(await values(device, w[0] as Operand)).toEqual([-3.5, -7, -10.5]);
    expect(await values(device, w[1] as Operand)).toEqual([-3.5, -7, -10.5, -14, -17.5]);
    program.dispose();
  });
});

describe('random draws', () => {
  const UNIFORM = customKernel('randomUniform');
  const SHUFFLE = customKernel('randomShuffle');

  test('a program draws what the same kernels draw one by one, at each run', async () => {
    const gpu = await freshDevice();
    const program: Program = gpu.compile(
      planOf(
        [
          step(UNIFORM, [], [at('slot', 0, [6])], [], [0, 1]),
          step(ADD, [input(0, [6]), at('slot', 0, [6])], [at('output', 0, [6])]),
          step(SHUFFLE, [], [at('slot', 1, [6], 'int32')], [1]),
          step(UNIFORM, [], [at('slot', 0, [6], 'float16')], [], [0, { slot: 0 }]),
          step(ADD, [at('slot', 0, [6], 'float16'), at('slot', 1, [6], 'int32')], [at('output', 1, [6])]),
        ],
        { scalars: 1 },
      ),
      lent,
    );
    const x = array(gpu, [6], 'float32', [1, 2, 3, 4, 5, 6]);
    const eager = async (): Promise<number[][]> => {
      const a = run(gpu, UNIFORM, [], [6], 'float32', [], [0, 1]);
      const y = run(gpu, ADD, [x, a], [6], 'float32');
      const order = run(gpu, SHUFFLE, [], [6], 'int32', [1]);
      const b = run(gpu, UNIFORM, [], [6], 'float16', [], [0, 4]);
      return [await values(gpu, y), await values(gpu, run(gpu, ADD, [b, order], [6], 'float32'))];
    };
    gpu.seed(3);
    const wanted = [await eager(), await eager()];
    gpu.seed(3);
    for (const want of wanted) {
      const ys = [array(gpu, [6], 'float32'), array(gpu, [6], 'float32')] as const;
      program.run(storages(x), storages(...ys), [4], false);
      expect([await values(gpu, ys[0]), await values(gpu, ys[1])]).toEqual(want);
    }
    expect(program.stats.dispatches).toBe(5);
    await gpu.dispose();
  });
});

test('a program of draws alone keeps its memory to itself', async () => {
  const plan = planOf([step(customKernel('randomUniform'), [], [at('slot', 0, [6])], [], [0, 1])]);
  const program = device.compile(plan, kept);
  program.run([], [], [], false);
  const { bytesInUse } = device.memory();
  program.run([], [], [], false);
  expect(device.memory().bytesInUse).toBe(bytesInUse);
  program.dispose();
  expect(device.memory().bytesInUse).toBe(bytesInUse - 24);
});

describe('a profile', () => {
  test('names each kernel, eager or of a program, and tells how long it took where the adapter can', async () => {
    const program = device.compile(mlp, kept);
    const arrays = mlpArrays(device);
    const y = array(device, [5, 3], 'float32');
    await program.ready;
    device.startProfile();
    program.run(storages(...arrays), [y.storage], [1], false);
    device.run(RELU, [y], [y], [], []);
    const times = await device.stopProfile();
    expect(times.map((t) => t.label)).toEqual(['dense', 'relu', 'dense', 'scale', 'softmax', 'relu']);
    for (const { ns, at: begin } of times) expect([typeof ns, typeof begin]).toEqual(['number', 'number']);
    expect(await device.stopProfile()).toEqual([]);
    expect(await values(device, y)).toEqual(await mlpEager(device, arrays, 1));
    program.dispose();
  });
});
