// Elementwise work as a loop: extents, leaves read by offset and strides, one expression for each output. Every elementwise kernel and every copy that writes all of its output is one;
// what passes have made of it becomes a kernel again, the plainest that will do.
import { type ComputeType, computeTypeOf, type DType } from '../../core/dtype.ts';
import { MAX_NDIM, sizeOf, stridesOf } from '../../core/shape.ts';
import { type Expr, e } from '../../ir/expr.ts';
import type { GraphNode, GraphOperand, GraphScalar } from '../../ir/graph.ts';
import { customKernel, elementwiseKernel } from '../../ir/kernel.ts';
import { broadcastStrides, coalesce, isEmpty, regroup, sameStrides } from './access.ts';
import { leavesOf, substitute } from './expressions.ts';

/** An input as a loop reads it: the element at offset + Σ c·stride. */
export interface Leaf {
  readonly operand: GraphOperand;
  readonly offset: number;
  readonly strides: readonly number[];
}

export interface Piece {
  readonly extents: readonly number[];
  readonly leaves: readonly Leaf[];
  /** For each output; input leaves are numbers of `leaves`, scalars of `scalars`. */
  readonly exprs: readonly Expr[];
  readonly outputs: readonly GraphOperand[];
  readonly type: ComputeType;
  readonly scalars: readonly GraphScalar[];
  readonly ops: readonly string[];
}

const NATIVE: Readonly<Record<ComputeType, DType>> = {
  f32: 'float32',
  f64: 'float64',
  i32: 'int32',
  u32: 'uint32',
};

/** Whether storing in the dtype and loading again gives the number itself. */
export function holds(dtype: DType, type: ComputeType): boolean {
  return dtype === NATIVE[type];
}

const wholeCopy = customKernel('stridedCopy');

/** [shape, how it reads, how it writes] of a strided copy. */
function copyOf(dims: readonly number[]): {
  readonly shape: readonly number[];
  readonly input: { readonly offset: number; readonly strides: readonly number[] };
  readonly output: { readonly offset: number; readonly strides: readonly number[] };
} {
  const [ndim = 0, inOffset = 0, outOffset = 0] = dims;
  return {
    shape: dims.slice(3, 3 + ndim),
    input: { offset: inOffset, strides: dims.slice(3 + ndim, 3 + 2 * ndim) },
    output: { offset: outOffset, strides: dims.slice(3 + 2 * ndim) },
  };
}

/** Whether a strided copy writes every element of its output, in order. */
function isWhole(node: GraphNode): boolean {
  const { shape, output } = copyOf(node.dims);
  const out = node.outputs[0];
  return (
    out !== undefined &&
    sizeOf(shape) === sizeOf(out.shape) &&
    output.offset === 0 &&
    sameStrides(shape, output.strides, stridesOf(shape))
  );
}

/** A node as a loop; null for what is none, or has no elements. */
export function pieceOf(node: GraphNode): Piece | null {
  const { kernel, dims, inputs, outputs, scalars, ops } = node;
  const out = outputs[0];
  if (out === undefined || isEmpty(out.shape)) return null;
  if (kernel.kind === 'custom') {
    const source = inputs[0];
    if (kernel.name !== 'stridedCopy' || source === undefined || !isWhole(node)) return null;
    const { shape, input } = copyOf(dims);
    const leaves = [{ operand: source, ...input }];
    return {
      extents: shape,
      leaves,
      exprs: [e.input(0)],
      outputs,
      type: computeTypeOf(source.dtype),
      scalars: [],
      ops,
    };
  }
  if (kernel.kind !== 'elementwise') return null;
  const from = kernel.computeFrom < 0 ? out : inputs[kernel.computeFrom];
  if (from === undefined) return null;
  const ndim = dims[0] ?? 0;
  const extents = dims.length === 0 ? out.shape : dims.slice(1, 1 + ndim);
  const leaves = inputs.map((operand, k): Leaf => {
    if (dims.length === 0) return { operand, offset: 0, strides: broadcastStrides(operand.shape, extents) };
    const at = 1 + ndim + k * (ndim + 1);
    return { operand, offset: dims[at] as number, strides: dims.slice(at + 1, at + 1 + ndim) };
  });
  return {
    extents,
    leaves,
    exprs: [kernel.expr, ...kernel.others],
    outputs,
    type: computeTypeOf(from.dtype),
    scalars,
    ops,
  };
}

/** Whether a loop only moves elements, none changed by a conversion. */
export function isMove(piece: Piece): boolean {
  const [expr] = piece.exprs;
  return (
    piece.exprs.length === 1 &&
    expr?.kind === 'input' &&
    piece.leaves[expr.index]?.operand.dtype === piece.outputs[0]?.dtype
  );
}

/** Collects leaves and scalars, each once. */
export class Leaves {
  readonly leaves: Leaf[];
  readonly scalars: GraphScalar[];

  constructor(leaves: readonly Leaf[] = [], scalars: readonly GraphScalar[] = []) {
    this.leaves = [...leaves];
    this.scalars = [...scalars];
  }

  add(leaf: Leaf, extents: readonly number[]): number {
    const known = this.leaves.findIndex(
      (x) =>
        x.operand.value === leaf.operand.value &&
        x.operand.dtype === leaf.operand.dtype &&
        x.offset === leaf.offset &&
        sameStrides(extents, x.strides, leaf.strides),
    );
    return known >= 0 ? known : this.leaves.push(leaf) - 1;
  }

  addScalar(scalar: GraphScalar): number {
    const same = (s: GraphScalar): boolean =>
      typeof s === 'number' || typeof scalar === 'number' ? Object.is(s, scalar) : s.slot === scalar.slot;
    const known = this.scalars.findIndex(same);
    return known >= 0 ? known : this.scalars.push(scalar) - 1;
  }
}

/** Drops the leaves and scalars that no expression reads. */
function trimmed(piece: Piece): Piece {
  const used = leavesOf(...piece.exprs);
  const leaves: Leaf[] = [];
  const scalars = new Leaves();
  const places = piece.leaves.map((leaf, i) => (used.inputs.has(i) ? leaves.push(leaf) - 1 : -1));
  const exprs = piece.exprs.map((expr) =>
    substitute(
      expr,
      (x) => {
        if (x.kind === 'input') return places[x.index] === x.index ? x : e.input(places[x.index] as number);
        if (x.kind !== 'scalar') return x;
        const at = scalars.addScalar(piece.scalars[x.index] ?? Number.NaN);
        return at === x.index ? x : e.scalar(at);
      },
      piece.type,
    ),
  );
  return { ...piece, leaves, exprs, scalars: scalars.scalars };
}

/** The input whose dtype makes a kernel compute in the wanted numbers, −1 for the output; null where there is none. */
export function computeFromOf(
  type: ComputeType,
  inputs: readonly GraphOperand[],
  output: GraphOperand,
): number | null {
  const fits = (x: GraphOperand | undefined): boolean => x !== undefined && computeTypeOf(x.dtype) === type;
  if (fits(inputs[0])) return 0;
  if (fits(output)) return -1;
  const some = inputs.findIndex(fits);
  return some < 0 ? null : some;
}

/** The shapes of operands that broadcast as the leaves' strides say over `shape`; null where strides say something else. */
function plainInputs(piece: Piece, shape: readonly number[]): GraphOperand[] | null {
  const inputs: GraphOperand[] = [];
  for (const { operand, offset, strides } of piece.leaves) {
    const over = offset === 0 ? regroup(piece.extents, strides, shape) : null;
    if (over === null) return null;
    const own = shape.map((d, i) => (over[i] === 0 ? 1 : d));
    if (!sameStrides(shape, broadcastStrides(own, shape), over)) return null;
    const known =
      sizeOf(operand.shape) === sizeOf(own) && sameStrides(shape, over, lined(operand.shape, shape));
    inputs.push(known ? operand : { ...operand, shape: leading(own) });
  }
  return inputs;
}

/** Strides of an operand as it broadcasts, or strides that are none where it does not. */
function lined(own: readonly number[], shape: readonly number[]): readonly number[] {
  const lead = shape.length - own.length;
  const fits = lead >= 0 && own.every((d, i) => d === 1 || d === shape[i + lead]);
  return fits ? broadcastStrides(own, shape) : shape.map(() => Number.NaN);
}

/** Without leading axes of extent 1, but one axis at least. */
function leading(shape: readonly number[]): readonly number[] {
  const first = shape.findIndex((d) => d !== 1);
  return first < 0 ? [1] : shape.slice(first);
}

/** A kernel for a loop: a plain elementwise one, a copy, or one with strides; null where none computes in the right numbers or has enough axes. */
export function nodeOf(whole: Piece): GraphNode | null {
  const piece = trimmed(whole);
  const { leaves, exprs, outputs, scalars, ops, type } = piece;
  const [expr, ...others] = exprs;
  const out = outputs[0];
  if (expr === undefined || out === undefined) return null;
  const from = outputs.map(() => null);
  const name = ops.join('+').slice(0, 60);
  const common = { outputs, from, scalars, ops };
  const computeFrom = computeFromOf(
    type,
    leaves.map((l) => l.operand),
    out,
  );
  if (computeFrom === null) return null;
  const kernel = elementwiseKernel(name, leaves.length, expr, computeFrom, others);
  // as the output has its axes, else as few axes as will do
  const few = coalesce(
    piece.extents,
    leaves.map((l) => l.strides),
  );
  const shape = few.extents.length === 0 ? [1] : few.extents;
  for (const places of [out.shape, shape]) {
    const inputs = plainInputs(piece, places);
    if (inputs !== null)
      return { ...common, kernel, inputs, dims: [], outputs: outputs.map((x) => ({ ...x, shape: places })) };
  }
  if (shape.length > MAX_NDIM) return null;
  const usesIndex = leavesOf(...exprs).index;
  const strides = few.extents.length === 0 ? leaves.map(() => [0]) : few.strides;
  const inputs = leaves.map((l) => l.operand);
  const [leaf] = leaves;
  if (isMove(piece) && leaf !== undefined && !usesIndex)
    return {
      ...common,
      kernel: wholeCopy,
      inputs,
      dims: [shape.length, leaf.offset, 0, ...shape, ...(strides[0] as number[]), ...stridesOf(shape)],
    };
  const dims = [shape.length, ...shape, ...leaves.flatMap((l, k) => [l.offset, ...(strides[k] as number[])])];
  return { ...common, kernel, inputs, dims, outputs: outputs.map((x) => ({ ...x, shape })) };
}
