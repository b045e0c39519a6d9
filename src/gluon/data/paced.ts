// What `for await` over a DataLoader has beyond `for`: batches made ahead, a page that stays alive, a GPU that is not left far behind, an end at once where it is aborted.
// Loaded when the first such loop begins.
import { breathe } from '../../core/breathe.ts';
import { Flight, Pace } from './pace.ts';
import type { Epoch, Making, Prepared } from './prepare.ts';

/** One epoch. @param ahead batches that are made before they are asked for */
export async function* paced(
  epoch: Epoch,
  ahead: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<unknown, void, undefined> {
  const [pace, flight] = [new Pace(), new Flight()];
  let last: Promise<unknown> = Promise.resolve();
  // batches come in their order, though the samples of several are asked for together
  const next = (): Promise<Prepared | undefined> => {
    const made = make(epoch.make(last), pace);
    last = made.catch(() => undefined);
    return made;
  };
  const queue: Promise<Prepared | undefined>[] = [];
  const fill = (): void => {
    while (queue.length < ahead) queue.push(next());
  };
  let open = true;
  try {
    for (;;) {
      const prepared = await untilAbort(queue.shift() ?? next(), signal);
      if (prepared === undefined) return await flight.land();
      // what waits for others is begun at once; what keeps this thread busy, while the loop's body waits
      if (epoch.waits) fill();
      else if (epoch.quiet && ahead > 0)
        void breathe().then(() => {
          if (open) fill();
        });
      yield epoch.place(prepared);
      epoch.done();
      await flight.step();
      await pace.step();
      signal?.throwIfAborted();
    }
  } finally {
    open = false;
  }
}

async function make(making: Making, pace: Pace): Promise<Prepared | undefined> {
  let step = making.next();
  while (step.done !== true) step = making.next(await (step.value ?? pace.within()));
  return step.value;
}

/** Waits, but not longer than until the abort. */
async function untilAbort<R>(promise: Promise<R>, signal: AbortSignal | undefined): Promise<R> {
  if (signal === undefined) return promise;
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}
