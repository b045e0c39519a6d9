// Sums that stay on the device from batch to batch, exact for counts and nearly so for floats, in a few scalars of the library's own.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import type { DType } from '../../core/dtype.ts';
import { ArgumentError } from '../../core/errors.ts';
import { asShape, sizeOf } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import { rowKernel } from '../../ir/kernel.ts';
import { asscalar, isRefused } from '../../nd/reading.ts';
import { add, iadd } from '../../ops/binary.ts';
import { zeros } from '../../ops/creation.ts';
import { invoke, slots } from '../../ops/invoke.ts';
import { copy } from '../../ops/moves.ts';
import type { Op, TensorType } from '../../ops/op.ts';
import { makeOwned } from '../hostArray.ts';
import { clear } from '../parameterValues.ts';
import { unrecorded } from '../quiet.ts';

/** After so many additions a sum of floats is added to the next level and begins anew, so that small terms are not lost in a large sum. */
const SPAN = 32;

/** One sum on one device. */
interface Running {
  readonly device: object;
  readonly dtype: DType;
  /** Level k + 1 holds what levels k summed up before. Each stays where it is: a compiled step adds to the first. */
  readonly levels: NDArray[];
  added: number;
  /** Whether a compiled step adds to it. */
  compiled: boolean;
}

/** An array of the library's own, which no recorder sees made. */
function own(like: NDArray, make: () => NDArray): NDArray {
  return unrecorded(() => makeOwned([like.context], make)[0] as NDArray);
}

/** Counts one more addition, which is to come. Full levels go to those above before. */
function advance(running: Running): void {
  const { levels, dtype } = running;
  if (running.added > 0 && dtype !== 'int32')
    for (let k = 0, span = SPAN; running.added % span === 0; k++, span *= SPAN) {
      const full = levels[k] as NDArray;
      const above = levels[k + 1];
      if (above === undefined) levels.push(own(full, () => copy(full)));
      else unrecorded(() => iadd(above, full));
      unrecorded(() => clear(full));
    }
  running.added++;
}

/** A sum of one-element arrays, on each device that some come from. int32 sums are exact up to 2³¹. */
export class RunningSum {
  /** One for each device and dtype. */
  #sums: Running[] = [];

  /** Adds the element of `x`; `x` stays the caller's. Call it off the tape. */
  add(x: NDArray): void {
    const running = this.#runningFor(x);
    advance(running);
    iadd(running.levels[0] as NDArray, x);
    const { trace } = slots;
    if (trace === null) return;
    running.compiled = true;
    trace.effect(
      () => {
        advance(running);
        return true;
      },
      () => {
        running.added--;
      },
    );
  }

  #runningFor(x: NDArray): Running {
    const { device, dtype } = bodyOf(x, 'metric');
    const found = this.#sums.find((s) => s.device === device && s.dtype === dtype);
    if (found !== undefined) return found;
    const level = own(x, () => zeros([1], { ctx: x.context, dtype }));
    const running = { device, dtype, levels: [level], added: 0, compiled: false };
    this.#sums.push(running);
    return running;
  }

  /** The sum of all as it is at the call; nothing is waited for where nothing was added. */
  async total(): Promise<number> {
    if (isRefused('metric.get')) return new Promise(() => undefined);
    const values = await Promise.all(
      this.#sums.flatMap(({ levels }) => levels.map((array) => asscalar(array, 'metric.get'))),
    );
    return values.reduce((sum, value) => sum + value, 0);
  }

  /** Begins anew at 0, and gives the memory back, but for what compiled steps add to. @throws ArgumentError inside of one */
  reset(): void {
    if (slots.trace !== null)
      throw new ArgumentError(
        'expected a call outside of a compiled step, received one inside, which later calls would not repeat. Reset it between steps.',
        { op: 'metric.reset' },
      );
    for (const running of this.#sums) {
      for (const array of running.levels.splice(1)) array.dispose();
      running.added = 0;
      const first = running.levels[0] as NDArray;
      if (running.compiled) clear(first);
      else first.dispose();
    }
    this.#sums = this.#sums.filter((running) => running.compiled);
  }
}

/** A count on the host, which replays of a compiled step move on too. */
export class Tally {
  #value = 0;

  get value(): number {
    return this.#value;
  }

  add(n: number): void {
    this.#value += n;
    slots.trace?.effect(
      () => {
        this.#value += n;
        return true;
      },
      () => {
        this.#value -= n;
      },
    );
  }

  reset(): void {
    this.#value = 0;
  }
}

const outType = (dtype: DType, out: 'float' | 'int32'): DType =>
  out === 'int32' ? 'int32' : dtype === 'float64' ? 'float64' : 'float32';

/**
 * Makes a function that sums an expression over all elements of arrays of one size, shape [1]: in float32 (float64 for float64), or int32 where `out` says so.
 * Numbers are those of input 0. `finish` works on the sum (and on `length`, the number of elements).
 */
export function total(
  name: string,
  inputs: number,
  load: Expr,
  out: 'float' | 'int32',
  finish: (sum: Expr) => Expr = (sum) => sum,
): (arrays: readonly NDArray[], scalars?: readonly number[]) => NDArray {
  const kernel = rowKernel(name, inputs, [{ combine: 'sum', load }], finish(e.stage(0)), false);
  const op: Op<{ readonly scalars: readonly number[] }> = {
    name,
    family: 'metric',
    infer: ([x]) => [{ shape: asShape([1]), dtype: outType((x as TensorType).dtype, out) }],
    run(emit, x, y, { scalars }) {
      const length = sizeOf(x[0]?.shape ?? []);
      emit.run(kernel, x, y, [1, length, 1, ...x.flatMap(() => [length, 1, 1])], scalars);
    },
  };
  return (arrays, scalars = []) => invoke(op, arrays, { scalars });
}

/** The sum of one-element arrays of one device. */
export function sumOf(arrays: readonly NDArray[]): NDArray {
  return arrays.reduce((a, b) => add(a, b));
}
