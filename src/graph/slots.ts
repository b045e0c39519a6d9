// Slots of a plan: pieces of memory that values share one after the other. Only sizes and times are known here, no memory.

/** A free slot may be this many times as large as what it takes in, or as small; small ones any time. */
const MOST_WASTE = 2;
const SMALL_BYTES = 4096;

interface Free {
  readonly slot: number;
  /** The step that gave it back. */
  readonly since: number;
}

export class Slots {
  /** The bytes of each slot. */
  readonly bytes: number[] = [];
  readonly #free: Free[] = [];

  /**
   * A slot of at least `bytes` for a value that step `now` makes. Best is one that is large enough, then one that has rested for a step (taking what the step before still reads
   * makes a GPU wait between the two), then the nearest in size; one that is too small is enlarged.
   */
  take(bytes: number, now: number): number {
    let best: Free | undefined;
    for (const free of this.#free)
      if (this.#suits(free, bytes) && (best === undefined || this.#isBetter(free, best, bytes, now)))
        best = free;
    if (best === undefined) {
      this.bytes.push(bytes);
      return this.bytes.length - 1;
    }
    this.#free.splice(this.#free.indexOf(best), 1);
    this.bytes[best.slot] = Math.max(this.#size(best), bytes);
    return best.slot;
  }

  give(slot: number, now: number): void {
    this.#free.push({ slot, since: now });
  }

  #size(free: Free): number {
    return this.bytes[free.slot] as number;
  }

  #suits(free: Free, bytes: number): boolean {
    const [small, large] = this.#size(free) < bytes ? [this.#size(free), bytes] : [bytes, this.#size(free)];
    return large <= Math.max(small * MOST_WASTE, SMALL_BYTES);
  }

  #isBetter(a: Free, b: Free, bytes: number, now: number): boolean {
    const [sizeA, sizeB] = [this.#size(a), this.#size(b)];
    if (sizeA >= bytes !== sizeB >= bytes) return sizeA >= bytes;
    if (a.since < now - 1 !== b.since < now - 1) return a.since < now - 1;
    return Math.abs(sizeA - bytes) < Math.abs(sizeB - bytes);
  }
}
