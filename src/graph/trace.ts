// A call as operations over values: what was invoked, in its order, with everything needed to invoke it again. The Recorder is the waist's listener that writes it down
// while the call runs, once; replays of what is compiled from it never come here. Values are told apart by storage: views share one, a write in place makes the next.
import { bodyOf, type NDArray, tapeOf } from '../array/ndarray.ts';
import { isRecording } from '../autograd/mode.ts';
import type { Context } from '../core/context.ts';
import type { DType } from '../core/dtype.ts';
import { ArgumentError, ContextError, type GluonError } from '../core/errors.ts';
import { type Shape, sameShape } from '../core/shape.ts';
import type { Device } from '../device/device.ts';
import { deviceOf } from '../device/registry.ts';
import type { Storage } from '../ir/storage.ts';
import { type FunctionCall, slots, type Tracer, type Updated } from '../ops/invoke.ts';
import type { Op, TensorType } from '../ops/op.ts';
import { viewOp } from '../ops/views.ts';

/** An array at one time: which handle it was (`array`), and which value its memory held. */
export interface TraceRef {
  /** Counts handles: two with one value (an array and its `detach()`) differ for gradients. A write in place leaves it as it is. */
  readonly array: number;
  /** Its place in `Trace.values`. */
  readonly value: number;
  readonly shape: Shape;
  readonly dtype: DType;
}

/** One call of an operation. Views have outputs with their input's value; in place, `outputs[0]` is `inputs[0]` with the next value. */
export interface OpStep {
  readonly kind: 'op';
  readonly op: Op<unknown>;
  readonly attrs: unknown;
  readonly inputs: readonly TraceRef[];
  readonly outputs: readonly TraceRef[];
  readonly inPlace: boolean;
  /** Whether it ran under `autograd.record`. */
  readonly recorded: boolean;
  /** The block that ran it: `conv0`; '' outside of blocks. */
  readonly block: string;
}

/** A call of an `autograd.Function`: the steps from `first` up to this one are its forward. Nothing runs for it; it tells autograd what stands for their gradients. */
export interface FunctionStep {
  readonly kind: 'function';
  readonly first: number;
  readonly name: string;
  readonly inputs: readonly TraceRef[];
  readonly outputs: readonly TraceRef[];
  readonly saved: readonly TraceRef[];
  /** Puts the call on the tape for these arrays. */
  record(inputs: readonly NDArray[], outputs: readonly NDArray[], saved: readonly NDArray[]): void;
}

/** An optimizer's step: its targets, before and as it leaves them, and the gradients, in the order of `update.targets` and `update.grads`. */
export interface UpdateStep {
  readonly kind: 'update';
  readonly update: Updated;
  readonly before: readonly TraceRef[];
  readonly grads: readonly TraceRef[];
  readonly after: readonly TraceRef[];
}

export type TraceStep = OpStep | FunctionStep | UpdateStep;

/** An array that was there before. Its memory is looked up at each replay: that of the argument, or of the handle, so that parameters that were set or loaded are seen. */
export interface External {
  /** Which argument it is; null for what the call reached by itself (parameters, running statistics, captured arrays). */
  readonly argument: number | null;
  /** Held strongly; null for arguments, which are other arrays at each call. */
  readonly array: NDArray | null;
  readonly ref: TraceRef;
}

/** A handle whose memory holds another value at the end. */
export interface TraceWrite {
  /** Its place in `externals` where it was written in place; null for one that was given other memory (a gradient that backward wrote). */
  readonly external: number | null;
  /** Null for arguments. */
  readonly array: NDArray | null;
  /** What it holds at the end. */
  readonly ref: TraceRef;
}

/** Work of the host; see `Tracer.effect`. */
export interface Effect {
  run(): boolean;
  undo(): void;
}

export interface TraceValue {
  readonly bytes: number;
  readonly type: TensorType;
}

export interface Trace {
  /** The block or function that was traced, for messages. */
  readonly name: string;
  /** Where it runs, be the trace made by stand-ins. */
  readonly context: Context;
  readonly device: Device;
  readonly values: readonly TraceValue[];
  /** Arguments first, each that was read or not, in their order (but one that shares memory with an earlier one); then others as they were met. */
  readonly externals: readonly External[];
  /** Values made from host bytes inside (`nd.array([1, 2])`): the same at each replay. */
  readonly constants: ReadonlyMap<number, Uint8Array>;
  readonly steps: readonly TraceStep[];
  readonly results: readonly TraceRef[];
  readonly writes: readonly TraceWrite[];
  /** What must happen on the host at each replay, in its order: see `Tracer.effect`. */
  readonly effects: readonly Effect[];
  /** How many scalars the update steps take in all, one step after the other. */
  readonly scalars: number;
}

/** What a Recorder asks of a source of stand-ins. */
interface Standing {
  readonly device: Device;
  real(standIn: NDArray): NDArray | undefined;
}

export interface RecorderOptions {
  /** The block or function, for messages. */
  readonly name: string;
  readonly context: Context;
  readonly args: readonly NDArray[];
  /** Where the call runs on stand-ins: their source. */
  readonly standIns?: Standing | undefined;
  /** Told of a read of values, which is no error then: the trace is of no use, nothing more is recorded, and the call goes on. Not for stand-ins. */
  readonly onRead?: ((op: string) => void) | undefined;
  /** What the error of a read tells to do. */
  readonly advice?: string | undefined;
  /** The trace is only looked at: reads pass by, and wait for ever. */
  readonly looking?: boolean | undefined;
}

/** What is known of a handle. */
interface Handle {
  readonly number: number;
  readonly shape: Shape;
  readonly dtype: DType;
  storage: Storage;
}

/**
 * Writes down one call. Arguments are named beforehand; whatever else is met that was not made inside is an external.
 *
 * @example
 * const recorder = new Recorder({ name: 'net0', context: x.context, args: [x] });
 * const y = recorder.run(() => net.forward(x));
 * const trace = recorder.finish([y]);
 */
export class Recorder implements Tracer {
  readonly #name: string;
  readonly #device: Device;
  /** What the arrays are on: the device, or what stands for it. */
  readonly #home: Device;
  readonly #options: RecorderOptions;
  readonly #types: TraceValue[] = [];
  /** The value that a storage holds now. */
  readonly #values = new Map<Storage, number>();
  readonly #handles = new Map<NDArray, Handle>();
  /** The handles of a storage. */
  readonly #sharing = new Map<Storage, NDArray[]>();
  readonly #externals: {
    readonly argument: number | null;
    readonly array: NDArray;
    readonly ref: TraceRef;
  }[] = [];
  readonly #constants = new Map<number, Uint8Array>();
  readonly #steps: TraceStep[] = [];
  readonly #bound = new Set<NDArray>();
  readonly #effects: Effect[] = [];
  #scalars = 0;
  #count = 0;
  #block = '';
  /** A read has made the trace useless. */
  #abandoned = false;
  /** The error of a read, which may have been made into a rejected Promise that nobody awaits. */
  #refused: Error | null = null;

  constructor(options: RecorderOptions) {
    const { name, context, args, standIns } = options;
    this.#name = name;
    this.#device = deviceOf(context, name);
    this.#home = standIns?.device ?? this.#device;
    this.#options = options;
    args.forEach((array, argument) => {
      const { device, storage } = bodyOf(array, name);
      if (device === this.#home && !this.#values.has(storage)) this.#external(array, argument);
    });
  }

  /** How many steps there are by now. */
  get length(): number {
    return this.#steps.length;
  }

  /** Runs `fn` and writes down what it does. */
  run<R>(fn: () => R): R {
    const { trace } = slots;
    if (trace !== null) throw new Error(`${this.#name} is traced within a trace`);
    slots.trace = this;
    try {
      const result = fn();
      if (this.#refused !== null) throw this.#refused;
      return result;
    } finally {
      slots.trace = null;
    }
  }

  /** The trace, with `results` as what came out. They must be alive. */
  finish(results: readonly NDArray[]): Trace {
    const refs = results.map((x) => this.ref(x));
    const real = (array: NDArray): NDArray => this.#options.standIns?.real(array) ?? array;
    const writes: TraceWrite[] = [];
    const bound = new Set(this.#bound);
    this.#externals.forEach(({ argument, array, ref }, external) => {
      bound.delete(array);
      if (array.isDisposed) return;
      const now = this.ref(array);
      if (now.value !== ref.value)
        writes.push({ external, array: argument === null ? real(array) : null, ref: now });
    });
    for (const array of bound)
      if (!array.isDisposed) writes.push({ external: null, array: real(array), ref: this.ref(array) });
    return {
      name: this.#name,
      context: this.#options.context,
      device: this.#device,
      values: this.#types,
      externals: this.#externals.map(({ argument, array, ref }) => ({
        argument,
        array: argument === null ? real(array) : null,
        ref,
      })),
      constants: this.#constants,
      steps: this.#steps,
      results: refs,
      writes,
      effects: this.#effects,
      scalars: this.#scalars,
    };
  }

  /** An array as the trace knows it now; what it does not know is an external from here on. */
  ref(array: NDArray): TraceRef {
    const { storage, shape, dtype, device } = bodyOf(array, this.#name);
    const handle = this.#handles.get(array);
    const value = this.#values.get(storage);
    if (handle !== undefined) {
      // the handle's memory moved, with what it held: to an arena
      const now = value ?? (this.#values.get(handle.storage) as number);
      if (value === undefined) this.#values.set(storage, now);
      handle.storage = storage;
      return { array: handle.number, value: now, shape, dtype };
    }
    if (device !== this.#home) throw this.#otherDevice(array);
    if (value === undefined) return this.#external(array, null);
    // another handle on known memory, which no operation made: the tape's own ones stand where the first does
    const sharing = this.#sharing.get(storage) ?? [];
    const alike = sharing.filter((x) => x.dtype === dtype && sameShape(x.shape, shape));
    const same = alike.find((x) => tapeOf(x) === tapeOf(array)) ?? alike[0];
    if (same !== undefined) return this.#note(array, value, this.#handles.get(same)?.number);
    const first = this.#handles.get(sharing[0] as NDArray) as Handle;
    const input = { array: first.number, value, shape: first.shape, dtype: first.dtype };
    const output = this.#note(array, value);
    this.#push(viewOp as unknown as Op<unknown>, { shape }, [input], [output], false);
    return output;
  }

  invoked<A>(op: Op<A>, inputs: readonly NDArray[], attrs: A, outputs: readonly NDArray[]): void {
    const [first] = outputs;
    if (this.#abandoned || first === undefined) return;
    if (bodyOf(first, this.#name).device !== this.#home) {
      if (this.#abandon(`${op.name} on ${first.context}`)) return;
      throw this.#otherDevice(first);
    }
    const before = inputs.map((x) => this.ref(x));
    const inPlace = first === inputs[0];
    const after = outputs.map((y) => {
      const { storage } = bodyOf(y, this.#name);
      if (inPlace) return this.#written(y);
      return this.#note(y, op.run === null ? (this.#values.get(storage) as number) : this.#value(y));
    });
    this.#push(op as unknown as Op<unknown>, attrs, before, after, inPlace);
  }

  effect(run: () => boolean, undo: () => void): void {
    if (!this.#abandoned) this.#effects.push({ run, undo });
  }

  bound(handle: NDArray): void {
    if (this.#abandoned) return;
    this.ref(handle);
    this.#bound.add(handle);
  }

  updated(update: Updated): void {
    if (this.#abandoned) return;
    const before = update.targets.map((x) => this.ref(x));
    const grads = update.grads.map((x) => this.ref(x));
    const after = update.targets.map((x) => this.#written(x));
    this.#steps.push({ kind: 'update', update, before, grads, after });
    this.#scalars += update.count;
  }

  reading(op: string, advice = this.#options.advice): void {
    this.passing(op, 'values to be read', advice);
  }

  passing(op: string, what: string, advice: string | undefined): void {
    if (this.#abandoned || this.#options.looking === true) return;
    if (this.#abandon(op)) return;
    this.#refused = new ArgumentError(
      `expected no ${what} inside a call that is compiled, received ${op}: later calls are replayed and would not come by. ` +
        (advice ?? 'Read what the call returns, after it; or call hybridize(false).'),
      { op: this.#name },
    );
    throw this.#refused;
  }

  /** Whether the trace can be given up for what `op` does. */
  #abandon(op: string): boolean {
    const { standIns, onRead } = this.#options;
    if (onRead === undefined || standIns !== undefined) return false;
    this.#abandoned = true;
    onRead(op);
    return true;
  }

  constant(array: NDArray, bytes: ArrayBufferView): void {
    if (this.#abandoned || bodyOf(array, this.#name).device !== this.#home) return;
    const value = this.#value(array);
    this.#note(array, value);
    this.#constants.set(
      value,
      new Uint8Array(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength).slice(),
    );
  }

  enter(block: string): string {
    const before = this.#block;
    this.#block = block;
    return before;
  }

  mark(): number {
    return this.#steps.length;
  }

  called({ name, mark, inputs, outputs, saved, record }: FunctionCall): void {
    if (this.#abandoned) return;
    const [from, kept] = [inputs.map((x) => this.ref(x)), saved.map((x) => this.ref(x))];
    // an input that is handed on is another handle for gradients
    const to = outputs.map((y) =>
      this.#handles.has(y)
        ? this.ref(y)
        : this.#note(y, this.#values.get(bodyOf(y, name).storage) ?? this.#value(y)),
    );
    this.#steps.push({ kind: 'function', first: mark, name, inputs: from, outputs: to, saved: kept, record });
  }

  #push(
    op: Op<unknown>,
    attrs: unknown,
    inputs: readonly TraceRef[],
    outputs: readonly TraceRef[],
    inPlace: boolean,
  ): void {
    const recorded = isRecording();
    this.#steps.push({ kind: 'op', op, attrs, inputs, outputs, inPlace, recorded, block: this.#block });
  }

  /** The next value of an array's memory. */
  #value(array: NDArray): number {
    const { storage, shape, dtype } = bodyOf(array, this.#name);
    const value = this.#types.length;
    this.#types.push({ bytes: storage.bytes, type: { shape, dtype } });
    this.#values.set(storage, value);
    return value;
  }

  #written(array: NDArray): TraceRef {
    this.#value(array);
    return this.ref(array);
  }

  #external(array: NDArray, argument: number | null): TraceRef {
    const ref = this.#note(array, this.#value(array));
    this.#externals.push({ argument, array, ref });
    return ref;
  }

  /** Takes note of a handle. */
  #note(array: NDArray, value: number, number = this.#count++): TraceRef {
    const { storage, shape, dtype } = bodyOf(array, this.#name);
    this.#handles.set(array, { number, shape, dtype, storage });
    const sharing = this.#sharing.get(storage);
    if (sharing === undefined) this.#sharing.set(storage, [array]);
    else sharing.push(array);
    return { array: number, value, shape, dtype };
  }

  #otherDevice(array: NDArray): GluonError {
    return new ContextError(
      `expected arrays on ${this.#options.context} inside a call that is compiled for it, received one on ${array.context}. Copy it over before the call, or make it with { ctx: x.context }.`,
      { op: this.#name },
    );
  }
}
