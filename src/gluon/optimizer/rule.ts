// What an optimizer is: a declaration of what becomes of the weight and of the state in one step, as expressions. How a step is run, one array at a time or all at once,
// is left to apply.ts.
import type { Expr } from '../../ir/expr.ts';
import { e } from '../../ir/expr.ts';
import type { UpdateKernel } from '../../ir/kernel.ts';
import { elementwiseKernel, updateKernel } from '../../ir/kernel.ts';

/**
 * One optimizer's arithmetic. Targets are the weight and then the states, in their order; the gradient is the one input that is only read.
 * Scalars change from step to step (rates, decay, corrections for t), so that one kernel serves all steps.
 */
export interface UpdateRule {
  readonly name: string;
  /** States by name, zeros at first. */
  readonly states: readonly string[];
  /** Scalars by name, in the order of the kernels' scalars. */
  readonly scalars: readonly string[];
  readonly kernel: UpdateKernel;
  /** What is scaled by norms over the whole layer after the kernel, where the rule has it. */
  readonly layerwise: Layerwise | null;
}

/** A step along a direction whose length follows from norms: weight ← weight − lr · ratio(‖weight‖, ‖direction‖) · direction. */
export interface Layerwise {
  /** Over the targets as the kernel left them. */
  readonly direction: ReturnType<typeof elementwiseKernel>;
  /** Over input 0 = weight, 1 = direction, 2 = ‖weight‖, 3 = ‖direction‖ (one element each). */
  readonly step: ReturnType<typeof elementwiseKernel>;
}

/** What rules are written with, by name: arrays, and what else is read counts as a scalar. */
export type Names<N extends string> = Readonly<Record<N, Expr>>;

/** Names that every rule has: the arrays, and the scalars of `StepNumbers`. */
export type Common = 'weight' | 'grad' | 'lr' | 'wd' | 'rescale' | 'clip';

/** What each target becomes, in order: a later line sees what earlier ones wrote. */
export type Updates = readonly (readonly [target: string, Expr])[];

/** The parts of a rule; an optimizer has them as its methods. */
export interface RuleParts {
  readonly states: readonly string[];
  /** @param clipped keeps an expression within the bound of gradients, where there is one */
  updates(v: Names<string>, clipped: (x: Expr) => Expr): Updates;
  readonly layerwise: {
    direction(v: Names<string>): Expr;
    /** Over `weight`, `direction`, `weightNorm` and `directionNorm`. */
    step(v: Names<string>): Expr;
  } | null;
}

/** Declares a rule. @param clips whether gradients are kept within a bound */
export function updateRule(name: string, clips: boolean, parts: RuleParts): UpdateRule {
  const { states, layerwise } = parts;
  const targets = ['weight', ...states];
  const scalars: string[] = [];
  const leaves = (...inputs: string[]): Names<string> =>
    new Proxy<Names<string>>(
      {},
      {
        get(_, leaf: string) {
          if (inputs.includes(leaf)) return e.input(inputs.indexOf(leaf));
          if (!scalars.includes(leaf)) scalars.push(leaf);
          return e.scalar(scalars.indexOf(leaf));
        },
      },
    );
  const v = leaves(...targets, 'grad');
  const updates = parts.updates(v, (x) => (clips ? within(x, v['clip'] as Expr) : x));
  const steps = updates.map(([target, value]) => [targets.indexOf(target), value] as const);
  return {
    name,
    states,
    scalars,
    kernel: updateKernel(`${name}Update`, targets.length, 1, steps),
    layerwise: layerwise && {
      direction: elementwiseKernel(
        `${name}Direction`,
        targets.length,
        layerwise.direction(leaves(...targets)),
      ),
      step: elementwiseKernel(
        `${name}Step`,
        4,
        layerwise.step(leaves('weight', 'direction', 'weightNorm', 'directionNorm')),
      ),
    },
  };
}

/** x within [−bound, bound]. */
export function within(x: Expr, bound: Expr): Expr {
  return e.max(e.neg(bound), e.min(x, bound));
}
