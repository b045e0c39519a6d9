// Parameters as constants in a shader's text.
import { describe, expect, test } from 'vitest';
import type { GpuShader } from './lowering.ts';
import type { DynamicWord } from './programCode.ts';
import { constantShader, withConstants } from './programCode.ts';

const words = Uint32Array.of(5, 4294967293, 0x80000000, 0x7f800000, 7, 8);
const scalar: DynamicWord = { word: 4, slot: 0, type: 'f32' };

describe('constants', () => {
  test('stand where integers are read', () => {
    expect(withConstants('a / pu(0u) + pu(5) % pu(1)', words, [])).toBe('a / 5u + 8u % 4294967293u');
    expect(withConstants('pi(0) + pi(1u) + pi(2)', words, [])).toBe('5i + (-3i) + i32(-2147483647 - 1)');
    expect(withConstants('params.v[0].x * params.v[1].y', words, [])).toBe('5u * 8u');
    expect(withConstants('bitcast<i32>(params.v[0].y)', words, [])).toBe('bitcast<i32>(4294967293u)');
  });

  test('do not stand for floats, whose bits may be no constant, nor for what comes with each run', () => {
    const text = 'pf(3u) + bitcast<f32>(params.v[0].w) + f32(pu(4u)) + bitcast<i32>(params.v[1].x)';
    expect(withConstants(text, words, [scalar])).toBe(text);
  });

  test('leave other names and parameters that were not given alone', () => {
    const text =
      'fn pu(i: u32) -> u32 { return params.v[i >> 2u][i & 3u]; } xpu(0) + pu(6) + pu(k) + params.v[1].z';
    expect(withConstants(text, words, [])).toBe(text);
  });

  test('make a shader of its own for each set of sizes, where that pays', () => {
    const shader = (sized: boolean): GpuShader => ({
      key: 'k',
      label: 'l',
      bindings: ['read_write'],
      code: () => 'pu(0) + pf(4)',
      sized,
    });
    const plain = shader(false);
    expect(constantShader(plain, words, [])).toBe(plain);
    const made = constantShader(shader(true), words, [scalar]);
    expect(made.code()).toBe('5u + pf(4)');
    expect(made).toMatchObject({ label: 'l', bindings: ['read_write'] });
    const other = words.slice();
    other[4] = 9;
    expect(constantShader(shader(true), other, [scalar]).key).toBe(made.key);
    other[0] = 6;
    expect(constantShader(shader(true), other, [scalar]).key).not.toBe(made.key);
  });
});
