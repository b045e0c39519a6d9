// The file of a Trainer's states: safetensors, the arrays by the parameter's place and the state's name, the rest in the header. Names of parameters are for people:
// a net made again in the same page has others. Loaded when somebody saves or loads states.
import { adoptStorage, type NDArray } from '../array/ndarray.ts';
import { LoadError } from '../core/errors.ts';
import { asShape, sameShape, shapeText } from '../core/shape.ts';
import type { RawArray } from '../formats/raw.ts';
import type { ReadOptions } from '../formats/reading.ts';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import { readSource, type Source } from '../formats/source.ts';
import { type HostArray, placeOn } from './hostArray.ts';
import { toRaw } from './loading.ts';
import type { Parameter } from './parameter.ts';
import type { TrainerState } from './trainerStates.ts';

const KEY = 'webgluon.trainer';

type Progress = TrainerState['optimizer']['progress'];

export function writeFile(
  op: string,
  header: string,
  names: readonly string[],
  values: readonly HostArray[],
): Uint8Array<ArrayBuffer> {
  return writeSafetensors(values.map(toRaw), names, { [KEY]: header }, op);
}

/** What a file of states says besides the arrays. */
interface Header extends Progress {
  readonly optimizer: string;
  readonly parameters: readonly string[];
}

/** Puts the states of a file in the place of a Trainer's own. If it throws, nothing has changed. */
export async function restore(
  op: string,
  { optimizer, parameters, states }: TrainerState,
  source: Source,
  options: Pick<ReadOptions, 'signal' | 'onProgress'>,
): Promise<void> {
  const bytes = await readSource(source, { ...options, op });
  const { names, arrays, metadata } = readSafetensors(bytes, op);
  const header = headerOf(metadata[KEY], op);
  if (header.optimizer !== optimizer.name)
    throw new LoadError(
      `expected the states of ${optimizer.name}, received those of ${header.optimizer}. Make the Trainer with the optimizer that saved them.`,
      { op },
    );
  if (header.parameters.length !== parameters.length)
    throw new LoadError(
      `expected the states of ${parameters.length} parameters, received those of ${header.parameters.length}. Make the Trainer over the parameters that were saved.`,
      { op },
    );
  const byName = new Map(names.map((name, i) => [name, arrays[i] as RawArray]));
  const wanted = optimizer.rule.states;
  const checked = parameters.map((parameter, index) => {
    const own = wanted.map((state) => byName.get(`${index}.${state}`));
    // a parameter that was never updated has none
    if (own.every((array) => array === undefined)) return [];
    return own.map((array, slot) => checkState(op, parameter, wanted[slot] as string, array));
  });
  const fresh = new Map<number, NDArray[][]>();
  try {
    for (const [index, values] of checked.entries())
      if (values.length > 0) {
        const copies: NDArray[][] = [];
        fresh.set(index, copies);
        for (const context of (parameters[index] as Parameter).listCtx())
          copies.push(values.flatMap((array) => placeOn([context], array, op)));
      }
  } catch (error) {
    for (const copies of fresh.values()) dispose(copies);
    throw error;
  }
  for (const [index, copies] of states) {
    const loaded = fresh.get(index);
    // compiled steps know states by their handles, so these stay where they can
    if (loaded === undefined || !replace(copies, loaded)) dispose(copies);
    else fresh.set(index, copies);
  }
  states.clear();
  for (const [index, copies] of fresh) states.set(index, copies);
  const { learningRate, numUpdate, counts } = header;
  optimizer.progress = { learningRate, numUpdate, counts };
}

function dispose(copies: readonly (readonly NDArray[])[]): void {
  for (const states of copies) for (const array of states) array.dispose();
}

/** Gives states that are there the values of others. False where they differ in number or kind: nothing has changed then. */
function replace(copies: readonly (readonly NDArray[])[], by: readonly (readonly NDArray[])[]): boolean {
  const [before, after] = [copies.flat(), by.flat()];
  const fits =
    before.length === after.length &&
    before.every((x, i) => {
      const y = after[i];
      return y !== undefined && x.context === y.context && x.dtype === y.dtype && sameShape(x.shape, y.shape);
    });
  if (!fits) return false;
  before.forEach((x, i) => {
    adoptStorage(x, after[i] as NDArray);
  });
  dispose(by);
  return true;
}

function checkState(op: string, parameter: Parameter, state: string, array: RawArray | undefined): HostArray {
  if (array !== undefined && sameShape(array.shape, parameter.shape) && array.dtype === parameter.dtype)
    return { dtype: array.dtype, shape: asShape(array.shape), data: array.data };
  const has = array === undefined ? 'none' : `${array.dtype} of shape ${shapeText(array.shape)}`;
  throw new LoadError(
    `expected the ${state} of ${parameter.name} as ${parameter.dtype} of shape ${shapeText(parameter.shape)}, received ${has}. Make the Trainer over the parameters that were saved, in their order.`,
    { op },
  );
}

function headerOf(text: string | undefined, op: string): Header {
  if (text === undefined)
    throw new LoadError(
      'expected states of a Trainer, received a safetensors file without them. Pass what trainer.saveStates() gave; parameters are loaded with net.loadParameters.',
      { op },
    );
  const isNumber = (v: unknown): v is number => typeof v === 'number';
  let header: Partial<Header> | undefined;
  try {
    header = JSON.parse(text) as Partial<Header>;
  } catch {
    // told below
  }
  const sound =
    typeof header?.optimizer === 'string' &&
    Array.isArray(header.parameters) &&
    isNumber(header.learningRate) &&
    isNumber(header.numUpdate) &&
    Array.isArray(header.counts) &&
    header.counts.every((c: unknown) => Array.isArray(c) && c.length === 2 && c.every(isNumber));
  if (!sound)
    throw new LoadError(
      'expected states of a Trainer, received a header that cannot be read. Save them again.',
      { op },
    );
  return header as Header;
}
