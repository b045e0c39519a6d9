// Depthwise convolutions over two axes and both their gradients in float32 (AssemblyScript), as jobs of threads/cells.ts. A part of a plane is copied into working
// memory first, with the zeros around it and, where columns are skipped, with the columns of a stride's residue beside each other: all that follows reads neighbours
// and knows no edges. Only windows of 3 × 3 are computed from the plane itself, where the padding is 1 at most. The data's gradient is a convolution itself: of what stands above, with zeros between its rows and columns where the stride is more than 1, and
// the weights turned round. Addresses in bytes, counts in elements.
import { high } from './functions';
import { madd } from './madd';
import { many, nine } from './taps';

/** What a job works on: planes of `height` × `width` with `channels` to an image, each giving `perGroup` planes of `outHeight` × `outWidth`. */
@unmanaged
class Planes {
  /** What is read, the weights (or what stands above, for their gradient), the result. */
  from!: usize;
  other!: usize;
  to!: usize;
  /** One number a channel of the result, 0 for none; and whether what is stored is rectified. */
  bias!: usize;
  relu!: i32;
  images!: i32;
  channels!: i32;
  perGroup!: i32;
  height!: i32;
  width!: i32;
  outHeight!: i32;
  outWidth!: i32;
  kernelHeight!: i32;
  kernelWidth!: i32;
  strideHeight!: i32;
  strideWidth!: i32;
  dilateHeight!: i32;
  dilateWidth!: i32;
  padHeight!: i32;
  padWidth!: i32;
  /** How far rows and columns of what is read are spread, and whether the weights are turned round. */
  spreadHeight!: i32;
  spreadWidth!: i32;
  turned!: i32;
  /** Parts of a plane, and rows of the result that are computed from one. */
  bands!: i32;
  rows!: i32;
  /** Parts of planes (of the weights' gradient: channels) of a tile, and all there are. */
  each!: i32;
  parts!: i32;
}

/** Steps that float32 sums run on before they are added to those in doubles. */
const CHUNK = 64;

/** Columns that the windows of a row read. */
// @ts-expect-error: decorator
@inline
function columnsOf(f: Planes): i32 {
  return (f.outWidth - 1) * f.strideWidth + (f.kernelWidth - 1) * f.dilateWidth + 1;
}

/** Bytes of a copy. */
// @ts-expect-error: decorator
@inline
function copyBytes(f: Planes, pitch: usize, phases: i32): usize {
  return pitch * (phases * ((f.rows - 1) * f.strideHeight + (f.kernelHeight - 1) * f.dilateHeight + 1));
}

/** Bytes of a run of the copy, with room for loads past its end. */
// @ts-expect-error: decorator
@inline
function pitchOf(f: Planes, phases: i32): usize {
  return (<usize>(columnsOf(f) / phases + 4) & ~3) << 2;
}

/** Copies `count` numbers, 16 or 4 at a time where there are as many: the last ones overlap those before. */
// @ts-expect-error: decorator
@inline
function copyRow(from: usize, to: usize, count: i32): void {
  const bytes = <usize>count << 2;
  let i: usize = 0;
  if (count >= 16) {
    for (const last = bytes - 64; ; i += 64) {
      i = min(i, last);
      const a = v128.load(from + i);
      const b = v128.load(from + i, 16);
      const c = v128.load(from + i, 32);
      const d = v128.load(from + i, 48);
      v128.store(to + i, a);
      v128.store(to + i, b, 16);
      v128.store(to + i, c, 32);
      v128.store(to + i, d, 48);
      if (i == last) break;
    }
  } else if (count >= 4) {
    for (const last = bytes - 16; ; i += 16) {
      i = min(i, last);
      v128.store(to + i, v128.load(from + i));
      if (i == last) break;
    }
  } else for (; i < bytes; i += 4) store<u32>(to + i, load<u32>(from + i));
}

/** Copies the numbers at even places to `even` and the others to `odd`. */
// @ts-expect-error: decorator
@inline
function partRow(from: usize, even: usize, odd: usize, count: i32): void {
  let i = 0;
  for (; i + 8 <= count; i += 8, from += 32, even += 16, odd += 16) {
    const x = v128.load(from);
    const y = v128.load(from, 16);
    v128.store(even, v128.shuffle<f32>(x, y, 0, 2, 4, 6));
    v128.store(odd, v128.shuffle<f32>(x, y, 1, 3, 5, 7));
  }
  for (; i < count; i++, from += 4) {
    store<u32>(i & 1 ? odd : even, load<u32>(from));
    if (i & 1) odd += 4;
    else even += 4;
  }
}

/**
 * Copies what the windows of `rows` rows of the result read, from row `start` on, among zeros. Column c goes to place ⌊c / phases⌋ of the run c mod phases; runs lie
 * `pitch` bytes apart. Before and after the columns stand zeros already, for all parts the same.
 */
function stage(f: Planes, plane: i32, start: i32, rows: i32, phases: i32, pitch: usize, to: usize): void {
  const spread = f.spreadWidth;
  const first = max(0, f.padWidth);
  const end = min(columnsOf(f), (f.width - 1) * spread + 1 + f.padWidth);
  const head = <usize>(first / phases) << 2;
  // the first column may lie in a gap
  const skipped = (first - f.padWidth + spread - 1) / spread;
  const top = start * f.strideHeight - f.padHeight;
  const bottom = top + (rows - 1) * f.strideHeight + (f.kernelHeight - 1) * f.dilateHeight + 1;
  // how many rows there are before the next that is one of the plane, and which that is
  let row = (top + (top > 0 ? f.spreadHeight - 1 : 0)) / f.spreadHeight;
  let gap = row * f.spreadHeight - top;
  for (let y = top; y < bottom; y++) {
    const inside = gap == 0 && row >= 0 && row < f.height && end > first;
    const next = to + pitch * phases;
    if (inside) {
      let at = f.from + (<usize>((plane * f.height + row) * f.width + skipped) << 2);
      const odd = to + pitch + head;
      if (phases == 1 && spread == 1) copyRow(at, to + head, end - first);
      else if (phases == 2) {
        if (first & 1) partRow(at, odd, to + head + 4, end - first);
        else partRow(at, to + head, odd, end - first);
      } else
        for (let c = skipped * spread + f.padWidth, x = c / phases, run = c % phases; c < end; c += spread, at += 4) {
          store<u32>(to + pitch * run + (<usize>x << 2), load<u32>(at));
          if (phases == 1) x += spread;
          else if (++run == phases) {
            run = 0;
            x++;
          }
        }
    } else for (let z = to; z < next; z += 16) v128.store(z, f32x4.splat(0));
    if (gap == 0) {
      gap = f.spreadHeight;
      row++;
    }
    gap--;
    to = next;
  }
}

/** Puts 0 in the place of what is not more. NaN stays. */
function rectify(to: usize, end: usize): void {
  for (; to + 16 <= end; to += 16) {
    const v = v128.load(to);
    v128.store(to, v128.andnot(v, f32x4.le(v, f32x4.splat(0))));
  }
  for (; to < end; to += 4) store<f32>(to, max<f32>(load<f32>(to), 0));
}

// @ts-expect-error: decorator
@inline
function aligned(at: usize): usize {
  return (at + 15) & ~15;
}

/** Writes where the taps of x lie in a copy, from a window's first element on. Returns the end of the table. */
function tapsOf(f: Planes, phases: i32, pitch: usize, table: usize): usize {
  for (let i = 0; i < f.kernelHeight; i++)
    for (let j = 0; j < f.kernelWidth; j++, table += 4) {
      const c = j * f.dilateWidth;
      const row = pitch * phases * (i * f.dilateHeight);
      store<usize>(table, row + pitch * (c % phases) + (<usize>(c / phases) << 2));
    }
  return table;
}

/** The convolution, or the data's gradient. */
export function depthwiseTile(f: Planes, tile: i32, work: usize): void {
  const taps = f.kernelHeight * f.kernelWidth;
  const rowBytes = <usize>f.outWidth << 2;
  const stride = f.strideWidth;
  const three =
    f.kernelHeight == 3 &&
    f.kernelWidth == 3 &&
    (f.dilateHeight | f.dilateWidth) == 1 &&
    f.strideHeight == stride &&
    stride <= 2 &&
    f.outWidth >= 4;
  const phases = three ? 1 : stride;
  // the last column that is read: none but this one and the first may lie outside
  const right = (f.outWidth - 1) * stride - f.padWidth + 2;
  const direct = three && (f.spreadHeight | f.spreadWidth) == 1 && f.padWidth >>> 1 == 0 && right <= f.width;
  const pitch = pitchOf(f, phases);
  const step = pitch * phases * f.strideHeight;
  const table = work + 16;
  // the weights turned round end where the copy begins
  const copy = aligned(tapsOf(f, phases, pitch, table) + (<usize>taps << 2));
  memory.fill(copy, 0, direct ? 64 : copyBytes(f, pitch, phases));
  const end = min(f.parts, (tile + 1) * f.each);
  for (let part = tile * f.each; part < end; part++) {
    const plane = part / f.bands;
    const first = (part % f.bands) * f.rows;
    const rows = min(f.rows, f.outHeight - first);
    let from = copy;
    let line = pitch;
    let row = 0;
    let height = i32.MAX_VALUE;
    if (direct) {
      row = first * stride - f.padHeight;
      height = f.height;
      line = <usize>f.width << 2;
      from = f.from + (<usize>((plane * height + row) * f.width - f.padWidth) << 2);
    } else stage(f, plane, first, rows, phases, pitch, copy);
    for (let q = 0; q < f.perGroup; q++) {
      const channel = (plane % f.channels) * f.perGroup + q;
      const bias: f32 = f.bias == 0 ? 0 : load<f32>(f.bias + (<usize>channel << 2));
      let w = f.other + (<usize>(channel * taps) << 2);
      if (f.turned) {
        for (let t: usize = 0; t < <usize>taps << 2; t += 4) store<u32>(copy - 4 - t, load<u32>(w + t));
        w = copy - (<usize>taps << 2);
      }
      const start = f.to + rowBytes * ((plane * f.perGroup + q) * f.outHeight + first);
      const last = start + rowBytes * rows;
      if (f.outWidth < 4) {
        // whole vectors would reach into what lies after the rows
        let at = copy;
        for (let to = start; to < last; to += rowBytes, at += step) {
          many(at, 0, work, 0, 1, 4, table, w, taps, bias);
          for (let x: usize = 0; x < rowBytes; x += 4) store<u32>(to + x, load<u32>(work + x));
        }
      } else if (three) {
        const before = direct && f.padWidth != 0 ? 0 : -1;
        const after = direct && right == f.width ? 0 : -1;
        nine(stride, from, line, row, height, before, after, copy, start, rowBytes, rows, f.outWidth, w, bias);
      } else many(copy, step, start, rowBytes, rows, f.outWidth, table, w, taps, bias);
      if (f.relu) rectify(start, last);
    }
  }
}

/** Adds four sums to the two in doubles at `to`. */
function add(to: usize, sum: v128): void {
  const both = f64x2.add(f64x2.promote_low_f32x4(sum), f64x2.promote_low_f32x4(high(sum)));
  v128.store(to, f64x2.add(v128.load(to), both));
}

/** Adds Σ g·x for three taps of a row, two doubles each, to those at `to`. Two rows at a time, so that a sum does not wait for itself. */
function correlate(
  g: usize,
  gStep: usize,
  at: usize,
  step: usize,
  t1: usize,
  t2: usize,
  rows: i32,
  columns: i32,
  to: usize,
): void {
  const zero = f32x4.splat(0);
  // the last columns lie in four that overlap those before: which of them are new
  const last = <usize>max(0, columns - 4) << 2;
  const places = i32x4(0, 1, 2, 3);
  const all = i32x4.eq(places, places);
  const news = columns < 4 ? i32x4.lt_s(places, i32x4.splat(columns)) : i32x4.ge_s(places, i32x4.splat((0 - columns) & 3));
  let s0 = zero;
  let s1 = zero;
  let s2 = zero;
  let s3 = zero;
  let s4 = zero;
  let s5 = zero;
  for (let y = 0, steps = 0; y < rows; y += 2, g += gStep * 2, at += step * 2) {
    // the last row of an odd number is taken twice, and one is left out below
    const alone = y + 1 == rows;
    if (alone || steps > CHUNK) {
      add(to, f32x4.add(s0, s3));
      add(to + 16, f32x4.add(s1, s4));
      add(to + 32, f32x4.add(s2, s5));
      s0 = s1 = s2 = s3 = s4 = s5 = zero;
      steps = 0;
    }
    const g1 = alone ? g : g + gStep;
    const at1 = alone ? at : at + step;
    for (let x: usize = 0; ; x += 16) {
      let lanes = all;
      if (x >= last) {
        x = last;
        lanes = news;
      }
      const u = v128.and(v128.load(g + x), lanes);
      const p = at + x;
      s0 = madd(u, v128.and(v128.load(p), lanes), s0);
      s1 = madd(u, v128.and(v128.load(p + t1), lanes), s1);
      s2 = madd(u, v128.and(v128.load(p + t2), lanes), s2);
      const v = v128.and(v128.load(g1 + x), lanes);
      const q = at1 + x;
      s3 = madd(v, v128.and(v128.load(q), lanes), s3);
      s4 = madd(v, v128.and(v128.load(q + t1), lanes), s4);
      s5 = madd(v, v128.and(v128.load(q + t2), lanes), s5);
      if (x == last) break;
    }
    steps += columns >> 2;
  }
  if (rows & 1) s3 = s4 = s5 = zero;
  add(to, f32x4.add(s0, s3));
  add(to + 16, f32x4.add(s1, s4));
  add(to + 32, f32x4.add(s2, s5));
}

/** The weights' gradient: `from` is x, `other` what stands above. A channel's sums run over all images. */
export function depthwiseWeightTile(f: Planes, tile: i32, work: usize): void {
  const stride = f.strideWidth;
  const pitch = pitchOf(f, stride);
  const row = pitch * stride;
  const taps = f.kernelHeight * f.kernelWidth;
  // three taps at a time: those past the end are the last one once more
  const threes = (f.kernelWidth + 2) / 3;
  const each = <usize>(f.kernelHeight * threes) * 48;
  const table = work + 16;
  const sum = aligned(tapsOf(f, stride, pitch, table));
  const copy = sum + each * f.perGroup;
  memory.fill(copy, 0, copyBytes(f, pitch, stride));
  const line = <usize>f.outWidth << 2;
  const end = min(f.parts, (tile + 1) * f.each);
  for (let channel = tile * f.each; channel < end; channel++) {
    memory.fill(sum, 0, each * f.perGroup);
    for (let n = 0; n < f.images; n++)
      for (let first = 0; first < f.outHeight; first += f.rows) {
        const plane = n * f.channels + channel;
        const rows = min(f.rows, f.outHeight - first);
        stage(f, plane, first, rows, stride, pitch, copy);
        for (let q = 0, to = sum; q < f.perGroup; q++) {
          const g = f.other + line * ((plane * f.perGroup + q) * f.outHeight + first);
          for (let i = 0; i < f.kernelHeight; i++)
            for (let j = 0; j < f.kernelWidth; j += 3, to += 48) {
              const t = table + (<usize>(i * f.kernelWidth) << 2);
              const o = load<usize>(t + (<usize>j << 2));
              const o1 = load<usize>(t + (<usize>min(j + 1, f.kernelWidth - 1) << 2));
              const o2 = load<usize>(t + (<usize>min(j + 2, f.kernelWidth - 1) << 2));
              correlate(g, line, copy + o, row * f.strideHeight, o1 - o, o2 - o, rows, f.outWidth, to);
            }
        }
      }
    let to = f.to + (<usize>(channel * f.perGroup * taps) << 2);
    for (let from = sum; from < copy; from += <usize>threes * 48)
      for (let j: usize = 0; j < <usize>f.kernelWidth; j++, to += 4)
        store<f32>(to, <f32>(load<f64>(from + (j << 4)) + load<f64>(from + (j << 4), 8)));
  }
}
