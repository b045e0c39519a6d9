// Expressions put into each other: substitution that keeps shared parts shared, what they read, what they cost, and the few simplifications that change no bit.
import type { ComputeType } from '../../core/dtype.ts';
import { ROUNDED, SMALL } from '../../device/digits.ts';
import { type Expr, e, operandsOf } from '../../ir/expr.ts';
import type { GraphNode } from '../../ir/graph.ts';

export interface Limits {
  /** Storage bindings of one kernel, outputs included. */
  readonly maxBindings: number;
  readonly kind: 'cpu' | 'gpu';
}

/** A fused expression has at most this many different parts: more would spill registers and take long to compile. */
const MOST_PARTS = 200;
/** And so many if shared parts are counted each time they occur, which bounds what walks over trees take. */
const MOST_UNFOLDED = 2000;

function constantOf(x: Expr): number | null {
  return x.kind === 'const' ? x.value : null;
}

/** The number in the compute type, as a kernel would hold it; null for integers that do not fit. */
export function inType(value: number, type: ComputeType): number | null {
  if (type === 'f32') return Math.fround(value);
  if (type === 'f64') return value;
  const fits =
    Number.isInteger(value) &&
    !Object.is(value, -0) &&
    value >= (type === 'u32' ? 0 : -(2 ** 31)) &&
    value < 2 ** (type === 'u32' ? 32 : 31);
  return fits ? value : null;
}

const BINARY: Readonly<Record<string, (a: number, b: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => a / b,
  max: (a, b) => Math.max(a, b),
  min: (a, b) => Math.min(a, b),
  eq: (a, b) => Number(a === b),
  lt: (a, b) => Number(a < b),
  le: (a, b) => Number(a <= b),
  gt: (a, b) => Number(a > b),
  ge: (a, b) => Number(a >= b),
};

/** One part whose operands are known to be simple already. Only what is exact: x·1, x/1, x − 0, −(−x), and arithmetic of two numbers. */
function simplified(x: Expr, type: ComputeType): Expr {
  if (x.kind === 'unary') {
    if (x.name === 'neg' && x.a.kind === 'unary' && x.a.name === 'neg') return x.a.a;
    const a = constantOf(x.a);
    if (x.name === 'neg' && a !== null && type.startsWith('f')) return e.constant(-a);
    return x;
  }
  if (x.kind === 'select') {
    const test = constantOf(x.test);
    return test === null ? x : test === 0 ? x.no : x.yes;
  }
  if (x.kind !== 'binary') return x;
  const [a, b] = [constantOf(x.a), constantOf(x.b)];
  if (x.name === 'mul' && a === 1) return x.b;
  if ((x.name === 'mul' || x.name === 'div') && b === 1) return x.a;
  if (x.name === 'sub' && Object.is(b, 0)) return x.a;
  const fold = BINARY[x.name];
  if (a !== null && b !== null && fold !== undefined && type.startsWith('f')) {
    const value = inType(fold(inType(a, type) as number, inType(b, type) as number), type);
    if (value !== null) return e.constant(value);
  }
  return x;
}

/** The expression with other leaves; parts that occur several times stay shared. `type`: the numbers it is computed in. */
export function substitute(x: Expr, leaf: (x: Expr) => Expr, type: ComputeType): Expr {
  const done = new Map<Expr, Expr>();
  const visit = (of: Expr): Expr => {
    const known = done.get(of);
    if (known !== undefined) return known;
    const result = visitNew(of);
    done.set(of, result);
    return result;
  };
  const visitNew = (of: Expr): Expr => {
    switch (of.kind) {
      case 'unary': {
        const a = visit(of.a);
        return a === of.a ? of : simplified({ ...of, a }, type);
      }
      case 'binary': {
        const [a, b] = [visit(of.a), visit(of.b)];
        return a === of.a && b === of.b ? of : simplified({ ...of, a, b }, type);
      }
      case 'select': {
        const [test, yes, no] = [visit(of.test), visit(of.yes), visit(of.no)];
        return test === of.test && yes === of.yes && no === of.no
          ? of
          : simplified({ ...of, test, yes, no }, type);
      }
      default:
        return leaf(of);
    }
  };
  return visit(x);
}

/** Every different part once, operands before what is made of them. */
function partsOf(...roots: readonly Expr[]): Expr[] {
  const found = new Set<Expr>();
  const visit = (x: Expr): void => {
    if (found.has(x)) return;
    for (const part of operandsOf(x)) visit(part);
    found.add(x);
  };
  roots.forEach(visit);
  return [...found];
}

/** The inputs that are read, and whether the other leaves occur. */
export interface LeavesUsed {
  readonly inputs: ReadonlySet<number>;
  readonly index: boolean;
  readonly length: boolean;
}

export function leavesOf(...roots: readonly Expr[]): LeavesUsed {
  const parts = partsOf(...roots);
  return {
    inputs: new Set(parts.flatMap((x) => (x.kind === 'input' ? [x.index] : []))),
    index: parts.some((x) => x.kind === 'index'),
    length: parts.some((x) => x.kind === 'length'),
  };
}

const CHEAP: ReadonlySet<string> = new Set(
  'neg abs sign not floor ceil rint trunc add sub mul max min eq ne lt le gt ge and or xor'.split(' '),
);

/** What computing it for one element costs, in additions, roughly. */
export function costOf(x: Expr): number {
  let cost = 0;
  for (const part of partsOf(x)) {
    if (part.kind === 'unary' || part.kind === 'binary') cost += CHEAP.has(part.name) ? 1 : 12;
    else if (part.kind === 'select') cost += 1;
  }
  return cost;
}

/** Whether a kernel has few enough operands and small enough expressions. */
export function allowed(node: GraphNode, exprs: readonly Expr[], { maxBindings }: Limits): boolean {
  const parts = partsOf(...exprs);
  if (node.inputs.length + node.outputs.length > maxBindings || parts.length > MOST_PARTS) return false;
  const sizes = new Map<Expr, number>();
  for (const part of parts) {
    const size = operandsOf(part).reduce((sum, x) => sum + (sizes.get(x) ?? 0), 1);
    if (size > MOST_UNFOLDED) return false;
    sizes.set(part, size);
  }
  return true;
}

const rounded: ReadonlySet<string> = new Set(ROUNDED);

/** Whether an expression moved from a kernel over `from` elements to one over `to` keeps its bits on the CPU; a GPU's have no such promise. */
export function sameDigits({ kind }: Limits, from: number, to: number, x: Expr): boolean {
  return (
    kind === 'gpu' ||
    from > SMALL === to > SMALL ||
    !partsOf(x).some((part) => part.kind === 'unary' && rounded.has(part.name))
  );
}

/** Whether a function other than the simplest is left with an operand that is the same for all elements: its digits would change, and WGSL refuses some of them. */
export function hasFixedFunction(...roots: readonly Expr[]): boolean {
  const varies = new Set<Expr>();
  return partsOf(...roots).some((x) => {
    if (x.kind === 'input' || x.kind === 'index' || x.kind === 'stage') varies.add(x);
    const operands = operandsOf(x);
    if (operands.some((o) => varies.has(o))) varies.add(x);
    else if (operands.length > 0 && (x.kind === 'unary' || x.kind === 'binary'))
      return x.kind === 'unary'
        ? rounded.has(x.name) || operands[0]?.kind === 'const'
        : operands.every((o) => o.kind === 'const');
    return false;
  });
}
