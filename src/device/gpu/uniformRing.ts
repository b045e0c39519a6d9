// The parameters of all dispatches: one uniform buffer of 256-byte slots. They are written on the host and uploaded in one piece before the
// submit; a dispatch finds its slot by a dynamic offset.
import { COPY_DST, UNIFORM } from './usage.ts';

/** Bytes of a slot: the uniform block, and every device's offset alignment. */
export const SLOT_BYTES = 256;
const SLOT_WORDS = SLOT_BYTES / 4;

/** A number as a parameter's u32: truncated; what is too large saturates, negative values are wrapped as int32. */
export function toU32(value: number): number {
  return value >= 4294967295 ? 4294967295 : value < -2147483648 ? 2147483648 : value;
}

/** A number as a parameter's i32: truncated; what is out of range saturates (an infinite bound of an integer `clip`). */
export function toI32(value: number): number {
  return value >= 2147483647 ? 2147483647 : value <= -2147483648 ? -2147483648 : value;
}

export class UniformRing {
  readonly buffer: GPUBuffer;
  /** The current slot's offset, in the form `setBindGroup` takes without making an array. */
  readonly offsets = new Uint32Array(1);
  readonly #queue: GPUQueue;
  readonly #slots: number;
  readonly #mirror: ArrayBuffer;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #f32: Float32Array;
  #slot = 0;
  #uploaded = 0;
  #word = 0;

  constructor(device: GPUDevice, slots: number) {
    this.buffer = device.createBuffer({
      label: 'parameters',
      size: slots * SLOT_BYTES,
      usage: UNIFORM | COPY_DST,
    });
    this.#queue = device.queue;
    this.#slots = slots;
    this.#mirror = new ArrayBuffer(slots * SLOT_BYTES);
    this.#u32 = new Uint32Array(this.#mirror);
    this.#i32 = new Int32Array(this.#mirror);
    this.#f32 = new Float32Array(this.#mirror);
  }

  u32(value: number): void {
    this.#u32[this.#word++] = toU32(value);
  }

  i32(value: number): void {
    this.#i32[this.#word++] = toI32(value);
  }

  f32(value: number): void {
    this.#f32[this.#word++] = value;
  }

  /** Closes the slot being written; `offsets` names it. Throws if the parameters did not fit. */
  close(): void {
    const start = this.#slot * SLOT_WORDS;
    if (this.#word - start > SLOT_WORDS) {
      this.#word = start;
      throw new RangeError(`a dispatch takes at most ${SLOT_WORDS} parameters`);
    }
    this.offsets[0] = start * 4;
    this.#slot++;
    this.#word = this.#slot * SLOT_WORDS;
  }

  /** Forgets parameters written since the last slot was closed. */
  drop(): void {
    this.#word = this.#slot * SLOT_WORDS;
  }

  /** Whether the open batch must be submitted before another slot can be written. */
  get full(): boolean {
    return this.#slot === this.#slots;
  }

  /** Uploads what was written since the last call; at the end of the ring begins again at its start. Called before each submit. */
  upload(): void {
    if (this.#slot > this.#uploaded) {
      const from = this.#uploaded * SLOT_BYTES;
      this.#queue.writeBuffer(
        this.buffer,
        from,
        this.#mirror,
        from,
        (this.#slot - this.#uploaded) * SLOT_BYTES,
      );
    }
    if (this.#slot === this.#slots) this.#slot = 0;
    this.#uploaded = this.#slot;
    this.#word = this.#slot * SLOT_WORDS;
  }

  destroy(): void {
    this.buffer.destroy();
  }
}
