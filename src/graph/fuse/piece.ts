// Elementwise work as a loop: extents, leaves read by offset and strides, one expression for each output. Every elementwise kernel and every copy that writes all of its output is one;
// what passes have made of it becomes a kernel again, the plainest that will do.
import { type ComputeType, computeTypeOf, type DType } from '../../core/dtype.ts';
import { MAX_NDIM, sizeOf, stridesOf } from '../../core/shape.ts';
import { type Expr, e } from '../../ir/expr.ts';
import type { GraphNode, GraphOperand, GraphScalar } from '../../ir/graph.ts';
import { customKernel, elementwiseKernel } from '../../ir/kernel.ts';
import { broadcastStrides, coalesce, isContiguous, isEmpty, regroup, sameStrides } from './access.ts';
import { leavesOf, substitute } from './expressions.ts';

/** An input as a loop reads it: the element at offset + Σ c·stride. */
export interface Leaf {
  readonly operand: GraphOperand;
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Expressions and what they read: their input leaves are numbers of `leaves`, their scalars of `scalars`. Null stands for a kernel's own result. */
export interface Contents<L extends Leaf | null = Leaf | null> {
  readonly exprs: readonly Expr[];
  readonly leaves: readonly L[];
  readonly scalars: readonly GraphScalar[];
}

/** A loop; it has an expression for each output. */
export interface Piece extends Contents<Leaf> {
  readonly extents: readonly number[];
  readonly outputs: readonly GraphOperand[];
  readonly type: ComputeType;
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

/** A strided copy's shape, where it begins to read and with which strides; null for one that does not write every element of its output in order. */
function wholeCopyOf({
  dims,
  outputs,
}: GraphNode): { shape: number[]; offset: number; strides: number[] } | null {
  const [ndim = 0, offset = 0, outOffset] = dims;
  const [shape, strides, to] = [0, 1, 2].map((k) => dims.slice(3 + k * ndim, 3 + (k + 1) * ndim)) as [
    number[],
    number[],
    number[],
  ];
  const whole =
    sizeOf(shape) === sizeOf(outputs[0]?.shape ?? []) && outOffset === 0 && isContiguous(shape, to);
  return whole ? { shape, offset, strides } : null;
}

/** A node as a loop; null for what is none, or has no elements. */
export function pieceOf(node: GraphNode): Piece | null {
  const { kernel, dims, inputs, outputs, scalars, ops } = node;
  const out = outputs[0];
  if (out === undefined || isEmpty(out.shape)) return null;
  if (kernel.kind === 'custom') {
    const operand = inputs[0];
    const copy = kernel.name === 'stridedCopy' ? wholeCopyOf(node) : null;
    if (operand === undefined || copy === null) return null;
    const { shape: extents, offset, strides } = copy;
    const leaves = [{ operand, offset, strides }];
    const type = computeTypeOf(operand.dtype);
    return { extents, leaves, exprs: [e.input(0)], outputs, type, scalars: [], ops };
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
  const exprs = [kernel.expr, ...kernel.others];
  return { extents, leaves, exprs, outputs, type: computeTypeOf(from.dtype), scalars, ops };
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
export class Leaves<L extends Leaf | null = Leaf> {
  readonly leaves: L[];
  readonly scalars: GraphScalar[];

  constructor(leaves: readonly L[] = [], scalars: readonly GraphScalar[] = []) {
    this.leaves = [...leaves];
    this.scalars = [...scalars];
  }

  /** The expression that reads a leaf. */
  add(leaf: Leaf & L, extents: readonly number[]): Expr {
    const { operand, offset, strides } = leaf;
    const known = this.leaves.findIndex(
      (x) =>
        x !== null &&
        x.operand.value === operand.value &&
        x.operand.dtype === operand.dtype &&
        x.offset === offset &&
        sameStrides(extents, x.strides, strides),
    );
    return e.input(known >= 0 ? known : this.leaves.push(leaf) - 1);
  }

  addScalar(scalar: GraphScalar): number {
    const same = (s: GraphScalar): boolean =>
      typeof s === 'number' || typeof scalar === 'number' ? Object.is(s, scalar) : s.slot === scalar.slot;
    const known = this.scalars.findIndex(same);
    return known >= 0 ? known : this.scalars.push(scalar) - 1;
  }
}

/** An expression with other leaves: input i becomes `leaves[i]` where there is one, scalars are numbered by `into`, stages come after `stages` others. */
export function moved(
  expr: Expr,
  { type, scalars }: Pick<Piece, 'type' | 'scalars'>,
  leaves: readonly (Expr | undefined)[],
  into: Leaves<Leaf | null>,
  stages = 0,
): Expr {
  return substitute(
    expr,
    (x) => {
      if (x.kind === 'input') return leaves[x.index] ?? x;
      if (x.kind === 'stage' && stages > 0) return e.stage(x.index + stages);
      if (x.kind !== 'scalar') return x;
      const at = into.addScalar(scalars[x.index] ?? Number.NaN);
      return at === x.index ? x : e.scalar(at);
    },
    type,
  );
}

/** Without the leaves and scalars that no expression reads; the first `kept` leaves stay. */
export function trimmed<L extends Leaf | null>(
  contents: Contents<L> & { readonly type: ComputeType },
  kept = 0,
): Contents<L> {
  const { inputs } = leavesOf(...contents.exprs);
  const leaves: L[] = [];
  const places = contents.leaves.map((leaf, i) => {
    const at = i < kept || inputs.has(i) ? leaves.push(leaf) - 1 : i;
    return at === i ? undefined : e.input(at);
  });
  const all = new Leaves();
  return { exprs: contents.exprs.map((x) => moved(x, contents, places, all)), leaves, scalars: all.scalars };
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

/** A kernel's name by the operations whose work it does. */
export function nameOf(ops: readonly string[]): string {
  return ops.join('+').slice(0, 60);
}

/** A kernel for a loop: a plain elementwise one, a copy, or one with strides; null where none computes in the right numbers or has enough axes. */
export function nodeOf(whole: Piece): GraphNode | null {
  const { outputs, ops, type } = whole;
  const piece = { ...whole, ...trimmed(whole) };
  const { leaves, exprs, scalars } = piece;
  const [expr, ...others] = exprs;
  const out = outputs[0];
  if (expr === undefined || out === undefined) return null;
  const common = { outputs, from: outputs.map(() => null), scalars, ops };
  const operands = leaves.map((l) => l.operand);
  const computeFrom = computeFromOf(type, operands, out);
  if (computeFrom === null) return null;
  const kernel = elementwiseKernel(nameOf(ops), leaves.length, expr, computeFrom, others);
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
  const strides = few.extents.length === 0 ? leaves.map(() => [0]) : few.strides;
  const [leaf] = leaves;
  if (leaf !== undefined && isMove(piece))
    return {
      ...common,
      kernel: wholeCopy,
      inputs: operands,
      dims: [shape.length, leaf.offset, 0, ...shape, ...(strides[0] as number[]), ...stridesOf(shape)],
    };
  const dims = [shape.length, ...shape, ...leaves.flatMap((l, k) => [l.offset, ...(strides[k] as number[])])];
  return { ...common, kernel, inputs: operands, dims, outputs: outputs.map((x) => ({ ...x, shape })) };
}
