// Copies that change nothing: who reads one reads what was copied; and what is only made to be copied into its place is made there.
import { bytesOf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Graph, GraphNode } from '../../ir/graph.ts';
import { isContiguous } from '../fuse/access.ts';
import { isMove, pieceOf } from '../fuse/piece.ts';
import { Draft } from './draft.ts';

/** The value that a node copies whole, element by element; −1 for none. */
function copiedBy(draft: Draft, node: GraphNode): number {
  const piece = pieceOf(node);
  const [leaf] = piece?.leaves ?? [];
  if (piece === null || leaf === undefined || piece.leaves.length !== 1 || !isMove(piece)) return -1;
  const whole = leaf.offset === 0 && isContiguous(piece.extents, leaf.strides);
  const bytes = sizeOf(piece.extents) * bytesOf(leaf.operand.dtype);
  return whole && draft.values[leaf.operand.value]?.bytes === bytes ? leaf.operand.value : -1;
}

/** The graph without copies of whole values, but those that outputs need for memory of their own. */
export function removeCopies(graph: Graph): Graph {
  const draft = new Draft(graph);
  for (let n = 0; n < draft.nodes.length; n++) {
    const node = draft.nodes[n];
    const source = node == null ? -1 : copiedBy(draft, node);
    const copy = node?.outputs[0]?.value;
    if (node == null || source < 0 || copy === undefined) continue;
    if (!draft.isOutput(copy)) {
      draft.remove(n);
      draft.redirect(copy, source);
      continue;
    }
    const maker = draft.makerOf(source);
    const makes = draft.nodes[maker];
    if (makes == null || draft.isOutput(source)) continue;
    // made in the copy's place
    draft.remove(n);
    draft.replace(maker, {
      ...makes,
      outputs: makes.outputs.map((x) => (x.value === source ? { ...x, value: copy } : x)),
    });
    draft.redirect(source, copy);
  }
  return draft.finish();
}
