// Scopes in the sense of Python's `with`: something holds while a callback runs, or until a `using` block ends. Synchronous only, since
// what holds is global to the turn: an `await` inside would let others run under it.
import { ArgumentError, AutogradError } from './errors.ts';
import { describe } from './shape.ts';

// Safari and older engines lack it; a class that defines [Symbol.dispose] needs it to exist first
if (Symbol.dispose === undefined)
  Object.defineProperty(Symbol, 'dispose', { value: Symbol.for('Symbol.dispose') });

/** Accepts a callback unless it gives a Promise: then the parameter's type is `never`. */
export type SyncCallback<R> = (() => R) & (R extends PromiseLike<unknown> ? never : unknown);

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Throws if a callback that must be synchronous gave a Promise. Its rejection is taken over so that it is not reported twice. */
export function refusePromise(op: string, result: unknown): void {
  if (!isThenable(result)) return;
  result.then(undefined, () => undefined);
  throw new AutogradError(
    'expected a callback that returns at once, received one that returns a Promise (async). What it sets ends with the call: keep await outside, between two calls.',
    { op },
  );
}

/** Refuses what cannot be called. */
export function checkCallback(op: string, fn: unknown): void {
  if (typeof fn === 'function') return;
  throw new ArgumentError(
    `expected a callback, received ${describe(fn)}. Write ${op}(…, () => …), or \`using _ = …\` without one.`,
    {
      op,
    },
  );
}

/** Runs `fn` between `enter` and the exit that it returns; refuses async callbacks. */
export function runScoped<R>(op: string, enter: () => () => void, fn: () => R): R {
  checkCallback(op, fn);
  const exit = enter();
  try {
    const result = fn();
    refusePromise(op, result);
    return result;
  } finally {
    exit();
  }
}

/** Opens a scope until it is disposed (`using _ = …`); one still open when the turn ends closes itself and says so. */
export function openScoped(op: string, enter: () => () => void): Disposable {
  const exit = enter();
  let open = true;
  const close = (): void => {
    if (!open) return;
    open = false;
    exit();
  };
  queueMicrotask(() => {
    if (!open) return;
    close();
    console.warn(
      `[${op}] expected its \`using\` block to end in the turn that began it, received an open one at the turn's end. It was closed: keep await outside the block.`,
    );
  });
  return { [Symbol.dispose]: close };
}
