// Dead code: kernels whose results nobody needs. Draws stay, since they move a generator on.
import type { Graph } from '../../ir/graph.ts';
import { draws } from '../../ir/graph.ts';
import { readBy } from './draft.ts';

/** The graph without nodes on which no output depends. */
export function removeDeadCode(graph: Graph): Graph {
  const needed = new Set(graph.outputs);
  const nodes = [];
  for (let n = graph.nodes.length - 1; n >= 0; n--) {
    const node = graph.nodes[n];
    if (node === undefined || (!draws(node.kernel) && !node.outputs.some((x) => needed.has(x.value))))
      continue;
    for (const value of readBy(node)) needed.add(value);
    nodes.push(node);
  }
  return nodes.length === graph.nodes.length ? graph : { ...graph, nodes: nodes.reverse() };
}
