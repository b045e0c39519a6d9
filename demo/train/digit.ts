// From a drawing to a picture as MNIST's are: "normalized to fit in a 20x20 pixel box while preserving their aspect ratio … centered in a 28x28 image by
// computing the center of mass of the pixels" (yann.lecun.com/exdb/mnist). The lines are drawn anew at MNIST's thickness, whatever size the drawing had.

export interface Spot {
  readonly x: number;
  readonly y: number;
}

/** One line of the pen, in units of the pad's side: 0 to 1. */
export type Stroke = readonly Spot[];

const SIDE = 28;
const BOX = 20;
/** Pixels from a line's middle to where it is half as bright. MNIST's lines are between two and three pixels wide. */
const RADIUS = 1.25;
/** A drawing grows to at most this many pixels for the pad's side, so that a dot stays a dot. */
const MOST = 5 * SIDE;

interface Layout {
  readonly scale: number;
  readonly x: number;
  readonly y: number;
}

/** Distance from (x, y) to the piece from a to b. */
function distance(x: number, y: number, a: Spot, b: Spot): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const square = dx * dx + dy * dy;
  const along = square === 0 ? 0 : Math.max(0, Math.min(1, ((x - a.x) * dx + (y - a.y) * dy) / square));
  return Math.hypot(x - a.x - along * dx, y - a.y - along * dy);
}

function rasterize(strokes: readonly Stroke[], { scale, x, y }: Layout): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(SIDE * SIDE);
  for (const stroke of strokes) {
    const spots = stroke.map((spot) => ({ x: spot.x * scale + x, y: spot.y * scale + y }));
    for (const [i, b] of spots.entries()) {
      const a = spots[Math.max(0, i - 1)] ?? b;
      const reach = RADIUS + 0.5;
      const first = (low: number): number => Math.max(0, Math.floor(low - reach));
      const last = (high: number): number => Math.min(SIDE - 1, Math.ceil(high + reach));
      for (let row = first(Math.min(a.y, b.y)); row <= last(Math.max(a.y, b.y)); row++) {
        for (let column = first(Math.min(a.x, b.x)); column <= last(Math.max(a.x, b.x)); column++) {
          const light = reach - distance(column + 0.5, row + 0.5, a, b);
          const at = row * SIDE + column;
          out[at] = Math.max(out[at] ?? 0, Math.round(255 * Math.max(0, Math.min(1, light))));
        }
      }
    }
  }
  return out;
}

/** 28 × 28 bytes, 0 black; undefined where nothing is drawn. */
export function toPicture(strokes: readonly Stroke[]): Uint8Array<ArrayBuffer> | undefined {
  const spots = strokes.flat();
  if (spots.length === 0) return undefined;
  const xs = spots.map(({ x }) => x);
  const ys = spots.map(({ y }) => y);
  const [left, right, top, bottom] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const scale = Math.min((BOX - 2 * RADIUS) / Math.max(right - left, bottom - top), MOST);
  const centred = {
    scale,
    x: SIDE / 2 - ((left + right) / 2) * scale,
    y: SIDE / 2 - ((top + bottom) / 2) * scale,
  };
  let [mass, sumX, sumY] = [0, 0, 0];
  for (const [at, value] of rasterize(strokes, centred).entries()) {
    mass += value;
    sumX += value * ((at % SIDE) + 0.5);
    sumY += value * (Math.floor(at / SIDE) + 0.5);
  }
  // Never so far that the drawing leaves the picture.
  const room = (SIDE - BOX) / 2;
  const shift = (sum: number): number => Math.max(-room, Math.min(room, SIDE / 2 - sum / mass));
  return rasterize(strokes, { scale, x: centred.x + shift(sumX), y: centred.y + shift(sumY) });
}
