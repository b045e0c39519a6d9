// Matrix products in all their forms: dot, batchDot, matmul, fully connected layers. All run the one tiled product.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { DTypeError, ShapeError } from '../core/errors.ts';
import {
  asShape,
  broadcastShapes,
  type Shape,
  sameShape,
  shapeText,
  sizeOf,
  sizeWithin,
} from '../core/shape.ts';
import type { Operand, ProductKernel } from '../ir/kernel.ts';
import { productKernel } from '../ir/kernel.ts';
import { booleanArg, readArgs } from './args.ts';
import { mul } from './binary.ts';
import { composed } from './composed.ts';
import { requireFloat, requireSameDType, requireVector } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { GradFunctions, TensorType } from './op.ts';
import { defineOp, keepOther } from './op.ts';
import { identity } from './strided.ts';
import { expandDims, reshape } from './views.ts';

const FAMILY = 'product';

interface MatmulAttrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const both = [false, true];
const kernels = both.map((transposeA) =>
  both.map((transposeB) => productKernel('matmul', 'matmul', { transposeA, transposeB })),
);

/** The extents of the axes that all matrices stand along. */
const batchOf = (shape: readonly number[]): readonly number[] => shape.slice(0, -2);

/** The rows and columns of a matrix as the product sees it. */
function extents(shape: readonly number[], transposed: boolean): readonly [number, number] {
  const rows = shape[shape.length - 2] as number;
  const columns = shape[shape.length - 1] as number;
  return transposed ? [columns, rows] : [rows, columns];
}

function checkInner(
  op: string,
  a: readonly number[],
  b: readonly number[],
  { transposeA, transposeB }: MatmulAttrs,
  k: number,
  k2: number,
): void {
  if (k !== k2)
    throw new ShapeError(
      `expected inner extents that agree, received ${shapeText(a)}${transposeA ? ' transposed' : ''} and ${shapeText(b)}${transposeB ? ' transposed' : ''}: ${k} and ${k2}. Transpose or reshape one of them.`,
      { op },
    );
}

/** Both shapes, of arrays with axes. */
function shapesOf(op: string, a: NDArray, b: NDArray): readonly [Shape, Shape] {
  const [left, right] = [bodyOf(a, op).shape, bodyOf(b, op).shape];
  if (left.length === 0 || right.length === 0)
    throw new ShapeError(
      'expected arrays with at least one axis, received one without. Use mul for numbers.',
      { op },
    );
  return [left, right];
}

/** The gradient of C = A·B by A, dC·Bᵀ: transposed where A was stored transposed. */
function byLeft(f: GradFunctions, { transposeA, transposeB }: MatmulAttrs, b: NDArray, dy: NDArray): NDArray {
  return transposeA
    ? f.matmul(b, dy, { transposeA: transposeB, transposeB: true })
    : f.matmul(dy, b, { transposeA: false, transposeB: !transposeB });
}

/** The gradient by B, Aᵀ·dC. */
function byRight(
  f: GradFunctions,
  { transposeA, transposeB }: MatmulAttrs,
  a: NDArray,
  dy: NDArray,
): NDArray {
  return transposeB
    ? f.matmul(dy, a, { transposeA: true, transposeB: transposeA })
    : f.matmul(a, dy, { transposeA: !transposeA, transposeB: false });
}

/** (…, M, K) · (…, K, N) → (…, M, N) over batch axes that broadcast. */
const matmulOp = defineOp<MatmulAttrs>({
  name: 'matmul',
  family: FAMILY,
  infer([a, b], attrs) {
    const [{ shape: left, dtype }, right] = [a as TensorType, b as TensorType];
    if (dtype === 'bool')
      throw new DTypeError("expected numbers, received bool. Convert first: x.astype('float32').", {
        op: 'matmul',
      });
    requireSameDType('matmul', a as TensorType, right);
    const [m, k] = extents(left, attrs.transposeA);
    const [k2, n] = extents(right.shape, attrs.transposeB);
    checkInner('matmul', left, right.shape, attrs, k, k2);
    const batch = broadcastShapes(batchOf(left), batchOf(right.shape), 'matmul');
    return [{ shape: asShape([...batch, m, n]), dtype }];
  },
  run(emit, [a, b], [y], { transposeA, transposeB }) {
    const to = y as Operand;
    const batchShape = batchOf(to.shape);
    const batch = sizeOf(batchShape);
    // one matrix, or as many as the result has
    const spread = (x: Operand): readonly [x: Operand, stride: number] => {
      const axes = x.shape.length - 2;
      const [count, stride] = [sizeWithin(x.shape, 0, axes), sizeWithin(x.shape, axes)];
      if (count === 1) return [x, 0];
      if (count === batch) return [x, stride];
      const full = emit.temporary([...batchShape, ...x.shape.slice(-2)], x.dtype);
      emit.run(identity, [x], [full]);
      return [full, stride];
    };
    const [left, aStride] = spread(a as Operand);
    const [right, bStride] = spread(b as Operand);
    const [m, k] = extents(left.shape, transposeA);
    const n = to.shape[to.shape.length - 1] as number;
    const kernel = kernels[Number(transposeA)]?.[Number(transposeB)] as ProductKernel;
    // one right matrix for a batch of left ones: the batch folds into the rows
    const folds = batch > 1 && bStride === 0 && aStride !== 0 && !transposeA;
    emit.run(
      kernel,
      [left, right],
      [to],
      folds ? [1, batch * m, n, k, 0, 0] : [batch, m, n, k, aStride, bStride],
    );
  },
  keeps: keepOther,
  grad(c) {
    const { f, attrs } = c;
    const [left, right] = [c.xType(0).shape, c.xType(1).shape];
    const dy = c.dy();
    const toRight = (): NDArray => {
      // one right matrix for a batch of left ones: the batch folds into the axis that is summed over
      const folds =
        sizeOf(batchOf(right)) === 1 && !attrs.transposeA && sameShape(batchOf(left), batchOf(dy.shape));
      const fold = (x: NDArray): NDArray =>
        folds ? f.reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape[x.ndim - 1] as number]) : x;
      const whole = byRight(f, attrs, fold(c.x(0)), fold(dy));
      return whole.ndim < right.length ? f.reshape(whole, right) : f.sumTo(whole, right);
    };
    return [c.wants(0) ? f.sumTo(byLeft(f, attrs, c.x(1), dy), left) : null, c.wants(1) ? toRight() : null];
  },
});

/** Options of `dot` and `batchDot`. */
export interface DotOptions {
  readonly transposeA?: boolean | undefined;
  readonly transposeB?: boolean | undefined;
}

function dotFlags(op: string, options: DotOptions | undefined): MatmulAttrs {
  const values = readArgs(op, [options], [], ['transposeA', 'transposeB']);
  return {
    transposeA: booleanArg(op, values, 'transposeA', false),
    transposeB: booleanArg(op, values, 'transposeB', false),
  };
}

/**
 * The dot product: of vectors a number (shape `[1]`), of matrices the matrix product; else the last axis of `a` with the first of `b`
 * (with `transposeA` the first of `a`, with `transposeB` the last of `b`).
 *
 * @throws ShapeError where the extents to be summed over differ
 * @example nd.dot(nd.ones([2, 3]), nd.ones([4, 3]), { transposeB: true }).shape // [2, 4]
 */
export function dot(a: NDArray, b: NDArray, options?: DotOptions): NDArray {
  const flags = dotFlags('dot', options);
  const [left, right] = shapesOf('dot', a, b);
  const { transposeA, transposeB } = flags;
  // the axes that stay, and the one that is summed over
  const [outerA, inner] = cut(left, !transposeA);
  const [outerB, inner2] = cut(right, transposeB);
  checkInner('dot', left, right, flags, inner, inner2);
  if (left.length === 2 && right.length === 2) return invoke(matmulOp, [a, b], flags);
  const [m, n] = [sizeOf(outerA), sizeOf(outerB)];
  return composed(() => {
    const flatA = reshape(a, transposeA ? [inner, m] : [m, inner]);
    const flatB = reshape(b, transposeB ? [n, inner] : [inner, n]);
    return withAxes(invoke(matmulOp, [flatA, flatB], flags), [...outerA, ...outerB]);
  });
}

/** A shape without its last axis or its first, and that axis. */
function cut(shape: readonly number[], last: boolean): readonly [outer: readonly number[], inner: number] {
  const inner = shape[last ? shape.length - 1 : 0] as number;
  return [last ? shape.slice(0, -1) : shape.slice(1), inner];
}

/** A result in its shape; without axes it has one. */
function withAxes(x: NDArray, shape: readonly number[]): NDArray {
  return reshape(x, shape.length === 0 ? [1] : shape);
}

/** The matrix product of each pair in two batches: (B, M, K) · (B, K, N) → (B, M, N), either transposed where asked. */
export function batchDot(a: NDArray, b: NDArray, options?: DotOptions): NDArray {
  const [left, right] = [bodyOf(a, 'batchDot').shape, bodyOf(b, 'batchDot').shape];
  if (left.length < 3 || right.length !== left.length || !sameShape(batchOf(left), batchOf(right)))
    throw new ShapeError(
      `expected two batches of matrices, (B, M, K) and (B, K, N), received ${shapeText(left)} and ${shapeText(right)}. Use dot for single matrices, matmul to broadcast.`,
      { op: 'batchDot' },
    );
  return invoke(matmulOp, [a, b], dotFlags('batchDot', options));
}

/** The matrix product over the last two axes, with batch axes that broadcast, as NumPy's matmul: vectors count as one row or column. */
export function matmul(a: NDArray, b: NDArray, options?: DotOptions): NDArray {
  const flags = dotFlags('matmul', options);
  const [left, right] = shapesOf('matmul', a, b);
  const [row, column] = [left.length === 1, right.length === 1];
  if (!row && !column) return invoke(matmulOp, [a, b], flags);
  return composed(() => {
    const product = invoke(matmulOp, [row ? expandDims(a, 0) : a, column ? expandDims(b, 1) : b], {
      transposeA: flags.transposeA && !row,
      transposeB: flags.transposeB && !column,
    });
    const [m, n] = product.shape.slice(-2) as [number, number];
    return withAxes(product, [...batchOf(product.shape), ...(row ? [] : [m]), ...(column ? [] : [n])]);
  });
}

/** alpha · op(a) · op(b) over the last two axes. */
export function linalgGemm2(
  a: NDArray,
  b: NDArray,
  options?: DotOptions & { readonly alpha?: number | undefined },
): NDArray {
  const { alpha, ...flags } = options ?? {};
  const attrs = dotFlags('linalgGemm2', flags);
  if (alpha === undefined || alpha === 1) return invoke(matmulOp, [a, b], attrs);
  return composed(() => mul(invoke(matmulOp, [a, b], attrs), alpha));
}

const dense = productKernel('fullyConnected', 'matmul', { transposeB: true });
const denseBias = productKernel('fullyConnected', 'matmul', { transposeB: true, bias: 'n' });

const denseAttrs: MatmulAttrs = { transposeA: false, transposeB: true };

const denseOp = defineOp<{ readonly flatten: boolean }>({
  name: 'fullyConnected',
  family: FAMILY,
  infer([x, weight, bias], { flatten }) {
    const { shape, dtype } = x as TensorType;
    const w = weight as TensorType;
    requireFloat('fullyConnected', x as TensorType);
    requireSameDType('fullyConnected', x as TensorType, w);
    if (bias !== undefined) requireSameDType('fullyConnected', x as TensorType, bias);
    return [{ shape: asShape([...(flatten ? [shape[0]] : shape.slice(0, -1)), w.shape[0]]), dtype }];
  },
  run(emit, inputs, y) {
    const [n, k] = (inputs[1] as Operand).shape as Shape;
    const m = n === 0 ? 0 : sizeOf((y[0] as Operand).shape) / n;
    emit.run(inputs.length > 2 ? denseBias : dense, inputs, y, [1, m, n, k, 0, 0]);
  },
  keeps: keepOther,
  grad(c) {
    const { f } = c;
    const [data, [units, inUnits]] = [c.xType(0).shape, c.xType(1).shape];
    const rows = inUnits === 0 ? 0 : sizeOf(data) / inUnits;
    const dy = f.reshape(c.dy(), [rows, units]);
    return [
      c.wants(0) ? f.reshape(byLeft(f, denseAttrs, c.x(1), dy), data) : null,
      c.wants(1) ? byRight(f, denseAttrs, f.reshape(c.x(0), [rows, inUnits]), dy) : null,
      c.count > 2 && c.wants(2) ? f.reshape(f.sum(dy, [0]), [units]) : null,
    ];
  },
});

/** A fully connected layer of shapes that fit: what layers, which check in words of their own, call. */
export function connect(
  x: NDArray,
  weight: NDArray,
  bias: NDArray | null | undefined,
  flatten: boolean,
): NDArray {
  const inputs = bias === null || bias === undefined ? [x, weight] : [x, weight, bias];
  return invoke(denseOp, inputs, { flatten });
}

/**
 * y = x·Wᵀ + b. x: (N, …) folded to (N, inUnits), or with `flatten: false` (…, inUnits); weight (units, inUnits); bias (units), optional.
 * @throws ShapeError naming the input that was expected
 */
export function fullyConnected(
  x: NDArray,
  weight: NDArray,
  bias?: NDArray | null,
  options?: {
    readonly numHidden?: number | undefined;
    readonly noBias?: boolean | undefined;
    readonly flatten?: boolean | undefined;
  },
): NDArray {
  const op = 'fullyConnected';
  const values = readArgs(op, [options], [], ['numHidden', 'noBias', 'flatten']);
  const flatten = booleanArg(op, values, 'flatten', true);
  const used = booleanArg(op, values, 'noBias', false) ? null : bias;
  const [{ shape }, w] = [bodyOf(x, op), bodyOf(weight, op).shape];
  const width = flatten ? sizeWithin(shape, 1) : shape[shape.length - 1];
  if (shape.length < (flatten ? 2 : 1) || w.length !== 2 || width !== w[1])
    throw new ShapeError(
      `expected input of shape (${flatten ? 'N' : '*'}, ${w[1]}) for weight ${shapeText(w)}, received ${shapeText(shape)}. ` +
        (flatten
          ? 'The axes after the first must hold that many elements.'
          : 'Pass flatten: true, or reshape first.'),
      { op },
    );
  if (used !== null && used !== undefined) requireVector(op, 'a bias', bodyOf(used, op), w[0], 'unit');
  return connect(x, weight, used, flatten);
}
