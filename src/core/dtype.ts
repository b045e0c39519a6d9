// What an element can be, how wide it is, and which typed array holds it on the host.
import { DTypeError } from './errors.ts';
import { describe } from './shape.ts';

/** Element types. `float32` is the default everywhere. */
export type DType = 'float32' | 'float16' | 'float64' | 'int32' | 'uint32' | 'int8' | 'uint8' | 'bool';

/** The typed arrays that hold elements on the host. */
export type TypedArray =
  | Float32Array<ArrayBuffer>
  | Float64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Uint8ClampedArray<ArrayBuffer>;

/** All element types, in a fixed order. */
export const DTYPES: readonly DType[] = [
  'float32',
  'float16',
  'float64',
  'int32',
  'uint32',
  'int8',
  'uint8',
  'bool',
];

const BYTES: Readonly<Record<DType, number>> = {
  float32: 4,
  float16: 2,
  float64: 8,
  int32: 4,
  uint32: 4,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** The typed array that holds a dtype's values on the host: float16 as numbers, bool as 0 and 1. */
export const HOLDERS = {
  float32: Float32Array,
  float16: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const satisfies Record<DType, unknown>;

/** The typed array that holds a dtype as devices and files store it: float16 as its bits. */
export const STORED = { ...HOLDERS, float16: Uint16Array } as const;

/** Bytes that one element takes in memory. */
export function bytesOf(dtype: DType): number {
  return BYTES[dtype];
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'float64';
}

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(BYTES, value);
}

/** Returns `value` as a dtype or throws, naming what is possible. */
export function checkDType(value: unknown, op: string): DType {
  if (isDType(value)) return value;
  throw new DTypeError(
    `expected a dtype, one of ${DTYPES.join(', ')}, received ${describe(value)}. Pass one of these names.`,
    { op },
  );
}

/** The numbers in which an operation computes; storage may be narrower. */
export type ComputeType = 'f32' | 'f64' | 'i32' | 'u32';

export function computeTypeOf(dtype: DType): ComputeType {
  switch (dtype) {
    case 'float32':
    case 'float16':
      return 'f32';
    case 'float64':
      return 'f64';
    case 'int32':
    case 'int8':
      return 'i32';
    case 'uint32':
    case 'uint8':
    case 'bool':
      return 'u32';
  }
}

/** The dtype whose values a typed array holds, or undefined (16-bit integers have none). */
export function dtypeOfTypedArray(data: ArrayBufferView): DType | undefined {
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof Float64Array) return 'float64';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint32Array) return 'uint32';
  if (data instanceof Int8Array) return 'int8';
  if (data instanceof Uint8Array || data instanceof Uint8ClampedArray) return 'uint8';
  return undefined;
}

const toHalfFloat = new Float32Array(1);
const toHalfBits = new Uint32Array(toHalfFloat.buffer);

/** IEEE binary16 bits of a number, rounded to nearest, ties to even. */
export function toHalf(value: number): number {
  const single = Math.fround(value);
  toHalfFloat[0] = single;
  let bits = toHalfBits[0] as number;
  // what float32 cannot hold is cut off and leaves an odd last bit, so that it breaks what would look like a tie below
  if (single !== value) bits = (Math.abs(single) > Math.abs(value) ? bits - 1 : bits) | 1;
  const sign = (bits >>> 16) & 0x8000;
  const rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return sign | 0x7e00;
  if (rest >= 0x477ff000) return sign | 0x7c00;
  if (rest < 0x33000001) return sign;
  const exponent = rest >>> 23;
  if (exponent < 113) {
    // a subnormal half: shift the 24-bit significand right and round what falls off
    const significand = (rest & 0x7fffff) | 0x800000;
    const shift = 126 - exponent;
    const half = significand >>> shift;
    const left = significand & ((1 << shift) - 1);
    const middle = 1 << (shift - 1);
    return sign | (half + (left > middle || (left === middle && (half & 1) === 1) ? 1 : 0));
  }
  const rounded = rest - 0x38000000 + 0xfff + ((rest >>> 13) & 1);
  return sign | (rounded >>> 13);
}

/** The number that IEEE binary16 bits stand for. */
export function fromHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}
