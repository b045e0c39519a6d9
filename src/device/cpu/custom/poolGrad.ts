// Gradients of pooling over up to three axes: windows hand what is above them to their greatest element, or to all of theirs. Windows are visited in order and add
// up where they overlap, so sums repeat. Computed in the compute type's own storage; float16 is converted before and after.
import { bytesOf, computeTypeOf } from '../../../core/dtype.ts';
import { sizeOf } from '../../../core/shape.ts';
import type { Operand } from '../../../ir/kernel.ts';
import { moveBetween } from '../convert.ts';
import type { Cells } from '../loops/loop.ts';
import { NATIVE, widthOf } from '../program.ts';
import type { PoolWorks } from './pool.ts';
import { isFlat, runWindows } from './pool.ts';

export type PoolGradKind = 'poolMaxGrad' | 'poolMaxPick' | 'poolAvgGrad' | 'poolSumGrad';

/** `poolMaxGrad`, `poolMaxPick`, `poolAvgGrad`, `poolSumGrad`: see ir/kernel.ts. */
export function poolGrad(
  works: PoolWorks,
  kind: PoolGradKind,
  inputs: readonly Operand[],
  y: Operand,
  dims: readonly number[],
): void {
  const count = sizeOf(y.shape);
  if (count === 0) return;
  const { heap, temporaries } = works;
  const type = computeTypeOf(y.dtype);
  const native = NATIVE[type];
  const width = widthOf(type);
  const places = inputs.map((x) => {
    const from = x.storage.offset / bytesOf(x.dtype);
    if (x.dtype === native) return from;
    const n = sizeOf(x.shape);
    const at = temporaries.take(n * width) / width;
    moveBetween(x.dtype, native)(heap, n, at, 1, from, 1);
    return at;
  });
  const final = y.storage.offset / bytesOf(y.dtype);
  const to = y.dtype === native ? final : temporaries.take(count * width) / width;
  const [first = 0, second = 0] = places;
  const pick = kind === 'poolMaxPick';
  if (type === 'f32' && isFlat(dims) && !pick) {
    if (kind === 'poolMaxGrad')
      runWindows(works, 'poolMaxGradTile', 'poolMax', [first * 4, second * 4, to * 4], dims);
    else
      runWindows(
        works,
        'poolSpreadTile',
        kind === 'poolAvgGrad' ? 'poolAvg' : 'poolSum',
        [first * 4, 0, to * 4],
        dims,
      );
  } else {
    const m = heap[type];
    if (!pick) m.fill(0, to, to + count);
    if (pick || kind === 'poolMaxGrad') maxima(m, pick, first, second, to, dims);
    else spread(m, kind === 'poolAvgGrad', first, to, dims);
  }
  if (y.dtype !== native) moveBetween(native, y.dtype)(heap, count, final, 1, to, 1);
  temporaries.release();
}

/** For each window with its first greatest element at place p (a NaN counts as greatest): picks from[p] as its output, or adds from[window] to output p. */
function maxima(m: Cells, pick: boolean, x: number, from: number, to: number, dims: readonly number[]): void {
  const [planes = 0, iD = 0, iH = 0, iW = 0, oD = 0, oH = 0, oW = 0] = dims;
  const [kD = 0, kH = 0, kW = 0, sD = 0, sH = 0, sW = 0, pD = 0, pH = 0, pW = 0] = dims.slice(7);
  let o = 0;
  for (let p = 0; p < planes; p++) {
    const plane = p * iD * iH * iW;
    for (let z = 0; z < oD; z++) {
      const z0 = Math.max(0, z * sD - pD);
      const z1 = Math.min(iD, z * sD - pD + kD);
      for (let y = 0; y < oH; y++) {
        const y0 = Math.max(0, y * sH - pH);
        const y1 = Math.min(iH, y * sH - pH + kH);
        for (let w = 0; w < oW; w++, o++) {
          const x0 = Math.max(0, w * sW - pW);
          const x1 = Math.min(iW, w * sW - pW + kW);
          let best = 0;
          let place = -1;
          for (let a = z0; a < z1; a++)
            for (let b = y0; b < y1; b++) {
              const row = plane + (a * iH + b) * iW;
              for (let i = row + x0; i < row + x1; i++) {
                const v = m[x + i] as number;
                // not (v ≤ best): a NaN is taken, and nothing after it
                if (place < 0 || (!(v <= best) && !Number.isNaN(best))) {
                  best = v;
                  place = i;
                }
              }
            }
          if (pick) m[to + o] = place < 0 ? 0 : (m[from + place] as number);
          else if (place >= 0) m[to + place] = (m[to + place] as number) + (m[from + o] as number);
        }
      }
    }
  }
}

/** Adds each window's gradient, divided by what its average was divided by, to all its elements. */
function spread(m: Cells, average: boolean, from: number, to: number, dims: readonly number[]): void {
  const [planes = 0, iD = 0, iH = 0, iW = 0, oD = 0, oH = 0, oW = 0] = dims;
  const [kD = 0, kH = 0, kW = 0, sD = 0, sH = 0, sW = 0, pD = 0, pH = 0, pW = 0, withPadding = 0] =
    dims.slice(7);
  let o = from;
  for (let p = 0; p < planes; p++) {
    const plane = to + p * iD * iH * iW;
    for (let z = 0; z < oD; z++) {
      const z0 = z * sD - pD;
      const [za, zb] = [Math.max(0, z0), Math.min(iD, z0 + kD)];
      for (let y = 0; y < oH; y++) {
        const y0 = y * sH - pH;
        const [ya, yb] = [Math.max(0, y0), Math.min(iH, y0 + kH)];
        for (let w = 0; w < oW; w++, o++) {
          const x0 = w * sW - pW;
          const [xa, xb] = [Math.max(0, x0), Math.min(iW, x0 + kW)];
          let above = m[o] as number;
          if (average)
            above /=
              withPadding !== 0
                ? (Math.min(z0 + kD, iD + pD) - z0) *
                  (Math.min(y0 + kH, iH + pH) - y0) *
                  (Math.min(x0 + kW, iW + pW) - x0)
                : (zb - za) * (yb - ya) * (xb - xa);
          for (let a = za; a < zb; a++)
            for (let b = ya; b < yb; b++) {
              const row = plane + (a * iH + b) * iW;
              for (let i = row + xa; i < row + xb; i++) m[i] = (m[i] as number) + above;
            }
        }
      }
    }
  }
}
