// DataLoader: batches of a dataset, on their device. It keeps the order (samplers), the memory (batches handed out before are parked) and the pace (a page stays alive).
// How samples become arrays is in batch.ts and prepare.ts.

import type { NDArray } from '../../array/ndarray.ts';
import { type Context, checkContext } from '../../core/context.ts';
import { ArgumentError } from '../../core/errors.ts';
import { booleanArg, integerArg, readArgs, refuse, wordArg } from '../../ops/args.ts';
import { ArrayDataset } from './arrayDataset.ts';
import type { BatchSource } from './batch.ts';
import { type Indexed, isIndexed } from './columns.ts';
import { type Dataset, type IndexSequence, SimpleDataset } from './dataset.ts';
import { type BatchProgress, Epoch } from './prepare.ts';
import { BatchSampler, LAST_BATCH, type LastBatch, RandomSampler, SequentialSampler } from './sampler.ts';

/** A batch of samples T: an array, or one for each member of a tuple. */
export type BatchOf<T> = T extends readonly unknown[] ? { -readonly [K in keyof T]: NDArray } : NDArray;

/** Options of `DataLoader`. */
export interface DataLoaderOptions<T, B> {
  readonly batchSize?: number | undefined;
  /** Another order for each epoch, from the one seed (`random.seed`). */
  readonly shuffle?: boolean | undefined;
  /** An order of samples, in place of `shuffle`. */
  readonly sampler?: IndexSequence | undefined;
  /** Numbers batch by batch, in place of `batchSize`, `shuffle`, `sampler` and `lastBatch`. */
  readonly batchSampler?: (Iterable<readonly number[]> & { readonly length: number }) | undefined;
  /** 'keep' (default) a smaller last batch, 'discard' it, or let it 'rollover' into the next epoch. */
  readonly lastBatch?: LastBatch | undefined;
  /** Makes a batch of the samples, synchronously. */
  readonly batchifyFn?: ((samples: T[]) => B) | undefined;
  /** Where batches are put; by default the current context when the loop begins, and arrays of a GPU stay there. */
  readonly ctx?: Context | undefined;
  /** Batches made ahead, in `for await`; 1 by default. */
  readonly prefetch?: number | undefined;
  /** As in Gluon, for code that comes from there: samples are made on this thread. */
  readonly numWorkers?: number | undefined;
  /** An abort ends the loop with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called after each batch. */
  readonly onProgress?: ((progress: BatchProgress) => void) | undefined;
}

const OPTIONS = [
  'shuffle',
  'sampler',
  'batchSampler',
  'lastBatch',
  'batchifyFn',
  'ctx',
  'prefetch',
  'numWorkers',
  'signal',
  'onProgress',
];

const OP = 'DataLoader';

/**
 * Batches of a dataset, for each epoch anew: `for await (const [x, y] of loader)`.
 *
 * A batch is one array, or for tuples one for each member, put on `ctx`; dtypes stay, and plain numbers are int32 where they are whole, else float32. `for await` keeps a page
 * alive: it gives way to events and paint at least every 16 ms (between steps that are shorter) and has two steps of a GPU under way at most. Plain `for` works where
 * samples are there at once.
 *
 * Batches are yours, and stay valid. A batch's memory on the device is given back when the next is asked for, and taken again if you use the batch later.
 *
 * @example
 * const loader = new gluon.data.DataLoader(train, 256, { shuffle: true, ctx });
 * for await (const [x, y] of loader) trainStep(x, y);
 */
export class DataLoader<T, B = BatchOf<T>> implements Iterable<B>, AsyncIterable<B> {
  readonly #dataset: Indexed & Partial<BatchSource>;
  readonly #batches: Iterable<readonly number[]> & { readonly length: number };
  readonly #options: Record<string, unknown>;

  constructor(
    dataset:
      | Dataset<T>
      | NDArray
      | readonly T[]
      | { readonly length: number; at(index: number): T | Promise<T> },
    batchSize?: number | DataLoaderOptions<T, B>,
    options?: DataLoaderOptions<T, B>,
  ) {
    const values = readArgs(OP, [batchSize, options], ['batchSize'], OPTIONS);
    this.#dataset = datasetOf(dataset);
    this.#batches = batchesOf(this.#dataset.length, values);
    check(values, 'batchifyFn', 'a function of the samples', isFunction);
    check(values, 'onProgress', 'a function', isFunction);
    check(values, 'signal', 'an AbortSignal', (v) =>
      isFunction((v as Partial<AbortSignal> | null)?.throwIfAborted),
    );
    if (values['ctx'] !== undefined) checkContext(values['ctx'], OP);
    integerArg(OP, values, 'prefetch', 1, 0);
    integerArg(OP, values, 'numWorkers', 0, 0);
    this.#options = values;
  }

  /** The number of batches of the next epoch. */
  get length(): number {
    return this.#batches.length;
  }

  #begin(atOnce: boolean): Epoch {
    const { batchifyFn, ctx, signal, onProgress } = this.#options as DataLoaderOptions<unknown, unknown>;
    const [dataset, batches] = [this.#dataset, this.#batches];
    return new Epoch({ dataset, batches, batchify: batchifyFn, ctx, signal, onProgress }, atOnce);
  }

  /** One epoch, where samples are there at once. @throws ArgumentError for samples that are Promises */
  *[Symbol.iterator](): Generator<B, void, undefined> {
    const epoch = this.#begin(true);
    for (;;) {
      const making = epoch.make();
      let step = making.next();
      while (step.done !== true) step = making.next();
      if (step.value === undefined) return;
      yield epoch.place(step.value) as B;
      epoch.done();
    }
  }

  /** One epoch. */
  async *[Symbol.asyncIterator](): AsyncGenerator<B, void, undefined> {
    const epoch = this.#begin(false);
    const { signal, prefetch } = this.#options as DataLoaderOptions<T, B>;
    const { paced } = await import('./paced.ts');
    yield* paced(epoch, prefetch ?? 1, signal) as AsyncGenerator<B, void, undefined>;
  }
}

const isFunction = (value: unknown): boolean => typeof value === 'function';

const isIterable = (value: unknown): boolean =>
  isFunction((value as Partial<Iterable<unknown>> | null)?.[Symbol.iterator]);

/** Refuses an option that was given and does not fit. */
function check(
  values: Record<string, unknown>,
  name: string,
  wanted: string,
  fits: (value: unknown) => boolean,
): void {
  if (values[name] !== undefined && !fits(values[name])) refuse(OP, name, wanted, values[name]);
}

function datasetOf(value: unknown): Indexed & Partial<BatchSource> {
  if (Array.isArray(value)) return new SimpleDataset(value as unknown[]);
  if (isIndexed(value) && !ArrayBuffer.isView(value)) return value as Indexed & Partial<BatchSource>;
  return new ArrayDataset(value as NDArray);
}

function batchesOf(
  length: number,
  values: Record<string, unknown>,
): Iterable<readonly number[]> & { readonly length: number } {
  const shuffle = booleanArg(OP, values, 'shuffle', false);
  const lastBatch = wordArg<LastBatch>(OP, values, 'lastBatch', LAST_BATCH, 'keep');
  check(values, 'batchSampler', 'an iterable of lists of numbers', isIterable);
  check(values, 'sampler', 'an iterable of numbers', isIterable);
  const batchSampler = values['batchSampler'] as BatchSampler | undefined;
  if (batchSampler !== undefined) {
    const also = ['batchSize', 'shuffle', 'sampler', 'lastBatch'].find((name) => values[name] !== undefined);
    if (also !== undefined)
      throw new ArgumentError(
        `expected batchSampler alone, received ${also} too. The batches are its own: leave ${also} out.`,
        { op: OP },
      );
    return batchSampler;
  }
  if (values['batchSize'] === undefined)
    throw new ArgumentError(
      'expected a batch size, received none. Write new DataLoader(dataset, 64), or pass batchSampler.',
      { op: OP },
    );
  const batchSize = integerArg(OP, values, 'batchSize', undefined, 1);
  const sampler = values['sampler'] as IndexSequence | undefined;
  if (sampler !== undefined && shuffle)
    throw new ArgumentError(
      'expected sampler or shuffle, received both. The order is the sampler’s own: leave shuffle out.',
      { op: OP },
    );
  const order = sampler ?? (shuffle ? new RandomSampler(length) : new SequentialSampler(length));
  return new BatchSampler(order, batchSize, lastBatch);
}
