// Parameters and the bytes of files: which name of a file belongs to which parameter, all checks, and only then the change. What the bytes
// mean is left to src/formats. Loaded when somebody saves or loads.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { outsideScopes } from '../array/scope.ts';
import { type Context, cpu } from '../core/context.ts';
import { STORED, type TypedArray } from '../core/dtype.ts';
import { ArgumentError, DTypeError, LoadError, ShapeError } from '../core/errors.ts';
import { asShape, describe, sameShape, shapeText } from '../core/shape.ts';
import { deviceOf } from '../device/registry.ts';
import { readParams, writeParams } from '../formats/params.ts';
import type { RawArray } from '../formats/raw.ts';
import { readSafetensors, sniff, writeSafetensors } from '../formats/safetensors.ts';
import { readSource, type Source } from '../formats/source.ts';
import { booleanArg, readArgs, suggest, wordArg } from '../ops/args.ts';
import { arrayFromBytes } from '../ops/invoke.ts';
import { astype } from '../ops/moves.ts';
import { setStridedSlice } from '../ops/slices.ts';
import type { LoadOptions, Rename, SaveOptions } from './files.ts';
import { type HostArray, placeOn, readNow, toContexts } from './hostArray.ts';
import { internals, type Parameter } from './parameter.ts';
import { unrecorded } from './quiet.ts';

export function toRaw(values: HostArray): RawArray {
  const { buffer, byteOffset, byteLength } = values.data;
  const Holder = STORED[values.dtype];
  const data: TypedArray = new Holder(buffer, byteOffset, byteLength / Holder.BYTES_PER_ELEMENT);
  return { dtype: values.dtype, shape: values.shape, data };
}

/** A file of these arrays. */
export function write(
  op: string,
  names: readonly string[],
  values: readonly HostArray[],
  options: SaveOptions | undefined,
  stripPrefix: string,
): Uint8Array<ArrayBuffer> {
  const given = readArgs(op, [options], [], ['format']);
  const format = wordArg(op, given, 'format', ['params', 'safetensors'], 'params');
  const stripped = names.map((name) => {
    if (name.startsWith(stripPrefix)) return name.slice(stripPrefix.length);
    throw new ArgumentError(
      `expected names that begin with ${JSON.stringify(stripPrefix)}, received ${JSON.stringify(name)}. Choose another stripPrefix, or none.`,
      { op },
    );
  });
  const arrays = values.map(toRaw);
  return format === 'params' ? writeParams(arrays, stripped, op) : writeSafetensors(arrays, stripped, {}, op);
}

/** What a file holds, by name. */
function readFile(bytes: Uint8Array<ArrayBuffer>, op: string): Map<string, RawArray> {
  const { names, arrays } =
    sniff(bytes, op) === 'params' ? readParams(bytes, op) : readSafetensors(bytes, op);
  if (names.length !== arrays.length)
    throw new LoadError(
      `expected a file with a name for each array, received a list of ${arrays.length} arrays. Read it with nd.load.`,
      { op },
    );
  return new Map(names.map((name, i) => [name, arrays[i] as RawArray]));
}

function renamed(file: Map<string, RawArray>, rename: Rename | undefined, op: string): Map<string, RawArray> {
  if (rename === undefined) return file;
  if (typeof rename !== 'function' && (typeof rename !== 'object' || rename === null))
    throw new ArgumentError(
      `expected rename to be a function or an object of names, received ${describe(rename)}. Write rename: (name) => …`,
      { op },
    );
  const out = new Map<string, RawArray>();
  for (const [name, array] of file) {
    const given: unknown =
      typeof rename === 'function' ? rename(name) : Object.hasOwn(rename, name) ? rename[name] : name;
    if (typeof given !== 'string')
      throw new ArgumentError(
        `expected rename to return a string for ${JSON.stringify(name)}, received ${describe(given)}. Return the name itself to keep it.`,
        { op },
      );
    if (out.has(given))
      throw new ArgumentError(
        `expected rename to give each array its own name, received ${JSON.stringify(given)} twice. Check rename.`,
        { op },
      );
    out.set(given, array);
  }
  return out;
}

/** `arg:weight` → `weight`, as MXNet's Module and `export` write names. */
function withoutKind(file: Map<string, RawArray>): Map<string, RawArray> {
  if (![...file.keys()].every((name) => /^(arg|aux):/.test(name))) return file;
  return new Map([...file].map(([name, array]) => [name.slice(4), array]));
}

/** The naming (by structure, by prefix …) that most of the file's names belong to. */
function bestNaming(
  namings: readonly ReadonlyMap<string, Parameter>[],
  file: ReadonlyMap<string, RawArray>,
): ReadonlyMap<string, Parameter> {
  let best = namings[0] as ReadonlyMap<string, Parameter>;
  let most = -1;
  for (const naming of namings) {
    let count = 0;
    for (const name of file.keys()) if (naming.has(name)) count++;
    if (count > most) {
      most = count;
      best = naming;
    }
  }
  return best;
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 12).map((name) => JSON.stringify(name));
  return names.length > 12 ? `${shown.join(', ')} and ${names.length - 12} more` : shown.join(', ');
}

function nearest(names: readonly string[], among: readonly string[]): string {
  const meant = names.length === 1 ? suggest(names[0] as string, among) : undefined;
  return meant === undefined ? '' : ` The nearest is ${JSON.stringify(meant)}.`;
}

/** Throws for names that do not meet; says which, all at once. */
function checkNames(
  op: string,
  naming: ReadonlyMap<string, Parameter>,
  file: ReadonlyMap<string, RawArray>,
  allowMissing: boolean,
  ignoreExtra: boolean,
): void {
  const missing = [...naming.keys()].filter((name) => !file.has(name));
  const extra = [...file.keys()].filter((name) => !naming.has(name));
  if (missing.length > 0 && !allowMissing)
    throw new LoadError(
      `expected values for every parameter, received a file in which ${missing.length} of ${naming.size} are missing: ${list(missing)}. ` +
        `The file holds ${file.size === 0 ? 'nothing' : list([...file.keys()])}.${nearest(missing, extra)} ` +
        'Check that it is this net’s, map its names with rename, or pass allowMissing: true.',
      { op },
    );
  if (extra.length > 0 && !ignoreExtra)
    throw new LoadError(
      `expected only names of this net's parameters, received ${extra.length} extra: ${list(extra)}. ` +
        `The net has ${naming.size === 0 ? 'no parameters' : list([...naming.keys()])}.${nearest(extra, missing)} ` +
        'Check that it is this net’s, map its names with rename, or pass ignoreExtra: true.',
      { op },
    );
}

function fits(raw: RawArray, parameter: Parameter): boolean {
  const own = parameter.shape;
  // a parameter made without a shape takes any
  if (own.length === 0 && internals.arraysOf(parameter).length === 0) return true;
  return own.length === raw.shape.length && own.every((d, i) => d === 0 || d === raw.shape[i]);
}

/** Throws for shapes and dtypes that do not fit, all of them listed. */
function checkValues(op: string, pairs: readonly [string, Parameter, RawArray][], castDtype: boolean): void {
  const misshapen = pairs.filter(([, parameter, raw]) => !fits(raw, parameter));
  if (misshapen.length > 0)
    throw new ShapeError(
      `expected the shapes of this net, received other ones for ${misshapen
        .slice(0, 12)
        .map(
          ([name, p, raw]) =>
            `${JSON.stringify(name)}: expected ${shapeText(p.shape)}, received ${shapeText(raw.shape)}`,
        )
        .join('; ')}. Check that the file is of the same architecture.`,
      { op },
    );
  const other = pairs.filter(([, parameter, raw]) => raw.dtype !== parameter.dtype);
  if (other.length > 0 && !castDtype)
    throw new DTypeError(
      `expected the dtypes of this net, received other ones for ${other
        .slice(0, 12)
        .map(([name, p, raw]) => `${JSON.stringify(name)}: expected ${p.dtype}, received ${raw.dtype}`)
        .join('; ')}. Pass castDtype: true, or cast the net first.`,
      { op },
    );
}

function toHost(raw: RawArray, parameter: Parameter, op: string): HostArray {
  const values: HostArray = { dtype: raw.dtype, shape: asShape(raw.shape), data: raw.data };
  if (raw.dtype === parameter.dtype) return values;
  return outsideScopes(() => {
    const given = arrayFromBytes(cpu(0), values.dtype, values.shape, values.data, op);
    const converted = astype(given, parameter.dtype);
    try {
      return readNow(converted, op) as HostArray;
    } finally {
      given.dispose();
      converted.dispose();
    }
  });
}

function sameContexts(a: readonly Context[], b: readonly Context[]): boolean {
  return a.length === b.length && a.every((context) => b.includes(context));
}

const LOAD_OPTIONS = ['ctx', 'allowMissing', 'ignoreExtra', 'castDtype', 'rename', 'signal', 'onProgress'];

/** Loads a source into parameters; either all get their values or none changes. @param here where those go that are nowhere yet, if no context is given */
export async function load(
  op: string,
  source: Source,
  namings: readonly ReadonlyMap<string, Parameter>[],
  prefix: string,
  options: LoadOptions | undefined,
  here: Context,
): Promise<void> {
  const given = readArgs(op, [options], [], LOAD_OPTIONS);
  const { ctx, rename, signal, onProgress } = given as LoadOptions;
  const [allowMissing, ignoreExtra, castDtype] = ['allowMissing', 'ignoreExtra', 'castDtype'].map((name) =>
    booleanArg(op, given, name, false),
  ) as [boolean, boolean, boolean];
  const wanted = ctx === undefined ? undefined : toContexts(ctx, op);
  const bytes = await readSource(source, { op, signal, onProgress });
  const file = withoutKind(renamed(readFile(bytes, op), rename, op));
  const bare = [...(namings.at(-1) ?? [])].map(([name, p]): [string, Parameter] => [
    name.startsWith(prefix) ? name.slice(prefix.length) : name,
    p,
  ]);
  const naming = bestNaming([...namings, new Map(bare)], file);
  checkNames(op, naming, file, allowMissing, ignoreExtra);
  const pairs: [string, Parameter, RawArray][] = [];
  for (const [name, raw] of file) {
    const parameter = naming.get(name);
    if (parameter !== undefined) pairs.push([name, parameter, raw]);
  }
  checkValues(op, pairs, castDtype);

  unrecorded(() => {
    const made: { readonly parameter: Parameter; readonly arrays: NDArray[] }[] = [];
    try {
      for (const [, parameter, raw] of pairs) {
        const contexts = wanted ?? internals.contextsOf(parameter) ?? [here];
        made.push({ parameter, arrays: placeOn(contexts, toHost(raw, parameter, op), op) });
      }
    } catch (error) {
      for (const { arrays } of made) for (const array of arrays) array.dispose();
      throw error;
    }
    for (const { parameter, arrays } of made) commit(parameter, arrays);
  });
}

/** Whether values can be written into an array: not into one of a device that was lost. */
function canTake(to: NDArray, from: NDArray): boolean {
  return (
    !to.isDisposed &&
    sameShape(to.shape, from.shape) &&
    bodyOf(to, 'loadParameters').device === deviceOf(to.context)
  );
}

/** Arrays that exist keep their identity, for a trainer or a user may hold them. */
function commit(parameter: Parameter, arrays: NDArray[]): void {
  const own = internals.arraysOf(parameter);
  const contextsOf = (list: readonly NDArray[]): Context[] => list.map((array) => array.context);
  const inPlace =
    own.length > 0 &&
    sameContexts(contextsOf(own), contextsOf(arrays)) &&
    own.every((to, i) => canTake(to, arrays[i] as NDArray));
  if (!inPlace) {
    internals.install(parameter, arrays);
    return;
  }
  for (const from of arrays) {
    const to = own.find((array) => array.context === from.context) as NDArray;
    setStridedSlice(to, from);
    from.dispose();
  }
}
