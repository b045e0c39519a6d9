// PNG pictures without a browser: 8 and 16 bits, gray, RGB, palette, with or without transparency, plain or interlaced rows. Other formats are left to
// browsers. By the PNG specification, third edition (W3C).
import { FormatError } from '../../core/errors.ts';
import { inflate } from '../../formats/inflate.ts';

/** A picture of one to four channels, 8 bits each. */
export interface Decoded {
  readonly width: number;
  readonly height: number;
  /** RGBA, row by row. */
  readonly rgba: Uint8Array<ArrayBuffer>;
}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];

export function isPng(bytes: Uint8Array): boolean {
  return bytes.length >= 8 && SIGNATURE.every((v, i) => bytes[i] === v);
}

const CHANNELS: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };

/** Adam7: where each pass begins and how far its pixels lie apart. */
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

let table: Uint32Array | undefined;

function crc32(bytes: Uint8Array): number {
  table ??= Uint32Array.from({ length: 256 }, (_, n) => {
    let c = n;
    for (let k = 0; k < 8; k++) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    return c;
  });
  let crc = 0xffffffff;
  for (const v of bytes) crc = (table[(crc ^ v) & 255] as number) ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

interface Header {
  readonly width: number;
  readonly height: number;
  readonly depth: number;
  readonly colour: number;
  readonly interlaced: boolean;
}

/**
 * Decodes a PNG.
 * @throws FormatError for a file that is cut off or damaged, naming the chunk
 */
export async function decodePng(
  bytes: Uint8Array<ArrayBuffer>,
  op: string,
  signal?: AbortSignal,
): Promise<Decoded> {
  const bad = (what: string): FormatError =>
    new FormatError(`expected a PNG picture, received ${what}. Get the file again.`, { op });
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let header: Header | undefined;
  let palette: Uint8Array | undefined;
  let clear: Uint8Array | undefined;
  const data: Uint8Array<ArrayBuffer>[] = [];
  let at = 8;
  for (let ended = false; !ended; ) {
    if (at + 12 > bytes.length)
      throw bad(`one that ends after ${bytes.length} bytes, without its last chunk`);
    const length = view.getUint32(at);
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (at + 12 + length > bytes.length)
      throw bad(`one that ends after ${bytes.length} bytes, in its chunk ${type}`);
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (crc32(bytes.subarray(at + 4, at + 8 + length)) !== view.getUint32(at + 8 + length))
      throw bad(`one whose chunk ${type} does not agree with its checksum`);
    at += 12 + length;
    if (type === 'IHDR') header = readHeader(body, bad);
    else if (type === 'PLTE') palette = body;
    else if (type === 'tRNS') clear = body;
    else if (type === 'IDAT') data.push(body);
    else if (type === 'IEND') ended = true;
  }
  if (header === undefined) throw bad('one without a header');
  if (header.colour === 3 && palette === undefined) throw bad('one without its palette');
  const bits = (CHANNELS[header.colour] as number) * header.depth;
  const passes = header.interlaced ? PASSES : ([[0, 0, 1, 1]] as const);
  const sizes = passes.map(([x, y, dx, dy]) => ({
    x,
    y,
    dx,
    dy,
    width: Math.max(0, Math.ceil((header.width - x) / dx)),
    height: Math.max(0, Math.ceil((header.height - y) / dy)),
  }));
  const rowBytes = (width: number): number => Math.ceil((width * bits) / 8);
  const wanted = sizes.reduce((n, p) => n + (p.width === 0 ? 0 : p.height * (1 + rowBytes(p.width))), 0);
  const packed = new Uint8Array(data.reduce((n, d) => n + d.length, 0));
  data.reduce((n, d) => {
    packed.set(d, n);
    return n + d.length;
  }, 0);
  const rows = await inflate(packed, { op, what: 'the picture', format: 'deflate', limit: wanted, signal });
  if (rows.length < wanted) throw bad(`one with ${rows.length} of ${wanted} bytes of pixels`);
  const rgba = new Uint8Array(header.width * header.height * 4);
  let from = 0;
  for (const pass of sizes) {
    if (pass.width === 0) continue;
    const length = rowBytes(pass.width);
    let above: Uint8Array = new Uint8Array(length);
    for (let j = 0; j < pass.height; j++) {
      const filter = rows[from] as number;
      const row = rows.subarray(from + 1, from + 1 + length);
      if (filter > 4) throw bad(`one with the unknown row filter ${filter}`);
      unfilter(row, above, Math.max(1, bits >> 3), filter);
      above = row;
      from += 1 + length;
      for (let i = 0; i < pass.width; i++)
        setPixel(
          rgba,
          ((pass.y + j * pass.dy) * header.width + pass.x + i * pass.dx) * 4,
          row,
          i,
          header,
          palette,
          clear,
        );
    }
  }
  return { width: header.width, height: header.height, rgba };
}

function readHeader(body: Uint8Array, bad: (what: string) => FormatError): Header {
  if (body.length !== 13) throw bad('one with a damaged header');
  const view = new DataView(body.buffer, body.byteOffset, 13);
  const [width, height] = [view.getUint32(0), view.getUint32(4)];
  const [depth, colour, interlace] = [body[8] as number, body[9] as number, body[12] as number];
  const legal: Readonly<Record<number, readonly number[]>> = {
    0: [1, 2, 4, 8, 16],
    2: [8, 16],
    3: [1, 2, 4, 8],
    4: [8, 16],
    6: [8, 16],
  };
  if (legal[colour]?.includes(depth) !== true || interlace > 1)
    throw bad(`one of colour type ${colour} with ${depth} bits`);
  if (width === 0 || height === 0 || width * height > 2 ** 28)
    throw bad(`one of ${width} × ${height} pixels`);
  return { width, height, depth, colour, interlaced: interlace === 1 };
}

/** Takes a row's filter back, in place. */
function unfilter(row: Uint8Array, above: Uint8Array, step: number, filter: number): void {
  for (let i = 0; i < row.length; i++) {
    const left = i >= step ? (row[i - step] as number) : 0;
    const up = above[i] as number;
    const corner = i >= step ? (above[i - step] as number) : 0;
    let guess = 0;
    if (filter === 1) guess = left;
    else if (filter === 2) guess = up;
    else if (filter === 3) guess = (left + up) >> 1;
    else if (filter === 4) {
      const p = left + up - corner;
      const [a, b, c] = [Math.abs(p - left), Math.abs(p - up), Math.abs(p - corner)];
      guess = a <= b && a <= c ? left : b <= c ? up : corner;
    }
    row[i] = (row[i] as number) + guess;
  }
}

function setPixel(
  rgba: Uint8Array,
  at: number,
  row: Uint8Array,
  i: number,
  header: Header,
  palette: Uint8Array | undefined,
  clear: Uint8Array | undefined,
): void {
  const { depth, colour } = header;
  const channels = CHANNELS[colour] as number;
  // as stored, for comparing with the transparent colour
  const sample = (c: number): number => {
    const k = i * channels + c;
    if (depth === 16) return ((row[2 * k] as number) << 8) | (row[2 * k + 1] as number);
    if (depth === 8) return row[k] as number;
    const shift = 8 - depth * ((k % (8 / depth)) + 1);
    return ((row[Math.floor((k * depth) / 8)] as number) >> shift) & ((1 << depth) - 1);
  };
  const eight = (v: number): number =>
    depth === 16 ? v >> 8 : depth === 8 ? v : (v * 255) / ((1 << depth) - 1);
  if (colour === 3) {
    const index = sample(0);
    for (let c = 0; c < 3; c++) rgba[at + c] = palette?.[index * 3 + c] ?? 0;
    rgba[at + 3] = clear?.[index] ?? 255;
    return;
  }
  const gray = colour === 0 || colour === 4;
  for (let c = 0; c < 3; c++) rgba[at + c] = eight(sample(gray ? 0 : c));
  if (colour === 4) rgba[at + 3] = eight(sample(1));
  else if (colour === 6) rgba[at + 3] = eight(sample(3));
  else {
    const word = (c: number): number => ((clear?.[2 * c] ?? 0) << 8) | (clear?.[2 * c + 1] ?? 0);
    const hidden =
      clear !== undefined &&
      Array.from({ length: gray ? 1 : 3 }, (_, c) => sample(c) === word(c)).every((same) => same);
    rgba[at + 3] = hidden ? 0 : 255;
  }
}
