// What a row kernel computes twice: softmax's store has the exponentials that its sum had loaded.
import type { Expr } from '../../ir/expr.ts';
import { e, exprKey, operandsOf } from '../../ir/expr.ts';
import type { RowKernel, Stage } from '../../ir/kernel.ts';

/** Functions that cost more than keeping their values in memory. */
const COSTLY = /exp|log|tanh|erf|pow/;

/** The stage that adds up e^(z − s), s being the greatest z: no term is above 1, and one is 1. −1 for none. */
export function findPowers({ stages }: RowKernel): number {
  return stages.findIndex(
    ({ combine, load }) =>
      combine === 'sum' &&
      stages.some(
        (top, k) => top.combine === 'max' && exprKey(e.exp(e.sub(top.load, e.stage(k)))) === exprKey(load),
      ),
  );
}

/**
 * The last stage whose costly load the store contains, and the store with an input in its place; where that is divided by the sum of `powers`, it is multiplied by
 * one more stage: the sum's reciprocal.
 */
export function findReuse(
  kernel: RowKernel,
  powers: number,
): { readonly stage: number; readonly store: Expr | null } {
  if (kernel.perElement)
    for (let stage = kernel.stages.length - 1; stage >= 0; stage--) {
      const load = (kernel.stages[stage] as Stage).load;
      const key = exprKey(load);
      const kept = e.input(kernel.inputs);
      const found = replace(kernel.store, key, kept);
      if (found === kernel.store || !COSTLY.test(key)) continue;
      const share = exprKey(e.div(kept, e.stage(stage)));
      const scaled = e.mul(kept, e.stage(kernel.stages.length));
      return { stage, store: stage === powers ? replace(found, share, scaled) : found };
    }
  return { stage: -1, store: null };
}

/** `x` with `by` in the place of its parts that have the key; `x` itself where there are none. */
function replace(x: Expr, key: string, by: Expr): Expr {
  if (exprKey(x) === key) return by;
  const before = operandsOf(x);
  const after = before.map((part) => replace(part, key, by));
  if (after.every((part, i) => part === before[i])) return x;
  const make = ('name' in x ? e[x.name] : e.select) as (...operands: readonly Expr[]) => Expr;
  return make(...after);
}
