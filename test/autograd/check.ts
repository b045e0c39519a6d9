// Gradients against central differences in float64 on the CPU device: first derivatives against differences of values, second ones against differences of first
// ones. Both weigh outputs and gradients with fixed numbers, so that every element counts on its own.
import { expect } from 'vitest';
import { autograd, type Context, cpu, type DType, type NDArray, nd } from 'webgluon';
import { readNow } from '../../src/nd/reading.ts';
import { differences, numbers } from '../values.ts';

/** One differentiable input, or with `fixed` one that only travels along (indices, labels). */
export interface Input {
  readonly shape: readonly number[];
  readonly values: readonly number[];
  readonly fixed?: 'int32' | 'float64' | undefined;
}

/** Numbers of a shape, evenly distributed in [low, high). */
export function input(shape: readonly number[], low = -1, high = 1, seed = 1): Input {
  return {
    shape,
    values: numbers(
      shape.reduce((n, d) => n * d, 1),
      low,
      high,
      17 * seed + shape.length,
    ),
  };
}

/** Whole numbers that no gradient is asked for. */
export function indices(shape: readonly number[], values: readonly number[]): Input {
  return { shape, values, fixed: 'int32' };
}

export type Computation = (...xs: NDArray[]) => NDArray | readonly NDArray[];

function values(x: NDArray): Float64Array {
  return Float64Array.from(readNow(x, 'test') as ArrayLike<number>);
}

function arrays(inputs: readonly Input[], ctx: Context = cpu(), float: DType = 'float64'): NDArray[] {
  return inputs.map(({ shape, values: v, fixed = 'float64' }) =>
    nd.array([...v], { shape, dtype: fixed === 'float64' ? float : fixed, ctx }),
  );
}

/** Σ over all outputs of fixed weights times them. */
function weigh(outputs: readonly NDArray[]): NDArray {
  return outputs
    .map((y, i) =>
      y
        .mul(nd.array(numbers(y.size, 0.5, 1.5, 100 + i), { shape: y.shape, dtype: y.dtype, ctx: y.context }))
        .sum(),
    )
    .reduce((a, b) => a.add(b));
}

function list(result: NDArray | readonly NDArray[]): readonly NDArray[] {
  return (Array.isArray(result) ? result : [result]) as readonly NDArray[];
}

const floats = (outputs: readonly NDArray[]): readonly NDArray[] =>
  outputs.filter((y) => y.dtype.startsWith('float'));

function value(f: Computation, inputs: readonly Input[]): number {
  return nd.scope(() => values(weigh(floats(list(f(...arrays(inputs))))))[0] as number);
}

/** The gradients by all differentiable inputs, one after the other. */
function gradient(f: Computation, inputs: readonly Input[]): number[] {
  return nd.scope(() => {
    const xs = arrays(inputs);
    const variables = xs.filter((_, i) => inputs[i]?.fixed === undefined);
    for (const x of variables) x.attachGrad();
    const loss = autograd.record(() => weigh(floats(list(f(...xs)))));
    loss.backward();
    return variables.flatMap((x) => [...values(x.grad)]);
  });
}

/** d/dx of Σ v·(the gradient by x) through a recorded gradient. */
function second(f: Computation, inputs: readonly Input[]): number[] {
  return nd.scope(() => {
    const xs = arrays(inputs);
    const variables = xs.filter((_, i) => inputs[i]?.fixed === undefined);
    for (const x of variables) x.attachGrad();
    const loss = autograd.record(() => {
      const first = autograd.grad(weigh(floats(list(f(...xs)))), variables, { createGraph: true });
      // and the variables themselves, so that all of them are reached
      return weigh(first).add(weigh(variables));
    });
    loss.backward();
    return variables.flatMap((x, k) => {
      const own = numbers(x.size, 0.5, 1.5, 100 + k);
      return [...values(x.grad)].map((g, i) => g - (own[i] as number));
    });
  });
}

function weights(inputs: readonly Input[]): number[] {
  return inputs
    .filter((x) => x.fixed === undefined)
    .flatMap((x, i) => numbers(x.values.length, 0.5, 1.5, 100 + i));
}

/** (g(x + h) − g(x − h)) / 2h for each element of each differentiable input. */
function slopes<T>(
  inputs: readonly Input[],
  at: (inputs: readonly Input[]) => T,
  join: (up: T, down: T, width: number) => number,
): number[] {
  return inputs.flatMap((x, k) =>
    x.fixed !== undefined
      ? []
      : x.values.map((v, i) => {
          const h = 1e-5 * Math.max(1, Math.abs(v));
          const moved = (by: number): readonly Input[] =>
            inputs.map((o, j) =>
              j === k ? { ...o, values: o.values.map((w, m) => (m === i ? w + by : w)) } : o,
            );
          return join(at(moved(h)), at(moved(-h)), 2 * h);
        }),
  );
}

/** Expects first (and second) derivatives of `f` to be those that differences give. */
export function expectGradients(f: Computation, inputs: readonly Input[], twice = true): void {
  const numeric = slopes(
    inputs,
    (at) => value(f, at),
    (up, down, width) => (up - down) / width,
  );
  expect(differences(gradient(f, inputs), numeric, { rtol: 1e-6, atol: 1e-7 })).toEqual([]);
  if (!twice) return;
  const v = weights(inputs);
  const dot = (g: readonly number[]): number => g.reduce((sum, x, i) => sum + x * (v[i] as number), 0);
  const change = slopes(
    inputs,
    (at) => dot(gradient(f, at)),
    (up, down, width) => (up - down) / width,
  );
  expect(differences(second(f, inputs), change, { rtol: 1e-5, atol: 1e-6 })).toEqual([]);
}

/** The gradients that a device computes in float32, one after the other. */
export async function gradientsOn(ctx: Context, f: Computation, inputs: readonly Input[]): Promise<number[]> {
  const kept = nd.scope(() => {
    const xs = arrays(inputs, ctx, 'float32');
    const variables = xs.filter((_, i) => inputs[i]?.fixed === undefined);
    for (const x of variables) x.attachGrad();
    const loss = autograd.record(() => weigh(floats(list(f(...xs)))));
    loss.backward();
    return variables.map((x) => x.grad.copy());
  });
  const read = await Promise.all(kept.map((g) => g.data()));
  for (const g of kept) g.dispose();
  return read.flatMap((v) => [...v]);
}
