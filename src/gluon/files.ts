// Saving and loading parameters: what holds at the call (values, contexts, options). The formats, and which name of a file belongs to which parameter,
// are in loading.ts, which comes when it is needed.
import type { Context } from '../core/context.ts';
import { expectReader } from '../formats/pending.ts';
import type { ByteProgress } from '../formats/reading.ts';
import type { Source } from '../formats/source.ts';
import { isRefused } from '../nd/reading.ts';
import { checkOptions, wordArg } from '../ops/args.ts';
import { type Contexts, flag, toContexts } from './hostArray.ts';
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

const LOAD_OPTIONS = ['ctx', 'allowMissing', 'ignoreExtra', 'castDtype', 'rename', 'signal', 'onProgress'];

/** Writes the values of named parameters, taken as they are at the call. */
export async function saveArrays(
  op: string,
  named: ReadonlyMap<string, Parameter>,
  options: SaveOptions = {},
): Promise<Uint8Array<ArrayBuffer>> {
  checkOptions(op, options, ['format']);
  const format = wordArg(op, { format: options.format }, 'format', ['params', 'safetensors'], 'params');
  if (isRefused(op)) return new Promise(() => undefined);
  const values = Promise.all([...named.values()].map((parameter) => parameter.reduced()));
  const [arrays, { write }] = await Promise.all([values, import('./loading.ts')]);
  return write(op, format, [...named.keys()], arrays);
}

/** Options of a load, checked, with what the call's surroundings say. */
export interface LoadRequest extends Pick<LoadOptions, 'rename' | 'signal' | 'onProgress'> {
  readonly op: string;
  readonly source: Source;
  /** Where all parameters go; undefined leaves those that have contexts where they are. */
  readonly wanted: readonly Context[] | undefined;
  /** Where the others go. */
  readonly fallback: readonly Context[];
  readonly allowMissing: boolean;
  readonly ignoreExtra: boolean;
  readonly castDtype: boolean;
}

/**
 * Loads a source into parameters. `namings` are the names by which the file may call them; the one that fits best counts.
 * Either every parameter gets its values or none changes.
 */
export async function loadArrays(
  op: string,
  source: Source,
  namings: readonly ReadonlyMap<string, Parameter>[],
  options: LoadOptions = {},
): Promise<void> {
  checkOptions(op, options, LOAD_OPTIONS);
  const wanted = options.ctx === undefined ? undefined : toContexts(options.ctx, op);
  const request: LoadRequest = {
    op,
    source,
    wanted,
    fallback: wanted ?? toContexts(undefined, op),
    allowMissing: flag(options.allowMissing, 'allowMissing', op),
    ignoreExtra: flag(options.ignoreExtra, 'ignoreExtra', op),
    castDtype: flag(options.castDtype, 'castDtype', op),
    rename: options.rename,
    signal: options.signal,
    onProgress: options.onProgress,
  };
  expectReader(source);
  const { load } = await import('./loading.ts');
  await load(request, namings);
}
