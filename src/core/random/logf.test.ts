// The float64 logarithm is the oracle for accuracy; the recorded normals (mxnetCpu.test.ts) are the one for the last bits.
import { expect, test } from 'vitest';
import { logFloat32 } from './logf.ts';

function errorInUlps(x: number): number {
  const truth = Math.log(x);
  return Math.abs(logFloat32(x) - truth) / 2 ** (Math.floor(Math.log2(Math.abs(truth))) - 23);
}

test('is within 0.9 units in the last place over all exponents and both sides of every branch', () => {
  let worst = 0;
  const word = new Uint32Array(1);
  const float = new Float32Array(word.buffer);
  for (let exponent = 1; exponent < 255; exponent++) {
    const fractions = [0, 1, 14, 15, 16, 17, 0x30a3cf, 0x30a3d0, 0x3504df, 0x3504e0, 0x35c288, 0x35c289];
    for (let i = 0; i < 400; i++) fractions.push((i * 20963 + exponent * 7919) & 0x7fffff);
    for (let i = 0; i < 20; i++) fractions.push(0x7fffff - i);
    for (const fraction of fractions) {
      word[0] = (exponent << 23) | fraction;
      const x = float[0] ?? 1;
      if (x !== 1) worst = Math.max(worst, errorInUlps(x));
    }
  }
  expect(worst).toBeLessThan(0.9);
  expect(worst).toBeGreaterThan(0.5);
});

test('exact places', () => {
  expect(logFloat32(1)).toBe(0);
  expect(logFloat32(0.5)).toBe(Math.fround(Math.log(0.5)));
});
