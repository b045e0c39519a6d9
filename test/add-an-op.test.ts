// docs/add-an-op.md is true: this follows its steps on a copy of the sources, then type-checks them and runs the checks on both devices.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { beforeAll, expect, test } from 'vitest';
import type { Context, cpu, openGpu } from '../src/index.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const copy = join(root, 'reports', 'add-an-op');

interface Step {
  readonly file: string;
  readonly how: 'append' | 'file' | 'after';
  readonly after: string;
  readonly text: string;
}

function stepsOf(document: string): Step[] {
  return [...document.matchAll(/^```\w+ (append|file)=(\S+)(?: after="([^\n]*)")?\n([\s\S]*?)^```$/gm)].map(
    ([, how, file = '', after, text = '']) => ({
      file,
      how: after !== undefined ? 'after' : (how as 'append' | 'file'),
      after: after ?? '',
      text,
    }),
  );
}

function follow({ file, how, after, text }: Step): void {
  const path = join(copy, file);
  if (how === 'file') {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    return;
  }
  const before = readFileSync(path, 'utf8');
  if (how === 'append') {
    writeFileSync(path, `${before}\n${text}`);
    return;
  }
  const lines = before.split('\n');
  const at = lines.indexOf(after);
  expect(at, `${file} has the line ${JSON.stringify(after)}`).toBeGreaterThanOrEqual(0);
  expect(lines.indexOf(after, at + 1), `${file} has it once`).toBe(-1);
  lines.splice(at + 1, 0, text.trimEnd());
  writeFileSync(path, lines.join('\n'));
}

beforeAll(() => {
  rmSync(copy, { recursive: true, force: true });
  for (const folder of ['src', 'shaders'])
    cpSync(join(root, folder), join(copy, folder), {
      recursive: true,
      filter: (source) => !/\.test\.ts$|__snapshots__/.test(source),
    });
  const steps = stepsOf(readFileSync(join(root, 'docs', 'add-an-op.md'), 'utf8'));
  expect(steps.length).toBe(13);
  for (const step of steps) follow(step);
});

test('the new operations work on both devices', { timeout: 60_000 }, async () => {
  const library = (await import(pathToFileURL(join(copy, 'src', 'index.ts')).href)) as {
    cpu: typeof cpu;
    openGpu: typeof openGpu;
  };
  const { check } = (await import(pathToFileURL(join(copy, 'check.ts')).href)) as {
    check(ctx: Context): Promise<Record<string, number[]>>;
  };
  for (const ctx of [library.cpu(), await library.openGpu({ allowSoftware: true })]) {
    const results = await check(ctx);
    expect(results['hardTanh']).toEqual([-1, -0.5, 0.25, 1]);
    expect(results['asMethod']).toEqual([-1, -0.5, 0.25, 1]);
    const exponentials = [0.5, 1, 2].map(Math.exp);
    const total = exponentials.reduce((a, b) => a + b);
    expect(results['logSumExp']?.[0]).toBeCloseTo(Math.log(total), 5);
    results['gradient']?.forEach((v, i) => {
      expect(v).toBeCloseTo((exponentials[i] as number) / total, 5);
    });
    expect(results['bitReverse']).toEqual([0, 4, 2, 6, 1, 5, 3, 7, 8, 12, 10, 14, 9, 13, 11, 15]);
  }
});

test('and they type-check as strictly as the rest', { timeout: 60_000 }, () => {
  writeFileSync(
    join(copy, 'tsconfig.json'),
    JSON.stringify({
      extends: '../../tsconfig.json',
      compilerOptions: { paths: {} },
      include: ['src', 'check.ts'],
      exclude: ['src/device/cpu/kernels'],
    }),
  );
  const { status, stdout } = spawnSync('npx', ['tsc', '-p', copy], { cwd: root, encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
