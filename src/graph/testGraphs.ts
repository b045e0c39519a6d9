// What the tests of graphs share: a builder, an interpreter that runs a graph node by node in fresh memory, and `plainly`, which writes what fusion made of kernels
// as unfused kernels again: the oracle for everything that a device does with a fused one. Random graphs are in testRandomGraphs.ts.
import type { DType } from '../core/dtype.ts';
import { bytesOf } from '../core/dtype.ts';
import { sizeOf, stridesOf } from '../core/shape.ts';
import type { Device } from '../device/device.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import type { Graph, GraphNode, GraphOperand, GraphScalar, GraphValue } from '../ir/graph.ts';
import type { Kernel, Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel, productKernel, rowKernel } from '../ir/kernel.ts';
import type { Storage } from '../ir/storage.ts';

/** What a node may be given besides its kernel and inputs. */
export interface NodeOptions {
  readonly dims?: readonly number[];
  readonly scalars?: readonly GraphScalar[];
  readonly from?: readonly (GraphOperand | null)[];
  readonly ops?: readonly string[];
}

/** Makes graphs by hand. */
export class GraphBuilder {
  readonly #values: GraphValue[] = [];
  readonly #inputs: number[] = [];
  readonly #stable: boolean[] = [];
  readonly #constants = new Map<number, Uint8Array>();
  readonly #nodes: GraphNode[] = [];
  readonly #outputs: number[] = [];
  readonly #into: (number | null)[] = [];
  scalars = 0;

  #value(shape: readonly number[], dtype: DType): GraphOperand {
    const value = this.#values.length;
    this.#values.push({ id: value, bytes: sizeOf(shape) * bytesOf(dtype) });
    return { value, dtype, shape };
  }

  input(shape: readonly number[], dtype: DType = 'float32', stable = false): GraphOperand {
    const made = this.#value(shape, dtype);
    this.#inputs.push(made.value);
    this.#stable.push(stable);
    return made;
  }

  constant(shape: readonly number[], values: Float32Array): GraphOperand {
    const made = this.#value(shape, 'float32');
    this.#constants.set(made.value, new Uint8Array(values.slice().buffer));
    return made;
  }

  /** A node with any outputs. */
  nodes(
    kernel: Kernel,
    inputs: readonly GraphOperand[],
    types: readonly { readonly shape: readonly number[]; readonly dtype: DType }[],
    options: NodeOptions = {},
  ): GraphOperand[] {
    const outputs = types.map(({ shape, dtype }) => this.#value(shape, dtype));
    this.#nodes.push({
      kernel,
      inputs,
      outputs,
      from: outputs.map((_, k) => options.from?.[k]?.value ?? null),
      dims: options.dims ?? [],
      scalars: options.scalars ?? [],
      ops: options.ops ?? [kernel.name],
    });
    return outputs;
  }

  /** A node with one output, of the first input's dtype unless told otherwise. */
  node(
    kernel: Kernel,
    inputs: readonly GraphOperand[],
    shape: readonly number[],
    options: NodeOptions & { readonly dtype?: DType } = {},
  ): GraphOperand {
    const dtype = options.dtype ?? inputs[0]?.dtype ?? 'float32';
    return this.nodes(kernel, inputs, [{ shape, dtype }], options)[0] as GraphOperand;
  }

  output(operand: GraphOperand, into: GraphOperand | null = null): void {
    this.#outputs.push(operand.value);
    this.#into.push(into === null ? null : this.#inputs.indexOf(into.value));
  }

  build(): Graph {
    return {
      values: [...this.#values],
      inputs: [...this.#inputs],
      stable: [...this.#stable],
      constants: new Map(this.#constants),
      nodes: [...this.#nodes],
      outputs: [...this.#outputs],
      into: [...this.#into],
      scalars: this.scalars,
    };
  }
}

/** The same elements under another shape. */
export function viewed(x: GraphOperand, shape: readonly number[]): GraphOperand {
  return { ...x, shape };
}

/**
 * Runs a graph node by node, each value in fresh memory, which is filled with 0x5b first so that what a kernel leaves out shows.
 * @param inputs the bytes of each input
 * @returns the bytes of each output
 */
export async function interpret(
  graph: Graph,
  device: Device,
  inputs: readonly Uint8Array[],
  scalars: readonly number[] = [],
): Promise<Uint8Array[]> {
  const storages: (Storage | undefined)[] = [];
  const fresh = (value: number, bytes?: Uint8Array): Storage => {
    const size = graph.values[value]?.bytes ?? 0;
    const storage = device.alloc(size);
    storage.refs = 1;
    storages[value] = storage;
    device.write(storage, bytes ?? new Uint8Array(size).fill(0x5b));
    return storage;
  };
  const at = (value: number): Storage => {
    const storage = storages[value];
    if (storage === undefined) throw new Error(`value ${value} is read before it is there`);
    return storage;
  };
  const operand = (x: GraphOperand): Operand => ({ storage: at(x.value), dtype: x.dtype, shape: x.shape });
  graph.inputs.forEach((value, i) => {
    fresh(value, inputs[i]);
  });
  for (const [value, bytes] of graph.constants) fresh(value, bytes);
  try {
    for (const node of graph.nodes) {
      const sources = node.inputs.map(operand);
      const targets = node.outputs.map((x, k) => {
        if (storages[x.value] !== undefined) throw new Error(`value ${x.value} is written twice`);
        const storage = fresh(x.value);
        const before = node.from[k];
        if (before != null) device.copy(at(before), 0, storage, 0, storage.bytes);
        return operand(x);
      });
      const numbers = node.scalars.map((s) => (typeof s === 'number' ? s : (scalars[s.slot] ?? Number.NaN)));
      device.run(node.kernel, sources, targets, node.dims, numbers);
    }
    const buffers = await device.read(
      graph.outputs.map((value) => ({ storage: at(value), at: 0, bytes: at(value).bytes })),
    );
    return buffers.map((b) => new Uint8Array(b));
  } finally {
    for (const storage of storages)
      if (storage !== undefined) {
        storage.refs = 0;
        device.free(storage);
      }
  }
}

/** The text of a graph's faults, '' where it has none: each value is made once and before it is read, operands have their values' sizes. */
export function faultsOf(graph: Graph): string {
  const faults: string[] = [];
  const known = new Set<number>([...graph.inputs, ...graph.constants.keys()]);
  graph.nodes.forEach((node, n) => {
    const name = `node ${n} (${node.ops.join('+')})`;
    if (node.from.length !== node.outputs.length) faults.push(`${name}: from has another length`);
    for (const x of node.inputs) {
      if (!known.has(x.value)) faults.push(`${name} reads value ${x.value} before it is there`);
      if (sizeOf(x.shape) * bytesOf(x.dtype) > (graph.values[x.value]?.bytes ?? -1))
        faults.push(`${name} reads beyond value ${x.value}`);
    }
    for (const v of node.from)
      if (v !== null && !known.has(v)) faults.push(`${name} keeps value ${v} before it is there`);
    for (const x of node.outputs) {
      if (known.has(x.value)) faults.push(`${name} makes value ${x.value} again`);
      known.add(x.value);
      if (sizeOf(x.shape) * bytesOf(x.dtype) !== graph.values[x.value]?.bytes)
        faults.push(`${name} makes value ${x.value} of another size`);
    }
  });
  for (const v of graph.outputs) if (!known.has(v)) faults.push(`output ${v} is never made`);
  return faults.join('\n');
}

/** Every fused node of a graph as plain ones: no strided or several results of elementwise kernels, no extras, row sums or 14 dims of products, and so on. */
export function plainly(graph: Graph): Graph {
  return new Plain(graph).graph;
}

class Plain {
  readonly graph: Graph;
  readonly #values: GraphValue[];
  readonly #nodes: GraphNode[] = [];

  constructor(graph: Graph) {
    this.#values = [...graph.values];
    for (const node of graph.nodes) this.#expand(node);
    this.graph = { ...graph, values: this.#values, nodes: this.#nodes };
  }

  #temporary(shape: readonly number[], dtype: DType): GraphOperand {
    const value = this.#values.length;
    this.#values.push({ id: value, bytes: sizeOf(shape) * bytesOf(dtype) });
    return { value, dtype, shape };
  }

  #emit(
    kernel: Kernel,
    inputs: readonly GraphOperand[],
    outputs: readonly GraphOperand[],
    dims: readonly number[] = [],
    scalars: readonly GraphScalar[] = [],
  ): void {
    const from = outputs.map(() => null);
    this.#nodes.push({ kernel, inputs, outputs, from, dims, scalars, ops: [kernel.name] });
  }

  /** x[offset + Σ c·stride] for all c of `shape`, contiguous. */
  #gathered(
    x: GraphOperand,
    shape: readonly number[],
    offset: number,
    strides: readonly number[],
  ): GraphOperand {
    const whole = this.#temporary(shape, x.dtype);
    this.#emit(
      customKernel('stridedCopy'),
      [x],
      [whole],
      [shape.length, offset, 0, ...shape, ...strides, ...stridesOf(shape)],
    );
    return whole;
  }

  #expand(node: GraphNode): void {
    const { kernel } = node;
    if (kernel.kind === 'elementwise') this.#elementwise(node);
    else if (kernel.kind === 'row' && !kernel.perElement && hasInput(kernel.store)) this.#row(node);
    else if (kernel.kind === 'product') this.#product(node);
    else if (kernel.kind === 'custom' && kernel.epilogue !== null) this.#custom(node, kernel.epilogue);
    else this.#nodes.push(node);
  }

  #elementwise(node: GraphNode): void {
    const { kernel, dims } = node;
    if (kernel.kind !== 'elementwise') return;
    let inputs = node.inputs;
    if (dims.length > 0) {
      const ndim = dims[0] as number;
      const shape = dims.slice(1, 1 + ndim);
      inputs = inputs.map((x, k) => {
        const at = 1 + ndim + k * (ndim + 1);
        return this.#gathered(x, shape, dims[at] as number, dims.slice(at + 1, at + 1 + ndim));
      });
    }
    [kernel.expr, ...kernel.others].forEach((expr, k) => {
      const one = elementwiseKernel(kernel.name, kernel.inputs, expr, kernel.computeFrom);
      const out = node.outputs[k] as GraphOperand;
      const shape = dims.length > 0 ? dims.slice(1, 1 + (dims[0] as number)) : out.shape;
      this.#emit(one, inputs, [{ ...out, shape }], [], node.scalars);
    });
  }

  #row(node: GraphNode): void {
    const { kernel, dims } = node;
    if (kernel.kind !== 'row') return;
    const [outer = 0, , inner = 0] = dims;
    const out = node.outputs[0] as GraphOperand;
    // each stage's result by itself
    const stages = kernel.stages.map((_, s) => {
      const one = rowKernel(
        kernel.name,
        kernel.inputs,
        kernel.stages.slice(0, s + 1),
        e.stage(s),
        false,
        kernel.computeFrom,
      );
      const result = this.#temporary([outer, inner], out.dtype);
      this.#emit(one, node.inputs, [result], dims, node.scalars);
      return result;
    });
    const inputs = node.inputs.map((x, k) =>
      this.#gathered(x, [outer, inner], 0, [dims[3 + 3 * k] as number, dims[5 + 3 * k] as number]),
    );
    const store = leavesAs(kernel.store, (x) =>
      x.kind === 'stage'
        ? e.input(kernel.inputs + x.index)
        : x.kind === 'length'
          ? e.constant(dims[1] ?? 0)
          : x,
    );
    const all = [...inputs, ...stages];
    const last = elementwiseKernel(kernel.name, all.length, store, kernel.computeFrom);
    this.#emit(last, all, [{ ...out, shape: [outer, inner] }], [], node.scalars);
  }

  #custom(node: GraphNode, epilogue: Expr): void {
    const { kernel } = node;
    if (kernel.kind !== 'custom') return;
    const own = kernel.name === 'poolMaxGrad' || kernel.name === 'poolMaxPick' ? 2 : 1;
    const out = node.outputs[0] as GraphOperand;
    const result = this.#temporary(out.shape, out.dtype);
    this.#emit(customKernel(kernel.name), node.inputs.slice(0, own), [result], node.dims);
    const all = [result, ...node.inputs.slice(own).map((x) => viewed(x, out.shape))];
    this.#emit(elementwiseKernel('epilogue', all.length, epilogue), all, [out], [], node.scalars);
  }

  #product(node: GraphNode): void {
    const { kernel } = node;
    if (kernel.kind !== 'product') return;
    const [a, b] = node.inputs as [GraphOperand, GraphOperand];
    const out = node.outputs[0] as GraphOperand;
    const own = kernel.bias === 'none' ? 2 : 3;
    let { dims } = node;
    let [left, right] = [a, b];
    let scatter: number[] | null = null;
    if (kernel.form === 'matmul' && dims.length === 14) {
      const [batch, m, n, k, aBatch, bBatch, inner, aInner, bInner, aRow, bRow, cBatch, cInner, cRow] =
        dims as [
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
          number,
        ];
      const outer = batch / inner;
      const matrices = (x: GraphOperand, rows: number, columns: number, s: readonly number[]): GraphOperand =>
        this.#gathered(x, [outer, inner, rows, columns], 0, [...s, 1]);
      left = kernel.transposeA
        ? matrices(a, k, m, [aBatch, aInner, aRow])
        : matrices(a, m, k, [aBatch, aInner, aRow]);
      right = kernel.transposeB
        ? matrices(b, n, k, [bBatch, bInner, bRow])
        : matrices(b, k, n, [bBatch, bInner, bRow]);
      scatter = [4, 0, 0, outer, inner, m, n, ...stridesOf([outer, inner, m, n]), cBatch, cInner, cRow, 1];
      dims = [batch, m, n, k, m * k, k * n];
    }
    const plain = productKernel(kernel.name, kernel.form, {
      transposeA: kernel.transposeA,
      transposeB: kernel.transposeB,
      bias: kernel.bias,
    });
    const ends = kernel.epilogue !== null;
    // the plain order of places
    const shape = placesOf(kernel.form, dims);
    const places = scatter === null ? { ...out, shape } : this.#temporary(shape, out.dtype);
    const sums = ends ? this.#temporary(shape, out.dtype) : places;
    this.#emit(plain, [left, right, ...node.inputs.slice(2, own)], [sums], dims);
    if (ends && kernel.epilogue !== null) {
      const extras = node.inputs.slice(own).map((x, i) => {
        const [p, m, n] = shape as [number, number, number];
        switch (kernel.extras[i]) {
          case 'm':
            return viewed(x, kernel.form === 'matmul' ? [1, m, 1] : [1, m, 1]);
          case 'n':
            return viewed(x, [1, 1, n]);
          case 'one':
            return viewed(x, [1]);
          default:
            return viewed(x, [p, m, n]);
        }
      });
      const all = [sums, ...extras];
      this.#emit(elementwiseKernel('epilogue', all.length, kernel.epilogue), all, [places], [], node.scalars);
    }
    if (scatter !== null) this.#emit(customKernel('stridedCopy'), [places], [out], scatter);
    if (kernel.rowSum) this.#rowSum(node, left, dims);
  }

  #rowSum(node: GraphNode, left: GraphOperand, dims: readonly number[]): void {
    const { kernel } = node;
    if (kernel.kind !== 'product') return;
    const to = node.outputs[1] as GraphOperand;
    const sum = rowKernel('sum', 1, [{ combine: 'sum', load: e.input(0) }], e.stage(0), false);
    if (kernel.form === 'matmul') {
      const [batch, m, , k] = dims as [number, number, number, number];
      const [sl, si] = kernel.transposeA ? [m, 1] : [1, k];
      this.#emit(sum, [left], [to], [batch, k, m, m * k, sl, si]);
      return;
    }
    const [n, , o, , , , , oD, oH, oW] = dims as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const p = oD * oH * oW;
    const each = this.#temporary([n, o], 'float32');
    this.#emit(sum, [left], [each], [n * o, p, 1, p, 1, 0]);
    this.#emit(sum, [each], [to], [1, n, o, 0, o, 1]);
  }
}

/** [samples or matrices, rows or channels, columns or places] of a product's output. */
function placesOf(form: string, dims: readonly number[]): number[] {
  if (form === 'matmul') return dims.slice(0, 3);
  const [n, c, o, groups] = dims as [number, number, number, number];
  const product = (from: number): number => dims.slice(from, from + 3).reduce((x, d) => x * d, 1);
  if (form === 'conv') return [n, o, product(7)];
  if (form === 'convGradData') return [n, c, product(4)];
  return [1, o, (c / groups) * product(10)];
}

function hasInput(x: Expr): boolean {
  switch (x.kind) {
    case 'input':
      return true;
    case 'unary':
      return hasInput(x.a);
    case 'binary':
      return hasInput(x.a) || hasInput(x.b);
    case 'select':
      return hasInput(x.test) || hasInput(x.yes) || hasInput(x.no);
    default:
      return false;
  }
}

function leavesAs(x: Expr, leaf: (x: Expr) => Expr): Expr {
  switch (x.kind) {
    case 'unary':
      return { ...x, a: leavesAs(x.a, leaf) };
    case 'binary':
      return { ...x, a: leavesAs(x.a, leaf), b: leavesAs(x.b, leaf) };
    case 'select':
      return { ...x, test: leavesAs(x.test, leaf), yes: leavesAs(x.yes, leaf), no: leavesAs(x.no, leaf) };
    default:
      return leaf(x);
  }
}
