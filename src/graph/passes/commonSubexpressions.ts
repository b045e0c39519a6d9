// Common subexpressions: the same kernel over the same operands runs once.
import type { Graph, GraphNode } from '../../ir/graph.ts';
import { draws } from '../../ir/graph.ts';
import { Draft } from './draft.ts';

function textOf(node: GraphNode): string {
  const operands = (list: GraphNode['inputs']): string =>
    list.map((x) => `${x.value}${x.dtype}${x.shape.join('x')}`).join();
  const types = node.outputs.map((x) => `${x.dtype}${x.shape.join('x')}`).join();
  const scalars = node.scalars.map((s) =>
    typeof s === 'number' ? (Object.is(s, -0) ? '-0' : s) : `#${s.slot}`,
  );
  return `${node.kernel.key}|${operands(node.inputs)}>${types}|${node.dims.join()}|${scalars.join()}`;
}

/** The graph with each kernel call once. Draws and what changes memory in part are left as they are. */
export function shareCommonSubexpressions(graph: Graph): Graph {
  const draft = new Draft(graph);
  const known = new Map<string, number>();
  for (let n = 0; n < draft.nodes.length; n++) {
    const node = draft.nodes[n];
    if (node == null || draws(node.kernel) || node.from.some((v) => v !== null)) continue;
    const text = textOf(node);
    const first = draft.nodes[known.get(text) ?? -1];
    if (first == null) {
      known.set(text, n);
      continue;
    }
    // an output keeps its own memory
    if (node.outputs.some((x, k) => draft.isOutput(x.value) && draft.isOutput(first.outputs[k]?.value ?? -1)))
      continue;
    const renamed = {
      ...first,
      outputs: first.outputs.map((x, k) => {
        const own = node.outputs[k] ?? x;
        return draft.isOutput(own.value) ? { ...x, value: own.value } : x;
      }),
    };
    const place = known.get(text) as number;
    draft.remove(n);
    draft.replace(place, renamed);
    node.outputs.forEach((x, k) => {
      const [earlier, kept] = [first.outputs[k]?.value as number, renamed.outputs[k]?.value as number];
      if (earlier !== kept) draft.redirect(earlier, kept);
      if (x.value !== kept) draft.redirect(x.value, kept);
    });
  }
  return draft.finish();
}
