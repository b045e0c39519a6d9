// Every example runs and prints what it must.
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';

afterEach(() => vi.restoreAllMocks());

/** What a module prints while it is run, laid out as Node's console lays it out. */
async function printed(run: () => Promise<unknown>): Promise<string> {
  const lines: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...args: unknown[]) => {
    lines.push(args.map((a) => (typeof a === 'string' ? a : inspect(a))).join(' '));
  });
  await run();
  return `${lines.join('\n')}\n`;
}

test('part 2 prints what the tutorial prints, digit for digit', async () => {
  const expected = readFileSync(new URL('../test-data/crash-course-2.txt', import.meta.url), 'utf8');
  expect(await printed(() => import('./crash-course-2.ts'))).toBe(expected);
});
