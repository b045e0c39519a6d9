// The text of an array, character for character as NumPy's `str` gives it under its default options, and Gluon's frame
// around it. This file decides what is printed, how wide and on which line; the digits come from decimal.ts.
//
// The format is that of NumPy 1.21 to 1.26 (numpy.set_printoptions, numpy.array2string). NumPy 2.4 takes exponents earlier:
// for float32 from 1e6 on, for float16 from 1e3 on; and the float32 nearest to 0.0001, which is less, counts as 0.0001.
import { type Decimal, digitsOf, type FloatDType } from './decimal.ts';
import { type DType, fromHalf, isFloat, toHalf } from './dtype.ts';
import { sizeOf } from './shape.ts';

/** The most digits after the point. */
const PRECISION = 8;
/** Characters in a line. */
const LINE_WIDTH = 75;
/** Arrays of more elements show only their edges. */
const THRESHOLD = 1000;
/** Elements shown at each edge of a summarised axis. */
const EDGE = 3;

/**
 * The values of an array as NumPy's `str(ndarray)` shows them: precision 8, lines of 75 characters, above 1000 elements the
 * three at each edge of an axis. Reads only the elements it prints.
 *
 * @param data the elements in row-major order; numbers, also for float16 and bool
 * @param shape the extents; `[]` is a scalar, which prints without brackets
 * @example formatArray([1, 2.5, -3], [3], 'float32') // '[ 1.   2.5 -3. ]'
 */
export function formatArray(data: ArrayLike<number>, shape: readonly number[], dtype: DType): string {
  if (shape.length === 0) return formatScalar(data[0] ?? 0, dtype);
  const size = sizeOf(shape);
  if (size === 0) return '[]';
  const summarise = size > THRESHOLD;
  return layOut(formatElements(printedValues(data, shape, summarise), dtype), shape, summarise);
}

/**
 * An array as Gluon shows it: a newline, the values, a newline, `<NDArray 3x2 @cpu(0)>`.
 *
 * @param contextText the context as it prints, `cpu(0)`
 */
export function formatNDArray(
  data: ArrayLike<number>,
  shape: readonly number[],
  dtype: DType,
  contextText: string,
): string {
  return `\n${formatArray(data, shape, dtype)}\n<NDArray ${shape.join('x')} @${contextText}>`;
}

function isCut(extent: number, summarise: boolean): boolean {
  return summarise && extent > 2 * EDGE;
}

/** The elements that are shown, in order: all, or the corners. */
function printedValues(data: ArrayLike<number>, shape: readonly number[], summarise: boolean): Float64Array {
  let offsets = [0];
  for (const extent of shape) {
    const next: number[] = [];
    const cut = isCut(extent, summarise);
    for (const offset of offsets) {
      for (let i = 0; i < extent; i++) {
        if (cut && i === EDGE) i = extent - EDGE;
        next.push(offset * extent + i);
      }
    }
    offsets = next;
  }
  return Float64Array.from(offsets, (offset) => data[offset] as number);
}

function formatElements(values: Float64Array, dtype: DType): string[] {
  if (dtype === 'bool') return Array.from(values, (v) => (v === 0 ? 'False' : ' True'));
  return isFloat(dtype) ? formatFloats(values, dtype as FloatDType) : alignRight(Array.from(values, String));
}

function widest(words: readonly string[]): number {
  return words.reduce((width, word) => Math.max(width, word.length), 0);
}

function alignRight(words: readonly string[]): string[] {
  const width = widest(words);
  return words.map((word) => word.padStart(width));
}

/** The number that is stored for `value`. */
function stored(value: number, dtype: FloatDType): number {
  if (dtype === 'float64') return value;
  return dtype === 'float32' ? Math.fround(value) : fromHalf(toHalf(value));
}

/** A number as texts: `whole.fraction` and the digits of its exponent; `whole` has the sign. */
interface Parts {
  readonly whole: string;
  readonly fraction: string;
  readonly exponent: number;
}

function formatFloats(given: Float64Array, dtype: FloatDType): string[] {
  const values = given.map((v) => stored(v, dtype));
  const exponential = needsExponents(values, dtype);
  const finite = Array.from(values.filter(Number.isFinite), (v) =>
    exponential ? exponentialParts(v, dtype) : fixedParts(v, dtype),
  );
  const wholeWidth = widest(finite.map(({ whole }) => whole));
  const fractionWidth = widest(finite.map(({ fraction }) => fraction));
  const exponentWidth = widest(finite.map(({ exponent }) => exponentText(exponent, 2))) - 2;
  let next = 0;
  const words = Array.from(values, (v) => {
    if (!Number.isFinite(v)) return specialText(v);
    const { whole, fraction, exponent } = finite[next++] as Parts;
    // in exponential form all fractions are equally long, padded with zeros (as NumPy before 1.21, which MXNet printed with)
    return `${whole.padStart(wholeWidth)}.${exponential ? fraction.padEnd(fractionWidth, '0') + exponentText(exponent, exponentWidth) : fraction.padEnd(fractionWidth)}`;
  });
  // The words of numbers are equally wide by now; this makes room for a wider nan or inf, and aligns a narrower one.
  return alignRight(words);
}

/** One form for the whole array: exponents where fixed digits would be many, or would say little of the small ones. */
function needsExponents(values: Float64Array, dtype: FloatDType): boolean {
  let max = 0;
  let min = Infinity;
  for (const value of values) {
    const v = Math.abs(value);
    if (v > 0 && v < Infinity) {
      if (v > max) max = v;
      if (v < min) min = v;
    }
  }
  // NumPy divides in the array's own dtype
  return max > 0 && (max >= 1e8 || min < 1e-4 || stored(max / min, dtype) > 1000);
}

function signOf(value: number): string {
  return value < 0 || Object.is(value, -0) ? '-' : '';
}

/** Fixed form: the fewest digits, no more than eight of them after the point. */
function fixedParts(value: number, dtype: FloatDType): Parts {
  const x = Math.abs(value);
  // of an integer all digits stand (67108872, though 67108870 would tell this float32): below 1e8 they are few
  const parts = Number.isInteger(x)
    ? { whole: String(x), fraction: '' }
    : placePoint(digitsOf(x, dtype, Infinity, PRECISION));
  return { whole: signOf(value) + parts.whole, fraction: parts.fraction, exponent: 0 };
}

/** Digits written out without an exponent. */
function placePoint({ digits, exponent }: Decimal): { readonly whole: string; readonly fraction: string } {
  if (exponent < 0) return { whole: '0', fraction: '0'.repeat(-exponent - 1) + digits };
  return {
    whole: digits.slice(0, exponent + 1).padEnd(exponent + 1, '0'),
    fraction: digits.slice(exponent + 1),
  };
}

/** Exponential form: the fewest digits, no more than eight after the first, or another number. */
function exponentialParts(value: number, dtype: FloatDType, count = PRECISION + 1): Parts {
  const { digits, exponent } =
    value === 0 ? { digits: '0', exponent: 0 } : digitsOf(Math.abs(value), dtype, count);
  return { whole: signOf(value) + digits.charAt(0), fraction: digits.slice(1), exponent };
}

/** `e+05`, with at least `digits` digits. */
function exponentText(exponent: number, digits: number): string {
  return `e${exponent < 0 ? '-' : '+'}${String(Math.abs(exponent)).padStart(digits, '0')}`;
}

function specialText(value: number): string {
  if (Number.isNaN(value)) return 'nan';
  return value < 0 ? '-inf' : 'inf';
}

/** A 0-d array prints as Python prints a NumPy scalar: all its digits, exponents only outside 1e-4 ≤ |x| < 1e16. */
function formatScalar(value: number, dtype: DType): string {
  if (dtype === 'bool') return value === 0 ? 'False' : 'True';
  if (!isFloat(dtype)) return String(value);
  const float = dtype as FloatDType;
  const v = stored(value, float);
  const x = Math.abs(v);
  if (!Number.isFinite(v)) return specialText(v);
  if (x === 0 || (x >= 1e-4 && x < 1e16)) {
    const { whole, fraction } = placePoint(x === 0 ? { digits: '0', exponent: 0 } : digitsOf(x, float));
    return `${signOf(v)}${whole}.${fraction || '0'}`;
  }
  const { whole, fraction, exponent } = exponentialParts(v, float, Infinity);
  return whole + (fraction && `.${fraction}`) + exponentText(exponent, 2);
}

/** Brackets, lines and dots around the words of the elements. */
function layOut(words: readonly string[], shape: readonly number[], summarise: boolean): string {
  let next = 0;
  const block = (axis: number): string => {
    const extent = shape[axis] as number;
    const cut = isCut(extent, summarise);
    const count = cut ? 2 * EDGE : extent;
    // what stands in a line before the elements: the brackets opened so far, or as many spaces
    const indent = ' '.repeat(axis + 1);
    const inner = axis + 1 < shape.length;
    const items = inner
      ? Array.from({ length: count }, () => block(axis + 1))
      : words.slice(next, next + count);
    if (!inner) next += count;
    if (cut) items.splice(EDGE, 0, '...');
    // an axis further out is set off by one more empty line
    if (inner) return `[${items.join('\n'.repeat(shape.length - axis - 1) + indent)}]`;
    // every bracket opened is closed at the end of some line, and takes its place in all
    return `[${fillLines(items, indent, LINE_WIDTH - axis - 1)}]`;
  };
  return block(0);
}

/** Words in lines of at most `width` characters, all but the first line indented, which begins after the bracket. */
function fillLines(words: readonly string[], indent: string, width: number): string {
  let done = '';
  let line = indent;
  words.forEach((word, i) => {
    if (i > 0) line += ' ';
    if (line.length > indent.length && line.length + word.length > width) {
      done += `${line.trimEnd()}\n`;
      line = indent;
    }
    line += word;
  });
  return (done + line).slice(indent.length);
}
