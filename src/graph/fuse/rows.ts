// Rows that go on: what subtracts or divides by a row's sum goes into the same kernel, and a second reduction of the same rows that needs the first one's results becomes more stages of it.
import { sizeOf } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import type { Graph, GraphNode } from '../../ir/graph.ts';
import type { RowKernel } from '../../ir/kernel.ts';
import { Draft } from '../passes/draft.ts';
import { regroup, sameStrides } from './access.ts';
import { allowed, type Limits, leavesOf, sameDigits } from './expressions.ts';
import { type Host, hostOf, rowNode } from './host.ts';
import { type Contents, holds, Leaves, moved, type Piece, pieceOf } from './piece.ts';

/** One workgroup stores a row: longer rows are better stored by a kernel of their own, unless there are many. */
const LONGEST = 4096;
const MOST_STAGES = 8;

/** Joins rows with the elementwise work and the rows that follow them along the same axis. */
export function fuseRows(graph: Graph, limits: Limits): Graph {
  const draft = new Draft(graph);
  for (const [n, node, result] of draft.live()) {
    const { kernel } = node;
    if (kernel.kind !== 'row' || kernel.perElement) continue;
    const c = draft.onlyReader(result.value);
    const next = draft.nodes[c];
    const host = hostOf(node);
    if (next == null || host === null) continue;
    // a store that reads inputs at the rows' beginnings cannot be one for each element
    if (leavesOf(kernel.store).inputs.size > 0 || !holds(result.dtype, host.type)) continue;
    const piece = pieceOf(next);
    const follows = piece === null ? rowsOf(next, host.space) : elementsOf(piece, host.space);
    draft.merge(n, [c], [follows && continued(host, kernel, follows, limits)]);
  }
  return draft.finish();
}

/** What may follow rows in their kernel. Leaves are read over the rows' places. */
interface Follows extends Contents, Pick<Piece, 'type' | 'outputs' | 'ops'> {
  /** How `exprs` but the last are combined. */
  readonly stages: RowKernel['stages'];
  readonly perElement: boolean;
}

/** Elementwise work beside each element of rows; null for other work. */
function elementsOf(piece: Piece, space: readonly number[]): Follows | null {
  const { exprs, extents } = piece;
  const [, length = 0] = space;
  if (exprs.length > 1 || sizeOf(extents) !== sizeOf(space)) return null;
  if (length > LONGEST || leavesOf(...exprs).index) return null;
  const leaves = piece.leaves.map((leaf) => {
    const strides = leaf.offset === 0 ? regroup(extents, leaf.strides, space) : null;
    return strides && { ...leaf, strides };
  });
  return { ...piece, leaves, stages: [], perElement: true };
}

/** Rows along the same axis; null for other work. */
function rowsOf(node: GraphNode, space: readonly number[]): Follows | null {
  const host = hostOf(node);
  const { kernel, outputs, ops } = node;
  if (host === null || kernel.kind !== 'row' || space.some((d, i) => host.space[i] !== d)) return null;
  const { stages, perElement } = kernel;
  return { ...host, outputs, ops, stages, perElement };
}

/** Rows, and what follows them, as one kernel. */
function continued(
  host: Host,
  { stages, store }: RowKernel,
  next: Follows,
  limits: Limits,
): GraphNode | null {
  const { node, space } = host;
  const [outer = 0, , inner = 0] = space;
  const [result, target] = [node.outputs[0]?.value, next.outputs[0]];
  if (target === undefined || next.type !== host.type) return null;
  if (stages.length + next.stages.length > MOST_STAGES) return null;
  const all = new Leaves(host.leaves, host.scalars);
  const own: Expr[] = [];
  for (const leaf of next.leaves) {
    if (leaf === null) return null;
    if (leaf.operand.value !== result) own.push(all.add(leaf, space));
    else if (sameStrides(space, leaf.strides, [inner, 0, 1])) own.push(store);
    else return null;
  }
  if (!sameDigits(limits, outer * inner, host.size, store)) return null;
  const exprs = next.exprs.map((x) => moved(x, next, own, all, stages.length));
  const whole = {
    stages: [...stages, ...next.stages.map((s, i) => ({ ...s, load: exprs[i] as Expr }))],
    store: exprs[next.stages.length] as Expr,
    perElement: next.perElement,
  };
  const made = rowNode(node, host, whole, all, [...node.ops, ...next.ops], target);
  const loads = whole.stages.map((s) => s.load);
  return made !== null && allowed(made, [whole.store, ...loads], limits) ? made : null;
}
