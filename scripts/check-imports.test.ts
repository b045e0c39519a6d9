// The check has to find what it is there for: each kind of forbidden import, in a small tree of its own.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { checkImports } from './check-imports.mjs';

let root = '';

function check(files: Record<string, string>): string[] {
  root = mkdtempSync(join(tmpdir(), 'imports-'));
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return checkImports(root).problems;
}

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const shape = { 'core/shape.ts': 'export const shape = 1; export type Shape = number;' };

test('downward imports, tests on the roof and the one upward type pass', () => {
  const problems = check({
    ...shape,
    'array/ndarray.ts': `import { shape } from '../core/shape.ts'; import type { M } from '../nd/methods.ts'; export class A { s = shape; m?: M }`,
    'nd/methods.ts': `import { A } from '../array/ndarray.ts'; export interface M { x: A }`,
    'core/shape.test.ts': `import { A } from '../nd/methods.ts'; import { test } from 'vitest';`,
    'index.ts': `export * as nd from './nd/methods.ts';`,
  });
  expect(problems).toEqual([]);
});

test.each([
  ['a value', `import { M } from '../nd/m.ts';`, 'value'],
  ['a type', `import type { M } from '../nd/m.ts';`, 'type'],
  ['a type among names', `import { type M } from '../nd/m.ts';`, 'value'],
  ['a re-export', `export * from '../nd/m.ts';`, 'value'],
  ['a namespace', `export * as m from '../nd/m.ts';`, 'value'],
  ['a lazy import', `export const load = () => import('../nd/m.ts');`, 'lazy'],
  ['a type query', `export type T = import('../nd/m.ts').M;`, 'type'],
  ['an augmentation', `declare module '../nd/m.ts' { interface M { y: 1 } }\nexport {};`, 'type'],
])('upward by %s is found', (_name, text, kind) => {
  const problems = check({ 'nd/m.ts': 'export interface M { x: 1 }', 'core/a.ts': text });
  expect(problems).toEqual([`core/a.ts:1 imports upward: core → nd (nd/m.ts, ${kind})`]);
});

test('the allowed edge is for types alone', () => {
  const problems = check({
    'nd/m.ts': 'export const m = 1;',
    'array/a.ts': `import { m } from '../nd/m.ts';`,
  });
  expect(problems).toEqual(['array/a.ts:1 imports upward: array → nd (nd/m.ts, value)']);
});

test('neighbours on one floor leave each other alone', () => {
  const problems = check({
    'io/a.ts': 'export const a = 1;',
    'viz/b.ts': `\nimport { a } from '../io/a.ts';`,
  });
  expect(problems).toEqual(['viz/b.ts:2 imports its neighbour: viz → io (io/a.ts, value)']);
});

test('a circle of three is found once, of types too', () => {
  const problems = check({
    'core/a.ts': `import { b } from './b.ts';`,
    'core/b.ts': `import type { C } from './c.ts'; export const b = 1;`,
    'core/c.ts': `import './a.ts'; export type C = 1;`,
  });
  expect(problems).toEqual(['imports in a circle: core/a.ts → core/b.ts → core/c.ts → core/a.ts']);
});

test('packages, missing files, tests and unknown floors are found', () => {
  const problems = check({
    ...shape,
    'core/a.ts': `import 'lodash';\nimport './none.ts';\nimport './t.test.ts';\nimport fs from 'node:fs';\nimport('node:os');`,
    'core/t.test.ts': `import 'vitest';`,
    'misc/b.ts': '',
  });
  expect(problems).toEqual([
    'core/a.ts:1 imports the package lodash; the library has none',
    'core/a.ts:2 imports ./none.ts, which does not exist',
    'core/a.ts:3 imports core/t.test.ts, which is there for tests',
    'core/a.ts:4 imports the package node:fs; the library has none',
    'misc/b.ts: the folder misc has no floor',
  ]);
});
