// `plotNetwork`: a net's operations, and the kernels that they become, as a picture.
import { ArgumentError } from '../core/errors.ts';
import { describe, shapeText } from '../core/shape.ts';
import {
  counted,
  countOf,
  type Known,
  type Looked,
  type LookInput,
  lookInto,
} from '../gluon/compiled/graphOf.ts';
import { type AnyBlock, isBlock, stateOf } from '../gluon/state.ts';
import type { TraceRef } from '../graph/trace.ts';
import type { GraphOperand } from '../ir/graph.ts';
import type { Kernel } from '../ir/kernel.ts';
import { booleanArg, readArgs } from '../ops/args.ts';
import { type Kind, type Panel, type PlotEdge, type PlotNode, svgText } from './svg.ts';

/** Options of `plotNetwork`. */
export interface PlotOptions {
  /** True draws the kernels after fusion alone, false the operations alone; both stand side by side where nothing is said. */
  readonly fused?: boolean | undefined;
}

/** Families of operations whose work is not elementwise. */
const FAMILIES: Readonly<Record<string, Kind>> = {
  product: 'product',
  convolution: 'product',
  normalize: 'row',
  reduce: 'row',
  loss: 'row',
  ordering: 'row',
  pooling: 'window',
  random: 'random',
  blocks: 'move',
  creation: 'move',
  indexing: 'move',
  joins: 'move',
  moves: 'move',
  slices: 'move',
  views: 'move',
};

function kindOf(kernel: Kernel): Kind {
  if (kernel.kind === 'custom')
    return kernel.name.startsWith('pool') ? 'window' : kernel.name.startsWith('random') ? 'random' : 'move';
  return kernel.kind === 'update' ? 'elementwise' : kernel.kind;
}

/** What a node reads: by which names it may be known, its shape, and the line that stands for it in the box when nobody made it. */
interface Read {
  readonly keys: readonly string[];
  readonly shape: readonly number[];
  readonly line: string;
}

class Sketch {
  readonly nodes: PlotNode[] = [];
  readonly edges: PlotEdge[] = [];
  readonly #makers = new Map<string, number>();

  add(
    kind: Kind,
    title: string,
    own: readonly string[],
    reads: readonly Read[],
    makes: readonly string[],
  ): void {
    const to = this.nodes.length;
    const lines = [...own];
    for (const { keys, shape, line } of reads) {
      const from = keys.map((key) => this.#makers.get(key)).find((maker) => maker !== undefined);
      const label = shapeText(shape);
      if (from === undefined) lines.push(line);
      else if (!this.edges.some((edge) => edge.from === from && edge.to === to && edge.label === label))
        this.edges.push({ from, to, label });
    }
    this.nodes.push({ kind, title, lines });
    for (const key of makes) this.#makers.set(key, to);
  }
}

/** The operations of a call, as the net's code made them. */
function written({ trace, inTrace }: Looked): Panel {
  const sketch = new Sketch();
  // an array is known by its handle; where a view of it was written in place, by its memory's value
  const keysOf = ({ array, value }: TraceRef): string[] => [`${array},${value}`, String(value)];
  const readsOf = (refs: readonly TraceRef[]): Read[] =>
    refs.map((ref) => ({
      keys: keysOf(ref),
      shape: ref.shape,
      line: lineOf(inTrace.get(ref.value), ref.shape),
    }));
  for (const { argument, ref } of trace.externals)
    if (argument !== null) sketch.add('end', inTrace.get(ref.value)?.name ?? '', [], [], keysOf(ref));
  let count = 0;
  for (const step of trace.steps) {
    if (step.kind !== 'op') continue;
    const { op, block, inputs, outputs } = step;
    count++;
    sketch.add(
      FAMILIES[op.family] ?? 'elementwise',
      op.name,
      block === '' ? [] : [block],
      readsOf(inputs),
      outputs.flatMap(keysOf),
    );
  }
  for (const ref of trace.results) sketch.add('end', 'output', [], readsOf([ref]), []);
  return { heading: `As written: ${counted(count, 'operation')}`, nodes: sketch.nodes, edges: sketch.edges };
}

/** The kernels after fusion. */
function fusedPanel(looked: Looked): Panel {
  const { trace, fused, once, inGraph } = looked;
  const sketch = new Sketch();
  const readsOf = (operands: readonly GraphOperand[]): Read[] =>
    operands.map(({ value, shape }) => ({
      keys: [String(value)],
      shape,
      line: lineOf(inGraph.get(value), shape),
    }));
  for (const [value, { name, argument }] of inGraph)
    if (argument) sketch.add('end', name, [], [], [String(value)]);
  for (const node of fused.nodes) {
    const { kernel, ops, inputs, outputs } = node;
    const title = wrapped(ops.length > 0 ? ops : [kernel.name]);
    const kept = outputs.map(({ value }) => String(value));
    const what = kernel.kind === 'custom' ? kernel.name : `${kernel.kind} kernel`;
    const own = [...title.slice(1), once.has(node) ? `${what}, when parameters change` : what];
    sketch.add(kindOf(kernel), title[0] ?? '', own, readsOf(inputs), kept);
  }
  for (const [i, { value, shape, dtype }] of trace.results.entries())
    sketch.add('end', 'output', [], readsOf([{ value: fused.outputs[i] ?? value, shape, dtype }]), []);
  return { heading: `Fused: ${countOf(looked)}`, nodes: sketch.nodes, edges: sketch.edges };
}

function lineOf(known: Known | undefined, shape: readonly number[]): string {
  return `${known?.name ?? 'constant'} ${shapeText(shape)}`;
}

/** Names joined by +, in lines of about thirty characters. */
function wrapped(names: readonly string[]): string[] {
  const lines: string[] = [];
  for (const name of names) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + name.length < 30) lines[lines.length - 1] = `${last} + ${name}`;
    else lines.push(last === undefined ? name : `+ ${name}`);
  }
  return lines;
}

/**
 * Draws a net as SVG text: the operations that its code makes, and beside them the kernels that a hybridized call runs. Parameters stand in the box that reads them,
 * with their shapes. Nothing is computed; layers are in inference mode. Light or dark as the page's `color-scheme` says; a page's custom properties `--webgluon-ink`, `--webgluon-paper`
 * and `--webgluon-line` go before that.
 *
 * @param shape of the input, or an array; a list of them for several inputs
 * @throws NotInitializedError before `initialize`
 * @example
 * document.body.innerHTML = viz.plotNetwork(net, [1, 1, 28, 28]);
 */
export function plotNetwork(
  net: AnyBlock,
  shape: LookInput | readonly LookInput[],
  options?: PlotOptions,
): string {
  const op = 'plotNetwork';
  if (!isBlock(net))
    throw new ArgumentError(
      `expected a block, received ${describe(net)}. Write viz.plotNetwork(net, [1, 1, 28, 28]).`,
      {
        op,
      },
    );
  const values = readArgs(op, [options], [], ['fused']);
  const looked = lookInto(op, net, inputsOf(shape));
  const panels: Panel[] = [];
  const fused = values['fused'] === undefined ? undefined : booleanArg(op, values, 'fused', false);
  if (fused !== true) panels.push(written(looked));
  if (fused !== false) panels.push(fusedPanel(looked));
  const { name, className } = stateOf(net);
  const what = `${name === '' ? className : `${name} (${className})`}`;
  const given = looked.trace.externals.filter(({ argument }) => argument !== null);
  return svgText(
    `Graph of ${what}`,
    `${what} for input ${given.map(({ ref }) => shapeText(ref.shape)).join(', ')}. ${panels.map(({ heading }) => heading).join('. ')}.`,
    panels,
  );
}

function inputsOf(shape: LookInput | readonly LookInput[]): readonly LookInput[] {
  const several = Array.isArray(shape) && shape.some((part: unknown) => typeof part !== 'number');
  return several ? (shape as readonly LookInput[]) : [shape as LookInput];
}
