// Moves into products: a matrix that was transposed or taken out of a larger array before a product is read where it lies, and one that is moved after it is stored where it goes. This is
// what makes attention out of whole heads without a copy.
import { sizeOf, stridesOf } from '../../core/shape.ts';
import type { Graph, GraphNode, GraphOperand } from '../../ir/graph.ts';
import type { ProductKernel } from '../../ir/kernel.ts';
import { productKernel } from '../../ir/kernel.ts';
import { Draft } from '../passes/draft.ts';
import { locate, regroup, sameStrides, through } from './access.ts';
import { joinedOps } from './inline.ts';
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
  if (dims.length === 6) {
    const [aBatch = 0, bBatch = 0] = dims.slice(4);
    return {
      batch,
      inner: 1,
      m,
      n,
      k,
      a: matrices(left, transposeA, aBatch, 0, transposeA ? m : k),
      b: matrices(right, transposeB, bBatch, 0, transposeB ? k : n),
      c: matrices(out, false, m * n, 0, n),
    };
  }
  const [aBatch, bBatch, inner, aInner, bInner, aRow, bRow, cBatch, cInner, cRow] = dims.slice(4) as number[];
  return {
    batch,
    inner: inner as number,
    m,
    n,
    k,
    a: matrices(left, transposeA, aBatch as number, aInner as number, aRow as number),
    b: matrices(right, transposeB, bBatch as number, bInner as number, bRow as number),
    c: matrices(out, false, cBatch as number, cInner as number, cRow as number),
  };
}

/** Another split of the batch: strides of the outer and inner axis under `inner`; null where they are none. */
function rebatched(x: Matmul, strides: Strides, inner: number): Strides | null {
  const { batch } = x;
  const [outer, within] = strides;
  const list = regroup([batch / x.inner, x.inner], [outer, within], [batch / inner, inner]);
  return list === null ? null : [list[0] as number, list[1] as number, strides[2], strides[3]];
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
  const [ca, cb, cr, cc] = x.c.strides;
  if (a === null || b === null || (cc !== 1 && n > 1)) return null;
  const usual = (
    s: Strides,
    [transposed, row]: readonly [boolean, number],
    rows: number,
    columns: number,
  ): number | null => {
    const [width, height] = transposed ? [rows, columns] : [columns, rows];
    if (height > 1 && row !== width) return null;
    const whole = inner === 1 ? [s[0]] : regroup([batch / inner, inner], [s[0], s[1]], [batch]);
    if (whole === null) return null;
    return batch === 1 ? 0 : (whole[0] as number);
  };
  const [aBatch, bBatch] = [usual(x.a.strides, a, m, k), usual(x.b.strides, b, k, n)];
  const plainC = sameStrides(
    [batch / inner, inner, m, n],
    [ca, cb, cr, cc],
    stridesOf([batch / inner, inner, m, n]),
  );
  const made = productKernel(kernel.name, 'matmul', { ...kernel, transposeA: a[0], transposeB: b[0] });
  const inputs = [x.a.operand, x.b.operand, ...node.inputs.slice(2)];
  const outputs = [x.c.operand, ...node.outputs.slice(1)];
  if (plainC && aBatch !== null && bBatch !== null)
    return { ...node, kernel: made, inputs, outputs, ops, dims: [batch, m, n, k, aBatch, bBatch] };
  // sums of rows are had for matrices that lie as they are
  if (kernel.rowSum) return null;
  const [aStrides, bStrides] = [x.a.strides, x.b.strides];
  const dims = [
    batch,
    m,
    n,
    k,
    aStrides[0],
    bStrides[0],
    inner,
    aStrides[1],
    bStrides[1],
    a[1],
    b[1],
    ca,
    cb,
    cr,
  ];
  return { ...node, kernel: made, inputs, outputs, ops, dims };
}

/** The product with one operand read where a move took it from; null where its rows lie in no regular way there. */
function withOperand(node: GraphNode, x: Matmul, which: 'a' | 'b', move: Piece): GraphNode | null {
  const { operand, strides } = x[which];
  const [rows, columns] = which === 'a' ? [x.m, x.k] : [x.k, x.n];
  const source = move.leaves[0];
  if (source === undefined || operand.dtype !== source.operand.dtype) return null;
  const space = [x.batch / x.inner, x.inner, rows, columns];
  const found = locate(space, { offset: 0, strides }, move.extents);
  if (found === null) return null;
  const access = through(found, source);
  if (access.offset !== 0) return null;
  // rows and columns stay one axis each; the batch may be two
  const sizes: number[] = [];
  const lists: number[] = [];
  for (const axis of [2, 3]) {
    const parts = found.axes.flatMap((p, i) => (p === axis ? [i] : []));
    const one = regroup(
      parts.map((i) => found.extents[i] as number),
      parts.map((i) => access.strides[i] as number),
      [space[axis] as number],
    );
    if (one === null) return null;
    lists.push(one[0] as number);
  }
  const parts = found.axes.flatMap((p, i) => (p < 2 ? [i] : []));
  const extents = parts.map((i) => found.extents[i] as number);
  const steps = parts.map((i) => access.strides[i] as number);
  // every split of the batch that two axes allow, the present one first
  for (let i = extents.length; i >= 0; i--) sizes.push(extents.slice(i).reduce((p, d) => p * d, 1));
  for (const inner of [x.inner, ...sizes]) {
    const batch = regroup(extents, steps, [x.batch / inner, inner]);
    if (batch === null) continue;
    const [a, b, c] = [x.a, x.b, x.c].map((o) => rebatched(x, o.strides, inner));
    const own: Strides = [batch[0] as number, batch[1] as number, lists[0] as number, lists[1] as number];
    const [left, right] = which === 'a' ? [own, b] : [a, own];
    if (left == null || right == null || c == null) continue;
    const from = source.operand;
    return matmulNode(
      node,
      {
        ...x,
        inner,
        a: { operand: which === 'a' ? from : x.a.operand, strides: left },
        b: { operand: which === 'b' ? from : x.b.operand, strides: right },
        c: { ...x.c, strides: c },
      },
      joinedOps(move.ops, node.ops),
    );
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
  const size = sizeOf(out.shape);
  if (sizeOf(move.extents) !== size) return null;
  // the move read backwards: its axes by how far apart they lie in the result, with where they go
  const own = stridesOf(move.extents);
  const axes = move.extents
    .map((d, i) => ({ extent: d, stride: leaf.strides[i] as number, to: own[i] as number }))
    .filter((axis) => axis.extent > 1)
    .sort((p, q) => q.stride - p.stride);
  const shape = axes.map((axis) => axis.extent);
  if (
    !sameStrides(
      shape,
      axes.map((axis) => axis.stride),
      stridesOf(shape),
    )
  )
    return null;
  // so far the result lies in the plain order
  const plain = stridesOf([x.batch / x.inner, x.inner, x.m, x.n]);
  if (!sameStrides([x.batch / x.inner, x.inner, x.m, x.n], x.c.strides, plain)) return null;
  const found = locate([x.batch, x.m, x.n], { offset: 0, strides: [x.m * x.n, x.n, 1] }, shape);
  if (found === null) return null;
  const goes = through(found, { offset: 0, strides: axes.map((axis) => axis.to) });
  const joined = (axis: number): number | null => {
    const parts = found.axes.flatMap((p, i) => (p === axis ? [i] : []));
    const one = regroup(
      parts.map((i) => found.extents[i] as number),
      parts.map((i) => goes.strides[i] as number),
      [[x.batch, x.m, x.n][axis] as number],
    );
    return one === null ? null : (one[0] as number);
  };
  const [row, column] = [joined(1), joined(2)];
  if (row === null || column === null) return null;
  const parts = found.axes.flatMap((p, i) => (p === 0 ? [i] : []));
  const extents = parts.map((i) => found.extents[i] as number);
  const steps = parts.map((i) => goes.strides[i] as number);
  const sizes = [x.inner];
  for (let i = extents.length; i >= 0; i--) sizes.push(extents.slice(i).reduce((p, d) => p * d, 1));
  for (const inner of sizes) {
    const batch = regroup(extents, steps, [x.batch / inner, inner]);
    const [a, b] = [rebatched(x, x.a.strides, inner), rebatched(x, x.b.strides, inner)];
    if (batch === null || a === null || b === null) continue;
    return matmulNode(
      node,
      {
        ...x,
        inner,
        a: { ...x.a, strides: a },
        b: { ...x.b, strides: b },
        c: { operand: target, strides: [batch[0] as number, batch[1] as number, row, column] },
      },
      joinedOps(node.ops, move.ops),
    );
  }
  return null;
}

/** Lets products read and store matrices where they lie, so that the moves around them fall away. */
export function fuseOperands(graph: Graph): Graph {
  const draft = new Draft(graph);
  for (let n = 0; n < draft.nodes.length; n++) {
    const node = draft.nodes[n];
    const piece = node == null ? null : pieceOf(node);
    const [out] = piece?.outputs ?? [];
    if (piece === null || out === undefined || !isMove(piece) || draft.isOutput(out.value)) continue;
    const readers = draft.readersOf(out.value);
    const fused = readers.map((r) => readMoved(draft.nodes[r] ?? null, out.value, piece));
    if (readers.length === 0 || fused.includes(null)) continue;
    draft.remove(n);
    readers.forEach((r, i) => {
      draft.replace(r, fused[i] as GraphNode);
    });
  }
  for (let n = 0; n < draft.nodes.length; n++) {
    const node = draft.nodes[n];
    const result = node?.outputs[0];
    const x = node == null ? null : matmulOf(node);
    if (node == null || result === undefined || x === null) continue;
    const [c = -1] = draft.readersOf(result.value);
    const next = draft.nodes[c];
    const move = next == null || !draft.readOnlyBy(result.value, c) ? null : pieceOf(next);
    if (move === null || !isMove(move)) continue;
    const fused = withResult(node, x, move);
    if (fused === null) continue;
    draft.remove(n);
    draft.replace(c, fused);
  }
  return draft.finish();
}

/** A product that reads a moved value, without the move; null where it reads it otherwise than as a matrix, or is none. */
function readMoved(reader: GraphNode | null, value: number, move: Piece): GraphNode | null {
  let node = reader;
  if (node === null || node.inputs.slice(2).some((i) => i.value === value)) return null;
  for (const [place, which] of [
    [0, 'a'],
    [1, 'b'],
  ] as const) {
    if (node === null || node.inputs[place]?.value !== value) continue;
    const x = matmulOf(node);
    node = x === null ? null : withOperand(node, x, which, move);
  }
  return node;
}
