// Kernels that are more than a loop but hold expressions all the same: what rows load and store, the ends of products and of pooling. A host says over which places its expressions'
// leaves are read and takes other expressions; the kernel that comes out is made here.
import type { ComputeType } from '../../core/dtype.ts';
import { computeTypeOf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import { type Expr, e } from '../../ir/expr.ts';
import type { GraphNode, GraphOperand, GraphScalar } from '../../ir/graph.ts';
import type { ExtraShape, ProductKernel, RowKernel } from '../../ir/kernel.ts';
import { customKernel, productKernel, rowKernel } from '../../ir/kernel.ts';
import { isContiguous, isEmpty, sameStrides } from './access.ts';
import { leavesOf, substitute } from './expressions.ts';
import { computeFromOf, type Leaf, Leaves } from './piece.ts';

/** What a host's expressions become. */
export interface Contents {
  readonly exprs: readonly Expr[];
  /** Null stands for the kernel's own result. */
  readonly leaves: readonly (Leaf | null)[];
  readonly scalars: readonly GraphScalar[];
}

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
      return node.kernel.name.startsWith('pool') ? poolHost(node, out) : null;
    default:
      return null;
  }
}

function rowHost(node: GraphNode, kernel: RowKernel, out: GraphOperand): Host | null {
  const [outer = 0, length = 0, inner = 0] = node.dims;
  const from = kernel.computeFrom < 0 ? out : node.inputs[kernel.computeFrom];
  if (from === undefined || outer * length * inner === 0) return null;
  const space = [outer, length, inner];
  const type = computeTypeOf(from.dtype);
  const { perElement } = kernel;
  return {
    node,
    space,
    stored: perElement ? space : [outer, inner],
    reordered: false,
    type,
    size: outer * length * inner,
    exprs: [...kernel.stages.map((s) => s.load), kernel.store],
    leaves: node.inputs.map((operand, k) => ({
      operand,
      offset: 0,
      strides: node.dims.slice(3 + 3 * k, 6 + 3 * k),
    })),
    scalars: node.scalars,
    fromStored: (s) => (perElement ? s : [s[0] as number, 0, s[1] as number]),
    close(contents, ops, output) {
      const { exprs, leaves, scalars } = trimmedContents(contents, type, 0);
      const inputs: GraphOperand[] = [];
      const dims = [...space];
      for (const leaf of leaves) {
        if (leaf === null || leaf.offset !== 0) return null;
        inputs.push(leaf.operand);
        dims.push(...leaf.strides);
      }
      const computeFrom = computeFromOf(type, inputs, output);
      if (computeFrom === null) return null;
      const stages = kernel.stages.map((s, i) => ({ ...s, load: exprs[i] as Expr }));
      const store = exprs[exprs.length - 1] as Expr;
      const made = rowKernel(nameOf(ops), inputs.length, stages, store, perElement, computeFrom);
      return { ...node, kernel: made, inputs, dims, scalars, ops, outputs: [output] };
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

function productHost(node: GraphNode, kernel: ProductKernel, out: GraphOperand): Host {
  const space = productSpace(kernel.form, node.dims);
  const own = kernel.bias === 'none' ? 2 : 3;
  const type = computeTypeOf(out.dtype);
  return {
    node,
    space,
    stored: space,
    reordered: isReordered(node.dims),
    type,
    size: sizeOf(out.shape),
    exprs: [kernel.epilogue ?? e.input(0)],
    leaves: [
      null,
      ...node.inputs.slice(own).map((operand, i) => ({
        operand,
        offset: 0,
        strides: extraStrides(kernel.extras[i] ?? 'full', space),
      })),
    ],
    scalars: node.scalars,
    fromStored: (s) => s,
    close(contents, ops, output) {
      const { exprs, leaves, scalars } = trimmedContents(contents, type, 1);
      const [epilogue] = exprs;
      const extras: ExtraShape[] = [];
      const inputs = node.inputs.slice(0, own);
      // the device converts nothing here
      if (epilogue === undefined || output.dtype !== out.dtype) return null;
      for (const leaf of leaves.slice(1)) {
        if (leaf === null || leaf.offset !== 0 || leaf.operand.dtype !== output.dtype) return null;
        const extra = extraOf(kernel.form, space, leaf.strides);
        if (extra === null) return null;
        extras.push(extra);
        inputs.push(leaf.operand);
      }
      const made = productKernel(nameOf(ops), kernel.form, {
        ...kernel,
        epilogue: epilogue.kind === 'input' && epilogue.index === 0 ? null : epilogue,
        extras,
      });
      const outputs = [output, ...node.outputs.slice(1)];
      return { ...node, kernel: made, inputs, scalars, ops, outputs };
    },
  };
}

/** How many inputs a pooling kernel has of its own. */
const poolInputs = (name: string): number => (name === 'poolMaxGrad' || name === 'poolMaxPick' ? 2 : 1);

function poolHost(node: GraphNode, out: GraphOperand): Host | null {
  const { kernel } = node;
  if (kernel.kind !== 'custom') return null;
  const own = poolInputs(kernel.name);
  const space = [sizeOf(out.shape)];
  const type = computeTypeOf(out.dtype);
  return {
    node,
    space,
    stored: space,
    reordered: false,
    type,
    size: space[0] as number,
    exprs: [kernel.epilogue ?? e.input(0)],
    leaves: [null, ...node.inputs.slice(own).map((operand) => ({ operand, offset: 0, strides: [1] }))],
    scalars: node.scalars,
    fromStored: (s) => s,
    close(contents, ops, output) {
      const { exprs, leaves, scalars } = trimmedContents(contents, type, 1);
      const [epilogue] = exprs;
      const inputs = node.inputs.slice(0, own);
      if (epilogue === undefined || output.dtype !== out.dtype) return null;
      for (const leaf of leaves.slice(1)) {
        if (leaf === null || leaf.offset !== 0 || leaf.operand.dtype !== output.dtype) return null;
        if (!isContiguous(space, leaf.strides)) return null;
        inputs.push({ ...leaf.operand, shape: output.shape });
      }
      const plain = epilogue.kind === 'input' && epilogue.index === 0;
      const made = customKernel(kernel.name, plain ? null : epilogue);
      return { ...node, kernel: made, inputs, scalars, ops, outputs: [output] };
    },
  };
}

function nameOf(ops: readonly string[]): string {
  return ops.join('+').slice(0, 60);
}

/** Drops the leaves and scalars that no expression reads; the first `kept` leaves stay. */
function trimmedContents({ exprs, leaves, scalars }: Contents, type: ComputeType, kept: number): Contents {
  const used = leavesOf(...exprs);
  const left: (Leaf | null)[] = [];
  const numbers = new Leaves();
  const places = leaves.map((leaf, i) => (i < kept || used.inputs.has(i) ? left.push(leaf) - 1 : -1));
  const renumbered = exprs.map((expr) =>
    substitute(
      expr,
      (x) => {
        if (x.kind === 'input') return places[x.index] === x.index ? x : e.input(places[x.index] as number);
        if (x.kind !== 'scalar') return x;
        const at = numbers.addScalar(scalars[x.index] ?? Number.NaN);
        return at === x.index ? x : e.scalar(at);
      },
      type,
    ),
  );
  return { exprs: renumbered, leaves: left, scalars: numbers.scalars };
}
