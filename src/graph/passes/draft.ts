// A graph while a pass rewrites it: nodes by place, who makes and who reads each value, paths between nodes, and the order in the end. Passes take a graph and return one; a draft
// lives only inside.
import type { Graph, GraphNode, GraphOperand, GraphValue } from '../../ir/graph.ts';
import { draws } from '../../ir/graph.ts';

export class Draft {
  readonly graph: Graph;
  readonly values: GraphValue[];
  /** By place; null where a node has gone. */
  readonly nodes: (GraphNode | null)[];
  readonly outputs: number[];
  /** Whether nodes were put where their order must be found anew. */
  #unsorted = false;
  readonly #makers = new Map<number, number>();
  readonly #readers = new Map<number, Set<number>>();

  constructor(graph: Graph) {
    this.graph = graph;
    this.values = [...graph.values];
    this.nodes = [...graph.nodes];
    this.outputs = [...graph.outputs];
    graph.nodes.forEach((node, n) => {
      this.#enter(node, n);
    });
  }

  #enter(node: GraphNode, n: number): void {
    for (const x of node.outputs) this.#makers.set(x.value, n);
    for (const value of readBy(node)) {
      const known = this.#readers.get(value);
      if (known === undefined) this.#readers.set(value, new Set([n]));
      else known.add(n);
    }
  }

  /** The nodes that are there when their turn comes, with their places and first results. */
  *live(): Generator<readonly [n: number, node: GraphNode, result: GraphOperand], void, undefined> {
    for (let n = 0; n < this.nodes.length; n++) {
      const node = this.nodes[n];
      const result = node?.outputs[0];
      if (node != null && result !== undefined) yield [n, node, result];
    }
  }

  /** A value that was not there before. */
  value(bytes: number): number {
    this.values.push({ id: this.values.length, bytes });
    return this.values.length - 1;
  }

  /** The place of the node that makes a value, −1 for inputs and constants. */
  makerOf(value: number): number {
    return this.#makers.get(value) ?? -1;
  }

  /** The places of the nodes that read a value, ascending. */
  readersOf(value: number): readonly number[] {
    return [...(this.#readers.get(value) ?? [])].sort((a, b) => a - b);
  }

  isOutput(value: number): boolean {
    return this.outputs.includes(value);
  }

  /** The place of the node that alone reads a value which is needed nowhere else; −1 where there is none. */
  onlyReader(value: number): number {
    const [n = -1, ...others] = this.readersOf(value);
    return others.length > 0 || this.isOutput(value) ? -1 : n;
  }

  remove(n: number): void {
    const node = this.nodes[n];
    if (node == null) return;
    this.nodes[n] = null;
    for (const x of node.outputs) if (this.#makers.get(x.value) === n) this.#makers.delete(x.value);
    for (const value of readBy(node)) this.#readers.get(value)?.delete(n);
  }

  /** Puts a node in the place of another, or in one that is free. */
  replace(n: number, node: GraphNode): void {
    this.remove(n);
    this.nodes[n] = node;
    this.#enter(node, n);
  }

  /** Puts what `n` does into those that read it: each of them, as `fused` has it. Nothing happens where one is null, or there is none. */
  merge(n: number, readers: readonly number[], fused: readonly (GraphNode | null)[]): void {
    if (readers.length === 0 || fused.includes(null)) return;
    this.remove(n);
    readers.forEach((r, i) => {
      this.replace(r, fused[i] as GraphNode);
    });
  }

  /** Adds a node that stands before place `n`: the order is found anew in the end. */
  insert(node: GraphNode): void {
    this.nodes.push(node);
    this.#enter(node, this.nodes.length - 1);
    this.#unsorted = true;
  }

  /** Says that places are no order any more. */
  disturb(): void {
    this.#unsorted = true;
  }

  /** Whether anything that the node at `from` makes is needed, over other nodes, by the node at `to`. `past`: edges from `from` straight to `to` do not count. */
  reaches(from: number, to: number, past = false): boolean {
    const seen = new Set<number>([from]);
    const stack = [from];
    for (let n = stack.pop(); n !== undefined; n = stack.pop())
      for (const x of this.nodes[n]?.outputs ?? [])
        for (const reader of this.#readers.get(x.value) ?? []) {
          if (reader === to) {
            if (n !== from || !past) return true;
          } else if (!seen.has(reader)) {
            seen.add(reader);
            stack.push(reader);
          }
        }
    return false;
  }

  /** Value `to` instead of `from`, everywhere. The maker of `to` stays. */
  redirect(from: number, to: number): void {
    for (const n of this.readersOf(from)) {
      const node = this.nodes[n] as GraphNode;
      this.replace(n, {
        ...node,
        inputs: node.inputs.map((x) => (x.value === from ? { ...x, value: to } : x)),
        from: node.from.map((v) => (v === from ? to : v)),
      });
    }
    this.outputs.forEach((v, i) => {
      if (v === from) this.outputs[i] = to;
    });
  }

  /** The graph, without what nothing needs. */
  finish(): Graph {
    const kept = this.nodes.flatMap((node) => (node === null ? [] : [node]));
    const nodes = this.#unsorted ? sorted(kept) : kept;
    return { ...this.graph, values: this.values, nodes, outputs: this.outputs };
  }
}

/** The values that a node needs. */
export function readBy(node: GraphNode): Set<number> {
  const values = new Set(node.inputs.map((x) => x.value));
  for (const v of node.from) if (v !== null) values.add(v);
  return values;
}

/** Nodes in an order in which they may run: as they stand, but for those that have to wait. Draws keep their order. */
export function sorted(nodes: readonly GraphNode[]): GraphNode[] {
  const makers = new Map<number, number>();
  nodes.forEach((node, n) => {
    for (const x of node.outputs) makers.set(x.value, n);
  });
  const result: GraphNode[] = [];
  const state = new Uint8Array(nodes.length);
  let lastDraw = -1;
  const before = nodes.map((node, n) => {
    const needs = [...readBy(node)].flatMap((v) => makers.get(v) ?? []);
    if (draws(node.kernel)) {
      if (lastDraw >= 0) needs.push(lastDraw);
      lastDraw = n;
    }
    return needs.sort((a, b) => a - b);
  });
  // depth first with a stack of its own: a graph may be deeper than the language's
  for (let root = 0; root < nodes.length; root++) {
    const stack = [root];
    while (stack.length > 0) {
      const n = stack[stack.length - 1] as number;
      if (state[n] === 2) {
        stack.pop();
        continue;
      }
      const open = (before[n] as number[]).filter((p) => state[p] !== 2);
      if (open.length === 0) {
        state[n] = 2;
        result.push(nodes[n] as GraphNode);
        stack.pop();
      } else {
        if (state[n] === 1 && open.some((p) => state[p] === 1 && p !== n && stack.includes(p)))
          throw new Error('a pass has made a circle of nodes');
        state[n] = 1;
        stack.push(...open.reverse());
      }
    }
  }
  return result;
}
