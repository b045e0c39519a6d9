// Moves into products: a matrix that was transposed or taken out of a larger array before a product is read where it lies, and one that is moved after it is stored where it goes. This is
// what makes attention out of whole heads without a copy.
import { sizeOf, stridesOf } from '../../core/shape.ts';
import type { Graph, GraphNode, GraphOperand } from '../../ir/graph.ts';
import type { ProductKernel } from '../../ir/kernel.ts';
import { productKernel } from '../../ir/kernel.ts';
import { Draft } from '../passes/draft.ts';
import { type Access, isContiguous, locate, regroup, through } from './access.ts';
import { isMove, type Piece, pieceOf } from './piece.ts';

/** A matrix of each of a batch as it lies in a value: batch axes (two at most) and the two of the matrix, in elements. */
interface Matrices {
  readonly operand: GraphOperand;
  /** Strides of the outer and inner batch axes, of rows and of columns as the product sees them. */
  readonly strides: readonly [number, number, number, number];
}

interface Matmul {
  readonly batch: number;
  readonly inner: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly a: Matrices;
  readonly b: Matrices;
  readonly c: Matrices;
}

type Strides = Matrices['strides'];

/** A matmul node taken apart; null for another kernel, and for one without elements. */
function matmulOf(node: GraphNode): Matmul | null {
  const { kernel, dims, inputs, outputs } = node;
  if (kernel.kind !== 'product' || kernel.form !== 'matmul') return null;
  const [left, right, out] = [inputs[0], inputs[1], outputs[0]];
  const [batch = 0, m = 0, n = 0, k = 0] = dims;
  if (left === undefined || right === undefined || out === undefined || batch * m * n * k === 0) return null;
  const matrices = (
    operand: GraphOperand,
    transposed: boolean,
    outer: number,
    inner: number,
    row: number,
  ): Matrices => ({ operand, strides: transposed ? [outer, inner, 1, row] : [outer, inner, row, 1] });
  const { transposeA, transposeB } = kernel;
  const [aBatch = 0, bBatch = 0, ...apart] = dims.slice(4);
  // matrices that lie as they are say no more
  const usual = [1, 0, 0, transposeA ? m : k, transposeB ? k : n, m * n, 0, n];
  const [inner, aInner, bInner, aRow, bRow, cBatch, cInner, cRow] = (apart.length > 0 ? apart : usual) as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return {
    batch,
    inner,
    m,
    n,
    k,
    a: matrices(left, transposeA, aBatch, aInner, aRow),
    b: matrices(right, transposeB, bBatch, bInner, bRow),
    c: matrices(out, false, cBatch, cInner, cRow),
  };
}

/** Matrices under another split of the batch; null where they have no strides then. */
function rebatched(x: Matmul, { operand, strides }: Matrices, inner: number): Matrices | null {
  const [outer, within, row, column] = strides;
  const list = regroup([x.batch / x.inner, x.inner], [outer, within], [x.batch / inner, inner]);
  return list && { operand, strides: [list[0] as number, list[1] as number, row, column] };
}

/** The product with other places of its matrices; null where one of them has no axis along which elements are neighbours. */
function matmulNode(node: GraphNode, x: Matmul, ops: readonly string[]): GraphNode | null {
  const kernel = node.kernel as ProductKernel;
  const { batch, inner, m, n, k } = x;
  /** [transposed, distance of rows as they are stored] */
  const stored = (s: Strides, rows: number, columns: number): readonly [boolean, number] | null => {
    if (s[3] === 1 || columns === 1) return rows === 1 && s[3] !== 1 ? [false, columns] : [false, s[2]];
    return s[2] === 1 || rows === 1 ? [true, s[3]] : null;
  };
  const [a, b] = [stored(x.a.strides, m, k), stored(x.b.strides, k, n)];
  const { strides: to } = x.c;
  if (a === null || b === null || (to[3] !== 1 && n > 1)) return null;
  const usual = (
    s: Strides,
    [transposed, row]: readonly [boolean, number],
    rows: number,
    columns: number,
  ) => {
    const [width, height] = transposed ? [rows, columns] : [columns, rows];
    if (height > 1 && row !== width) return undefined;
    const whole = inner === 1 ? s : regroup([batch / inner, inner], [s[0], s[1]], [batch]);
    return batch === 1 && whole !== null ? 0 : whole?.[0];
  };
  const [aBatch, bBatch] = [usual(x.a.strides, a, m, k), usual(x.b.strides, b, k, n)];
  const made: GraphNode = {
    ...node,
    kernel: productKernel(kernel.name, 'matmul', { ...kernel, transposeA: a[0], transposeB: b[0] }),
    inputs: [x.a.operand, x.b.operand, ...node.inputs.slice(2)],
    outputs: [x.c.operand, ...node.outputs.slice(1)],
    ops,
  };
  const sizes = [batch, m, n, k];
  if (isContiguous([batch / inner, inner, m, n], to) && aBatch !== undefined && bBatch !== undefined)
    return { ...made, dims: [...sizes, aBatch, bBatch] };
  // sums of rows are had for matrices that lie as they are
  if (kernel.rowSum) return null;
  const [[aOuter, aInner], [bOuter, bInner]] = [x.a.strides, x.b.strides];
  const apart = [aOuter, bOuter, inner, aInner, bInner, a[1], b[1], to[0], to[1], to[2]];
  return { ...made, dims: [...sizes, ...apart] };
}

/** The product with one of its matrices elsewhere: a move takes its places, [batch / inner, inner, rows, columns] over `shape`, to `access` of `operand`. */
function withMoved(
  node: GraphNode,
  x: Matmul,
  which: 'a' | 'b' | 'c',
  shape: readonly number[],
  access: Access,
  operand: GraphOperand,
  ops: readonly string[],
): GraphNode | null {
  const { batch, inner: before } = x;
  const space = [batch / before, before, which === 'b' ? x.k : x.m, which === 'a' ? x.k : x.n];
  const found = locate(space, { offset: 0, strides: x[which].strides }, shape);
  if (found === null) return null;
  const { offset, strides } = through(found, access);
  const parts = (axis: (a: number) => boolean, target: readonly number[]): number[] | null => {
    const own = found.axes.flatMap((a, i) => (axis(a) ? [i] : []));
    const of = (list: readonly number[]): number[] => own.map((i) => list[i] as number);
    return regroup(of(found.extents), of(strides), target);
  };
  // rows and columns stay one axis each; the batch may be two
  const [rows, columns] = [2, 3].map((axis) => parts((a) => a === axis, [space[axis] as number])?.[0]);
  if (offset !== 0 || rows === undefined || columns === undefined) return null;
  // every split of the batch that two axes allow, the present one first
  const inners = [before, 1];
  for (const [i, d] of [...found.extents.entries()].reverse())
    if ((found.axes[i] as number) < 2) inners.push((inners.at(-1) as number) * d);
  for (const inner of inners) {
    const own = parts((a) => a < 2, [batch / inner, inner]);
    const all = { a: rebatched(x, x.a, inner), b: rebatched(x, x.b, inner), c: rebatched(x, x.c, inner) };
    if (own !== null) all[which] = { operand, strides: [own[0] as number, own[1] as number, rows, columns] };
    const { a, b, c } = all;
    if (own !== null && a !== null && b !== null && c !== null)
      return matmulNode(node, { ...x, inner, a, b, c }, ops);
  }
  return null;
}

/** The product storing where a move would have taken its result. */
function withResult(node: GraphNode, x: Matmul, move: Piece): GraphNode | null {
  const kernel = node.kernel as ProductKernel;
  const [target] = move.outputs;
  const [leaf] = move.leaves;
  const out = node.outputs[0];
  // what lies beside the result is read in the result's own order
  if (kernel.extras.includes('full') || kernel.rowSum || target === undefined || leaf === undefined)
    return null;
  if (out === undefined || out.dtype !== target.dtype || leaf.offset !== 0) return null;
  if (sizeOf(move.extents) !== sizeOf(out.shape)) return null;
  // the move read backwards: its axes by how far apart they lie in the result, with where they go
  const own = stridesOf(move.extents);
  const axes = move.extents
    .map((extent, i) => ({ extent, stride: leaf.strides[i] as number, to: own[i] as number }))
    .filter((axis) => axis.extent > 1)
    .sort((p, q) => q.stride - p.stride);
  const shape = axes.map((axis) => axis.extent);
  const strides = axes.map((axis) => axis.stride);
  // so far the result lies in the plain order
  const places = [x.batch / x.inner, x.inner, x.m, x.n];
  if (!isContiguous(shape, strides) || !isContiguous(places, x.c.strides)) return null;
  const access = { offset: 0, strides: axes.map((axis) => axis.to) };
  return withMoved(node, x, 'c', shape, access, target, [...node.ops, ...move.ops]);
}

/** Lets products read and store matrices where they lie, so that the moves around them fall away. */
export function fuseOperands(graph: Graph): Graph {
  const draft = new Draft(graph);
  for (const [n, node, { value }] of draft.live()) {
    const move = pieceOf(node);
    if (move === null || !isMove(move) || draft.isOutput(value)) continue;
    const readers = draft.readersOf(value);
    draft.merge(
      n,
      readers,
      readers.map((r) => readMoved(draft.nodes[r] ?? null, value, move)),
    );
  }
  for (const [n, node, { value }] of draft.live()) {
    const x = matmulOf(node);
    const c = draft.onlyReader(value);
    const next = draft.nodes[c];
    const move = x === null || next == null ? null : pieceOf(next);
    if (x !== null && move !== null && isMove(move)) draft.merge(n, [c], [withResult(node, x, move)]);
  }
  return draft.finish();
}

/** A product that reads a moved value, without the move; null where it reads it otherwise than as a matrix, or is none. */
function readMoved(reader: GraphNode | null, value: number, move: Piece): GraphNode | null {
  let node = reader;
  const [source] = move.leaves;
  if (node?.inputs.slice(2).some((i) => i.value === value) || source === undefined) return null;
  for (const [place, which] of [
    [0, 'a'],
    [1, 'b'],
  ] as const) {
    if (node?.inputs[place]?.value !== value) continue;
    const x = matmulOf(node);
    const { operand } = source;
    node =
      x === null || x[which].operand.dtype !== operand.dtype
        ? null
        : withMoved(node, x, which, move.extents, source, operand, [...move.ops, ...node.ops]);
  }
  return node;
}
