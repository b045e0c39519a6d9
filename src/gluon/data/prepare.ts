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
import {
  BATCH,
  type BatchSource,
  collate,
  type Field,
  type Fields,
  isHost,
  type NumberTypes,
} from './batch.ts';
import type { Pace } from './breathe.ts';
import { type Chance, drawSeed, Stream, withChance } from './chance.ts';
import type { Indexed } from './columns.ts';
import { isThenable } from './dataset.ts';

const OP = 'DataLoader';
const label = (): string => OP;

/** A batch that waits to be put on its device. */
export type Prepared = { readonly fields: Fields } | { readonly value: unknown };

/** A batch in the loop's hands. */
interface Placed {
  readonly value: unknown;
  /** The loop is done with it: its memory goes back to the device. */
  park(): void;
}

/** Thrown inside: a sample is on a GPU, so its batch has to be joined there. */
const ON_DEVICE = Symbol('on a device');

/** Whom the samples of a batch draw from, by their place in it. */
type Chances = (place: number) => Chance;

export class Batches {
  readonly #dataset: Indexed & Partial<BatchSource>;
  readonly #indices: Iterator<readonly number[]>;
  readonly #batchify: ((samples: unknown[]) => unknown) | undefined;
  readonly #ctx: Context | undefined;
  readonly #default: Context = currentContext();
  readonly #types: NumberTypes = new Map();
  #seed: number | undefined;
  #count = 0;
  /** Samples are Promises. */
  waits = false;
  /** Batches come whole: no code of the user's runs for them, so it does not matter when. */
  quiet = false;
  #onDevice: boolean;
  #last: Promise<unknown> = Promise.resolve();

  constructor(
    dataset: Indexed & Partial<BatchSource>,
    indices: Iterator<readonly number[]>,
    batchify: ((samples: unknown[]) => unknown) | undefined,
    ctx: Context | undefined,
  ) {
    this.#dataset = dataset;
    this.#indices = indices;
    this.#batchify = batchify;
    this.#ctx = ctx;
    this.#onDevice = batchify !== undefined;
  }

  #draw(): { readonly indices: readonly number[]; readonly chance: Chances } | undefined {
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
    const streams: (Stream | undefined)[] = [];
    // nothing is drawn for an epoch that leaves nothing to chance
    const uniform = (place: number): number => {
      this.#seed ??= drawSeed();
      streams[place] ??= new Stream(this.#seed, first + place);
      return streams[place].uniform();
    };
    return { indices, chance: (place) => ({ uniform: () => uniform(place) }) };
  }

  #whole(indices: readonly number[], chance: Chances): Fields | undefined {
    const dataset = this.#dataset;
    if (this.#batchify !== undefined || typeof dataset[BATCH] !== 'function') return undefined;
    return runInScope(label, true, () => dataset[BATCH]?.(indices, chance));
  }

  /** The next batch, where samples are there at once; undefined at the end. */
  nextNow(): Prepared | undefined {
    const drawn = this.#draw();
    if (drawn === undefined) return undefined;
    const { indices, chance } = drawn;
    const whole = this.#whole(indices, chance);
    if (whole !== undefined) return { fields: whole };
    if (!this.#onDevice)
      try {
        const samples = indices.map((i, place) => present(this.#sample(i, chance(place)), i));
        return { fields: collate(samples, this.#types, OP) };
      } catch (error) {
        if (error !== ON_DEVICE) throw error;
        this.#onDevice = true;
      }
    return runInScope(label, true, () =>
      this.#join(indices.map((i, place) => present(this.#ask(i, chance(place)), i))),
    );
  }

  /** The next batch; undefined at the end. Samples that are Promises are begun together, and batches come in their order. */
  next(pace: Pace): Promise<Prepared | undefined> {
    const made = this.#make(pace, this.#last);
    this.#last = made.catch(() => undefined);
    return made;
  }

  async #make(pace: Pace, before: Promise<unknown>): Promise<Prepared | undefined> {
    const drawn = this.#draw();
    if (drawn === undefined) return undefined;
    const { indices, chance } = drawn;
    const whole = this.#whole(indices, chance);
    this.quiet = whole !== undefined;
    if (whole !== undefined) return { fields: whole };
    if (!this.#onDevice)
      try {
        const samples: unknown[] = [];
        for (const [place, i] of indices.entries()) {
          const sample = this.#sample(i, chance(place));
          samples.push(sample);
          if (isThenable(sample)) {
            this.waits = true;
            // one that fails is looked at when its turn comes
            sample.then(undefined, () => undefined);
          } else await pace.within();
        }
        for (let i = 0; i < samples.length; i++)
          if (isThenable(samples[i])) samples[i] = harvest(await samples[i], parkAs);
        await before;
        return { fields: collate(samples, this.#types, OP) };
      } catch (error) {
        if (error !== ON_DEVICE) throw error;
        this.#onDevice = true;
      }
    const asked = runInScope(label, true, () => {
      const samples = indices.map((i, place) => this.#ask(i, chance(place)));
      return samples.some(isThenable) ? { samples } : { joined: this.#join(samples) };
    });
    if (asked.joined !== undefined) return asked.joined;
    this.waits = true;
    const samples = await Promise.all(asked.samples);
    await before;
    return runInScope(label, true, () => this.#join(samples));
  }

  #ask(index: number, chance: Chance): unknown {
    return withChance(chance, () => this.#dataset.at(index));
  }

  /** A sample in host memory, or the Promise of one that is not there yet. */
  #sample(index: number, chance: Chance): unknown {
    let sample: unknown;
    const own: (readonly [NDArray, HostArray])[] = [];
    // arrays that the sample is made of stay: a dataset may keep them for the next epoch
    runInScope(label, true, () => {
      sample = this.#ask(index, chance);
      if (isThenable(sample)) return [];
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
    if (this.#batchify === undefined) return { fields: collate(samples, this.#types, OP) };
    const value = this.#batchify(samples);
    if (isThenable(value)) {
      value.then(undefined, () => undefined);
      throw new ArgumentError(
        'expected batchifyFn to return a batch, received a Promise. Await in the dataset: its at(i) may return Promises.',
        { op: OP },
      );
    }
    return { value };
  }

  /** Puts a batch on its device. */
  place(prepared: Prepared): Placed {
    const parks: (() => void)[] = [];
    const park = (): void => {
      for (const one of parks) one();
    };
    const move = (x: NDArray): NDArray => {
      const there = this.#ctx === undefined ? x : asInContext(x, this.#ctx);
      if (there !== x) parkOnHost(x);
      return there;
    };
    if ('value' in prepared) {
      const value = replaceArrays(prepared.value, (x) => {
        const there = move(x);
        parks.push(() => parkOnHost(there));
        return there;
      });
      return { value, park };
    }
    const put = (field: Field): NDArray => {
      if (isHost(field)) {
        const target = this.#ctx ?? this.#default;
        const array = fromHost(field, target, OP);
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
    };
    const arrays = prepared.fields.fields.map(put);
    return { value: prepared.fields.tuple ? arrays : arrays[0], park };
  }
}

/** A sample that is no Promise. */
function present(sample: unknown, index: number): unknown {
  if (!isThenable(sample)) return sample;
  sample.then(undefined, () => undefined);
  throw new ArgumentError(
    `expected samples at once, received a Promise from at(${index}). Write for await (const batch of loader).`,
    { op: OP },
  );
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
