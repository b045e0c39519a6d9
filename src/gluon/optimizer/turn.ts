// The host's part of an update: counts, rates and what else goes into a kernel as numbers. It comes before anything runs on a device, can be taken back, and is done again at
// each replay of a compiled step.

/** What counts: an optimizer. */
interface Counter {
  /** All counts, to be put back. */
  progress: unknown;
  rescaleGrad: number;
  count(indices: Iterable<number>): void;
  scalars(of: readonly Counted[]): (readonly number[])[];
}

/** A parameter, as far as its numbers go. */
export interface Counted {
  /** Tells parameters apart. */
  readonly index: number;
  readonly multipliers?: { readonly lrMult: number; readonly wdMult: number } | undefined;
}

/** One update's numbers, and those of its replays. */
export class Turn {
  /** Each parameter's scalars, as the last `run` left them. */
  scalars: readonly (readonly number[])[] = [];
  readonly #optimizer: Counter;
  readonly #of: readonly Counted[];
  readonly #indices: ReadonlySet<number>;
  /** What gradients are multiplied with; undefined for what the optimizer says. */
  readonly #rescale: number | undefined;
  /** What the last `run` has changed. */
  #before: Pick<Counter, 'progress' | 'rescaleGrad'>;

  constructor(optimizer: Counter, of: readonly Counted[], rescale?: number) {
    this.#optimizer = optimizer;
    this.#before = optimizer;
    this.#of = of;
    this.#indices = new Set(of.map(({ index }) => index));
    this.#rescale = rescale;
  }

  /** Counts one more update. If it throws (a scheduler may), nothing has changed. */
  run(): void {
    const optimizer = this.#optimizer;
    const { progress, rescaleGrad } = optimizer;
    this.#before = { progress, rescaleGrad };
    optimizer.rescaleGrad = this.#rescale ?? rescaleGrad;
    optimizer.count(this.#indices);
    try {
      this.scalars = optimizer.scalars(this.#of);
    } catch (error) {
      this.undo();
      throw error;
    }
  }

  /** Takes the last `run` back. */
  undo(): void {
    Object.assign(this.#optimizer, this.#before);
  }
}
