// How a product's shaders read and store elements of each dtype, singly and four at a time, as WGSL text. float32, int32 and uint32 are bound as
// they are, so that a vec4 is one load; narrower dtypes as words of bits, converted as ir/kernel.ts says.
import type { DType } from '../../core/dtype.ts';
import { bytesOf } from '../../core/dtype.ts';
import { elementBits, laneBits, packQuad, quadType } from './dtypes.ts';
import type { WgslType } from './wgslExpr.ts';
import { wgslConvert, wgslLoadBits, wgslStoreBits } from './wgslExpr.ts';
import { wgslTypeOf } from './wgslTypes.ts';

const LANES = ['x', 'y', 'z', 'w'] as const;

function binding(index: number, name: string, access: 'read' | 'read_write', element: string): string {
  return `@group(0) @binding(${index}) var<storage, ${access}> ${name}: array<${element}>;\n`;
}

/** The type that a buffer of `dtype` is bound as, per element or, with `vec4`, per four. */
function boundAs(dtype: DType, vec4: boolean): string {
  const bytes = bytesOf(dtype);
  if (bytes < 4) return vec4 ? quadType(bytes) : 'u32';
  return vec4 ? `vec4<${wgslTypeOf(dtype)}>` : wgslTypeOf(dtype);
}

/**
 * A read-only binding `buffer` and its reader: with `vec4`, `fn readNAME4(at) -> vec4<T>` for `at` a multiple of 4; else `fn readNAME(at) -> T`.
 */
export function reader(index: number, name: string, dtype: DType, type: WgslType, vec4: boolean): string {
  const buffer = `buffer${name}`;
  const bytes = bytesOf(dtype);
  const declared = binding(index, buffer, 'read', boundAs(dtype, vec4));
  const own = wgslTypeOf(dtype);
  if (bytes < 4) {
    if (!vec4)
      return `${declared}fn read${name}(at: u32) -> T { return ${wgslLoadBits(elementBits(buffer, 'at', bytes), dtype, type)}; }\n`;
    const lanes = LANES.map((_, lane) => wgslLoadBits(laneBits('words', lane, bytes), dtype, type));
    return `${declared}fn read${name}4(at: u32) -> vec4<T> {
  let words = ${buffer}[at >> 2u];
  return vec4<T>(${lanes.join(', ')});
}
`;
  }
  if (!vec4)
    return `${declared}fn read${name}(at: u32) -> T { return ${wgslConvert(`${buffer}[at]`, own, type)}; }\n`;
  if (own === type) return `${declared}fn read${name}4(at: u32) -> vec4<T> { return ${buffer}[at >> 2u]; }\n`;
  const lanes = LANES.map((lane) => wgslConvert(`v.${lane}`, own, type));
  return `${declared}fn read${name}4(at: u32) -> vec4<T> {
  let v = ${buffer}[at >> 2u];
  return vec4<T>(${lanes.join(', ')});
}
`;
}

/** Whether an element can be stored without its neighbours. */
export function storesSingly(dtype: DType): boolean {
  return bytesOf(dtype) === 4;
}

/**
 * The output's binding `bufferC` and its writer: with `vec4`, `fn putC4(at, vec4<T>)` for `at` a multiple of 4; else `fn putC(at, T)`, which only
 * 4-byte dtypes have.
 */
export function writer(index: number, dtype: DType, type: WgslType, vec4: boolean): string {
  const declared = binding(index, 'bufferC', 'read_write', boundAs(dtype, vec4));
  const bytes = bytesOf(dtype);
  if (bytes < 4) {
    if (!vec4) throw new Error(`expected a dtype of four bytes to store singly, received ${dtype}`);
    const bits = LANES.map((lane) => wgslStoreBits(`v.${lane}`, type, dtype));
    return `${declared}fn putC4(at: u32, v: vec4<T>) { bufferC[at >> 2u] = ${packQuad(bits, bytes)}; }\n`;
  }
  const own = wgslTypeOf(dtype);
  if (!vec4) return `${declared}fn putC(at: u32, v: T) { bufferC[at] = ${wgslConvert('v', type, own)}; }\n`;
  if (own === type) return `${declared}fn putC4(at: u32, v: vec4<T>) { bufferC[at >> 2u] = v; }\n`;
  return `${declared}fn putC4(at: u32, v: vec4<T>) { bufferC[at >> 2u] = vec4<${own}>(${LANES.map((lane) => wgslConvert(`v.${lane}`, type, own)).join(', ')}); }\n`;
}

/**
 * For dtypes narrower than a word: the output's binding `bufferC` and `fn putWords(at, vec4<T>, count)`, which stores the words of four elements from `at`
 * (a multiple of 4) on, of `count` elements in all; the last word may hold fewer.
 */
export function wordWriter(index: number, dtype: DType, type: WgslType): string {
  const [a, b, c, d] = LANES.map((lane) => wgslStoreBits(`v.${lane}`, type, dtype));
  const store =
    bytesOf(dtype) === 1
      ? `  bufferC[at >> 2u] = ${a} | (${b} << 8u) | (${c} << 16u) | (${d} << 24u);\n`
      : `  bufferC[at >> 1u] = ${a} | (${b} << 16u);
  if (at + 2u < count) { bufferC[(at >> 1u) + 1u] = ${c} | (${d} << 16u); }
`;
  return `${binding(index, 'bufferC', 'read_write', 'u32')}fn putWords(at: u32, v: vec4<T>, count: u32) {\n${store}}\n`;
}
