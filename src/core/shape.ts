// Shapes and index arithmetic as pure functions: what broadcasts, which axis is meant, what MXNet's reshape codes say.
import { ShapeError } from './errors.ts';

/** An array's extents. Indexing with a literal below 8 is typed as a number, so that `x.shape[0]` needs no check. */
export type Shape = readonly number[] & { readonly [K in 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7]: number };

/** The most axes an array can have. */
export const MAX_NDIM = 8;

/** Types a list of extents as a `Shape`; checks nothing. */
export function asShape(dims: readonly number[]): Shape {
  return dims as Shape;
}

/** The number of elements. */
export function sizeOf(shape: readonly number[]): number {
  return sizeWithin(shape, 0);
}

/** The number of elements along the axes from `begin` to `end` (not included), to the last by default. */
export function sizeWithin(shape: readonly number[], begin: number, end: number = shape.length): number {
  let size = 1;
  for (let i = begin; i < end; i++) size *= shape[i] as number;
  return size;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A shape as Python prints a tuple: `(2, 3)`, `(2,)`, `()`. */
export function shapeText(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
}

/** Row-major strides in elements. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = step;
    step *= shape[i] as number;
  }
  return strides;
}

/** A number or a list of extents as a shape; throws for anything else. */
export function toShape(value: number | readonly number[], op: string): Shape {
  const dims = typeof value === 'number' ? [value] : value;
  if (!Array.isArray(dims))
    throw new ShapeError(
      `expected a shape (a number or an array of numbers), received ${describe(value)}. Pass [2, 3], say.`,
      { op },
    );
  if (dims.length > MAX_NDIM)
    throw new ShapeError(
      `expected at most ${MAX_NDIM} axes, received ${dims.length} in ${shapeText(dims)}. Fold some axes together.`,
      { op },
    );
  let size = 1;
  for (const d of dims) {
    if (!Number.isInteger(d) || d < 0)
      throw new ShapeError(
        `expected extents that are integers ≥ 0, received ${shapeText(dims)}. Check the shape.`,
        { op },
      );
    size *= d;
  }
  if (size > Number.MAX_SAFE_INTEGER)
    throw new ShapeError(`expected fewer than 2^53 elements, received ${shapeText(dims)}. Check the shape.`, {
      op,
    });
  return asShape(dims.slice());
}

/** A value in a few words, for messages. */
export function describe(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value))
    return value.length <= 8 && value.every((v) => typeof v === 'number')
      ? shapeText(value)
      : `an array of length ${value.length}`;
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'function') return `a function${value.name === '' ? '' : ` ${value.name}`}`;
  if (typeof value === 'object') return `a ${value.constructor?.name ?? 'object'}`;
  return String(value);
}

/** An axis counted from the front; negative ones count from the back. */
export function normalizeAxis(axis: number, ndim: number, op: string): number {
  if (!Number.isInteger(axis) || axis < -ndim || axis >= ndim)
    throw new ShapeError(
      ndim === 0
        ? `expected no axis, for the array has none, received axis ${axis}. Leave the axis out.`
        : `expected an axis from ${-ndim} to ${ndim - 1}, received ${describe(axis)}. The array has ${ndim} axes.`,
      { op },
    );
  return axis < 0 ? axis + ndim : axis;
}

/** Axes counted from the front, sorted, each once; `undefined` or null means all. */
export function normalizeAxes(
  axis: number | readonly number[] | null | undefined,
  ndim: number,
  op: string,
  exclude = false,
): number[] {
  const all: number[] = [];
  for (let i = 0; i < ndim; i++) all.push(i);
  if (axis === undefined || axis === null || (typeof axis !== 'number' && axis.length === 0))
    return exclude ? [] : all;
  if (typeof axis === 'number' && !exclude) return [normalizeAxis(axis, ndim, op)];
  if (typeof axis !== 'number' && !Array.isArray(axis))
    throw new ShapeError(
      `expected an axis or a list of axes, received ${describe(axis)}. Pass 0 or [0, 1], say.`,
      {
        op,
      },
    );
  const given = (typeof axis === 'number' ? [axis] : [...axis]).map((a) => normalizeAxis(a, ndim, op));
  const set = new Set(given);
  if (set.size !== given.length)
    throw new ShapeError(`expected each axis once, received ${describe(axis)}. Remove the repeated axis.`, {
      op,
    });
  return all.filter((i) => set.has(i) !== exclude);
}

/** The shape two operands broadcast to, by NumPy's rule. */
export function broadcastShapes(a: readonly number[], b: readonly number[], op: string): Shape {
  if (sameShape(a, b)) return asShape(a);
  const ndim = Math.max(a.length, b.length);
  const out = new Array<number>(ndim);
  for (let i = 1; i <= ndim; i++) {
    const x = i <= a.length ? (a[a.length - i] as number) : 1;
    const y = i <= b.length ? (b[b.length - i] as number) : 1;
    if (x !== y && x !== 1 && y !== 1)
      throw new ShapeError(
        `expected shapes that broadcast (equal extents, or 1, from the right), received ${shapeText(a)} and ${shapeText(b)}. ` +
          `Axis ${-i} has ${x} and ${y}: reshape or expandDims one of them.`,
        { op },
      );
    out[ndim - i] = x === 1 ? y : x;
  }
  return asShape(out);
}

/**
 * The shape that MXNet's reshape means: 0 keeps an extent, −1 is inferred, −2 takes all that remain, −3 merges two, −4 splits one
 * into the two numbers that follow (one of them may be −1).
 */
export function resolveReshape(from: readonly number[], to: readonly number[], op = 'reshape'): Shape {
  const out: number[] = [];
  const left = [...from];
  let inferred = -1;
  const size = sizeOf(from);
  const bad = (why: string): never => {
    throw new ShapeError(
      `expected a shape for ${size} elements, received ${shapeText(to)} for an array of shape ${shapeText(from)}. ${why}`,
      { op },
    );
  };
  const takeExtent = (): number => left.shift() ?? bad('A code refers past the last axis.');
  for (let i = 0; i < to.length; i++) {
    const code = to[i] as number;
    if (!Number.isInteger(code) || code < -4)
      bad('Extents are integers ≥ 0 or one of the codes 0 −1 −2 −3 −4.');
    if (code > 0) {
      out.push(code);
      left.shift();
    } else if (code === 0) {
      // an array without elements may be asked for as such: 0 keeps an extent where there is one
      out.push(left.length === 0 && size === 0 ? 0 : takeExtent());
    } else if (code === -1) {
      if (inferred >= 0) bad('Only one −1 may stand in it.');
      inferred = out.length;
      out.push(1);
      left.shift();
    } else if (code === -2) {
      out.push(...left.splice(0));
    } else if (code === -3) {
      out.push(takeExtent() * takeExtent());
    } else {
      const whole = takeExtent();
      const [first, second] = [to[++i], to[++i]];
      if (first === undefined || second === undefined)
        return bad('−4 is followed by the two extents of the split.');
      if (first === -1 && second === -1) bad('Only one part of a −4 split may be −1.');
      const parts = [first === -1 ? whole / second : first, second === -1 ? whole / first : second] as const;
      if (parts[0] * parts[1] !== whole || !parts.every(Number.isInteger) || parts[0] < 0)
        bad(`−4 cannot split ${whole} so.`);
      out.push(...parts);
    }
  }
  if (inferred >= 0) {
    const known = sizeOf(out);
    const rest = known === 0 ? 0 : size / known;
    if (!Number.isInteger(rest)) bad(`${size} is not divisible by ${known}.`);
    out[inferred] = rest;
  }
  if (sizeOf(out) !== size) bad(`It holds ${sizeOf(out)}.`);
  if (out.length > MAX_NDIM) bad(`At most ${MAX_NDIM} axes.`);
  return asShape(out);
}
