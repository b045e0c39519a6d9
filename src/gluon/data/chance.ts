// Chance for transforms: who draws, and from which stream. In a data loader each sample has a stream of its own, from the one seed and its place in the epoch, so that
// results depend neither on timing nor on how a batch was made; elsewhere the generators of cpu(0) draw.
import { cpu } from '../../core/context.ts';
import { asShape } from '../../core/shape.ts';
import { checkReading, readNow } from '../../nd/reading.ts';
import { drawIntegers, drawUniform } from '../../ops/creation.ts';
import { unrecorded } from '../quiet.ts';

/** A stream of random numbers. */
export interface Chance {
  /** The next number in [0, 1). */
  uniform(): number;
}

/** The generators of cpu(0), one draw at a time. */
const device: Chance = {
  uniform() {
    checkReading('random choice');
    return unrecorded(() => {
      const drawn = drawUniform(0, 1, asShape([1]), 'float32', cpu(0));
      const value = readNow(drawn, 'random')?.[0] ?? 0;
      drawn.dispose();
      return value;
    });
  },
};

let current: Chance = device;

/** Who draws now. */
export function currentChance(): Chance {
  return current;
}

/** Lets `chance` draw while `fn` runs, which is synchronous. */
export function withChance<R>(chance: Chance, fn: () => R): R {
  const before = current;
  current = chance;
  try {
    return fn();
  } finally {
    current = before;
  }
}

/** A seed for streams, drawn from cpu(0). */
export function drawSeed(): number {
  return unrecorded(() => {
    const drawn = drawIntegers(0, 2 ** 31 - 1, asShape([1]), cpu(0));
    const value = readNow(drawn, 'random')?.[0] ?? 0;
    drawn.dispose();
    return value;
  });
}

/** The stream of a sample: sfc32 (Chris Doty-Humphrey's small fast counter), begun from a seed and the sample's place. */
export class Stream implements Chance {
  #a: number;
  #b: number;
  #c = 0;
  #counter = 1;

  constructor(seed: number, place: number) {
    this.#a = seed | 0;
    this.#b = place | 0;
    for (let i = 0; i < 12; i++) this.#next();
  }

  uniform(): number {
    return (this.#next() >>> 0) / 2 ** 32;
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum;
  }
}

/** A number in [low, high). */
export function uniformIn(chance: Chance, low: number, high: number): number {
  return low + (high - low) * chance.uniform();
}

/** A whole number from `low` to `high`, both included. */
export function integerIn(chance: Chance, low: number, high: number): number {
  return low + Math.min(high - low, Math.floor((high - low + 1) * chance.uniform()));
}
