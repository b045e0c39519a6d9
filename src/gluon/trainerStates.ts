// A Trainer's states as bytes: what holds at the call. The file itself is stateFile.ts's, which comes when it is needed.
import type { NDArray } from '../array/ndarray.ts';
import { expectReader } from '../formats/pending.ts';
import type { ReadOptions } from '../formats/reading.ts';
import type { Source } from '../formats/source.ts';
import { readValues } from './hostArray.ts';
import type { Optimizer } from './optimizer/optimizer.ts';
import type { Parameter } from './parameter.ts';

/** What a Trainer saves and restores. */
export interface TrainerState {
  readonly optimizer: Optimizer;
  readonly parameters: readonly Parameter[];
  /** States by parameter, then context. */
  readonly states: Map<number, NDArray[][]>;
}

/** Writes the states, counts and learning rate as they are at the call. */
export async function writeStates({
  optimizer,
  parameters,
  states,
}: TrainerState): Promise<Uint8Array<ArrayBuffer>> {
  const op = 'Trainer.saveStates';
  const { name, rule, progress } = optimizer;
  const header = JSON.stringify({ optimizer: name, ...progress, parameters: parameters.map((p) => p.name) });
  // all copies of a parameter's states are alike
  const named = [...states].flatMap(([index, [first = []]]) =>
    first.map((array, slot) => [`${index}.${rule.states[slot] as string}`, array] as const),
  );
  const values = Promise.all(named.map(([, array]) => readValues(array, op)));
  const [read, { writeFile }] = await Promise.all([values, import('./stateFile.ts')]);
  return writeFile(
    op,
    header,
    named.map(([path]) => path),
    read,
  );
}

/** Reads states, checks that they belong to this Trainer, and puts them in the place of its own. A load that fails changes nothing. */
export async function readStates(
  trainer: TrainerState,
  source: Source,
  options: Pick<ReadOptions, 'signal' | 'onProgress'> = {},
): Promise<void> {
  expectReader(source);
  const { restore } = await import('./stateFile.ts');
  await restore('Trainer.loadStates', trainer, source, options);
}
