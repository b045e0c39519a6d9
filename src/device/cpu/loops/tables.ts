// The loops by compute type, and those of a heap that has compiled kernels.
import type { ComputeType } from '../../../core/dtype.ts';
import { SMALL } from '../../digits.ts';
import type { Heap } from '../heap.ts';
import { toInt32, toUint32 } from '../scalarMath.ts';
import type { Kernels } from '../wasm/load.ts';
import { vectorLoops } from '../wasm/loops.ts';
import { FLOATS } from './floats.ts';
import { integerLoops } from './integers.ts';
import type { LoopTable } from './loop.ts';

export type LoopTables = { readonly [K in ComputeType]: LoopTable };

/** JavaScript alone. */
const LOOPS: LoopTables = {
  f32: FLOATS,
  f64: FLOATS,
  i32: integerLoops(toInt32),
  u32: integerLoops(toUint32),
};

/** Tables for few and for many elements. */
export interface Loops {
  readonly few: LoopTables;
  readonly many: LoopTables;
}

const byKernels = new WeakMap<Kernels, Loops>();

export function loopsOf(heap: Heap): Loops {
  const { kernels } = heap;
  let loops = byKernels.get(kernels);
  if (loops === undefined) {
    const { exact, fast, integers } = vectorLoops(kernels.vector);
    const few = { ...LOOPS, f32: exact, i32: integers(LOOPS.i32), u32: integers(LOOPS.u32) };
    loops = { few, many: { ...few, f32: fast } };
    byKernels.set(kernels, loops);
  }
  return loops;
}

/** The tables for a kernel over `size` elements in all, however its work is cut. */
export function tablesFor(loops: Loops, size: number): LoopTables {
  return size > SMALL ? loops.many : loops.few;
}
