// `nd.array`: arrays from what users have: nested arrays, numbers, typed arrays, other arrays.
import { NDArray } from '../array/ndarray.ts';
import type { Context } from '../core/context.ts';
import { checkContext } from '../core/context.ts';
import { checkDType, type DType, STORED, toHalf } from '../core/dtype.ts';
import { ArgumentError, ShapeError } from '../core/errors.ts';
import { describe, shapeText, sizeOf, toShape } from '../core/shape.ts';
import { checkOptions } from '../ops/args.ts';
import type { ArrayOptions, ShapeLike } from '../ops/creation.ts';
import { arrayFromBytes } from '../ops/invoke.ts';
import { astype, copy } from '../ops/moves.ts';
import { reshape } from '../ops/views.ts';
import type { Nested } from './reading.ts';
import { asInContext } from './transfer.ts';

/** What an array can be made from. */
export type ArraySource = Nested | ArrayBufferView | NDArray;

/** Values of a dtype as the bytes a device stores: floats are truncated towards zero to integers, which wrap; bool is 0 or 1. */
export function encode(values: ArrayLike<number>, dtype: DType): ArrayBufferView {
  if (dtype === 'float16') return Uint16Array.from(values, toHalf);
  if (dtype === 'bool') return Uint8Array.from(values, (v) => (v === 0 ? 0 : 1));
  return new STORED[dtype](values);
}

function isList(value: unknown): value is ArrayLike<unknown> {
  return Array.isArray(value) || ArrayBuffer.isView(value);
}

/** Nested values in row-major order, with their shape; throws, saying where, for ragged lists and values that are no numbers. */
export function flattenNested(
  source: readonly unknown[],
  op: string,
  where = '',
): { readonly values: number[]; readonly shape: readonly number[] } {
  const shape: number[] = [];
  for (let at: unknown = source; isList(at); at = at[0]) shape.push(at.length);
  const values: number[] = [];
  const walk = (value: unknown, axis: number, path: string): void => {
    if (axis === shape.length) {
      if (typeof value === 'number') values.push(value);
      else if (typeof value === 'boolean') values.push(value ? 1 : 0);
      else if (typeof value === 'bigint') values.push(Number(value));
      else if (Array.isArray(value))
        throw new ShapeError(
          `expected lists of one depth, received a list at ${path} where others have a number. Make all rows alike.`,
          { op },
        );
      else
        throw new ArgumentError(
          `expected numbers, received ${describe(value)} at ${path}. ${value instanceof NDArray ? 'Join arrays with nd.stack(…).' : 'Convert it to a number first.'}`,
          { op },
        );
      return;
    }
    const extent = shape[axis] as number;
    if (!isList(value) || value.length !== extent)
      throw new ShapeError(
        `expected rows of one length (${extent} along axis ${axis}), received ${Array.isArray(value) ? value.length : describe(value)} at ${path}. Pad the shorter rows.`,
        { op },
      );
    for (let i = 0; i < extent; i++) walk(value[i], axis + 1, `${path}[${i}]`);
  };
  walk(source, 0, where);
  return { values, shape };
}

/** Options of `nd.array`. */
export interface FromOptions extends ArrayOptions {
  /** Folds the values; by default as they are nested, one axis for a typed array. */
  readonly shape?: ShapeLike | undefined;
}

/**
 * An array from nested arrays, a number (shape `[1]`), a typed array of any kind (flat; `shape` folds it) or another array (copied).
 * float32 unless `dtype` says otherwise; another array's dtype is kept.
 *
 * @throws ShapeError for ragged rows or a shape of another size; ContextError for a copy from a GPU to the CPU
 * @example
 * nd.array([[1, 2, 3], [5, 6, 7]]);
 * nd.array(new Uint8Array(784), { shape: [28, 28], dtype: 'uint8' });
 */
export function array(source: ArraySource, options?: FromOptions): NDArray {
  checkOptions('array', options, ['ctx', 'dtype', 'shape']);
  const context: Context =
    source instanceof NDArray && options?.ctx === undefined
      ? source.context
      : checkContext(options?.ctx, 'array');
  if (source instanceof NDArray) return fromArray(source, context, options);
  const dtype = checkDType(options?.dtype ?? 'float32', 'array');
  let values: ArrayLike<number>;
  let own: readonly number[];
  if (typeof source === 'number' || typeof source === 'boolean' || typeof source === 'bigint') {
    values = [Number(source)];
    own = [1];
  } else if (ArrayBuffer.isView(source)) {
    if (source instanceof DataView)
      throw new ArgumentError(
        'expected a typed array, received a DataView. Wrap its buffer: new Float32Array(view.buffer).',
        { op: 'array' },
      );
    const list = source as unknown as ArrayLike<number | bigint>;
    values = typeof list[0] === 'bigint' ? Array.from(list, Number) : (list as ArrayLike<number>);
    own = [list.length];
  } else if (Array.isArray(source)) {
    ({ values, shape: own } = flattenNested(source, 'array'));
    toShape(own, 'array');
  } else {
    throw new ArgumentError(
      `expected nested arrays, a number, a typed array or an NDArray, received ${describe(source)}. ${(source as unknown) instanceof Promise ? 'It is a Promise: await it first.' : 'Convert it first.'}`,
      { op: 'array' },
    );
  }
  const shape = options?.shape === undefined ? own : toShape(options.shape, 'array');
  if (sizeOf(shape) !== values.length)
    throw new ShapeError(
      `expected ${sizeOf(shape)} values for shape ${shapeText(shape)}, received ${values.length}. Check the shape.`,
      { op: 'array' },
    );
  return arrayFromBytes(context, dtype, shape, encode(values, dtype), 'array');
}

function fromArray(source: NDArray, context: Context, options: FromOptions | undefined): NDArray {
  let result = source.context === context ? copy(source) : asInContext(source, context);
  const step = (next: NDArray): void => {
    result.dispose();
    result = next;
  };
  if (options?.dtype !== undefined && options.dtype !== source.dtype) step(astype(result, options.dtype));
  if (options?.shape !== undefined) step(reshape(result, toShape(options.shape, 'array')));
  return result;
}
