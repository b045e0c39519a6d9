// Bytes from the host to a storage and between storages, at any place and of any number: WebGPU writes and copies whole words only.
import { bytesOf } from '../../core/dtype.ts';
import { sizeOf } from '../../core/shape.ts';
import type { Operand } from '../../ir/kernel.ts';
import type { BufferPool } from './bufferPool.ts';
import { copyBytes } from './bytes.ts';
import type { Encoder } from './encoder.ts';
import type { GpuStorage } from './storage.ts';

export class Transfers {
  readonly #queue: GPUQueue;
  readonly #encoder: Encoder;
  readonly #pool: BufferPool;

  constructor(queue: GPUQueue, encoder: Encoder, pool: BufferPool) {
    this.#queue = queue;
    this.#encoder = encoder;
    this.#pool = pool;
  }

  write(own: GpuStorage, data: ArrayBufferView, at: number): void {
    const bytes = data.byteLength;
    // Past the end of the storage lies padding that may be written.
    const padded = at + bytes === own.bytes ? Math.ceil(bytes / 4) * 4 : bytes;
    if (at % 4 === 0 && padded % 4 === 0) {
      this.#encoder.release(own);
      this.#upload(own, at, data);
      return;
    }
    const part = this.#encoder.take(bytes, 'write');
    this.#encoder.release(part);
    this.#upload(part, 0, data);
    this.#copyBytes(part, 0, own, at, bytes);
    this.#pool.give(part.pooled);
  }

  /** Writes whole words, the last filled up with zeros. */
  #upload(storage: GpuStorage, at: number, data: ArrayBufferView): void {
    this.#encoder.open();
    const { gpu } = storage.pooled;
    const whole = data.byteLength - (data.byteLength % 4);
    if (whole > 0) {
      // Node's WebGPU takes no shared memory.
      const shared = typeof SharedArrayBuffer === 'function' && data.buffer instanceof SharedArrayBuffer;
      if (shared)
        this.#queue.writeBuffer(
          gpu,
          storage.offset + at,
          new Uint8Array(data.buffer, data.byteOffset, whole).slice(),
        );
      else this.#queue.writeBuffer(gpu, storage.offset + at, data.buffer, data.byteOffset, whole);
    }
    if (whole < data.byteLength) {
      const last = new Uint8Array(4);
      last.set(new Uint8Array(data.buffer, data.byteOffset + whole, data.byteLength - whole));
      this.#queue.writeBuffer(gpu, storage.offset + at + whole, last);
    }
    this.#encoder.written(storage);
  }

  copy(source: GpuStorage, fromAt: number, target: GpuStorage, toAt: number, bytes: number): void {
    if (source.buffer === target.buffer) {
      // A buffer cannot be copied to itself.
      const between = this.#encoder.take(bytes, 'copy');
      this.copy(source, fromAt, between, 0, bytes);
      this.copy(between, 0, target, toAt, bytes);
      this.#pool.give(between.pooled);
      return;
    }
    const padded = toAt + bytes === target.bytes ? Math.ceil(bytes / 4) * 4 : bytes;
    if (fromAt % 4 === 0 && toAt % 4 === 0 && padded % 4 === 0)
      this.#encoder.copyWords(source, fromAt, target, toAt, padded);
    else this.#copyBytes(source, fromAt, target, toAt, bytes);
  }

  #copyBytes(from: GpuStorage, fromAt: number, to: GpuStorage, toAt: number, bytes: number): void {
    this.#encoder.open();
    copyBytes(this.#encoder, from, fromAt, to, toAt, bytes);
  }

  /**
   * A buffer cannot be read and written in one dispatch, not even in different parts: such inputs are copied out first. `copies` are to be given back to the pool
   * when the kernel has been recorded.
   */
  apart(inputs: readonly Operand[], outputs: readonly Operand[], copies: GpuStorage[]): readonly Operand[] {
    return inputs.map((input) => {
      const { buffer, offset } = input.storage;
      if (!outputs.some((y) => y.storage.buffer === buffer && y.storage.offset !== offset)) return input;
      const bytes = sizeOf(input.shape) * bytesOf(input.dtype);
      const between = this.#encoder.take(bytes, 'copy');
      if (bytes > 0) this.copy(input.storage as GpuStorage, 0, between, 0, bytes);
      copies.push(between);
      return { storage: between, dtype: input.dtype, shape: input.shape };
    });
  }
}
