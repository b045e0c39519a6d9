// What holds for a callback or a `using` block: `nd.scope` for memory, `withContext` for the default context. And waiting for everything.
import { freeArray, type NDArray, runInScope, takeKept } from '../array/ndarray.ts';
import { leaveScope, openScope } from '../array/scope.ts';
import { type Context, checkContext, swapContext } from '../core/context.ts';
import { checkCallback, openScoped, refusePromise, runScoped, type SyncCallback } from '../core/sync.ts';
import { forEachOpenDevice } from '../device/registry.ts';
import { rest } from '../device/rest.ts';

const label = (): string => 'nd.scope';

/**
 * Frees every array made inside but those returned (in arrays and objects too), those kept by `nd.keep`, and what parameters keep. `fn` is synchronous.
 * Without a callback: `{ using _ = nd.scope(); … }`.
 *
 * @returns what `fn` returns
 * @throws AutogradError for a callback that gives a Promise
 * @example
 * const y = nd.scope(() => x.mul(2).add(1)); // x·2 is freed
 */
export function scope(): Disposable;
export function scope<R>(fn: SyncCallback<R>): R;
export function scope<R>(fn?: () => R): R | Disposable {
  if (fn === undefined)
    return openScoped('nd.scope', () => {
      const opened = openScope(label, false);
      return () => {
        leaveScope(opened);
        for (const array of opened.made as NDArray[]) if (!takeKept(array, opened)) freeArray(array, label);
      };
    });
  checkCallback('nd.scope', fn);
  return runInScope(label, false, () => {
    const result = fn();
    refusePromise('nd.scope', result);
    return result;
  });
}

/**
 * Makes `context` the default for arrays made in `fn` (synchronous), or until the `using` block ends.
 * @example withContext(gpu(), () => nd.ones([2, 2])).context // gpu(0)
 */
export function withContext(context: Context): Disposable;
export function withContext<R>(context: Context, fn: SyncCallback<R>): R;
export function withContext<R>(context: Context, fn?: () => R): R | Disposable {
  const checked = checkContext(context, 'withContext');
  const enter = (): (() => void) => {
    const before = swapContext(checked);
    return () => {
      swapContext(before);
    };
  };
  return fn === undefined ? openScoped('withContext', enter) : runScoped('withContext', enter, fn);
}

/** Resolves when all work given to all devices is done; rejects if some of it failed. */
export async function waitall(): Promise<void> {
  const waiting: Promise<void>[] = [];
  forEachOpenDevice((device) => waiting.push(device.synchronize()));
  await Promise.all(waiting);
  await rest();
}
