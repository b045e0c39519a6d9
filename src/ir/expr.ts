// Expressions over scalars: what an elementwise operation, a reduction's load or a product's store computes per element.
// Plain data, written once per operation; each device turns it into its own code, and derivatives are found from it.

/** Functions of one number. `not` gives 1 for zero and 0 else; `rint` rounds halves to even; `isnan` gives 0 or 1. */
export type UnaryName =
  | 'neg'
  | 'abs'
  | 'sign'
  | 'floor'
  | 'ceil'
  | 'rint'
  | 'trunc'
  | 'exp'
  | 'expm1'
  | 'log'
  | 'log1p'
  | 'sqrt'
  | 'cbrt'
  | 'sin'
  | 'cos'
  | 'tan'
  | 'asin'
  | 'acos'
  | 'atan'
  | 'sinh'
  | 'cosh'
  | 'tanh'
  | 'asinh'
  | 'acosh'
  | 'atanh'
  | 'erf'
  | 'erfinv'
  | 'isnan'
  | 'isinf'
  | 'not';

/**
 * Functions of two numbers. Comparisons and `and or xor` give 0 or 1 in the compute type. `mod` has the sign of the divisor (as
 * Python), `fmod` that of the dividend (as C). `max` and `min` give NaN if either is NaN. Integer `div` truncates, and by zero gives 0.
 */
export type BinaryName =
  | 'add'
  | 'sub'
  | 'mul'
  | 'div'
  | 'mod'
  | 'fmod'
  | 'pow'
  | 'max'
  | 'min'
  | 'atan2'
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'and'
  | 'or'
  | 'xor';

/**
 * - `input`: the element of input `index` (broadcast to the output's place).
 * - `scalar`: run-time scalar `index`, passed with the call, so that a changed number needs no new kernel.
 * - `const`: a number baked into the kernel (may be Infinity, -Infinity or NaN).
 * - `index`: elementwise: the linear index of the output element; in a row kernel: the position along the reduced axis.
 * - `length`: row kernels only: the number of elements along the reduced axis.
 * - `stage`: row kernels only: the result of stage `index`.
 * - `select`: `yes` where `test` is not zero (NaN counts as not zero), else `no`.
 */
export type Expr =
  | { readonly kind: 'input'; readonly index: number }
  | { readonly kind: 'scalar'; readonly index: number }
  | { readonly kind: 'const'; readonly value: number }
  | { readonly kind: 'index' }
  | { readonly kind: 'length' }
  | { readonly kind: 'stage'; readonly index: number }
  | { readonly kind: 'unary'; readonly name: UnaryName; readonly a: Expr }
  | { readonly kind: 'binary'; readonly name: BinaryName; readonly a: Expr; readonly b: Expr }
  | { readonly kind: 'select'; readonly test: Expr; readonly yes: Expr; readonly no: Expr };

/** Something that may stand where an expression is wanted. */
export type ExprLike = Expr | number;

function toExpr(x: ExprLike): Expr {
  return typeof x === 'number' ? { kind: 'const', value: x } : x;
}

const unary =
  (name: UnaryName) =>
  (a: ExprLike): Expr => ({ kind: 'unary', name, a: toExpr(a) });
const binary =
  (name: BinaryName) =>
  (a: ExprLike, b: ExprLike): Expr => ({ kind: 'binary', name, a: toExpr(a), b: toExpr(b) });

/** Builders: `e.add(e.input(0), 1)`. */
export const e = {
  input: (index: number): Expr => ({ kind: 'input', index }),
  scalar: (index: number): Expr => ({ kind: 'scalar', index }),
  constant: (value: number): Expr => ({ kind: 'const', value }),
  index: { kind: 'index' } as Expr,
  length: { kind: 'length' } as Expr,
  stage: (index: number): Expr => ({ kind: 'stage', index }),
  select: (test: ExprLike, yes: ExprLike, no: ExprLike): Expr => ({
    kind: 'select',
    test: toExpr(test),
    yes: toExpr(yes),
    no: toExpr(no),
  }),
  neg: unary('neg'),
  abs: unary('abs'),
  sign: unary('sign'),
  floor: unary('floor'),
  ceil: unary('ceil'),
  rint: unary('rint'),
  trunc: unary('trunc'),
  exp: unary('exp'),
  expm1: unary('expm1'),
  log: unary('log'),
  log1p: unary('log1p'),
  sqrt: unary('sqrt'),
  cbrt: unary('cbrt'),
  sin: unary('sin'),
  cos: unary('cos'),
  tan: unary('tan'),
  asin: unary('asin'),
  acos: unary('acos'),
  atan: unary('atan'),
  sinh: unary('sinh'),
  cosh: unary('cosh'),
  tanh: unary('tanh'),
  asinh: unary('asinh'),
  acosh: unary('acosh'),
  atanh: unary('atanh'),
  erf: unary('erf'),
  erfinv: unary('erfinv'),
  isnan: unary('isnan'),
  isinf: unary('isinf'),
  not: unary('not'),
  add: binary('add'),
  sub: binary('sub'),
  mul: binary('mul'),
  div: binary('div'),
  mod: binary('mod'),
  fmod: binary('fmod'),
  pow: binary('pow'),
  max: binary('max'),
  min: binary('min'),
  atan2: binary('atan2'),
  eq: binary('eq'),
  ne: binary('ne'),
  lt: binary('lt'),
  le: binary('le'),
  gt: binary('gt'),
  ge: binary('ge'),
  and: binary('and'),
  or: binary('or'),
  xor: binary('xor'),
} as const;

/** A leaf's text in keys; null for what has operands. */
function leafKey(x: Expr): string | null {
  switch (x.kind) {
    case 'input':
      return `i${x.index}`;
    case 'scalar':
      return `s${x.index}`;
    case 'const':
      return Object.is(x.value, -0) ? '-0' : String(x.value);
    case 'index':
      return '#';
    case 'length':
      return 'L';
    case 'stage':
      return `r${x.index}`;
    default:
      return null;
  }
}

/** What an expression is made of, in order. */
export function operandsOf(x: Expr): readonly Expr[] {
  switch (x.kind) {
    case 'unary':
      return [x.a];
    case 'binary':
      return [x.a, x.b];
    case 'select':
      return [x.test, x.yes, x.no];
    default:
      return [];
  }
}

/**
 * A text that two expressions share exactly if they are the same; serves as a cache key. `$n` stands for a part that was written out before, the n-th that
 * began, so that the text is as short as the expression has different parts, however often they are shared.
 * @example exprKey(e.add(e.exp(e.input(0)), e.exp(e.input(0)))) // 'add(exp(i0),$1)'
 */
export function exprKey(x: Expr): string {
  const numbers = new Map<string, number>();
  const texts: (string | null)[] = [];
  const known = new Map<Expr, number>();
  const parts: (readonly [name: string, operands: readonly number[]])[] = [];
  // equal parts get one number
  const number = (of: Expr): number => {
    const before = known.get(of);
    if (before !== undefined) return before;
    const leaf = leafKey(of);
    const operands = operandsOf(of).map(number);
    const name = of.kind === 'unary' || of.kind === 'binary' ? of.name : of.kind;
    const text = leaf ?? `${name}(${operands.join()})`;
    let place = numbers.get(text);
    if (place === undefined) {
      place = numbers.size;
      numbers.set(text, place);
      texts.push(leaf);
      parts.push([name, operands]);
    }
    known.set(of, place);
    return place;
  };
  const begun = new Map<number, number>();
  const write = (place: number): string => {
    const leaf = texts[place];
    if (leaf != null) return leaf;
    const earlier = begun.get(place);
    if (earlier !== undefined) return `$${earlier}`;
    begun.set(place, begun.size);
    const [name, operands] = parts[place] as (typeof parts)[number];
    return `${name}(${operands.map(write).join()})`;
  };
  return write(number(x));
}
