// The narrow waist. Every operation, from a user's `x.add(y)` to a layer's convolution, goes through `invoke`: it checks contexts at the
// caller's line, infers, makes the outputs and hands kernels to the device. Two slots are filled from above: a graph recorder and autograd.
import { bodyOf, makeArray, type NDArray } from '../array/ndarray.ts';
import type { Context } from '../core/context.ts';
import { currentContext } from '../core/context.ts';
import type { DType } from '../core/dtype.ts';
import { bytesOf } from '../core/dtype.ts';
import { ContextError, DeviceLostError, DTypeError, ShapeError } from '../core/errors.ts';
import { asShape, MAX_NDIM, sameShape, shapeText, sizeOf } from '../core/shape.ts';
import type { Device } from '../device/device.ts';
import { deviceOf } from '../device/registry.ts';
import type { GraphScalar } from '../ir/graph.ts';
import type { Kernel, Operand } from '../ir/kernel.ts';
import type { Storage } from '../ir/storage.ts';
import type { Emitter, Op, TensorType } from './op.ts';

/** What a recorder sees of each call, after it ran. */
export interface Listener {
  invoked<A>(op: Op<A>, inputs: readonly NDArray[], attrs: A, outputs: readonly NDArray[]): void;
  /** Before an array is written in place, by a record from `inputs` or by other means: may throw. */
  writing?(op: string, target: NDArray, record?: Op<never>, inputs?: readonly NDArray[]): void;
}

/** Where a recorded update puts its kernels: scalars that change from run to run are slots. */
export interface UpdateEmitter {
  run(
    kernel: Kernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[],
    scalars: readonly GraphScalar[],
  ): void;
  temporary(shape: readonly number[], dtype: DType): Operand;
}

/** An optimizer's update of parameters that share one kernel, as a recorder sees it. */
export interface Updated {
  /** Written in place: the weights, then the first state of each, … */
  readonly targets: readonly NDArray[];
  readonly grads: readonly NDArray[];
  /** How many scalars it has. */
  readonly count: number;
  /** The scalars of the run whose effects were done last. */
  scalars(): readonly number[];
  /** Brings memory to where the emitted kernels expect it; before each replay. */
  arrange(): void;
  /** Emits the work over operands that stand for targets and gradients. */
  emit(
    emitter: UpdateEmitter,
    targets: readonly Operand[],
    grads: readonly Operand[],
    scalars: readonly GraphScalar[],
  ): void;
}

/** A call of a function whose gradient is the user's own. */
export interface FunctionCall {
  readonly name: string;
  /** What `mark` gave when its forward began. */
  readonly mark: number;
  readonly inputs: readonly NDArray[];
  readonly outputs: readonly NDArray[];
  readonly saved: readonly NDArray[];
  /** Puts the same call on the tape for other arrays. */
  record(inputs: readonly NDArray[], outputs: readonly NDArray[], saved: readonly NDArray[]): void;
}

/** What a graph recorder sees besides calls. */
export interface Tracer extends Listener {
  /**
   * Work of the host that belongs to every run, a replay's too: counts, checks, flags. It has been done for this run. `run` does it for a later one, before its kernels, and gives
   * false where the record no longer fits; `undo` takes the last `run` back.
   */
  effect(run: () => boolean, undo: () => void): void;
  /** An array has been given other memory, which holds other values: a gradient that backward stored. */
  bound(array: NDArray): void;
  /** An optimizer has updated some parameters. */
  updated(update: Updated): void;
  /** Values are about to be read on the host, or to leave for another device: may throw, with what to do instead. */
  reading(op: string, advice?: string): void;
  /** What only the call that is recorded would do is about to happen: as `reading`. `what` completes “expected no …”. */
  passing(op: string, what: string, advice: string | undefined): void;
  /** An array was made from host bytes. */
  constant(array: NDArray, bytes: ArrayBufferView): void;
  /** A block begins to run, or goes on: gives the one that ran before. */
  enter(block: string): string;
  /** Where a function of the user's own begins; `called` follows at its end. */
  mark(): number;
  called(call: FunctionCall): void;
}

/** Puts arrays that compute nothing in the place of others. */
export interface StandInSource {
  of(array: NDArray): NDArray;
  /** The device that stands for a context's; undefined for contexts it does not stand for. */
  deviceOf(context: Context): Device | undefined;
}

/** Filled by the floors above: `tape` by autograd, `trace` and `standIn` by the graph recorder. */
export const slots: {
  trace: Tracer | null;
  tape: Listener | null;
  standIn: StandInSource | null;
  /** `debug(…)`: is told before each call too. */
  debug: (Listener & { calling(): void }) | null;
} = { trace: null, tape: null, standIn: null, debug: null };

/** Runs kernels on a device at once; one per device, reused by every call. */
class DeviceEmitter implements Emitter {
  readonly #device: Device;
  readonly #temporaries: Storage[] = [];
  /** The operation that runs. */
  op = '';

  constructor(device: Device) {
    this.#device = device;
  }

  run(
    kernel: Kernel,
    inputs: readonly Operand[],
    outputs: readonly Operand[],
    dims: readonly number[] = NONE,
    scalars: readonly number[] = NONE,
  ): void {
    this.#device.run(kernel, inputs, outputs, dims, scalars);
  }

  temporary(shape: readonly number[], dtype: DType): Operand {
    const storage = this.#device.alloc(sizeOf(shape) * bytesOf(dtype), this.op);
    storage.refs = 1;
    this.#temporaries.push(storage);
    return { storage, dtype, shape };
  }

  end(): void {
    for (let storage = this.#temporaries.pop(); storage !== undefined; storage = this.#temporaries.pop()) {
      storage.refs = 0;
      this.#device.free(storage);
    }
  }
}

const NONE: readonly number[] = [];
const emitters = new WeakMap<Device, DeviceEmitter>();
let lastDevice: Device | undefined;
let lastEmitter: DeviceEmitter | undefined;

function emitterOf(device: Device): DeviceEmitter {
  if (device === lastDevice && lastEmitter !== undefined) return lastEmitter;
  let emitter = emitters.get(device);
  if (emitter === undefined) {
    emitter = new DeviceEmitter(device);
    emitters.set(device, emitter);
  }
  lastDevice = device;
  lastEmitter = emitter;
  return emitter;
}

type Body = ReturnType<typeof bodyOf>;

function mixedContexts(op: string, a: NDArray, b: NDArray): ContextError | DeviceLostError {
  // one name, two devices: one of them is a generation that is gone
  if (a.context === b.context)
    return new DeviceLostError(
      `expected arrays of a device that is there, received one of ${a.context} from before it was lost or closed. Make that array anew; for a net, load its parameters again.`,
      { op },
    );
  return new ContextError(
    `expected arrays of one context, received ${a.context} and ${b.context}. ` +
      (b.context.deviceType === 'cpu' || a.context.deviceType === 'cpu'
        ? 'Copy one over: x.asInContext(gpu(0)), or await x.toCpu().'
        : 'Copy one over with x.asInContext(ctx).'),
    { op },
  );
}

function bodiesOf(op: string, inputs: readonly NDArray[]): Body[] {
  const bodies = new Array<Body>(inputs.length);
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i] as NDArray;
    const body = bodyOf(input, op);
    bodies[i] = body;
    if (i > 0 && body.device !== (bodies[0] as Body).device)
      throw mixedContexts(op, inputs[0] as NDArray, input);
  }
  return bodies;
}

function standingFor(context: Context): Device | undefined {
  return slots.standIn === null ? undefined : slots.standIn.deviceOf(context);
}

/** What a call runs on: the arrays given, or what stands for them. */
function actual(given: readonly NDArray[]): readonly NDArray[] {
  const source = slots.standIn;
  return source === null ? given : given.map((x) => source.of(x));
}

/** Runs an operation with any number of outputs. `context` counts only where there are no inputs. */
export function invokeAll<A>(op: Op<A>, given: readonly NDArray[], attrs: A, context?: Context): NDArray[] {
  if (slots.debug !== null) slots.debug.calling();
  const name = op.callee ?? op.name;
  const inputs = actual(given);
  const bodies = bodiesOf(name, inputs);
  const where = inputs.length > 0 ? (inputs[0] as NDArray).context : (context ?? currentContext());
  const device = bodies[0]?.device ?? standingFor(where) ?? deviceOf(where, name);
  const types = op.infer(bodies, attrs);
  const outputs = new Array<NDArray>(types.length);
  if (op.run === null) {
    const type = types[0] as TensorType;
    outputs[0] = makeArray(where, device, (bodies[0] as Body).storage, type.dtype, type.shape);
  } else {
    const emitter = emitterOf(device);
    const operands = new Array<Body>(types.length);
    let made = 0;
    let done = false;
    try {
      for (; made < types.length; made++) {
        const output = newArray(name, device, where, types[made] as TensorType);
        outputs[made] = output;
        operands[made] = bodyOf(output, name);
      }
      emitter.op = name;
      op.run(emitter, bodies, operands, attrs);
      done = true;
    } finally {
      emitter.end();
      if (!done) for (let i = 0; i < made; i++) (outputs[i] as NDArray).dispose();
    }
  }
  tell(op, inputs, attrs, outputs);
  if (slots.debug !== null) slots.debug.invoked(op, inputs, attrs, outputs);
  return outputs;
}

/** Runs an operation with one output. */
export function invoke<A>(op: Op<A>, inputs: readonly NDArray[], attrs: A, context?: Context): NDArray {
  return invokeAll(op, inputs, attrs, context)[0] as NDArray;
}

/** Runs an operation into an array that exists; `inputs` are its other inputs. Returns that array. */
export function invokeInto<A>(op: Op<A>, target: NDArray, inputs: readonly NDArray[], attrs: A): NDArray {
  const all = actual([target, ...inputs]);
  const name = op.callee ?? op.name;
  const bodies = bodiesOf(name, all);
  const type = op.infer(bodies, attrs)[0] as TensorType;
  if (!sameShape(type.shape, target.shape))
    throw new ShapeError(
      `expected a result of the array's own shape ${shapeText(target.shape)}, received ${shapeText(type.shape)}. Use the form that makes a new array.`,
      { op: name },
    );
  const written = all[0] as NDArray;
  const others = slots.standIn === null ? inputs : all.slice(1);
  slots.tape?.writing?.(name, written, op as unknown as Op<never>, others);
  const body = bodies[0] as Body;
  const emitter = emitterOf(body.device);
  const { storage } = body;
  storage.version = (storage.version ?? 0) + 1;
  emitter.op = name;
  try {
    op.run?.(emitter, bodies, [body], attrs);
  } finally {
    emitter.end();
  }
  tell(op, all, attrs, [written]);
  return target;
}

function tell<A>(op: Op<A>, inputs: readonly NDArray[], attrs: A, outputs: readonly NDArray[]): void {
  if (slots.trace !== null) slots.trace.invoked(op, inputs, attrs, outputs);
  if (slots.tape !== null) slots.tape.invoked(op, inputs, attrs, outputs);
}

/** An array whose values are still to be written. */
function newArray(op: string, device: Device, context: Context, type: TensorType): NDArray {
  if (!device.dtypes.has(type.dtype))
    throw new DTypeError(
      `expected a dtype that ${context} holds (${[...device.dtypes].join(', ')}), received ${type.dtype}. ` +
        (type.dtype === 'float16'
          ? 'This adapter lacks shader-f16: use float32.'
          : 'Use float32, or keep the array on cpu().'),
      { op },
    );
  if (type.shape.length > MAX_NDIM)
    throw new ShapeError(
      `expected at most ${MAX_NDIM} axes, received ${type.shape.length} in ${shapeText(type.shape)}. Fold some axes together.`,
      { op },
    );
  const storage = device.alloc(sizeOf(type.shape) * bytesOf(type.dtype), op);
  return makeArray(context, device, storage, type.dtype, type.shape);
}

/** Makes an array on a device from host bytes. */
export function arrayFromBytes(
  context: Context,
  dtype: DType,
  shape: readonly number[],
  data: ArrayBufferView,
  op: string,
): NDArray {
  const device = standingFor(context) ?? deviceOf(context, op);
  const array = newArray(op, device, context, { shape: asShape(shape), dtype });
  device.write(bodyOf(array, op).storage, data);
  if (slots.trace !== null) slots.trace.constant(array, data);
  return array;
}
