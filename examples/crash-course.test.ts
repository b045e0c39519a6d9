// Every example runs and prints what it must.
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { random } from 'webgluon';

// each is a program of its own, which begins with fresh generators
beforeEach(() => random.seed(0));
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

test('part 1 prints what the tutorial prints, digit for digit', async () => {
  const expected = readFileSync(new URL('../test-data/crash-course-1.txt', import.meta.url), 'utf8');
  expect(await printed(() => import('./crash-course-1.ts'))).toBe(expected);
});

test('part 2 prints what the tutorial prints, digit for digit', async () => {
  const expected = readFileSync(new URL('../test-data/crash-course-2.txt', import.meta.url), 'utf8');
  expect(await printed(() => import('./crash-course-2.ts'))).toBe(expected);
});

test('part 3: gradients of a square and through control flow', async () => {
  const text = await printed(() => import('./crash-course-3.ts'));
  const [gradient, byTape, byDivision] = text
    .split('<NDArray')
    .map((part) => part.match(/-?\d+\.?\d*/g)?.map(Number) ?? []);
  expect(gradient).toEqual([4, 8, 12, 16]);
  // the first two of MXNet's generators at seed 0, doubled until the norm of the pair passes 1000
  const [first, second] = [0.5488135, 0.5928446];
  let factor = 2;
  while (factor * Math.hypot(first, second) < 1000) factor *= 2;
  expect(byTape?.slice(-2)).toEqual([factor, 0]);
  expect(byDivision?.at(-2)).toBe(factor);
});

test('part 4: learns the shipped pictures', async () => {
  process.argv.splice(2, Infinity);
  const text = await printed(() => import('./crash-course-4.ts'));
  const lines = text.trim().split('\n');
  expect(lines[0]).toBe('900 [ 28, 28, 1 ] uint8 0');
  expect(lines[1]).toBe('[ 30, 1, 28, 28 ] [ 30 ]');
  const epochs = lines.filter((line) => line.startsWith('Epoch'));
  expect(epochs).toHaveLength(10);
  const loss = epochs.map((line) => Number(/loss ([\d.]+)/.exec(line)?.[1]));
  // ten classes begin at log 10
  expect(loss[0]).toBeLessThan(2.4);
  expect(loss[9]).toBeLessThan((loss[0] as number) / 2);
  const accuracy = Number(/test acc ([\d.]+)/.exec(epochs[9] ?? '')?.[1]);
  expect(accuracy).toBeGreaterThan(0.75);
  expect(lines.at(-1)).toMatch(/^net\.params: \d{6} bytes$/);
});

test("part 5: MXNet's own parameters say what MXNet said", async () => {
  const lines = (await printed(() => import('./crash-course-5.ts'))).trim().split('\n');
  const expected = JSON.parse(
    readFileSync(new URL('../test-data/crash-course/lenet-expected.json', import.meta.url), 'utf8'),
  ) as { readonly correct_of_900: number; readonly pred_first_30: readonly number[] };
  const names = 't-shirt trouser pullover dress coat sandal shirt sneaker bag boot'.split(' ');
  expect(lines[0]).toBe(
    `said: ${expected.pred_first_30
      .slice(0, 10)
      .map((c) => names[c])
      .join(', ')}`,
  );
  expect(lines.at(-1)).toBe(`${expected.correct_of_900} of 900 right`);
});
