// A device, whole: bytes and kernels. It knows nothing of arrays, layers or gradients; the floors above know nothing of how it works.
import type { DeviceLoss } from '../core/context.ts';
import type { DType } from '../core/dtype.ts';
import type { Kernel, Operand } from '../ir/kernel.ts';
import type { Plan } from '../ir/plan.ts';
import type { Storage } from '../ir/storage.ts';

/** Part of a storage to read back. */
export interface ReadRequest {
  readonly storage: Storage;
  /** In bytes from the storage's beginning. */
  readonly at: number;
  readonly bytes: number;
  /** The operation that reads, for messages. */
  readonly op?: string | undefined;
}

/** What a device's memory holds, in bytes. */
export interface MemoryInfo {
  /** All storage that is held, by the library and by users. */
  readonly bytesInUse: number;
  /** The part of `bytesInUse` that handles in users' hands keep. */
  readonly userBytes: number;
  /** The most `bytesInUse` has been. */
  readonly peakBytes: number;
  /** Bytes that are free but kept for the next arrays. */
  readonly pooledBytes: number;
  /** The number of storages held. */
  readonly arrays: number;
}

/** Counts that tests and benchmarks read. */
export interface DeviceStats {
  dispatches: number;
  submits: number;
  buffersCreated: number;
  bindGroupsCreated: number;
  pipelinesCreated: number;
}

/** One run of a kernel, as a profile noted it. */
export interface KernelTime {
  /** The kernel's name; of a program's step the operations whose work it does: `convolution+relu`. */
  readonly label: string;
  /** Nanoseconds that it took; undefined where the device cannot tell. */
  readonly ns: number | undefined;
  /** When it began, in milliseconds of a clock of the device's own; undefined where the device cannot tell. */
  readonly at: number | undefined;
}

export interface CompileOptions {
  /** Keeps the slots between runs rather than giving them back after each. */
  readonly staticAlloc: boolean;
  /** For messages and profiles. */
  readonly name: string;
}

/** What a program costs; what its replays do not change. */
export interface ProgramStats {
  /** Kernels a run encodes (on a CPU: calls of kernels), the prologue apart. */
  readonly dispatches: number;
  readonly prologue: number;
  /** Slots of memory and their bytes in all: the peak of what a run needs besides inputs and outputs. */
  readonly slots: number;
  readonly slotBytes: number;
  readonly runs: number;
}

/** A plan made ready to run again and again. */
export interface Program {
  /** Resolves when nothing is left to compile; a run before that compiles what it needs there and then. */
  readonly ready: Promise<void>;
  readonly stats: ProgramStats;
  /**
   * Runs once. Storages in the plan's order; an output that is written in place is the input's own storage. `refresh`: what the prologue depends on has changed.
   * Makes no buffer and no bind group in the steady state, and a constant number of objects.
   */
  run(
    inputs: readonly Storage[],
    outputs: readonly Storage[],
    scalars: readonly number[],
    refresh: boolean,
  ): void;
  dispose(): void;
}

export interface Device {
  readonly kind: 'cpu' | 'gpu';
  /** The adapter's name, for people. */
  readonly description: string;
  /** Dtypes this device can hold. */
  readonly dtypes: ReadonlySet<DType>;
  /** The largest storage in bytes. */
  readonly maxStorageBytes: number;
  readonly stats: DeviceStats;

  /** Memory with undefined contents, `refs` and `userRefs` 0. `bytes` may be 0. Throws OutOfMemoryError naming `op`, the request and what is in use. */
  alloc(bytes: number, op?: string): Storage;
  /**
   * A part of a storage as a storage of its own, which shares its memory and keeps it: the whole is given back when it and all its parts have been freed.
   * `at` is a multiple of 256. Parts are not counted in `memory()`, their whole is.
   */
  part(storage: Storage, at: number, bytes: number): Storage;
  /** Gives a storage back; kernels already run keep their inputs' values. */
  free(storage: Storage): void;
  /** The array floor says that a storage has come into a user's hands (+1) or has left the last of them (−1), for `memory()`. */
  countUser(storage: Storage, change: 1 | -1): void;
  /** Copies host bytes in; `data` may change after the call. */
  write(storage: Storage, data: ArrayBufferView, at?: number): void;
  copy(from: Storage, fromAt: number, to: Storage, toAt: number, bytes: number): void;
  /** Fresh host copies of the values as they are at the call, whatever happens to the storages afterwards. */
  read(requests: readonly ReadRequest[]): Promise<ArrayBuffer[]>;
  /** As `read` for one request, at once; null on devices that must be waited for. */
  readSync(request: ReadRequest): ArrayBuffer | null;
  /**
   * Runs a kernel (see ir/kernel.ts for what operands, `dims` and `scalars` mean). An output may be the same storage as an input only for
   * elementwise kernels. Operands with no elements are legal. Does not wait.
   */
  run(
    kernel: Kernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly number[],
  ): void;
  /** Makes a plan ready to run. */
  compile(plan: Plan, options: CompileOptions): Program;
  /** Storage bindings of one kernel, outputs included: fusion stops there. */
  readonly maxBindings: number;
  /** Begins to note what each kernel takes; costs time until `stopProfile`. */
  startProfile(): void;
  /** Ends that, and gives what was noted, in the order of the runs, when all of it is done. */
  stopProfile(): Promise<readonly KernelTime[]>;
  /** Starts the device's random generators anew. */
  seed(seed: number): void;
  /** Hands over what has been recorded, without waiting. */
  flush(): void;
  /** Resolves when all work given so far is done; rejects if some of it failed. */
  synchronize(): Promise<void>;
  memory(): MemoryInfo;
  /** Resolves when the device is gone. */
  readonly lost: Promise<DeviceLoss>;
  dispose(): Promise<void>;
}
