// Parameters' values on their way between contexts and files: bytes in host memory, and arrays that belong to the library.
import { type NDArray, setOwner } from '../array/ndarray.ts';
import { outsideScopes } from '../array/scope.ts';
import { type Context, checkContext } from '../core/context.ts';
import type { DType } from '../core/dtype.ts';
import { ContextError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import { bytesNow, readBytes } from '../nd/reading.ts';
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

function hostArray({ dtype, shape }: NDArray, buffer: ArrayBuffer): HostArray {
  return { dtype, shape, data: new Uint8Array(buffer) };
}

/** The values of an array whose device need not be waited for; null for one on a GPU. */
export function readNow(array: NDArray, op: string): HostArray | null {
  slots.trace?.reading(op);
  const buffer = bytesNow(array, op);
  return buffer === null ? null : hostArray(array, buffer);
}

/** The values of an array as they are now; reads of one turn are one transfer. */
export async function readValues(array: NDArray, op: string): Promise<HostArray> {
  return hostArray(array, await readBytes(array, op));
}

/** Runs `make` for each of some things (contexts, say) outside all scopes; the arrays belong to the library. If one fails, none stays. */
export function makeOwned<T>(each: readonly T[], make: (of: T) => NDArray): NDArray[] {
  return outsideScopes(() => {
    const made: NDArray[] = [];
    try {
      for (const of of each) {
        const array = make(of);
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
