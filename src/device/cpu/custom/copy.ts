// Strided copies: slices, transposes, concatenations, flips, tiles. Axes are merged as far as they step together; what remains is copied
// in runs, or, where the two sides run along different axes, in square tiles that suit the cache.
import type { DType } from '../../../core/dtype.ts';
import { bytesOf } from '../../../core/dtype.ts';
import type { Operand } from '../../../ir/kernel.ts';
import type { Move } from '../convert.ts';
import { moveBetween, unitsOf } from '../convert.ts';
import type { Heap } from '../heap.ts';

interface Axis {
  readonly extent: number;
  readonly from: number;
  readonly to: number;
}

/** Elements a side of a tile of a transposition. */
const TILE = 32;

/** `stridedCopy`: see ir/kernel.ts. */
export function stridedCopy(heap: Heap, x: Operand, y: Operand, dims: readonly number[]): void {
  const ndim = dims[0] as number;
  const part = (i: number): readonly number[] => dims.slice(3 + i * ndim, 3 + (i + 1) * ndim);
  const from = x.storage.offset / bytesOf(x.dtype) + (dims[1] as number);
  const to = y.storage.offset / bytesOf(y.dtype) + (dims[2] as number);
  copyStrided(heap, x.dtype, y.dtype, from, to, part(0), part(1), part(2));
}

/** Copies the elements at `from` + Σ c·fromStride to `to` + Σ c·toStride for all c in `shape`. */
export function copyStrided(
  heap: Heap,
  fromType: DType,
  toType: DType,
  from: number,
  to: number,
  shape: readonly number[],
  fromStrides: readonly number[],
  toStrides: readonly number[],
): void {
  // in the output's order, so that writes go forward
  const axes: Axis[] = [];
  for (let i = 0; i < shape.length; i++) {
    const extent = shape[i] as number;
    if (extent === 0) return;
    if (extent === 1) continue;
    const step = toStrides[i] as number;
    let at = axes.length;
    for (; at > 0 && (axes[at - 1] as Axis).to < step; at--) axes[at] = axes[at - 1] as Axis;
    axes[at] = { extent, from: fromStrides[i] as number, to: step };
  }
  copyAxes(heap, fromType, toType, merge(axes), from, to);
}

function merge(axes: readonly Axis[]): Axis[] {
  const out: Axis[] = [];
  for (const axis of axes) {
    const last = out[out.length - 1];
    if (last !== undefined && last.to === axis.to * axis.extent && last.from === axis.from * axis.extent)
      out[out.length - 1] = { extent: last.extent * axis.extent, from: axis.from, to: axis.to };
    else out.push(axis);
  }
  return out;
}

function copyAxes(heap: Heap, fromType: DType, toType: DType, axes: Axis[], from: number, to: number): void {
  const move = moveBetween(fromType, toType);
  const last = axes[axes.length - 1];
  if (last === undefined) {
    move(heap, 1, to, 1, from, 1);
    return;
  }
  if (axes.length === 1) {
    move(heap, last.extent, to, last.to, from, last.from);
    return;
  }
  // the axis along which the source runs, if it is not the last
  const size = Math.abs(last.from);
  const side =
    size <= 1 ? -1 : axes.findIndex((a, i) => i < axes.length - 1 && Math.abs(a.from) === 1 && a.extent >= 4);
  const sameWidth = fromType === toType;
  if (side >= 0 && sameWidth && last.extent >= 4) {
    const [across] = axes.splice(side, 1) as [Axis];
    axes.pop();
    const m = unitsOf(heap, fromType);
    const { vector } = heap.kernels;
    // `last` runs along the output, `across` along the source
    if (m.BYTES_PER_ELEMENT === 4 && across.from === 1 && last.to === 1)
      forEachOuter(axes, from, to, (f, t) =>
        vector.transpose(last.extent, across.extent, f * 4, last.from * 4, t * 4, across.to * 4),
      );
    else forEachOuter(axes, from, to, (f, t) => copyTiled(m, across, last, f, t));
    return;
  }
  const second = axes[axes.length - 2] as Axis;
  if (last.extent < 32 && sameWidth) {
    // runs too short for a call each
    axes.length -= 2;
    const m = unitsOf(heap, fromType);
    forEachOuter(axes, from, to, (f, t) => copyRuns(m, second, last, f, t));
    return;
  }
  axes.pop();
  forEachOuter(axes, from, to, (f, t) => runOf(heap, move, last, f, t));
}

function runOf(heap: Heap, move: Move, axis: Axis, from: number, to: number): void {
  move(heap, axis.extent, to, axis.to, from, axis.from);
}

function copyRuns(m: { [i: number]: number }, outer: Axis, inner: Axis, from: number, to: number): void {
  const { extent, from: si, to: so } = inner;
  for (let i = 0; i < outer.extent; i++, from += outer.from, to += outer.to)
    for (let j = 0, f = from, t = to; j < extent; j++, f += si, t += so) m[t] = m[f] as number;
}

/** `across`: the source's contiguous axis; `along`: the output's innermost. */
function copyTiled(m: { [i: number]: number }, across: Axis, along: Axis, from: number, to: number): void {
  const { from: sf, to: st } = along;
  for (let i0 = 0; i0 < across.extent; i0 += TILE) {
    const i1 = Math.min(i0 + TILE, across.extent);
    for (let j0 = 0; j0 < along.extent; j0 += TILE) {
      const n = Math.min(TILE, along.extent - j0);
      for (let i = i0; i < i1; i++) {
        let f = from + i * across.from + j0 * sf;
        let t = to + i * across.to + j0 * st;
        for (let j = 0; j < n; j++, f += sf, t += st) m[t] = m[f] as number;
      }
    }
  }
}

/** Visits every position of `axes`, with the offsets of both sides. */
function forEachOuter(
  axes: readonly Axis[],
  from: number,
  to: number,
  visit: (from: number, to: number) => void,
): void {
  const coords = new Array<number>(axes.length).fill(0);
  for (;;) {
    visit(from, to);
    let k = axes.length - 1;
    for (; k >= 0; k--) {
      const axis = axes[k] as Axis;
      const next = (coords[k] as number) + 1;
      from += axis.from;
      to += axis.to;
      if (next < axis.extent) {
        coords[k] = next;
        break;
      }
      coords[k] = 0;
      from -= axis.from * next;
      to -= axis.to * next;
    }
    if (k < 0) return;
  }
}
