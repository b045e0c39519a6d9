// A graph as text with everything that fusion decides: expressions, extras, strides. For snapshots; what people see is text.ts's.
import { shapeText } from '../core/shape.ts';
import { exprKey } from '../ir/expr.ts';
import type { Graph, GraphNode, GraphOperand } from '../ir/graph.ts';
import type { Kernel } from '../ir/kernel.ts';

/** What a kernel computes, in short: its form and the expressions that make it what it is. */
function kernelText(kernel: Kernel): string {
  switch (kernel.kind) {
    case 'elementwise':
      return `elementwise ${[kernel.expr, ...kernel.others].map(exprKey).join('; ')}`;
    case 'row': {
      const stages = kernel.stages.map((s, i) => `r${i} = ${s.combine} ${exprKey(s.load)}`).join('; ');
      return `rows ${stages}; ${kernel.perElement ? 'each' : 'row'} ${exprKey(kernel.store)}`;
    }
    case 'product': {
      const { form, transposeA, transposeB, bias, extras, epilogue, rowSum } = kernel;
      const parts = [
        form,
        ...(transposeA ? ['Aᵀ'] : []),
        ...(transposeB ? ['Bᵀ'] : []),
        ...(bias === 'none' ? [] : [`bias ${bias}`]),
        ...(extras.length === 0 ? [] : [`extras ${extras.join(' ')}`]),
        ...(rowSum ? ['row sums'] : []),
        ...(epilogue === null ? [] : [`then ${exprKey(epilogue)}`]),
      ];
      return parts.join(', ');
    }
    case 'custom':
      return kernel.epilogue === null ? kernel.name : `${kernel.name}, then ${exprKey(kernel.epilogue)}`;
    case 'update':
      return `update ${kernel.steps.map((s) => `i${s.target} = ${exprKey(s.kernel.expr)}`).join('; ')}`;
  }
}

function nodeText(node: GraphNode, name: (value: number) => string): string {
  const operand = (x: GraphOperand): string => `${name(x.value)} ${shapeText(x.shape)}`;
  const typed = (x: GraphOperand): string =>
    x.dtype === 'float32' ? operand(x) : `${operand(x)} ${x.dtype}`;
  const kept = node.from.flatMap((v) => (v === null ? [] : [name(v)]));
  const scalars = node.scalars.map((s) => (typeof s === 'number' ? String(s) : `#${s.slot}`));
  const notes = [
    ...(kept.length === 0 ? [] : [`in ${kept.join(', ')}`]),
    ...(scalars.length === 0 ? [] : [`scalars ${scalars.join(' ')}`]),
    ...(node.kernel.kind === 'elementwise' && node.dims.length > 0 ? [`dims ${node.dims.join(' ')}`] : []),
    ...(node.kernel.kind === 'product' && node.dims.length === 14 ? [`dims ${node.dims.join(' ')}`] : []),
    ...(node.kernel.kind === 'custom' && node.kernel.name === 'stridedCopy'
      ? [`dims ${node.dims.join(' ')}`]
      : []),
  ];
  const text = `${node.outputs.map(typed).join(', ')} = ${node.ops.join('+')}(${node.inputs.map(typed).join(', ')})`;
  return `${text} | ${[kernelText(node.kernel), ...notes].join(' | ')}`;
}

/**
 * A line for each kernel: what it makes, the operations whose work it does, what it reads; then what it computes (i0, i1 … are its inputs, s0 … its scalars, r0 … results of rows).
 * @param nameOf names of values, where there are better ones than `%3`
 */
export function fullText(graph: Graph, nameOf?: (value: number) => string | undefined): string {
  const name = (value: number): string => nameOf?.(value) ?? `%${value}`;
  const outputs = graph.outputs.map((value, i) => {
    const input = graph.inputs[graph.into[i] ?? -1];
    return input === undefined ? name(value) : `${name(value)} into ${name(input)}`;
  });
  return [...graph.nodes.map((node) => nodeText(node, name)), `return ${outputs.join(', ')}`].join('\n');
}
