// Batch normalisation folded into the convolution or the dense layer before it, at inference: what is multiplied and added for each channel goes into weight and bias, where these and the
// statistics are parameters that no run changes. It is computed once, not at each run; the results differ from the unfolded ones by rounding.
import { bytesOf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import { type Expr, e } from '../../ir/expr.ts';
import type { Graph, GraphNode, GraphOperand } from '../../ir/graph.ts';
import { elementwiseKernel, productKernel } from '../../ir/kernel.ts';
import { regroup, sameStrides } from '../fuse/access.ts';
import { leavesOf, substitute } from '../fuse/expressions.ts';
import { productSpace } from '../fuse/host.ts';
import { isMove, type Piece, pieceOf } from '../fuse/piece.ts';
import { Draft } from './draft.ts';
import { steadyValues } from './steady.ts';

/** An expression as scale·x + shift; a null scale is 1, a null shift 0. */
interface Affine {
  readonly scale: Expr | null;
  readonly shift: Expr | null;
}

const plus = (a: Expr | null, b: Expr | null): Expr | null => (a === null ? b : b === null ? a : e.add(a, b));
const times = (a: Expr | null, b: Expr): Expr => (a === null ? b : e.mul(a, b));

/** `x` as a line in input `index`; null where it is none. The input must occur. */
function affine(x: Expr, index: number): Affine | null {
  if (x.kind === 'input' && x.index === index) return { scale: null, shift: null };
  if (x.kind !== 'binary') return null;
  const [inA, inB] = [x.a, x.b].map((side) => leavesOf(side).inputs.has(index));
  if (inA === inB) return null;
  const line = affine(inA === true ? x.a : x.b, index);
  const other = inA === true ? x.b : x.a;
  if (line === null) return null;
  const { scale, shift } = line;
  switch (x.name) {
    case 'add':
      return { scale, shift: plus(shift, other) };
    case 'sub':
      if (inA === true) return { scale, shift: shift === null ? e.neg(other) : e.sub(shift, other) };
      return { scale: times(scale, e.constant(-1)), shift: shift === null ? other : e.sub(other, shift) };
    case 'mul':
      return { scale: times(scale, other), shift: shift === null ? null : e.mul(shift, other) };
    case 'div':
      if (inA !== true) return null;
      return {
        scale: scale === null ? e.div(1, other) : e.div(scale, other),
        shift: shift === null ? null : e.div(shift, other),
      };
    default:
      return null;
  }
}

/** A product whose channels (`rows` of its weight, each of `width` elements) can be scaled. */
interface Scalable {
  readonly channels: number;
  readonly width: number;
  /** Strides over [samples, channels, places] of what has one element for each channel. */
  readonly vector: readonly number[];
  readonly space: readonly number[];
  readonly bias: 'm' | 'n';
}

function scalable(node: GraphNode): Scalable | null {
  const { kernel, dims } = node;
  if (kernel.kind !== 'product' || kernel.epilogue !== null || kernel.rowSum) return null;
  const space = productSpace(kernel.form, dims);
  const [batch = 0, rows = 0, columns = 0] = space;
  if (kernel.form === 'conv' && kernel.bias !== 'n') {
    const width = ((dims[1] ?? 0) / (dims[3] ?? 1)) * sizeOf(dims.slice(10, 13));
    return { channels: rows, width, vector: [0, 1, 0], space, bias: 'm' };
  }
  if (
    kernel.form === 'matmul' &&
    dims.length === 6 &&
    batch === 1 &&
    kernel.transposeB &&
    kernel.bias !== 'm'
  )
    return { channels: columns, width: dims[3] ?? 0, vector: [0, 0, 1], space, bias: 'n' };
  return null;
}

/** Folds what scales and shifts the channels of a product into its weight and bias. */
export function foldBatchNorm(graph: Graph): Graph {
  const steady = steadyValues(graph);
  if (!graph.stable.includes(true)) return graph;
  const draft = new Draft(graph);
  for (const [n, node, { value }] of draft.live()) {
    const product = scalable(node);
    if (product === null || product.width === 0 || steady.has(value)) continue;
    if (!node.inputs.slice(1).every((x) => steady.has(x.value))) continue;
    const c = draft.onlyReader(value);
    const next = draft.nodes[c];
    const piece = next == null ? null : pieceOf(next);
    if (piece !== null) rewrite(draft, n, c, node, piece, product, steady);
  }
  return draft.finish();
}

function rewrite(
  draft: Draft,
  n: number,
  c: number,
  node: GraphNode,
  piece: Piece,
  { channels, width, vector, space, bias }: Scalable,
  steady: ReadonlySet<number>,
): void {
  const [expr] = piece.exprs;
  const [result, target] = [node.outputs[0] as GraphOperand, piece.outputs[0] as GraphOperand];
  const { kernel } = node;
  const float = result.dtype === 'float32' && target.dtype === 'float32' && piece.type === 'f32';
  if (kernel.kind !== 'product' || expr === undefined || piece.exprs.length > 1 || !float || isMove(piece))
    return;
  const at = piece.leaves.findIndex((l) => l.operand.value === result.value);
  const line = affine(expr, at);
  if (line === null || leavesOf(expr).index) return;
  // everything else is one number for each channel, or one in all, and no run changes it
  const inputs: GraphOperand[] = [];
  for (const [i, leaf] of piece.leaves.entries()) {
    const strides = leaf.offset === 0 ? regroup(piece.extents, leaf.strides, space) : null;
    if (strides === null || (i !== at && !steady.has(leaf.operand.value))) return;
    if (i === at) {
      if (!sameStrides(space, strides, [(space[1] ?? 1) * (space[2] ?? 1), space[2] ?? 1, 1])) return;
      continue;
    }
    const whole = sameStrides(space, strides, vector);
    if (!whole && !sameStrides(space, strides, [0, 0, 0])) return;
    inputs.push({ ...leaf.operand, shape: [whole ? channels : 1] });
  }
  if (inputs.length === 0 || piece.scalars.some((s) => typeof s !== 'number')) return;
  const others = piece.leaves.flatMap((_, i) => (i === at ? [] : [i]));
  const numbered = (x: Expr, first: number): Expr =>
    substitute(x, (l) => (l.kind === 'input' ? e.input(first + others.indexOf(l.index)) : l), 'f32');
  const made = (x: Expr, operands: readonly GraphOperand[], shape: readonly number[]): GraphOperand => {
    const value = draft.value(sizeOf(shape) * bytesOf('float32'));
    const out: GraphOperand = { value, dtype: 'float32', shape };
    const from = [null];
    const scaled = elementwiseKernel('foldBatchNorm', operands.length, x);
    draft.insert({
      kernel: scaled,
      inputs: operands,
      outputs: [out],
      from,
      dims: [],
      scalars: piece.scalars,
      ops: ['foldBatchNorm'],
    });
    return out;
  };
  const [weight, before] = [node.inputs[1] as GraphOperand, node.inputs[2]];
  const vectors = inputs.map((x) => ({ ...x, shape: [x.shape[0] as number, 1] }));
  const flat = { ...weight, shape: [channels, width] };
  const scaledWeight =
    line.scale === null
      ? weight
      : {
          ...made(e.mul(e.input(0), numbered(line.scale, 1)), [flat, ...vectors], [channels, width]),
          shape: weight.shape,
        };
  // scale·bias + shift
  const first = before === undefined ? 0 : 1;
  const scale = line.scale === null ? null : numbered(line.scale, first);
  const shift = line.shift === null ? null : numbered(line.shift, first);
  const own = before === undefined ? null : scale === null ? e.input(0) : e.mul(e.input(0), scale);
  const sum = plus(own, shift);
  const list = before === undefined ? inputs : [{ ...before, shape: [channels] }, ...inputs];
  const newBias = sum === null ? undefined : made(sum, list, [channels]);
  draft.remove(n);
  draft.replace(c, {
    ...node,
    kernel: productKernel(kernel.name, kernel.form, {
      ...kernel,
      bias: newBias === undefined ? 'none' : bias,
    }),
    inputs: [node.inputs[0] as GraphOperand, scaledWeight, ...(newBias === undefined ? [] : [newBias])],
    outputs: [target],
    ops: [...node.ops, ...piece.ops],
  });
}
