// `npm test`: every check, in the order in which a failure is cheapest to learn. A failing step does not hide the next.
// The last line counts tests from the reports that the tools wrote, and one for each step that is a single check.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMain, REPORTS, run, tool } from './report.mjs';

const node = (script, ...args) => run(process.execPath, [`scripts/${script}`, ...args]);

/** @typedef {{ passed: number, failed: number, skipped: number }} Count */

/** A step that is one check. @returns {Count} */
const single = (status) => ({ passed: status === 0 ? 1 : 0, failed: status === 0 ? 0 : 1, skipped: 0 });

/** Vitest's JSON. A file that could not be loaded has no tests to fail, so it counts as one. @returns {Count} */
export function countVitest(report) {
  const broken = report.testResults.filter(
    (file) => file.status === 'failed' && file.assertionResults.length === 0,
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    skipped: report.numPendingTests + report.numTodoTests,
  };
}

/**
 * Playwright's JSON. Errors outside of tests count too; so does a test that passed only when run again.
 * @param {{ stats: { expected: number, unexpected: number, flaky: number, skipped: number }, errors?: unknown[] }} report
 * @returns {Count}
 */
export function countPlaywright({ stats, errors = [] }) {
  return {
    passed: stats.expected,
    failed: stats.unexpected + stats.flaky + errors.length,
    skipped: stats.skipped,
  };
}

/** The package checks' own. @returns {Count} */
export function countPackage(report) {
  const passed = report.filter(({ ok }) => ok).length;
  return { passed, failed: report.length - passed, skipped: 0 };
}

/** The first lines of what a test said when it failed, without colours. */
const brief = (text = '') =>
  text
    // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
    .replace(/\u001b\[[\d;]*m/g, '')
    .split('\n')
    .filter((each) => each.trim() !== '' && !/^\s+at /.test(each))
    .slice(0, 6);

/** Names what failed in Vitest's report, with what it said. @returns {string[]} */
export function failedVitest({ testResults }) {
  return testResults.flatMap(({ name, status, message, assertionResults }) => {
    const file = name.startsWith(process.cwd()) ? relative(process.cwd(), name) : name;
    if (status === 'failed' && assertionResults.length === 0) return [`${file}`, ...brief(message)];
    return assertionResults
      .filter((test) => test.status === 'failed')
      .flatMap(({ fullName, failureMessages = [] }) => [
        `${file}: ${fullName}`,
        ...brief(failureMessages[0]),
      ]);
  });
}

/**
 * Names what failed in Playwright's report, with what it said.
 * @typedef {{ file: string, title: string, tests: { status: string, results: { error?: { message: string } }[] }[] }} Spec
 * @typedef {{ suites?: Suite[], specs?: Spec[] }} Suite
 * @param {{ suites?: Suite[], errors?: { message: string }[] }} report
 * @returns {string[]}
 */
export function failedPlaywright({ suites = [], errors = [] }) {
  /** @type {(suite: Suite) => string[]} */
  const inside = ({ suites = [], specs = [] }) => [
    ...specs.flatMap(({ file, title, tests }) =>
      tests
        .filter(({ status }) => status === 'unexpected' || status === 'flaky')
        .flatMap(({ status, results }) => [
          `${file}: ${title} (${status})`,
          ...brief(results.find(({ error }) => error)?.error?.message),
        ]),
    ),
    ...suites.flatMap(inside),
  ];
  return [...suites.flatMap(inside), ...errors.flatMap(({ message }) => brief(message))];
}

/** Names the package checks that failed. @returns {string[]} */
export function failedPackage(report) {
  return report.filter(({ ok }) => !ok).flatMap(({ name, detail }) => [name, ...brief(detail)]);
}

/**
 * What a step with a report comes to. A report that is missing, empty or at odds with the exit status is a failure.
 * @returns {Count}
 */
export function settle(count, status) {
  if (count === undefined) return { passed: 0, failed: 1, skipped: 0 };
  const empty = count.passed + count.failed === 0;
  return { ...count, failed: count.failed + (empty || (status !== 0 && count.failed === 0) ? 1 : 0) };
}

function reported(file, count, failed) {
  return (status) => {
    const path = join(REPORTS, file);
    try {
      if (!existsSync(path)) return settle(undefined, status);
      const report = JSON.parse(readFileSync(path, 'utf8'));
      return { ...settle(count(report), status), failures: failed(report) };
    } catch (error) {
      process.stderr.write(`${file}: ${error.message}\n`);
      return settle(undefined, status);
    }
  };
}

const steps = [
  {
    name: 'format and lint',
    start: () => tool('biome', ['check', '.', '--error-on-warnings']),
    count: single,
  },
  { name: 'types: library, pages, tests', start: () => tool('tsc', []), count: single },
  {
    name: 'types: configuration and scripts',
    start: () => tool('tsc', ['-p', 'tsconfig.node.json']),
    count: single,
  },
  { name: 'import direction and circles', start: () => node('check-imports.mjs'), count: single },
  { name: 'dead exports and files', start: () => tool('knip', ['--no-config-hints']), count: single },
  {
    name: 'unit tests',
    start: () => node('test-unit.mjs'),
    count: reported('unit.json', countVitest, failedVitest),
  },
  { name: 'build', start: () => node('build.mjs'), count: single },
  { name: 'API docs', start: () => tool('typedoc', []), count: single },
  {
    name: 'package',
    start: () => node('test-package.mjs'),
    count: reported('package.json', countPackage, failedPackage),
  },
  {
    name: 'pages',
    start: () => node('test-e2e.mjs', '--no-build'),
    count: reported('e2e.json', countPlaywright, failedPlaywright),
  },
];

async function main() {
  for (const file of ['unit.json', 'package.json', 'e2e.json']) rmSync(join(REPORTS, file), { force: true });
  const rows = [];
  for (const { name, start, count } of steps) {
    process.stdout.write(`\n── ${name} ${'─'.repeat(Math.max(3, 90 - name.length))}\n`);
    const started = performance.now();
    const status = await start();
    rows.push({ name, seconds: (performance.now() - started) / 1000, ...count(status) });
  }
  // Repeated here, because whoever reads only the end of a long output should learn what failed.
  for (const { name, failures = [] } of rows) {
    if (failures.length > 0) process.stdout.write(`\nFailed in ${name}:\n  ${failures.join('\n  ')}\n`);
  }
  const total = { passed: 0, failed: 0, skipped: 0 };
  process.stdout.write('\n');
  for (const { name, seconds, passed, failed, skipped } of rows) {
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
    const verdict = failed > 0 ? 'FAILED' : 'ok    ';
    process.stdout.write(
      `${verdict} ${name.padEnd(34)} ${seconds.toFixed(1).padStart(6)} s  ${line({ passed, failed, skipped })}\n`,
    );
  }
  process.stdout.write(`${line(total)}\n`);
  process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
}

/** @param {Count} count */
export function line({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

if (isMain(import.meta.url)) {
  process.chdir(fileURLToPath(new URL('..', import.meta.url)));
  await main();
}
