// docs/hybridize.md is true: its blocks of code run as one program, and what follows a block is what it prints.
// `UPDATE_DOCS=1 npx vitest run docs/hybridize.test.ts` writes what they print into the page.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { afterEach, expect, test, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const page = join(root, 'docs', 'hybridize.md');

/** A block of TypeScript, and the block of text right behind it where there is one. */
const EXAMPLE = /^```ts\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?/gm;

afterEach(() => vi.restoreAllMocks());

/** What each of some pieces of one program prints. */
async function printedBy(pieces: readonly string[]): Promise<string[]> {
  const folder = join(root, 'reports', 'docs');
  mkdirSync(folder, { recursive: true });
  const file = join(folder, 'hybridize.ts');
  writeFileSync(file, pieces.map((code, i) => `${code}\nconsole.log('end of example', ${i});\n`).join(''));
  const printed = pieces.map(() => '');
  let at = 0;
  vi.spyOn(console, 'log').mockImplementation((...args: unknown[]) => {
    if (args[0] === 'end of example') at++;
    else printed[at] += `${args.map((a) => (typeof a === 'string' ? a : inspect(a))).join(' ')}\n`;
  });
  await import(pathToFileURL(file).href);
  expect(at).toBe(pieces.length);
  return printed;
}

test('every block runs and prints what the page says', { timeout: 120_000 }, async () => {
  const text = readFileSync(page, 'utf8');
  const examples = [...text.matchAll(EXAMPLE)].map(([, code = '', said = '']) => ({ code, said }));
  expect(examples.length).toBeGreaterThan(5);
  const printed = await printedBy(examples.map(({ code }) => code));
  if (process.env['UPDATE_DOCS'] === '1') {
    let at = 0;
    const update = (_: string, code: string): string => {
      const now = printed[at++] ?? '';
      return `\`\`\`ts\n${code}\`\`\`\n${now === '' ? '' : `\n\`\`\`text\n${now}\`\`\`\n`}`;
    };
    writeFileSync(page, text.replace(EXAMPLE, update));
    return;
  }
  for (const [i, { said }] of examples.entries()) expect(printed[i], `example ${i}`).toBe(said);
});
