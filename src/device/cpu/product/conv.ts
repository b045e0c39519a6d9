// Convolutions and both their gradients as blocked products, group by group. The gradient of the data is taken apart into the residues
// of the stride, in each of which it is a convolution of stride 1, so that no multiplication meets a zero between the strides.
import type { ProductKernel } from '../../../ir/kernel.ts';
import type { Floats } from './gemm.ts';
import { blockedProduct, packStrided } from './gemm.ts';
import type { MicroKernel } from './microKernel.ts';
import { floatKernel, intKernel, STRIP } from './microKernel.ts';
import type { ConvGeometry, Triple } from './patches.ts';
import { Columns, pixelsByTaps, Taps, tapsByPixels, volume } from './patches.ts';
import type { ProductStore } from './store.ts';

/** An operand: its elements and the index of its first. */
export interface Source {
  readonly data: Floats;
  readonly at: number;
}

/** The operand that patches are read from, perhaps with zeros laid around it: its extents now, and how many lie before it. */
export interface PatchSource extends Source {
  readonly extents: Triple;
  readonly before: Triple;
}

const kernelFor = (integers: boolean): MicroKernel => (integers ? intKernel : floatKernel);
const range = (n: number): number[] => Array.from({ length: n }, (_, i) => i);

/** Along each axis the kernel's places k·dilation − padding, counted in the source with its margins. */
function offsetsOf(g: ConvGeometry, x: PatchSource): [number[], number[], number[]] {
  const along = (a: 0 | 1 | 2): number[] => range(g.k[a]).map((k) => k * g.d[a] - g.p[a] + x.before[a]);
  return [along(0), along(1), along(2)];
}

/**
 * How many zeros before and after the source (x, or dy for `convGradData`) spare all patches a look at the bounds, and the source's extents.
 */
export function marginsOf(
  form: ProductKernel['form'],
  g: ConvGeometry,
): { extents: Triple; before: Triple; after: Triple } {
  const axes = ([0, 1, 2] as const).map((a) => {
    const reach = (g.k[a] - 1) * g.d[a];
    const [low, high, extent] =
      form === 'convGradData'
        ? [Math.ceil((g.p[a] - reach) / g.s[a]) | 0, Math.floor((g.i[a] - 1 + g.p[a]) / g.s[a]) | 0, g.o[a]]
        : [0 - g.p[a], (g.o[a] - 1) * g.s[a] + reach - g.p[a], g.i[a]];
    return { extent, before: Math.max(0, 0 - low), after: Math.max(0, high - extent + 1) };
  });
  const triple = (of: (axis: (typeof axes)[number]) => number): Triple => {
    const [z, y, x] = axes.map(of);
    return [z as number, y as number, x as number];
  };
  return { extents: triple((a) => a.extent), before: triple((a) => a.before), after: triple((a) => a.after) };
}

/** y(N, O, o) from x(N, C, i) and w. */
export function conv(
  g: ConvGeometry,
  x: PatchSource,
  w: Source,
  store: ProductStore,
  integers: boolean,
): void {
  const inChannels = g.C / g.groups;
  const outChannels = g.O / g.groups;
  const pixels = volume(g.o);
  const taps = new Taps(inChannels, x.extents, ...offsetsOf(g, x));
  const columns = new Columns(g.o, g.s, x.extents, g.C * volume(x.extents));
  const K = taps.count;
  for (let group = 0; group < g.groups; group++) {
    const weights = w.at + group * outChannels * K;
    blockedProduct(
      outChannels,
      g.N * pixels,
      K,
      (panel, first, count, k0, depth) =>
        packStrided(panel, w.data, weights + first * K + k0, K, 1, count, depth),
      pixelsByTaps(x.data, x.at + group * inChannels * volume(x.extents), columns, taps),
      kernelFor(integers),
      (tile, ldc, row, rows, column, n) => {
        for (let done = 0; done < n; ) {
          // as far as the image goes
          const image = Math.floor((column + done) / pixels);
          const pixel = column + done - image * pixels;
          const count = Math.min(n - done, pixels - pixel);
          for (let r = 0; r < rows; r++) {
            const channel = group * outChannels + row + r;
            store.put(tile, r * ldc + done, count, (image * g.O + channel) * pixels + pixel, 1, channel, 0);
          }
          done += count;
        }
      },
    );
  }
}

/** The data's gradient, (N, C, i) from dy(N, O, o) and w; also the transposed convolution. */
export function convGradData(
  g: ConvGeometry,
  dy: PatchSource,
  w: Source,
  store: ProductStore,
  integers: boolean,
): void {
  const [sz, sy, sx] = g.s;
  for (let rz = 0; rz < Math.min(sz, g.i[0]); rz++)
    for (let ry = 0; ry < Math.min(sy, g.i[1]); ry++)
      for (let rx = 0; rx < Math.min(sx, g.i[2]); rx++)
        gradDataResidue(g, dy, w, store, integers, [rz, ry, rx]);
}

/** The places in the input that are ≡ residue modulo the stride. */
function gradDataResidue(
  g: ConvGeometry,
  dy: PatchSource,
  w: Source,
  store: ProductStore,
  integers: boolean,
  residue: Triple,
): void {
  const inChannels = g.C / g.groups;
  const outChannels = g.O / g.groups;
  const axis = (a: 0 | 1 | 2): { ks: number[]; qs: number[]; extent: number } => {
    const ks = range(g.k[a]).filter((k) => (residue[a] + g.p[a] - k * g.d[a]) % g.s[a] === 0);
    return {
      ks,
      qs: ks.map((k) => (residue[a] + g.p[a] - k * g.d[a]) / g.s[a] + dy.before[a]),
      extent: Math.ceil((g.i[a] - residue[a]) / g.s[a]),
    };
  };
  const [z, y, x] = [axis(0), axis(1), axis(2)];
  const grid: Triple = [z.extent, y.extent, x.extent];
  const perImage = volume(grid);
  const taps = new Taps(outChannels, dy.extents, z.qs, y.qs, x.qs);
  const columns = new Columns(grid, [1, 1, 1], dy.extents, g.O * volume(dy.extents));
  const kernelVolume = volume(g.k);
  const weightOffset = new Int32Array(taps.count);
  let t = 0;
  for (let o = 0; o < outChannels; o++)
    for (const kz of z.ks)
      for (const ky of y.ks)
        for (const kx of x.ks)
          weightOffset[t++] = o * inChannels * kernelVolume + (kz * g.k[1] + ky) * g.k[2] + kx;
  const dense = perImage === volume(g.i);
  const [, iy, ix] = g.i;

  for (let group = 0; group < g.groups; group++) {
    const weights = w.at + group * outChannels * inChannels * kernelVolume;
    blockedProduct(
      inChannels,
      g.N * perImage,
      taps.count,
      (panel, first, count, k0, depth) => {
        for (let r = 0; r < count; r += STRIP) {
          let at = r * depth;
          for (let k = k0; k < k0 + depth; k++, at += STRIP)
            for (let q = 0; q < STRIP; q++)
              panel[at + q] =
                r + q < count
                  ? (w.data[weights + (weightOffset[k] as number) + (first + r + q) * kernelVolume] as number)
                  : 0;
        }
      },
      pixelsByTaps(dy.data, dy.at + group * outChannels * volume(dy.extents), columns, taps),
      kernelFor(integers),
      (tile, ldc, row, rows, column, n) => {
        for (let done = 0; done < n; ) {
          const image = Math.floor((column + done) / perImage);
          const point = column + done - image * perImage;
          // whole images where the residue is all there is, else as far as a row of the grid goes
          const px = point % x.extent;
          const count = Math.min(n - done, dense ? perImage - point : x.extent - px);
          const line = (point - px) / x.extent;
          const py = line % y.extent;
          const pz = (line - py) / y.extent;
          const at =
            ((residue[0] + pz * g.s[0]) * iy + residue[1] + py * g.s[1]) * ix + residue[2] + px * g.s[2];
          for (let r = 0; r < rows; r++) {
            const channel = group * inChannels + row + r;
            const to = (image * g.C + channel) * volume(g.i) + at;
            store.put(tile, r * ldc + done, count, to, dense ? 1 : g.s[2], channel, 0);
          }
          done += count;
        }
      },
    );
  }
}

/** The weights' gradient, (O, C/groups, k) from dy(N, O, o) and x(N, C, i). */
export function convGradWeight(
  g: ConvGeometry,
  dy: Source,
  x: PatchSource,
  store: ProductStore,
  integers: boolean,
): void {
  const inChannels = g.C / g.groups;
  const outChannels = g.O / g.groups;
  const pixels = volume(g.o);
  const taps = new Taps(inChannels, x.extents, ...offsetsOf(g, x));
  const columns = new Columns(g.o, g.s, x.extents, g.C * volume(x.extents));
  for (let group = 0; group < g.groups; group++) {
    const gradients = dy.at + group * outChannels * pixels;
    blockedProduct(
      outChannels,
      taps.count,
      g.N * pixels,
      (panel, first, count, k0, depth) => {
        for (let done = 0; done < depth; ) {
          const image = Math.floor((k0 + done) / pixels);
          const pixel = k0 + done - image * pixels;
          const n = Math.min(depth - done, pixels - pixel);
          const from = gradients + (image * g.O + first) * pixels + pixel;
          packStrided(panel, dy.data, from, pixels, 1, count, n, depth * STRIP, done * STRIP);
          done += n;
        }
      },
      tapsByPixels(x.data, x.at + group * inChannels * volume(x.extents), columns, taps),
      kernelFor(integers),
      (tile, ldc, row, rows, column, n) => {
        for (let r = 0; r < rows; r++) {
          const channel = group * outChannels + row + r;
          store.put(tile, r * ldc, n, channel * taps.count + column, 1, channel, 0);
        }
      },
    );
  }
}
