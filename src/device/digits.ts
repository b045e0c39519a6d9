// Functions whose last digit on the CPU depends on how many elements a kernel has. Fusion keeps to it, so that compiled code gives the eager bits.
import type { UnaryName } from '../ir/expr.ts';

/** Up to this many elements functions such as exp have JavaScript's digits: correctly rounded nearly always, and tutorials print some of them. */
export const SMALL = 512;

/** The functions that have other digits above. */
export const ROUNDED = ['exp', 'log', 'tanh', 'erf'] as const satisfies readonly UnaryName[];
