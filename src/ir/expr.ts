// Expressions over scalars: what an elementwise operation, a reduction's load or a product's store computes per element.
// Plain data, written once per operation; each device turns it into its own code, and derivatives are found from it.

/** The words of a text, as a type. */
type Words<T extends string> = T extends `${infer First} ${infer Rest}` ? First | Words<Rest> : T;

const UNARY =
  'neg abs sign floor ceil rint trunc exp expm1 log log1p sqrt cbrt sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfinv isnan isinf not';

const BINARY = 'add sub mul div mod fmod pow max min atan2 eq ne lt le gt ge and or xor';

/** Functions of one number. `not` gives 1 for zero and 0 else; `rint` rounds halves to even; `isnan` gives 0 or 1. */
export type UnaryName = Words<typeof UNARY>;

/**
 * Functions of two numbers. Comparisons and `and or xor` give 0 or 1 in the compute type. `mod` has the sign of the divisor (as
 * Python), `fmod` that of the dividend (as C). `max` and `min` give NaN if either is NaN. Integer `div` truncates, and by zero gives 0.
 */
export type BinaryName = Words<typeof BINARY>;

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

type Unary = (a: ExprLike) => Expr;
type Binary = (a: ExprLike, b: ExprLike) => Expr;

/** A builder for each of some names. */
function builders<T extends string, F>(names: T, make: (name: Words<T>) => F): Record<Words<T>, F> {
  const list = names.split(' ') as Words<T>[];
  return Object.fromEntries(list.map((name) => [name, make(name)])) as Record<Words<T>, F>;
}

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
  ...builders(
    UNARY,
    (name): Unary =>
      (a) => ({ kind: 'unary', name, a: toExpr(a) }),
  ),
  ...builders(
    BINARY,
    (name): Binary =>
      (a, b) => ({ kind: 'binary', name, a: toExpr(a), b: toExpr(b) }),
  ),
} as const;

const LEAVES = { input: 'i', scalar: 's', stage: 'r', index: '#', length: 'L' } as const;

/** A leaf's text in keys; undefined for what has operands. */
function leafKey(x: Expr): string | undefined {
  if (x.kind === 'const') return Object.is(x.value, -0) ? '-0' : String(x.value);
  if (x.kind === 'unary' || x.kind === 'binary' || x.kind === 'select') return undefined;
  return LEAVES[x.kind] + ('index' in x ? x.index : '');
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
  interface Part {
    readonly number: number;
    readonly write: () => string;
  }
  const parts = new Map<string, Part>();
  const known = new Map<Expr, Part>();
  let begun = 0;
  // equal parts are one
  const partOf = (of: Expr): Part => {
    let part = known.get(of);
    if (part !== undefined) return part;
    const leaf = leafKey(of);
    const operands = operandsOf(of).map(partOf);
    const name = 'name' in of ? of.name : of.kind;
    const text = leaf ?? `${name}(${operands.map((p) => p.number).join()})`;
    part = parts.get(text);
    if (part === undefined) {
      let place: number | undefined;
      const write = (): string => {
        if (place !== undefined) return `$${place}`;
        place = begun++;
        return `${name}(${operands.map((p) => p.write()).join()})`;
      };
      part = { number: parts.size, write: leaf === undefined ? write : () => leaf };
      parts.set(text, part);
    }
    known.set(of, part);
    return part;
  };
  return partOf(x).write();
}
