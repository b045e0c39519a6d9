// What losses compare element by element, each as one expression over prediction and target: one kernel forward, one for each gradient. Means, weights and checks
// of shapes are left to gluon/loss.
import type { NDArray } from '../array/ndarray.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';
import { type ElementwiseOptions, elementwiseOp } from './elementwise.ts';
import { invoke } from './invoke.ts';

type Loss = (pred: NDArray, label: NDArray, ...scalars: number[]) => NDArray;
type WeightedLoss = (pred: NDArray, label: NDArray, weight: NDArray) => NDArray;

// one by one, so that a bundler can drop those that a page does not use
const p = e.input(0);
const t = e.input(1);
const w = e.input(2);
const s = e.scalar(0);

function loss(name: string, expr: Expr, options: ElementwiseOptions = {}): Loss {
  const op = elementwiseOp(name, 2, expr, { family: 'loss', float: true, ...options });
  return (pred, label, ...scalars) => invoke(op, [pred, label], { scalars });
}

function weightedLoss(name: string, expr: Expr, options: ElementwiseOptions = {}): WeightedLoss {
  const op = elementwiseOp(name, 3, expr, { family: 'loss', float: true, ...options });
  return (pred, label, weight) => invoke(op, [pred, label, weight], { scalars: [] });
}

// each branch is evaluated where its exponential is at most 1, so that derivatives of it stay finite too
const sigmoid = (x: Expr): Expr =>
  e.select(e.ge(x, 0), e.div(1, e.add(1, e.exp(e.neg(x)))), e.div(e.exp(x), e.add(1, e.exp(x))));
// log(1 + eˣ) without overflow
const softplus = (x: Expr): Expr => e.add(e.max(x, 0), e.log1p(e.exp(e.neg(e.abs(x)))));
// max(x, 0) with derivative 0 at 0
const positive = (x: Expr): Expr => e.select(e.gt(x, 0), x, 0);
/** Keeps logarithms finite; MXNet's. */
const TINY = 1e-12;
const square = (x: Expr): Expr => e.mul(x, x);
const difference = e.sub(p, t);

/** |p − t|. */
export const absoluteError: Loss = loss('absoluteError', e.abs(difference));
/** (p − t)² / 2. */
export const halfSquaredError: Loss = loss('halfSquaredError', e.mul(0.5, square(difference)));
/** (p − t)² / 2ρ where |p − t| ≤ ρ, else |p − t| − ρ/2; ρ is the scalar. Huber, 1964. */
export const huberError: Loss = loss(
  'huberError',
  e.select(
    e.gt(e.abs(difference), s),
    e.sub(e.abs(difference), e.mul(0.5, s)),
    e.mul(e.div(0.5, s), square(difference)),
  ),
);
/** −t·log σ(p) − (1 − t)·log(1 − σ(p)) without overflow: max(p, 0) − p·t + log(1 + e^−|p|). */
export const sigmoidCrossEntropy: Loss = loss('sigmoidCrossEntropy', e.sub(softplus(p), e.mul(p, t)), {
  derivatives: [e.sub(sigmoid(p), t), e.neg(p)],
});
const positiveWeight = e.add(1, e.mul(e.sub(w, 1), t));
/** −w·t·log σ(p) − (1 − t)·log(1 − σ(p)): (1 − t)·p + (1 + (w − 1)·t)·log(1 + e^−p). */
export const weightedSigmoidCrossEntropy: WeightedLoss = weightedLoss(
  'weightedSigmoidCrossEntropy',
  e.add(e.mul(e.sub(1, t), p), e.mul(positiveWeight, softplus(e.neg(p)))),
  {
    derivatives: [
      e.sub(e.sub(1, t), e.mul(positiveWeight, sigmoid(e.neg(p)))),
      e.sub(e.mul(e.sub(w, 1), softplus(e.neg(p))), p),
      e.mul(t, softplus(e.neg(p))),
    ],
  },
);
const logHit = e.mul(e.log(e.add(p, TINY)), t);
const logMiss = e.mul(e.log(e.add(e.sub(1, p), TINY)), e.sub(1, t));
/** −t·log p − (1 − t)·log(1 − p), p being a probability. */
export const binaryCrossEntropy: Loss = loss('binaryCrossEntropy', e.neg(e.add(logHit, logMiss)));
/** −w·t·log p − (1 − t)·log(1 − p), p being a probability. */
export const weightedBinaryCrossEntropy: WeightedLoss = weightedLoss(
  'weightedBinaryCrossEntropy',
  e.neg(e.add(e.mul(logHit, w), logMiss)),
);
/** max(margin − p·t, 0); the margin is the scalar. */
export const hinge: Loss = loss('hinge', positive(e.sub(s, e.mul(p, t))));
/** max(margin − p·t, 0)²; the margin is the scalar. */
export const squaredHinge: Loss = loss('squaredHinge', square(positive(e.sub(s, e.mul(p, t)))));
/** t·(log t − p), p being a logarithm. Kullback & Leibler, 1951. */
export const klDivergence: Loss = loss('klDivergence', e.mul(t, e.sub(e.log(e.add(t, TINY)), p)));

// log t! by Stirling's formula, for t above 1
const stirling = e.select(
  e.gt(t, 1),
  e.add(e.sub(e.mul(t, e.log(t)), t), e.mul(0.5, e.log(e.mul(2 * Math.PI, t)))),
  0,
);
const poissonOfLog = e.sub(e.exp(p), e.mul(t, p));
// the scalar is an epsilon
const poissonOfRate = e.sub(p, e.mul(t, e.log(e.add(p, s))));
const poissonForms = [
  [loss('poissonRate', poissonOfRate), loss('poissonRateFull', e.add(poissonOfRate, stirling))],
  [loss('poissonLog', poissonOfLog), loss('poissonLogFull', e.add(poissonOfLog, stirling))],
] as const;

/** −log of the probability of `t` under Poisson's distribution, without log t! unless `full`; p is the rate (plus `epsilon`) or, `fromLogits`, its logarithm. */
export function poissonError(
  pred: NDArray,
  label: NDArray,
  form: { readonly fromLogits: boolean; readonly full: boolean; readonly epsilon: number },
): NDArray {
  return poissonForms[form.fromLogits ? 1 : 0][form.full ? 1 : 0](pred, label, form.epsilon);
}

/** Stands for log 0 where −∞ would give NaN; finite in float32 even when a few of them are added. */
export const LOG_ZERO = -1e30;
const active = e.input(0);
const stay = e.input(1);
const one = e.input(2);
const two = e.input(3);
const skips = e.input(4);
const emitted = e.input(5);
const jump = e.select(skips, two, LOG_ZERO);
const most = e.max(e.max(stay, one), jump);
const reached = e.add(
  most,
  e.log(e.add(e.add(e.exp(e.sub(stay, most)), e.exp(e.sub(one, most))), e.exp(e.sub(jump, most)))),
);
const ctcStepOp = elementwiseOp('ctcStep', 6, e.select(active, e.add(reached, emitted), stay), {
  family: 'loss',
  float: true,
  condition: true,
  derivatives: [
    e.constant(0),
    e.select(active, e.exp(e.sub(stay, reached)), 1),
    e.select(active, e.exp(e.sub(one, reached)), 0),
    e.select(active, e.select(skips, e.exp(e.sub(two, reached)), 0), 0),
    e.constant(0),
    e.select(active, 1, 0),
  ],
});

/**
 * One step in time of connectionist temporal classification, Graves et al., 2006, equation 6, in logarithms: log(e^stay + e^one + e^two) + emitted, `two` only where `skips`
 * is not 0; where `active` is 0, `stay`. What a state had, what its neighbour and the next had, (N, S) each; active: (N, 1).
 */
export function ctcStep(arrays: {
  readonly active: NDArray;
  readonly stay: NDArray;
  readonly one: NDArray;
  readonly two: NDArray;
  readonly skips: NDArray;
  readonly emitted: NDArray;
}): NDArray {
  const { active: a, stay: s0, one: s1, two: s2, skips: sk, emitted: em } = arrays;
  return invoke(ctcStepOp, [a, s0, s1, s2, sk, em], { scalars: [] });
}
