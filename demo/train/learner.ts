// A network in training on one device: steps, looks at the test set, checkpoints of itself. When to do which is the session's business.
import { type Context, type gluon, type NDArray, type nn, viz } from 'webgluon';
import type { Pictures } from '../data.ts';
import type { Point } from './curve.ts';
import { classify, learn, makeLenet, makeStep } from './lenet.ts';
import type { Mistake, Place, Test } from './messages.ts';
import { epochOrder, gather } from './mnist.ts';
import { batchLength, rateAt, type Settings } from './settings.ts';

/** What of a network is worth keeping. */
export interface Knowledge {
  readonly parameters: Uint8Array<ArrayBuffer>;
  readonly states: Uint8Array<ArrayBuffer>;
}

interface Pending {
  readonly loss: Promise<number>;
  readonly right: Promise<number>;
  readonly seen: number;
  readonly count: number;
}

/** The loss is no number, or so far above that of guessing (ln 10 = 2.3) that the weights are beyond repair. */
export class DivergedError extends Error {
  static {
    DivergedError.prototype.name = 'DivergedError';
  }
}

const HOPELESS = 1000;

/** Steps whose loss has not been read yet. More would only fill the GPU's queue; fewer would leave it idle while we read. */
const IN_FLIGHT = 2;

/** Wrong pictures kept of a test, the surest first. */
const MISTAKES = 60;

export class Learner {
  readonly ctx: Context;
  readonly #net: nn.Sequential;
  readonly #trainer: gluon.Trainer;
  readonly #step: ReturnType<typeof makeStep>;
  #settings: Settings;
  #place: Place;
  #order: { readonly epoch: number; readonly indices: Int32Array } | undefined;
  #pending: Pending[] = [];

  private constructor(ctx: Context, settings: Settings, place: Place) {
    this.ctx = ctx;
    const { net, trainer } = makeLenet(settings.seed, ctx);
    this.#net = net;
    this.#trainer = trainer;
    this.#step = makeStep(net, trainer);
    this.#settings = settings;
    this.#place = place;
  }

  /** A new network, or one that knows what another knew. */
  static async make(ctx: Context, settings: Settings, place: Place, knowledge?: Knowledge): Promise<Learner> {
    const learner = new Learner(ctx, settings, place);
    if (knowledge === undefined) return learner;
    try {
      await learner.#net.loadParameters(knowledge.parameters, { ctx });
      await learner.#trainer.loadStates(knowledge.states);
      return learner;
    } catch (error) {
      learner.dispose();
      throw error;
    }
  }

  get place(): Place {
    return this.#place;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** Pictures and seed belong to the run that has begun, the rest takes effect at the next step. */
  set settings(settings: Settings) {
    const { pictures, seed } = this.#settings;
    this.#settings = { ...settings, pictures, seed };
  }

  get repr(): string {
    return String(this.#net);
  }

  get graph(): string {
    return viz.plotNetwork(this.#net, [1, 1, 28, 28]);
  }

  get seen(): number {
    return this.#place.epoch * this.#settings.pictures + this.#place.offset;
  }

  get learningRate(): number {
    return rateAt(this.#settings, this.seen);
  }

  /** One batch. Gives the figures of batches before it that are there by now. @throws DivergedError */
  async step(data: Pictures): Promise<Point[]> {
    const { step, epoch, offset } = this.#place;
    const { seed, pictures } = this.#settings;
    if (this.#order?.epoch !== epoch)
      this.#order = { epoch, indices: await epochOrder(seed, epoch, pictures) };
    const count = batchLength(this.#settings, offset);
    const batch = gather(data, this.#order.indices.subarray(offset, offset + count));

    this.#trainer.setLearningRate(this.learningRate);
    const { loss, right } = learn(this.#step, batch.pixels, batch.labels, this.ctx);
    const end = offset + count;
    this.#place =
      end < pictures
        ? { step: step + 1, epoch, offset: end }
        : { step: step + 1, epoch: epoch + 1, offset: 0 };
    const pending = { loss: read(loss), right: read(right), seen: this.seen, count };
    // Whoever settles hears of a failure; a learner that is given up has nobody who would.
    pending.loss.catch(() => {});
    pending.right.catch(() => {});
    this.#pending.push(pending);
    return this.#settle(this.ctx.deviceType === 'gpu' ? IN_FLIGHT : 0);
  }

  /** The figures of all batches so far. @throws DivergedError */
  flush(): Promise<Point[]> {
    return this.#settle(0);
  }

  async #settle(left: number): Promise<Point[]> {
    const points: Point[] = [];
    while (this.#pending.length > left) {
      const [first] = this.#pending.splice(0, 1);
      if (first === undefined) break;
      const [loss, right] = await Promise.all([first.loss, first.right]);
      if (!(loss < HOPELESS)) throw new DivergedError(`the loss is ${loss}`);
      points.push({ seen: first.seen, loss, accuracy: right / first.count, count: first.count });
    }
    return points;
  }

  /**
   * Runs the test pictures through the network. `between` runs after each batch and ends the test early by giving false; then there is no result.
   */
  async test(
    data: Pictures,
    count: number,
    between: (done: number) => Promise<boolean>,
  ): Promise<{ readonly test: Test; readonly mistakes: readonly Mistake[] } | undefined> {
    const { step } = this.#place;
    const size = data.side * data.side;
    const length = this.ctx.deviceType === 'gpu' ? 500 : 100;
    const mistakes: Mistake[] = [];
    let [right, sum] = [0, 0];
    for (let start = 0; start < count; start += length) {
      const end = Math.min(start + length, count);
      const probabilities = await classify(
        this.#net,
        data.pixels.subarray(start * size, end * size),
        this.ctx,
      );
      for (let index = start; index < end; index++) {
        const row = probabilities.subarray((index - start) * 10, (index - start + 1) * 10);
        const truth = data.labels[index] ?? 0;
        const share = Math.max(...row);
        const said = row.indexOf(share);
        sum -= Math.log(Math.max(row[truth] ?? 0, 1e-12));
        if (said === truth) right++;
        else mistakes.push({ index, truth, said, share, pixels: pictureAt(data, index) });
      }
      if (!(await between(end))) return undefined;
    }
    mistakes.sort((a, b) => b.share - a.share);
    return {
      test: { seen: this.seen, step, loss: sum / count, right, count },
      mistakes: mistakes.slice(0, MISTAKES),
    };
  }

  /** Ten probabilities for one picture. */
  async classify(pixels: Uint8Array): Promise<Float32Array<ArrayBuffer>> {
    return classify(this.#net, pixels, this.ctx);
  }

  /** The parameters and the trainer's states as they are now. Flush first: what diverged is not worth keeping. */
  async knowledge(): Promise<Knowledge> {
    const [parameters, states] = await Promise.all([this.#net.saveParameters(), this.#trainer.saveStates()]);
    return { parameters, states };
  }

  dispose(): void {
    this.#pending = [];
    this.#step.dispose();
    this.#net.dispose();
  }
}

async function read(value: NDArray): Promise<number> {
  try {
    return await value.asscalar();
  } finally {
    value.dispose();
  }
}

export function pictureAt({ pixels, side }: Pictures, index: number): Uint8Array<ArrayBuffer> {
  return pixels.slice(index * side * side, (index + 1) * side * side);
}
