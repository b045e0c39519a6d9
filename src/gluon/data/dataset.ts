// Datasets: samples by number, and datasets made from others: transformed, filtered, cut. Whole batches take a shorter way where nothing of the user's stands in it.
import { type NDArray, runInScope } from '../../array/ndarray.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import { booleanArg, integerArg, readArgs } from '../../ops/args.ts';
import { BATCH, type BatchSource, drop, type Fields, HOST, type HostTransform, isHost } from './batch.ts';
import type { Place } from './chance.ts';
import { checkIndex, checkRange, type Indexed } from './columns.ts';

/** What a function of a sample takes: the members of a tuple one by one, anything else as it is. */
export type SampleArgs<T> = T extends readonly unknown[] ? T : [T];

/** A sample whose first member became U. */
export type WithFirst<T, U> = T extends readonly [unknown, ...infer Rest] ? [U, ...Rest] : U;

/** An order in which samples are taken: a sampler, or a list of numbers. */
export interface IndexSequence extends Iterable<number> {
  readonly length: number;
}

/** Options of `transform` and `transformFirst`. */
export interface TransformOptions {
  /** True (default): at each use. False: all at once, kept in memory. */
  readonly lazy?: boolean | undefined;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Refuses a Promise, whose own failure is nobody's then. @param expected completes “expected …” */
export function checkAtOnce(value: unknown, expected: string, op: string): void {
  if (!isThenable(value)) return;
  value.then(undefined, () => undefined);
  throw new ArgumentError(`expected ${expected}`, { op });
}

/** Whether `slice` gives a batch, and not a list of samples. */
export const SLICES_BATCHES: unique symbol = Symbol('webgluon.slicesBatches');

/**
 * Samples by number. A dataset of your own has `length` and `at(i)`, which gives a sample or a Promise of it; a tuple's members become arrays of their own in a
 * batch.
 *
 * @example
 * class Squares extends gluon.data.Dataset<[NDArray, number]> {
 *   readonly length = 100;
 *   at(i: number): [NDArray, number] {
 *     return [nd.array([i]), i * i];
 *   }
 * }
 */
export abstract class Dataset<T, S = unknown> implements BatchSource {
  /** The number of samples. */
  abstract readonly length: number;

  /** Sample `index`, or a Promise of it. */
  abstract at(index: number): T | Promise<T>;

  /** Samples `begin` to `end` (not included; negative numbers count from the end): a list, or what the kind of dataset says. */
  slice(begin?: number, end?: number): S {
    const [from, to] = checkRange(begin, end, this.length, `${this.constructor.name}.slice`);
    const samples = range(from, to).map((i) => this.at(i));
    return (samples.some(isThenable) ? Promise.all(samples) : samples) as S;
  }

  /**
   * A dataset of `fn(sample)`; a tuple's members are passed one by one.
   * @example train.transform((x, y) => [x.astype('float32').div(255), y] as const)
   */
  transform<U>(
    fn: (...sample: SampleArgs<T>) => U | Promise<U>,
    options?: boolean | TransformOptions,
  ): Dataset<U> {
    return made(this, fn as AnyFunction, 'all', 'transform', options) as Dataset<U>;
  }

  /**
   * A dataset whose samples' first member (or the sample itself) went through `fn`: pictures change, labels stay.
   * @example train.transformFirst(new transforms.Compose([new transforms.ToTensor(), new transforms.Normalize(0.13, 0.31)]))
   */
  transformFirst<U>(
    fn: (first: SampleArgs<T>[0]) => U | Promise<U>,
    options?: boolean | TransformOptions,
  ): Dataset<WithFirst<T, U>, U extends NDArray ? S : unknown> {
    return made(this, fn as AnyFunction, 'first', 'transformFirst', options) as Dataset<
      WithFirst<T, U>,
      U extends NDArray ? S : unknown
    >;
  }

  /** The samples for which `fn(sample)` is true. Looks at all of them at once, so they must not be Promises. */
  filter(fn: (sample: T) => boolean): Dataset<T> {
    return new SampledDataset(this, matching(this, fn, 'filter'));
  }

  /** The first `count` samples; all of them without it. */
  take(count?: number | null): Dataset<T> {
    const values = readArgs('take', [count ?? undefined], ['count']);
    const wanted = integerArg('take', values, 'count', this.length, 0);
    return new SampledDataset(this, range(0, Math.min(wanted, this.length)));
  }

  /** Part `index` of `numShards`, for sharing samples out: contiguous parts whose lengths differ by at most one. */
  shard(numShards: number, index: number): Dataset<T> {
    const values = readArgs('shard', [numShards, index], ['numShards', 'index']);
    const parts = integerArg('shard', values, 'numShards', undefined, 1);
    const part = integerArg('shard', values, 'index', undefined, 0);
    if (part >= parts)
      throw new ArgumentError(
        `expected index below numShards (${parts}), received ${part}. Parts are counted from 0.`,
        { op: 'shard' },
      );
    const [each, rest] = [Math.floor(this.length / parts), this.length % parts];
    const start = each * part + Math.min(part, rest);
    return new SampledDataset(this, range(start, start + each + (part < rest ? 1 : 0)));
  }

  /** The samples in a sampler's order, which is drawn now. */
  sample(sampler: IndexSequence): Dataset<T> {
    if (typeof sampler?.[Symbol.iterator] !== 'function')
      throw new ArgumentError(
        `expected a sampler, received ${describe(sampler)}. Pass a list of numbers, say.`,
        {
          op: 'sample',
        },
      );
    return new SampledDataset(
      this,
      [...sampler].map((i) => checkIndex(i, this.length, 'sample')),
    );
  }

  /** Whether a slice comes as one batch. */
  get [SLICES_BATCHES](): boolean {
    return false;
  }

  /** A batch at once; a dataset of the user's own has none. */
  [BATCH](_indices: readonly number[], _places: readonly Place[]): Fields | undefined {
    return undefined;
  }
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

type AnyFunction = (...args: unknown[]) => unknown;

/** The numbers of the samples that `fn` chooses. What it makes is freed. */
export function matching<T>(
  dataset: { readonly length: number; at(index: number): T | Promise<T> },
  fn: (sample: T) => boolean,
  op: string,
): number[] {
  if (typeof fn !== 'function')
    throw new ArgumentError(
      `expected a function of a sample, received ${describe(fn)}. Write (sample) => true.`,
      {
        op,
      },
    );
  const found: number[] = [];
  for (let i = 0; i < dataset.length; i++)
    runInScope(
      () => op,
      true,
      () => {
        const sample = dataset.at(i);
        checkAtOnce(
          sample,
          `samples at once, received a Promise from at(${i}). Await the samples first and make a SimpleDataset of them.`,
          op,
        );
        if (fn(sample as T)) found.push(i);
      },
    );
  return found;
}

function made(
  dataset: Dataset<unknown>,
  fn: AnyFunction,
  what: 'all' | 'first',
  op: string,
  options: boolean | TransformOptions | undefined,
): Dataset<unknown> {
  if (typeof fn !== 'function')
    throw new ArgumentError(
      `expected a function or a transform, received ${describe(fn)}. ${Array.isArray(fn) ? 'Wrap the list in new transforms.Compose([…]).' : 'Write (x, y) => […].'}`,
      { op },
    );
  const lazy = booleanArg(op, readArgs(op, [options], ['lazy']), 'lazy', true);
  const transformed = new TransformedDataset(dataset, fn, what);
  if (lazy) return transformed;
  const samples = range(0, dataset.length).map((i) => {
    const sample = transformed.at(i);
    checkAtOnce(
      sample,
      'samples at once for lazy: false, received Promises. Leave lazy out, or await the samples first.',
      op,
    );
    return sample;
  });
  return new SimpleDataset(samples);
}

class TransformedDataset extends Dataset<unknown> {
  readonly #source: Dataset<unknown>;
  readonly #fn: AnyFunction;
  readonly #what: 'all' | 'first';

  constructor(source: Dataset<unknown>, fn: AnyFunction, what: 'all' | 'first') {
    super();
    this.#source = source;
    this.#fn = fn;
    this.#what = what;
  }

  get length(): number {
    return this.#source.length;
  }

  #apply(sample: unknown): unknown {
    if (!Array.isArray(sample)) return this.#fn(sample);
    if (this.#what === 'all') return this.#fn(...(sample as unknown[]));
    const [first, ...rest] = sample as unknown[];
    const changed = this.#fn(first);
    return isThenable(changed) ? changed.then((value) => [value, ...rest]) : [changed, ...rest];
  }

  at(index: number): unknown {
    const sample = this.#source.at(index);
    return isThenable(sample) ? sample.then((value) => this.#apply(value)) : this.#apply(sample);
  }

  /** As in Gluon: `fn` of the samples as one batch, where the dataset below gives one. */
  override slice(begin?: number, end?: number): unknown {
    return this.#source[SLICES_BATCHES]
      ? this.#apply(this.#source.slice(begin, end))
      : super.slice(begin, end);
  }

  override get [SLICES_BATCHES](): boolean {
    return this.#source[SLICES_BATCHES];
  }

  override [BATCH](indices: readonly number[], places: readonly Place[]): Fields | undefined {
    const form = (this.#fn as Partial<HostTransform>)[HOST]?.();
    if (form === undefined) return undefined;
    const batch = this.#source[BATCH](indices, places);
    if (batch === undefined) return undefined;
    const [first, ...rest] = batch.fields;
    // what is no picture goes the long way, where the transform itself says what is wrong
    const shape = first === undefined ? [] : isHost(first) ? first.shape : first.array.shape;
    if (first === undefined || shape.length !== 4 || (this.#what === 'all' && batch.tuple)) {
      drop(batch.fields);
      return undefined;
    }
    if (isHost(first)) return { tuple: batch.tuple, fields: [form(first, places), ...rest] };
    const { array, remake } = first;
    const apply = (x: NDArray): NDArray => {
      const y = this.#fn(x) as NDArray;
      if (y !== x) x.dispose();
      return y;
    };
    return {
      tuple: batch.tuple,
      fields: [{ array: apply(array), remake: remake && (() => apply(remake())) }, ...rest],
    };
  }
}

class SampledDataset<T> extends Dataset<T> {
  readonly #source: Dataset<T>;
  readonly #order: readonly number[];

  constructor(source: Dataset<T>, order: readonly number[]) {
    super();
    this.#source = source;
    this.#order = order;
  }

  get length(): number {
    return this.#order.length;
  }

  at(index: number): T | Promise<T> {
    return this.#source.at(this.#order[checkIndex(index, this.length, 'at')] as number);
  }

  override [BATCH](indices: readonly number[], places: readonly Place[]): Fields | undefined {
    return this.#source[BATCH](
      indices.map((i) => this.#order[checkIndex(i, this.length, 'at')] as number),
      places,
    );
  }
}

/** Samples from a list, or from anything with `length` and `at`. */
export class SimpleDataset<T> extends Dataset<T, readonly T[]> {
  readonly #source: Indexed;

  constructor(data: readonly T[] | { readonly length: number; at(index: number): T | undefined }) {
    super();
    this.#source = data as Indexed;
    if (
      typeof (data as Indexed | undefined)?.length !== 'number' ||
      typeof (data as Indexed).at !== 'function'
    )
      throw new ArgumentError(
        `expected a list, or something with length and at(i), received ${describe(data)}. For arrays use ArrayDataset.`,
        { op: 'SimpleDataset' },
      );
  }

  get length(): number {
    return this.#source.length;
  }

  at(index: number): T {
    return this.#source.at(checkIndex(index, this.length, 'SimpleDataset.at')) as T;
  }
}
