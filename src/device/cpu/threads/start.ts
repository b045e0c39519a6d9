// Starts a worker: in a page by the URL of worker.js beside the library, else from a blob; in Node from the same text. The rest of the device
// sees one small interface.
import type { Start } from './cells.ts';
import { serve } from './serve.ts';

/** A thread as its starter sees it. */
export interface Thread {
  /** Resolves to whether it has started and waits for work. */
  readonly ready: Promise<boolean>;
  end(): void;
}

/** Makes a thread; `start` is what it is told. */
export type MakeThread = (start: Start) => Thread;

/** How long a thread may take to start, in milliseconds. */
const MOST_START = 5000;

interface NodeModules {
  getBuiltinModule?(name: 'node:worker_threads'): {
    Worker: new (
      url: URL,
    ) => {
      on(event: string, listener: (value: unknown) => void): void;
      unref(): void;
      postMessage(message: Start): void;
      terminate(): Promise<number>;
    };
  };
  getBuiltinModule?(name: 'node:os'): { availableParallelism(): number };
}

function nodeOf(): NodeModules | undefined {
  const { process } = globalThis as { process?: NodeModules & { versions?: { node?: string } } };
  return process?.versions?.node === undefined ? undefined : process;
}

/** Logical cores, at least 1. */
export function coreCount(): number {
  const node = nodeOf();
  if (node?.getBuiltinModule !== undefined) return node.getBuiltinModule('node:os').availableParallelism();
  return Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1);
}

/** Whether memory can be shared with workers here: in Node, and in pages and workers that are isolated from other origins. */
export function canShare(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false;
  if (nodeOf() !== undefined) return nodeOf()?.getBuiltinModule !== undefined;
  return globalThis.crossOriginIsolated === true && typeof Worker === 'function';
}

const text = (): string => `(${serve.toString()})()`;

export const makeThread: MakeThread = (start) => {
  const node = nodeOf();
  return node === undefined ? pageThread(start) : nodeThread(node, start);
};

function nodeThread(node: NodeModules, start: Start): Thread {
  const threads = node.getBuiltinModule?.('node:worker_threads');
  if (threads === undefined) return { ready: Promise.resolve(false), end: () => {} };
  const worker = new threads.Worker(new URL(`data:text/javascript,${encodeURIComponent(text())}`));
  const ready = settled((resolve) => {
    worker.on('message', () => {
      // until it has started it keeps the process, whose end would otherwise cut the start short
      worker.unref();
      resolve(true);
    });
    worker.on('error', () => resolve(false));
    worker.on('exit', () => resolve(false));
    worker.postMessage(start);
  });
  return { ready, end: () => void worker.terminate() };
}

function pageThread(start: Start): Thread {
  let worker: Worker | undefined;
  let blob: string | undefined;
  const from = (url: string | URL): Promise<boolean> =>
    settled((resolve) => {
      try {
        worker = new Worker(url, { type: 'module', name: 'webgluon' });
        worker.onmessage = () => resolve(true);
        worker.onerror = (event) => {
          event.preventDefault();
          resolve(false);
        };
        worker.postMessage(start);
      } catch {
        resolve(false);
      }
    });
  const begin = async (): Promise<boolean> => {
    if (await from(fileUrl())) return true;
    worker?.terminate();
    blob = URL.createObjectURL(new Blob([text()], { type: 'text/javascript' }));
    const started = await from(blob);
    URL.revokeObjectURL(blob);
    return started;
  };
  return { ready: begin(), end: () => worker?.terminate() };
}

/** worker.js beside the library's entry; the module that asks is a chunk in a folder of its own. In a variable, so that bundlers leave it alone. */
function fileUrl(): URL {
  const file = import.meta.url.includes('/chunks/') ? '../worker.js' : './worker.js';
  return new URL(file, import.meta.url);
}

function settled(run: (resolve: (started: boolean) => void) => void): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(false), MOST_START);
    run((started) => {
      clearTimeout(timer);
      resolve(started);
    });
  });
}
