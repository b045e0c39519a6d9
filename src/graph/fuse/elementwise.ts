// Fusion of elementwise work: what follows a kernel goes into its store, what comes before one into its loads, chains and trees become one kernel. Each step takes a node that one other
// reads and nobody else needs, so that no circle can arise; nothing is computed twice unless that costs less than keeping it.
import { sizeOf } from '../../core/shape.ts';
import type { Graph, GraphNode } from '../../ir/graph.ts';
import { Draft } from '../passes/draft.ts';
import { steadyValues } from '../passes/steady.ts';
import { costOf, type Limits, leavesOf } from './expressions.ts';
import { hostOf } from './host.ts';
import { absorbed, inlined, inlinedIntoHost } from './inline.ts';
import { type Piece, pieceOf } from './piece.ts';

/** What may be computed again for each element of a consumer, in additions. */
const BUDGET: Readonly<Record<Limits['kind'], number>> = { cpu: 4, gpu: 16 };
/** What is so cheap that each of several consumers may compute it for itself. */
const TRIVIAL = 1;
/** For a consumer of so few elements all that counts is the number of kernels. */
const FEW = 1024;

/** What follows products, pooling and rows goes into their stores. */
export function fuseStores(graph: Graph, limits: Limits): Graph {
  const draft = new Draft(graph);
  for (const [n, node, result] of draft.live()) {
    const c = draft.onlyReader(result.value);
    const next = draft.nodes[c];
    if (next?.kernel.kind !== 'elementwise' || node.kernel.kind === 'elementwise') continue;
    // other results must still be there in time
    if (node.outputs.slice(1).some((x) => draft.readersOf(x.value).some((r) => r <= c))) continue;
    const [host, piece] = [hostOf(node), pieceOf(next)];
    draft.merge(n, [c], [host && piece && absorbed(host, piece, limits)]);
  }
  return draft.finish();
}

/** Elementwise work and moves go to where their results are read. */
export function fuseLoads(graph: Graph, limits: Limits): Graph {
  const draft = new Draft(graph);
  const steady = steadyValues(graph);
  for (const [n, node, { value }] of draft.live()) {
    const piece = pieceOf(node);
    const [expr, ...others] = piece?.exprs ?? [];
    if (piece === null || expr === undefined || others.length > 0 || draft.isOutput(value)) continue;
    const readers = draft.readersOf(value);
    const cost = costOf(expr);
    if (readers.length > 1 && cost > TRIVIAL) continue;
    const fused = readers.map((r) => {
      const reader = draft.nodes[r];
      if (reader == null || reader.from.includes(value)) return null;
      // what need not run each time is left out of what does
      if (steady.has(value) && !reader.outputs.every((x) => steady.has(x.value))) return null;
      return intoReader(piece, value, cost, reader, limits);
    });
    draft.merge(n, readers, fused);
  }
  return draft.finish();
}

function intoReader(
  piece: Piece,
  value: number,
  cost: number,
  reader: GraphNode,
  limits: Limits,
): GraphNode | null {
  /** Whether it may be computed for so many elements of a consumer, of `size` in all. */
  const pays = (count: number, size: number): boolean => {
    const again = count / sizeOf(piece.extents) - 1;
    return cost * again <= BUDGET[limits.kind] || (size <= FEW && cost <= BUDGET[limits.kind]);
  };
  const consumer = pieceOf(reader);
  if (consumer !== null) {
    const size = sizeOf(consumer.extents);
    return pays(size, size) ? inlined(piece, value, consumer, limits) : null;
  }
  const host = hostOf(reader);
  if (host === null) return null;
  const { size, exprs, leaves } = host;
  const reads = (i: number): boolean => leaves[i]?.operand.value === value;
  const times = exprs.filter((x) => [...leavesOf(x).inputs].some(reads)).length;
  return pays(times * size, size) ? inlinedIntoHost(piece, value, host, limits) : null;
}
