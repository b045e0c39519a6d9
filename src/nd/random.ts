// Random numbers with MXNet's own digits, drawn where the array lives. One seed governs them, initialisers, dropout and shuffling; a fresh program
// always prints the same digits (seed 0).
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { checkContext } from '../core/context.ts';
import { checkDType } from '../core/dtype.ts';
import { ArgumentError, ShapeError } from '../core/errors.ts';
import { checkSeed } from '../core/random/mxnetCpu.ts';
import { toShape } from '../core/shape.ts';
import { seedDevices } from '../device/registry.ts';
import { integerArg, isOptions, numberArg, readArgs } from '../ops/args.ts';
import {
  type ArrayOptions,
  drawIntegers,
  drawNormal,
  drawUniform,
  type ShapeLike,
  shuffleOrder,
} from '../ops/creation.ts';
import { take } from '../ops/indexing.ts';
import { slots } from '../ops/invoke.ts';

/** What a draw may name besides its positional arguments. */
export interface RandomOptions extends ArrayOptions {
  readonly shape?: ShapeLike | undefined;
}

function shapeArg(op: string, values: Record<string, unknown>): ReturnType<typeof toShape> {
  return toShape((values['shape'] as ShapeLike | undefined) ?? [1], op);
}

/**
 * Numbers evenly distributed in [low, high), by default [0, 1), shape `[1]`.
 * @example
 * nd.random.uniform(-1, 1, [2, 3]);
 * nd.random.uniform({ shape: [2, 2], ctx: gpu() });
 */
export function uniform(
  low?: number | ({ readonly low?: number | undefined; readonly high?: number | undefined } & RandomOptions),
  high?: number | RandomOptions,
  shape?: ShapeLike | RandomOptions,
  options?: RandomOptions,
): NDArray {
  const op = 'random.uniform';
  const values = readArgs(op, [low, high, shape, options], ['low', 'high', 'shape'], ['ctx', 'dtype']);
  return drawUniform(
    numberArg(op, values, 'low', 0),
    numberArg(op, values, 'high', 1),
    shapeArg(op, values),
    checkDType(values['dtype'] ?? 'float32', op),
    checkContext(values['ctx'], op),
  );
}

/** Numbers of the normal distribution with mean `loc` (0) and standard deviation `scale` (1). */
export function normal(
  loc?: number | ({ readonly loc?: number | undefined; readonly scale?: number | undefined } & RandomOptions),
  scale?: number | RandomOptions,
  shape?: ShapeLike | RandomOptions,
  options?: RandomOptions,
): NDArray {
  const op = 'random.normal';
  const values = readArgs(op, [loc, scale, shape, options], ['loc', 'scale', 'shape'], ['ctx', 'dtype']);
  const deviation = numberArg(op, values, 'scale', 1);
  if (!(deviation > 0))
    throw new ArgumentError(`expected a scale above 0, received ${deviation}. It is the deviation.`, { op });
  return drawNormal(
    numberArg(op, values, 'loc', 0),
    deviation,
    shapeArg(op, values),
    checkDType(values['dtype'] ?? 'float32', op),
    checkContext(values['ctx'], op),
  );
}

/** Numbers of the normal distribution, the shape given by extents: `randn(2, 3)`. */
export function randn(
  ...args: (
    | number
    | ({ readonly loc?: number | undefined; readonly scale?: number | undefined } & ArrayOptions)
  )[]
): NDArray {
  const op = 'random.randn';
  const last = args[args.length - 1];
  const options = isOptions(last) ? last : {};
  const extents = (isOptions(last) ? args.slice(0, -1) : args) as number[];
  const values = readArgs(op, [options], [], ['loc', 'scale', 'ctx', 'dtype']);
  return normal({ ...values, shape: extents.length === 0 ? [1] : extents });
}

/** Integers (int32) from `low` to `high` − 1. */
export function randint(
  low: number | ({ readonly low: number; readonly high: number } & RandomOptions),
  high?: number,
  shape?: ShapeLike | RandomOptions,
  options?: RandomOptions,
): NDArray {
  const op = 'random.randint';
  const values = readArgs(op, [low, high, shape, options], ['low', 'high', 'shape'], ['ctx', 'dtype']);
  const [from, to] = [integerArg(op, values, 'low'), integerArg(op, values, 'high')];
  if (to <= from)
    throw new ArgumentError(
      `expected high above low, received ${from} and ${to}. The upper end is not included.`,
      { op },
    );
  const dtype = checkDType(values['dtype'] ?? 'int32', op);
  const drawn = drawIntegers(from, to, shapeArg(op, values), checkContext(values['ctx'], op));
  if (dtype === 'int32') return drawn;
  const converted = drawn.astype(dtype);
  drawn.dispose();
  return converted;
}

/** The rows of x in random order, as a copy. */
export function shuffle(x: NDArray): NDArray {
  const { shape } = bodyOf(x, 'random.shuffle');
  if (shape.length === 0)
    throw new ShapeError(
      'expected an array with at least one axis, received one without. There is nothing to shuffle.',
      { op: 'random.shuffle' },
    );
  const order = shuffleOrder(shape[0], shape.length === 1, x.context);
  try {
    return take(x, order);
  } finally {
    order.dispose();
  }
}

/** Starts all generators anew, those of devices opened later too. */
export function seed(state: number): void {
  checkSeed(state);
  slots.trace?.passing('random.seed', 'generator to begin anew', 'Call it before.');
  if (slots.standIn === null) seedDevices(state);
}
