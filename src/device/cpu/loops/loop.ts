// What a loop over elements is; the tables of them stand in tables.ts.
import type { BinaryName, UnaryName } from '../../../ir/expr.ts';

/** The heap as numbers of one compute type. */
export type Cells = Float32Array | Float64Array | Int32Array | Uint32Array;

/**
 * Computes `n` elements into `m[o …]`. The operands begin at `a`, `b`, `c` and advance by `sa`, `sb`, `sc`: 1 along an array, 0 for
 * a scalar (which lies in a cell of the same memory), anything for a strided array. Unary loops read `a` only, and so on.
 * The result may overwrite an operand of stride 1 that begins at the same place.
 */
export type Loop = (
  m: Cells,
  n: number,
  o: number,
  a: number,
  sa: number,
  b: number,
  sb: number,
  c: number,
  sc: number,
) => void;

export interface LoopTable {
  readonly unary: { readonly [K in UnaryName]: Loop };
  readonly binary: { readonly [K in BinaryName]: Loop };
  readonly select: Loop;
}
