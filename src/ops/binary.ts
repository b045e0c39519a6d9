// Functions of two operands that broadcast by NumPy's rule, with numbers allowed on either side: arithmetic, comparison, logic.
// Both arrays have one dtype, and so has the result: comparisons give 0 and 1 in it, as MXNet's do.
import type { NDArray } from '../array/ndarray.ts';
import { e } from '../ir/expr.ts';
import { type Binary, binary as define } from './elementwise.ts';

const arithmetic = (name: string, f: Parameters<typeof define>[2]): ReturnType<typeof define> =>
  define(name, 'binary', f, { inPlace: true });
const plain = (name: string, f: Parameters<typeof define>[2], float = false): Binary =>
  define(name, 'binary', f, { float }).call;

type Into = (a: NDArray, b: NDArray | number) => NDArray;

const adds = arithmetic('add', e.add);
const subs = arithmetic('sub', e.sub);
const muls = arithmetic('mul', e.mul);
const divs = arithmetic('div', e.div);
const mods = arithmetic('mod', e.mod);
const pows = arithmetic('pow', e.pow);

/**
 * a + b, element by element.
 *
 * @throws ShapeError where the shapes do not broadcast; DTypeError where the dtypes differ; ContextError for mixed contexts
 * @example
 * nd.array([[1, 2]]).add(nd.array([[10], [20]])); // [[11, 12], [21, 22]]
 */
export const add: Binary = adds.call;
/** a − b. */
export const sub: Binary = subs.call;
/** a − b; the same as `sub`. */
export const subtract: Binary = sub;
/** a · b, element by element (`dot` is the matrix product). */
export const mul: Binary = muls.call;
/** a · b; the same as `mul`. */
export const multiply: Binary = mul;
/** a / b. Integers are divided towards zero, and by zero give 0. */
export const div: Binary = divs.call;
/** a / b; the same as `div`. */
export const divide: Binary = div;
/** The remainder with the sign of b, as Python's %. */
export const mod: Binary = mods.call;
/** The remainder; the same as `mod`. */
export const modulo: Binary = mod;
/** aᵇ. */
export const pow: Binary = pows.call;
/** aᵇ; the same as `pow`. */
export const power: Binary = pow;
/** b − a: `a.rsub(1)` is 1 − a. */
export const rsub: Binary = subs.reversed;
/** b / a: `a.rdiv(1)` is 1 / a. */
export const rdiv: Binary = divs.reversed;
/** The remainder of b by a. */
export const rmod: Binary = mods.reversed;
/** bᵃ: `a.rpow(2)` is 2ᵃ. */
export const rpow: Binary = pows.reversed;
/** a ← a + b, in a's own memory; returns a. b broadcasts to a. */
export const iadd: Into = adds.into;
/** a ← a − b, in a's own memory. */
export const isub: Into = subs.into;
/** a ← a · b, in a's own memory. */
export const imul: Into = muls.into;
/** a ← a / b, in a's own memory. */
export const idiv: Into = divs.into;
/** a ← a mod b, in a's own memory. */
export const imod: Into = mods.into;
/** a ← aᵇ, in a's own memory. */
export const ipow: Into = pows.into;

/** 1 where a = b, else 0. */
export const equal: Binary = plain('equal', e.eq);
/** 1 where a ≠ b, else 0. */
export const notEqual: Binary = plain('notEqual', e.ne);
/** 1 where a > b, else 0. */
export const greater: Binary = plain('greater', e.gt);
/** 1 where a ≥ b, else 0. */
export const greaterEqual: Binary = plain('greaterEqual', e.ge);
/** 1 where a < b, else 0. */
export const lesser: Binary = plain('lesser', e.lt);
/** 1 where a ≤ b, else 0. */
export const lesserEqual: Binary = plain('lesserEqual', e.le);
/** 1 where both are not 0, else 0. */
export const logicalAnd: Binary = plain('logicalAnd', e.and);
/** 1 where one is not 0, else 0. */
export const logicalOr: Binary = plain('logicalOr', e.or);
/** 1 where exactly one is not 0, else 0. */
export const logicalXor: Binary = plain('logicalXor', e.xor);
/** The greater of both; NaN where either is NaN. */
export const maximum: Binary = plain('maximum', e.max);
/** The lesser of both; NaN where either is NaN. */
export const minimum: Binary = plain('minimum', e.min);
/** √(a² + b²). */
export const hypot: Binary = plain(
  'hypot',
  (a, b) => {
    const sum = e.add(e.mul(a, a), e.mul(b, b));
    // so that the gradient at the origin is 0
    return e.select(e.eq(sum, 0), 0, e.sqrt(sum));
  },
  true,
);
/** The angle of the point (b, a), in radians. */
export const arctan2: Binary = plain('arctan2', e.atan2, true);
/** The remainder with the sign of a, as C's fmod. */
export const fmod: Binary = plain('fmod', e.fmod);
