// Runs an optimizer's step over arrays, or gives it to a recorder. The one place that knows how: a kernel for each parameter, in place; norms, where a rule wants them, beside it.
import { bodyOf, type NDArray } from '../../array/ndarray.ts';
import { bytesOf, isFloat } from '../../core/dtype.ts';
import { ContextError, DTypeError, ShapeError } from '../../core/errors.ts';
import { sameShape, shapeText, sizeOf } from '../../core/shape.ts';
import { e } from '../../ir/expr.ts';
import type { GraphScalar } from '../../ir/graph.ts';
import { type Operand, rowKernel } from '../../ir/kernel.ts';
import { slots, type Updated, type UpdateEmitter } from '../../ops/invoke.ts';
import { type Arenas, columnsOf, groupsOf, targetsOf, type UpdateItem } from './arena.ts';
import { layoutOf } from './pack.ts';
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
        `expected a gradient and state on ${weight.context} as the weight, received ${other.context}${other.context === weight.context ? ' from before it was lost or closed' : ''}. After moving the net, make a new Trainer, or await trainer.saveStates() before and loadStates() after.`,
        { op },
      );
  }
}

/** Runs one step of `rule` for all items, in place: those that can share one update by `arenas`, the others one by one. The items are checked. */
export function applyUpdate(rule: UpdateRule, items: readonly UpdateItem[], arenas?: Arenas): void {
  for (const item of arenas?.update(rule, items) ?? items) run(rule, item);
}

/**
 * As `applyUpdate`, seen by the recorder of a compiled step. Memory stays where it is, so that the recorder can follow it; in the program, items that can share an update do.
 * `next` gives the items' scalars as the host's part left them last.
 */
export function recordUpdate<I extends UpdateItem>(
  rule: UpdateRule,
  items: readonly I[],
  arenas: Arenas,
  next: (item: I) => readonly number[],
): void {
  for (const item of items) run(rule, item);
  for (const group of groupsOf(rule, items)) slots.trace?.updated(new Group(rule, group, arenas, next));
}

function run(rule: UpdateRule, item: UpdateItem): void {
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
    emitOne(rule, emitter, targets, bodyOf(item.grad, op), item.scalars);
  } finally {
    for (const { storage } of made) {
      storage.refs = 0;
      device.free(storage);
    }
  }
}

/** Items that share an update in a compiled step, or one by itself. */
class Group<I extends UpdateItem> implements Updated {
  readonly targets: readonly NDArray[];
  readonly grads: readonly NDArray[];
  readonly count: number;
  readonly #rule: UpdateRule;
  readonly #items: readonly I[];
  readonly #arenas: Arenas;
  readonly #next: (item: I) => readonly number[];

  constructor(rule: UpdateRule, items: readonly I[], arenas: Arenas, next: (item: I) => readonly number[]) {
    this.#rule = rule;
    this.#items = items;
    this.#arenas = arenas;
    this.#next = next;
    this.targets = columnsOf(items).flat();
    this.grads = items.map((item) => item.grad);
    this.count = rule.scalars.length;
  }

  scalars(): readonly number[] {
    return this.#next(this.#items[0] as I);
  }

  arrange(): void {
    if (this.#items.length > 1) this.#arenas.arrange(this.#rule, this.#items);
  }

  emit(
    emitter: UpdateEmitter,
    targets: readonly Operand[],
    grads: readonly Operand[],
    scalars: readonly GraphScalar[],
  ): void {
    const count = this.#items.length;
    if (count === 1) {
      emitOne(this.#rule, emitter, targets, grads[0] as Operand, scalars);
      return;
    }
    const { offsets, total } = layoutOf(this.#items.map((item) => item.weight.size));
    emitter.run(this.#rule.kernel, grads, targets, [count, total, ...offsets], scalars);
  }
}

/** The kernels of one item's update. */
function emitOne(
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
  const along = emitter.temporary(shape, dtype);
  const [weightNorm, directionNorm] = [emitter.temporary([1], dtype), emitter.temporary([1], dtype)];
  emitter.run(layerwise.direction, targets, [along], NONE, scalars);
  const length = sizeOf(shape);
  for (const [of, norm] of [
    [weight, weightNorm],
    [along, directionNorm],
  ] as const)
    emitter.run(normKernel, [of], [norm], [1, length, 1, length, 1, 1], NONE);
  emitter.run(layerwise.step, [weight, along, weightNorm, directionNorm], [weight], NONE, scalars);
}
