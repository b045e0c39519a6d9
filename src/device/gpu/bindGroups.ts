// Bind groups found again by layout and buffers: making one costs 6–8 µs, finding one a tenth of a microsecond.
import type { Storage } from '../../ir/storage.ts';
import type { SharedLayout } from './pipelines.ts';
import type { GpuStorage, PooledBuffer } from './storage.ts';
import { SLOT_BYTES } from './uniformRing.ts';

interface Entry {
  readonly layout: SharedLayout;
  readonly buffers: readonly PooledBuffer[];
  readonly offsets: readonly number[];
  readonly sizes: readonly number[];
  readonly hash: number;
  readonly group: GPUBindGroup;
  /** When it was last asked for, in requests. */
  used: number;
  /** The next entry of the same hash. */
  next: Entry | undefined;
}

/** How many were made, by all that share it. */
export interface Counter {
  created: number;
}

export class BindGroups {
  readonly #device: GPUDevice;
  readonly #uniforms: GPUBuffer;
  readonly #capacity: number;
  readonly #byHash = new Map<number, Entry>();
  #clock = 0;
  #size = 0;
  readonly #counter: Counter;

  /** `uniforms`: the buffer whose slots are bound after the storages. */
  constructor(device: GPUDevice, uniforms: GPUBuffer, capacity: number, counter: Counter = { created: 0 }) {
    this.#counter = counter;
    this.#device = device;
    this.#uniforms = uniforms;
    this.#capacity = capacity;
  }

  get created(): number {
    return this.#counter.created;
  }

  get size(): number {
    return this.#size;
  }

  /** The bind group of a layout over the first `layout.count` storages, whole buffers bound, or a part's own bytes. */
  get(layout: SharedLayout, storages: readonly Storage[]): GPUBindGroup {
    const { count } = layout;
    let hash = layout.id;
    for (let i = 0; i < count; i++) {
      const storage = storages[i] as Storage;
      hash = (Math.imul(hash, 0x9e3779b1) + storage.buffer + Math.imul(storage.offset, 0x85ebca6b)) | 0;
    }
    // The multiplications mix upwards only, so fold the high bits down.
    hash = (hash ^ (hash >>> 15)) & 0x3fffffff;
    const first = this.#byHash.get(hash);
    for (let entry = first; entry !== undefined; entry = entry.next) {
      if (entry.layout !== layout) continue;
      let i = 0;
      while (
        i < count &&
        (entry.buffers[i] as PooledBuffer).id === (storages[i] as Storage).buffer &&
        entry.offsets[i] === (storages[i] as Storage).offset &&
        entry.sizes[i] === (storages[i] as GpuStorage).boundBytes
      )
        i++;
      if (i === count) {
        entry.used = ++this.#clock;
        return entry.group;
      }
    }
    return this.#make(layout, storages, hash);
  }

  #make(layout: SharedLayout, storages: readonly Storage[], hash: number): GPUBindGroup {
    if (this.#size >= this.#capacity) this.#evict();
    const buffers: PooledBuffer[] = [];
    const offsets: number[] = [];
    const sizes: number[] = [];
    const entries: GPUBindGroupEntry[] = [];
    for (let binding = 0; binding < layout.count; binding++) {
      const storage = storages[binding] as GpuStorage;
      buffers.push(storage.pooled);
      offsets.push(storage.offset);
      sizes.push(storage.boundBytes);
      entries.push({
        binding,
        resource: {
          buffer: storage.pooled.gpu,
          offset: storage.offset,
          size: storage.boundBytes,
        },
      });
    }
    entries.push({
      binding: layout.count,
      resource: { buffer: this.#uniforms, offset: 0, size: SLOT_BYTES },
    });
    const group = this.#device.createBindGroup({ layout: layout.group, entries });
    this.#counter.created++;
    this.#size++;
    this.#byHash.set(hash, {
      layout,
      buffers,
      offsets,
      sizes,
      hash,
      group,
      used: ++this.#clock,
      next: this.#byHash.get(hash),
    });
    return group;
  }

  /** Forgets the half that was not asked for in the longest time. */
  #evict(): void {
    const used: number[] = [];
    for (const first of this.#byHash.values())
      for (let entry: Entry | undefined = first; entry !== undefined; entry = entry.next)
        used.push(entry.used);
    used.sort((a, b) => a - b);
    const limit = used[used.length >> 1] ?? 0;
    this.#retain((entry) => entry.used > limit);
  }

  /** Forgets the bind groups over buffers that were destroyed (`broken`). */
  dropBroken(): void {
    this.#retain((entry) => !entry.buffers.some((buffer) => buffer.broken));
  }

  #retain(keep: (entry: Entry) => boolean): void {
    for (const [hash, first] of this.#byHash) {
      let kept: Entry | undefined;
      let entry: Entry | undefined = first;
      while (entry !== undefined) {
        const next: Entry | undefined = entry.next;
        if (keep(entry)) {
          entry.next = kept;
          kept = entry;
        } else {
          this.#size--;
        }
        entry = next;
      }
      if (kept === undefined) this.#byHash.delete(hash);
      else this.#byHash.set(hash, kept);
    }
  }
}
