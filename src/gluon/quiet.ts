// Work of the library's own that no tape and no trace may see: drawing parameters, copying them, reading shapes off a trial run.
import { setRecording, setTraining } from '../autograd/mode.ts';
import { slots } from '../ops/invoke.ts';

/** Runs `fn` unrecorded: state that moves on with every call, which a compiled block moves on too. */
export function offTape<R>(fn: () => R): R {
  const recording = setRecording(false);
  try {
    return fn();
  } finally {
    setRecording(recording);
  }
}

/** Runs `fn` unrecorded and untraced, on arrays themselves rather than on what stands for them. */
export function unrecorded<R>(fn: () => R): R {
  return unseen(fn, null);
}

function unseen<R>(fn: () => R, source: typeof slots.standIn): R {
  const { tape, trace, standIn } = slots;
  const recording = setRecording(false);
  slots.tape = null;
  slots.trace = null;
  slots.standIn = source;
  try {
    return fn();
  } finally {
    slots.tape = tape;
    slots.trace = trace;
    slots.standIn = standIn;
    setRecording(recording);
  }
}

let trial = false;

/** Whether blocks are tried out, for what can be seen by it: they run as they are then, not compiled. */
export function isTrial(): boolean {
  return trial;
}

/** Unrecorded and untraced, with layers in inference mode; a trial run on stand-ins stays one. */
export function quietInference<R>(fn: () => R): R {
  const training = setTraining(false);
  const before = trial;
  trial = true;
  try {
    return unseen(fn, slots.standIn);
  } finally {
    trial = before;
    setTraining(training);
  }
}
