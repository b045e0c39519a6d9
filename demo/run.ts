// One run over all pictures: batches, with a paint in between, so that the page stays responsive on a slow device too.
import type { Context, nn } from 'webgluon';
import type { Pictures } from './data.ts';
import { classify } from './lenet.ts';
import { painted } from './view/dom.ts';

/** Pictures in a batch. Small enough on the CPU that a batch stays well under a tenth of a second on a phone. */
const BATCH = { cpu: 30, gpu: 100 } as const;

export interface Batch {
  /** The pictures' numbers. */
  readonly indices: readonly number[];
  /** Ten probabilities for each of them. */
  readonly probabilities: Float32Array;
  /** Pictures done so far, and the seconds they took on the device, reading back included and drawing not. */
  readonly done: number;
  readonly seconds: number;
}

export interface Work {
  readonly net: nn.Sequential;
  readonly ctx: Context;
  readonly pictures: Pictures;
  /** In which order to take the pictures. */
  readonly order: readonly number[];
}

export interface RunOptions extends Work {
  readonly signal: AbortSignal;
  readonly onBatch: (batch: Batch) => void;
}

function gather({ pixels, side }: Pictures, indices: readonly number[]): Uint8Array<ArrayBuffer> {
  const size = side * side;
  const batch = new Uint8Array(indices.length * size);
  for (const [at, index] of indices.entries())
    batch.set(pixels.subarray(index * size, (index + 1) * size), at * size);
  return batch;
}

function batchLength(ctx: Context): number {
  return BATCH[ctx.deviceType === 'gpu' ? 'gpu' : 'cpu'];
}

/** One batch that is not measured: the first call compiles shaders and kernels. */
export async function warmUp({ net, ctx, pictures, order }: Work): Promise<void> {
  await classify(net, gather(pictures, order.slice(0, batchLength(ctx))), ctx);
}

/** Classifies every picture once. Rejects with the signal's reason when stopped. */
export async function runAll({ net, ctx, pictures, order, signal, onBatch }: RunOptions): Promise<void> {
  const length = batchLength(ctx);
  let seconds = 0;
  for (let start = 0; start < order.length; start += length) {
    await painted();
    signal.throwIfAborted();
    const indices = order.slice(start, start + length);
    const batch = gather(pictures, indices);
    const before = performance.now();
    const probabilities = await classify(net, batch, ctx);
    seconds += (performance.now() - before) / 1000;
    signal.throwIfAborted();
    onBatch({ indices, probabilities, done: start + indices.length, seconds });
  }
}
