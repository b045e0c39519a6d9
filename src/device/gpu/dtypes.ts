// How a GPU holds elements: all of them in u32 words, one, two or four to a word.
import type { DType } from '../../core/dtype.ts';

/** Small integers for dtypes, for keys. */
export const DTYPE_CODE: Readonly<Record<DType, number>> = {
  float32: 0,
  float16: 1,
  int32: 2,
  uint32: 3,
  int8: 4,
  uint8: 5,
  bool: 6,
  float64: 7,
};

/** WGSL for the bits of element `at` (a u32 expression without side effects) of a binding declared as `array<u32>`. */
export function elementBits(name: string, at: string, bytes: number): string {
  if (bytes === 4) return `${name}[${at}]`;
  if (bytes === 2) return `((${name}[(${at}) >> 1u] >> (((${at}) & 1u) << 4u)) & 0xffffu)`;
  return `((${name}[(${at}) >> 2u] >> (((${at}) & 3u) << 3u)) & 0xffu)`;
}

/** The WGSL type of four elements. */
export function quadType(bytes: number): string {
  return bytes === 4 ? 'vec4<u32>' : bytes === 2 ? 'vec2<u32>' : 'u32';
}

/** WGSL for the bits of element `lane` (0 to 3) of four elements held in `name`. */
export function laneBits(name: string, lane: number, bytes: number): string {
  if (bytes === 4) return `${name}.${'xyzw'.charAt(lane)}`;
  if (bytes === 2) {
    const word = `${name}.${lane < 2 ? 'x' : 'y'}`;
    return lane % 2 === 0 ? `(${word} & 0xffffu)` : `(${word} >> 16u)`;
  }
  return lane === 0
    ? `(${name} & 0xffu)`
    : lane === 3
      ? `(${name} >> 24u)`
      : `((${name} >> ${lane * 8}u) & 0xffu)`;
}

/** WGSL that packs the bits of four elements (each in its low bits, the rest zero). */
export function packQuad(bits: readonly string[], bytes: number): string {
  const [a, b, c, d] = bits;
  if (bytes === 4) return `vec4<u32>(${a}, ${b}, ${c}, ${d})`;
  if (bytes === 2) return `vec2<u32>(${a} | (${b} << 16u), ${c} | (${d} << 16u))`;
  return `${a} | (${b} << 8u) | (${c} << 16u) | (${d} << 24u)`;
}

/** WGSL for uniform word `index` as a u32, without the accessors' dynamic index. */
export function uniformWord(index: number): string {
  return `params.v[${index >> 2}].${'xyzw'.charAt(index & 3)}`;
}

/** WGSL for uniform word `index` in a type. */
export function uniformAs(index: number, type: 'f32' | 'i32' | 'u32'): string {
  return type === 'u32' ? uniformWord(index) : `bitcast<${type}>(${uniformWord(index)})`;
}

/** The uniform block at `binding`, without accessors. */
export function uniformBlock(binding: number): string {
  return `struct Params { v: array<vec4<u32>, 16> }\n@group(0) @binding(${binding}) var<uniform> params: Params;\n`;
}
