// The float32 primitives as compiled loops where these pay: long runs along arrays and single numbers. Short runs and odd strides stay in JavaScript,
// and so do functions that have no compiled loop.
import { ROUNDED } from '../../digits.ts';
import { FLOATS } from '../loops/floats.ts';
import type { Loop, LoopTable } from '../loops/loop.ts';
import type { Job } from '../threads/cells.ts';

const { unary, binary, select } = FLOATS;

/** Runs shorter than this are done before a call into WebAssembly has begun. */
const SHORT = 16;

/** kernels/vector.ts. Addresses and strides in bytes, counts in elements. */
export interface VectorExports {
  /** A primitive, by its number in kernels/codes.ts. */
  apply(
    code: number,
    n: number,
    o: number,
    a: number,
    sa: number,
    b: number,
    sb: number,
    c: number,
    sc: number,
  ): void;
  /** float16 to float32 and back. */
  fromHalves(n: number, o: number, a: number): void;
  toHalves(n: number, o: number, a: number): void;
  sum(n: number, a: number, acc: number): number;
  rowSums(to: number, from: number, images: number, rows: number, n: number): void;
  columnSums(to: number, from: number, rows: number, columns: number, step: number): void;
  run(
    steps: number,
    bytes: number,
    first: number,
    end: number,
    every: number,
    from: number,
    to: number,
  ): void;
  readonly runTile: Job;
  greatest(n: number, a: number, acc: number): number;
  least(n: number, a: number, acc: number): number;
  addWide(n: number, acc: number, a: number): void;
  narrow(n: number, o: number, a: number): void;
  readonly poolTile: Job;
  readonly poolSpreadTile: Job;
  readonly poolMaxGradTile: Job;
  transpose(rows: number, columns: number, from: number, fromStep: number, to: number, toStep: number): void;
}

const STRAIGHT = ['neg', 'abs', 'sqrt', 'floor', 'ceil', 'trunc', 'rint', 'not'] as const;
const PAIRS = ['add', 'sub', 'mul', 'div', 'max', 'min', 'eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const;

/** What a compiled loop is called in the lists that `run` of kernels/vector.ts takes. */
const CODES = new WeakMap<Loop, number>();
const FUNCTIONS = 8;
/** exp, which in lists can have a word: its sign bit for exp(−a), else 1 for exp(a − b); and 2 for 1 / (1 + exp). */
export const EXP = 8;
const EXP_EXACT = 12;
const SIGN = 13;
const BINARY = 16;
export const NEG = 0;
export const SUB = 17;
export const SELECT = 32;
/** Operations of lists that are no loops: folds along a row. */
export const FOLD_CODES = { sum: 33, max: 34, min: 35 } as const;
/** Counting up, and exp(a − b) with their sum, no loops either. */
export const COUNT = 36;
export const POWERS = 37;
const ADD_INT = 40;
/** Whether a number is that of exp or its like, which take several times as long as the rest. */
export function isFunction(code: number): boolean {
  return code >= FUNCTIONS && code < BINARY;
}
/** The loop's number, −1 where `run` does not know it. */
export function codeOf(loop: Loop): number {
  return CODES.get(loop) ?? -1;
}

/** What `vectorLoops` makes. */
interface VectorLoops {
  /** Float32 with JavaScript's digits for small arrays, and with the compiled functions. */
  readonly exact: LoopTable;
  readonly fast: LoopTable;
  /** A table of 32-bit integers with the compiled addition in it. */
  integers(table: LoopTable): LoopTable;
}

export function vectorLoops(v: VectorExports): VectorLoops {
  const coded = (code: number, loop: Loop): Loop => {
    CODES.set(loop, code);
    return loop;
  };
  /** Compiled where the operands run along arrays or, of several, are single numbers. */
  const straight = (code: number, plain: Loop): Loop => {
    const several = code >= BINARY;
    const three = code === SELECT;
    return coded(code, (m, n, o, a, sa, b, sb, c, sc) => {
      if (
        n >= SHORT &&
        (sa === 1 || (several && sa === 0)) &&
        (!several || sb === 1 || sb === 0) &&
        (!three || sc === 1 || sc === 0)
      )
        v.apply(code, n, o * 4, a * 4, sa * 4, b * 4, sb * 4, c * 4, sc * 4);
      else plain(m, n, o, a, sa, b, sb, c, sc);
    });
  };
  /** A function whose digits differ from JavaScript's: compiled however the operand lies. */
  const everywhere = (code: number): Loop => {
    const call = (n: number, o: number, a: number): void => v.apply(code, n, o * 4, a * 4, 4, 0, 0, 0, 0);
    return coded(code, (m, n, o, a, sa) => {
      if (sa === 1) call(n, o, a);
      else if (sa === 0) {
        call(1, o, a);
        m.fill(m[o] as number, o, o + n);
      } else {
        for (let i = 0; i < n; i++, a += sa) m[o + i] = m[a] as number;
        call(n, o, o);
      }
    });
  };
  const unaries = { ...unary };
  STRAIGHT.forEach((name, i) => {
    unaries[name] = straight(i, unary[name]);
  });
  unaries.sign = straight(SIGN, unary.sign);
  const binaries = { ...binary };
  PAIRS.forEach((name, i) => {
    binaries[name] = straight(BINARY + i, binary[name]);
  });
  const functions = { ...unaries };
  // in the order of kernels/codes.ts, as above
  ROUNDED.forEach((name, i) => {
    functions[name] = everywhere(FUNCTIONS + i);
  });
  unaries.exp = everywhere(EXP_EXACT);
  const exact: LoopTable = { unary: unaries, binary: binaries, select: straight(SELECT, select) };
  return {
    exact,
    fast: { ...exact, unary: functions },
    integers: (table) => ({
      ...table,
      binary: { ...table.binary, add: straight(ADD_INT, table.binary.add) },
    }),
  };
}
