import { describe, expect, test } from 'vitest';
import { bytesOfClass, sizeClassOf } from './bufferPool.ts';

describe('size classes', () => {
  test('hold what they are asked for, with at most a quarter more', () => {
    for (let bytes = 1; bytes < 70000; bytes += bytes < 2000 ? 1 : 37) {
      const size = bytesOfClass(sizeClassOf(bytes));
      expect(size).toBeGreaterThanOrEqual(bytes);
      if (bytes > 256) expect(size).toBeLessThanOrEqual(bytes * 1.25);
      expect(size % 16).toBe(0);
    }
  });

  test('grow with the bytes, and each is its own class', () => {
    for (let sizeClass = 0; sizeClass < 100; sizeClass++) {
      expect(sizeClassOf(bytesOfClass(sizeClass))).toBe(sizeClass);
      expect(sizeClassOf(bytesOfClass(sizeClass) + 1)).toBe(sizeClass + 1);
    }
    expect(bytesOfClass(sizeClassOf(2 ** 32))).toBe(2 ** 32);
  });
});
