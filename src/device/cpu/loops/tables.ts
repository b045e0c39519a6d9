// The loops by compute type, and those of a heap that has compiled kernels.
import type { ComputeType } from '../../../core/dtype.ts';
import { SMALL } from '../../digits.ts';
import type { Heap } from '../heap.ts';
import type { Kernels } from '../wasm/load.ts';
import { vectorLoops } from '../wasm/loops.ts';
import * as f32 from './f32.ts';
import * as f64 from './f64.ts';
import * as i32 from './i32.ts';
import type { LoopTable } from './loop.ts';
import * as u32 from './u32.ts';

export type LoopTables = { readonly [K in ComputeType]: LoopTable };

/** JavaScript alone. */
export const LOOPS: LoopTables = { f32, f64, i32, u32 };

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
    const { exact, fast } = vectorLoops(kernels.vector);
    loops = { few: { ...LOOPS, f32: exact }, many: { ...LOOPS, f32: fast } };
    byKernels.set(kernels, loops);
  }
  return loops;
}

/** The tables for a kernel over `size` elements in all, however its work is cut. */
export function tablesFor(loops: Loops, size: number): LoopTables {
  return size > SMALL ? loops.many : loops.few;
}
