// Every error the library throws. One form for all messages, so that a reader finds the three facts in the same place:
//   [op or block name] expected …, received … . What to do.

/** Facts that travel with an error beside its message. */
export interface ErrorDetails {
  /** The operation, block or function that refused. */
  readonly op?: string | undefined;
  /** The underlying failure, where there is one. */
  readonly cause?: unknown;
}

/** V8's own setting; elsewhere stacks are whole. */
const stacks = Error as { stackTraceLimit?: number };
const DEEP = 50;

/**
 * V8 keeps ten frames, fewer than lie between a check in a nested block and the caller's line: while one of our errors is made it keeps more.
 * Gives the setting to restore, or undefined where there is nothing to restore: no V8, stacks turned off, or deep enough already.
 */
function deepenStacks(): number | undefined {
  const limit = stacks.stackTraceLimit;
  if (typeof limit !== 'number' || limit === 0 || limit >= DEEP) return undefined;
  if (Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit')?.writable !== true) return undefined;
  stacks.stackTraceLimit = DEEP;
  return limit;
}

/**
 * The base of all errors of the library: `catch (e) { if (e instanceof GluonError) … }`.
 * `code` is stable and short (`'SHAPE'`), `op` names what refused, `cause` holds the underlying failure.
 */
export class GluonError extends Error {
  /** A stable short word for programs to test, e.g. `'SHAPE'`. */
  readonly code: string;
  /** The operation, block or function that refused. */
  readonly op: string | undefined;

  constructor(message: string, details: ErrorDetails = {}) {
    const limit = deepenStacks();
    super(
      details.op === undefined ? message : `[${details.op}] ${message}`,
      details.cause === undefined ? undefined : { cause: details.cause },
    );
    if (limit !== undefined) stacks.stackTraceLimit = limit;
    this.op = details.op;
    // NotInitializedError: NOT_INITIALIZED
    this.code = this.name
      .replace(/Error$/, '')
      .replace(/[a-z](?=[A-Z])/g, '$&_')
      .toUpperCase();
  }

  static {
    this.prototype.name = 'GluonError';
  }
}

/** A shape, axis, index or size that does not fit. */
export class ShapeError extends GluonError {
  static {
    this.prototype.name = 'ShapeError';
  }
}

/** A dtype that the operation or the device does not take. */
export class DTypeError extends GluonError {
  static {
    this.prototype.name = 'DTypeError';
  }
}

/** Arrays of different contexts met, or a context cannot do what was asked. */
export class ContextError extends GluonError {
  static {
    this.prototype.name = 'ContextError';
  }
}

/** A parameter was read whose shape waits for the first forward. */
export class DeferredInitializationError extends GluonError {
  static {
    this.prototype.name = 'DeferredInitializationError';
  }
}

/** A parameter was read before `initialize()`. */
export class NotInitializedError extends GluonError {
  static {
    this.prototype.name = 'NotInitializedError';
  }
}

/** Recording, gradients and what they forbid. */
export class AutogradError extends GluonError {
  static {
    this.prototype.name = 'AutogradError';
  }
}

/** Bytes that are not what their format says. */
export class FormatError extends GluonError {
  static {
    this.prototype.name = 'FormatError';
  }
}

/** There is no usable GPU; the message says why. */
export class GpuUnavailableError extends GluonError {
  static {
    this.prototype.name = 'GpuUnavailableError';
  }
}

/** The GPU went away while its arrays were in use. */
export class DeviceLostError extends GluonError {
  static {
    this.prototype.name = 'DeviceLostError';
  }
}

/** A device could not give the bytes that were asked for. */
export class OutOfMemoryError extends GluonError {
  static {
    this.prototype.name = 'OutOfMemoryError';
  }
}

/** A file or URL could not be read. */
export class LoadError extends GluonError {
  /** What was asked for, where it was a URL. */
  readonly url: string | undefined;
  /** The HTTP status of an answer that was not ok. */
  readonly status: number | undefined;

  constructor(
    message: string,
    details: ErrorDetails & { readonly url?: string | undefined; readonly status?: number | undefined } = {},
  ) {
    super(message, details);
    this.url = details.url;
    this.status = details.status;
  }
  static {
    this.prototype.name = 'LoadError';
  }
}

/** An argument that is none of the above: an unknown option, a wrong kind of value, an array that was freed. */
export class ArgumentError extends GluonError {
  static {
    this.prototype.name = 'ArgumentError';
  }
}
