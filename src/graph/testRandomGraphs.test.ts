// The generator of random graphs makes graphs that are sound and run, with every kind of kernel among them.
import { expect, test } from 'vitest';
import { CpuDevice } from '../device/cpu/cpuDevice.ts';
import { faultsOf, interpret, plainly } from './testGraphs.ts';
import { randomGraph } from './testRandomGraphs.ts';

test('random graphs are sound, and run', async () => {
  const device = new CpuDevice();
  const kinds = new Set<string>();
  for (let seed = 0; seed < 100; seed++) {
    const { graph, inputs, scalars, outputTypes } = randomGraph(seed);
    expect(faultsOf(graph), `seed ${seed}`).toBe('');
    expect(outputTypes.length).toBe(graph.outputs.length);
    for (const { kernel } of graph.nodes) kinds.add(kernel.kind === 'custom' ? kernel.name : kernel.kind);
    device.seed(seed);
    const first = await interpret(graph, device, inputs, scalars);
    device.seed(seed);
    expect(await interpret(plainly(graph), device, inputs, scalars), `seed ${seed}`).toEqual(first);
  }
  expect(device.memory().arrays).toBe(0);
  for (const kind of [
    'elementwise',
    'row',
    'product',
    'update',
    'stridedCopy',
    'poolMaxGrad',
    'randomUniform',
    'cumsum',
  ])
    expect(kinds).toContain(kind);
});
