// Parameters' arrays and what happens to them: drawn, converted, averaged, cleared, freed. All of it is the library's own work, on no tape.
import { type NDArray, runInScope } from '../array/ndarray.ts';
import { outsideScopes } from '../array/scope.ts';
import { placeOf } from '../autograd/tape.ts';
import { type Context, cpu } from '../core/context.ts';
import type { DType } from '../core/dtype.ts';
import type { Shape } from '../core/shape.ts';
import { add, div } from '../ops/binary.ts';
import { zeros } from '../ops/creation.ts';
import { arrayFromBytes } from '../ops/invoke.ts';
import { setStridedSlice } from '../ops/slices.ts';
import { type HostArray, placeOn, readNow, readValues } from './hostArray.ts';
import type { Initializer } from './init.ts';
import { offTape, unrecorded } from './quiet.ts';

/** First values, drawn on cpu(0) and put on each context. */
export function draw(
  name: string,
  initializer: Initializer,
  contexts: readonly Context[],
  shape: Shape,
  dtype: DType,
): NDArray[] {
  return unrecorded(() =>
    outsideScopes(() => {
      const drawn = zeros(shape, { ctx: cpu(0), dtype });
      try {
        runInScope(
          () => `the initialization of ${name}`,
          true,
          () => initializer.initWeight(name, drawn),
        );
        return placeOn(contexts, readNow(drawn, name) as HostArray, name);
      } finally {
        drawn.dispose();
      }
    }),
  );
}

/** Values of one parameter on several contexts, as one in host memory: their mean. */
export async function meanOf(arrays: readonly NDArray[], op: string): Promise<HostArray> {
  const all = await Promise.all(arrays.map((array) => readValues(array, op)));
  const first = all[0] as HostArray;
  if (all.length === 1) return first;
  let mean = first;
  unrecorded(() =>
    outsideScopes(() =>
      runInScope(
        () => op,
        true,
        () => {
          const [home, ...others] = all.map((v) => arrayFromBytes(cpu(0), v.dtype, v.shape, v.data, op));
          const sum = others.reduce<NDArray>(add, home as NDArray);
          mean = readNow(div(sum, all.length), op) as HostArray;
        },
      ),
    ),
  );
  return mean;
}

/** Writes zeros into an array, over NaN too. */
export function clear(array: NDArray): void {
  offTape(() =>
    runInScope(
      () => 'zeroGrad',
      true,
      () => {
        const zero = zeros([1], { ctx: array.context, dtype: array.dtype });
        setStridedSlice(array, zero);
      },
    ),
  );
}

/** Gives the memory of an array's gradient back. */
export function freeGradient(array: NDArray): void {
  const variable = placeOf(array)?.variable;
  if (variable == null) return;
  variable.grad?.dispose();
  variable.grad = null;
}

/** Gives an array back, and its gradient. */
export function free(array: NDArray): void {
  freeGradient(array);
  array.dispose();
}
