// NumPy's answers, recorded in test-data/numpy-ops.json by the script beside it.
import { readFileSync } from 'node:fs';
import type { Nested } from 'webgluon';

type Numbers = readonly (number | string)[];

interface Recorded {
  readonly places: Numbers;
  readonly special: Numbers;
  readonly functions: Readonly<Record<string, { readonly y: Numbers; readonly special: Numbers }>>;
  readonly indexing: readonly {
    readonly shape: readonly number[];
    /** As webgluon takes them. */
    readonly index: readonly (number | string | null | readonly Nested[])[];
    readonly at: readonly [shape: readonly number[], values: Numbers];
    readonly set: Numbers;
    readonly fill: Numbers;
  }[];
  readonly sorting: {
    readonly shape: readonly number[];
    readonly values: Numbers;
    readonly cases: readonly {
      readonly axis: number | null;
      readonly rising: Numbers;
      readonly falling: Numbers;
    }[];
  };
}

export const NUMPY = JSON.parse(
  readFileSync(new URL('../../test-data/numpy-ops.json', import.meta.url), 'utf8'),
) as Recorded;

/** NaN, Infinity, -Infinity and -0 stand as strings, which Number reads as such. */
export function numbersOf(list: Numbers): number[] {
  return list.map(Number);
}
