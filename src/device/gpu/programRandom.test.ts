// Random graphs as programs on a GPU: planned as they are and after all passes, they give what the same graph gives kernel by kernel, run after run.
import { expect, test } from 'vitest';
import { optimize } from '../../graph/passes/optimize.ts';
import { plan } from '../../graph/plan.ts';
import { interpret } from '../../graph/testGraphs.ts';
import { randomGraph } from '../../graph/testRandomGraphs.ts';
import type { Graph } from '../../ir/graph.ts';
import type { Storage } from '../../ir/storage.ts';
import { testDevice } from './testDevice.ts';
import { decode } from './testSink.ts';

const device = await testDevice();

/** Compiles a graph and runs it twice from the same inputs; the outputs' bytes of each run. */
async function replayed(
  graph: Graph,
  inputs: readonly Uint8Array[],
  scalars: readonly number[],
  staticAlloc: boolean,
): Promise<ArrayBuffer[][]> {
  const program = device.compile(plan(graph), { staticAlloc, name: 'random' });
  const bytesOf = (value: number): number => graph.values[value]?.bytes ?? 0;
  const runs: ArrayBuffer[][] = [];
  const given = graph.inputs.map((value) => device.alloc(bytesOf(value)));
  for (let run = 0; run < 2; run++) {
    given.forEach((storage, i) => void device.write(storage, inputs[i] as Uint8Array));
    const outputs = graph.outputs.map((value, i) => {
      const into = graph.into[i] ?? null;
      return into === null ? device.alloc(bytesOf(value)) : (given[into] as Storage);
    });
    device.seed(7);
    program.run(given, outputs, scalars, true);
    runs.push(
      await device.read(
        outputs.map((storage, i) => ({ storage, at: 0, bytes: bytesOf(graph.outputs[i] as number) })),
      ),
    );
    for (const [i, storage] of outputs.entries()) if ((graph.into[i] ?? null) === null) device.free(storage);
  }
  for (const storage of given) device.free(storage);
  program.dispose();
  return runs;
}

const SEEDS = Number(process.env['RANDOM_PROGRAMS'] ?? 8);

test.each(Array.from({ length: SEEDS }, (_, i) => i))('seed %i', { timeout: 60_000 }, async (seed) => {
  const smooth = seed % 2 === 1;
  const { graph, inputs, scalars, outputTypes } = randomGraph(1000 + seed, {
    smooth,
    draws: true,
    doubles: false,
  });
  device.seed(7);
  const wanted = await interpret(graph, device, inputs, scalars);
  const before = device.memory();
  for (const better of [graph, optimize(graph, { kind: 'gpu', maxBindings: device.maxBindings })])
    for (const outputs of await replayed(better, inputs, scalars, seed % 4 < 2))
      outputs.forEach((bytes, i) => {
        const dtype = outputTypes[i] ?? 'float32';
        const found = decode(bytes, dtype);
        const want = decode((wanted[i] as Uint8Array).slice().buffer as ArrayBuffer, dtype);
        const scale = want.reduce((most, v) => (Number.isFinite(v) ? Math.max(most, Math.abs(v)) : most), 1);
        const tolerance = better === graph ? 0 : (dtype === 'float16' ? 2e-3 : 1e-5) * scale;
        found.forEach((v, k) => {
          const w = want[k] as number;
          if (!(Object.is(v, w) || v === w || Math.abs(v - w) <= tolerance))
            expect.fail(`output ${i} (${dtype}), element ${k}: ${v}, not ${w}`);
        });
        expect(found.length).toBe(want.length);
      });
  expect(device.memory()).toMatchObject({ bytesInUse: before.bytesInUse, arrays: before.arrays });
});
