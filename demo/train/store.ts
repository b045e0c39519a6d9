// One checkpoint in IndexedDB, for the next visit. One record in one transaction: it is kept whole or not at all.
import type { Kind } from '../adapter.ts';
import type { CurveData } from './curve.ts';
import type { Mistake, Place, Test } from './messages.ts';
import type { Settings } from './settings.ts';

/** Everything a run needs to go on as if it had never stopped. */
export interface Checkpoint {
  readonly version: typeof VERSION;
  readonly settings: Settings;
  readonly device: Kind;
  readonly training: boolean;
  readonly place: Place;
  /** `await net.saveParameters()` */
  readonly parameters: Uint8Array<ArrayBuffer>;
  /** `await trainer.saveStates()` */
  readonly states: Uint8Array<ArrayBuffer>;
  readonly curve: CurveData;
  readonly tests: readonly Test[];
  readonly mistakes: readonly Mistake[];
}

export const VERSION = 1;
const NAME = 'webgluon.train';
const TABLE = 'runs';
const KEY = 'last';
const LOCK = 'webgluon.train';
/** A page that is reloaded gives its lock back a moment after the new one asks. */
const PATIENCE = 1500;

function settled<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** Another tab has this page open and keeps its own run. */
export class ElsewhereError extends Error {
  static {
    ElsewhereError.prototype.name = 'ElsewhereError';
  }
}

export class Store {
  readonly #database: IDBDatabase;

  private constructor(database: IDBDatabase) {
    this.#database = database;
  }

  /** Rejects where the browser gives no storage (private windows, blocked site data), or another tab uses it. */
  static async open(): Promise<Store> {
    await takeLock();
    const opening = indexedDB.open(NAME, VERSION);
    opening.onupgradeneeded = () => {
      const { result } = opening;
      for (const table of result.objectStoreNames) result.deleteObjectStore(table);
      result.createObjectStore(TABLE);
    };
    return new Store(await settled(opening));
  }

  async read(): Promise<Checkpoint | undefined> {
    const table = this.#database.transaction(TABLE).objectStore(TABLE);
    const found = (await settled(table.get(KEY))) as Checkpoint | undefined;
    return found?.version === VERSION ? found : undefined;
  }

  /** Replaces what was kept. Rejects with `QuotaExceededError` where the storage is full. */
  async write(checkpoint: Checkpoint): Promise<void> {
    await this.#change((table) => table.put(checkpoint, KEY));
  }

  async clear(): Promise<void> {
    await this.#change((table) => table.delete(KEY));
  }

  #change(change: (table: IDBObjectStore) => void): Promise<void> {
    return new Promise((resolve, reject) => {
      const transaction = this.#database.transaction(TABLE, 'readwrite');
      transaction.oncomplete = () => resolve();
      transaction.onabort = () => reject(transaction.error ?? new Error('the browser gave no reason'));
      change(transaction.objectStore(TABLE));
    });
  }
}

/** Holds the lock as long as this worker lives. Pages without locks (not secure) go without. */
async function takeLock(): Promise<void> {
  const locks = (navigator as { readonly locks?: LockManager }).locks;
  if (locks === undefined) return;
  await new Promise<void>((resolve, reject) => {
    const held = locks.request(LOCK, { signal: AbortSignal.timeout(PATIENCE) }, () => {
      resolve();
      return new Promise(() => {});
    });
    held.catch((cause: unknown) => reject(new ElsewhereError('another tab holds it', { cause })));
  });
}
