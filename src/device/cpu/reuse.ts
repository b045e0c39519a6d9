// What a row kernel computes twice: softmax's store has the exponentials that its sum had loaded.
import type { Expr } from '../../ir/expr.ts';
import { e, exprKey, operandsOf } from '../../ir/expr.ts';
import type { RowKernel, Stage } from '../../ir/kernel.ts';

/** Functions that cost more than keeping their values in memory. */
const COSTLY = /exp|log|tanh|erf|pow/;

/** The last stage whose costly load the store contains, and the store with an input in its place. */
export function findReuse(kernel: RowKernel): { readonly stage: number; readonly store: Expr | null } {
  if (kernel.perElement)
    for (let stage = kernel.stages.length - 1; stage >= 0; stage--) {
      const load = (kernel.stages[stage] as Stage).load;
      const key = exprKey(load);
      const found = replace(kernel.store, key, e.input(kernel.inputs));
      if (found !== kernel.store && COSTLY.test(key)) return { stage, store: found };
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
