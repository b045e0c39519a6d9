import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { ArgumentError, LoadError } from '../core/errors.ts';
import type { ByteProgress, ReadOptions, Source } from './source.ts';
import { readSource } from './source.ts';

const DATA = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 31 + (i >> 8)) & 255);

/** By memory: a deep comparison of so many elements takes a second. */
function expectData(bytes: Uint8Array): void {
  expect(Buffer.compare(bytes, DATA)).toBe(0);
}

/** The rejection, or a failure of the test. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('expected a rejection');
}

/** Reads and keeps what the listener heard, checking what always holds of it. */
async function listened(
  source: Source,
  options: ReadOptions = {},
): Promise<{ bytes: Uint8Array; heard: ByteProgress[] }> {
  const heard: ByteProgress[] = [];
  const bytes = await readSource(source, { ...options, onProgress: (progress) => heard.push(progress) });
  for (const [i, { done, total, unit }] of heard.entries()) {
    expect(unit).toBe('bytes');
    expect(done).toBeGreaterThanOrEqual(heard[i - 1]?.done ?? 0);
    if (total !== undefined) expect(done).toBeLessThanOrEqual(total);
  }
  expect(heard.at(-1)).toEqual({ done: bytes.length, total: bytes.length, unit: 'bytes' });
  return { bytes, heard };
}

let unhandled: unknown[] = [];
const note = (error: unknown): void => {
  unhandled.push(error);
};
beforeAll(() => {
  process.on('unhandledRejection', note);
});
afterAll(() => {
  process.off('unhandledRejection', note);
});
afterEach(async () => {
  vi.unstubAllGlobals();
  await new Promise((resolve) => setTimeout(resolve, 5));
  expect(unhandled).toEqual([]);
  unhandled = [];
});

describe('bytes at hand', () => {
  test('an ArrayBuffer and views of any kind are not copied', async () => {
    const { buffer } = DATA;
    const cases: [ArrayBuffer | ArrayBufferView, number, number][] = [
      [buffer, 0, DATA.length],
      [new Uint8Array(buffer, 3, 5), 3, 5],
      [new Float32Array(buffer, 8, 2), 8, 8],
      [new DataView(buffer, 1, 4), 1, 4],
    ];
    for (const [source, at, length] of cases) {
      const { bytes, heard } = await listened(source);
      expect([bytes.buffer, bytes.byteOffset, bytes.length]).toEqual([buffer, at, length]);
      expect(heard).toHaveLength(1);
    }
  });

  test('shared memory is copied', async () => {
    const shared = new Uint8Array(new SharedArrayBuffer(4)).fill(7);
    const { bytes } = await listened(shared);
    expect(bytes.buffer).toBeInstanceOf(ArrayBuffer);
    expect(bytes).toEqual(Uint8Array.of(7, 7, 7, 7));
  });

  test('a Blob, in pieces', async () => {
    const large = new Uint8Array(9 << 20).fill(1);
    large.set(DATA, 4 << 20);
    const { bytes, heard } = await listened(new Blob([large]));
    expect(Buffer.compare(bytes, large)).toBe(0);
    expect(heard.map((h) => h.done)).toEqual([0, 4 << 20, 8 << 20, 9 << 20]);
    expect((await listened(new Blob([]))).bytes).toHaveLength(0);
    expect((await listened(new File(['abc'], 'a.txt'))).bytes).toEqual(new TextEncoder().encode('abc'));
  });

  test('a Promise of any of them, and of a Promise', async () => {
    expectData((await listened(Promise.resolve(DATA))).bytes);
    const like: PromiseLike<Source> = {
      // biome-ignore lint/suspicious/noThenProperty: a PromiseLike of the user's own
      then: (done, failed) => Promise.resolve(new Blob([DATA])).then(done, failed),
    };
    expectData((await listened(new Promise<PromiseLike<Source>>((done) => done(like)))).bytes);
  });

  test('a FileSystemFileHandle', async () => {
    const handle = { kind: 'file', name: 'w.params', getFile: async () => new File([DATA], 'w.params') };
    expectData((await listened(handle as unknown as Source)).bytes);
    const cause = new DOMException('gone', 'NotFoundError');
    const error = await rejection(
      readSource({ ...handle, getFile: () => Promise.reject(cause) } as unknown as Source),
    );
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({
      cause,
      message: expect.stringContaining('expected the file w.params, received NotFoundError: gone'),
    });
  });
});

describe('what is no source', () => {
  test.each<[string, unknown, string]>([
    ['undefined', undefined, 'received undefined. Look for a file'],
    ['null', null, 'received null'],
    ['a number', 3, 'received 3'],
    ['a list of bytes', [1, 2, 3], 'Uint8Array.from(list)'],
    ['an object', { url: 'x' }, 'received a Object'],
    ['an empty string', '', 'expected a URL or a path, received an empty string'],
    ['a Request', new Request('http://localhost/x'), 'Pass fetch(request)'],
    ['a stream', new ReadableStream(), 'Pass new Response(stream)'],
    ['shared memory', new SharedArrayBuffer(1), 'Pass new Uint8Array(buffer)'],
    ['a Promise of a number', Promise.resolve(3), 'received 3'],
  ])('%s', async (_, source, message) => {
    const error = await rejection(readSource(source as Source, { op: 'loadParameters' }));
    expect(error).toBeInstanceOf(ArgumentError);
    expect((error as ArgumentError).message).toContain(message);
    expect((error as ArgumentError).message).toMatch(/^\[loadParameters\] expected .*, received .*\. .+\.$/);
    if (source !== '')
      expect((error as ArgumentError).message).toContain(
        'a FileSystemFileHandle, a Response, a URL, a string',
      );
  });

  test('a buffer that was transferred', async () => {
    const gone = new Uint8Array(8);
    structuredClone(gone.buffer, { transfer: [gone.buffer] });
    expect(await rejection(readSource(gone.buffer))).toMatchObject({
      code: 'ARGUMENT',
      message: expect.stringContaining('detached'),
    });
    expect(await rejection(readSource(gone))).toMatchObject({ code: 'ARGUMENT' });
  });

  test('options of the wrong kind', async () => {
    expect(await rejection(readSource(DATA, { onProgress: 3 as unknown as () => void }))).toBeInstanceOf(
      ArgumentError,
    );
    expect(await rejection(readSource(DATA, { signal: {} as AbortSignal }))).toBeInstanceOf(ArgumentError);
  });
});

describe('a Response', () => {
  test('with and without a length, empty, and with a length that is wrong', async () => {
    expectData((await listened(new Response(DATA))).bytes);
    expect((await listened(new Response(null))).bytes).toHaveLength(0);
    for (const length of ['300000', '10', '400000', 'x', '-1'])
      expectData((await listened(new Response(DATA, { headers: { 'content-length': length } }))).bytes);
  });

  test('in pieces: the total is told where it is known', async () => {
    const pieces = (): ReadableStream<Uint8Array> =>
      new ReadableStream({
        start(controller) {
          for (let i = 0; i < 3; i++) controller.enqueue(DATA.subarray(i * 10, i * 10 + 10));
          controller.close();
        },
      });
    const told = await listened(new Response(pieces(), { headers: { 'content-length': '30' } }));
    expect(told.heard.map((h) => [h.done, h.total])).toEqual([
      [0, 30],
      [10, 30],
      [20, 30],
      [30, 30],
    ]);
    expect(told.bytes).toEqual(DATA.subarray(0, 30));
    const untold = await listened(new Response(pieces()));
    expect(untold.heard.map((h) => [h.done, h.total])).toEqual([
      [0, undefined],
      [10, undefined],
      [20, undefined],
      [30, undefined],
      [30, 30],
    ]);
    // the length is that of compressed bytes
    const compressed = await listened(
      new Response(pieces(), { headers: { 'content-length': '20', 'content-encoding': 'br' } }),
    );
    expect(compressed.heard.map((h) => h.total)).toEqual([undefined, undefined, undefined, undefined, 30]);
    const short = await listened(new Response(pieces(), { headers: { 'content-length': '15' } }));
    expect(short.heard.map((h) => h.total)).toEqual([15, 15, undefined, undefined, 30]);
    expect(short.bytes).toEqual(DATA.subarray(0, 30));
  });

  test('that is not ok', async () => {
    const error = await rejection(readSource(new Response('no', { status: 503 })));
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({
      code: 'LOAD',
      status: 503,
      op: 'readSource',
      message: expect.stringContaining('HTTP status 503'),
    });
  });

  test('that cannot be read', async () => {
    const error = await rejection(readSource(Response.error()));
    expect(error).toMatchObject({ code: 'LOAD', status: 0 });
  });

  test('that was read already, or is being read', async () => {
    const used = new Response(DATA);
    await used.arrayBuffer();
    expect(await rejection(readSource(used))).toMatchObject({
      code: 'ARGUMENT',
      message: expect.stringContaining('response.clone()'),
    });
    const locked = new Response(DATA);
    locked.body?.getReader();
    expect(await rejection(readSource(locked))).toBeInstanceOf(ArgumentError);
  });

  test('whose stream fails', async () => {
    const cause = new Error('boom');
    const stream = new ReadableStream({
      pull(controller) {
        controller.error(cause);
      },
    });
    const error = await rejection(readSource(new Response(stream)));
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({ cause });
  });

  test('a listener that throws ends the load with what it threw, and the stream', async () => {
    const cancel = vi.fn();
    const stream = new ReadableStream({ pull: (controller) => controller.enqueue(DATA), cancel });
    const mine = new Error('mine');
    const onProgress = ({ done }: ByteProgress): void => {
      if (done > 0) throw mine;
    };
    expect(await rejection(readSource(new Response(stream), { onProgress }))).toBe(mine);
    expect(cancel).toHaveBeenCalledOnce();
  });
});

describe('a Promise that rejects', () => {
  test('with fetch’s TypeError: a failed load', async () => {
    const cause = new TypeError('Failed to fetch');
    const error = await rejection(readSource(Promise.reject(cause)));
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({ cause, message: expect.stringContaining('TypeError: Failed to fetch') });
  });

  test('with anything else: that, untouched', async () => {
    for (const reason of [new DOMException('stop', 'AbortError'), new Error('mine'), 'text'])
      expect(await rejection(readSource(Promise.reject(reason)))).toBe(reason);
  });
});

describe('an abort', () => {
  test('before the start: nothing is read, nothing is told', async () => {
    const onProgress = vi.fn();
    const fetched = vi.fn();
    vi.stubGlobal('fetch', fetched);
    const signal = AbortSignal.abort('why not');
    for (const source of [DATA, 'http://localhost/x', new Blob([DATA]), Promise.reject(new Error('late'))])
      expect(await rejection(readSource(source, { signal, onProgress }))).toBe('why not');
    expect(onProgress).not.toHaveBeenCalled();
    expect(fetched).not.toHaveBeenCalled();
  });

  test('amid a stream: the stream is cancelled', async () => {
    const controller = new AbortController();
    const cancel = vi.fn();
    const stream = new ReadableStream({ start: (c) => c.enqueue(DATA), cancel });
    const heard: number[] = [];
    const reason = new Error('enough');
    const reading = readSource(new Response(stream), {
      signal: controller.signal,
      onProgress: ({ done }) => heard.push(done),
    });
    setTimeout(() => controller.abort(reason), 20);
    expect(await rejection(reading)).toBe(reason);
    expect(cancel).toHaveBeenCalledOnce();
    const told = heard.length;
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(heard).toHaveLength(told);
  });

  test('amid a Promise that never ends, or that fails because of it', async () => {
    const controller = new AbortController();
    const reading = readSource(new Promise<Source>(() => undefined), { signal: controller.signal });
    const failing = readSource(
      new Promise<Source>((_, reject) =>
        controller.signal.addEventListener('abort', () => reject(new Error('closed'))),
      ),
      { signal: controller.signal },
    );
    setTimeout(() => controller.abort(), 5);
    expect(await rejection(reading)).toBe(controller.signal.reason);
    expect(await rejection(failing)).toBe(controller.signal.reason);
  });

  test('by the listener, between pieces and at the very end', async () => {
    for (const at of [4 << 20, 5 << 20]) {
      const controller = new AbortController();
      const heard: number[] = [];
      const onProgress = ({ done }: ByteProgress): void => {
        heard.push(done);
        if (done === at) controller.abort('now');
      };
      const reading = readSource(new Blob([new Uint8Array(5 << 20)]), {
        signal: controller.signal,
        onProgress,
      });
      expect(await rejection(reading)).toBe('now');
      expect(heard.at(-1)).toBe(at);
    }
  });

  test('afterwards changes nothing, and no listener stays on the signal', async () => {
    const controller = new AbortController();
    const added = vi.spyOn(controller.signal, 'addEventListener');
    const removed = vi.spyOn(controller.signal, 'removeEventListener');
    await readSource(new Response(DATA), { signal: controller.signal });
    controller.abort();
    expect(removed.mock.calls.length).toBeGreaterThanOrEqual(added.mock.calls.length);
  });
});

describe('paths, in Node', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'source-'));
    await writeFile(join(folder, 'näme with #.bin'), DATA);
    await writeFile(join(folder, 'large'), new Uint8Array(9 << 20).fill(3));
    await writeFile(join(folder, 'empty'), '');
  });
  afterAll(() => rm(folder, { recursive: true }));

  test('a path, a file: URL as string and as object', async () => {
    const path = join(folder, 'näme with #.bin');
    for (const source of [path, pathToFileURL(path), pathToFileURL(path).href])
      expectData((await listened(source)).bytes);
    expect((await listened(join(folder, 'empty'))).bytes).toHaveLength(0);
  });

  test('a path relative to the working directory', async () => {
    expect((await listened('test-data/crash-course/lenet-fashionmnist.params')).bytes).toHaveLength(241_254);
  });

  test('a large file comes in pieces', async () => {
    const { bytes, heard } = await listened(join(folder, 'large'));
    expect(bytes.every((v) => v === 3)).toBe(true);
    expect(heard.map((h) => [h.done, h.total])).toEqual([0, 4, 8, 9].map((n) => [n << 20, 9 << 20]));
  });

  // there is such a file on Linux alone
  test.runIf(process.platform === 'linux')('a file whose size the system does not tell', async () => {
    const { bytes, heard } = await listened('/proc/self/status');
    expect(bytes.length).toBeGreaterThan(100);
    expect(heard[0]).toEqual({ done: 0, total: undefined, unit: 'bytes' });
  });

  test.each([
    ['missing', 'missing.params', 'ENOENT'],
    ['a folder', '.', 'EISDIR'],
  ])('%s', async (_, name, code) => {
    const path = join(folder, name);
    const error = await rejection(readSource(path, { op: 'loadParameters' }));
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({ op: 'loadParameters', url: path, status: undefined, cause: { code } });
    expect((error as LoadError).message).toContain(`expected the file ${path}, received an error: ${code}`);
  });

  test('an abort between pieces', async () => {
    const controller = new AbortController();
    const onProgress = ({ done }: ByteProgress): void => {
      if (done > 0) controller.abort();
    };
    const error = await rejection(
      readSource(join(folder, 'large'), { signal: controller.signal, onProgress }),
    );
    expect(error).toBe(controller.signal.reason);
  });

  test('an abort while the file is opened', async () => {
    const controller = new AbortController();
    const reading = readSource(join(folder, 'large'), { signal: controller.signal });
    controller.abort();
    expect(await rejection(reading)).toBe(controller.signal.reason);
  });

  test('a drive of Windows is no scheme, a data: URL is none of a path', async () => {
    expect(await rejection(readSource('C:\\models\\missing.params'))).toMatchObject({
      cause: { code: 'ENOENT' },
    });
    expect((await listened('data:application/octet-stream;base64,AQID')).bytes).toEqual(
      Uint8Array.of(1, 2, 3),
    );
    const url = URL.createObjectURL(new Blob([DATA]));
    expectData((await listened(url)).bytes);
    URL.revokeObjectURL(url);
  });

  test('a host without files says so', async () => {
    vi.stubGlobal('process', { ...process, getBuiltinModule: undefined });
    const error = await rejection(readSource('weights.params'));
    vi.unstubAllGlobals();
    expect(error).toMatchObject({
      code: 'LOAD',
      message: expect.stringContaining('Pass bytes or an absolute URL'),
    });
  });
});

describe('over HTTP', () => {
  let server: Server;
  let origin = '';
  const requests: string[] = [];
  let aborted: Promise<void>;
  const routes: Record<string, RequestListener> = {
    '/w.params': (_, answer) => answer.writeHead(200, { 'content-length': DATA.length }).end(DATA),
    '/chunked': (_, answer) => {
      answer.writeHead(200).write(DATA.subarray(0, 100_000));
      setTimeout(() => answer.end(DATA.subarray(100_000)), 5);
    },
    '/gzip': (_, answer) => {
      const packed = gzipSync(DATA);
      answer.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length }).end(packed);
    },
    '/moved': (_, answer) => answer.writeHead(302, { location: '/w.params' }).end(),
    '/cut': (_, answer) => {
      answer.writeHead(200, { 'content-length': DATA.length }).write(DATA.subarray(0, 1000));
      setTimeout(() => answer.destroy(), 20);
    },
    '/cut-chunked': (_, answer) => {
      answer.writeHead(200).write(DATA.subarray(0, 1000));
      setTimeout(() => answer.destroy(), 20);
    },
    '/endless': (_, answer) => {
      answer.writeHead(200, { 'content-length': DATA.length }).write(DATA.subarray(0, 1000));
      aborted = new Promise((resolve) => answer.once('close', () => resolve()));
    },
    '/silent': (_, answer) => {
      aborted = new Promise((resolve) => answer.once('close', () => resolve()));
    },
    '/error': (_, answer) => answer.writeHead(500).end('<html>'),
  };

  beforeAll(async () => {
    server = createServer((request, answer) => {
      requests.push(request.url ?? '');
      const route = routes[request.url ?? ''];
      if (route === undefined) answer.writeHead(404).end('<html>not here</html>');
      else route(request, answer);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });

  test('a URL, a string, a Promise of a Response', async () => {
    for (const source of [
      new URL('/w.params', origin),
      `${origin}/w.params`,
      fetch(`${origin}/w.params`),
      `${origin}/moved`,
    ]) {
      const { bytes, heard } = await listened(source);
      expectData(bytes);
      expect(heard[0]).toEqual({ done: 0, total: DATA.length, unit: 'bytes' });
    }
  });

  test('unknown lengths: chunks, and a compressed answer', async () => {
    for (const path of ['/chunked', '/gzip']) {
      const { bytes, heard } = await listened(origin + path);
      expectData(bytes);
      expect(heard.slice(0, -1).every((h) => h.total === undefined)).toBe(true);
    }
  });

  test('relative to the page or worker, where there is one', async () => {
    vi.stubGlobal('location', { href: `${origin}/app/index.html` });
    expectData((await listened('../w.params')).bytes);
    expect(await rejection(readSource('w.params'))).toMatchObject({
      url: `${origin}/app/w.params`,
      status: 404,
    });
    // a worker made from a blob has nothing that paths could be relative to
    vi.stubGlobal('location', { href: 'blob:http://localhost/1' });
    expect(await rejection(readSource('w.params'))).toMatchObject({
      code: 'LOAD',
      url: 'w.params',
      message: expect.stringContaining('pass an absolute URL'),
    });
  });

  test.each([
    ['/nothing', 404, 'HTTP status 404 Not Found'],
    ['/error', 500, 'HTTP status 500 Internal Server Error'],
  ])('%s', async (path, status, message) => {
    const url = origin + path;
    const error = await rejection(readSource(url, { op: 'loadParameters' }));
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({ url, status, code: 'LOAD', op: 'loadParameters' });
    expect((error as LoadError).message).toBe(
      `[loadParameters] expected the file from ${url}, received ${message}. Check the address.`,
    );
    expect(await rejection(readSource(fetch(url)))).toMatchObject({ url, status });
  });

  test.each(['/cut', '/cut-chunked'])('%s: the connection breaks amid the body', async (path) => {
    const heard: number[] = [];
    const error = await rejection(readSource(origin + path, { onProgress: ({ done }) => heard.push(done) }));
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({
      url: origin + path,
      cause: expect.any(TypeError),
      message: expect.stringContaining('ended after 1000 bytes'),
    });
    expect(heard).toEqual([0, 1000]);
  });

  test('nobody answers', async () => {
    const idle = createServer();
    await new Promise<void>((resolve) => idle.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(idle.address() as AddressInfo).port}/`;
    await new Promise((resolve) => idle.close(resolve));
    const error = await rejection(readSource(url));
    expect(error).toBeInstanceOf(LoadError);
    expect(error).toMatchObject({
      url,
      cause: expect.any(TypeError),
      message: expect.stringContaining('ECONNREFUSED'),
    });
  });

  test('a URL that is none, and a scheme nobody knows', async () => {
    expect(await rejection(readSource('http://'))).toMatchObject({
      code: 'LOAD',
      url: 'http://',
      cause: expect.any(TypeError),
    });
    expect(await rejection(readSource('gopher://localhost/x'))).toMatchObject({
      code: 'LOAD',
      cause: expect.any(TypeError),
    });
  });

  test.each(['/endless', '/silent'])(
    '%s: an abort rejects with the reason and closes the connection',
    async (path) => {
      const controller = new AbortController();
      const before = requests.length;
      const reason = { mine: true };
      const reading = readSource(origin + path, {
        signal: controller.signal,
        onProgress: ({ done }) => {
          if (done > 0) controller.abort(reason);
        },
      });
      if (path === '/silent') setTimeout(() => controller.abort(reason), 30);
      expect(await rejection(reading)).toBe(reason);
      expect(requests.length).toBe(before + 1);
      await aborted;
    },
  );

  test('a time limit is an abort like any other', async () => {
    const signal = AbortSignal.timeout(30);
    expect(await rejection(readSource(`${origin}/silent`, { signal }))).toMatchObject({
      name: 'TimeoutError',
    });
    expect(signal.aborted).toBe(true);
  });
});
