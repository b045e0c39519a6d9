// How samples become a batch. Values are gathered in host memory, field by field, and put on a device once, as one array each.
import { NDArray } from '../../array/ndarray.ts';
import { type DType, dtypeOfTypedArray, HOLDERS, type TypedArray } from '../../core/dtype.ts';
import { ArgumentError, DTypeError, ShapeError } from '../../core/errors.ts';
import { describe, sameShape, shapeText, sizeOf } from '../../core/shape.ts';
import type { HostArray } from '../../nd/image/host.ts';
import { flattenNested } from '../../nd/make.ts';
import { stack } from '../../ops/joins.ts';
import type { Place } from './chance.ts';

/** A field that is on a device already, being made from arrays on a GPU. */
export interface DeviceField {
  readonly array: NDArray;
  /** Makes the same values again, where that can be done. */
  readonly remake?: (() => NDArray) | undefined;
}

/** One field of a batch. */
export type Field = HostArray | DeviceField;

/** A batch before it is on its device. */
export interface Fields {
  /** Whether samples are tuples; else there is one field. */
  readonly tuple: boolean;
  readonly fields: readonly Field[];
}

/** The batch of a dataset whose samples need not be made one by one; on every dataset of the library, undefined where it cannot. */
export const BATCH: unique symbol = Symbol('webgluon.batch');

/** What can give whole batches; `places` are those of the samples in the epoch. */
export interface BatchSource {
  [BATCH](indices: readonly number[], places: readonly Place[]): Fields | undefined;
}

/** On transforms: gives their host form; undefined where they have none for what they hold (a Compose with a function of the user's in it). */
export const HOST: unique symbol = Symbol('webgluon.host');

/** What `forward` does, for pictures (N, …) or one alone in host memory, into new memory. Picture n draws as the sample at place n does. */
export type HostForm = (x: HostArray, places: readonly Place[]) => HostArray;

/** A transform with a host form. */
export interface HostTransform {
  [HOST](): HostForm | undefined;
}

export function isHost(value: unknown): value is HostArray {
  return (
    typeof value === 'object' && value !== null && 'values' in value && 'dtype' in value && 'shape' in value
  );
}

/** Gives back what was made for a batch that is not used. */
export function drop(fields: readonly Field[]): void {
  for (const field of fields) if ('array' in field) field.array.dispose();
}

/**
 * Dtypes that plain numbers got, by field: whole ones are int32, others float32, and once a field has had a fraction it stays float32. Booleans are bool.
 */
export type NumberTypes = Map<number, DType>;

function numberType(values: readonly number[], field: number, types: NumberTypes): DType {
  const whole = (v: number): boolean => Number.isInteger(v) && v >= -(2 ** 31) && v < 2 ** 31;
  const dtype = types.get(field) === 'float32' || !values.every(whole) ? 'float32' : 'int32';
  types.set(field, dtype);
  return dtype;
}

/** A typed array of any kind as values of a dtype: 16- and 64-bit integers become int32. */
export function typedValues(
  data: ArrayBufferView,
  op: string,
): { readonly values: TypedArray; readonly dtype: DType } {
  const dtype = dtypeOfTypedArray(data);
  if (dtype !== undefined) return { values: data as TypedArray, dtype };
  if (data instanceof Int16Array || data instanceof Uint16Array)
    return { values: Int32Array.from(data), dtype: 'int32' };
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return { values: Int32Array.from(data, Number), dtype: 'int32' };
  throw new DTypeError(
    `expected a typed array of numbers, received ${describe(data)}. Convert it to a Float32Array or Int32Array.`,
    { op },
  );
}

function asHost(value: unknown, op: string, place: number): HostArray | undefined {
  if (isHost(value)) return value;
  if (ArrayBuffer.isView(value)) {
    const typed = typedValues(value, op);
    return { ...typed, shape: [typed.values.length] };
  }
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const { values, shape } = flattenNested(value, op, `sample ${place}`);
  return { values: Float32Array.from(values), dtype: 'float32', shape };
}

function collateField(column: readonly unknown[], field: number, types: NumberTypes, op: string): Field {
  const first = column[0];
  if (column.every((v) => typeof v === 'number')) {
    const dtype = numberType(column as readonly number[], field, types);
    return { values: HOLDERS[dtype].from(column as readonly number[]), dtype, shape: [column.length] };
  }
  if (column.every((v) => typeof v === 'bigint'))
    return { values: Int32Array.from(column, Number), dtype: 'int32', shape: [column.length] };
  if (column.every((v) => typeof v === 'boolean'))
    return { values: Uint8Array.from(column, Number), dtype: 'bool', shape: [column.length] };
  if (column.every((v) => v instanceof NDArray))
    return { array: stack(column as readonly NDArray[], { axis: 0 }) };
  const hosts = column.map((v, i) => {
    const host = asHost(v, op, i);
    if (host !== undefined) return host;
    const both = typeof v === typeof first ? '' : `, where sample 0 has ${describe(first)}`;
    throw new ArgumentError(
      `expected samples of arrays, numbers, typed arrays or tuples of these, received ${describe(v)} in sample ${i} of a batch${both}. ` +
        (v === undefined ? 'Let at(i) return the sample.' : 'Convert it in transform, or pass batchifyFn.'),
      { op },
    );
  });
  const { dtype, shape } = hosts[0] as HostArray;
  const size = sizeOf(shape);
  const values = new HOLDERS[dtype](size * hosts.length);
  hosts.forEach((host, i) => {
    if (!sameShape(host.shape, shape) || host.dtype !== dtype)
      throw new ShapeError(
        `expected samples of one shape and dtype, ${shapeText(shape)} ${dtype} as in sample 0 of the batch, received ${shapeText(host.shape)} ${host.dtype} in sample ${i}. ` +
          'Resize, crop or pad them in transform, or pass batchifyFn.',
        { op },
      );
    values.set(host.values, i * size);
  });
  return { values, dtype, shape: [hosts.length, ...shape] };
}

/**
 * Samples as fields, one array each: arrays are stacked; numbers, whole ones as int32, become one axis; a tuple's members are fields of their own. Lists of
 * numbers within a tuple are rows of float32.
 */
export function collate(samples: readonly unknown[], types: NumberTypes, op: string): Fields {
  const first = samples[0];
  if (!Array.isArray(first)) return { tuple: false, fields: [collateField(samples, 0, types, op)] };
  const fields = first.map((_, k) =>
    collateField(
      samples.map((sample, i) => {
        if (!Array.isArray(sample) || sample.length !== first.length)
          throw new ArgumentError(
            `expected tuples of ${first.length}, received ${describe(sample)} as sample ${i} of a batch. Return the same fields for every sample.`,
            { op },
          );
        return sample[k] as unknown;
      }),
      k,
      types,
      op,
    ),
  );
  return { tuple: true, fields };
}
