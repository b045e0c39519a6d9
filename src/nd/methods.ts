// Which functions are methods of NDArray: those that take an array first, but for layers' own (batchNorm, say), which only pages with such a layer
// load. Types derive from the functions' own; nothing is written twice.
import { NDArray } from '../array/ndarray.ts';
import type { BackwardOptions } from '../autograd/api.ts';
import type { GradReq } from '../autograd/mode.ts';
import type { TypedArray } from '../core/dtype.ts';
import { ArgumentError, ShapeError } from '../core/errors.ts';
import * as activation from '../ops/activation.ts';
import * as binary from '../ops/binary.ts';
import * as blocks from '../ops/blocks.ts';
import { clip } from '../ops/conditions.ts';
import { onesLike, zerosLike } from '../ops/creation.ts';
import { batchTake, gatherNd, oneHot, pick, take, takeAlongAxis } from '../ops/indexing.ts';
import * as joins from '../ops/joins.ts';
import * as moves from '../ops/moves.ts';
import { l2Normalization } from '../ops/normalize.ts';
import { argsort, cumsum, sort, type TopkOptions, type TopkReturn, topk } from '../ops/ordering.ts';
import { batchDot, dot, matmul } from '../ops/product.ts';
import * as reduce from '../ops/reduce.ts';
import * as repeats from '../ops/repeats.ts';
import * as slices from '../ops/slices.ts';
import * as softmax from '../ops/softmax.ts';
import * as unary from '../ops/unary.ts';
import * as views from '../ops/views.ts';
import { attachGrad, backward, gradOf } from './gradients.ts';
import { at, type Index, set, type Value } from './indexing.ts';
import { array, asscalar, type DataOf, data, type Nested, print, text } from './reading.ts';
import { asInContext, copyto, toCpu } from './transfer.ts';

const table = {
  ...unary,
  ...binary,
  ...activation,
  ...reduce,
  ...softmax,
  l2Normalization,
  dot,
  batchDot,
  matmul,
  reshape: views.reshape,
  reshapeLike: views.reshapeLike,
  expandDims: views.expandDims,
  squeeze: views.squeeze,
  flatten: views.flatten,
  detach: views.detach,
  astype: moves.astype,
  cast: moves.cast,
  copy: moves.copy,
  transpose: moves.transpose,
  swapaxes: moves.swapaxes,
  broadcastTo: moves.broadcastTo,
  broadcastLike: moves.broadcastLike,
  broadcastAxis: moves.broadcastAxis,
  slice: slices.slice,
  sliceAxis: slices.sliceAxis,
  sliceLike: slices.sliceLike,
  flip: slices.flip,
  reverse: slices.reverse,
  tile: repeats.tile,
  repeat: repeats.repeat,
  split: joins.split,
  pad: blocks.pad,
  spaceToDepth: blocks.spaceToDepth,
  depthToSpace: blocks.depthToSpace,
  take,
  pick,
  takeAlongAxis,
  batchTake,
  gatherNd,
  oneHot,
  clip,
  sort,
  argsort,
  topk,
  cumsum,
  zerosLike,
  onesLike,
  copyto,
  asInContext,
  toCpu,
};

/** All functions of an array by name: what `nn.Lambda('relu')` can name. */
export const arrayFunctions: Readonly<Record<string, unknown>> = table;

type Method<F> = F extends (x: never, ...rest: infer R) => infer Y ? (...rest: R) => Y : never;
type Table = typeof table;
type Derived = { [K in Exclude<keyof Table, 'topk'>]: Method<Table[K]> };

/** The methods of an NDArray: the functions of `nd` that take an array first, but for layers' own; and reading, indexing, printing. */
export interface NDArrayMethods extends Derived, Iterable<NDArray> {
  /** The transpose: axes reversed. Copies. */
  readonly T: NDArray;
  /** The gradient, zeros before the first `backward`; throws AutogradError before `attachGrad`. */
  readonly grad: NDArray;
  /** Asks for gradients by this array, into `x.grad`. */
  attachGrad(gradReq?: GradReq | { readonly gradReq?: GradReq | undefined }): void;
  /** Computes the gradients of this array's sum, or weighted by `outGrad`, into those of all variables it came from. */
  backward(outGrad?: NDArray | null | BackwardOptions, options?: BackwardOptions): void;
  /** The `k` greatest along an axis; see `nd.topk`. */
  topk<R extends TopkReturn = 'indices'>(
    k?: number | ({ readonly k?: number | undefined } & TopkOptions<R>),
    options?: TopkOptions<R>,
  ): R extends 'both' ? [NDArray, NDArray] : NDArray;
  /**
   * A fresh flat copy of the values as they are now: a typed array of the dtype (float16 as Float32Array, bool as Uint8Array of 0 and 1), or of
   * the dtype that is named.
   * @example const v = await x.data('float32'); // Float32Array
   */
  data(): Promise<TypedArray>;
  data<D extends keyof DataOf>(dtype: D): Promise<DataOf[D]>;
  /** The values as nested arrays of numbers (booleans for bool). */
  array(): Promise<Nested>;
  /** The value of an array with one element. */
  asscalar(): Promise<number>;
  /** The value of an array with one element; the same as `asscalar`. */
  item(): Promise<number>;
  /** Prints the values as they are now, as Gluon does; calls print in their order. */
  print(): Promise<void>;
  /** What Gluon prints: the values of a CPU array; a GPU array shows its header only, since its values must be awaited. */
  toString(): string;
  /**
   * Elements by indices, one for each axis: a number (its axis goes), a range as text ('1:3', '::2', ':'), '...', null (a new axis), an array of
   * indices. Copies.
   * @example
   * y.at(1, 2);        // y[1, 2]
   * y.at(':', '1:3');  // y[:, 1:3]
   */
  at(...index: Index[]): NDArray;
  /**
   * Writes into the elements that `index` names (as in `at`); the value broadcasts. Returns the array.
   * @example y.set([':', '1:3'], 2) // y[:, 1:3] = 2
   */
  set(index: Index | readonly Index[], value: Value): NDArray;
}

/** What operators on arrays should have been: JavaScript has no operator overloading, so the mistake is named. */
function toPrimitive(x: NDArray, hint: string): string {
  if (hint === 'string') return text(x);
  throw new ArgumentError(
    `expected a method, received an operator such as ${hint === 'number' ? '< > - * /' : '+ =='} on an array. Write a.add(b), a.sub(b), a.mul(b), a.div(b), a.neg(), a.equal(b), a.greater(b), a.lesser(b); for its value, await a.asscalar(); for text, String(a).`,
    { op: 'NDArray' },
  );
}

function* itself(this: NDArray): Generator<NDArray> {
  yield this;
}

function* rows(x: NDArray): Generator<NDArray> {
  if (x.ndim === 0)
    throw new ShapeError(
      'expected an array with at least one axis to iterate over, received one without. Use await x.asscalar().',
      { op: 'NDArray' },
    );
  for (let i = 0; i < x.shape[0]; i++) {
    const row = at(x, [i]);
    // an element of a vector is a vector of one element: it is its own row, else whoever walks down (deep equality in test runners) never ends
    if (x.ndim === 1) Object.defineProperty(row, Symbol.iterator, { value: itself });
    yield row;
  }
}

const methods = {
  ...table,
  attachGrad,
  backward,
  data,
  array,
  asscalar: (x: NDArray) => asscalar(x, 'asscalar'),
  item: (x: NDArray) => asscalar(x, 'item'),
  print,
  toString: text,
  at: (x: NDArray, ...index: Index[]) => at(x, index),
  set,
  [Symbol.iterator]: rows,
  [Symbol.toPrimitive]: toPrimitive,
  // console.log in Node and Bun, and in Deno
  [Symbol.for('nodejs.util.inspect.custom')]: text,
  [Symbol.for('Deno.customInspect')]: text,
} as unknown as Readonly<Record<string | symbol, (x: NDArray, ...rest: unknown[]) => unknown>>;

for (const name of Reflect.ownKeys(methods)) {
  const f = methods[name] as (x: NDArray, ...rest: unknown[]) => unknown;
  Object.defineProperty(NDArray.prototype, name, {
    value(this: NDArray, ...rest: unknown[]) {
      return f(this, ...rest);
    },
    writable: true,
    configurable: true,
  });
}
Object.defineProperty(NDArray.prototype, 'grad', {
  get(this: NDArray) {
    return gradOf(this);
  },
  configurable: true,
});
Object.defineProperty(NDArray.prototype, 'T', {
  get(this: NDArray) {
    return moves.transpose(this);
  },
  configurable: true,
});

// console.log in DevTools, where custom formatters are enabled in its settings
interface Formatter {
  header(value: unknown): unknown;
  hasBody(value: unknown): boolean;
}
const page = globalThis as { devtoolsFormatters?: Formatter[] };
if (typeof document !== 'undefined')
  page.devtoolsFormatters = [
    ...(page.devtoolsFormatters ?? []),
    {
      header: (value) =>
        value instanceof NDArray
          ? ['div', { style: 'white-space: pre; font-family: monospace' }, text(value)]
          : null,
      hasBody: () => false,
    },
  ];
