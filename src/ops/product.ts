// Matrix products in all their forms: dot, batchDot, matmul, fully connected layers. All run the one tiled product.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { DTypeError, ShapeError } from '../core/errors.ts';
import { asShape, broadcastShapes, sameShape, shapeText, sizeOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { Operand, ProductKernel } from '../ir/kernel.ts';
import { elementwiseKernel, productKernel } from '../ir/kernel.ts';
import { booleanArg, readArgs } from './args.ts';
import { mul } from './binary.ts';
import { composed } from './composed.ts';
import { requireFloat, requireSameDType } from './elementwise.ts';
import { invoke } from './invoke.ts';
import type { GradContext, Keeps, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { expandDims, reshape } from './views.ts';

const FAMILY = 'product';

interface MatmulAttrs {
  readonly transposeA: boolean;
  readonly transposeB: boolean;
}

const kernels = new Map<string, ProductKernel>();
for (const transposeA of [false, true])
  for (const transposeB of [false, true])
    kernels.set(`${transposeA}${transposeB}`, productKernel('matmul', 'matmul', { transposeA, transposeB }));
const copyKernel = elementwiseKernel('copy', 1, e.input(0));

function extents(t: TensorType, transposed: boolean): readonly [number, number] {
  const rows = t.shape[t.shape.length - 2] as number;
  const columns = t.shape[t.shape.length - 1] as number;
  return transposed ? [columns, rows] : [rows, columns];
}

/** The gradient by one factor reads the other. */
const keepOther = (_: unknown, wants: (i: number) => boolean): Keeps => ({
  inputs: [...(wants(1) ? [0] : []), ...(wants(0) ? [1] : [])],
});

/** The gradients of a product: of C = A·B, dA = dC·Bᵀ and dB = Aᵀ·dC, each written so that a factor stored transposed gets its gradient transposed. */
function matmulGradient(c: GradContext<MatmulAttrs>): (NDArray | null)[] {
  const { transposeA, transposeB } = c.attrs;
  const { f } = c;
  const [left, right] = [c.xType(0).shape, c.xType(1).shape];
  const dy = c.dy();
  const byLeft = (): NDArray => {
    const b = c.x(1);
    const whole = transposeA
      ? f.matmul(b, dy, { transposeA: transposeB, transposeB: true })
      : f.matmul(dy, b, { transposeA: false, transposeB: !transposeB });
    return f.sumTo(whole, left);
  };
  const byRight = (): NDArray => {
    let [a, above] = [c.x(0), dy];
    // one right matrix for a batch of left ones: the batch folds into the axis that is summed over
    if (
      sizeOf(right.slice(0, -2)) === 1 &&
      !transposeA &&
      sameShape(left.slice(0, -2), dy.shape.slice(0, -2))
    ) {
      const fold = (x: NDArray): NDArray =>
        f.reshape(x, [sizeOf(x.shape.slice(0, -1)), x.shape[x.ndim - 1] as number]);
      [a, above] = [fold(a), fold(above)];
    }
    const whole = transposeB
      ? f.matmul(above, a, { transposeA: true, transposeB: transposeA })
      : f.matmul(a, above, { transposeA: !transposeA, transposeB: false });
    return whole.ndim < right.length ? f.reshape(whole, right) : f.sumTo(whole, right);
  };
  return [c.wants(0) ? byLeft() : null, c.wants(1) ? byRight() : null];
}

/** (…, M, K) · (…, K, N) → (…, M, N) over batch axes that broadcast. */
const matmulOp = defineOp<MatmulAttrs>({
  name: 'matmul',
  family: FAMILY,
  infer([a, b], { transposeA, transposeB }) {
    const [left, right] = [a as TensorType, b as TensorType];
    if (left.dtype === 'bool')
      throw new DTypeError("expected numbers, received bool. Convert first: x.astype('float32').", {
        op: 'matmul',
      });
    requireSameDType('matmul', left, right);
    const [m, k] = extents(left, transposeA);
    const [k2, n] = extents(right, transposeB);
    if (k !== k2)
      throw new ShapeError(
        `expected inner extents that agree, received ${shapeText(left.shape)}${transposeA ? ' transposed' : ''} and ${shapeText(right.shape)}${transposeB ? ' transposed' : ''}: ` +
          `${k} and ${k2}. Transpose or reshape one of them.`,
        { op: 'matmul' },
      );
    return [
      {
        shape: asShape([
          ...broadcastShapes(left.shape.slice(0, -2), right.shape.slice(0, -2), 'matmul'),
          m,
          n,
        ]),
        dtype: left.dtype,
      },
    ];
  },
  run(emit, [a, b], [y], { transposeA, transposeB }) {
    const to = y as Operand;
    let [left, right] = [a as Operand, b as Operand];
    const [m, k] = extents(left as unknown as TensorType, transposeA);
    const n = to.shape[to.shape.length - 1] as number;
    const batchShape = to.shape.slice(0, -2);
    const batch = sizeOf(batchShape);
    const spread = (x: Operand): Operand => {
      const own = x.shape.slice(0, -2);
      if (sizeOf(own) === batch || sizeOf(own) === 1) return x;
      const full = emit.temporary([...batchShape, ...x.shape.slice(-2)], x.dtype);
      emit.run(copyKernel, [x], [full]);
      return full;
    };
    left = spread(left);
    right = spread(right);
    const stride = (x: Operand): number =>
      sizeOf(x.shape.slice(0, -2)) === 1 ? 0 : sizeOf(x.shape.slice(-2));
    const kernel = kernels.get(`${transposeA}${transposeB}`) as ProductKernel;
    // one right matrix for a batch of left ones: the batch folds into the rows
    if (batch > 1 && stride(right) === 0 && stride(left) !== 0 && !transposeA)
      emit.run(kernel, [left, right], [to], [1, batch * m, n, k, 0, 0]);
    else emit.run(kernel, [left, right], [to], [batch, m, n, k, stride(left), stride(right)]);
  },
  keeps: keepOther,
  grad: matmulGradient,
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
  const { transposeA, transposeB } = dotFlags('dot', options);
  const [left, right] = [bodyOf(a, 'dot').shape, bodyOf(b, 'dot').shape];
  if (left.length === 0 || right.length === 0)
    throw new ShapeError(
      'expected arrays with at least one axis, received one without. Use mul for numbers.',
      { op: 'dot' },
    );
  const inner = (transposeA ? left[0] : left[left.length - 1]) as number;
  const inner2 = (transposeB ? right[right.length - 1] : right[0]) as number;
  if (inner !== inner2)
    throw new ShapeError(
      `expected inner extents that agree, received ${shapeText(left)}${transposeA ? ' transposed' : ''} and ${shapeText(right)}${transposeB ? ' transposed' : ''}: ${inner} and ${inner2}. Transpose or reshape one of them.`,
      { op: 'dot' },
    );
  const outerA = transposeA ? left.slice(1) : left.slice(0, -1);
  const outerB = transposeB ? right.slice(0, -1) : right.slice(1);
  const [m, n] = [sizeOf(outerA), sizeOf(outerB)];
  if (left.length === 2 && right.length === 2) return invoke(matmulOp, [a, b], { transposeA, transposeB });
  return composed(() => {
    const flatA = reshape(a, transposeA ? [inner, m] : [m, inner]);
    const flatB = reshape(b, transposeB ? [n, inner] : [inner, n]);
    const shape = [...outerA, ...outerB];
    return reshape(
      invoke(matmulOp, [flatA, flatB], { transposeA, transposeB }),
      shape.length === 0 ? [1] : shape,
    );
  });
}

/** The matrix product of each pair in two batches: (B, M, K) · (B, K, N) → (B, M, N), either transposed where asked. */
export function batchDot(a: NDArray, b: NDArray, options?: DotOptions): NDArray {
  const [left, right] = [bodyOf(a, 'batchDot').shape, bodyOf(b, 'batchDot').shape];
  if (left.length < 3 || right.length !== left.length || !sameShape(left.slice(0, -2), right.slice(0, -2)))
    throw new ShapeError(
      `expected two batches of matrices, (B, M, K) and (B, K, N), received ${shapeText(left)} and ${shapeText(right)}. Use dot for single matrices, matmul to broadcast.`,
      { op: 'batchDot' },
    );
  return invoke(matmulOp, [a, b], dotFlags('batchDot', options));
}

/** The matrix product over the last two axes, with batch axes that broadcast, as NumPy's matmul: vectors count as one row or column. */
export function matmul(a: NDArray, b: NDArray, options?: DotOptions): NDArray {
  const flags = dotFlags('matmul', options);
  const [row, column] = [bodyOf(a, 'matmul').shape.length === 1, bodyOf(b, 'matmul').shape.length === 1];
  if (a.ndim === 0 || b.ndim === 0)
    throw new ShapeError(
      'expected arrays with at least one axis, received one without. Use mul for numbers.',
      { op: 'matmul' },
    );
  if (!row && !column) return invoke(matmulOp, [a, b], flags);
  return composed(() => {
    const product = invoke(matmulOp, [row ? expandDims(a, 0) : a, column ? expandDims(b, 1) : b], {
      transposeA: flags.transposeA && !row,
      transposeB: flags.transposeB && !column,
    });
    const { shape } = product;
    const kept = shape.filter(
      (_, i) => !(row && i === shape.length - 2) && !(column && i === shape.length - 1),
    );
    return reshape(product, kept.length === 0 ? [1] : kept);
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

const fullyConnectedOp = defineOp<{ readonly flatten: boolean }>({
  name: 'fullyConnected',
  family: FAMILY,
  infer([x, weight, bias], { flatten }) {
    const [data, w] = [x as TensorType, weight as TensorType];
    requireFloat('fullyConnected', data);
    requireSameDType('fullyConnected', data, w);
    const [units, inUnits] = w.shape;
    const width = flatten ? sizeOf(data.shape.slice(1)) : (data.shape[data.shape.length - 1] ?? 0);
    if (data.shape.length < (flatten ? 2 : 1) || w.shape.length !== 2 || width !== inUnits)
      throw new ShapeError(
        `expected input of shape (${flatten ? 'N' : '*'}, ${inUnits}) for weight ${shapeText(w.shape)}, received ${shapeText(data.shape)}. ` +
          (flatten
            ? 'The axes after the first must hold that many elements.'
            : 'Pass flatten: true, or reshape first.'),
        { op: 'fullyConnected' },
      );
    if (bias !== undefined) {
      requireSameDType('fullyConnected', data, bias);
      if (bias.shape.length !== 1 || bias.shape[0] !== units)
        throw new ShapeError(
          `expected a bias of shape (${units},), received ${shapeText(bias.shape)}. Give one number for each unit.`,
          { op: 'fullyConnected' },
        );
    }
    return [
      {
        shape: asShape(flatten ? [data.shape[0], units] : [...data.shape.slice(0, -1), units]),
        dtype: data.dtype,
      },
    ];
  },
  run(emit, inputs, y) {
    const w = (inputs[1] as Operand).shape;
    const [n, k] = [w[0] as number, w[1] as number];
    const m = n === 0 ? 0 : sizeOf((y[0] as Operand).shape) / n;
    emit.run(inputs.length > 2 ? denseBias : dense, inputs, y, [1, m, n, k, 0, 0]);
  },
  keeps: keepOther,
  grad(c) {
    const { f } = c;
    const [data, weight] = [c.xType(0).shape, c.xType(1).shape];
    const [units, inUnits] = [weight[0], weight[1]];
    const rows = inUnits === 0 ? 0 : sizeOf(data) / inUnits;
    const dy = f.reshape(c.dy(), [rows, units]);
    const plain = { transposeA: false, transposeB: false };
    return [
      c.wants(0) ? f.reshape(f.matmul(dy, c.x(1), plain), data) : null,
      c.wants(1) ? f.matmul(dy, f.reshape(c.x(0), [rows, inUnits]), { ...plain, transposeA: true }) : null,
      c.count > 2 && c.wants(2) ? f.reshape(f.sum(dy, [0]), [units]) : null,
    ];
  },
});

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
  const values = readArgs('fullyConnected', [options], [], ['numHidden', 'noBias', 'flatten']);
  const attrs = { flatten: booleanArg('fullyConnected', values, 'flatten', true) };
  const without =
    bias === undefined || bias === null || booleanArg('fullyConnected', values, 'noBias', false);
  return invoke(fullyConnectedOp, without ? [x, weight] : [x, weight, bias as NDArray], attrs);
}
