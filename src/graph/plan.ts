// Gives every value of a graph a place in memory: inputs, outputs, constants, or slots that values share one after the other. Which kernels there are and what they compute is
// decided before; how memory is had is the device's.
import { sizeOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Graph, GraphNode, GraphOperand, GraphValue } from '../ir/graph.ts';
import { draws } from '../ir/graph.ts';
import { elementwiseKernel } from '../ir/kernel.ts';
import type { Place, Plan, PlanStep } from '../ir/plan.ts';
import { Slots } from './slots.ts';

/** Copies a value whole. */
const COPY = elementwiseKernel('copy', 1, e.input(0));

const NEVER = -1;
const ALWAYS = Number.POSITIVE_INFINITY;

/**
 * The plan of a graph. Nodes that depend on stable inputs and constants alone come first. A value lies in an output's memory, or that of the input whose new value it is, from the
 * beginning where that can be; an elementwise result takes the place of an input that nobody needs any more; what a kernel changes in part is changed where it lies.
 * Where the old contents are needed yet, a copy is made before.
 *
 * @example
 * const program = device.compile(plan(graph), { staticAlloc: true, name: 'lenet' });
 */
export function plan(graph: Graph): Plan {
  return new Planner(graph).plan();
}

interface Values {
  readonly values: GraphValue[];
  readonly nodes: GraphNode[];
  readonly outputs: number[];
}

class Planner {
  readonly #graph: Graph;
  /** How many of the nodes belong to the prologue. */
  readonly #prologue: number;
  readonly #nodes: readonly GraphNode[];
  readonly #outputs: readonly number[];
  readonly #bytes: number[];
  /** For each value the last node that reads it, NEVER, or ALWAYS for what must stay. */
  readonly #lastRead: number[];
  /** Where each value has to lie, if it does not matter: undefined. */
  readonly #wanted: (Place | undefined)[];
  readonly #places: (Place | undefined)[];
  /** For each input the value that its memory holds at the moment. */
  readonly #held: number[];
  readonly #slots = new Slots();
  readonly #kept = new Set<number>();
  readonly #steps: PlanStep[] = [];

  constructor(graph: Graph) {
    this.#graph = graph;
    const { stable, rest } = split(graph);
    this.#prologue = stable.length;
    const { values, nodes, outputs } = withOwnOutputs(graph, stable, rest);
    this.#nodes = nodes;
    this.#outputs = outputs;
    this.#bytes = [];
    for (const value of values) this.#bytes[value.id] = value.bytes;
    this.#lastRead = this.#bytes.map(() => NEVER);
    this.#findLastReads();
    this.#wanted = this.#findWanted();
    this.#places = this.#bytes.map(() => undefined);
    this.#held = [...graph.inputs];
    graph.inputs.forEach((value, index) => {
      this.#places[value] ??= { kind: 'input', index };
    });
    [...graph.constants.keys()].forEach((value, index) => {
      this.#places[value] = { kind: 'constant', index };
    });
  }

  plan(): Plan {
    const { inputs, outputs, constants, scalars } = this.#graph;
    let prologue = 0;
    this.#nodes.forEach((node, at) => {
      this.#add(node, at);
      if (at < this.#prologue) prologue = this.#steps.length;
    });
    return {
      steps: this.#steps,
      prologue,
      inputs: inputs.length,
      outputs: outputs.length,
      slots: this.#slots.bytes,
      kept: this.#kept,
      constants: [...constants.values()],
      scalars,
    };
  }

  #findLastReads(): void {
    this.#nodes.forEach((node, at) => {
      for (const value of readBy(node)) this.#lastRead[value] = at;
    });
    this.#nodes.slice(0, this.#prologue).forEach((node) => {
      for (const { value } of node.outputs)
        if ((this.#lastRead[value] as number) >= this.#prologue) this.#lastRead[value] = ALWAYS;
    });
    for (const value of this.#outputs) this.#lastRead[value] = ALWAYS;
  }

  /** Outputs lie in the outputs' memory, and so does what they are made from part by part. */
  #findWanted(): (Place | undefined)[] {
    const wanted: (Place | undefined)[] = this.#bytes.map(() => undefined);
    this.#outputs.forEach((value, i) => {
      const into = this.#graph.into[i] ?? null;
      // an input that is passed through into its own memory is there
      if (value !== this.#graph.inputs[into ?? -1])
        wanted[value] = into === null ? { kind: 'output', index: i } : { kind: 'input', index: into };
    });
    const given = new Set([...this.#graph.inputs, ...this.#graph.constants.keys()]);
    for (let at = this.#nodes.length - 1; at >= this.#prologue; at--) {
      const node = this.#nodes[at] as GraphNode;
      node.outputs.forEach(({ value }, k) => {
        const before = node.from[k] ?? null;
        if (before !== null && !given.has(before) && this.#lastRead[before] === at)
          wanted[before] ??= wanted[value];
      });
    }
    return wanted;
  }

  #add(node: GraphNode, at: number): void {
    /** Places that outputs of this node have taken. */
    const taken: Place[] = [];
    node.outputs.forEach((output, k) => {
      const wanted = at < this.#prologue ? undefined : this.#wanted[output.value];
      const place =
        wanted === undefined ? this.#placeInSlot(node, k, at, taken) : this.#placeAt(wanted, node, k, at);
      taken.push(place);
      this.#places[output.value] = place;
      if (place.kind === 'slot' && at < this.#prologue && this.#lastRead[output.value] === ALWAYS)
        this.#kept.add(place.index);
    });
    const placed = (operand: GraphOperand): PlanStep['inputs'][number] => ({
      place: this.#placeOf(operand.value),
      dtype: operand.dtype,
      shape: operand.shape,
    });
    const { kernel, dims, scalars, ops } = node;
    const [inputs, outputs] = [node.inputs.map(placed), node.outputs.map(placed)];
    this.#steps.push({ kernel, inputs, outputs, dims, scalars, ops });
    for (const value of new Set([...readBy(node), ...node.outputs.map((o) => o.value)])) {
      const place = this.#placeOf(value);
      const isOutput = node.outputs.some((o) => o.value === value);
      const dies = isOutput ? this.#lastRead[value] === NEVER : this.#lastRead[value] === at;
      if (dies && place.kind === 'slot' && (isOutput || !taken.includes(place)))
        this.#slots.give(place.index, at);
    }
  }

  #placeOf(value: number): Place {
    const place = this.#places[value];
    if (place === undefined) throw new Error(`value ${value} is read before it is made`);
    return place;
  }

  /** A slot for output `k`: that of the value it continues, that of an input it may overwrite, or one of its own. */
  #placeInSlot(node: GraphNode, k: number, at: number, taken: readonly Place[]): Place {
    const output = node.outputs[k] as GraphOperand;
    const before = node.from[k] ?? null;
    const mayTake = (value: number): boolean => {
      const place = this.#placeOf(value);
      return (
        place.kind === 'slot' &&
        this.#lastRead[value] === at &&
        !taken.includes(place) &&
        mayOverwrite(node, k, value)
      );
    };
    if (before !== null) {
      if (mayTake(before)) return this.#placeOf(before);
    } else {
      const over = node.inputs.find((input) => mayTake(input.value));
      if (over !== undefined) return this.#placeOf(over.value);
    }
    const place: Place = { kind: 'slot', index: this.#slots.take(this.#bytes[output.value] as number, at) };
    if (before !== null) this.#copy(before, place);
    return place;
  }

  /** The memory of an input or output for output `k`; what it holds and is needed yet is brought elsewhere. */
  #placeAt(place: Place, node: GraphNode, k: number, at: number): Place {
    const output = node.outputs[k] as GraphOperand;
    const before = node.from[k] ?? null;
    let holdsBefore = false;
    if (place.kind === 'input') {
      const held = this.#held[place.index] as number;
      holdsBefore = held === before;
      const last = this.#lastRead[held] as number;
      if (last > at || (last === at && !mayOverwrite(node, k, held))) {
        const slot: Place = { kind: 'slot', index: this.#slots.take(this.#bytes[held] as number, at) };
        this.#copy(held, slot);
        this.#places[held] = slot;
      }
      this.#held[place.index] = output.value;
    } else if (before !== null) {
      const now = this.#placeOf(before);
      holdsBefore = now.kind === 'output' && now.index === place.index;
    }
    if (before !== null && !holdsBefore) this.#copy(before, place);
    return place;
  }

  /** Adds a step that copies a value to a place. */
  #copy(value: number, to: Place): void {
    const operand = asBits(value, this.#bytes[value] as number);
    this.#steps.push({
      kernel: COPY,
      inputs: [{ place: this.#placeOf(value), dtype: operand.dtype, shape: operand.shape }],
      outputs: [{ place: to, dtype: operand.dtype, shape: operand.shape }],
      dims: [],
      scalars: [],
      ops: [],
    });
  }
}

/** A value as numbers that a copy leaves as they are, whatever they stand for. */
function asBits(value: number, bytes: number): GraphOperand {
  return bytes % 4 === 0
    ? { value, dtype: 'uint32', shape: [bytes / 4] }
    : { value, dtype: 'uint8', shape: [bytes] };
}

function readBy(node: GraphNode): number[] {
  return [...node.inputs.map((input) => input.value), ...node.from.filter((value) => value !== null)];
}

/** Whether output `k` may lie where `value` lies that the node reads: its kernel must never look there after it has stored. */
function mayOverwrite(node: GraphNode, k: number, value: number): boolean {
  const output = node.outputs[k] as GraphOperand;
  const size = sizeOf(output.shape);
  return node.inputs.every(
    (input) =>
      input.value !== value ||
      (node.kernel.kind === 'elementwise' &&
        node.dims.length === 0 &&
        input.dtype === output.dtype &&
        sizeOf(input.shape) === size),
  );
}

/** The nodes that depend on stable inputs and constants alone, and the others, in their order. */
function split(graph: Graph): { readonly stable: GraphNode[]; readonly rest: GraphNode[] } {
  const known = new Set(graph.constants.keys());
  graph.inputs.forEach((value, j) => {
    if (graph.stable[j] === true && !graph.into.includes(j)) known.add(value);
  });
  // an array filled with a number is as cheap to fill as to copy
  const continued = new Set(graph.nodes.flatMap((node) => node.from));
  const stable: GraphNode[] = [];
  const rest: GraphNode[] = [];
  for (const node of graph.nodes) {
    const read = readBy(node);
    const isStable =
      !draws(node.kernel) &&
      node.scalars.every((scalar) => typeof scalar === 'number') &&
      read.every((value) => known.has(value)) &&
      (read.length > 0 || !node.outputs.some(({ value }) => continued.has(value)));
    (isStable ? stable : rest).push(node);
    if (isStable) for (const { value } of node.outputs) known.add(value);
  }
  return { stable, rest };
}

/** Adds copies so that every output is a value of its own that is made in each run, apart from inputs that stay as they are. */
function withOwnOutputs(graph: Graph, prologue: readonly GraphNode[], rest: readonly GraphNode[]): Values {
  const values = [...graph.values];
  const nodes = [...prologue, ...rest];
  const made = new Set(rest.flatMap((node) => node.outputs.map((output) => output.value)));
  const outputs = graph.outputs.map((value, i) => {
    if (made.delete(value) || value === graph.inputs[graph.into[i] ?? -1]) return value;
    const { bytes } = values[value] as GraphValue;
    const id = values.length;
    values.push({ id, bytes });
    nodes.push({
      kernel: COPY,
      inputs: [asBits(value, bytes)],
      outputs: [asBits(id, bytes)],
      from: [null],
      dims: [],
      scalars: [],
      ops: [],
    });
    return id;
  });
  return { values, nodes, outputs };
}
