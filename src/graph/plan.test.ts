// Plans: by themselves, followed step by step with the value that each place holds; on the CPU, against each node run in fresh memory.
import { afterAll, describe, expect, test } from 'vitest';
import { sizeOf } from '../core/shape.ts';
import { CpuDevice } from '../device/cpu/cpuDevice.ts';
import '../device/cpu/replay.ts';
import { e } from '../ir/expr.ts';
import type { Graph, GraphNode } from '../ir/graph.ts';
import { customKernel, elementwiseKernel, productKernel, updateKernel } from '../ir/kernel.ts';
import type { Place, Plan } from '../ir/plan.ts';
import { plan } from './plan.ts';
import { GraphBuilder, interpret } from './testGraphs.ts';
import { randomGraph } from './testRandomGraphs.ts';

const device = new CpuDevice();
afterAll(() => device.dispose());

const numbers = (seed: number, n: number): Uint8Array =>
  new Uint8Array(Float32Array.from({ length: n }, (_, i) => ((i * 7 + seed * 5) % 11) / 4 - 1).buffer);

const nameOf = ({ kind, index }: Place): string => `${kind} ${index}`;

/** What is wrong with a plan: follows it with the value that each place holds. */
function faultsOf(graph: Graph, made: Plan): string[] {
  const faults: string[] = [];
  const holds = new Map<string, number>();
  graph.inputs.forEach((value, i) => {
    holds.set(`input ${i}`, value);
  });
  [...graph.constants.keys()].forEach((value, i) => {
    holds.set(`constant ${i}`, value);
  });
  const left = new Set<GraphNode>(graph.nodes);
  const bytesOf = (place: Place): number =>
    place.kind === 'slot' ? (made.slots[place.index] as number) : Infinity;
  made.steps.forEach((step, at) => {
    const fault = (text: string): number => faults.push(`step ${at} (${step.kernel.name}) ${text}`);
    const places = step.outputs.map((output) => nameOf(output.place));
    if (new Set(places).size < places.length) fault('has two outputs in one place');
    for (const { place } of step.outputs) {
      if (place.kind === 'constant') fault('writes a constant');
      if (place.kind === 'input' && !graph.into.includes(place.index)) fault(`writes ${nameOf(place)}`);
      if (place.kind === 'slot' && made.kept.has(place.index) && at >= made.prologue)
        fault('writes a kept slot');
    }
    step.inputs.forEach((input) => {
      const output = step.outputs.find(({ place }) => nameOf(place) === nameOf(input.place));
      if (output === undefined) return;
      const inPlace =
        step.kernel.kind === 'elementwise' && step.dims.length === 0 && input.dtype === output.dtype;
      if (!inPlace || sizeOf(input.shape) !== sizeOf(output.shape)) fault(`overwrites what it reads`);
    });
    if (step.kernel.name === 'copy' && step.ops.length === 0) {
      const value = holds.get(nameOf(step.inputs[0]?.place as Place));
      if (value === undefined) fault('copies nothing');
      else holds.set(places[0] as string, value);
      return;
    }
    const node = [...left].find(
      (n) => n.kernel === step.kernel && n.dims === step.dims && n.scalars === step.scalars,
    );
    if (node === undefined) {
      fault('belongs to no node');
      return;
    }
    left.delete(node);
    node.inputs.forEach(({ value }, k) => {
      const place = nameOf(step.inputs[k]?.place as Place);
      if (holds.get(place) !== value) fault(`reads ${holds.get(place)} instead of ${value} in ${place}`);
    });
    node.from.forEach((value, k) => {
      if (value !== null && holds.get(places[k] as string) !== value)
        fault(`changes ${holds.get(places[k] as string)} instead of ${value}`);
    });
    node.outputs.forEach(({ value }, k) => {
      const place = step.outputs[k]?.place as Place;
      holds.set(nameOf(place), value);
      if (bytesOf(place) < (graph.values[value]?.bytes ?? 0)) fault('writes beyond a slot');
    });
  });
  if (left.size > 0) faults.push(`${left.size} nodes are missing`);
  graph.outputs.forEach((value, i) => {
    const into = graph.into[i] ?? null;
    const place = into === null ? `output ${i}` : `input ${into}`;
    if (holds.get(place) !== value) faults.push(`${place} holds ${holds.get(place)} instead of ${value}`);
  });
  return faults;
}

/** Runs a graph as a program several times, with inputs that state is written to, and compares with the interpreter. */
async function compare(
  graph: Graph,
  inputs: readonly Uint8Array[],
  scalars: readonly number[],
): Promise<void> {
  const made = plan(graph);
  expect(faultsOf(graph, made)).toEqual([]);
  for (const staticAlloc of [true, false]) {
    const program = device.compile(made, { staticAlloc, name: 'test' });
    const places = inputs.map((bytes) => {
      const storage = device.alloc(bytes.length);
      device.write(storage, bytes);
      return storage;
    });
    const outputs = graph.outputs.map((value, i) => {
      const into = graph.into[i] ?? null;
      return into === null
        ? device.alloc(graph.values[value]?.bytes ?? 0)
        : (places[into] as (typeof places)[number]);
    });
    const bytesOf = (storage: (typeof places)[number]): Uint8Array =>
      new Uint8Array(device.readSync({ storage, at: 0, bytes: storage.bytes }));
    for (let run = 0; run < 3; run++) {
      const before = places.map(bytesOf);
      device.seed(run);
      const want = await interpret(graph, device, before, scalars);
      for (const [i, storage] of outputs.entries())
        if (graph.into[i] == null) device.write(storage, new Uint8Array(storage.bytes).fill(0x5b));
      device.seed(run);
      program.run(places, outputs, scalars, run === 0);
      expect(outputs.map(bytesOf)).toEqual(want);
      places.forEach((storage, j) => {
        if (!graph.into.includes(j)) expect(bytesOf(storage)).toEqual(before[j]);
      });
    }
    program.dispose();
    for (const storage of new Set([...places, ...outputs])) device.free(storage);
  }
}

const [x, y] = [e.input(0), e.input(1)];
const add = elementwiseKernel('add', 2, e.add(x, y));
const exp = elementwiseKernel('exp', 1, e.exp(x));
const matmul = productKernel('matmul', 'matmul');
const strided = customKernel('stridedCopy');
const square = { dims: [1, 8, 8, 8, 0, 0] };

const copies = (made: Plan): number => made.steps.filter((step) => step.ops.length === 0).length;

describe('plan', () => {
  test('random graphs', async () => {
    for (let seed = 0; seed < 120; seed++) {
      const { graph, inputs, scalars } = randomGraph(seed, { steps: 14, draws: seed % 3 === 0 });
      await compare(graph, inputs, scalars);
    }
  }, 60_000);

  test('a chain takes two slots, elementwise kernels none', () => {
    const g = new GraphBuilder();
    const w = g.input([8, 8]);
    let v = w;
    for (let i = 0; i < 6; i++) v = g.node(exp, [g.node(matmul, [v, w], [8, 8], square)], [8, 8]);
    g.output(v);
    const made = plan(g.build());
    expect(made.slots).toEqual([256, 256]);
    expect(made.steps.at(-1)?.outputs[0]?.place).toEqual({ kind: 'output', index: 0 });
  });

  test('a slot that the step before reads is left alone while another one is free', () => {
    const g = new GraphBuilder();
    const w = g.input([8, 8]);
    const [a, b, c] = [0, 1, 2].map(() => g.node(matmul, [w, w], [8, 8], square)) as [
      typeof w,
      typeof w,
      typeof w,
    ];
    g.output(g.node(matmul, [b, b], [8, 8], square));
    g.output(g.node(matmul, [a, a], [8, 8], square));
    // both slots are free now
    g.output(g.node(matmul, [g.node(matmul, [c, c], [8, 8], square), w], [8, 8], square));
    const { steps, slots } = plan(g.build());
    expect(slots.length).toBe(3);
    expect(steps[5]?.outputs[0]?.place).toEqual({ kind: 'slot', index: 1 });
  });

  test('state is updated where it lies; what is read afterwards is copied before', () => {
    const sgd = updateKernel('sgd', 1, 1, [[0, e.sub(x, e.mul(y, e.scalar(0)))]]);
    for (const later of [false, true]) {
      const g = new GraphBuilder();
      g.scalars = 1;
      const [w, grad] = [g.input([8, 8]), g.input([8, 8])];
      const next = g.nodes(sgd, [grad], [w], { from: [w], scalars: [{ slot: 0 }] })[0] as typeof w;
      if (later) g.output(g.node(matmul, [w, next], [8, 8], square));
      g.output(next, w);
      const made = plan(g.build());
      expect(copies(made)).toBe(later ? 1 : 0);
      expect(made.slots.length).toBe(later ? 1 : 0);
    }
  });

  test('parts are written in the output itself; a value that is needed yet is copied first', () => {
    for (const kept of [false, true]) {
      const g = new GraphBuilder();
      const half = g.input([4]);
      const start = g.node(elementwiseKernel('zeros', 0, e.constant(0), -1), [], [8], { dtype: 'float32' });
      const first = g.node(strided, [half], [8], { dims: [1, 0, 0, 4, 1, 1], from: [start] });
      const both = g.node(strided, [half], [8], { dims: [1, 0, 4, 4, 1, 1], from: [first] });
      g.output(both);
      if (kept) g.output(first);
      const made = plan(g.build());
      expect(copies(made)).toBe(kept ? 1 : 0);
      expect(made.slots).toEqual([]);
      expect(faultsOf(g.build(), made)).toEqual([]);
    }
  });

  test('an intermediate state that is read later is not continued in the output', async () => {
    const g = new GraphBuilder();
    const half = g.input([4]);
    const start = g.node(elementwiseKernel('zeros', 0, e.constant(0), -1), [], [8], { dtype: 'float32' });
    const first = g.node(strided, [half], [8], { dims: [1, 0, 0, 4, 1, 1], from: [start] });
    g.output(g.node(strided, [half], [8], { dims: [1, 0, 4, 4, 1, 1], from: [first] }));
    g.output(g.node(exp, [first], [8]));
    await compare(g.build(), [numbers(3, 4)], []);
  });

  test('several outputs take the places of several inputs, each its own', async () => {
    const both = elementwiseKernel('both', 2, e.add(x, y), 0, [e.sub(x, y), e.mul(x, y)]);
    for (const n of [1, 2]) {
      const g = new GraphBuilder();
      const [a, b] = [g.input([8]), g.input([8])];
      const made = [g.node(exp, [a], [8]), g.node(exp, [b], [8])] as const;
      const types = [0, 1, 2].map(() => ({ shape: [8], dtype: 'float32' as const }));
      const results = g.nodes(both, [made[0], made[n - 1] as typeof a], types);
      for (const v of results) g.output(g.node(strided, [v], [8], { dims: [1, 7, 0, 8, -1, 1] }));
      expect(plan(g.build()).slots.length).toBe(3);
      await compare(g.build(), [numbers(1, 8), numbers(2, 8)], []);
    }
  });

  test('what depends on parameters alone is made once; draws are not', async () => {
    const g = new GraphBuilder();
    const [w, v] = [g.input([8, 8], 'float32', true), g.input([8, 8])];
    const folded = g.node(add, [g.node(exp, [w], [8, 8]), w], [8, 8]);
    const noise = g.node(customKernel('randomUniform'), [], [8, 8], { dtype: 'float32', scalars: [0, 1] });
    g.output(g.node(add, [g.node(matmul, [v, folded], [8, 8], square), noise], [8, 8]));
    g.output(folded);
    const graph = g.build();
    const made = plan(graph);
    expect(made.prologue).toBe(2);
    expect([...made.kept].length).toBe(1);
    await compare(graph, [numbers(1, 64), numbers(2, 64)], []);
    const program = device.compile(made, { staticAlloc: true, name: 'test' });
    const places = [0, 1, 2, 3].map(() => device.alloc(256));
    const [a, b, c, d] = places as [
      (typeof places)[number],
      (typeof places)[number],
      (typeof places)[number],
      (typeof places)[number],
    ];
    device.write(a, new Float32Array(64).fill(1));
    program.run([a, b], [c, d], [], false);
    device.write(a, new Float32Array(64).fill(0));
    program.run([a, b], [c, d], [], false);
    const read = (): number =>
      new Float32Array(device.readSync({ storage: d, at: 0, bytes: 4 }))[0] as number;
    expect(read()).toBeCloseTo(Math.E + 1, 5);
    program.run([a, b], [c, d], [], true);
    expect(read()).toBe(1);
    expect(program.stats).toEqual({
      dispatches: 4,
      prologue: 2,
      slots: made.slots.length,
      slotBytes: made.slots.reduce((s, n) => s + n, 0),
      runs: 3,
    });
    program.dispose();
    for (const storage of places) device.free(storage);
  });

  test('inputs and constants passed through, twice, and state exchanged', async () => {
    const g = new GraphBuilder();
    const [a, b, c] = [g.input([8]), g.input([8]), g.input([8])];
    const k = g.constant([8], new Float32Array(8).fill(7));
    const s = g.node(add, [a, b], [8]);
    g.output(a, b);
    g.output(b, a);
    g.output(c, c);
    for (const v of [k, s, s, c]) g.output(v);
    const graph = g.build();
    await compare(
      graph,
      [1, 2, 3].map((seed) => numbers(seed, 8)),
      [],
    );
  });
});
