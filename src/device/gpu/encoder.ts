// The one command encoder and its one open compute pass. Work is recorded as it is called and handed over in batches.
//
// A batch is submitted exactly when
// - the turn ends (a microtask after the first call recorded): so the GPU begins while the program waits for something else, and all reads
//   of a turn travel together;
// - the host writes to a buffer that the batch uses: `writeBuffer` acts before what is submitted after it, so the
//   dispatches recorded earlier must be gone by then;
// - 64 dispatches have been recorded, or dispatches that write 256 MiB: long work should begin, and what it holds be bounded;
// - the uniform ring is full: its slots are uploaded by one write before the submit, so a slot serves once a batch;
// - `flush`, `synchronize` or `dispose` ask for it.
// Copies (and reads, which are copies) end the pass, not the batch. Buffers are destroyed right after a submit, when no open batch can use them. A
// freed buffer may serve later dispatches of the same batch, since those run in order.
import type { Kernel, Operand } from '../../ir/kernel.ts';
import type { Storage } from '../../ir/storage.ts';
import type { DeviceStats, ReadRequest } from '../device.ts';
import type { BindGroups } from './bindGroups.ts';
import type { BufferPool } from './bufferPool.ts';
import type { FailureWatch } from './failures.ts';
import { Batch } from './failures.ts';
import type { DispatchSink, GpuShader, GpuTraits } from './lowering.ts';
import type { Pipeline, Pipelines } from './pipelines.ts';
import type { Readback } from './readback.ts';
import type { Poison } from './storage.ts';
import { GpuStorage } from './storage.ts';
import type { UniformRing } from './uniformRing.ts';

/** Dispatches of a batch. */
export const MAX_DISPATCHES = 64;
/** Bytes that the dispatches of a batch may write before it is submitted. */
const BYTE_BUDGET = 256 * 2 ** 20;

export interface EncoderParts {
  readonly owner: object;
  readonly device: GPUDevice;
  readonly traits: GpuTraits;
  readonly pool: BufferPool;
  readonly ring: UniformRing;
  readonly pipelines: Pipelines;
  readonly bindGroups: BindGroups;
  readonly watch: FailureWatch;
  readonly readback: Readback;
  readonly stats: DeviceStats;
}

export class Encoder implements DispatchSink {
  readonly traits: GpuTraits;
  readonly #parts: EncoderParts;
  readonly #ring: UniformRing;
  readonly #pipelines: Pipelines;
  readonly #bindGroups: BindGroups;
  readonly #stats: DeviceStats;
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #pipeline: Pipeline | undefined;
  #batch = new Batch(1);
  #open = false;
  #scheduled = false;
  #dispatches = 0;
  #bytes = 0;
  #poison: Poison | null = null;
  readonly #temporaries: GpuStorage[] = [];
  /** The call being lowered, so that a batch begun in its middle knows it too. */
  #kernel: Kernel | undefined;
  #inputs: readonly Operand[] = [];
  #outputs: readonly Operand[] = [];

  constructor(parts: EncoderParts) {
    this.#parts = parts;
    this.traits = parts.traits;
    this.#ring = parts.ring;
    this.#pipelines = parts.pipelines;
    this.#bindGroups = parts.bindGroups;
    this.#stats = parts.stats;
    parts.watch.current = this.#batch;
  }

  /** Makes sure that a batch is open: errors from here on are caught, and the turn's end hands it over. */
  open(): void {
    if (this.#open) return;
    this.#open = true;
    this.#parts.watch.begin();
    if (!this.#scheduled) {
      this.#scheduled = true;
      queueMicrotask(this.#turnEnds);
    }
  }

  readonly #turnEnds = (): void => {
    this.#scheduled = false;
    this.flush();
  };

  u32(value: number): void {
    this.#ring.u32(value);
  }

  i32(value: number): void {
    this.#ring.i32(value);
  }

  f32(value: number): void {
    this.#ring.f32(value);
  }

  /** Dispatches from here to `endKernel` belong to this call. */
  beginKernel(kernel: Kernel, inputs: readonly Operand[], outputs: readonly Operand[]): void {
    this.open();
    this.#kernel = kernel;
    this.#inputs = inputs;
    this.#outputs = outputs;
    this.#batch.call(kernel, inputs, outputs);
    if (this.#parts.watch.any) {
      this.#poison = null;
      for (const { storage } of inputs) this.#poison ??= (storage as GpuStorage).poison;
    }
  }

  endKernel(): void {
    this.#ring.drop();
    this.#kernel = undefined;
    this.#poison = null;
    const temporaries = this.#temporaries;
    for (let storage = temporaries.pop(); storage !== undefined; storage = temporaries.pop())
      this.#parts.pool.give(storage.pooled);
  }

  dispatch(shader: GpuShader, storages: readonly Storage[], x: number, y: number, z: number): void {
    if (x === 0 || y === 0 || z === 0) {
      this.#ring.drop();
      return;
    }
    this.open();
    this.#ring.close();
    const pipeline = this.#pipelines.get(shader);
    const group = this.#bindGroups.get(pipeline.layout, storages);
    let pass = this.#pass;
    if (pass === undefined) {
      pass = this.#commands().beginComputePass();
      this.#pass = pass;
      this.#pipeline = undefined;
    }
    if (this.#pipeline !== pipeline) {
      pass.setPipeline(pipeline.gpu);
      this.#pipeline = pipeline;
    }
    pass.setBindGroup(0, group, this.#ring.offsets, 0, 1);
    pass.dispatchWorkgroups(x, y, z);
    const batch = this.#batch;
    const { writes } = pipeline;
    for (let i = 0; i < writes.length; i++) {
      const storage = storages[i] as GpuStorage;
      storage.pooled.batch = batch.number;
      if (writes[i] === true) this.#changed(storage);
    }
    this.#stats.dispatches++;
    if (++this.#dispatches >= MAX_DISPATCHES || this.#bytes >= BYTE_BUDGET || this.#ring.full) this.flush();
  }

  #changed(storage: GpuStorage): void {
    this.#bytes += storage.pooled.size;
    this.#batch.touch(storage);
    // A kernel may leave part of its output as it was, so an output's own poison stays.
    if (this.#poison !== null) storage.spoil({ batch: this.#batch.number, error: this.#poison.error });
  }

  temporary(bytes: number): Storage {
    const storage = this.take(bytes);
    this.#temporaries.push(storage);
    return storage;
  }

  /** A storage over a buffer of the pool, in an open batch: if the buffer turns out to be none, the storage is spoiled. */
  take(bytes: number, op?: string): GpuStorage {
    this.open();
    const { owner, pool } = this.#parts;
    const storage = new GpuStorage(owner, pool.take(bytes, this.#batch.number), bytes);
    if (storage.pooled.madeIn === this.#batch.number) {
      if (op !== undefined) this.#batch.note(op);
      this.#batch.touch(storage, true);
    }
    return storage;
  }

  /** Records that the host wrote to a storage. */
  written(storage: GpuStorage): void {
    this.#batch.note('write');
    this.#batch.touch(storage, true);
  }

  /** Submits if the open batch uses the storage's buffer, so that the host may write to it. */
  release(storage: GpuStorage): void {
    if (storage.pooled.batch === this.#batch.number) this.flush();
  }

  /** Copies whole words; offsets are the buffers'. */
  copyWords(from: GpuStorage, fromAt: number, to: GpuStorage, toAt: number, bytes: number): void {
    this.open();
    this.#endPass();
    this.#batch.note('copy');
    this.#poison = from.poison;
    this.#commands().copyBufferToBuffer(
      from.pooled.gpu,
      from.offset + fromAt,
      to.pooled.gpu,
      to.offset + toAt,
      bytes,
    );
    from.pooled.batch = this.#batch.number;
    to.pooled.batch = this.#batch.number;
    this.#changed(to);
    this.#poison = null;
  }

  read(requests: readonly ReadRequest[]): Promise<ArrayBuffer[]> {
    this.open();
    this.#endPass();
    for (const { storage } of requests) (storage as GpuStorage).pooled.batch = this.#batch.number;
    return this.#parts.readback.record(this.#commands(), requests, this.#batch);
  }

  #commands(): GPUCommandEncoder {
    this.#encoder ??= this.#parts.device.createCommandEncoder();
    return this.#encoder;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
    this.#pipeline = undefined;
  }

  /** Hands the open batch over. */
  flush(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#endPass();
    const { device, ring, watch, readback, pool } = this.#parts;
    const encoder = this.#encoder;
    if (encoder !== undefined) {
      this.#encoder = undefined;
      ring.upload();
      device.queue.submit([encoder.finish()]);
      this.#stats.submits++;
    }
    const batch = this.#batch;
    this.#batch = new Batch(batch.number + 1);
    this.#dispatches = 0;
    this.#bytes = 0;
    if (this.#kernel !== undefined) this.#batch.call(this.#kernel, this.#inputs, this.#outputs);
    watch.current = this.#batch;
    watch.end(batch);
    readback.submitted();
    pool.trim();
  }

  /** The device is gone: nothing more is recorded. */
  abandon(): void {
    this.#open = false;
    this.#encoder = undefined;
    this.#pass = undefined;
    this.#pipeline = undefined;
  }
}
