// The file of a Trainer's states: safetensors, the arrays by the parameter's place and the state's name, the rest in the header. Names of parameters are for people:
// a net made again in the same page has others. Loaded when somebody saves or loads states.
import type { NDArray } from '../array/ndarray.ts';
import { LoadError } from '../core/errors.ts';
import { asShape, sameShape, shapeText } from '../core/shape.ts';
import type { RawArray } from '../formats/raw.ts';
import type { ReadOptions } from '../formats/reading.ts';
import { readSafetensors, writeSafetensors } from '../formats/safetensors.ts';
import { readSource, type Source } from '../formats/source.ts';
import { type HostArray, placeOn } from './hostArray.ts';
import { toRaw } from './loading.ts';
import type { Parameter } from './parameter.ts';
import type { Header, StateFile, Wanted } from './trainerStates.ts';

const KEY = 'webgluon.trainer';

export function writeFile(
  op: string,
  header: string,
  names: readonly string[],
  values: readonly HostArray[],
): Uint8Array<ArrayBuffer> {
  return writeSafetensors(values.map(toRaw), names, { [KEY]: header }, op);
}

export async function readFile(
  op: string,
  source: Source,
  wanted: Wanted,
  options: Pick<ReadOptions, 'signal' | 'onProgress'>,
): Promise<StateFile> {
  const bytes = await readSource(source, { ...options, op });
  const { names, arrays, metadata } = readSafetensors(bytes, op);
  const header = headerOf(metadata[KEY], op);
  if (header.optimizer !== wanted.optimizer)
    throw new LoadError(
      `expected the states of ${wanted.optimizer}, received those of ${header.optimizer}. Make the Trainer with the optimizer that saved them.`,
      { op },
    );
  if (header.parameters.length !== wanted.parameters.length)
    throw new LoadError(
      `expected the states of ${wanted.parameters.length} parameters, received those of ${header.parameters.length}. Make the Trainer over the parameters that were saved.`,
      { op },
    );
  const byName = new Map(names.map((name, i) => [name, arrays[i] as RawArray]));
  const states = new Map<number, () => NDArray[][]>();
  wanted.parameters.forEach((parameter, index) => {
    const own = wanted.states.map((state) => byName.get(`${index}.${state}`));
    // a parameter that was never updated has none
    if (own.every((array) => array === undefined)) return;
    const values = own.map((array, slot) => checkState(op, parameter, wanted.states[slot] as string, array));
    states.set(index, () =>
      parameter.listCtx().map((context) => values.flatMap((array) => placeOn([context], array, op))),
    );
  });
  const { learningRate, numUpdate, counts } = header;
  return { progress: { learningRate, numUpdate, counts }, states };
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
