// The gradients of depthwise convolutions over two axes in float32, by compiled kernels. The data's is a depthwise convolution itself: of what stands above, with
// zeros between its rows and columns where the stride is more than 1 and around it, and the weights turned round.
import type { Heap } from '../heap.ts';
import type { Temporaries } from '../temporaries.ts';
import type { Finish } from './calls.ts';
import type { Surrounded } from './convTables.ts';
import type { ConvGeometry } from './geometry.ts';
import { volume } from './geometry.ts';

/** The images are taken in parts of at most so many bytes. */
const MOST_BYTES = 2 ** 24;

/** Kinds of bias in kernels. */
export const KIND = { none: 0, m: 1, n: 2 } as const;

/** dx(N, C, i) from dy(N, C, o) and w, all in bytes. */
export function depthwiseData(
  heap: Heap,
  temporaries: Temporaries,
  g: ConvGeometry,
  dy: number,
  w: number,
  dx: number,
  finish: Finish,
): void {
  const { N, C, i, o, k, s, d, p } = g;
  const taps = volume(k);
  const wide = ([1, 2] as const).map((a) => i[a] + (k[a] - 1) * d[a]) as [number, number];
  const before = ([1, 2] as const).map((a) => (k[a] - 1) * d[a] - p[a]) as [number, number];
  const [height, width] = wide;
  const plane = height * width;
  const part = Math.max(1, Math.min(N, Math.floor(MOST_BYTES / (C * plane * 4))));
  const turned = temporaries.take(C * taps * 4);
  const at = temporaries.take(part * C * plane * 4);
  const { f32, kernels } = heap;
  const { product } = kernels;
  for (let c = 0; c < C; c++) {
    const from = w / 4 + c * taps;
    f32.set(f32.subarray(from, from + taps), turned / 4 + c * taps);
    f32.subarray(turned / 4 + c * taps, turned / 4 + (c + 1) * taps).reverse();
  }
  for (let first = 0; first < N; first += part) {
    const images = Math.min(part, N - first);
    const from = dy + first * C * volume(o) * 4;
    if (s[1] === 1 && s[2] === 1)
      product.surround(from, at, images * C, 1, o[1], o[2], 1, height, width, 0, before[0], before[1]);
    else {
      f32.fill(0, at / 4, at / 4 + images * C * plane);
      let row = from / 4;
      for (let n = 0; n < images * C; n++)
        for (let y = 0; y < o[1]; y++, row += o[2])
          spreadRow(f32, row, o[2], at / 4 + n * plane + (before[0] + y * s[1]) * width + before[1], s[2]);
    }
    const to = dx + first * C * volume(i) * 4;
    const steps = [1, 1, d[1], d[2]] as const;
    const { kind, bias, relu } = finish;
    const sizes = [images, C, 1, plane * 4, width * 4, i[1], i[2], k[1], k[2]] as const;
    product.depthwise(at, to, turned, ...sizes, ...steps, KIND[kind], bias, relu ? 1 : 0);
  }
}

function spreadRow(f32: Float32Array, from: number, n: number, to: number, step: number): void {
  for (let i = 0; i < n; i++, to += step) f32[to] = f32[from + i] as number;
}

/** dw(O, 1, k) from dy(N, O, o) and x(N, C, i) with its zeros around; `add`: to what is there. */
export function depthwiseWeight(
  heap: Heap,
  { N, C, O, o, k, s, d }: ConvGeometry,
  dy: number,
  { at, extents }: Surrounded,
  dw: number,
  add: boolean,
): void {
  const plane = volume(extents) * 4;
  const sizes = [N, C, O / C, plane, extents[2] * 4, o[1], o[2], k[1], k[2]] as const;
  heap.kernels.vector.depthwiseWeight(at, dy, dw, ...sizes, s[1], s[2], d[1], d[2], add ? 1 : 0);
}
