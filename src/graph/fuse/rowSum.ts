// A bias's gradient beside its weight's: the sum over the rows of a gradient product's left operand comes out of the product itself, which loads every element of it anyway.
import { sizeOf } from '../../core/shape.ts';
import type { Graph, GraphNode, GraphOperand } from '../../ir/graph.ts';
import type { ProductKernel, RowKernel } from '../../ir/kernel.ts';
import { productKernel } from '../../ir/kernel.ts';
import { Draft } from '../passes/draft.ts';
import { coalesce } from './access.ts';
import type { Limits } from './expressions.ts';

/** One element for each row: the sum over `folded` axes of a value's elements, rows `stride` apart. */
interface Sums {
  readonly value: number;
  readonly rows: number;
  readonly stride: number;
  /** [extent, stride] of the axes that are summed over, the longest strides first. */
  readonly folded: readonly (readonly [number, number])[];
  /** The places of the row kernels that do it, the last first. */
  readonly nodes: readonly number[];
}

/** Extents and strides of axes in one form: those of extent 1 gone, neighbours joined, longest strides first. */
function inOrder(axes: readonly (readonly [number, number])[]): (readonly [number, number])[] {
  const sorted = [...axes].sort((a, b) => b[1] - a[1]);
  const joined = coalesce(
    sorted.map(([d]) => d),
    [sorted.map(([, s]) => s)],
  );
  return joined.extents.map((d, i) => [d, joined.strides[0]?.[i] as number] as const);
}

/** Whether a row kernel adds up its one input as it is. */
function addsUp(node: GraphNode): boolean {
  const { kernel } = node;
  if (kernel.kind !== 'row') return false;
  const { stages, store, perElement } = kernel as RowKernel;
  const [stage] = stages;
  return (
    !perElement &&
    stages.length === 1 &&
    stage?.combine === 'sum' &&
    stage.load.kind === 'input' &&
    store.kind === 'stage' &&
    node.inputs.length === 1 &&
    node.inputs[0]?.dtype === 'float32' &&
    node.outputs[0]?.dtype === 'float32'
  );
}

/** The sums that the node at `n` makes, over its input and over what that input sums up itself, each as far back as it goes: the nearest first. */
function sumsAt(draft: Draft, n: number): Sums[] {
  const node = draft.nodes[n];
  if (node == null || !addsUp(node)) return [];
  const [outer = 0, length = 0, inner = 0, so = 0, sl = 0, si = 0] = node.dims;
  if (outer * length * inner === 0 || (outer > 1 && inner > 1)) return [];
  const source = (node.inputs[0] as GraphOperand).value;
  const rows = outer * inner;
  const stride = inner > 1 ? si : so;
  const own: Sums = { value: source, rows, stride, folded: inOrder([[length, sl]]), nodes: [n] };
  // the sums before: element r·stride + k·sl of the source is itself a sum over a row
  const maker = draft.makerOf(source);
  if (draft.onlyReader(source) !== n) return [own];
  const before = sumsAt(draft, maker).map((sums): Sums | null => {
    const times = sums.stride;
    const folded = inOrder([[length, sl * times], ...sums.folded]);
    return { value: sums.value, rows, stride: stride * times, folded, nodes: [n, ...sums.nodes] };
  });
  return [own, ...before.flatMap((s) => s ?? [])];
}

/** How a gradient product's left operand is summed over: its rows, their stride, and the axes of the sums. */
function leftOf(node: GraphNode, kernel: ProductKernel): Omit<Sums, 'nodes'> | null {
  const left = node.inputs[0];
  if (left?.dtype !== 'float32' || kernel.rowSum) return null;
  const { dims } = node;
  if (kernel.form === 'matmul') {
    const [batch, m = 0, , k = 0] = dims;
    if (dims.length !== 6 || batch !== 1) return null;
    const [rowStride, step] = kernel.transposeA ? [1, m] : [k, 1];
    return { value: left.value, rows: m, stride: rowStride, folded: inOrder([[k, step]]) };
  }
  if (kernel.form !== 'convGradWeight') return null;
  const [n = 0, , o = 0] = dims;
  const places = sizeOf(dims.slice(7, 10));
  return {
    value: left.value,
    rows: o,
    stride: places,
    folded: inOrder([
      [n, o * places],
      [places, 1],
    ]),
  };
}

function same(a: Omit<Sums, 'nodes'>, b: Omit<Sums, 'nodes'>): boolean {
  return (
    a.value === b.value &&
    a.rows === b.rows &&
    (a.rows === 1 || a.stride === b.stride) &&
    a.folded.length === b.folded.length &&
    a.folded.every(([d, s], i) => b.folded[i]?.[0] === d && b.folded[i]?.[1] === s)
  );
}

/** Moves sums over rows into the products that read the same rows. */
export function fuseRowSums(graph: Graph, limits: Limits): Graph {
  const draft = new Draft(graph);
  // a sum of sums before what it sums, so that it is found whole
  for (let n = draft.nodes.length - 1; n >= 0; n--) {
    for (const sums of sumsAt(draft, n)) {
      const g = draft.readersOf(sums.value).find((r) => {
        const product = draft.nodes[r];
        if (product?.kernel.kind !== 'product') return false;
        const left = leftOf(product, product.kernel);
        const fits = product.inputs.length + product.outputs.length < limits.maxBindings;
        return left !== null && fits && same(left, sums) && !draft.reaches(n, r);
      });
      const [sum, product] = [draft.nodes[n], draft.nodes[g ?? -1]];
      if (g === undefined || sum == null || product?.kernel.kind !== 'product') continue;
      const { kernel } = product;
      const fused: GraphNode = {
        ...product,
        kernel: productKernel(kernel.name, kernel.form, { ...kernel, rowSum: true }),
        outputs: [...product.outputs, ...sum.outputs],
        from: [...product.from, null],
        ops: [...product.ops, ...sum.ops],
      };
      for (const place of sums.nodes) draft.remove(place);
      draft.replace(g, fused);
      draft.disturb();
      break;
    }
  }
  return draft.finish();
}
