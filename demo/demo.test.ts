// The parts of the demo that need no page: idx files, the order of the sheet, the score, the adapter's name.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { nameOf, readWish } from './adapter.ts';
import { dealtOrder, gunzip, joinPictures, parseIdx } from './data.ts';
import { Score } from './score.ts';

function shipped(name: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(readFileSync(new URL(`public/crash-course/${name}`, import.meta.url)));
}

describe('idx files', () => {
  test('the shipped pictures: 900 of 28 by 28, ninety of each class', async () => {
    const images = await gunzip(shipped('fashion-sprite-images-idx3-ubyte.gz'));
    const pictures = joinPictures(images, await gunzip(shipped('fashion-sprite-labels-idx1-ubyte.gz')));
    expect([pictures.count, pictures.side, pictures.pixels.length]).toEqual([900, 28, 900 * 784]);
    for (let label = 0; label < 10; label++)
      expect(pictures.labels.filter((each) => each === label)).toHaveLength(90);
  });

  test('what is unpacked already stays as it is', async () => {
    const plain = new Uint8Array([0, 0, 8, 1, 0, 0, 0, 1, 5]);
    expect(await gunzip(plain)).toBe(plain);
    expect(parseIdx(plain, 1)).toEqual({ shape: [1], values: new Uint8Array([5]) });
  });

  test('a wrong magic, a file cut short and labels of other pictures are refused', () => {
    expect(() => parseIdx(new Uint8Array([0, 0, 8, 3, 0, 0, 0, 1, 5]), 1)).toThrow('not an idx file');
    expect(() => parseIdx(new Uint8Array([0, 0, 8]), 1)).toThrow('not an idx file');
    expect(() => parseIdx(new Uint8Array([0, 0, 8, 1, 0, 0, 0, 3, 5]), 1)).toThrow(
      'promises 3 values and holds 1',
    );
    const image = new Uint8Array([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7]);
    const labels = new Uint8Array([0, 0, 8, 1, 0, 0, 0, 2, 5, 6]);
    expect(() => joinPictures(image, labels)).toThrow('1 pictures and 2 labels');
  });
});

test('the sheet deals the classes out in turn and leaves no picture out', () => {
  expect(dealtOrder(new Uint8Array([0, 0, 0, 1, 2]))).toEqual([0, 3, 4, 1, 2]);
});

test('the score counts, filters and ranks mistakes', () => {
  const score = new Score(new Uint8Array([0, 1, 1, 2]));
  const row = (label: number): number[] =>
    Array.from({ length: 10 }, (_, at) => (at === label ? 0.91 : 0.01));
  score.take([0, 1], new Float32Array([...row(0), ...row(3)]));
  expect([score.done, score.right, score.said(1), score.said(2)]).toEqual([2, 1, 3, undefined]);
  score.take([2, 3], new Float32Array([...row(3), ...row(1)]));
  expect(score.mixUps(5)).toEqual([
    { truth: 1, said: 3, count: 2 },
    { truth: 2, said: 1, count: 1 },
  ]);
  const shown = (filter: Parameters<Score['shows']>[1]): number[] =>
    [0, 1, 2, 3].filter((index) => score.shows(index, filter));
  expect(shown({ verdict: 'wrong', truth: undefined, said: undefined })).toEqual([1, 2, 3]);
  expect(shown({ verdict: 'right', truth: undefined, said: undefined })).toEqual([0]);
  expect(shown({ verdict: 'all', truth: 1, said: 3 })).toEqual([1, 2]);
});

describe('devices', () => {
  test('the address says which device', () => {
    expect(readWish('?device=cpu')).toEqual({ device: 'cpu', allowSoftware: false });
    expect(readWish('?device=abacus&software=1')).toEqual({ device: undefined, allowSoftware: true });
  });

  test('adapters are named for people', () => {
    expect(nameOf({ vendor: 'nvidia', architecture: 'ampere', description: '' })).toBe('NVIDIA Ampere');
    expect(nameOf({ vendor: 'amd', architecture: 'rdna-3' })).toBe('AMD RDNA 3');
    expect(nameOf({ vendor: 'google', architecture: 'swiftshader' })).toBe('Google SwiftShader (software)');
    expect(nameOf({ vendor: 'apple', architecture: 'metal-3', description: 'Apple M4' })).toBe('Apple M4');
    expect(nameOf({})).toBe('a GPU that gives no name');
  });
});
