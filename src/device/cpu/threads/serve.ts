// What a thread does, in one function that needs nothing from outside it: it is the whole of worker.js, and where that file cannot be reached
// its text starts a worker from a blob. The cells are explained in cells.ts.
import type { Job, Start } from './cells.ts';

interface Port {
  postMessage(message: string): void;
  on?(event: 'message', listener: (data: Start) => void): void;
  onmessage?: ((event: { readonly data: Start }) => void) | null;
}

/** Waits for a `Start`, answers `ready`, and works until it is stopped. */
export function serve(): void {
  const scope = globalThis as unknown as {
    process?: { getBuiltinModule?(name: string): { parentPort: Port | null } | undefined };
  } & Port;
  const port = scope.process?.getBuiltinModule?.('node:worker_threads')?.parentPort ?? scope;

  const work = ({ modules, jobs, memory, cells, work, saved, index }: Start): void => {
    const [CLAIM, DONE, WAKE, PARKED, STOP, JOB, FIELDS, ENDED] = [0, 1, 2, 3, 4, 5, 6, 7];
    const [OVER, OVER_TILE, OVER_END, WRITING, FLAGS] = [8, 9, 10, 16 + index, 128];
    /** A wake costs 30–65 µs, so a thread looks about for 0.2 ms before it sleeps. */
    const SPIN = 0.2;
    const cell = new Int32Array(memory.buffer, cells, 32);
    const kernels = modules.map((module) => new WebAssembly.Instance(module, { env: { memory } }).exports);
    const exports = Object.assign({}, ...kernels) as Record<string, Job>;
    const run = jobs.map((name) => exports[name] as Job);
    port.postMessage('ready');
    let idleSince = 0;
    for (let turn = 1; Atomics.load(cell, STOP) === 0; turn++) {
      const seen = Atomics.load(cell, WAKE);
      const claim = Atomics.load(cell, CLAIM);
      const tile = claim & 0xffff;
      if (tile < claim >>> 16) {
        idleSince = 0;
        if (Atomics.compareExchange(cell, CLAIM, claim, claim + 1) !== claim) continue;
        // the job stays as it is while one of its tiles is claimed and not done
        const over = (cell[OVER] as number) >>> 0;
        if (over > 0) {
          const from = over + tile * (cell[OVER_TILE] as number);
          const to = Math.min(from + (cell[OVER_TILE] as number), (cell[OVER_END] as number) >>> 0);
          // the memory may have grown
          const u8 = new Uint8Array(memory.buffer);
          u8.copyWithin(saved, from, to);
          if (Atomics.compareExchange(cell, WRITING, 0, tile + 1) !== 0) break;
        }
        (run[cell[JOB] as number] as Job)(cell[FIELDS] as number, tile, work);
        if (over > 0) {
          Atomics.store(new Uint8Array(memory.buffer), cells + FLAGS + tile, 1);
          if (Atomics.compareExchange(cell, WRITING, tile + 1, 0) !== tile + 1) break;
        }
        Atomics.add(cell, DONE, 1);
      } else if (idleSince === 0) idleSince = performance.now();
      else if (turn % 32 === 0 && performance.now() - idleSince > SPIN) {
        Atomics.add(cell, PARKED, 1);
        Atomics.wait(cell, WAKE, seen);
        Atomics.sub(cell, PARKED, 1);
        idleSince = 0;
      }
    }
    Atomics.add(cell, ENDED, 1);
  };

  if (port.on !== undefined) port.on('message', work);
  else port.onmessage = (event) => work(event.data);
}
