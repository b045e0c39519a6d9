// Rows that go on: what subtracts or divides by a row's sum goes into the same kernel, and a second reduction of the same rows that needs the first one's results becomes more stages of it.
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { Graph, GraphNode } from '../../ir/graph.ts';
import type { Stage } from '../../ir/kernel.ts';
import { rowKernel } from '../../ir/kernel.ts';
import { Draft } from '../passes/draft.ts';
import { regroup, sameStrides } from './access.ts';
import { leavesOf, sameDigits, substitute, withinBounds } from './expressions.ts';
import { type Host, hostOf } from './host.ts';
import { joinedOps, type Limits } from './inline.ts';
import { computeFromOf, holds, Leaves, type Piece, pieceOf } from './piece.ts';

/** One workgroup stores a row: longer rows are better stored by a kernel of their own, unless there are many. */
const LONGEST = 4096;
const MOST_STAGES = 8;

/** Joins rows with the elementwise work and the rows that follow them along the same axis. */
export function fuseRows(graph: Graph, limits: Limits): Graph {
  const draft = new Draft(graph);
  for (let n = 0; n < draft.nodes.length; n++) {
    const node = draft.nodes[n];
    const result = node?.outputs[0];
    if (node == null || result === undefined || node.kernel.kind !== 'row' || node.kernel.perElement)
      continue;
    const [c = -1] = draft.readersOf(result.value);
    const next = draft.nodes[c];
    const host = hostOf(node);
    if (next == null || host === null || !draft.readOnlyBy(result.value, c)) continue;
    // a store that reads inputs at the rows' beginnings cannot be one for each element
    if (leavesOf(node.kernel.store).inputs.size > 0 || !holds(result.dtype, host.type)) continue;
    const piece = pieceOf(next);
    const fused = piece !== null ? spreadOver(host, piece, limits) : continued(host, hostOf(next), limits);
    if (fused === null) continue;
    draft.remove(n);
    draft.replace(c, fused);
  }
  return draft.finish();
}

/** Strides of a row's result over the row's places. */
function resultStrides([, , inner = 1]: readonly number[]): readonly number[] {
  return [inner, 0, 1];
}

/** Rows, and what reads their results beside each element. */
function spreadOver(host: Host, piece: Piece, limits: Limits): GraphNode | null {
  const { node, space } = host;
  const [outer = 0, length = 0, inner = 0] = space;
  const [target] = piece.outputs;
  const [expr] = piece.exprs;
  if (node.kernel.kind !== 'row' || target === undefined || expr === undefined || piece.exprs.length > 1)
    return null;
  const size = outer * length * inner;
  if (piece.type !== host.type || piece.extents.reduce((a, d) => a * d, 1) !== size) return null;
  if (length > LONGEST || leavesOf(expr).index) return null;
  const result = node.outputs[0]?.value;
  const { store, stages } = node.kernel;
  const leaves = new Leaves(
    host.leaves.flatMap((l) => l ?? []),
    host.scalars,
  );
  const own: Expr[] = [];
  for (const leaf of piece.leaves) {
    const strides = leaf.offset === 0 ? regroup(piece.extents, leaf.strides, space) : null;
    if (strides === null) return null;
    if (leaf.operand.value === result) {
      if (!sameStrides(space, strides, resultStrides(space))) return null;
      own.push(store);
    } else own.push(e.input(leaves.add({ ...leaf, strides }, space)));
  }
  if (limits.kind === 'cpu' && !sameDigits(outer * inner, size, store)) return null;
  const whole = substitute(
    expr,
    (x) =>
      x.kind === 'input'
        ? (own[x.index] as Expr)
        : x.kind === 'scalar'
          ? e.scalar(leaves.addScalar(piece.scalars[x.index] ?? Number.NaN))
          : x,
    host.type,
  );
  const inputs = leaves.leaves.map((l) => l.operand);
  const computeFrom = computeFromOf(host.type, inputs, target);
  if (computeFrom === null || inputs.length + 1 > limits.maxBindings || !withinBounds(whole)) return null;
  const ops = joinedOps(node.ops, piece.ops);
  return {
    ...node,
    kernel: rowKernel(ops.join('+').slice(0, 60), inputs.length, stages, whole, true, computeFrom),
    inputs,
    outputs: [target],
    dims: [...space, ...leaves.leaves.flatMap((l) => l.strides)],
    scalars: leaves.scalars,
    ops,
  };
}

/** Rows, and rows along the same axis that need their results. */
function continued(host: Host, next: Host | null, limits: Limits): GraphNode | null {
  const { node, space } = host;
  if (next === null || node.kernel.kind !== 'row' || next.node.kernel.kind !== 'row') return null;
  if (next.type !== host.type || space.some((d, i) => next.space[i] !== d)) return null;
  const before = node.kernel.stages;
  const after = next.node.kernel;
  if (before.length + after.stages.length > MOST_STAGES) return null;
  const result = node.outputs[0]?.value;
  const { store } = node.kernel;
  const leaves = new Leaves(
    host.leaves.flatMap((l) => l ?? []),
    host.scalars,
  );
  const own: Expr[] = [];
  for (const leaf of next.leaves) {
    if (leaf === null) return null;
    if (leaf.operand.value === result) {
      if (!sameStrides(space, leaf.strides, resultStrides(space))) return null;
      own.push(store);
    } else own.push(e.input(leaves.add(leaf, space)));
  }
  const [outer = 0, , inner = 0] = space;
  if (limits.kind === 'cpu' && !sameDigits(outer * inner, host.size, store)) return null;
  const later = (x: Expr): Expr =>
    substitute(
      x,
      (l) => {
        if (l.kind === 'input') return own[l.index] as Expr;
        if (l.kind === 'stage') return e.stage(l.index + before.length);
        return l.kind === 'scalar' ? e.scalar(leaves.addScalar(next.scalars[l.index] ?? Number.NaN)) : l;
      },
      host.type,
    );
  const stages: Stage[] = [...before, ...after.stages.map((s) => ({ ...s, load: later(s.load) }))];
  const whole = later(after.store);
  const inputs = leaves.leaves.map((l) => l.operand);
  const target = next.node.outputs[0];
  const computeFrom = target === undefined ? null : computeFromOf(host.type, inputs, target);
  if (computeFrom === null || inputs.length + 1 > limits.maxBindings) return null;
  if (!withinBounds(whole, ...stages.map((s) => s.load))) return null;
  const ops = joinedOps(node.ops, next.node.ops);
  return {
    ...next.node,
    kernel: rowKernel(
      ops.join('+').slice(0, 60),
      inputs.length,
      stages,
      whole,
      after.perElement,
      computeFrom,
    ),
    inputs,
    dims: [...space, ...leaves.leaves.flatMap((l) => l.strides)],
    scalars: leaves.scalars,
    ops,
  };
}
