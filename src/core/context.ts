// Where an array lives: `cpu(0)` or `gpu(0)`. Contexts are names, interned and free of any device; the device floor fills in what
// `lost` and `close()` mean.
import { ContextError } from './errors.ts';

export type DeviceType = 'cpu' | 'gpu';

/** Why a device went away. */
export interface DeviceLoss {
  readonly reason: 'destroyed' | 'unknown';
  readonly message: string;
}

/** What the device floor answers for a context. */
export interface ContextHooks {
  lost(context: Context): Promise<DeviceLoss>;
  close(context: Context): Promise<void>;
}

let hooks: ContextHooks | undefined;

/** Called once by the device floor. */
export function setContextHooks(value: ContextHooks): void {
  hooks = value;
}

function getHooks(): ContextHooks {
  if (hooks === undefined) throw new Error('the device floor is not loaded');
  return hooks;
}

const interned = new Map<string, Context>();

/**
 * A device by name. Contexts are interned, so that `gpu(0) === gpu(0)`, and may be named before they are open.
 *
 * @example
 * const ctx = await tryGpu();          // gpu(0) where there is one, else cpu(0)
 * const x = nd.ones([2, 3], { ctx });
 */
export class Context {
  readonly deviceType: DeviceType;
  readonly deviceId: number;
  readonly #text: string;

  /** @internal Use `cpu()` and `gpu()`. */
  constructor(deviceType: DeviceType, deviceId: number) {
    this.deviceType = deviceType;
    this.deviceId = deviceId;
    this.#text = `${deviceType}(${deviceId})`;
    const known = interned.get(this.#text);
    // biome-ignore lint/correctness/noConstructorReturn: `===` tells contexts apart, so there is one of each
    if (known !== undefined) return known;
    interned.set(this.#text, this);
    Object.freeze(this);
  }

  /** Resolves when the open device of this context goes away, with the reason; never for a CPU. */
  get lost(): Promise<DeviceLoss> {
    return getHooks().lost(this);
  }

  /** Gives back everything the device of this context holds: its arrays are gone after it. The next use opens it anew. */
  close(): Promise<void> {
    return getHooks().close(this);
  }

  /** `cpu(0)`, `gpu(0)`. */
  toString(): string {
    return this.#text;
  }

  /** What `console.log` shows in Node. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.#text;
  }

  get [Symbol.toStringTag](): string {
    return 'Context';
  }
}

function intern(deviceType: DeviceType, deviceId: number): Context {
  if (!Number.isInteger(deviceId) || deviceId < 0)
    throw new ContextError(
      `expected a device number that is an integer ≥ 0, received ${String(deviceId)}. Write ${deviceType}(0).`,
      {
        op: deviceType,
      },
    );
  return interned.get(`${deviceType}(${deviceId})`) ?? new Context(deviceType, deviceId);
}

/** The CPU. Any number names the same memory and cores; `cpu(0)` is the default context. */
export function cpu(deviceId = 0): Context {
  return intern('cpu', deviceId);
}

/** A GPU by number; browsers give one, so only `gpu(0)` can be opened (see `openGpu`, `tryGpu`). */
export function gpu(deviceId = 0): Context {
  return intern('gpu', deviceId);
}

let current: Context = cpu(0);

/** The context in which arrays are made when none is given. */
export function currentContext(): Context {
  return current;
}

/** @internal Sets the current context and returns the one before. */
export function swapContext(context: Context): Context {
  const before = current;
  current = context;
  return before;
}

/** Returns `value` if it is a context, the current context for undefined, or throws. */
export function checkContext(value: unknown, op: string): Context {
  if (value === undefined || value === null) return current;
  if (value instanceof Context) return value;
  throw new ContextError(
    `expected a context such as cpu() or gpu(0), received ${typeof value === 'string' ? JSON.stringify(value) : typeof value}. Pass { ctx: cpu() }.`,
    { op },
  );
}
