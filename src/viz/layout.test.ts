import { expect, test } from 'vitest';
import { type Box, type Edge, layout } from './layout.ts';

const GRAPHS = 60;

/** Random graphs whose edges go from earlier nodes to later ones, by a small generator with a seed. */
function random(seed: number): { readonly boxes: Box[]; readonly edges: Edge[] } {
  let state = seed * 2654435761 + 1;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const boxes = Array.from({ length: 1 + next(14) }, () => ({
    width: 20 + next(120),
    height: 20 + next(60),
  }));
  const edges: Edge[] = [];
  for (let to = 1; to < boxes.length; to++)
    for (let k = next(3); k > 0; k--) edges.push({ from: next(to), to });
  return { boxes, edges };
}

test('boxes do not overlap, edges go down and pass between boxes', () => {
  for (let seed = 0; seed < GRAPHS; seed++) {
    const { boxes, edges } = random(seed);
    const { places, paths, width, height } = layout(boxes, edges);
    const sides = places.map(([x, y], i) => {
      const box = boxes[i] as Box;
      return { left: x - box.width / 2, right: x + box.width / 2, top: y, bottom: y + box.height };
    });
    for (const [i, a] of sides.entries()) {
      expect(a.left, `seed ${seed}`).toBeGreaterThanOrEqual(-1);
      expect(a.right).toBeLessThanOrEqual(width + 1);
      expect(a.bottom).toBeLessThanOrEqual(height);
      for (const b of sides.slice(i + 1))
        expect(
          a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top,
          `seed ${seed}: boxes apart`,
        ).toBe(true);
    }
    for (const [i, path] of paths.entries()) {
      const { from, to } = edges[i] as Edge;
      expect(path[0]).toEqual([places[from]?.[0], sides[from]?.bottom]);
      expect(path.at(-1)).toEqual(places[to]);
      for (const [k, [x, y]] of path.entries()) {
        if (k > 0) expect(y, `seed ${seed}: down`).toBeGreaterThanOrEqual(path[k - 1]?.[1] ?? Infinity);
        if (k === 0 || k === path.length - 1) continue;
        for (const { left, right, top, bottom } of sides)
          expect(x > left && x < right && y > top && y < bottom, `seed ${seed}: around boxes`).toBe(false);
      }
    }
  }
});

test('a chain is straight, a skipped chain has its edge beside it', () => {
  const boxes = Array.from({ length: 4 }, () => ({ width: 80, height: 30 }));
  const chain = [0, 1, 2].map((from) => ({ from, to: from + 1 }));
  expect(new Set(layout(boxes, chain).places.map(([x]) => x)).size).toBe(1);
  const { places, paths } = layout(boxes, [...chain, { from: 0, to: 3 }]);
  const beside = paths[3]?.[1]?.[0] ?? 0;
  expect(Math.abs(beside - (places[1]?.[0] ?? 0))).toBeGreaterThan(40);
});

test('the same graph is laid out the same', () => {
  const { boxes, edges } = random(3);
  expect(layout(boxes, edges)).toEqual(
    layout(
      [...boxes],
      edges.map((edge) => ({ ...edge })),
    ),
  );
});

test('one box, no box', () => {
  expect(layout([{ width: 10, height: 5 }], [])).toEqual({
    width: 10,
    height: 5,
    places: [[5, 0]],
    paths: [],
  });
  expect(layout([], [])).toEqual({ width: 0, height: 0, places: [], paths: [] });
});
