// Saving and loading parameters: what holds at the call (values, contexts, options). The formats, and which name of a file belongs to which parameter,
// are in loading.ts, which comes when it is needed.
import { currentContext } from '../core/context.ts';
import { expectReader } from '../formats/pending.ts';
import type { ByteProgress } from '../formats/reading.ts';
import type { Source } from '../formats/source.ts';
import { isRefused } from '../nd/reading.ts';
import type { Contexts } from './hostArray.ts';
import type { Parameter } from './parameter.ts';

/** Options of `saveParameters`. */
export interface SaveOptions {
  /** 'params', MXNet's format, by default. */
  readonly format?: 'params' | 'safetensors' | undefined;
}

/** Turns a name of the file into one of the net: a function, or an object from the file's names to ours. */
export type Rename = ((name: string) => string) | Readonly<Record<string, string>>;

/** Options of `loadParameters`. */
export interface LoadOptions {
  /** Where parameters go that are not initialized yet; others move there too. The current context by default. */
  readonly ctx?: Contexts | undefined;
  /** Leaves parameters that the file lacks as they are. */
  readonly allowMissing?: boolean | undefined;
  /** Passes over names that the net lacks. */
  readonly ignoreExtra?: boolean | undefined;
  /** Converts values to the parameters' dtypes; otherwise they must agree. */
  readonly castDtype?: boolean | undefined;
  readonly rename?: Rename | undefined;
  /** An abort rejects with the signal's reason and changes nothing. */
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: ByteProgress) => void) | undefined;
}

/**
 * Writes the values of named parameters, taken as they are at the call.
 * @param stripPrefix what all names begin with, and shall not in the file
 */
export async function saveArrays(
  op: string,
  named: ReadonlyMap<string, Parameter>,
  options?: SaveOptions,
  stripPrefix = '',
): Promise<Uint8Array<ArrayBuffer>> {
  if (isRefused(op)) return new Promise(() => undefined);
  const names = [...named.keys()];
  const values = Promise.all([...named.values()].map((parameter) => parameter.reduced()));
  const [arrays, { write }] = await Promise.all([values, import('./loading.ts')]);
  return write(op, names, arrays, options, stripPrefix);
}

/**
 * Loads a source into parameters. `namings` are the names by which the file may call them, and those of the last without `prefix`; the one that fits best counts.
 * Either every parameter gets its values or none changes.
 */
export async function loadArrays(
  op: string,
  source: Source,
  namings: readonly ReadonlyMap<string, Parameter>[],
  prefix: string,
  options?: LoadOptions,
): Promise<void> {
  const here = currentContext();
  expectReader(source);
  const { load } = await import('./loading.ts');
  await load(op, source, namings, prefix, options, here);
}
