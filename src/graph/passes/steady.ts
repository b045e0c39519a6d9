// What need not run each time: values that depend on stable inputs and constants alone. The plan runs what makes them once, first; passes keep them apart from what changes.
import type { Graph } from '../../ir/graph.ts';
import { draws } from '../../ir/graph.ts';
import { readBy } from './draft.ts';

/** The values that are the same at each run until a parameter changes. */
export function steadyValues(graph: Graph): ReadonlySet<number> {
  const steady = new Set<number>(graph.constants.keys());
  graph.inputs.forEach((value, i) => {
    if (graph.stable[i] === true) steady.add(value);
  });
  for (const node of graph.nodes) {
    const slots = node.scalars.some((s) => typeof s !== 'number');
    if (slots || draws(node.kernel) || ![...readBy(node)].every((v) => steady.has(v))) continue;
    for (const x of node.outputs) steady.add(x.value);
  }
  return steady;
}
