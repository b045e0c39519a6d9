// The base of optimizers: rates, decay, counts of updates, and states. What a step computes is each optimizer's rule; over which parameters it goes is left to the
// Trainer.
import type { NDArray } from '../../array/ndarray.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe } from '../../core/shape.ts';
import { booleanArg, integerArg, numberArg, readArgs } from '../../ops/args.ts';
import { zeros } from '../../ops/creation.ts';
import { slots } from '../../ops/invoke.ts';
import { makeOwned } from '../hostArray.ts';
import { type AnyScheduler, isScheduler } from '../lrScheduler.ts';
import { unrecorded } from '../quiet.ts';
import { applyUpdate, checkUpdate, recordUpdate } from './apply.ts';
import { Arenas, type UpdateItem } from './arena.ts';
import type { UpdateRule } from './rule.ts';
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

const NAMES = [
  'learningRate',
  'wd',
  'clipGradient',
  'rescaleGrad',
  'lrScheduler',
  'beginNumUpdate',
  'multiPrecision',
];

/** Reads an optimizer's options: its own, named in `own`, and those of every one. */
export function optimizerOptions(
  op: string,
  options: unknown,
  own: readonly string[] = [],
): Record<string, unknown> {
  const values = readArgs(op, [options ?? undefined], [], [...own, ...NAMES]);
  if (values['multiPrecision'] !== undefined && values['multiPrecision'] !== false)
    throw new ArgumentError(
      `expected multiPrecision to be left out, received ${describe(values['multiPrecision'])}: there are no float32 copies of float16 weights here. Keep parameters in float32: net.cast('float32').`,
      { op },
    );
  return values;
}

/** A positive bound, or null for none; 0 counts as none, as in MXNet. */
export function boundArg(op: string, values: Record<string, unknown>, name: string): number | null {
  const value = values[name];
  if (value === undefined || value === null || value === 0) return null;
  const bound = numberArg(op, values, name);
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
  rescaleGrad: number;
  wd: number;
  readonly clipGradient: number | null;
  readonly lrScheduler: AnyScheduler | null;
  readonly #op: string;
  #learningRate: number;
  readonly #begin: number;
  #counts = new Map<number, number>();
  #numUpdate: number;

  /** @param values what `optimizerOptions` read @param rate the default learning rate */
  constructor(op: string, values: Record<string, unknown>, rate = 0.01) {
    this.#op = op;
    const scheduler = values['lrScheduler'] ?? null;
    if (scheduler !== null && !isScheduler(scheduler))
      throw new ArgumentError(
        `expected lrScheduler to be a scheduler, received ${describe(scheduler)}. Pass e.g. new lrScheduler.FactorScheduler(1000, 0.5), or a function of the number of updates.`,
        { op },
      );
    this.lrScheduler = scheduler;
    this.rescaleGrad = numberArg(op, values, 'rescaleGrad', 1);
    this.wd = numberArg(op, values, 'wd', 0);
    this.clipGradient = boundArg(op, values, 'clipGradient');
    this.#begin = integerArg(op, values, 'beginNumUpdate', 0, 0);
    this.#numUpdate = this.#begin;
    this.#learningRate = numberArg(op, values, 'learningRate', rate);
    const given = values['learningRate'] as number | undefined;
    if (given !== undefined && scheduler !== null && 'baseLr' in scheduler) scheduler.baseLr = given;
    booleanArg(op, values, 'multiPrecision', false);
  }

  /** `SGD`, `Adam`, … */
  get name(): string {
    return this.#op;
  }

  /** @internal What one step computes. */
  abstract readonly rule: UpdateRule;

  /** @internal The rule's scalars, by name. */
  abstract scalarsOf(numbers: StepNumbers): Readonly<Record<string, number>>;

  /** The current learning rate: the scheduler's at the current number of updates, where there is one. */
  get learningRate(): number {
    return this.lrScheduler === null ? this.#learningRate : this.lrScheduler(this.#numUpdate);
  }

  /** Sets the learning rate. @throws ArgumentError where a scheduler gives it */
  setLearningRate(rate: number): void {
    const op = this.#op;
    if (this.lrScheduler !== null)
      throw new ArgumentError(
        'expected an optimizer without a scheduler, received one whose scheduler gives the learning rate. Set the baseLr of the scheduler.',
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
    return unrecorded(() =>
      makeOwned(
        this.rule.states.map(() => context),
        (ctx) => zeros(shape, { ctx, dtype }),
      ),
    );
  }

  /** One update of one weight, in place; `state` is what `createState` gave. `index` tells weights apart, for their counts. */
  update(index: number, weight: NDArray, grad: NDArray, state: readonly NDArray[] = []): void {
    const item: UpdateItem = { weight, grad, states: state, scalars: [] };
    const op = this.#op;
    checkUpdate(op, item);
    if (state.length !== this.rule.states.length)
      throw new ArgumentError(
        `expected ${this.rule.states.length} states (${this.rule.states.join(', ')}), received ${state.length}. Pass what createState(index, weight) gave.`,
        { op },
      );
    const turn = new Turn(this, [{ index }]);
    turn.run();
    const next = (): readonly number[] => turn.scalars[0] as readonly number[];
    const due = [{ ...item, scalars: next() }];
    if (slots.trace === null) {
      applyUpdate(this.rule, due);
      return;
    }
    recordUpdate(this.rule, due, new Arenas(), next);
    slots.trace.effect(
      () => {
        turn.run();
        return true;
      },
      () => turn.undo(),
    );
  }

  /** @internal Counts one more update of each of some parameters. */
  count(indices: Iterable<number>): void {
    for (const index of indices) {
      const n = (this.#counts.get(index) ?? this.#begin) + 1;
      this.#counts.set(index, n);
      this.#numUpdate = Math.max(this.#numUpdate, n);
    }
  }

  /** @internal Takes a count back; `numUpdate` is what it was before. */
  uncount(indices: Iterable<number>, numUpdate: number): void {
    for (const index of indices) this.#counts.set(index, (this.#counts.get(index) ?? this.#begin) - 1);
    this.#numUpdate = numUpdate;
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

  /** @internal Counts and rate, for files. */
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
