// Lists of steps on float32 (AssemblyScript), for many rows by one call and for threads: expressions, folds and what is made of them along rows. See ../stepList.ts, which writes them.
import { ADD, COUNT, EXP, GREATEST, LEAST, POWERS, SELECT, SUM } from './codes';
import { expOfDifference, powers } from './functions';
import { apply, greatest, least, sum } from './vector';

/** Bytes of a step: its operation and a word that some have, then result and operands. */
const STEP = 104;
const O = 8;
const A = 32;
const B = 56;
const C = 80;
/**
 * What is known of a result or operand: where it begins; the stride; bytes to the next row's; masks, whether it goes on along the row and whether it is a thread's own;
 * bytes by which it begins further on whenever as many rows are done as belong together.
 */
const STRIDE = 4;
const ROW = 8;
const ALONG = 12;
const OWN = 16;
const WRAP = 20;
const PLACE = 24;

// @ts-ignore: decorator
@inline
function place(x: usize, row: usize, along: usize): usize {
  return load<usize>(x) + row * load<usize>(x, ROW) + (along & load<usize>(x, ALONG));
}

/** exp with what goes before and after it: the sign bit changes a's sign, 1 takes a number off it, 2 makes 1 / (1 + exp) of it. */
function exponential(q: usize, n: i32, o: usize, a: usize, row: usize): void {
  const kind = load<i32>(q, 4);
  const s = kind & 1 ? v128.load32_splat(place(q + B, row, 0)) : i32x4.splat(0);
  expOfDifference(n, o, a, i32x4.splat(kind & 0x80000000), s, (kind & 2) != 0);
}

/** Writes start, start + 1, … */
function count(n: i32, o: usize, start: i32): void {
  for (let i = 0; i < n; i++, o += 4) store<f32>(o, <f32>(start + i));
}

/** Moves what is a thread's own by `by` bytes, and goes `times` times to where rows begin anew. */
function move(steps: usize, bytes: usize, by: usize, times: usize): void {
  for (let q = steps; q < steps + bytes; q += STEP) {
    for (let x = q + O; x < q + STEP; x += PLACE)
      store<usize>(x, load<usize>(x) + (by & load<usize>(x, OWN)) + times * load<usize>(x, WRAP));
  }
}

/**
 * Runs a list of steps for the rows `first … end`, of which each `every` belong together. It is made of parts: a step that says [·, ·, ·, n, block, bytes to the next part],
 * then steps which run on the n elements of a row, `block` of them at a time, as far as they lie in `from … to` (a single element always). Folds are for whole rows: their one
 * number goes to o, which has room for a double, and to b; a sum's reciprocal into the double after it if the step's word says so. The list is not the same afterwards.
 */
export function run(steps: usize, bytes: usize, first: i32, end: i32, every: i32, from: i32, to: i32): void {
  const stop = steps + bytes;
  for (let row = first, left = every - (first % every); row < end; row++, left--) {
    if (left == 0) {
      move(steps, bytes, 0, 1);
      left = every;
    }
    for (let p = steps; p < stop; ) {
      const n = load<i32>(p, 12);
      const block = load<i32>(p, 16);
      const next = p + load<usize>(p, 20);
      const last = min(n, to);
      for (let l = n > 1 ? from : 0; l < last; l += block) {
        const part = min(block, last - l);
        for (let q = p + STEP; q < next; q += STEP) step(q, row, l, part, n, row == first || n > block);
      }
      p = next;
    }
  }
}

/** `anew`: whether places along the row have to be written, or stand there from the row before. */
// @ts-ignore: decorator
@inline
function step(q: usize, row: usize, l: i32, n: i32, length: i32, anew: bool): void {
  const along = <usize>l << 2;
  const op = load<i32>(q);
  const o = place(q + O, row, along);
  const a = place(q + A, row, along);
  let sa: usize = 0;
  let b: usize = 0;
  let sb: usize = 0;
  if (op >= ADD) {
    sa = load<usize>(q, A + STRIDE);
    b = place(q + B, row, along);
    sb = load<usize>(q, B + STRIDE);
  }
  switch (op) {
    case EXP:
      exponential(q, n, o, a, row);
      break;
    case COUNT:
      if (anew || load<i32>(q, A + ROW) != 0) count(n, o, <i32>(a >> 2));
      break;
    case SUM: {
      // in doubles until it is whole
      const x = sum(n, a, l == 0 ? 0 : load<f64>(o));
      if (l + n < length) store<f64>(o, x);
      else {
        fold(o, b, <f32>x);
        if (load<i32>(q, 4) != 0) store<f32>(o, <f32>(1 / x), 8);
      }
      break;
    }
    case POWERS: {
      // exp(a − b) at o, and at c their sum, as above
      const c = place(q + C, row, 0);
      const x = powers(n, o, a, v128.load32_splat(b)) + (l == 0 ? 0 : load<f64>(c));
      if (l + n < length) store<f64>(c, x);
      else {
        store<f32>(c, <f32>x);
        store<f32>(c, <f32>(1 / x), 8);
      }
      break;
    }
    case GREATEST:
      fold(o, b, greatest(n, a, l == 0 ? -Infinity : load<f32>(o)));
      break;
    case LEAST:
      fold(o, b, least(n, a, l == 0 ? Infinity : load<f32>(o)));
      break;
    default:
      if (op == SELECT) apply(op, n, o, a, sa, b, sb, place(q + C, row, along), load<usize>(q, C + STRIDE));
      else apply(op, n, o, a, sa, b, sb, 0, 0);
  }
}

function fold(o: usize, b: usize, x: f32): void {
  store<f32>(o, x);
  store<f32>(b, x);
}

/** One of the tiles into which a list's rows, or parts of them, are cut: a job of threads/cells.ts. The fields are those of stepList.ts. */
export function runTile(p: usize, tile: i32, work: usize): void {
  const across = load<i32>(p, 20);
  const rows = load<i32>(p, 12);
  const first = (tile / across) * rows;
  const length = load<i32>(p, 16);
  const from = (tile % across) * length;
  const steps = load<usize>(p);
  const bytes = load<usize>(p, 4);
  memory.copy(work, steps, bytes);
  // the thread's own cells and registers; only the cells hold something before the first row
  const scratch = load<usize>(p, 24);
  const own = work + ((bytes + 15) & ~15);
  memory.copy(own, scratch, load<usize>(p, 28));
  const every = load<i32>(p, 32);
  move(work, bytes, own - scratch, first / every);
  run(work, bytes, first, min(first + rows, load<i32>(p, 8)), every, from, from + length);
}
