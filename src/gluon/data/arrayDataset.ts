// Datasets of columns: arrays, typed arrays and lists side by side. Sample i is row i of each.
import type { NDArray } from '../../array/ndarray.ts';
import type { TypedArray } from '../../core/dtype.ts';
import { ArgumentError } from '../../core/errors.ts';
import { BATCH, drop, type Field, type Fields } from './batch.ts';
import type { Place } from './chance.ts';
import { type Column, checkIndex, checkRange, columnOf } from './columns.ts';
import { Dataset, isThenable, SLICES_BATCHES } from './dataset.ts';

/** Samples from columns of one length. */
export class ColumnDataset<T, S> extends Dataset<T, S> {
  readonly #columns: readonly Column[];
  readonly #op: string;

  constructor(columns: readonly Column[], op: string) {
    super();
    this.#columns = columns;
    this.#op = op;
  }

  get length(): number {
    return this.#columns[0]?.length ?? 0;
  }

  at(index: number): T {
    const i = checkIndex(index, this.length, `${this.#op}.at`);
    return this.#together(this.#columns.map((c) => c.at(i))) as T;
  }

  override slice(begin?: number, end?: number): S {
    const [from, to] = checkRange(begin, end, this.length, `${this.#op}.slice`);
    return this.#together(this.#columns.map((c) => c.slice(from, to))) as S;
  }

  #together(members: readonly unknown[]): unknown {
    if (members.length === 1) return members[0];
    return members.some(isThenable) ? Promise.all(members) : members;
  }

  override get [SLICES_BATCHES](): boolean {
    return this.slice === ColumnDataset.prototype.slice;
  }

  override [BATCH](indices: readonly number[], _places: readonly Place[]): Fields | undefined {
    // a class of the user's with samples of its own
    if (this.at !== ColumnDataset.prototype.at) return undefined;
    const { length } = this;
    const rows = indices.map((i) => checkIndex(i, length, `${this.#op}.at`));
    const fields: Field[] = [];
    for (const column of this.#columns) {
      const field = column.take(rows);
      if (field === undefined) {
        drop(fields);
        return undefined;
      }
      fields.push(field);
    }
    return { tuple: fields.length > 1, fields };
  }
}

/** What `ArrayDataset` takes for one member of its samples. */
export type ArrayColumn =
  | NDArray
  | TypedArray
  | BigInt64Array
  | BigUint64Array
  | readonly unknown[]
  | Dataset<unknown>;

/** The sample of a column. An array's rows are arrays; those of an array of one axis are numbers, for which name the types yourself. */
export type SampleOf<C> = C extends NDArray
  ? NDArray
  : C extends ArrayBufferView
    ? number
    : C extends readonly (infer T)[]
      ? T
      : C extends Dataset<infer T>
        ? T
        : unknown;

type SamplesOf<C extends readonly unknown[]> = C extends readonly [infer Only]
  ? SampleOf<Only>
  : { -readonly [K in keyof C]: SampleOf<C[K]> };

type SliceOf<C> = C extends NDArray
  ? NDArray
  : C extends TypedArray
    ? C
    : C extends readonly (infer T)[]
      ? T[]
      : unknown;

type SlicesOf<C extends readonly unknown[]> = C extends readonly [infer Only]
  ? SliceOf<Only>
  : { -readonly [K in keyof C]: SliceOf<C[K]> };

/**
 * Samples from arrays, typed arrays, lists or datasets of one length: tuples, or with one argument its rows. Typed arrays, arrays of one axis and lists of numbers
 * give numbers, others rows. Nothing is copied.
 *
 * @throws ArgumentError where lengths differ
 * @example
 * const train = new gluon.data.ArrayDataset(nd.random.uniform(0, 1, [1000, 20]), new Int32Array(1000));
 */
export class ArrayDataset<
  const C extends readonly ArrayColumn[],
  T = SamplesOf<C>,
  S = SlicesOf<C>,
> extends ColumnDataset<T, S> {
  constructor(...columns: C) {
    const op = 'ArrayDataset';
    if (columns.length === 0)
      throw new ArgumentError('expected at least one array, received none. Write new ArrayDataset(x, y).', {
        op,
      });
    const all = columns.map((c) => columnOf(c, op));
    const { length } = all[0] as Column;
    all.forEach((column, i) => {
      if (column.length !== length)
        throw new ArgumentError(
          `expected arrays of one length, ${length} as the first, received ${column.length} as number ${i + 1}. Samples lie along the first axis.`,
          { op },
        );
    });
    super(all, op);
  }
}
