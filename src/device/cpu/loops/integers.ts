// The primitives on 32-bit integers. Most are the floats' loops: the store truncates what is real, wraps what is too large, and makes 0 of ∞ and NaN, so of what is
// divided by 0. Here are those whose doubles are not exact and those of real numbers, which are truncated and saturated.
import { powInt } from '../scalarMath.ts';
import { FLOATS } from './floats.ts';
import type { LoopTable } from './loop.ts';

/** Functions whose values are whole numbers if their arguments are. */
const WHOLE = /^(?:neg|abs|sign|floor|ceil|rint|trunc|is...|not)$/;

/** The table of a type to which `to` truncates. */
export function integerLoops(to: (x: number) => number): LoopTable {
  const unary = { ...FLOATS.unary };
  const cell = new Float64Array(1);
  for (const name of Object.keys(unary) as (keyof typeof unary)[])
    if (!WHOLE.test(name))
      unary[name] = (m, n, o, a, sa) => {
        for (let i = 0; i < n; i++, a += sa) {
          cell[0] = m[a] as number;
          FLOATS.unary[name](cell, 1, 0, 0, 0, 0, 0, 0, 0);
          m[o + i] = to(cell[0]);
        }
      };
  return {
    ...FLOATS,
    unary,
    binary: {
      ...FLOATS.binary,
      mul(m, n, o, a, sa, b, sb) {
        for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = Math.imul(m[a] as number, m[b] as number);
      },
      pow(m, n, o, a, sa, b, sb) {
        for (let i = 0; i < n; i++, a += sa, b += sb) m[o + i] = powInt(m[a] as number, m[b] as number);
      },
      atan2(m, n, o, a, sa, b, sb) {
        for (let i = 0; i < n; i++, a += sa, b += sb)
          m[o + i] = to(Math.atan2(m[a] as number, m[b] as number));
      },
    },
  };
}
