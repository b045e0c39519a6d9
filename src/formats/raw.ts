// Array data on its way from or to a file: an element type, extents and the elements in host memory, and how the element types
// of files become ours. Knows nothing of any one format, nor of NDArray.
//
// Files are little-endian, and so is every machine that runs JavaScript with typed arrays worth naming: data that happens to be
// aligned in the file is not copied, the array is a view of the file's bytes.
import type { DType, TypedArray } from '../core/dtype.ts';
import { ArgumentError, DTypeError, ShapeError } from '../core/errors.ts';
import { describe, shapeText, sizeOf } from '../core/shape.ts';

/** An array of a file, in host memory. */
export interface RawArray {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /**
   * The elements, row-major. float16 is raw bits in a `Uint16Array`, bool is 0 and 1 in a `Uint8Array`. It may be a view of
   * the bytes that were read: copy it before writing to it.
   */
  readonly data: TypedArray;
  /** How the file stored it, where that was sparse; `data` is dense all the same. */
  readonly storage?: 'row_sparse' | 'csr' | undefined;
  /** True for MXNet's array without shape and data (`ndim` 0 of old files); then `shape` is `[0]`. */
  readonly none?: boolean | undefined;
}

/** Element types that files have; more than a `DType` can be. */
export type FileType = DType | 'int64' | 'uint64' | 'int16' | 'uint16' | 'bfloat16';

const FILE_BYTES: Readonly<Record<FileType, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  uint8: 1,
  int8: 1,
  bool: 1,
  int16: 2,
  uint16: 2,
  int32: 4,
  uint32: 4,
  int64: 8,
  uint64: 8,
};

/** Bytes that one element takes in a file. */
export function fileBytesOf(type: FileType): number {
  return FILE_BYTES[type];
}

/** Where an array stands, for errors: what refused and which array it read. */
export interface Place {
  readonly op: string;
  readonly array: string;
}

interface TypedArrayConstructor<T extends TypedArray> {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBuffer, byteOffset: number, length: number): T;
}

/** `count` elements at byte `at`: a view where the bytes are aligned and unshared, else one copy. */
function viewOrCopy<T extends TypedArray>(
  Type: TypedArrayConstructor<T>,
  bytes: Uint8Array,
  at: number,
  count: number,
): T {
  const offset = bytes.byteOffset + at;
  if (bytes.buffer instanceof ArrayBuffer && offset % Type.BYTES_PER_ELEMENT === 0)
    return new Type(bytes.buffer, offset, count);
  const copy = new Uint8Array(count * Type.BYTES_PER_ELEMENT);
  copy.set(bytes.subarray(at, at + copy.length));
  return new Type(copy.buffer, 0, count);
}

/**
 * Reads `count` elements of a file's type at byte `at`. The caller has checked that the bytes are there.
 * int64 becomes int32 and uint64 uint32 where every value fits (else `DTypeError`), int16 and uint16 become int32, bfloat16
 * becomes float32; all but 64-bit integers keep their values exactly.
 */
export function decode(
  type: FileType,
  bytes: Uint8Array,
  at: number,
  count: number,
  place: Place,
): { readonly dtype: DType; readonly data: TypedArray } {
  switch (type) {
    case 'float32':
      return { dtype: type, data: viewOrCopy(Float32Array<ArrayBuffer>, bytes, at, count) };
    case 'float64':
      return { dtype: type, data: viewOrCopy(Float64Array<ArrayBuffer>, bytes, at, count) };
    case 'float16':
      return { dtype: type, data: viewOrCopy(Uint16Array<ArrayBuffer>, bytes, at, count) };
    case 'int32':
      return { dtype: type, data: viewOrCopy(Int32Array<ArrayBuffer>, bytes, at, count) };
    case 'uint32':
      return { dtype: type, data: viewOrCopy(Uint32Array<ArrayBuffer>, bytes, at, count) };
    case 'int8':
      return { dtype: type, data: viewOrCopy(Int8Array<ArrayBuffer>, bytes, at, count) };
    case 'uint8':
      return { dtype: type, data: viewOrCopy(Uint8Array<ArrayBuffer>, bytes, at, count) };
    case 'bool': {
      const data = viewOrCopy(Uint8Array<ArrayBuffer>, bytes, at, count);
      return { dtype: type, data: data.some((v) => v > 1) ? data.map((v) => (v === 0 ? 0 : 1)) : data };
    }
    case 'bfloat16': {
      // the upper half of a float32
      const halves = viewOrCopy(Uint16Array<ArrayBuffer>, bytes, at, count);
      const bits = new Uint32Array(count);
      for (let i = 0; i < count; i++) bits[i] = (halves[i] as number) << 16;
      return { dtype: 'float32', data: new Float32Array(bits.buffer) };
    }
    case 'int16':
      return { dtype: 'int32', data: new Int32Array(viewOrCopy(Int16Array<ArrayBuffer>, bytes, at, count)) };
    case 'uint16':
      return { dtype: 'int32', data: new Int32Array(viewOrCopy(Uint16Array<ArrayBuffer>, bytes, at, count)) };
    case 'int64':
    case 'uint64':
      return decode64(type, bytes, at, count, place);
  }
}

function decode64(
  type: 'int64' | 'uint64',
  bytes: Uint8Array,
  at: number,
  count: number,
  place: Place,
): { readonly dtype: DType; readonly data: TypedArray } {
  const signed = type === 'int64';
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, count * 8);
  const data = signed ? new Int32Array(count) : new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const low = signed ? view.getInt32(i * 8, true) : view.getUint32(i * 8, true);
    const high = view.getInt32(i * 8 + 4, true);
    if (high !== (signed && low < 0 ? -1 : 0)) {
      const value = signed ? view.getBigInt64(i * 8, true) : view.getBigUint64(i * 8, true);
      throw new DTypeError(
        `expected ${type} values that fit into ${signed ? 'int32' : 'uint32'}, for there is no 64-bit integer here, received ${value} ` +
          `as element ${i} of ${place.array}. Cast that array to float64 or float32 before saving it.`,
        { op: place.op },
      );
    }
    data[i] = low;
  }
  return { dtype: signed ? 'int32' : 'uint32', data };
}

/** Throws unless the elements are there in the kind of array that their dtype has on the host. */
export function checkRawArray(array: RawArray, what: string, op: string): void {
  const { dtype, shape, data } = array;
  if (data.length !== sizeOf(shape))
    throw new ShapeError(
      `expected ${sizeOf(shape)} elements for ${what} of shape ${shapeText(shape)}, received ${data.length}. Make them agree.`,
      { op },
    );
  if (!holds(dtype, data))
    throw new DTypeError(
      `expected ${dtype} elements for ${what}, received ${describe(data)}. Convert them first.`,
      { op },
    );
}

function holds(dtype: DType, data: TypedArray): boolean {
  switch (dtype) {
    case 'float32':
      return data instanceof Float32Array;
    case 'float64':
      return data instanceof Float64Array;
    case 'float16':
      return data instanceof Uint16Array;
    case 'int32':
      return data instanceof Int32Array;
    case 'uint32':
      return data instanceof Uint32Array;
    case 'int8':
      return data instanceof Int8Array;
    case 'uint8':
    case 'bool':
      return data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  }
}

/** Throws unless names are well-formed text, each once. */
export function checkNames(names: readonly string[], op: string): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (!name.isWellFormed())
      throw new ArgumentError(
        `expected names that UTF-8 can hold, received ${JSON.stringify(name)} with half of a surrogate pair. Rename it.`,
        { op },
      );
    if (seen.has(name))
      throw new ArgumentError(
        `expected each name once, received ${JSON.stringify(name)} twice. Rename one of them.`,
        { op },
      );
    seen.add(name);
  }
}
