// Graphs as text: a line for each kernel, for people, and for tests that keep them.
import { shapeText } from '../core/shape.ts';
import type { Graph, GraphOperand } from '../ir/graph.ts';
import type { Kernel } from '../ir/kernel.ts';

function kindOf(kernel: Kernel): string {
  if (kernel.kind === 'product') return kernel.form;
  return kernel.kind === 'custom' ? kernel.name : kernel.kind;
}

/** Rows of three cells as lines, the first two in columns. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const wide = [0, 1].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(wide[i] ?? 0)).join('  ')}`);
}

/**
 * A line for each kernel: the operations whose work it does, what kind of kernel it is, what it reads and what it makes. `nameOf` names the graph's inputs; the values that kernels
 * make are numbered in their order.
 */
export function graphText(
  graph: Graph,
  nameOf: (value: number) => string | undefined = () => undefined,
): string {
  const names = new Map<number, string>();
  for (const [i, value] of graph.inputs.entries()) names.set(value, nameOf(value) ?? `in${i}`);
  let made = 0;
  const text = ({ value, shape, dtype }: GraphOperand): string =>
    `${names.get(value) ?? 'constant'} ${shapeText(shape)}${dtype === 'float32' ? '' : ` ${dtype}`}`;
  const rows = graph.nodes.map(({ kernel, ops, inputs, outputs }) => {
    const from = inputs.map(text).join(', ');
    for (const { value } of outputs) if (!names.has(value)) names.set(value, `%${++made}`);
    const what = (ops.length > 0 ? ops : [kernel.name]).join('+');
    return [what, kindOf(kernel), `${from} → ${outputs.map(text).join(', ')}`];
  });
  const results = graph.outputs.map((value, i) => {
    const state = graph.inputs[graph.into[i] ?? -1];
    return `${names.get(value) ?? 'constant'}${state === undefined ? '' : ` into ${names.get(state) ?? ''}`}`;
  });
  return [...tableLines(rows), `  result: ${results.join(', ')}`].join('\n');
}
