// Streams of random numbers, as transforms draw from them.
import { cpu } from '../../core/context.ts';
import { asShape } from '../../core/shape.ts';
import { checkReading } from '../../nd/reading.ts';
import { drawIntegers, drawUniform } from '../../ops/creation.ts';
import { type Chance, drawn, type Place } from './chance.ts';

/** The generators of cpu(0), one draw at a time. */
const device: Chance = {
  uniform() {
    checkReading('random choice');
    return drawn(() => drawUniform(0, 1, asShape([1]), 'float32', cpu(0)))[0] as number;
  },
};

/** The stream of a sample: sfc32 (Chris Doty-Humphrey's small fast counter), begun from a seed and the sample's place. */
class Stream implements Chance {
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

/** Whom a sample draws from. */
export function chanceOf(place: Place | undefined): Chance {
  if (place === undefined) return device;
  const { epoch } = place;
  // nothing is drawn for an epoch that leaves nothing to chance
  const draw = (): Chance => {
    epoch.seed ??= drawn(() => drawIntegers(0, 2 ** 31 - 1, asShape([1]), cpu(0)))[0] as number;
    return new Stream(epoch.seed, place.index);
  };
  return {
    uniform() {
      place.stream ??= draw();
      return place.stream.uniform();
    },
  };
}

/** A number in [low, high). */
export function uniformIn(chance: Chance, low: number, high: number): number {
  return low + (high - low) * chance.uniform();
}

/** A whole number from `low` to `high`, both included. */
export function integerIn(chance: Chance, low: number, high: number): number {
  return low + Math.min(high - low, Math.floor((high - low + 1) * chance.uniform()));
}
