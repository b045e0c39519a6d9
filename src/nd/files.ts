// `nd.save` and `nd.load`: lists and dictionaries of arrays in MXNet's `.params` format, byte for byte. The format's code comes when it is needed.
import { bodyOf, NDArray } from '../array/ndarray.ts';
import type { Context } from '../core/context.ts';
import { checkContext } from '../core/context.ts';
import { STORED } from '../core/dtype.ts';
import { ArgumentError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import { expectReader } from '../formats/pending.ts';
import type { RawArray } from '../formats/raw.ts';
import type { Source } from '../formats/source.ts';
import { checkOptions } from '../ops/args.ts';
import { arrayFromBytes } from '../ops/invoke.ts';
import { checkReading, readBytes } from './reading.ts';

/** An array's stored bits as file formats take them. Values are those at the call. */
async function rawOf(x: NDArray, op: string): Promise<RawArray> {
  const { dtype, shape } = bodyOf(x, op);
  return { dtype, shape, data: new STORED[dtype](await readBytes(x, op), 0, x.size) };
}

/**
 * Arrays as a `.params` file: a list, or a dictionary by names (a plain object or a Map). Arrays of any context.
 * @example const bytes = await nd.save({ w: nd.ones([2, 2]) });
 */
export function save(
  data: NDArray | readonly NDArray[] | ReadonlyMap<string, NDArray> | { readonly [name: string]: NDArray },
): Promise<Uint8Array<ArrayBuffer>> {
  checkReading('nd.save');
  return saved(data);
}

async function saved(data: Parameters<typeof save>[0]): Promise<Uint8Array<ArrayBuffer>> {
  const named = data instanceof Map ? [...data.entries()] : undefined;
  const list =
    data instanceof NDArray ? [data] : Array.isArray(data) ? (data as readonly NDArray[]) : undefined;
  if (named === undefined && list === undefined && (typeof data !== 'object' || data === null))
    throw new ArgumentError(
      `expected an array, a list of arrays or a dictionary of arrays, received ${describe(data)}. Write nd.save({ w: x }).`,
      { op: 'nd.save' },
    );
  const entries =
    list !== undefined
      ? list.map((x) => ['', x] as const)
      : (named ?? Object.entries(data as { readonly [name: string]: NDArray }));
  const values = Promise.all(entries.map(([, x]) => rawOf(x, 'nd.save')));
  const [arrays, { writeParams }] = await Promise.all([values, import('../formats/params.ts')]);
  return writeParams(arrays, list === undefined ? entries.map(([name]) => name) : [], 'nd.save');
}

/** Options of `nd.load`. */
export interface LoadOptions {
  readonly ctx?: Context | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?:
    | ((progress: {
        readonly done: number;
        readonly total: number | undefined;
        readonly unit: 'bytes';
      }) => void)
    | undefined;
}

/**
 * Arrays of a `.params` file: an object by names, or a list where the file has none.
 * @throws FormatError for bytes that are no such file; LoadError where the source cannot be read
 * @example const { w } = await nd.load(bytes);
 */
export async function load(
  source: Source,
  options?: LoadOptions,
): Promise<{ [name: string]: NDArray } | NDArray[]> {
  checkOptions('nd.load', options, ['ctx', 'signal', 'onProgress']);
  const context = checkContext(options?.ctx, 'nd.load');
  expectReader(source);
  const [{ readSource }, { readParams }] = await Promise.all([
    import('../formats/source.ts'),
    import('../formats/params.ts'),
  ]);
  const bytes = await readSource(source, {
    op: 'nd.load',
    signal: options?.signal,
    onProgress: options?.onProgress,
  });
  const { names, arrays } = readParams(bytes, 'nd.load');
  const made = arrays.map((a) => arrayFromBytes(context, a.dtype, a.shape, a.data, 'nd.load'));
  if (names.length === 0) return made;
  return Object.fromEntries(names.map((name, i) => [name, made[i] as NDArray]));
}
