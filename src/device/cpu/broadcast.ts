// Where broadcast and strided inputs lie for the elements of an output: axes merged as far as they can be, strides, and the odometer over them.
import { sameShape, sizeOf } from '../../core/shape.ts';
import type { Operand } from '../../ir/kernel.ts';

interface BroadcastPlan {
  /** The output's extents after merging, none of them 1 (but at least one axis). */
  readonly dims: readonly number[];
  /** For each input its stride along each of `dims`, 0 where it repeats. */
  readonly strides: readonly (readonly number[])[];
}

/** Where inputs that do not lie as the outputs do are found: for each source its first element, and how it goes on along merged axes. */
export interface Walk extends BroadcastPlan {
  readonly offsets: readonly number[];
}

/** Merges neighbouring axes along which every input steps as one. Shapes broadcast to `out` by NumPy's rule. */
function planBroadcast(out: readonly number[], inputs: readonly (readonly number[])[]): BroadcastPlan {
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
function mergeAxes(out: readonly number[], full: readonly (readonly number[])[]): BroadcastPlan {
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

/** Null where all sources lie as the outputs do. `dims` as in ir/kernel.ts. */
export function walkOf(
  sources: readonly { readonly index: number }[],
  inputs: readonly Operand[],
  outputs: readonly Operand[],
  dims: readonly number[],
): Walk | null {
  if (dims.length > 0) {
    const ndim = dims[0] as number;
    const of = (k: number): number => 1 + ndim + k * (ndim + 1);
    const offsets = sources.map((s) => dims[of(s.index)] as number);
    const steps = sources.map((s) => dims.slice(of(s.index) + 1, of(s.index + 1)));
    return { ...mergeAxes(dims.slice(1, 1 + ndim), steps), offsets };
  }
  const { shape } = outputs[0] as Operand;
  const size = sizeOf(shape);
  const shapes = sources.map((s) => (inputs[s.index] as Operand).shape);
  if (shapes.every((s) => sizeOf(s) === size || sizeOf(s) === 1)) return null;
  return { ...planBroadcast(shape, shapes), offsets: sources.map(() => 0) };
}

/** Walks of broadcast shapes: the last is remembered, for the next call mostly asks for the same. */
export class Walks {
  #shapes: readonly (readonly number[])[] = [];
  #walk: Walk | null = null;

  /** As `walkOf`, of operands that lie in order. */
  of(
    sources: readonly { readonly index: number }[],
    inputs: readonly Operand[],
    outputs: readonly Operand[],
  ): Walk | null {
    const operands = [outputs[0] as Operand, ...inputs];
    if (!operands.every(({ shape }, k) => sameShape(shape, this.#shapes[k] ?? []))) {
      this.#walk = walkOf(sources, inputs, outputs, []);
      this.#shapes = operands.map(({ shape }) => shape);
    }
    return this.#walk;
  }
}

/** Whether a source goes across its memory along the last axis. */
export function isScattered(strides: readonly (readonly number[])[]): boolean {
  return strides.some((steps) => Math.abs(steps[steps.length - 1] as number) > 1);
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
