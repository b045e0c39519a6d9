// The one command encoder and its one open compute pass. Work is recorded as it is called and handed over in batches.
//
// A batch is submitted exactly when
// - the turn ends (a microtask after the first call recorded): so the GPU begins while the program waits for something else, and all reads
//   of a turn travel together;
// - the host writes to a buffer that the batch uses: `writeBuffer` acts before what is submitted after it, so the
//   dispatches recorded earlier must be gone by then;
// - 64 dispatches have been recorded, or dispatches that write 256 MiB: long work should begin, and what it holds be bounded (a program's run is not split:
//   a batch that it would fill beyond 64 is handed over before it);
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
import type { Pipelines } from './pipelines.ts';
import type { Profiler } from './profiler.ts';
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
  /** What `setPipeline` of the open pass was given last. */
  #pipeline: GPUComputePipeline | undefined;
  #batch = new Batch(1);
  #open = false;
  #scheduled = false;
  #dispatches = 0;
  #bytes = 0;
  /** A program is being recorded: its batch is not handed over in the middle. */
  #held = false;
  #profiler: Profiler | null = null;
  /** Whether the kernel being lowered reaches beyond its operands' ends, so that bindings do not tell what it changes. */
  #reaches = false;
  /** Whether the kernel being lowered has had its first dispatch. */
  #timed = false;
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
    this.#timed = false;
    this.#reaches = false;
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
    this.#timed = false;
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
    const pass =
      this.#profiler === null
        ? this.pass()
        : this.timedPass(this.#profiler, this.#kernel?.name ?? shader.label, !this.#timed);
    this.#timed = this.#kernel !== undefined;
    if (this.#pipeline !== pipeline.gpu) {
      pass.setPipeline(pipeline.gpu);
      this.#pipeline = pipeline.gpu;
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
    this.#dispatches++;
    if (this.#ring.full) this.flush();
    else if (!this.#held) this.#flushIfLong();
  }

  #flushIfLong(): void {
    if (this.#dispatches >= MAX_DISPATCHES || this.#bytes >= BYTE_BUDGET) this.flush();
  }

  /** The number of the batch that is recorded now. */
  get batch(): number {
    return this.#batch.number;
  }

  /** The open compute pass. The batch must be open. */
  pass(): GPUComputePassEncoder {
    if (this.#pass === undefined) {
      this.#pass = this.#commands().beginComputePass();
      this.#pipeline = undefined;
    }
    return this.#pass;
  }

  /** The pass for a dispatch of a kernel that a profile times; `first`: its first dispatch. */
  timedPass(profiler: Profiler, label: string, first: boolean): GPUComputePassEncoder {
    const timestampWrites = first ? profiler.next(label) : undefined;
    if (timestampWrites === undefined) return this.pass();
    this.#endPass();
    this.#pass = this.#commands().beginComputePass({ timestampWrites });
    return this.#pass;
  }

  /** Times what is recorded from here on, or no longer; null for not. */
  set profiler(profiler: Profiler | null) {
    this.flush();
    this.#profiler = profiler;
  }

  get profiler(): Profiler | null {
    return this.#profiler;
  }

  /**
   * A program's run begins: about so many dispatches, which stay in one batch unless the uniform ring fills up. It sets pipelines on `pass()` itself and says at
   * `endProgram` which it set last.
   */
  beginProgram(dispatches: number): void {
    if (this.#dispatches > 0 && this.#dispatches + dispatches > MAX_DISPATCHES) this.flush();
    this.open();
    this.#held = true;
  }

  /** `dispatches` were recorded on `pass()` with `pipeline` as the last one set. */
  recorded(dispatches: number, pipeline: GPUComputePipeline | undefined): void {
    this.#dispatches += dispatches;
    this.#stats.dispatches += dispatches;
    this.#pipeline = pipeline;
  }

  /** The run is recorded: `written` (with so many bytes in all that dispatches write) are its results; `poison`: what had spoiled something it read. */
  endProgram(name: string, written: readonly GpuStorage[], bytes: number, poison: Poison | null): void {
    this.#held = false;
    this.open();
    const batch = this.#batch;
    batch.note(name);
    for (let i = 0; i < written.length; i++) {
      const storage = written[i] as GpuStorage;
      batch.touch(storage);
      if (poison !== null) storage.spoil({ batch: batch.number, error: poison.error });
    }
    this.#bytes += bytes;
    this.#flushIfLong();
  }

  /** After a throw in the middle of a program's run. */
  dropProgram(): void {
    this.#held = false;
  }

  /** Whether anything has failed on the device so far, so that storages may be spoiled. */
  get failed(): boolean {
    return this.#parts.watch.any;
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

  span(storage: Storage, bytes: number): Storage {
    if (!this.#reaches) for (const output of this.#outputs) this.#changed(output.storage as GpuStorage);
    this.#reaches = true;
    return (storage as GpuStorage).span(bytes);
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

  /** Memory for a program's run; `before` if the pool has the same buffer for it again. */
  lend(bytes: number, before: GpuStorage | undefined): GpuStorage {
    const { owner, pool } = this.#parts;
    const pooled = pool.take(bytes, this.#batch.number);
    if (before !== undefined && before.pooled === pooled && before.poison === null) return before;
    const storage = new GpuStorage(owner, pooled, bytes);
    if (pooled.madeIn === this.#batch.number) this.#batch.touch(storage, true);
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
      this.#profiler?.resolve(encoder);
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
    this.#profiler?.submitted();
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
