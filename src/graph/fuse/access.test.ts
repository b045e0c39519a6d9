// Maps from places to elements against the elements themselves, listed one by one.
import { describe, expect, test } from 'vitest';
import { sizeOf, stridesOf } from '../../core/shape.ts';
import { stream } from '../testRandomGraphs.ts';
import {
  type Access,
  broadcastStrides,
  coalesce,
  joinStrides,
  locate,
  regroup,
  splitStrides,
  through,
} from './access.ts';

/** The elements that an access visits, in the order of the places. */
function visited(extents: readonly number[], { offset, strides }: Access): number[] {
  return Array.from({ length: sizeOf(extents) }, (_, place) => {
    let [rest, at] = [place, offset];
    for (let i = extents.length - 1; i >= 0; i--) {
      at += (rest % (extents[i] as number)) * (strides[i] as number);
      rest = Math.floor(rest / (extents[i] as number));
    }
    return at;
  });
}

const next = stream(5);
const int = (low: number, high: number): number => low + Math.floor(next() * (high - low + 1));
const pick = <T>(list: readonly T[]): T => list[int(0, list.length - 1)] as T;

/** Random factors of 24. */
function factors(): number[] {
  return pick([
    [24],
    [4, 6],
    [2, 3, 4],
    [6, 4],
    [2, 12],
    [1, 24],
    [2, 1, 12],
    [3, 2, 2, 2],
    [8, 3],
    [2, 2, 6],
    [4, 1, 6, 1],
  ]);
}

function shuffled<T>(list: readonly T[]): T[] {
  const result = [...list];
  for (let i = result.length - 1; i > 0; i--) {
    const j = int(0, i);
    [result[i], result[j]] = [result[j] as T, result[i] as T];
  }
  return result;
}

/** An access to part of a contiguous array: axes in another order, some left out or repeated, slices. */
function randomAccess(shape: readonly number[]): { readonly extents: number[]; readonly access: Access } {
  const own = stridesOf(shape);
  const axes = shuffled(shape.map((_, i) => i)).slice(0, int(1, shape.length));
  let offset = 0;
  const extents: number[] = [];
  const strides: number[] = [];
  for (const a of axes) {
    const d = shape[a] as number;
    const begin = int(0, d - 1);
    offset += begin * (own[a] as number);
    const back = next() < 0.3;
    extents.push(int(1, back ? begin + 1 : d - begin));
    strides.push(back ? -(own[a] as number) : (own[a] as number));
    if (next() < 0.3) {
      extents.push(2);
      strides.push(0);
    }
  }
  return { extents, access: { offset, strides } };
}

describe('maps', () => {
  test('regrouped strides visit the same elements; null only where none do', () => {
    let found = 0;
    for (let i = 0; i < 2000; i++) {
      const extents = factors();
      const order = shuffled(extents.map((_, a) => a));
      const own = stridesOf(order.map((a) => extents[a] as number));
      const strides = extents.map((_, a) => (next() < 0.2 ? 0 : (own[order.indexOf(a)] as number)));
      const target = factors();
      const result = regroup(extents, strides, target);
      const wanted = visited(extents, { offset: 0, strides });
      if (result !== null) {
        found++;
        expect(visited(target, { offset: 0, strides: result })).toEqual(wanted);
        continue;
      }
      // strides that would do can be read off the places one step along each axis away
      const steps = stridesOf(target).map((s, a) =>
        target[a] === 1 ? 0 : (wanted[s] as number) - (wanted[0] as number),
      );
      expect(visited(target, { offset: 0, strides: steps })).not.toEqual(wanted);
    }
    expect(found).toBeGreaterThan(300);
  });

  test('places located in an array lead through its own access', () => {
    let found = 0;
    for (let i = 0; i < 3000; i++) {
      const shape = factors();
      const inner: Access = { offset: int(0, 9), strides: shape.map(() => pick([0, 1, -3, 5, 24])) };
      const viewed = pick([shape, [24], factors()]);
      const { extents, access } = randomAccess(viewed);
      const located = locate(extents, access, shape);
      if (located === null) continue;
      found++;
      const elements = visited(shape, inner);
      const wanted = visited(extents, access).map((at) => elements[at] as number);
      expect(sizeOf(located.extents)).toBe(sizeOf(extents));
      const led = through(located, inner);
      expect(visited(located.extents, led)).toEqual(wanted);
      const joined = joinStrides(located, led.strides, extents);
      if (joined !== null) expect(visited(extents, { ...led, strides: joined })).toEqual(wanted);
      const other = extents.map(() => int(-4, 4));
      expect(visited(located.extents, { offset: 0, strides: splitStrides(located, other) })).toEqual(
        visited(extents, { offset: 0, strides: other }),
      );
    }
    expect(found).toBeGreaterThan(1500);
  });

  test('an access that leaves its array is not located', () => {
    expect(locate([4], { offset: 0, strides: [2] }, [2, 3])).toBeNull();
    expect(locate([2, 2], { offset: 4, strides: [1, 1] }, [2, 3])).toBeNull();
  });

  test('coalesced axes visit the same elements for all', () => {
    for (let i = 0; i < 500; i++) {
      const extents = factors();
      const lists = [
        stridesOf(extents),
        broadcastStrides(
          extents.map((d) => pick([d, 1])),
          extents,
        ),
      ];
      const few = coalesce(extents, lists);
      few.strides.forEach((strides, k) => {
        expect(visited(few.extents, { offset: 0, strides })).toEqual(
          visited(extents, { offset: 0, strides: lists[k] as number[] }),
        );
      });
      expect(few.extents.length).toBeLessThanOrEqual(extents.length);
    }
    expect(coalesce([2, 3, 4], [[12, 4, 1]]).extents).toEqual([24]);
  });
});
