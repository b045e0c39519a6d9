// Schedulers against values computed by hand from MXNet's formulas.
import { describe, expect, test } from 'vitest';
import { ArgumentError } from '../core/errors.ts';
import * as lrScheduler from './lrScheduler.ts';

const { CosineScheduler, FactorScheduler, LRScheduler, MultiFactorScheduler, PolyScheduler } = lrScheduler;

/** The rates at numbers of updates, as text of ten digits. */
function rates(scheduler: (n: number) => number, updates: readonly number[]): number[] {
  return updates.map((n) => Number(scheduler(n).toPrecision(10)));
}

describe('FactorScheduler', () => {
  test('changes with the first update after every step', () => {
    const s = new FactorScheduler(3, 0.5, { baseLr: 0.8 });
    expect(rates(s, [0, 1, 3, 4, 6, 7, 9, 10])).toEqual([0.8, 0.8, 0.8, 0.4, 0.4, 0.2, 0.2, 0.1]);
  });

  test('the same number gives the same rate, whatever was asked before', () => {
    const s = new FactorScheduler(1, 0.5, { baseLr: 1 });
    expect(rates(s, [9, 1, 4, 2, 9])).toEqual([0.00390625, 1, 0.125, 0.5, 0.00390625]);
    s.baseLr = 2;
    expect(s(2)).toBe(1);
  });

  test('never below stopFactorLr', () => {
    const s = new FactorScheduler(10, 0.1, 0.05, { baseLr: 1 });
    expect(rates(s, [10, 11, 21, 31, 1_000_000])).toEqual([1, 0.1, 0.05, 0.05, 0.05]);
  });

  test('defaults: base 0.01, factor 1, options by name', () => {
    expect(new FactorScheduler(5)(1000)).toBe(0.01);
    const s = new FactorScheduler({ step: 2, factor: 0.25, stopFactorLr: 0.001, baseLr: 0.02 });
    expect(rates(s, [2, 3, 5, 7])).toEqual([0.02, 0.005, 0.00125, 0.001]);
  });

  test('warm-up, linear and constant, does not move the changes', () => {
    const linear = new FactorScheduler(5, 0.5, { baseLr: 1, warmupSteps: 4, warmupBeginLr: 0.2 });
    expect(rates(linear, [0, 1, 3, 4, 5, 6])).toEqual([0.2, 0.4, 0.8, 1, 1, 0.5]);
    const constant = new FactorScheduler(5, 0.5, {
      baseLr: 1,
      warmupSteps: 4,
      warmupBeginLr: 0.2,
      warmupMode: 'constant',
    });
    expect(rates(constant, [0, 3, 4])).toEqual([0.2, 0.2, 1]);
  });
});

test('MultiFactorScheduler', () => {
  const s = new MultiFactorScheduler([2, 5, 6], 0.1, { baseLr: 1 });
  expect(rates(s, [1, 2, 3, 5, 6, 7, 100])).toEqual([1, 1, 0.1, 0.1, 0.01, 0.001, 0.001]);
  const warm = new MultiFactorScheduler([5, 8], { factor: 0.5, warmupSteps: 4 });
  expect(rates(warm, [1, 2, 4, 6, 9])).toEqual([0.0025, 0.005, 0.01, 0.005, 0.0025]);
});

test('PolyScheduler', () => {
  // base·(1 − n/10)²
  expect(rates(new PolyScheduler(10, 1), [0, 1, 5, 10, 11])).toEqual([1, 0.81, 0.25, 0, 0]);
  // 0.1 + 0.9·(1 − (n − 2)/8)
  const s = new PolyScheduler(10, 1, 1, 0.1, { warmupSteps: 2 });
  expect(rates(s, [0, 1, 2, 6, 10, 50])).toEqual([0, 0.5, 1, 0.55, 0.1, 0.1]);
  expect(new PolyScheduler(10, { pwr: 3, baseLr: 1 })(5)).toBe(0.125);
});

test('CosineScheduler', () => {
  // base·(1 + cos(π·n/20))/2
  const s = new CosineScheduler(20, 0.5);
  expect(s(0)).toBe(0.5);
  expect(s(10)).toBeCloseTo(0.25, 12);
  expect(s(5)).toBeCloseTo((0.5 * (1 + Math.SQRT1_2)) / 2, 12);
  expect(rates(s, [20, 21])).toEqual([0, 0]);
  const warm = new CosineScheduler(12, { baseLr: 1, finalLr: 0.2, warmupSteps: 4, warmupBeginLr: 0.1 });
  expect(rates(warm, [0, 2, 4, 8, 12, 13])).toEqual([0.1, 0.55, 1, 0.6, 0.2, 0.2]);
});

test('a scheduler of your own', () => {
  class Halving extends LRScheduler {
    protected override after(n: number): number {
      return this.baseLr * 0.5 ** n;
    }
  }
  const s = new Halving({ baseLr: 8, warmupSteps: 2 });
  expect(rates(s, [0, 1, 2, 3])).toEqual([0, 4, 2, 1]);
  expect(s).toBeInstanceOf(LRScheduler);
  expect(typeof s).toBe('function');
});

test('bad arguments', () => {
  expect(() => new FactorScheduler(0)).toThrow(ArgumentError);
  expect(() => new FactorScheduler(1, 1.5)).toThrow(/factor ≤ 1/);
  expect(() => new FactorScheduler(1, { base_lr: 1 } as never)).toThrow(/baseLr/);
  expect(() => new MultiFactorScheduler([3, 2])).toThrow(/ascending/);
  expect(() => new MultiFactorScheduler([])).toThrow(ArgumentError);
  expect(() => new PolyScheduler(0)).toThrow(ArgumentError);
  expect(() => new CosineScheduler(5, { warmupSteps: 5 })).toThrow(/warmupSteps < maxUpdate/);
  expect(() => new CosineScheduler(5, { baseLr: 0.1, warmupBeginLr: 0.2 })).toThrow(/warmupBeginLr ≤ baseLr/);
  expect(() => new CosineScheduler(5, { warmupMode: 'cubic' as never })).toThrow(/linear/);
  expect(() => new CosineScheduler(5)('3' as never)).toThrow(/number of updates/);
});
