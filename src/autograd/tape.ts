// The tape: what operations were called under `record`, and what their gradients will read. It hangs on the arrays: an output refers to the call that made
// it, a call to those that made its inputs; nothing global holds it, so a tape that nobody can reach any more is garbage.
import { bodyOf, holdArray, makeArray, type NDArray, setTape, tapeOf, wasWritten } from '../array/ndarray.ts';
import { isFloat } from '../core/dtype.ts';
import { AutogradError } from '../core/errors.ts';
import { shapeText } from '../core/shape.ts';
import { slots } from '../ops/invoke.ts';
import type { Keeps, Op, TensorType } from '../ops/op.ts';
import { type GradReq, isRecording } from './mode.ts';

/** An array that a gradient was asked for. */
export interface Variable {
  readonly kind: 'variable';
  gradReq: GradReq;
  /** Made when first needed. */
  grad: NDArray | null;
  /** Whether the gradient's memory stays where it is: `backward` copies into it rather than giving it another. */
  fixed: boolean;
  /** Whether `backward` has written the gradient since a Trainer's last step. */
  fresh: boolean;
  readonly type: TensorType;
}

/** One recorded call. */
export interface TapeNode {
  /** Counts up: a call comes after those that made its inputs. */
  readonly id: number;
  readonly op: Op<unknown>;
  readonly attrs: unknown;
  /** Where the inputs come from; null for constants. */
  readonly sources: readonly (Place | null)[];
  readonly inputTypes: readonly TensorType[];
  readonly outputTypes: readonly TensorType[];
  /** Handles of the tape's own on what the gradient reads. */
  readonly inputs: (NDArray | null)[];
  readonly outputs: (NDArray | null)[];
  /** Handles on what a user's function saved. */
  readonly saved: NDArray[];
  /** Backward has run and freed what was kept. */
  done: boolean;
  /** How many arrays and calls can lead a backward here; what the call keeps goes with the last. */
  holders: number;
}

/** Where an array comes from. */
export interface Place {
  readonly node: TapeNode | null;
  readonly index: number;
  readonly variable: Variable | null;
}

let lastId = 0;

/** Where an array comes from, as far as gradients know. */
export function placeOf(array: NDArray): Place | null {
  return (tapeOf(array) as Place | undefined) ?? null;
}

/** Marks an array as one whose gradient is wanted. */
export function setVariable(array: NDArray, gradReq: GradReq): Variable {
  const { shape, dtype } = array;
  const variable: Variable = {
    kind: 'variable',
    gradReq,
    grad: null,
    fixed: false,
    fresh: false,
    type: { shape, dtype },
  };
  setTape(array, { node: null, index: 0, variable } satisfies Place);
  return variable;
}

/** Throws if an array that the tape keeps was written into since. */
export function checkUnchanged(held: NDArray, op: string): void {
  if (!wasWritten(held)) return;
  throw new AutogradError(
    `expected arrays that the gradient of ${op} reads as they were at the call, received one of shape ${shapeText(held.shape)} that was written in place since. ` +
      'Write into a copy(), or after backward.',
    { op: 'backward' },
  );
}

/** Another handle on the same memory, of the scope that runs, at the same place of the tape. */
export function sameArray(array: NDArray, op: string): NDArray {
  const { device, storage, dtype, shape } = bodyOf(array, op);
  const alias = makeArray(array.context, device, storage, dtype, shape);
  const place = placeOf(array);
  if (place !== null) put(alias, place);
  return alias;
}

function typeOf({ shape, dtype }: NDArray): TensorType {
  return { shape, dtype };
}

export function nodeFor<A>(
  op: Op<A>,
  attrs: A,
  inputs: readonly NDArray[],
  sources: readonly (Place | null)[],
  outputs: readonly NDArray[],
): TapeNode {
  for (const source of sources) if (source?.node != null) source.node.holders++;
  return {
    id: ++lastId,
    op: op as unknown as Op<unknown>,
    attrs,
    sources,
    inputTypes: inputs.map(typeOf),
    outputTypes: outputs.map(typeOf),
    inputs: [],
    outputs: [],
    saved: [],
    done: false,
    holders: 0,
  };
}

/** Notes on an array where it comes from. */
export function put(array: NDArray, place: Place): void {
  const { node } = place;
  if (node === null) {
    setTape(array, place);
    return;
  }
  node.holders++;
  setTape(array, place, () => leave(node));
}

/** One that could lead a backward to a call is gone. */
export function leave(from: TapeNode): void {
  const stack = [from];
  for (let node = stack.pop(); node !== undefined; node = stack.pop()) {
    if (--node.holders > 0) continue;
    release(node);
    for (const source of node.sources) if (source?.node != null) stack.push(source.node);
  }
}

/** Puts a call on the tape. `saved` is kept besides what the record names. */
export function recordCall<A>(
  op: Op<A>,
  inputs: readonly NDArray[],
  attrs: A,
  outputs: readonly NDArray[],
  saved: readonly NDArray[] = [],
): TapeNode | null {
  if (!isRecording() || op.grad == null) return null;
  const sources = inputs.map(placeOf);
  if (sources.every((s) => s === null) || !outputs.some((y) => isFloat(y.dtype))) return null;
  const keeps = keepsOf(op, attrs, (i) => sources[i] != null);
  const held = (arrays: readonly NDArray[], kept: readonly number[] = []): (NDArray | null)[] =>
    arrays.map((x, i) => (kept.includes(i) ? holdArray(x, op.name) : null));
  const node = nodeFor(op, attrs, inputs, sources, outputs);
  node.inputs.push(...held(inputs, keeps.inputs));
  outputs.forEach((y, index) => {
    if (isFloat(y.dtype)) put(y, { node, index, variable: null });
  });
  node.outputs.push(...held(outputs, keeps.outputs));
  node.saved.push(...saved.map((x) => holdArray(x, op.name)));
  return node;
}

function keepsOf<A>({ keeps }: Op<A>, attrs: A, wants: (i: number) => boolean): Keeps {
  return (typeof keeps === 'function' ? keeps(attrs, wants) : keeps) ?? {};
}

/** Gives back what a call kept for its gradient. */
export function release(node: TapeNode): void {
  node.done = true;
  for (const kept of [node.inputs, node.outputs, node.saved]) {
    for (const array of kept) array?.dispose();
    kept.length = 0;
  }
}

// A call in place may go on the tape as long as it leaves what others read alone: its target is new to the tape, and no gradient reads what stood there.
function refuseWrite(name: string, target: NDArray, op?: Op<never>, inputs: readonly NDArray[] = []): void {
  if (!isRecording()) return;
  const written = placeOf(target);
  if (written === null) {
    const sources = inputs.map(placeOf);
    if (sources.every((s) => s === null)) return;
    const keeps = op && keepsOf(op, undefined as never, (i) => sources[i - 1] != null);
    if (op?.grad != null && keeps?.inputs?.includes(0) !== true) return;
  }
  throw new AutogradError(
    `expected a new array while recording, received a write into an array ${written === null ? '' : 'on the tape '}of shape ${shapeText(target.shape)}, through which no gradient could flow. ` +
      'Use the form that makes a new array (add for iadd, where or concat for set), or write inside autograd.pause(…).',
    { op: name },
  );
}

slots.tape = { invoked: recordCall, writing: refuseWrite };
