import { describe, expect, test } from 'vitest';
import { ArgumentError, DTypeError, FormatError, ShapeError } from '../core/errors.ts';
import { repeatedKey } from './json-keys.ts';
import type { RawArray } from './params.ts';
import { writeParams } from './params.ts';
import { readSafetensors, sniff, writeSafetensors } from './safetensors.ts';

const bytesOf = (base64: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(base64, 'base64'));

// Written by the reference implementation: safetensors 0.8.0, serialize(…, {'format': 'mx'}).
const REFERENCE = bytesOf(
  'KAMAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJteCJ9LCJhNjQiOnsiZHR5cGUiOiJGNjQiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOlswLDhdfSwiMC53ZWlnaHQiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzIsM10sImRhdGFfb2Zmc2V0cyI6WzgsMzJdfSwiZW1wdHkiOnsiZHR5cGUiOiJGMzIiLCJzaGFwZSI6WzAsNF0sImRhdGFfb2Zmc2V0cyI6WzMyLDMyXX0sInNjYWxhciI6eyJkdHlwZSI6IkYzMiIsInNoYXBlIjpbXSwiZGF0YV9vZmZzZXRzIjpbMzIsMzZdfSwid2lkZSI6eyJkdHlwZSI6IlUzMiIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzM2LDQwXX0sImlkcyI6eyJkdHlwZSI6IkkzMiIsInNoYXBlIjpbMiwxXSwiZGF0YV9vZmZzZXRzIjpbNDAsNDhdfSwiMC5iaWFzIjp7ImR0eXBlIjoiRjE2Iiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbNDgsNTRdfSwic21hbGwiOnsiZHR5cGUiOiJJOCIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6WzU0LDU2XX0sImIuw6kiOnsiZHR5cGUiOiJVOCIsInNoYXBlIjpbMl0sImRhdGFfb2Zmc2V0cyI6WzU2LDU4XX0sInF1b3RlXCJcXFxu4oCoIjp7ImR0eXBlIjoiVTgiLCJzaGFwZSI6WzFdLCJkYXRhX29mZnNldHMiOls1OCw1OV19LCLvv64iOnsiZHR5cGUiOiJVOCIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzU5LDYwXX0sIvCfmIAiOnsiZHR5cGUiOiJVOCIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzYwLDYxXX0sIm1hc2siOnsiZHR5cGUiOiJCT09MIiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbNjEsNjRdfX0gICAgICAgmpmZmZmZuT8AAIA/AAAgwIKo+zcAAIB/AAAAACC8vkwAAOBA//////n///////9/ADwAuP97gH8A/wkBAgEAAQ==',
);
const CONTENTS: Record<string, RawArray> = {
  '0.weight': { dtype: 'float32', shape: [2, 3], data: Float32Array.of(1, -2.5, 3e-5, Infinity, 0, 1e8) },
  '0.bias': { dtype: 'float16', shape: [3], data: Uint16Array.of(0x3c00, 0xb800, 0x7bff) },
  'b.é': { dtype: 'uint8', shape: [2], data: Uint8Array.of(0, 255) },
  mask: { dtype: 'bool', shape: [3], data: Uint8Array.of(1, 0, 1) },
  a64: { dtype: 'float64', shape: [1], data: Float64Array.of(0.1) },
  ids: { dtype: 'int32', shape: [2, 1], data: Int32Array.of(-7, 2147483647) },
  small: { dtype: 'int8', shape: [2], data: Int8Array.of(-128, 127) },
  wide: { dtype: 'uint32', shape: [1], data: Uint32Array.of(4294967295) },
  empty: { dtype: 'float32', shape: [0, 4], data: new Float32Array(0) },
  scalar: { dtype: 'float32', shape: [], data: Float32Array.of(7) },
  'quote"\\\n\u2028': { dtype: 'uint8', shape: [1], data: Uint8Array.of(9) },
  '\uffee': { dtype: 'uint8', shape: [1], data: Uint8Array.of(1) },
  '😀': { dtype: 'uint8', shape: [1], data: Uint8Array.of(2) },
};
// The same, with int64 [-5, 2^31 − 1], uint64 [2^32 − 1], int16, uint16 and bfloat16 [1, −2.5, ∞].
const OTHER_TYPES = bytesOf(
  'KAEAAAAAAAB7InVsb25nIjp7ImR0eXBlIjoiVTY0Iiwic2hhcGUiOlsxXSwiZGF0YV9vZmZzZXRzIjpbMCw4XX0sImxvbmciOnsiZHR5cGUiOiJJNjQiLCJzaGFwZSI6WzJdLCJkYXRhX29mZnNldHMiOls4LDI0XX0sImJyYWluIjp7ImR0eXBlIjoiQkYxNiIsInNoYXBlIjpbM10sImRhdGFfb2Zmc2V0cyI6WzI0LDMwXX0sInVzaG9ydCI6eyJkdHlwZSI6IlUxNiIsInNoYXBlIjpbMV0sImRhdGFfb2Zmc2V0cyI6WzMwLDMyXX0sInNob3J0Ijp7ImR0eXBlIjoiSTE2Iiwic2hhcGUiOlsyXSwiZGF0YV9vZmZzZXRzIjpbMzIsMzZdfX0gIP////8AAAAA+/////////////9/AAAAAIA/IMCAf///AID/fw==',
);

/** A file of a header and data, by the format's description. */
function file(header: unknown, data: readonly number[] = []): Uint8Array<ArrayBuffer> {
  const text = typeof header === 'string' ? header : JSON.stringify(header);
  const head = new TextEncoder().encode(text);
  return Uint8Array.from([
    ...new Uint8Array(BigUint64Array.of(BigInt(head.length)).buffer),
    ...head,
    ...data,
  ]);
}

const u8 = (shape: unknown, begin: unknown, end: unknown): unknown => ({
  dtype: 'U8',
  shape,
  data_offsets: [begin, end],
});

function caught(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('reading what the reference implementation wrote', () => {
  test('all dtypes that arrays have here', () => {
    const { names, arrays, metadata } = readSafetensors(REFERENCE);
    expect(Object.fromEntries(names.map((name, i) => [name, arrays[i]]))).toEqual(CONTENTS);
    expect(metadata).toEqual({ format: 'mx' });
  });

  test('the others, converted', () => {
    const { names, arrays, metadata } = readSafetensors(OTHER_TYPES);
    expect(Object.fromEntries(names.map((name, i) => [name, arrays[i]]))).toEqual({
      long: { dtype: 'int32', shape: [2], data: Int32Array.of(-5, 2147483647) },
      ulong: { dtype: 'uint32', shape: [1], data: Uint32Array.of(4294967295) },
      short: { dtype: 'int32', shape: [2], data: Int32Array.of(-32768, 32767) },
      ushort: { dtype: 'int32', shape: [1], data: Int32Array.of(65535) },
      brain: { dtype: 'float32', shape: [3], data: Float32Array.of(1, -2.5, Infinity) },
    });
    expect(metadata).toEqual({});
  });

  test('at any byteOffset', () => {
    for (const offset of [1, 4, 8]) {
      const moved = new Uint8Array(REFERENCE.length + 8);
      moved.set(REFERENCE, offset);
      const { names, arrays } = readSafetensors(moved.subarray(offset, offset + REFERENCE.length));
      expect(Object.fromEntries(names.map((name, i) => [name, arrays[i]]))).toEqual(CONTENTS);
    }
  });

  test('names that are properties of objects, and whole numbers', () => {
    const text =
      '{"__proto__":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"7":{"dtype":"U8","shape":[],"data_offsets":[1,2]}}';
    const { names, arrays } = readSafetensors(file(text, [5, 6]));
    expect(arrays[names.indexOf('__proto__')]?.data).toEqual(Uint8Array.of(5));
    expect(arrays[names.indexOf('7')]?.data).toEqual(Uint8Array.of(6));
  });

  test('nothing at all', () => {
    expect(readSafetensors(file('{}      '))).toEqual({ names: [], arrays: [], metadata: {} });
  });
});

describe('writing', () => {
  test('the reference implementation’s bytes', () => {
    const written = writeSafetensors(Object.values(CONTENTS), Object.keys(CONTENTS), { format: 'mx' });
    expect(Buffer.from(written).toString('latin1')).toBe(Buffer.from(REFERENCE).toString('latin1'));
  });

  test('the data begins at a multiple of eight', () => {
    for (let length = 1; length < 10; length++) {
      const written = writeSafetensors(
        [{ dtype: 'float64', shape: [1], data: Float64Array.of(0.5) }],
        ['x'.repeat(length)],
      );
      expect(written.length % 8).toBe(0);
      expect(readSafetensors(written).arrays[0]?.data).toEqual(Float64Array.of(0.5));
    }
  });

  const f32: RawArray = { dtype: 'float32', shape: [1], data: Float32Array.of(1) };
  test.each<[string, RawArray[], string[], Record<string, string>, new (m: string) => Error, string]>([
    ['a list', [f32], [], {}, ArgumentError, 'expected 1 names'],
    ['a name twice', [f32, f32], ['a', 'a'], {}, ArgumentError, '"a" twice'],
    ['the name of the metadata', [f32], ['__metadata__'], {}, ArgumentError, 'Rename the array'],
    [
      'metadata of numbers',
      [f32],
      ['a'],
      { epoch: 3 as unknown as string },
      ArgumentError,
      'a string as metadata "epoch", received 3',
    ],
    [
      'an array of nothing',
      [{ ...f32, shape: [0], data: new Float32Array(0), none: true }],
      ['a'],
      {},
      ArgumentError,
      'Leave it out',
    ],
    ['a shape that lies', [{ ...f32, shape: [2] }], ['a'], {}, ShapeError, 'expected 2 elements for "a"'],
    ['a dtype that lies', [{ ...f32, dtype: 'int32' }], ['a'], {}, DTypeError, 'received a Float32Array'],
  ])('refuses %s', (_, arrays, names, metadata, Class, message) => {
    const error = caught(() => writeSafetensors(arrays, names, metadata));
    expect(error).toBeInstanceOf(Class);
    expect((error as Error).message).toContain(message);
  });
});

describe('what is refused, and how', () => {
  test.each<[string, Uint8Array, string]>([
    [
      'a header longer than the file',
      file('{}').fill(200, 0, 1),
      'expected 200 bytes of the header at byte 8, received the end of the file after 2',
    ],
    ['a header that is no JSON', file('{"a":}'), 'expected a header of JSON at bytes 8 to 14'],
    ['a header padded with zeros', file('{}\0\0'), 'expected a header of JSON'],
    ['a header that is no UTF-8', file('{"a"}').fill(0xff, 10, 11), 'expected a header of UTF-8'],
    [
      'a name twice',
      file(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        [1],
      ),
      '"a" twice',
    ],
    [
      'a field twice',
      file('{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}', [1]),
      '"dtype" twice',
    ],
    [
      'an array that is no object',
      file({ a: 3 }),
      'expected an object with dtype, shape and data_offsets for "a", received 3',
    ],
    [
      'no shape',
      file({ a: { dtype: 'U8', data_offsets: [0, 1] } }, [1]),
      'whole numbers for "a", received nothing',
    ],
    ['a negative extent', file({ a: u8([-1], 0, 1) }, [1]), 'received [-1]'],
    ['a fraction', file({ a: u8([0.5], 0, 1) }, [1]), 'received [0.5]'],
    [
      'too many axes',
      file({ a: u8([1, 1, 1, 1, 1, 1, 1, 1, 1], 0, 1) }, [1]),
      'a shape of up to 8 whole numbers',
    ],
    [
      'offsets past the end',
      file({ a: u8([2], 0, 2) }, [1]),
      'data_offsets of "a" that ascend within the 1 bytes of data, received [0,2]',
    ],
    ['offsets that descend', file({ a: u8([1], 1, 0) }, [1]), 'that ascend'],
    [
      'one offset',
      file({ a: { dtype: 'U8', shape: [1], data_offsets: [0] } }, [1]),
      'two whole numbers as data_offsets of "a", received [0]',
    ],
    [
      'three offsets',
      file({ a: { dtype: 'U8', shape: [1], data_offsets: [0, 1, 1] } }, [1]),
      'two whole numbers',
    ],
    [
      'a shape of other bytes',
      file({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 1] } }, [1]),
      'expected 4 bytes for "a", F32 (1,)',
    ],
    ['a huge shape', file({ a: u8([2 ** 52, 2 ** 52], 0, 1) }, [1]), 'expected 2.028240960365167e+31 bytes'],
    [
      'a hole',
      file({ a: u8([1], 1, 2) }, [1, 2]),
      'data of "a" to begin at 0, where the array before it ends, received 1, a hole',
    ],
    [
      'an overlap',
      file({ a: u8([2], 0, 2), b: u8([2], 1, 3) }, [1, 2, 3]),
      'data of "b" to begin at 2, where the array before it ends, received 1, an overlap',
    ],
    [
      'bytes after the end',
      file({ a: u8([1], 0, 1) }, [1, 2]),
      'after 1 bytes of data, received 1 more bytes',
    ],
    [
      'a dtype nobody knows',
      file({ a: { dtype: 'Q8', shape: [1], data_offsets: [0, 1] } }, [1]),
      'for "a", received "Q8"',
    ],
    [
      'a dtype that is a property of objects',
      file({ a: { dtype: 'constructor', shape: [1], data_offsets: [0, 1] } }, [1]),
      'received "constructor"',
    ],
    [
      'metadata of numbers',
      file({ __metadata__: { epoch: 3 } }),
      'a string as __metadata__.epoch, received 3',
    ],
    ['a .params file', writeParams([], []), 'received an MXNet .params file'],
    ['an error page', new TextEncoder().encode('<html><h1>404</h1></html>'), 'received an HTML page'],
  ])('%s', (_, bytes, message) => {
    const error = caught(() => readSafetensors(bytes));
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toContain(message);
    expect((error as FormatError).message).toMatch(/^\[readSafetensors\] expected .*received .*\. .+\.$/s);
  });

  test.each(['F8_E4M3', 'F8_E5M2', 'C64', 'F4'])('%s, which arrays here cannot have', (dtype) => {
    const error = caught(() =>
      readSafetensors(file({ a: { dtype, shape: [1], data_offsets: [0, 1] } }, [1])),
    );
    expect(error).toBeInstanceOf(DTypeError);
    expect((error as DTypeError).message).toContain(`for "a", received ${dtype}`);
  });

  test('int64 that does not fit', () => {
    const bytes = OTHER_TYPES.slice();
    bytes[bytes.length - 36 + 12] = 1;
    expect(() => readSafetensors(bytes)).toThrow(DTypeError);
  });

  test('cut at every byte', () => {
    for (let length = 0; length < REFERENCE.length; length++)
      expect(
        caught(() => readSafetensors(REFERENCE.subarray(0, length))),
        `${length} bytes`,
      ).toBeInstanceOf(FormatError);
  });

  test('every bit flipped: read or refused, nothing else', () => {
    let refused = 0;
    for (let at = 0; at < REFERENCE.length; at++)
      for (let bit = 0; bit < 8; bit++) {
        const bytes = REFERENCE.slice();
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        const error = caught(() => readSafetensors(bytes));
        if (error === undefined) continue;
        if (!(error instanceof FormatError || error instanceof DTypeError)) throw error;
        refused++;
      }
    expect(refused).toBeGreaterThan(REFERENCE.length);
  });
});

describe('repeatedKey', () => {
  test.each<[string, string | undefined]>([
    ['{}', undefined],
    ['{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}', undefined],
    ['{"a":"b\\":","b":"}{","c":"a"}', undefined],
    ['{"a":1,"b":{},"a":2}', 'a'],
    ['{"x":{"k" : 1, "\\u006b":2}}', 'k'],
    ['{"\\\\":1,"\\\\\\\\":2}', undefined],
  ])('%s', (text, key) => {
    JSON.parse(text);
    expect(repeatedKey(text)).toBe(key);
  });
});

describe('sniff', () => {
  test('tells the two formats apart', () => {
    expect(sniff(REFERENCE)).toBe('safetensors');
    expect(sniff(writeParams([], []))).toBe('params');
  });

  test('a safetensors header of 274 bytes begins with the magic of .params', () => {
    const bytes = file(`{${' '.repeat(272)}}`);
    expect(Array.from(bytes.subarray(0, 8))).toEqual([0x12, 1, 0, 0, 0, 0, 0, 0]);
    expect(sniff(bytes)).toBe('safetensors');
    expect(readSafetensors(bytes).names).toEqual([]);
  });

  test.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(0), 'an empty file'],
    ['a few bytes', Uint8Array.of(0x12, 1), 'cut short'],
    ['a zip', Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0), 'a zip archive'],
    ['JSON', new TextEncoder().encode('{"error": "not found"}'), 'JSON text'],
    ['noise', Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 'the bytes 01 02 03 04 05 06 07 08 …'],
  ])('refuses %s', (_, bytes, message) => {
    const error = caught(() => sniff(bytes, 'loadParameters'));
    expect(error).toBeInstanceOf(FormatError);
    expect((error as FormatError).message).toContain(message);
    expect((error as FormatError).message).toMatch(
      /^\[loadParameters\] expected MXNet's \.params or a safetensors file, received /,
    );
  });
});
