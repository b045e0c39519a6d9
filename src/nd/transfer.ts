// Copies between devices. What leaves a GPU must be awaited, so `copyto` and `asInContext`, which return at once, refuse that direction.
import { bodyOf, NDArray } from '../array/ndarray.ts';
import { Context, cpu } from '../core/context.ts';
import { ArgumentError, ContextError, ShapeError } from '../core/errors.ts';
import { describe, sameShape, shapeText } from '../core/shape.ts';
import { deviceOf } from '../device/registry.ts';
import { arrayFromBytes, slots } from '../ops/invoke.ts';
import { astype, copy } from '../ops/moves.ts';
import { setStridedSlice } from '../ops/slices.ts';
import { bytesNow, checkReading, readBytes } from './reading.ts';

function move(x: NDArray, context: Context, op: string): NDArray {
  const { device, dtype, shape } = bodyOf(x, op);
  const target = deviceOf(context, op);
  if (x.context === context && (target === device || slots.standIn !== null)) return copy(x);
  checkReading(op, 'Copy it over before the call, or make it there with { ctx: x.context }.');
  const bytes = bytesNow(x, op);
  if (bytes === null)
    throw new ContextError(
      `expected a copy that need not wait, received one from ${x.context} to ${context}. Use await x.toCpu(), then asInContext if it goes on to another device.`,
      { op },
    );
  return arrayFromBytes(context, dtype, shape, new Uint8Array(bytes), op);
}

/**
 * Copies to a context (a new array), or into another array of the same shape, which is returned.
 * @throws ContextError where it would leave a GPU for the CPU: use `await x.toCpu()`
 */
export function copyto(x: NDArray, other: NDArray | Context): NDArray {
  if (other instanceof Context) return move(x, other, 'copyto');
  if (!(other instanceof NDArray))
    throw new ArgumentError(
      `expected an NDArray or a context, received ${describe(other)}. Write x.copyto(gpu()) or x.copyto(y).`,
      { op: 'copyto' },
    );
  const [from, to] = [bodyOf(x, 'copyto'), bodyOf(other, 'copyto')];
  if (!sameShape(from.shape, to.shape))
    throw new ShapeError(
      `expected a target of shape ${shapeText(from.shape)}, received ${shapeText(to.shape)}. Make one with zerosLike.`,
      { op: 'copyto' },
    );
  let source = x;
  if (from.device !== to.device) source = move(x, other.context, 'copyto');
  try {
    if (x.dtype !== other.dtype) {
      const converted = astype(source, other.dtype);
      if (source !== x) source.dispose();
      source = converted;
    }
    return setStridedSlice(other, source);
  } finally {
    if (source !== x) source.dispose();
  }
}

/** The array itself if it is there already, else a copy on the context. See `copyto` for the way back from a GPU. */
export function asInContext(x: NDArray, ctx: Context | { readonly ctx: Context }): NDArray {
  const context = ctx instanceof Context ? ctx : (ctx as { readonly ctx?: unknown } | undefined)?.ctx;
  if (!(context instanceof Context))
    throw new ArgumentError(`expected a context, received ${describe(ctx)}. Write x.asInContext(gpu()).`, {
      op: 'asInContext',
    });
  bodyOf(x, 'asInContext');
  return x.context === context ? x : move(x, context, 'asInContext');
}

/** The array itself if it is on a CPU, else a copy of its values as they are now on `cpu(0)`. */
export function toCpu(x: NDArray): Promise<NDArray> {
  if (x instanceof NDArray && x.context.deviceType !== 'cpu') checkReading('toCpu');
  return copyToCpu(x);
}

async function copyToCpu(x: NDArray): Promise<NDArray> {
  const { dtype, shape } = bodyOf(x, 'toCpu');
  if (x.context.deviceType === 'cpu') return x;
  return arrayFromBytes(cpu(0), dtype, shape, new Uint8Array(await readBytes(x, 'toCpu')), 'toCpu');
}
