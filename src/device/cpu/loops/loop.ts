// What a loop over elements is, and the tables that name one for every primitive and compute type.
import type { ComputeType } from '../../../core/dtype.ts';
import type { BinaryName, UnaryName } from '../../../ir/expr.ts';
import * as f32 from './f32.ts';
import * as f64 from './f64.ts';
import * as i32 from './i32.ts';
import * as u32 from './u32.ts';

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

export type UnaryTable = { readonly [K in UnaryName]: Loop };
export type BinaryTable = { readonly [K in BinaryName]: Loop };

export interface LoopTable {
  readonly unary: UnaryTable;
  readonly binary: BinaryTable;
  readonly select: Loop;
}

export const LOOPS: { readonly [K in ComputeType]: LoopTable } = { f32, f64, i32, u32 };
