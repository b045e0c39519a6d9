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

/** Runs `fn` unrecorded and untraced. */
export function unrecorded<R>(fn: () => R): R {
  const { tape, trace } = slots;
  const recording = setRecording(false);
  slots.tape = null;
  slots.trace = null;
  try {
    return fn();
  } finally {
    slots.tape = tape;
    slots.trace = trace;
    setRecording(recording);
  }
}

/** As `unrecorded`, with layers in inference mode. */
export function quietInference<R>(fn: () => R): R {
  const training = setTraining(false);
  try {
    return unrecorded(fn);
  } finally {
    setTraining(training);
  }
}
