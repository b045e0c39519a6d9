// Whether gradients are being recorded and whether layers behave as in training: two flags that hold for the turn. The tape sets them;
// layers only ask.

/** What becomes of a parameter's gradient at each backward: overwritten, added to, or not computed. */
export type GradReq = 'write' | 'add' | 'null';

let recording = false;
let training = false;

/** Whether operations are being recorded for `backward`. */
export function isRecording(): boolean {
  return recording;
}

/** Whether layers such as Dropout and BatchNorm behave as in training. False outside `autograd.record` and `autograd.trainMode`. */
export function isTraining(): boolean {
  return training;
}

/** @internal Sets the flag and returns what it was. */
export function setRecording(value: boolean): boolean {
  const before = recording;
  recording = value;
  return before;
}

/** @internal Sets the flag and returns what it was. */
export function setTraining(value: boolean): boolean {
  const before = training;
  training = value;
  return before;
}

/** @internal Sets both flags, undefined leaving one as it is, and returns what they were. */
export function setModes(recorded?: boolean, trained?: boolean): [recording: boolean, training: boolean] {
  return [setRecording(recorded ?? recording), setTraining(trained ?? training)];
}

/** @internal Runs `fn` while the flags are so. */
export function inModes<R>(recorded: boolean, trained: boolean | undefined, fn: () => R): R {
  const before = setModes(recorded, trained);
  try {
    return fn();
  } finally {
    setModes(...before);
  }
}
