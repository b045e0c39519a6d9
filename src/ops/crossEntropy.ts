// Softmax and cross entropy in one: the loss of each row of logits against the number of its class, and its gradient, each one row kernel.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, normalizeAxis, sameShape, shapeText, sizeOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand, Stage } from '../ir/kernel.ts';
import { rowKernel } from '../ir/kernel.ts';
import { requireFloat } from './elementwise.ts';
import { oneHotRows } from './indexing.ts';
import { invoke } from './invoke.ts';
import { softmax } from './normalize.ts';
import type { Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { sum } from './reduce.ts';

interface RowAttrs {
  readonly axis: number;
}

const [x, label, dy] = [e.input(0), e.input(1), e.input(2)];
// as `pick` has it: classes outside count as the nearest
const isLabel = e.eq(e.index, e.max(0, e.min(e.trunc(label), e.sub(e.length, 1))));
const greatest: Stage = { combine: 'max', load: x };
const exponentials: Stage = { combine: 'sum', load: e.exp(e.sub(x, e.stage(0))) };
const lossKernel = rowKernel(
  'softmaxCrossEntropy',
  2,
  [greatest, exponentials, { combine: 'sum', load: e.select(isLabel, x, 0) }],
  // log Σ eˣ − x[label], with the greatest taken out of the sum
  e.add(e.log(e.stage(1)), e.sub(e.stage(0), e.stage(2))),
  false,
);
const gradKernel = rowKernel(
  'softmaxCrossEntropyGrad',
  3,
  [greatest, exponentials],
  e.mul(e.sub(e.div(e.exp(e.sub(x, e.stage(0))), e.stage(1)), isLabel), dy),
  true,
);

/** [outer, length, inner], then how the logits and what has one element a row (labels, losses) are read. */
function rowDims(shape: readonly number[], axis: number, vectors: number): number[] {
  const [outer, length, inner] = [
    sizeOf(shape.slice(0, axis)),
    shape[axis] as number,
    sizeOf(shape.slice(axis + 1)),
  ];
  const dims = [outer, length, inner, length * inner, inner, 1];
  for (let i = 0; i < vectors; i++) dims.push(inner, 0, 1);
  return dims;
}

/** (softmax(x) − onehot(label)) · dy, dy one number a row. */
const gradOp: Op<RowAttrs> = defineOp<RowAttrs>({
  name: 'softmaxCrossEntropyGrad',
  family: 'gradient',
  infer: ([logits]) => [logits as TensorType],
  run: (emit, inputs, y, { axis }) =>
    emit.run(gradKernel, inputs, y, rowDims((inputs[0] as Operand).shape, axis, 2)),
  keeps: { inputs: [0, 1, 2] },
  grad(c) {
    const { f } = c;
    const { axis } = c.attrs;
    return f
      .through(
        [c.x(0), c.x(2)],
        ([logits, above]) => {
          const data = logits as NDArray;
          const rows = above as NDArray;
          const wide = f.reshape(
            rows,
            data.shape.map((d, i) => (i === axis ? 1 : d)),
          );
          return [f.mul(f.sub(softmax(data, axis), oneHotRows(c.x(1), data, axis)), wide)];
        },
        [c.dy()],
      )
      .flatMap((g, i) => (i === 0 ? [g, null] : [g]));
  },
});

const lossOp = defineOp<RowAttrs>({
  name: 'softmaxCrossEntropy',
  family: 'loss',
  infer([logits, labels], { axis }) {
    const { shape, dtype } = logits as TensorType;
    requireFloat('softmaxCrossEntropy', logits as TensorType);
    const rows = shape.filter((_, i) => i !== axis);
    const given = (labels as TensorType).shape;
    if (!sameShape(given, rows) && !sameShape(given, [...rows.slice(0, axis), 1, ...rows.slice(axis)]))
      throw new ShapeError(
        `expected labels of shape ${shapeText(rows)} for logits ${shapeText(shape)} and axis ${axis}, received ${shapeText(given)}. Give one class for each row.`,
        { op: 'softmaxCrossEntropy' },
      );
    if (shape[axis] === 0)
      throw new ShapeError(
        `expected at least one class, received logits of shape ${shapeText(shape)}. Check the axis.`,
        {
          op: 'softmaxCrossEntropy',
        },
      );
    return [{ shape: asShape(rows.length === 0 ? [1] : rows), dtype }];
  },
  run: (emit, inputs, y, { axis }) =>
    emit.run(lossKernel, inputs, y, rowDims((inputs[0] as Operand).shape, axis, 1)),
  keeps: { inputs: [0, 1] },
  grad: (c) => [c.wants(0) ? invoke(gradOp, [c.x(0), c.x(1), c.dy()], c.attrs) : null, null],
});

/**
 * −log(softmax(x))[label] for every row along an axis, the last by default: x (…, classes, …), labels (…), whole numbers of any dtype.
 * Labels outside count as the nearest class.
 * @returns the losses, (…), the axis gone
 */
export function crossEntropyRows(logits: NDArray, labels: NDArray, axis = -1): NDArray {
  const { shape } = bodyOf(logits, 'softmaxCrossEntropy');
  return invoke(lossOp, [logits, labels], { axis: normalizeAxis(axis, shape.length, 'softmaxCrossEntropy') });
}

/** MXNet's operator: the sum over the batch of −log(softmax(data))[label], shape `[1]`. data: (N, classes); label: (N). */
export function softmaxCrossEntropy(data: NDArray, label: NDArray): NDArray {
  const losses = crossEntropyRows(data, label);
  try {
    return sum(losses);
  } finally {
    losses.dispose();
  }
}
