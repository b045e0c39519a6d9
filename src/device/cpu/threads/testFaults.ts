// Threads that fail, for the tests of this folder.
import type { Start } from './cells.ts';
import type { Thread } from './start.ts';

/** A worker that runs `text` with the start message in `start`. */
async function worker(start: Start, text: string): Promise<Thread> {
  const { Worker } = await import('node:worker_threads');
  const made = new Worker(
    new URL(
      `data:text/javascript,${encodeURIComponent(`
        import { parentPort } from 'node:worker_threads';
        parentPort.once('message', (start) => {
          const cell = new Int32Array(start.memory.buffer, start.cells, 16);
          parentPort.postMessage('ready');
          ${text}
        });`)}`,
    ),
  );
  made.unref();
  const ready = new Promise<boolean>((resolve) => {
    made.on('message', () => resolve(true));
    made.on('error', () => resolve(false));
  });
  made.postMessage(start);
  return { ready, end: () => void made.terminate() };
}

/** Starts workers that run `text`. */
export function faulty(text: string): (start: Start) => Thread {
  return (start) => {
    const made = worker(start, text);
    return {
      ready: made.then((thread) => thread.ready),
      end: () => void made.then((thread) => thread.end()),
    };
  };
}

const CLAIM_ONE = `
  for (;;) {
    const claim = Atomics.load(cell, 0);
    if ((claim & 0xffff) < claim >>> 16 && Atomics.compareExchange(cell, 0, claim, claim + 1) === claim) break;
  }`;

/** What befalls a worker, and the text of one that it befalls. */
export const FAULTS = [
  ['a worker that claims a tile and stops', `${CLAIM_ONE} for (;;);`],
  ['a worker that claims a tile and dies', `${CLAIM_ONE} process.exit(1);`],
  [
    'a worker that comes back after it was given up',
    `${CLAIM_ONE} const end = performance.now() + 1300; while (performance.now() < end);
       new Uint8Array(start.memory.buffer).fill(255);`,
  ],
] as const;

const SAVE = `
  for (;;) {
    const claim = Atomics.load(cell, 0);
    tile = claim & 0xffff;
    if (tile < claim >>> 16 && Atomics.load(cell, 8) !== 0 && Atomics.compareExchange(cell, 0, claim, claim + 1) === claim) break;
  }
  const all = new Uint8Array(start.memory.buffer);
  const from = cell[8] + tile * cell[9];
  const to = Math.min(from + cell[9], cell[10]);
  all.copyWithin(start.saved, from, to);
  const state = new Int32Array(start.memory.buffer, start.cells + (16 + start.index) * 4, 1);
  Atomics.compareExchange(state, 0, 0, tile + 1);`;

/** What befalls a worker in the midst of work in place. */
export const FAULTS_IN_PLACE = [
  ['a worker that stops before it overwrites', `let tile; ${SAVE} Atomics.store(state, 0, 0); for (;;);`],
  ['a worker that stops while it overwrites', `let tile; ${SAVE} all.fill(255, from, to - 8); for (;;);`],
  [
    'a worker that stops when it has overwritten',
    `let tile; ${SAVE}
     const env = { memory: start.memory };
     const kernels = start.modules.map((module) => new WebAssembly.Instance(module, { env }).exports);
     Object.assign({}, ...kernels)[start.jobs[cell[5]]](cell[6], tile, start.work);
     Atomics.store(all, start.cells + 128 + tile, 1);
     Atomics.store(state, 0, 0);
     for (;;);`,
  ],
] as const;

/** Works until a faulty worker was found out: on a busy machine it comes late for most tiles. */
export function untilLost(on: { readonly numThreads: number }, work: () => void): void {
  for (const end = performance.now() + 40_000; on.numThreads > 1 && performance.now() < end; ) work();
}
