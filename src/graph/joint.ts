// Forward and backward as one trace: the forward replayed on stand-ins under the tape, then autograd's own run back over it. Nothing is computed; what the backward reads of the
// forward is what has to be kept.
import { type NDArray, runInScope } from '../array/ndarray.ts';
import { run } from '../autograd/backward.ts';
import { setRecording, setTraining } from '../autograd/mode.ts';
import { placeOf, setVariable } from '../autograd/tape.ts';
import { replay } from './replay.ts';
import { StandIns } from './standIn.ts';
import { Recorder, type Trace, type TraceRef } from './trace.ts';

export interface Joint {
  /** Its first externals are those of the forward's trace, in their order; its results and writes are the forward's. Values up to `split` have the same numbers for all `wants` and `given`. */
  readonly trace: Trace;
  /** The step at which the backward begins. */
  readonly split: number;
  /** By result: the gradient by it, which the backward is given; null where none flows, or none is given. */
  readonly heads: readonly (TraceRef | null)[];
  /** By external: the gradient by it; null where it is not wanted, or there is none. */
  readonly gradients: readonly (TraceRef | null)[];
  /** Values that are there before `split` (externals' too), and that the backward reads. */
  readonly saved: readonly number[];
}

/**
 * A trace with its gradients.
 * @param wants by external: whether the gradient by it is wanted
 * @param training the mode of the call
 * @param given by result: whether the gradient by it is given; all by default
 * @throws AutogradError as the backward would: for values that were written in place after they were read
 */
export function joint(
  trace: Trace,
  wants: readonly boolean[],
  training: boolean,
  given?: readonly boolean[],
): Joint {
  const { name, context, externals } = trace;
  const standIns = new StandIns(context);
  const make = ({ shape, dtype }: TraceRef): NDArray => standIns.make(shape, dtype);
  const arrays = externals.map(({ ref }) => make(ref));
  const byValue = new Map(externals.map(({ ref }, i) => [ref.value, arrays[i] as NDArray]));
  // externals that come up only now are those of gradients that users wrote
  const recorder = new Recorder({ name, context, args: arrays, standIns });
  const variables = arrays.map((array, i) => (wants[i] === true ? setVariable(array, 'write') : null));
  const recording = setRecording(true);
  const wasTraining = setTraining(training);
  let found: Joint | undefined;
  try {
    runInScope(
      () => name,
      true,
      () => {
        found = standIns.run(() => {
          const results = recorder.run(() => replay(trace, (value) => byValue.get(value), { writes: true }));
          const forward = recorder.finish(results);
          const split = recorder.mark();
          const before = forward.values.length;
          const heads: NDArray[] = [];
          const weights: NDArray[] = [];
          const headRefs = results.map((y, i): TraceRef | null => {
            if (placeOf(y) === null || given?.[i] === false) return null;
            const weight = standIns.make(y.shape, y.dtype);
            heads.push(y);
            weights.push(weight);
            return recorder.ref(weight);
          });
          const options = { retainGraph: false, createGraph: false, trainMode: training };
          const gradients = heads.length === 0 ? null : recorder.run(() => run(heads, weights, options));
          const refs = variables.map((variable): TraceRef | null => {
            const gradient = variable === null ? undefined : gradients?.get(variable);
            return gradient === undefined ? null : recorder.ref(gradient);
          });
          const whole = recorder.finish(results);
          return {
            trace: {
              ...whole,
              writes: forward.writes.map((write) => ({
                ...write,
                array: trace.externals[write.external as number]?.array ?? null,
              })),
              externals: whole.externals.map((external, i) => {
                const own = externals[i];
                return own === undefined ? external : { ...own, ref: external.ref };
              }),
            },
            split,
            heads: headRefs,
            gradients: refs,
            saved: savedBy(whole, split, before, refs),
          };
        });
      },
    );
  } finally {
    setTraining(wasTraining);
    setRecording(recording);
  }
  return found as Joint;
}

/** Values below `before` that steps from `split` on read, or that are gradients themselves. */
function savedBy(
  { steps, constants }: Trace,
  split: number,
  before: number,
  gradients: readonly (TraceRef | null)[],
): number[] {
  const found = new Set<number>();
  const read = (ref: TraceRef | null): void => {
    if (ref !== null && ref.value < before && !constants.has(ref.value)) found.add(ref.value);
  };
  for (const step of steps.slice(split))
    if (step.kind === 'op' && step.op.run !== null) step.inputs.forEach(read);
  gradients.forEach(read);
  return [...found].sort((a, b) => a - b);
}
