// Options of parameters, and checks of what users give for them.
import type { GradReq } from '../autograd/mode.ts';
import type { DType } from '../core/dtype.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, describe, type Shape } from '../core/shape.ts';
import type { Contexts } from './hostArray.ts';
import type { InitializerLike } from './initByName.ts';

/** Options of a parameter. */
export interface ParameterOptions {
  /** Extents; 0 for one that the first batch will tell. */
  readonly shape?: number | readonly number[] | undefined;
  /** float32 by default. */
  readonly dtype?: DType | undefined;
  /** Wins over the initializer given to `initialize`. */
  readonly init?: InitializerLike | null | undefined;
  /** 'write' by default. */
  readonly gradReq?: GradReq | undefined;
  /** Multiplies the Trainer's learning rate; 1 by default. */
  readonly lrMult?: number | undefined;
  /** Multiplies the Trainer's weight decay; 1 by default. */
  readonly wdMult?: number | undefined;
  /** False for state that has no gradient, such as running statistics. */
  readonly differentiable?: boolean | undefined;
  /** Accepted for Gluon's sake: a shape may always wait. */
  readonly allowDeferredInit?: boolean | undefined;
}

/** Options of `Parameter.initialize`. */
export interface ParameterInitOptions {
  readonly init?: InitializerLike | null | undefined;
  /** Where the values live; the current context by default. */
  readonly ctx?: Contexts | undefined;
  /** Used where neither `init` nor the parameter's own initializer is given; Uniform(0.07). */
  readonly defaultInit?: InitializerLike | undefined;
  /** Draws anew what is initialized already. */
  readonly forceReinit?: boolean | undefined;
}

/** Names of the options. */
export const PARAMETER_OPTIONS = [
  'shape',
  'dtype',
  'init',
  'gradReq',
  'lrMult',
  'wdMult',
  'differentiable',
  'allowDeferredInit',
] as const;

export const GRAD_REQS: readonly GradReq[] = ['write', 'add', 'null'];

/** A shape as users write it, 0 or −1 for what is not known. */
export function extents(value: number | readonly number[], op: string): Shape {
  const dims = typeof value === 'number' ? [value] : value;
  if (!Array.isArray(dims) || dims.some((d) => !Number.isInteger(d) || d < -1))
    throw new ShapeError(
      `expected extents that are integers ≥ 0 (0: not known yet), received ${describe(value)}. Check the shape.`,
      { op },
    );
  return asShape(dims.map((d: number) => (d === -1 ? 0 : d)));
}

/** Whether two shapes can be of one parameter: extents that both know are the same. */
export function agree(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((d, i) => d === 0 || b[i] === 0 || d === b[i]);
}

/** Says that `initialize` left parameters as they were. */
export function warnOfValues(names: string): void {
  console.warn(
    `[initialize] ${names}: initialized already, and left as found. Pass { forceReinit: true } to draw new values.`,
  );
}

/** Whether a shape has no unknown extent. */
export function isKnown(shape: Shape | null): shape is Shape {
  return shape !== null && !shape.includes(0);
}
