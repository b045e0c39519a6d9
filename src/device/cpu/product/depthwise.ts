// Depthwise convolutions (one channel of the data to a group): too little work per element for packed panels. Each channel's box is held
// with its padding in doubles, so that rows of pixels are summed tap by tap without a look at the bounds. Floats only.
import type { Source } from './conv.ts';
import type { Floats } from './gemm.ts';
import type { ConvGeometry, Triple } from './patches.ts';
import { volume } from './patches.ts';
import type { ProductStore } from './store.ts';

export function isDepthwise(g: ConvGeometry): boolean {
  return g.groups > 1 && g.groups === g.C;
}

/** One channel's box with its margins, and where the taps look in it from the first output's place. */
class Box {
  readonly extents: Triple;
  readonly values: Float64Array;
  readonly taps: Int32Array;
  readonly #g: ConvGeometry;

  constructor(g: ConvGeometry) {
    const extent = (a: 0 | 1 | 2): number =>
      Math.max(g.p[a] + g.i[a], (g.o[a] - 1) * g.s[a] + (g.k[a] - 1) * g.d[a] + 1);
    this.#g = g;
    this.extents = [extent(0), extent(1), extent(2)];
    this.values = new Float64Array(volume(this.extents));
    this.taps = new Int32Array(volume(g.k));
    const [, height, width] = this.extents;
    let t = 0;
    for (let z = 0; z < g.k[0]; z++)
      for (let y = 0; y < g.k[1]; y++)
        for (let x = 0; x < g.k[2]; x++)
          this.taps[t++] = (z * g.d[0] * height + y * g.d[1]) * width + x * g.d[2];
  }

  /** Where the taps of the output row (z, y) begin. */
  row(z: number, y: number): number {
    return (z * this.#g.s[0] * this.extents[1] + y * this.#g.s[1]) * this.extents[2];
  }

  /** Where row (z, y) of the channel itself lies. */
  own(z: number, y: number): number {
    const { p } = this.#g;
    return ((z + p[0]) * this.extents[1] + y + p[1]) * this.extents[2] + p[2];
  }

  /** Takes in the channel that begins at `at`; the margins stay zero. */
  load(data: Floats, at: number): void {
    const [depth, height, width] = this.#g.i;
    for (let z = 0; z < depth; z++)
      for (let y = 0; y < height; y++) {
        copyRow(this.values, this.own(z, y), data, at, width);
        at += width;
      }
  }
}

function copyRow(to: Float64Array, o: number, from: Floats, a: number, n: number): void {
  for (let i = 0; i < n; i++) to[o + i] = from[a + i] as number;
}

/** sum[i] += Σ xₜ·box[aₜ + i·step] for three taps. */
function addThree(
  sum: Float64Array,
  n: number,
  box: Float64Array,
  step: number,
  a0: number,
  x0: number,
  a1: number,
  x1: number,
  a2: number,
  x2: number,
): void {
  for (let i = 0, p = 0; i < n; i++, p += step)
    sum[i] =
      (sum[i] as number) +
      x0 * (box[a0 + p] as number) +
      x1 * (box[a1 + p] as number) +
      x2 * (box[a2 + p] as number);
}

function addOne(sum: Float64Array, n: number, box: Float64Array, step: number, a: number, x: number): void {
  for (let i = 0; i < n; i++, a += step) sum[i] = (sum[i] as number) + x * (box[a] as number);
}

/** box[o + i·step] += x·row[i] */
function spread(box: Float64Array, o: number, step: number, row: Float64Array, n: number, x: number): void {
  for (let i = 0; i < n; i++, o += step) box[o] = (box[o] as number) + x * (row[i] as number);
}

/** Σ row[i]·box[b + i·step], in four partial sums. */
function dot(row: Float64Array, box: Float64Array, b: number, step: number, n: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let i = 0;
  for (; i + 4 <= n; i += 4, b += 4 * step) {
    s0 += (row[i] as number) * (box[b] as number);
    s1 += (row[i + 1] as number) * (box[b + step] as number);
    s2 += (row[i + 2] as number) * (box[b + 2 * step] as number);
    s3 += (row[i + 3] as number) * (box[b + 3 * step] as number);
  }
  for (; i < n; i++, b += step) s0 += (row[i] as number) * (box[b] as number);
  return s0 + s1 + (s2 + s3);
}

/** One output row: all taps from `at` on. */
function sumTaps(
  sum: Float64Array,
  n: number,
  box: Box,
  at: number,
  step: number,
  weights: Float64Array,
): void {
  const { taps, values } = box;
  const count = taps.length;
  sum.fill(0);
  let t = 0;
  for (; t + 3 <= count; t += 3) {
    const a0 = at + (taps[t] as number);
    const a1 = at + (taps[t + 1] as number);
    const a2 = at + (taps[t + 2] as number);
    addThree(
      sum,
      n,
      values,
      step,
      a0,
      weights[t] as number,
      a1,
      weights[t + 1] as number,
      a2,
      weights[t + 2] as number,
    );
  }
  for (; t < count; t++) addOne(sum, n, values, step, at + (taps[t] as number), weights[t] as number);
}

export function depthwiseConv(g: ConvGeometry, x: Source, w: Source, store: ProductStore): void {
  const [oD, oH, oW] = g.o;
  const perGroup = g.O / g.groups;
  const box = new Box(g);
  const weights = new Float64Array(volume(g.k));
  const row = new Float64Array(oW);
  for (let n = 0; n < g.N; n++)
    for (let c = 0; c < g.C; c++) {
      box.load(x.data, x.at + (n * g.C + c) * volume(g.i));
      for (let o = c * perGroup; o < (c + 1) * perGroup; o++) {
        copyRow(weights, 0, w.data, w.at + o * weights.length, weights.length);
        let to = (n * g.O + o) * volume(g.o);
        for (let z = 0; z < oD; z++)
          for (let y = 0; y < oH; y++, to += oW) {
            sumTaps(row, oW, box, box.row(z, y), g.s[2], weights);
            store.put(row, 0, oW, to, 1, o, 0);
          }
      }
    }
}

export function depthwiseGradData(g: ConvGeometry, dy: Source, w: Source, store: ProductStore): void {
  const [iD, iH, iW] = g.i;
  const [oD, oH, oW] = g.o;
  const perGroup = g.O / g.groups;
  const box = new Box(g);
  const { taps, values } = box;
  const weights = new Float64Array(taps.length);
  const row = new Float64Array(oW);
  for (let n = 0; n < g.N; n++)
    for (let c = 0; c < g.C; c++) {
      values.fill(0);
      for (let o = c * perGroup; o < (c + 1) * perGroup; o++) {
        copyRow(weights, 0, w.data, w.at + o * taps.length, taps.length);
        let from = dy.at + (n * g.O + o) * volume(g.o);
        for (let z = 0; z < oD; z++)
          for (let y = 0; y < oH; y++, from += oW) {
            copyRow(row, 0, dy.data, from, oW);
            const at = box.row(z, y);
            for (let t = 0; t < taps.length; t++)
              spread(values, at + (taps[t] as number), g.s[2], row, oW, weights[t] as number);
          }
      }
      let to = (n * g.C + c) * volume(g.i);
      for (let z = 0; z < iD; z++)
        for (let y = 0; y < iH; y++, to += iW) store.put(values, box.own(z, y), iW, to, 1, c, 0);
    }
}

export function depthwiseGradWeight(g: ConvGeometry, dy: Source, x: Source, store: ProductStore): void {
  const [oD, oH, oW] = g.o;
  const perGroup = g.O / g.groups;
  const box = new Box(g);
  const { taps, values } = box;
  const row = new Float64Array(oW);
  const sums = new Float64Array(perGroup * taps.length);
  for (let c = 0; c < g.C; c++) {
    sums.fill(0);
    for (let n = 0; n < g.N; n++) {
      box.load(x.data, x.at + (n * g.C + c) * volume(g.i));
      for (let q = 0; q < perGroup; q++) {
        let from = dy.at + (n * g.O + c * perGroup + q) * volume(g.o);
        for (let z = 0; z < oD; z++)
          for (let y = 0; y < oH; y++, from += oW) {
            copyRow(row, 0, dy.data, from, oW);
            const at = box.row(z, y);
            for (let t = 0; t < taps.length; t++) {
              const s = q * taps.length + t;
              sums[s] = (sums[s] as number) + dot(row, values, at + (taps[t] as number), g.s[2], oW);
            }
          }
      }
    }
    // the group's rows of weights lie together
    store.put(sums, 0, sums.length, c * sums.length, 1, c, 0);
  }
}
