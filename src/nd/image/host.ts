// Pictures in host memory: typed arrays with a shape, (H, W, C) or (N, H, W, C). What the loops of this folder and the data loader work on; on a device they
// are NDArrays.
import type { NDArray } from '../../array/ndarray.ts';
import { bodyOf } from '../../array/ndarray.ts';
import type { Context } from '../../core/context.ts';
import { type DType, HOLDERS, type TypedArray } from '../../core/dtype.ts';
import { ContextError, DTypeError, ShapeError } from '../../core/errors.ts';
import { shapeText, sizeOf } from '../../core/shape.ts';
import { arrayFromBytes } from '../../ops/invoke.ts';
import { encode } from '../make.ts';
import { checkReading, readNow } from '../reading.ts';

/** Values in host memory, as `x.data()` gives them: float16 as numbers, bool as 0 and 1. */
export interface HostArray {
  readonly values: TypedArray;
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Room for an array. */
export function hostLike(dtype: DType, shape: readonly number[]): HostArray {
  return { values: new HOLDERS[dtype](sizeOf(shape)), dtype, shape };
}

/** The values of an array whose device need not be waited for. */
export function toHost(x: NDArray, op: string): HostArray {
  const { shape, dtype } = bodyOf(x, op);
  checkReading(op);
  const values = readNow(x, op);
  if (values === undefined)
    throw new ContextError(
      `expected pictures on the CPU, received an array on ${x.context}. Call it before the copy to the GPU, or on await x.toCpu().`,
      { op },
    );
  return { values, dtype, shape };
}

/** The array on a device. */
export function fromHost(host: HostArray, context: Context, op: string): NDArray {
  const { dtype, shape } = host;
  // float16 is held as bits; all else the device takes as it is
  const data = dtype === 'float16' ? encode(host.values, dtype) : host.values;
  return arrayFromBytes(context, dtype, shape, data, op);
}

/** How pictures lie in an array (N, H, W, C) or (H, W, C). */
export interface Layout {
  readonly count: number;
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Reads a shape as that of pictures; anything else is a ShapeError. */
export function layoutOf(shape: readonly number[], op: string): Layout {
  if (shape.length !== 3 && shape.length !== 4)
    throw new ShapeError(
      `expected pictures of shape (H, W, C) or (N, H, W, C), received ${shapeText(shape)}. Add the missing axis with expandDims; gray pictures have one channel.`,
      { op },
    );
  const [height, width, channels] = shape.slice(-3) as [number, number, number];
  return { count: shape.length === 4 ? (shape[0] as number) : 1, height, width, channels };
}

/** The shape of pictures of another size, with or without N as `like` has it. */
export function resized(like: readonly number[], height: number, width: number): number[] {
  return [...like.slice(0, -3), height, width, like[like.length - 1] as number];
}

/** Refuses dtypes that hold no pictures. */
export function checkPixelType(dtype: DType, op: string): void {
  if (dtype === 'bool')
    throw new DTypeError("expected uint8 or float pictures, received bool. Convert with x.astype('uint8').", {
      op,
    });
}
