// Functions of two operands that broadcast by NumPy's rule, with numbers allowed on either side: arithmetic, comparison, logic.
// Both arrays have one dtype, and so has the result: comparisons give 0 and 1 in it, as MXNet's do.
import { e } from '../ir/expr.ts';
import { type Binary, binary, type Into, inPlace } from './elementwise.ts';

/**
 * a + b, element by element.
 *
 * @throws ShapeError where the shapes do not broadcast; DTypeError where the dtypes differ; ContextError for mixed contexts
 * @example
 * nd.array([[1, 2]]).add(nd.array([[10], [20]])); // [[11, 12], [21, 22]]
 */
export const add: Binary = binary('add', e.add);
/** a − b. */
export const sub: Binary = binary('sub', e.sub);
/** a − b; the same as `sub`. */
export const subtract: Binary = sub;
/** a · b, element by element (`dot` is the matrix product). */
export const mul: Binary = binary('mul', e.mul);
/** a · b; the same as `mul`. */
export const multiply: Binary = mul;
/** a / b. Integers are divided towards zero, and by zero give 0. */
export const div: Binary = binary('div', e.div);
/** a / b; the same as `div`. */
export const divide: Binary = div;
/** The remainder with the sign of b, as Python's %. */
export const mod: Binary = binary('mod', e.mod);
/** The remainder; the same as `mod`. */
export const modulo: Binary = mod;
/** aᵇ. */
export const pow: Binary = binary('pow', e.pow);
/** aᵇ; the same as `pow`. */
export const power: Binary = pow;
/** b − a: `a.rsub(1)` is 1 − a. */
export const rsub: Binary = (a, b) => sub(b, a);
/** b / a: `a.rdiv(1)` is 1 / a. */
export const rdiv: Binary = (a, b) => div(b, a);
/** The remainder of b by a. */
export const rmod: Binary = (a, b) => mod(b, a);
/** bᵃ: `a.rpow(2)` is 2ᵃ. */
export const rpow: Binary = (a, b) => pow(b, a);
/** a ← a + b, in a's own memory; returns a. b broadcasts to a. */
export const iadd: Into = inPlace('iadd', e.add);
/** a ← a − b, in a's own memory. */
export const isub: Into = inPlace('isub', e.sub);
/** a ← a · b, in a's own memory. */
export const imul: Into = inPlace('imul', e.mul);
/** a ← a / b, in a's own memory. */
export const idiv: Into = inPlace('idiv', e.div);
/** a ← a mod b, in a's own memory. */
export const imod: Into = inPlace('imod', e.mod);
/** a ← aᵇ, in a's own memory. */
export const ipow: Into = inPlace('ipow', e.pow);

/** 1 where a = b, else 0. */
export const equal: Binary = binary('equal', e.eq);
/** 1 where a ≠ b, else 0. */
export const notEqual: Binary = binary('notEqual', e.ne);
/** 1 where a > b, else 0. */
export const greater: Binary = binary('greater', e.gt);
/** 1 where a ≥ b, else 0. */
export const greaterEqual: Binary = binary('greaterEqual', e.ge);
/** 1 where a < b, else 0. */
export const lesser: Binary = binary('lesser', e.lt);
/** 1 where a ≤ b, else 0. */
export const lesserEqual: Binary = binary('lesserEqual', e.le);
/** 1 where both are not 0, else 0. */
export const logicalAnd: Binary = binary('logicalAnd', e.and);
/** 1 where one is not 0, else 0. */
export const logicalOr: Binary = binary('logicalOr', e.or);
/** 1 where exactly one is not 0, else 0. */
export const logicalXor: Binary = binary('logicalXor', e.xor);
/** The greater of both; NaN where either is NaN. */
export const maximum: Binary = binary('maximum', e.max);
/** The lesser of both; NaN where either is NaN. */
export const minimum: Binary = binary('minimum', e.min);
/** √(a² + b²). */
export const hypot: Binary = binary(
  'hypot',
  (a, b) => {
    const sum = e.add(e.mul(a, a), e.mul(b, b));
    // so that the gradient at the origin is 0
    return e.select(e.eq(sum, 0), 0, e.sqrt(sum));
  },
  true,
);
/** The angle of the point (b, a), in radians. */
export const arctan2: Binary = binary('arctan2', e.atan2, true);
/** The remainder with the sign of a, as C's fmod. */
export const fmod: Binary = binary('fmod', e.fmod);
