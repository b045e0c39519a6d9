// The loops by compute type.
import type { ComputeType } from '../../../core/dtype.ts';
import * as f32 from './f32.ts';
import * as f64 from './f64.ts';
import * as i32 from './i32.ts';
import type { LoopTable } from './loop.ts';
import * as u32 from './u32.ts';

export const LOOPS: { readonly [K in ComputeType]: LoopTable } = { f32, f64, i32, u32 };
