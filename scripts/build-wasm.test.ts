// The binaries in the repository are those of the sources beside them.
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { binariesFile, binariesText } from './build-wasm.mjs';

test('src/device/cpu/wasm/binaries.ts is what the sources in src/device/cpu/kernels compile to', async () => {
  const text = await binariesText();
  // not `toBe`: a difference would print all of it
  expect(readFileSync(binariesFile, 'utf8') === text, 'run `node scripts/build-wasm.mjs`').toBe(true);
  expect(text.length).toBeLessThan(100_000);
}, 60_000);
