// Updates of several parameters in one kernel need their operands side by side in memory. That is so for arrays whose value at the end of the run is the one that the update reads or
// makes; where it is another (a gradient that a later backward overwrites, one that is a result besides), the parameters are updated one by one.
import type { Graph, GraphNode } from '../ir/graph.ts';

/** Where an array lies: which output of the graph is its memory, or, if the run does not write it, which input. */
export interface Home {
  readonly output: number | null;
  readonly input: number | null;
}

/** The arrays of one update, as its kernel names them. */
export interface Homes {
  readonly targets: readonly Home[];
  readonly grads: readonly Home[];
}

/** Takes grouped updates apart whose operands will not lie at home. `homes`: by the update's first scalar slot. */
export function separateUpdates(graph: Graph, homes: ReadonlyMap<number, Homes>): Graph {
  // of two outputs with one value the first is its place, the other a copy
  const isAt = ({ output, input }: Home, value: number): boolean =>
    output === null ? graph.inputs[input ?? -1] === value : graph.outputs.indexOf(value) === output;
  const nodes = graph.nodes.flatMap((node): readonly GraphNode[] => {
    const [count] = node.dims;
    if (node.kernel.kind !== 'update' || count === undefined) return [node];
    const [first] = node.scalars;
    const home = typeof first === 'object' ? homes.get(first.slot) : undefined;
    const fits =
      home !== undefined &&
      node.outputs.every(({ value }, k) => isAt(home.targets[k] as Home, value)) &&
      node.inputs.every(({ value }, k) => isAt(home.grads[k] as Home, value));
    return fits ? [node] : Array.from({ length: count }, (_, k) => itemOf(node, k, count));
  });
  return { ...graph, nodes };
}

/** One parameter's part of a grouped update. */
function itemOf(node: GraphNode, k: number, count: number): GraphNode {
  const own = <T>(list: readonly T[]): T[] => list.filter((_, i) => i % count === k);
  return { ...node, inputs: own(node.inputs), outputs: own(node.outputs), from: own(node.from), dims: [] };
}
