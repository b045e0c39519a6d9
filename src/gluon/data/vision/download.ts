// The files of a data set: by name under a base URL or folder, or as sources. Names are tried one after the other, downloads that break are tried again.
import { ArgumentError, LoadError } from '../../../core/errors.ts';
import { describe } from '../../../core/shape.ts';
import { inflate, isGzip } from '../../../formats/inflate.ts';
import type { ByteProgress } from '../../../formats/reading.ts';
import { readSource, type Source } from '../../../formats/source.ts';

/** Pauses before the second and the third try. */
const PAUSES_MS = [250, 1000] as const;
/** No data set here unpacks to more. */
const LIMIT = 1 << 30;

/** Where a file is: one source, or names under a root. */
export interface Wanted {
  /** For messages: `the images`. */
  readonly what: string;
  readonly source: Source | undefined;
  readonly root: URL | string | undefined;
  /** Tried in this order. */
  readonly names: readonly string[];
}

export interface File {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What it was read from, for messages. */
  readonly name: string;
}

export interface DownloadOptions {
  readonly op: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ByteProgress) => void) | undefined;
}

/** A file of a root by its name; a root is a folder, with or without its slash, or a URL. */
function under(root: URL | string, name: string): URL | string {
  if (typeof root === 'string') {
    const [path = '', query = ''] = /^[a-z][a-z0-9+.-]+:/i.test(root) ? root.split(/(?=[?#])/, 2) : [root];
    return `${path}${path === '' || path.endsWith('/') ? '' : '/'}${name}${query}`;
  }
  const url = new URL(root.href);
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${name}`;
  return url;
}

/** Whether an error says that there is no such file, so that another name may be tried. */
function isMissing(error: unknown): boolean {
  if (!(error instanceof LoadError)) return false;
  const { status } = error;
  // some stores answer 403 for what they do not have
  if (status !== undefined) return status >= 400 && status < 500 && status !== 408 && status !== 429;
  const cause = error.cause as { readonly code?: unknown } | undefined;
  return cause?.code === 'ENOENT' || cause?.code === 'ENOTDIR';
}

/** Whether another try may help: the connection broke, or the server was busy. */
function isPassing(error: unknown): boolean {
  if (!(error instanceof LoadError) || isMissing(error)) return false;
  return error.url !== undefined && /^https?:/.test(error.url);
}

async function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
  signal?.throwIfAborted();
}

/** Reads a source; one that can be asked for again is, twice. */
async function persistently(
  source: Source,
  options: DownloadOptions,
): Promise<{ readonly bytes: Uint8Array<ArrayBuffer>; readonly tries: number }> {
  const again = typeof source === 'string' || source instanceof URL;
  for (let tries = 1; ; tries++)
    try {
      return { bytes: await readSource(source, options), tries };
    } catch (error) {
      options.signal?.throwIfAborted();
      const wait = PAUSES_MS[tries - 1];
      if (again && wait !== undefined && isPassing(error)) {
        await pause(wait, options.signal);
        continue;
      }
      if (tries === 1 || !(error instanceof LoadError)) throw error;
      throw new LoadError(`${error.message.replace(/^\[[^\]]*\] /, '')} It was tried ${tries} times.`, {
        op: options.op,
        cause: error,
        url: error.url,
        status: error.status,
      });
    }
}

/** A server that knows no missing files answers with its page. */
function isPage(bytes: Uint8Array): boolean {
  const start = new TextDecoder().decode(bytes.subarray(0, 64)).trimStart();
  return /^<(!doctype html|html|head|body)/i.test(start);
}

async function one(wanted: Wanted, options: DownloadOptions): Promise<File> {
  const { what, source, root, names } = wanted;
  const { op, signal } = options;
  const unpack = async (bytes: Uint8Array<ArrayBuffer>, name: string): Promise<File> => ({
    bytes: isGzip(bytes) ? await inflate(bytes, { op, what: name, limit: LIMIT, signal }) : bytes,
    name,
  });
  if (source !== undefined) {
    const name = typeof source === 'string' || source instanceof URL ? `${what} (${shown(source)})` : what;
    return unpack((await persistently(source, options)).bytes, name);
  }
  if (root === undefined)
    throw new ArgumentError(
      `expected root or ${what}, received neither. Name the base URL or folder of the files, or pass them: the library comes without data.`,
      { op },
    );
  const tried: string[] = [];
  let last: unknown;
  for (const name of names) {
    const place = under(root, name);
    tried.push(shown(place));
    try {
      const { bytes } = await persistently(place, options);
      if (!isPage(bytes)) return await unpack(bytes, shown(place));
      last = undefined;
    } catch (error) {
      if (!isMissing(error)) throw error;
      last = error;
    }
  }
  const failure = last instanceof LoadError ? last : undefined;
  throw new LoadError(
    `expected ${what} under ${shown(root)}, received ${failure?.status === undefined ? 'no such file' : `HTTP status ${failure.status}`} for each of ${tried.join(', ')}. Check root, or pass the file itself.`,
    { op, cause: last, url: tried[0], status: failure?.status },
  );
}

function shown(source: URL | string): string {
  const text = String(source);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

/** Reads all files, together; progress is that of all. */
export async function download(wanted: readonly Wanted[], options: DownloadOptions): Promise<File[]> {
  const { op, signal, onProgress } = options;
  if (onProgress !== undefined && typeof onProgress !== 'function')
    throw new ArgumentError(
      `expected a function as onProgress, received ${describe(onProgress)}. Pass one.`,
      {
        op,
      },
    );
  if (signal !== undefined && typeof signal?.throwIfAborted !== 'function')
    throw new ArgumentError(`expected an AbortSignal as signal, received ${describe(signal)}. Pass one.`, {
      op,
    });
  signal?.throwIfAborted();
  const states = wanted.map(() => ({ done: 0, total: undefined as number | undefined }));
  const stop = new AbortController();
  const abort = (): void => stop.abort(signal?.reason);
  signal?.addEventListener('abort', abort, { once: true });
  let most = 0;
  let failed: unknown;
  try {
    const results = await Promise.allSettled(
      wanted.map((w, i) =>
        one(w, {
          op,
          signal: stop.signal,
          onProgress: ({ done, total }) => {
            states[i] = { done, total };
            // a try that begins anew takes nothing back
            most = Math.max(
              most,
              states.reduce((n, s) => n + s.done, 0),
            );
            const totals = states.map((s) => s.total);
            const all = totals.every((t) => t !== undefined)
              ? Math.max(
                  most,
                  totals.reduce((n, t) => n + t, 0),
                )
              : undefined;
            onProgress?.({ done: most, total: all, unit: 'bytes' });
          },
        }).catch((error: unknown) => {
          failed ??= error;
          // where a file is missing the others may be too, and the first of them is told
          if (!(error instanceof LoadError)) stop.abort(error);
          throw error;
        }),
      ),
    );
    signal?.throwIfAborted();
    const files: File[] = [];
    for (const result of results) {
      if (result.status === 'rejected') throw stop.signal.aborted ? failed : result.reason;
      files.push(result.value);
    }
    return files;
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
