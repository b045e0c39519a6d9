// safetensors files (https://github.com/huggingface/safetensors, "Format"): a JSON header that names arrays and their byte ranges,
// then the bytes. Files are written as the reference implementation lays them out: wide elements first, then by name, the
// header padded with spaces to a multiple of eight, so that every array is aligned. Also tells the two weight formats apart.
//
//   u64 length of the header | header, JSON | data
//   header = { "__metadata__"?: { key: string }, name: { "dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end] }, … }
import type { DType } from '../core/dtype.ts';
import { bytesOf } from '../core/dtype.ts';
import { ArgumentError, DTypeError, FormatError } from '../core/errors.ts';
import { MAX_NDIM, shapeText, sizeOf } from '../core/shape.ts';
import { Cursor } from './cursor.ts';
import { repeatedKey } from './json-keys.ts';
import { isParams } from './params.ts';
import type { FileType, RawArray } from './raw.ts';
import { checkNames, checkRawArray, decode, fileBytesOf } from './raw.ts';
import { firstBytes, foreignFile } from './signature.ts';

/** What the header calls an element type, in the reference's order of alignment: the widest is written first. */
const NAMES: Readonly<Record<string, FileType>> = {
  BOOL: 'bool',
  U8: 'uint8',
  I8: 'int8',
  I16: 'int16',
  U16: 'uint16',
  F16: 'float16',
  BF16: 'bfloat16',
  I32: 'int32',
  U32: 'uint32',
  F32: 'float32',
  F64: 'float64',
  I64: 'int64',
  U64: 'uint64',
};
const ORDER = Object.keys(NAMES);
/** What the format knows and this library cannot hold. */
const FOREIGN_NAMES: ReadonlySet<string> = new Set([
  'F4',
  'F6_E2M3',
  'F6_E3M2',
  'F8_E5M2',
  'F8_E4M3',
  'F8_E8M0',
  'F8_E4M3FNUZ',
  'F8_E5M2FNUZ',
  'C64',
]);
/** The reference implementation's limit. */
const MAX_HEADER_BYTES = 100_000_000;
const METADATA = '__metadata__';
const BRACE = 0x7b;
const SPACE = 0x20;

/** What a safetensors file holds: `names[i]` is the name of `arrays[i]`. */
interface Safetensors {
  readonly names: string[];
  readonly arrays: RawArray[];
  /** The header's `__metadata__`, empty where there is none. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface Entry {
  readonly name: string;
  readonly type: FileType;
  readonly shape: readonly number[];
  /** Bytes from the beginning of the data. */
  readonly begin: number;
  readonly end: number;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((v) => Number.isSafeInteger(v) && v >= 0);
}

/** A JSON value in a few characters, for messages. */
function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 60)}…` : text;
}

/** Refuses something the header says; a place inside a header of JSON helps nobody, so errors name the array. */
function refuse(op: string, expected: string, received: string, cause?: unknown): never {
  throw new FormatError(
    `expected ${expected}, received ${received}. The file is damaged: fetch or save it again.`,
    { op, cause },
  );
}

function readHeader(bytes: Uint8Array, op: string): { header: Record<string, unknown>; dataAt: number } {
  const cursor = new Cursor(bytes, op);
  const length = cursor.u64('the length of the header');
  if (length > MAX_HEADER_BYTES)
    cursor.fail(`a header of at most ${MAX_HEADER_BYTES} bytes`, `a length of ${length}`, undefined, 0);
  const at = cursor.skip(length, 'the header');
  if (bytes[at] !== BRACE)
    cursor.fail('a header that begins with {', firstBytes(bytes.subarray(at)), undefined, at);
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(at, at + length));
  } catch (cause) {
    return refuse(op, `a header of UTF-8 at bytes ${at} to ${at + length}`, 'bytes that are none', cause);
  }
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    return refuse(
      op,
      `a header of JSON at bytes ${at} to ${at + length}`,
      `text that is none (${why})`,
      cause,
    );
  }
  if (!isRecord(header)) return refuse(op, 'a JSON object as header', shown(header));
  const twice = repeatedKey(text);
  if (twice !== undefined) refuse(op, 'each name once in the header', `${JSON.stringify(twice)} twice`);
  return { header, dataAt: cursor.at };
}

function readEntry(name: string, value: unknown, dataBytes: number, op: string): Entry {
  const what = JSON.stringify(name);
  if (!isRecord(value))
    return refuse(op, `an object with dtype, shape and data_offsets for ${what}`, shown(value));
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isSizes(shape) || shape.length > MAX_NDIM)
    return refuse(op, `a shape of up to ${MAX_NDIM} whole numbers for ${what}`, shown(shape));
  if (!isSizes(offsets)) return refuse(op, `two whole numbers as data_offsets of ${what}`, shown(offsets));
  const [begin, end] = offsets;
  if (begin === undefined || end === undefined || offsets.length !== 2)
    return refuse(op, `two whole numbers as data_offsets of ${what}`, shown(offsets));
  if (begin > end || end > dataBytes)
    refuse(op, `data_offsets of ${what} that ascend within the ${dataBytes} bytes of data`, shown(offsets));
  if (typeof dtype !== 'string') return refuse(op, `a dtype for ${what}`, shown(dtype));
  const type = Object.hasOwn(NAMES, dtype) ? NAMES[dtype] : undefined;
  if (type === undefined) {
    if (!FOREIGN_NAMES.has(dtype))
      return refuse(op, `a dtype (${ORDER.join(', ')}) for ${what}`, shown(dtype));
    throw new DTypeError(
      `expected a dtype that arrays can have here (${ORDER.join(', ')}) for ${what}, received ${dtype}. Convert it to F32 before saving.`,
      { op },
    );
  }
  const needed = sizeOf(shape) * fileBytesOf(type);
  if (needed !== end - begin)
    refuse(
      op,
      `${needed} bytes for ${what}, ${dtype} ${shapeText(shape)}`,
      `data_offsets ${shown(offsets)}, ${end - begin} bytes`,
    );
  return { name, type, shape, begin, end };
}

function readMetadata(value: unknown, op: string): Record<string, string> {
  const out: [string, string][] = [];
  if (value === undefined || value === null) return {};
  if (!isRecord(value)) return refuse(op, `an object of strings as ${METADATA}`, shown(value));
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') return refuse(op, `a string as ${METADATA}.${key}`, shown(text));
    out.push([key, text]);
  }
  // fromEntries defines, so that a key such as __proto__ stays a key
  return Object.fromEntries(out);
}

/** Throws unless the arrays cover the data from its first byte to its last, each byte once. */
function checkCover(entries: readonly Entry[], dataBytes: number, op: string): void {
  const ordered = entries.toSorted((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const { name, begin, end } of ordered) {
    if (begin !== at)
      refuse(
        op,
        `data of ${JSON.stringify(name)} to begin at ${at}, where the array before it ends`,
        `${begin}, ${begin < at ? 'an overlap' : 'a hole'}`,
      );
    at = end;
  }
  if (at !== dataBytes)
    throw new FormatError(
      `expected the file to end with its last array, after ${at} bytes of data, received ${dataBytes - at} more bytes. ` +
        'Something was appended to the file, or it is damaged.',
      { op },
    );
}

/**
 * Reads a safetensors file, as strictly as the reference implementation: names once, byte ranges that cover the data without
 * holes or overlaps and agree with dtype and shape.
 *
 * Element types become ours as in `.params` files: 64-bit integers int32 and uint32 where every value fits, 16-bit ones int32,
 * BF16 float32. Data may be views of `bytes`: do not change those while the arrays are in use.
 *
 * @param bytes the whole file, at any alignment
 * @param op the name that errors carry
 * @throws FormatError for anything that is not a whole, sound file
 * @throws DTypeError for 64-bit integers that do not fit, and for 8-bit floats and complex numbers
 * @example
 * const { names, arrays, metadata } = readSafetensors(bytes);
 */
export function readSafetensors(bytes: Uint8Array, op = 'readSafetensors'): Safetensors {
  if (sniff(bytes, op) !== 'safetensors')
    throw new FormatError('expected a safetensors file, received an MXNet .params file. Read it as such.', {
      op,
    });
  const { header, dataAt } = readHeader(bytes, op);
  const dataBytes = bytes.length - dataAt;
  const metadata = readMetadata(Object.hasOwn(header, METADATA) ? header[METADATA] : undefined, op);
  const entries: Entry[] = [];
  for (const [name, value] of Object.entries(header))
    if (name !== METADATA) entries.push(readEntry(name, value, dataBytes, op));
  checkCover(entries, dataBytes, op);
  const arrays = entries.map(({ name, type, shape, begin }): RawArray => {
    const place = { op, array: JSON.stringify(name) };
    return { ...decode(type, bytes, dataAt + begin, sizeOf(shape), place), shape };
  });
  return { names: entries.map((entry) => entry.name), arrays, metadata };
}

const HEADER_NAMES: Readonly<Record<DType, string>> = {
  float32: 'F32',
  float16: 'F16',
  float64: 'F64',
  int32: 'I32',
  uint32: 'U32',
  int8: 'I8',
  uint8: 'U8',
  bool: 'BOOL',
};

/**
 * Writes a safetensors file, laid out as the reference implementation does it.
 *
 * @param arrays what to write
 * @param names one for each array
 * @param metadata strings for the header
 * @param op the name that errors carry
 * @throws ArgumentError, ShapeError or DTypeError for names, metadata or arrays that do not fit; nothing is written
 * @example
 * const bytes = writeSafetensors(arrays, names, { format: 'pt' });
 */
export function writeSafetensors(
  arrays: readonly RawArray[],
  names: readonly string[],
  metadata: Readonly<Record<string, string>> = {},
  op = 'writeSafetensors',
): Uint8Array<ArrayBuffer> {
  if (names.length !== arrays.length)
    throw new ArgumentError(
      `expected ${arrays.length} names, one for each array, received ${names.length}. Name each array once.`,
      { op },
    );
  checkNames(names, op);
  const pieces = arrays.map((array, i) => {
    const name = names[i] as string;
    checkRawArray(array, JSON.stringify(name), op);
    if (array.none === true || name === METADATA)
      throw new ArgumentError(
        name === METADATA
          ? `expected names other than ${METADATA}, which the format keeps for itself, received it. Rename the array.`
          : `expected arrays with a shape, received none for ${JSON.stringify(name)}. Leave it out.`,
        { op },
      );
    return { array, name, type: HEADER_NAMES[array.dtype] };
  });
  pieces.sort((a, b) => ORDER.indexOf(b.type) - ORDER.indexOf(a.type) || compareUtf8(a.name, b.name));

  const header: string[] = [];
  const notes = Object.entries(metadata);
  for (const [key, value] of notes)
    if (typeof value !== 'string')
      throw new ArgumentError(
        `expected a string as metadata ${JSON.stringify(key)}, received ${shown(value)}. Write it as text.`,
        { op },
      );
  if (notes.length > 0) header.push(`"${METADATA}":${JSON.stringify(metadata)}`);
  let at = 0;
  for (const { array, name, type } of pieces) {
    const end = at + array.data.length * bytesOf(array.dtype);
    header.push(
      `${JSON.stringify(name)}:{"dtype":"${type}","shape":[${array.shape.join(',')}],"data_offsets":[${at},${end}]}`,
    );
    at = end;
  }
  const text = new TextEncoder().encode(`{${header.join(',')}}`);
  const headerBytes = Math.ceil(text.length / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES)
    throw new ArgumentError(
      `expected a header of at most ${MAX_HEADER_BYTES} bytes, received ${headerBytes}. Write fewer arrays or less metadata.`,
      { op },
    );

  const bytes = new Uint8Array(8 + headerBytes + at);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(text, 8);
  bytes.fill(SPACE, 8 + text.length, 8 + headerBytes);
  at = 8 + headerBytes;
  for (const { array } of pieces) {
    bytes.set(new Uint8Array(array.data.buffer, array.data.byteOffset, array.data.byteLength), at);
    at += array.data.byteLength;
  }
  return bytes;
}

/** Orders text by its UTF-8 bytes, which is the order of code points and not that of JavaScript's `<`. */
function compareUtf8(a: string, b: string): number {
  const x = new TextEncoder().encode(a);
  const y = new TextEncoder().encode(b);
  for (let i = 0; i < x.length && i < y.length; i++) {
    const difference = (x[i] as number) - (y[i] as number);
    if (difference !== 0) return difference;
  }
  return x.length - y.length;
}

/**
 * Tells a `.params` file from a safetensors file by how it begins; says nothing about the rest.
 *
 * @throws FormatError for everything else, naming what it seems to be
 * @example
 * const read = sniff(bytes) === 'params' ? readParams : readSafetensors;
 */
export function sniff(bytes: Uint8Array, op = 'sniff'): 'params' | 'safetensors' {
  // 0x112 could also be the length of a safetensors header, but then the header's { follows, where .params has zeros
  const brace = bytes.length > 8 && bytes[8] === BRACE;
  if (isParams(bytes) && !brace) return 'params';
  if (brace && new Cursor(bytes, op).u64('the length of the header') <= MAX_HEADER_BYTES)
    return 'safetensors';
  const { what, advice } = foreignFile(bytes) ?? {
    what: firstBytes(bytes),
    advice:
      bytes.length < 9
        ? 'The file is cut short: fetch or save it again.'
        : 'Check that this is the file you meant.',
  };
  throw new FormatError(`expected MXNet's .params or a safetensors file, received ${what}. ${advice}`, {
    op,
  });
}
