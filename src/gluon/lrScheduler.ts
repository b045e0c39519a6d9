// The namespace `lrScheduler`: learning rates by the number of updates. The arithmetic is MXNet's (python/mxnet/lr_scheduler.py), without its memory: a scheduler
// gives the same rate for the same number whatever it was asked before.
import { ArgumentError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import { integerArg, numberArg, readArgs, wordArg } from '../ops/args.ts';

/** Options of every scheduler. */
export interface SchedulerOptions {
  /** The rate before any change; 0.01. An optimizer's `learningRate` replaces it. */
  readonly baseLr?: number | undefined;
  /** For so many updates the rate rises to the base; 0. */
  readonly warmupSteps?: number | undefined;
  /** Where it rises from; 0. */
  readonly warmupBeginLr?: number | undefined;
  /** 'linear' (default), or 'constant': the begin rate until the warm-up ends. */
  readonly warmupMode?: 'linear' | 'constant' | undefined;
}

const COMMON = ['baseLr', 'warmupSteps', 'warmupBeginLr', 'warmupMode'];

/** What gives a learning rate by the number of updates: a scheduler, or any function. */
export type AnyScheduler = ((numUpdate: number) => number) | LRScheduler;

/** Whether a value can serve as scheduler. */
export function isScheduler(value: unknown): value is AnyScheduler {
  return typeof value === 'function';
}

/** Makes an instance callable: `scheduler(100)`. */
class Callable {
  constructor() {
    const call = (numUpdate: number): number => (call as unknown as LRScheduler).rateAt(numUpdate);
    // a function's own `name` and `length` would hide a subclass's
    Reflect.deleteProperty(call, 'name');
    Reflect.deleteProperty(call, 'length');
    Object.setPrototypeOf(call, new.target.prototype as object);
    // biome-ignore lint/correctness/noConstructorReturn: a scheduler is a closure with its class's prototype, as blocks are
    return call as unknown as this;
  }
}

/** A scheduler is called with the number of updates so far, 1 at the first. */
export interface LRScheduler {
  (numUpdate: number): number;
}

/**
 * The base of schedulers: warm-up. Subclasses say what comes after.
 *
 * @example
 * class Halving extends lrScheduler.LRScheduler {
 *   override after(n: number): number {
 *     return this.baseLr * 0.5 ** Math.floor(n / 1000);
 *   }
 * }
 */
export abstract class LRScheduler extends Callable {
  readonly warmupSteps: number;
  readonly warmupBeginLr: number;
  readonly warmupMode: 'linear' | 'constant';
  #baseLr: number;

  constructor(options?: SchedulerOptions, op = 'LRScheduler') {
    super();
    const values = options as Record<string, unknown> | undefined;
    const given = values ?? {};
    this.#baseLr = numberArg(op, given, 'baseLr', 0.01);
    this.warmupSteps = integerArg(op, given, 'warmupSteps', 0, 0);
    this.warmupBeginLr = numberArg(op, given, 'warmupBeginLr', 0);
    this.warmupMode = wordArg(op, given, 'warmupMode', ['linear', 'constant'], 'linear');
    if (this.warmupBeginLr > this.#baseLr)
      throw new ArgumentError(
        `expected warmupBeginLr ≤ baseLr, received ${this.warmupBeginLr} and ${this.#baseLr}. A warm-up rises to the base.`,
        { op },
      );
  }

  /** The rate before any change. */
  get baseLr(): number {
    return this.#baseLr;
  }

  set baseLr(rate: number) {
    this.#baseLr = numberArg('lrScheduler', { baseLr: rate }, 'baseLr');
  }

  /** @internal What calling the scheduler gives. */
  rateAt(numUpdate: number): number {
    if (typeof numUpdate !== 'number')
      throw new ArgumentError(
        `expected the number of updates, received ${describe(numUpdate)}. Pass e.g. 1.`,
        {
          op: 'lrScheduler',
        },
      );
    if (numUpdate >= this.warmupSteps) return this.after(numUpdate);
    if (this.warmupMode === 'constant') return this.warmupBeginLr;
    return this.warmupBeginLr + ((this.#baseLr - this.warmupBeginLr) * numUpdate) / this.warmupSteps;
  }

  /** The rate once the warm-up is over. */
  protected abstract after(numUpdate: number): number;
}

function atMostOne(op: string, factor: number): number {
  if (factor > 1)
    throw new ArgumentError(
      `expected factor ≤ 1, received ${factor}. The rate is multiplied with it, and shall not grow.`,
      { op },
    );
  return factor;
}

/** Options of `FactorScheduler`. */
export interface FactorSchedulerOptions extends SchedulerOptions {
  readonly factor?: number | undefined;
  readonly stopFactorLr?: number | undefined;
}

/**
 * The rate times `factor` after every `step` updates, but never below `stopFactorLr`.
 * @example new lrScheduler.FactorScheduler(1000, 0.5, { baseLr: 0.1 });
 */
export class FactorScheduler extends LRScheduler {
  readonly step: number;
  readonly factor: number;
  readonly stopFactorLr: number;
  /** The last answer: how many changes, from which base, to which rate. */
  #known = { changes: 0, base: Number.NaN, rate: 0 };

  /** @param step updates between changes @param factor 1 @param stopFactorLr 1e-8 */
  constructor(
    step: number | (FactorSchedulerOptions & { readonly step: number }),
    factor?: number | FactorSchedulerOptions,
    stopFactorLr?: number | FactorSchedulerOptions,
    options?: SchedulerOptions,
  ) {
    const op = 'FactorScheduler';
    const values = readArgs(
      op,
      [step, factor, stopFactorLr, options],
      ['step', 'factor', 'stopFactorLr'],
      COMMON,
    );
    super(values, op);
    this.step = integerArg(op, values, 'step', undefined, 1);
    this.factor = atMostOne(op, numberArg(op, values, 'factor', 1));
    this.stopFactorLr = numberArg(op, values, 'stopFactorLr', 1e-8);
  }

  protected override after(numUpdate: number): number {
    // a change comes with the first update after `step` of them
    const changes = Math.max(0, Math.ceil(numUpdate / this.step) - 1);
    const base = this.baseLr;
    let { changes: done, rate } = this.#known;
    if (this.#known.base !== base || done > changes) {
      done = 0;
      rate = base;
    }
    for (; done < changes; done++) {
      rate = Math.max(rate * this.factor, this.stopFactorLr);
      if (rate === this.stopFactorLr || this.factor === 1) break;
    }
    this.#known = { changes, base, rate };
    return rate;
  }
}

/** Options of `MultiFactorScheduler`. */
export interface MultiFactorSchedulerOptions extends SchedulerOptions {
  readonly factor?: number | undefined;
}

/**
 * The rate times `factor` after each of the numbers of updates in `step`.
 * @example new lrScheduler.MultiFactorScheduler([1000, 2000], 0.1);
 */
export class MultiFactorScheduler extends LRScheduler {
  readonly step: readonly number[];
  readonly factor: number;

  /** @param step ascending numbers of updates @param factor 1 */
  constructor(
    step: readonly number[] | (MultiFactorSchedulerOptions & { readonly step: readonly number[] }),
    factor?: number | MultiFactorSchedulerOptions,
    options?: SchedulerOptions,
  ) {
    const op = 'MultiFactorScheduler';
    const values = readArgs(op, [step, factor, options], ['step', 'factor'], COMMON);
    super(values, op);
    const steps = values['step'];
    if (
      !Array.isArray(steps) ||
      steps.length === 0 ||
      steps.some(
        (s: unknown, i) =>
          !Number.isInteger(s) || (s as number) < 1 || (i > 0 && (s as number) <= (steps[i - 1] as number)),
      )
    )
      throw new ArgumentError(
        `expected step to be a list of ascending integers ≥ 1, received ${describe(steps)}. Write e.g. [1000, 2000].`,
        { op },
      );
    this.step = [...(steps as number[])];
    this.factor = atMostOne(op, numberArg(op, values, 'factor', 1));
  }

  protected override after(numUpdate: number): number {
    let rate = this.baseLr;
    for (const step of this.step) if (numUpdate > step) rate *= this.factor;
    return rate;
  }
}

/** Options of `CosineScheduler`. */
export interface CosineSchedulerOptions extends SchedulerOptions {
  /** The rate at the end; 0. */
  readonly finalLr?: number | undefined;
}

/** Options of `PolyScheduler`. */
export interface PolySchedulerOptions extends CosineSchedulerOptions {
  /** The exponent; 2. */
  readonly pwr?: number | undefined;
}

/** From the base to the final rate by the way from the warm-up's end to `maxUpdate`; the final rate from then on. */
abstract class Declining extends LRScheduler {
  readonly maxUpdate: number;
  readonly finalLr: number;

  constructor(op: string, values: Record<string, unknown>) {
    super(values, op);
    this.maxUpdate = integerArg(op, values, 'maxUpdate', undefined, 1);
    this.finalLr = numberArg(op, values, 'finalLr', 0);
    if (this.warmupSteps >= this.maxUpdate)
      throw new ArgumentError(
        `expected warmupSteps < maxUpdate, received ${this.warmupSteps} and ${this.maxUpdate}. Make the schedule longer.`,
        { op },
      );
  }

  protected override after(numUpdate: number): number {
    if (numUpdate > this.maxUpdate) return this.finalLr;
    const way = (numUpdate - this.warmupSteps) / (this.maxUpdate - this.warmupSteps);
    return this.finalLr + (this.baseLr - this.finalLr) * this.rest(way);
  }

  /** What is left of the way from 1 to 0, after a part of it. */
  protected abstract rest(way: number): number;
}

/**
 * From the base to `finalLr` in `maxUpdate` updates as (1 − n/maxUpdate)^pwr.
 * @example new lrScheduler.PolyScheduler(1000, 0.1, 2);
 */
export class PolyScheduler extends Declining {
  readonly pwr: number;

  /** @param maxUpdate updates until the final rate @param baseLr 0.01 @param pwr 2 @param finalLr 0 */
  constructor(
    maxUpdate: number | (PolySchedulerOptions & { readonly maxUpdate: number }),
    baseLr?: number | PolySchedulerOptions,
    pwr?: number | PolySchedulerOptions,
    finalLr?: number | PolySchedulerOptions,
    options?: SchedulerOptions,
  ) {
    const op = 'PolyScheduler';
    const values = readArgs(
      op,
      [maxUpdate, baseLr, pwr, finalLr, options],
      ['maxUpdate', 'baseLr', 'pwr', 'finalLr'],
      COMMON.slice(1),
    );
    super(op, values);
    this.pwr = numberArg(op, values, 'pwr', 2);
  }

  protected override rest(way: number): number {
    return (1 - way) ** this.pwr;
  }
}

/**
 * From the base to `finalLr` in `maxUpdate` updates along half a cosine. Loshchilov & Hutter, 2016.
 * @example new lrScheduler.CosineScheduler(1000, { baseLr: 0.1, warmupSteps: 50 });
 */
export class CosineScheduler extends Declining {
  /** @param maxUpdate updates until the final rate @param baseLr 0.01 @param finalLr 0 */
  constructor(
    maxUpdate: number | (CosineSchedulerOptions & { readonly maxUpdate: number }),
    baseLr?: number | CosineSchedulerOptions,
    finalLr?: number | CosineSchedulerOptions,
    options?: SchedulerOptions,
  ) {
    const op = 'CosineScheduler';
    super(
      op,
      readArgs(
        op,
        [maxUpdate, baseLr, finalLr, options],
        ['maxUpdate', 'baseLr', 'finalLr'],
        COMMON.slice(1),
      ),
    );
  }

  protected override rest(way: number): number {
    return (1 + Math.cos(Math.PI * way)) / 2;
  }
}
