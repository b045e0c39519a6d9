// The check of what pages load fails when it should.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BUDGETS, gzipBytes, judge, loadedBy, PAGES } from './package-bytes.mjs';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bytes-'));
  mkdirSync(join(folder, 'chunks'));
  const files = {
    'entry.js':
      "import './chunks/a.js'; export * from './chunks/b.js'; import('./chunks/lazy.js'); import 'node:fs';",
    'chunks/a.js': "import { c } from './c.js'; import '../entry.js';",
    'chunks/b.js': "export const b = () => import('./lazy.js');",
    'chunks/c.js': 'export const c = 1;',
    'chunks/lazy.js': 'export const lazy = 1;',
  };
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a page loads its entry and static imports, each once, and nothing lazy', () => {
  const names = [...loadedBy(join(folder, 'entry.js'))].map((file) => file.slice(folder.length + 1));
  expect(names.sort()).toEqual(['chunks/a.js', 'chunks/b.js', 'chunks/c.js', 'entry.js']);
});

test('the note for source maps does not count, all else does', () => {
  const code = 'export const a = 1;';
  expect(gzipBytes(`${code}\n//# sourceMappingURL=a.js.map`)).toBe(gzipSync(code).length);
  expect(gzipBytes(`${code} // no map`)).toBeGreaterThan(gzipSync(code).length);
});

test('each page has a budget, on a GPU too', () => {
  for (const name of Object.keys(PAGES))
    expect(Object.keys(BUDGETS)).toEqual(expect.arrayContaining([name, `${name}, on a GPU`]));
});

test('one byte too many fails, and names what is over', () => {
  const most = Object.fromEntries(Object.entries(BUDGETS));
  expect(judge(most)).toHaveLength(Object.keys(BUDGETS).length);
  for (const name of Object.keys(BUDGETS)) {
    const over = { ...most, [name]: (most[name] as number) + 1 };
    expect(() => judge(over)).toThrow(name);
  }
  expect(() => judge({ 'something without a budget': 1 })).toThrow(/without a budget/);
  expect(() => judge({ ...most, 'the library without a bundler': Number.NaN })).toThrow(/without a bundler/);
});
