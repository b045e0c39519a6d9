// `warmup`: a hybridized net's programs made before its first call, by one forward over stand-ins, in which nothing is computed, drawn or written.
import { type NDArray, runInScope } from '../../array/ndarray.ts';
import { setRecording, setTraining } from '../../autograd/mode.ts';
import { placeOf, setVariable } from '../../autograd/tape.ts';
import { type Context, checkContext, currentContext } from '../../core/context.ts';
import { checkDType, type DType } from '../../core/dtype.ts';
import { ArgumentError } from '../../core/errors.ts';
import { describe, toShape } from '../../core/shape.ts';
import { StandIns } from '../../graph/standIn.ts';
import { booleanArg, checkOptions } from '../../ops/args.ts';
import { callBlock } from '../call.ts';
import { internals } from '../parameter.ts';
import { type BlockState, stateOf } from '../state.ts';
import { ownParameters, walk } from '../tree.ts';
import { Programs, warm } from './programs.ts';

/** The shape of an input, or a list of what stands for the arrays of a list; null for an input left out. */
export type WarmupShape = readonly number[] | readonly WarmupShape[] | null;

/** Options of `warmup`. */
export interface WarmupOptions {
  /** Also makes the programs of training: a recorded forward in training mode, and its backward. */
  readonly training?: boolean | undefined;
  /** The dtype of the inputs, or of each; float32 by default. */
  readonly dtype?: DType | readonly DType[] | undefined;
  /** Where inputs will be; where the parameters are by default. */
  readonly ctx?: Context | undefined;
  readonly onProgress?:
    | ((progress: { readonly done: number; readonly total: number; readonly unit: 'programs' }) => void)
    | undefined;
  readonly signal?: AbortSignal | undefined;
}

const OPTIONS = ['training', 'dtype', 'ctx', 'onProgress', 'signal'];

/** Stand-ins that stand on the tape where the arrays that they stand for do. */
class OnTape extends StandIns {
  override of(array: NDArray): NDArray {
    const standIn = super.of(array);
    const variable = placeOf(array)?.variable;
    if (variable != null && placeOf(standIn) === null) setVariable(standIn, variable.gradReq);
    return standIn;
  }
}

function inputOf(op: string, given: unknown, dtype: DType, standIns: StandIns): unknown {
  if (given === null) return null;
  if (!Array.isArray(given))
    throw new ArgumentError(
      `expected a list of shapes, one for each input, received ${describe(given)} among them. Write await net.warmup([[1, 1, 28, 28]]).`,
      { op },
    );
  return given.length > 0 && given.every((part) => part === null || Array.isArray(part))
    ? given.map((part) => inputOf(op, part, dtype, standIns))
    : standIns.make(toShape(given as readonly number[], op), dtype);
}

function homeOf(state: BlockState): Context {
  let found: Context | undefined;
  walk(state.block, (block) => {
    for (const parameter of ownParameters(block).values()) found ??= internals.contextsOf(parameter)?.[0];
  });
  return found ?? currentContext();
}

/** Makes the programs of a net for inputs of these shapes. */
export async function warmUp(
  state: BlockState,
  shapes: readonly WarmupShape[],
  options: WarmupOptions = {},
): Promise<void> {
  const op = `${state.className}.warmup`;
  checkOptions(op, options, OPTIONS);
  const training = booleanArg(op, { training: options.training }, 'training', false);
  const ctx = options.ctx === undefined ? homeOf(state) : checkContext(options.ctx, op);
  if (!Array.isArray(shapes))
    throw new ArgumentError(
      `expected a list of shapes, one for each input, received ${describe(shapes)}. Write await net.warmup([[1, 1, 28, 28]]).`,
      { op },
    );
  const dtypes = shapes.map((_, i) => {
    const { dtype } = options;
    return checkDType((Array.isArray(dtype) ? dtype[i] : dtype) ?? 'float32', op);
  });
  if (!state.hybrid.active)
    throw new ArgumentError(
      'expected a hybridized net, received one that is not. Call net.hybridize() first.',
      {
        op,
      },
    );
  const { signal, onProgress } = options;
  for (const recording of training ? [false, true] : [false]) {
    signal?.throwIfAborted();
    const standIns = recording ? new OnTape(ctx, op) : new StandIns(ctx, op);
    const before = [setRecording(recording), setTraining(recording)] as const;
    try {
      runInScope(
        () => op,
        true,
        () => {
          const inputs = shapes.map((shape, i) => inputOf(op, shape, dtypes[i] as DType, standIns));
          warm(standIns, () => callBlock(state, inputs));
        },
      );
    } finally {
      setRecording(before[0]);
      setTraining(before[1]);
    }
    // lets a page breathe between the two
    await Promise.resolve();
  }
  const caches: Programs[] = [];
  walk(state.block, (block) => {
    const { compiled } = stateOf(block);
    if (compiled instanceof Programs && !caches.includes(compiled)) caches.push(compiled);
  });
  const total = caches.reduce((sum, cache) => sum + cache.size, 0);
  let done = 0;
  const ready = caches.map((cache) =>
    cache.ready(() => {
      done++;
      if (signal?.aborted !== true) onProgress?.({ done, total, unit: 'programs' });
    }),
  );
  await unlessAborted(Promise.all(ready), signal);
}

/** Waits, but no longer than until an abort, with whose reason it rejects. */
function unlessAborted(work: Promise<unknown>, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal?.reason);
    if (signal?.aborted === true) abort();
    signal?.addEventListener('abort', abort);
    work.then(() => resolve(), reject).finally(() => signal?.removeEventListener('abort', abort));
  });
}
