// All passes in their order. Each takes a graph and returns one that computes the same; what is fused and why is told in docs/hybridize.md.
import type { Graph } from '../../ir/graph.ts';
import { fuseLoads, fuseStores } from '../fuse/elementwise.ts';
import type { Limits } from '../fuse/expressions.ts';
import { fuseHorizontally } from '../fuse/horizontal.ts';
import { fuseOperands } from '../fuse/operands.ts';
import { fuseRowSums } from '../fuse/rowSum.ts';
import { fuseRows } from '../fuse/rows.ts';
import { foldBatchNorm } from './batchNorm.ts';
import { shareCommonSubexpressions } from './commonSubexpressions.ts';
import { removeCopies } from './copies.ts';
import { removeDeadCode } from './deadCode.ts';
import { foldConstants } from './fold.ts';

/** Rounds of fusion: what one makes possible the next does; more than two are rarely of use. */
const ROUNDS = 3;

/**
 * A graph with the same inputs, outputs and scalars, in fewer kernels.
 * @example optimize(graph, { kind: device.kind, maxBindings: device.maxBindings })
 */
export function optimize(graph: Graph, limits: Limits): Graph {
  let g = removeDeadCode(foldConstants(removeDeadCode(graph)));
  g = removeCopies(shareCommonSubexpressions(g));
  g = fuseOperands(fuseRowSums(foldBatchNorm(g), limits));
  for (let round = 0; round < ROUNDS; round++) {
    const before = g.nodes.length;
    g = fuseRows(fuseLoads(fuseStores(g, limits), limits), limits);
    if (g.nodes.length === before) break;
  }
  return removeDeadCode(fuseHorizontally(g, limits));
}
