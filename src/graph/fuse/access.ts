// How places of a loop are mapped to elements of flat memory, as arithmetic: element = offset + Σ c·stride. Reshapes, transpositions, slices and broadcasts are all such maps; here
// they are seen under other extents and put one after the other. Pure; knows no kernels.
import { sizeOf, stridesOf } from '../../core/shape.ts';

export interface Access {
  readonly offset: number;
  readonly strides: readonly number[];
}

/** Strides of a contiguous array broadcast to `out` by NumPy's rule: 0 along what is repeated. */
export function broadcastStrides(shape: readonly number[], out: readonly number[]): number[] {
  const own = stridesOf(shape);
  const lead = out.length - shape.length;
  return out.map((_, i) => (i < lead || shape[i - lead] === 1 ? 0 : (own[i - lead] as number)));
}

/**
 * The strides that visit the same elements in the same order under other extents of the same product; null where there are none.
 * @example regroup([2, 3, 4], [12, 4, 1], [6, 4]) // [4, 1]
 */
export function regroup(
  extents: readonly number[],
  strides: readonly number[],
  target: readonly number[],
): number[] | null {
  const result = target.map(() => 0);
  // from the innermost on: as many axes of either side as have the same product
  let i = extents.length - 1;
  let j = target.length - 1;
  while (i >= 0 || j >= 0) {
    while (i >= 0 && extents[i] === 1) i--;
    while (j >= 0 && target[j] === 1) j--;
    if (i < 0 || j < 0) break;
    const [step, last] = [strides[i] as number, j];
    let [size, covered] = [extents[i] as number, target[j] as number];
    while (size !== covered) {
      if (size < covered) {
        do i--;
        while (i >= 0 && extents[i] === 1);
        if (i < 0 || strides[i] !== step * size) return null;
        size *= extents[i] as number;
      } else {
        j--;
        if (j < 0) return null;
        covered *= target[j] as number;
      }
    }
    let stride = step;
    for (let k = last; k >= j; k--) {
      result[k] = stride;
      stride *= target[k] as number;
    }
    i--;
    j--;
  }
  return i < 0 && j < 0 ? result : null;
}

/** Extents that may have been split, and for each the axis it comes from and by what that axis's strides are multiplied. */
export interface Split {
  readonly extents: readonly number[];
  readonly axes: readonly number[];
  readonly times: readonly number[];
}

/** Where each place of a loop lies in an array: the loop's axes, split where needed, as steps along single axes of the array. */
export interface Located extends Split {
  /** For each of the split axes the array's axis along which it moves, −1 for none, and by how much. */
  readonly along: readonly number[];
  readonly steps: readonly number[];
  /** The array's coordinates at the loop's first place. */
  readonly first: readonly number[];
}

/** An access of the loop's places to an array of `shape`, taken apart into coordinates of the array; null where a step carries over in no regular way. */
export function locate(extents: readonly number[], access: Access, shape: readonly number[]): Located | null {
  const own = stridesOf(shape);
  const first: number[] = [];
  let rest = access.offset;
  shape.forEach((d, a) => {
    const at = Math.floor(rest / (own[a] as number));
    if (rest < 0 || at >= d) rest = Number.NaN;
    first.push(at);
    rest -= at * (own[a] as number);
  });
  if (rest !== 0) return null;
  const [low, high] = [[...first], [...first]];
  const found: { extents: number[]; axes: number[]; times: number[]; along: number[]; steps: number[] } = {
    extents: [],
    axes: [],
    times: [],
    along: [],
    steps: [],
  };
  const put = (axis: number, times: number, extent: number, along: number, step: number): void => {
    found.extents.push(extent);
    found.axes.push(axis);
    found.times.push(times);
    found.along.push(along);
    found.steps.push(step);
  };
  const place = (axis: number, times: number, extent: number, stride: number): boolean => {
    if (extent === 1 || stride === 0) {
      put(axis, times, extent, -1, 0);
      return true;
    }
    const a = shape.findIndex((d, k) => {
      const s = own[k] as number;
      return d > 1 && s <= Math.abs(stride) && stride % s === 0;
    });
    if (a < 0) return false;
    const step = stride / (own[a] as number);
    const reach = (extent - 1) * step;
    const [least, most] = [(low[a] as number) + Math.min(reach, 0), (high[a] as number) + Math.max(reach, 0)];
    const d = shape[a] as number;
    if (least >= 0 && most < d) {
      low[a] = least;
      high[a] = most;
      put(axis, times, extent, a, step);
      return true;
    }
    // it runs on into the next axis: the part within this one, and whole rounds
    const inner = d / step;
    if (step < 0 || high[a] !== 0 || d % step !== 0 || extent % inner !== 0 || inner === 1) return false;
    return place(axis, times * inner, extent / inner, stride * inner) && place(axis, times, inner, stride);
  };
  for (let i = 0; i < extents.length; i++)
    if (!place(i, 1, extents[i] as number, access.strides[i] as number)) return null;
  return { ...found, first };
}

/** Where the located places lie in what an access over the array leads to. */
export function through(located: Located, access: Access): Access {
  const { along, steps, first } = located;
  return {
    offset: first.reduce((sum, c, a) => sum + c * (access.strides[a] as number), access.offset),
    strides: along.map((a, k) => (a < 0 ? 0 : (steps[k] as number) * (access.strides[a] as number))),
  };
}

/** Strides over split axes from those over the whole ones. */
export function splitStrides(split: Split, strides: readonly number[]): number[] {
  return split.axes.map((a, k) => (strides[a] as number) * (split.times[k] as number));
}

/** Strides over the whole axes from those over split ones; null where the parts of an axis do not go on from each other. */
export function joinStrides(
  split: Split,
  strides: readonly number[],
  extents: readonly number[],
): number[] | null {
  const joined: number[] = [];
  for (let axis = 0; axis < extents.length; axis++) {
    const parts = split.axes.flatMap((a, k) => (a === axis ? [k] : []));
    const one = regroup(
      parts.map((k) => split.extents[k] as number),
      parts.map((k) => strides[k] as number),
      [extents[axis] as number],
    );
    if (one === null) return null;
    joined.push(one[0] as number);
  }
  return joined;
}

/** Neighbouring axes as one where all strides allow it; axes of extent 1 fall away. */
export function coalesce(
  extents: readonly number[],
  strides: readonly (readonly number[])[],
): { readonly extents: number[]; readonly strides: number[][] } {
  const kept: number[] = [];
  const lists = strides.map((): number[] => []);
  for (let i = 0; i < extents.length; i++) {
    const d = extents[i] as number;
    if (d === 1) continue;
    const last = kept.length - 1;
    const joins = last >= 0 && strides.every((s, k) => lists[k]?.[last] === (s[i] as number) * d);
    if (joins) kept[last] = (kept[last] as number) * d;
    else kept.push(d);
    for (let k = 0; k < strides.length; k++) {
      const list = lists[k] as number[];
      list[kept.length - 1] = strides[k]?.[i] as number;
    }
  }
  return { extents: kept, strides: lists };
}

/** Whether strides visit a contiguous array once, in order. Axes of extent 1 do not count. */
export function isContiguous(extents: readonly number[], strides: readonly number[]): boolean {
  return sameStrides(extents, strides, stridesOf(extents));
}

/** Whether two lists of strides lead to the same places. */
export function sameStrides(extents: readonly number[], a: readonly number[], b: readonly number[]): boolean {
  return extents.every((d, i) => d === 1 || a[i] === b[i]);
}

/** Whether an array has no elements: what reads or writes none is left as it is. */
export function isEmpty(shape: readonly number[]): boolean {
  return sizeOf(shape) === 0;
}
