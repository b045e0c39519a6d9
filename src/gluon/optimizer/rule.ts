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

/** Named expressions that a rule is written with. */
export type Names<N extends string> = Readonly<Record<N | 'weight' | 'grad', Expr>>;

interface RuleParts<S extends string, N extends string> {
  readonly states: readonly S[];
  readonly scalars: readonly N[];
  /** What each target becomes, in order: a later line sees what earlier ones wrote. */
  readonly update: (v: Names<S | N>) => readonly (readonly [S | 'weight', Expr])[];
  readonly layerwise?:
    | {
        readonly direction: (v: Names<S | N>) => Expr;
        readonly step: (
          v: Names<N> & Readonly<Record<'direction' | 'weightNorm' | 'directionNorm', Expr>>,
        ) => Expr;
      }
    | undefined;
}

/**
 * Declares a rule.
 * @example
 * updateRule('sgdMomentum', {
 *   states: ['momentum'],
 *   scalars: ['lr', 'mu'],
 *   update: ({ weight, grad, momentum, lr, mu }) => [
 *     ['momentum', e.sub(e.mul(mu, momentum), e.mul(lr, grad))],
 *     ['weight', e.add(weight, momentum)],
 *   ],
 * });
 */
export function updateRule<S extends string, N extends string>(
  name: string,
  parts: RuleParts<S, N>,
): UpdateRule {
  const { states, scalars, layerwise } = parts;
  const targets = ['weight', ...states] as const;
  const leaves = Object.fromEntries([
    ...targets.map((target, i) => [target, e.input(i)]),
    ['grad', e.input(targets.length)],
    ...scalars.map((scalar, i) => [scalar, e.scalar(i)]),
  ]) as Names<S | N>;
  const steps = parts.update(leaves).map(([target, value]) => [targets.indexOf(target), value] as const);
  return {
    name,
    states,
    scalars,
    kernel: updateKernel(`${name}Update`, targets.length, 1, steps),
    layerwise:
      layerwise === undefined
        ? null
        : {
            direction: elementwiseKernel(`${name}Direction`, targets.length, layerwise.direction(leaves)),
            step: elementwiseKernel(
              `${name}Step`,
              4,
              layerwise.step({
                ...leaves,
                direction: e.input(1),
                weightNorm: e.input(2),
                directionNorm: e.input(3),
              }),
            ),
          },
  };
}

const rules = new Map<string, UpdateRule>();

/** The rule of that key, made once: kernels are told apart by identity first. */
export function ruleOnce(key: string, make: () => UpdateRule): UpdateRule {
  let rule = rules.get(key);
  if (rule === undefined) {
    rule = make();
    rules.set(key, rule);
  }
  return rule;
}

/** x within [−bound, bound], or x itself where gradients are not clipped. */
export function clipped(x: Expr, bound: Expr, clips: boolean): Expr {
  return clips ? e.max(e.neg(bound), e.min(x, bound)) : x;
}
