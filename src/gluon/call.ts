// What happens when a block is called. The outermost call is a scope of memory: what was made inside is freed at its end, but results, arrays on
// fields of custom blocks, arrays that hooks saw, and what `nd.keep` names. Calls within calls only run.
import { arraysIn, type NDArray, runInScope } from '../array/ndarray.ts';
import {
  ArgumentError,
  ContextError,
  DeferredInitializationError,
  DTypeError,
  type ErrorDetails,
  GluonError,
  ShapeError,
} from '../core/errors.ts';
import { shapeText } from '../core/shape.ts';
import { slots } from '../ops/invoke.ts';
import { deferrals, internals } from './parameter.ts';
import { isTrial } from './quiet.ts';
import { type BlockState, paramsOf } from './state.ts';
import { contains, ownParameters } from './tree.ts';

/** One outermost call under way. */
interface Frame {
  readonly root: BlockState;
  innermost: BlockState;
  /** Custom blocks that ran: arrays on their fields stay. */
  readonly custom: Set<BlockState>;
  /** Arrays that hooks were given. */
  readonly handed: Set<NDArray>;
}

let frame: Frame | null = null;

/** Calls a block. */
export function callBlock(state: BlockState, inputs: unknown[]): unknown {
  if (frame !== null && state.parent !== frame.innermost) checkRegistered(state, frame);
  const { compiled } = state;
  // a replay makes its results and nothing else: no scope is needed
  if (compiled !== null && isCompiling() && state.preHooks.length + state.hooks.length === 0)
    if (slots.standIn === null && compiled.find(inputs)) return compiled.replay();
  return frame === null ? callOutermost(state, inputs) : run(state, inputs, frame);
}

/** Whether hybridized blocks compile now: not within one that is being recorded, nor while shapes are looked for. */
function isCompiling(): boolean {
  return slots.trace === null && !isTrial();
}

function callOutermost(state: BlockState, inputs: unknown[]): unknown {
  const opened: Frame = { root: state, innermost: state, custom: new Set(), handed: new Set() };
  frame = opened;
  try {
    return runInScope(
      state.label,
      true,
      () => run(state, inputs, opened),
      () => {
        for (const { block } of opened.custom)
          for (const value of Object.values(block)) arraysIn(value, opened.handed);
        return opened.handed;
      },
    );
  } finally {
    frame = null;
  }
}

function run(state: BlockState, inputs: unknown[], opened: Frame): unknown {
  const { block } = state;
  for (const hook of state.preHooks) {
    if (hook.keeps) arraysIn(inputs, opened.handed);
    hook.run(block, inputs);
  }
  if (state.checked !== deferrals) finishDeferred(state, inputs);
  if (state.custom) opened.custom.add(state);
  const output = compute(state, inputs, opened);
  if (output instanceof Promise) refuseAsync(state, output);
  for (const hook of state.hooks) {
    if (hook.keeps) {
      arraysIn(inputs, opened.handed);
      arraysIn(output, opened.handed);
    }
    hook.run(block, inputs, output);
  }
  return output;
}

/** The forward: by a program, or by its operations. */
function compute(state: BlockState, inputs: unknown[], opened: Frame): unknown {
  const { compiled } = state;
  if (compiled === null || !isCompiling()) return forward(state, inputs, opened);
  if (slots.standIn === null && state.preHooks.length + state.hooks.length > 0 && compiled.find(inputs))
    return compiled.replay();
  return compiled.first(inputs, () => forward(state, inputs, opened));
}

function forward(state: BlockState, inputs: unknown[], opened: Frame): unknown {
  const outer = opened.innermost;
  const before = slots.trace?.enter(state.name);
  opened.innermost = state;
  try {
    return state.block.forward(...(inputs as never[]));
  } catch (error) {
    throw state.leaf ? asErrorOf(state, error) : error;
  } finally {
    opened.innermost = outer;
    if (before !== undefined) slots.trace?.enter(before);
  }
}

/** Fills in the shapes of this block's own parameters that wait for a first batch. */
function finishDeferred(state: BlockState, inputs: unknown[]): void {
  if (typeof (state.block.forward as unknown) !== 'function')
    throw new ArgumentError(
      'expected a class with a method forward(x), received one without. Add it to the class.',
      { op: state.className },
    );
  const waiting = [...ownParameters(state.block).values()].filter((p) => internals.isDeferred(p));
  if (waiting.length > 0) {
    state.inferring = true;
    try {
      state.block.inferShape(...(inputs as never[]));
    } catch (error) {
      throw state.leaf ? asErrorOf(state, error) : error;
    } finally {
      state.inferring = false;
    }
    const left = waiting.find((p) => internals.isDeferred(p));
    if (left !== undefined)
      throw new DeferredInitializationError(
        `expected inferShape(x) to fill in the shape of ${left.name}, received ${shapeText(left.shape)} after it ran. ` +
          'Override inferShape in the class and set parameter.shape there, or give the whole shape.',
        { op: state.className },
      );
  }
  state.checked = deferrals;
}

/** An error of an operation that a layer ran, as the layer's own. */
function asErrorOf(state: BlockState, error: unknown): unknown {
  if (!(error instanceof GluonError) || error.op === undefined || !/^[a-z][A-Za-z0-9]*$/.test(error.op))
    return error;
  const known = [ShapeError, DTypeError, ContextError, ArgumentError];
  const type = known.find((t) => error.constructor === t);
  if (type === undefined || paramsOf(state).has(error.op)) return error;
  const prefix = `[${error.op}] `;
  const text = error.message.startsWith(prefix) ? error.message.slice(prefix.length) : error.message;
  const Type: new (message: string, details: ErrorDetails) => GluonError = type;
  return new Type(text, { op: state.className, cause: error });
}

function refuseAsync(state: BlockState, output: Promise<unknown>): never {
  output.catch(() => undefined);
  throw new ArgumentError(
    'expected forward to return arrays, received a Promise. forward runs at once: read values after the call, with await outside of it.',
    { op: state.className },
  );
}

/** Pairs of a running class and a class it ran unregistered: each is told once. */
const told = new WeakMap<BlockState, Set<string>>();

/** Warns of a block that runs inside another without being a part of it, for nothing that walks the tree would see it. */
function checkRegistered(state: BlockState, opened: Frame): void {
  const running = opened.innermost;
  state.parent = running;
  if (state.parents.has(running)) return;
  state.parents.add(running);
  if (!contains(running, state) && !contains(opened.root, state)) {
    const kinds = told.get(running) ?? new Set<string>();
    told.set(running, kinds);
    if (!kinds.has(state.className)) {
      kinds.add(state.className);
      console.warn(
        `[${running.className}] ${running.name} runs ${state.name} (${state.className}), which is not registered with it, so initialize(), collectParams() and saveParameters() of ${running.name} pass it by. ` +
          'Keep it in a public field of the block or in a Sequential (not in a #private field or a plain array), or call this.registerChild(block).',
      );
    }
  }
}
