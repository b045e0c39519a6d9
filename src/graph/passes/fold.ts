// Constant folding: a value that is one number everywhere (ones as the gradient of a head, zeros, what is broadcast or summed of such) becomes a number in the kernels that read it.
import type { ComputeType, DType } from '../../core/dtype.ts';
import { computeTypeOf, fromHalf, isFloat, toHalf } from '../../core/dtype.ts';
import { type Expr, e } from '../../ir/expr.ts';
import type { Graph, GraphNode, GraphScalar } from '../../ir/graph.ts';
import { hasFixedFunction, inType, leavesOf, substitute } from '../fuse/expressions.ts';
import { type Host, hostOf } from '../fuse/host.ts';
import { nodeOf, pieceOf } from '../fuse/piece.ts';
import { Draft } from './draft.ts';

/** float32 holds whole numbers up to here, so that sums of them are exact. */
const EXACT = 2 ** 24;
/** Constants of more bytes are not looked through. */
const SEARCHED = 65536;

/** A number as it is stored; null where that would need conversions of integers. */
function asStored(value: number, dtype: DType): number | null {
  switch (dtype) {
    case 'float32':
      return Math.fround(value);
    case 'float64':
      return value;
    case 'float16':
      return fromHalf(toHalf(value));
    case 'int32':
      return inType(value, 'i32');
    case 'uint32':
      return inType(value, 'u32');
    case 'bool':
      return Number.isNaN(value) ? null : value === 0 ? 0 : 1;
    default:
      return null;
  }
}

/** A stored number as a kernel loads it; null where that would need conversions of integers. */
function asLoaded(value: number, dtype: DType, type: ComputeType): number | null {
  if (isFloat(dtype) !== (type === 'f32' || type === 'f64')) {
    // whole numbers that both hold
    return Number.isInteger(value) && Math.abs(value) < EXACT ? inType(value, type) : null;
  }
  return inType(value, type);
}

/** The number that an expression without inputs gives; null where it gives several, or its digits are the device's. */
function numberOf(x: Expr, scalars: readonly GraphScalar[], type: ComputeType): number | null {
  const folded = substitute(
    x,
    (leaf) => {
      const scalar = leaf.kind === 'scalar' ? scalars[leaf.index] : undefined;
      const value = typeof scalar === 'number' ? inType(scalar, type) : null;
      return value === null ? leaf : e.constant(value);
    },
    type,
  );
  return folded.kind === 'const' ? inType(folded.value, type) : null;
}

/** The one number of a constant's bytes, if they are float32 and all the same. */
function uniform(bytes: Uint8Array): number | null {
  if (bytes.length === 0 || bytes.length % 4 !== 0 || bytes.length > SEARCHED) return null;
  const values = new Float32Array(bytes.slice().buffer);
  const first = values[0] as number;
  return values.every((v) => Object.is(v, first)) ? first : null;
}

/** Numbers that stand for values, by value. */
class Known {
  readonly #numbers = new Map<number, readonly [number, DType]>();
  readonly #constants: ReadonlyMap<number, Uint8Array>;

  constructor(graph: Graph) {
    this.#constants = graph.constants;
  }

  set(value: number, dtype: DType, number: number): void {
    this.#numbers.set(value, [number, dtype]);
  }

  /** The number that a kernel computing in `type` loads; null where the value is no single one. */
  loaded(value: number, dtype: DType, type: ComputeType): number | null {
    const known = this.#numbers.get(value);
    if (known !== undefined) return known[1] === dtype ? asLoaded(known[0], dtype, type) : null;
    const bytes = dtype === 'float32' ? this.#constants.get(value) : undefined;
    const number = bytes === undefined ? null : uniform(bytes);
    return number === null ? null : asLoaded(number, dtype, type);
  }
}

/**
 * Replaces the leaves that are known, and scalars that are 1, by which nothing need be multiplied; null where there are none, or where a function would be left over a number alone.
 */
function folded(
  exprs: readonly Expr[],
  leaves: readonly ({ readonly operand: GraphNode['inputs'][number] } | null)[],
  scalars: readonly GraphScalar[],
  type: ComputeType,
  known: Known,
): Expr[] | null {
  const numbers = leaves.map((leaf) =>
    leaf === null ? null : known.loaded(leaf.operand.value, leaf.operand.dtype, type),
  );
  const ones = scalars.map((s) => s === 1);
  if (numbers.every((v) => v === null) && !ones.includes(true)) return null;
  const result = exprs.map((x) =>
    substitute(
      x,
      (l) => {
        if (l.kind === 'scalar') return ones[l.index] === true ? e.constant(1) : l;
        const number = l.kind === 'input' ? (numbers[l.index] ?? null) : null;
        return number === null ? l : e.constant(number);
      },
      type,
    ),
  );
  return hasFixedFunction(...result) && !hasFixedFunction(...exprs) ? null : result;
}

/** Stages that add up or compare one number, as numbers; the others as they are. */
function foldedStages(host: Host, exprs: readonly Expr[]): (number | null)[] {
  const { kernel } = host.node;
  if (kernel.kind !== 'row') return [];
  const length = host.space[1] ?? 0;
  return kernel.stages.map(({ combine }, i) => {
    const load = exprs[i];
    if (load?.kind !== 'const') return null;
    if (combine === 'max' || combine === 'min') return load.value;
    const sum = load.value * length;
    return combine === 'sum' && Number.isInteger(load.value) && Math.abs(sum) < EXACT ? sum : null;
  });
}

/** The graph with known values as numbers in the kernels that read them. What makes them stays until dead code goes. */
export function foldConstants(graph: Graph): Graph {
  const draft = new Draft(graph);
  const known = new Known(graph);
  for (let n = 0; n < draft.nodes.length; n++) {
    const node = draft.nodes[n];
    const out = node?.outputs[0];
    if (node == null || out === undefined) continue;
    const piece = pieceOf(node);
    if (piece !== null) {
      const exprs = folded(piece.exprs, piece.leaves, piece.scalars, piece.type, known) ?? piece.exprs;
      piece.outputs.forEach((x, k) => {
        const number = numberOf(exprs[k] as Expr, piece.scalars, piece.type);
        const stored = number === null ? null : asStored(number, x.dtype);
        if (stored !== null) known.set(x.value, x.dtype, stored);
      });
      const better = exprs === piece.exprs ? null : nodeOf({ ...piece, exprs });
      if (better !== null) draft.replace(n, better);
      continue;
    }
    const host = hostOf(node);
    if (host === null) continue;
    const exprs = folded(host.exprs, host.leaves, host.scalars, host.type, known);
    if (exprs === null) continue;
    const stages = foldedStages(host, exprs);
    // a sum of numbers that float32 would round is the device's
    if (stages.some((v, i) => v === null && exprs[i]?.kind === 'const')) continue;
    const store = substitute(
      exprs[exprs.length - 1] as Expr,
      (l) => {
        const number = l.kind === 'stage' ? (stages[l.index] ?? null) : null;
        return number === null ? l : e.constant(number);
      },
      host.type,
    );
    const number = numberOf(store, host.scalars, host.type);
    const stored = number === null || node.kernel.kind !== 'row' ? null : asStored(number, out.dtype);
    if (stored !== null) {
      known.set(out.value, out.dtype, stored);
      const shape = node.kernel.kind === 'row' && !node.kernel.perElement ? host.stored : out.shape;
      const fill = nodeOf({
        extents: shape,
        leaves: [],
        exprs: [e.constant(stored)],
        outputs: [out],
        type: computeTypeOf(out.dtype),
        scalars: [],
        ops: node.ops,
      });
      if (fill !== null && leavesOf(store).inputs.size === 0) draft.replace(n, fill);
      continue;
    }
    const whole = [...exprs.slice(0, -1), store];
    if (hasFixedFunction(...whole) && !hasFixedFunction(...host.exprs)) continue;
    const better = host.close({ ...host, exprs: whole }, node.ops, out);
    if (better !== null) draft.replace(n, better);
  }
  return draft.finish();
}
