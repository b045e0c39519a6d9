// The planning of strided copies, without a device.
import { describe, expect, test } from 'vitest';
import { planCopy } from './customCopyPlan.ts';

function plan(shape: number[], inStrides: number[], outStrides: number[], inOffset = 0, outOffset = 0) {
  const p = planCopy([shape.length, inOffset, outOffset, ...shape, ...inStrides, ...outStrides]);
  return {
    form: p.form,
    shape: p.shape.slice(0, p.ndim),
    in: p.inStrides.slice(0, p.ndim),
    out: p.outStrides.slice(0, p.ndim),
    along: p.along,
    count: p.count,
  };
}

describe('planCopy', () => {
  test('axes that lie together are one run', () => {
    expect(plan([2, 3, 4], [12, 4, 1], [12, 4, 1], 5, 7)).toEqual({
      form: 'contiguous',
      shape: [24],
      in: [1],
      out: [1],
      along: 0,
      count: 24,
    });
  });
  test('axes of one element vanish, whatever their strides', () => {
    expect(plan([1, 3, 1], [99, 1, -7], [3, 1, 1]).shape).toEqual([3]);
    expect(plan([1, 1], [9, 9], [1, 1])).toMatchObject({ form: 'contiguous', shape: [], count: 1 });
    expect(plan([], [], [])).toMatchObject({ form: 'contiguous', count: 1 });
  });
  test('no elements', () => {
    expect(plan([2, 0, 3], [0, 3, 1], [0, 3, 1]).form).toBe('empty');
  });
  test('a transposition keeps two axes, more of them merge to three', () => {
    expect(plan([5, 4], [1, 5], [4, 1])).toMatchObject({ form: 'transpose', shape: [5, 4], along: 0 });
    // NHWC to NCHW: (2, 3, 3, 4) → (2, 4, 3, 3): the two spatial axes merge
    expect(plan([2, 4, 3, 3], [36, 1, 12, 4], [36, 9, 3, 1])).toEqual({
      form: 'transpose',
      shape: [2, 4, 9],
      in: [36, 1, 4],
      out: [36, 9, 1],
      along: 1,
      count: 72,
    });
  });
  test('axes in the order of the output’s memory', () => {
    // written as a transposition of the output: really one run to one run
    expect(plan([4, 3], [1, 4], [1, 4])).toMatchObject({ form: 'contiguous', shape: [12] });
  });
  test('broadcasts and negative strides are gathers', () => {
    expect(plan([3, 4], [0, 1], [4, 1])).toMatchObject({ form: 'gather', shape: [3, 4] });
    expect(plan([3, 4], [0, 0], [4, 1])).toMatchObject({ form: 'gather', shape: [12], in: [0] });
    expect(plan([3, 4], [4, -1], [4, 1], 3)).toMatchObject({ form: 'gather', shape: [3, 4] });
    expect(plan([12], [-1], [1], 11)).toMatchObject({ form: 'gather' });
  });
  test('a destination with gaps is a scatter', () => {
    expect(plan([3, 2], [2, 1], [5, 1])).toMatchObject({ form: 'scatter', shape: [3, 2] });
    expect(plan([6], [1], [2])).toMatchObject({ form: 'scatter' });
  });
  test('the plan’s object can be used again', () => {
    const p = planCopy([2, 0, 0, 5, 4, 1, 5, 4, 1]);
    planCopy([1, 1, 2, 3, 1, 1], p);
    expect(p).toMatchObject({ form: 'contiguous', ndim: 1, inOffset: 1, outOffset: 2, count: 3 });
  });
});
