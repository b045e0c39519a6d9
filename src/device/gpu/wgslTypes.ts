// How elements lie in storage on the GPU, as WGSL text: every buffer is `array<u32>`, an element is `bits` (its bytes in the low end of a u32)
// or a `value` (f32, i32, u32). Loads, stores and conversions between dtypes are written here once, for all kernels. Bits are kept as integers
// because compilers may assume that floats are never NaN or infinite: whatever must survive is moved and tested as u32.
import type { DType } from '../../core/dtype.ts';
import { DTypeError } from '../../core/errors.ts';

/** The WGSL type in which an element is computed. */
export type WgslType = 'f32' | 'i32' | 'u32';

/** The WGSL type of a dtype's values; throws for float64, which a GPU has not. */
export function wgslTypeOf(dtype: DType): WgslType {
  switch (dtype) {
    case 'float32':
    case 'float16':
      return 'f32';
    case 'int32':
    case 'int8':
      return 'i32';
    case 'uint32':
    case 'uint8':
    case 'bool':
      return 'u32';
    case 'float64':
      throw new DTypeError(
        'expected a dtype that a GPU can hold, received float64. Cast to float32 first, or use the CPU.',
        {
          op: 'gpu',
        },
      );
  }
}

/** Elements in a 32-bit word: 4 for uint8, int8 and bool, 2 for float16, else 1. */
export function lanesOf(dtype: DType): 1 | 2 | 4 {
  switch (dtype) {
    case 'uint8':
    case 'int8':
    case 'bool':
      return 4;
    case 'float16':
      return 2;
    default:
      return 1;
  }
}

/** The dtype that stands for all of its width where elements are moved unchanged, so that such kernels share a shader. */
export function movedAs(dtype: DType): DType {
  return lanesOf(dtype) === 4 ? 'uint8' : lanesOf(dtype) === 2 ? 'float16' : 'uint32';
}

/** The helper functions that the texts below call. Any head may hold them once; unused ones cost nothing. */
export const CONVERSIONS = `
fn is_nan_bits(bits: u32) -> bool { return (bits & 0x7fffffffu) > 0x7f800000u; }
// A float's bits through an integer comparison: +0 for NaN, so that what follows meets numbers only.
fn nan_to_zero(x: f32) -> f32 { return bitcast<f32>(select(bitcast<u32>(x), 0u, is_nan_bits(bitcast<u32>(x)))); }
// Truncates; NaN gives 0; saturates at the ends of int32 (WGSL alone would stop at the last float below them).
fn f32_to_i32(x: f32) -> i32 {
  let v = nan_to_zero(x);
  let t = i32(clamp(v, -2147483648.0, 2147483520.0));
  return select(t, 2147483647, v >= 2147483648.0);
}
// Truncates; negative values as int32, wrapped; saturates at 2^32 − 1.
fn f32_to_u32(x: f32) -> u32 {
  let v = nan_to_zero(x);
  let t = select(u32(clamp(v, 0.0, 4294967040.0)), 4294967295u, v >= 4294967296.0);
  return select(t, bitcast<u32>(f32_to_i32(v)), v < 0.0);
}
// Rounded once, in the sum; a driver's own conversion may be off by one place (SwiftShader's is, from 2^31 on).
fn u32_to_f32(x: u32) -> f32 { return f32(x & 0xffff0000u) + f32(x & 0xffffu); }
fn f32_to_bool(x: f32) -> u32 { return select(0u, 1u, (bitcast<u32>(x) & 0x7fffffffu) != 0u); }
// IEEE binary16, rounded to nearest, ties to even; in integers, because the rounding of pack2x16float is each driver's own.
fn f32_to_half(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  let sign = (bits >> 16u) & 0x8000u;
  let rest = bits & 0x7fffffffu;
  if (rest > 0x7f800000u) { return sign | 0x7e00u; }
  if (rest >= 0x477ff000u) { return sign | 0x7c00u; }
  if (rest >= 0x38800000u) { return sign | ((rest - 0x38000000u + 0xfffu + ((rest >> 13u) & 1u)) >> 13u); }
  if (rest < 0x33000001u) { return sign; }
  let significand = (rest & 0x7fffffu) | 0x800000u;
  let shift = 126u - (rest >> 23u);
  let half = significand >> shift;
  let left = significand & ((1u << shift) - 1u);
  let middle = 1u << (shift - 1u);
  return sign | (half + select(0u, 1u, left > middle || (left == middle && (half & 1u) == 1u)));
}
fn half_to_f32(bits: u32) -> f32 { return unpack2x16float(bits & 0xffffu).x; }
`;

/** A WGSL expression: `value` of one compute type in another, by the rules of ir/kernel.ts. */
export function convertValue(value: string, from: WgslType, to: WgslType): string {
  if (from === to) return value;
  if (from === 'f32') return to === 'i32' ? `f32_to_i32(${value})` : `f32_to_u32(${value})`;
  if (to === 'f32') return from === 'u32' ? `u32_to_f32(${value})` : `f32(${value})`;
  return `bitcast<${to}>(${value})`;
}

/** A WGSL expression of type u32: the bits that `value` (of compute type `from`) has as an element of `dtype`; upper bits are zero. */
export function valueToBits(value: string, from: WgslType, dtype: DType): string {
  switch (dtype) {
    case 'float32':
      return `bitcast<u32>(${convertValue(value, from, 'f32')})`;
    case 'float16':
      return `f32_to_half(${convertValue(value, from, 'f32')})`;
    case 'bool':
      return from === 'f32' ? `f32_to_bool(${value})` : `select(0u, 1u, (${value}) != 0)`;
    case 'int32':
      return `bitcast<u32>(${convertValue(value, from, 'i32')})`;
    case 'uint32':
      return convertValue(value, from, 'u32');
    case 'int8':
    case 'uint8': {
      // a float goes through int32, for both
      const whole = from === 'f32' ? `bitcast<u32>(f32_to_i32(${value}))` : convertValue(value, from, 'u32');
      return `(${whole} & 0xffu)`;
    }
    case 'float64':
      wgslTypeOf(dtype);
      return '';
  }
}

/** A WGSL expression: the value of an element of `dtype` whose bits are `bits` (upper bits zero). */
export function bitsToValue(bits: string, dtype: DType): string {
  switch (dtype) {
    case 'float32':
      return `bitcast<f32>(${bits})`;
    case 'float16':
      return `half_to_f32(${bits})`;
    case 'int32':
      return `bitcast<i32>(${bits})`;
    case 'int8':
      return `(bitcast<i32>((${bits}) << 24u) >> 24u)`;
    case 'uint32':
    case 'uint8':
    case 'bool':
      return bits;
    case 'float64':
      wgslTypeOf(dtype);
      return '';
  }
}

/** A WGSL expression: bits of an element of `from` as bits of an element of `to`. */
export function convertBits(bits: string, from: DType, to: DType): string {
  return from === to ? bits : valueToBits(bitsToValue(bits, from), wgslTypeOf(from), to);
}

/** `fn NAME(i: u32) -> u32`: the bits of element i of the binding `buffer: array<u32>`. */
export function bitsFunction(name: string, buffer: string, dtype: DType): string {
  switch (lanesOf(dtype)) {
    case 4:
      return `fn ${name}(i: u32) -> u32 { return (${buffer}[i >> 2u] >> ((i & 3u) << 3u)) & 0xffu; }\n`;
    case 2:
      return `fn ${name}(i: u32) -> u32 { return (${buffer}[i >> 1u] >> ((i & 1u) << 4u)) & 0xffffu; }\n`;
    case 1:
      return `fn ${name}(i: u32) -> u32 { return ${buffer}[i]; }\n`;
  }
}

/** `const LANES` (elements in a word) and `const LANE_BITS` of a dtype. */
export function laneConstants(dtype: DType): string {
  const lanes = lanesOf(dtype);
  return `const LANES: u32 = ${lanes}u;\nconst LANE_BITS: u32 = ${32 / lanes}u;\n`;
}

/** `@group(0) @binding(i) var<storage, …>` for buffers of u32 (or atomics), in binding order. */
export function bufferDeclaration(
  binding: number,
  name: string,
  access: 'read' | 'read_write',
  atomic = false,
): string {
  return `@group(0) @binding(${binding}) var<storage, ${access}> ${name}: array<${atomic ? 'atomic<u32>' : 'u32'}>;\n`;
}
