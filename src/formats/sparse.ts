// MXNet's row_sparse and csr storage unfolded into dense arrays, with the checks MXNet itself makes of their indices.
import type { DType, TypedArray } from '../core/dtype.ts';
import { FormatError } from '../core/errors.ts';
import { shapeText, sizeOf } from '../core/shape.ts';
import type { Place } from './raw.ts';

/** A dense array of zeros for elements of a dtype, as `RawArray.data` holds them. */
function zerosOf(dtype: DType, size: number): TypedArray {
  switch (dtype) {
    case 'float32':
      return new Float32Array(size);
    case 'float64':
      return new Float64Array(size);
    case 'float16':
      return new Uint16Array(size);
    case 'int32':
      return new Int32Array(size);
    case 'uint32':
      return new Uint32Array(size);
    case 'int8':
      return new Int8Array(size);
    case 'uint8':
    case 'bool':
      return new Uint8Array(size);
  }
}

function refuse(place: Place, expected: string, received: string): never {
  throw new FormatError(
    `expected ${expected} in ${place.array}, received ${received}. The file is damaged: fetch or save it again.`,
    {
      op: place.op,
    },
  );
}

/**
 * The dense array of a row_sparse one: `values` holds the rows that `rows` numbers, all others are zero.
 * Row numbers must ascend and lie inside.
 */
export function unfoldRows(
  dtype: DType,
  shape: readonly number[],
  values: TypedArray,
  rows: ArrayLike<number>,
  place: Place,
): TypedArray {
  const extent = shape[0] ?? 0;
  const width = sizeOf(shape.slice(1));
  if (values.length !== rows.length * width)
    refuse(place, `${rows.length} rows of ${width} elements`, `${values.length} elements`);
  const dense = zerosOf(dtype, sizeOf(shape));
  let last = -1;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] as number;
    if (row <= last || row >= extent)
      refuse(place, `row numbers that ascend, below ${extent}`, last < 0 ? `${row}` : `${row} after ${last}`);
    dense.set(values.subarray(i * width, (i + 1) * width), row * width);
    last = row;
  }
  return dense;
}

/**
 * The dense matrix of a csr one: row r has `values[starts[r]…starts[r + 1]]` in the columns that stand there in `columns`.
 * Columns must ascend in each row and lie inside. A matrix of zeros may come without `starts`.
 */
export function unfoldCsr(
  dtype: DType,
  shape: readonly number[],
  values: TypedArray,
  starts: ArrayLike<number>,
  columns: ArrayLike<number>,
  place: Place,
): TypedArray {
  const height = shape[0] ?? 0;
  const width = shape[1] ?? 0;
  if (shape.length !== 2) refuse(place, 'a csr array of two axes', shapeText(shape));
  if (values.length !== columns.length)
    refuse(place, `as many values as column numbers (${columns.length})`, `${values.length}`);
  const dense = zerosOf(dtype, sizeOf(shape));
  if (starts.length === 0 && values.length === 0) return dense;
  if (starts.length !== height + 1) refuse(place, `${height + 1} row starts`, `${starts.length}`);
  if (starts[0] !== 0 || starts[height] !== values.length)
    refuse(place, `row starts from 0 to ${values.length}`, `${starts[0]} to ${starts[height]}`);
  for (let row = 0; row < height; row++) {
    const from = starts[row] as number;
    const to = starts[row + 1] as number;
    if (to < from || to > values.length)
      refuse(place, `row starts that ascend to ${values.length}`, `${to} after ${from}`);
    let last = -1;
    for (let i = from; i < to; i++) {
      const column = columns[i] as number;
      if (column <= last || column >= width)
        refuse(
          place,
          `column numbers that ascend, below ${width}`,
          last < 0 ? `${column}` : `${column} after ${last}`,
        );
      dense[row * width + column] = values[i] as number;
      last = column;
    }
  }
  return dense;
}
