// `debug(…)`: modes for finding mistakes, which cost time.
import { bodyOf, type NDArray } from '../array/ndarray.ts';
import { callSiteOf, debugState } from '../core/debug.ts';
import { isFloat } from '../core/dtype.ts';
import { shapeText } from '../core/shape.ts';
import { booleanArg, readArgs } from '../ops/args.ts';
import { slots } from '../ops/invoke.ts';
import type { Op } from '../ops/op.ts';
import { data, readNow } from './reading.ts';

/** Modes of `debug`. */
export interface DebugOptions {
  /** Errors that a GPU reports later name the line that called the operation. Costs a stack (2–4 µs) for each call. */
  readonly callSites?: boolean | undefined;
  /** Watches every result for NaN and says once, on the console, which operation made the first. Reads every result. */
  readonly nan?: boolean | undefined;
}

let told = false;

function hasNaN(values: ArrayLike<number>): boolean {
  for (let i = 0; i < values.length; i++) if (Number.isNaN(values[i])) return true;
  return false;
}

function tell(op: string, shapes: string, output: NDArray, site: string): void {
  if (told) return;
  told = true;
  console.warn(
    `[${op}] expected numbers, received the first NaN in a result of shape ${shapeText(output.shape)} from ${shapes === '' ? 'no inputs' : `inputs ${shapes}`}${site === '' ? '' : ` ${site}`}. ` +
      'Look for log or sqrt of negative numbers, 0/0 or values that overflowed before. Said once; call debug({ nan: true }) to be told again.',
  );
}

function watch(op: Op<never>, inputs: readonly NDArray[], outputs: readonly NDArray[]): void {
  if (told) return;
  const shapes = inputs.map((x) => shapeText(x.shape)).join(', ');
  const { site } = debugState;
  for (const y of outputs) {
    if (!isFloat(y.dtype) || bodyOf(y, 'debug').shape.includes(0)) continue;
    const now = readNow(y, 'debug');
    if (now !== undefined) {
      if (hasNaN(now)) tell(op.name, shapes, y, site);
    } else
      data(y).then(
        (values) => {
          if (hasNaN(values)) tell(op.name, shapes, y, site);
        },
        () => undefined,
      );
  }
}

/** Where this module lies, as a stack that begins here writes it, without its file: the folder of the sources or of the built library. */
function homeIn(stack: string | undefined): string {
  const file = /(?:\(|at |@)((?:[a-z-]+:)?[^\s()]*\/)[^/\s]+:\d+:\d+\)?$/m.exec(stack ?? '');
  return file?.[1]?.replace(/(?:nd|chunks)\/$/, '') ?? import.meta.url;
}

let home: string | undefined;

function currentSite(): string {
  const holder = Error as { stackTraceLimit?: number };
  const before = holder.stackTraceLimit;
  holder.stackTraceLimit = 40;
  const { stack } = new Error();
  if (before !== undefined) holder.stackTraceLimit = before;
  home ??= homeIn(stack);
  const own = home;
  return callSiteOf(stack, (line) => line.includes(own));
}

/**
 * Turns on what costs time: `callSites` and `nan`. `debug()` or `debug({})` turns everything off.
 *
 * @example
 * debug({ nan: true });
 * nd.array([-1]).log(); // the console names the operation: [log] …
 */
export function debug(options?: DebugOptions): void {
  const values = readArgs('debug', [options], [], ['callSites', 'nan']);
  debugState.callSites = booleanArg('debug', values, 'callSites', false);
  debugState.site = '';
  told = false;
  slots.debug =
    debugState.callSites || values['nan'] === true
      ? {
          calling: () => {
            debugState.site = debugState.callSites ? currentSite() : '';
          },
          invoked: booleanArg('debug', values, 'nan', false)
            ? (op, inputs, _attrs, outputs) => watch(op as unknown as Op<never>, inputs, outputs)
            : () => undefined,
        }
      : null;
}
