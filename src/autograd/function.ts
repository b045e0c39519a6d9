// Custom differentiable functions: a forward of any kind with a gradient of the user's own.
import { bodyOf, NDArray, runInScope } from '../array/ndarray.ts';
import { AutogradError, ShapeError } from '../core/errors.ts';
import { describe, sameShape, shapeText } from '../core/shape.ts';
import { type FunctionCall, slots } from '../ops/invoke.ts';
import type { Op } from '../ops/op.ts';
import { setRecording } from './mode.ts';
import { checkUnchanged, recordCall, sameArray, type TapeNode } from './tape.ts';

type Arrays = NDArray | readonly NDArray[];

function toList(value: unknown, op: string): NDArray[] {
  const list = value instanceof NDArray ? [value] : value;
  if (!Array.isArray(list))
    throw new AutogradError(
      `expected an array or a list of arrays, received ${describe(value)}. Return NDArrays.`,
      { op },
    );
  for (const x of list) bodyOf(x as NDArray, op);
  return list as NDArray[];
}

/** What each function saved: as given during `forward`, then on the tape until backward has run. */
const saved = new WeakMap<Function, { list: readonly NDArray[]; node: TapeNode | null }>();

/** Makes an instance callable: `new Sigmoid()(x)`. */
class Callable {
  constructor() {
    const call = (...inputs: NDArray[]): unknown => apply(call as unknown as Function, inputs);
    Reflect.deleteProperty(call, 'name');
    Reflect.deleteProperty(call, 'length');
    Object.setPrototypeOf(call, new.target.prototype as object);
    // biome-ignore lint/correctness/noConstructorReturn: an instance is a closure with its class's prototype, as blocks are
    return call as unknown as this;
  }
}

/** Called like a function, with the types of its own `forward`. */
export interface Function {
  (...inputs: Parameters<this['forward']>): ReturnType<this['forward']>;
}

/**
 * A differentiable function whose gradient you write. `forward` runs unrecorded; what `backward` needs is named by `saveForBackward`.
 * One instance serves one call, as in Gluon.
 *
 * @example
 * class Sigmoid extends autograd.Function {
 *   forward(x: NDArray): NDArray {
 *     const y = nd.sigmoid(x);
 *     this.saveForBackward(y);
 *     return y;
 *   }
 *   backward(dy: NDArray): NDArray {
 *     const [y] = this.savedTensors;
 *     return dy.mul(y).mul(y.rsub(1));
 *   }
 * }
 * const y = autograd.record(() => new Sigmoid()(x));
 */
export abstract class Function extends Callable {
  /** The value. Any number of arrays in, one or a list out. */
  abstract forward(...inputs: NDArray[]): Arrays;

  /** The gradients by the inputs, in their order, from those by the outputs. */
  abstract backward(...outputGrads: NDArray[]): Arrays;

  /** Keeps arrays for `backward`. */
  saveForBackward(...arrays: NDArray[]): void {
    for (const x of arrays) bodyOf(x, 'saveForBackward');
    saved.set(this, { list: arrays, node: null });
  }

  /** What `saveForBackward` was given. */
  get savedTensors(): readonly NDArray[] & {
    readonly 0: NDArray;
    readonly 1: NDArray;
    readonly 2: NDArray;
    readonly 3: NDArray;
  } {
    const { list, node } = saved.get(this) ?? { list: [], node: null };
    if (node !== null) for (const x of node.saved) checkUnchanged(x, node.op.name);
    return (node?.saved ?? list) as unknown as Function['savedTensors'];
  }
}

function apply(f: Function, inputs: NDArray[]): unknown {
  const name = f.constructor.name || 'Function';
  for (const x of inputs) bodyOf(x, name);
  const recording = setRecording(false);
  const mark = slots.trace?.mark() ?? 0;
  let result: Arrays;
  try {
    result = runInScope(
      () => name,
      true,
      () => {
        let y = f.forward(...inputs);
        let outputs = toList(y, name);
        if (!recording) return y;
        // an input handed on is an array of its own from here
        if (outputs.some((o) => inputs.includes(o))) {
          outputs = outputs.map((o) => (inputs.includes(o) ? sameArray(o, name) : o));
          y = y instanceof NDArray ? (outputs[0] as NDArray) : outputs;
        }
        setRecording(true);
        const list = saved.get(f)?.list ?? [];
        record(f, name, inputs, outputs, list);
        slots.trace?.called({
          name,
          mark,
          inputs,
          outputs,
          saved: list,
          record: recorderOf(f, name),
        });
        return y;
      },
    );
  } finally {
    setRecording(recording);
  }
  return result;
}

/** What a recorder keeps of a call. Made apart from it, so that it keeps none of its arrays alive. */
function recorderOf(f: Function, name: string): FunctionCall['record'] {
  return (inputs, outputs, list) => record(f, name, inputs, outputs, list);
}

function record(
  f: Function,
  name: string,
  inputs: readonly NDArray[],
  outputs: readonly NDArray[],
  list: readonly NDArray[],
): void {
  const call: { node: TapeNode | null } = { node: null };
  call.node = recordCall(recordOf(f, name, inputs.length, outputs.length, call), inputs, {}, outputs, list);
  saved.set(f, { list: [], node: call.node });
}

/** The record of one call. Holds no arrays, so that it keeps none alive. */
function recordOf(
  f: Function,
  name: string,
  inputs: number,
  outputs: number,
  call: { readonly node: TapeNode | null },
): Op<object> {
  return {
    name,
    family: 'custom',
    infer: (types) => types,
    run: null,
    grad: (c) => {
      const above = Array.from({ length: outputs }, (_, i) => c.dy(i));
      // a compiled net records the same instance again: what this call saved is this call's
      saved.set(f, { list: [], node: call.node });
      const gradients = toList(f.backward(...above), name);
      if (gradients.length !== inputs)
        throw new AutogradError(
          `expected backward to return ${inputs} gradients, one for each input, received ${gradients.length}. Return them in the inputs' order.`,
          { op: name },
        );
      return gradients.map((g, i) => {
        if (!sameShape(g.shape, c.xType(i).shape))
          throw new ShapeError(
            `expected the gradient by input ${i} of shape ${shapeText(c.xType(i).shape)}, received ${shapeText(g.shape)}. A gradient has its input's shape.`,
            { op: name },
          );
        return g;
      });
    },
  };
}
