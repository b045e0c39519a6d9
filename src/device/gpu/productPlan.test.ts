// The choice of tiles and splits is pure: what must hold for every shape, and what it chooses for shapes that matter.
import { describe, expect, test } from 'vitest';
import type { GpuTraits } from './lowering.ts';
import type { ProductPlan } from './productPlan.ts';
import { planProduct, TILES, tilesOf } from './productPlan.ts';

const software: GpuTraits = {
  software: true,
  subgroups: false,
  f16: false,
  maxWorkgroupStorage: 16384,
  maxInvocationsPerWorkgroup: 256,
  maxWorkgroups: 65535,
};
const base: GpuTraits = { ...software, software: false };
const large: GpuTraits = { ...base, maxWorkgroupStorage: 49152, maxInvocationsPerWorkgroup: 1024 };

function extents(m: number, n: number, k: number, aAlong: 'k' | 'm' = 'k', bAlong: 'k' | 'n' = 'n') {
  return { m, n, k, batch: 1, groups: 1, aAlong, bAlong } as const;
}

/** The bytes of workgroup memory that a body declares (shaders/product*.wgsl). */
function workgroupBytes(plan: ProductPlan): number {
  if (plan.body === 'tiled') return (plan.rows + plan.cols) * plan.step * 4 * plan.stages;
  return plan.body === 'dot' ? 4 * plan.threadsN * 16 : 0;
}

const SIZES = [0, 1, 2, 3, 4, 5, 8, 17, 33, 64, 100, 128, 129, 1000, 4096, 100_000];

describe('every plan', () => {
  test.each([
    ['software', software],
    ['base limits', base],
    ['a large GPU', large],
  ] as const)('fits the adapter and covers k exactly once: %s', (_, traits) => {
    for (const m of SIZES)
      for (const n of SIZES)
        for (const k of SIZES)
          for (const aAlong of ['k', 'm'] as const)
            for (const bAlong of ['k', 'n'] as const) {
              const shape = extents(m, n, k, aAlong, bAlong);
              const plan = planProduct(shape, traits);
              const wrong: string[] = [];
              if (workgroupBytes(plan) > traits.maxWorkgroupStorage) wrong.push('workgroup memory');
              if (plan.threadsM * plan.threadsN > traits.maxInvocationsPerWorkgroup)
                wrong.push('invocations');
              if (plan.chunk % plan.step !== 0 || plan.chunk < 1) wrong.push('chunks of whole steps');
              if (plan.splits * plan.chunk < k || (plan.splits > 1 && (plan.splits - 1) * plan.chunk >= k))
                wrong.push('splits cover k, none empty');
              if (plan.splits > 1 && plan.splits * m * n > 1 << 24) wrong.push('scratch');
              if (plan.body !== 'tiled' && (plan.rows > 8 || plan.cols > 8))
                wrong.push('tile of an invocation');
              // rows read along m come as vec4s from multiples of four
              if (aAlong === 'm' && plan.rows < m && plan.rows % 4 !== 0) wrong.push('rows by fours');
              if (bAlong === 'n' && plan.cols % 4 !== 0) wrong.push('columns by fours');
              if (plan.body === 'dot' && (aAlong !== 'k' || bAlong !== 'k')) wrong.push('dot along k');
              if (traits.software && plan.body !== 'direct') wrong.push('barriers on a software adapter');
              const tiles = tilesOf(plan, shape);
              if (tiles.down * plan.rows < m || tiles.across * plan.cols < n)
                wrong.push('tiles cover the output');
              if (wrong.length > 0)
                expect.fail(`${JSON.stringify(shape)} → ${JSON.stringify(plan)}: ${wrong.join(', ')}`);
            }
  });

  test('the same shape on the same adapter gives the same plan', () => {
    expect(planProduct(extents(100, 200, 3000), base)).toEqual(
      planProduct(extents(100, 200, 3000), { ...base }),
    );
  });
});

test('a tile needs no more blocks than it has invocations to bring them, and invocations in eights', () => {
  for (const tile of TILES) {
    const rows = tile.threadsM * 4 * tile.rowQuads;
    const cols = tile.threadsN * 4 * tile.colQuads;
    expect(((rows + cols) / 4) * (tile.step / 4)).toBeLessThanOrEqual(tile.threadsM * tile.threadsN);
    expect([tile.threadsM % 8, tile.threadsN % 8, 8 % (tile.step / 4)]).toEqual([0, 0, 0]);
  }
});

describe('what is chosen', () => {
  const text = (plan: ProductPlan): string => `${plan.body} ${plan.rows}x${plan.cols}/${plan.splits}`;
  test.each([
    ['a large square', extents(4096, 4096, 4096), 'tiled 128x128/1'],
    ["ResNet's 3x3, 64 channels, 56x56, batch 64", extents(64, 200_704, 576), 'tiled 64x128/1'],
    ['a row times a matrix stored by columns', extents(1, 4096, 4096, 'k', 'k'), 'dot 1x4/1'],
    ['a depthwise convolution: one row', extents(1, 12_544, 9), 'direct 1x4/1'],
  ])('on a large GPU: %s', (_, shape, wanted) => {
    expect(text(planProduct(shape, large))).toBe(wanted);
  });

  test('few sums of many terms are split until the GPU is full', () => {
    for (const shape of [
      extents(64, 576, 200_704, 'k', 'k'),
      extents(6, 25, 36_864, 'k', 'k'),
      extents(512, 49, 4608),
    ]) {
      const plan = planProduct(shape, large);
      expect(tilesOf(plan, shape).all).toBeGreaterThanOrEqual(100);
    }
  });

  test.each([
    ["LeNet's first convolution", extents(6, 36_864, 25), 'direct 6x8/1'],
    ["LeNet's second convolution", extents(16, 6400, 54), 'direct 8x8/1'],
    ["LeNet's first dense layer", extents(64, 120, 400, 'k', 'k'), 'direct 8x8/1'],
    ['what compiles longer than it runs', extents(9, 10, 84, 'k', 'k'), 'direct 4x4/1'],
  ])('on a software adapter: %s', (_, shape, wanted) => {
    expect(text(planProduct(shape, software))).toBe(wanted);
  });
});
