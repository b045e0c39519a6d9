// One load under way, whatever it reads from: its signal, its listener, and the errors that say what it was waiting for.
import { LoadError } from '../core/errors.ts';
import { why } from './why.ts';

/** Blobs and files are read in pieces of so many bytes: progress and aborts are looked at between them. */
export const PIECE = 4 << 20;

/** How far a load has come. */
export interface ByteProgress {
  /** Bytes read so far; never falls. */
  readonly done: number;
  /** Bytes in all, undefined while that is not known (a server may not say, or only the compressed size). Equals `done` at the end. */
  readonly total: number | undefined;
  readonly unit: 'bytes';
}

/** Options of `readSource`. */
export interface ReadOptions {
  /** An abort rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Called as bytes arrive, and with the whole at the end. What it throws ends the load. */
  readonly onProgress?: ((progress: ByteProgress) => void) | undefined;
  /** The name that errors carry. */
  readonly op?: string | undefined;
}

/** One read under way: its signal, its listener, its errors. Passed to whoever fetches the bytes. */
export class Reading {
  readonly op: string;
  readonly signal: AbortSignal | undefined;
  readonly #onProgress: ((progress: ByteProgress) => void) | undefined;
  #last: ByteProgress | undefined;

  constructor(options: ReadOptions) {
    this.op = options.op ?? 'readSource';
    this.signal = options.signal;
    this.#onProgress = options.onProgress;
  }

  /** Tells the listener, once for each new state. */
  progress(done: number, total: number | undefined): void {
    if (this.#last !== undefined && this.#last.done === done && this.#last.total === total) return;
    this.#last = { done, total, unit: 'bytes' };
    this.#onProgress?.(this.#last);
  }

  /** Waits for `promise`, but not longer than until the abort, which rejects with the signal's reason. */
  async until<T>(promise: PromiseLike<T>): Promise<T> {
    const { signal } = this;
    if (signal === undefined) return await promise;
    let stop: (() => void) | undefined;
    const aborted = new Promise<never>((_, reject) => {
      stop = () => reject(signal.reason);
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
    try {
      // the loser's rejection is looked at by race, so it is never reported as unhandled
      const value = await Promise.race([promise, aborted]);
      signal.throwIfAborted();
      return value;
    } catch (error) {
      // what an abort breaks may fail first, with an error of its own
      signal.throwIfAborted();
      throw error;
    } finally {
      if (stop !== undefined) signal.removeEventListener('abort', stop);
    }
  }

  /** Like `until`, where a failure is one of loading; `expected` says of what. */
  async load<T>(promise: PromiseLike<T>, expected: string, advice: string, url?: string): Promise<T> {
    try {
      return await this.until(promise);
    } catch (error) {
      this.signal?.throwIfAborted();
      throw new LoadError(`expected ${expected}, received ${why(error)}. ${advice}`, {
        op: this.op,
        cause: error,
        url,
      });
    }
  }

  /** Memory for `what`; a LoadError where there is not so much. */
  async allocate(length: number, what: string, url?: string): Promise<Uint8Array<ArrayBuffer>> {
    try {
      return new Uint8Array(length);
    } catch (cause) {
      throw new LoadError(
        `expected memory for ${what}, ${length} bytes, received ${why(cause)}. Load it in parts.`,
        { op: this.op, cause, url },
      );
    }
  }
}
