// What all metrics share: lists of arrays, no tape, sums on the device, one readback.
import { bodyOf, NDArray, runInScope } from '../../array/ndarray.ts';
import { ArgumentError, ShapeError } from '../../core/errors.ts';
import { describe, shapeText } from '../../core/shape.ts';
import { readNow } from '../../nd/reading.ts';
import { readArgs } from '../../ops/args.ts';
import { offTape } from '../quiet.ts';
import { RunningSum, Tally } from './sums.ts';

/** Options of every metric. */
export interface MetricOptions {
  /** What `get` calls it. */
  readonly name?: string | undefined;
}

/** Arrays as `update` takes them. */
export type Arrays = NDArray | readonly NDArray[];

/** Reads a metric's options: its own, named in `own`, and its name. */
export function metricOptions(
  op: string,
  args: readonly unknown[],
  positional: readonly string[] = [],
  own: readonly string[] = [],
): Record<string, unknown> {
  const values = readArgs(op, args, positional, [...own, 'name']);
  if (values['name'] !== undefined && typeof values['name'] !== 'string')
    throw new ArgumentError(
      `expected a name as text, received ${describe(values['name'])}. Write { name: 'accuracy' }.`,
      { op },
    );
  return values;
}

function listOf(op: string, what: string, value: unknown): readonly NDArray[] {
  const list: unknown[] = value instanceof NDArray ? [value] : Array.isArray(value) ? value : [];
  if (list.length === 0 || list.some((x) => !(x instanceof NDArray)))
    throw new ArgumentError(
      `expected ${what} as an array or a list of arrays, received ${describe(value)}. ${value instanceof Promise ? 'It is a Promise: await it first.' : 'Pass NDArrays: update(labels, predictions).'}`,
      { op },
    );
  return list as NDArray[];
}

/**
 * The base of metrics. `update` sums up on the device, waits for nothing and keeps no tape; `get` reads once.
 *
 * @example
 * const accuracy = new metric.Accuracy();
 * for (const [x, y] of loader) accuracy.update(y, net(x));
 * const [name, value] = await accuracy.get();
 */
export abstract class EvalMetric {
  readonly name: string;
  /** The class's name, for errors. */
  protected readonly op: string;

  constructor(op: string, name: string) {
    this.op = op;
    this.name = name;
  }

  /** Takes in a batch, or one batch for each context. Labels come first. */
  update(labels: Arrays | null, preds: Arrays): void {
    const { op } = this;
    const predictions = listOf(op, 'predictions', preds);
    const truths = labels === null ? null : listOf(op, 'labels', labels);
    if (truths === null && !this.takesNoLabels)
      throw new ArgumentError(
        'expected labels, received null. Pass update(labels, predictions); only Loss needs no labels.',
        { op },
      );
    if (truths !== null && truths.length !== predictions.length)
      throw new ArgumentError(
        `expected as many arrays of labels as of predictions, received ${truths.length} and ${predictions.length}. Give one of each for every context.`,
        { op },
      );
    offTape(() =>
      runInScope(
        () => `${op}.update`,
        true,
        () => {
          this.measure(predictions, truths ?? []);
        },
      ),
    );
  }

  /** The name and the value over all updates since the last reset, NaN where there were none. */
  abstract get(): Promise<[string | string[], number | number[]]>;

  /** Begins anew. */
  abstract reset(): void;

  /** Names and values as pairs. */
  async getNameValue(): Promise<[string, number][]> {
    const [names, values] = await this.get();
    const numbers = [values].flat();
    return [names].flat().map((name, i) => [name, numbers[i] as number]);
  }

  toString(): string {
    return `EvalMetric: ${this.name}`;
  }

  /** Whether labels may be null. */
  protected get takesNoLabels(): boolean {
    return false;
  }

  /** Takes in arrays that are checked to be arrays; what it makes is freed after. */
  protected abstract measure(preds: readonly NDArray[], labels: readonly NDArray[]): void;
}

/** A metric that is a sum over a number of samples (or of batches). */
export abstract class MeanMetric extends EvalMetric {
  readonly #sum = new RunningSum();
  readonly #count = new Tally();

  override async get(): Promise<[string, number]> {
    const [count, sum] = [this.#count.value, this.#sum.total()];
    return [this.name, this.valueFrom(await sum, count)];
  }

  override reset(): void {
    this.#sum.reset();
    this.#count.reset();
  }

  protected override measure(preds: readonly NDArray[], labels: readonly NDArray[]): void {
    // all that can throw comes before anything is added
    const parts = preds.map((pred, i) => this.measureOne(pred, labels[i] as NDArray));
    for (const { sum, count } of parts) {
      this.#sum.add(sum);
      this.#count.add(count);
    }
  }

  /** The sum of one batch, and over how many. */
  protected abstract measureOne(
    pred: NDArray,
    label: NDArray,
  ): { readonly sum: NDArray; readonly count: number };

  /** The value of a sum. */
  protected valueFrom(sum: number, count: number): number {
    return count === 0 ? Number.NaN : sum / count;
  }
}

/** Throws unless both have as many elements. */
export function checkSizes(op: string, pred: NDArray, label: NDArray): void {
  const [a, b] = [bodyOf(pred, op).shape, bodyOf(label, op).shape];
  if (pred.size !== label.size)
    throw new ShapeError(
      `expected labels for predictions of shape ${shapeText(a)}, received labels of shape ${shapeText(b)}. Both must be of one batch.`,
      { op },
    );
}

/** Throws for classes outside, where they can be seen at once; `ignored` may be anything. */
export function checkClasses(
  op: string,
  label: NDArray,
  classes: number,
  ignored: number | null = null,
): void {
  const bad = readNow(label, op)?.find((v: number) => v !== ignored && !(v > -1 && v < classes));
  if (bad !== undefined)
    throw new ArgumentError(
      `expected labels from 0 to ${classes - 1}, one of the ${classes} classes of the prediction, received ${bad}. Check the labels.`,
      { op },
    );
}
