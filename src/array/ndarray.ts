// What users hold: a shape, a dtype, a context and counted storage, always contiguous and row-major. Operations are attached by the nd floor
// (this file has none), so the type of the methods comes from there: the one upward edge, types only.
import type { Context } from '../core/context.ts';
import type { DType } from '../core/dtype.ts';
import { ArgumentError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import { describe, shapeText, sizeOf } from '../core/shape.ts';
import type { Device } from '../device/device.ts';
import { hint } from '../device/rest.ts';
import type { Operand } from '../ir/kernel.ts';
import type { Storage } from '../ir/storage.ts';
import type { NDArrayMethods } from '../nd/methods.ts';
import { currentScope, leaveScope, openScope, outsideScopes, type Scope } from './scope.ts';

/** An array's hold on its storage. Outlives the handle in the finalization registry, so it must not refer back to it. */
class Body implements Operand {
  storage: Storage;
  readonly dtype: DType;
  readonly shape: Shape;
  readonly device: Device;
  /** In a user's hands (counted in `userBytes`), not the library's. */
  user = false;
  held = true;
  /** How often the storage had been written in place when this hold began. */
  version: number;
  /** Called once when the hold ends: autograd counts who can still reach its tape. */
  onRelease: (() => void) | undefined;

  constructor(device: Device, storage: Storage, dtype: DType, shape: Shape) {
    this.device = device;
    this.storage = storage;
    this.dtype = dtype;
    this.shape = shape;
    this.version = storage.version ?? 0;
    storage.refs++;
  }

  setUser(user: boolean): void {
    if (user === this.user || !this.held) return;
    this.user = user;
    this.storage.userRefs += user ? 1 : -1;
    if (this.storage.userRefs === (user ? 1 : 0)) this.device.countUser(this.storage, user ? 1 : -1);
  }

  /** Holds another storage from now on. */
  move(storage: Storage): void {
    const { user } = this;
    this.setUser(false);
    storage.refs++;
    if (--this.storage.refs === 0) this.device.free(this.storage);
    this.storage = storage;
    this.version = storage.version ?? 0;
    this.setUser(user);
  }

  release(): void {
    if (!this.held) return;
    this.setUser(false);
    this.held = false;
    if (--this.storage.refs === 0) this.device.free(this.storage);
    this.onRelease?.();
  }
}

// the net below users' own `dispose()`: a dropped handle gives its storage back when the collector notices
const dropped = new FinalizationRegistry<Body>((body) => body.release());

/**
 * Arrays that the net is still to be put below: at the end of the turn, for most are disposed before, and a collector of young objects spares what is registered.
 * More than so many do not wait.
 */
const young: NDArray[] = [];
const MOST_YOUNG = 256;

/** @internal Wraps storage (whose `refs` it raises) as an array of the current scope. */
export let makeArray: (
  context: Context,
  device: Device,
  storage: Storage,
  dtype: DType,
  shape: Shape,
) => NDArray;

/** @internal An array's operand and device; throws, naming `op`, for what is no array or was freed. */
export let bodyOf: (
  array: NDArray,
  op: string,
) => Operand & { readonly device: Device; readonly shape: Shape };

/** @internal Frees; `freedBy` says who did it, for the error at the next use. */
export let freeArray: (array: NDArray, freedBy: (() => string) | undefined) => void;

/** @internal Moves an array out of a scope that is ending, into the one around it or into the user's hands. */
let escape: (array: NDArray, scope: Scope) => void;

/** @internal Says whose memory it is, for `memoryInfo().userBytes`. */
export let setOwner: (array: NDArray, owner: 'user' | 'library') => void;

/** @internal Gives an array the memory of another of the same type, in place of its own. */
export let adoptStorage: (array: NDArray, source: NDArray) => void;

/**
 * @internal Gives an array's memory back, but not the array: its next use makes the values again by `remake`. For batches of a data loader, whose values
 * are in host memory anyway, where the garbage collector sees them.
 */
export let parkArray: (array: NDArray, remake: () => NDArray) => void;

/**
 * @internal A second handle on an array's memory, which is nobody's but its holder's: in no scope and with no net below it. It must be freed. Stands at the same
 * place of the tape.
 */
export let holdArray: (array: NDArray, op: string) => NDArray;

/** @internal As `holdArray`, of memory that has no array yet. */
export let makeHeld: typeof makeArray;

/** @internal Whether an array's memory was written in place since this handle was made. */
export let wasWritten: (array: NDArray) => boolean;

/** @internal What autograd has noted on an array; undefined for nothing. */
export let tapeOf: (array: NDArray) => unknown;

/** @internal Notes something on an array; `onRelease` is called when the array is given back or noted on anew. */
export let setTape: (array: NDArray, value: unknown, onRelease?: () => void) => void;

const internal: unique symbol = Symbol('webgluon.internal');

export interface NDArray extends NDArrayMethods {}

/**
 * An n-dimensional array on one device. Made by `nd.array`, `nd.zeros` and the other `nd.*` functions; never by `new`.
 *
 * Elements are stored row-major; the reshape family and `detach` share memory, everything else copies.
 *
 * @example
 * const x = nd.array([[1, 2, 3], [5, 6, 7]]);
 * x.shape;                    // [2, 3]
 * await x.sum().asscalar();   // 24
 */
export class NDArray {
  /** The extents, outermost first. */
  readonly shape: Shape;
  readonly dtype: DType;
  readonly context: Context;
  #body: Body | null;
  #freedBy: (() => string) | undefined;
  /** Makes the values again, of an array that is parked. */
  #remake: (() => Body) | undefined;
  /** Autograd's: where this array stands on the tape. */
  #tape: unknown;

  /** @internal */
  constructor(key: typeof internal, context: Context, body: unknown) {
    if (key !== internal || !(body instanceof Body))
      throw new ArgumentError(
        'expected arrays to be made by functions, received new NDArray(…). Write nd.array([[1, 2], [3, 4]]) or nd.zeros([2, 2]).',
        { op: 'NDArray' },
      );
    this.shape = body.shape;
    this.dtype = body.dtype;
    this.context = context;
    this.#body = body;
  }

  /** The number of elements. */
  get size(): number {
    return sizeOf(this.shape);
  }

  /** The number of axes. */
  get ndim(): number {
    return this.shape.length;
  }

  /** Whether the memory was given back, by `dispose()` or by the scope that made the array. */
  get isDisposed(): boolean {
    return this.#body === null && this.#remake === undefined;
  }

  /**
   * Gives the memory back now rather than whenever the garbage collector runs. Views of the same memory stay valid. A second call does nothing;
   * using the array afterwards throws.
   */
  dispose(): void {
    freeArray(this, undefined);
  }

  /** `{ using x = nd.ones([2]); … }` disposes at the end of the block. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  get [Symbol.toStringTag](): string {
    return 'NDArray';
  }

  static {
    makeArray = (context, device, storage, dtype, shape) => {
      const body = new Body(device, storage, dtype, shape);
      const array = new NDArray(internal, context, body);
      enter(array, body, currentScope());
      return array;
    };
    const secure = (): void => {
      for (const array of young) if (array.#body !== null) dropped.register(array, array.#body);
      young.length = 0;
    };
    const endTurn = (): void => {
      secure();
      hint();
    };
    const enter = (array: NDArray, body: Body, scope: Scope | null): void => {
      if (scope === null) {
        body.setUser(true);
        if (young.push(array) === 1) void Promise.resolve().then(endTurn);
        else if (young.length === MOST_YOUNG) secure();
      } else {
        scope.made.push(array);
        if (!scope.library) body.setUser(true);
      }
    };
    bodyOf = (array, op) => {
      if (!(array instanceof NDArray)) throw notAnArray(array, op);
      const body = array.#body ?? array.#remake?.();
      if (body === undefined) throw freedError(array, op, array.#freedBy);
      return body;
    };
    /** Gives an array a hold on what another one holds. */
    const share = (array: NDArray, from: Body, user: boolean): Body => {
      const body = new Body(from.device, from.storage, array.dtype, array.shape);
      body.setUser(user);
      array.#body = body;
      dropped.register(array, body);
      return body;
    };
    parkArray = (array, remake) => {
      const body = array.#body;
      if (body === null) return;
      array.#body = null;
      array.#remake = () => {
        const made = outsideScopes(remake);
        const again = share(array, made.#body as Body, true);
        array.#remake = undefined;
        made.dispose();
        return again;
      };
      body.release();
    };
    freeArray = (array, freedBy) => {
      if (array.isDisposed) return;
      array.#remake = undefined;
      array.#freedBy = freedBy;
      const body = array.#body;
      array.#body = null;
      body?.release();
    };
    escape = (array, scope) => {
      if (array.#body !== null) enter(array, array.#body, scope.outer);
    };
    holdArray = (array, op) => {
      const { device, storage, dtype, shape } = bodyOf(array, op);
      const held = makeHeld(array.context, device, storage, dtype, shape);
      held.#tape = array.#tape;
      return held;
    };
    makeHeld = (context, device, storage, dtype, shape) =>
      new NDArray(internal, context, new Body(device, storage, dtype, shape));
    wasWritten = (array) =>
      array.#body !== null && array.#body.version !== (array.#body.storage.version ?? 0);
    tapeOf = (array) => array.#tape;
    setTape = (array, value, onRelease) => {
      array.#tape = value;
      const body = array.#body;
      if (body === null) return;
      const before = body.onRelease;
      body.onRelease = onRelease;
      before?.();
    };
    adoptStorage = (array, source) => {
      const [before, from] = [array.#body, source.#body];
      if (before === null || from === null) return;
      // the same hold, so that the net below it stays one however often memory changes hands
      if (before.device === from.device) before.move(from.storage);
      else {
        share(array, from, before.user);
        before.release();
      }
    };
    setOwner = (array, owner) => array.#body?.setUser(owner === 'user');
  }
}

function notAnArray(value: unknown, op: string): ArgumentError {
  const advice =
    value instanceof Promise
      ? 'It is a Promise: await it first.'
      : typeof value === 'number' || Array.isArray(value) || ArrayBuffer.isView(value)
        ? 'Make one with nd.array(…).'
        : 'Pass an array made by nd.array(…).';
  return new ArgumentError(`expected an NDArray, received ${describe(value)}. ${advice}`, { op });
}

function freedError(array: NDArray, op: string, freedBy: (() => string) | undefined): ArgumentError {
  const text = `an array of shape ${shapeText(array.shape)} on ${array.context}`;
  return new ArgumentError(
    freedBy === undefined
      ? `expected an array in use, received ${text} that was disposed. Dispose it after its last use, or use a copy() made before.`
      : `expected an array in use, received ${text} that ${freedBy()} made and freed at its end. ` +
          'Return it from there, keep it by nd.keep(x), or store it in a field of your block.',
    { op },
  );
}

const kept = new WeakSet<NDArray>();

/**
 * Keeps an array that the running block call or `nd.scope` would free at its end. It is yours from then on: dispose it when done.
 *
 * @returns the same array
 * @example
 * class Net extends nn.Block {
 *   forward(x: NDArray) {
 *     hidden = nd.keep(this.body(x)); // `hidden` stays usable after net(x)
 *     return this.head(hidden);
 *   }
 * }
 */
export function keep<T extends NDArray>(array: T): T {
  bodyOf(array, 'keep');
  kept.add(array);
  return array;
}

/** Whether `keep` was called on an array. */
export function isKept(array: NDArray): boolean {
  return kept.has(array);
}

/** Lets a kept array out of a scope that is ending; false for one that nothing keeps. */
export function takeKept(array: NDArray, scope: Scope): boolean {
  if (!kept.has(array)) return false;
  escape(array, scope);
  return true;
}

/**
 * Every array in a value: itself, or within arrays, plain objects, Maps and Sets; in the public fields of other objects too where `visited` is given,
 * which notes those seen.
 */
export function arraysIn(
  value: unknown,
  found: Set<NDArray> = new Set(),
  depth = 0,
  visited?: Set<object>,
): Set<NDArray> {
  if (value instanceof NDArray) found.add(value);
  else if (depth < 8 && typeof value === 'object' && value !== null) {
    if (Array.isArray(value) || value instanceof Set)
      for (const item of value) arraysIn(item, found, depth + 1, visited);
    else if (value instanceof Map)
      for (const item of value.values()) arraysIn(item, found, depth + 1, visited);
    else {
      const prototype: unknown = Object.getPrototypeOf(value);
      const plain = prototype === Object.prototype || prototype === null;
      if (plain || (visited !== undefined && !visited.has(value) && !ArrayBuffer.isView(value))) {
        visited?.add(value);
        for (const item of Object.values(value)) arraysIn(item, found, depth + 1, visited);
      }
    }
  }
  return found;
}

/**
 * Runs `fn` and frees what it made, but what it returns, what `keep` was called on and what `survivors` names.
 * If `fn` throws, all of it is freed.
 */
export function runInScope<R>(
  label: () => string,
  library: boolean,
  fn: () => R,
  survivors?: () => Set<NDArray>,
): R {
  const scope = openScope(label, library);
  // one array is what most calls return: it needs no set
  let single: NDArray | undefined;
  let staying: Set<NDArray> | undefined;
  try {
    const result = fn();
    if (survivors !== undefined) staying = survivors();
    if (result instanceof NDArray) single = result;
    else staying = arraysIn(result, staying, 0, new Set());
    return result;
  } finally {
    leaveScope(scope);
    for (const array of scope.made as NDArray[]) {
      if (array === single || staying?.has(array) === true || kept.has(array)) escape(array, scope);
      else freeArray(array, label);
    }
  }
}
