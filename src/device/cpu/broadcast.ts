// Where broadcast and strided inputs lie for the elements of an output: axes merged as far as they can be, strides, and the odometer over them.

export interface BroadcastPlan {
  /** The output's extents after merging, none of them 1 (but at least one axis). */
  readonly dims: readonly number[];
  /** For each input its stride along each of `dims`, 0 where it repeats. */
  readonly strides: readonly (readonly number[])[];
}

/** Merges neighbouring axes along which every input steps as one. Shapes broadcast to `out` by NumPy's rule. */
export function planBroadcast(out: readonly number[], inputs: readonly (readonly number[])[]): BroadcastPlan {
  const full = inputs.map((shape) => {
    const strides = new Array<number>(out.length).fill(0);
    let step = 1;
    for (let i = 1; i <= shape.length; i++) {
      const extent = shape[shape.length - i] as number;
      if (extent !== 1) strides[out.length - i] = step;
      step *= extent;
    }
    return strides;
  });
  return mergeAxes(out, full);
}

/** As `planBroadcast` for inputs whose strides along the axes of `out` are given. */
export function mergeAxes(out: readonly number[], full: readonly (readonly number[])[]): BroadcastPlan {
  const dims: number[] = [];
  const strides: number[][] = full.map(() => []);
  for (let axis = 0; axis < out.length; axis++) {
    const extent = out[axis] as number;
    if (extent === 1) continue;
    const last = dims.length - 1;
    const joins =
      last >= 0 && full.every((s, k) => (strides[k] as number[])[last] === (s[axis] as number) * extent);
    if (joins) {
      dims[last] = (dims[last] as number) * extent;
      full.forEach((s, k) => {
        (strides[k] as number[])[last] = s[axis] as number;
      });
    } else {
      dims.push(extent);
      full.forEach((s, k) => {
        strides[k]?.push(s[axis] as number);
      });
    }
  }
  if (dims.length === 0) {
    dims.push(1);
    for (const s of strides) s.push(0);
  }
  return { dims, strides };
}

/** Whether strides along `dims` are those of a contiguous array. */
export function isContiguous(dims: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let i = dims.length - 1; i >= 0; i--) {
    if (strides[i] !== step) return false;
    step *= dims[i] as number;
  }
  return true;
}

const coords = new Array<number>(8).fill(0);

/**
 * Copies the elements `start … start + n` (counted along `dims`, row-major) of a strided source at `a` to `o` in one view.
 * Serves inner axes too short for a loop call each.
 */
export function gather(
  m: { [index: number]: number },
  o: number,
  a: number,
  dims: readonly number[],
  strides: readonly number[],
  start: number,
  n: number,
): void {
  const last = dims.length - 1;
  let rest = start;
  let at = a;
  for (let i = last; i >= 0; i--) {
    const extent = dims[i] as number;
    const c = rest % extent;
    rest = (rest - c) / extent;
    coords[i] = c;
    at += c * (strides[i] as number);
  }
  const inner = dims[last] as number;
  const step = strides[last] as number;
  let c = coords[last] as number;
  for (let i = 0; i < n; ) {
    const end = i + Math.min(n - i, inner - c);
    for (; i < end; i++, at += step) m[o + i] = m[at] as number;
    at -= inner * step;
    c = 0;
    for (let k = last - 1; k >= 0; k--) {
      const next = (coords[k] as number) + 1;
      at += strides[k] as number;
      if (next < (dims[k] as number)) {
        coords[k] = next;
        break;
      }
      coords[k] = 0;
      at -= next * (strides[k] as number);
    }
  }
}
