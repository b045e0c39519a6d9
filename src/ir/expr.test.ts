// Keys of expressions: the same text exactly for the same expression, and short however often parts are shared.
import { expect, test } from 'vitest';
import { type Expr, e, exprKey } from './expr.ts';

const [x, y] = [e.input(0), e.input(1)];

test('trees are written out', () => {
  expect(exprKey(e.select(e.gt(x, 0), e.mul(x, e.scalar(1)), e.neg(e.stage(2))))).toBe(
    'select(gt(i0,0),mul(i0,s1),neg(r2))',
  );
  expect(exprKey(e.add(e.index, e.length))).toBe('add(#,L)');
  expect(exprKey(e.constant(-0))).not.toBe(exprKey(e.constant(0)));
});

test('equal parts are written once, shared or not', () => {
  const part = e.exp(x);
  const shared = e.div(part, e.add(part, 1));
  expect(exprKey(shared)).toBe('div(exp(i0),add($1,1))');
  expect(exprKey(e.div(e.exp(e.input(0)), e.add(e.exp(e.input(0)), 1)))).toBe(exprKey(shared));
});

test('references tell parts apart', () => {
  const [a, b] = [e.exp(x), e.log(y)];
  const pairs: Expr[] = [];
  for (const p of [a, b, e.add(a, b)])
    for (const q of [a, b, e.add(a, b)]) pairs.push(e.mul(e.add(a, b), e.sub(p, q)));
  expect(new Set(pairs.map(exprKey)).size).toBe(pairs.length);
});

test('a key stays short where the tree would not', () => {
  let grown: Expr = x;
  for (let i = 0; i < 200; i++) grown = e.mul(grown, e.add(grown, 1));
  expect(exprKey(grown).length).toBeLessThan(10000);
});
