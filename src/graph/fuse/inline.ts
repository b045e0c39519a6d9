// Puts an elementwise loop's expression where its result is read: into another loop, into what rows load, beside what products and pooling store. And the other way round: what follows
// a kernel into its store. Whether it pays is decided in elementwise.ts; here it is done, or found impossible.
import { fromHalf, toHalf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import type { GraphNode, GraphOperand } from '../../ir/graph.ts';
import { isContiguous, joinStrides, type Located, locate, regroup, splitStrides, through } from './access.ts';
import { allowed, type Limits, leavesOf, sameDigits, substitute } from './expressions.ts';
import type { Host } from './host.ts';
import { holds, type Leaf, Leaves, moved, nodeOf, type Piece } from './piece.ts';

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
  const all = new Leaves<Leaf>([], consumer.scalars);
  const exprsOf = leaves.map((leaf, k): Expr => {
    const place = located.get(k);
    if (place === undefined) return all.add(leaf, extents);
    const own = producer.leaves.map((l) => all.add({ operand: l.operand, ...through(place, l) }, extents));
    return moved(expr, producer, own, all);
  });
  const exprs = consumer.exprs.map((x) =>
    substitute(x, (l) => (l.kind === 'input' ? (exprsOf[l.index] as Expr) : l), consumer.type),
  );
  if (!sameDigits(limits, sizeOf(producer.extents), sizeOf(extents), expr)) return null;
  const ops = [...producer.ops, ...consumer.ops];
  const node = nodeOf({ ...consumer, extents, leaves: all.leaves, scalars: all.scalars, exprs, ops });
  return node !== null && allowed(node, exprs, limits) ? node : null;
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
  const all = new Leaves(host.leaves, host.scalars);
  const put: (Expr | undefined)[] = [];
  for (const [i, leaf] of host.leaves.entries()) {
    if (leaf?.operand.value !== value) continue;
    const found = readsThrough(producer, value, leaf, host.type)
      ? locate(host.space, leaf, producer.extents)
      : null;
    if (found === null) return null;
    const own: Expr[] = [];
    for (const { operand, ...from } of producer.leaves) {
      const { offset, strides } = through(found, from);
      const joined = joinStrides(found, strides, host.space);
      if (joined === null) return null;
      own.push(all.add({ operand, offset, strides: joined }, host.space));
    }
    put[i] = moved(expr, producer, own, all);
  }
  if (!sameDigits(limits, sizeOf(producer.extents), host.size, expr)) return null;
  const exprs = host.exprs.map((x) =>
    substitute(x, (l) => (l.kind === 'input' ? (put[l.index] ?? l) : l), host.type),
  );
  const ops = [...producer.ops, ...host.node.ops];
  const node = host.close({ ...all, exprs }, ops, host.node.outputs[0] as GraphOperand);
  // a product's or a pooling's own inputs are read as they lie
  if (node === null || node.inputs.some((x) => x.value === value)) return null;
  return allowed(node, exprs, limits) ? node : null;
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
  const size = sizeOf(host.stored);
  if (sizeOf(consumer.extents) !== size) return null;
  const all = new Leaves(host.leaves, host.scalars);
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
    leaves.push(all.add({ ...leaf, strides: host.fromStored(strides) }, host.space));
  }
  if (!sameDigits(limits, size, host.size, expr)) return null;
  const exprs = [...host.exprs.slice(0, -1), moved(expr, consumer, leaves, all)];
  const node = host.close({ ...all, exprs }, [...host.node.ops, ...consumer.ops], target);
  return node !== null && allowed(node, exprs, limits) ? node : null;
}
