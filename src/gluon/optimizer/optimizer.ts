// The base of optimizers: rates, decay, counts of updates, and states. What a step computes is each optimizer's rule; over which parameters it goes is left to the
// Trainer.
import type { NDArray } from '../../array/ndarray.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import { booleanArg, integerArg, numberArg, readArgs } from '../../ops/args.ts';
import { zeros } from '../../ops/creation.ts';
import { makeOwned } from '../hostArray.ts';
import { type AnyScheduler, isScheduler } from '../lrScheduler.ts';
import { unrecorded } from '../quiet.ts';
import { checkUpdate, runStep } from './apply.ts';
import { type Names, type RuleParts, type UpdateRule, type Updates, updateRule } from './rule.ts';
import { type Counted, Turn } from './turn.ts';

/** Options of every optimizer. */
export interface OptimizerOptions {
  /** 0.01 unless the optimizer says otherwise; with a scheduler, the scheduler's base. */
  readonly learningRate?: number | undefined;
  /** Weight decay, 0 by default. It reaches every parameter; see `wdMult` of Parameter. */
  readonly wd?: number | undefined;
  /** Keeps each element of the gradient within [−clipGradient, clipGradient]. */
  readonly clipGradient?: number | null | undefined;
  /** Multiplies gradients; 1 by default. A Trainer divides it by the batch size. */
  readonly rescaleGrad?: number | undefined;
  /** Gives the learning rate by the number of updates: one of `lrScheduler`, or a function. */
  readonly lrScheduler?: AnyScheduler | null | undefined;
  /** The number of updates to begin with; 0. */
  readonly beginNumUpdate?: number | undefined;
  /** Not available: state and arithmetic have the weight's dtype. */
  readonly multiPrecision?: false | undefined;
}

/** An optimizer's options that are numbers, switches or bounds, with their defaults; null for a bound that is left out. */
type Defaults = Readonly<Record<string, number | boolean | null>>;

const COMMON: Defaults = { learningRate: 0.01, wd: 0, clipGradient: null, rescaleGrad: 1 };
const OTHERS = ['lrScheduler', 'beginNumUpdate', 'multiPrecision'];

/** A positive bound, or null for none; 0 counts as none, as in MXNet. */
function boundArg(op: string, values: Record<string, unknown>, name: string): number | null {
  const bound = numberArg(op, values, name, 0);
  if (bound === 0) return null;
  if (!(bound > 0))
    throw new ArgumentError(`expected ${name} > 0, received ${bound}. Choose a bound, or leave it out.`, {
      op,
    });
  return bound;
}

/** What a parameter's scalars are made from. */
export interface StepNumbers {
  /** The learning rate, times the parameter's multiplier. */
  readonly lr: number;
  /** Weight decay, times the parameter's multiplier. */
  readonly wd: number;
  /** What gradients are multiplied with. */
  readonly rescale: number;
  /** The bound of gradients, 0 where there is none. */
  readonly clip: number;
  /** How many times the parameter has been updated, this update included. */
  readonly t: number;
}

/**
 * The base of optimizers. A Trainer makes one from a name and options, or takes one that is made.
 *
 * @example
 * const trainer = new gluon.Trainer(net.collectParams(), new optimizer.Adam({ learningRate: 0.002 }));
 */
export abstract class Optimizer {
  /** Multiplies gradients. */
  declare rescaleGrad: number;
  declare wd: number;
  declare readonly clipGradient: number | null;
  readonly lrScheduler: AnyScheduler | null;
  /** @internal */
  abstract readonly states: readonly string[];
  /** @internal */
  readonly layerwise: RuleParts['layerwise'] = null;
  readonly #op: string;
  /** The options as they were read. */
  readonly #options: Readonly<Record<string, number>>;
  #learningRate: number;
  readonly #begin: number;
  #counts = new Map<number, number>();
  #numUpdate: number;
  #rule: UpdateRule | undefined;

  /** @param defaults of the optimizer's own options, which become its properties, and of those of every one where they differ */
  constructor(op: string, options: unknown, defaults: Defaults = {}) {
    this.#op = op;
    const fallbacks = { ...COMMON, ...defaults };
    const names = Object.keys(fallbacks);
    const values = readArgs(op, [options ?? undefined], [], [...names, ...OTHERS]);
    const { lrScheduler: scheduler = null, multiPrecision = false } = values;
    if (multiPrecision !== false)
      throw new ArgumentError(
        `expected multiPrecision to be left out, received ${describe(multiPrecision)}. Keep parameters in float32: net.cast('float32').`,
        { op },
      );
    if (scheduler !== null && !isScheduler(scheduler))
      throw new ArgumentError(
        `expected lrScheduler to be a scheduler, received ${describe(scheduler)}. Pass e.g. new lrScheduler.FactorScheduler(1000, 0.5), or a function of the number of updates.`,
        { op },
      );
    this.lrScheduler = scheduler;
    const read = Object.entries(fallbacks).map(([name, fallback]) => [
      name,
      fallback === null
        ? boundArg(op, values, name)
        : typeof fallback === 'number'
          ? numberArg(op, values, name, fallback)
          : booleanArg(op, values, name, fallback),
    ]);
    const { learningRate, ...own } = Object.fromEntries(read) as Record<string, number>;
    this.#learningRate = learningRate as number;
    this.#options = own;
    Object.assign(this, own);
    this.#begin = integerArg(op, values, 'beginNumUpdate', 0, 0);
    this.#numUpdate = this.#begin;
    const given = values['learningRate'] as number | undefined;
    if (given !== undefined && scheduler !== null && 'baseLr' in scheduler) scheduler.baseLr = given;
  }

  /** `SGD`, `Adam`, … */
  get name(): string {
    return this.#op;
  }

  /** @internal What one step computes. */
  get rule(): UpdateRule {
    this.#rule ??= updateRule(this.#op.toLowerCase(), this.clipGradient !== null, this);
    return this.#rule;
  }

  /** @internal The rule's arithmetic. */
  abstract updates(v: Names<string>, clipped: (x: Expr) => Expr): Updates;

  /** @internal The rule's scalars, by name: the options, and what follows from them at a step. */
  scalarsOf(numbers: StepNumbers): Readonly<Record<string, number>> {
    return { ...this.#options, ...numbers };
  }

  /** The current learning rate: the scheduler's at the current number of updates, where there is one. */
  get learningRate(): number {
    return this.lrScheduler === null ? this.#learningRate : this.lrScheduler(this.#numUpdate);
  }

  /** Sets the learning rate. @throws ArgumentError where a scheduler gives it */
  setLearningRate(rate: number): void {
    const op = this.#op;
    if (this.lrScheduler !== null)
      throw new ArgumentError(
        "expected an optimizer without a scheduler, received one whose scheduler gives the learning rate. Set the scheduler's baseLr.",
        { op },
      );
    if (typeof rate !== 'number' || Number.isNaN(rate))
      throw new ArgumentError(`expected a number, received ${describe(rate)}. Pass e.g. 0.1.`, { op });
    this.#learningRate = rate;
  }

  /** The greatest number of updates that any parameter has had. */
  get numUpdate(): number {
    return this.#numUpdate;
  }

  /** The states of a weight, zeros, kept by the library. */
  createState(_index: number, weight: NDArray): NDArray[] {
    const { shape, dtype, context } = weight;
    return unrecorded(() => makeOwned(this.rule.states, () => zeros(shape, { ctx: context, dtype })));
  }

  /** One update of one weight, in place; `state` is what `createState` gave. `index` tells weights apart, for their counts. */
  update(index: number, weight: NDArray, grad: NDArray, state: readonly NDArray[] = []): void {
    const item = { weight, grad, states: state };
    const op = this.#op;
    checkUpdate(op, item);
    if (state.length !== this.rule.states.length)
      throw new ArgumentError(
        `expected ${this.rule.states.length} states (${this.rule.states.join(', ')}), received ${state.length}. Pass what createState(index, weight) gave.`,
        { op },
      );
    const turn = new Turn(this, [{ index }]);
    turn.run();
    runStep({
      rule: this.rule,
      arrays: [item],
      turn,
      memory: { arenas: null },
      isDue: () => true,
      settle: () => undefined,
    });
  }

  /** @internal Counts one more update of each of some parameters. */
  count(indices: Iterable<number>): void {
    for (const index of indices) {
      const n = (this.#counts.get(index) ?? this.#begin) + 1;
      this.#counts.set(index, n);
      this.#numUpdate = Math.max(this.#numUpdate, n);
    }
  }

  /** @internal Parameters' scalars for the update that was counted last, in the rule's order; those that are alike have one list. */
  scalars(of: readonly Counted[]): (readonly number[])[] {
    const lr = this.learningRate;
    const { wd, rescaleGrad: rescale, rule } = this;
    const clip = this.clipGradient ?? 0;
    const known: { lr: number; wd: number; t: number; list: readonly number[] }[] = [];
    return of.map(({ index, multipliers = ONES }) => {
      const [rate, decay] = [lr * multipliers.lrMult, wd * multipliers.wdMult];
      const t = this.#counts.get(index) ?? this.#begin;
      const same = known.find((k) => k.lr === rate && k.wd === decay && k.t === t);
      if (same !== undefined) return same.list;
      const numbers = { lr: rate, wd: decay, rescale, clip, t };
      const values = this.scalarsOf(numbers);
      const list = rule.scalars.map((name) => values[name] as number);
      known.push({ ...numbers, list });
      return list;
    });
  }

  /** @internal Counts and rate, for files and to be put back. */
  get progress(): {
    readonly learningRate: number;
    readonly numUpdate: number;
    readonly counts: readonly (readonly [number, number])[];
  } {
    return { learningRate: this.#learningRate, numUpdate: this.#numUpdate, counts: [...this.#counts] };
  }

  set progress(value) {
    this.#learningRate = value.learningRate;
    this.#numUpdate = value.numUpdate;
    this.#counts = new Map(value.counts);
  }
}

const ONES = { lrMult: 1, wdMult: 1 };
