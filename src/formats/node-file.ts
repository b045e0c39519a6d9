// Files by path, where the host is Node, Deno or Bun. node:fs is asked for at run time, so that no bundler sees it, and described
// here in the few words that are used, so that the library's types need none of Node's.
import { LoadError } from '../core/errors.ts';
import type { Reading } from './reading.ts';
import { PIECE } from './reading.ts';

interface FileHandle {
  stat(): Promise<{ readonly size: number }>;
  read(
    buffer: Uint8Array,
    offset: number,
    length: number,
    position: null,
  ): Promise<{ readonly bytesRead: number }>;
  close(): Promise<void>;
}

interface FileSystem {
  open(path: string | URL, flags: 'r'): Promise<FileHandle>;
}

function fileSystem(): FileSystem | undefined {
  interface Host {
    readonly process?: { getBuiltinModule?: (name: string) => unknown };
  }
  const modules = (globalThis as Host).process?.getBuiltinModule?.('node:fs') as
    | { readonly promises: FileSystem }
    | undefined;
  return modules?.promises;
}

/** Reads a file to its end; a LoadError says why where it cannot. */
export async function readFile(path: string | URL, reading: Reading): Promise<Uint8Array<ArrayBuffer>> {
  const shown = String(path);
  const { op } = reading;
  const fs = fileSystem();
  if (fs === undefined)
    throw new LoadError(
      `expected a host with files for the path ${shown}, received one without. Pass bytes or an absolute URL.`,
      {
        op,
        url: shown,
      },
    );
  const expected = `the file ${shown}`;
  const opening = fs.open(path, 'r');
  let handle: FileHandle;
  try {
    handle = await reading.load(
      opening,
      expected,
      'Check the path; it is relative to the working directory.',
      shown,
    );
  } catch (error) {
    // an abort does not wait for the file, but the file must not stay open
    void opening.then((late) => late.close()).catch(() => undefined);
    throw error;
  }
  try {
    const bytes = await readAll(handle, shown, reading);
    await handle.close().catch(() => undefined);
    return bytes;
  } catch (error) {
    // close waits for a read under way, an abort does not
    void handle.close().catch(() => undefined);
    throw error;
  }
}

async function readAll(
  handle: FileHandle,
  shown: string,
  reading: Reading,
): Promise<Uint8Array<ArrayBuffer>> {
  const expected = `the file ${shown}`;
  const read = async (buffer: Uint8Array, at: number): Promise<number> => {
    const piece = handle.read(buffer, at, Math.min(PIECE, buffer.length - at), null);
    return (await reading.load(piece, expected, 'Check that it is a file, and may be read.', shown))
      .bytesRead;
  };
  const { size } = await reading.load(handle.stat(), expected, 'Check the path.', shown);
  // a pipe or a device has no size, and a file may grow while it is read: one byte more than its size shows the end
  let bytes = await reading.allocate(size > 0 ? size + 1 : PIECE, expected, shown);
  let at = 0;
  for (;;) {
    reading.progress(at, size > 0 && at <= size ? size : undefined);
    const count = await read(bytes, at);
    if (count === 0) break;
    at += count;
    if (at === bytes.length) {
      const larger = new Uint8Array(bytes.length * 2);
      larger.set(bytes);
      bytes = larger;
    }
  }
  return bytes.subarray(0, at);
}
