// Derivatives of expressions as one table, and the simplifications that keep them small. Pure; kernels for gradients are made from the results.
import { type BinaryName, type Expr, e, operandsOf, type UnaryName } from './expr.ts';

const ZERO = e.constant(0);
const ONE = e.constant(1);

function isConst(x: Expr, value: number): boolean {
  return x.kind === 'const' && Object.is(x.value, value);
}

// Products with 0 and sums with 0 are dropped: a derivative that is 0 everywhere stays 0 even where the other factor is infinite.
function mul(a: Expr, b: Expr): Expr {
  if (isConst(a, 0) || isConst(b, 0)) return ZERO;
  if (isConst(a, 1)) return b;
  if (isConst(b, 1)) return a;
  if (isConst(a, -1)) return neg(b);
  if (isConst(b, -1)) return neg(a);
  return e.mul(a, b);
}

function add(a: Expr, b: Expr): Expr {
  if (isConst(a, 0)) return b;
  if (isConst(b, 0)) return a;
  return e.add(a, b);
}

function sub(a: Expr, b: Expr): Expr {
  if (isConst(b, 0)) return a;
  if (isConst(a, 0)) return neg(b);
  return e.sub(a, b);
}

function neg(a: Expr): Expr {
  if (a.kind === 'const') return e.constant(a.value === 0 ? 0 : -a.value);
  if (a.kind === 'unary' && a.name === 'neg') return a.a;
  return e.neg(a);
}

function select(test: Expr, yes: Expr, no: Expr): Expr {
  if (yes.kind === 'const' && no.kind === 'const' && Object.is(yes.value, no.value)) return yes;
  return e.select(test, yes, no);
}

const square = (x: Expr): Expr => e.mul(x, x);

/** d f(a) / d a; absent where a function jumps or is flat: 0 there, as every framework has it. */
const UNARY: Readonly<Partial<Record<UnaryName, (a: Expr) => Expr>>> = {
  neg: () => e.constant(-1),
  abs: e.sign,
  exp: e.exp,
  expm1: e.exp,
  log: (a) => e.div(1, a),
  log1p: (a) => e.div(1, e.add(1, a)),
  sqrt: (a) => e.div(0.5, e.sqrt(a)),
  cbrt: (a) => e.div(1 / 3, square(e.cbrt(a))),
  sin: e.cos,
  cos: (a) => e.neg(e.sin(a)),
  tan: (a) => e.add(1, square(e.tan(a))),
  asin: (a) => e.div(1, e.sqrt(e.sub(1, square(a)))),
  acos: (a) => e.div(-1, e.sqrt(e.sub(1, square(a)))),
  atan: (a) => e.div(1, e.add(1, square(a))),
  sinh: e.cosh,
  cosh: e.sinh,
  tanh: (a) => e.sub(1, square(e.tanh(a))),
  asinh: (a) => e.div(1, e.sqrt(e.add(square(a), 1))),
  acosh: (a) => e.div(1, e.sqrt(e.sub(square(a), 1))),
  atanh: (a) => e.div(1, e.sub(1, square(a))),
  erf: (a) => e.mul(2 / Math.sqrt(Math.PI), e.exp(e.neg(square(a)))),
  erfinv: (a) => e.mul(Math.sqrt(Math.PI) / 2, e.exp(square(e.erfinv(a)))),
};

type OfTwo = (a: Expr, b: Expr) => Expr;

const one: OfTwo = () => ONE;
/** A choice rather than the comparison itself: `chain` makes it a choice between products. */
const where =
  (test: OfTwo): OfTwo =>
  (a, b) =>
    e.select(test(a, b), 1, 0);
const FLAT: readonly [OfTwo, OfTwo] = [() => ZERO, () => ZERO];

/** [d f(a, b) / d a, d f(a, b) / d b] of what is not linear; absent where a function jumps. */
const BINARY: Readonly<Partial<Record<BinaryName, readonly [OfTwo, OfTwo]>>> = {
  mul: [(_, b) => b, (a) => a],
  div: [(_, b) => e.div(1, b), (a, b) => e.neg(e.div(a, square(b)))],
  mod: [one, (a, b) => e.neg(e.floor(e.div(a, b)))],
  fmod: [one, (a, b) => e.neg(e.trunc(e.div(a, b)))],
  // aᵇ: b·aᵇ⁻¹, which is 0 where b is 0; and aᵇ·log a, which is 0 where a is 0
  pow: [
    (a, b) => {
      if (b.kind !== 'const') return e.select(e.eq(b, 0), 0, e.mul(b, e.pow(a, e.sub(b, 1))));
      return b.value === 0 ? ZERO : b.value === 2 ? e.mul(2, a) : e.mul(b, e.pow(a, b.value - 1));
    },
    (a, b) => e.select(e.eq(a, 0), 0, e.mul(e.pow(a, b), e.log(a))),
  ],
  // of equals, the first operand takes the gradient (as MXNet's ge and lt)
  max: [where(e.ge), where(e.lt)],
  min: [where(e.le), where(e.gt)],
  atan2: [
    (a, b) => e.div(b, e.add(square(a), square(b))),
    (a, b) => e.neg(e.div(a, e.add(square(a), square(b)))),
  ],
};

/**
 * d x / d input(index) as an expression over the same inputs and scalars.
 * @example differentiate(e.mul(e.input(0), e.input(0)), 0) // input0 + input0
 */
export function differentiate(x: Expr, index: number): Expr {
  switch (x.kind) {
    case 'input':
      return x.index === index ? ONE : ZERO;
    case 'unary': {
      const da = differentiate(x.a, index);
      return mul(UNARY[x.name]?.(x.a) ?? ZERO, da);
    }
    case 'binary': {
      const { name, a, b } = x;
      const [da, db] = [differentiate(a, index), differentiate(b, index)];
      if (name === 'add') return add(da, db);
      if (name === 'sub') return sub(da, db);
      if (name === 'div' && isConst(db, 0)) return isConst(da, 0) || isConst(b, 1) ? da : e.div(da, b);
      const [first, second] = BINARY[name] ?? FLAT;
      return add(mul(first(a, b), da), mul(second(a, b), db));
    }
    case 'select':
      return select(x.test, differentiate(x.yes, index), differentiate(x.no, index));
    default:
      return ZERO;
  }
}

/** The product of a derivative with what comes from above; a choice between derivatives becomes a choice between products, so that 0·∞ does not arise. */
export function chain(derivative: Expr, above: Expr): Expr {
  if (derivative.kind === 'select')
    return select(derivative.test, chain(derivative.yes, above), chain(derivative.no, above));
  return mul(derivative, above);
}

/** The inputs an expression reads, ascending. */
export function inputsOf(x: Expr, found: Set<number> = new Set()): number[] {
  if (x.kind === 'input') found.add(x.index);
  for (const part of operandsOf(x)) inputsOf(part, found);
  return [...found].sort((a, b) => a - b);
}

/** The same expression with its inputs renumbered: `uses[k]` becomes k. */
export function renumber(x: Expr, uses: readonly number[]): Expr {
  switch (x.kind) {
    case 'input':
      return e.input(uses.indexOf(x.index));
    case 'unary':
      return { ...x, a: renumber(x.a, uses) };
    case 'binary':
      return { ...x, a: renumber(x.a, uses), b: renumber(x.b, uses) };
    case 'select':
      return {
        ...x,
        test: renumber(x.test, uses),
        yes: renumber(x.yes, uses),
        no: renumber(x.no, uses),
      };
    default:
      return x;
  }
}
