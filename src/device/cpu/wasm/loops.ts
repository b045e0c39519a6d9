// The float32 primitives as compiled loops where these pay: long runs along arrays and single numbers. Short runs and odd strides stay in JavaScript,
// and so do functions that have no compiled loop.
import { ROUNDED } from '../../digits.ts';
import { binary, select, unary } from '../loops/f32.ts';
import type { Loop, LoopTable } from '../loops/loop.ts';

/** Runs shorter than this are done before a call into WebAssembly has begun. */
const SHORT = 16;

type Unary = (n: number, o: number, a: number) => void;
type Binary = (n: number, o: number, a: number, sa: number, b: number, sb: number) => void;

type Pooling = (
  kind: number,
  from: number,
  to: number,
  planes: number,
  height: number,
  width: number,
  outHeight: number,
  outWidth: number,
  kernelHeight: number,
  kernelWidth: number,
  strideHeight: number,
  strideWidth: number,
  padHeight: number,
  padWidth: number,
  padded: number,
) => void;

/** kernels/vector.ts. Addresses and strides in bytes, counts in elements. */
export interface VectorExports {
  readonly neg: Unary;
  readonly abs: Unary;
  readonly sqrt: Unary;
  readonly floor: Unary;
  readonly ceil: Unary;
  readonly trunc: Unary;
  readonly rint: Unary;
  readonly exp: Unary;
  readonly expExact: Unary;
  readonly log: Unary;
  readonly tanh: Unary;
  readonly erf: Unary;
  readonly not: Unary;
  readonly add: Binary;
  readonly sub: Binary;
  readonly mul: Binary;
  readonly div: Binary;
  readonly max: Binary;
  readonly min: Binary;
  readonly eq: Binary;
  readonly ne: Binary;
  readonly lt: Binary;
  readonly le: Binary;
  readonly gt: Binary;
  readonly ge: Binary;
  select(n: number, o: number, a: number, sa: number, b: number, sb: number, c: number, sc: number): void;
  sum(n: number, a: number, acc: number): number;
  rowSums(to: number, from: number, images: number, rows: number, n: number): void;
  columnSums(to: number, from: number, rows: number, columns: number, step: number): void;
  run(steps: number, count: number, rows: number): void;
  greatest(n: number, a: number, acc: number): number;
  least(n: number, a: number, acc: number): number;
  addWide(n: number, acc: number, a: number): void;
  narrow(n: number, o: number, a: number): void;
  readonly pool: Pooling;
  readonly poolSpread: Pooling;
  poolMaxGrad(
    from: number,
    g: number,
    to: number,
    planes: number,
    height: number,
    width: number,
    outHeight: number,
    outWidth: number,
    kernelHeight: number,
    kernelWidth: number,
    strideHeight: number,
    strideWidth: number,
    padHeight: number,
    padWidth: number,
  ): void;
  depthwiseWeight(
    from: number,
    g: number,
    to: number,
    images: number,
    channels: number,
    perGroup: number,
    plane: number,
    row: number,
    outHeight: number,
    outWidth: number,
    kernelHeight: number,
    kernelWidth: number,
    strideHeight: number,
    strideWidth: number,
    dilateHeight: number,
    dilateWidth: number,
    add: number,
  ): void;
  transpose(rows: number, columns: number, from: number, fromStep: number, to: number, toStep: number): void;
}

function compiledUnary(call: Unary, plain: Loop): Loop {
  return (m, n, o, a, sa, b, sb, c, sc) => {
    if (n >= SHORT && sa === 1) call(n, o * 4, a * 4);
    else plain(m, n, o, a, sa, b, sb, c, sc);
  };
}

/** As above, where the compiled function's digits differ from JavaScript's: it is called however the operand lies. */
function compiledFunction(call: Unary): Loop {
  return (m, n, o, a, sa) => {
    if (sa === 1) call(n, o * 4, a * 4);
    else if (sa === 0) {
      call(1, o * 4, a * 4);
      m.fill(m[o] as number, o, o + n);
    } else {
      for (let i = 0; i < n; i++, a += sa) m[o + i] = m[a] as number;
      call(n, o * 4, o * 4);
    }
  };
}

function compiledBinary(call: Binary, plain: Loop): Loop {
  return (m, n, o, a, sa, b, sb, c, sc) => {
    if (n >= SHORT && (sa === 1 || sa === 0) && (sb === 1 || sb === 0))
      call(n, o * 4, a * 4, sa * 4, b * 4, sb * 4);
    else plain(m, n, o, a, sa, b, sb, c, sc);
  };
}

const STRAIGHT = ['neg', 'abs', 'sqrt', 'floor', 'ceil', 'trunc', 'rint', 'not'] as const;
const PAIRS = ['add', 'sub', 'mul', 'div', 'max', 'min', 'eq', 'ne', 'lt', 'le', 'gt', 'ge'] as const;

/** What a compiled loop is called in the lists that `run` of kernels/vector.ts takes. */
const CODES = new WeakMap<Loop, number>();
const EXP_EXACT = 12;
const BINARY = 16;
export const SELECT = 32;
/** Operations of lists that are no loops: folds along a row. */
export const FOLD_CODES = { sum: 33, max: 34, min: 35 } as const;
/** The loop's number, −1 where `run` does not know it. */
export function codeOf(loop: Loop): number {
  return CODES.get(loop) ?? -1;
}

/** Two tables of float32 loops: one whose functions have JavaScript's digits, for small arrays, and one with the compiled ones. */
export function vectorLoops(v: VectorExports): { readonly exact: LoopTable; readonly fast: LoopTable } {
  const coded = (code: number, loop: Loop): Loop => {
    CODES.set(loop, code);
    return loop;
  };
  const unaries = { ...unary };
  STRAIGHT.forEach((name, i) => {
    unaries[name] = coded(i, compiledUnary(v[name], unary[name]));
  });
  const binaries = { ...binary };
  PAIRS.forEach((name, i) => {
    binaries[name] = coded(BINARY + i, compiledBinary(v[name], binary[name]));
  });
  const choose = coded(SELECT, (m, n, o, a, sa, b, sb, c, sc) => {
    const straight = (sa === 1 || sa === 0) && (sb === 1 || sb === 0) && (sc === 1 || sc === 0);
    if (n >= SHORT && straight) v.select(n, o * 4, a * 4, sa * 4, b * 4, sb * 4, c * 4, sc * 4);
    else select(m, n, o, a, sa, b, sb, c, sc);
  });
  const functions = { ...unaries };
  // in the order of kernels/vector.ts, as above
  ROUNDED.forEach((name, i) => {
    functions[name] = coded(8 + i, compiledFunction(v[name]));
  });
  unaries.exp = coded(EXP_EXACT, compiledFunction(v.expExact));
  const exact: LoopTable = { unary: unaries, binary: binaries, select: choose };
  return { exact, fast: { ...exact, unary: functions } };
}
