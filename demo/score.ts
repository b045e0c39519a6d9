// What the network said of each picture, and what follows from it: right or wrong, counts, mix-ups. Plain numbers, no page.
import { CLASSES } from './data.ts';

/** How often pictures of class `truth` were called `said`. */
export interface MixUp {
  readonly truth: number;
  readonly said: number;
  readonly count: number;
}

/** Which pictures to show. */
export interface Filter {
  readonly verdict: 'all' | 'wrong' | 'right';
  readonly truth: number | undefined;
  readonly said: number | undefined;
}

export class Score {
  readonly labels: Uint8Array;
  readonly #probabilities: Float32Array;
  readonly #said: Int8Array;

  constructor(labels: Uint8Array) {
    this.labels = labels;
    this.#probabilities = new Float32Array(labels.length * CLASSES.length);
    this.#said = new Int8Array(labels.length).fill(-1);
  }

  /** Takes the answers for some pictures: ten probabilities for each. */
  take(indices: readonly number[], probabilities: Float32Array): void {
    const width = CLASSES.length;
    for (const [at, index] of indices.entries()) {
      const row = probabilities.subarray(at * width, (at + 1) * width);
      this.#probabilities.set(row, index * width);
      this.#said[index] = row.indexOf(Math.max(...row));
    }
  }

  /** The class with the highest probability; undefined before the picture's turn. */
  said(index: number): number | undefined {
    const label = this.#said[index];
    return label === undefined || label < 0 ? undefined : label;
  }

  truth(index: number): number {
    return this.labels[index] ?? -1;
  }

  isWrong(index: number): boolean {
    const said = this.said(index);
    return said !== undefined && said !== this.truth(index);
  }

  probabilities(index: number): Float32Array {
    return this.#probabilities.subarray(index * CLASSES.length, (index + 1) * CLASSES.length);
  }

  get done(): number {
    return this.#said.reduce((sum, label) => sum + (label >= 0 ? 1 : 0), 0);
  }

  get right(): number {
    return this.#said.reduce((sum, label, index) => sum + (label === this.labels[index] ? 1 : 0), 0);
  }

  shows(index: number, { verdict, truth, said }: Filter): boolean {
    const label = this.said(index);
    if (truth !== undefined && this.truth(index) !== truth) return false;
    if (said !== undefined && label !== said) return false;
    if (verdict === 'all') return true;
    return label !== undefined && this.isWrong(index) === (verdict === 'wrong');
  }

  /** `counts[truth][said]` over the pictures done. */
  confusion(): number[][] {
    const counts = CLASSES.map(() => CLASSES.map(() => 0));
    for (const [index, truth] of this.labels.entries()) {
      const row = counts[truth];
      const said = this.said(index);
      if (row !== undefined && said !== undefined) row[said] = (row[said] ?? 0) + 1;
    }
    return counts;
  }

  /** The commonest mistakes, most frequent first. */
  mixUps(atMost: number): MixUp[] {
    return this.confusion()
      .flatMap((row, truth) => row.map((count, said) => ({ truth, said, count })))
      .filter(({ truth, said, count }) => truth !== said && count > 0)
      .sort((a, b) => b.count - a.count)
      .slice(0, atMost);
  }
}
