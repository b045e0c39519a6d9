// The way back of reading by index: what was taken from a place is added there. Each is linear, and its own gradient is the reading again. Sums over places that
// were read more than once are taken in ascending order, so that they repeat.
import { asShape, type Shape, sizeOf } from '../core/shape.ts';
import { type Expr, type ExprLike, e } from '../ir/expr.ts';
import type { Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel, rowKernel } from '../ir/kernel.ts';
import { rowDims, rowsOf } from './axes.ts';
import { invoke } from './invoke.ts';
import type { Emitter, Op, TensorType } from './op.ts';
import { defineOp } from './op.ts';
import { identity, iota, zero } from './strided.ts';

const FAMILY = 'gradient';
const scatterAdd = customKernel('scatterAddNd');
const scatterSet = customKernel('scatterNd');
const gather = customKernel('gatherNd');
const move = customKernel('stridedCopy');

/** What an index outside the axis means: 'clip' takes the nearest, 'wrap' counts round. */
export type IndexMode = 'clip' | 'wrap';

/** An index of any dtype as a place within [0, extent). */
export function within(mode: IndexMode, index: Expr, extent: ExprLike): Expr {
  const whole = e.trunc(index);
  return mode === 'clip' ? e.max(0, e.min(whole, e.sub(extent, 1))) : e.mod(whole, extent);
}

function flat(x: Operand): Operand {
  return { storage: x.storage, dtype: x.dtype, shape: [sizeOf(x.shape)] };
}

/** Emits y = 0, then y[place n] += x[n] (dims as the kernel has them). float16 is summed in float32. */
export function emitScatterAdd(
  emit: Emitter,
  x: Operand,
  at: Operand,
  y: Operand,
  dims: readonly number[],
): void {
  if (y.dtype !== 'float16') {
    emit.run(zero, [], [y]);
    if (sizeOf(x.shape) > 0) emit.run(scatterAdd, [x, at], [y], dims);
    return;
  }
  const [wide, sums] = [emit.temporary(x.shape, 'float32'), emit.temporary(y.shape, 'float32')];
  emit.run(identity, [x], [wide]);
  emitScatterAdd(emit, wide, at, sums, dims);
  emit.run(identity, [sums], [y]);
}

/** What reads an array along an axis is told. */
export interface TakeAttrs {
  readonly axis: number;
  readonly mode: IndexMode;
}

/** Reads `shape` at indices. */
export interface Shaped {
  readonly shape: Shape;
}

/** The gradient of reading from dy and the indices; its own gradient is the reading again. */
function backOf<A extends object>(
  name: string,
  reading: () => Op<A>,
  run: (emit: Emitter, dy: Operand, indices: Operand, dx: Operand, attrs: A & Shaped) => void,
): Op<A & Shaped> {
  return defineOp<A & Shaped>({
    name,
    family: FAMILY,
    infer: ([dy], { shape }) => [{ shape, dtype: (dy as TensorType).dtype }],
    run: (emit, [dy, indices], [dx], attrs) =>
      run(emit, dy as Operand, indices as Operand, dx as Operand, attrs),
    keeps: { inputs: [1] },
    grad: (c) => [c.wants(0) ? invoke(reading(), [c.dy(), c.x(1)], c.attrs) : null, null],
  });
}

const places = (mode: IndexMode): ReturnType<typeof elementwiseKernel> =>
  elementwiseKernel('places', 1, within(mode, e.input(0), e.scalar(0)));
const takePlaces = { clip: places('clip'), wrap: places('wrap') };

/** The gradient of `take`; dy: (before…, indices…, after…). */
export const takeBack = (reading: () => Op<TakeAttrs>): Op<TakeAttrs & Shaped> =>
  backOf('takeGrad', reading, (emit, dy, indices, dx, { axis, mode, shape }) => {
    const [outer, extent, inner] = rowsOf(shape, axis);
    const count = sizeOf(indices.shape);
    const at = emit.temporary([count], 'int32');
    emit.run(takePlaces[mode], [flat(indices)], [at], undefined, [extent]);
    const dims = [count, 1, outer * inner, extent];
    if (outer === 1 || count * inner === 0) {
      emitScatterAdd(emit, dy, at, dx, dims);
      return;
    }
    // the axis in front, and back
    const front = emit.temporary([count, outer, inner], dy.dtype);
    const sums = emit.temporary([extent, outer, inner], dx.dtype);
    const swap = (from: Operand, to: Operand, a: number, b: number): void =>
      emit.run(move, [from], [to], [3, 0, 0, a, b, inner, inner, a * inner, 1, b * inner, inner, 1]);
    swap(dy, front, count, outer);
    emitScatterAdd(emit, front, at, sums, dims);
    swap(sums, dx, outer, extent);
  });

const picked = (mode: IndexMode): ReturnType<typeof rowKernel> =>
  rowKernel(
    'pickGrad',
    2,
    [],
    e.select(e.eq(e.index, within(mode, e.input(1), e.length)), e.input(0), 0),
    true,
  );
const pickKernels = { clip: picked('clip'), wrap: picked('wrap') };

/** The gradient of `pick`; dy and indices: one number a row. */
export const pickBack = <A extends TakeAttrs>(reading: () => Op<A>): Op<A & Shaped> =>
  backOf('pickGrad', reading, (emit, dy, indices, dx, { axis, mode, shape }) =>
    emit.run(pickKernels[mode], [dy, indices], [dx], rowDims(shape, axis, ['rows', 'rows'])),
  );

/** Element k of (outer, count, inner) as a place of (outer, extent, inner): scalars inner, count·inner, extent. Computed in int32. */
const linear = (mode: IndexMode): ReturnType<typeof elementwiseKernel> => {
  const [inner, each, extent] = [e.scalar(0), e.scalar(1), e.scalar(2)];
  const row = e.add(e.mul(e.div(e.index, each), extent), within(mode, e.input(0), extent));
  return elementwiseKernel('placesAlong', 1, e.add(e.mul(row, inner), e.mod(e.index, inner)), -1);
};
const linearPlaces = { clip: linear('clip'), wrap: linear('wrap') };

/** Whether no place was read twice. */
export interface AlongAttrs extends TakeAttrs {
  readonly once?: boolean | undefined;
}

/** The gradient of reading along an axis, element by element; dy and indices have one shape. */
export const alongBackOf = (reading: () => Op<AlongAttrs>): Op<AlongAttrs & Shaped> =>
  backOf('takeAlongGrad', reading, (emit, dy, indices, dx, { axis, mode, shape, once }) => {
    const [, extent, inner] = rowsOf(shape, axis);
    const count = sizeOf(dy.shape);
    const at = emit.temporary([count], 'int32');
    const scalars = [inner, (dy.shape[axis] as number) * inner, extent];
    if (count > 0) emit.run(linearPlaces[mode], [flat(indices)], [at], undefined, scalars);
    const dims = [count, 1, 1, sizeOf(shape)];
    if (once !== true) {
      emitScatterAdd(emit, dy, at, dx, dims);
      return;
    }
    emit.run(zero, [], [dx]);
    if (count > 0) emit.run(scatterSet, [dy, at], [dx], dims);
  });

/** [count, depth, slice, extents…] of reading `shape` at indices of shape `given`. */
export function gatherDims(shape: readonly number[], given: readonly number[]): number[] {
  const depth = given[0] as number;
  return [sizeOf(given.slice(1)), depth, sizeOf(shape.slice(depth)), ...shape.slice(0, depth)];
}

/** The gradient of `gatherNd`. */
export const gatherBack = (reading: () => Op<object>): Op<Shaped> =>
  backOf('gatherNdGrad', reading, (emit, dy, indices, dx, { shape }) =>
    emitScatterAdd(emit, dy, indices, dx, gatherDims(shape, indices.shape)),
  );

const isOwner = elementwiseKernel('isOwner', 1, e.eq(e.input(0), e.index), 0);

/** 1 for each of the places that `scatterNd` names, in their shape, 0 for those a later one overwrote. Input: the indices. */
export const ownersOp = defineOp<{ readonly shape: Shape; readonly dtype: TensorType['dtype'] }>({
  name: 'scatterOwners',
  family: FAMILY,
  infer: ([indices], { dtype }) => [{ shape: asShape((indices as TensorType).shape.slice(1)), dtype }],
  run(emit, [indices], [y], { shape }) {
    const at = indices as Operand;
    const [count = 0, depth = 0, , ...extents] = gatherDims(shape, at.shape);
    if (count === 0) return;
    const dims = [count, depth, 1, ...extents];
    const numbers = emit.temporary([count], 'int32');
    const cells = emit.temporary([sizeOf(extents)], 'int32');
    emit.run(iota, [], [numbers]);
    emit.run(scatterSet, [numbers, at], [cells], dims);
    emit.run(gather, [cells, at], [numbers], dims);
    emit.run(isOwner, [numbers], [flat(y as Operand)]);
  },
  // it tells which places were written last
  grad: null,
});
