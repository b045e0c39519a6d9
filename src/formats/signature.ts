// What a file is that is not the one expected, told by its first bytes: most failed loads are an error page, a Git LFS pointer or
// another framework's file, and the message should name it.

/** What the bytes are, and what to do about it. */
interface ForeignFile {
  readonly what: string;
  readonly advice: string;
}

const SAVE_AGAIN = "Save the weights with MXNet 1.x's save_parameters, or as .safetensors.";
const UNPACK = 'Unpack it first, and pass what was inside.';
const ADDRESS = 'Look at the address: the server answered with a page, not with the file.';

/** Prefixes that tell a format for certain. */
const SIGNATURES: readonly (readonly [prefix: readonly number[], file: ForeignFile])[] = [
  [
    [0x1f, 0x8b],
    {
      what: 'a gzip stream',
      advice: "Unpack it first: stream.pipeThrough(new DecompressionStream('gzip')).",
    },
  ],
  [[0x28, 0xb5, 0x2f, 0xfd], { what: 'a Zstandard stream', advice: UNPACK }],
  [[0xfd, 0x37, 0x7a, 0x58, 0x5a], { what: 'an xz stream', advice: UNPACK }],
  [[0x42, 0x5a, 0x68], { what: 'a bzip2 stream', advice: UNPACK }],
  [[0x37, 0x7a, 0xbc, 0xaf], { what: 'a 7z archive', advice: UNPACK }],
  [[0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59], { what: 'one NumPy array (.npy)', advice: SAVE_AGAIN }],
  [[0x89, 0x48, 0x44, 0x46], { what: 'an HDF5 file (Keras .h5)', advice: SAVE_AGAIN }],
  [[0x47, 0x47, 0x55, 0x46], { what: 'a GGUF file', advice: SAVE_AGAIN }],
];

function startsWith(bytes: Uint8Array, prefix: readonly number[]): boolean {
  return bytes.length >= prefix.length && prefix.every((v, i) => bytes[i] === v);
}

function ascii(bytes: Uint8Array, from: number, to: number): string {
  return String.fromCharCode(...bytes.subarray(from, to));
}

function zip(bytes: Uint8Array): ForeignFile {
  // the first local file header: the length of the entry's name at byte 26, the name from byte 30
  const entry =
    bytes.length >= 30
      ? ascii(bytes, 30, 30 + Math.min((bytes[26] ?? 0) | ((bytes[27] ?? 0) << 8), 256))
      : '';
  if (entry.endsWith('.npy'))
    return { what: "a zip archive of NumPy arrays (MXNet 2's .npz)", advice: SAVE_AGAIN };
  if (
    /(^|\/)(data\.pkl|byteorder|version|\.format_version|\.storage_alignment)$/.test(entry) ||
    entry.includes('/data/')
  )
    return { what: "a zip archive of PyTorch's (.pt, .pth)", advice: SAVE_AGAIN };
  return { what: "a zip archive (MXNet 2's .npz, or PyTorch's .pt)", advice: SAVE_AGAIN };
}

function text(bytes: Uint8Array): ForeignFile | undefined {
  const head = bytes.subarray(0, 512);
  for (const v of head) if (v < 0x20 && v !== 0x09 && v !== 0x0a && v !== 0x0d) return undefined;
  const start = new TextDecoder().decode(head).trim();
  // the last character may be cut by the end of the head; any other that does not decode means that this is no text
  if (start.length < 4 || start.slice(0, -1).includes('\ufffd')) return undefined;
  const shown = JSON.stringify(start.length > 40 ? `${start.slice(0, 40)}…` : start);
  if (start.startsWith('version https://git-lfs'))
    return { what: 'a Git LFS pointer in place of the file', advice: 'Fetch the file itself: git lfs pull.' };
  if (/^<(!doctype html|html|head|body)/i.test(start))
    return { what: `an HTML page, ${shown}`, advice: ADDRESS };
  if (start.startsWith('<')) return { what: `XML or HTML text, ${shown}`, advice: ADDRESS };
  if (/^[{[]/.test(start))
    return {
      what: `JSON text, ${shown}`,
      advice: "A -symbol.json is not the weights, and a server's error is not the file: look at the address.",
    };
  return { what: `text, ${shown}`, advice: 'Look at the address: this is not the file.' };
}

/** Names the format of bytes that are neither `.params` nor safetensors, or gives undefined where they tell nothing. */
export function foreignFile(bytes: Uint8Array): ForeignFile | undefined {
  if (bytes.length === 0)
    return { what: 'an empty file', advice: 'Look at the download, or at what wrote the file.' };
  if (startsWith(bytes, [0x50, 0x4b])) return zip(bytes);
  for (const [prefix, file] of SIGNATURES) if (startsWith(bytes, prefix)) return file;
  // Python's pickle, protocols 2 to 5; PyTorch before 1.6 wrote it bare
  if (bytes[0] === 0x80 && (bytes[1] ?? 0) >= 2 && (bytes[1] ?? 0) <= 5)
    return { what: "a Python pickle (PyTorch's old .pt)", advice: SAVE_AGAIN };
  // ONNX's ModelProto: field 1 (irVersion, small), then field 2 (producer) or 8 (opset imports)
  if (bytes[0] === 0x08 && (bytes[1] ?? 0) < 0x40 && (bytes[2] === 0x12 || bytes[2] === 0x42))
    return { what: 'an ONNX model', advice: 'Load it with gluon.onnx.importModel.' };
  return text(bytes);
}

/** The first bytes in hexadecimal, for messages about a format that is not known. */
export function firstBytes(bytes: Uint8Array): string {
  const head = Array.from(bytes.subarray(0, 8), (v) => v.toString(16).padStart(2, '0')).join(' ');
  return `the bytes ${head}${bytes.length > 8 ? ' …' : ''}`;
}
