// Where checkpoints go, or nowhere: a browser without storage must not stop the training. The page hears of it once.
import type { Report } from './messages.ts';
import { type Checkpoint, ElsewhereError, Store } from './store.ts';

export class Vault {
  readonly #post: (report: Report) => void;
  #store: Store | undefined;

  private constructor(post: (report: Report) => void) {
    this.#post = post;
  }

  static async open(post: (report: Report) => void): Promise<Vault> {
    const vault = new Vault(post);
    await vault.#try(async () => {
      vault.#store = await Store.open();
    });
    return vault;
  }

  /** What the last visit kept. */
  async read(): Promise<Checkpoint | undefined> {
    return this.#try(async () => this.#store?.read());
  }

  async write(checkpoint: Checkpoint): Promise<void> {
    await this.#try(async () => {
      if (this.#store === undefined) return;
      await this.#store.write(checkpoint);
      this.#post({ kind: 'kept', step: checkpoint.place.step });
    });
  }

  /** What was kept is of no use: away with it. */
  async forget(detail: string): Promise<void> {
    this.#post({ kind: 'forgotten', detail });
    await this.#try(async () => this.#store?.clear());
  }

  async #try<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      this.#store = undefined;
      const name = error instanceof Error || error instanceof DOMException ? error.name : '';
      const why =
        error instanceof ElsewhereError ? 'elsewhere' : name === 'QuotaExceededError' ? 'full' : 'blocked';
      const detail = error instanceof Error ? error.message : String(error);
      this.#post({ kind: 'unkept', why, detail });
      return undefined;
    }
  }
}
