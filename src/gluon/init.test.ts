// Initialisers: formulas against their definitions, draws against recorded ones, ranges and moments where there is no record.
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { NDArray } from '../array/ndarray.ts';
import { ShapeError } from '../core/errors.ts';
import * as nd from '../nd/index.ts';
import * as init from './init.ts';
import * as nn from './nn/index.ts';
import { Parameter } from './parameter.ts';

async function drawn(initializer: init.Initializer | string, shape: number[]): Promise<Float32Array> {
  nd.random.seed(0);
  const p = new Parameter('p', { shape, init: initializer });
  p.initialize();
  return p.data().data('float32');
}

function moments(values: Float32Array): { mean: number; std: number; max: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  return { mean, std: Math.sqrt(variance), max: Math.max(...values.map(Math.abs)) };
}

describe('initializers', () => {
  test('the default draws what MXNet’s Embedding printed', async () => {
    const recorded = JSON.parse(
      readFileSync(new URL('../../test-data/mxnet/rng-cpu.json', import.meta.url), 'utf8'),
    ) as Record<string, { readonly v: readonly number[] }>;
    nd.random.seed(0);
    const layer = new nn.Embedding(20, 4);
    layer.initialize();
    expect([...(await layer.weight.data().data())]).toEqual(
      recorded['embedding_20x4_default_uniform_seed0']?.v,
    );
  });

  test('Xavier: the scale of each kind', async () => {
    // fanIn = 4·9, fanOut = 64·9
    const shape = [64, 4, 3, 3];
    const [fanIn, fanOut] = [36, 576];
    const uniform = moments(await drawn('xavier', shape));
    const scale = Math.sqrt(3 / ((fanIn + fanOut) / 2));
    expect(uniform.max).toBeLessThanOrEqual(Math.fround(scale));
    expect(uniform.max).toBeGreaterThan(0.99 * scale);
    const gaussian = moments(
      await drawn(new init.Xavier({ rndType: 'gaussian', factorType: 'in', magnitude: 2 }), shape),
    );
    expect(gaussian.std / Math.sqrt(2 / fanIn)).toBeCloseTo(1, 1);
    const out = moments(await drawn(new init.Xavier({ factorType: 'out' }), shape));
    expect(out.max / Math.sqrt(3 / fanOut)).toBeCloseTo(1, 1);
    const msra = moments(await drawn(new init.MSRAPrelu({ slope: 1 }), shape));
    expect(msra.std / Math.sqrt(1 / ((fanIn + fanOut) / 2))).toBeCloseTo(1, 1);
    await expect(drawn('xavier', [3])).rejects.toThrow(ShapeError);
  });

  test('Uniform, Normal, Constant, Zero, One', async () => {
    expect(moments(await drawn('uniform', [2000])).max).toBeLessThanOrEqual(Math.fround(0.07));
    expect(moments(await drawn(new init.Uniform(2), [2000])).max).toBeGreaterThan(1.9);
    expect(moments(await drawn(new init.Normal(), [4000])).std).toBeCloseTo(0.01, 3);
    expect(await drawn(new init.Constant(2.5), [2])).toEqual(Float32Array.of(2.5, 2.5));
    expect(await drawn('ones', [2])).toEqual(Float32Array.of(1, 1));
    expect(await drawn(new init.Zero(), [2])).toEqual(Float32Array.of(0, 0));
  });

  test.each([
    ['wide', [3, 2, 2]],
    ['tall', [5, 3]],
    ['square', [4, 4]],
  ])('Orthogonal, %s: rows or columns are orthonormal times the scale', async (_, shape) => {
    const scale = 2;
    const values = await drawn(new init.Orthogonal(scale, { randType: 'normal' }), shape);
    const [rows, columns] = [shape[0] as number, shape.slice(1).reduce((a, b) => a * b)];
    const [count, length] = rows <= columns ? [rows, columns] : [columns, rows];
    const at = (v: number, i: number): number =>
      values[rows <= columns ? v * columns + i : i * columns + v] as number;
    for (let a = 0; a < count; a++)
      for (let b = 0; b < count; b++) {
        let product = 0;
        for (let i = 0; i < length; i++) product += at(a, i) * at(b, i);
        expect(product).toBeCloseTo(a === b ? scale * scale : 0, 5);
      }
  });

  test('Bilinear and LSTMBias', async () => {
    // the 4 × 4 kernel of factor 2: outer product of [1, 3, 3, 1] / 4
    const line = [0.25, 0.75, 0.75, 0.25];
    expect([...(await drawn('bilinear', [1, 1, 4, 4]))]).toEqual(line.flatMap((a) => line.map((b) => a * b)));
    await expect(drawn('bilinear', [4, 4])).rejects.toThrow(ShapeError);
    expect([...(await drawn(new init.LSTMBias(2), [8]))]).toEqual([0, 0, 2, 2, 0, 0, 0, 0]);
  });

  test('one of your own', async () => {
    class Ramp extends init.Initializer {
      override initWeight(name: string, data: NDArray): void {
        expect(name).toBe('p');
        data.set([':'], nd.arange(data.shape[0]));
      }
    }
    expect([...(await drawn(new Ramp(), [3]))]).toEqual([0, 1, 2]);
  });

  test('options are checked', () => {
    expect(() => new init.Xavier({ rnd_type: 'gaussian' } as never)).toThrow(/Did you mean rndType/);
    expect(() => new init.Xavier({ rndType: 'normal' as never })).toThrow(/'gaussian'/);
    expect(() => new init.Normal('x' as never)).toThrow(/a number/);
  });
});
