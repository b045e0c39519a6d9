// The numbers of shaders/philox.wgsl, bit for bit, in TypeScript: what tests hold the GPU against, and the readable form of its formulas. Nothing at run time
// uses it: draws of a GPU are made on the GPU.
//
// What cuRAND computes in float32 with fused multiply-adds is computed here by exact products rounded once. Its sine and cosine are the GPU's fast ones
// (`__sincosf`): the angle as a fraction of a turn is cut to float32, the result is cut to 23 bits. That model gives the digits which are on record
// for MXNet (-1.3204551 0.68232244); accurate functions give -1.320455 0.68232304. Its last bit on other values is not known to be NVIDIA's.

import { dropoutKeep } from './mxnetCpu.ts';
import type { PhiloxPlan, Segment } from './philox.ts';

const f = Math.fround;
const TWO_32 = 2 ** 32;
const UNIT = 2 ** -32;
/** 2π/2³² as cuRAND writes it. */
const TURN = f(1.46291807e-9);
/** 1/2π as float32. */
const PER_RADIAN = f(0.15915494309189535);
const QUARTER = 2 ** 30;

/** High word of a 32 by 32 bit product. */
function mulHigh(a: number, b: number): number {
  const aLow = a & 0xffff;
  const aHigh = a >>> 16;
  const bLow = b & 0xffff;
  const bHigh = b >>> 16;
  const middle = aHigh * bLow + Math.floor((aLow * bLow) / 65536);
  const other = aLow * bHigh + (middle % 65536);
  return aHigh * bHigh + Math.floor(middle / 65536) + Math.floor(other / 65536);
}

/** Four words for a counter of four words and a key of two: Philox4x32-10. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const high1 = mulHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1, (high0 ^ c3 ^ k1) >>> 0, low0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return [c0, c1, c2, c3];
}

const wide = new Float64Array(1);
const wideBits = new BigInt64Array(wide.buffer);

/** a·b + c of float32 numbers, rounded once to float32. */
export function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const product = a * b;
  const sum = product + c;
  // what the float64 sum lost; where it lost something, its last bit is made odd, which keeps the second rounding from falling on a false tie
  const shadow = sum - product;
  const lost = product - (sum - shadow) + (c - shadow);
  if (lost !== 0) {
    wide[0] = sum;
    const bits = wideBits[0] ?? 0n;
    if ((bits & 1n) === 0n) {
      wideBits[0] = lost > 0 === sum > 0 ? bits + 1n : bits - 1n;
      return f(wide[0] ?? 0);
    }
  }
  return f(sum);
}

/** u = 1 − (r·2⁻³² + 2⁻³³), each step in float32; from 0 to 1, both possible. */
export function philoxUniform(word: number): number {
  return f(1 - f(f(word) * UNIT + UNIT / 2));
}

// (sin(π/2·x)/x) in y = x², fitted on [0, 1] (error 2⁻³⁵); signs alternate; scaled by 2³¹
const SINE = [0xc90fdaa2, 0x52aef394, 0x0a335e03, 0x00996898, 0x00054051, 0x00001cca] as const;
// ln(1 + d)/d in d, fitted on [√½ − 1, √2 − 1] (error 2⁻³⁵); signs alternate; scaled by 2³¹
const LOGARITHM = [
  0x80000000, 0x40000000, 0x2aaaaac2, 0x1fffffa6, 0x19998f19, 0x15556432, 0x124aeb5f, 0x0ffff9d7, 0x0e1604c4,
  0x0caab6de, 0x0cd1229b, 0x0cd03c26, 0x070eb1fe,
] as const;
const LN2_48 = 0xb17217f7d1cf;

/** sin of r quarter turns, r scaled by 2³⁰, cut to 23 bits. */
function sineOfQuarter(r: number): number {
  if (r === QUARTER) return 1;
  const x = (r << 2) >>> 0;
  const y = mulHigh(x, x);
  let sum = SINE[5];
  for (let i = 4; i >= 0; i--) sum = (SINE[i] ?? 0) - mulHigh(y, sum);
  return (mulHigh(x, sum) >>> 8) / 2 ** 23;
}

/** Sine and cosine of an angle in radians, 0 < angle < 6.2832, as the GPU's fast functions give them. */
export function fastSineCosine(angle: number): [sine: number, cosine: number] {
  const exact = angle * PER_RADIAN;
  let turn = f(exact);
  if (turn > exact) turn = floatBelow(turn);
  const phase = Math.floor(turn * TWO_32) % TWO_32;
  const r = phase % QUARTER;
  const rising = sineOfQuarter(r);
  const falling = sineOfQuarter(QUARTER - r);
  switch (Math.floor(phase / QUARTER)) {
    case 0:
      return [rising, falling];
    case 1:
      return [falling, -rising];
    case 2:
      return [-rising, -falling];
    default:
      return [-falling, rising];
  }
}

/** −2·ln u in float32 for u = r·2⁻³² + 2⁻³³: by a fixed-point sum, so that every device gives the same bits. */
export function minusTwoLog(u: number): number {
  let k = -Math.floor(Math.log2(u));
  let significand = u * 2 ** k;
  if (significand >= 2) [significand, k] = [significand / 2, k - 1];
  if (significand < 1) [significand, k] = [significand * 2, k + 1];
  const above = significand * 2 ** 23 > 0xb504f3;
  if (above) [significand, k] = [significand / 2, k - 1];
  const distance = Math.abs(significand - 1) * TWO_32;
  let sum: number = LOGARITHM[12];
  for (let i = 11; i >= 0; i--) {
    const term = mulHigh(distance, sum);
    sum = (LOGARITHM[i] ?? 0) + (above ? term : -term);
  }
  const product = mulHigh(distance, sum) * 2 ** 17 + ((Math.imul(distance, sum) >>> 0) >>> 15);
  return f((k * LN2_48 + (above ? product : -product)) * 2 ** -47) + 0;
}

/** Two standard normals of two words by Box and Muller. */
export function philoxNormals(first: number, second: number): [sine: number, cosine: number] {
  const u = f(f(first) * UNIT + UNIT / 2);
  const angle = fusedMultiplyAdd(f(second), TURN, TURN / 2);
  const radius = f(Math.sqrt(minusTwoLog(u)));
  const [sine, cosine] = fastSineCosine(angle);
  return [f(radius * sine) + 0, f(radius * cosine) + 0];
}

/** Makes a planned draw: float32 numbers, or integers where the draw is of integers. */
export function drawReference(plan: PhiloxPlan): Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer> {
  const { draw, count, perThread } = plan;
  const out = draw.kind === 'integers' ? new Int32Array(count) : new Float32Array(count);
  for (let i = 0; i < count; i++) {
    const thread = Math.floor(i / perThread);
    const segment = plan.segments.findLast(({ first }) => first <= thread);
    if (segment === undefined) throw new RangeError(`no place is known for thread ${thread}`);
    out[i] = valueOf(plan, thread, segment, i - thread * perThread);
  }
  return out;
}

function valueOf(plan: PhiloxPlan, thread: number, segment: Segment, index: number): number {
  const { draw } = plan;
  const word = (position: number): number => wordAt(plan.key, thread, position);
  switch (draw.kind) {
    case 'uniform': {
      const low = f(draw.low);
      return fusedMultiplyAdd(philoxUniform(word(segment.position + index)), f(f(draw.high) - low), low);
    }
    case 'normal': {
      const owed = segment.pair < 0 ? 0 : 1;
      const fresh = index - owed;
      const pair = fresh < 0 ? segment.pair : segment.position + 2 * Math.floor(fresh / 2);
      const [sine, cosine] = philoxNormals(word(pair), word(pair + 1));
      return fusedMultiplyAdd(fresh >= 0 && fresh % 2 === 0 ? sine : cosine, f(draw.scale), f(draw.loc));
    }
    case 'integers': {
      const at = segment.position + 2 * index;
      // cuRAND's words have 32 bits, so that r₁ << 31 keeps only the lowest bit of the first
      return draw.low + (((word(at) & 1) * 2 ** 31 + word(at + 1)) % (draw.high - draw.low));
    }
    case 'dropout': {
      const [keep, value] = dropoutKeep(draw.rate);
      const u = philoxUniform(word(segment.position + index));
      return u < keep || (u === keep && !draw.shared) ? value : 0;
    }
  }
}

/** Word `position` of the subsequence of a thread: counter words 0 and 1 count blocks of four, words 2 and 3 are the thread. */
function wordAt(key: number, thread: number, position: number): number {
  const block = Math.floor(position / 4);
  return philox4x32([block % TWO_32, Math.floor(block / TWO_32), thread, 0], [key, 0])[position % 4] ?? 0;
}

const narrow = new Float32Array(1);
const narrowBits = new Uint32Array(narrow.buffer);

/** The next float32 towards zero of a positive one. */
function floatBelow(x: number): number {
  narrow[0] = x;
  narrowBits[0] = (narrowBits[0] ?? 0) - 1;
  return narrow[0] ?? 0;
}
