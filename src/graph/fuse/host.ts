// Kernels that are more than a loop but hold expressions all the same: what rows load and store, the ends of products and of pooling. A host says over which places its expressions'
// leaves are read and takes other expressions; the kernel that comes out is made here.
import type { ComputeType } from '../../core/dtype.ts';
import { computeTypeOf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import { type Expr, e } from '../../ir/expr.ts';
import type { GraphNode, GraphOperand } from '../../ir/graph.ts';
import type { CustomKernel, ExtraShape, Kernel, ProductKernel, RowKernel } from '../../ir/kernel.ts';
import { customKernel, productKernel, rowKernel } from '../../ir/kernel.ts';
import { isContiguous, isEmpty, sameStrides } from './access.ts';
import { type Contents, computeFromOf, type Leaf, nameOf, trimmed } from './piece.ts';

export interface Host extends Contents {
  readonly node: GraphNode;
  /** The places over which leaves are read. */
  readonly space: readonly number[];
  /** The places of what is stored, in order: as `space`, but for rows that give one element each. */
  readonly stored: readonly number[];
  readonly type: ComputeType;
  /** Whether elements are stored elsewhere than in the order of their places: then what lies beside the stored array does not lie beside the places. */
  readonly reordered: boolean;
  /** What decides about digits of functions on the CPU. */
  readonly size: number;
  /** Strides over `space` from strides over `stored`. */
  readonly fromStored: (strides: readonly number[]) => readonly number[];
  /** The kernel with other contents; null where it cannot have them. `output`: what it stores into, of the same number of elements. */
  readonly close: (contents: Contents, ops: readonly string[], output: GraphOperand) => GraphNode | null;
}

/** A node as a host; null for what is none. */
export function hostOf(node: GraphNode): Host | null {
  const out = node.outputs[0];
  if (out === undefined || isEmpty(out.shape) || node.from.some((v) => v !== null)) return null;
  switch (node.kernel.kind) {
    case 'row':
      return rowHost(node, node.kernel, out);
    case 'product':
      return productHost(node, node.kernel, out);
    case 'custom':
      return node.kernel.name.startsWith('pool') ? poolHost(node, node.kernel, out) : null;
    default:
      return null;
  }
}

/** A row kernel over `space`; null where none computes in the right numbers, and for leaves that begin elsewhere. */
export function rowNode(
  node: GraphNode,
  { space, type }: Pick<Host, 'space' | 'type'>,
  { stages, store, perElement }: Pick<RowKernel, 'stages' | 'store' | 'perElement'>,
  { leaves, scalars }: Omit<Contents, 'exprs'>,
  ops: readonly string[],
  output: GraphOperand,
): GraphNode | null {
  const inputs: GraphOperand[] = [];
  const dims = [...space];
  for (const leaf of leaves) {
    if (leaf?.offset !== 0) return null;
    inputs.push(leaf.operand);
    dims.push(...leaf.strides);
  }
  const computeFrom = computeFromOf(type, inputs, output);
  if (computeFrom === null) return null;
  const kernel = rowKernel(nameOf(ops), inputs.length, stages, store, perElement, computeFrom);
  return { ...node, kernel, inputs, dims, scalars, ops, outputs: [output] };
}

function rowHost(node: GraphNode, kernel: RowKernel, out: GraphOperand): Host | null {
  const space = node.dims.slice(0, 3);
  const [outer = 0, , inner = 0] = space;
  const size = sizeOf(space);
  const from = kernel.computeFrom < 0 ? out : node.inputs[kernel.computeFrom];
  if (from === undefined || size === 0) return null;
  const type = computeTypeOf(from.dtype);
  const { perElement } = kernel;
  return {
    node,
    space,
    stored: perElement ? space : [outer, inner],
    reordered: false,
    type,
    size,
    exprs: [...kernel.stages.map((s) => s.load), kernel.store],
    leaves: node.inputs.map((operand, k) => ({
      operand,
      offset: 0,
      strides: node.dims.slice(3 + 3 * k, 6 + 3 * k),
    })),
    scalars: node.scalars,
    fromStored: (s) => (perElement ? s : [s[0] as number, 0, s[1] as number]),
    close(contents, ops, output) {
      const left = trimmed({ ...contents, type });
      const loads = [...left.exprs];
      const store = loads.pop() as Expr;
      const stages = kernel.stages.map((s, i) => ({ ...s, load: loads[i] as Expr }));
      return rowNode(node, { space, type }, { stages, store, perElement }, left, ops, output);
    },
  };
}

/** [samples or matrices, channels or rows, places or columns] of what a product stores. */
export function productSpace(form: ProductKernel['form'], dims: readonly number[]): readonly number[] {
  if (form === 'matmul') return dims.slice(0, 3);
  const [n = 0, c = 0, o = 0, groups = 1] = dims;
  if (form === 'conv') return [n, o, sizeOf(dims.slice(7, 10))];
  if (form === 'convGradData') return [n, c, sizeOf(dims.slice(4, 7))];
  return [1, o, (c / groups) * sizeOf(dims.slice(10, 13))];
}

/** How an extra lies beside what a product stores; null for what is no extra. */
function extraOf(
  form: ProductKernel['form'],
  space: readonly number[],
  strides: readonly number[],
): ExtraShape | null {
  if (isContiguous(space, strides)) return 'full';
  if (sameStrides(space, strides, [0, 0, 0])) return 'one';
  // one per row of each matrix of a batch would be something else
  const single = form !== 'matmul' || space[0] === 1;
  if (single && sameStrides(space, strides, [0, 1, 0])) return 'm';
  if (form === 'matmul' && sameStrides(space, strides, [0, 0, 1])) return 'n';
  return null;
}

/** An extra's strides over the product's places. */
function extraStrides(extra: ExtraShape, [, m = 1, n = 1]: readonly number[]): readonly number[] {
  return extra === 'full' ? [m * n, n, 1] : extra === 'm' ? [0, 1, 0] : extra === 'n' ? [0, 0, 1] : [0, 0, 0];
}

/** Whether a product of 14 dims stores its matrices inside a larger array. */
function isReordered(dims: readonly number[]): boolean {
  if (dims.length !== 14) return false;
  const [batch = 0, m = 0, n = 0] = dims;
  const inner = dims[6] as number;
  return !isContiguous([batch / inner, inner, m, n], [...dims.slice(11), 1]);
}

/** A kernel that holds one expression: what becomes of its result when it is stored. */
interface Store {
  readonly epilogue: Expr | null;
  readonly space: readonly number[];
  readonly reordered: boolean;
  /** How many inputs the kernel has besides those that the expression reads. */
  readonly own: number;
  /** How the k-th of these is read over `space`. */
  strides(k: number): readonly number[];
  /** The kernel, and its inputs besides its own; null where it cannot read them. */
  make(
    epilogue: Expr | null,
    leaves: readonly Leaf[],
    ops: readonly string[],
    output: GraphOperand,
  ): readonly [Kernel, readonly GraphOperand[]] | null;
}

function storeHost(node: GraphNode, out: GraphOperand, store: Store): Host {
  const { epilogue, space, reordered, own } = store;
  const type = computeTypeOf(out.dtype);
  const beside = node.inputs.slice(own);
  return {
    node,
    space,
    stored: space,
    reordered,
    type,
    size: sizeOf(out.shape),
    exprs: [epilogue ?? e.input(0)],
    leaves: [null, ...beside.map((operand, k) => ({ operand, offset: 0, strides: store.strides(k) }))],
    scalars: node.scalars,
    fromStored: (s) => s,
    close(contents, ops, output) {
      const { exprs, leaves, scalars } = trimmed({ ...contents, type }, 1);
      const [expr] = exprs;
      const read = leaves.flatMap((leaf) => leaf ?? []);
      // the device converts nothing here
      if (expr === undefined || output.dtype !== out.dtype) return null;
      if (read.some(({ offset, operand }) => offset !== 0 || operand.dtype !== out.dtype)) return null;
      const made = store.make(expr.kind === 'input' && expr.index === 0 ? null : expr, read, ops, output);
      if (made === null) return null;
      const inputs = [...node.inputs.slice(0, own), ...made[1]];
      const outputs = [output, ...node.outputs.slice(1)];
      return { ...node, kernel: made[0], inputs, scalars, ops, outputs };
    },
  };
}

function productHost(node: GraphNode, kernel: ProductKernel, out: GraphOperand): Host {
  const { form, epilogue, extras, bias } = kernel;
  const space = productSpace(form, node.dims);
  return storeHost(node, out, {
    epilogue,
    space,
    reordered: isReordered(node.dims),
    own: bias === 'none' ? 2 : 3,
    strides: (k) => extraStrides(extras[k] ?? 'full', space),
    make(expr, leaves, ops) {
      const found = leaves.flatMap(({ strides }) => extraOf(form, space, strides) ?? []);
      return found.length < leaves.length
        ? null
        : [
            productKernel(nameOf(ops), form, { ...kernel, epilogue: expr, extras: found }),
            leaves.map((leaf) => leaf.operand),
          ];
    },
  });
}

function poolHost(node: GraphNode, { name, epilogue }: CustomKernel, out: GraphOperand): Host {
  const space = [sizeOf(out.shape)];
  return storeHost(node, out, {
    epilogue,
    space,
    reordered: false,
    own: name === 'poolMaxGrad' || name === 'poolMaxPick' ? 2 : 1,
    strides: () => [1],
    make: (expr, leaves, _, { shape }) =>
      leaves.every(({ strides }) => isContiguous(space, strides))
        ? [customKernel(name, expr), leaves.map(({ operand }) => ({ ...operand, shape }))]
        : null,
  });
}
