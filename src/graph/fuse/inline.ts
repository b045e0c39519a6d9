// Puts an elementwise loop's expression where its result is read: into another loop, into what rows load, beside what products and pooling store. And the other way round: what follows
// a kernel into its store. Whether it pays is decided in elementwise.ts; here it is done, or found impossible.
import { fromHalf, toHalf } from '../../core/dtype.ts';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { GraphNode, GraphOperand } from '../../ir/graph.ts';
import { isContiguous, joinStrides, type Located, locate, regroup, splitStrides, through } from './access.ts';
import { leavesOf, sameDigits, substitute, withinBounds } from './expressions.ts';
import type { Contents, Host } from './host.ts';
import { holds, type Leaf, Leaves, nodeOf, type Piece } from './piece.ts';

export interface Limits {
  /** Storage bindings of one kernel, outputs included. */
  readonly maxBindings: number;
  readonly kind: 'cpu' | 'gpu';
}

/** Whether a kernel has few enough operands and small enough expressions. */
export function allowed(node: GraphNode, exprs: readonly Expr[], limits: Limits): boolean {
  return node.inputs.length + node.outputs.length <= limits.maxBindings && withinBounds(...exprs);
}

/** The operations of two nodes, each once where they meet. */
export function joinedOps(first: readonly string[], second: readonly string[]): readonly string[] {
  return [...first, ...second];
}

/** An expression with its leaves and scalars numbered by `into`; leaf i becomes `leaves[i]`. */
function moved(
  expr: Expr,
  piece: Pick<Piece, 'type' | 'scalars'>,
  leaves: readonly Expr[],
  into: Leaves,
): Expr {
  return substitute(
    expr,
    (x) => {
      if (x.kind === 'input') return leaves[x.index] as Expr;
      return x.kind === 'scalar' ? e.scalar(into.addScalar(piece.scalars[x.index] ?? Number.NaN)) : x;
    },
    piece.type,
  );
}

/** Whether two compute in the same numbers with a value between them that loses nothing. */
function agrees(producer: Piece, value: number, type: Piece['type']): boolean {
  const out = producer.outputs.find((x) => x.value === value);
  return out !== undefined && producer.type === type && holds(out.dtype, type);
}

/** A move changes no numbers: it may be read through whatever it converts from, if what it is read as is what it is stored as. */
function readsThrough(producer: Piece, value: number, leaf: Leaf, type: Piece['type']): boolean {
  const out = producer.outputs.find((x) => x.value === value);
  if (out === undefined || out.dtype !== leaf.operand.dtype) return false;
  const [expr] = producer.exprs;
  const bare = producer.exprs.length === 1 && expr?.kind === 'input';
  if (!bare) return agrees(producer, value, type);
  return producer.leaves[expr.index]?.operand.dtype === out.dtype || holds(out.dtype, type);
}

/**
 * The consumer with the producer's expression in the place of every leaf that reads `value`; null where that cannot be.
 */
export function inlined(producer: Piece, value: number, consumer: Piece, limits: Limits): GraphNode | null {
  const at = producer.outputs.findIndex((x) => x.value === value);
  const expr = producer.exprs[at];
  if (expr === undefined) return null;
  const usesIndex = leavesOf(expr).index;
  let { extents } = consumer;
  let leaves = [...consumer.leaves];
  const located = new Map<number, Located>();
  for (let k = 0; k < leaves.length; k++) {
    const leaf = leaves[k] as Leaf;
    if (leaf.operand.value !== value) continue;
    if (!readsThrough(producer, value, leaf, consumer.type)) return null;
    const whole = leaf.offset === 0 && isContiguous(extents, leaf.strides);
    if (usesIndex && !whole) return null;
    const found = locate(extents, leaf, producer.extents);
    if (found === null) return null;
    if (found.extents.length !== extents.length) {
      // the loop has more axes from here on
      leaves = leaves.map((l) => ({ ...l, strides: splitStrides(found, l.strides) }));
      for (const [i, before] of located) located.set(i, refined(before, found));
      ({ extents } = found);
    }
    located.set(k, found);
  }
  const all = new Leaves([], consumer.scalars);
  const exprsOf = leaves.map((leaf, k): Expr => {
    const place = located.get(k);
    if (place === undefined) return e.input(all.add(leaf, extents));
    const own = producer.leaves.map((l) =>
      e.input(all.add({ operand: l.operand, ...through(place, l) }, extents)),
    );
    return moved(expr, producer, own, all);
  });
  const exprs = consumer.exprs.map((x) =>
    substitute(x, (l) => (l.kind === 'input' ? (exprsOf[l.index] as Expr) : l), consumer.type),
  );
  const [from, to] = [elements(producer.extents), elements(extents)];
  if (limits.kind === 'cpu' && !sameDigits(from, to, expr)) return null;
  const ops = joinedOps(producer.ops, consumer.ops);
  const node = nodeOf({ ...consumer, extents, leaves: all.leaves, scalars: all.scalars, exprs, ops });
  return node !== null && allowed(node, exprs, limits) ? node : null;
}

function elements(extents: readonly number[]): number {
  return extents.reduce((n, d) => n * d, 1);
}

/** What was located before the loop's axes were split once more. */
function refined(before: Located, split: Located): Located {
  return {
    extents: split.extents,
    axes: split.axes.map((a) => before.axes[a] as number),
    times: split.axes.map((a, k) => (before.times[a] as number) * (split.times[k] as number)),
    along: split.axes.map((a) => before.along[a] as number),
    steps: split.axes.map((a, k) => (before.steps[a] as number) * (split.times[k] as number)),
    first: before.first,
  };
}

/** The host with the producer's expression in the place of every leaf that reads `value`; null where that cannot be. */
export function inlinedIntoHost(
  producer: Piece,
  value: number,
  host: Host,
  limits: Limits,
): GraphNode | null {
  const at = producer.outputs.findIndex((x) => x.value === value);
  const expr = producer.exprs[at];
  if (expr === undefined || leavesOf(expr).index) return null;
  const all = new HostLeaves(host);
  const put: (Expr | null)[] = [];
  for (const leaf of host.leaves) {
    if (leaf === null || leaf.operand.value !== value) {
      put.push(null);
      continue;
    }
    if (!readsThrough(producer, value, leaf, host.type)) return null;
    const found = locate(host.space, leaf, producer.extents);
    if (found === null) return null;
    const own: Expr[] = [];
    for (const l of producer.leaves) {
      const access = through(found, l);
      const strides = joinStrides(found, access.strides, host.space);
      if (strides === null) return null;
      own.push(e.input(all.add({ operand: l.operand, offset: access.offset, strides })));
    }
    put.push(moved(expr, producer, own, all.scalars));
  }
  if (limits.kind === 'cpu' && !sameDigits(elements(producer.extents), host.size, expr)) return null;
  const exprs = host.exprs.map((x) =>
    substitute(x, (l) => (l.kind === 'input' ? (put[l.index] ?? l) : l), host.type),
  );
  const ops = joinedOps(producer.ops, host.node.ops);
  const node = host.close(all.contents(exprs), ops, host.node.outputs[0] as GraphOperand);
  // a product's or a pooling's own inputs are read as they lie
  if (node === null || node.inputs.some((x) => x.value === value)) return null;
  return allowed(node, exprs, limits) ? node : null;
}

/** The leaves of a host, and those that come with what is put into it. */
class HostLeaves {
  readonly #leaves: (Leaf | null)[];
  readonly #space: readonly number[];
  readonly scalars: Leaves;

  constructor(host: Host) {
    this.#leaves = [...host.leaves];
    this.#space = host.space;
    this.scalars = new Leaves([], host.scalars);
  }

  add(leaf: Leaf): number {
    const some = this.#leaves.flatMap((l, i) => (l === null ? [] : [[l, i] as const]));
    const known = new Leaves(some.map(([l]) => l));
    const at = known.add(leaf, this.#space);
    return at < some.length ? (some[at]?.[1] as number) : this.#leaves.push(leaf) - 1;
  }

  contents(exprs: readonly Expr[]): Contents {
    return { exprs, leaves: this.#leaves, scalars: this.scalars.scalars };
  }
}

/**
 * Whether an expression gives the same when its input `index` comes unrounded and only the result is rounded to float16: choices between numbers do. The other inputs are float16.
 */
function roundsAlike(x: Expr, index: ReadonlySet<number>): boolean {
  switch (x.kind) {
    case 'input':
      return true;
    case 'const':
      return fromHalf(toHalf(x.value)) === x.value;
    case 'unary':
      return (x.name === 'neg' || x.name === 'abs') && roundsAlike(x.a, index);
    case 'binary':
      return (x.name === 'max' || x.name === 'min') && roundsAlike(x.a, index) && roundsAlike(x.b, index);
    case 'select': {
      const { inputs } = leavesOf(x.test);
      return ![...inputs].some((i) => index.has(i)) && roundsAlike(x.yes, index) && roundsAlike(x.no, index);
    }
    default:
      return false;
  }
}

/** Whether what comes after a value of that dtype may have it before it is rounded. */
function keepsRounding(
  result: GraphOperand,
  target: GraphOperand,
  { leaves, type }: Piece,
  expr: Expr,
): boolean {
  if (holds(result.dtype, type)) return true;
  const half = [result, target, ...leaves.map((l) => l.operand)].every((x) => x.dtype === 'float16');
  const own = leaves.flatMap((l, i) => (l.operand.value === result.value ? [i] : []));
  return half && roundsAlike(expr, new Set(own));
}

/**
 * The host with what follows it in its store: `consumer` reads the host's first output, element by element, and has one output, which takes that one's place. Null where that cannot be.
 */
export function absorbed(host: Host, consumer: Piece, limits: Limits): GraphNode | null {
  const [result, target] = [host.node.outputs[0], consumer.outputs[0]];
  const [expr] = consumer.exprs;
  if (result === undefined || target === undefined || expr === undefined || consumer.exprs.length > 1)
    return null;
  if (consumer.type !== host.type || !keepsRounding(result, target, consumer, expr)) return null;
  if (leavesOf(expr).index) return null;
  const size = elements(host.stored);
  if (elements(consumer.extents) !== size) return null;
  const all = new HostLeaves(host);
  const last = host.exprs[host.exprs.length - 1] as Expr;
  const leaves: Expr[] = [];
  for (const leaf of consumer.leaves) {
    if (leaf.operand.value === result.value) {
      if (leaf.operand.dtype !== result.dtype || leaf.offset !== 0) return null;
      if (!isContiguous(consumer.extents, leaf.strides)) return null;
      leaves.push(last);
      continue;
    }
    const strides = regroup(consumer.extents, leaf.strides, host.stored);
    if (strides === null || (host.reordered && strides.some((s) => s !== 0))) return null;
    leaves.push(e.input(all.add({ ...leaf, strides: host.fromStored(strides) })));
  }
  if (limits.kind === 'cpu' && !sameDigits(size, host.size, expr)) return null;
  const store = moved(expr, consumer, leaves, all.scalars);
  const exprs = [...host.exprs.slice(0, -1), store];
  const node = host.close(all.contents(exprs), joinedOps(host.node.ops, consumer.ops), target);
  return node !== null && allowed(node, exprs, limits) ? node : null;
}
