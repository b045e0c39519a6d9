// Moves elements from one dtype and stride to another, by the rules at the end of ir/kernel.ts. A loop serves many dtypes: an engine tells four kinds of view apart in one
// at next to no cost, and a page hardly uses more.
import type { DType } from '../../core/dtype.ts';
import { bytesOf, fromHalf, isFloat, toHalf } from '../../core/dtype.ts';
import type { Heap } from './heap.ts';
import { toInt32, toUint32 } from './scalarMath.ts';

/** Moves `n` elements from index `a`, stride `sa`, to index `o`, stride `so`. A stride of 0 at the source repeats one element. */
export type Move = (heap: Heap, n: number, o: number, so: number, a: number, sa: number) => void;

type View = Float32Array | Float64Array | Uint16Array | Int32Array | Uint32Array | Int8Array | Uint8Array;
type Units = Uint8Array | Uint16Array | Int32Array | Float64Array;

const bytes = (heap: Heap): Uint8Array => heap.u8;
const words = (heap: Heap): Int32Array => heap.i32;
const doubles = (heap: Heap): Float64Array => heap.f64;
const shorts = (heap: Heap): Uint16Array => heap.u16;

const VIEWS: { readonly [K in DType]: (heap: Heap) => View } = {
  float32: (heap) => heap.f32,
  float64: doubles,
  float16: shorts,
  int32: words,
  uint32: (heap) => heap.u32,
  int8: (heap) => heap.i8,
  uint8: bytes,
  bool: bytes,
};

const UNITS: { readonly [K in DType]: (heap: Heap) => Units } = {
  float32: words,
  float64: doubles,
  float16: shorts,
  int32: words,
  uint32: words,
  int8: bytes,
  uint8: bytes,
  bool: bytes,
};

/** The heap as numbers of a dtype's storage (float16 as its bits). */
export function viewOf(heap: Heap, dtype: DType): View {
  return VIEWS[dtype](heap);
}

/** The heap as units of a dtype's width, to move elements unread: four kinds of view, which is as many as the engine tells apart in one loop. */
export function unitsOf(heap: Heap, dtype: DType): Units {
  return UNITS[dtype](heap);
}

/** Reads one element as a number. */
export function readElement(heap: Heap, dtype: DType, index: number): number {
  const raw = viewOf(heap, dtype)[index] as number;
  return dtype === 'float16' ? fromHalf(raw) : raw;
}

/** A number as the dtype's storage holds it. `fromFloat`: it comes from a float dtype, so that integers saturate. */
export function toStored(value: number, dtype: DType, fromFloat: boolean): number {
  if (dtype === 'float16') return toHalf(value);
  if (dtype === 'bool') return value === 0 ? 0 : 1;
  if (!fromFloat || isFloat(dtype)) return value;
  return dtype === 'uint32' ? toUint32(value) : toInt32(value);
}

const isByte = (dtype: DType): boolean => bytesOf(dtype) === 1;
const isWide = (dtype: DType): boolean => dtype === 'int32' || dtype === 'uint32';

/** From how many neighbours on a call to the engine's own copying or to WebAssembly pays. */
const LONG = 32;

function choose(from: DType, to: DType): Move {
  const isUnread =
    from === to || (isWide(from) && isWide(to)) || (isByte(from) && isByte(to) && to !== 'bool');
  const [source, target] = isUnread ? [UNITS[from], UNITS[from]] : [VIEWS[from], VIEWS[to]];
  const fromFloat = isFloat(from);
  const isHalf = from === 'float16';
  /** Whether storing a number in the target's array is all there is to do. */
  const isPlain = !isHalf && to !== 'float16' && to !== 'bool' && (!fromFloat || isFloat(to));
  const compiled =
    isHalf && to === 'float32' ? 'fromHalves' : from === 'float32' && to === 'float16' ? 'toHalves' : null;
  const move: Move = (heap, n, o, so, a, sa) => {
    const s = source(heap);
    const d = target(heap);
    if (so === 1 && n >= LONG) {
      if (sa === 0) {
        move(heap, 1, o, 1, a, 1);
        d.fill(d[o] as number, o, o + n);
        return;
      }
      if (sa === 1) {
        if (isUnread || isPlain) {
          d.set(s.subarray(a, a + n), o);
          return;
        }
        if (compiled !== null) {
          const done = n & ~3;
          heap.kernels.vector[compiled](done, o * d.BYTES_PER_ELEMENT, a * s.BYTES_PER_ELEMENT);
          n -= done;
          o += done;
          a += done;
        }
      }
    }
    // what is moved unread has a loop of its own: four kinds of view are as many as an engine tells apart in one
    if (isUnread) for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
    else if (isPlain) for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
    else if (isHalf || to === 'float16')
      for (let i = 0; i < n; i++, o += so, a += sa) {
        const x = s[a] as number;
        d[o] = toStored(isHalf ? fromHalf(x) : x, to, fromFloat);
      }
    else if (to === 'bool') for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] === 0 ? 0 : 1;
    else if (to === 'uint32') for (let i = 0; i < n; i++, o += so, a += sa) d[o] = toUint32(s[a] as number);
    else for (let i = 0; i < n; i++, o += so, a += sa) d[o] = toInt32(s[a] as number);
  };
  return move;
}

const moves = new Map<DType, Map<DType, Move>>();

/** The loop that moves elements of `from` to `to`. */
export function moveBetween(from: DType, to: DType): Move {
  let row = moves.get(from);
  if (row === undefined) {
    row = new Map();
    moves.set(from, row);
  }
  let move = row.get(to);
  if (move === undefined) {
    move = choose(from, to);
    row.set(to, move);
  }
  return move;
}
