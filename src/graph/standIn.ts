// Stand-ins: arrays of a shape and dtype whose device does nothing. Code that runs on them is seen by a Recorder as if it had run, but nothing is computed, drawn or
// written: for warming up, for looking at a net, and for building gradients.
import { arraysIn, bodyOf, makeArray, type NDArray, runInScope } from '../array/ndarray.ts';
import { outsideScopes } from '../array/scope.ts';
import type { Context } from '../core/context.ts';
import { bytesOf, type DType } from '../core/dtype.ts';
import { asShape, sizeOf } from '../core/shape.ts';
import type { Device } from '../device/device.ts';
import { deviceOf } from '../device/registry.ts';
import type { Storage } from '../ir/storage.ts';
import { type StandInSource, slots } from '../ops/invoke.ts';
import { Recorder, type Trace } from './trace.ts';

/** A device that takes everything and does nothing, with another's limits. */
function abstractDevice(of: Device): Device {
  const nothing = (): void => undefined;
  const refuse = (): never => {
    throw new Error('a stand-in has no values');
  };
  return {
    kind: of.kind,
    description: of.description,
    dtypes: of.dtypes,
    maxStorageBytes: of.maxStorageBytes,
    maxBindings: of.maxBindings,
    stats: { dispatches: 0, submits: 0, buffersCreated: 0, bindGroupsCreated: 0, pipelinesCreated: 0 },
    lost: of.lost,
    alloc: (bytes) => ({ buffer: -1, offset: 0, bytes, refs: 0, userRefs: 0 }),
    part: (_, at, bytes) => ({ buffer: -1, offset: at, bytes, refs: 0, userRefs: 0 }),
    free: nothing,
    countUser: nothing,
    write: nothing,
    copy: nothing,
    // as a device that must be waited for: checks that look at values at once pass them by
    readSync: () => null,
    // nobody gets there but where a call is only looked at
    read: () => new Promise(() => undefined),
    run: nothing,
    compile: refuse,
    startProfile: nothing,
    stopProfile: async () => [],
    seed: nothing,
    flush: nothing,
    synchronize: async () => undefined,
    memory: () => ({ bytesInUse: 0, userBytes: 0, peakBytes: 0, pooledBytes: 0, arrays: 0 }),
    dispose: async () => undefined,
  };
}

/** Stand-ins for arrays of one context; arrays of others stay what they are. */
export class StandIns implements StandInSource {
  readonly device: Device;
  readonly #context: Context;
  readonly #for: Device;
  readonly #storages = new Map<Storage, Storage>();
  readonly #standing = new Map<NDArray, NDArray>();
  readonly #real = new Map<NDArray, NDArray>();

  /** @param op what an error calls it that says why the device is not there */
  constructor(context: Context, op?: string) {
    this.#context = context;
    this.#for = deviceOf(context, op);
    this.device = abstractDevice(this.#for);
  }

  deviceOf(context: Context): Device | undefined {
    return context === this.#context ? this.device : undefined;
  }

  of(array: NDArray): NDArray {
    const known = this.#standing.get(array);
    if (known !== undefined) return known;
    const { device, storage, shape, dtype } = bodyOf(array, 'trace');
    if (device !== this.#for) return array;
    let own = this.#storages.get(storage);
    if (own === undefined) {
      own = this.device.alloc(storage.bytes);
      this.#storages.set(storage, own);
    }
    const made = this.#make(own, dtype, shape, array.context);
    this.#standing.set(array, made);
    this.#real.set(made, array);
    return made;
  }

  /** What an array stands for; undefined for one that stands for nothing that is there. */
  real(standIn: NDArray): NDArray | undefined {
    return this.#real.get(standIn);
  }

  /** An array that stands for none. */
  make(shape: readonly number[], dtype: DType): NDArray {
    return this.#make(this.device.alloc(sizeOf(shape) * bytesOf(dtype)), dtype, shape, this.#context);
  }

  /** Runs `fn` on stand-ins: whatever arrays it names. */
  run<R>(fn: () => R): R {
    const { standIn } = slots;
    slots.standIn = this;
    try {
      return fn();
    } finally {
      slots.standIn = standIn;
    }
  }

  /** Outside of scopes, which would end it; there is nothing to give back. */
  #make(storage: Storage, dtype: DType, shape: readonly number[], context: Context): NDArray {
    return outsideScopes(() => makeArray(context, this.device, storage, dtype, asShape(shape)));
  }
}

/** The trace of `fn` for arguments of these types, in the modes that hold now. Nothing is computed or drawn. Every array in what `fn` returns is a result. */
export function traceAbstract(
  name: string,
  context: Context,
  types: readonly { readonly shape: readonly number[]; readonly dtype: DType }[],
  fn: (inputs: NDArray[]) => unknown,
  looking = false,
): Trace {
  const standIns = new StandIns(context, name);
  const inputs = types.map(({ shape, dtype }) => standIns.make(shape, dtype));
  const recorder = new Recorder({ name, context, args: inputs, standIns, looking });
  let trace: Trace | undefined;
  runInScope(
    () => name,
    true,
    () => {
      trace = recorder.finish([...arraysIn(standIns.run(() => recorder.run(() => fn(inputs))))]);
    },
  );
  return trace as Trace;
}
