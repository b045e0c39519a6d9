// Fusion of elementwise work: what follows a kernel goes into its store, what comes before one into its loads, chains and trees become one kernel. Each step takes a node that one other
// reads and nobody else needs, so that no circle can arise; nothing is computed twice unless that costs less than keeping it.
import type { Graph, GraphNode } from '../../ir/graph.ts';
import { Draft } from '../passes/draft.ts';
import { steadyValues } from '../passes/steady.ts';
import { costOf, leavesOf } from './expressions.ts';
import { type Host, hostOf } from './host.ts';
import { absorbed, inlined, inlinedIntoHost, type Limits } from './inline.ts';
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
  for (let n = 0; n < draft.nodes.length; n++) {
    const node = draft.nodes[n];
    const result = node?.outputs[0];
    if (node == null || result === undefined || node.kernel.kind === 'elementwise') continue;
    const [c = -1] = draft.readersOf(result.value);
    const next = draft.nodes[c];
    if (next == null || !draft.readOnlyBy(result.value, c)) continue;
    // other results must still be there in time
    if (node.outputs.slice(1).some((x) => draft.readersOf(x.value).some((r) => r <= c))) continue;
    const [host, piece] = [hostOf(node), next.kernel.kind === 'elementwise' ? pieceOf(next) : null];
    const fused = host === null || piece === null ? null : absorbed(host, piece, limits);
    if (fused === null) continue;
    draft.remove(n);
    draft.replace(c, fused);
  }
  return draft.finish();
}

/** Elementwise work and moves go to where their results are read. */
export function fuseLoads(graph: Graph, limits: Limits): Graph {
  const draft = new Draft(graph);
  const steady = steadyValues(graph);
  for (let n = 0; n < draft.nodes.length; n++) {
    const node = draft.nodes[n];
    const piece = node == null ? null : pieceOf(node);
    const [out] = piece?.outputs ?? [];
    if (node == null || piece === null || out === undefined || piece.outputs.length > 1) continue;
    const readers = draft.readersOf(out.value);
    if (readers.length === 0 || draft.isOutput(out.value)) continue;
    const cost = costOf(piece.exprs[0] as Piece['exprs'][number]);
    if (readers.length > 1 && cost > TRIVIAL) continue;
    const fused = readers.map((r) => {
      const reader = draft.nodes[r];
      if (reader == null || reader.from.includes(out.value)) return null;
      // what need not run each time is left out of what does
      if (steady.has(out.value) && !reader.outputs.every((x) => steady.has(x.value))) return null;
      return intoReader(piece, out.value, cost, reader, limits);
    });
    if (fused.includes(null)) continue;
    draft.remove(n);
    readers.forEach((r, i) => {
      draft.replace(r, fused[i] as GraphNode);
    });
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
  const own = sizeOfPiece(piece);
  const consumer = pieceOf(reader);
  if (consumer !== null) {
    const again = sizeOfPiece(consumer) / own - 1;
    return pays(cost, again, sizeOfPiece(consumer), limits) ? inlined(piece, value, consumer, limits) : null;
  }
  const host = hostOf(reader);
  if (host === null) return null;
  const again = (timesRead(host, value) * host.size) / own - 1;
  return pays(cost, again, host.size, limits) ? inlinedIntoHost(piece, value, host, limits) : null;
}

function sizeOfPiece(piece: Piece): number {
  return piece.extents.reduce((n, d) => n * d, 1);
}

/** `again`: how often each element is computed anew. */
function pays(cost: number, again: number, size: number, { kind }: Limits): boolean {
  return cost * again <= BUDGET[kind] || (size <= FEW && cost <= BUDGET[kind]);
}

/** How many of a host's expressions read a value. */
function timesRead(host: Host, value: number): number {
  const reads = (i: number): boolean => host.leaves[i]?.operand.value === value;
  return host.exprs.filter((x) => [...leavesOf(x).inputs].some(reads)).length;
}
