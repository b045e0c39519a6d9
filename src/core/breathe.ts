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
