// The seam inside the GPU device: what turns a kernel (ir/kernel.ts) into dispatches knows shaders and numbers only; what owns the adapter,
// the pass, the buffers and the caches knows nothing of kernels. Lowering functions write a call's parameters straight into the uniform ring, so a
// warm call makes no objects.
import type { Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';

/** A storage binding's access in WGSL: `var<storage, read>` or `var<storage, read_write>`. */
export type Access = 'read' | 'read_write';

/**
 * One compute shader with entry point `main`. Made once and kept (the pipeline cache compares by `key`; the object itself caches its pipeline).
 * Group 0: binding i is storage i of `bindings`; binding `bindings.length` is the uniform block with a dynamic offset:
 *   `struct Params { v: array<vec4<u32>, 16> }  @group(0) @binding(N) var<uniform> params: Params;`
 * (`paramsDeclaration(N)` below gives this text with the accessors `pu(i)`, `pi(i)`, `pf(i)`; use constant indices).
 */
export interface GpuShader {
  readonly key: string;
  /** For messages and profiles: the kernel's name. */
  readonly label: string;
  readonly bindings: readonly Access[];
  /** The WGSL text; called once, when the pipeline is first needed. */
  readonly code: () => string;
  /** It divides by its parameters or loops up to them, so that they pay as constants where they never change (see programCode.ts). */
  readonly sized?: boolean | undefined;
}

/** What the adapter is, as far as kernels must know. */
export interface GpuTraits {
  /** A software rasteriser: barriers are very slow there, workgroup memory pays nothing. */
  readonly software: boolean;
  readonly subgroups: boolean;
  readonly f16: boolean;
  readonly maxWorkgroupStorage: number;
  readonly maxInvocationsPerWorkgroup: number;
  /** Workgroups per dimension; 65535 everywhere so far. */
  readonly maxWorkgroups: number;
}

/** Where lowering functions put their dispatches. Order: u32/i32/f32 for each parameter in turn (at most 64), then `dispatch`, which takes them. */
export interface DispatchSink {
  readonly traits: GpuTraits;
  /** The sizes given will be those of every run, so they may as well be constants in the text. */
  readonly constants?: boolean;
  u32(value: number): void;
  i32(value: number): void;
  f32(value: number): void;
  /**
   * Encodes one dispatch with the parameters given since the last one. `storages` in binding order; the same storage may be bound twice only
   * if both bindings are `read`. Zero workgroups: nothing is encoded.
   */
  dispatch(shader: GpuShader, storages: readonly Storage[], x: number, y: number, z: number): void;
  /** Scratch memory that returns to the pool when the current kernel has been lowered (later dispatches may reuse it, in order). */
  temporary(bytes: number): Storage;
  /** The memory from a storage's beginning on, `bytes` of it, beyond the storage's end: parts of one buffer that lie one after the other are bound as one. */
  span(storage: Storage, bytes: number): Storage;
}

/** Lowers one kernel call. */
export type Lowering<K> = (
  sink: DispatchSink,
  kernel: K,
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
  scalars: readonly number[],
) => void;

/** WGSL for the uniform block at `binding`, with accessors by constant index. */
export function paramsDeclaration(binding: number): string {
  return `struct Params { v: array<vec4<u32>, 16> }
@group(0) @binding(${binding}) var<uniform> params: Params;
fn pu(i: u32) -> u32 { return params.v[i >> 2u][i & 3u]; }
fn pi(i: u32) -> i32 { return bitcast<i32>(params.v[i >> 2u][i & 3u]); }
fn pf(i: u32) -> f32 { return bitcast<f32>(params.v[i >> 2u][i & 3u]); }
`;
}
