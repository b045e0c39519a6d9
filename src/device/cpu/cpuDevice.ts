// The CPU as a device: one WebAssembly memory for all arrays, kernels run at once by WebAssembly and JavaScript loops over it. It runs every kernel that
// the GPU runs, in every dtype. Layout of the folder:
//   heap.ts, allocator.ts        the memory, its views and who owns which bytes
//   program.ts, loops/           expressions as steps, and a loop for each primitive and compute type
//   works.ts                     which runner runs a kernel
//   replay.ts                    plans run again and again
//   elementwise.ts, row.ts       kernels made of expressions
//   kernels/, wasm/              the compiled kernels: their sources (AssemblyScript), their binaries and how these are loaded
//   threads/                     workers that share the memory and take tiles of large work
//   product/                     matrix products and convolutions: packing, blocking, the micro-kernel, the store
//   custom/                      everything else, a file a family
import { collectSoon } from '../../core/breathe.ts';
import type { DeviceLoss } from '../../core/context.ts';
import type { DType } from '../../core/dtype.ts';
import { DTYPES } from '../../core/dtype.ts';
import { ArgumentError, OutOfMemoryError } from '../../core/errors.ts';
import type { Kernel, Operand } from '../../ir/kernel.ts';
import type { Plan, PlanStep } from '../../ir/plan.ts';
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
import { programs, type Ready } from './programs.ts';
import type { MakeThread } from './threads/start.ts';
import { KernelTimer } from './timer.ts';
import type { Simd } from './wasm/load.ts';
import type { Works } from './works.ts';
import { makeWorks, prepareStep, runKernel } from './works.ts';

/** More threads than this are not started: kernels gain little from them, and each has 600 KiB of working memory. WRITING in threads/cells.ts has a cell for so many. */
const MOST_THREADS = 16;

class CpuStorage implements Storage {
  readonly buffer = 0;
  readonly offset: number;
  readonly bytes: number;
  refs = 0;
  userRefs = 0;
  freed = false;
  /** Whether its bytes are counted as users'. */
  users = false;
  readonly owner: CpuDevice;
  /** The storage whose part this is. */
  readonly whole: CpuStorage | null;
  /** How many parts of it are in use. */
  parts = 0;

  constructor(owner: CpuDevice, offset: number, bytes: number, whole: CpuStorage | null = null) {
    this.owner = owner;
    this.offset = offset;
    this.bytes = bytes;
    this.whole = whole;
  }
}

/**
 * The CPU device. Kernels have run when `run` returns, so reads need not wait and `flush` has nothing to do.
 *
 * @example
 * const device = new CpuDevice();
 * const x = { storage: device.alloc(16), dtype: 'float32', shape: [4] } as const;
 * device.write(x.storage, new Float32Array([1, 2, 3, 4]));
 * device.run(elementwiseKernel('exp', 1, e.exp(e.input(0))), [x], [x], [], []);
 * new Float32Array(device.readSync({ storage: x.storage, at: 0, bytes: 16 }));
 */
export class CpuDevice implements Device {
  readonly kind = 'cpu';
  readonly description = 'CPU';
  readonly dtypes: ReadonlySet<DType> = new Set(DTYPES);
  readonly maxStorageBytes: number;
  /** Operands are addresses; a bound keeps expressions to what the loops hold in registers. */
  readonly maxBindings = 12;
  readonly stats: DeviceStats = {
    dispatches: 0,
    submits: 0,
    buffersCreated: 0,
    bindGroupsCreated: 0,
    pipelinesCreated: 0,
  };
  /** A CPU is never lost. */
  readonly lost: Promise<DeviceLoss> = new Promise(() => {});
  /** Notes what kernels take, while a profile runs. */
  timer: KernelTimer | null = null;

  #works: Works | null;
  #changing: Promise<unknown> = Promise.resolve();
  /** Where the threads' cells and working memory lie. */
  #poolRange: { readonly at: number; readonly bytes: number } | null = null;
  #bytesInUse = 0;
  #userBytes = 0;
  #peakBytes = 0;
  #arrays = 0;

  /** `simd`: a form of the compiled kernels; the best that the machine has where it is not given. */
  constructor(options: { readonly simd?: Simd } = {}) {
    this.#works = makeWorks(options.simd);
    this.maxStorageBytes = this.#alive('cpu').heap.maxBytes - 2 ** 20;
  }

  /** The form of the compiled kernels in use. */
  get simd(): Simd {
    return this.#alive('cpu').heap.kernels.simd;
  }

  #alive(op: string): Works {
    if (this.#works === null)
      throw new ArgumentError(
        'expected an open CPU device, received one that was closed. Make the arrays anew.',
        { op },
      );
    return this.#works;
  }

  #own(storage: Storage, op: string): CpuStorage {
    if (!(storage instanceof CpuStorage) || storage.owner !== this)
      throw new ArgumentError('expected storage of this CPU device, received storage of another device.', {
        op,
      });
    if (storage.freed)
      throw new ArgumentError(
        `expected storage that is in use, received ${storage.bytes} bytes that were freed before.`,
        { op },
      );
    return storage;
  }

  /** The storage's bytes from `at` on, checked. */
  #range(storage: Storage, at: number, bytes: number, op: string): number {
    const own = this.#own(storage, op);
    if (!(at >= 0 && bytes >= 0 && at + bytes <= own.bytes))
      throw new ArgumentError(
        `expected a range within ${own.bytes} bytes, received ${bytes} bytes from ${at} on.`,
        { op },
      );
    return own.offset + at;
  }

  alloc(bytes: number, op = 'alloc'): Storage {
    const { allocator, heap } = this.#alive(op);
    if (!Number.isInteger(bytes) || bytes < 0)
      throw new ArgumentError(`expected a number of bytes ≥ 0, received ${bytes}.`, { op });
    const offset = bytes > heap.maxBytes ? -1 : allocator.alloc(bytes);
    if (offset < 0) {
      // a program that goes on in a later turn has what this one leaves behind
      void collectSoon();
      throw new OutOfMemoryError(
        `expected ${bytes} bytes of CPU memory, received none: ${this.#bytesInUse} bytes in ${this.#arrays} arrays are in use, and the memory ` +
          `can have ${heap.maxBytes}. Dispose of arrays, or work in smaller batches.`,
        { op },
      );
    }
    this.#bytesInUse += bytes;
    if (this.#bytesInUse > this.#peakBytes) this.#peakBytes = this.#bytesInUse;
    this.#arrays++;
    return new CpuStorage(this, offset, bytes);
  }

  part(storage: Storage, at: number, bytes: number): Storage {
    const own = this.#own(storage, 'part');
    const whole = own.whole ?? own;
    const offset = this.#range(own, at, bytes, 'part');
    whole.parts++;
    return new CpuStorage(this, offset, bytes, whole);
  }

  free(storage: Storage): void {
    if (this.#works === null) return;
    const own = this.#own(storage, 'free');
    own.freed = true;
    if (own.whole !== null) {
      if (--own.whole.parts === 0 && own.whole.freed) this.#giveBack(own.whole);
    } else if (own.parts === 0) this.#giveBack(own);
  }

  #giveBack(own: CpuStorage): void {
    this.#works?.allocator.free(own.offset, own.bytes);
    this.#bytesInUse -= own.bytes;
    this.#arrays--;
    if (own.users) this.#userBytes -= own.bytes;
  }

  countUser(storage: Storage, change: 1 | -1): void {
    if (!(storage instanceof CpuStorage) || storage.freed || storage.whole !== null) return;
    if (storage.users === change > 0) return;
    storage.users = change > 0;
    this.#userBytes += change * storage.bytes;
  }

  write(storage: Storage, data: ArrayBufferView, at = 0): void {
    const { heap } = this.#alive('write');
    const offset = this.#range(storage, at, data.byteLength, 'write');
    heap.u8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
  }

  copy(from: Storage, fromAt: number, to: Storage, toAt: number, bytes: number): void {
    const { heap } = this.#alive('copy');
    const source = this.#range(from, fromAt, bytes, 'copy');
    heap.u8.copyWithin(this.#range(to, toAt, bytes, 'copy'), source, source + bytes);
  }

  readSync(request: ReadRequest): ArrayBuffer {
    const op = request.op ?? 'read';
    const { heap } = this.#alive(op);
    const offset = this.#range(request.storage, request.at, request.bytes, op);
    // a slice of an unshared memory is an ArrayBuffer; a copy into a fresh one is one whatever the memory is
    const out = new Uint8Array(request.bytes);
    out.set(heap.u8.subarray(offset, offset + request.bytes));
    return out.buffer;
  }

  async read(requests: readonly ReadRequest[]): Promise<ArrayBuffer[]> {
    return requests.map((request) => this.readSync(request));
  }

  run(
    kernel: Kernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void {
    const works = this.#works ?? this.#alive(kernel.name);
    this.stats.dispatches++;
    works.temporaries.op = kernel.name;
    const began = this.timer === null ? 0 : performance.now();
    runKernel(works, kernel, inputs, outputs, dims, scalars);
    if (this.timer !== null) this.timer.add(kernel.name, began);
  }

  /** How many threads compute, the caller included. */
  get numThreads(): number {
    return this.#works?.threads.pool?.size ?? 1;
  }

  /**
   * Shares large work among `n` threads (0: as many as there are cores), the caller included. Resolves to the number in use: 1 where memory cannot be
   * shared (a page that is not isolated from other origins) or workers cannot start. Results are the same for any number.
   */
  setNumThreads(n: number, make?: MakeThread): Promise<number> {
    const change = this.#changing.then(() => this.#changeThreads(n, make));
    this.#changing = change.catch(() => 1);
    return change;
  }

  async #changeThreads(wanted: number, make?: MakeThread): Promise<number> {
    this.#alive('setNumThreads');
    // most pages have one thread: the code of the others comes when they do
    const parts = await Promise.all([import('./threads/pool.ts'), import('./threads/start.ts')]).catch(
      () => null,
    );
    if (parts === null) return this.numThreads;
    const [{ Pool }, { canShare, coreCount, makeThread }] = parts;
    const { heap, threads, moved, allocator } = this.#alive('setNumThreads');
    const n = Math.min(wanted === 0 ? coreCount() : wanted, MOST_THREADS);
    if (this.numThreads === n) return this.numThreads;
    const before = threads.pool;
    threads.pool = null;
    // without threads although there is a range: they were lost, and the arrays have left their memory
    const left = before === null || (await before.close());
    if (left && this.#poolRange !== null) allocator.free(this.#poolRange.at, this.#poolRange.bytes);
    this.#poolRange = null;
    if (n < 2 || !canShare()) return 1;
    if (!heap.shared) {
      if (!heap.move(true)) return 1;
      moved();
    }
    const { workBytes } = threads;
    const bytes = Pool.bytes(n, workBytes);
    const at = allocator.alloc(bytes);
    if (at < 0) return 1;
    const pool = await Pool.start(n, heap.kernels, heap.memory, at, workBytes, make ?? makeThread);
    if (pool === null) return 1;
    this.#poolRange = { at, bytes };
    if (this.#works?.threads !== threads) pool.end();
    else threads.pool = pool;
    return this.numThreads;
  }

  compile(plan: Plan, options: CompileOptions): Program {
    this.#alive(options.name);
    if (programs.make === null) throw new Error('graph/compile.ts brings what makes programs');
    return programs.make(this, plan, options);
  }

  begin(op: string): void {
    this.#alive(op).temporaries.op = op;
  }

  prepare(step: PlanStep, inputs: readonly Operand[], outputs: readonly Operand[]): Ready {
    return prepareStep(this.#alive(step.kernel.name), step, inputs, outputs);
  }

  startProfile(): void {
    this.timer = new KernelTimer();
  }

  stopProfile(): Promise<readonly KernelTime[]> {
    const times = this.timer?.times ?? [];
    this.timer = null;
    return Promise.resolve(times);
  }

  seed(seed: number): void {
    this.#works?.generators.seed(seed);
  }

  flush(): void {}

  synchronize(): Promise<void> {
    return Promise.resolve();
  }

  memory(): MemoryInfo {
    const works = this.#works;
    return {
      bytesInUse: this.#bytesInUse,
      userBytes: this.#userBytes,
      peakBytes: this.#peakBytes,
      pooledBytes: works === null ? 0 : works.allocator.pooled,
      arrays: this.#arrays,
    };
  }

  dispose(): Promise<void> {
    this.#works?.threads.pool?.end();
    this.#works = null;
    this.#bytesInUse = 0;
    this.#userBytes = 0;
    this.#arrays = 0;
    return Promise.resolve();
  }
}
