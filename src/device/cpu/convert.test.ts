// Moves between dtypes: every float16 and all that rounds to it against IEEE 754's own definition, every pair of dtypes at lengths and offsets that fit no vector,
// with what lies around the target left alone.
import { expect, test } from 'vitest';
import type { DType } from '../../core/dtype.ts';
import { bytesOf, DTYPES, isFloat } from '../../core/dtype.ts';
import { moveBetween, readElement, toStored, unitsOf, viewOf } from './convert.ts';
import { Heap } from './heap.ts';
import { convertTo, randomStream } from './testReference.ts';
import { vectorLoops } from './wasm/loops.ts';

const heap = new Heap('plain');

/** A finite float16 by its definition. */
function numberOf(bits: number): number {
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits >> 15 ? -size : size;
}

const isNaNHalf = (bits: number): boolean => (bits & 0x7fff) > 0x7c00;

test('all float16 to float32 and back', () => {
  // an odd offset: float16 lies at no multiple of 8 bytes
  const [from, to, back] = [12345, 100000, 600001];
  for (let bits = 0; bits < 65536; bits++) heap.u16[from + bits] = bits;
  moveBetween('float16', 'float32')(heap, 65536, to, 1, from, 1);
  moveBetween('float32', 'float16')(heap, 65536, back, 1, to, 1);
  for (let bits = 0; bits < 65536; bits++) {
    const got = heap.f32[to + bits] as number;
    const want = isNaNHalf(bits)
      ? Number.NaN
      : (bits & 0x7fff) === 0x7c00
        ? bits >> 15
          ? -Infinity
          : Infinity
        : numberOf(bits);
    if (!Object.is(got, want)) expect([bits, got]).toEqual([bits, want]);
    const kept = heap.u16[back + bits] as number;
    if (kept !== (isNaNHalf(bits) ? (bits & 0x8000) | 0x7e00 : bits)) expect(kept).toBe(bits);
  }
});

test('float32 between any two neighbours of float16 goes to the nearer one, in the middle to the even one', () => {
  const [from, to] = [100001, 600001];
  // before the smallest, through all, and beyond the greatest, where 65536 would follow
  const values: number[] = [];
  const wants: number[] = [];
  const bitsOf = new Uint32Array(1);
  const single = new Float32Array(bitsOf.buffer);
  for (let bits = 0; bits < 0x7c00; bits++) {
    const low = numberOf(bits);
    const high = bits === 0x7bff ? 65536 : numberOf(bits + 1);
    single[0] = (low + high) / 2;
    const middle = bitsOf[0] as number;
    for (const step of [-1, 0, 1]) {
      bitsOf[0] = middle + step;
      const x = single[0] as number;
      const [below, above] = [x - low, high - x];
      const want = below === above ? bits + (bits & 1) : below < above ? bits : bits + 1;
      values.push(x, -x);
      wants.push(want, want | 0x8000);
    }
  }
  for (const x of [2 ** -149, 2 ** -127, 65536, 1e38, Infinity]) {
    values.push(x, -x);
    wants.push(x < 1 ? 0 : 0x7c00, x < 1 ? 0x8000 : 0xfc00);
  }
  heap.f32.set(values, from);
  moveBetween('float32', 'float16')(heap, values.length, to, 1, from, 1);
  // one by one is another way to the same bits
  const single16 = values.map((x) => toStored(x, 'float16', true));
  for (let i = 0; i < values.length; i++)
    if (heap.u16[to + i] !== wants[i] || single16[i] !== wants[i])
      expect([values[i], heap.u16[to + i], single16[i]]).toEqual([values[i], wants[i], wants[i]]);
});

const NUMBERS = [
  0,
  -0,
  1,
  -1,
  2.5,
  -2.5,
  3.99,
  300.7,
  -300.7,
  65519.99,
  70000,
  3e9,
  5e9,
  -3e9,
  2 ** -25,
  1e-7,
];
const SPECIAL = [Number.NaN, Infinity, -Infinity];
const WHOLE = [0, 1, 2, 127, 128, 200, 255, -1, -128, 2049, 70000, -70000, 16777217, 2147483647, -2147483648];

function valuesOf(dtype: DType, n: number, random: () => number): number[] {
  const all = dtype === 'bool' ? [0, 1] : isFloat(dtype) ? [...NUMBERS, ...SPECIAL] : WHOLE;
  return Array.from({ length: n }, () => all[Math.floor(random() * all.length)] as number);
}

test.each(DTYPES.flatMap((from) => DTYPES.map((to) => [from, to] as const)))('%s to %s', (from, to) => {
  const random = randomStream(3);
  const move = moveBetween(from, to);
  const [a, o] = [4097, 200003];
  for (const n of [1, 3, 31, 32, 33, 34, 35, 71])
    for (const [so, sa] of [
      [1, 1],
      [1, 0],
      [1, 2],
      [1, -1],
      [3, 1],
      [2, 0],
    ] as const) {
      for (const [i, x] of valuesOf(from, 401, random).entries())
        viewOf(heap, from)[a - 200 + i] = toStored(x, from, isFloat(from));
      const guard = unitsOf(heap, to);
      guard.fill(91, o - 4, o + n * so + 4);
      move(heap, n, o, so, a, sa);
      for (let i = -4; i < n * so + 4; i++) {
        const isWritten = i >= 0 && i % so === 0 && i < n * so;
        const got = isWritten ? readElement(heap, to, o + i) : guard[o + i];
        const want = isWritten
          ? convertTo(readElement(heap, from, a + (i / so) * sa), to, isFloat(from))
          : 91;
        if (!Object.is(got, want)) expect([n, so, sa, i, got]).toEqual([n, so, sa, i, want]);
      }
    }
});

test.each(DTYPES)('%s moved by less than its length', (dtype) => {
  const units = unitsOf(heap, dtype);
  for (const by of [-5, 3]) {
    const values = Array.from({ length: 70 }, (_, i) => (dtype === 'bool' ? i & 1 : i));
    units.set(values, 5001);
    moveBetween(dtype, dtype)(heap, 70, 5001 + by, 1, 5001, 1);
    expect(Array.from(units.subarray(5001 + by, 5071 + by))).toEqual(values);
  }
  expect(units.BYTES_PER_ELEMENT).toBe(bytesOf(dtype));
});

test('sums of integers wrap', () => {
  const { integers, exact } = vectorLoops(heap.kernels.vector);
  const { binary } = integers(exact);
  const random = randomStream(8);
  const [a, b, o] = [1001, 3002, 5003];
  for (const n of [16, 17, 18, 19, 64, 71])
    for (const [sa, sb] of [
      [1, 1],
      [0, 1],
      [1, 0],
      [0, 0],
    ] as const) {
      for (let i = 0; i < 100; i++) {
        heap.u32[a + i] = random() * 2 ** 32;
        heap.u32[b + i] = random() * 2 ** 32;
      }
      heap.i32.fill(91, o, o + 100);
      binary.add(heap.i32, n, o, a, sa, b, sb, 0, 0);
      for (let i = 0; i < 100; i++) {
        const [x, y] = [heap.i32[a + i * sa] as number, heap.i32[b + i * sb] as number];
        const want = i < n ? Number(BigInt.asIntN(32, BigInt(x) + BigInt(y))) : 91;
        if (heap.i32[o + i] !== want) expect([n, i, heap.i32[o + i]]).toEqual([n, i, want]);
      }
    }
});
