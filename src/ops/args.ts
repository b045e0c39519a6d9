// Arguments from users: what may be an options object, which options exist, and what somebody meant who wrote another name.
import { bodyOf, NDArray } from '../array/ndarray.ts';
import { Context } from '../core/context.ts';
import { ArgumentError, ShapeError } from '../core/errors.ts';
import { describe, normalizeAxis } from '../core/shape.ts';

/** Whether a value is an options object: a plain object, no array, NDArray or context. */
export function isOptions(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || ArrayBuffer.isView(value))
    return false;
  if (value instanceof NDArray || value instanceof Context) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(
          (row[j] ?? 0) + 1,
          (next[j - 1] ?? 0) + 1,
          (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1),
        ),
      );
    row = next;
  }
  return row[b.length] ?? 0;
}

/** The known name somebody most likely meant: `kernel_size` → `kernelSize`, `unit` → `units`. */
export function suggest(name: string, known: readonly string[]): string | undefined {
  const flat = (s: string): string => s.replace(/[_-]/g, '').toLowerCase();
  const exact = known.find((k) => flat(k) === flat(name));
  if (exact !== undefined) return exact;
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 3)) + 1;
  for (const k of known) {
    const d = distance(flat(name), flat(k));
    if (d < least) {
      least = d;
      best = k;
    }
  }
  return best;
}

/** Throws for options that are no object or have a name that is not known, suggesting the right one. */
export function checkOptions(op: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) return;
  const names = known.join(', ') || 'none';
  if (!isOptions(options))
    throw new ArgumentError(
      `expected options as an object with ${names}, received ${describe(options)}. ${known.length === 0 ? 'Leave it out.' : `Write { ${known[0]}: … }.`}`,
      { op },
    );
  for (const name of Object.keys(options)) {
    if (known.includes(name)) continue;
    const meant = suggest(name, known);
    throw new ArgumentError(
      `expected options among ${names}, received ${JSON.stringify(name)}. ${meant === undefined ? 'Remove it.' : `Did you mean ${meant}?`}`,
      { op },
    );
  }
}

/**
 * Reads a call whose trailing argument is an options object and whose positional arguments may be named in it instead.
 *
 * @param args what the function was called with, after its arrays
 * @param positional names of the positional arguments
 * @param named further names that only options have
 * @returns all that was given, by name; `undefined` counts as not given
 */
export function readArgs(
  op: string,
  args: readonly unknown[],
  positional: readonly string[],
  named: readonly string[] = [],
): Record<string, unknown> {
  const values: Record<string, unknown> = {};
  let count = args.length;
  while (count > 0 && args[count - 1] === undefined) count--;
  if (count === 0) return values;
  const last = args[count - 1];
  const options = isOptions(last) ? last : undefined;
  if (options !== undefined) {
    checkOptions(op, last, named.length === 0 ? positional : [...positional, ...named]);
    count--;
  }
  if (count > positional.length) {
    if (positional.length === 0 || named.length > 0) checkOptions(op, args[positional.length], named);
    throw new ArgumentError(
      `expected at most ${positional.length} arguments (${positional.join(', ')}), received ${count}. Remove the rest.`,
      { op },
    );
  }
  for (let i = 0; i < count; i++) if (args[i] !== undefined) values[positional[i] as string] = args[i];
  if (options === undefined) return values;
  for (const name of Object.keys(options)) {
    const value = options[name];
    if (value === undefined) continue;
    if (values[name] !== undefined)
      throw new ArgumentError(`expected ${name} once, received it by position and by name. Remove one.`, {
        op,
      });
    values[name] = value;
  }
  return values;
}

/** Throws for an argument that is not as it should be. */
export function refuse(op: string, name: string, wanted: string, value: unknown): never {
  throw new ArgumentError(
    `expected ${name} to be ${wanted}, received ${describe(value)}. Check the call's arguments.`,
    { op },
  );
}

/** A number, or `fallback` where none was given; throws for anything else. */
export function numberArg(
  op: string,
  values: Record<string, unknown>,
  name: string,
  fallback?: number,
): number {
  const value = values[name] ?? fallback;
  return typeof value === 'number' ? value : refuse(op, name, 'a number', value);
}

/** An integer from `least` on, or `fallback`. */
export function integerArg(
  op: string,
  values: Record<string, unknown>,
  name: string,
  fallback?: number,
  least = -Infinity,
): number {
  const value = values[name] ?? fallback;
  if (typeof value === 'number' && Number.isInteger(value) && value >= least) return value;
  return refuse(op, name, least === -Infinity ? 'an integer' : `an integer ≥ ${least}`, value);
}

/** A boolean, or `fallback`. */
export function booleanArg(
  op: string,
  values: Record<string, unknown>,
  name: string,
  fallback: boolean,
): boolean {
  const value = values[name] ?? fallback;
  return typeof value === 'boolean' ? value : refuse(op, name, 'true or false', value);
}

/** An axis of `x` counted from the front, or `fallback`; throws for what is no array, too. */
export function axisArg(
  op: string,
  values: Record<string, unknown>,
  x: NDArray,
  fallback?: number,
  name = 'axis',
): number {
  const { shape } = bodyOf(x, op);
  return normalizeAxis(integerArg(op, values, name, fallback), shape.length, op);
}

/** One of some words, or `fallback`. */
export function wordArg<W extends string>(
  op: string,
  values: Record<string, unknown>,
  name: string,
  words: readonly W[],
  fallback?: W,
): W {
  const value = values[name] ?? fallback;
  if (typeof value === 'string' && (words as readonly string[]).includes(value)) return value as W;
  throw unknownName(op, `${name} to be one of`, value, words);
}

/** The error for what is none of some names, with the one that is meant. @param wanted completes “expected … 'relu', 'tanh', …” */
export function unknownName(
  op: string,
  wanted: string,
  value: unknown,
  names: readonly string[],
  advice = 'Choose one of them.',
): ArgumentError {
  const meant = typeof value === 'string' ? suggest(value, names) : undefined;
  return new ArgumentError(
    `expected ${wanted} ${names.map((n) => `'${n}'`).join(', ')}, received ${describe(value)}. ${meant === undefined ? advice : `Did you mean '${meant}'?`}`,
    { op },
  );
}

/** Numbers given one by one, as a list, or as `{ shape }`. */
export function shapeArgs(op: string, first: unknown, rest: readonly unknown[]): readonly number[] {
  const value = isOptions(first)
    ? readArgs(op, [first], ['shape'])['shape']
    : typeof first === 'number'
      ? [first, ...rest]
      : first;
  if (!Array.isArray(value) || value.some((v) => typeof v !== 'number'))
    throw new ShapeError(
      `expected a shape as an array of numbers, received ${describe(value)}. Write x.reshape([2, -1]).`,
      { op },
    );
  return value as number[];
}
