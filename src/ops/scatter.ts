// The way back of reading by index: what was taken from a place is added there. Each is linear, and its own gradient is the reading again. Sums over places that
// were read more than once are taken in ascending order, so that they repeat.
import type { NDArray } from '../array/ndarray.ts';
import { asShape, type Shape, sizeOf } from '../core/shape.ts';
import { e } from '../ir/expr.ts';
import type { ElementwiseKernel, Operand } from '../ir/kernel.ts';
import { customKernel, elementwiseKernel, rowKernel } from '../ir/kernel.ts';
import { invoke } from './invoke.ts';
import type { Emitter, GradFunctions, TensorType } from './op.ts';
import { defineOp } from './op.ts';

const FAMILY = 'gradient';
const scatterAdd = customKernel('scatterAddNd');
const scatterSet = customKernel('scatterNd');
const gather = customKernel('gatherNd');
const move = customKernel('stridedCopy');
const convert = elementwiseKernel('copy', 1, e.input(0));
const zero = elementwiseKernel('zero', 0, e.constant(0), -1);
const iota = elementwiseKernel('iota', 0, e.index, -1);

/** How an index outside an axis counts; as `IndexMode` of indexing.ts. */
type Mode = 'clip' | 'wrap';

// an index within [0, extent), extent in scalar 2
const index = e.trunc(e.input(0));
const within = {
  clip: e.max(0, e.min(index, e.sub(e.scalar(2), 1))),
  wrap: e.mod(index, e.scalar(2)),
} as const;
const places: Readonly<Record<Mode, ElementwiseKernel>> = {
  clip: elementwiseKernel('placesClipped', 1, within.clip),
  wrap: elementwiseKernel('placesWrapped', 1, within.wrap),
};
/** Element k of (outer, count, inner) as a place of (outer, extent, inner): scalars inner, count·inner, extent. Computed in int32. */
function linear(mode: Mode): ElementwiseKernel {
  const row = e.add(e.mul(e.div(e.index, e.scalar(1)), e.scalar(2)), within[mode]);
  return elementwiseKernel('placesAlong', 1, e.add(e.mul(row, e.scalar(0)), e.mod(e.index, e.scalar(0))), -1);
}
const linearPlaces: Readonly<Record<Mode, ElementwiseKernel>> = {
  clip: linear('clip'),
  wrap: linear('wrap'),
};

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
  emit.run(convert, [x], [wide]);
  emitScatterAdd(emit, wide, at, sums, dims);
  emit.run(convert, [sums], [y]);
}

/** [outer, length, inner] of one axis. */
function rowsOf(shape: readonly number[], axis: number): readonly [number, number, number] {
  return [sizeOf(shape.slice(0, axis)), shape[axis] as number, sizeOf(shape.slice(axis + 1))];
}

interface BackAttrs {
  readonly axis: number;
  readonly mode: Mode;
  /** Of what was read. */
  readonly shape: Shape;
}

/** The gradient of `take` from that of what was taken, (before…, indices…, after…), and the indices. */
export const takeBack = defineOp<BackAttrs>({
  name: 'takeGrad',
  family: FAMILY,
  infer: ([dy], { shape }) => [{ shape, dtype: (dy as TensorType).dtype }],
  run(emit, [dy, indices], [dx], { axis, mode, shape }) {
    const [outer, extent, inner] = rowsOf(shape, axis);
    const count = sizeOf((indices as Operand).shape);
    const at = emit.temporary([count], 'int32');
    emit.run(places[mode], [flat(indices as Operand)], [at], undefined, [0, 0, extent]);
    const dims = [count, 1, outer * inner, extent];
    const [from, to] = [dy as Operand, dx as Operand];
    if (outer === 1 || count * inner === 0) {
      emitScatterAdd(emit, from, at, to, dims);
      return;
    }
    // the axis in front, and back
    const front = emit.temporary([count, outer, inner], from.dtype);
    const sums = emit.temporary([extent, outer, inner], to.dtype);
    emit.run(
      move,
      [from],
      [front],
      [3, 0, 0, count, outer, inner, inner, count * inner, 1, outer * inner, inner, 1],
    );
    emitScatterAdd(emit, front, at, sums, dims);
    emit.run(
      move,
      [sums],
      [to],
      [3, 0, 0, outer, extent, inner, inner, outer * inner, 1, extent * inner, inner, 1],
    );
  },
  keeps: { inputs: [1] },
  grad: (c) => [c.wants(0) ? c.f.take(c.dy(), c.x(1), c.attrs.axis, c.attrs.mode) : null, null],
});

const picked = {
  clip: e.max(0, e.min(e.trunc(e.input(0)), e.sub(e.length, 1))),
  wrap: e.mod(e.trunc(e.input(0)), e.length),
} as const;
const pickKernels = {
  clip: rowKernel('pickGrad', 2, [], e.select(e.eq(e.index, picked.clip), e.input(1), 0), true, 1),
  wrap: rowKernel('pickGrad', 2, [], e.select(e.eq(e.index, picked.wrap), e.input(1), 0), true, 1),
} as const;

/** The gradient of `pick`: inputs the indices and dy, one number a row. */
export const pickBack = defineOp<BackAttrs & { readonly keepdims: boolean }>({
  name: 'pickGrad',
  family: FAMILY,
  infer: ([, dy], { shape }) => [{ shape, dtype: (dy as TensorType).dtype }],
  run(emit, inputs, y, { axis, mode, shape }) {
    const [outer, length, inner] = rowsOf(shape, axis);
    emit.run(pickKernels[mode], inputs, y, [outer, length, inner, inner, 0, 1, inner, 0, 1]);
  },
  keeps: { inputs: [0] },
  grad: (c) => [
    null,
    c.wants(1) ? c.f.pick(c.dy(), c.x(0), c.attrs.axis, c.attrs.mode, c.attrs.keepdims) : null,
  ],
});

/** The gradient of reading along an axis, element by element, from dy and the indices, both of one shape. `once`: no place was read twice. */
export const alongBack = defineOp<BackAttrs & { readonly once: boolean }>({
  name: 'takeAlongGrad',
  family: FAMILY,
  infer: ([dy], { shape }) => [{ shape, dtype: (dy as TensorType).dtype }],
  run(emit, [dy, indices], [dx], { axis, mode, shape, once }) {
    const [, extent, inner] = rowsOf(shape, axis);
    const [from, to] = [dy as Operand, dx as Operand];
    const count = sizeOf(from.shape);
    const at = emit.temporary([count], 'int32');
    const scalars = [inner, (from.shape[axis] as number) * inner, extent];
    if (count > 0) emit.run(linearPlaces[mode], [flat(indices as Operand)], [at], undefined, scalars);
    const dims = [count, 1, 1, sizeOf(shape)];
    if (!once) {
      emitScatterAdd(emit, from, at, to, dims);
      return;
    }
    emit.run(zero, [], [to]);
    if (count > 0) emit.run(scatterSet, [from, at], [to], dims);
  },
  keeps: { inputs: [1] },
  grad: (c) => [c.wants(0) ? c.f.takeAlong(c.dy(), c.x(1), c.attrs.axis, c.attrs.mode) : null, null],
});

/** [count, depth, slice, extents…] of reading `shape` at indices of shape `given`. */
function gatherDims(shape: readonly number[], given: readonly number[]): number[] {
  const depth = given[0] as number;
  return [sizeOf(given.slice(1)), depth, sizeOf(shape.slice(depth)), ...shape.slice(0, depth)];
}

/** The gradient of `gatherNd` from dy and the indices. */
export const gatherBack = defineOp<{ readonly shape: Shape }>({
  name: 'gatherNdGrad',
  family: FAMILY,
  infer: ([dy], { shape }) => [{ shape, dtype: (dy as TensorType).dtype }],
  run(emit, [dy, indices], [dx], { shape }) {
    const at = indices as Operand;
    emitScatterAdd(emit, dy as Operand, at, dx as Operand, gatherDims(shape, at.shape));
  },
  keeps: { inputs: [1] },
  grad: (c) => [c.wants(0) ? c.f.gatherNd(c.dy(), c.x(1)) : null, null],
});

const isOwner = elementwiseKernel('isOwner', 1, e.eq(e.input(0), e.index), 0);

/** 1 for each of the places that `scatterNd` names, in their shape, 0 for those a later one overwrote. Input: the indices. */
const ownersOp = defineOp<{ readonly shape: Shape; readonly dtype: TensorType['dtype'] }>({
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
  grad: 'it tells which places were written last',
});

/** dx of `scatterNd` from dy: what stands at the places; nothing where a later one overwrote. */
export function scatterBack(
  f: GradFunctions,
  dy: NDArray,
  indices: NDArray,
  shape: readonly number[],
): NDArray {
  const owners = invoke(ownersOp, [indices], { shape: dy.shape, dtype: dy.dtype });
  const lead = indices.shape.slice(1);
  const gathered = f.reshape(f.gatherNd(dy, indices), shape);
  return f.mul(gathered, f.reshape(owners, [...lead, ...Array<number>(shape.length - lead.length).fill(1)]));
}
