// What a net's code does, without doing it: its operations, traced over arrays that hold nothing, and the kernels that they become. `net.graph(x)` prints them; pictures
// are viz's.
import { arraysIn, bodyOf, NDArray } from '../../array/ndarray.ts';
import { type Context, currentContext } from '../../core/context.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe, shapeText, toShape } from '../../core/shape.ts';
import { deviceOf } from '../../device/registry.ts';
import { lower } from '../../graph/lower.ts';
import { optimize } from '../../graph/passes/optimize.ts';
import { steadyValues } from '../../graph/passes/steady.ts';
import { traceAbstract } from '../../graph/standIn.ts';
import { graphText, tableLines } from '../../graph/text.ts';
import type { Trace, TraceRef } from '../../graph/trace.ts';
import type { Graph, GraphNode } from '../../ir/graph.ts';
import type { TensorType } from '../../ops/op.ts';
import { callBlock } from '../call.ts';
import { internals } from '../parameter.ts';
import { quietInference } from '../quiet.ts';
import { type AnyBlock, stateOf } from '../state.ts';
import { structureNames } from '../tree.ts';

/** What stands for an input: an array, whose values do not count, or the shape of a float32 one; a list of such for a list; null for one left out. */
export type LookInput = NDArray | readonly number[] | number | null | readonly LookInput[];

/** An array that was there before: `x`, `0.weight`. */
export interface Known {
  readonly name: string;
  /** Whether it is an input of the call, rather than a parameter or constant. */
  readonly argument: boolean;
}

/** A call of a net, looked at. */
export interface Looked {
  readonly context: Context;
  readonly trace: Trace;
  /** The kernels before and after fusion. */
  readonly plain: Graph;
  readonly fused: Graph;
  /** Kernels after fusion that run only when a parameter has changed. */
  readonly once: ReadonlySet<GraphNode>;
  /** What was there before, by its value in the trace, and by its value in the graphs. */
  readonly inTrace: ReadonlyMap<number, Known>;
  readonly inGraph: ReadonlyMap<number, Known>;
}

function typeOf(op: string, input: Exclude<LookInput, null>): TensorType {
  if (input instanceof NDArray) {
    const { shape, dtype } = bodyOf(input, op);
    return { shape, dtype };
  }
  if (typeof input !== 'number' && !Array.isArray(input))
    throw new ArgumentError(
      `expected an array or a shape such as [1, 1, 28, 28], received ${describe(input)}. Give one for each input of the net.`,
      { op },
    );
  return { shape: toShape(input as number | readonly number[], op), dtype: 'float32' };
}

/** Puts an input's types into `types`; gives the input made of the arrays that stand for them. */
function formOf(op: string, input: LookInput, types: TensorType[]): (arrays: readonly NDArray[]) => unknown {
  if (input === null) return () => null;
  if (Array.isArray(input) && input.some((part: unknown) => typeof part !== 'number')) {
    const parts = (input as readonly LookInput[]).map((part) => formOf(op, part, types));
    return (arrays) => parts.map((part) => part(arrays));
  }
  const at = types.push(typeOf(op, input)) - 1;
  return (arrays) => arrays[at];
}

/** `1 kernel`, `7 kernels`. */
export function counted(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? '' : 's'}`;
}

/**
 * Traces one forward in inference mode. Nothing is computed or drawn, but first values of parameters that waited for a shape.
 * @throws NotInitializedError before `initialize`
 */
export function lookInto(op: string, block: AnyBlock, inputs: readonly LookInput[]): Looked {
  const state = stateOf(block);
  const types: TensorType[] = [];
  const forms = inputs.map((input) => formOf(op, input, types));
  const parameters = structureNames(block);
  const contexts = [...parameters.values()].flatMap((parameter) => parameter.listCtx());
  const [given] = arraysIn(inputs);
  const context = given?.context ?? contexts[0] ?? currentContext();
  const call = (arrays: NDArray[]): unknown =>
    callBlock(
      state,
      forms.map((form) => form(arrays)),
    );
  const trace = quietInference(() => traceAbstract(state.name, context, types, call, true));
  const held = new Map<NDArray, string>();
  for (const [name, parameter] of parameters)
    for (const array of internals.arraysOf(parameter)) held.set(array, name);
  let captured = 0;
  const inTrace = new Map<number, Known>();
  for (const { argument, array, ref } of trace.externals) {
    const parameter = array === null ? undefined : held.get(array);
    const name =
      argument === null ? (parameter ?? `array${captured++}`) : types.length === 1 ? 'x' : `x${argument}`;
    inTrace.set(ref.value, { name, argument: argument !== null });
  }
  const { graph: plain, inputs: values } = lower(trace, {
    outputs: trace.results.map(({ value }) => value),
    writes: true,
    stable: ({ argument }) => argument === null,
  });
  const inGraph = new Map<number, Known>();
  for (const [i, id] of plain.inputs.entries()) {
    const known = inTrace.get(values[i] ?? -1);
    if (known !== undefined) inGraph.set(id, known);
  }
  const { maxBindings, kind } = deviceOf(context, op);
  const fused = optimize(plain, { maxBindings, kind });
  const steady = steadyValues(fused);
  const once = new Set(fused.nodes.filter((node) => node.outputs.every(({ value }) => steady.has(value))));
  return { context, trace, plain, fused, once, inTrace, inGraph };
}

/** How many kernels there are after fusion. */
export function countOf({ fused, once }: Looked): string {
  const each = counted(fused.nodes.length - once.size, 'kernel');
  return once.size === 0 ? each : `${each}, and ${once.size} when parameters change`;
}

/** What `net.graph(x)` prints: a line for each operation, and a line for each kernel. */
export function graphOf(block: AnyBlock, inputs: readonly LookInput[]): string {
  const { name, className } = stateOf(block);
  const looked = lookInto(`${className}.graph`, block, inputs);
  const { context, trace, fused, inTrace, inGraph } = looked;
  const numbers = new Map<string, string>();
  const read = (ref: TraceRef): string =>
    `${numbers.get(`${ref.array},${ref.value}`) ?? inTrace.get(ref.value)?.name ?? 'constant'} ${shapeText(ref.shape)}`;
  const made = (ref: TraceRef): string => {
    numbers.set(`${ref.array},${ref.value}`, `%${numbers.size + 1}`);
    return read(ref);
  };
  let count = 0;
  const rows: string[][] = [];
  for (const step of trace.steps) {
    if (step.kind !== 'op') continue;
    count++;
    const from = step.inputs.map(read).join(', ');
    rows.push([step.op.name, step.block, `${from} → ${step.outputs.map(made).join(', ')}`]);
  }
  return [
    `${name === '' ? className : `${name} (${className})`} on ${context}: ${counted(count, 'operation')}`,
    ...tableLines(rows),
    `  result: ${trace.results.map(read).join(', ')}`,
    `After fusion: ${countOf(looked)}`,
    graphText(fused, (value) => inGraph.get(value)?.name),
  ].join('\n');
}
