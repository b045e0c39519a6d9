// Convolutions as products without laying the patches out in memory: tables that say where each column (an output pixel) and each tap
// (a channel and a place in the kernel) look in the source, and the packers that read through them.
import type { Floats, Pack } from './gemm.ts';
import { STRIP } from './microKernel.ts';

/** `dims` of a convolution by name, spatial triples in the order depth, height, width. */
export interface ConvGeometry {
  readonly N: number;
  readonly C: number;
  readonly O: number;
  readonly groups: number;
  readonly i: Triple;
  readonly o: Triple;
  readonly k: Triple;
  readonly s: Triple;
  readonly d: Triple;
  readonly p: Triple;
}
export type Triple = readonly [number, number, number];

export function geometryOf(dims: readonly number[]): ConvGeometry {
  const at = (i: number): number => dims[i] as number;
  const triple = (i: number): Triple => [at(i), at(i + 1), at(i + 2)];
  return {
    N: at(0),
    C: at(1),
    O: at(2),
    groups: at(3),
    i: triple(4),
    o: triple(7),
    k: triple(10),
    s: triple(13),
    d: triple(16),
    p: triple(19),
  };
}

export const volume = (t: Triple): number => t[0] * t[1] * t[2];

/** Taps: for each the offset of its element from a column's origin, and the offsets along the axes, for the bounds. */
export class Taps {
  readonly offset: Int32Array;
  readonly z: Int32Array;
  readonly y: Int32Array;
  readonly x: Int32Array;
  readonly #low: [number, number, number] = [0, 0, 0];
  readonly #high: [number, number, number] = [0, 0, 0];
  readonly count: number;
  readonly source: Triple;

  /** Channels of `source` extents, and in each the taps at the places z, y, x relative to a column's origin. */
  constructor(
    channels: number,
    source: Triple,
    zs: readonly number[],
    ys: readonly number[],
    xs: readonly number[],
  ) {
    const perChannel = zs.length * ys.length * xs.length;
    const count = channels * perChannel;
    this.count = count;
    this.source = source;
    this.offset = new Int32Array(count);
    this.z = new Int32Array(count);
    this.y = new Int32Array(count);
    this.x = new Int32Array(count);
    let t = 0;
    for (let c = 0; c < channels; c++)
      for (const z of zs)
        for (const y of ys)
          for (const x of xs) {
            this.offset[t] = ((c * source[0] + z) * source[1] + y) * source[2] + x;
            this.z[t] = z;
            this.y[t] = y;
            this.x[t] = x;
            t++;
          }
    [zs, ys, xs].forEach((list, axis) => {
      this.#low[axis] = Math.min(0, ...list);
      this.#high[axis] = Math.max(0, ...list);
    });
  }

  /** Whether all taps of the column whose origin is (z, y, x) lie in the source. */
  inside(z: number, y: number, x: number): boolean {
    const low = this.#low;
    const high = this.#high;
    const { source } = this;
    return (
      z + low[0] >= 0 &&
      y + low[1] >= 0 &&
      x + low[2] >= 0 &&
      z + high[0] < source[0] &&
      y + high[1] < source[1] &&
      x + high[2] < source[2]
    );
  }
}

/** Columns in a run: images, and in each a grid whose points lie `step` apart in the source. */
export class Columns {
  readonly grid: Triple;
  readonly #step: Triple;
  readonly #source: Triple;
  readonly #imageStride: number;
  /** Of the columns last visited: origin's offset and place, and whether all taps lie inside. */
  base = new Float64Array(0);
  z = new Int32Array(0);
  y = new Int32Array(0);
  x = new Int32Array(0);
  inside = new Uint8Array(0);

  constructor(grid: Triple, step: Triple, source: Triple, imageStride: number) {
    this.grid = grid;
    this.#step = step;
    this.#source = source;
    this.#imageStride = imageStride;
  }

  /** Fills the tables for `count` columns from `first` on. */
  visit(first: number, count: number, taps: Taps, origin: number): void {
    if (this.base.length < count) {
      this.base = new Float64Array(count);
      this.z = new Int32Array(count);
      this.y = new Int32Array(count);
      this.x = new Int32Array(count);
      this.inside = new Uint8Array(count);
    }
    const [gz, gy, gx] = this.grid;
    const [sz, sy, sx] = this.#step;
    const [, ey, ex] = this.#source;
    let x = first % gx;
    let rest = (first - x) / gx;
    let y = rest % gy;
    rest = (rest - y) / gy;
    let z = rest % gz;
    let image = (rest - z) / gz;
    for (let j = 0; j < count; j++) {
      this.z[j] = z * sz;
      this.y[j] = y * sy;
      this.x[j] = x * sx;
      this.base[j] = origin + image * this.#imageStride + (z * sz * ey + y * sy) * ex + x * sx;
      this.inside[j] = taps.inside(z * sz, y * sy, x * sx) ? 1 : 0;
      if (++x === gx) {
        x = 0;
        if (++y === gy) {
          y = 0;
          if (++z === gz) {
            z = 0;
            image++;
          }
        }
      }
    }
  }
}

/** Packs patches with pixels as columns and taps as depth: what `conv` and `convGradData` multiply with weights. */
export function pixelsByTaps(data: Floats, origin: number, columns: Columns, taps: Taps): Pack {
  return (panel, first, count, k0, depth) => {
    columns.visit(first, count, taps, origin);
    const { base, inside } = columns;
    for (let j = 0; j < count; j += STRIP) {
      const at = j * depth;
      if (j + STRIP <= count && inside[j] && inside[j + 1] && inside[j + 2] && inside[j + 3])
        insideStrip(panel, at, data, base, j, taps.offset, k0, depth);
      else edgeStrip(panel, at, data, columns, j, Math.min(STRIP, count - j), taps, k0, depth);
    }
  };
}

function insideStrip(
  panel: Float64Array,
  at: number,
  data: Floats,
  base: Float64Array,
  j: number,
  offset: Int32Array,
  k0: number,
  depth: number,
): void {
  const b0 = base[j] as number;
  const d1 = (base[j + 1] as number) - b0;
  const d2 = (base[j + 2] as number) - b0;
  const d3 = (base[j + 3] as number) - b0;
  for (let k = k0, end = k0 + depth; k < end; k++, at += STRIP) {
    const from = b0 + (offset[k] as number);
    panel[at] = data[from] as number;
    panel[at + 1] = data[from + d1] as number;
    panel[at + 2] = data[from + d2] as number;
    panel[at + 3] = data[from + d3] as number;
  }
}

function edgeStrip(
  panel: Float64Array,
  at: number,
  data: Floats,
  columns: Columns,
  j: number,
  count: number,
  taps: Taps,
  k0: number,
  depth: number,
): void {
  for (let q = 0; q < STRIP; q++) {
    if (q >= count) {
      for (let k = 0; k < depth; k++) panel[at + k * STRIP + q] = 0;
      continue;
    }
    const base = columns.base[j + q] as number;
    const z0 = columns.z[j + q] as number;
    const y0 = columns.y[j + q] as number;
    const x0 = columns.x[j + q] as number;
    const [ez, ey, ex] = taps.source;
    for (let k = 0; k < depth; k++) {
      const t = k0 + k;
      const x = x0 + (taps.x[t] as number);
      const y = y0 + (taps.y[t] as number);
      const z = z0 + (taps.z[t] as number);
      const within = x >= 0 && x < ex && y >= 0 && y < ey && z >= 0 && z < ez;
      panel[at + k * STRIP + q] = within ? (data[base + (taps.offset[t] as number)] as number) : 0;
    }
  }
}

/** Packs patches with taps as columns and pixels as depth: what `convGradWeight` multiplies with the output's gradient. */
export function tapsByPixels(data: Floats, origin: number, columns: Columns, taps: Taps): Pack {
  const [ez, ey, ex] = taps.source;
  return (panel, first, count, k0, depth) => {
    columns.visit(k0, depth, taps, origin);
    const { base, inside } = columns;
    for (let j = 0; j < count; j += STRIP) {
      let at = j * depth;
      const whole = j + STRIP <= count;
      const t0 = taps.offset[first + j] as number;
      const t1 = taps.offset[first + j + 1] as number;
      const t2 = taps.offset[first + j + 2] as number;
      const t3 = taps.offset[first + j + 3] as number;
      for (let k = 0; k < depth; k++, at += STRIP) {
        const from = base[k] as number;
        if (whole && inside[k]) {
          panel[at] = data[from + t0] as number;
          panel[at + 1] = data[from + t1] as number;
          panel[at + 2] = data[from + t2] as number;
          panel[at + 3] = data[from + t3] as number;
          continue;
        }
        for (let q = 0; q < STRIP; q++) {
          const t = first + j + q;
          let value = 0;
          if (j + q < count) {
            const x = (columns.x[k] as number) + (taps.x[t] as number);
            const y = (columns.y[k] as number) + (taps.y[t] as number);
            const z = (columns.z[k] as number) + (taps.z[t] as number);
            if (x >= 0 && x < ex && y >= 0 && y < ey && z >= 0 && z < ez)
              value = data[from + (taps.offset[t] as number)] as number;
          }
          panel[at + q] = value;
        }
      }
    }
  };
}
