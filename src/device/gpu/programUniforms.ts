// The parameters of a program's dispatches: one uniform buffer that is filled when the program is made. Slots with scalars of the run are there several
// times over, so that runs of one batch may have different scalars: the host writes before the batch begins, whatever was recorded when.
import type { RecordedDispatch } from './programSink.ts';
import { SLOT_BYTES, toI32, toU32 } from './uniformRing.ts';
import { COPY_DST, UNIFORM } from './usage.ts';

const SLOT_WORDS = SLOT_BYTES / 4;
/** Copies of the slots that change: so many runs with different scalars fit in one batch. */
const COPIES = 3;

export class ProgramUniforms {
  readonly buffer: GPUBuffer;
  readonly #queue: GPUQueue;
  /** By copy: the offset of each dispatch's slot. */
  readonly #offsets: Uint32Array[] = [];
  readonly #mirror: ArrayBuffer;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #f32: Float32Array;
  /** Where the slots that change begin and how many they are. */
  readonly #first: number;
  readonly #changing: number;
  /** For each parameter that changes: its word among the slots that change, its scalar, its type (0: f32, 1: i32, 2: u32). */
  readonly #words: number[] = [];
  readonly #slots: number[] = [];
  readonly #types: number[] = [];
  /** The scalars that each copy holds, and the batch that used it last. */
  readonly #held: (number[] | null)[] = [];
  readonly #usedIn: number[] = [];
  #copy = 0;

  constructor(device: GPUDevice, dispatches: readonly RecordedDispatch[]) {
    this.#queue = device.queue;
    // Slots of equal contents are one.
    const fixed = new Map<string, number>();
    const slotOf: number[] = [];
    const contents: Uint32Array[] = [];
    for (const [i, { words, dynamic }] of dispatches.entries()) {
      if (dynamic.length > 0) continue;
      const key = words.join();
      let slot = fixed.get(key);
      if (slot === undefined) {
        slot = contents.push(words) - 1;
        fixed.set(key, slot);
      }
      slotOf[i] = slot;
    }
    this.#first = contents.length;
    const changing: number[] = [];
    for (const [i, { words, dynamic }] of dispatches.entries()) {
      if (dynamic.length === 0) continue;
      slotOf[i] = contents.push(words) - 1;
      for (const { word, slot, type } of dynamic) {
        this.#words.push(changing.length * SLOT_WORDS + word);
        this.#slots.push(slot);
        this.#types.push(type === 'f32' ? 0 : type === 'i32' ? 1 : 2);
      }
      changing.push(i);
    }
    this.#changing = changing.length;
    const copies = this.#changing > 0 ? COPIES : 1;
    const slots = Math.max(1, this.#first + copies * this.#changing);
    const all = new Uint32Array(slots * SLOT_WORDS);
    for (let copy = 0; copy < copies; copy++) {
      for (const [slot, words] of contents.entries())
        all.set(words, (slot + (slot < this.#first ? 0 : copy * this.#changing)) * SLOT_WORDS);
      this.#offsets.push(
        Uint32Array.from(
          slotOf,
          (slot) => (slot + (slot < this.#first ? 0 : copy * this.#changing)) * SLOT_BYTES,
        ),
      );
      this.#held.push(null);
      this.#usedIn.push(-1);
    }
    this.buffer = device.createBuffer({
      label: 'program parameters',
      size: slots * SLOT_BYTES,
      usage: UNIFORM | COPY_DST,
    });
    this.#queue.writeBuffer(this.buffer, 0, all);
    this.#mirror = all.slice(this.#first * SLOT_WORDS, contents.length * SLOT_WORDS).buffer;
    this.#u32 = new Uint32Array(this.#mirror);
    this.#i32 = new Int32Array(this.#mirror);
    this.#f32 = new Float32Array(this.#mirror);
  }

  /** The offsets of the slots that hold these scalars for a run in batch `batch`; null if every copy holds others that the batch uses. */
  offsetsFor(scalars: readonly number[], batch: number): Uint32Array | null {
    if (this.#changing === 0) return this.#offsets[0] as Uint32Array;
    if (!this.#holds(this.#copy, scalars)) {
      let next = 0;
      const copies = this.#held.length;
      while (next < copies && this.#usedIn[(this.#copy + next) % copies] === batch) next++;
      if (next === copies) return null;
      this.#copy = (this.#copy + next) % copies;
      this.#write(scalars);
    }
    this.#usedIn[this.#copy] = batch;
    return this.#offsets[this.#copy] as Uint32Array;
  }

  #holds(copy: number, scalars: readonly number[]): boolean {
    const held = this.#held[copy] ?? null;
    if (held === null) return false;
    for (let i = 0; i < held.length; i++) if (!Object.is(held[i], scalars[i])) return false;
    return true;
  }

  #write(scalars: readonly number[]): void {
    let held = this.#held[this.#copy] ?? null;
    if (held === null) {
      held = scalars.slice();
      this.#held[this.#copy] = held;
    } else for (let i = 0; i < held.length; i++) held[i] = scalars[i] ?? 0;
    for (let i = 0; i < this.#words.length; i++) {
      const word = this.#words[i] as number;
      const value = scalars[this.#slots[i] as number] ?? 0;
      const type = this.#types[i];
      if (type === 0) this.#f32[word] = value;
      else if (type === 1) this.#i32[word] = toI32(value);
      else this.#u32[word] = toU32(value);
    }
    const at = (this.#first + this.#copy * this.#changing) * SLOT_BYTES;
    this.#queue.writeBuffer(this.buffer, at, this.#mirror);
  }

  /** The batch that a run of it was recorded in last. */
  used(batch: number): void {
    this.#usedIn[this.#copy] = batch;
  }

  /** Whether a batch uses them. */
  isUsed(batch: number): boolean {
    return this.#usedIn.includes(batch);
  }

  destroy(): void {
    this.buffer.destroy();
  }
}
