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

/** All element types, in a fixed order. */
export const DTYPES = Object.keys(HOLDERS) as readonly DType[];

const BYTES = Object.fromEntries(DTYPES.map((dtype) => [dtype, STORED[dtype].BYTES_PER_ELEMENT])) as Readonly<
  Record<DType, number>
>;

/** Bytes that one element takes in memory. */
export function bytesOf(dtype: DType): number {
  return BYTES[dtype];
}

export function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float16' || dtype === 'float64';
}

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(HOLDERS, value);
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

const COMPUTED: Readonly<Record<DType, ComputeType>> = {
  float32: 'f32',
  float16: 'f32',
  float64: 'f64',
  int32: 'i32',
  uint32: 'u32',
  int8: 'i32',
  uint8: 'u32',
  bool: 'u32',
};

export function computeTypeOf(dtype: DType): ComputeType {
  return COMPUTED[dtype];
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

const cell = new Float32Array(1);
const cellBits = new Uint32Array(cell.buffer);

/** IEEE binary16 bits of a number, rounded to nearest, ties to even. */
export function toHalf(value: number): number {
  const single = Math.fround(value);
  cell[0] = single;
  let bits = cellBits[0] as number;
  // what float32 cannot hold is cut off and leaves an odd last bit, so that it breaks what would look like a tie below
  if (single !== value) bits = (Math.abs(single) > Math.abs(value) ? bits - 1 : bits) | 1;
  const sign = (bits >>> 16) & 0x8000;
  const rest = bits & 0x7fffffff;
  if (rest > 0x7f800000) return sign | 0x7e00;
  if (rest >= 0x477ff000) return sign | 0x7c00;
  // a subnormal half: 2 ** 28 as a double has the same last place, 2 ** -24, so that the addition rounds
  if (rest < 0x38800000) return sign | ((Math.abs(value) + 2 ** 28 - 2 ** 28) * 2 ** 24);
  const rounded = rest - 0x38000000 + 0xfff + ((rest >>> 13) & 1);
  return sign | (rounded >>> 13);
}

/** The number that IEEE binary16 bits stand for. */
export function fromHalf(bits: number): number {
  // as the bits of a float32 whose exponent is too small by 112
  cellBits[0] = (bits & 0x7fff) << 13;
  const size = (cell[0] as number) * 2 ** 112;
  const value = size < 65536 ? size : size === 65536 ? Infinity : NaN;
  return bits & 0x8000 ? -value : value;
}
