// What the tests of this folder share: arrays on a device from plain numbers, and a reference that evaluates expressions one element at a
// time in doubles, rounding after each primitive. Written from ir/expr.ts and ir/kernel.ts, not from the device.
import { setFlagsFromString } from 'node:v8';
import type { ComputeType, DType } from '../../core/dtype.ts';
import { bytesOf, fromHalf, toHalf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Expr } from '../../ir/expr.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { CpuDevice } from './cpuDevice.ts';
import type { Simd } from './wasm/load.ts';

// Node 20 has relaxed SIMD behind this flag, later ones know the flag no more
setFlagsFromString('--experimental-wasm-relaxed-simd');

/** The forms of the compiled kernels; a machine that lacks one of them fails the tests. */
export const SIMD_FORMS: readonly Simd[] = ['relaxed', 'plain'];

/** Repeatable numbers in [0, 1). */
export function randomStream(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return ((state ^ (state >>> 15)) >>> 0) / 2 ** 32;
  };
}

const hostArrays = {
  float32: Float32Array,
  float64: Float64Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int8: Int8Array,
  uint8: Uint8Array,
  bool: Uint8Array,
};

function encode(dtype: DType, values: readonly number[]): ArrayBufferView {
  if (dtype === 'float16') return Uint16Array.from(values, toHalf);
  return new hostArrays[dtype](values);
}

export function put(
  device: CpuDevice,
  dtype: DType,
  shape: readonly number[],
  values: readonly number[],
): Operand {
  const storage = device.alloc(sizeOf(shape) * bytesOf(dtype));
  device.write(storage, encode(dtype, values));
  return { storage, dtype, shape };
}

/** An output full of a pattern, so that what a kernel leaves out shows. */
export function empty(device: CpuDevice, dtype: DType, shape: readonly number[]): Operand {
  const bytes = sizeOf(shape) * bytesOf(dtype);
  const storage = device.alloc(bytes);
  device.write(storage, new Uint8Array(bytes).fill(0x5b));
  return { storage, dtype, shape };
}

export function get(device: CpuDevice, x: Operand): number[] {
  const n = sizeOf(x.shape);
  const buffer = device.readSync({ storage: x.storage, at: 0, bytes: n * bytesOf(x.dtype) });
  if (x.dtype === 'float16') return Array.from(new Uint16Array(buffer), fromHalf);
  return Array.from(new hostArrays[x.dtype](buffer));
}

export function release(device: CpuDevice, ...operands: readonly Operand[]): void {
  for (const x of operands) device.free(x.storage);
}

const saturate = (x: number): number =>
  Number.isNaN(x) ? 0 : Math.min(2147483647, Math.max(-2147483648, Math.trunc(x)));

/** A value brought to a dtype; `float`: it was of a float type. */
export function convertTo(x: number, dtype: DType, float: boolean): number {
  switch (dtype) {
    case 'float32':
      return Math.fround(x);
    case 'float16':
      return fromHalf(toHalf(x));
    case 'float64':
      return x;
    case 'bool':
      return x === 0 ? 0 : 1;
    case 'int32':
      return (float ? saturate(x) : x) | 0;
    case 'int8':
      return ((float ? saturate(x) : x) << 24) >> 24;
    case 'uint8':
      return (float ? saturate(x) : x) & 255;
    case 'uint32':
      if (!float || x < 0) return (float ? saturate(x) : x) >>> 0;
      return Math.min(4294967295, Math.trunc(x)) >>> 0;
  }
}

export const nativeOf: { readonly [K in ComputeType]: DType } = {
  f32: 'float32',
  f64: 'float64',
  i32: 'int32',
  u32: 'uint32',
};

export interface Leaves {
  readonly input: (index: number) => number;
  readonly scalars: readonly number[];
  readonly index: number;
  readonly length: number;
  readonly stages: readonly number[];
}

/** Simpson's rule over the definition, 2/√π·∫e^(−t²). */
function erfReference(x: number): number {
  if (Math.abs(x) > 5.9) return Math.sign(x);
  const n = 4000;
  const h = x / n;
  let sum = 1 + Math.exp(-x * x);
  for (let i = 1; i < n; i++) sum += (i % 2 === 1 ? 4 : 2) * Math.exp(-((i * h) ** 2));
  return ((2 / Math.sqrt(Math.PI)) * sum * h) / 3;
}

function erfinvReference(x: number): number {
  if (!(Math.abs(x) < 1)) return Math.abs(x) === 1 ? x * Infinity : Number.NaN;
  if (x === 0) return 0;
  let low = -6;
  let high = 6;
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (erfReference(middle) < x) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

function unaryReference(name: string, x: number): number {
  switch (name) {
    case 'neg':
      return -x;
    case 'rint': {
      if (!Number.isFinite(x)) return x;
      const down = Math.floor(x);
      const rest = x - down;
      return rest < 0.5 ? down : rest > 0.5 ? down + 1 : down % 2 === 0 ? down : down + 1;
    }
    case 'erf':
      return erfReference(x);
    case 'erfinv':
      return erfinvReference(x);
    case 'isnan':
      return Number.isNaN(x) ? 1 : 0;
    case 'isinf':
      return x === Infinity || x === -Infinity ? 1 : 0;
    case 'not':
      return x === 0 ? 1 : 0;
    default:
      return (Math as unknown as Record<string, (x: number) => number>)[name]?.(x) ?? Number.NaN;
  }
}

/** aᵇ modulo 2³², as a signed number. */
function wrappedPower(a: bigint, b: bigint): number {
  let result = 1n;
  for (const bit of b.toString(2)) {
    result = (result * result) & 0xffffffffn;
    if (bit === '1') result = (result * a) & 0xffffffffn;
  }
  return Number(BigInt.asIntN(32, result));
}

function binaryReference(name: string, a: number, b: number, type: ComputeType): number {
  const float = type === 'f32' || type === 'f64';
  const bit = (x: boolean): number => (x ? 1 : 0);
  switch (name) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return float ? a * b : Number(BigInt.asIntN(32, BigInt(a) * BigInt(b)));
    case 'div':
      return float ? a / b : b === 0 ? 0 : Math.trunc(a / b);
    case 'fmod':
      return !float && b === 0 ? 0 : a % b;
    case 'mod':
      if (!float && b === 0) return 0;
      return a % b !== 0 && a % b < 0 !== b < 0 ? (a % b) + b : a % b;
    case 'pow':
      if (a === 1 || (a === -1 && Math.abs(b) === Infinity)) return 1;
      if (!float) return b < 0 ? saturate(a ** b) : wrappedPower(BigInt(a), BigInt(b));
      return a ** b;
    case 'max':
      return Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : a > b ? a : b;
    case 'min':
      return Number.isNaN(a) || Number.isNaN(b) ? Number.NaN : a < b ? a : b;
    case 'atan2':
      return Math.atan2(a, b);
    case 'eq':
      return bit(a === b);
    case 'ne':
      return bit(a !== b);
    case 'lt':
      return bit(a < b);
    case 'le':
      return bit(a <= b);
    case 'gt':
      return bit(a > b);
    case 'ge':
      return bit(a >= b);
    case 'and':
      return bit(a !== 0 && b !== 0);
    case 'or':
      return bit(a !== 0 || b !== 0);
    case 'xor':
      return bit((a !== 0) !== (b !== 0));
    default:
      throw new Error(name);
  }
}

const WHOLE = new Set([
  'add',
  'sub',
  'mul',
  'div',
  'mod',
  'fmod',
  'neg',
  'abs',
  'sign',
  'floor',
  'ceil',
  'rint',
  'trunc',
  'max',
  'min',
]);

/** The expression for one element, in the numbers of `type`. */
export function evaluate(x: Expr, type: ComputeType, leaves: Leaves): number {
  const native = nativeOf[type];
  const float = type === 'f32' || type === 'f64';
  const go = (y: Expr): number => evaluate(y, type, leaves);
  switch (x.kind) {
    case 'input':
      return leaves.input(x.index);
    case 'scalar':
      return convertTo(leaves.scalars[x.index] ?? Number.NaN, native, true);
    case 'const':
      return convertTo(x.value, native, true);
    case 'index':
      return convertTo(leaves.index, native, float);
    case 'length':
      return convertTo(leaves.length, native, float);
    case 'stage':
      return leaves.stages[x.index] as number;
    case 'unary':
      return convertTo(unaryReference(x.name, go(x.a)), native, float || !WHOLE.has(x.name));
    case 'binary':
      return convertTo(
        binaryReference(x.name, go(x.a), go(x.b), type),
        native,
        float || !(WHOLE.has(x.name) || x.name === 'pow'),
      );
    case 'select':
      return go(x.test) !== 0 ? go(x.yes) : go(x.no);
  }
}

/** The element of a broadcast input for a linear output index. */
export function broadcastIndex(
  outShape: readonly number[],
  inShape: readonly number[],
  linear: number,
): number {
  let rest = linear;
  let at = 0;
  let step = 1;
  for (let i = 1; i <= outShape.length; i++) {
    const extent = outShape[outShape.length - i] as number;
    const c = rest % extent;
    rest = (rest - c) / extent;
    if (i <= inShape.length) {
      const own = inShape[inShape.length - i] as number;
      at += (own === 1 ? 0 : c) * step;
      step *= own;
    }
  }
  return at;
}

/** Whether two results agree: NaN with NaN, ∞ with ∞, else within `relative` of the larger. */
export function close(a: number, b: number, relative: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b);
  if (a === b) return true;
  if (!Number.isFinite(a) || !Number.isFinite(b)) return false;
  return Math.abs(a - b) <= relative * Math.max(Math.abs(a), Math.abs(b)) + relative * 1e-30;
}
