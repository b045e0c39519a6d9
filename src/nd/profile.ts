// `profile(fn)`: which kernels ran and what they took. Devices note times only while a profile runs; here they are summed by kernel and shown in the
// browser's performance timeline.
import { cpu } from '../core/context.ts';
import { ArgumentError } from '../core/errors.ts';
import { describe } from '../core/shape.ts';
import type { Device, KernelTime } from '../device/device.ts';
import { deviceOf, forEachOpenDevice } from '../device/registry.ts';

/** All runs of one kernel. */
export interface KernelProfile {
  /** The operation's kernel (`convolution`), in a compiled program all that was fused into it (`convolution+relu`). */
  readonly name: string;
  readonly device: 'cpu' | 'gpu';
  /** How often it ran. */
  readonly count: number;
  /** What all its runs took, in milliseconds; NaN where the adapter has no `timestamp-query`. */
  readonly ms: number;
  /** Its part of what all kernels took, from 0 to 1; NaN where that is not known. */
  readonly share: number;
}

export interface Profile<R> {
  /** What the function returned. */
  readonly value: R;
  /** The kernels that ran, those that took most first. */
  readonly kernels: readonly KernelProfile[];
  /** From the call until every device was done, in milliseconds: kernels, and all that is none. */
  readonly totalMs: number;
}

/** Entries of the timeline that one profile leaves: a page's buffer of entries is small. */
const MOST_ENTRIES = 10_000;

let running = false;
/** Names of the entries that the last profile left in the timeline. */
let left = new Set<string>();

/** Shows the runs of one device as a track of DevTools' performance panel. `end`: when the device was done. */
function show(kind: Device['kind'], times: readonly KernelTime[], end: number): void {
  let last = 0;
  for (const { at, ns } of times) last = Math.max(last, (at ?? 0) + (ns ?? 0) / 1e6);
  // a GPU's clock has another zero: its last kernel ended when the device was done
  const shift = kind === 'gpu' ? end - last : 0;
  const devtools = {
    dataType: 'track-entry',
    trackGroup: 'webgluon',
    track: `${kind.toUpperCase()} kernels`,
    color: kind === 'gpu' ? 'secondary' : 'primary',
  };
  for (const { label, at, ns } of times.slice(0, MOST_ENTRIES)) {
    if (at === undefined || ns === undefined) continue;
    const start = Math.max(0, at + shift);
    performance.measure(label, { start, duration: ns / 1e6, detail: { devtools } });
    left.add(label);
  }
}

function summed(noted: readonly (readonly [Device['kind'], readonly KernelTime[]])[]): KernelProfile[] {
  const sums = new Map<string, { name: string; device: Device['kind']; count: number; ms: number }>();
  let all = 0;
  for (const [device, times] of noted)
    for (const { label, ns } of times) {
      const key = `${device} ${label}`;
      const sum = sums.get(key) ?? { name: label, device, count: 0, ms: 0 };
      const ms = ns === undefined ? Number.NaN : ns / 1e6;
      sums.set(key, { ...sum, count: sum.count + 1, ms: sum.ms + ms });
      all += ms;
    }
  return [...sums.values()]
    .map((sum) => ({ ...sum, share: all === 0 ? 0 : sum.ms / all }))
    .sort((a, b) => (b.ms || 0) - (a.ms || 0) || b.count - a.count);
}

/**
 * Runs a function, which may be asynchronous, and times the kernels that it runs on the CPU and on a GPU that is open at the call. The times also stand in the
 * performance timeline, as tracks of DevTools' performance panel.
 *
 * A GPU's times come from timestamp queries, which cost time themselves; browsers round them (Chromium to 0.1 ms, unless it was started with developer features for WebGPU).
 * @throws ArgumentError for a profile within a profile; whatever the function throws
 * @example
 * const { value, kernels, totalMs } = await profile(() => net(x));
 * console.table(kernels);
 */
export async function profile<R>(fn: () => R): Promise<Profile<Awaited<R>>> {
  const op = 'profile';
  if (typeof fn !== 'function')
    throw new ArgumentError(
      `expected a function, received ${describe(fn)}. Write await profile(() => net(x)).`,
      {
        op,
      },
    );
  if (running)
    throw new ArgumentError(
      'expected one profile at a time, received a second one while the first runs. Await the first.',
      { op },
    );
  running = true;
  try {
    const devices = new Set([deviceOf(cpu(0), op)]);
    forEachOpenDevice((device) => devices.add(device));
    // what was given to them before is not this function's
    for (const device of devices) await device.synchronize();
    for (const device of devices) device.startProfile();
    const began = performance.now();
    const noted: [Device, readonly KernelTime[]][] = [];
    let value: Awaited<R>;
    let end: number;
    try {
      value = await fn();
      for (const device of devices) await device.synchronize();
      end = performance.now();
    } finally {
      for (const device of devices) noted.push([device, await device.stopProfile()]);
    }
    for (const name of left) performance.clearMeasures(name);
    left = new Set();
    for (const [device, times] of noted) show(device.kind, times, end);
    return { value, kernels: summed(noted.map(([{ kind }, times]) => [kind, times])), totalMs: end - began };
  } finally {
    running = false;
  }
}
