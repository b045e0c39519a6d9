// The Mersenne Twister, because MXNet's CPU numbers are its numbers: 32 random bits a call, the sequence of C++'s std::mt19937.
// Which generator is asked when, and what becomes of its bits, is mxnetCpu.ts's business.
// Source: M. Matsumoto, T. Nishimura, "Mersenne Twister: a 623-dimensionally equidistributed uniform pseudorandom number generator", 1998;
// the seeding is their 2002 one, which the C++ standard took over ([rand.eng.mers]).

const SIZE = 624;
const SHIFT = 397;
const TWIST = 0x9908b0df;

/**
 * One generator of 32-bit words.
 * @example new Mt19937(5489).next() // 3499211612
 */
export class Mt19937 {
  /** The state, 624 words. */
  readonly #words = new Uint32Array(SIZE);
  /** How many of them are given out; at 624 the next call makes 624 new ones. */
  #at = SIZE;

  /** @param seed taken modulo 2³² */
  constructor(seed: number) {
    const words = this.#words;
    let previous = seed >>> 0;
    words[0] = previous;
    for (let i = 1; i < SIZE; i++) {
      previous = (Math.imul(1812433253, previous ^ (previous >>> 30)) + i) >>> 0;
      words[i] = previous;
    }
  }

  /** The next 32 bits, an integer in [0, 2³²). */
  next(): number {
    if (this.#at === SIZE) this.#renew();
    const word = this.#words[this.#at] ?? 0;
    this.#at += 1;
    return temper(word);
  }

  /** The next `count` words into `out`, from its beginning: what `count` calls of `next` give, faster. */
  take(out: Uint32Array, count: number): void {
    const words = this.#words;
    let done = 0;
    while (done < count) {
      if (this.#at === SIZE) this.#renew();
      const run = Math.min(count - done, SIZE - this.#at);
      const from = this.#at;
      for (let i = 0; i < run; i++) out[done + i] = temper(words[from + i] ?? 0);
      this.#at += run;
      done += run;
    }
  }

  #renew(): void {
    const words = this.#words;
    let word = words[0] ?? 0;
    for (let i = 0; i < SIZE; i++) {
      const next = words[i + 1 === SIZE ? 0 : i + 1] ?? 0;
      const other = words[i + SHIFT < SIZE ? i + SHIFT : i + SHIFT - SIZE] ?? 0;
      const mixed = (word & 0x80000000) | (next & 0x7fffffff);
      words[i] = other ^ (mixed >>> 1) ^ (-(mixed & 1) & TWIST);
      word = next;
    }
    this.#at = 0;
  }
}

/** The output function: spreads the bits of one word of the state. */
function temper(word: number): number {
  let y = word ^ (word >>> 11);
  y ^= (y << 7) & 0x9d2c5680;
  y ^= (y << 15) & 0xefc60000;
  return (y ^ (y >>> 18)) >>> 0;
}
