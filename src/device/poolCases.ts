// Poolings at which their gradients are tested on both devices: inside, over borders, overlapping, with gaps, deep, with windows that end early.

/** What the kernels are told, but for whether averages count padding. */
export const POOL_CASES: readonly (readonly number[])[] = [
  // planes, input, output, kernel, stride, padding
  [3, 1, 6, 6, 1, 3, 3, 1, 2, 2, 1, 2, 2, 0, 0, 0],
  [2, 1, 8, 10, 1, 2, 9, 1, 3, 2, 1, 3, 1, 0, 0, 0],
  [2, 1, 7, 5, 1, 4, 5, 1, 3, 3, 1, 2, 1, 0, 1, 1],
  [2, 3, 4, 5, 2, 4, 2, 2, 3, 2, 2, 1, 2, 1, 1, 0],
  [3, 1, 1, 9, 1, 1, 3, 1, 1, 4, 1, 1, 3, 0, 0, 1],
  // the last window reaches over the padding
  [1, 1, 5, 6, 1, 3, 4, 1, 2, 3, 1, 2, 2, 0, 0, 1],
  // gaps between windows
  [2, 1, 7, 7, 1, 3, 3, 1, 1, 2, 1, 3, 3, 0, 0, 1],
  [5, 1, 3, 3, 1, 1, 1, 1, 3, 3, 1, 1, 1, 0, 0, 0],
  // side by side, with a border left over; fewer windows than there is room for
  [2, 1, 7, 8, 1, 2, 2, 1, 3, 3, 1, 3, 3, 0, 0, 0],
  [2, 1, 7, 5, 1, 2, 2, 1, 2, 1, 1, 2, 1, 0, 0, 0],
];

/** Whole numbers with many ties, some of them zeros of both signs and NaN, for x; few bits, so that sums are exact in half precision, for g. */
export function poolValues(count: number, special: boolean): number[] {
  return Array.from({ length: count }, (_, i) => {
    const v = ((i * 37 + 11) % 7) - 3;
    if (!special) return v + 8;
    return i % 29 === 5
      ? Number.NaN
      : i % 31 === 7
        ? Number.NEGATIVE_INFINITY
        : v === 0 && i % 2 === 0
          ? -0
          : v;
  });
}
