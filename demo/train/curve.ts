// The training curve: one point for each batch, later one for several, so that a long run takes no more room than a short one.
// The worker keeps one for the checkpoint and the page one for the charts; both are fed the same points.

/** One batch: where it ended and what it gave. */
export interface Point {
  /** Pictures seen since the beginning, this batch's included. */
  readonly seen: number;
  /** The mean loss of the batch. */
  readonly loss: number;
  /** The share of the batch that the network got right, before this batch's update. */
  readonly accuracy: number;
  /** Pictures in the batch. */
  readonly count: number;
}

export interface CurveData {
  /** Batches in a bin. */
  readonly width: number;
  /** Batches in the last bin so far. */
  readonly held: number;
  readonly bins: readonly Point[];
}

const MOST = 1024;

export class Curve {
  #width = 1;
  #held = 0;
  #bins: Point[] = [];
  readonly #most: number;

  /** @param most bins, an even number; one more, and neighbours are joined in pairs */
  constructor(data?: CurveData, most = MOST) {
    this.#most = most;
    if (data === undefined) return;
    this.#width = data.width;
    this.#held = data.held;
    this.#bins = [...data.bins];
  }

  get bins(): readonly Point[] {
    return this.#bins;
  }

  get data(): CurveData {
    return { width: this.#width, held: this.#held, bins: [...this.#bins] };
  }

  add(point: Point): void {
    const last = this.#bins.at(-1);
    if (last !== undefined && this.#held < this.#width) {
      this.#bins[this.#bins.length - 1] = join(last, point);
      this.#held++;
      return;
    }
    if (this.#bins.length === this.#most) {
      this.#bins = Array.from({ length: this.#most / 2 }, (_, at) =>
        join(this.#bins[2 * at] as Point, this.#bins[2 * at + 1] as Point),
      );
      this.#width *= 2;
    }
    this.#bins.push(point);
    this.#held = 1;
  }
}

function join(a: Point, b: Point): Point {
  const count = a.count + b.count;
  return {
    seen: b.seen,
    loss: (a.loss * a.count + b.loss * b.count) / count,
    accuracy: (a.accuracy * a.count + b.accuracy * b.count) / count,
    count,
  };
}

/**
 * A running mean whose memory reaches `reach` pictures back, the shorter beginning made good (Kingma and Ba's bias
 * correction, arxiv.org/abs/1412.6980, section 3).
 */
export function smooth(bins: readonly Point[], value: (point: Point) => number, reach: number): number[] {
  let sum = 0;
  let weight = 0;
  return bins.map((point) => {
    const keep = Math.exp(-point.count / reach);
    sum = keep * sum + (1 - keep) * value(point);
    weight = keep * weight + (1 - keep);
    return sum / weight;
  });
}
