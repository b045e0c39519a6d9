// Arrays made on the device from nothing: constants, ranges, identity matrices, random numbers.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import type { Context } from '../core/context.ts';
import { checkContext } from '../core/context.ts';
import { checkDType, type DType, isFloat } from '../core/dtype.ts';
import { ArgumentError, DTypeError, ShapeError } from '../core/errors.ts';
import { asShape, type Shape, sizeOf, toShape } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel } from '../ir/kernel.ts';
import { booleanArg, integerArg, numberArg, readArgs } from './args.ts';
import { invoke } from './invoke.ts';
import type { Op } from './op.ts';
import { defineOp } from './op.ts';
import { repeat } from './repeats.ts';
import { stridedCopy, zero } from './strided.ts';

const FAMILY = 'creation';

/** Where an array is made and of what kind. */
export interface ArrayOptions {
  /** The current context by default. */
  readonly ctx?: Context | undefined;
  /** float32 by default. */
  readonly dtype?: DType | undefined;
}

/** A shape; one number stands for one axis. */
export type ShapeLike = number | readonly number[];

interface MakeAttrs {
  readonly shape: Shape;
  readonly dtype: DType;
  readonly scalars: readonly number[];
}

function maker(name: string, expr: Parameters<typeof elementwiseKernel>[2]): Op<MakeAttrs> {
  const kernel = elementwiseKernel(name, 0, expr, -1);
  return defineOp<MakeAttrs>({
    name,
    family: FAMILY,
    infer: (_, { shape, dtype }) => [{ shape, dtype }],
    run: (emit, _, y, { scalars }) => emit.run(kernel, [], y, undefined, scalars),
    // it reads no array
    grad: null,
  });
}

const fullOp = maker('full', e.scalar(0));
const rangeOp = maker('arange', e.add(e.scalar(0), e.mul(e.index, e.scalar(1))));

/** `shape`, then options that may also hold it. */
type ShapeArg = ShapeLike | ({ readonly shape: ShapeLike } & ArrayOptions);

/** Makes an array of a shape, in the dtype and context that a call gives. */
function made(
  op: Op<MakeAttrs>,
  callee: string,
  values: Record<string, unknown>,
  shape: Shape,
  ...scalars: number[]
): NDArray {
  const dtype = checkDType(values['dtype'] ?? 'float32', callee);
  return invoke(op, [], { shape, dtype, scalars }, checkContext(values['ctx'], callee));
}

function shapeOf(callee: string, { shape }: Record<string, unknown>): Shape {
  if (shape === undefined)
    throw new ShapeError('expected a shape, received none. Write e.g. [2, 3].', { op: callee });
  return toShape(shape as ShapeLike, callee);
}

/** One record, called by another name in errors. */
function constant(callee: string, value: number): (shape: ShapeArg, options?: ArrayOptions) => NDArray {
  const op = { ...fullOp, callee };
  return (shape, options) => {
    const values = readArgs(callee, [shape, options], ['shape'], ['ctx', 'dtype']);
    return made(op, callee, values, shapeOf(callee, values), value);
  };
}

/** Zeros. @example nd.zeros([2, 3]) */
export const zeros: (shape: ShapeArg, options?: ArrayOptions) => NDArray = constant('zeros', 0);

/** Ones. @example nd.ones([2, 3], { ctx: gpu() }) */
export const ones: (shape: ShapeArg, options?: ArrayOptions) => NDArray = constant('ones', 1);

/** An array whose contents are not set: write before you read. (Zeros today; do not rely on it.) */
export const empty: (shape: ShapeArg, options?: ArrayOptions) => NDArray = constant('empty', 0);

/** One value everywhere. @example nd.full([2, 3], 2.0) */
export function full(
  shape:
    | ShapeLike
    | ({
        readonly shape: ShapeLike;
        readonly val?: number | undefined;
        readonly value?: number | undefined;
      } & ArrayOptions),
  value?: number | ArrayOptions,
  options?: ArrayOptions,
): NDArray {
  const values = readArgs('full', [shape, value, options], ['shape', 'value'], ['ctx', 'dtype', 'val']);
  const val = numberArg('full', { value: values['value'] ?? values['val'] }, 'value');
  return made(fullOp, 'full', values, shapeOf('full', values), val);
}

/** Zeros of another array's shape, dtype and context. */
export function zerosLike(x: NDArray): NDArray {
  return zeros(bodyOf(x, 'zerosLike').shape, { ctx: x.context, dtype: x.dtype });
}

/** Ones of another array's shape, dtype and context. */
export function onesLike(x: NDArray): NDArray {
  return ones(bodyOf(x, 'onesLike').shape, { ctx: x.context, dtype: x.dtype });
}

/** One value in another array's shape, dtype and context. */
export function fullLike(x: NDArray, value: number): NDArray {
  return full(bodyOf(x, 'fullLike').shape, value, { ctx: x.context, dtype: x.dtype });
}

/**
 * Numbers from `start` (0) to `stop` (not included) by `step` (1), each `repeat` times.
 * @example nd.arange(3) // [0, 1, 2]
 */
export function arange(
  start:
    | number
    | ({
        readonly start?: number | undefined;
        readonly stop?: number | undefined;
        readonly step?: number | undefined;
        readonly repeat?: number | undefined;
      } & ArrayOptions),
  stop?:
    | number
    | null
    | (ArrayOptions & { readonly step?: number | undefined; readonly repeat?: number | undefined }),
  step?: number | (ArrayOptions & { readonly repeat?: number | undefined }),
  options?: ArrayOptions & { readonly repeat?: number | undefined },
): NDArray {
  const values = readArgs(
    'arange',
    [start, stop, step, options],
    ['start', 'stop', 'step'],
    ['repeat', 'ctx', 'dtype'],
  );
  let from = numberArg('arange', values, 'start', 0);
  let to = values['stop'];
  if (to === undefined || to === null) [from, to] = [0, from];
  const by = numberArg('arange', values, 'step', 1);
  const end = numberArg('arange', { stop: to }, 'stop');
  if (by === 0 || ![from, end, by].every(Number.isFinite))
    throw new ArgumentError(
      `expected finite bounds and a step that is not 0, received start ${from}, stop ${end}, step ${by}. Check the range.`,
      { op: 'arange' },
    );
  const count = Math.max(0, Math.ceil((end - from) / by));
  const range = made(rangeOp, 'arange', values, asShape([count]), from, by);
  const times = integerArg('arange', values, 'repeat', 1, 1);
  if (times === 1) return range;
  const repeated = repeat(range, times);
  range.dispose();
  return repeated;
}

/** `num` numbers evenly spaced from `start` to `stop`, the latter included unless `endpoint: false`. */
export function linspace(
  start:
    | number
    | ({
        readonly start: number;
        readonly stop: number;
        readonly num: number;
        readonly endpoint?: boolean | undefined;
      } & ArrayOptions),
  stop?: number,
  num?: number,
  options?: ArrayOptions & { readonly endpoint?: boolean | undefined },
): NDArray {
  const values = readArgs(
    'linspace',
    [start, stop, num, options],
    ['start', 'stop', 'num'],
    ['endpoint', 'ctx', 'dtype'],
  );
  const [from, to] = [numberArg('linspace', values, 'start'), numberArg('linspace', values, 'stop')];
  const count = integerArg('linspace', values, 'num', undefined, 0);
  const gaps = booleanArg('linspace', values, 'endpoint', true) ? count - 1 : count;
  const step = gaps > 0 ? (to - from) / gaps : 0;
  return made(rangeOp, 'linspace', values, asShape([count]), from, step);
}

const one = elementwiseKernel('one', 0, e.constant(1), -1);

const eyeOp = defineOp<{ readonly shape: Shape; readonly k: number; readonly dtype: DType }>({
  name: 'eye',
  family: FAMILY,
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  run(emit, _, y, { shape, k }) {
    const [rows, columns] = shape;
    emit.run(zero, [], y);
    const [row, column] = k >= 0 ? [0, k] : [-k, 0];
    const count = Math.min(rows - row, columns - column);
    if (count <= 0) return;
    const single: Operand = emit.temporary([1], (y[0] as Operand).dtype);
    emit.run(one, [], [single]);
    emit.run(stridedCopy, [single], y, [1, 0, row * columns + column, count, 0, columns + 1]);
  },
  grad: null,
});

/** Ones on the k-th diagonal of an N × M matrix (M = N by default), zeros elsewhere. */
export function eye(
  N:
    | number
    | ({
        readonly N: number;
        readonly M?: number | undefined;
        readonly k?: number | undefined;
      } & ArrayOptions),
  M?: number | (ArrayOptions & { readonly k?: number | undefined }),
  k?: number | ArrayOptions,
  options?: ArrayOptions,
): NDArray {
  const values = readArgs('eye', [N, M, k, options], ['N', 'M', 'k'], ['ctx', 'dtype']);
  const rows = integerArg('eye', values, 'N', undefined, 0);
  const columns = integerArg('eye', values, 'M', 0, 0);
  return invoke(
    eyeOp,
    [],
    {
      shape: asShape([rows, columns === 0 ? rows : columns]),
      k: integerArg('eye', values, 'k', 0),
      dtype: checkDType(values['dtype'] ?? 'float32', 'eye'),
    },
    checkContext(values['ctx'], 'eye'),
  );
}

// --- random numbers: MXNet's own digits, drawn by the device's generators ---

function sampler(name: 'randomUniform' | 'randomNormal' | 'randomInt', callee: string): Op<MakeAttrs> {
  const kernel = customKernel(name);
  return defineOp<MakeAttrs>({
    name,
    callee,
    family: 'random',
    infer(_, { shape, dtype }) {
      if (name === 'randomInt' ? dtype !== 'int32' : !isFloat(dtype))
        throw new DTypeError(
          `expected ${name === 'randomInt' ? 'int32' : 'float32, float16 or float64'}, received ${dtype}. Draw, then convert with astype.`,
          { op: callee },
        );
      return [{ shape, dtype }];
    },
    run(emit, _, y, { scalars }) {
      if (sizeOf((y[0] as Operand).shape) > 0) emit.run(kernel, [], y, undefined, scalars);
    },
    // a draw depends on no array
    grad: null,
  });
}

const uniformOp = sampler('randomUniform', 'random.uniform');
const normalOp = sampler('randomNormal', 'random.normal');
const randintOp = sampler('randomInt', 'random.randint');

const shuffleKernel = customKernel('randomShuffle');
const shuffleOp = defineOp<{ readonly count: number; readonly vector: boolean }>({
  name: 'shuffleOrder',
  callee: 'random.shuffle',
  family: 'random',
  infer: (_, { count }) => [{ shape: asShape([count]), dtype: 'int32' }],
  run: (emit, _, y, { vector }) => emit.run(shuffleKernel, [], y, [vector ? 1 : 0]),
  grad: null,
});

/** A random order of `count` rows, int32; `vector` for arrays of one axis, which MXNet shuffles in another way. */
export function shuffleOrder(count: number, vector: boolean, context: Context): NDArray {
  return invoke(shuffleOp, [], { count, vector }, context);
}

/** Draws into a new array: what initialisers use. */
export function drawUniform(
  low: number,
  high: number,
  shape: Shape,
  dtype: DType,
  context: Context,
): NDArray {
  return invoke(uniformOp, [], { shape, dtype, scalars: [low, high] }, context);
}

export function drawNormal(
  loc: number,
  scale: number,
  shape: Shape,
  dtype: DType,
  context: Context,
): NDArray {
  return invoke(normalOp, [], { shape, dtype, scalars: [loc, scale] }, context);
}

export function drawIntegers(low: number, high: number, shape: Shape, context: Context): NDArray {
  return invoke(randintOp, [], { shape, dtype: 'int32', scalars: [low, high] }, context);
}
