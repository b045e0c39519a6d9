// Forms of functions whose derivatives of every order stay finite: each branch is taken where its exponential is at most 1. They are what gradients are derived from;
// the values themselves come from the usual forms.
import { differentiate } from '../ir/differentiate.ts';
import type { Expr } from '../ir/expr.ts';
import { e } from '../ir/expr.ts';

/** 1 / (1 + e^−x). */
export function smoothSigmoid(x: Expr): Expr {
  return e.select(e.ge(x, 0), e.div(1, e.add(1, e.exp(e.neg(x)))), e.div(e.exp(x), e.add(1, e.exp(x))));
}

/** tanh(log(1 + eˣ)) = n / (n + 2) with n = eˣ·(eˣ + 2); 1 from 20 on, where it rounds to that. */
export function smoothTanhSoftplus(x: Expr): Expr {
  const n = e.mul(e.exp(x), e.add(e.exp(x), 2));
  return e.select(e.gt(x, 20), 1, e.div(n, e.add(n, 2)));
}

/** The derivative of a function of one number, found from its smooth form. */
export function derivativeOf(f: (x: Expr) => Expr): (x: Expr) => Expr {
  return () => differentiate(f(e.input(0)), 0);
}
