// The numbers of a convolution by name, and how far its patches reach beyond what they are read from.
import type { ProductKernel } from '../../../ir/kernel.ts';

/** `dims` of a convolution by name, spatial triples in the order depth, height, width. */
export interface ConvGeometry {
  readonly N: number;
  readonly C: number;
  readonly O: number;
  readonly groups: number;
  readonly i: Triple;
  readonly o: Triple;
  readonly k: Triple;
  readonly s: Triple;
  readonly d: Triple;
  readonly p: Triple;
}
export type Triple = readonly [number, number, number];

export function geometryOf(dims: readonly number[]): ConvGeometry {
  const at = (i: number): number => dims[i] as number;
  const triple = (i: number): Triple => [at(i), at(i + 1), at(i + 2)];
  return {
    N: at(0),
    C: at(1),
    O: at(2),
    groups: at(3),
    i: triple(4),
    o: triple(7),
    k: triple(10),
    s: triple(13),
    d: triple(16),
    p: triple(19),
  };
}

export const volume = (t: Triple): number => t[0] * t[1] * t[2];

/**
 * How many zeros before and after the source (x, or dy for `convGradData`) spare all patches a look at the bounds, and the source's extents.
 */
export function marginsOf(
  form: ProductKernel['form'],
  g: ConvGeometry,
): { extents: Triple; before: Triple; after: Triple } {
  const axes = ([0, 1, 2] as const).map((a) => {
    const reach = (g.k[a] - 1) * g.d[a];
    const [low, high, extent] =
      form === 'convGradData'
        ? [Math.ceil((g.p[a] - reach) / g.s[a]) | 0, Math.floor((g.i[a] - 1 + g.p[a]) / g.s[a]) | 0, g.o[a]]
        : [0 - g.p[a], (g.o[a] - 1) * g.s[a] + reach - g.p[a], g.i[a]];
    return { extent, before: Math.max(0, 0 - low), after: Math.max(0, high - extent + 1) };
  });
  const triple = (of: (axis: (typeof axes)[number]) => number): Triple => {
    const [z, y, x] = axes.map(of);
    return [z as number, y as number, x as number];
  };
  return { extents: triple((a) => a.extent), before: triple((a) => a.before), after: triple((a) => a.after) };
}

/** Whether each channel of the data is a group of its own. */
export function isDepthwise(g: ConvGeometry): boolean {
  return g.groups > 1 && g.groups === g.C;
}
