import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { TypedArray } from '../core/dtype.ts';
import { fromHalf } from '../core/dtype.ts';
import { ArgumentError, DTypeError, FormatError, ShapeError } from '../core/errors.ts';
import type { RawArray } from './params.ts';
import { readParams, writeParams } from './params.ts';

// ---- an independent writer: the layout of MXNet 1.9.1's src/ndarray/ndarray.cc, spelt out number by number

type Piece = readonly number[];
const le =
  (bytes: number) =>
  (...values: (number | bigint)[]): Piece =>
    values.flatMap((value) =>
      Array.from({ length: bytes }, (_, i) => Number((BigInt(value) >> BigInt(8 * i)) & 255n)),
    );
const u16 = le(2);
const i32 = le(4);
const i64 = le(8);
const floats = (...values: number[]): Piece => [...new Uint8Array(Float32Array.from(values).buffer)];
const shape = (...dims: (number | bigint)[]): Piece => [...i32(dims.length), ...i64(...dims)];
const text = (value: string): Piece => [...new TextEncoder().encode(value)];
const V1 = i32(0xf993fac8);
const V2 = i32(0xf993fac9);
const V3 = i32(0xf993faca);
const DENSE = i32(0);
const CPU = i32(1, 0);

function file(records: readonly Piece[], names: readonly string[] = []): Uint8Array<ArrayBuffer> {
  return Uint8Array.from([
    ...i64(0x112, 0, records.length),
    ...records.flat(),
    ...i64(names.length),
    ...names.flatMap((name) => [...i64(text(name).length), ...text(name)]),
  ]);
}

const dense = (dims: readonly number[], code: number, data: Piece): Piece => [
  ...V2,
  ...DENSE,
  ...shape(...dims),
  ...CPU,
  ...i32(code),
  ...data,
];

/** rows 1 and 3 of a (5, 2) matrix */
const rowSparse: Piece = [
  ...V2,
  ...i32(1),
  ...shape(2, 2),
  ...shape(5, 2),
  ...CPU,
  ...i32(0),
  ...i32(6),
  ...shape(2),
  ...floats(1, 2, 3, 4),
  ...i64(1, 3),
];
/** [[0, 7, 0], [0, 0, 0], [8, 0, 9]] */
const csr: Piece = [
  ...V2,
  ...i32(2),
  ...shape(3),
  ...shape(3, 3),
  ...CPU,
  ...i32(0),
  ...i32(6),
  ...shape(4),
  ...i32(6),
  ...shape(3),
  ...floats(7, 8, 9),
  ...i64(0, 1, 1, 3),
  ...i64(1, 0, 2),
];

/** One record of each version and of each storage. */
const everything = file(
  [
    [...i32(2), ...i32(2, 1), ...CPU, ...i32(0), ...floats(1, 2)],
    [...i32(0)],
    [...V1, ...shape(3), ...i32(2, 1), ...i32(4), ...i32(-1, 0, 1)],
    [...V1, ...shape()],
    dense([2], 0, floats(0.5, -0.5)),
    [...V2, ...DENSE, ...shape()],
    [...V3, ...DENSE, ...shape(), ...CPU, ...i32(0), ...floats(42)],
    [...V3, ...DENSE, ...i32(-1)],
    [...V3, ...DENSE, ...shape(2, -1)],
    rowSparse,
    csr,
    dense([2], 6, i64(-5, 2147483647)),
    dense([2], 12, u16(0x3f80, 0xc020)),
  ],
  ['v0', 'none0', 'v1', 'none1', 'v2', 'none2', 'scalar', 'none3', 'unknown', 'rows', 'csr', 'long', 'bräin'],
);

const shared = (name: string): Uint8Array<ArrayBuffer> =>
  new Uint8Array(readFileSync(new URL(`../../test-data/${name}`, import.meta.url)));

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

function refuse(bytes: Uint8Array): string {
  const error = caught(() => readParams(bytes));
  expect(error).toBeInstanceOf(FormatError);
  return (error as FormatError).message;
}

const only = (bytes: Uint8Array): RawArray => {
  const [array] = readParams(bytes).arrays;
  if (array === undefined) throw new Error('no array');
  return array;
};

describe('files that MXNet wrote', () => {
  test("the crash course's LeNet is read, and written again byte for byte", () => {
    const bytes = shared('crash-course/lenet-fashionmnist.params');
    const { names, arrays } = readParams(bytes);
    expect(names).toEqual([
      '0.weight',
      '0.bias',
      '2.weight',
      '2.bias',
      '5.weight',
      '5.bias',
      '6.weight',
      '6.bias',
      '7.weight',
      '7.bias',
    ]);
    expect(arrays.map((a) => a.shape)).toEqual([
      [6, 1, 5, 5],
      [6],
      [16, 6, 3, 3],
      [16],
      [120, 400],
      [120],
      [84, 120],
      [84],
      [10, 84],
      [10],
    ]);
    expect(new Set(arrays.map((a) => a.dtype))).toEqual(new Set(['float32']));
    // the first float of the file, by hand from its hexadecimal dump: a6 9f 89 be
    expect(arrays[0]?.data[0]).toBe(
      new DataView(Uint8Array.of(0xa6, 0x9f, 0x89, 0xbe).buffer).getFloat32(0, true),
    );
    expect(Buffer.compare(writeParams(arrays, names), bytes)).toBe(0);
  });

  test('the V0 file of MXNet’s own tests: six arrays of 0 … 127', () => {
    const { names, arrays } = readParams(shared('mxnet/legacy_ndarray.v0'));
    expect(names).toEqual([]);
    expect(arrays).toHaveLength(6);
    const expected = Float32Array.from({ length: 128 }, (_, i) => i);
    for (const array of arrays) expect(array).toEqual({ dtype: 'float32', shape: [128], data: expected });
  });

  test('aligned data is a view of the file, at any byteOffset it is right', () => {
    const bytes = shared('crash-course/lenet-fashionmnist.params');
    expect(only(bytes).data.buffer).toBe(bytes.buffer);
    for (const offset of [1, 2, 3, 4, 7]) {
      const moved = new Uint8Array(bytes.length + 8);
      moved.set(bytes, offset);
      const { names, arrays } = readParams(moved.subarray(offset, offset + bytes.length));
      expect(Buffer.compare(writeParams(arrays, names), bytes)).toBe(0);
    }
  });

  test('shared memory is copied out of', () => {
    const bytes = new Uint8Array(new SharedArrayBuffer(everything.length));
    bytes.set(everything);
    for (const array of readParams(bytes).arrays) expect(array.data.buffer).toBeInstanceOf(ArrayBuffer);
  });
});

describe('every version of a record', () => {
  const { names, arrays } = readParams(everything);
  const named = (name: string): RawArray | undefined => arrays[names.indexOf(name)];
  const none = { dtype: 'float32', shape: [0], data: new Float32Array(0), none: true };

  test('V0, V1, V2, V3', () => {
    expect(named('v0')).toEqual({ dtype: 'float32', shape: [2, 1], data: Float32Array.of(1, 2) });
    expect(named('v1')).toEqual({ dtype: 'int32', shape: [3], data: Int32Array.of(-1, 0, 1) });
    expect(named('v2')).toEqual({ dtype: 'float32', shape: [2], data: Float32Array.of(0.5, -0.5) });
    expect(named('scalar')).toEqual({ dtype: 'float32', shape: [], data: Float32Array.of(42) });
  });

  test('no axes, or unknown ones, are arrays of nothing', () => {
    for (const name of ['none0', 'none1', 'none2', 'none3', 'unknown']) expect(named(name)).toEqual(none);
  });

  test('sparse arrays unfold and say so', () => {
    expect(named('rows')).toEqual({
      dtype: 'float32',
      shape: [5, 2],
      data: Float32Array.of(0, 0, 1, 2, 0, 0, 3, 4, 0, 0),
      storage: 'row_sparse',
    });
    expect(named('csr')).toEqual({
      dtype: 'float32',
      shape: [3, 3],
      data: Float32Array.of(0, 7, 0, 0, 0, 0, 8, 0, 9),
      storage: 'csr',
    });
  });

  test('sparse arrays of zeros', () => {
    const rows = [
      ...V2,
      ...i32(1),
      ...shape(0, 2),
      ...shape(3, 2),
      ...CPU,
      ...i32(0),
      ...i32(6),
      ...shape(0),
    ];
    const matrix = [
      ...V2,
      ...i32(2),
      ...shape(0),
      ...shape(2, 2),
      ...CPU,
      ...i32(0),
      ...i32(6),
      ...shape(0),
      ...i32(6),
      ...shape(0),
    ];
    expect(only(file([rows])).data).toEqual(new Float32Array(6));
    expect(only(file([matrix])).data).toEqual(new Float32Array(4));
  });
});

describe('dtypes', () => {
  test.each<[string, number, Piece, string, TypedArray]>([
    ['float32', 0, floats(1.5), 'float32', Float32Array.of(1.5)],
    ['float64', 1, [...new Uint8Array(Float64Array.of(0.1).buffer)], 'float64', Float64Array.of(0.1)],
    ['float16', 2, u16(0x3c00, 0xfbff), 'float16', Uint16Array.of(0x3c00, 0xfbff)],
    ['uint8', 3, [0, 255], 'uint8', Uint8Array.of(0, 255)],
    ['int32', 4, i32(-2147483648), 'int32', Int32Array.of(-2147483648)],
    ['int8', 5, [0x80, 0x7f], 'int8', Int8Array.of(-128, 127)],
    ['int64', 6, i64(-2147483648, -1, 0, 2147483647), 'int32', Int32Array.of(-2147483648, -1, 0, 2147483647)],
    ['bool', 7, [0, 1, 1], 'bool', Uint8Array.of(0, 1, 1)],
    ['bool of other bytes', 7, [0, 2, 255], 'bool', Uint8Array.of(0, 1, 1)],
    ['int16', 8, u16(0x8000, 0x7fff), 'int32', Int32Array.of(-32768, 32767)],
    ['uint16', 9, u16(0xffff), 'int32', Int32Array.of(65535)],
    ['uint32', 10, i32(0xffffffff), 'uint32', Uint32Array.of(4294967295)],
    ['uint64', 11, i64(0xffffffff), 'uint32', Uint32Array.of(4294967295)],
    [
      'bfloat16',
      12,
      u16(0x3f80, 0xc020, 0x7f80, 0x0001),
      'float32',
      Float32Array.of(1, -2.5, Infinity, 2 ** -133),
    ],
  ])('%s', (_, code, bytes, dtype, data) => {
    expect(only(file([dense([data.length], code, bytes)]))).toEqual({ dtype, shape: [data.length], data });
  });

  test.each([
    ['int64', 6, 2n ** 31n, 'int32'],
    ['int64', 6, -(2n ** 31n) - 1n, 'int32'],
    ['int64', 6, 2n ** 63n - 1n, 'int32'],
    ['uint64', 11, 2n ** 32n, 'uint32'],
    ['uint64', 11, 2n ** 64n - 1n, 'uint32'],
  ])('%s that does not fit: code %i, %i', (type, code, value, fits) => {
    const error = caught(() => readParams(file([dense([2], code, i64(7, value))], ['ids'])));
    expect(error).toBeInstanceOf(DTypeError);
    expect((error as DTypeError).message).toContain(`${type} values that fit into ${fits}`);
    expect((error as DTypeError).message).toContain(`received ${value} as element 1 of "ids"`);
  });
});

describe('writing', () => {
  const f32: RawArray = { dtype: 'float32', shape: [2], data: Float32Array.of(0.5, -0.5) };

  test('every dtype, as MXNet lays it out', () => {
    const arrays: RawArray[] = [
      f32,
      { dtype: 'float64', shape: [1], data: Float64Array.of(0.1) },
      { dtype: 'float16', shape: [1, 2], data: Uint16Array.of(0x3c00, 0xfbff) },
      { dtype: 'uint8', shape: [1], data: Uint8Array.of(255) },
      { dtype: 'int32', shape: [1], data: Int32Array.of(-7) },
      { dtype: 'int8', shape: [1], data: Int8Array.of(-7) },
      { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
      { dtype: 'uint32', shape: [1], data: Uint32Array.of(4294967295) },
      { dtype: 'float32', shape: [0, 3], data: new Float32Array(0) },
      { dtype: 'float32', shape: [0], data: new Float32Array(0), none: true },
    ];
    const names = ['a', 'é', '\ufeffbom', '', '0.weight', 'f', 'g', '😀', 'h', 'i'];
    const expected = file(
      [
        dense([2], 0, floats(0.5, -0.5)),
        dense([1], 1, [...new Uint8Array(Float64Array.of(0.1).buffer)]),
        dense([1, 2], 2, u16(0x3c00, 0xfbff)),
        dense([1], 3, [255]),
        dense([1], 4, i32(-7)),
        dense([1], 5, [0xf9]),
        dense([3], 7, [1, 0, 1]),
        dense([1], 10, i32(0xffffffff)),
        dense([0, 3], 0, []),
        [...V2, ...DENSE, ...shape()],
      ],
      names,
    );
    const written = writeParams(arrays, names);
    expect(written).toEqual(expected);
    expect(readParams(written)).toEqual({ names, arrays });
    expect(fromHalf(0xfbff)).toBe(-65504);
  });

  test('a list, and nothing at all', () => {
    expect(writeParams([f32], [])).toEqual(file([dense([2], 0, floats(0.5, -0.5))]));
    expect(writeParams([], [])).toEqual(file([]));
    expect(readParams(file([]))).toEqual({ names: [], arrays: [] });
  });

  test('with a scalar among them all records are V3, for V2 has no scalars', () => {
    const scalar: RawArray = { dtype: 'float32', shape: [], data: Float32Array.of(3) };
    const none: RawArray = { dtype: 'float32', shape: [0], data: new Float32Array(0), none: true };
    const written = writeParams([scalar, f32, none], []);
    const v3 = (...rest: Piece[]): Piece => [...V3, ...DENSE, ...rest.flat()];
    expect(written).toEqual(
      file([v3(shape(), CPU, i32(0), floats(3)), v3(shape(2), CPU, i32(0), floats(0.5, -0.5)), v3(i32(-1))]),
    );
    expect(readParams(written).arrays).toEqual([scalar, f32, none]);
  });

  test('data that is a part of a larger buffer', () => {
    const part = Float32Array.of(9, 1, 2, 9).subarray(1, 3);
    expect(writeParams([{ dtype: 'float32', shape: [2], data: part }], [])).toEqual(
      file([dense([2], 0, floats(1, 2))]),
    );
  });

  test.each<[string, RawArray[], string[], new (m: string) => Error, string]>([
    ['too few names', [f32, f32], ['a'], ArgumentError, 'expected no names or 2'],
    ['a name twice', [f32, f32], ['a', 'a'], ArgumentError, '"a" twice'],
    ['half a surrogate pair', [f32], ['\ud83d'], ArgumentError, 'surrogate'],
    [
      'too few elements',
      [{ ...f32, shape: [3] }],
      ['a'],
      ShapeError,
      'expected 3 elements for "a" of shape (3,), received 2',
    ],
    [
      'float16 as floats',
      [{ ...f32, dtype: 'float16' }],
      [],
      DTypeError,
      'expected float16 elements for array 0, received a Float32Array',
    ],
  ])('%s', (_, arrays, names, Class, message) => {
    const error = caught(() => writeParams(arrays, names));
    expect(error).toBeInstanceOf(Class);
    expect((error as Error).message).toContain(message);
  });
});

describe('what is refused, and how', () => {
  const f = dense([2], 0, floats(1, 2));
  const sparse = (edit: (record: number[]) => void): Uint8Array => {
    const record = [...rowSparse];
    edit(record);
    return file([record]);
  };

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'received an empty file'],
    ['another magic', Uint8Array.from([...i64(0x113, 0, 0, 0)]), 'at byte 0, received the bytes 13 01 00 00'],
    ['a reserved word', Uint8Array.from([...i64(0x112, 1, 0, 0)]), 'expected the reserved word, 0 at byte 8'],
    [
      'a huge count',
      Uint8Array.from([...i64(0x112, 0, 2n ** 62n, 0)]),
      'at byte 16, received 4611686018427388000',
    ],
    ['a record’s magic', file([[...i32(0xdeadbeef), ...f.slice(4)]]), 'at byte 24, received 0xdeadbeef'],
    ['a storage type', file([[...V2, ...i32(3), ...f.slice(8)]]), 'at byte 28, received 3'],
    [
      'sparse V3',
      file([[...V3, ...rowSparse.slice(4)]]),
      'expected storage type 0 (dense) for array 0 of 1 at byte 28, received 1',
    ],
    [
      'axes',
      file([[...V2, ...DENSE, ...i32(9), ...i64(1, 1, 1, 1, 1, 1, 1, 1, 1)]]),
      'expected 0 to 8 axes for array 0 of 1 at byte 32, received 9',
    ],
    ['negative axes', file([[...V2, ...DENSE, ...i32(-1)]]), 'received -1'],
    ['axes of V0', file([i32(20)]), 'expected 0 to 8 axes'],
    [
      'a negative extent',
      file([[...V2, ...DENSE, ...shape(2, -1), ...CPU]]),
      'axis 1 of array 0 of 1 at byte 44, received -1',
    ],
    [
      'a huge extent',
      file([[...V2, ...DENSE, ...shape(2n ** 40n), ...CPU, ...i32(0)]]),
      'expected 4398046511104 bytes of float32 (1099511627776,)',
    ],
    [
      'huge extents',
      file([[...V2, ...DENSE, ...shape(2n ** 52n, 2n ** 52n, 2n ** 52n), ...CPU, ...i32(0)]]),
      'received the end of the file',
    ],
    [
      'an extent past 2^53',
      file([[...V2, ...DENSE, ...shape(2n ** 60n), ...CPU, ...i32(0)]]),
      'expected an extent of 0 to 2^53 − 1',
    ],
    [
      'a device',
      file([[...V2, ...DENSE, ...shape(1), ...i32(9, 0, 0), ...floats(1)]]),
      'at byte 44, received 9, 0',
    ],
    [
      'a dtype',
      file([[...V2, ...DENSE, ...shape(1), ...CPU, ...i32(13), ...floats(1)]]),
      'at byte 52, received 13',
    ],
    [
      'the number of names',
      Uint8Array.from([...i64(0x112, 0, 1), ...f, ...i64(2, 1, 1), 65, 66]),
      'expected no names or 1, one for each array at byte 64, received 2',
    ],
    [
      'a name’s length',
      Uint8Array.from([...i64(0x112, 0, 1), ...f, ...i64(1, 2n ** 50n), 65]),
      'expected 1125899906842624 bytes of name 0 at byte 80',
    ],
    [
      'a name that is no UTF-8',
      Uint8Array.from([...i64(0x112, 0, 1), ...f, ...i64(1, 2), 0xc3, 0x28]),
      'expected UTF-8 in name 0 at byte 80',
    ],
    ['a name twice', file([f, f], ['a', 'a']), '"a" for arrays 0 and 1'],
    [
      'bytes after the end',
      Uint8Array.from([...file([f], ['a']), 1, 2, 3]),
      'expected the end of the file at byte 81, received 3 more bytes',
    ],
    [
      'a row number too large',
      sparse((r) => r.splice(-8, 8, ...i64(5))),
      'row numbers that ascend, below 5 in array 0, received 5 after 1',
    ],
    ['row numbers that descend', sparse((r) => r.splice(-16, 16, ...i64(3, 1))), 'received 1 after 3'],
    ['negative row numbers', sparse((r) => r.splice(-16, 8, ...i64(-1))), 'received -1'],
    [
      'row numbers of floats',
      sparse((r) => r.splice(4 + 4 + 20 + 20 + 8 + 4, 4, ...i32(0))),
      'expected int64 or int32 for index array 0',
    ],
    [
      'row starts that lie',
      file([[...csr.slice(0, -56), ...i64(0, 1, 0, 3), ...csr.slice(-24)]]),
      'row starts',
    ],
    ['columns too large', file([[...csr.slice(0, -8), ...i64(3)]]), 'column numbers that ascend, below 3'],
  ])('%s', (_, bytes, message) => {
    const said = refuse(bytes);
    expect(said).toContain(message);
    expect(said).toMatch(/^\[readParams\] expected .*received .*\. .+\.$/s);
  });

  test('a sparse array that asks for far more memory than it brings', () => {
    const record = [
      ...V2,
      ...i32(1),
      ...shape(0, 1024),
      ...shape(2n ** 40n, 1024),
      ...CPU,
      ...i32(0),
      ...i32(6),
      ...shape(0),
    ];
    expect(refuse(file([record]))).toContain('unfolds to at most 1024 times');
  });

  test.each<[string, number[] | string, string]>([
    [
      'a zip',
      [0x50, 0x4b, 3, 4, ...Array<number>(40).fill(0)],
      "a zip archive (MXNet 2's .npz, or PyTorch's .pt)",
    ],
    ['MXNet 2', zipOf('0.weight.npy'), "a zip archive of NumPy arrays (MXNet 2's .npz)"],
    ['PyTorch', zipOf('archive/data.pkl'), "a zip archive of PyTorch's"],
    ['an old PyTorch file', [0x80, 2, 0x8a, 10], 'a Python pickle'],
    ['gzip', [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3], 'a gzip stream. Unpack it first'],
    ['HTML', '<!DOCTYPE html>\n<title>404</title>', 'an HTML page, "<!DOCTYPE html>'],
    ['HTML after a byte order mark', '\ufeff\r\n <html lang="de">', 'an HTML page'],
    ['XML', '<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>', 'XML or HTML text'],
    ['JSON', '{"nodes": [{"op": "null"}]}', 'JSON text, "{\\"nodes\\"'],
    ['plain text', 'Not Found', 'text, "Not Found". Look at the address'],
    ['Git LFS', 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a', 'a Git LFS pointer'],
    ['HDF5', [0x89, 0x48, 0x44, 0x46, 13, 10, 26, 10], 'an HDF5 file'],
    ['NumPy', [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0], 'one NumPy array'],
    ['ONNX', [8, 7, 0x12, 7, ...text('pytorch')], 'an ONNX model. Load it with gluon.onnx.importModel'],
  ])('%s in its place', (_, bytes, message) => {
    expect(
      refuse(typeof bytes === 'string' ? new TextEncoder().encode(bytes) : Uint8Array.from(bytes)),
    ).toContain(message);
  });

  test('the error carries the name that the caller gives', () => {
    expect(() => readParams(new Uint8Array(3), 'loadParameters')).toThrow(/^\[loadParameters\] /);
  });
});

function zipOf(name: string): number[] {
  // a local file header: signature, 22 bytes of no interest, length of the name, of the extra field, the name
  return [0x50, 0x4b, 3, 4, ...Array<number>(22).fill(0), ...u16(name.length, 0), ...text(name), 1, 2, 3];
}

describe('damage', () => {
  const MIB = 1 << 20;
  /** Reads, and fails the test where that throws anything unexpected or takes memory that the file cannot ask for. */
  function survives(bytes: Uint8Array): 'read' | 'refused' {
    const before = process.memoryUsage().arrayBuffers;
    let outcome: 'read' | 'refused' = 'read';
    try {
      readParams(bytes);
    } catch (error) {
      if (!(error instanceof FormatError || error instanceof DTypeError)) throw error;
      outcome = 'refused';
    }
    // a collection in between can only lower this
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(5 * MIB);
    return outcome;
  }

  test('cut at every byte', () => {
    for (let length = 0; length < everything.length; length++) {
      expect(refuse(everything.subarray(0, length)), `${length} bytes`).toMatch(/empty|cut short/);
    }
  });

  test('every byte set to values that hurt', () => {
    let refused = 0;
    for (let at = 0; at < everything.length; at++) {
      for (const value of [0, 1, 0x7f, 0x80, 0xff]) {
        const bytes = everything.slice();
        bytes[at] = value;
        if (survives(bytes) === 'refused') refused++;
      }
    }
    expect(refused).toBeGreaterThan(everything.length);
  });

  test('random flips, insertions and removals', () => {
    // xorshift32, so that a failure repeats
    let state = 0x9e3779b9;
    const random = (below: number): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    const outcomes = { read: 0, refused: 0 };
    for (let round = 0; round < 4000; round++) {
      const bytes = [...everything];
      for (let n = 1 + random(4); n > 0; n--) {
        const at = random(bytes.length);
        switch (random(4)) {
          case 0:
            bytes.splice(at, 1 + random(8));
            break;
          case 1:
            bytes.splice(at, 0, ...Array.from({ length: 1 + random(8) }, () => random(256)));
            break;
          default:
            bytes[at] = (bytes[at] ?? 0) ^ (1 << random(8));
        }
      }
      outcomes[survives(Uint8Array.from(bytes))]++;
    }
    expect(outcomes.refused).toBeGreaterThan(1000);
    expect(outcomes.read).toBeGreaterThan(100);
  });
});
