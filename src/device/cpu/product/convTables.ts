// The indices of convolutions as nested counts and steps: which elements a convolution's taps and pixels are, in boxes with zeros around them.
import type { ConvGeometry, marginsOf, Triple } from './geometry.ts';
import { volume } from './geometry.ts';
import type { Nest } from './plans.ts';

export type Margins = ReturnType<typeof marginsOf>;

/** Boxes that patches are read from: where (bytes), their extents, and how many zeros lie before along each axis. */
export interface Surrounded {
  readonly at: number;
  readonly extents: Triple;
  readonly before: Triple;
}

export const isWide = ({ before, after }: Margins): boolean =>
  before.some((n) => n > 0) || after.some((n) => n > 0);

export function wideOf({ before, extents, after }: Margins): Triple {
  return [
    before[0] + extents[0] + after[0],
    before[1] + extents[1] + after[1],
    before[2] + extents[2] + after[2],
  ];
}

export function keyOf(g: ConvGeometry): string {
  return `${g.N},${g.C},${g.O},${g.groups},${g.i},${g.o},${g.k},${g.s},${g.d},${g.p}`;
}

/** Taps of a convolution: channels, and the kernel's places in each. */
export function tapsOf(
  g: ConvGeometry,
  x: Surrounded,
  channels: number,
): { readonly bDepth: Nest; readonly bDepthStart: number } {
  const [, ey, ex] = x.extents;
  const first = ([0, 1, 2] as const).map((a) => x.before[a] - g.p[a]);
  return {
    bDepth: [
      [channels, volume(x.extents)],
      [g.k[0], g.d[0] * ey * ex],
      [g.k[1], g.d[1] * ex],
      [g.k[2], g.d[2]],
    ],
    bDepthStart: ((first[0] ?? 0) * ey + (first[1] ?? 0)) * ex + (first[2] ?? 0),
  };
}

/** Output pixels of a convolution: images, and the grid in each. */
export function gridOf(g: ConvGeometry, x: Surrounded, channels: number): Nest {
  const [, ey, ex] = x.extents;
  return [
    [g.N, channels * volume(x.extents)],
    [g.o[0], g.s[0] * ey * ex],
    [g.o[1], g.s[1] * ex],
    [g.o[2], g.s[2]],
  ];
}
