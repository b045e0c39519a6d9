// Values on their way to the user: typed arrays, nested arrays, numbers, printed text.
import { bodyOf, NDArray } from '../array/ndarray.ts';
import {
  bytesOf,
  checkDType,
  type DType,
  fromHalf,
  HOLDERS,
  STORED,
  type TypedArray,
} from '../core/dtype.ts';
import { ShapeError } from '../core/errors.ts';
import { formatNDArray } from '../core/print.ts';
import { shapeText, sizeOf } from '../core/shape.ts';
import type { Device, ReadRequest } from '../device/device.ts';
import { rest } from '../device/rest.ts';
import { slots } from '../ops/invoke.ts';

/** Numbers (or booleans) in arrays in arrays. */
export type Nested = number | boolean | readonly Nested[];

/** The typed array that holds a dtype's values when they are read. */
export interface DataOf {
  readonly float32: Float32Array<ArrayBuffer>;
  readonly float16: Float32Array<ArrayBuffer>;
  readonly float64: Float64Array<ArrayBuffer>;
  readonly int32: Int32Array<ArrayBuffer>;
  readonly uint32: Uint32Array<ArrayBuffer>;
  readonly int8: Int8Array<ArrayBuffer>;
  readonly uint8: Uint8Array<ArrayBuffer>;
  readonly bool: Uint8Array<ArrayBuffer>;
}

/** A device's bytes as the values they stand for. */
function valuesOf(buffer: ArrayBuffer, { dtype, size }: NDArray): TypedArray {
  const stored = new STORED[dtype](buffer, 0, size);
  return dtype === 'float16' ? Float32Array.from(stored, fromHalf) : stored;
}

function requestOf(x: NDArray, op: string): ReadRequest & { readonly device: Device } {
  const { device, storage, shape, dtype } = bodyOf(x, op);
  return { device, storage, at: 0, bytes: sizeOf(shape) * bytesOf(dtype), op };
}

/** An array's bytes as its device stores them, where that need not be waited for; null for a GPU's. */
export function bytesNow(x: NDArray, op: string): ArrayBuffer | null {
  const request = requestOf(x, op);
  return request.device.readSync(request);
}

/** An array's bytes as they are now; reads of one turn are one transfer. */
export async function readBytes(x: NDArray, op: string): Promise<ArrayBuffer> {
  const request = requestOf(x, op);
  const [buffer] = await request.device.read([request]);
  const pause = rest();
  if (pause !== undefined) await pause;
  return buffer as ArrayBuffer;
}

/** Refuses a read while a call is being compiled: a replay would not come here. Throws at once rather than by a Promise that nobody awaits there. */
export function checkReading(op: string, advice?: string): void {
  slots.trace?.reading(op, advice);
}

/**
 * The same for what is async: whether the read is refused. The call that is being compiled throws by itself then; a Promise that rejects besides would be nobody's,
 * which ends a program in Node.
 */
export function isRefused(op: string): boolean {
  try {
    checkReading(op);
    return false;
  } catch {
    return true;
  }
}

async function read(x: NDArray, op: string): Promise<TypedArray> {
  return valuesOf(await readBytes(x, op), x);
}

/** The values of an array whose device need not be waited for, else undefined. For checks of the library's own: it is allowed while a call is being compiled. */
export function readNow(x: NDArray, op: string): TypedArray | undefined {
  const buffer = bytesNow(x, op);
  return buffer === null ? undefined : valuesOf(buffer, x);
}

/** A fresh flat copy of the values, in their own dtype or another. */
export function data(x: NDArray, dtype?: DType): Promise<TypedArray> {
  checkReading('data');
  return dataOf(x, dtype);
}

async function dataOf(x: NDArray, dtype: DType | undefined): Promise<TypedArray> {
  if (dtype === undefined) return read(x, 'data');
  const wanted = checkDType(dtype, 'data');
  const values = await read(x, 'data');
  const holder = HOLDERS[wanted];
  if (wanted === 'bool' && x.dtype !== 'bool') return Uint8Array.from(values, (v) => (v === 0 ? 0 : 1));
  return values instanceof holder ? values : holder.from(values as Iterable<number>);
}

/** The values as nested arrays. */
export function array(x: NDArray): Promise<Nested> {
  checkReading('array');
  return nestedOf(x);
}

async function nestedOf(x: NDArray): Promise<Nested> {
  const { shape, dtype } = bodyOf(x, 'array');
  const values = await read(x, 'array');
  const flat: Nested[] = dtype === 'bool' ? Array.from(values, (v) => v !== 0) : Array.from(values);
  const fold = (list: Nested[], axis: number): Nested[] => {
    if (axis <= 0) return list;
    const width = shape[axis] as number;
    const count = sizeOf(shape.slice(0, axis));
    return fold(
      Array.from({ length: count }, (_, i) => list.slice(i * width, (i + 1) * width)),
      axis - 1,
    );
  };
  return shape.length === 0 ? (flat[0] as Nested) : fold(flat, shape.length - 1);
}

/** The value of an array with one element. */
export function asscalar(x: NDArray, op: string): Promise<number> {
  checkReading(op);
  return scalarOf(x, op);
}

async function scalarOf(x: NDArray, op: string): Promise<number> {
  const { shape } = bodyOf(x, op);
  if (sizeOf(shape) !== 1)
    throw new ShapeError(
      `expected an array with one element, received shape ${shapeText(shape)}. Reduce it first, or use await x.data().`,
      { op },
    );
  return (await read(x, op))[0] as number;
}

function header(x: NDArray): string {
  return `<NDArray ${x.shape.join('x')} @${x.context}${x.isDisposed ? ', disposed' : ''}>`;
}

/** What `String(x)` and `console.log(x)` show; no values of a call that is being compiled. Never throws. */
export function text(x: NDArray): string {
  if (!(x instanceof NDArray) || x === NDArray.prototype) return '[object NDArray]';
  const values = x.isDisposed || slots.trace !== null ? undefined : readNow(x, 'toString');
  return values === undefined ? header(x) : formatNDArray(values, x.shape, x.dtype, String(x.context));
}

// prints of one device come out in the order of the calls
const lastPrint = new WeakMap<object, Promise<void>>();

/** Prints the values as they are at the call; a CPU array's text is out before this returns. */
export function print(x: NDArray): Promise<void> {
  checkReading('print');
  try {
    const { device, shape, dtype } = bodyOf(x, 'print');
    const where = String(x.context);
    const show = (values: TypedArray): void => console.log(formatNDArray(values, shape, dtype, where));
    const now = readNow(x, 'print');
    if (now !== undefined) {
      show(now);
      return rest() ?? Promise.resolve();
    }
    const before = lastPrint.get(device);
    const values = read(x, 'print');
    const done = (async () => {
      // a failed print does not stop the next one
      await before?.catch(() => undefined);
      show(await values);
    })();
    lastPrint.set(device, done);
    return done;
  } catch (error) {
    return Promise.reject(error);
  }
}
