// Orders of samples, and their grouping into batches. A sampler is iterated anew for each epoch.
import { cpu } from '../../core/context.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import { booleanArg, integerArg, readArgs, wordArg } from '../../ops/args.ts';
import { shuffleOrder } from '../../ops/creation.ts';
import { drawn } from './chance.ts';
import { type IndexSequence, matching } from './dataset.ts';

/** An order of samples: iterate it, once for each epoch. A sampler of your own has `length` and `[Symbol.iterator]`. */
export abstract class Sampler implements IndexSequence {
  abstract readonly length: number;
  abstract [Symbol.iterator](): Iterator<number>;
}

/** `start`, `start` + 1, … : `length` numbers. */
export class SequentialSampler extends Sampler {
  readonly length: number;
  readonly #start: number;

  constructor(length: number, start?: number | { readonly start?: number | undefined }) {
    super();
    const op = 'SequentialSampler';
    const values = readArgs(op, [length, start], ['length', 'start']);
    this.length = integerArg(op, values, 'length', undefined, 0);
    this.#start = integerArg(op, values, 'start', 0, 0);
  }

  *[Symbol.iterator](): Generator<number, void, undefined> {
    for (let i = 0; i < this.length; i++) yield this.#start + i;
  }
}

/** The numbers below `length` in random order, another for each epoch: those of `random.shuffle` on cpu(0), by the one seed. */
export class RandomSampler extends Sampler {
  readonly length: number;

  constructor(length: number) {
    super();
    this.length = integerArg(
      'RandomSampler',
      readArgs('RandomSampler', [length], ['length']),
      'length',
      undefined,
      0,
    );
  }

  *[Symbol.iterator](): Generator<number, void, undefined> {
    if (this.length > 0) yield* drawn(() => shuffleOrder(this.length, true, cpu(0)));
  }
}

/** The samples of a dataset for which `fn(sample)` is true, in their order. Looks at all of them when it is made. */
export class FilterSampler<T> extends Sampler {
  readonly #indices: readonly number[];

  constructor(
    fn: (sample: T) => boolean,
    dataset: { readonly length: number; at(index: number): T | Promise<T> },
  ) {
    super();
    this.#indices = matching(dataset, fn, 'FilterSampler');
  }

  get length(): number {
    return this.#indices.length;
  }

  [Symbol.iterator](): Iterator<number> {
    return this.#indices[Symbol.iterator]();
  }
}

/** 0, `interval`, 2·`interval`, … below `length`; then, with `rollover` (default), from 1, and so on until all were named. */
export class IntervalSampler extends Sampler {
  readonly #length: number;
  readonly #interval: number;
  readonly #rollover: boolean;

  constructor(
    length: number,
    interval: number,
    rollover?: boolean | { readonly rollover?: boolean | undefined },
  ) {
    super();
    const op = 'IntervalSampler';
    const values = readArgs(op, [length, interval, rollover], ['length', 'interval', 'rollover']);
    this.#length = integerArg(op, values, 'length', undefined, 0);
    this.#interval = integerArg(op, values, 'interval', undefined, 1);
    this.#rollover = booleanArg(op, values, 'rollover', true);
    if (this.#interval > this.#length)
      throw new ArgumentError(
        `expected an interval of at most the length (${this.#length}), received ${this.#interval}. Use a smaller one.`,
        { op },
      );
  }

  get length(): number {
    return this.#rollover ? this.#length : Math.ceil(this.#length / this.#interval);
  }

  *[Symbol.iterator](): Generator<number, void, undefined> {
    for (let start = 0; start < (this.#rollover ? this.#interval : 1); start++)
      for (let i = start; i < this.#length; i += this.#interval) yield i;
  }
}

/** What to do with the samples left when a batch does not come full. */
export type LastBatch = 'keep' | 'discard' | 'rollover';

export const LAST_BATCH: readonly LastBatch[] = ['keep', 'discard', 'rollover'];

/**
 * Groups a sampler's numbers. The last ones, too few for a batch, are a smaller batch ('keep', default), left out ('discard'), or the beginning of the next epoch
 * ('rollover').
 *
 * @example [...new BatchSampler(new SequentialSampler(10), 3)] // [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9]]
 */
export class BatchSampler implements Iterable<number[]> {
  readonly #sampler: IndexSequence;
  readonly #batchSize: number;
  readonly #lastBatch: LastBatch;
  #left: number[] = [];

  constructor(
    sampler: IndexSequence,
    batchSize: number,
    lastBatch?: LastBatch | { readonly lastBatch?: LastBatch | undefined },
  ) {
    const op = 'BatchSampler';
    const values = readArgs(op, [batchSize, lastBatch], ['batchSize', 'lastBatch']);
    if (typeof sampler?.[Symbol.iterator] !== 'function' || typeof sampler.length !== 'number')
      throw new ArgumentError(
        `expected a sampler (length and an iterator of numbers), received ${describe(sampler)}. Pass new RandomSampler(n), say.`,
        { op },
      );
    this.#sampler = sampler;
    this.#batchSize = integerArg(op, values, 'batchSize', undefined, 1);
    this.#lastBatch = wordArg(op, values, 'lastBatch', LAST_BATCH, 'keep');
  }

  /** The number of batches of the next epoch. */
  get length(): number {
    const count = this.#sampler.length;
    if (this.#lastBatch === 'keep') return Math.ceil(count / this.#batchSize);
    return Math.floor((count + this.#left.length) / this.#batchSize);
  }

  *[Symbol.iterator](): Generator<number[], void, undefined> {
    let batch = this.#left;
    this.#left = [];
    for (const i of this.#sampler) {
      batch.push(i);
      if (batch.length < this.#batchSize) continue;
      yield batch;
      batch = [];
    }
    if (batch.length === 0 || this.#lastBatch === 'discard') return;
    if (this.#lastBatch === 'keep') yield batch;
    else this.#left = batch;
  }
}
