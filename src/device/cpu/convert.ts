// Moves elements from one dtype and stride to another, by the rules at the end of ir/kernel.ts. Common pairs have loops of their own;
// the rest go through one number at a time.
import type { DType } from '../../core/dtype.ts';
import { fromHalf, isFloat, toHalf } from '../../core/dtype.ts';
import type { Heap } from './heap.ts';
import { toInt32, toUint32 } from './scalarMath.ts';

/** Moves `n` elements from index `a`, stride `sa`, to index `o`, stride `so`. A stride of 0 at the source repeats one element. */
export type Move = (heap: Heap, n: number, o: number, so: number, a: number, sa: number) => void;

/** The heap as numbers of a dtype's storage (float16 as its bits). */
export function viewOf(
  heap: Heap,
  dtype: DType,
): Float32Array | Float64Array | Uint16Array | Int32Array | Uint32Array | Int8Array | Uint8Array {
  switch (dtype) {
    case 'float32':
      return heap.f32;
    case 'float64':
      return heap.f64;
    case 'float16':
      return heap.u16;
    case 'int32':
      return heap.i32;
    case 'uint32':
      return heap.u32;
    case 'int8':
      return heap.i8;
    case 'uint8':
    case 'bool':
      return heap.u8;
  }
}

/** The heap as units of a dtype's width, to move elements unread: four kinds of view, which is as many as the engine tells apart in one loop. */
export function unitsOf(heap: Heap, dtype: DType): Uint8Array | Uint16Array | Int32Array | Float64Array {
  switch (dtype) {
    case 'float64':
      return heap.f64;
    case 'float16':
      return heap.u16;
    case 'float32':
    case 'int32':
    case 'uint32':
      return heap.i32;
    case 'int8':
    case 'uint8':
    case 'bool':
      return heap.u8;
  }
}

let halfTable: Float32Array | undefined;

/** The number of every float16. */
function halves(): Float32Array {
  if (halfTable === undefined) {
    halfTable = new Float32Array(65536);
    for (let bits = 0; bits < 65536; bits++) halfTable[bits] = fromHalf(bits);
  }
  return halfTable;
}

/** Reads one element as a number. */
export function readElement(heap: Heap, dtype: DType, index: number): number {
  const raw = viewOf(heap, dtype)[index] as number;
  return dtype === 'float16' ? fromHalf(raw) : raw;
}

/** A number as the dtype's storage holds it. `fromFloat`: it comes from a float dtype, so that integers saturate. */
export function toStored(value: number, dtype: DType, fromFloat: boolean): number {
  switch (dtype) {
    case 'float16':
      return toHalf(value);
    case 'bool':
      return value === 0 ? 0 : 1;
    case 'uint32':
      return fromFloat ? toUint32(value) : value;
    case 'int32':
    case 'int8':
    case 'uint8':
      return fromFloat ? toInt32(value) : value;
    default:
      return value;
  }
}

const copy8: Move = (heap, n, o, so, a, sa) => {
  const m = heap.u8;
  if (so === 1 && sa === 1) m.copyWithin(o, a, a + n);
  else if (so === 1 && sa === 0) m.fill(m[a] as number, o, o + n);
  else for (let i = 0; i < n; i++, o += so, a += sa) m[o] = m[a] as number;
};
const copy16: Move = (heap, n, o, so, a, sa) => {
  const m = heap.u16;
  if (so === 1 && sa === 1 && n > 32) m.copyWithin(o, a, a + n);
  else for (let i = 0; i < n; i++, o += so, a += sa) m[o] = m[a] as number;
};
const copy32: Move = (heap, n, o, so, a, sa) => {
  const m = heap.i32;
  if (so === 1 && sa === 1 && n > 32) m.copyWithin(o, a, a + n);
  else if (so === 1 && sa === 0 && n > 32) m.fill(m[a] as number, o, o + n);
  else for (let i = 0; i < n; i++, o += so, a += sa) m[o] = m[a] as number;
};
const copy64: Move = (heap, n, o, so, a, sa) => {
  const m = heap.f64;
  if (so === 1 && sa === 1 && n > 16) m.copyWithin(o, a, a + n);
  else for (let i = 0; i < n; i++, o += so, a += sa) m[o] = m[a] as number;
};
const f32ToF64: Move = (heap, n, o, so, a, sa) => {
  const d = heap.f64;
  const s = heap.f32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};
const f64ToF32: Move = (heap, n, o, so, a, sa) => {
  const d = heap.f32;
  const s = heap.f64;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};
const i32ToF64: Move = (heap, n, o, so, a, sa) => {
  const d = heap.f64;
  const s = heap.i32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};
const i32ToF32: Move = (heap, n, o, so, a, sa) => {
  const d = heap.f32;
  const s = heap.i32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};
const u8ToF32: Move = (heap, n, o, so, a, sa) => {
  const d = heap.f32;
  const s = heap.u8;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};
const i8ToF32: Move = (heap, n, o, so, a, sa) => {
  const d = heap.f32;
  const s = heap.i8;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};
const f16ToF32: Move = (heap, n, o, so, a, sa) => {
  const d = heap.f32;
  const s = heap.u16;
  const table = halves();
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = table[s[a] as number] as number;
};
const f32ToF16: Move = (heap, n, o, so, a, sa) => {
  const d = heap.u16;
  const s = heap.f32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = toHalf(s[a] as number);
};
const f32ToI32: Move = (heap, n, o, so, a, sa) => {
  const d = heap.i32;
  const s = heap.f32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = toInt32(s[a] as number);
};
const f32ToU8: Move = (heap, n, o, so, a, sa) => {
  const d = heap.u8;
  const s = heap.f32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = toInt32(s[a] as number);
};
const f32ToBool: Move = (heap, n, o, so, a, sa) => {
  const d = heap.u8;
  const s = heap.f32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] === 0 ? 0 : 1;
};
const wide32ToBool: Move = (heap, n, o, so, a, sa) => {
  const d = heap.u8;
  const s = heap.i32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] === 0 ? 0 : 1;
};
const wide32To8: Move = (heap, n, o, so, a, sa) => {
  const d = heap.u8;
  const s = heap.i32;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};
const u8ToWide32: Move = (heap, n, o, so, a, sa) => {
  const d = heap.i32;
  const s = heap.u8;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};
const i8ToWide32: Move = (heap, n, o, so, a, sa) => {
  const d = heap.i32;
  const s = heap.i8;
  for (let i = 0; i < n; i++, o += so, a += sa) d[o] = s[a] as number;
};

function general(from: DType, to: DType): Move {
  const float = isFloat(from);
  return (heap, n, o, so, a, sa) => {
    const view = viewOf(heap, to);
    for (let i = 0; i < n; i++, o += so, a += sa) view[o] = toStored(readElement(heap, from, a), to, float);
  };
}

const isByte = (dtype: DType): boolean => dtype === 'int8' || dtype === 'uint8' || dtype === 'bool';
const isWide = (dtype: DType): boolean => dtype === 'int32' || dtype === 'uint32';

function choose(from: DType, to: DType): Move {
  if (from === to || (isWide(from) && isWide(to)) || (isByte(from) && isByte(to) && to !== 'bool')) {
    if (isByte(from)) return copy8;
    return from === 'float16' ? copy16 : from === 'float64' ? copy64 : copy32;
  }
  if (isWide(from) && isByte(to)) return to === 'bool' ? wide32ToBool : wide32To8;
  if (isWide(to) && isByte(from)) return from === 'int8' ? i8ToWide32 : u8ToWide32;
  switch (`${from}>${to}`) {
    case 'float32>float64':
      return f32ToF64;
    case 'float64>float32':
      return f64ToF32;
    case 'int32>float64':
      return i32ToF64;
    case 'int32>float32':
      return i32ToF32;
    case 'uint8>float32':
    case 'bool>float32':
      return u8ToF32;
    case 'int8>float32':
      return i8ToF32;
    case 'float16>float32':
      return f16ToF32;
    case 'float32>float16':
      return f32ToF16;
    case 'float32>int32':
      return f32ToI32;
    case 'float32>int8':
    case 'float32>uint8':
      return f32ToU8;
    case 'float32>bool':
      return f32ToBool;
    default:
      return general(from, to);
  }
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
