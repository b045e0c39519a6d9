// MXNet's `.params` files: a list of arrays with or without names. Every version of an array's record is read (V0 of 2015 to V3);
// files are written as MXNet 1.x writes them, byte for byte. The layout is that of src/ndarray/ndarray.cc of MXNet 1.9.1:
//
//   u64 0x112 | u64 0 | u64 count | count records | u64 count of names (0 or count) | names: u64 length, bytes
//   V2: u32 magic | i32 storage | [sparse: shape of the values] | shape | i32 device type, i32 device id | i32 dtype
//       | [sparse, for each index array: i32 dtype, shape] | values | [index arrays]
//   V3: V2 with NumPy's shapes: no axes is a scalar, −1 unknown     V1: V2 without storage     V0: u32 axes, u32 extents, then as V1
//   shape = i32 axes, i64 extents
//
// Reading goes twice over the file: once over the structure, which allocates nothing that a number in the file asks for, and then
// over the data, whose bytes are known to be there.
import type { DType, TypedArray } from '../core/dtype.ts';
import { bytesOf } from '../core/dtype.ts';
import { ArgumentError, FormatError } from '../core/errors.ts';
import { MAX_NDIM, shapeText, sizeOf } from '../core/shape.ts';
import { Cursor } from './cursor.ts';
import type { FileType, Place, RawArray } from './raw.ts';
import { checkNames, checkRawArray, decode, fileBytesOf } from './raw.ts';
import { firstBytes, foreignFile } from './signature.ts';
import { unfoldCsr, unfoldRows } from './sparse.ts';

export type { RawArray } from './raw.ts';

/** The first eight bytes of every `.params` file, as a number. */
const MAGIC = 0x112;
const V1 = 0xf993fac8;
const V2 = 0xf993fac9;
const V3 = 0xf993faca;

/** mshadow's type codes, by position. */
const FILE_TYPES: readonly FileType[] = [
  'float32',
  'float64',
  'float16',
  'uint8',
  'int32',
  'int8',
  'int64',
  'bool',
  'int16',
  'uint16',
  'uint32',
  'uint64',
  'bfloat16',
];
/** Device types of MXNet 1.x: cpu, gpu, pinned and shared host memory. */
const DEVICE_TYPES: ReadonlySet<number> = new Set([1, 2, 3, 5]);
const CPU = 1;

const ROW_SPARSE = 1;
const CSR = 2;

/**
 * A sparse array may ask for far more memory than its bytes in the file. Beyond this size it may unfold to at most so many
 * times its bytes; weights that are stored whole stay far below.
 */
const UNFOLD_FREE_BYTES = 4 << 20;
const UNFOLD_RATIO = 1024;

/** Where a block of elements stands in the file. */
interface Block {
  readonly type: FileType;
  readonly shape: readonly number[];
  at: number;
}

/** One record of the file; no values for MXNet's none. */
interface Entry {
  readonly index: number;
  readonly shape: readonly number[];
  readonly storage: number;
  readonly values: Block | undefined;
  readonly aux: readonly Block[];
}

/** Extents, or undefined for a shape that is not known (only `unknown` files have those). */
function readShape(cursor: Cursor, what: string, unknown: boolean): number[] | undefined {
  const start = cursor.at;
  const ndim = cursor.i32(`the number of axes of ${what}`);
  if (ndim === -1 && unknown) return undefined;
  return readExtents(cursor, ndim, what, start, 8, unknown);
}

function readExtents(
  cursor: Cursor,
  ndim: number,
  what: string,
  start: number,
  width: 4 | 8,
  unknown: boolean,
): number[] | undefined {
  if (ndim < 0 || ndim > MAX_NDIM)
    cursor.fail(`0 to ${MAX_NDIM} axes for ${what}`, `${ndim}`, undefined, start);
  const shape: number[] = [];
  let known = true;
  for (let i = 0; i < ndim; i++) {
    const at = cursor.at;
    const extent = width === 4 ? cursor.u32(`the extents of ${what}`) : cursor.i64(`the extents of ${what}`);
    if (extent === -1 && unknown) known = false;
    else if (extent < 0 || extent > Number.MAX_SAFE_INTEGER)
      cursor.fail(`an extent of 0 to 2^53 − 1 for axis ${i} of ${what}`, `${extent}`, undefined, at);
    shape.push(extent);
  }
  return known ? shape : undefined;
}

function readType(cursor: Cursor, what: string): FileType {
  const at = cursor.at;
  const code = cursor.i32(`the dtype of ${what}`);
  return (
    FILE_TYPES[code] ??
    cursor.fail(`a dtype code of 0 to ${FILE_TYPES.length - 1} for ${what}`, `${code}`, undefined, at)
  );
}

function readDevice(cursor: Cursor, what: string): void {
  const at = cursor.at;
  const type = cursor.i32(`the device of ${what}`);
  const id = cursor.i32(`the device of ${what}`);
  if (!DEVICE_TYPES.has(type) || id < 0)
    cursor.fail(
      `a device (1 cpu, 2 gpu, 3 and 5 kinds of host memory; then a number) for ${what}`,
      `${type}, ${id}`,
      undefined,
      at,
    );
}

function skipBlock(cursor: Cursor, block: Block, what: string): void {
  block.at = cursor.skip(
    sizeOf(block.shape) * fileBytesOf(block.type),
    `${block.type} ${shapeText(block.shape)}, ${what}`,
  );
}

/** Walks over one array's record and says where its parts stand. */
function readEntry(cursor: Cursor, index: number, count: number): Entry {
  const what = `array ${index} of ${count}`;
  const start = cursor.at;
  const magic = cursor.u32(what);
  let storage = 0;
  let valuesShape: number[] | undefined;
  let shape: number[] | undefined;
  if (magic === V2 || magic === V3) {
    storage = cursor.i32(`the storage type of ${what}`);
    if (storage < 0 || storage > (magic === V3 ? 0 : CSR))
      cursor.fail(
        magic === V3
          ? `storage type 0 (dense) for ${what}`
          : `a storage type (0 dense, 1 row_sparse, 2 csr) for ${what}`,
        `${storage}`,
        undefined,
        start + 4,
      );
    if (storage !== 0) valuesShape = readShape(cursor, `the values of ${what}`, false);
    shape = readShape(cursor, what, magic === V3);
    if (magic === V2 && shape?.length === 0) shape = undefined;
  } else if (magic === V1) {
    shape = readShape(cursor, what, false);
    if (shape?.length === 0) shape = undefined;
  } else if (magic <= 32) {
    // V0: the number of axes stands where later versions have their magic
    if (magic > 0) shape = readExtents(cursor, magic, what, start, 4, false);
  } else {
    cursor.fail(
      `${what} (0xf993fac8, 0xf993fac9, 0xf993faca or a number of axes)`,
      `0x${magic.toString(16).padStart(8, '0')}`,
      undefined,
      start,
    );
  }
  if (shape === undefined) return { index, shape: [0], storage, values: undefined, aux: [] };
  readDevice(cursor, what);
  const values: Block = { type: readType(cursor, what), shape: valuesShape ?? shape, at: 0 };
  const aux: Block[] = [];
  for (let i = 0; i < storage; i++) {
    // row_sparse (1) has one index array, the row numbers; csr (2) has the row starts and the column numbers
    const at = cursor.at;
    const part = `index array ${i} of ${what}`;
    const type = readType(cursor, part);
    if (type !== 'int64' && type !== 'int32') cursor.fail(`int64 or int32 for ${part}`, type, undefined, at);
    aux.push({ type, shape: readShape(cursor, part, false) ?? [], at: 0 });
  }
  skipBlock(cursor, values, `the data of ${what}`);
  for (const block of aux) skipBlock(cursor, block, `an index array of ${what}`);
  if (storage !== 0) {
    const dense = sizeOf(shape) * fileBytesOf(values.type);
    if (dense > UNFOLD_FREE_BYTES && dense > UNFOLD_RATIO * (cursor.at - start))
      cursor.fail(
        `a sparse array that unfolds to at most ${UNFOLD_RATIO} times its ${cursor.at - start} bytes as ${what}`,
        `${shapeText(shape)}, ${dense} bytes`,
        'Arrays are dense here: save a smaller one.',
        start,
      );
  }
  return { index, shape, storage, values, aux };
}

function readNames(cursor: Cursor, arrays: number): string[] {
  const start = cursor.at;
  const count = cursor.u64('the number of names');
  if (count !== 0 && count !== arrays)
    cursor.fail(
      arrays === 0 ? 'no names, for there are no arrays' : `no names or ${arrays}, one for each array`,
      `${count}`,
      undefined,
      start,
    );
  // what stands in the file must come back as it was: no byte order mark is dropped
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const names = new Map<string, number>();
  for (let i = 0; i < count; i++) {
    const length = cursor.u64(`the length of name ${i}`);
    const at = cursor.skip(length, `name ${i}`);
    let name: string;
    try {
      name = decoder.decode(cursor.bytes.subarray(at, at + length));
    } catch (cause) {
      throw new FormatError(
        `expected UTF-8 in name ${i} at byte ${at}, received bytes that are none. The file is damaged: fetch or save it again.`,
        { op: cursor.op, cause },
      );
    }
    const before = names.get(name);
    if (before !== undefined)
      cursor.fail(
        'each name once',
        `${JSON.stringify(name)} for arrays ${before} and ${i}`,
        'Save the file again, each array under its own name.',
        at,
      );
    names.set(name, i);
  }
  return [...names.keys()];
}

function decodeBlock(
  block: Block,
  bytes: Uint8Array,
  place: Place,
): { readonly dtype: DType; readonly data: TypedArray } {
  return decode(block.type, bytes, block.at, sizeOf(block.shape), place);
}

/** The index array of a sparse array. Checked as numbers: MXNet's are int64, and all that fit inside an extent fit here. */
function decodeIndices(block: Block, cursor: Cursor, place: Place): TypedArray {
  const { data } = decodeBlock(block, cursor.bytes, place);
  for (const value of data)
    if (value < 0) cursor.fail(`indices ≥ 0 in ${place.array}`, `${value}`, undefined, block.at);
  return data;
}

function decodeEntry(entry: Entry, cursor: Cursor, name: string | undefined): RawArray {
  const { values, shape, storage, aux } = entry;
  if (values === undefined) return { dtype: 'float32', shape, data: new Float32Array(0), none: true };
  const place = { op: cursor.op, array: name === undefined ? `array ${entry.index}` : JSON.stringify(name) };
  const { dtype, data } = decodeBlock(values, cursor.bytes, place);
  const [first, second] = aux;
  if (storage === ROW_SPARSE && first !== undefined) {
    const rows = decodeIndices(first, cursor, place);
    return { dtype, shape, data: unfoldRows(dtype, shape, data, rows, place), storage: 'row_sparse' };
  }
  if (storage === CSR && first !== undefined && second !== undefined) {
    const starts = decodeIndices(first, cursor, place);
    const columns = decodeIndices(second, cursor, place);
    return { dtype, shape, data: unfoldCsr(dtype, shape, data, starts, columns, place), storage: 'csr' };
  }
  return { dtype, shape, data };
}

/** Whether bytes begin as a `.params` file does. */
export function isParams(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && new Cursor(bytes, '').u64('') === MAGIC;
}

/**
 * Reads a `.params` file of any MXNet version.
 *
 * Sparse arrays come unfolded, with `storage` naming what they were; an array that MXNet saved without a shape comes as
 * `none`. int64 and uint64 become int32 and uint32 where every value fits, int16 and uint16 int32, bfloat16 float32.
 * Data may be views of `bytes`: do not change those while the arrays are in use.
 *
 * @param bytes the whole file, at any alignment
 * @param op the name that errors carry
 * @returns the arrays, and their names in the same order: none where the file holds a list
 * @throws FormatError for anything that is not a whole, sound file, with the byte, what was expected there and what came
 * @throws DTypeError for 64-bit integers that do not fit
 * @example
 * const { names, arrays } = readParams(await readSource('lenet.params'));
 * names[0]; // '0.weight'
 */
export function readParams(bytes: Uint8Array, op = 'readParams'): { names: string[]; arrays: RawArray[] } {
  const cursor = new Cursor(bytes, op);
  if (!isParams(bytes)) {
    const { what, advice } = foreignFile(bytes) ?? {
      what: firstBytes(bytes),
      advice:
        bytes.length < 8
          ? 'The file is cut short: fetch or save it again.'
          : 'Check that this is the file you meant.',
    };
    cursor.fail('an MXNet .params file (0x112 in its first eight bytes)', what, advice);
  }
  cursor.skip(8, 'the .params magic');
  if (cursor.u64('the reserved word') !== 0)
    cursor.fail('the reserved word, 0', 'another number', undefined, 8);
  const count = cursor.u64('the number of arrays');
  // the smallest record has four bytes
  if (count * 4 > cursor.left)
    cursor.fail(
      `a number of arrays that fit into the ${cursor.left} bytes left, at least 4 bytes each,`,
      `${count}`,
      'The file is cut short or damaged: fetch or save it again.',
      16,
    );
  const entries: Entry[] = [];
  for (let i = 0; i < count; i++) entries.push(readEntry(cursor, i, count));
  const names = readNames(cursor, count);
  if (cursor.left > 0)
    cursor.fail(
      'the end of the file',
      `${cursor.left} more bytes`,
      'Something was appended to the file, or it is damaged.',
    );
  return { names, arrays: entries.map((entry, i) => decodeEntry(entry, cursor, names[i])) };
}

/**
 * Writes a `.params` file as MXNet 1.x does: V2 records, dense, on device cpu(0). Where an array has no axes the whole file is V3,
 * as MXNet writes it under `np_shape`; V2 cannot say that.
 *
 * @param arrays what to write; `none` arrays are written as such
 * @param names one for each array, or none for a list
 * @param op the name that errors carry
 * @throws ArgumentError, ShapeError or DTypeError for names or arrays that do not fit; nothing is written
 * @example
 * const bytes = writeParams([{ dtype: 'float32', shape: [2], data: new Float32Array([1, 2]) }], ['bias']);
 */
export function writeParams(
  arrays: readonly RawArray[],
  names: readonly string[],
  op = 'writeParams',
): Uint8Array<ArrayBuffer> {
  if (names.length !== 0 && names.length !== arrays.length)
    throw new ArgumentError(
      `expected no names or ${arrays.length}, one for each array, received ${names.length}. Name each array once.`,
      { op },
    );
  checkNames(names, op);
  arrays.forEach((array, i) => {
    checkRawArray(array, names[i] === undefined ? `array ${i}` : JSON.stringify(names[i]), op);
  });
  const scalars = arrays.some((array) => array.shape.length === 0);
  const encoded = names.map((name) => new TextEncoder().encode(name));
  let total = 8 * 4;
  for (const array of arrays)
    total +=
      array.none === true ? 12 : 24 + 8 * array.shape.length + array.data.length * bytesOf(array.dtype);
  for (const name of encoded) total += 8 + name.length;

  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  let at = 0;
  const i32 = (value: number): void => {
    view.setInt32(at, value, true);
    at += 4;
  };
  const u64 = (value: number): void => {
    view.setBigUint64(at, BigInt(value), true);
    at += 8;
  };
  u64(MAGIC);
  u64(0);
  u64(arrays.length);
  for (const array of arrays) {
    i32(scalars ? V3 : V2);
    i32(0);
    if (array.none === true) {
      i32(scalars ? -1 : 0);
      continue;
    }
    i32(array.shape.length);
    for (const extent of array.shape) u64(extent);
    i32(CPU);
    i32(0);
    i32(FILE_TYPES.indexOf(array.dtype));
    bytes.set(new Uint8Array(array.data.buffer, array.data.byteOffset, array.data.byteLength), at);
    at += array.data.byteLength;
  }
  u64(encoded.length);
  for (const name of encoded) {
    u64(name.length);
    bytes.set(name, at);
    at += name.length;
  }
  return bytes;
}
