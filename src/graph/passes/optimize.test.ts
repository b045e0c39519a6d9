// Random graphs, run as they are and after each pass: the same bits on the CPU where every sum is exact, and nearly the same where functions round. Fused kernels are run as the plain ones
// that they stand for, so that the passes alone are on trial, and as they are, so that the device is.
import { describe, expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { fromHalf } from '../../core/dtype.ts';
import { CpuDevice } from '../../device/cpu/cpuDevice.ts';
import type { Device } from '../../device/device.ts';
import { testDevice } from '../../device/gpu/testDevice.ts';
import type { Graph } from '../../ir/graph.ts';
import { draws } from '../../ir/graph.ts';
import { fuseLoads, fuseStores } from '../fuse/elementwise.ts';
import type { Limits } from '../fuse/expressions.ts';
import { fuseHorizontally } from '../fuse/horizontal.ts';
import { fuseOperands } from '../fuse/operands.ts';
import { fuseRowSums } from '../fuse/rowSum.ts';
import { fuseRows } from '../fuse/rows.ts';
import { faultsOf, interpret, plainly } from '../testGraphs.ts';
import { type RandomGraph, randomGraph } from '../testRandomGraphs.ts';
import { foldBatchNorm } from './batchNorm.ts';
import { shareCommonSubexpressions } from './commonSubexpressions.ts';
import { removeCopies } from './copies.ts';
import { removeDeadCode } from './deadCode.ts';
import { foldConstants } from './fold.ts';
import { optimize } from './optimize.ts';

const device = new CpuDevice();
const cpu: Limits = { kind: 'cpu', maxBindings: 12 };
const gpu: Limits = { kind: 'gpu', maxBindings: 8 };

function numbersOf(bytes: Uint8Array, dtype: DType): number[] {
  const { buffer } = bytes.slice();
  switch (dtype) {
    case 'float32':
      return [...new Float32Array(buffer)];
    case 'float64':
      return [...new Float64Array(buffer)];
    case 'float16':
      return [...new Uint16Array(buffer)].map(fromHalf);
    case 'int32':
      return [...new Int32Array(buffer)];
    default:
      return [...bytes];
  }
}

async function run(
  graph: Graph,
  { inputs, scalars, outputTypes }: RandomGraph,
  on: Device = device,
): Promise<number[][]> {
  on.seed(7);
  const outputs = await interpret(graph, on, inputs, scalars);
  return outputs.map((bytes, i) => numbersOf(bytes, outputTypes[i] ?? 'float32'));
}

/** 0 for −0: sums of zeros in another order may have the other sign. */
const unsigned = (lists: number[][]): number[][] => lists.map((list) => list.map((v) => (v === 0 ? 0 : v)));

function expectNear(found: number[][], wanted: number[][], name: string): void {
  expect(found.length, name).toBe(wanted.length);
  found.forEach((list, i) => {
    const other = wanted[i] as number[];
    const scale = other.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 1);
    list.forEach((v, k) => {
      const w = other[k] as number;
      const same = Object.is(v, w) || Math.abs(v - w) <= 1e-5 * scale;
      if (!same) expect.fail(`${name}, output ${i}, element ${k}: ${v}, not ${w}`);
    });
  });
}

const passes: Readonly<Record<string, (graph: Graph) => Graph>> = {
  removeDeadCode,
  foldConstants,
  shareCommonSubexpressions,
  removeCopies,
  foldBatchNorm,
  fuseOperands,
  fuseRowSums: (g) => fuseRowSums(g, cpu),
  fuseStores: (g) => fuseStores(g, cpu),
  fuseLoads: (g) => fuseLoads(g, cpu),
  fuseRows: (g) => fuseRows(g, cpu),
  fuseHorizontally: (g) => fuseHorizontally(g, cpu),
};

describe('random graphs', () => {
  test.each(Object.keys(passes))('%s alone changes no bit', async (name) => {
    let changed = 0;
    for (let seed = 0; seed < 120; seed++) {
      const random = randomGraph(seed);
      const graph = passes[name]?.(random.graph) as Graph;
      if (graph.nodes.length !== random.graph.nodes.length) changed++;
      expect(faultsOf(graph), `seed ${seed}`).toBe('');
      expect(unsigned(await run(plainly(graph), random)), `seed ${seed}`).toEqual(
        unsigned(await run(random.graph, random)),
      );
    }
    // a pass that never does anything would pass
    if (name !== 'foldConstants') expect(changed).toBeGreaterThan(0);
  });

  test.each(['cpu', 'gpu'] as const)('all passes for a %s change no bit', async (kind) => {
    const limits = kind === 'cpu' ? cpu : gpu;
    let [before, after] = [0, 0];
    for (let seed = 1000; seed < 1300; seed++) {
      const random = randomGraph(seed, { steps: 14 });
      const graph = optimize(random.graph, limits);
      before += random.graph.nodes.length;
      after += graph.nodes.length;
      expect(faultsOf(graph), `seed ${seed}`).toBe('');
      for (const node of graph.nodes)
        expect(node.inputs.length + node.outputs.length, `seed ${seed}`).toBeLessThanOrEqual(
          limits.maxBindings,
        );
      expect(unsigned(await run(plainly(graph), random)), `seed ${seed}`).toEqual(
        unsigned(await run(random.graph, random)),
      );
    }
    expect(after).toBeLessThan(before * 0.6);
  });

  test('with functions that round, within 1e-5', async () => {
    for (let seed = 2000; seed < 2200; seed++) {
      const random = randomGraph(seed, { smooth: true });
      const graph = optimize(random.graph, seed % 2 === 0 ? cpu : gpu);
      expect(faultsOf(graph), `seed ${seed}`).toBe('');
      expectNear(await run(plainly(graph), random), await run(random.graph, random), `seed ${seed}`);
    }
  });

  test('fused kernels on the CPU itself change no bit', async () => {
    for (let seed = 3000; seed < 3200; seed++) {
      const random = randomGraph(seed, { steps: 14 });
      const graph = optimize(random.graph, cpu);
      expect(unsigned(await run(graph, random)), `seed ${seed}`).toEqual(
        unsigned(await run(random.graph, random)),
      );
    }
  });

  test('fused kernels on a GPU itself change no bit', async () => {
    const adapter = await testDevice();
    const limits: Limits = { kind: 'gpu', maxBindings: adapter.maxBindings };
    for (let seed = 4000; seed < 4024; seed++) {
      const random = randomGraph(seed, { steps: 10, doubles: false, draws: false });
      const graph = optimize(random.graph, limits);
      expect(unsigned(await run(graph, random, adapter)), `seed ${seed}`).toEqual(
        unsigned(await run(random.graph, random)),
      );
    }
  });

  test('draws stay, in their order', () => {
    for (let seed = 0; seed < 60; seed++) {
      const { graph } = randomGraph(seed, { steps: 20 });
      const drawn = (g: Graph): string[] =>
        g.nodes.filter((n) => draws(n.kernel)).map((n) => `${n.outputs[0]?.shape.join('x')}`);
      expect(drawn(optimize(graph, gpu))).toEqual(drawn(graph));
    }
  });

  test('a second time nothing is left to do', () => {
    for (let seed = 0; seed < 60; seed++) {
      const once = optimize(randomGraph(seed).graph, gpu);
      expect(optimize(once, gpu).nodes.length).toBeGreaterThan(once.nodes.length - 3);
    }
  });

  test('no memory is left', () => {
    expect(device.memory().arrays).toBe(0);
  });
});
