// The batches of one epoch: samples asked for, joined, put on the device, and parked when the loop is done with them.
//
// Three ways to a batch. Whole: the dataset gives it (columns in memory, transforms of the library). Sample by sample through host memory: each sample is made, read and given back
// before the next. On the device: samples that live on a GPU, or a batchifyFn, which is given all samples at once.
import { bodyOf, freeArray, isKept, NDArray, parkArray, runInScope } from '../../array/ndarray.ts';
import { currentScope } from '../../array/scope.ts';
import { type Context, currentContext } from '../../core/context.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import { fromHost, type HostArray, toHost } from '../../nd/image/host.ts';
import { asInContext } from '../../nd/transfer.ts';
import { unrecorded } from '../quiet.ts';
import { BATCH, type BatchSource, collate, type Fields, isHost, type NumberTypes } from './batch.ts';
import { type Place, withPlace } from './chance.ts';
import type { Indexed } from './columns.ts';
import { checkAtOnce, isThenable } from './dataset.ts';

/** How far an epoch has come. */
export interface BatchProgress {
  /** Batches that the loop is done with. */
  readonly done: number;
  /** Batches of the epoch. */
  readonly total: number;
  readonly unit: 'batches';
}

const OP = 'DataLoader';
const label = (): string => OP;

/** A batch that waits to be put on its device. */
export type Prepared = { readonly fields: Fields } | { readonly value: unknown };

/** A batch being made; undefined at the end of the epoch. It stops for Promises, to be given what they hold, and after each sample, for whoever wants to breathe. */
export type Making = Generator<PromiseLike<unknown> | undefined, Prepared | undefined, unknown>;

/** Thrown inside: a sample is on a GPU, so its batch has to be joined there. */
const ON_DEVICE = Symbol('on a device');

/** What an epoch is made of. */
export interface EpochOf {
  readonly dataset: Indexed & Partial<BatchSource>;
  readonly batches: Iterable<readonly number[]> & { readonly length: number };
  readonly batchify: ((samples: unknown[]) => unknown) | undefined;
  readonly ctx: Context | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: ((progress: BatchProgress) => void) | undefined;
}

export class Epoch {
  readonly #of: EpochOf;
  /** Whether samples have to be there at once. */
  readonly #atOnce: boolean;
  readonly #indices: Iterator<readonly number[]>;
  readonly #total: number;
  readonly #default: Context = currentContext();
  readonly #types: NumberTypes = new Map();
  /** What parks the arrays of the batch in the loop's hands. */
  #parks: (() => void)[] = [];
  readonly #chance: Place['epoch'] = { seed: undefined };
  /** Samples asked for. */
  #count = 0;
  /** Batches the loop is done with. */
  #done = 0;
  /** Samples are Promises. */
  waits = false;
  /** Batches come whole: no code of the user's runs for them, so it does not matter when. */
  quiet = false;
  #onDevice: boolean;

  constructor(of: EpochOf, atOnce: boolean) {
    of.signal?.throwIfAborted();
    this.#of = of;
    this.#atOnce = atOnce;
    this.#indices = of.batches[Symbol.iterator]();
    this.#total = of.batches.length;
    this.#onDevice = of.batchify !== undefined;
  }

  #draw(): { readonly indices: readonly number[]; readonly places: readonly Place[] } | undefined {
    const next = this.#indices.next();
    if (next.done === true) return undefined;
    const indices = next.value;
    if (!Array.isArray(indices) || indices.length === 0)
      throw new ArgumentError(
        `expected batches as lists of sample numbers, received ${describe(indices)}. Let the batchSampler give e.g. [0, 1, 2].`,
        { op: OP },
      );
    const first = this.#count;
    this.#count += indices.length;
    const places = indices.map((_, i) => ({ epoch: this.#chance, index: first + i, stream: undefined }));
    return { indices, places };
  }

  /** Makes the next batch. @param before settles when what samples before these have shown is known */
  *make(before?: Promise<unknown>): Making {
    const drawn = this.#draw();
    if (drawn === undefined) return undefined;
    const { indices, places } = drawn;
    const { dataset, batchify } = this.#of;
    const whole = batchify ? undefined : runInScope(label, true, () => dataset[BATCH]?.(indices, places));
    this.quiet = whole !== undefined;
    if (whole !== undefined) return { fields: whole };
    if (!this.#onDevice)
      try {
        const samples: unknown[] = [];
        for (const [i, index] of indices.entries()) {
          samples.push(this.#sample(index, places[i] as Place));
          yield;
        }
        for (const [i, sample] of samples.entries())
          if (isThenable(sample)) samples[i] = harvest(yield sample, parkAs);
        yield before;
        return this.#collate(samples);
      } catch (error) {
        if (error !== ON_DEVICE) throw error;
        this.#onDevice = true;
      }
    const asked = runInScope(label, true, () => {
      const samples = indices.map((index, i) => this.#ask(index, places[i] as Place));
      return samples.some(isThenable) ? samples : this.#join(samples);
    });
    if (!Array.isArray(asked)) return asked;
    for (const [i, sample] of asked.entries()) if (isThenable(sample)) asked[i] = yield sample;
    yield before;
    return runInScope(label, true, () => this.#join(asked));
  }

  #collate(samples: unknown[]): Prepared {
    return { fields: collate(samples, this.#types, OP) };
  }

  /** A sample as the dataset gives it. */
  #ask(index: number, place: Place): unknown {
    const sample = withPlace(place, () => this.#of.dataset.at(index));
    if (this.#atOnce)
      checkAtOnce(
        sample,
        `samples at once, received a Promise from at(${index}). Write for await (const batch of loader).`,
        OP,
      );
    else if (isThenable(sample)) {
      // one that fails is looked at when its turn comes
      sample.then(undefined, () => undefined);
      this.waits = true;
    }
    return sample;
  }

  /** A sample in host memory, or the Promise of one that is not there yet. */
  #sample(index: number, place: Place): unknown {
    let sample: unknown;
    const own: (readonly [NDArray, HostArray])[] = [];
    // arrays that the sample is made of stay: a dataset may keep them for the next epoch
    runInScope(label, true, () => {
      sample = this.#ask(index, place);
      const made = currentScope()?.made ?? [];
      sample = harvest(sample, (x, host) => {
        if (made.includes(x)) own.push([x, host]);
      });
      return own.map(([x]) => x);
    });
    for (const [x, host] of own) parkAs(x, host);
    return sample;
  }

  /** All samples of a batch at once. */
  #join(samples: unknown[]): Prepared {
    const { batchify } = this.#of;
    if (batchify === undefined) return this.#collate(samples);
    const value = batchify(samples);
    checkAtOnce(
      value,
      'batchifyFn to return a batch, received a Promise. Await in the dataset: its at(i) may return Promises.',
      OP,
    );
    return { value };
  }

  /** Puts a batch on its device, for the loop's hands. */
  place(prepared: Prepared): unknown {
    const { ctx } = this.#of;
    const parks: (() => void)[] = [];
    this.#parks = parks;
    const move = (x: NDArray): NDArray => {
      const there = ctx === undefined ? x : asInContext(x, ctx);
      if (there !== x) parkOnHost(x);
      return there;
    };
    if ('value' in prepared)
      return replaceArrays(prepared.value, (x) => {
        const there = move(x);
        parks.push(() => parkOnHost(there));
        return there;
      });
    const { fields, tuple } = prepared.fields;
    const arrays = fields.map((field) => {
      if (isHost(field)) {
        const array = fromHost(field, ctx ?? this.#default, OP);
        parks.push(() => {
          if (!written(array)) parkAs(array, field);
          else parkOnHost(array);
        });
        return array;
      }
      const there = move(field.array);
      parks.push(() => {
        if (field.remake !== undefined && !written(there)) parkAway(there, field.remake);
        else if (!isKept(there)) freeArray(there, label);
      });
      return there;
    });
    return tuple ? arrays : arrays[0];
  }

  /** The loop is done with the batch in its hands: its memory goes back to the device. */
  done(): void {
    for (const park of this.#parks) park();
    this.#done++;
    const { onProgress, signal } = this.#of;
    onProgress?.({ done: this.#done, total: Math.max(this.#total, this.#done), unit: 'batches' });
    signal?.throwIfAborted();
  }
}

/** A sample with its arrays read into host memory; `seen` is told of each. */
function harvest(sample: unknown, seen: (x: NDArray, host: HostArray) => void): unknown {
  const read = (value: unknown): unknown => {
    if (!(value instanceof NDArray)) return value;
    if (bodyOf(value, OP).device.kind === 'gpu') throw ON_DEVICE;
    const host = toHost(value, OP);
    seen(value, host);
    return host;
  };
  return Array.isArray(sample) ? sample.map(read) : read(sample);
}

/** Values that come back while a call is being compiled were there before it. */
function parkAway(x: NDArray, remake: () => NDArray): void {
  parkArray(x, () => unrecorded(remake));
}

function parkAs(x: NDArray, host: HostArray): void {
  const { context } = x;
  parkAway(x, () => fromHost(host, context, OP));
}

/** Whether an array was written in place. */
function written(x: NDArray): boolean {
  return !x.isDisposed && (bodyOf(x, OP).storage.version ?? 0) > 0;
}

/** Parks an array whose values are read now; one on a GPU stays. */
function parkOnHost(x: NDArray): void {
  if (!x.isDisposed && bodyOf(x, OP).device.kind === 'cpu') parkAs(x, toHost(x, OP));
}

/** A value with its arrays replaced, in lists and plain objects too. */
function replaceArrays(value: unknown, by: (x: NDArray) => NDArray, depth = 0): unknown {
  if (value instanceof NDArray) return by(value);
  if (typeof value !== 'object' || value === null || depth > 8) return value;
  if (Array.isArray(value)) return value.map((v) => replaceArrays(v, by, depth + 1));
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, replaceArrays(v, by, depth + 1)]));
}
