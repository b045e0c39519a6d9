// A WebGPU device behind the Device interface: puts the parts together and checks what comes in. How work is recorded stands in encoder.ts, when
// memory is reused in bufferPool.ts, what a kernel becomes in the lowering files.
import type { DeviceLoss } from '../../core/context.ts';
import type { DType } from '../../core/dtype.ts';
import { DTYPES } from '../../core/dtype.ts';
import { ContextError, DeviceLostError, DTypeError, OutOfMemoryError } from '../../core/errors.ts';
import { CpuGenerators } from '../../core/random/mxnetCpu.ts';
import { sizeOf } from '../../core/shape.ts';
import { draws } from '../../ir/graph.ts';
import type { CustomKernel, Kernel, Operand } from '../../ir/kernel.ts';
import type { Plan } from '../../ir/plan.ts';
import type { Storage } from '../../ir/storage.ts';
import type {
  CompileOptions,
  Device,
  DeviceStats,
  KernelTime,
  MemoryInfo,
  Program,
  ReadRequest,
} from '../device.ts';
import type { Counter } from './bindGroups.ts';
import { BindGroups } from './bindGroups.ts';
import { BufferPool } from './bufferPool.ts';
import { Encoder } from './encoder.ts';
import { FailureWatch } from './failures.ts';
import { lowerKernel } from './kernels.ts';
import type { GpuTraits } from './lowering.ts';
import { Pipelines } from './pipelines.ts';
import { Profiler } from './profiler.ts';
import type { ProgramHost } from './program.ts';
import { GpuProgram } from './program.ts';
import { GpuRandom } from './random.ts';
import { Readback } from './readback.ts';
import type { PooledBuffer } from './storage.ts';
import { GpuStorage } from './storage.ts';
import { Transfers } from './transfers.ts';
import { UniformRing } from './uniformRing.ts';

export interface GpuDeviceOptions {
  readonly device: GPUDevice;
  readonly description: string;
  readonly traits: GpuTraits;
  /** Tests of float16 run where no adapter has shader-f16: our shaders need no 16-bit arithmetic. */
  readonly dtypes?: ReadonlySet<DType> | undefined;
  /** Free bytes that are kept for the next arrays. */
  readonly keepBytes?: number | undefined;
}

/** Free bytes kept where nothing else is said. */
const KEEP_BYTES = 512 * 2 ** 20;
/** Slots of the uniform ring: four batches' worth, so that it is rarely the reason for a submit. */
const RING_SLOTS = 256;
/** Bind groups that are remembered: some hundred layers' worth of training. */
const BIND_GROUPS = 8192;

export class GpuDevice implements Device {
  readonly kind = 'gpu';
  readonly description: string;
  readonly dtypes: ReadonlySet<DType>;
  readonly maxStorageBytes: number;
  readonly maxBindings: number;
  readonly traits: GpuTraits;
  readonly lost: Promise<DeviceLoss>;

  readonly #stats: DeviceStats = {
    dispatches: 0,
    submits: 0,
    buffersCreated: 0,
    bindGroupsCreated: 0,
    pipelinesCreated: 0,
  };
  readonly #device: GPUDevice;
  readonly #random = new GpuRandom();
  readonly #shuffler = new CpuGenerators(0);
  readonly #pool: BufferPool;
  readonly #pipelines: Pipelines;
  readonly #bindGroups: BindGroups;
  readonly #watch: FailureWatch;
  readonly #readback: Readback;
  readonly #encoder: Encoder;
  readonly #transfers: Transfers;
  readonly #groupsMade: Counter = { created: 0 };
  readonly #programs = new Set<GpuProgram>();
  readonly #host: ProgramHost;
  #loss: DeviceLoss | undefined;
  #tellLoss: (loss: DeviceLoss) => void = () => undefined;
  #bytesInUse = 0;
  #peakBytes = 0;
  #userBytes = 0;
  #arrays = 0;

  constructor(options: GpuDeviceOptions) {
    const { device, traits } = options;
    this.#device = device;
    this.traits = traits;
    this.description = options.description;
    this.dtypes =
      options.dtypes ??
      new Set(DTYPES.filter((dtype) => dtype !== 'float64' && (dtype !== 'float16' || traits.f16)));
    const { limits } = device;
    this.maxBindings = limits.maxStorageBuffersPerShaderStage;
    this.maxStorageBytes = Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize);
    const ring = new UniformRing(device, RING_SLOTS);
    this.#bindGroups = new BindGroups(device, ring.buffer, BIND_GROUPS, this.#groupsMade);
    this.#pool = new BufferPool({
      device,
      maxBytes: this.maxStorageBytes,
      keepBytes: options.keepBytes ?? KEEP_BYTES,
      onDestroy: () => {
        this.#bindGroups.dropBroken();
        for (const program of this.#programs) program.dropBroken();
      },
    });
    this.#pipelines = new Pipelines(device);
    this.#watch = new FailureWatch(device);
    this.#watch.onOutOfMemory = () => {
      this.#encoder.flush();
      this.#pool.trim(0);
    };
    this.#readback = new Readback(device, this.#watch);
    this.#encoder = new Encoder({
      owner: this,
      device,
      traits,
      pool: this.#pool,
      ring,
      pipelines: this.#pipelines,
      bindGroups: this.#bindGroups,
      watch: this.#watch,
      readback: this.#readback,
      stats: this.#stats,
    });
    this.#transfers = new Transfers(device.queue, this.#encoder, this.#pool);
    const lost = (): boolean => this.isLost;
    this.#host = {
      gpu: device,
      encoder: this.#encoder,
      pool: this.#pool,
      pipelines: this.#pipelines,
      counter: this.#groupsMade,
      get isLost() {
        return lost();
      },
      take: (bytes, op) => this.alloc(bytes, op),
      free: (storage) => this.free(storage),
      write: (storage, data) => this.write(storage, data),
      own: (storage, op) => this.#own(storage, op),
      run: (...call) => this.run(...call),
      peak: (bytes) => {
        this.#peakBytes = Math.max(this.#peakBytes, this.#bytesInUse + bytes);
      },
      forget: (program) => this.#programs.delete(program),
    };
    this.lost = new Promise((resolve) => {
      this.#tellLoss = resolve;
    });
    void device.lost.then(({ reason, message }) =>
      this.#lose({ reason: reason === 'destroyed' ? reason : 'unknown', message }),
    );
  }

  /** Counts since the device was opened. */
  get stats(): DeviceStats {
    const stats = this.#stats;
    stats.buffersCreated = this.#pool.created;
    stats.bindGroupsCreated = this.#groupsMade.created;
    stats.pipelinesCreated = this.#pipelines.created;
    return stats;
  }

  /** Whether the device is gone: its arrays hold nothing any more. */
  get isLost(): boolean {
    return this.#loss !== undefined;
  }

  #lose(loss: DeviceLoss): void {
    if (this.#loss !== undefined) return;
    this.#loss = loss;
    this.#encoder.abandon();
    this.#readback.lose(this.#lostError());
    this.#tellLoss(loss);
  }

  #lostError(op?: string): DeviceLostError {
    const why =
      this.#loss === undefined || this.#loss.message === '' ? '' : ` (${this.#loss.message.trim()})`;
    const what = this.#loss?.reason === 'destroyed' ? 'one that was closed' : `one that was lost${why}`;
    return new DeviceLostError(
      `expected a GPU that is there, received ${what}. Call await openGpu() and load the values again.`,
      { op },
    );
  }

  /** The storage as this device's own; throws for another device's. */
  #own(storage: Storage, op: string): GpuStorage {
    const own = storage as GpuStorage;
    if (own.owner === this) return own;
    if (own.owner instanceof GpuDevice && own.owner.isLost) throw own.owner.#lostError(op);
    throw new ContextError('expected arrays of one GPU, received one of another. Copy it through the CPU.', {
      op,
    });
  }

  alloc(bytes: number, op = 'alloc'): GpuStorage {
    if (bytes > this.maxStorageBytes)
      throw new OutOfMemoryError(
        `expected an array of at most ${this.maxStorageBytes} bytes (the adapter's limit), received one of ${bytes}; ${this.#bytesInUse} are in use. Work in smaller pieces, or on the CPU.`,
        { op },
      );
    const storage =
      this.#loss === undefined ? this.#encoder.take(bytes, op) : new GpuStorage(this, GONE, bytes);
    this.#bytesInUse += bytes;
    if (this.#bytesInUse > this.#peakBytes) this.#peakBytes = this.#bytesInUse;
    this.#arrays++;
    return storage;
  }

  part(storage: Storage, at: number, bytes: number): Storage {
    const own = this.#own(storage, 'part');
    if (at % 256 !== 0 || at < 0 || at + bytes > own.bytes)
      throw new RangeError(`part of ${bytes} bytes at ${at} of a storage of ${own.bytes}`);
    const whole = own.whole ?? own;
    whole.parts++;
    return new GpuStorage(this, own.pooled, bytes, own.offset + at, whole);
  }

  free(storage: Storage): void {
    const own = this.#own(storage, 'free');
    if (own.freed) return;
    own.freed = true;
    if (own.whole !== null) {
      if (--own.whole.parts === 0 && own.whole.freed) this.#giveBack(own.whole);
    } else if (own.parts === 0) this.#giveBack(own);
  }

  #giveBack(own: GpuStorage): void {
    this.#bytesInUse -= own.bytes;
    this.#arrays--;
    if (own.users) this.#userBytes -= own.bytes;
    if (this.#loss === undefined && own.pooled !== GONE) this.#pool.give(own.pooled);
  }

  countUser(storage: Storage, change: 1 | -1): void {
    const own = storage as GpuStorage;
    if (own.freed || own.whole !== null || own.users === change > 0) return;
    own.users = change > 0;
    this.#userBytes += change * own.bytes;
  }

  write(storage: Storage, data: ArrayBufferView, at = 0): void {
    const own = this.#own(storage, 'write');
    const bytes = data.byteLength;
    if (at < 0 || at + bytes > own.bytes)
      throw new RangeError(`write of ${bytes} bytes at ${at} into a storage of ${own.bytes}`);
    if (bytes > 0 && this.#loss === undefined) this.#transfers.write(own, data, at);
  }

  copy(from: Storage, fromAt: number, to: Storage, toAt: number, bytes: number): void {
    const source = this.#own(from, 'copy');
    const target = this.#own(to, 'copy');
    if (fromAt < 0 || toAt < 0 || fromAt + bytes > source.bytes || toAt + bytes > target.bytes)
      throw new RangeError(
        `copy of ${bytes} bytes from ${fromAt} of ${source.bytes} to ${toAt} of ${target.bytes}`,
      );
    if (bytes > 0 && this.#loss === undefined) this.#transfers.copy(source, fromAt, target, toAt, bytes);
  }

  read(requests: readonly ReadRequest[]): Promise<ArrayBuffer[]> {
    if (this.#loss !== undefined) return Promise.reject(this.#lostError(requests[0]?.op ?? 'read'));
    let total = 0;
    try {
      for (const { storage, at, bytes, op } of requests) {
        const own = this.#own(storage, op ?? 'read');
        if (at < 0 || bytes < 0 || at + bytes > own.bytes)
          throw new RangeError(`read of ${bytes} bytes at ${at} from a storage of ${own.bytes}`);
        total += bytes;
      }
    } catch (error) {
      return Promise.reject(error as Error);
    }
    if (total === 0) return Promise.resolve(requests.map(() => new ArrayBuffer(0)));
    return this.#encoder.read(requests);
  }

  readSync(): null {
    return null;
  }

  run(
    kernel: Kernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void {
    let parts = false;
    for (let i = 0; i < inputs.length; i++) this.#check(inputs[i] as Operand, kernel);
    for (let i = 0; i < outputs.length; i++) {
      this.#check(outputs[i] as Operand, kernel);
      parts ||= ((outputs[i] as Operand).storage as GpuStorage).whole !== null;
    }
    if (this.#loss !== undefined) return;
    if (kernel.kind === 'custom' && kernel.name === 'randomShuffle') {
      this.#shuffle(outputs[0] as Operand, dims[0] === 1);
      return;
    }
    const copies: GpuStorage[] = [];
    const read = parts ? this.#transfers.apart(inputs, outputs, copies) : inputs;
    const encoder = this.#encoder;
    encoder.beginKernel(kernel, read, outputs);
    try {
      if (draws(kernel)) this.#random.lower(encoder, kernel as CustomKernel, outputs, scalars);
      else lowerKernel(encoder, kernel, read, outputs, dims, scalars);
    } finally {
      encoder.endKernel();
      for (const copy of copies) this.#pool.give(copy.pooled);
    }
  }

  /** The order comes from the host's generator, so that it is the same on every device. */
  #shuffle(y: Operand, vector: boolean): void {
    const order = this.#shuffler.shuffle(sizeOf(y.shape), vector);
    if (order.length > 0) this.write(y.storage, new Int32Array(order.buffer));
  }

  #check(operand: Operand, kernel: Kernel): void {
    if ((operand.storage as GpuStorage).owner !== this) this.#own(operand.storage, kernel.name);
    if (operand.dtype === 'float64')
      throw new DTypeError('expected a dtype that a GPU holds, received float64. Use float32, or the CPU.', {
        op: kernel.name,
      });
  }

  compile(plan: Plan, options: CompileOptions): Program {
    const program = new GpuProgram(this.#host, plan, options);
    this.#programs.add(program);
    return program;
  }

  /** From here on each kernel is timed by itself, until `stopProfile`. */
  startProfile(): void {
    if (this.#loss === undefined) this.#encoder.profiler = new Profiler(this.#device);
  }

  /** The kernels that were run since `startProfile`, in their order. */
  async stopProfile(): Promise<readonly KernelTime[]> {
    const { profiler } = this.#encoder;
    if (profiler === null || this.#loss !== undefined) return [];
    this.#encoder.profiler = null;
    return profiler.finish();
  }

  seed(seed: number): void {
    this.#random.seed(seed);
    this.#shuffler.seed(seed);
  }

  flush(): void {
    if (this.#loss === undefined) this.#encoder.flush();
  }

  async synchronize(): Promise<void> {
    if (this.#loss !== undefined) throw this.#lostError('waitall');
    this.#encoder.flush();
    const done = this.#device.queue.onSubmittedWorkDone().catch(() => undefined);
    await Promise.race([done, this.lost]);
    if (this.#loss !== undefined) throw this.#lostError('waitall');
    await this.#watch.settled;
    const failure = this.#watch.takeUnreported();
    if (failure !== undefined) throw failure;
  }

  memory(): MemoryInfo {
    return {
      bytesInUse: this.#bytesInUse,
      userBytes: this.#userBytes,
      peakBytes: this.#peakBytes,
      pooledBytes: this.#loss === undefined ? this.#pool.freeBytes : 0,
      arrays: this.#arrays,
    };
  }

  async dispose(): Promise<void> {
    if (this.#loss === undefined) {
      this.#encoder.flush();
      await this.#readback.drain();
      this.#lose({ reason: 'destroyed', message: 'closed' });
      this.#device.destroy();
    }
  }
}

/** Stands for the buffer of a storage made after the device was gone. */
const GONE = {
  id: -1,
  gpu: undefined,
  size: 0,
  sizeClass: 0,
  batch: -1,
  madeIn: -1,
  broken: false,
  freedAt: 0,
} as unknown as PooledBuffer;
