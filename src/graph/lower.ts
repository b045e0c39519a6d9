// From operations to kernels: every record's own `run`, with an emitter that writes down what it is given. What an operation wrote in place, or part by part, becomes a chain of
// values each written once.
import type { DType } from '../core/dtype.ts';
import { bytesOf } from '../core/dtype.ts';
import { sizeOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Graph, GraphNode, GraphOperand, GraphScalar, GraphValue } from '../ir/graph.ts';
import { elementwiseKernel, type Kernel, type Operand } from '../ir/kernel.ts';
import type { Storage } from '../ir/storage.ts';
import type { UpdateEmitter } from '../ops/invoke.ts';
import type { Emitter } from '../ops/op.ts';
import type { External, Trace, TraceRef, TraceStep, TraceWrite } from './trace.ts';

/** What a graph shall hold of a trace. */
export interface LowerOptions {
  /** The steps: from the first, up to the last, if nothing else is said. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  /** The values that are there before, in the order of `Graph.inputs`: those of all externals, in their order, if nothing else is said. Others that turn out to be needed follow. */
  readonly inputs?: readonly number[] | undefined;
  /** The values that are asked for. */
  readonly outputs: readonly number[];
  /** Whether what these steps wrote into arrays comes out too, after `outputs`. */
  readonly writes: boolean;
  /** Whether an external is a parameter or constant that runs do not change. */
  readonly stable: (external: External) => boolean;
}

export interface Lowered {
  readonly graph: Graph;
  /** The trace's values that are the graph's inputs. */
  readonly inputs: readonly number[];
  /** What the last outputs are: `into` the external's input where there is one, else memory of the caller's. */
  readonly writes: readonly TraceWrite[];
}

/** Memory in an operation's eyes; for the graph, the value that it holds now. */
class Cell implements Storage {
  readonly buffer = -1;
  readonly offset = 0;
  readonly bytes: number;
  refs = 1;
  userRefs = 0;
  value: number | null;

  constructor(bytes: number, value: number | null) {
    this.bytes = bytes;
    this.value = value;
  }
}

const NONE: readonly number[] = [];
const zero = elementwiseKernel('zero', 0, e.constant(0), -1);

/** Whether a kernel keeps or reads something of what its output's memory held before. */
function keepsSome(kernel: Kernel, { shape }: Operand, dims: readonly number[]): boolean {
  if (kernel.kind === 'update') return true;
  if (kernel.kind !== 'custom') return false;
  switch (kernel.name) {
    case 'scatterNd':
    case 'scatterAddNd':
      return true;
    case 'stridedCopy':
      return sizeOf(dims.slice(3, 3 + (dims[0] as number))) < sizeOf(shape);
    case 'pack':
      return dims.reduce((sum, d, i) => sum + (i % 2 === 1 ? d : 0), 0) < sizeOf(shape);
    default:
      return false;
  }
}

class Lowering implements Emitter, UpdateEmitter {
  readonly values: GraphValue[] = [];
  readonly nodes: GraphNode[] = [];
  /** The graph's value of each of the trace's. */
  readonly at = new Map<number, number>();
  ops: readonly string[] = [];

  value(bytes: number): number {
    const id = this.values.length;
    this.values.push({ id, bytes });
    return id;
  }

  run(
    kernel: Kernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[] = NONE,
    scalars: readonly GraphScalar[] = NONE,
  ): void {
    const read = inputs.map((x): GraphOperand => ({ value: this.held(x), dtype: x.dtype, shape: x.shape }));
    const from = outputs.map((y) => (keepsSome(kernel, y, dims) ? (y.storage as Cell).value : null));
    const made = outputs.map((y): GraphOperand => {
      const cell = y.storage as Cell;
      cell.value = this.value(cell.bytes);
      return { value: cell.value, dtype: y.dtype, shape: y.shape };
    });
    this.nodes.push({ kernel, inputs: read, outputs: made, from, dims, scalars, ops: this.ops });
  }

  temporary(shape: readonly number[], dtype: DType): Operand {
    return { storage: new Cell(sizeOf(shape) * bytesOf(dtype), null), dtype, shape };
  }

  /** The value that an operand's memory holds; where nothing was written (there is nothing to write, or nobody will look), zeros. */
  held(x: Operand): number {
    const cell = x.storage as Cell;
    if (cell.value === null) this.run(zero, [], [x]);
    return cell.value as number;
  }
}

/** The kernels of a trace, or of some of its steps. */
export function lower(trace: Trace, options: LowerOptions): Lowered {
  const { from = 0, to = trace.steps.length, outputs: wanted, stable: isStable } = options;
  const { values, externals } = trace;
  const graph = new Lowering();
  const constants = new Map<number, Uint8Array>();
  const inputs: number[] = [];
  const bytesOfValue = (value: number): number => (values[value] as { readonly bytes: number }).bytes;
  const given = (value: number): number => {
    const known = graph.at.get(value);
    if (known !== undefined) return known;
    const id = graph.value(bytesOfValue(value));
    graph.at.set(value, id);
    const bytes = trace.constants.get(value);
    if (bytes === undefined) inputs.push(value);
    else constants.set(id, bytes);
    return id;
  };
  for (const value of options.inputs ?? externals.map(({ ref }) => ref.value)) given(value);
  let scalars = 0;
  for (let i = 0; i < to; i++) {
    const step = trace.steps[i] as TraceStep;
    if (step.kind === 'function' || (step.kind === 'op' && step.op.run === null)) continue;
    const isHere = i >= from;
    const cells = new Map<number, Cell>();
    const operand = ({ value, dtype, shape }: TraceRef): Operand => {
      let storage = cells.get(value);
      if (storage === undefined) {
        storage = new Cell(bytesOfValue(value), given(value));
        cells.set(value, storage);
      }
      return { storage, dtype, shape };
    };
    if (step.kind === 'update') {
      const { update, before, grads, after } = step;
      const slots = Array.from({ length: update.count }, (_, k): GraphScalar => ({ slot: scalars + k }));
      scalars += update.count;
      if (!isHere) continue;
      const targets = before.map(operand);
      graph.ops = ['update'];
      update.emit(graph, targets, grads.map(operand), slots);
      after.forEach(({ value }, k) => {
        graph.at.set(value, graph.held(targets[k] as Operand));
      });
      continue;
    }
    if (!isHere) continue;
    const { op, attrs, inPlace } = step;
    if (op.run === null) continue;
    graph.ops = [op.name];
    const read = step.inputs.map(operand);
    const made = inPlace
      ? [read[0] as Operand]
      : step.outputs.map(
          ({ value, dtype, shape }): Operand => ({
            storage: new Cell(bytesOfValue(value), null),
            dtype,
            shape,
          }),
        );
    op.run(graph, read, made, attrs);
    step.outputs.forEach(({ value }, k) => {
      graph.at.set(value, graph.held(made[k] as Operand));
    });
  }
  const writes = options.writes ? trace.writes.filter(({ ref }) => graph.at.has(ref.value)) : [];
  const outputs = [...wanted, ...writes.map(({ ref }) => ref.value)].map(given);
  const into = [
    ...wanted.map(() => null),
    ...writes.map(({ external }) => {
      if (external === null) return null;
      const { value } = (externals[external] as External).ref;
      given(value);
      return inputs.indexOf(value);
    }),
  ];
  const stable = new Set(externals.filter(isStable).map(({ ref }) => ref.value));
  return {
    graph: {
      values: graph.values,
      inputs: inputs.map((value) => graph.at.get(value) as number),
      stable: inputs.map((value) => stable.has(value)),
      constants,
      nodes: graph.nodes,
      outputs,
      into,
      scalars,
    },
    inputs,
    writes,
  };
}
