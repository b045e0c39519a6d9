// Giving way: to events, timers and paint in a page or worker, to everything else in Node, and to what the garbage collector left to be done.
/** A page that answers within a frame of 60 Hz feels alive. */
export const FRAME_MS = 16;

interface Host {
  readonly setImmediate?: (fn: () => void) => void;
}

/**
 * Ends the present task and goes on in one of its own, behind those that wait. A message comes as soon as its turn does: timers are held back by 4 ms once they are
 * nested, and scheduler.yield() would go before messages and timers that wait already.
 */
export function breathe(): Promise<void> {
  const { setImmediate } = globalThis as Host;
  // Node and its like; a MessageChannel would keep the process alive
  if (setImmediate !== undefined) return new Promise((resolve) => setImmediate(resolve));
  if (typeof MessageChannel !== 'function') return new Promise((resolve) => setTimeout(resolve, 0));
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** Bytes that call for a collection: V8 begins one where such bytes have grown by 64 MB (`kExternalAllocationSoftLimit`). */
const GARBAGE = 2 ** 28;

/**
 * Drops bytes that the engine does count, so that its collector looks; false where it would not give them. They are never touched, so they cost addresses rather
 * than memory.
 */
export function dropGarbage(): boolean {
  try {
    return new ArrayBuffer(GARBAGE).byteLength > 0;
  } catch {
    // so little is left that the engine has looked by itself
    return false;
  }
}

/** Has what the present turn dropped collected in the ones that follow. Twice: a collection that has begun already spares it. */
export async function collectSoon(): Promise<void> {
  for (let i = 0; i < 2; i++) {
    await breathe();
    dropGarbage();
  }
}
