// Which of ONNX's operators our operations express, and why a case is left out.
import { ATTENTION } from './attention.ts';
import type { Expression } from './call.ts';
import { type OnnxCase, overflows, uses } from './cases.ts';
import { ELEMENTWISE } from './elementwise.ts';
import { REDUCTIONS } from './reductions.ts';
import { SHAPES } from './shapes.ts';

/** ONNX's operators in ours. */
export const EXPRESSIONS: Readonly<Record<string, Expression>> = {
  ...ELEMENTWISE,
  ...SHAPES,
  ...REDUCTIONS,
  ...ATTENTION,
};

const RECURRENT = 'a recurrent layer: no operation of ours';
const OPTIMIZER = 'an update rule of an optimizer: no operation of ours';

/** Why an operator is left out as a whole. */
const OPERATORS: Readonly<Record<string, string>> = {
  Adagrad: OPTIMIZER,
  Adam: OPTIMIZER,
  Momentum: OPTIMIZER,
  GRU: RECURRENT,
  LSTM: RECURRENT,
  RNN: RECURRENT,
  Resize: 'no operation of ours resizes',
};

/** Why single cases of an operator are left out. */
const CASES: Readonly<Record<string, (c: OnnxCase) => string | undefined>> = {
  AveragePool: (c) => (c.attrs['dilations'] === undefined ? undefined : 'our pooling has no dilation'),
  MaxPool: (c) => (c.attrs['dilations'] === undefined ? undefined : 'our pooling has no dilation'),
  Dropout: (c) =>
    c.attrs['seed'] === undefined
      ? undefined
      : "training mode draws random numbers: the recorded ones are another generator's",
  ScatterElements: (c) =>
    c.attrs['reduction'] === undefined ? undefined : 'our scatter writes, it does not combine',
  ScatterND: (c) =>
    c.attrs['reduction'] === undefined ? undefined : 'our scatter writes, it does not combine',
};

/** Why a case is left out on every device, or undefined where it runs. */
export function leftOut(c: OnnxCase): string | undefined {
  const whole = OPERATORS[c.op] ?? CASES[c.op]?.(c);
  if (whole !== undefined) return whole;
  if (EXPRESSIONS[c.op] === undefined) return 'no operation of ours';
  return overflows(c) ? 'values beyond 32 bits' : undefined;
}

/** Why a case that runs on the CPU is left out on a GPU; `halves`: the adapter has `shader-f16`. */
export function leftOutOnGpu(c: OnnxCase, halves: boolean): string | undefined {
  if (uses(c, 'float64')) return 'float64: no GPU holds it';
  if (uses(c, 'float16') && !halves) return 'float16: the adapter lacks shader-f16';
  return undefined;
}
