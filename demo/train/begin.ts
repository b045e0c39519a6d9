// How a run begins: the device it gets, the files it needs, and a network that is new or was kept.
import { type Context, cpu } from 'webgluon';
import type { Kind } from '../adapter.ts';
import type { Pictures } from '../data.ts';
import { openDevice } from '../devices.ts';
import { Learner } from './learner.ts';
import type { Report } from './messages.ts';
import { fetchPart, type Part } from './mnist.ts';
import type { Settings } from './settings.ts';
import { type Checkpoint, VERSION } from './store.ts';

export type Post = (report: Report) => void;

export interface Begun {
  readonly learner: Learner;
  readonly checkpoint: Checkpoint;
}

/** A file did not come or is damaged: no device is to blame. */
export class DataError extends Error {
  static {
    DataError.prototype.name = 'DataError';
  }
}

const PARTS: Readonly<Record<Part, string>> = { train: 'training pictures', t10k: 'test pictures' };

export async function load(root: string, part: Part, post: Post): Promise<Pictures> {
  const what = PARTS[part];
  try {
    return await fetchPart(root, part, (done, total) => post({ kind: 'loading', what, done, total }));
  } catch (cause) {
    throw new DataError(textOf(cause), { cause });
  }
}

/** The device that is wanted, or the CPU and a word about why. */
export async function openContext(wanted: Kind, allowSoftware: boolean, post: Post): Promise<Context> {
  if (wanted === 'gpu') post({ kind: 'busy', what: 'Opening the GPU…' });
  const { ctx, refusal } = await openDevice(wanted, allowSoftware);
  if (refusal !== undefined) post({ kind: 'refused', refusal });
  return ctx ?? cpu();
}

/** A network that knows nothing. */
export async function beginAnew(ctx: Context, settings: Settings, device: Kind): Promise<Begun> {
  const place = { step: 0, epoch: 0, offset: 0 };
  const learner = await Learner.make(ctx, settings, place);
  const checkpoint: Checkpoint = {
    ...(await learner.knowledge()),
    version: VERSION,
    settings,
    device,
    training: false,
    place,
    curve: { width: 1, held: 0, bins: [] },
    tests: [],
    mistakes: [],
  };
  return { learner, checkpoint };
}

async function beginFrom(ctx: Context, checkpoint: Checkpoint): Promise<Begun> {
  const { settings, place } = checkpoint;
  return { learner: await Learner.make(ctx, settings, place, checkpoint), checkpoint };
}

/**
 * What was kept on the device that is wanted; if that fails, on the CPU; if it fails there too, it is no good, and a new network takes its place. `failure` is
 * the first thing that went wrong.
 */
export async function begin(
  ctx: Context,
  kept: Checkpoint | undefined,
  settings: Settings,
  device: Kind,
): Promise<Begun & { readonly failure: unknown }> {
  const contexts = ctx.deviceType === 'gpu' ? [ctx, cpu()] : [ctx];
  const ways: (() => Promise<Begun>)[] = [
    ...(kept === undefined ? [] : contexts.map((on) => () => beginFrom(on, kept))),
    ...contexts.map((on) => () => beginAnew(on, settings, device)),
  ];
  let failure: unknown;
  for (const way of ways) {
    try {
      return { ...(await way()), failure };
    } catch (error) {
      failure ??= error;
    }
  }
  throw failure;
}

const channel = new MessageChannel();

/** One turn of the event loop, in which messages come in. A timer would do too, but takes four milliseconds. */
export function breathe(): Promise<void> {
  return new Promise((resolve) => {
    channel.port1.onmessage = () => resolve();
    channel.port2.postMessage(undefined);
  });
}

export function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
