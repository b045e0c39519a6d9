// What a program that waits for values is given besides: a page that stays alive, and the memory of arrays it has let go.
//
// A CPU's values are there at once, so a loop that awaits them would never let anything else run, and a garbage collector that sees handles of a hundred bytes
// where megabytes hang on them has no reason to look.
import { breathe, FRAME_MS } from '../core/breathe.ts';
import type { Device } from './device.ts';
import { forEachOpenDevice } from './registry.ts';

/** Growth of what a device holds that calls for a collection: that costs some milliseconds, little beside the time in which so much was computed. */
const GROWTH = 2 ** 28;

/** What each device held after it was last collected for, or less since. */
const levels = new WeakMap<Device, number>();
let rested = 0;

/**
 * Called where values are awaited: gives way where a frame has passed since the last time, else returns undefined. Where a device holds much more than it did, the
 * garbage collector is given a reason to look, and what it finds is given back.
 */
export function rest(): Promise<void> | undefined {
  const now = performance.now();
  if (now - rested < FRAME_MS) return undefined;
  rested = now;
  return giveWay();
}

async function giveWay(): Promise<void> {
  let grown = false;
  const look = (always: boolean): void =>
    forEachOpenDevice((device) => {
      const { bytesInUse } = device.memory();
      const level = Math.min(levels.get(device) ?? 0, bytesInUse);
      grown ||= bytesInUse - level > GROWTH;
      levels.set(device, always ? bytesInUse : level);
    });
  look(false);
  // finalizers run in the tasks that follow a collection
  if (grown && dropGarbage() > 0) await breathe();
  await breathe();
  look(grown);
}

/**
 * Drops bytes that the engine does count; how many. They are never touched, so they cost addresses rather than memory. V8 begins to collect where such bytes have grown by
 * 64 MB (`kExternalAllocationSoftLimit`).
 */
function dropGarbage(): number {
  try {
    return new ArrayBuffer(GROWTH).byteLength;
  } catch {
    // so little is left that the engine has looked by itself
    return 0;
  }
}
