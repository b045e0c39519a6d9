// Places for the nodes of a directed graph, from top to bottom: layers by longest path, few crossings, straight edges. Pure arithmetic, the same result for the same
// graph. The steps are Sugiyama's: edges over several layers get a point in each layer between, layers are ordered by the mean place of their neighbours, and
// then every node goes as near to its neighbours as the nodes beside it allow.

export interface Box {
  readonly width: number;
  readonly height: number;
}

export interface Edge {
  readonly from: number;
  readonly to: number;
}

export interface Layout extends Box {
  /** The middle of each box's upper side. */
  readonly places: readonly (readonly [x: number, y: number])[];
  /** For each edge the points that it goes through, from the lower side of one box to the upper side of the other. */
  readonly paths: readonly (readonly (readonly [x: number, y: number])[])[];
}

/** Between neighbours of a layer, and between layers, in pixels. */
const GAP_X = 22;
const GAP_Y = 38;
/** Sweeps over all layers: these find the order, those up to the second straighten boxes, the rest the edges beside them. */
const ORDERING = 4;
const BOXES = 19;
const SWEEPS = 29;
/** How much harder it is to move a box than a point of an edge. */
const STIFF = 10;

/** A box, or where a long edge passes a layer. */
interface Point extends Box {
  readonly weight: number;
  layer: number;
  x: number;
  readonly above: Point[];
  readonly below: Point[];
  /** Of a long edge's point: that edge, from end to end. */
  readonly edge: readonly Point[];
}

function pointOf({ width, height }: Box, weight: number, layer: number, edge: readonly Point[]): Point {
  return { width, height, weight, layer, x: 0, above: [], below: [], edge };
}

/** The mean place of some points; `point`'s own where there are none. */
function mean(points: readonly Point[], point: Point): number {
  return points.length === 0 ? point.x : points.reduce((sum, { x }) => sum + x, 0) / points.length;
}

/** Where a point wants to stand while lines are straightened: in line with what is near on one side, by short edges if there are such; with the whole of its own long edge. */
function straight(point: Point, near: readonly Point[]): number {
  if (point.edge.length > 0) return mean(point.edge, point);
  const short = near.filter(({ edge }) => edge.length === 0);
  return mean(short.length > 0 ? short : near, point);
}

/** Where its edge has to go to pass everything straight: where its outermost point stands. */
function outermost(point: Point): number {
  const places = point.edge.slice(1, -1).map(({ x }) => x);
  const [low, high] = [Math.min(...places), Math.max(...places)];
  return high + low > 2 * mean(point.edge, point) ? high : low;
}

/** Puts the points of a layer as near as can be to where they want to be (weighted least squares), in their order and apart: pool adjacent violators. */
function spread(row: readonly Point[], wanted: (point: Point) => number): void {
  const pools: { sum: number; weight: number; places: (readonly [Point, number])[] }[] = [];
  let at = 0;
  let before: Point | undefined;
  for (const point of row) {
    if (before !== undefined) at += (before.width + point.width) / 2 + GAP_X;
    before = point;
    let { weight } = point;
    let sum = weight * (wanted(point) - at);
    let places = [[point, at] as const];
    for (
      let last = pools.at(-1);
      last !== undefined && last.sum / last.weight > sum / weight;
      last = pools.at(-1)
    ) {
      sum += last.sum;
      weight += last.weight;
      places = [...last.places, ...places];
      pools.pop();
    }
    pools.push({ sum, weight, places });
  }
  for (const { sum, weight, places } of pools)
    for (const [point, offset] of places) point.x = sum / weight + offset;
}

/** Lays out boxes. Edges go from earlier boxes to later ones, and come in the order of those. */
export function layout(boxes: readonly Box[], edges: readonly Edge[]): Layout {
  const points = boxes.map((box) => pointOf(box, STIFF, 0, []));
  const ends = edges.map(({ from, to }) => [points[from], points[to]] as [Point, Point]);
  for (const [from, to] of ends) to.layer = Math.max(to.layer, from.layer + 1);
  // sources stand right above what reads them
  for (const point of points) {
    const readers = ends.filter(([from]) => from === point).map(([, to]) => to.layer);
    if (point.layer === 0 && readers.length > 0) point.layer = Math.min(...readers) - 1;
  }
  const rows: Point[][] = [];
  const stand = (point: Point): void => {
    rows[point.layer] ??= [];
    rows[point.layer]?.push(point);
  };
  points.forEach(stand);
  const lines = ends.map(([from, to]) => {
    const line = [from];
    for (let layer = from.layer + 1; layer < to.layer; layer++) {
      const point = pointOf({ width: 0, height: 0 }, 1, layer, line);
      stand(point);
      line.push(point);
    }
    line.push(to);
    line.reduce((upper, lower) => {
      upper.below.push(lower);
      lower.above.push(upper);
      return lower;
    });
    return line;
  });

  for (const row of rows) spread(row, () => 0);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const down = sweep % 2 === 0;
    for (const row of down ? rows : rows.toReversed()) {
      const near = (point: Point): Point[] => (down ? point.above : point.below);
      if (sweep < ORDERING) {
        const key = new Map(row.map((point) => [point, mean(near(point), point)]));
        row.sort((a, b) => (key.get(a) ?? 0) - (key.get(b) ?? 0));
        spread(row, (point) => mean(near(point), point));
      } else
        spread(row, (point) =>
          sweep < BOXES || point.edge.length === 0 ? straight(point, near(point)) : outermost(point),
        );
    }
  }

  const all = rows.flat();
  const left = Math.min(...all.map(({ x, width }) => x - width / 2));
  const right = Math.max(...all.map(({ x, width }) => x + width / 2));
  let height = 0;
  const sides = rows.map((row) => {
    const top = height;
    const bottom = top + Math.max(...row.map((point) => point.height));
    height = bottom + GAP_Y;
    return [top, bottom] as const;
  });
  const place = ({ x, layer }: Point, side: 0 | 1): [number, number] => [
    Math.round(x - left),
    sides[layer]?.[side] ?? 0,
  ];
  return {
    width: Math.max(0, Math.round(right - left)),
    height: Math.max(0, height - GAP_Y),
    places: points.map((point) => place(point, 0)),
    paths: lines.map((line) =>
      line.flatMap((point, i): [number, number][] => {
        const top = place(point, 0);
        if (i === 0) return [[top[0], top[1] + point.height]];
        return point.edge.length === 0 ? [top] : [top, place(point, 1)];
      }),
    ),
  };
}
