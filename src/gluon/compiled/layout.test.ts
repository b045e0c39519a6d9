// Values taken apart and put together again, and told from others.
import { expect, test } from 'vitest';
import type { NDArray } from '../../array/ndarray.ts';
import * as nd from '../../nd/index.ts';
import { type Layout, layoutOf, layoutText, matches, rebuild } from './layout.ts';

const [a, b, c] = [nd.ones([2]), nd.ones([2]), nd.ones([3])];

/** The form and the arrays of a value. */
function apart(value: unknown): [Layout, NDArray[]] {
  const found: NDArray[] = [];
  const layout = layoutOf(value, found);
  if (typeof layout === 'string') throw new Error(layout);
  return [layout, found];
}

test.each([
  [a],
  [[a, [b, null], { c, flag: true, name: 'x' }, undefined, 3, Number.NaN, 10n, []]],
  [{ list: [a, a], same: a }],
  [null],
])('value %# comes back, around other arrays', (value) => {
  const [layout, found] = apart(value);
  expect(rebuild(layout, found)).toEqual(value);
  expect(new Set(found).size).toBe(found.length);
  const others = found.map((x) => x.copy());
  expect(apart(rebuild(layout, others))[0]).toEqual(layout);
  const seen: NDArray[] = [];
  expect(matches(layout, rebuild(layout, others), seen)).toBe(true);
  expect(seen).toEqual(others);
});

test.each([
  [a, c],
  [a, nd.ones([2], { dtype: 'int32' })],
  [a, [a]],
  [a, 2],
  [
    [a, b],
    [a, a],
  ],
  [
    [a, a],
    [a, b],
  ],
  [
    [a, 1],
    [a, 2],
  ],
  [
    [a, 0],
    [a, -0],
  ],
  [[a], [a, undefined]],
  [{ a }, { b: a }],
  [{ a }, { a, b }],
  [{ a }, [a]],
  [{ 0: a }, [a]],
  [[null], [undefined]],
  [['1'], [1]],
  [{ a }, null],
])('form %# does not fit another value', (one, other) => {
  expect(matches(apart(one)[0], one, [])).toBe(true);
  expect(matches(apart(one)[0], other, [])).toBe(false);
});

test('what has no form is named', () => {
  for (const value of [() => a, new Map([['a', a]]), [[new Date()]], { f: Symbol.iterator }])
    expect(layoutOf(value, [])).toBeTypeOf('string');
});

test('text', () => {
  expect(layoutText(apart([a, [c, null], { x: a, y: 'abc' }, 2])[0])).toBe(
    '[(2,) float32, [(3,) float32, null], { x: (2,) float32, y: "abc" }, 2]',
  );
});
