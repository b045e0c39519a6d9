// Parameters' values on their way between contexts and files: bytes in host memory, and arrays that belong to the library.
import { bodyOf, type NDArray, setOwner } from '../array/ndarray.ts';
import { outsideScopes } from '../array/scope.ts';
import { type Context, checkContext } from '../core/context.ts';
import { bytesOf, type DType } from '../core/dtype.ts';
import { ArgumentError, ContextError } from '../core/errors.ts';
import { type Shape, sizeOf } from '../core/shape.ts';
import type { Device, ReadRequest } from '../device/device.ts';
import { arrayFromBytes, slots } from '../ops/invoke.ts';

/** An array's values in host memory, as its device stores them. */
export interface HostArray {
  readonly dtype: DType;
  readonly shape: Shape;
  readonly data: ArrayBufferView<ArrayBuffer>;
}

/** One context or a list of them. */
export type Contexts = Context | readonly Context[];

/** A list of contexts, each once; the current one where none is given. */
export function toContexts(value: Contexts | undefined | null, op: string): readonly Context[] {
  if (!Array.isArray(value)) return [checkContext(value, op)];
  const list = [...new Set((value as readonly unknown[]).map((c) => checkContext(c ?? 'nothing', op)))];
  if (list.length === 0)
    throw new ContextError('expected at least one context, received an empty list. Pass cpu() or gpu().', {
      op,
    });
  return list;
}

function requestFor(array: NDArray, op: string): ReadRequest & { readonly device: Device } {
  const { device, storage, shape, dtype } = bodyOf(array, op);
  return { device, storage, at: 0, bytes: sizeOf(shape) * bytesOf(dtype), op };
}

/** The values of an array whose device need not be waited for; null for one on a GPU. */
export function readNow(array: NDArray, op: string): HostArray | null {
  slots.trace?.reading(op);
  const request = requestFor(array, op);
  const buffer = request.device.readSync(request);
  return buffer === null ? null : { dtype: array.dtype, shape: array.shape, data: new Uint8Array(buffer) };
}

/** The values of an array as they are now; reads of one turn are one transfer. */
export async function readValues(array: NDArray, op: string): Promise<HostArray> {
  const { device, ...request } = requestFor(array, op);
  const [buffer] = await device.read([request]);
  return { dtype: array.dtype, shape: array.shape, data: new Uint8Array(buffer as ArrayBuffer) };
}

/** Runs `make` for each context outside all scopes; the arrays belong to the library. If one fails, none stays. */
export function makeOwned(contexts: readonly Context[], make: (context: Context) => NDArray): NDArray[] {
  return outsideScopes(() => {
    const made: NDArray[] = [];
    try {
      for (const context of contexts) {
        const array = make(context);
        setOwner(array, 'library');
        made.push(array);
      }
    } catch (error) {
      for (const array of made) array.dispose();
      throw error;
    }
    return made;
  });
}

/** The values as arrays of the library's own, one on each context. */
export function placeOn(contexts: readonly Context[], values: HostArray, op: string): NDArray[] {
  return makeOwned(contexts, (context) =>
    arrayFromBytes(context, values.dtype, values.shape, values.data, op),
  );
}

/** Throws for anything but `true`, `false` or nothing. */
export function flag(value: unknown, name: string, op: string): boolean {
  if (value === undefined || value === false) return false;
  if (value === true) return true;
  throw new ArgumentError(
    `expected ${name} to be true or false, received ${String(value)}. Check the call.`,
    {
      op,
    },
  );
}
