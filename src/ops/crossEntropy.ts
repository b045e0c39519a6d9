// Softmax and cross entropy in one: the loss of each row of logits against the number of its class, and its gradient, each one row kernel.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import { asShape, normalizeAxis, sameShape, shapeText } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand, Stage } from '../ir/kernel.ts';
import { rowKernel } from '../ir/kernel.ts';
import { rowDims } from './axes.ts';
import { requireFloat } from './elementwise.ts';
import { oneHotRows } from './indexing.ts';
import { invoke } from './invoke.ts';

import type { GradContext, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { sum } from './reduce.ts';
import { within } from './scatter.ts';
import { softmax } from './softmax.ts';

interface RowAttrs {
  readonly axis: number;
}

const x = e.input(0);
const label = e.input(1);
const dy = e.input(2);
// as `pick` has it: classes outside count as the nearest
const isLabel = e.eq(e.index, within('clip', label, e.length));
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

/** (softmax(x) − onehot(label)) · dy, dy one number a row. */
const gradOp = defineOp<RowAttrs>({
  name: 'softmaxCrossEntropyGrad',
  family: 'gradient',
  infer: ([logits]) => [logits as TensorType],
  run: (emit, inputs, y, { axis }) =>
    emit.run(gradKernel, inputs, y, rowDims((inputs[0] as Operand).shape, axis, ['whole', 'rows', 'rows'])),
  // where it would be recorded, other operations take its place
  grad: null,
});

/** The same by other operations. */
function recordedGradient(c: GradContext<RowAttrs>): NDArray {
  const { f, attrs } = c;
  const logits = c.x(0);
  const kept = logits.shape.map((d, i) => (i === attrs.axis ? 1 : d));
  const hit = oneHotRows(c.x(1), logits, attrs.axis);
  return f.mul(f.sub(softmax(logits, attrs.axis), hit), f.reshape(c.dy(), kept));
}

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
    emit.run(lossKernel, inputs, y, rowDims((inputs[0] as Operand).shape, axis, ['whole', 'rows'])),
  keeps: { inputs: [0, 1] },
  grad: (c) => [c.recorded ? recordedGradient(c) : invoke(gradOp, [c.x(0), c.x(1), c.dy()], c.attrs), null],
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
