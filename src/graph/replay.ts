// A trace run again through the waist, operation by operation: under the tape to find gradients through it, on stand-ins to trace those, or plainly to compare a compiled
// program with. Not the way that compiled calls run.
import type { NDArray } from '../array/ndarray.ts';
import { isRecording, setRecording } from '../autograd/mode.ts';
import { arrayFromBytes, invoke, invokeAll, invokeInto } from '../ops/invoke.ts';
import { copy } from '../ops/moves.ts';
import { viewOp } from '../ops/views.ts';
import type { Trace, TraceRef, TraceStep } from './trace.ts';

/** The steps that results need: values that are fed are not computed. */
function neededSteps(trace: Trace, fed: (ref: TraceRef) => boolean): Set<TraceStep> {
  const found = new Set<TraceStep>();
  const [arrays, values] = [new Set<number>(), new Set<number>()];
  const need = (refs: readonly TraceRef[]): void => {
    for (const { array, value } of refs) {
      arrays.add(array);
      values.add(value);
    }
  };
  need(trace.results);
  for (let i = trace.steps.length - 1; i >= 0; i--) {
    const step = trace.steps[i] as TraceStep;
    if (step.kind === 'update') continue;
    const isView = step.kind === 'function' || step.op.run === null;
    if (!step.outputs.some((y) => (isView ? arrays.has(y.array) : values.has(y.value)))) continue;
    found.add(step);
    if (!isView && step.outputs.every(fed)) continue;
    need(step.inputs);
    if (step.kind === 'function') need(step.saved);
  }
  return found;
}

export interface ReplayOptions {
  /** Runs every step, those that write into externals too; otherwise only what the results need, and externals stay as they are. */
  readonly writes?: boolean | undefined;
}

/**
 * Runs a trace again and gives its results. `feed` gives the arrays of values: those of arguments, and of those that are not to be computed (what was drawn); externals
 * that it does not give are the trace's own. Optimizer steps are passed over.
 */
export function replay(
  trace: Trace,
  feed: (value: number) => NDArray | undefined,
  { writes = false }: ReplayOptions = {},
): NDArray[] {
  const arrays = new Map<number, NDArray>();
  const holders = new Map<number, NDArray>();
  const outside = new Set<number>();
  const recording = isRecording();
  const put = ({ array, value }: TraceRef, given: NDArray): void => {
    arrays.set(array, given);
    holders.set(value, given);
  };
  const given = (ref: TraceRef): NDArray => {
    const known = arrays.get(ref.array);
    if (known !== undefined) return known;
    const bytes = trace.constants.get(ref.value);
    if (bytes === undefined) throw new Error(`the replay of ${trace.name} lacks value ${ref.value}`);
    const made = arrayFromBytes(trace.context, ref.dtype, ref.shape, bytes, trace.name);
    put(ref, made);
    return made;
  };
  for (const { array, ref } of trace.externals) {
    const own = feed(ref.value) ?? array;
    if (own !== null && own !== undefined) put(ref, own);
    outside.add(ref.value);
  }
  const inner = new Set(trace.externals.map(({ ref }) => ref.value));
  const fed = ({ value }: TraceRef): boolean => !inner.has(value) && feed(value) !== undefined;
  const needed = writes ? null : neededSteps(trace, fed);
  // the forward of a function with a gradient of its own is not recorded
  const silent = new Set<TraceStep>();
  for (const [i, step] of trace.steps.entries())
    if (step.kind === 'function')
      for (let k = step.first; k < i; k++) silent.add(trace.steps[k] as TraceStep);
  try {
    for (const step of trace.steps) {
      if (step.kind === 'update' || needed?.has(step) === false) continue;
      if (step.kind === 'function') {
        setRecording(false);
        for (const y of step.outputs)
          if (!arrays.has(y.array))
            put(y, invoke(viewOp, [holders.get(y.value) as NDArray], { shape: y.shape }));
        setRecording(recording && !silent.has(step));
        step.record(step.inputs.map(given), step.outputs.map(given), step.saved.map(given));
        continue;
      }
      if (step.op.run !== null && step.outputs.every(fed)) {
        for (const y of step.outputs) put(y, feed(y.value) as NDArray);
        continue;
      }
      const inputs = step.inputs.map(given);
      setRecording(recording && step.recorded && !silent.has(step));
      if (step.inPlace) {
        const [to, ...from] = inputs as [NDArray, ...NDArray[]];
        const [before] = step.inputs as [TraceRef];
        const target = !writes && outside.has(before.value) ? copy(to) : to;
        put(step.outputs[0] as TraceRef, invokeInto(step.op, target, from, step.attrs));
      } else
        invokeAll(step.op, inputs, step.attrs, trace.context).forEach((y, i) => {
          put(step.outputs[i] as TraceRef, y);
        });
    }
    return trace.results.map(given);
  } finally {
    setRecording(recording);
  }
}
