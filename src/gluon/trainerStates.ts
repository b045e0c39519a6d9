// A Trainer's states as bytes: what holds at the call. The file itself is stateFile.ts's, which comes when it is needed.
import type { NDArray } from '../array/ndarray.ts';
import { expectReader } from '../formats/pending.ts';
import type { ReadOptions } from '../formats/reading.ts';
import type { Source } from '../formats/source.ts';
import { readValues } from './hostArray.ts';
import type { Optimizer } from './optimizer/optimizer.ts';
import type { Parameter } from './parameter.ts';

type Progress = Optimizer['progress'];

/** What a file of states says besides the arrays. */
export interface Header extends Progress {
  readonly optimizer: string;
  readonly parameters: readonly string[];
}

/** Writes states, as they are at the call. */
export async function writeStates(
  op: string,
  header: Header,
  arrays: ReadonlyMap<string, NDArray>,
): Promise<Uint8Array<ArrayBuffer>> {
  const text = JSON.stringify(header);
  const values = Promise.all([...arrays.values()].map((array) => readValues(array, op)));
  const names = [...arrays.keys()];
  const [read, { writeFile }] = await Promise.all([values, import('./stateFile.ts')]);
  return writeFile(op, text, names, read);
}

/** Whose states are read. */
export interface Wanted {
  readonly optimizer: string;
  readonly states: readonly string[];
  readonly parameters: readonly Parameter[];
}

/** What a file holds, checked against the Trainer that reads it. */
export interface StateFile {
  readonly progress: Progress;
  /** For each parameter with states, what makes them on all its contexts. */
  readonly states: ReadonlyMap<number, () => NDArray[][]>;
}

/** Reads states and checks that they belong to these parameters and this optimizer. */
export async function readStates(
  op: string,
  source: Source,
  wanted: Wanted,
  options: Pick<ReadOptions, 'signal' | 'onProgress'> = {},
): Promise<StateFile> {
  expectReader(source);
  const { readFile } = await import('./stateFile.ts');
  return readFile(op, source, wanted, options);
}
