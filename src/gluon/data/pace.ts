// Giving way: to events, timers and paint in a page or worker, to everything else in Node. And not letting a GPU fall far behind: a few steps in flight, no more.
import { breathe, FRAME_MS } from '../../core/breathe.ts';
import { forEachOpenDevice } from '../../device/registry.ts';

/** Steps given to a GPU and not yet done: enough to keep it busy while the next is prepared. */
const STEPS_IN_FLIGHT = 2;

/** When to give way: often enough that with a step as long as the last one no frame passes without. */
export class Pace {
  #breathed = performance.now();
  #stepped = performance.now();

  /** Called between steps. */
  async step(): Promise<void> {
    const now = performance.now();
    const step = now - this.#stepped;
    if (now - this.#breathed + step >= FRAME_MS) await this.#breathe();
    this.#stepped = performance.now();
  }

  /** Called within long work. */
  async within(): Promise<void> {
    if (performance.now() - this.#breathed >= FRAME_MS / 2) await this.#breathe();
  }

  async #breathe(): Promise<void> {
    await breathe();
    this.#breathed = performance.now();
  }
}

/** The steps that GPUs have been given. */
export class Flight {
  readonly #steps: Promise<unknown>[] = [];
  /** Kernels that each GPU had been given at the last look: one that got none has nothing to wait for. */
  readonly #seen = new WeakMap<object, number>();

  /** Called between steps: waits until no more than a few are under way. Rejects where one of them failed. */
  async step(): Promise<void> {
    const waiting: Promise<void>[] = [];
    forEachOpenDevice((device) => {
      const { dispatches } = device.stats;
      if (device.kind !== 'gpu' || this.#seen.get(device) === dispatches) return;
      this.#seen.set(device, dispatches);
      waiting.push(device.synchronize());
    });
    if (waiting.length > 0) {
      const all = Promise.all(waiting);
      // looked at later, or never where the loop ends before
      all.catch(() => undefined);
      this.#steps.push(all);
    }
    while (this.#steps.length > STEPS_IN_FLIGHT) await this.#steps.shift();
  }

  /** Waits for all of them. */
  async land(): Promise<void> {
    while (this.#steps.length > 0) await this.#steps.shift();
  }
}
