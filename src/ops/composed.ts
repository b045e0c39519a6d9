// Functions that are made of several operations: what they make on the way is given back when they end, not when the collector runs.
import { runInScope } from '../array/ndarray.ts';

const label = (): string => 'an operation';

/** Runs `fn` and gives back what it made, but what it returns. */
export function composed<R>(fn: () => R): R {
  return runInScope(label, true, fn);
}
