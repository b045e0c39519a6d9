// How fast training goes and how long the rest takes.

interface Mark {
  /** Milliseconds of training, tests and savings not counted. */
  readonly at: number;
  readonly pictures: number;
}

/** Only the last seconds count: a tab that was slowed down recovers its figure soon. */
const WINDOW = 3000;

export class Clock {
  #marks: Mark[] = [];
  #at = 0;
  #warm = false;
  #pictures = 0;
  /** Milliseconds of the last test. */
  testing = 0;

  /** Whether a step has been made since the last `reset`. */
  get warm(): boolean {
    return this.#warm;
  }

  /** A step over so many pictures took so many milliseconds. The first one compiles and does not count. */
  step(pictures: number, milliseconds: number): void {
    if (!this.#warm) {
      this.#warm = true;
      return;
    }
    if (this.#marks.length === 0) this.#marks.push({ at: this.#at, pictures: this.#pictures });
    this.#at += milliseconds;
    this.#pictures += pictures;
    this.#marks.push({ at: this.#at, pictures: this.#pictures });
    while (this.#marks.length > 2 && (this.#marks[1]?.at ?? 0) < this.#at - WINDOW) this.#marks.shift();
  }

  /** Pictures a second; undefined before half a second of training. */
  get rate(): number | undefined {
    const first = this.#marks[0];
    if (first === undefined || this.#at - first.at < 500) return undefined;
    return ((this.#pictures - first.pictures) / (this.#at - first.at)) * 1000;
  }

  /** Seconds for so many more pictures and tests. */
  secondsLeft(pictures: number, tests: number): number | undefined {
    const { rate } = this;
    return rate === undefined ? undefined : pictures / rate + (tests * this.testing) / 1000;
  }

  /** Another device, another pace. */
  reset(): void {
    this.#marks = [];
    this.#warm = false;
    this.testing = 0;
  }
}
