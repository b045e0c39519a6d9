// One net twice, with the same first values and the same random numbers: as it is, and hybridized. Whatever is done to both must give the same results, gradients and state.
import { expect } from 'vitest';
import { autograd, type Context, type DType, NDArray, nd, type nn } from 'webgluon';
import { differences, numbers, type Tolerance } from './values.ts';

/** Any block, called with anything. */
export type AnyNet = nn.Block & { forward(...inputs: unknown[]): unknown };

/** In which mode a call runs: recorded ones are followed by a backward. */
export type Mode = 'inference' | 'training' | 'record' | 'record, inference';

/** An input: an array is made of it anew for each twin. */
export interface Input {
  readonly shape: readonly number[];
  readonly dtype?: DType | undefined;
  readonly values?: ((count: number, seed: number) => readonly number[]) | undefined;
  /** Whether its gradient is asked for in recorded calls; that of floats is by default. */
  readonly attach?: boolean | undefined;
}

export interface Twins {
  readonly eager: AnyNet;
  readonly hybrid: AnyNet;
}

const HOLDER = { SEED: 77 };

/** Makes a net twice, and hybridizes the second. */
export function twins(
  make: () => nn.Block,
  ctx: Context,
  options: Parameters<nn.Block['hybridize']>[0] = {},
): Twins {
  const [eager, hybrid] = [0, 1].map(() => {
    nd.random.seed(HOLDER.SEED);
    const net = make() as AnyNet;
    net.initialize({ init: 'xavier', ctx });
    return net;
  }) as [AnyNet, AnyNet];
  // vectors are nothing for xavier: they have first values of their own, which are 0 and 1
  hybrid.hybridize(options);
  return { eager, hybrid };
}

/** All arrays in a value, in their order. */
export function arraysOf(value: unknown): NDArray[] {
  if (value instanceof NDArray) return [value];
  if (Array.isArray(value)) return value.flatMap(arraysOf);
  if (typeof value === 'object' && value !== null) return Object.values(value).flatMap(arraysOf);
  return [];
}

/** What a value is besides the values of its arrays. */
function formOf(value: unknown): unknown {
  if (value instanceof NDArray)
    return { shape: [...value.shape], dtype: value.dtype, ctx: String(value.context) };
  if (Array.isArray(value)) return value.map(formOf);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, formOf(part)]));
  return value;
}

/** What one call of a net left: results, gradients, parameters, each under a name. */
interface Seen {
  readonly form: unknown;
  readonly arrays: ReadonlyMap<string, ArrayLike<number>>;
}

function makeInput({ shape, dtype = 'float32', values }: Input, ctx: Context, seed: number): NDArray {
  const count = shape.reduce((n, d) => n * d, 1);
  return nd.array(values?.(count, seed) ?? numbers(count, -1, 1, seed), { ctx, shape, dtype }) as NDArray;
}

/** Calls a net and looks at everything there is to see. */
async function look(
  net: AnyNet,
  inputs: readonly (Input | readonly Input[] | string | number | null)[],
  mode: Mode,
  ctx: Context,
  seed: number,
): Promise<Seen> {
  const made: NDArray[] = [];
  const attached: NDArray[] = [];
  const recorded = mode === 'record' || mode === 'record, inference';
  const make = (input: Input, at: number): NDArray => {
    const array = makeInput(input, ctx, seed + at);
    made.push(array);
    if (recorded && (input.attach ?? array.dtype.startsWith('float'))) {
      array.attachGrad();
      attached.push(array);
    }
    return array;
  };
  const args = inputs.map((input, i) =>
    Array.isArray(input)
      ? (input as readonly Input[]).map((part, k) => make(part, 100 * i + k))
      : typeof input === 'object' && input !== null
        ? make(input as Input, 100 * i)
        : input,
  );
  nd.random.seed(seed);
  let output: unknown;
  if (mode === 'inference') output = net(...args);
  else if (mode === 'training') output = autograd.trainMode(() => net(...args));
  else output = autograd.record(() => net(...args), mode === 'record');
  const arrays = new Map<string, ArrayLike<number>>();
  const results = arraysOf(output);
  for (const [i, y] of results.entries()) arrays.set(`result ${i}`, await y.data());
  const parameters = [...net.collectParams().values()];
  if (recorded) {
    const heads = results.filter((y) => y.dtype.startsWith('float') && !args.includes(y));
    if (heads.length > 0 && (attached.length > 0 || parameters.some((p) => p.gradReq !== 'null'))) {
      autograd.backward(
        heads,
        heads.map((y, i) => makeInput({ shape: y.shape, dtype: y.dtype }, ctx, seed + 50 + i)),
      );
      for (const [i, x] of attached.entries()) arrays.set(`gradient by input ${i}`, await x.grad.data());
      for (const [i, p] of parameters.entries())
        if (p.gradReq !== 'null') arrays.set(`gradient by parameter ${i}`, await p.grad(ctx).data());
    }
  }
  for (const [i, p] of parameters.entries()) arrays.set(`parameter ${i}`, await p.data(ctx).data());
  const form = formOf(output);
  for (const x of [...made, ...results]) x.dispose();
  return { form, arrays };
}

/** Calls both twins with the same inputs and expects the same of both. */
export async function expectSame(
  { eager, hybrid }: Twins,
  inputs: readonly (Input | readonly Input[] | string | number | null)[],
  mode: Mode,
  ctx: Context,
  tolerance: Tolerance,
  seed = 1,
): Promise<void> {
  const [a, b] = [await look(eager, inputs, mode, ctx, seed), await look(hybrid, inputs, mode, ctx, seed)];
  expect(b.form).toEqual(a.form);
  expect([...b.arrays.keys()]).toEqual([...a.arrays.keys()]);
  const wrong: string[] = [];
  for (const [name, values] of a.arrays) {
    const found = differences(b.arrays.get(name) as ArrayLike<number>, values, tolerance);
    if (found.length > 0) wrong.push(`${mode}: ${name}: ${found.join('; ')}`);
  }
  expect(wrong).toEqual([]);
}
