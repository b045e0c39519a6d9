// Debug modes: NaN is named once with the operation that made it, and a GPU's late errors can name the caller's line.
import { afterEach, expect, test, vi } from 'vitest';
import { callSiteOf, debugState } from '../src/core/debug.ts';
import { debug, nd, openGpu } from '../src/index.ts';

afterEach(() => {
  debug();
  vi.restoreAllMocks();
});

test('nan: the first operation that made one is named, once', () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  debug({ nan: true });
  const x = nd.array([1, -1]);
  expect(warn).not.toHaveBeenCalled();
  x.sqrt().add(1).mul(2);
  x.log();
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls[0]?.[0]).toMatch(
    /^\[sqrt\] expected numbers, received the first NaN in a result of shape \(2,\) from inputs \(2,\)/,
  );
});

test('nan on a GPU', async () => {
  const ctx = await openGpu({ allowSoftware: true });
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  debug({ nan: true });
  const x = nd.array([0, 1], { ctx });
  const y = x.div(x);
  y.add(1);
  await nd.waitall();
  await y.data();
  await vi.waitFor(() => expect(warn).toHaveBeenCalledTimes(1));
  expect(warn.mock.calls[0]?.[0]).toContain('[div]');
});

test('off: nothing is watched', () => {
  const warn = vi.spyOn(console, 'warn').mockImplementation(() => undefined);
  nd.array([-1]).sqrt();
  expect(warn).not.toHaveBeenCalled();
});

test('callSites: the line outside the library', () => {
  debug({ callSites: true });
  nd.ones([2]).add(1);
  expect(debugState.site).toContain('debug.test.ts');
  const stack = 'Error\n    at a (lib/x.js:1:2)\n    at b (app/y.js:3:4)\n    at c (app/z.js:5:6)';
  expect(callSiteOf(stack, (line) => line.includes('lib/'))).toBe('at b (app/y.js:3:4)');
});
