// Several results from one kernel: an elementwise value that others need too comes out beside what is made of it, and independent elementwise nodes over as many elements run together.
import { sizeOf } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import type { Graph, GraphNode } from '../../ir/graph.ts';
import { Draft } from '../passes/draft.ts';
import { steadyValues } from '../passes/steady.ts';
import { isContiguous, regroup } from './access.ts';
import { allowed, type Limits, leavesOf } from './expressions.ts';
import { holds, type Leaf, Leaves, moved, nodeOf, type Piece, pieceOf } from './piece.ts';

/** One kernel has at most this many results. */
const MOST_OUTPUTS = 4;
/** Kernels without a common operand run together up to this many elements: above, each is worth its dispatch. */
const SMALL: Readonly<Record<Limits['kind'], number>> = { cpu: 1024, gpu: 16384 };
/** How many later nodes each is tried with. */
const TRIED = 8;

/** What could run together with each other has one text. */
function kindOf(piece: Piece, isSteady: boolean): string {
  return `${sizeOf(piece.extents)} ${piece.outputs[0]?.dtype} ${piece.type} ${isSteady}`;
}

/** Merges elementwise nodes of as many elements, where one reads what the other makes, both read the same, or both are small. */
export function fuseHorizontally(graph: Graph, limits: Limits): Graph {
  const draft = new Draft(graph);
  const steady = steadyValues(graph);
  const groups = new Map<string, number[]>();
  draft.nodes.forEach((node, n) => {
    const piece = node === null || node.kernel.kind !== 'elementwise' ? null : pieceOf(node);
    if (node === null || piece === null || piece.leaves.length === 0) return;
    const kind = kindOf(
      piece,
      node.outputs.every((x) => steady.has(x.value)),
    );
    groups.set(kind, [...(groups.get(kind) ?? []), n]);
  });
  for (const places of groups.values())
    for (let i = 0; i < places.length; i++) {
      let tried = 0;
      for (let j = i + 1; j < places.length && tried < TRIED; j++) {
        const [a, b] = [places[i] as number, places[j] as number];
        const [first, second] = [draft.nodes[a], draft.nodes[b]];
        if (first == null || second == null) continue;
        tried++;
        const merged = mergedNodes(first, second, limits);
        if (merged === null || draft.reaches(a, b, true) || draft.reaches(b, a)) continue;
        draft.remove(a);
        draft.replace(b, merged);
        draft.disturb();
        break;
      }
    }
  return draft.finish();
}

function mergedNodes(a: GraphNode, b: GraphNode, limits: Limits): GraphNode | null {
  const [first, second] = [pieceOf(a), pieceOf(b)];
  if (first === null || second === null) return null;
  if (first.outputs.length + second.outputs.length > MOST_OUTPUTS) return null;
  const made = new Map(first.outputs.map((x, k) => [x.value, first.exprs[k] as Expr]));
  const follows = second.leaves.some((l) => made.has(l.operand.value));
  const shares = (l: Leaf): boolean =>
    first.leaves.some((x) => x.operand.value === l.operand.value && isContiguous(second.extents, l.strides));
  if (!follows && sizeOf(first.extents) > SMALL[limits.kind] && !second.leaves.some(shares)) return null;
  const { extents } = first;
  const all = new Leaves(first.leaves, first.scalars);
  const own: Expr[] = [];
  for (const leaf of second.leaves) {
    const { operand, offset } = leaf;
    const before = made.get(operand.value);
    const strides = regroup(second.extents, leaf.strides, extents);
    if (strides === null) return null;
    if (before === undefined) own.push(all.add({ ...leaf, strides }, extents));
    else {
      const out = first.outputs.find((x) => x.value === operand.value);
      if (out?.dtype !== operand.dtype || !holds(operand.dtype, first.type)) return null;
      if (offset !== 0 || !isContiguous(extents, strides)) return null;
      own.push(before);
    }
  }
  const exprs = [...first.exprs, ...second.exprs.map((x) => moved(x, second, own, all))];
  const outputs = [...first.outputs, ...second.outputs];
  const node = nodeOf({ ...first, ...all, exprs, outputs, ops: [...first.ops, ...second.ops] });
  return node !== null && leavesOf(...exprs).inputs.size > 0 && allowed(node, exprs, limits) ? node : null;
}
