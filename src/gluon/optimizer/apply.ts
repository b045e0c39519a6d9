// Runs an optimizer's step over arrays: a kernel for each parameter, in place; norms, where a rule wants them, beside it. Parameters of a GPU are updated all at once by arena.ts,
// which comes with a GPU; compiled/updates.ts gives steps to a recorder.
import { bodyOf } from '../../array/ndarray.ts';
import { bytesOf, isFloat } from '../../core/dtype.ts';
import { ContextError, DTypeError, ShapeError } from '../../core/errors.ts';
import { sameShape, shapeText, sizeOf } from '../../core/shape.ts';
import { besideGpu } from '../../device/gpus.ts';
import { e } from '../../ir/expr.ts';
import type { GraphScalar } from '../../ir/graph.ts';
import { type Operand, rowKernel } from '../../ir/kernel.ts';
import { slots, type UpdateEmitter } from '../../ops/invoke.ts';
import { compilerAtHand } from '../hybridize.ts';
import type { UpdateRule } from './rule.ts';
import { type Sharing, type Step, targetsOf, type UpdateArrays, type UpdateItem } from './step.ts';

const NONE: readonly number[] = [];
const normKernel = rowKernel(
  'norm2',
  1,
  [{ combine: 'sum', load: e.mul(e.input(0), e.input(0)) }],
  e.sqrt(e.stage(0)),
  false,
);

/** Null until there is a GPU. */
let makeArenas: (() => Sharing) | null = null;
besideGpu(async () => {
  const { Arenas } = await import('./arena.ts');
  makeArenas = () => new Arenas();
});

/** Checks that arrays of a step fit each other; changes nothing. */
export function checkUpdate(op: string, { weight, grad, states }: UpdateArrays): void {
  const body = bodyOf(weight, op);
  if (!isFloat(body.dtype))
    throw new DTypeError(`expected a float weight, received ${body.dtype}. Only floats can be trained.`, {
      op,
    });
  for (const other of [grad, ...states]) {
    const { shape, dtype, device } = bodyOf(other, op);
    const refuse = (Type: typeof ShapeError, of: string, has: string): never => {
      throw new Type(
        `expected a gradient and state ${of}, received ${has}. Call backward() again, and make a new Trainer after a net was changed, cast or moved: saveStates() and loadStates() carry its states over.`,
        { op },
      );
    };
    if (!sameShape(shape, body.shape))
      refuse(ShapeError, `of the weight's shape ${shapeText(body.shape)}`, shapeText(shape));
    if (dtype !== body.dtype) refuse(DTypeError, `of the weight's dtype ${body.dtype}`, dtype);
    if (device !== body.device)
      refuse(
        ContextError,
        `on ${weight.context} as the weight`,
        `${other.context}${other.context === weight.context ? ' from before it was lost or closed' : ''}`,
      );
  }
}

/** Runs a step in place, or records it where a call is being compiled. */
export function runStep(step: Step): void {
  const { rule, arrays, turn, memory } = step;
  const items = arrays.map(
    (item, i): UpdateItem => ({ ...item, scalars: turn.scalars[i] as readonly number[] }),
  );
  if (slots.trace === null) {
    memory.arenas ??= makeArenas?.() ?? null;
    for (const item of memory.arenas?.update(rule, items) ?? items) updateOne(rule, item);
  } else {
    for (const item of items) updateOne(rule, item);
    compilerAtHand()?.recordStep(step, items);
  }
  step.settle(true);
}

function updateOne(rule: UpdateRule, item: UpdateItem): void {
  const op = rule.kernel.name;
  const { device } = bodyOf(item.weight, op);
  const targets = targetsOf(item).map((array): Operand => bodyOf(array, op));
  // what a tape kept of the weight is out of date from here on
  for (const { storage } of targets) storage.version = (storage.version ?? 0) + 1;
  const made: Operand[] = [];
  const emitter: UpdateEmitter = {
    run: (kernel, inputs, outputs, dims, scalars) =>
      device.run(kernel, inputs, outputs, dims, scalars as readonly number[]),
    temporary(shape, dtype) {
      const storage = device.alloc(sizeOf(shape) * bytesOf(dtype), op);
      storage.refs = 1;
      const operand = { storage, dtype, shape };
      made.push(operand);
      return operand;
    },
  };
  try {
    emitUpdate(rule, emitter, targets, bodyOf(item.grad, op), item.scalars);
  } finally {
    for (const { storage } of made) {
      storage.refs = 0;
      device.free(storage);
    }
  }
}

/** The kernels of one parameter's update. */
export function emitUpdate(
  { kernel, layerwise }: UpdateRule,
  emitter: UpdateEmitter,
  targets: readonly Operand[],
  grad: Operand,
  scalars: readonly GraphScalar[],
): void {
  emitter.run(kernel, [grad], targets, NONE, scalars);
  if (layerwise === null) return;
  const weight = targets[0] as Operand;
  const { dtype, shape } = weight;
  const direction = emitter.temporary(shape, dtype);
  emitter.run(layerwise.direction, targets, [direction], NONE, scalars);
  const length = sizeOf(shape);
  const norms = [weight, direction].map((of) => {
    const norm = emitter.temporary([1], dtype);
    emitter.run(normKernel, [of], [norm], [1, length, 1, length, 1, 1], NONE);
    return norm;
  });
  emitter.run(layerwise.step, [weight, direction, ...norms], [weight], NONE, scalars);
}
