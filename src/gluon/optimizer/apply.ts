// Runs an optimizer's step over arrays. The one place that knows how: a kernel for each parameter, in place; norms, where a rule wants them, beside it.
import { bodyOf } from '../../array/ndarray.ts';
import { bytesOf, isFloat } from '../../core/dtype.ts';
import { ContextError, DTypeError, ShapeError } from '../../core/errors.ts';
import { sameShape, shapeText, sizeOf } from '../../core/shape.ts';
import type { Device } from '../../device/device.ts';
import { e } from '../../ir/expr.ts';
import { type Operand, rowKernel } from '../../ir/kernel.ts';
import type { Arenas, UpdateItem } from './arena.ts';
import type { UpdateRule } from './rule.ts';

const NONE: readonly number[] = [];
const normKernel = rowKernel(
  'norm2',
  1,
  [{ combine: 'sum', load: e.mul(e.input(0), e.input(0)) }],
  e.sqrt(e.stage(0)),
  false,
);

/** Checks that arrays of a step fit each other; changes nothing. */
export function checkUpdate(op: string, { weight, grad, states }: UpdateItem): void {
  const body = bodyOf(weight, op);
  if (!isFloat(body.dtype))
    throw new DTypeError(`expected a float weight, received ${body.dtype}. Only floats can be trained.`, {
      op,
    });
  for (const other of [grad, ...states]) {
    const { shape, dtype, device } = bodyOf(other, op);
    if (!sameShape(shape, body.shape))
      throw new ShapeError(
        `expected a gradient and state of the weight's shape ${shapeText(body.shape)}, received ${shapeText(shape)}. Call backward() after the shape changed, and make a new Trainer.`,
        { op },
      );
    if (dtype !== body.dtype)
      throw new DTypeError(
        `expected a gradient and state of the weight's dtype ${body.dtype}, received ${dtype}. After cast(), make a new Trainer.`,
        { op },
      );
    if (device !== body.device)
      throw new ContextError(
        `expected a gradient and state on ${weight.context} as the weight, received ${other.context}. After moving the net, make a new Trainer, or await trainer.saveStates() before and loadStates() after.`,
        { op },
      );
  }
}

/** Runs one step of `rule` for all items, in place: those that can share one update by `arenas`, the others one by one. The items are checked. */
export function applyUpdate(rule: UpdateRule, items: readonly UpdateItem[], arenas?: Arenas): void {
  for (const { weight, grad, states, scalars } of arenas?.update(rule, items) ?? items) {
    const op = rule.kernel.name;
    const { device } = bodyOf(weight, op);
    const targets = [weight, ...states].map((array): Operand => bodyOf(array, op));
    // what a tape kept of the weight is out of date from here on
    for (const { storage } of targets) storage.version = (storage.version ?? 0) + 1;
    device.run(rule.kernel, [bodyOf(grad, op)], targets, NONE, scalars);
    if (rule.layerwise !== null) stepLayer(rule.layerwise, device, op, targets, scalars);
  }
}

function stepLayer(
  { direction, step }: NonNullable<UpdateRule['layerwise']>,
  device: Device,
  op: string,
  targets: readonly Operand[],
  scalars: readonly number[],
): void {
  const weight = targets[0] as Operand;
  const made: Operand[] = [];
  const temporary = (shape: readonly number[]): Operand => {
    const storage = device.alloc(sizeOf(shape) * bytesOf(weight.dtype), op);
    storage.refs = 1;
    const operand = { storage, dtype: weight.dtype, shape };
    made.push(operand);
    return operand;
  };
  try {
    const along = temporary(weight.shape);
    const [weightNorm, directionNorm] = [temporary([1]), temporary([1])];
    device.run(direction, targets, [along], NONE, scalars);
    const length = sizeOf(weight.shape);
    for (const [of, norm] of [
      [weight, weightNorm],
      [along, directionNorm],
    ] as const)
      device.run(normKernel, [of], [norm], [1, length, 1, length, 1, 1], NONE);
    device.run(step, [weight, along, weightNorm, directionNorm], [weight], NONE, scalars);
  } finally {
    for (const { storage } of made) {
      storage.refs = 0;
      device.free(storage);
    }
  }
}
