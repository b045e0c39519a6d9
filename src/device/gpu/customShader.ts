// What the custom kernels share: shaders made once and kept by key, the pieces of their heads, and one-dimensional dispatches of any size.
// Bodies stand in shaders/*.wgsl; a head above a body declares its bindings, constants and the functions it leaves open.
import type { DType } from '../../core/dtype.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import type { Access, DispatchSink, GpuShader } from './lowering.ts';
import { paramsDeclaration } from './lowering.ts';
import {
  bitsFunction,
  bitsToValue,
  bufferDeclaration,
  CONVERSIONS,
  convertValue,
  laneConstants,
  lanesOf,
  wgslTypeOf,
} from './wgslTypes.ts';

/** Invocations in a workgroup of every one-dimensional kernel here. */
export const WORKGROUP = 64;

const shaders = new Map<string, GpuShader>();

/** The shader of this key, made at the first call. `key` must tell everything that `make` depends on. */
export function shaderFor(key: string, make: () => Omit<GpuShader, 'key'>): GpuShader {
  let shader = shaders.get(key);
  if (shader === undefined) {
    shader = { key, sized: true, ...make() };
    shaders.set(key, shader);
  }
  return shader;
}

/** One buffer of a head: its name, how it is used, and the dtype whose elements `NAME_bits(i)` shall read (none: no such function). */
export interface Buffer {
  readonly name: string;
  readonly access: Access;
  readonly dtype?: DType;
  readonly atomic?: boolean;
}

export function accessOf(buffers: readonly Buffer[]): readonly Access[] {
  return buffers.map((b) => b.access);
}

/** Bindings, parameters, conversions and the invocation's number, for a body with one-dimensional grid. */
export function headOf(buffers: readonly Buffer[]): string {
  return [
    paramsDeclaration(buffers.length),
    ...buffers.map((b, i) => bufferDeclaration(i, b.name, b.access, b.atomic)),
    CONVERSIONS,
    ...buffers.map((b) => (b.dtype === undefined ? '' : bitsFunction(`${b.name}_bits`, b.name, b.dtype))),
    `const WORKGROUP: u32 = ${WORKGROUP}u;
fn thread_of(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 { return (group.y * groups.x + group.x) * WORKGROUP + local; }
`,
  ].join('');
}

/** `fn put(i, bits)`: stores one element of `y`; in packed dtypes its neighbours in the word survive (then `y` must be atomic). */
export function putFunction(dtype: DType): string {
  if (lanesOf(dtype) === 1) return 'fn put(i: u32, bits: u32) { y[i] = bits; }\n';
  return `${laneConstants(dtype)}fn put(i: u32, bits: u32) {
  let shift = (i % LANES) * LANE_BITS;
  atomicAnd(&y[i / LANES], ~(((1u << LANE_BITS) - 1u) << shift));
  atomicOr(&y[i / LANES], bits << shift);
}
`;
}

/** The `y` that `putFunction` wants. */
export function putBuffer(dtype: DType): Buffer {
  return { name: 'y', access: 'read_write', atomic: lanesOf(dtype) > 1 };
}

/** `fn index_at(i) -> i32`: element i of the binding `index`, truncated; uint32 saturates at the end of int32. Needs `index_bits`. */
export function indexFunction(dtype: DType): string {
  const value = bitsToValue('index_bits(i)', dtype);
  const type = wgslTypeOf(dtype);
  return `fn index_at(i: u32) -> i32 { return ${type === 'u32' ? `i32(min(${value}, 0x7fffffffu))` : convertValue(value, type, 'i32')}; }\n`;
}

/** One dispatch of at least `threads` invocations; rows of workgroups go on in y where x does not suffice. Parameters have been given. */
export function dispatchThreads(
  sink: DispatchSink,
  shader: GpuShader,
  storages: readonly Storage[],
  threads: number,
): void {
  const groups = Math.ceil(threads / WORKGROUP);
  const most = sink.traits.maxWorkgroups;
  if (groups <= most) {
    sink.dispatch(shader, storages, groups, 1, 1);
    return;
  }
  const rows = Math.ceil(groups / most);
  sink.dispatch(shader, storages, Math.ceil(groups / rows), rows, 1);
}

/** An operand that a kernel's contract promises. */
export function operandAt(operands: readonly Operand[], i: number): Operand {
  const operand = operands[i];
  if (operand === undefined)
    throw new RangeError(`a kernel was run with ${operands.length} operands, expected more`);
  return operand;
}

/** A number of `dims` that a kernel's contract promises. */
export function dimAt(dims: readonly number[], i: number): number {
  const d = dims[i];
  if (d === undefined) throw new RangeError(`a kernel was run with ${dims.length} dims, expected more`);
  return d;
}
