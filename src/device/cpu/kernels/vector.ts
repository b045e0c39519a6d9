// Loops over float32 (AssemblyScript): the primitives that expressions are made of, folds along rows, transposition. Addresses and strides in
// bytes, counts in elements. A stride is 4, or 0 for a single number; results may overwrite operands that begin at the same place.
// Functions as functions.ts says; the rest are IEEE's.
import {
  ABS,
  ADD,
  ADD_INT,
  CEIL,
  DIV,
  EQ,
  ERF,
  EXP,
  EXP_EXACT,
  FLOOR,
  GE,
  GT,
  LE,
  LOG,
  LT,
  MAX,
  MIN,
  MUL,
  NE,
  NEG,
  NOT,
  RINT,
  SELECT,
  SIGN,
  SQRT,
  SUB,
  TANH,
  TRUNC,
} from './codes';
import { erfOf, expExactOf, expOfDifference, high, logOf, storeLast, tanhOf } from './functions';

export { fromHalves, toHalves } from './halves';
export { run, runTile } from './lists';
export { poolMaxGradTile, poolSpreadTile, poolTile } from './windows';

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
  if (op == LOG) return logOf(x);
  if (op == TANH) return tanhOf(x);
  if (op == ERF) return erfOf(x);
  // 1 with the number's sign; zeros and NaN as they are
  if (op == SIGN) {
    const counts = v128.and(f32x4.eq(x, x), f32x4.ne(x, f32x4.splat(0)));
    return v128.bitselect(f32x4.splat(1), x, v128.and(counts, i32x4.splat(0x7fffffff)));
  }
  return expExactOf(x);
}

/** Where the last vector of n numbers begins, whole or not. */
// @ts-ignore: decorator
@inline
function lastOf(n: i32, o: usize): usize {
  return o + (<usize>((n - 1) & ~3) << 2);
}

// @ts-ignore: decorator
@inline
function unaryLoop(op: i32, n: i32, o: usize, a: usize): void {
  const last = lastOf(n, o);
  for (; ; o += 16, a += 16) {
    const x = unaryOf(op, v128.load(a));
    if (o >= last) {
      storeLast(n, o, x);
      return;
    }
    v128.store(o, x);
  }
}

function neg(n: i32, o: usize, a: usize): void {
  unaryLoop(NEG, n, o, a);
}
function abs(n: i32, o: usize, a: usize): void {
  unaryLoop(ABS, n, o, a);
}
function sqrt(n: i32, o: usize, a: usize): void {
  unaryLoop(SQRT, n, o, a);
}
function floor(n: i32, o: usize, a: usize): void {
  unaryLoop(FLOOR, n, o, a);
}
function ceil(n: i32, o: usize, a: usize): void {
  unaryLoop(CEIL, n, o, a);
}
function trunc(n: i32, o: usize, a: usize): void {
  unaryLoop(TRUNC, n, o, a);
}
function rint(n: i32, o: usize, a: usize): void {
  unaryLoop(RINT, n, o, a);
}
function not(n: i32, o: usize, a: usize): void {
  unaryLoop(NOT, n, o, a);
}
function log(n: i32, o: usize, a: usize): void {
  unaryLoop(LOG, n, o, a);
}
function tanh(n: i32, o: usize, a: usize): void {
  unaryLoop(TANH, n, o, a);
}
function erf(n: i32, o: usize, a: usize): void {
  unaryLoop(ERF, n, o, a);
}
function expExact(n: i32, o: usize, a: usize): void {
  unaryLoop(EXP_EXACT, n, o, a);
}
function sign(n: i32, o: usize, a: usize): void {
  unaryLoop(SIGN, n, o, a);
}

// @ts-ignore: decorator
@inline
function binaryOf(op: i32, x: v128, y: v128): v128 {
  if (op == ADD) return f32x4.add(x, y);
  if (op == SUB) return f32x4.sub(x, y);
  if (op == MUL) return f32x4.mul(x, y);
  if (op == DIV) return f32x4.div(x, y);
  if (op == MAX) return f32x4.max(x, y);
  if (op == MIN) return f32x4.min(x, y);
  if (op == ADD_INT) return i32x4.add(x, y);
  const one = f32x4.splat(1);
  if (op == EQ) return v128.and(f32x4.eq(x, y), one);
  if (op == NE) return v128.and(f32x4.ne(x, y), one);
  if (op == LT) return v128.and(f32x4.lt(x, y), one);
  return v128.and(f32x4.le(x, y), one);
}

// @ts-ignore: decorator
@inline
function binaryLoop(op: i32, n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  const last = lastOf(n, o);
  let z: v128;
  if (sa == 0) {
    const x = v128.load32_splat(a);
    let y = v128.load32_splat(b);
    for (; ; o += 16, b += 16) {
      if (sb != 0) y = v128.load(b);
      z = binaryOf(op, x, y);
      if (o >= last) break;
      v128.store(o, z);
    }
  } else if (sb == 0) {
    const y = v128.load32_splat(b);
    // where the loop's own instructions take longer than the operation: two at a time
    for (; op <= MUL && o + 16 < last; o += 32, a += 32) {
      z = binaryOf(op, v128.load(a, 16), y);
      v128.store(o, binaryOf(op, v128.load(a), y));
      v128.store(o, z, 16);
    }
    for (; ; o += 16, a += 16) {
      z = binaryOf(op, v128.load(a), y);
      if (o >= last) break;
      v128.store(o, z);
    }
  } else {
    for (; ; o += 16, a += 16, b += 16) {
      z = binaryOf(op, v128.load(a), v128.load(b));
      if (o >= last) break;
      v128.store(o, z);
    }
  }
  storeLast(n, o, z);
}

function add(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(ADD, n, o, a, sa, b, sb);
}
function sub(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(SUB, n, o, a, sa, b, sb);
}
function mul(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MUL, n, o, a, sa, b, sb);
}
function div(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(DIV, n, o, a, sa, b, sb);
}
function greater(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MAX, n, o, a, sa, b, sb);
}
function less(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(MIN, n, o, a, sa, b, sb);
}
function eq(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(EQ, n, o, a, sa, b, sb);
}
function ne(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(NE, n, o, a, sa, b, sb);
}
function lt(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(LT, n, o, a, sa, b, sb);
}
function le(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(LE, n, o, a, sa, b, sb);
}
function addInt(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize): void {
  binaryLoop(ADD_INT, n, o, a, sa, b, sb);
}

/** Any of the primitives, by its number in codes.ts. */
export function apply(
  op: i32,
  n: i32,
  o: usize,
  a: usize,
  sa: usize,
  b: usize,
  sb: usize,
  c: usize,
  sc: usize,
): void {
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
    case NOT:
      not(n, o, a);
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
    case EXP_EXACT:
      expExact(n, o, a);
      break;
    case SIGN:
      sign(n, o, a);
      break;
    case EXP:
      expOfDifference(n, o, a, i32x4.splat(0), i32x4.splat(0), false);
      break;
    case ADD:
      add(n, o, a, sa, b, sb);
      break;
    case SUB:
      sub(n, o, a, sa, b, sb);
      break;
    case MUL:
      mul(n, o, a, sa, b, sb);
      break;
    case DIV:
      div(n, o, a, sa, b, sb);
      break;
    case MAX:
      greater(n, o, a, sa, b, sb);
      break;
    case MIN:
      less(n, o, a, sa, b, sb);
      break;
    case EQ:
      eq(n, o, a, sa, b, sb);
      break;
    case NE:
      ne(n, o, a, sa, b, sb);
      break;
    case LT:
      lt(n, o, a, sa, b, sb);
      break;
    case LE:
      le(n, o, a, sa, b, sb);
      break;
    case GT:
      lt(n, o, b, sb, a, sa);
      break;
    case GE:
      le(n, o, b, sb, a, sa);
      break;
    case SELECT:
      select(n, o, a, sa, b, sb, c, sc);
      break;
    case ADD_INT:
      addInt(n, o, a, sa, b, sb);
      break;
  }
}

/** o = b where a is not zero (NaN is not), else c. */
function select(n: i32, o: usize, a: usize, sa: usize, b: usize, sb: usize, c: usize, sc: usize): void {
  const zero = f32x4.splat(0);
  let x = v128.load32_splat(a);
  let y = v128.load32_splat(b);
  let z = v128.load32_splat(c);
  const last = lastOf(n, o);
  let w: v128;
  for (; ; o += 16) {
    if (sa != 0) {
      x = v128.load(a);
      a += 16;
    }
    if (sb != 0) {
      y = v128.load(b);
      b += 16;
    }
    if (sc != 0) {
      z = v128.load(c);
      c += 16;
    }
    w = v128.bitselect(y, z, f32x4.ne(x, zero));
    if (o >= last) break;
    v128.store(o, w);
  }
  storeLast(n, o, w);
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
  if (n >= 4) {
    // the last vector may have numbers of the one before it
    const last = a + (<usize>(n - 4) << 2);
    // one instruction an element where pmax and pmin decide as max and min do: not for NaN, nor between zeros of both signs
    let s0 = f32x4.splat(acc);
    let s1 = s0;
    // a sum tells of NaN (and ∞ − ∞ only looks like it)
    let odd = s0;
    let at = a;
    for (; at + 48 <= last; at += 64) {
      const x = v128.load(at);
      const y = v128.load(at, 16);
      const z = v128.load(at, 32);
      const w = v128.load(at, 48);
      s0 = near(greatest, s0, near(greatest, x, y));
      s1 = near(greatest, s1, near(greatest, z, w));
      odd = f32x4.add(odd, f32x4.add(f32x4.add(x, y), f32x4.add(z, w)));
    }
    for (; at < last + 16; at += 16) {
      const x = v128.load(min(at, last));
      s0 = near(greatest, s0, x);
      odd = f32x4.add(odd, x);
    }
    s0 = near(greatest, s0, s1);
    if (v128.any_true(v128.or(f32x4.ne(odd, odd), f32x4.eq(s0, f32x4.splat(0))))) {
      s0 = f32x4.splat(acc);
      s1 = s0;
      for (at = a; at < last + 16; at += 32) {
        const x = v128.load(min(at, last));
        const y = v128.load(min(at + 16, last));
        s0 = greatest ? f32x4.max(s0, x) : f32x4.min(s0, x);
        s1 = greatest ? f32x4.max(s1, y) : f32x4.min(s1, y);
      }
      s0 = greatest ? f32x4.max(s0, s1) : f32x4.min(s0, s1);
    }
    s0 = greatest ? f32x4.max(s0, high(s0)) : f32x4.min(s0, high(s0));
    const x = f32x4.extract_lane(s0, 0);
    const y = f32x4.extract_lane(s0, 1);
    return greatest ? f32.max(x, y) : f32.min(x, y);
  }
  for (; n > 0; n--, a += 4) acc = greatest ? f32.max(acc, load<f32>(a)) : f32.min(acc, load<f32>(a));
  return acc;
}

// @ts-ignore: decorator
@inline
function near(greatest: bool, x: v128, y: v128): v128 {
  return greatest ? f32x4.pmax(x, y) : f32x4.pmin(x, y);
}

/** The greatest of acc and a; NaN passes. */
export function greatest(n: i32, a: usize, acc: f32): f32 {
  return extreme(true, n, a, acc);
}
export function least(n: i32, a: usize, acc: f32): f32 {
  return extreme(false, n, a, acc);
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
  // where the lines written would fall on few places of the cache and push each other out before they are full: a few columns at a time
  const some = (toStep & 511) == 0 ? 8 : columns;
  for (; columns > 0; columns -= some, from += <usize>some << 2, to += toStep * some)
    transposeSome(min(some, columns), rows, from, fromStep, to, toStep);
}

function transposeSome(columns: i32, rows: i32, from: usize, fromStep: usize, to: usize, toStep: usize): void {
  let r = 0;
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
