// The float32 primitives as compiled loops where these pay: long runs along arrays and single numbers. Short runs and odd strides stay in JavaScript,
// and so do functions that have no compiled loop.
import { binary, select, unary } from '../loops/f32.ts';
import type { BinaryTable, Loop, LoopTable, UnaryTable } from '../loops/loop.ts';

/** Runs shorter than this are done before a call into WebAssembly has begun. */
const SHORT = 16;

type Unary = (n: number, o: number, a: number) => void;
type Binary = (n: number, o: number, a: number, sa: number, b: number, sb: number) => void;

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
  readonly log: Unary;
  readonly tanh: Unary;
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
  greatest(n: number, a: number, acc: number): number;
  least(n: number, a: number, acc: number): number;
  addWide(n: number, acc: number, a: number): void;
  narrow(n: number, o: number, a: number): void;
  poolMax(
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
  ): void;
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
  ): void;
  transpose(rows: number, columns: number, from: number, fromStep: number, to: number, toStep: number): void;
}

function compiledUnary(call: Unary, plain: Loop): Loop {
  return (m, n, o, a, sa, b, sb, c, sc) => {
    if (n >= SHORT && sa === 1) call(n, o * 4, a * 4);
    else plain(m, n, o, a, sa, b, sb, c, sc);
  };
}

/** As above, where the compiled function's digits differ from JavaScript's: whether it is called must not depend on how a run is cut. */
function compiledFunction(call: Unary, plain: Loop): Loop {
  return (m, n, o, a, sa, b, sb, c, sc) => {
    if (sa === 1) call(n, o * 4, a * 4);
    else if (n === 1) call(1, o * 4, a * 4);
    else plain(m, n, o, a, sa, b, sb, c, sc);
  };
}

function compiledBinary(call: Binary, plain: Loop): Loop {
  return (m, n, o, a, sa, b, sb, c, sc) => {
    if (n >= SHORT && (sa === 1 || sa === 0) && (sb === 1 || sb === 0))
      call(n, o * 4, a * 4, sa * 4, b * 4, sb * 4);
    else plain(m, n, o, a, sa, b, sb, c, sc);
  };
}

/** Two tables of float32 loops: one whose functions have JavaScript's digits, for small arrays, and one with the compiled ones. */
export function vectorLoops(v: VectorExports): { readonly exact: LoopTable; readonly fast: LoopTable } {
  const unaries: UnaryTable = {
    ...unary,
    neg: compiledUnary(v.neg, unary.neg),
    abs: compiledUnary(v.abs, unary.abs),
    sqrt: compiledUnary(v.sqrt, unary.sqrt),
    floor: compiledUnary(v.floor, unary.floor),
    ceil: compiledUnary(v.ceil, unary.ceil),
    trunc: compiledUnary(v.trunc, unary.trunc),
    rint: compiledUnary(v.rint, unary.rint),
    not: compiledUnary(v.not, unary.not),
  };
  const binaries: BinaryTable = {
    ...binary,
    add: compiledBinary(v.add, binary.add),
    sub: compiledBinary(v.sub, binary.sub),
    mul: compiledBinary(v.mul, binary.mul),
    div: compiledBinary(v.div, binary.div),
    max: compiledBinary(v.max, binary.max),
    min: compiledBinary(v.min, binary.min),
    eq: compiledBinary(v.eq, binary.eq),
    ne: compiledBinary(v.ne, binary.ne),
    lt: compiledBinary(v.lt, binary.lt),
    le: compiledBinary(v.le, binary.le),
    gt: compiledBinary(v.gt, binary.gt),
    ge: compiledBinary(v.ge, binary.ge),
  };
  const choose: Loop = (m, n, o, a, sa, b, sb, c, sc) => {
    const straight = (sa === 1 || sa === 0) && (sb === 1 || sb === 0) && (sc === 1 || sc === 0);
    if (n >= SHORT && straight) v.select(n, o * 4, a * 4, sa * 4, b * 4, sb * 4, c * 4, sc * 4);
    else select(m, n, o, a, sa, b, sb, c, sc);
  };
  const exact: LoopTable = { unary: unaries, binary: binaries, select: choose };
  const functions: UnaryTable = {
    ...unaries,
    exp: compiledFunction(v.exp, unary.exp),
    log: compiledFunction(v.log, unary.log),
    tanh: compiledFunction(v.tanh, unary.tanh),
  };
  return { exact, fast: { ...exact, unary: functions } };
}
