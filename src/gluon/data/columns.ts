// A dataset's columns: typed arrays, arrays on a device, lists, other datasets. Each gives one sample, a range, or the rows of a batch.
import { bodyOf, NDArray } from '../../array/ndarray.ts';
import { type Context, cpu } from '../../core/context.ts';
import { type DType, HOLDERS, type TypedArray } from '../../core/dtype.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { describe, shapeText, sizeOf } from '../../core/shape.ts';
import { fromHost, type HostArray, toHost } from '../../nd/image/host.ts';
import { readNow } from '../../nd/reading.ts';
import { take } from '../../ops/indexing.ts';
import { arrayFromBytes } from '../../ops/invoke.ts';
import { sliceAxis } from '../../ops/slices.ts';
import { reshape } from '../../ops/views.ts';
import { collate, type Field, type NumberTypes, typedValues } from './batch.ts';

export interface Column {
  readonly length: number;
  at(index: number): unknown;
  slice(begin: number, end: number): unknown;
  /** The rows of a batch; undefined where each must be asked for. */
  take(indices: readonly number[]): Field | undefined;
}

/** An index counted from the front; negative ones count from the back. */
export function checkIndex(index: number, length: number, op: string): number {
  if (!Number.isInteger(index) || index < -length || index >= length)
    throw new ShapeError(
      length === 0
        ? `expected no index, for there are no samples, received ${describe(index)}. The dataset is empty.`
        : `expected an index from ${-length} to ${length - 1}, received ${describe(index)}. There are ${length} samples.`,
      { op },
    );
  return index < 0 ? index + length : index;
}

/** A range as in Array's slice. */
export function checkRange(
  begin: number | undefined,
  end: number | undefined,
  length: number,
  op: string,
): readonly [number, number] {
  const bound = (v: number | undefined, without: number): number => {
    if (v === undefined) return without;
    if (!Number.isInteger(v))
      throw new ArgumentError(
        `expected whole numbers as bounds, received ${describe(v)}. Write slice(0, 10).`,
        {
          op,
        },
      );
    return Math.max(0, Math.min(length, v < 0 ? v + length : v));
  };
  const from = bound(begin, 0);
  return [from, Math.max(from, bound(end, length))];
}

/** Rows in host memory. Rows of no axes are plain numbers, others arrays on cpu(0). */
export class HostColumn implements Column {
  readonly length: number;
  readonly #values: TypedArray;
  readonly #dtype: DType;
  readonly #row: readonly number[];
  readonly #size: number;
  readonly #op: string;

  constructor(values: TypedArray, dtype: DType, length: number, row: readonly number[], op: string) {
    this.length = length;
    this.#values = values;
    this.#dtype = dtype;
    this.#row = row;
    this.#size = sizeOf(row);
    this.#op = op;
  }

  at(index: number): NDArray | number | boolean {
    if (this.#row.length === 0) {
      const value = this.#values[index] as number;
      return this.#dtype === 'bool' ? value !== 0 : value;
    }
    return fromHost(this.#range(index, index + 1, this.#row), cpu(0), this.#op);
  }

  slice(begin: number, end: number): NDArray | TypedArray {
    if (this.#row.length === 0) return this.#values.slice(begin, end);
    return fromHost(this.#range(begin, end, [end - begin, ...this.#row]), cpu(0), this.#op);
  }

  #range(begin: number, end: number, shape: readonly number[]): HostArray {
    return {
      values: this.#values.subarray(begin * this.#size, end * this.#size),
      dtype: this.#dtype,
      shape,
    };
  }

  take(indices: readonly number[]): HostArray {
    const size = this.#size;
    const values = new HOLDERS[this.#dtype](indices.length * size);
    const source = this.#values;
    indices.forEach((index, i) => {
      values.set(source.subarray(index * size, (index + 1) * size), i * size);
    });
    return { values, dtype: this.#dtype, shape: [indices.length, ...this.#row] };
  }
}

/** The rows of an array, where it lives: read anew at every use. */
class ArrayColumn implements Column {
  readonly length: number;
  readonly #x: NDArray;
  readonly #op: string;

  constructor(x: NDArray, op: string) {
    this.length = x.shape[0];
    this.#x = x;
    this.#op = op;
  }

  at(index: number): unknown {
    const row = sliceAxis(this.#x, { axis: 0, begin: index, end: index + 1 });
    try {
      if (this.#x.ndim > 1) return reshape(row, this.#x.shape.slice(1));
      // a number of a vector: at once where the device need not be waited for
      const now = readNow(row, this.#op);
      return now === undefined ? row.asscalar() : now[0];
    } finally {
      row.dispose();
    }
  }

  slice(begin: number, end: number): NDArray {
    return sliceAxis(this.#x, { axis: 0, begin, end });
  }

  take(indices: readonly number[]): Field {
    const { device } = bodyOf(this.#x, this.#op);
    const rows = takeRows(this.#x, indices, this.#op);
    if (device.kind === 'gpu') return { array: rows, remake: () => takeRows(this.#x, indices, this.#op) };
    try {
      return toHost(rows, this.#op);
    } finally {
      rows.dispose();
    }
  }
}

/** Rows of an array by index, on its device. */
function takeRows(x: NDArray, indices: readonly number[], op: string): NDArray {
  const context: Context = x.context;
  const order = arrayFromBytes(context, 'int32', [indices.length], Int32Array.from(indices), op);
  try {
    return take(x, order);
  } finally {
    order.dispose();
  }
}

/** A list of whatever samples are. */
class ListColumn implements Column {
  readonly #list: readonly unknown[];
  readonly #types: NumberTypes = new Map();
  readonly #op: string;

  constructor(list: readonly unknown[], op: string) {
    this.#list = list;
    this.#op = op;
    // one look at all of them, so that a batch of whole numbers among fractions is float32 too
    if (list.some((v) => typeof v === 'number' && !Number.isInteger(v))) this.#types.set(0, 'float32');
  }

  get length(): number {
    return this.#list.length;
  }

  at(index: number): unknown {
    return this.#list[index];
  }

  slice(begin: number, end: number): unknown[] {
    return this.#list.slice(begin, end);
  }

  take(indices: readonly number[]): Field | undefined {
    const rows = indices.map((i) => this.#list[i]);
    const simple = (v: unknown): boolean =>
      typeof v === 'number' ||
      typeof v === 'boolean' ||
      typeof v === 'bigint' ||
      ArrayBuffer.isView(v) ||
      (Array.isArray(v) && v.length > 0 && v.every(simple));
    if (!rows.every(simple)) return undefined;
    // a list as a sample is a row of numbers here, no tuple
    return collate(
      rows.map((row) => [row]),
      this.#types,
      this.#op,
    ).fields[0];
  }
}

/** Anything else with a length and `at`. */
class ForeignColumn implements Column {
  readonly #source: Indexed;

  constructor(source: Indexed) {
    this.#source = source;
  }

  get length(): number {
    return this.#source.length;
  }

  at(index: number): unknown {
    return this.#source.at(index);
  }

  slice(begin: number, end: number): unknown {
    const rows = Array.from({ length: end - begin }, (_, i) => this.#source.at(begin + i));
    return rows.some((r) => r instanceof Promise) ? Promise.all(rows) : rows;
  }

  take(): undefined {
    return undefined;
  }
}

/** What samples can be taken from by number. */
export interface Indexed {
  readonly length: number;
  at(index: number): unknown;
}

export function isIndexed(value: unknown): value is Indexed {
  return (
    typeof value === 'object' &&
    value !== null &&
    'length' in value &&
    typeof value.length === 'number' &&
    'at' in value &&
    typeof value.at === 'function'
  );
}

/** A column from what users pass. */
export function columnOf(source: unknown, op: string): Column {
  if (source instanceof NDArray) {
    bodyOf(source, op);
    if (source.ndim === 0)
      throw new ShapeError(
        `expected arrays with at least one axis, received shape ${shapeText(source.shape)}. Samples lie along the first axis.`,
        { op },
      );
    if (source.ndim === 1) {
      // as Gluon does: the values as they are now
      const now = readNow(source, op);
      if (now !== undefined) return new HostColumn(now, source.dtype, now.length, [], op);
    }
    return new ArrayColumn(source, op);
  }
  if (ArrayBuffer.isView(source)) {
    const { values, dtype } = typedValues(source, op);
    return new HostColumn(values, dtype, values.length, [], op);
  }
  if (Array.isArray(source)) return new ListColumn(source, op);
  if (isIndexed(source)) return new ForeignColumn(source);
  throw new ArgumentError(
    `expected an NDArray, a typed array, a list or a dataset, received ${describe(source)}. ${source instanceof Promise ? 'It is a Promise: await it first.' : 'Samples are taken by number: give it length and at(i).'}`,
    { op },
  );
}
