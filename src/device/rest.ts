// What a program that never disposes of anything is given besides: a page that stays alive, and the memory of arrays it has let go.
//
// A CPU's values are there at once, so a loop that awaits them would never let anything else run; and a garbage collector that sees handles of a hundred bytes
// where megabytes hang on them has no reason to look.
import { breathe, dropGarbage, FRAME_MS } from '../core/breathe.ts';
import type { Device } from './device.ts';
import { forEachOpenDevice } from './registry.ts';

/** Growth of what a device holds that calls for a collection: that costs some milliseconds, little beside the time in which so much was computed. */
const GROWTH = 2 ** 28;

/** What each device held after a collection was last called for, or less since. */
const levels = new WeakMap<Device, number>();
let hinted = false;
let rested = 0;
let resting: Promise<void> | undefined;

/** Called at the end of a turn that made arrays: where a device holds much more than it did, the garbage collector is given a reason to look. */
export function hint(): void {
  forEachOpenDevice((device) => {
    const { bytesInUse } = device.memory();
    const level = levels.get(device) ?? 0;
    const grown = bytesInUse - level > GROWTH;
    if (grown) hinted = dropGarbage();
    if (grown || bytesInUse < level) levels.set(device, bytesInUse);
  });
}

/** Called where values are awaited: gives way where a frame has passed since the last time, else returns undefined. All who wait go on in the order they came. */
export function rest(): Promise<void> | undefined {
  if (resting === undefined && performance.now() - rested >= FRAME_MS) resting = giveWay();
  return resting;
}

async function giveWay(): Promise<void> {
  hint();
  // finalizers run in the tasks that follow a collection
  if (hinted) await breathe();
  await breathe();
  hinted = false;
  rested = performance.now();
  resting = undefined;
}
