// Values back to the host. The copy is recorded at the call, so a read gives what the values were then; reads of one turn share a staging buffer
// and one mapping; a staging buffer serves again once it is unmapped.
import { DeviceLostError, GluonError } from '../../core/errors.ts';
import type { ReadRequest } from '../device.ts';
import type { Batch, FailureWatch } from './failures.ts';
import type { GpuStorage } from './storage.ts';
import { COPY_DST, MAP_READ, MODE_READ } from './usage.ts';

/** Bytes of the smallest staging buffer. */
const SMALLEST = 65536;
/** Bytes of idle staging buffers that are kept. */
const KEEP = 64 * 2 ** 20;

interface PendingRead {
  readonly requests: readonly ReadRequest[];
  /** Where each request's first byte lies in the staging buffer. */
  readonly places: readonly number[];
  /** The batch in which the copies were recorded. */
  readonly batch: Batch;
  readonly resolve: (values: ArrayBuffer[]) => void;
  readonly reject: (error: unknown) => void;
}

interface Group {
  readonly staging: GPUBuffer;
  readonly capacity: number;
  used: number;
  readonly reads: PendingRead[];
}

/** Milliseconds after an aborted mapping within which a lost device has told so. */
const LOSS_TELLS_WITHIN = 200;

export class Readback {
  readonly #device: GPUDevice;
  readonly #watch: FailureWatch;
  readonly #idle: { readonly staging: GPUBuffer; readonly capacity: number }[] = [];
  /** Groups whose copies are in the batch being recorded. */
  #open: Group[] = [];
  readonly #pending = new Set<PendingRead>();
  #lost: DeviceLostError | undefined;

  constructor(device: GPUDevice, watch: FailureWatch) {
    this.#device = device;
    this.#watch = watch;
  }

  /** Records the copies of one `read` on `encoder`, in batch `batch`. */
  record(encoder: GPUCommandEncoder, requests: readonly ReadRequest[], batch: Batch): Promise<ArrayBuffer[]> {
    let total = 0;
    for (const { at, bytes } of requests) total += Math.ceil(((at % 4) + bytes) / 4) * 4;
    const group = this.#groupFor(total);
    const places: number[] = [];
    for (const { storage, at, bytes } of requests) {
      // Copies are of whole words: from the word that holds the first byte to the one that holds the last.
      const before = at % 4;
      const size = Math.ceil((before + bytes) / 4) * 4;
      places.push(group.used + before);
      if (bytes > 0) {
        const source = storage as GpuStorage;
        encoder.copyBufferToBuffer(
          source.pooled.gpu,
          source.offset + at - before,
          group.staging,
          group.used,
          size,
        );
        group.used += size;
      }
    }
    return new Promise((resolve, reject) => {
      const read: PendingRead = { requests, places, batch, resolve, reject };
      group.reads.push(read);
      this.#pending.add(read);
    });
  }

  #groupFor(bytes: number): Group {
    const last = this.#open.at(-1);
    if (last !== undefined && last.capacity - last.used >= bytes) return last;
    let best = -1;
    this.#idle.forEach((idle, i) => {
      if (idle.capacity >= bytes && (best < 0 || idle.capacity < (this.#idle[best]?.capacity ?? 0))) best = i;
    });
    const found = best < 0 ? undefined : this.#idle.splice(best, 1)[0];
    const capacity = found?.capacity ?? Math.max(SMALLEST, bytes);
    const staging =
      found?.staging ??
      this.#device.createBuffer({ label: 'readback', size: capacity, usage: MAP_READ | COPY_DST });
    const group: Group = { staging, capacity, used: 0, reads: [] };
    this.#open.push(group);
    return group;
  }

  /** The batch with the open groups' copies has been submitted: maps them. */
  submitted(): void {
    if (this.#open.length === 0) return;
    const groups = this.#open;
    this.#open = [];
    const known = this.#watch.settled;
    for (const group of groups) void this.#finish(group, known);
  }

  async #finish(group: Group, known: Promise<void>): Promise<void> {
    const { staging } = group;
    try {
      const mapping = staging.mapAsync(MODE_READ, 0, Math.max(group.used, 4));
      await Promise.all([mapping, known]);
      const mapped = staging.getMappedRange(0, Math.max(group.used, 4));
      for (const read of group.reads) this.#settle(read, mapped);
      staging.unmap();
      this.#keep(group);
    } catch (cause) {
      await known;
      // A device that goes away aborts its mappings some milliseconds before it says that it is lost.
      for (let wait = 0; wait < LOSS_TELLS_WITHIN && this.#lost === undefined; wait += 10)
        await new Promise((resolve) => setTimeout(resolve, 10));
      for (const read of group.reads) {
        const poison = poisonOf(read);
        this.#fail(
          read,
          this.#lost ??
            poison ??
            new GluonError(
              `expected the GPU to give values back, received ${String(cause)}. Try again, or on the CPU.`,
              { op: opOf(read), cause },
            ),
        );
      }
      staging.destroy();
    }
  }

  #settle(read: PendingRead, mapped: ArrayBuffer): void {
    if (!this.#pending.delete(read)) return;
    const poison = poisonOf(read);
    if (poison !== undefined) {
      read.reject(poison);
      return;
    }
    read.resolve(
      read.requests.map(({ bytes }, i) =>
        mapped.slice(read.places[i] as number, (read.places[i] as number) + bytes),
      ),
    );
  }

  #fail(read: PendingRead, error: unknown): void {
    if (this.#pending.delete(read)) read.reject(error);
  }

  #keep(group: Group): void {
    this.#idle.push({ staging: group.staging, capacity: group.capacity });
    let kept = 0;
    for (const { capacity } of this.#idle) kept += capacity;
    while (kept > KEEP && this.#idle.length > 0) {
      const oldest = this.#idle.shift();
      kept -= oldest?.capacity ?? 0;
      oldest?.staging.destroy();
    }
  }

  /** The device is gone: nothing that waits for it may wait on. */
  lose(error: DeviceLostError): void {
    this.#lost = error;
    for (const read of this.#pending) read.reject(new DeviceLostError(error.message, { op: opOf(read) }));
    this.#pending.clear();
  }

  /** Reads that have not settled, for an orderly end. */
  async drain(): Promise<void> {
    while (this.#pending.size > 0 && this.#lost === undefined)
      await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function opOf(read: PendingRead): string {
  return read.requests[0]?.op ?? 'read';
}

function poisonOf(read: PendingRead): GluonError | undefined {
  for (const { storage } of read.requests) {
    const { poison } = storage as GpuStorage;
    if (poison !== null && poison.batch <= read.batch.number) return poison.error;
  }
  return read.batch.failure;
}
