import { describe, expect, test } from 'vitest';
import { ShapeError } from './errors.ts';
import {
  broadcastShapes,
  describe as inWords,
  normalizeAxes,
  normalizeAxis,
  resolveReshape,
  sameShape,
  shapeText,
  sizeOf,
  sizeWithin,
  stridesOf,
  toShape,
} from './shape.ts';

/** The message of the ShapeError that `run` throws. */
function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ShapeError);
    const { message } = error as ShapeError;
    expect(message).toMatch(/^\[op\] expected .*, received .*\. .*\.$/s);
    return message;
  }
  throw new Error('nothing was thrown');
}

describe('extents', () => {
  test('size, strides, text', () => {
    expect(sizeOf([])).toBe(1);
    expect(sizeOf([2, 3, 4])).toBe(24);
    expect(sizeOf([2, 0, 4])).toBe(0);
    expect([0, 1, 2, 3, 4].map((begin) => sizeWithin([2, 3, 4], begin))).toEqual([24, 12, 4, 1, 1]);
    expect([0, 1, 2, 3].map((end) => sizeWithin([2, 3, 4], 1, end))).toEqual([1, 1, 3, 12]);
    expect(stridesOf([2, 3, 4])).toEqual([12, 4, 1]);
    expect(stridesOf([])).toEqual([]);
    expect(shapeText([])).toBe('()');
    expect(shapeText([2])).toBe('(2,)');
    expect(shapeText([2, 3])).toBe('(2, 3)');
  });

  test('sameShape', () => {
    expect(sameShape([], [])).toBe(true);
    expect(sameShape([2, 3], [2, 3])).toBe(true);
    expect(sameShape([2, 3], [3, 2])).toBe(false);
    expect(sameShape([2], [2, 1])).toBe(false);
  });

  test('toShape takes a number or a list and copies it', () => {
    const given = [2, 3];
    const shape = toShape(given, 'op');
    given[0] = 9;
    expect(shape).toEqual([2, 3]);
    expect(toShape(4, 'op')).toEqual([4]);
    expect(toShape([], 'op')).toEqual([]);
    expect(toShape([0, 3], 'op')).toEqual([0, 3]);
  });

  test('toShape refuses what is no shape', () => {
    expect(refusal(() => toShape([2, -1], 'op'))).toContain('received (2, -1)');
    expect(refusal(() => toShape([2.5], 'op'))).toContain('received (2.5,)');
    expect(refusal(() => toShape(NaN, 'op'))).toContain('NaN');
    expect(refusal(() => toShape([1, 1, 1, 1, 1, 1, 1, 1, 1], 'op'))).toContain('at most 8 axes');
    expect(refusal(() => toShape([2 ** 30, 2 ** 30], 'op'))).toContain('2^53');
    expect(refusal(() => toShape('2,3' as unknown as number[], 'op'))).toContain('received "2,3"');
  });

  test('values in words', () => {
    expect(
      [
        null,
        undefined,
        1.5,
        'a',
        [1, 2],
        ['a'],
        [1, 2, 3, 4, 5, 6, 7, 8, 9],
        new Float32Array(2),
        {},
        Object.create(null),
        sizeOf,
      ].map(inWords),
    ).toEqual([
      'null',
      'undefined',
      '1.5',
      '"a"',
      '(1, 2)',
      'an array of length 1',
      'an array of length 9',
      'a Float32Array',
      'a Object',
      'a object',
      'a function sizeOf',
    ]);
  });
});

describe('axes', () => {
  test('count from either end', () => {
    expect([-3, -1, 0, 2].map((axis) => normalizeAxis(axis, 3, 'op'))).toEqual([0, 2, 0, 2]);
    expect(refusal(() => normalizeAxis(3, 3, 'op'))).toContain('from -3 to 2, received 3');
    expect(refusal(() => normalizeAxis(-4, 3, 'op'))).toContain('received -4');
    expect(refusal(() => normalizeAxis(0.5, 3, 'op'))).toContain('received 0.5');
    expect(refusal(() => normalizeAxis(0, 0, 'op'))).toContain('no axis');
  });

  test('lists are sorted, nothing means all, exclude turns them round', () => {
    expect(normalizeAxes([2, -3], 3, 'op')).toEqual([0, 2]);
    expect(normalizeAxes(1, 3, 'op')).toEqual([1]);
    expect(normalizeAxes(undefined, 3, 'op')).toEqual([0, 1, 2]);
    expect(normalizeAxes(null, 2, 'op')).toEqual([0, 1]);
    expect(normalizeAxes([], 2, 'op')).toEqual([0, 1]);
    expect(normalizeAxes([2, -3], 3, 'op', true)).toEqual([1]);
    expect(refusal(() => normalizeAxes([0, -2], 2, 'op'))).toContain('each axis once, received (0, -2)');
  });
});

describe('broadcasting', () => {
  test.each([
    [
      [2, 3],
      [2, 3],
      [2, 3],
    ],
    [[2, 3], [3], [2, 3]],
    [[3], [2, 1], [2, 3]],
    [[], [2, 3], [2, 3]],
    [
      [4, 1, 3],
      [5, 1],
      [4, 5, 3],
    ],
    [[1], [0], [0]],
    [
      [0, 3],
      [1, 3],
      [0, 3],
    ],
    [[], [], []],
  ])('%j and %j give %j', (a, b, want) => {
    expect(broadcastShapes(a, b, 'op')).toEqual(want);
    expect(broadcastShapes(b, a, 'op')).toEqual(want);
  });

  test('names the axis that does not fit', () => {
    const message = refusal(() => broadcastShapes([2, 3, 4], [2, 4], 'op'));
    expect(message).toContain('(2, 3, 4) and (2, 4)');
    expect(message).toContain('Axis -2 has 3 and 2');
    refusal(() => broadcastShapes([0], [2], 'op'));
  });
});

describe('reshape codes', () => {
  // the examples of MXNet's documentation of reshape, and the corners they leave out
  test.each([
    [
      [2, 3, 4],
      [4, 0, 2],
      [4, 3, 2],
    ],
    [
      [2, 3, 4],
      [2, 0, 0],
      [2, 3, 4],
    ],
    [
      [2, 3, 4],
      [6, 1, -1],
      [6, 1, 4],
    ],
    [
      [2, 3, 4],
      [3, -1, 8],
      [3, 1, 8],
    ],
    [[2, 3, 4], [-1], [24]],
    [[2, 3, 4], [-2], [2, 3, 4]],
    [
      [2, 3, 4],
      [2, -2],
      [2, 3, 4],
    ],
    [
      [2, 3, 4],
      [-2, 1, 1],
      [2, 3, 4, 1, 1],
    ],
    [
      [2, 3, 4],
      [-3, 4],
      [6, 4],
    ],
    [
      [2, 3, 4, 5],
      [-3, -3],
      [6, 20],
    ],
    [
      [2, 3, 4],
      [0, -3],
      [2, 12],
    ],
    [
      [2, 3, 4],
      [-3, -2],
      [6, 4],
    ],
    [
      [2, 3, 4],
      [-4, 1, 2, -2],
      [1, 2, 3, 4],
    ],
    [
      [2, 3, 4],
      [2, -4, -1, 3, -2],
      [2, 1, 3, 4],
    ],
    [
      [6, 5],
      [-4, 2, -1, 0],
      [2, 3, 5],
    ],
    [[], [1, 1], [1, 1]],
    [[], [-1], [1]],
    [[1], [], []],
    [
      [0, 3],
      [-1, 3],
      [0, 3],
    ],
    [
      [0, 3],
      [0, -1],
      [0, 0],
    ],
    [[4], [2, 2], [2, 2]],
  ])('%j by %j is %j', (from, to, want) => {
    expect(resolveReshape(from, to, 'op')).toEqual(want);
  });

  test.each([
    [[2, 3], [4], '4'],
    [[2, 3], [-1, 4], 'not divisible'],
    [[2, 3], [-1, -1], 'Only one'],
    [[2, 3], [-5, 6], 'codes'],
    [[2, 3], [1.5, 4], 'codes'],
    [[2, 3], [NaN], 'codes'],
    [[2, 3], [2, 3, 0], 'past the last axis'],
    [[6], [-3], 'past the last axis'],
    [[6], [-4, 2], 'followed by'],
    [[6], [-4, -1, -1], 'Only one part'],
    [[6], [-4, 4, -1], 'cannot split'],
    [[6], [-4, 0, -1], 'cannot split'],
    [[6], [-4, -2, -3], 'cannot split'],
    [[1], [1, 1, 1, 1, 1, 1, 1, 1, 1], 'At most 8'],
    [[2, 3], [], 'holds 1'],
  ])('%j by %j is refused', (from, to, why) => {
    const message = refusal(() => resolveReshape(from, to, 'op'));
    expect(message).toContain(shapeText(from));
    expect(message).toContain(why);
  });
});
