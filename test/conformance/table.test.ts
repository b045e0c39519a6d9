// The page of the docs says what the tests run; `-u` writes it anew.
import { expect, test } from 'vitest';
import { loadCases } from './cases.ts';
import { EXPRESSIONS, leftOut } from './map.ts';
import { conformancePage } from './table.ts';

const operators = loadCases();

test('docs/conformance.md is up to date', async () => {
  await expect(conformancePage(operators)).toMatchFileSnapshot('../../docs/conformance.md');
});

test('every operator of the map has cases, and what is left out as a whole is not in it', () => {
  for (const op of Object.keys(EXPRESSIONS)) {
    const cases = operators.get(op) ?? [];
    expect(cases.filter((c) => leftOut(c) === undefined).length, op).toBeGreaterThan(0);
  }
});

test('the shipped copy is whole', () => {
  const all = [...operators.values()].flat();
  expect(operators.size).toBe(128);
  expect(all).toHaveLength(597);
  // a tensor's values are as many as its shape says
  for (const c of all)
    for (const t of [...c.inputs, ...c.outputs])
      expect(t.data, `${c.name} ${t.name}`).toHaveLength(t.shape.reduce((n, d) => n * d, 1));
});
