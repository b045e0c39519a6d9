// Comparing what came out with what an oracle says. NaN is told from ∞, and −0 from 0 where it is asked for.
import { expect } from 'vitest';
import type { NDArray } from 'webgluon';

/** How far a value may be off: |actual − expected| ≤ atol + rtol·|expected|. */
export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

export const EXACT: Tolerance = { rtol: 0, atol: 0 };
/** A few units in the last place of a float32. */
export const CLOSE: Tolerance = { rtol: 2e-6, atol: 1e-7 };

function matches(actual: number, expected: number, { rtol, atol }: Tolerance, signedZero: boolean): boolean {
  if (Number.isNaN(expected)) return Number.isNaN(actual);
  if (signedZero && expected === 0) return Object.is(actual, expected);
  if (actual === expected) return true;
  if (!Number.isFinite(expected) || !Number.isFinite(actual)) return false;
  return Math.abs(actual - expected) <= atol + rtol * Math.abs(expected);
}

/** The first places where the two differ, in words; empty where they agree. */
export function differences(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance: Tolerance = EXACT,
  signedZero = false,
): string[] {
  if (actual.length !== expected.length) return [`${actual.length} values instead of ${expected.length}`];
  const found: string[] = [];
  let count = 0;
  for (let i = 0; i < expected.length; i++) {
    const [a, e] = [actual[i] as number, expected[i] as number];
    if (matches(a, e, tolerance, signedZero)) continue;
    if (++count <= 5)
      found.push(`[${i}] is ${Object.is(a, -0) ? '-0' : a}, not ${Object.is(e, -0) ? '-0' : e}`);
  }
  if (count > 5) found.push(`and ${count - 5} more of ${expected.length}`);
  return found;
}

/** Expects an array of a shape with these values. */
export async function expectArray(
  actual: NDArray,
  shape: readonly number[],
  expected: ArrayLike<number>,
  tolerance: Tolerance = EXACT,
  signedZero = false,
): Promise<void> {
  expect([...actual.shape]).toEqual([...shape]);
  expect(differences(await actual.data(), expected, tolerance, signedZero)).toEqual([]);
}

/** Numbers that repeat from run to run, evenly distributed in [low, high): a linear congruential generator (Numerical Recipes). */
export function numbers(count: number, low = -1, high = 1, seed = 1): number[] {
  let state = seed >>> 0;
  return Array.from({ length: count }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.fround(low + ((high - low) * state) / 2 ** 32);
  });
}

/** Whole numbers from `low` to `high`, both included. */
export function integers(count: number, low: number, high: number, seed = 1): number[] {
  return numbers(count, 0, 1, seed).map((v) => low + Math.min(high - low, Math.floor(v * (high - low + 1))));
}

/** Calls `visit` with every index of a shape, in row-major order. */
export function eachIndex(shape: readonly number[], visit: (index: number[], linear: number) => void): void {
  const size = shape.reduce((n, d) => n * d, 1);
  for (let linear = 0; linear < size; linear++) {
    const index = new Array<number>(shape.length);
    let rest = linear;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const extent = shape[axis] as number;
      index[axis] = rest % extent;
      rest = Math.floor(rest / extent);
    }
    visit(index, linear);
  }
}

/** The place of an index in a row-major array. */
export function place(shape: readonly number[], index: readonly number[]): number {
  return index.reduce((at, c, axis) => at * (shape[axis] as number) + c, 0);
}
