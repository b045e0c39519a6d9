// Loops over float32 (AssemblyScript): the primitives that expressions are made of, folds along rows, lists of such steps, transposition. Addresses and strides in
// bytes, counts in elements. A stride is 4, or 0 for a single number; results may overwrite operands that begin at the same place.
// Functions as functions.ts says; the rest are IEEE's.
import { erfOf, expExactOf, expNear, expOf, high, logOf, tanhOf } from './functions';

export { depthwiseWeight, pool, poolMaxGrad, poolSpread } from './windows';

const NEG = 0;
const ABS = 1;
const SQRT = 2;
const FLOOR = 3;
const CEIL = 4;
const TRUNC = 5;
const RINT = 6;
const NOT = 7;
const EXP = 8;
const LOG = 9;
const TANH = 10;
const ERF = 11;
const EXP_EXACT = 12;

// @ts-ignore: decorator
@inline
function unaryOf(op: i32, x: v128): v128 {
  if (op == NEG) return f32x4.neg(x);
  if (op == ABS) return f32x4.abs(x);
  if (op == SQRT) return f32x4.sqrt(x);
  if (op == FLOOR) return f32x4.floor(x);
  if (op == CEIL) return f32x4.ceil(x);
  if (op == TRUNC) return f32x4.trunc(x);
  if (op == RINT) return f32x4.nearest(x);
  if (op == NOT) return v128.and(f32x4.eq(x, f32x4.splat(0)), f32x4.splat(1));
  if (op == EXP) return expOf(x);
  if (op == LOG) return logOf(x);
  if (op == TANH) return tanhOf(x);
  if (op == ERF) return erfOf(x);
  return expExactOf(x);
}

// @ts-ignore: decorator
@inline
function unaryLoop(op: i32, n: i32, o: usize, a: usize): void {
  const end = o + (<usize>(n & ~3) << 2);
  for (; o < end; o += 16, a += 16) v128.store(o, unaryOf(op, v128.load(a)));
  for (let i = n & 3; i > 0; i--, o += 4, a += 4) v128.store32_lane(o, unaryOf(op, v128.load32_zero(a)), 0);
}

export function neg(n: i32, o: usize, a: usize): void {
  unaryLoop(NEG, n, o, a);
}
export function abs(n: i32, o: usize, a: usize): void {
  unaryLoop(ABS, n, o, a);
}
export function sqrt(n: i32, o: usize, a: usize): void {
  unaryLoop(SQRT, n, o, a);
}
export function floor(n: i32, o: usize, a: usize): void {
  unaryLoop(FLOOR, n, o, a);
}
export function ceil(n: i32, o: usize, a: usize): void {
  unaryLoop(CEIL, n, o, a);
}
export function trunc(n: i32, o: usize, a: usize): void {
  unaryLoop(TRUNC, n, o, a);
}
export function rint(n: i32, o: usize, a: usize): void {
  unaryLoop(RINT, n, o, a);
}
/** Most numbers are neither tiny nor huge: eight at a time, of which few loops see the bounds. */
export function exp(n: i32, o: usize, a: usize): void {
  const bound = f32x4.splat(87);
  for (; n >= 8; n -= 8, o += 32, a += 32) {
    const x = v128.load(a);
    const y = v128.load(a, 16);
    if (v128.any_true(v128.or(f32x4.gt(f32x4.abs(x), bound), f32x4.gt(f32x4.abs(y), bound)))) {
      v128.store(o, expOf(x));
      v128.store(o, expOf(y), 16);
    } else {
      v128.store(o, expNear(x));
      v128.store(o, expNear(y), 16);
    }
  }
  unaryLoop(EXP, n, o, a);
}
export function expExact(n: i32, o: usize, a: usize): void {
  unaryLoop(EXP_EXACT, n, o, a);
}
export function log(n: i32, o: usize, a: usize): void {
  unaryLoop(LOG, n, o, a);
}
export function tanh(n: i32, o: usize, a: usize): void {
  unaryLoop(TANH, n, o, a);
}
export function erf(n: i32, o: usize, a: usize): void {
  unaryLoop(ERF, n, o, a);
}
export function not(n: i32, o: usize, a: usize): void {
  unaryLoop(NOT, n, o, a);
}

const ADD = 0;
const SUB = 1;
const MUL = 2;
const DIV = 3;
const MAX = 4;
const MIN = 5;
const EQ = 6;
const NE = 7;
const LT = 8;
const LE = 9;
const GT = 10;
const GE = 11;

// @ts-ignore: decorator
@inline
function binaryOf(op: i32, x: v128, y: v128): v128 {
  if (op == ADD) return f32x4.add(x, y);
  if (op == SUB) return f32x4.sub(x, y);
  if (op == MUL) return f32x4.mul(x, y);
  if (op == DIV) return f32x4.div(x, y);
  if (op == MAX) return f32x4.max(x, y);
  if (op == MIN) return f32x4.min(x, y);
  const one = f32x4.splat(1);
  if (op == EQ) return v128.and(f32x4.eq(x, y), one);
  if (op == NE) return v128.and(f32x4.ne(x, y), one);
  if (op == LT) return v128.and(f32x4.lt(x, y), one);
  if (op == LE) return v128.and(f32x4.le(x, y), one);
  if (op == GT) return v128.and(f32x4.gt(x, y), one);
  return v128.and(f32x4.ge(x, y), one);
}

// @ts-ignore: decorator
@inline
function binaryLoop(op: i32, n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  const end = o + (<usize>(n & ~3) << 2);
  if (sa == 0) {
    const x = v128.load32_splat(a);
    if (sb == 0) {
      const z = binaryOf(op, x, v128.load32_splat(b));
      for (; o < end; o += 16) v128.store(o, z);
      for (let i = n & 3; i > 0; i--, o += 4) v128.store32_lane(o, z, 0);
      return;
    }
    for (; o < end; o += 16, b += 16) v128.store(o, binaryOf(op, x, v128.load(b)));
    for (let i = n & 3; i > 0; i--, o += 4, b += 4) v128.store32_lane(o, binaryOf(op, x, v128.load32_zero(b)), 0);
  } else if (sb == 0) {
    const y = v128.load32_splat(b);
    for (; o < end; o += 16, a += 16) v128.store(o, binaryOf(op, v128.load(a), y));
    for (let i = n & 3; i > 0; i--, o += 4, a += 4) v128.store32_lane(o, binaryOf(op, v128.load32_zero(a), y), 0);
  } else {
    for (; o < end; o += 16, a += 16, b += 16) v128.store(o, binaryOf(op, v128.load(a), v128.load(b)));
    for (let i = n & 3; i > 0; i--, o += 4, a += 4, b += 4)
      v128.store32_lane(o, binaryOf(op, v128.load32_zero(a), v128.load32_zero(b)), 0);
  }
}

export function add(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(ADD, n, o, a, sa, b, sb);
}
export function sub(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(SUB, n, o, a, sa, b, sb);
}
export function mul(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MUL, n, o, a, sa, b, sb);
}
export function div(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(DIV, n, o, a, sa, b, sb);
}
export function max(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MAX, n, o, a, sa, b, sb);
}
export function min(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MIN, n, o, a, sa, b, sb);
}
export function eq(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(EQ, n, o, a, sa, b, sb);
}
export function ne(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(NE, n, o, a, sa, b, sb);
}
export function lt(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(LT, n, o, a, sa, b, sb);
}
export function le(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(LE, n, o, a, sa, b, sb);
}
export function gt(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(GT, n, o, a, sa, b, sb);
}
export function ge(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(GE, n, o, a, sa, b, sb);
}

/** o = b where a is not zero (NaN is not), else c. */
export function select(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize, c: usize, sc: usize): void {
  const zero = f32x4.splat(0);
  const end = o + (<usize>(n & ~3) << 2);
  let x = v128.load32_splat(a);
  let y = v128.load32_splat(b);
  let z = v128.load32_splat(c);
  for (; o < end; o += 16, a += sa << 2, b += sb << 2, c += sc << 2) {
    if (sa != 0) x = v128.load(a);
    if (sb != 0) y = v128.load(b);
    if (sc != 0) z = v128.load(c);
    v128.store(o, v128.bitselect(y, z, f32x4.ne(x, zero)));
  }
  for (let i = n & 3; i > 0; i--, o += 4, a += sa, b += sb, c += sc)
    store<f32>(o, load<f32>(a) != 0 ? load<f32>(b) : load<f32>(c));
}

/** acc + Σ a in doubles, eight partial sums. */
export function sum(n: i32, a: usize, acc: f64): f64 {
  let s0 = f64x2.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let i = 0;
  for (; i + 8 <= n; i += 8, a += 32) {
    const x = v128.load(a);
    const y = v128.load(a, 16);
    s0 = f64x2.add(s0, f64x2.promote_low_f32x4(x));
    s1 = f64x2.add(s1, f64x2.promote_low_f32x4(high(x)));
    s2 = f64x2.add(s2, f64x2.promote_low_f32x4(y));
    s3 = f64x2.add(s3, f64x2.promote_low_f32x4(high(y)));
  }
  s0 = f64x2.add(f64x2.add(s0, s1), f64x2.add(s2, s3));
  acc += f64x2.extract_lane(s0, 0) + f64x2.extract_lane(s0, 1);
  for (; i < n; i++, a += 4) acc += <f64>load<f32>(a);
  return acc;
}

/** Sums of rows: row r of each of `images` boxes of `rows` × n goes to to[r], the sum of each image rounded before. */
export function rowSums(to: usize, from: usize, images: i32, rows: i32, n: i32): void {
  const row = <usize>n << 2;
  for (let r = 0; r < rows; r++, to += 4, from += row) {
    let acc: f64 = 0;
    for (let i = 0, at = from; i < images; i++, at += row * rows) acc += <f64>(<f32>sum(n, at, 0));
    store<f32>(to, <f32>acc);
  }
}

/** Sums of columns of a matrix whose rows lie `step` bytes apart. */
export function columnSums(to: usize, from: usize, rows: i32, columns: i32, step: usize): void {
  let c = 0;
  for (; c + 4 <= columns; c += 4, to += 16, from += 16) {
    let s0 = f64x2.splat(0);
    let s1 = s0;
    for (let r = 0, at = from; r < rows; r++, at += step) {
      const x = v128.load(at);
      s0 = f64x2.add(s0, f64x2.promote_low_f32x4(x));
      s1 = f64x2.add(s1, f64x2.promote_low_f32x4(high(x)));
    }
    v128.store(to, v128.shuffle<f32>(f32x4.demote_f64x2_zero(s0), f32x4.demote_f64x2_zero(s1), 0, 1, 4, 5));
  }
  for (; c < columns; c++, to += 4, from += 4) {
    let acc: f64 = 0;
    for (let r = 0, at = from; r < rows; r++, at += step) acc += <f64>load<f32>(at);
    store<f32>(to, <f32>acc);
  }
}

// @ts-ignore: decorator
@inline
function extreme(greatest: bool, n: i32, a: usize, acc: f32): f32 {
  // one instruction an element where pmax and pmin decide as max and min do: not for NaN, nor between zeros of both signs
  let s0 = f32x4.splat(acc);
  let s1 = s0;
  let odd = f32x4.ne(s0, s0);
  let i = 0;
  for (let at = a; i + 8 <= n; i += 8, at += 32) {
    const x = v128.load(at);
    const y = v128.load(at, 16);
    s0 = greatest ? f32x4.pmax(s0, x) : f32x4.pmin(s0, x);
    s1 = greatest ? f32x4.pmax(s1, y) : f32x4.pmin(s1, y);
    odd = v128.or(odd, v128.or(f32x4.ne(x, x), f32x4.ne(y, y)));
  }
  s0 = greatest ? f32x4.max(s0, s1) : f32x4.min(s0, s1);
  const zero = f32x4.eq(s0, f32x4.splat(0));
  if (v128.any_true(v128.or(odd, zero))) {
    s0 = f32x4.splat(acc);
    s1 = s0;
    for (i = 0; i + 8 <= n; i += 8) {
      const at = a + (<usize>i << 2);
      s0 = greatest ? f32x4.max(s0, v128.load(at)) : f32x4.min(s0, v128.load(at));
      s1 = greatest ? f32x4.max(s1, v128.load(at, 16)) : f32x4.min(s1, v128.load(at, 16));
    }
    s0 = greatest ? f32x4.max(s0, s1) : f32x4.min(s0, s1);
  }
  a += <usize>i << 2;
  s0 = greatest ? f32x4.max(s0, high(s0)) : f32x4.min(s0, high(s0));
  const x = f32x4.extract_lane(s0, 0);
  const y = f32x4.extract_lane(s0, 1);
  acc = greatest ? f32.max(x, y) : f32.min(x, y);
  for (; i < n; i++, a += 4) acc = greatest ? f32.max(acc, load<f32>(a)) : f32.min(acc, load<f32>(a));
  return acc;
}

/** The greatest of acc and a; NaN passes. */
export function greatest(n: i32, a: usize, acc: f32): f32 {
  return extreme(true, n, a, acc);
}
export function least(n: i32, a: usize, acc: f32): f32 {
  return extreme(false, n, a, acc);
}

const SELECT = 32;
const SUM = 33;
const GREATEST = 34;
const LEAST = 35;
const BINARY = 16;

/** Words of a step. */
const STEP = 13;

/**
 * Runs a list of steps for each of `rows` rows. A step is [operation, n, o, ·, a, ·, sa, b, ·, sb, c, ·, sc]: where result and operands begin in the
 * first row, each followed by the bytes to the next row's, and strides. Folds write their one number to o and to b.
 */
export function run(steps: usize, count: i32, rows: i32): void {
  const end = steps + <usize>count * (STEP * 4);
  for (let row = 0; row < rows; row++) {
    for (let p = steps; p < end; p += STEP * 4) {
      const op = load<i32>(p);
      const n = load<i32>(p, 4);
      const o = load<usize>(p, 8);
      const a = load<usize>(p, 16);
      const sa = load<usize>(p, 24);
      const b = load<usize>(p, 28);
      const sb = load<usize>(p, 36);
      const c = load<usize>(p, 40);
      store<usize>(p, o + load<usize>(p, 12), 8);
      store<usize>(p, a + load<usize>(p, 20), 16);
      store<usize>(p, b + load<usize>(p, 32), 28);
      store<usize>(p, c + load<usize>(p, 44), 40);
      switch (op) {
        case NEG:
          neg(n, o, a);
          break;
        case ABS:
          abs(n, o, a);
          break;
        case SQRT:
          sqrt(n, o, a);
          break;
        case FLOOR:
          floor(n, o, a);
          break;
        case CEIL:
          ceil(n, o, a);
          break;
        case TRUNC:
          trunc(n, o, a);
          break;
        case RINT:
          rint(n, o, a);
          break;
        case EXP:
          exp(n, o, a);
          break;
        case LOG:
          log(n, o, a);
          break;
        case TANH:
          tanh(n, o, a);
          break;
        case ERF:
          erf(n, o, a);
          break;
        case NOT:
          not(n, o, a);
          break;
        case EXP_EXACT:
          expExact(n, o, a);
          break;
        case BINARY + ADD:
          add(n, o, a, sa, b, sb);
          break;
        case BINARY + SUB:
          sub(n, o, a, sa, b, sb);
          break;
        case BINARY + MUL:
          mul(n, o, a, sa, b, sb);
          break;
        case BINARY + DIV:
          div(n, o, a, sa, b, sb);
          break;
        case BINARY + MAX:
          max(n, o, a, sa, b, sb);
          break;
        case BINARY + MIN:
          min(n, o, a, sa, b, sb);
          break;
        case BINARY + EQ:
          eq(n, o, a, sa, b, sb);
          break;
        case BINARY + NE:
          ne(n, o, a, sa, b, sb);
          break;
        case BINARY + LT:
          lt(n, o, a, sa, b, sb);
          break;
        case BINARY + LE:
          le(n, o, a, sa, b, sb);
          break;
        case BINARY + GT:
          gt(n, o, a, sa, b, sb);
          break;
        case BINARY + GE:
          ge(n, o, a, sa, b, sb);
          break;
        case SELECT:
          select(n, o, a, sa, b, sb, c, load<usize>(p, 48));
          break;
        default: {
          const x: f32 = op == SUM ? <f32>sum(n, a, 0) : op == GREATEST ? greatest(n, a, -Infinity) : least(n, a, Infinity);
          store<f32>(o, x);
          store<f32>(b, x);
        }
      }
    }
  }
}

/** Adds float32 to doubles. */
export function addWide(n: i32, acc: usize, a: usize): void {
  let i = 0;
  for (; i + 4 <= n; i += 4, a += 16, acc += 32) {
    const x = v128.load(a);
    v128.store(acc, f64x2.add(v128.load(acc), f64x2.promote_low_f32x4(x)));
    v128.store(acc, f64x2.add(v128.load(acc, 16), f64x2.promote_low_f32x4(high(x))), 16);
  }
  for (; i < n; i++, a += 4, acc += 8) store<f64>(acc, load<f64>(acc) + <f64>load<f32>(a));
}

/** Rounds doubles to float32. */
export function narrow(n: i32, o: usize, a: usize): void {
  for (let i = 0; i < n; i++, o += 4, a += 8) store<f32>(o, <f32>load<f64>(a));
}

/** Transposes rows × columns of 32 bits; rows lie `fromStep` apart in the source, columns `toStep` in the result. */
export function transpose(rows: i32, columns: i32, from: usize, fromStep: usize, to: usize, toStep: usize): void {
  let r = 0;
  // bands of rows, so that the lines written stay in the cache until they are full
  for (; r + 4 <= rows; r += 4) {
    const r0 = from + <usize>r * fromStep;
    const r1 = r0 + fromStep;
    const r2 = r1 + fromStep;
    const r3 = r2 + fromStep;
    let at = to + (<usize>r << 2);
    let c = 0;
    for (; c + 4 <= columns; c += 4) {
      const o = <usize>c << 2;
      const x0 = v128.load(r0 + o);
      const x1 = v128.load(r1 + o);
      const x2 = v128.load(r2 + o);
      const x3 = v128.load(r3 + o);
      const l01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
      const h01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
      const l23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
      const h23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
      v128.store(at, v128.shuffle<f32>(l01, l23, 0, 1, 4, 5));
      v128.store(at + toStep, v128.shuffle<f32>(l01, l23, 2, 3, 6, 7));
      v128.store(at + toStep * 2, v128.shuffle<f32>(h01, h23, 0, 1, 4, 5));
      v128.store(at + toStep * 3, v128.shuffle<f32>(h01, h23, 2, 3, 6, 7));
      at += toStep * 4;
    }
    for (; c < columns; c++, at += toStep) {
      const o = <usize>c << 2;
      store<u32>(at, load<u32>(r0 + o));
      store<u32>(at, load<u32>(r1 + o), 4);
      store<u32>(at, load<u32>(r2 + o), 8);
      store<u32>(at, load<u32>(r3 + o), 12);
    }
  }
  for (; r < rows; r++) {
    const line = from + <usize>r * fromStep;
    let at = to + (<usize>r << 2);
    for (let c = 0; c < columns; c++, at += toStep) store<u32>(at, load<u32>(line + (<usize>c << 2)));
  }
}
