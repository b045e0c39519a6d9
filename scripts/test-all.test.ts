// The last line of `npm test` is believed by people and machines: it may not hide a failure.
import { expect, test } from 'vitest';
import {
  countPackage,
  countPlaywright,
  countVitest,
  failedPackage,
  failedPlaywright,
  failedVitest,
  line,
  settle,
} from './test-all.mjs';

const vitest = { numPassedTests: 3, numFailedTests: 1, numPendingTests: 1, numTodoTests: 1 };

test('vitest: a file that could not be loaded is a failure', () => {
  const testResults = [
    { status: 'failed', assertionResults: [] },
    { status: 'failed', assertionResults: [{}] },
    { status: 'passed', assertionResults: [{}] },
  ];
  expect(countVitest({ ...vitest, testResults })).toEqual({ passed: 3, failed: 2, skipped: 2 });
});

test('playwright: errors outside of tests and flaky tests are failures', () => {
  const stats = { expected: 4, unexpected: 1, flaky: 1, skipped: 2 };
  expect(countPlaywright({ stats, errors: [] })).toEqual({ passed: 4, failed: 2, skipped: 2 });
  expect(countPlaywright({ stats, errors: [new Error('x')] })).toEqual({ passed: 4, failed: 3, skipped: 2 });
});

test('package checks are counted one by one', () => {
  expect(countPackage([{ ok: true }, { ok: false }, { ok: true }])).toEqual({
    passed: 2,
    failed: 1,
    skipped: 0,
  });
});

test('no report, no test and a status at odds with the report are failures', () => {
  expect(settle(undefined, 0)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  expect(settle({ passed: 0, failed: 0, skipped: 5 }, 0)).toEqual({ passed: 0, failed: 1, skipped: 5 });
  expect(settle({ passed: 5, failed: 0, skipped: 0 }, 1)).toEqual({ passed: 5, failed: 1, skipped: 0 });
  expect(settle({ passed: 5, failed: 2, skipped: 0 }, 1)).toEqual({ passed: 5, failed: 2, skipped: 0 });
  expect(settle({ passed: 5, failed: 0, skipped: 0 }, 0)).toEqual({ passed: 5, failed: 0, skipped: 0 });
});

test('the line names skipped tests only where there are some', () => {
  expect(line({ passed: 2, failed: 0, skipped: 0 })).toBe('2 passed, 0 failed');
  expect(line({ passed: 2, failed: 1, skipped: 3 })).toBe('2 passed, 1 failed, 3 skipped');
});

test('what failed is named with the first lines of what it said', () => {
  const testResults = [
    { name: 'a.test.ts', status: 'failed', assertionResults: [], message: 'cannot load' },
    {
      name: 'b.test.ts',
      status: 'failed',
      assertionResults: [
        { status: 'passed', fullName: 'adds' },
        {
          status: 'failed',
          fullName: 'group subtracts',
          failureMessages: ['\u001b[31mexpected 1\u001b[39m\n\n    at b.test.ts:3'],
        },
      ],
    },
  ];
  expect(failedVitest({ ...vitest, testResults })).toEqual([
    'a.test.ts',
    'cannot load',
    'b.test.ts: group subtracts',
    'expected 1',
  ]);

  const spec = (title: string, status: string) => ({
    file: 'c.spec.ts',
    title,
    tests: [{ status, results: [{}, { error: { message: `${title} said no` } }] }],
  });
  const suites = [{ specs: [spec('fine', 'expected')], suites: [{ specs: [spec('inner', 'flaky')] }] }];
  expect(failedPlaywright({ suites, errors: [{ message: 'no browser' }] })).toEqual([
    'c.spec.ts: inner (flaky)',
    'inner said no',
    'no browser',
  ]);

  expect(
    failedPackage([
      { name: 'size', ok: false, detail: 'too big' },
      { name: 'types', ok: true, detail: '' },
    ]),
  ).toEqual(['size', 'too big']);
});
