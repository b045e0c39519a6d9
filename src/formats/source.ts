// Whatever a user may hand over in place of a file (bytes, a Blob, a Response, a URL, a path) read into bytes, with progress and
// cancelling. What the bytes mean is left to the readers of formats.
import { ArgumentError, LoadError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import { readFile } from './node-file.ts';
import type { ReadOptions } from './reading.ts';
import { PIECE, Reading } from './reading.ts';
import { why } from './why.ts';

export type { ByteProgress, ReadOptions } from './reading.ts';

/**
 * What can be loaded. A string is a URL relative to the page or worker; in Node, Deno and Bun it is a path, unless it has a
 * scheme (`https:`, `file:`, `data:` …).
 */
export type Source =
  | ArrayBuffer
  | ArrayBufferView
  | Blob
  | FileSystemFileHandle
  | Response
  | URL
  | string
  | PromiseLike<Source>;

const ACCEPTED =
  'an ArrayBuffer, a typed array or DataView, a Blob or File, a FileSystemFileHandle, a Response, a URL, a string, or a Promise of one of these';
/** Up to this length a server is believed, and its answer goes straight into one buffer. */
const MAX_BELIEVED_LENGTH = 1 << 29;

/**
 * Reads a source to its end.
 *
 * @returns the bytes; a view of the very buffer where the source is one, so do not change it while the result is in use
 * @throws LoadError where it cannot be read: an answer that is not ok (`url`, `status`), no network, no such file (`cause`)
 * @throws ArgumentError for anything that is no source, and for a Response that has been read already
 * @example
 * const bytes = await readSource('lenet.params', { onProgress: ({ done, total }) => show(done, total) });
 */
export async function readSource(
  source: Source,
  options: ReadOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  const reading = new Reading(options);
  const { op, signal } = reading;
  if (options.onProgress !== undefined && typeof options.onProgress !== 'function')
    throw new ArgumentError(
      `expected a function as onProgress, received ${describe(options.onProgress)}. Pass one, or leave it out.`,
      { op },
    );
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function')
    throw new ArgumentError(
      `expected an AbortSignal as signal, received ${describe(signal)}. Pass controller.signal.`,
      { op },
    );
  if (signal?.aborted === true) {
    // the user's promise is left alone, but its rejection must not end the process
    if (isThenable(source)) source.then(undefined, () => undefined);
    throw signal.reason;
  }
  const bytes = await read(isThenable(source) ? await settle(source, reading) : source, reading);
  signal?.throwIfAborted();
  reading.progress(bytes.length, bytes.length);
  // the listener may have aborted just now
  signal?.throwIfAborted();
  return bytes;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

async function settle(promise: PromiseLike<unknown>, reading: Reading): Promise<unknown> {
  try {
    return await reading.until(promise);
  } catch (error) {
    reading.signal?.throwIfAborted();
    // fetch rejects with a TypeError where the network fails; all else is the user's own and stays what it is
    if (!(error instanceof TypeError)) throw error;
    throw new LoadError(
      `expected a Promise of a source, received one that rejected with ${why(error)}. Look at what it was waiting for.`,
      {
        op: reading.op,
        cause: error,
      },
    );
  }
}

async function read(source: unknown, reading: Reading): Promise<Uint8Array<ArrayBuffer>> {
  if (typeof source === 'string') return readString(source, reading);
  if (ArrayBuffer.isView(source))
    return bytesOf(source.buffer, source.byteOffset, source.byteLength, reading.op);
  // by tag, so that a buffer or a Response from another realm (a frame, a test runner's sandbox) counts
  switch (tagOf(source)) {
    case 'ArrayBuffer':
      return bytesOf(source as ArrayBuffer, 0, undefined, reading.op);
    case 'Blob':
    case 'File':
      return readBlob(source as Blob, reading);
    case 'Response':
      return readResponse(source as Response, reading, (source as Response).url);
    case 'URL':
      return readUrl(source as URL, reading);
  }
  if (isFileHandle(source)) {
    const file = await reading.load(
      source.getFile(),
      `the file ${source.name}`,
      'Ask for it again: it may be gone, or the permission.',
    );
    return readBlob(file, reading);
  }
  throw new ArgumentError(`expected ${ACCEPTED}, received ${describe(source)}. ${adviceFor(source)}`, {
    op: reading.op,
  });
}

/** What an object's class calls itself: `'ArrayBuffer'`, `'Response'` … */
function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice('[object '.length, -1);
}

/** A buffer's bytes: a view, but of shared memory a copy, for others may write to that while it is read. */
function bytesOf(
  buffer: ArrayBufferLike,
  at: number,
  length: number | undefined,
  op: string,
): Uint8Array<ArrayBuffer> {
  try {
    const bytes = new Uint8Array(buffer, at, length);
    return isUnshared(bytes) ? bytes : new Uint8Array(bytes);
  } catch (cause) {
    throw new ArgumentError(
      'expected a buffer that is still here, received a detached one. It was transferred: pass it before, or copy it.',
      {
        op,
        cause,
      },
    );
  }
}

function isUnshared(bytes: Uint8Array): bytes is Uint8Array<ArrayBuffer> {
  return tagOf(bytes.buffer) === 'ArrayBuffer';
}

function isFileHandle(value: unknown): value is FileSystemFileHandle {
  return (
    typeof value === 'object' &&
    value !== null &&
    'kind' in value &&
    value.kind === 'file' &&
    'getFile' in value &&
    typeof value.getFile === 'function'
  );
}

/** What to do about the mistakes that are likely. */
function adviceFor(value: unknown): string {
  if (Array.isArray(value)) return 'Make bytes of numbers with Uint8Array.from(list).';
  if (value === undefined || value === null)
    return 'Look for a file that is missing, or a variable that is misspelt.';
  switch (tagOf(value)) {
    case 'Request':
      return 'Pass fetch(request).';
    case 'ReadableStream':
      return 'Pass new Response(stream).';
    case 'SharedArrayBuffer':
      return 'Pass new Uint8Array(buffer).';
    case 'FileList':
      return 'Pass one of its files, list[0].';
    case 'HTMLInputElement':
      return 'Pass one of its files, input.files[0].';
    case 'FileSystemDirectoryHandle':
      return 'Pass a file of the folder: directory.getFileHandle(name).';
    default:
      return 'Pass one of these.';
  }
}

async function readString(text: string, reading: Reading): Promise<Uint8Array<ArrayBuffer>> {
  if (text === '')
    throw new ArgumentError('expected a URL or a path, received an empty string. Name a file.', {
      op: reading.op,
    });
  // one letter before the colon is a drive of Windows
  const absolute = /^[a-z][a-z0-9+.-]+:/i.test(text);
  const base = (globalThis as { readonly location?: { readonly href?: string } }).location?.href;
  if (!absolute && base === undefined) return readFile(text, reading);
  let url: URL;
  try {
    url = new URL(text, absolute ? undefined : base);
  } catch (cause) {
    throw new LoadError(
      `expected a URL, received ${JSON.stringify(text)}${absolute ? '' : `, which cannot be resolved against ${base}`}. Check the spelling, or pass an absolute URL.`,
      { op: reading.op, cause, url: text },
    );
  }
  return readUrl(url, reading);
}

async function readUrl(url: URL, reading: Reading): Promise<Uint8Array<ArrayBuffer>> {
  // pages cannot fetch files either, but there the browser has to say so
  if (url.protocol === 'file:' && (globalThis as { readonly location?: unknown }).location === undefined)
    return readFile(url, reading);
  const shown = shorten(url.href);
  const response = await reading.load(
    fetch(url.href, { signal: reading.signal ?? null }),
    `an answer from ${shown}`,
    url.protocol === 'file:'
      ? 'A page cannot fetch files: serve the folder over http, or let the user choose the file.'
      : 'Check the address and the network; from another origin, the server must allow it (CORS), and so must a content-security policy.',
    url.href,
  );
  return readResponse(response, reading, url.href);
}

/** data: URLs hold whole files. */
function shorten(url: string): string {
  return url.length > 200 ? `${url.slice(0, 200)}…` : url;
}

async function readBlob(blob: Blob, reading: Reading): Promise<Uint8Array<ArrayBuffer>> {
  const what = 'name' in blob ? `the file ${String(blob.name)}` : 'a Blob';
  const bytes = await reading.allocate(blob.size, what);
  for (let at = 0; at < bytes.length; ) {
    reading.progress(at, bytes.length);
    const piece = await reading.load(
      blob.slice(at, at + PIECE).arrayBuffer(),
      `bytes ${at} to ${Math.min(at + PIECE, bytes.length)} of ${what}`,
      'The file may have changed or gone since it was chosen: choose it again.',
    );
    if (piece.byteLength === 0)
      throw new LoadError(
        `expected ${bytes.length} bytes of ${what}, received ${at}. It has changed since it was chosen: choose it again.`,
        {
          op: reading.op,
        },
      );
    bytes.set(new Uint8Array(piece), at);
    at += piece.byteLength;
  }
  return bytes;
}

async function readResponse(
  response: Response,
  reading: Reading,
  url: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const { op } = reading;
  const shown = url === '' ? 'a Response' : shorten(url);
  if (response.type === 'opaque' || response.type === 'opaqueredirect')
    throw new LoadError(
      `expected an answer that can be read, received an opaque one from ${shown}. Fetch it without mode: 'no-cors' or redirect: 'manual'.`,
      {
        op,
        url,
        status: response.status,
      },
    );
  if (!response.ok) {
    void response.body?.cancel().catch(() => undefined);
    const status = `${response.status}${response.statusText === '' ? '' : ` ${response.statusText}`}`;
    throw new LoadError(
      `expected the file from ${shown}, received HTTP status ${status}. Check the address.`,
      {
        op,
        url,
        status: response.status,
      },
    );
  }
  if (response.bodyUsed || response.body?.locked === true)
    throw new ArgumentError(
      'expected a Response that has not been read, received one that has. Pass response.clone(), made before reading it.',
      { op },
    );
  if (response.body === null) return new Uint8Array(0);

  // a compressed answer's length is that of the compressed bytes
  const header = response.headers.has('content-encoding') ? null : response.headers.get('content-length');
  const length = header !== null && /^\d+$/.test(header) ? Number(header) : undefined;
  const collector = new Collector(length);
  const reader = response.body.getReader();
  try {
    for (;;) {
      reading.progress(collector.done, length !== undefined && collector.done <= length ? length : undefined);
      const { done, value } = await reading.load(
        reader.read(),
        `all of ${shown}${length === undefined ? '' : `, ${length} bytes`}`,
        `The connection ended after ${collector.done} bytes: try again.`,
        url,
      );
      if (done) return collector.finish();
      collector.add(value);
    }
  } catch (error) {
    // what was thrown is told; that cancelling may fail too is not
    void reader.cancel(error).catch(() => undefined);
    throw error;
  }
}

/** Gathers pieces, in one buffer where the length was told beforehand and holds, else in a list. */
class Collector {
  done = 0;
  readonly #pieces: Uint8Array[] = [];
  #buffer: Uint8Array<ArrayBuffer> | undefined;
  #expected: number;

  constructor(length: number | undefined) {
    this.#expected = length !== undefined && length <= MAX_BELIEVED_LENGTH ? length : 0;
  }

  add(piece: Uint8Array): void {
    // memory is taken with the first bytes, not for a promise of them
    if (this.done === 0 && this.#expected > 0) this.#buffer = new Uint8Array(this.#expected);
    const fits = this.#buffer !== undefined && this.done + piece.length <= this.#buffer.length;
    if (this.#buffer !== undefined && fits) {
      this.#buffer.set(piece, this.done);
    } else {
      if (this.#buffer !== undefined) this.#pieces.push(this.#buffer.subarray(0, this.done));
      this.#buffer = undefined;
      this.#expected = 0;
      this.#pieces.push(piece);
    }
    this.done += piece.length;
  }

  finish(): Uint8Array<ArrayBuffer> {
    if (this.#buffer !== undefined)
      return this.done === this.#buffer.length ? this.#buffer : this.#buffer.slice(0, this.done);
    const bytes = new Uint8Array(this.done);
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}
