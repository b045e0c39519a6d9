import { expect, test } from 'vitest';
import { ArgumentError } from '../core/errors.ts';
import { setNumThreads } from './threads.ts';

test('setNumThreads', async () => {
  expect(await setNumThreads(2)).toBe(2);
  expect(await setNumThreads(1)).toBe(1);
  for (const wrong of [-1, 1.5, Number.NaN, '2' as unknown as number])
    await expect(setNumThreads(wrong)).rejects.toThrow(ArgumentError);
});
